"""Launches that cannot end: all threads that are left go round in loops, and nothing that those look at changes.

That is proved, not guessed: since some moment no thread has written, met others, ended or looked at a clock, and later
every thread that can run stands where it stood, with the same registers. From there all goes on as it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from jitload.cpu.faults import describe_place
from jitload.cpu.isa.effects import effects_of, name_in
from jitload.cpu.lanes.affine import Affine
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jitload.cpu.code.block_code import BlockCode
    from jitload.cpu.memory import mbarrier
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.text.ir import Place
    from jitload.cpu.types import Array
else:
    mbarrier = lazy("jitload.cpu.memory.mbarrier")

#: Somebody outside may write to an array of the host that a kernel looks at, so a launch has some seconds for that.
PATIENCE_STEPS = 1 << 16
_MOST_PLACES = 16  # more are not all sure to have run since the last look
_LOOKS = 64  # for so long a state is compared with: loops are seldom in step with looks
_DISTURBS = {"stores", "meets", "stops"}
_DEGREES = ("never", "if altered", "always")


class Standstill:
    """Watches the threads of one batch.

    Args:
        places: where instructions stand, by site number.

    Attributes:
        since: the last step at which something changed that others may see.
        looks: how many looks in a row have found everything as it was.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self.since = 0
        self.looks = 0
        self._places = places
        self._disturbing: dict[BlockCode, str] = {}
        self._seen: tuple[int, ...] = ()
        self._age = 0

    def disturbs(self, block: BlockCode, batch: Batch) -> bool:
        """Whether others may see that a basic block just ran, or it looks at a clock."""
        found = self._disturbing.get(block)
        if found is None:
            kinds = {_disturbs(self._places[site].text) for site in block.sites}
            if block.kind not in {"jump", "branch"}:
                kinds.add("always")
            found = max(kinds, key=_DEGREES.index, default="never")
            self._disturbing[block] = found
        if found != "if altered":
            return found == "always"
        altered, batch.altered = batch.altered, False
        return altered

    def look(
        self, step: int, every: int, frames: Iterable[Frame], ready: Mapping[tuple[int, int, int], list[Array | None]]
    ) -> None:
        """Look whether all is as it was; every so many steps."""
        if step - self.since < every or len(ready) > _MOST_PLACES:
            self._seen, self._age, self.looks = (), 0, 0
            return
        state = _state(frames, ready)
        if state == self._seen:
            self.looks += 1
        elif self._age % _LOOKS == 0:
            self._seen = state
        self._age += 1


def _disturbs(text: str) -> str:
    """How an instruction disturbs: one of `_DEGREES`."""
    opcode, modifiers = name_in(text)
    if modifiers and modifiers[0] in {"test_wait", "try_wait"}:
        return "never"
    if "%clock" in text or "%globaltimer" in text:
        return "always"
    if _DISTURBS.isdisjoint(effects_of(opcode, modifiers)):
        return "never"
    # A lock that is tried in vain stays as it is.
    return "if altered" if opcode in {"atom", "red"} else "always"


def _state(frames: Iterable[Frame], ready: Mapping[tuple[int, int, int], list[Array | None]]) -> tuple[int, ...]:
    waiting = [hash((key, *(b"" if one is None else one.tobytes() for one in parts))) for key, parts in ready.items()]
    registers = [
        hash(tuple([(one.lanes() if isinstance(one, Affine) else one).tobytes() for one in frame.registers]))
        for frame in frames
    ]
    return (*sorted(waiting), 0, *registers)


def fail_standing(batch: Batch, site: int, lane: int) -> NoReturn:
    """Stop a launch at a lane that waits for what nobody will do.

    Raises:
        CpuFault: always.
    """
    ended = batch.lanes_total - int(batch.live_threads.sum())
    what = (
        f"endless loop: it waits for what no thread will do any more (of {batch.lanes_total} threads here, {ended} "
        f"have ended; those that are left wait in loops or for each other)"
    )
    if batch.held is None:
        batch.fail_lane(site, lane, what)
    site, addresses, offset, lanes = batch.held
    position = 0 if addresses.positions is None else int(addresses.positions[0])
    place = offset + (addresses.offsets if isinstance(addresses.offsets, int) else int(addresses.offsets[0]))
    lane, nearest = position if lanes is None else int(lanes[position]), addresses.describe_nearest(place, 1)
    batch.fail_lane(site, lane, what, place + addresses.window, nearest)


def expect_completion(batch: Batch) -> None:
    """All who can run have done nothing for long but test mbarriers, which nobody else can complete.

    Raises:
        CpuFault: always, unless no test has failed.
    """
    found = [(site, lane, *mbarrier.lacking(word)) for site, (lane, word) in batch.unmet.items()]
    if not found:
        return
    found.sort(key=lambda one: (one[3] == 0, one[0]))  # what lacks bytes says most
    places = batch.grid.code.places
    (site, lane, arrivals, expected), *others = found
    what = "deadlock: all threads that can run wait for mbarriers that nobody completes; this one's lacks"
    also = "".join(f"; {a} arrivals and {b} bytes at {describe_place(places[other])}" for other, _, a, b in others[:3])
    batch.fail_lane(site, lane, f"{what} {arrivals} arrivals and {expected} bytes{also}:")
