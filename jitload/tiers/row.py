"""A row: what the index keeps of one entry, made of the entry. What it may say is checked in sums.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.values import BLOB, Blob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jitload.artifact import Artifact, Kept

#: What the index keeps of the names of kernels, and of the options: enough to tell entries apart.
MAX_KERNEL_CHARS, MAX_OPTION_CHARS, MAX_KEY_CHARS = 1024, 512, 64


def row_of(artifact: Kept, factors: Mapping[str, object]) -> dict[str, object]:
    """What the index keeps of an entry; of a blob, its namespace as name, and its key or digits of it as kernel."""
    if isinstance(artifact, Blob):
        names = [_key_text(artifact.foreign_key)[:MAX_KEY_CHARS]]
        empty = {"arch": "", "compile_seconds": 0.0, "options": ""}
        return {**empty, "kernels": names, "kind": BLOB, "name": artifact.namespace}
    request = factors.get("request")
    return {
        "arch": artifact.arch,
        "compile_seconds": artifact.compile_seconds,
        "kernels": _kernel_names(artifact),
        "kind": artifact.kind.value,
        "name": artifact.name,
        "options": written_options(factors)[:MAX_OPTION_CHARS],
        **({"request": request} if isinstance(request, str) else {}),
    }


def _key_text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key.hex()


def written_options(factors: Mapping[str, object]) -> str:
    """The macros and options of a compile as they would be written: "-DN=4 --use_fast_math"."""
    defines, undefines, options = (factors.get(name) for name in ("defines", "undefines", "options"))
    words = []
    if isinstance(defines, dict):
        words += [f"-D{name}" if value is None else f"-D{name}={value}" for name, value in sorted(defines.items())]
    words += [f"-U{name}" for name in undefines] if isinstance(undefines, list) else []
    words += map(str, options) if isinstance(options, list) else []
    return " ".join(words)


def _kernel_names(artifact: Artifact) -> list[str]:
    names: list[str] = []
    chars = 0
    for name in sorted(artifact.kernels):
        chars += len(name)
        if chars > MAX_KERNEL_CHARS:
            return [*names, "..."]
        names.append(name)
    return names
