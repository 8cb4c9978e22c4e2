"""What instructions read, as values of LLVM: registers, literals, special registers, addresses."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.faults import Refused
from jitload.cpu.native import context
from jitload.cpu.native.text import Text
from jitload.cpu.text.ir import Immediate, Not, Register, Special, Symbol

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.text.ir import Operand

_AXES = {"x": 0, "y": 1, "z": 2}
_VECTORS = {"tid": context.TID, "ntid": context.NTID, "ctaid": context.CTAID, "nctaid": context.NCTAID}
#: Words that stay as they are while a thread runs: read once, where it starts.
_FIXED = frozenset(
    {
        *range(context.PARAMS, context.LOCAL_UNSET + 1), context.STATES, context.THREADS, context.THREAD,
        *range(context.TID, context.VARIABLES + 1),
    }
)  # fmt: skip


class Resolved(NamedTuple):
    """Where a symbol lies: from the start of its space, or of a variable of the module.

    Attributes:
        space: "global", "const", "shared", "local", "param" or "code".
        offset: bytes.
        variable: the number of the module's variable in the table of their addresses, or -1.
    """

    space: str
    offset: int
    variable: int = -1


class OperandReader(Text):
    """Lines of a function that reads registers and literals.

    Args:
        resolve: gives where a symbol lies.
    """

    def __init__(self, resolve: Callable[[Symbol], Resolved]) -> None:
        super().__init__()
        self._resolve = resolve
        self._registers: dict[int, Register] = {}
        self._words: dict[int, str] = {}
        #: Of the block that is written: registers -> the float before its NaN was settled.
        self._raws: dict[int, str] = {}

    def word(self, number: int) -> str:
        """The value of a word of the context."""
        return self._words.setdefault(number, f"%word{number}") if number in _FIXED else super().word(number)

    def _read(self, register: Register) -> str:
        return self.new(f"load i{register.type.bits}, ptr %r{register.index}")

    def value(self, operand: Operand, bits: int) -> str:
        """The low `bits` of an operand, as an integer of LLVM."""
        if isinstance(operand, Register):
            own = operand.type.bits
            self._declare(operand)
            if own < bits or (own == 1) != (bits == 1):
                raise Refused(f"register {operand.name} of {own} bits where {bits} are needed")
            name = self._read(operand)
            return name if own == bits else self.new(f"trunc i{own} {name} to i{bits}")
        if isinstance(operand, Immediate):
            return str(_literal(operand, bits, floating=False))
        if isinstance(operand, Not) and bits == 1:
            return self.new(f"xor i1 {self.value(operand.operand, 1)}, true")
        if isinstance(operand, Special):
            return self._resized(self._special(operand.name), bits)
        if isinstance(operand, Symbol):
            _, address = self.address_of(operand)
            if bits < 32:
                raise Refused("an address that is none here")
            return address if bits == 64 or address.isdecimal() else self.new(f"trunc i64 {address} to i{bits}")
        raise Refused("an operand without a native form")

    def number(self, operand: Operand, bits: int) -> str:
        """The same of an operand that is a float: literals are numbers of that width."""
        if isinstance(operand, Immediate):
            return str(_literal(operand, bits, floating=True))
        return self.value(operand, bits)

    def raw(self, operand: Operand) -> str | None:
        """The float of which a register has the bits, but for which NaN it is; None where that is not known."""
        return self._raws.get(operand.index) if isinstance(operand, Register) else None

    def address_of(self, symbol: Symbol) -> tuple[str, str]:
        """(space, address as 64 bits) of a symbol: no address of this process is written into code."""
        space, offset, variable = self._resolve(symbol)
        if variable < 0:
            return space, str(offset)
        table = self.new(f"inttoptr i64 {self.word(context.VARIABLES)} to ptr")
        start = self.new(f"load i64, ptr {self.new(f'getelementptr i64, ptr {table}, i64 {variable}')}")
        return space, self.new(f"add i64 {start}, {offset}") if offset else start

    def _declare(self, register: Register) -> None:
        if register.type.bits > 64:
            raise Refused("registers of 128 bits have no native form")
        self._registers[register.index] = register

    def _resized(self, value: str, bits: int) -> str:
        if bits == 1:
            raise Refused("a special register where a predicate is needed")
        return value if bits == 64 else self.new(f"trunc i64 {value} to i{bits}")

    def _special(self, name: str) -> str:
        """A special register, as 64 bits."""
        base, _, axis = name.partition(".")
        if base in _VECTORS and axis in {"x", "y", "z"}:
            return self.word(_VECTORS[base] + _AXES[axis])
        if axis == "w" and base in _VECTORS:
            return "0"
        if base in {"laneid", "warpid"} or base.startswith("lanemask_"):
            thread = self.word(context.THREAD)
            if base == "warpid":
                return self.new(f"lshr i64 {thread}, 5")
            lane = self.new(f"and i64 {thread}, 31")
            return lane if base == "laneid" else self._lane_mask(base[9:], lane)
        found = {"nwarpid": context.WARPS, "dynamic_smem_size": context.DYNAMIC_BYTES}.get(base)
        if found is not None:
            return self.word(found)
        if base in {"total_smem_size", "aggr_smem_size"}:
            return self.word(context.SHARED_BYTES)
        raise Refused(f"special register %{name} has no native form")

    def _lane_mask(self, which: str, lane: str) -> str:
        one = self.new(f"shl i64 1, {lane}")
        below = self.new(f"sub i64 {one}, 1")
        through = self.new(f"or i64 {one}, {below}")
        if which in {"eq", "lt", "le"}:
            return {"eq": one, "lt": below, "le": through}[which]
        if which not in {"gt", "ge"}:
            raise Refused(f"special register %lanemask_{which} has no native form")
        return self.new(f"xor i64 {below if which == 'ge' else through}, 4294967295")


def _literal(operand: Immediate, bits: int, *, floating: bool) -> int:
    """The bits of a literal, as the lanes executor has them."""
    value, width = operand.value, operand.float_width
    if bits == 1:
        return int(bool(value))
    if not floating:
        if width == 1:
            raise Refused("a floating-point literal in an integer operand")
        return int(value) & ((1 << bits) - 1)
    if width > 1 and width == bits:
        return int(value)
    if width > 1:
        raw = int(value).to_bytes(width // 8, "little")
        value = float(struct.unpack("<f" if width == 32 else "<d", raw)[0])
    return float_bits(float(value), bits)


def float_bits(value: float, bits: int) -> int:
    """The bits of a number as a float of that width, rounded to nearest."""
    if bits not in {32, 64}:
        raise Refused("a literal of half precision")
    if bits == 64:
        return int(struct.unpack("<Q", struct.pack("<d", value))[0])
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return int(struct.unpack("<I", packed)[0])
