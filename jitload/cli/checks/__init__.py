"""What `jitload doctor` looks at: one function per check, grouped by subject. None of them prints."""
