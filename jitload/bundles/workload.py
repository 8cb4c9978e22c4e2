r"""Workloads: what an application asks for, as text that can be merged, compared and compiled elsewhere.

    workload := line*                one JSON object each; first the version, then sorted; canonical JSON in ASCII
    line     := {"jitload workload": 1}
              | {"sha256": hex, "text": text}                  a source or header, once, bytes that are no UTF-8 escaped
              | {"absent": [[root, path]...], "defines": [[name, value]...], "files": [[root, path, sha256]...],
                 "headers": [[name, sha256]...], "name": text, "names": [text...], "options": [text...],
                 "source": sha256, "targets": [[kind, arch, how]...], "undefines": [text...]}
                 and, where there are any, "aliases": [[root, path, root, path]...], as bundles/aliases.py has them
    root     := "source" | "include/N"     where a header was found, as in compiler/manifest.py; never a path
    how      := "chosen" (by the application, kind and arch) | "kind" (the kind alone) | "device" (neither)

Headers of the CUDA toolkit are not in it: they come from where it is compiled. Two files are merged by putting their
lines together, so a file to which several processes have appended is a workload too.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from jitload.artifact import Kind
from jitload.bundles.manifest import MAX_WORKLOAD_BYTES
from jitload.compiler.request import CompileRequest
from jitload.compiler.targets import fitting_targets, image_targets, parse_archs, parse_kinds
from jitload.digest import sha256_hex
from jitload.errors import BundleError
from jitload.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CHOSEN, BY_KIND, BY_DEVICE = "chosen", "kind", "device"
_VERSION_LINE = {"jitload workload": 1}
_ROOT = re.compile(r"source|include/[0-9]{1,3}\Z")
_FIELDS = ("absent", "defines", "files", "headers", "name", "names", "options", "source", "undefines")
#: How far above its root a header may lie ("../../common/x.h").
_MAX_UP = 16


class Program(Value):
    """One source with everything but kind and arch.

    Attributes:
        fields: the canonical JSON of its line, without the targets.
        targets: (kind, arch, how) of every request for it.
    """

    __slots__ = ("fields", "targets")
    fields: str
    targets: frozenset[tuple[str, str, str]]

    def __init__(self, fields: str, targets: Iterable[tuple[str, str, str]]) -> None:
        self._set(fields=fields, targets=frozenset(targets))

    @property
    def row(self) -> dict[str, Any]:
        """The fields as plain values."""
        row: dict[str, Any] = json.loads(self.fields)
        return row

    @property
    def name(self) -> str:
        """The program name."""
        return str(self.row["name"])

    @property
    def absent(self) -> tuple[tuple[str, str], ...]:
        """Where headers were looked for in vain."""
        return tuple([(root, path) for root, path in self.row["absent"]])


class Workload:
    """Programs with their targets, and the texts that they need.

    Attributes:
        programs: the programs, sorted.
        texts: SHA-256 -> text of every source and header.
    """

    def __init__(self, programs: Iterable[Program] = (), texts: Mapping[str, str] | None = None) -> None:
        merged: dict[str, set[tuple[str, str, str]]] = {}
        for program in programs:
            merged.setdefault(program.fields, set()).update(program.targets)
        self.programs = tuple([Program(fields, merged[fields]) for fields in sorted(merged)])
        self.texts = dict(texts or {})

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Workload:
        """Read a file.

        Raises:
            BundleError: it is not a workload, or is damaged.
            OSError: it cannot be read.
        """
        with open(path, "rb") as file:
            data = file.read(MAX_WORKLOAD_BYTES + 1)
        try:
            return decode_workload(data)
        except BundleError as error:
            raise BundleError(f"{os.fspath(path)}: {error}") from None

    def merged(self, *others: Workload) -> Workload:
        """This workload and others as one."""
        everything = (self, *others)
        texts = {digest: text for workload in everything for digest, text in workload.texts.items()}
        return Workload([program for workload in everything for program in workload.programs], texts)

    def encode(self) -> bytes:
        """The file: the same for the same contents, in whatever order they came."""
        lines = [encode_line({**program.row, "targets": sorted(program.targets)}) for program in self.programs]
        lines += [encode_line({"sha256": digest, "text": text}) for digest, text in self.texts.items()]
        return b"".join([encode_line(_VERSION_LINE), *sorted(lines)])

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the file."""
        return sha256_hex(self.encode())

    @contextmanager
    def unpacked(self) -> Iterator[dict[Program, CompileRequest]]:
        """A request for each program, for the first of its targets, with the headers in a directory for the time being.

        `CompileRequest.replace` makes the requests for other targets of it.

        Raises:
            BundleError: a path that leads elsewhere, or a request that cannot be.
        """
        with TemporaryDirectory(prefix="jitload-workload-") as base:
            found = {}
            for number, program in enumerate(self.programs):
                found[program] = self._unpack(program, f"{base}/{number}")
            yield found

    def _unpack(self, program: Program, base: str) -> CompileRequest:
        row = program.row
        aliases = row.get("aliases", [])
        roots = {"source": 0}
        for root, path, *_ in (*row["files"], *aliases):
            roots[root] = max(roots.get(root, 0), _check_path(root, path))
        # Deep enough that a header above its root still lies in the directory of this program.
        places = {root: os.path.join(base, root.replace("/", "-"), *["d"] * up) for root, up in roots.items()}
        for place in places.values():
            os.makedirs(place, exist_ok=True)
        try:
            for root, path, digest in row["files"]:
                with open(_entered(places[root], path), "xb") as file:
                    file.write(self.texts[digest].encode("utf-8", "surrogateescape"))
            for root, path, *target in aliases:
                os.symlink(_entered(places[target[0]], target[1]), _entered(places[root], path))
        except (FileExistsError, NotADirectoryError) as error:
            raise BundleError(f"workload with two headers in one place: {error.filename2 or error.filename}") from None
        last = max([int(root.partition("/")[2]) for root in roots if root != "source"], default=-1)
        kind, arch, _ = min(program.targets)
        try:
            return CompileRequest(
                self.texts[row["source"]],
                kind=kind,
                arch=arch,
                name=row["name"],
                options=(*row["options"], *(f"--undefine-macro={name}" for name in row["undefines"])),
                defines=dict(row["defines"]),
                names=row["names"],
                headers={name: self.texts[digest] for name, digest in row["headers"]},
                source_dir=places["source"],
                include_dirs=[places.get(f"include/{n}", f"{base}/none-{n}") for n in range(last + 1)],
            )
        except (ValueError, TypeError) as error:
            raise BundleError(f"workload with a request that cannot be: {error}") from None


