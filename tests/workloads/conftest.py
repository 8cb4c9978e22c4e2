"""Fixtures of tests/bundles, which the tests here share."""

from __future__ import annotations

from tests.bundles.conftest import built, unsigned

__all__ = ["built", "unsigned"]
