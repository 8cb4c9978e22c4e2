"""At home in other projects: each file here knows one of them, and nothing else in jitload does."""