def targets_for(how: str, kind: str, arch: str, archs: Iterable[str], kinds: Iterable[str]) -> list[tuple[str, str]]:
    """The (kind, arch) pairs to compile for one recorded target.

    Args:
        how: how the application came to it.
        kind: its kind.
        arch: its arch.
        archs: what to compile for; empty for what was recorded.
        kinds: the kinds to make, by the table of compiler/targets.py.
    """
    names = tuple(archs)
    if how == CHOSEN or not names:
        return [(kind, arch)]
    targets = fitting_targets(kind, names) if how == BY_KIND else image_targets(names, kinds)
    return [(made.value, ",".join(group)) for made, group in targets]


def encode_line(value: object) -> bytes:
    """One line of a workload."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def decode_workload(data: bytes) -> Workload:
    """The workload in a file, every field of it checked.

    Raises:
        BundleError: it is something else, or damaged.
    """
    programs: list[Program] = []
    texts: dict[str, str] = {}
    versions = 0
    try:
        for line in data.splitlines():
            if not line.strip():
                continue
            value = json.loads(line)
            if "jitload workload" in value:
                versions += 1
                if value != _VERSION_LINE:
                    raise ValueError(f"version {value['jitload workload']!r}, this jitload reads 1")
            elif "text" in value:
                if sha256_hex(value["text"].encode("utf-8", "surrogateescape")) != value["sha256"]:
                    raise ValueError("a text that does not match its digest")
                texts[value["sha256"]] = value["text"]
            else:
                programs.append(_checked_program(value))
        if not versions:
            raise ValueError("its first line is missing")
        for program in programs:
            row = program.row
            digests = [row["source"], *(d for _, d in row["headers"]), *(d for _, _, d in row["files"])]
            if not texts.keys() >= set(digests):
                raise ValueError(f"a text of {row['name']!r} is missing")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BundleError(f"not a workload ({type(error).__name__}: {error})") from None
    return Workload(programs, texts)


def _checked_program(value: dict[str, Any]) -> Program:
    targets = {(kind, arch, how) for kind, arch, how in value["targets"]}
    for kind, arch, how in targets:
        if not isinstance(arch, str) or how not in {CHOSEN, BY_KIND, BY_DEVICE} or Kind(kind) != kind:
            raise ValueError(f"target {kind!r}, {arch!r}, {how!r}")
    row = {name: value[name] for name in _FIELDS}
    if value.get("aliases"):
        row["aliases"] = value["aliases"]
        _check_aliases(row)
    texts = [row["name"], row["source"], *row["names"], *row["options"], *row["undefines"]]
    texts += [text for pair in (*row["absent"], *row["headers"]) for text in pair]
    texts += [text for triple in row["files"] for text in triple]
    texts += [name for name, _ in row["defines"]]
    texts += [text for _, text in row["defines"] if text is not None]
    if not targets or not all(isinstance(text, str) for text in texts):
        raise TypeError("a field of another type")
    for root, path, _ in row["files"]:
        _check_path(root, path)
    for root, path in row["absent"]:
        if not _ROOT.match(root) or path.startswith("/") or "\0" in path:
            raise ValueError(f"a place {root!r}, {path!r}")
    return Program(encode_line(row).decode().rstrip(), targets)


def _check_aliases(row: dict[str, Any]) -> None:
    """Nothing when each alias is a place of its own that leads to a file of the row, so that none leads out."""
    files = {(root, path) for root, path, _ in row["files"]}
    aliases = [(root, path) for root, path, _, _ in row["aliases"]]
    for root, path in aliases:
        _check_path(root, path)
    if len({*aliases, *files}) != len(aliases) + len(files):
        raise ValueError("an alias in the place of a file")
    if not files.issuperset((root, path) for _, _, root, path in row["aliases"]):
        raise ValueError("an alias of a file that is not there")


def _check_path(root: str, path: str) -> int:
    """How many levels above its root the way to a header leads at most.

    Raises:
        BundleError: it could lead out of the directory that it is unpacked into.
    """
    parts = path.split("/")
    depth = lowest = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        lowest = min(lowest, depth)
    if not _ROOT.match(root) or lowest < -_MAX_UP or {"", "."} & {*parts} or parts[-1] == ".." or "\0" in path:
        raise BundleError(f"workload with a header at {root!r}, {path!r}: expected a path below its root")
    return -lowest


def _entered(place: str, path: str) -> str:
    """Where a header lies, with every directory on its way made: "deep/../x.h" is found only where there is a deep/."""
    *way, name = path.split("/")
    for part in way:
        place = os.path.dirname(place) if part == ".." else os.path.join(place, part)
        os.makedirs(place, exist_ok=True)
    return os.path.join(place, name)


def planned_requests(
    requests: Mapping[Program, CompileRequest], archs: Iterable[str] = (), kinds: Iterable[str] = ()
) -> dict[CompileRequest, tuple[tuple[str, str], ...]]:
    """Every request to compile for what `Workload.unpacked` gave, with where its program looked for headers in vain.

    Args:
        requests: program -> request.
        archs: what to compile for, where the application left it to the device; empty for what was recorded.
        kinds: the kinds to make, where it left those open; see `targets_for`.

    Raises:
        ValueError: kinds without archs, or such as do not go with them.
    """
    names, wanted = parse_archs(archs), parse_kinds(kinds)
    if wanted and not names:
        raise ValueError("kinds are made for archs, and none is given: without, a workload is compiled as recorded")
    plan: dict[CompileRequest, tuple[tuple[str, str], ...]] = {}
    for program, request in requests.items():
        for target in sorted(program.targets):
            kind, arch, how = target
            for new_kind, new_arch in targets_for(how, kind, arch, names, wanted):
                plan[request.replace(kind=new_kind, arch=new_arch.split(","))] = program.absent
    return plan
