"""A plan, by custom `precompile.toml` beside the sources: which of them to compile ahead, how, and for what.

    archs = ["sm_80", "sm_90", "compute_90"]
    kinds = ["cubin", "ptx"]             # optional: see targets.py

    [[program]]
    sources = ["*.cu"]                   # files and globs, from the directory of this file
    exclude = ["reduce.cu"]

    [[program]]
    sources = ["reduce.cu"]
    names = ["reduce<float, 256>"]       # C++ name expressions
    defines = { UNROLL = 4, DEBUG = true }
    options = ["-lineinfo"]
    include_dirs = ["../include"]

`archs`, `kinds`, `defines`, `options` and `include_dirs` may stand at the top, for all programs, or in a program, in
place of those at the top. The reader is strict: a key that nobody reads would be a kernel that is not what was meant.
"""

from __future__ import annotations

import io
import sys
from difflib import get_close_matches
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.errors import UsageValueError
from jitload.files.regular import open_regular
from jitload.frozen import Value
from jitload.given import given_path
from jitload.source.request import CompileRequest
from jitload.source.targets import image_targets, parse_archs, parse_kinds
from jitload.target import wanted_options

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from typing import TypedDict

    from jitload.format.json import Json, JsonObject
    from jitload.source.fields import Wishes
    from jitload.values import Kind

    class Fields(TypedDict, total=False):
        """What a plan says of a source, checked."""

        archs: list[str]
        defines: dict[str, object]
        include_dirs: list[Path]
        kinds: list[str]
        names: list[str]
        options: list[str]


#: What a plan is called where none is named, and by what it is told from a source.
DEFAULT_PLAN = "precompile.toml"
PLAN_SUFFIX = ".toml"
_SHARED = ("archs", "defines", "include_dirs", "kinds", "options")
_TOP = (*_SHARED, "program")
_PROGRAM = (*_SHARED, "exclude", "names", "sources")


class Plan(Value):
    """The programs of a plan.

    Attributes:
        path: the file.
        programs: for each source file its fields, those at the top filled in.
    """

    __slots__ = ("path", "programs")
    path: str
    programs: tuple[tuple[Path, Fields], ...]

    def __init__(self, path: str, programs: Iterable[tuple[Path, Fields]]) -> None:
        self._set(path=path, programs=tuple(programs))

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Plan:
        """Read a plan, and find its sources.

        Raises:
            OSError: it cannot be read.
            UsageValueError: it is not TOML, has a key that does not exist or a value that does not fit, or a source is
                not there; the text says where.
        """
        file = Path(given_path("path", path))
        try:
            with io.TextIOWrapper(open_regular(file), "utf-8-sig") as text:
                table = tomllib.loads(text.read())
            _check_keys("at the top", table, _TOP)
            defaults = {name: _checked("at the top", name, table[name]) for name in _SHARED if name in table}
            rows = table.get("program", [])
            if not isinstance(rows, list) or not rows:
                raise UsageValueError("it names no program: write [[program]], and sources = [...] below it")
            found = []
            for number, row in enumerate(rows, 1):
                found += _sources(file.parent, f"in [[program]] {number}", row, defaults)
        except ValueError as error:  # of TOML and of UTF-8 as well
            raise UsageValueError(f"{path}: {error}") from None
        return Plan(str(path), found)

    def requests(
        self, archs: Iterable[str] | None = None, kinds: Iterable[str | Kind] | None = None
    ) -> list[CompileRequest]:
        """One request for each image.

        Args:
            archs: in place of those of the plan.
            kinds: in place of those of the plan.

        Raises:
            OSError: a source cannot be read.
            UsageValueError: there are no archs, or a program that cannot be compiled so.
        """
        requests = []
        for source, fields in self.programs:
            names = parse_archs(archs if archs is not None else fields.get("archs", ()))
            if not names:
                raise UsageValueError(
                    f"{self.path}: no archs for {source.name}: add e.g. archs = ['sm_90'], or say --arch"
                )
            try:
                targets = image_targets(names, kinds if kinds is not None else fields.get("kinds", ()))
                wishes = wishes_of(fields)
                wishes["options"] = wanted_options(wishes.get("options", ()))
                requests += [CompileRequest(source, kind=kind, arch=group, **wishes) for kind, group in targets]
            except ValueError as error:
                raise UsageValueError(f"{self.path}: {source.name}: {error}") from None
        return requests


def _sources(directory: Path, where: str, row: Json, defaults: JsonObject) -> list[tuple[Path, Fields]]:
    """The sources of one [[program]], each with its fields."""
    if not isinstance(row, dict):
        raise UsageValueError(f"program is a table, got {row!r}: write [[program]] on a line of its own")
    _check_keys(where, row, _PROGRAM)
    fields: JsonObject = {**defaults, **{name: _checked(where, name, value) for name, value in row.items()}}
    patterns, excluded = fields.pop("sources", []), fields.pop("exclude", [])
    if not patterns:
        raise UsageValueError(f"no sources {where}: write e.g. sources = ['*.cu']")
    fields["include_dirs"] = [directory / item for item in fields.get("include_dirs", ())]
    without = {name for pattern in excluded for name in _matches(directory, where, pattern)}
    names = [name for pattern in patterns for name in _matches(directory, where, pattern) if name not in without]
    if not names:
        raise UsageValueError(f"'exclude' {where} leaves none of its sources: take the table out, or exclude less")
    checked: Json = fields
    return [(directory / name, checked) for name in dict.fromkeys(names)]


def wishes_of(fields: Fields) -> Wishes:
    """What a plan says of how a source is compiled, without what it is compiled for."""
    return {
        "defines": fields.get("defines"),
        "include_dirs": fields.get("include_dirs", ()),
        "names": fields.get("names", ()),
        "options": fields.get("options", ()),
    }


def _matches(directory: Path, where: str, pattern: str) -> list[str]:
    """The files of a pattern, from the directory of the plan, sorted."""
    names = sorted(glob(pattern, root_dir=directory, recursive=True)) if has_magic(pattern) else [pattern]
    files = [name for name in names if (directory / name).is_file()]
    if not files:
        raise UsageValueError(f"{pattern!r} {where}: no such file in {directory.resolve()}")
    return files


def _check_keys(where: str, table: JsonObject, known: tuple[str, ...]) -> None:
    for name in table:
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            meant = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of {', '.join(sorted(known))}"
            raise UsageValueError(f"unknown key {name!r} {where}: {meant}")


def _checked(where: str, name: str, value: Json) -> Json:
    """A value of a key, when it is of the type that the key has."""
    if name == "defines":
        plain = isinstance(value, dict) and all(isinstance(item, (str, int, float)) for item in value.values())
        if not plain:
            raise UsageValueError(f"{name!r} {where} is a table of text, numbers and true, got {value!r}")
    elif not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        hint = f": write [{value!r}]" if isinstance(value, str) else ""
        raise UsageValueError(f"{name!r} {where} is a list of text, got {value!r}{hint}")
    try:
        {"archs": parse_archs, "kinds": parse_kinds}.get(name, list)(value)
    except ValueError as error:
        raise UsageValueError(f"{name!r} {where}: {error}") from None
    return value
