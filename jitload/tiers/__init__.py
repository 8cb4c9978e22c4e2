"""Where artifacts are kept and found: memory, disk, index, single flight."""
