"""Runs forms that give values on many lanes, and says what their models make of the same bits."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.isa.decode import type_at
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.models import function_of
from tests.cpu.isa.reals import FORMATS, Real, decode, encode, flushed, from_whole
from tests.cpu.isa.words import Near, Word

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name
    from jitload.cpu.isa.row import Place, Row

#: Registers of a source in braces.
_FOUR = 4
_ROUNDINGS = ("rn", "rz", "rm", "rp", "rna")


class Kind(NamedTuple):
    """What a place of an instruction holds, as tests see it.

    Attributes:
        bits: of the word in memory.
        reads: "u", "s", "p" or the name of a format; of packed types that of an element.
        size: bits of an element.
        register: bits of the register, 1 for a predicate.
    """

    bits: int
    reads: str
    size: int
    register: int


def kind_of(name: Name, place: Place, wide: bool) -> Kind:
    """What a place holds."""
    type_ = type_at(name, place)
    assert type_ is not None, (name.row.spelled, place)
    reads = _pair(name, place) if name.row.opcode == "cvt" else ""
    if reads:
        bits = {"b8": 8, "b16": 16, "b32": 32}.get(type_.name, type_.bits)
        return Kind(bits, reads, bits // _elements(name, place), bits)
    if type_.kind == "p":
        return Kind(32, "p", 32, 1)
    if name.row.profile == "move" and place.holds == "T":
        return Kind(type_.bits, "u", type_.bits, type_.bits)
    if name.row.opcode == "set" and place.is_result and name.types[1].endswith("x2") and type_.kind != "x2":
        return Kind(32, "u", 16, 32)
    if type_.kind == "x2":
        element = type_.name.removesuffix("x2")
        return Kind(type_.bits, element if element in FORMATS else element[0], type_.bits // 2, type_.bits)
    reads = type_.name if type_.name in FORMATS else "u" if place.holds == "U" or type_.kind == "b" else type_.kind
    register = type_.bits
    if type_.kind in "us" and type_.bits < 32 and place.mark == ">" and wide:
        register = 32
    return Kind(type_.bits, reads, type_.bits, max(register, 16))


def _pair(name: Name, place: Place) -> str:
    """The format of the elements of a pair, or of four, that `cvt` reads or gives, or ""."""
    word = name.types[0] if place.is_result else name.types[1]
    return word[:-2] if word.endswith(("x2", "x4")) else ""


def _elements(name: Name, place: Place) -> int:
    return int((name.types[0] if place.is_result else name.types[1])[-1])


class Case(NamedTuple):
    """A name of a form with what it is run on.

    Attributes:
        name: the form.
        literals: place -> the literal that stands there.
        kinds: of the sources that are registers.
        results: kinds of the results.
        columns: words of the sources; the last one is the carry flag where it is read.
    """

    name: Name
    literals: dict[str, int]
    kinds: list[Kind]
    results: list[Kind]
    columns: list[list[int]]


def every_word(row: Row, names: int) -> list[Case]:
    """Cases of a form: about so many names of those that take one operand of at most 16 bits, each with all its words."""
    found = cases(row, names, 1)
    return [
        case._replace(columns=[list(range(1 << case.kinds[0].bits))])
        for case in found
        if len(case.columns) == 1 and case.kinds[0].bits <= 16
    ]


def cases(row: Row, names: int, count: int) -> list[Case]:
    """Cases of a form: about so many names, each with so many lanes."""
    chance = random.Random(zlib.crc32(row.spelled.encode()))
    found = []
    for number, name in enumerate(names_of(row, names)):
        if "b128" in name.types:
            continue  # `test_memory_models.py` moves those
        places = [place for place in row.places if not place.when]
        literals = {place.name: chance.getrandbits(8) for place in places if place.holds == "#"}
        sources = [
            kind_of(name, place, bool(number % 2))
            for place in places
            if not place.is_result and place.holds != "#"
            for _ in range(_FOUR if place.sign == "{" else 1)
        ]
        results = [kind_of(name, place, bool(number % 2)) for place in places if place.is_result]
        if places[0].pair:
            results.append(Kind(32, "p", 32, 1))
        if name.has("cc"):
            results.append(Kind(32, "u", 32, 32))
        columns = [words(kind, count, chance) for kind in sources]
        if "carries_in" in row.effects:
            columns.append([chance.getrandbits(1) for _ in columns[0]])
        found.append(Case(name, literals, sources, results, columns))
    return found


def words(kind: Kind, count: int, chance: random.Random) -> list[int]:
    """Words of a place; half of the elements are corners, so that two of those meet."""
    if kind.reads == "p":
        return [chance.getrandbits(1) for _ in range(count)]
    corners = _corners(kind)
    return [
        sum(
            (chance.choice(corners) if chance.random() < 0.5 else _any(kind, chance)) << place
            for place in range(0, kind.bits, kind.size)
        )
        for _ in range(count)
    ]


def _corners(kind: Kind) -> list[int]:
    if kind.reads not in FORMATS:
        top = 1 << kind.size - 1
        few = [0, 1, 2, 7, 8, 31, 32, 33, 63, 64, 255, 256, top - 1, top, top + 1, 2 * top - 1, 2 * top - 2]
        return [one & 2 * top - 1 for one in few]
    form = FORMATS[kind.reads]
    one = form.bias << form.mantissa
    least = 1 << form.mantissa
    few = [
        *(0, 1, least - 1, least, least + 1, one, one - 1, one + 1, one + least, form.largest, form.largest - 1),
        *(form.largest + 1, form.largest + 2, form.largest + least // 2 + 1, max(form.nan >> form.unused, 0)),
    ]
    low = (1 << form.bits - 1 - form.unused) - 1
    return [(word & low | sign << form.bits - 1 - form.unused) << form.unused for word in few for sign in (0, 1)]


def _any(kind: Kind, chance: random.Random) -> int:
    """A word of chance; of floats mostly one whose exponent is near that of 1, so that sums and products tell."""
    word = chance.getrandbits(kind.size)
    form = FORMATS.get(kind.reads)
    if form is None or chance.random() < 0.25 or form.exponent < 5:
        return word
    exponent = form.bias + chance.randrange(-9, 10)
    field = ((1 << form.exponent) - 1) << form.mantissa + form.unused
    return word & ~field | exponent << form.mantissa + form.unused


def text_of(case: Case, number: int) -> str:
    """A kernel that runs the form on each lane: pointers to results, then to sources."""
    name = case.name
    many = [*(f"d{k}" for k in range(len(case.results))), *(f"a{k}" for k in range(len(case.columns)))]
    lines = [f".visible .entry k{number}({', '.join(f'.param .u64 p{one}' for one in many)}) {{"]
    lines += [".reg .b32 %i, %j, %k, %z; .reg .b64 %w; .reg .b64 %x;"]
    lines += ["mov.u32 %i, %ctaid.x; mov.u32 %j, %ntid.x; mov.u32 %k, %tid.x; mad.lo.s32 %i, %i, %j, %k;"]
    for k, kind in enumerate(case.kinds):
        lines += _load(f"a{k}", kind)
    if len(case.columns) > len(case.kinds):
        k = len(case.kinds)
        lines += _load(f"a{k}", Kind(32, "u", 32, 32))
        sets = "sub.cc.u32 %z, 0, %a{};" if name.row.opcode == "subc" else "add.cc.u32 %z, %a{}, 0xffffffff;"
        lines.append(sets.format(k))
    for k, kind in enumerate(case.results):
        lines.append(f".reg .{'pred' if kind.register == 1 else f'b{kind.register}'} %d{k};")
    lines.append(f"{'.'.join([name.row.opcode, *name.parts])} {_operands(case)};")
    if name.has("cc"):
        lines.append(f"{'subc' if name.row.opcode[:3] == 'sub' else 'addc'}.u32 %d{len(case.results) - 1}, 0, 0;")
    for k, kind in enumerate(case.results):
        lines += _store(f"d{k}", kind)
    return "\n".join([*lines, "ret; }"])


def _operands(case: Case) -> str:
    found, k = [], 0
    for place in case.name.row.places:
        if place.is_result:
            found.append("%d0|%d1" if place.pair else "%d0")
        elif place.name in case.literals:
            found.append(str(case.literals[place.name]))
        elif place.sign == "{":
            found.append("{" + ", ".join(f"%a{k + one}" for one in range(_FOUR)) + "}")
            k += _FOUR
        else:
            found.append(f"%a{k}")
            k += 1
    return ", ".join(found)


def _load(name: str, kind: Kind) -> list[str]:
    bits = max(kind.bits, 8)
    address = f"ld.param.u64 %w, [p{name}]; mul.wide.u32 %x, %i, {max(bits, kind.register) // 8}; add.s64 %w, %w, %x;"
    if kind.register == 1:
        return [f".reg .pred %{name}; {address} ld.global.u32 %z, [%w]; setp.ne.u32 %{name}, %z, 0;"]
    register = kind.register
    return [f".reg .b{register} %{name}; {address} ld.global.b{register} %{name}, [%w];"]


def _store(name: str, kind: Kind) -> list[str]:
    address = (
        f"ld.param.u64 %w, [p{name}]; mul.wide.u32 %x, %i, {max(kind.register, kind.bits) // 8}; add.s64 %w, %w, %x;"
    )
    if kind.register == 1:
        return [f"selp.u32 %z, 1, 0, %{name}; {address} st.global.u32 [%w], %z;"]
    return [f"{address} st.global.b{kind.register} [%w], %{name};"]


def arrays(case: Case) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(results, sources) as a launch takes them; what is wider than a word has noise above it."""
    count = len(case.columns[0])
    noise = random.Random(count)
    sources = []
    for kind, column in zip([*case.kinds, Kind(32, "u", 32, 32)], case.columns, strict=False):
        width = _width(kind)
        above = [noise.getrandbits(32) >> 3 << kind.bits & (1 << width) - 1 if kind.bits < width else 0 for _ in column]
        sources.append(np.array([word | more for word, more in zip(column, above, strict=True)], f"u{width // 8}"))
    return [np.zeros(count, f"u{_width(kind) // 8}") for kind in case.results], sources


