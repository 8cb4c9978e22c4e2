"""Every instruction family of the CPU executor, on the card and on the executor, bit for bit.

The list is that of tests/cpu/families.py. A line becomes a kernel that runs it once per thread, on random and edge
values: `around` for those that are a function of registers and of a little memory, `own.ptx` for the others.
"""

from __future__ import annotations

import re
import sys
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu.check import NotHere, Seen
from gpu.families import around, inputs, judge, matrices
from gpu.families.both import Launch, Outcome, on_both
from gpu.families.line import Line
from gpu.families.own import Own, own_kernel
from gpu.machine import ROOT
from jitload.errors import JitloadError

if TYPE_CHECKING:
    from collections.abc import Callable

LANES, SHORT_LANES = 4096, 128
#: Lines whose result is the machine's own affair: they have to run on both, and are not compared.
OPAQUE = re.compile(
    r"createpolicy|discard|mov\.u\d+ %\w+, %(warpid|smid|nsmid|clock|clock64|globaltimer|globaltimer_lo|envreg\d+"
    r"|reserved_smem_\w+|gridid|nwarpid)$"
)
#: Lines that no kernel is made for, and why.
LEFT_OUT = {
    "setmaxnreg": "it takes registers from another warpgroup, and waits for them",
    **dict.fromkeys(
        ("tex.", "tld4.", "txq.", "suld.", "sust.", "sured.", "suq."),
        "a number drawn at random is no texture or surface; the tests of both run on both sides",
    ),
    "mma.sp": "metadata drawn at random names no elements; tests/cpu/test_matrix_sparse.py has whole products",
    "wgmma.mma_async": "a number drawn at random describes no matrix; tests/cpu/test_hopper.py has whole kernels",
    **dict.fromkeys(
        (
            "cp.async.bulk.tensor",
            "cp.async.bulk.prefetch.tensor",
            "cp.reduce.async.bulk.tensor",
            "tensormap.",
            "fence.proxy.tensormap::generic.acquire",
        ),
        "memory drawn at random is no tensor map; tests/cpu/test_hopper.py has whole kernels",
    ),
}


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """One per line."""
    lanes = SHORT_LANES if short else LANES
    return {f"{group}: {text}": partial(compare, text, lanes) for group, lines in groups().items() for text in lines}


def groups() -> dict[str, tuple[str, ...]]:
    """Group -> lines, of tests/cpu/families.py."""
    return _families().GROUPS


def _families() -> Any:
    sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]
    from tests.cpu import families

    return families


def compare(text: str, lanes: int) -> Any:
    """One line on both sides.

    Raises:
        AssertionError: the results differ.
        NotHere: the executor refuses the line, or the driver does.
    """
    why = _families().decide(text)
    if why:
        raise NotHere(f"the executor refuses it: {why}")
    for name, reason in LEFT_OUT.items():
        if text.startswith(name):
            raise NotHere(reason)
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    line, own = Line(text), own_kernel(text)
    if own is not None:
        return _compare_own(line, own, lanes, rng)
    if matrices.fragment_types(line) and not matrices.is_whole(line):
        return _compare_matrices(line, lanes, rng)
    text_around = around.around(line)
    block = inputs.inputs_for(line, text_around.inputs, lanes, rng)
    slots = inputs.slots_for(line, text_around.inputs, block, rng)
    launch = Launch(text_around.body, block, len(text_around.results), slots, around.BLOCK)
    mine, theirs = on_both(launch)
    if OPAQUE.match(text):
        return Seen("it runs on both; its result is the machine's own", {})
    bound = judge.bound_of(line.opcode)
    if bound is not None:
        return _judge_bound(line, bound, block, mine, theirs)
    return same(mine, theirs, block, text_around.results)


def body_of(text: str) -> str:
    """The PTX of a line's kernel, without its header."""
    line, own = Line(text), own_kernel(text)
    if own is None:
        return around.around(line).body
    return around.frame(own.code_for(text), 0, own.results, depot=own.depot)


