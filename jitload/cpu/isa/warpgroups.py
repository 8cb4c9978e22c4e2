"""Products of warpgroups, `wgmma` (PTX ISA section 9.7.15), and registers that warps give each other."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_SINCE = "8.0 sm_90a"
_STEPS = range(8, 257, 8)
_WIDE_STEPS = (8, 16, 24, 32, *range(48, 257, 16))
_FLOATS8 = "(e4m3|e5m2)"
_BYTES = "(s8|u8)"
#: Steps of n, k, what stands behind the shape, types of D, A and B, what stands at the end; and how many literals end the
#: operands when A comes by a descriptor, and when it comes in registers.
_PRODUCTS = (
    (_STEPS, 16, "", "(f16|f32)", "f16", "f16", "", 4, 3),
    (_STEPS, 16, "", "f32", "bf16", "bf16", "", 4, 3),
    (_STEPS, 8, "", "f32", "tf32", "tf32", "", 2, 2),
    (_STEPS, 32, "", "(f16|f32)", _FLOATS8, _FLOATS8, "", 2, 2),
    (_WIDE_STEPS, 32, "{.satfinite}", "s32", _BYTES, _BYTES, "", 0, 0),
    (_WIDE_STEPS, 256, "", "s32", "b1", "b1", ".and.popc", 0, 0),
)
_PLAIN = "multiplied(n, a, b, d if c else cleared(d))"
_SIGNED = "multiplied(n, a if e == f else opposite(a), b, d if c else cleared(d))"


def _rows() -> tuple[Row, ...]:
    found = []
    for steps, k, middle, d, a, b, end, by_descriptor, in_registers in _PRODUCTS:
        shapes = "|".join(f"m64n{n}k{k}" for n in steps)
        for factor, literals in (("a:u64", by_descriptor), ("{a}:*", in_registers)):
            found.append(
                Row(
                    f"wgmma!mma_async.sync.aligned.({shapes}){middle}.{d}.{a}.{b}{end}",
                    " ".join(["{d}:*", factor, "b:u64", "c:p", *(f"{letter}:#" for letter in "efgh"[:literals])]),
                    model=_SIGNED if literals else _PLAIN,
                    profile="tensor",
                    effects="loads meets ends accumulates",
                    since=_SINCE,
                )
            )
    return tuple(found)


ROWS = (
    Row("wgmma!fence.sync.aligned", model="nothing", profile="synchronization", since=_SINCE),
    Row("wgmma!commit_group.sync.aligned", model="nothing", profile="synchronization", since=_SINCE),
    Row("wgmma!wait_group.sync.aligned", "a:#", "", "nothing", profile="synchronization", since=_SINCE),
    *_rows(),
)
