"""NVRTC options in one canonical spelling.

The same option written as `-use_fast_math`, `--use_fast_math` or `--use-fast-math` must give the same key, and one
whose effect the key cannot hold must not be cached at all. Options that other arguments of `compile()` own (`-arch`,
`-I`, `-D`) are moved there or refused; unknown ones go through as written.
"""

from __future__ import annotations

import re

from jitload.errors import UsageTypeError, UsageValueError
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import shlex
    from collections.abc import Iterable

    from jitload.source import refused

    #: Options, include directories, definitions and undefined names: see `canonical_options`.
    Canonical = tuple[tuple[str, ...], list[str], list[tuple[str, str | None]], list[str]]
else:
    refused = lazy("jitload.source.refused")  # most requests have no options
    shlex = lazy("shlex")  # 2 ms

#: Every spelling -> the canonical one (NVRTC documentation, "Supported Compile Options").
_CANONICAL = {
    "-rdc": "--relocatable-device-code",
    "-dc": "--device-c",
    "-dw": "--device-w",
    "-ewp": "--extensible-whole-program",
    "-G": "--device-debug",
    "-lineinfo": "--generate-line-info",
    "-dopt": "--dopt",
    "-Ofc": "--Ofast-compile",
    "-Xptxas": "--ptxas-options",
    "-maxrregcount": "--maxrregcount",
    "-ftz": "--ftz",
    "-prec-sqrt": "--prec-sqrt",
    "-prec-div": "--prec-div",
    "-fmad": "--fmad",
    "-use_fast_math": "--use_fast_math",
    "--use-fast-math": "--use_fast_math",
    "-use-fast-math": "--use_fast_math",
    "-extra-device-vectorization": "--extra-device-vectorization",
    "-modify-stack-limit": "--modify-stack-limit",
    "-jtd": "--jump-table-density",
    "-std": "--std",
    "-builtin-move-forward": "--builtin-move-forward",
    "-builtin-initializer-list": "--builtin-initializer-list",
    "-w": "--disable-warnings",
    "-restrict": "--restrict",
    "-default-device": "--device-as-default-execution-space",
    "-device-int128": "--device-int128",
    "-device-float128": "--device-float128",
    "-opt-info": "--optimization-info",
    "-err-no": "--display-error-number",
    "-no-err-no": "--no-display-error-number",
    "-diag-error": "--diag-error",
    "-diag-suppress": "--diag-suppress",
    "-diag-warn": "--diag-warn",
    "-brief-diag": "--brief-diagnostics",
    "-split-compile": "--split-compile",
    "-minimal": "--minimal",
    "-version-ident": "--version-ident",
    "-dQ": "--version-ident",
    "-frandom-seed": "--frandom-seed",
    "-D": "--define-macro",
    "-U": "--undefine-macro",
    "-I": "--include-path",
    "-include": "--pre-include",
    "-arch": "--gpu-architecture",
    "-dlto": "--dlink-time-opt",
    "-no-cache": "--no-cache",
    "-time": "--time",
    "-fdevice-time-trace": "--fdevice-time-trace",
    "-pch": "--pch",
    "-create-pch": "--create-pch",
    "-use-pch": "--use-pch",
    "-pch-dir": "--pch-dir",
    "-no-source-include": "--no-source-include",
}

#: Options whose value may be the next list item.
_TAKES_VALUE = {
    "--define-macro",
    "--undefine-macro",
    "--include-path",
    "--pre-include",
    "--gpu-architecture",
    "--maxrregcount",
    "--ptxas-options",
    "--std",
    "--ftz",
    "--prec-sqrt",
    "--prec-div",
    "--fmad",
    "--dopt",
    "--diag-error",
    "--diag-suppress",
    "--diag-warn",
    "--jump-table-density",
    "--split-compile",
    "--frandom-seed",
    "--relocatable-device-code",
    "--builtin-move-forward",
    "--builtin-initializer-list",
    "--modify-stack-limit",
    "--version-ident",
    "-gencode",
    "--generate-code",
    "-code",
    "--gpu-code",
}

