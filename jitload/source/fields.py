"""The arguments of a `CompileRequest`, as one room hands them to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from typing_extensions import Required

    from jitload.values import Kind


class SourceFields(TypedDict, total=False):
    """What is compiled, and where that stands."""

    source: Required[str | os.PathLike[str]]
    name: str
    headers: Mapping[str, str] | None
    path: str
    first_line: int
    lines: tuple[int, ...]
    escaped: bool
    source_dir: str


class Wishes(TypedDict, total=False):
    """How it is compiled, whatever for."""

    defines: Mapping[str, object] | Iterable[str] | None
    host_headers: bool
    include_dirs: Iterable[str | os.PathLike[str]]
    names: Iterable[str]
    options: str | Iterable[str]


class Written(Wishes, total=False):
    """How it is compiled, and what goes with the source, as `compile` is given it."""

    name: str | None
    headers: Mapping[str, str] | None


class Asked(Wishes, total=False):
    """How it is compiled, and what for."""

    kind: Required[str | Kind]
    arch: Required[str | Iterable[str]]
    device_options: Iterable[str]


class Changes(TypedDict, total=False):
    """What another request may have in the place of its own."""

    kind: str | Kind
    arch: str | Iterable[str]
    options: str | Iterable[str]
    defines: Mapping[str, object] | Iterable[str] | None
    names: Iterable[str]
    device_options: Iterable[str]