def _width(kind: Kind) -> int:
    return max(kind.register, kind.bits) if kind.register > 1 else 32


def wanted(case: Case) -> list[list[object]]:
    """Per result, what the model makes of each lane: a word, `Near`, or None."""
    function = function_of(case.name)
    lanes = zip(*case.columns, strict=True)
    return [list(column) for column in zip(*(_lane(case, function, list(lane)) for lane in lanes), strict=True)]


def _lane(case, function, lane):
    """What the model makes of one lane: a word per result."""
    packed = [kind.size < kind.bits for kind in case.kinds]
    several = case.results[0].size < case.results[0].bits or (any(packed) and case.results[0].reads == "p")
    flush = _flushes(case.name)
    if not any(packed):
        values = [read(word, kind, flush) for word, kind in zip(lane, case.kinds, strict=False)]
        found = _call(case, function, [*values, *lane[len(case.kinds) :]])
        return _join(case, found) if several else _finish(case, found)
    parts = []
    for k in range(max(kind.bits // kind.size for kind in case.kinds)):
        values = [
            read(word >> k * kind.size & (1 << kind.size) - 1 if cut else word, kind, flush)
            for word, kind, cut in zip(lane, case.kinds, packed, strict=True)
        ]
        parts.append(_call(case, function, values))
    if case.results[0].reads == "p":
        return [int(one) for one in parts]
    return _join(case, parts)


def _flushes(name: Name) -> tuple[str, ...]:
    """The formats of which subnormal numbers become zero, sources and results."""
    if not name.has("ftz"):
        return ()
    return ("f32",) if name.row.opcode == "cvt" else ("f16", "bf16", "f32", "f64")


def _call(case, function, values):
    queue = iter(values)
    places = [place for place in case.name.row.places if not place.is_result]
    given = [
        case.literals[place.name]
        if place.name in case.literals
        else [next(queue) for _ in range(_FOUR)]
        if place.sign == "{"
        else next(queue)
        for place in places
    ]
    return function(*given, *queue)


def read(word: int, kind: Kind, flush: tuple[str, ...] = ()) -> object:
    """A word as models take it."""
    if kind.reads == "p":
        return bool(word)
    if kind.reads in FORMATS:
        word &= (1 << FORMATS[kind.reads].bits) - 1
        return decode(flushed(word, kind.reads) if kind.reads in flush else word, kind.reads)
    return word - (1 << kind.size) if kind.reads == "s" and word >> kind.size - 1 else word


def _join(case, parts):
    kind = case.results[0]
    if any(one is None for one in parts):
        return [None]
    elements = [encoded(case.name, one, kind) for one in parts]
    if any(isinstance(one, tuple) for one in elements):
        return [tuple(one if isinstance(one, tuple) else (one,) for one in elements)]
    return [sum(one << k * kind.size for k, one in enumerate(elements))]


def _finish(case, found):
    if found is None:
        return [None] * len(case.results)
    if case.name.has("cc"):
        bits = case.results[0].bits
        return [
            found % (1 << bits),
            -(found >> bits & 1) % (1 << 32) if case.name.row.opcode[:3] == "sub" else found >> bits & 1,
        ]
    several = found if isinstance(found, tuple) else (found,)
    return [encoded(case.name, one, kind) for one, kind in zip(several, case.results, strict=True)]


def encoded(name, found, kind):
    """A word of the result, or the words that it may be."""
    if found is None:
        return None
    if kind.reads == "p":
        return int(found) & 1
    if isinstance(found, bool):
        if not found:
            return 0
        if kind.reads in FORMATS:
            return FORMATS[kind.reads].bias << FORMATS[kind.reads].mantissa
        return (1 << kind.size) - 1
    if isinstance(found, Word):
        return _extended(int(found), kind)
    if kind.reads not in FORMATS:
        return _extended(int(found), kind)
    if isinstance(found, int):
        found = from_whole(found)
    if isinstance(found, Near):
        middle = _rounded(name, found.value, kind.reads)
        return tuple(_neighbours(middle, kind.reads))
    return _rounded(name, found, kind.reads)


def _extended(word: int, kind: Kind) -> int:
    word &= (1 << kind.size) - 1
    if kind.register > kind.size == kind.bits and kind.reads == "s" and word >> kind.size - 1:
        word -= 1 << kind.size
    return word % (1 << _width(kind)) if kind.size == kind.bits else word


def _neighbours(word: int, name: str) -> list[int]:
    form = FORMATS[name]
    magnitude = word & (1 << form.bits - 1) - 1
    if not magnitude or magnitude > form.largest:
        return [word]
    return [word - 1, word, word + 1] if magnitude > 1 else [word, word + 1, word - 1]


def _rounded(name: Name, found: Real, kind: str) -> int:
    mode = next((part for part in name.picked if part in _ROUNDINGS), "rn")
    finite = name.has("satfinite")
    if name.has("relu") and not found.is_nan and found.negative:
        found = Real(False, 0)
    word = encode(found, kind, mode, finite=finite)
    if kind in _flushes(name):
        word = flushed(word, kind)
    if name.has("sat"):
        form = FORMATS[kind]
        one = form.bias << form.mantissa
        low = word & (1 << form.bits - 1) - 1
        word = 0 if low != word or found.is_nan else min(word, one)
    return word


def run(ptx, several: list[Case]) -> list[list[np.ndarray]]:
    """The results of cases, which are kernels of one module."""
    module = ptx("\n".join(text_of(case, number) for number, case in enumerate(several)))
    found = []
    for number, case in enumerate(several):
        results, sources = arrays(case)
        count = len(sources[0])
        block = 128 if count % 128 == 0 else count
        module.run(f"k{number}", count // block, block, *results, *sources)
        found.append(results)
    return found


def differences(case: Case, results: list[np.ndarray]) -> list[str]:
    """Lanes that differ from the model, in words."""
    found = []
    for k, (want, got) in enumerate(zip(wanted(case), results, strict=True)):
        for lane, (one, other) in enumerate(zip(want, got.tolist(), strict=True)):
            if one is None or one == other or (isinstance(one, tuple) and _is_among(other, one, case.results[k])):
                continue
            sources = ", ".join(f"{column[lane]:#x}" for column in case.columns)
            wish = f"{one:#x}" if isinstance(one, int) else str(one)
            found.append(
                f"{'.'.join([case.name.row.opcode, *case.name.parts])} {sources} {case.literals or ''}: {other:#x}, not {wish}"
            )
    return found


def _is_among(word: int, allowed: tuple, kind: Kind) -> bool:
    if not isinstance(allowed[0], tuple):
        return word in allowed
    return all(word >> k * kind.size & (1 << kind.size) - 1 in ones for k, ones in enumerate(allowed))
