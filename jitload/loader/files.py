"""Loading a module from a file: what kind is it, and on to that kind's loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.artifact import Artifact
from jitload.errors import LoadError
from jitload.files.regular import open_regular
from jitload.format.entry import MAGIC, MAX_ENTRY_BYTES
from jitload.given import given_path
from jitload.images.check import sniff_kind
from jitload.loader.registry import load_artifact, load_module_from_bytes, registered_kinds
from jitload.loader.specs import BUILT_IN
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    import os

    from jitload.loader.module import Module

__tracebackhide__ = is_mistake

#: The suffix that `Artifact.save` files usually have.
ENTRY_SUFFIX = "jle"


@short_errors
def load_module(path: str | os.PathLike[str]) -> Module:
    """Load the module in a file.

    A suffix that names a kind decides (".ptx", ".cubin", ".fatbin", ".ltoir", or a kind that has a loader of its own);
    ".jle" is an artifact that `Artifact.save` wrote, with its names and parameter layouts. Where the suffix says
    nothing, the first bytes of the file do.

    Args:
        path: the file.

    Returns:
        The module.

    Raises:
        OSError: the file cannot be read.
        LoadError: neither suffix nor content shows a kind, or the image cannot be loaded here.
        ArtifactError: a saved artifact that is damaged.
        Exception: whatever the kind's loader raises comes through as it is.
    """
    file_name = given_path("path", path)
    with open_regular(file_name) as file:
        data = file.read(MAX_ENTRY_BYTES + 1)
    if len(data) > MAX_ENTRY_BYTES:
        raise LoadError(f"{file_name} is longer than {MAX_ENTRY_BYTES} bytes: no image of a module is")
    suffix = _suffix(file_name)
    kind = _kind_of_suffix(suffix)
    if kind is None and (suffix.lower() == ENTRY_SUFFIX or data.startswith(MAGIC)):
        return load_artifact(Artifact.open(file_name))
    kind = kind or sniff_kind(data) or ("library_bin" if _counts_itself(data) else None)
    if kind is None:
        raise LoadError(
            f"{file_name}: neither its suffix {suffix!r} nor its content ({data[:8]!r}...) shows a kind. Known are the "
            f"suffixes {', '.join(registered_kinds())} and {ENTRY_SUFFIX}, and the contents of PTX, cubin, fatbin, "
            "LTO-IR, whole modules and saved artifacts. For another kind: jitload.load_module_from_bytes(kind, data)"
        )
    return load_module_from_bytes(kind, data)


def _counts_itself(data: bytes) -> bool:
    """Whether the first eight bytes are the number of those that follow, as in a whole module."""
    return len(data) > 8 and int.from_bytes(data[:8], "little") == len(data) - 8


def _suffix(file_name: str) -> str:
    return file_name.rpartition("/")[2].rpartition(".")[2] if "." in file_name.rpartition("/")[2] else ""


def _kind_of_suffix(suffix: str) -> str | None:
    """The kind of that name, if it has a loader; the names of the built-in kinds in any case."""
    if suffix.lower() in BUILT_IN:
        return suffix.lower()
    return suffix if suffix in registered_kinds() else None
