"""What a launch must know about a kernel: read from NVRTC's PTX, and from the source for names, signs and const.

PTX says where every parameter lies and how wide it is (PTX ISA section 5.1.6 and 5.4.2: parameters are laid out in
order, each at its natural or declared alignment). What it does not say, a pointer's constness and the C++ names, is
read from the kernel's declaration when that is plain enough; where it is not, the answer is "unknown", never a guess.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from jitload.compiler.signature import typed_by_symbol, with_types
from jitload.images.ptx.entries import ADDRESS_TYPES, kernel_of, read_entries
from jitload.values import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jitload.compiler.types.source import SourceKernels, Written
    from jitload.images.ptx.entries import Entry
    from jitload.values import KernelInfo


def read_kernels(ptx: str) -> dict[str, KernelInfo]:
    """Symbol -> layout of every entry in a PTX text; the names are the symbols."""
    return {entry.head.name: _kernel(ptx, entry) for entry in read_entries(ptx)}


def read_kernel(ptx: str, symbol: str) -> KernelInfo | None:
    """The layout of one entry in a PTX text, or None when there is none of that symbol."""
    return next((_kernel(ptx, entry) for entry in read_entries(ptx, symbol)), None)


def _kernel(ptx: str, entry: Entry) -> KernelInfo:
    body = ptx[entry.body : ptx.find("\n}", entry.body)]
    return kernel_of(entry.head, lambda parameter: _is_address(parameter, body))


def _is_address(parameter: str, body: str) -> bool:
    """Whether a body shows that a parameter is an address."""
    loaded = re.search(rf"ld\.param\.[ubs]64\s+([\w$%]+),\s*\[{re.escape(parameter)}\]", body)
    return bool(loaded and re.search(rf"cvta\.to\.\w+\.u64\s+[\w$%]+,\s*{re.escape(loaded[1])}\s*;", body))


def name_kernels(ptx: str, lowered: Mapping[str, str], source: SourceKernels) -> list[KernelInfo]:
    """The kernels of a compile under the names that the user wrote.

    Args:
        ptx: the PTX of the program.
        lowered: name expression -> lowered name, as NVRTC gave it.
        source: what the source and the user's headers declare.

    Returns:
        One `KernelInfo` per name expression that is a kernel, and per other kernel under its plain name (its symbol
        where two share one).
    """
    by_symbol = read_kernels(ptx)
    names = {expression: symbol for expression, symbol in lowered.items() if symbol in by_symbol}
    named = set(names.values())
    plain = {symbol: plain_name(symbol) for symbol in by_symbol if symbol not in named}
    counts = Counter(plain.values())
    for symbol, name in plain.items():
        names[name if name not in names and counts[name] == 1 else symbol] = symbol
    return [_describe(name, by_symbol[symbol], source) for name, symbol in names.items()]


def plain_name(symbol: str) -> str:
    """The qualified name in a lowered one: "_ZN2ns4axpyEPfi" -> "ns::axpy"; a symbol of another form is its own name.

    Itanium C++ ABI section 5.1.2; template instances keep their symbol, since the name would not tell them apart. An
    anonymous namespace and `static` add nothing to the name.
    """
    parts, rest = _split_symbol(symbol)
    nested = symbol.startswith("_ZN")
    if not parts or rest[:1] == "I" or (nested and rest[:1] != "E"):
        return symbol
    return "::".join(part for part in parts if not part.startswith("_GLOBAL__N_"))


def _split_symbol(symbol: str) -> tuple[list[str], str]:
    """The identifiers that a lowered name begins with, and what follows them."""
    match = re.match(r"_Z(N?)L?(?=\d)", symbol)
    parts: list[str] = []
    if match is None:
        return parts, symbol
    position = match.end()
    while digits := re.match(r"L?(\d+)", symbol[position:]):
        start = position + digits.end()
        position = start + int(digits[1])
        if position > len(symbol):
            return [], symbol
        parts.append(symbol[start:position])
        if not match[1]:
            break
    return parts, symbol[position:]


def _base_name(name: str, symbol: str) -> str:
    """The identifier by which the kernel is declared."""
    if name == symbol and (parts := _split_symbol(symbol)[0]):
        return parts[-1]
    return name.partition("<")[0].strip().lstrip("&").rpartition("::")[2].strip()


def _describe(name: str, kernel: KernelInfo, source: SourceKernels) -> KernelInfo:
    """The kernel with what its lowered name and its declaration tell."""
    params = kernel.params
    if not params:
        return kernel.replace(name=name)
    written = source.parameters(_base_name(name, kernel.symbol), len(params))
    if written is not None:
        params = tuple(_with_declaration(param, found) for param, found in zip(params, written, strict=True))
    described = kernel.replace(name=name, params=params)
    if described.symbol.startswith("_Z"):
        return typed_by_symbol(described, source.member)
    found = source.types(described.symbol, len(params))
    return described if found is None else with_types(described, found)


def _with_declaration(param: Parameter, found: Written) -> Parameter:
    is_address = param.type in ADDRESS_TYPES
    pointer = found.pointer if is_address and found.pointer is not None else param.pointer
    return Parameter(
        param.offset,
        param.size,
        param.alignment,
        param.type,
        name=found.name,
        declared=found.type,
        pointer=pointer,
        const=found.const and pointer is True,
    )
