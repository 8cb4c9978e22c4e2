"""Runs forms in which the lanes of a warp meet, and says what their models make of all lanes together.

In the models of these rows the letters are lists with the values of the lanes that take part, which `lanes` numbers; the
model gives a list with a result for each of them, or one result for all.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.cpu.isa.lines import names_of
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.values import Kind, encoded, kind_of, read, words

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name
    from jitload.cpu.isa.row import Row

_FULL = 0xFFFFFFFF
_WORD = Kind(32, "u", 32, 32)
#: What a lane that takes no part finds in its results.
UNTOUCHED = 0xABCD1234
_LANES = 32


class Meeting(NamedTuple):
    """A name of a form with the warps that run it.

    Attributes:
        name: the form.
        results: kinds of the results.
        kinds: of the sources; the last one is the member mask where there is one.
        masks: per warp, the lanes that take part.
        sources: per source, per warp, per lane a word.
    """

    name: Name
    results: list[Kind]
    kinds: list[Kind]
    masks: list[int]
    sources: list[list[list[int]]]


def meetings(row: Row, names: int, warps: int) -> list[Meeting]:
    """About so many of a form, each run by so many warps."""
    chance = random.Random(zlib.crc32(row.spelled.encode()))
    found = []
    for name in names_of(row, names):
        places = [place for place in row.places if not place.is_result]
        results = [kind_of(name, place, False) for place in row.places if place.is_result]
        results += [Kind(32, "p", 32, 1)] if results and row.places[0].pair else []
        kinds = [kind_of(name, place, False) for place in places]
        shuffles = row.opcode == "shfl"
        masks = [_mask(number, chance, halves=shuffles, whole="sync" not in name.picked) for number in range(warps)]
        sources = []
        for number, kind in enumerate(kinds):
            if number == len(kinds) - 1 and "sync" in name.picked:
                sources.append([[mask] * _LANES for mask in masks])
            elif shuffles and number:
                sources.append([_route(name, number, mask, chance) for mask in masks])
            else:
                sources.append([_alike(kind, chance) for _ in masks])
        found.append(Meeting(name, results, kinds, masks, sources))
    return found


def _mask(number: int, chance: random.Random, *, halves: bool, whole: bool) -> int:
    if whole or number % 3 == 0:
        return _FULL
    if halves:
        return (0xFFFF, 0xFFFF0000)[number % 2]
    return chance.getrandbits(32) or 1


def _alike(kind: Kind, chance: random.Random) -> list[int]:
    """Values of which several are the same, or all of them."""
    few = words(kind, chance.choice([1, 1, 2, 3, 32]), chance)
    return [chance.choice(few) for _ in range(_LANES)]


def _route(name: Name, number: int, mask: int, chance: random.Random) -> list[int]:
    """The lane or distance of a shuffle, or the end of its segments: of half a warp where half takes part."""
    if number == 1:
        return [chance.randrange(64 if mask == _FULL else 16) for _ in range(_LANES)]
    width = chance.choice([2, 4, 8, 16] if mask != _FULL else [1, 2, 4, 8, 16, 32])
    return [(32 - width) << 8 | (0 if name.has("up") else 31)] * _LANES


def text_of(meeting: Meeting, number: int) -> str:
    """A kernel `(masks, results..., sources...)`; lanes that take no part leave its results as they are."""
    name = meeting.name
    many = ["m", *(f"d{k}" for k in range(len(meeting.results))), *(f"s{k}" for k in range(len(meeting.kinds)))]
    lines = [f".visible .entry k{number}({', '.join(f'.param .u64 p{one}' for one in many)}) {{"]
    lines += [".reg .b32 %i, %j, %t; .reg .b64 %w, %x; .reg .pred %in;"]
    lines += ["mov.u32 %i, %ctaid.x; mov.u32 %t, %tid.x; mad.lo.u32 %i, %i, 32, %t;"]
    lines += _moved("m", "%t", 32, load=True)
    lines += ["mov.u32 %j, %laneid; shr.u32 %t, %t, %j; and.b32 %t, %t, 1; setp.ne.u32 %in, %t, 0;"]
    for k, kind in enumerate(meeting.kinds):
        lines += [f".reg .{'pred' if kind.register == 1 else f'b{kind.register}'} %s{k};"]
        lines += _moved(f"s{k}", "%t" if kind.register == 1 else f"%s{k}", max(kind.register, 32), load=True)
        lines += [f"setp.ne.u32 %s{k}, %t, 0;"] if kind.register == 1 else []
    for k, kind in enumerate(meeting.results):
        lines += [f".reg .{'pred' if kind.register == 1 else f'b{kind.register}'} %d{k};"]
    given = [f"%s{k}" for k in range(len(meeting.kinds))]
    targets = ["|".join(f"%d{k}" for k in range(len(meeting.results)))] if meeting.results else []
    lines += [f"@%in {'.'.join([name.row.opcode, *name.parts])} {', '.join([*targets, *given])};"]
    for k, kind in enumerate(meeting.results):
        if kind.register == 1:
            lines += [f"@%in selp.u32 %t, 1, 0, %d{k};"]
        stored = "%t" if kind.register == 1 else f"%d{k}"
        lines += ["@!%in bra DONE;"] if k == 0 else []
        lines += _moved(f"d{k}", stored, max(kind.register, 32), load=False)
    return "\n".join([*lines, "DONE: ret; }"])


def _moved(pointer: str, register: str, bits: int, *, load: bool) -> list[str]:
    address = f"ld.param.u64 %w, [p{pointer}]; mul.wide.u32 %x, %i, {bits // 8}; add.u64 %w, %w, %x;"
    return [address + (f" ld.global.b{bits} {register}, [%w];" if load else f" st.global.b{bits} [%w], {register};")]


def wanted(meeting: Meeting) -> list[list[int | None]]:
    """Per result, the word of every lane of every warp."""
    letters = [place.name for place in meeting.name.row.places if not place.is_result]
    found: list[list[int | None]] = [[] for _ in meeting.results]
    for warp, mask in enumerate(meeting.masks):
        lanes = [lane for lane in range(_LANES) if mask >> lane & 1]
        values: dict[str, object] = {"lanes": lanes}
        for letter, kind, source in zip(letters, meeting.kinds, meeting.sources, strict=True):
            values[letter] = [read(source[warp][lane], kind) for lane in lanes]
        given = evaluated(meeting.name, values)
        each = given if isinstance(given, list) else [given] * len(lanes)
        by_lane = dict(zip(lanes, each, strict=True))
        for lane in range(_LANES):
            one = by_lane.get(lane)
            several = one if isinstance(one, tuple) else (one,) * len(found)
            for column, value, kind in zip(found, several, meeting.results, strict=True):
                column.append(encoded(meeting.name, value, kind) if lane in by_lane else UNTOUCHED)
    return found


def run(ptx, several: list[Meeting]) -> list[list[list[int]]]:
    """The same of the executor; all are kernels of one module."""
    module = ptx("\n".join(text_of(meeting, number) for number, meeting in enumerate(several)))
    found = []
    for number, meeting in enumerate(several):
        masks = np.repeat(np.array(meeting.masks, np.uint32), _LANES)
        results = [np.full(masks.size, UNTOUCHED, np.uint32) for _ in meeting.results]
        sources = [
            np.array(source, f"u{max(kind.register, 32) // 8}").reshape(-1)
            for kind, source in zip(meeting.kinds, meeting.sources, strict=True)
        ]
        module.run(f"k{number}", len(meeting.masks), _LANES, masks, *results, *sources)
        found.append([one.tolist() for one in results])
    return found


def differences(meeting: Meeting, got: list[list[int]]) -> list[str]:
    """Lanes that differ from the model, in words."""
    mnemonic = ".".join([meeting.name.row.opcode, *meeting.name.parts])
    return [
        f"{mnemonic}, mask {meeting.masks[place // _LANES]:#x}, lane {place % _LANES}: {is_:#x}, not {want:#x}"
        for column, ones in zip(got, wanted(meeting), strict=True)
        for place, (is_, want) in enumerate(zip(column, ones, strict=True))
        if want is not None and is_ != want
    ]
