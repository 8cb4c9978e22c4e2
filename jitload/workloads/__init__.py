"""Workloads: what an application asks for, recorded and written down."""
