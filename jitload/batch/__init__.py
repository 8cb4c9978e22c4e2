"""Many compiles at once: plans, worker processes, bundles of what they made."""
