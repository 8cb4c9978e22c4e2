"""Where the cache stood before it moved to `jitload.tiers`."""
