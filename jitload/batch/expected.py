"""How long requests will take to compile, roughly: enough to begin with the longest, and to cut fair parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.toolkit import toolkit_roots
from jitload.errors import JitloadError
from jitload.headers.closure import Closure
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.source.request import CompileRequest

    ClosureOf = Callable[[CompileRequest], Closure]

# NVRTC 12.9 on one core, in seconds: to begin at all; for a byte of source; for a name expression; for a header, of
# which it opens fewer than can be reached (cuda_fp16.h has 17 and takes 0.03 s, cuda/std/array 247 and 0.6 s, CUB's
# block reduction 603 and 0.9 s). Machine code takes about twice as long as PTX.
_BEGIN, _BYTE, _NAME, _HEADER, _MACHINE_CODE = 0.02, 8e-6, 0.01, 0.002, 2.0
# Making a precompiled header costs more than to parse what is in it once, and to use it is not free.
_MAKE_SHARED, _USE_SHARED = 1.5, 0.1


def own_seconds(request: CompileRequest) -> float:
    """What a compile takes without its headers."""
    once = _BEGIN + _BYTE * len(request.source) + _NAME * len(request.names)
    codes = sum(_MACHINE_CODE if arch.startswith("sm_") else 1.0 for arch in request.archs)
    return once * (1.0 if request.kind in {Kind.PTX, Kind.LTOIR} else codes)


def header_seconds(request: CompileRequest, closure_of: ClosureOf | None = None) -> float:
    """What its headers take to parse; nothing where they cannot be found, which its compile will say.

    Args:
        request: a request that is no link.
        closure_of: finds its headers; default: they are looked for now.
    """
    try:
        closure = Closure(request, toolkit_roots()) if closure_of is None else closure_of(request)
    except (JitloadError, OSError, ValueError):
        return 0.0
    return _HEADER * len(closure.headers)


def parse_seconds(header: float, count: int) -> float:
    """What so many compiles in one process take to parse the same headers, each of which takes `header`."""
    return header * min(float(count), _MAKE_SHARED + _USE_SHARED * count)
