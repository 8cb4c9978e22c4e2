"""The state spaces: addresses of many lanes at once, checked, and what is done to what they point to."""
