"""NVRTC options in one canonical spelling.

The same option written as `-use_fast_math`, `--use_fast_math` or `--use-fast-math` must give the same key, and one
whose effect the key cannot hold must not be cached at all. Options that other arguments of `compile()` own (`-arch`,
`-I`, `-D`) are moved there or refused; unknown ones go through as written.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

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
}

_GLUED = ("-D", "-U", "-I")  # -DNAME=1, -I/dir

#: Options that change nothing in the output, or that jitload always gives itself.
_DROPPED = {"--no-cache", "--no-source-include"}

_REFUSED = {
    "--gpu-architecture": "write arch='sm_90' instead",
    "--dlink-time-opt": "write kind='ltoir' instead",
    "--gen-opt-lto": "write kind='ltoir' instead",
    "--optimization-info": "NVRTC then adds remarks to the log of every later compile in this process",
    "--optix-ir": "OptiX IR is not a kind of jitload",
    "--time": "it writes a file, which a cached result could not repeat",
    "--fdevice-time-trace": "it writes a file, which a cached result could not repeat",
    "--create-pch": "it writes a file, which a cached result could not repeat",
    "--use-pch": "a file that the key does not cover would change the result",
    "--pch": "a file that the key does not cover would change the result",
    "--pch-dir": "a file that the key does not cover would change the result",
    "--fdevice-syntax-only": "it produces no image",
    "-Xcudafe": "NVRTC does not document it and files could come in by it; write e.g. '--diag-suppress=177' instead",
}

#: Passed on to the tools behind NVRTC, which read files by these that no key could cover.
_REFUSED_VALUES = {"--ptxas-options": ("-optf", "--options-file")}

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


def canonical_options(
    options: str | Iterable[str],
) -> tuple[tuple[str, ...], list[str], list[tuple[str, str | None]], list[str]]:
    """Split and spell options.

    Returns:
        The canonical options (sorted by name; the order of repeated ones is kept), include directories, definitions
        as (name, value or None for a bare `-DNAME`), and names to undefine.

    Raises:
        ValueError: an option that cannot be part of a cached compile, or that another argument owns.
    """
    kept: list[tuple[str, str | None]] = []
    include_dirs: list[str] = []
    defines: list[tuple[str, str | None]] = []
    undefines: list[str] = []
    for name, value in _split(_as_list(options)):
        if name in _REFUSED:
            raise ValueError(f"option {name!r} cannot be given to jitload: {_REFUSED[name]}")
        if value and any(word in value for word in _REFUSED_VALUES.get(name, ())):
            raise ValueError(f"option {name}={value} cannot be given to jitload: it reads a file that no key covers")
        if name == "--include-path":
            include_dirs.append(value or "")
        elif name == "--define-macro":
            macro, equals, text = (value or "").partition("=")
            defines.append((macro, text if equals else None))
        elif name == "--undefine-macro":
            undefines.append(value or "")
        elif name not in _DROPPED:
            kept.append((name, value))
    kept.sort(key=lambda option: option[0])  # stable: repeated options keep their order, and the last one counts
    return tuple(_spell(*option) for option in kept), include_dirs, defines, undefines


def option_name(option: str) -> str:
    """What canonical options are sorted by."""
    return option.partition("=")[0]


def _as_list(options: str | Iterable[str]) -> list[str]:
    if isinstance(options, str):
        return options.split()
    given: Any = options
    if isinstance(given, bytes) or not hasattr(given, "__iter__"):
        raise TypeError(f"options is a str or a list of them, got {type(given).__name__}")
    items = list(given)
    for item in items:
        if not isinstance(item, str):
            raise TypeError(f"an option is a str, got {type(item).__name__}: {item!r}")
    return [stripped for item in items if (stripped := item.strip())]  # NVRTC understands " -I/x" as well


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
            written, equals, text = item.partition("=")
            name = _CANONICAL.get(written, written)
            value = text if equals else None
            if value is None and name in _TAKES_VALUE:
                value = next(rest, None)
                if value is None:
                    raise ValueError(f"option {item!r} needs a value")
        found.append((name, value.strip() if value is not None else None))
    return found


def _spell(name: str, value: str | None) -> str:
    if value is None:
        return name
    return f"{name}={_BOOLEAN.get(value.lower(), value) if name in _BOOLEAN_OPTIONS else value}"
