"""From a decoded kernel to machine code: what refuses it, its text, and LLVM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.layout import find_spins
from jitload.cpu.faults import Refused, describe_place
from jitload.cpu.native.atomics import expect_order, sums_in_any_order
from jitload.cpu.native.column import emit
from jitload.cpu.native.errand_code import ErrandWriter
from jitload.cpu.native.errands import cut, find_dear, places_of
from jitload.cpu.native.functions import write_functions
from jitload.cpu.native.image import lay_out
from jitload.cpu.native.inlined import read_inlined
from jitload.cpu.native.kernel import NativeKernel
from jitload.cpu.native.machine import generate, has_images
from jitload.cpu.native.meeting import arrive
from jitload.cpu.native.numbers import name_numbers
from jitload.cpu.native.rounding import rounding_text
from jitload.cpu.native.runtime import runtime_text
from jitload.cpu.native.symbols import resolver
from jitload.cpu.native.waits import may_wait
from jitload.cpu.native.writer import KernelWriter

if TYPE_CHECKING:
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.text.ir import Variable, Written

#: What a loop may wait with: at an mbarrier a thread stops, since it has no column, and to sleep is to do nothing.
_STOPS = frozenset({"mbarrier", "nanosleep"})


def compile_native(code: KernelCode, *, dear: bool = True) -> NativeKernel:
    """The machine code of a kernel.

    Args:
        code: the kernel as lanes have it.
        dear: whether threads may stop for what lanes do sooner by themselves.

    Raises:
        Dear: they would have to.
        Refused: something in it has no native form; it says what and where.
    """
    if code.needs_grid or code.grid_traps or code.reserved_bytes:
        raise Refused("it waits for its whole grid, or for other warps in memory of the system")
    inlined = read_inlined(code)
    # At a test of an mbarrier, which only threads of the same block complete, a thread stops for an errand: others run.
    if code.spins and find_spins(inlined.blocks, apart=_STOPS):
        raise Refused("it waits for other threads in loops")
    carry = inlined.carry
    name_numbers(inlined.blocks, carry)
    sites = _sites(code)
    variables: list[Variable] = []
    resolve = resolver(inlined, variables)
    probe = KernelWriter(inlined.blocks, sites, resolve, (emit, arrive), carry)
    blocks, origins = cut(inlined.blocks, probe.missing, ErrandWriter(code, inlined, sites), carry)
    costs = find_dear(blocks)
    if costs is not None and not dear:
        raise costs
    if may_wait(blocks):
        raise Refused("a loop of it may wait for what other threads write")
    places = expect_order(blocks, resolve, fair=code.depends_on_others or inlined.calls)
    found = write_functions(blocks, sites, resolve, (emit, arrive), carry)
    text = f"{found.text}\n{runtime_text(found.meets, found.common)}{rounding_text(found.text)}"
    return NativeKernel(
        *_made(text),
        found.near,
        found.frame_bytes,
        tuple(inlined.origins[origins[one.number]] for one in found.meetings),
        tuple(found.meets),
        places,
        tuple(variables),
        places_of(found.meetings, blocks, found.words),
        why_refused(costs) if costs is not None else "",
    )


def _made(text: str) -> tuple[bytes, int | None]:
    """(machine code of IR, where it starts if it is an image)."""
    image = lay_out(generate(text, near=True), "launch") if has_images() else None
    return image or (generate(text), None)


def depends_on_order(code: KernelCode) -> bool:
    """Whether sums of floats by atomics may be rounded in another order than on lanes; no where it is refused."""
    try:
        inlined = read_inlined(code)
        blocks, _ = cut(inlined.blocks, lambda *_: None, ErrandWriter(code, inlined, _sites(code)), inlined.carry)
        return sums_in_any_order(blocks, resolver(inlined, []), fair=code.depends_on_others or inlined.calls)
    except Refused:
        return False


def _sites(code: KernelCode) -> dict[Written, int]:
    """The number of each place, as faults name it."""
    return {place.written: number for number, place in reversed(list(enumerate(code.places)))}


def why_refused(refusal: Refused) -> str:
    """A refusal, for people."""
    return f"{describe_place(refusal.place)}: {refusal.why}" if refusal.place is not None else refusal.why
