"""Kernels, argument checking, streams."""
