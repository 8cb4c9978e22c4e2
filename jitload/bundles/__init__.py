"""Bundles: many compiled kernels in one signed file, for machines without a compiler or a network."""
