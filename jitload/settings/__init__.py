"""What can be set, one row per option; `jitload.config` says what is in force."""
