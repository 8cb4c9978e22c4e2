"""The older path of `jitload.tiers.flight`, kept for programs that name it."""

from __future__ import annotations

from jitload.tiers.flight import single_flight as single_flight