def _compare_own(line: Line, own: Own, lanes: int, rng: np.random.Generator) -> Any:
    lanes -= lanes % own.block
    slots = rng.integers(0, 256, (lanes, around.SLOT_BYTES), np.uint8)
    if own.fill == "f16":
        whole = rng.integers(-4, 5, slots.size // 2).astype(np.float16)
        slots = whole.view(np.uint8).reshape(slots.shape)
    launch = Launch(
        body_of(line.text), np.zeros((lanes, 1, around.CELL_BYTES), np.uint8), own.results, slots, own.block
    )
    if own.faults:
        return _both_fault(launch)
    mine, theirs = on_both(launch)
    return same(mine, theirs, launch.inputs, tuple(f"result {number}" for number in range(own.results)))


def _both_fault(launch: Launch) -> Seen:
    import jitload
    from gpu.families.both import headers, run

    said = {}
    for device in ("cpu", "cuda"):
        try:
            with jitload.configure(device=device):
                run(headers()[0], launch)
        except JitloadError as error:
            said[device] = f"{type(error).__name__}: {str(error)[:120]}"
    assert len(said) == 2, f"a fault only there: {said}"
    return Seen("", said)


def _compare_matrices(line: Line, lanes: int, rng: np.random.Generator) -> Seen:
    """Whole numbers bit for bit, and rounded ones as near as sums in another order are."""
    text = around.around(line)
    slots = np.zeros((lanes, around.SLOT_BYTES), np.uint8)
    exact = matrices.fragments_for(line, text.inputs, lanes, rng, exact=True)
    same(*on_both(Launch(text.body, exact, len(text.results), slots, around.BLOCK)), exact, text.results)
    rounded = matrices.fragments_for(line, text.inputs, lanes, rng, exact=False)
    mine, theirs = on_both(Launch(text.body, rounded, len(text.results), slots, around.BLOCK))
    kinds = matrices.fragment_types(line) or ("", "")
    here, there = (judge.numbers(side.out, kinds[0]) for side in (mine, theirs))
    apart = float(np.max(abs(here - there)))
    most = matrices.LOOSE[kinds[1]]
    assert apart <= most, f"sums of rounded numbers are {apart:.3g} apart, where {most:g} was to be expected"
    return Seen(f"whole numbers equal; rounded ones up to {apart:.3g} apart" if apart else "", {"apart": apart})


def _judge_bound(line: Line, bound: judge.Bound, block: np.ndarray, mine: Outcome, theirs: Outcome) -> Seen:
    sides = [judge.numbers(one, line.opcode) for one in (mine.out, theirs.out, block)]
    wrong, apart = judge.far(bound, *sides)
    assert not wrong.any(), f"out of bounds: {_first(wrong, mine, theirs, block, ())}"
    differ = int((mine.out != theirs.out).any((1, 2)).sum())
    figures = {"lanes": len(block), "differ": differ, "relative": apart}
    return Seen(f"{differ} of {len(block)} lanes differ, at most {apart:.2g} of the value" if differ else "", figures)


def same(mine: Outcome, theirs: Outcome, block: np.ndarray, names: tuple[str, ...]) -> Seen:
    """Nothing to say when all bytes are equal.

    Raises:
        AssertionError: they are not; the text has the first lane that differs.
    """
    wrong = (mine.out != theirs.out).any((1, 2)) | (mine.slots != theirs.slots).any(1)
    assert not wrong.any(), _first(wrong, mine, theirs, block, names)
    return Seen("", {})


def _first(wrong: np.ndarray, mine: Outcome, theirs: Outcome, block: np.ndarray, names: tuple[str, ...]) -> str:
    lane = int(wrong.argmax())

    def cells(one: np.ndarray) -> str:
        return " ".join(bytes(cell[::-1]).hex().lstrip("0") or "0" for cell in one[lane])

    shown = f"in {cells(block)}; executor {cells(mine.out)}, card {cells(theirs.out)}"
    if (mine.slots[lane] != theirs.slots[lane]).any():
        at = int((mine.slots[lane] != theirs.slots[lane]).argmax()) // 8 * 8
        words = [bytes(side.slots[lane, at : at + 8][::-1]).hex() for side in (mine, theirs)]
        shown += f"; memory at byte {at}: executor {words[0]}, card {words[1]}"
    return f"{int(wrong.sum())} of {len(wrong)} lanes differ; first lane {lane}, {', '.join(names)}: {shown}"
