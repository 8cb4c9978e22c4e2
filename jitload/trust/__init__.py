"""Whose signatures count: keys, policies, Ed25519."""
