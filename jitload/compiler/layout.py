"""What a launch must know about a kernel: read from NVRTC's PTX, and from the source for names, signs and const.

PTX says where every parameter lies and how wide it is (PTX ISA section 5.1.6 and 5.4.2: parameters are laid out in
order, each at its natural or declared alignment). What it does not say, a pointer's constness and the C++ names, is
read from the kernel's declaration when that is plain enough; where it is not, the answer is "unknown", never a guess.
"""

from __future__ import annotations

import re

from jitload.artifact import KernelInfo, Parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENTRY = re.compile(r"\.entry\s+([\w$%.]+)\s*(?:\(([^)]*)\))?([^{;]*)\{")
_PARAM = re.compile(
    r"\.param\s+(?:\.align\s+(?P<align>\d+)\s+)?\.(?P<type>\w+)\s+"
    r"(?P<ptr>\.ptr\s+(?:\.(?:global|shared|const|local)\s+)?(?:\.align\s+\d+\s+)?)?"
    r"(?P<name>[\w$%]+)(?:\[(?P<count>\d+)\])?"
)
_BOUNDS = re.compile(r"\.(maxntid|reqntid)\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?")
_SIZES = {"8": 1, "16": 2, "32": 4, "64": 8, "128": 16}
_COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.DOTALL)
_PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.MULTILINE | re.DOTALL)
_QUALIFIER = re.compile(r"\b(?:__restrict__|__restrict|restrict|__grid_constant__|volatile)\b")
_VALUE_64 = re.compile(
    r"(?:const )?(?:(?:unsigned |signed )?long(?: long)?(?: int)?|double|(?:std::)?(?:u?int64_t|size_t|ptrdiff_t))"
)


def read_kernels(ptx: str) -> dict[str, KernelInfo]:
    """Symbol -> layout of every entry in a PTX text; the names are the symbols."""
    kernels = {}
    for match in _ENTRY.finditer(ptx):
        symbol, params, directives = match[1], match[2] or "", match[3]
        bounds = {name: (int(x), int(y or 1), int(z or 1)) for name, x, y, z in _BOUNDS.findall(directives)}
        max_threads = bounds.get("maxntid")
        kernels[symbol] = KernelInfo(
            symbol,
            symbol,
            _layout(params, ptx[match.end() : ptx.find("\n}", match.end())]),
            max_threads=None if max_threads is None else max_threads[0] * max_threads[1] * max_threads[2],
            required_block=bounds.get("reqntid"),
        )
    return kernels