# "-std c++17" in one item of a list; several options for ptxas in one, as nvcc takes them.
_SPACED = r"(?s)(--?[\w-]+)\s+(.+)"
_PTXAS_SEPARATOR = r",(?=-)|\s+"
_GLUED = ("-D", "-U", "-I")  # -DNAME=1, -I/dir

#: Options that change nothing in the output, or that jitload always gives itself.
_DROPPED = {"--no-cache", "--no-source-include"}

_REFUSED = {
    "--gpu-architecture": "write arch='sm_90' instead",
    "--dlink-time-opt": "write kind='ltoir' instead",
    "--gen-opt-lto": "write kind='ltoir' instead",
    "--optimization-info": "NVRTC then adds remarks to the log of every later compile in this process",
    "--optix-ir": "OptiX IR is not a kind of jitload",
    "--fdevice-syntax-only": "it produces no image",
    "-Xcudafe": "NVRTC does not document it and files could come in by it; write e.g. '--diag-suppress=177' instead",
}

#: Options that NVRTC does not forget: 12.9 and 13.0 compile all that comes later in the process as if it had
#: `--restrict` too, and so take pointers for distinct that may not be.
_LASTING = frozenset({"--restrict"})

#: The last of these that speaks of a diagnostic decides, whichever of the three it is.
_DIAGNOSTICS = {"--diag-error", "--diag-suppress", "--diag-warn"}

#: Options with a truth value. NVRTC knows "true" and "false" alone; the rest is a kindness to people.
_BOOLEAN_OPTIONS = {
    "--ftz",
    "--prec-sqrt",
    "--prec-div",
    "--fmad",
    "--relocatable-device-code",
    "--builtin-move-forward",
    "--builtin-initializer-list",
    "--version-ident",
}
_BOOLEAN = {"true": "true", "false": "false", "1": "true", "0": "false"}


def canonical_options(options: str | Iterable[str]) -> Canonical:
    """Split and spell options.

    A string is split as a shell would: at blanks that are not in quotes. Where options override each other the last
    one counts, as with NVRTC.

    Returns:
        The canonical options (sorted by name; the order of repeated ones is kept), include directories, definitions
        as (name, value or None for a bare `-DNAME`), and names that are undefined in the end.

    Raises:
        UsageValueError: an option that cannot be part of a cached compile, or that another argument owns.
        UsageTypeError: something that is no option.
    """
    given = _split(_as_list(options))
    if given:
        _refuse(given)
    kept: list[tuple[str, str | None]] = []
    include_dirs: list[str] = []
    defines: dict[str, tuple[str, str | None]] = {}
    undefines: dict[str, None] = {}
    for name, value in given:
        if name == "--include-path":
            include_dirs.append(value or "")
        elif name == "--define-macro":
            macro, equals, text = (value or "").partition("=")
            defines[macro_name(macro)] = macro, text if equals else None
            undefines.pop(macro_name(macro), None)
        elif name == "--undefine-macro":
            undefines[value or ""] = None
        elif name not in _DROPPED:
            kept.append((name, value))
    kept = _without_overridden_diagnostics(kept)
    kept.sort(key=lambda option: option[0])  # stable: repeated options keep their order, and the last one counts
    return tuple(_spell(*option) for option in kept), include_dirs, list(defines.values()), list(undefines)


def joined_options(*parts: str | Iterable[str]) -> list[str]:
    """Options that were given apart, each as `canonical_options` takes them, as one list in that order.

    Raises:
        UsageValueError, UsageTypeError: as there.
    """
    return [option for part in parts for option in _as_list(part)]


def outlive_compile(options: Iterable[str]) -> bool:
    """Whether NVRTC keeps one of these for later compiles: such a process may compile nothing else.

    Args:
        options: in their canonical spelling.
    """
    return not _LASTING.isdisjoint(map(option_name, options))


def macro_name(macro: str) -> str:
    """The name of a macro that may have parameters: "SQUARE" of "SQUARE(x)"."""
    return macro.partition("(")[0].rstrip()


