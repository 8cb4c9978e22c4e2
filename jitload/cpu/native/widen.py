"""One instruction of LLVM over eight values instead of one: by its text, so that columns know nothing of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.native.frame import LANES

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPE = r"(?:i\d+|half|bfloat|float|double)"
_VALUE = r"(?:%[\w.]+|0x[HRK]?[0-9A-Fa-f]+|-?\d+|true|false)"  # hexadecimal before decimal, which it begins like
_TWO = re.compile(rf"([a-z]+(?: [a-z]+)*) ({_TYPE}) ({_VALUE}), ({_VALUE})")
_CAST = re.compile(rf"([a-z]+) ({_TYPE}) ({_VALUE}) to ({_TYPE})")
_SELECT = re.compile(rf"select i1 ({_VALUE}), ({_TYPE}) ({_VALUE}), {_TYPE} ({_VALUE})")
_CALL = re.compile(
    rf"call ({_TYPE}) @(llvm\.[a-z.]+?)((?:\.(?:i|f|bf)\d+)+)\(({_TYPE} {_VALUE}(?:, {_TYPE} {_VALUE})*)\)"
)
_ARGUMENT = re.compile(rf"({_TYPE}) ({_VALUE})")
#: Intrinsics whose second argument is a constant of the instruction.
_FIXED_SECOND = frozenset({"llvm.ctlz", "llvm.cttz", "llvm.abs", "llvm.is.fpclass"})
_BINARY = frozenset(
    {
        "add", "sub", "mul", "udiv", "sdiv", "urem", "srem", "and", "or", "xor", "shl", "lshr", "ashr",
        "fadd", "fsub", "fmul", "fdiv", "frem", "icmp", "fcmp",
    }
)  # fmt: skip
_CASTS = frozenset({"zext", "sext", "trunc", "bitcast", "fpext", "fptrunc", "sitofp", "uitofp", "fptosi", "fptoui"})
#: What may be done once for all threads where all have the same: it gives a value and does nothing else.
_PURE = _BINARY | _CASTS | {"select", "getelementptr", "inttoptr", "ptrtoint", "load", "phi", "fneg", "freeze"}


class Unwidened(Exception):  # noqa: N818 - it is no error: such an instruction is written thread by thread
    """Text that has no form over vectors."""


class Wide(NamedTuple):
    """An instruction over vectors, and the type of the elements that it gives."""

    text: str
    element: str


def vector_of(type_: str) -> str:
    """The type of a row of values."""
    return f"<{LANES} x {type_}>"


def row_of(type_: str, *values: object) -> str:
    """A constant: one for every thread, or the same for all."""
    items = values if len(values) > 1 else values * LANES
    return f"<{', '.join(f'{type_} {one}' for one in items)}>"


def require_pure(text: str) -> None:
    """Raise Unwidened for what must be done by each thread."""
    first = text.partition(" ")[0]
    if first not in _PURE and not text.startswith(("call i", "call float @llvm.", "call double @llvm.")):
        raise Unwidened(text)
    if first == "call" and not _CALL.fullmatch(text):
        raise Unwidened(text)


def widened(text: str, row: Callable[[str, str], str]) -> Wide:
    """An instruction over rows; `row(type, value)` gives the row of a value.

    Raises:
        Unwidened: there is none.
    """
    for pattern, form in _FORMS:
        match = pattern.fullmatch(text)
        if match:
            return form(match, row)
    raise Unwidened(text)


def _two(match: re.Match[str], row: Callable[[str, str], str]) -> Wide:
    name, type_, a, b = match.groups()
    if name.partition(" ")[0] not in _BINARY:
        raise Unwidened(match.string)
    text = f"{name} {vector_of(type_)} {row(type_, a)}, {row(type_, b)}"
    return Wide(text, "i1" if name.startswith(("icmp", "fcmp")) else type_)


def _cast(match: re.Match[str], row: Callable[[str, str], str]) -> Wide:
    name, type_, value, to = match.groups()
    if name not in _CASTS:
        raise Unwidened(match.string)
    return Wide(f"{name} {vector_of(type_)} {row(type_, value)} to {vector_of(to)}", to)


def _select(match: re.Match[str], row: Callable[[str, str], str]) -> Wide:
    chosen, type_, a, b = match.groups()
    vector = vector_of(type_)
    return Wide(
        f"select {vector_of('i1')} {row('i1', chosen)}, {vector} {row(type_, a)}, {vector} {row(type_, b)}", type_
    )


def _call(match: re.Match[str], row: Callable[[str, str], str]) -> Wide:
    type_, name, suffix, arguments = match.groups()
    found = []
    for number, one in enumerate(_ARGUMENT.finditer(arguments)):
        kind, value = one.groups()
        fixed = number == 1 and name in _FIXED_SECOND
        found.append(f"{kind} {value}" if fixed else f"{vector_of(kind)} {row(kind, value)}")
    suffix = suffix.replace(".", f".v{LANES}")
    return Wide(f"call {vector_of(type_)} @{name}{suffix}({', '.join(found)})", type_)


_FORMS = ((_SELECT, _select), (_CAST, _cast), (_TWO, _two), (_CALL, _call))
