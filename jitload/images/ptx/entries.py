"""What a PTX text declares, found without reading what is in its bodies: kernels with their layouts, and variables."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from jitload.errors import LoadError
from jitload.images.ptx.declaration import read_head
from jitload.images.ptx.tokens import Cursor, Source
from jitload.values import KernelInfo, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jitload.images.ptx.values import Function

# Comments and strings first, so that what they hold is not taken for a directive; an open comment goes to the end.
_PASSED = r'//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|"[^"\n]*"'


@cache  # here and below: few processes need them
def _entry() -> re.Pattern[str]:
    return re.compile(rf"{_PASSED}|\.entry\s+([A-Za-z_$%][\w$.]*)", re.ASCII)


@cache
def _head_end() -> re.Pattern[str]:
    """What ends a head; where the next function begins before any brace, it was a declaration."""
    return re.compile(rf"{_PASSED}|(\{{|\.entry\b|\.func\b)", re.ASCII)


@cache
def _variable() -> re.Pattern[str]:
    """PTX ISA section 10.1: linking, state space, alignment and other attributes, type, name."""
    return re.compile(
        r"^[ \t]*(?:\.(?:visible|weak|common)[ \t]+)?\.(?:global|const)\b"
        r"(?:[ \t]*\.\w+(?:[ \t]*\((?:[^()\n]|\([^()\n]*\))*\)|[ \t]*\d+)?)*"
        r"[ \t]+([A-Za-z_$%][\w$]*)",
        re.MULTILINE | re.ASCII,
    )


#: Those that a pointer has, on the 64 bits that all GPUs have.
ADDRESS_TYPES = frozenset({"u64", "b64", "s64"})


class Entry(NamedTuple):
    """A kernel in a text.

    Attributes:
        head: what stands before its body.
        body: where that begins in the text, after its brace.
    """

    head: Function
    body: int


def entry_names(data: bytes) -> tuple[str, ...]:
    """The kernels in a PTX text, in order (PTX ISA section 11.2.1, `.entry`)."""
    names = (match[1] for match in _entry().finditer(_text(data)))
    return tuple(dict.fromkeys(name for name in names if name is not None))


def variable_names(data: bytes | str) -> tuple[str, ...]:
    """The variables at the outer level of a PTX text, in order."""
    text = data if isinstance(data, str) else _text(data)
    return tuple(dict.fromkeys(match[1] for match in _variable().finditer(text)))


def read_entries(text: str, symbol: str | None = None) -> Iterator[Entry]:
    """The kernels that a PTX text defines, in order.

    Args:
        text: PTX. What has no head of a kernel is passed over.
        symbol: the only one that is wanted.
    """
    for match in _entry().finditer(text):
        if match[1] is None or symbol not in {None, match[1]}:
            continue
        brace = next((found for found in _head_end().finditer(text, match.end()) if found[1]), None)
        if brace is None or brace[1] != "{":
            continue
        cursor = Cursor(Source(text[match.start() : brace.end()]), 1)
        try:
            head, opened = read_head(cursor, entry=True)
        except LoadError:
            continue
        if opened:
            yield Entry(head, brace.end())


def align(offset: int, alignment: int) -> int:
    """The next multiple of an alignment."""
    return -(-offset // alignment) * alignment


def parameter_offsets(head: Function) -> list[int]:
    """Offsets of an entry's parameters in the parameter block, in bytes (PTX ISA section 5.1.6)."""
    offsets, end = [], 0
    for parameter in head.parameters:
        start = align(end, parameter.alignment)
        offsets.append(start)
        end = start + parameter.size
    return offsets


def kernel_of(head: Function, is_address: Callable[[str], bool] | None = None) -> KernelInfo:
    """What a launch must know of a kernel, under its symbol.

    Args:
        head: of an entry.
        is_address: name of a parameter -> whether the body shows that it is an address, where the head does not say.
    """
    parameters = []
    for position, (parameter, offset) in enumerate(zip(head.parameters, parameter_offsets(head), strict=True)):
        kind = parameter.type.name if parameter.count == 1 else "b8"
        pointer: bool | None = False
        if kind in ADDRESS_TYPES:
            shown = position in head.pointers or (is_address is not None and is_address(parameter.name))
            pointer = True if shown else None
        parameters.append(Parameter(offset, parameter.size, parameter.alignment, kind, pointer=pointer))
    return KernelInfo(
        head.name, head.name, parameters, max_threads=head.max_threads, required_block=head.required_block
    )


def _text(data: bytes) -> str:
    return data.decode("latin-1")  # a character for each byte, whatever it is: names are ASCII
