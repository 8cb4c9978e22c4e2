"""The older path of `jitload.source.request`, kept for programs that name it."""

from __future__ import annotations

from jitload.source.request import CompileRequest as CompileRequest
