"""Runs forms that read or write memory, each lane at 32 bytes of its own or all at the same, and says what models make of it.

In the models of these rows `old` is an element in memory, the letters are the sources, and the value is what is in memory
afterwards; a result is what was there before.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.types import TYPES
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.values import Kind, encoded, read, words

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name
    from jitload.cpu.isa.row import Row

SLOT = 32
_NEAR = {
    "shared": "sh",
    "shared::cta": "sh",
    "shared::cluster": "sh",
    "local": "lo",
    "const": "co",
    "param": "pm",
    "param::entry": "pm",
}


class Access(NamedTuple):
    """A name of a form with what it is run on.

    Attributes:
        name: the form.
        kind: of an element.
        elements: that a lane accesses.
        space: where, "" for a generic address.
        window: whether a generic address leads to shared memory.
        together: whether all lanes access the same bytes.
        lanes: how many there are.
        before: the bytes of each slot.
        sources: per source, per lane the words of the elements.
    """

    name: Name
    kind: Kind
    elements: int
    space: str
    window: bool
    together: bool
    lanes: int
    before: bytes
    sources: list[list[list[int]]]

    @property
    def label(self) -> str:
        """The name of the variable that it accesses, or ""."""
        return "sh" if self.window else _NEAR.get(self.space, "")


def accesses(row: Row, names: int, lanes: int) -> list[Access]:
    """About so many of a form; of atomics half of them all at the same bytes."""
    chance = random.Random(zlib.crc32(row.spelled.encode()))
    found: list[Access] = []
    for name in names_of(row, names):
        space = next((part for part in name.picked if part in {*_NEAR, "global", "param::func"}), "")
        if space == "param::func" or (space == "param" and row.opcode == "st"):
            continue  # parameters of a call: a scene
        odd = len(found) % 2 == 1
        type_ = TYPES[name.types[0]]
        count = next((int(part[1:]) for part in name.picked if part in {"v2", "v4", "v8"}), 1)
        kind = _kind(name, odd)
        atomic = row.profile == "atomic"
        letters = [place for place in row.places if place.name in "bc" and not place.when]
        before = b"".join(
            sum(word << k * type_.bits for k, word in enumerate(words(kind, SLOT * 8 // type_.bits, chance))).to_bytes(
                SLOT, "little"
            )
            for _ in range(lanes)
        )
        sources = [[words(kind, count, chance) for _ in range(lanes)] for _ in letters]
        if row.spelled.find(".cas") >= 0:  # half of them find what they compare with
            for lane in range(0, lanes, 2):
                sources[0][lane] = [int.from_bytes(before[lane * SLOT : lane * SLOT + type_.bits // 8], "little")]
        window = (
            odd
            and not space
            and {"global", "nc"}.isdisjoint(name.picked)
            and ".global" not in row.spelled
            and "ATOMS" in row.spelled
        )
        found.append(Access(name, kind, count, space, window, atomic and odd, lanes, before, sources))
        if atomic and names == 1:
            found.append(found[-1]._replace(together=True))
    return found


def _kind(name: Name, wide: bool) -> Kind:
    type_ = TYPES[name.types[0]]
    reads = type_.name.removesuffix("x2")
    size = type_.bits // 2 if type_.kind == "x2" else type_.bits
    if name.row.profile != "atomic" or name.has("exch") or name.has("cas"):
        reads, size = ("s" if type_.kind == "s" else "u"), type_.bits
    elif type_.kind in "usb":
        reads = "s" if type_.kind == "s" else "u"
    register = max(type_.bits, 16)
    if wide and type_.kind in "us" and type_.bits < 32 and name.row.profile != "atomic":
        register = 32
    return Kind(type_.bits, reads, size, register)


def text_of(access: Access, number: int) -> str:
    """A kernel `(memory, results, sources...)`."""
    lines = [_head(access, number)]
    for k, values in enumerate(access.sources):
        lines += _registers(f"s{k}_", access)
        lines.append(_element_address(access, f"s{k}"))
        lines += [_move(access, f"%s{k}_{e}", e, load=True) for e in range(len(values[0]))]
    lines += _registers("d", access)
    gives = access.name.row.gives
    mnemonic = ".".join([access.name.row.opcode, *access.name.parts])
    operands = [*([_group("d", access)] if gives else []), "[%a]"]
    operands += [_group(f"s{k}_", access) for k in range(len(access.sources))]
    operands += ["%z"] if access.name.has("L2::cache_hint") else []
    lines.append(f"{mnemonic} {', '.join(operands)};")
    if gives:
        lines.append(_element_address(access, "d"))
        lines += [_move(access, f"%d{e}", e, load=False) for e in range(access.elements)]
    if access.label in {"sh", "lo"}:
        lines += ["bar.sync 0;" if access.label == "sh" else "", _copy(access, back=True)]
    return "\n".join([*lines, "ret; }"])


def _head(access: Access, number: int) -> str:
    many = ["mem", "d", *(f"s{k}" for k in range(len(access.sources)))]
    size = access.lanes * SLOT
    param = f", .param .align 32 .b8 pm[{size}]" if access.label == "pm" else ""
    variables = {
        "sh": f".shared .align 32 .b8 sh[{size}];",
        "lo": f".local .align 32 .b8 lo[{SLOT}];",
        "co": "",
    }.get(access.label, "")
    constant = (
        f".const .align 32 .b8 co{number}[{size}] = {{{', '.join(map(str, access.before))}}};\n"
        if access.label == "co"
        else ""
    )
    text = f"{constant}.visible .entry k{number}({', '.join(f'.param .u64 p{one}' for one in many)}{param}) {{\n{variables}\n"
    text += ".reg .b32 %i, %o, %j; .reg .b64 %m, %n, %e, %a, %g, %x, %z, %y<4>; mov.u32 %i, %tid.x; mov.b64 %z, 0;\n"
    text += f"mul.lo.u32 %o, %i, {SLOT}; cvt.u64.u32 %x, %o; ld.param.u64 %m, [pmem]; add.u64 %g, %m, %x;\n"
    own = "0" if access.together else "%x"
    if access.label in {"sh", "lo"}:
        text += (
            f"mov.u64 %n, {access.label};"
            + ("add.u64 %n, %n, %x;" if access.label == "sh" else "")
            + _copy(access, back=False)
        )
        text += "\nbar.sync 0;" if access.label == "sh" else ""
    if access.label:
        variable = f"co{number}" if access.label == "co" else access.label
        text += f"mov.u64 %a, {variable};" + ("" if access.label == "lo" else f"add.u64 %a, %a, {own};")
        text += "cvta.shared.u64 %a, %a;" if access.window else ""
    else:
        text += f"add.u64 %a, %m, {own};"
    return text


def _copy(access: Access, *, back: bool) -> str:
    """The bytes of a slot from global memory into its variable, or back."""
    space = {"sh": "shared", "lo": "local"}[access.label]
    order = (space, "%n", "global", "%g") if back else ("global", "%g", space, "%n")
    loads = " ".join(f"ld.{order[0]}.b64 %y{k}, [{order[1]}+{8 * k}];" for k in range(4))
    return loads + " " + " ".join(f"st.{order[2]}.b64 [{order[3]}+{8 * k}], %y{k};" for k in range(4))


def _registers(prefix: str, access: Access) -> list[str]:
    return [f".reg .b{access.kind.register} %{prefix}<{access.elements}>;", f".reg .b64 %{prefix}l, %{prefix}h;"]


def _element_address(access: Access, pointer: str) -> str:
    step = access.elements * access.kind.register // 8
    return f"ld.param.u64 %e, [p{pointer}]; mul.lo.u32 %j, %i, {step}; cvt.u64.u32 %y0, %j; add.u64 %e, %e, %y0;"


def _move(access: Access, register: str, element: int, *, load: bool) -> str:
    bits = access.kind.register
    place = f"[%e+{element * bits // 8}]"
    if bits == 128:
        low, high = "%y2", "%y3"
        parts = f"{{{low}, {high}}}"
        second = f"[%e+{element * 16 + 8}]"
        if load:
            return f"ld.global.b64 {low}, {place}; ld.global.b64 {high}, {second}; mov.b128 {register}, {parts};"
        return f"mov.b128 {parts}, {register}; st.global.b64 {place}, {low}; st.global.b64 {second}, {high};"
    return f"ld.global.b{bits} {register}, {place};" if load else f"st.global.b{bits} {place}, {register};"


def _group(prefix: str, access: Access) -> str:
    if access.elements == 1:
        return f"%{prefix}0"
    return "{" + ", ".join(f"%{prefix}{e}" for e in range(access.elements)) + "}"


def wanted(access: Access) -> tuple[list[int], list[list[int]]]:
    """(the bytes afterwards as one number per slot, per lane the words of the results)."""
    kind = access.kind
    slots = [int.from_bytes(access.before[k : k + SLOT], "little") for k in range(0, len(access.before), SLOT)]
    results = []
    for lane in range(access.lanes):
        slot = 0 if access.together else lane
        found = []
        for element in range(access.elements):
            at = element * kind.bits
            old = slots[slot] >> at & (1 << kind.bits) - 1
            found.append(_extended(old, kind))
            new = _updated(access, old, [source[lane][element] for source in access.sources])
            slots[slot] += (new - old) << at
        results.append(found)
    return slots, results


def _updated(access: Access, old: int, sources: list[int]) -> int:
    kind = access.kind
    new = 0
    for place in range(0, kind.bits, kind.size):
        values = [read(word >> place & (1 << kind.size) - 1, kind) for word in (old, *sources)]
        letters = dict(zip(["old", "b", "c"], values, strict=False))
        new |= (encoded(access.name, evaluated(access.name, letters), kind) & (1 << kind.size) - 1) << place
    return new


def _extended(word: int, kind: Kind) -> int:
    if kind.register > kind.bits and kind.reads == "s" and word >> kind.bits - 1:
        word -= 1 << kind.bits
    return word % (1 << kind.register)


def run(ptx, several: list[Access]) -> list[tuple[list[int], list[list[int]]]]:
    """The same of the executor; all are kernels of one module."""
    module = ptx("\n".join(text_of(access, number) for number, access in enumerate(several)))
    found = []
    for number, access in enumerate(several):
        memory = np.frombuffer(access.before, np.uint8).copy()
        size = access.kind.register // 8
        results = np.zeros(access.lanes * access.elements * size, np.uint8)
        sources = [
            np.frombuffer(
                b"".join(_extended(word, access.kind).to_bytes(size, "little") for lane in source for word in lane),
                np.uint8,
            ).copy()
            for source in access.sources
        ]
        more = [memoryview(access.before)] if access.label == "pm" else []
        module.run(f"k{number}", 1, access.lanes, memory, results, *sources, *more)
        slots = [int.from_bytes(memory[k : k + SLOT].tobytes(), "little") for k in range(0, len(memory), SLOT)]
        each = [int.from_bytes(results[k : k + size].tobytes(), "little") for k in range(0, len(results), size)]
        found.append((slots, [each[k : k + access.elements] for k in range(0, len(each), access.elements)]))
    return found


def differences(access: Access, got: tuple[list[int], list[list[int]]]) -> list[str]:
    """Lanes that differ from the model, in words."""
    mnemonic = ".".join([access.name.row.opcode, *access.name.parts])
    slots, results = wanted(access)
    where = f"{mnemonic} {access.label or 'global'}{' together' if access.together else ''}"
    found = [
        f"{where}, slot {k}: {is_:#x}, not {want:#x}"
        for k, (is_, want) in enumerate(zip(got[0], slots, strict=True))
        if is_ != want
    ]
    if access.name.row.gives:
        found += [
            f"{where}, lane {k}: {is_}, not {want}"
            for k, (is_, want) in enumerate(zip(got[1], results, strict=True))
            if is_ != want
        ]
    return found
