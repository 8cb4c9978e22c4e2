"""Fixtures of tests/compiler, which the tests here share."""

from __future__ import annotations

from tests.compiler.conftest import (
    cache,
    compile_ptx,
    compiles,
    file_value,
    needs_toolkit_header,
    value,
    value_of,
    write,
)

__all__ = ["cache", "compile_ptx", "compiles", "file_value", "needs_toolkit_header", "value", "value_of", "write"]
