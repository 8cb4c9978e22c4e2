"""How the kernels of a family are compiled, and which sizes run in which build.

The first build of a test module runs every size; the others that it names run one size, to see the other forms that
PTX takes; the rest of the table is behind the `slow` marker. One size of the first build runs once more with every
check on: these kernels are right, so nothing is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Name -> (architecture, options of NVRTC).
BUILDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "90": (90, ()),
    "70": (70, ()),
    "75": (75, ()),
    "80": (80, ("-lineinfo",)),
    "90 unfused": (90, ("--fmad=false",)),
    "90 debug": (90, ("-G",)),
    "100": (100, ()),
    "100 fast": (100, ("--use_fast_math",)),
    "120": (120, ("-lineinfo", "--fmad=false")),
}
#: Stands for the first build of a module, run with every check on.
CHECKED = "checked"


def sizes(*quick: Any, slow: Sequence[Any] = ()) -> Callable[[Any], Any]:
    """The values of a test's argument `size`: the second to last one also runs in the builds after the first."""

    def mark(function: Any) -> Any:
        function.sizes = (quick, tuple(slow))
        return function

    return mark


def combinations(module: Any, quick: Sequence[Any], slow: Sequence[Any]) -> list[Any]:
    """(build, size) for a test of `module`, the ones that take long marked so.

    The module's `BUILDS` run always; `LEAST` is the lowest architecture that its kernels compile for.
    """
    first, *others = module.BUILDS
    rest = [name for name in BUILDS if name not in module.BUILDS and BUILDS[name][0] >= getattr(module, "LEAST", 70)]
    middle = quick[-2:][0]
    found = [(first, size, False) for size in quick] + [(first, size, True) for size in slow]
    found += [(name, middle, False) for name in (*others, CHECKED)] + [(name, middle, True) for name in rest]
    return [
        pytest.param(
            name, size, marks=[pytest.mark.slow(keep=1)] if long else [], id=f"{name}-{size}".replace(" ", "-")
        )
        for name, size, long in found
    ]


def blocks(count: int, width: int) -> int:
    """How many blocks of that width cover `count` elements; one at least."""
    return max(-(-count // width), 1)
