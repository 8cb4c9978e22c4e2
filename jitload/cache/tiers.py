"""`Cache` under the name that it had; it is at home in `jitload.tiers.cache`, and public as `jitload.Cache`."""

from jitload.tiers.cache import Cache

__all__ = ["Cache"]
