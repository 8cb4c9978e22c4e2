"""Fixtures of tests/compiler, which the tests here share."""

from __future__ import annotations

from tests.compiler.conftest import cache, compile_ptx, compiles, value, value_of, write

__all__ = ["cache", "compile_ptx", "compiles", "value", "value_of", "write"]