def known_options() -> tuple[str, ...]:
    """Every spelling of the options of NVRTC, the canonical ones first."""
    return tuple(dict.fromkeys([*_CANONICAL.values(), *_CANONICAL]))


def option_name(option: str) -> str:
    """What canonical options are sorted by."""
    return option.partition("=")[0]


def _as_list(options: str | Iterable[str]) -> list[str]:
    items = _shell_words(options) if isinstance(options, str) else _items(options)
    for item in items:
        if "\0" in item or not _is_encodable(item):
            raise UsageValueError(f"option {item!r} is no text: it holds a NUL or half of a surrogate pair")
    return [stripped for item in items if (stripped := item.strip())]  # NVRTC understands " -I/x" as well


def _items(given: object) -> list[str]:
    if isinstance(given, bytes) or not hasattr(given, "__iter__") or hasattr(given, "keys"):
        hint = ": write ['--name=value', ...]" if hasattr(given, "keys") else ""
        raise UsageTypeError(f"options is a str or a list of them, got {type(given).__name__}{hint}")
    items = list(given)
    for item in items:
        if not isinstance(item, str):
            raise UsageTypeError(f"an option is a str, got {type(item).__name__}: {item!r}")
    return items


def _shell_words(text: str) -> list[str]:
    if not any(mark in text for mark in "\"'\\"):
        return text.split()

    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageValueError(
            f"options {text!r} cannot be split as a shell would ({error}): close the quotes, or pass a list of options"
        ) from None


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _split(items: list[str]) -> list[tuple[str, str | None]]:
    """(canonical name, value or None) for every option."""
    found: list[tuple[str, str | None]] = []
    value: str | None
    rest = iter(items)
    for item in rest:
        glued = next((flag for flag in _GLUED if item.startswith(flag) and item != flag), None)
        if glued is not None and not item.startswith("--"):
            name, value = _CANONICAL[glued], item[2:].lstrip().removeprefix("=")  # "-I/x", "-I /x", "-I=/x"
        else:
            spaced = re.fullmatch(_SPACED, item) if len(item.split()) > 1 else None
            if spaced is not None and _CANONICAL.get(spaced[1], spaced[1]) in _TAKES_VALUE:
                written, value = spaced[1], spaced[2]
            else:
                written, equals, text = item.partition("=")
                value = text if equals else None
            name = _CANONICAL.get(written, written)
            if value is None and name in _TAKES_VALUE:
                value = next(rest, None)
                if value is None:
                    raise UsageValueError(f"option {item!r} needs a value")
        if name == "--ptxas-options" and value is not None:
            found += [(name, each) for each in re.split(_PTXAS_SEPARATOR, value.strip())]
        else:
            found.append((name, value.strip() if value is not None else None))
    return found


def _refuse(options: list[tuple[str, str | None]]) -> None:
    for name, value in options:
        if name in _REFUSED:
            raise UsageValueError(f"option {name!r} cannot be given to jitload: {_REFUSED[name]}")
        refused.refuse_nvcc_option(name, value)
    refused.refuse_file_options(options)


def _without_overridden_diagnostics(options: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """The options, each number of a diagnostic in the last of the three kinds that name it."""
    if len(_DIAGNOSTICS.intersection([name for name, _ in options])) < 2:
        return options
    last: dict[str, str] = {}
    for name, value in options:
        if name in _DIAGNOSTICS:
            last.update(dict.fromkeys((value or "").split(","), name))
    kept: list[tuple[str, str | None]] = []
    for name, value in options:
        if name in _DIAGNOSTICS:
            numbers = [number for number in (value or "").split(",") if last[number] == name]
            kept += [(name, ",".join(numbers))] if numbers else []
        else:
            kept.append((name, value))
    return kept


def _spell(name: str, value: str | None) -> str:
    if value is None:
        return name
    return f"{name}={_BOOLEAN.get(value.lower(), value) if name in _BOOLEAN_OPTIONS else value}"
