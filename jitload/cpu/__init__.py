"""The CPU executor for PTX."""