def _layout(params: str, body: str) -> list[Parameter]:
    found: list[Parameter] = []
    offset = 0
    for match in _PARAM.finditer(params):
        element = _SIZES[re.sub(r"\D", "", match["type"])]
        size = element * int(match["count"] or 1)
        alignment = int(match["align"] or element)
        offset = -(-offset // alignment) * alignment
        pointer = _is_pointer(match, body) if size == 8 and match["count"] is None else False
        found.append(Parameter(offset, size, alignment, match["type"], pointer=pointer))
        offset += size
    return found


def _is_pointer(param: re.Match[str], body: str) -> bool | None:
    """True when the PTX shows that it is an address, None when it does not say."""
    if param["type"] not in {"u64", "b64", "s64"}:
        return False
    if param["ptr"]:
        return True
    loaded = re.search(rf"ld\.param\.[ubs]64\s+([\w$%]+),\s*\[{re.escape(param['name'])}\]", body)
    if loaded and re.search(rf"cvta\.to\.\w+\.u64\s+[\w$%]+,\s*{re.escape(loaded[1])}\s*;", body):
        return True
    return None


def name_kernels(ptx: str, lowered: Mapping[str, str], sources: Iterable[str]) -> list[KernelInfo]:
    """The kernels of a compile under the names that the user wrote.

    Args:
        ptx: the PTX of the program.
        lowered: name expression -> lowered name, as NVRTC gave it.
        sources: the source and the user's headers, to read declarations in.

    Returns:
        One `KernelInfo` per name expression that is a kernel, and per other kernel under its plain name (its symbol
        where two share one).
    """
    by_symbol = read_kernels(ptx)
    names = {expression: symbol for expression, symbol in lowered.items() if symbol in by_symbol}
    plain = {symbol: plain_name(symbol) for symbol in by_symbol if symbol not in set(names.values())}
    for symbol, name in plain.items():
        unique = name not in names and list(plain.values()).count(name) == 1
        names[name if unique else symbol] = symbol
    declarations = _declarations(sources)
    return [_declared(name, by_symbol[symbol], declarations) for name, symbol in names.items()]


def plain_name(symbol: str) -> str:
    """The qualified name in a lowered one: "_ZN2ns4axpyEPfi" -> "ns::axpy"; a symbol of another form is its own name.

    Itanium C++ ABI section 5.1.2; template instances keep their symbol, since the name would not tell them apart.
    """
    match = re.match(r"_Z(N?)((?:\d+[A-Za-z_$][\w$]*)+)", symbol)
    if match is None:
        return symbol
    parts: list[str] = []
    position = match.start(2)
    while digits := re.match(r"\d+", symbol[position:]):
        start = position + digits.end()
        position = start + int(digits[0])
        parts.append(symbol[start:position])
        if not match[1]:
            break
    if symbol[position : position + 1] == "I" or (match[1] and symbol[position : position + 1] != "E"):
        return symbol
    return "::".join(parts)


def _declared(name: str, kernel: KernelInfo, declarations: Mapping[str, list[list[str]]]) -> KernelInfo:
    """The kernel with what its declaration tells, when exactly one declaration fits."""
    base = re.split(r"<", name, maxsplit=1)[0].strip().rsplit("::", 1)[-1]
    if name == kernel.symbol and name.startswith("_Z"):
        base = _template_base(name)
    fitting = [params for params in declarations.get(base, []) if len(params) == len(kernel.params)]
    params = kernel.params
    if fitting and all(candidate == fitting[0] for candidate in fitting):
        params = tuple(_with_declaration(p, text) for p, text in zip(kernel.params, fitting[0], strict=True))
    return KernelInfo(name, kernel.symbol, params, max_threads=kernel.max_threads, required_block=kernel.required_block)


def _template_base(symbol: str) -> str:
    """The last identifier before the template arguments of a lowered name."""
    position, last = (3 if symbol.startswith("_ZN") else 2), symbol
    while digits := re.match(r"\d+", symbol[position:]):
        start = position + digits.end()
        position = start + int(digits[0])
        last = symbol[start:position]
    return last


def _with_declaration(param: Parameter, text: str) -> Parameter:
    declared, name = _split_declarator(text)
    stars = declared.count("*") + declared.count("&")
    pointer = param.pointer
    if stars and param.size == 8:
        pointer = True
    elif _VALUE_64.fullmatch(declared):
        pointer = False
    pointee = declared[: max(declared.rfind("*"), declared.rfind("&"))] if stars else ""
    innermost = pointee[pointee.rfind("*") + 1 :]
    return Parameter(
        param.offset,
        param.size,
        param.alignment,
        param.type,
        name=name,
        declared=declared,
        pointer=pointer,
        const=bool(stars and re.search(r"\bconst\b", innermost)),
    )


def _split_declarator(text: str) -> tuple[str, str]:
    """("const float *", "x") of "const float* __restrict__ x"."""
    text = re.sub(
        r"\b(?:__restrict__|__restrict|restrict|__grid_constant__|volatile)\b", " ", text.split("=", maxsplit=1)[0]
    )
    text = re.sub(r"\[[^\]]*\]", "*", text) if "[" in text else text
    match = re.fullmatch(r"(.*?[\s*&>])([A-Za-z_]\w*)\s*(\**)\s*", text.strip(), re.DOTALL)
    declared, name = (match[1] + match[3], match[2]) if match else (text, "")
    if name in {"int", "float", "double", "char", "long", "short", "bool", "unsigned", "half"}:
        declared, name = text, ""
    declared = re.sub(r"\s+", " ", declared.replace("*", " * ").replace("&", " & ")).strip()
    return re.sub(r"\* (?=\*)", "*", declared), name


def _declarations(sources: Iterable[str]) -> dict[str, list[list[str]]]:
    """Kernel name -> the parameter lists of its declarations, as text."""
    found: dict[str, list[list[str]]] = {}
    for source in sources:
        if "__global__" not in source:
            continue
        text = _PREPROCESSOR.sub(" ", _COMMENT_OR_STRING.sub(" ", source))
        for match in re.finditer(r"\b__global__\b", text):
            parsed = _parse_declaration(text, match.end())
            if parsed:
                found.setdefault(parsed[0], []).append(parsed[1])
    return found


def _parse_declaration(text: str, position: int) -> tuple[str, list[str]] | None:
    """(name, parameters) of the function declared at `position`, or None when it is too clever to read."""
    while match := re.compile(r"[^(){};]*?([A-Za-z_]\w*)\s*\(").match(text, position):
        end = _closing(text, match.end() - 1)
        if end is None:
            return None
        if match[1] in {"__launch_bounds__", "__attribute__", "__cluster_dims__", "__block_size__", "alignas"}:
            position = end
            continue
        return match[1], _split_parameters(text[match.end() : end - 1])
    return None


def _closing(text: str, start: int) -> int | None:
    """The position just after the parenthesis that closes the one at `start`."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "(":
            depth += 1
        elif text[position] == ")":
            depth -= 1
            if depth == 0:
                return position + 1
    return None


def _split_parameters(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in "<([{":
            depth += 1
        elif character in ">)]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    stripped = [part.strip() for part in parts]
    return [] if stripped in (["void"], [""]) else stripped
