"""Options of nvJitLink in one canonical spelling, each checked before the linker sees it.

nvJitLink answers what it does not know with a status and no word about which option it was, so all that it takes is
listed here (nvJitLink documentation, "Options", 12.4 to 13.0).
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jitload.errors import UsageTypeError, UsageValueError
from jitload.given import given_list

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBER, _TRUTH, _NAME = r"\d{1,4}", r"[01]", r"[\w$.]+"
#: Option -> what its value looks like; None for one without.
_KNOWN: dict[str, str | None] = {
    "-O": "[03]",
    "-Xptxas": r"--?[\w-]+(?:=[\w.,-]+)?",
    "-fma": _TRUTH,
    "-ftz": _TRUTH,
    "-g": None,
    "-jump-table-density": r"\d{1,3}",
    "-kernels-used": _NAME,
    "-lineinfo": None,
    "-maxrregcount": _NUMBER,
    "-optimize-unused-variables": None,
    "-prec-div": _TRUTH,
    "-prec-sqrt": _TRUTH,
    "-split-compile": _NUMBER,
    "-split-compile-extended": _NUMBER,
    "-variables-used": _NAME,
    "-verbose": None,
}
#: What says nothing that the inputs and the other arguments do not say.
_DROPPED = {"-lto", "-dlto", "-no-cache", "-rdc=true", "-relocatable-device-code=true"}
_REFUSED = {
    "-arch": "write arch='sm_90' instead",
    "-ptx": "write kind='ptx' instead",
    "-time": "it puts times into the log, which are others each time",
    "-Xnvvm": "nvJitLink does not document it",
}
#: How the options of NVRTC and nvcc are spelled here.
_SPELLED = {"-G": "-g", "-device-debug": "-g", "-generate-line-info": "-lineinfo", "-fmad": "-fma", "-v": "-verbose"}
_SPELLED |= {"-ptxas-options": "-Xptxas"}
_REPEATED = {"-Xptxas", "-kernels-used", "-variables-used"}
_TRUTHS = {"true": "1", "false": "0"}


def canonical_link_options(options: str | Iterable[str]) -> tuple[str, ...]:
    """Options in their canonical spelling, sorted by name; of one that is given twice, the last.

    Args:
        options: a list of them, or one string that is split at blanks.

    Raises:
        UsageValueError: nvJitLink has no such option, its value means nothing, or another argument owns it.
        UsageTypeError: something that is no option.
    """
    listed = options.split() if isinstance(options, str) else list(given_list("options", options))
    found: dict[str, list[str]] = {}
    for item in listed:
        if not isinstance(item, str):
            raise UsageTypeError(f"an option is a str, got {type(item).__name__}: {item!r:.80}")
        option = item.strip()
        if option.replace("--", "-", 1) in _DROPPED:
            continue
        name, value = _parse(option)
        text = name if value is None else f"{name}{'' if name == '-O' else '='}{value}"
        found[name] = [*found.get(name, ()), text] if name in _REPEATED else [text]
    return tuple([text for name in sorted(found) for text in found[name]])


def machine_options(options: Iterable[str]) -> tuple[str, ...]:
    """What the linker must be told of the canonical NVRTC options that its inputs were compiled with.

    With link-time optimisation the machine code is made here, so that what speaks of machine code belongs here.
    """
    found: list[str] = []
    for option in options:
        name, _, value = option.partition("=")
        if name == "--maxrregcount":
            found.append(f"-maxrregcount={value}")
        elif name == "--device-debug":
            found.append("-g")
        elif name == "--generate-line-info":
            found.append("-lineinfo")
        elif name == "--ptxas-options":
            found.append(f"-Xptxas={value}")
        elif name == "--use_fast_math":
            found += ["-ftz=1", "-prec-div=0", "-prec-sqrt=0", "-fma=1"]
        elif name in {"--ftz", "--prec-div", "--prec-sqrt", "--fmad"}:
            found.append(f"-{name[2:]}={value}")
    return canonical_link_options(found)


def _parse(option: str) -> tuple[str, str | None]:
    """The canonical name of an option, and its value."""
    bare = option[1:] if option.startswith("--") else option
    level = re.fullmatch(r"-O=?(\w*)", bare)
    name, equals, value = ("-O", "=", level[1]) if level else bare.partition("=")
    name = _SPELLED.get(name, name)
    if name in _REFUSED:
        raise UsageValueError(f"option {option!r} cannot be given to a link: {_REFUSED[name]}")
    if name not in _KNOWN:
        nearest = get_close_matches(name, _KNOWN, 1)
        meant = f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(sorted(_KNOWN))}."
        raise UsageValueError(f"a link has no option {option!r}: {meant} What is for compiling belongs to compile()")
    pattern = _KNOWN[name]
    if pattern is None:
        if equals:
            raise UsageValueError(f"option {option!r}: {name!r} takes no value")
        return name, None
    value = _TRUTHS.get(value, value) if pattern is _TRUTH else value
    if not re.fullmatch(pattern, value, re.ASCII):
        raise UsageValueError(f"option {option!r}: {value!r} is no value of {name!r}")
    return name, value
