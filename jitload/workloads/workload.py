r"""Workloads: what an application asks for, as text that can be merged, compared and compiled elsewhere.

    workload := line*                one JSON object each; first the version, then sorted; canonical JSON in ASCII
    line     := {"jitload workload": 1}
              | {"sha256": hex, "text": text}                  a source or header, once, bytes that are no UTF-8 escaped
              | {"absent": [[root, path]...], "defines": [[name, value]...], "files": [[root, path, sha256]...],
                 "headers": [[name, sha256]...], "name": text, "names": [text...], "options": [text...],
                 "source": sha256, "targets": [[kind, arch, how]...], "undefines": [text...]}
                 and, where there are any, "aliases": [[root, path, root, path]...], as workloads/aliases.py has them,
                 and for a link "inputs": [[type, name, sha256 of LinkInput.to_text]...], with an empty source
                 and "host_headers": false where the request does without the standard headers of jitload
    root     := "source" | "include/N"     where a header was found, as in headers/record.py; never a path
    how      := "chosen" (by the application, kind and arch) | "kind" (the kind alone) | "device" (neither)

Headers of the CUDA toolkit are not in it: they come from where it is compiled. Two files are merged by putting their
lines together, so a file to which several processes have appended is a workload too.
"""

from __future__ import annotations

import io
import json
import os
import re
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from jitload.digest import sha256_hex
from jitload.errors import BundleError, UsageValueError
from jitload.files.regular import open_regular
from jitload.format.json import decode_json, object_of
from jitload.given import given_path
from jitload.source.link import LinkInput, LinkRequest
from jitload.source.request import CompileRequest
from jitload.source.targets import fitting_targets, image_targets, parse_archs, parse_kinds
from jitload.workloads.program import (
    BY_DEVICE,
    BY_KIND,
    CHOSEN,
    MAX_WORKLOAD_BYTES,
    Program,
    encode_line,
    path_depth,
    program_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["BY_DEVICE", "BY_KIND", "CHOSEN", "Program", "Workload", "encode_line", "planned_requests", "targets_for"]

FIRST_LINE = encode_line({"jitload workload": 1})
#: A source or header of that size is a mistake (`source/request.py`), and no program has as many headers.
MAX_LINE_BYTES = 64 << 20
#: Lines together, and programs that differ: for any application, in some 200 MiB of memory.
MAX_LINES, MAX_PROGRAMS = 1 << 19, 1 << 17
_MAX_MARKS = 1 << 20
# A text as it is always written. Read as a text and nothing else, it can hold as many brackets as it likes.
_TEXT = re.compile(rb'\{"sha256":"([0-9a-f]{64})","text":"')


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
        """Read a file by its `path`.

        Raises:
            BundleError: it is not a workload, or is damaged.
            OSError: it cannot be read.
        """
        name = given_path("path", path)
        try:
            with open_regular(name) as file:
                if os.fstat(file.fileno()).st_size > MAX_WORKLOAD_BYTES:
                    raise BundleError(f"not a workload: longer than {MAX_WORKLOAD_BYTES} bytes")
                return _read_lines(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""))
        except BundleError as error:
            raise BundleError(f"{name}: {error}") from None

    def merged(self, *others: Workload) -> Workload:
        """This workload and the `others` as one."""
        everything = (self, *others)
        texts = {digest: text for workload in everything for digest, text in workload.texts.items()}
        return Workload([program for workload in everything for program in workload.programs], texts)

    def encode(self) -> bytes:
        """The file: the same for the same contents, in whatever order they came."""
        lines = [encode_line({**program.row, "targets": sorted(program.targets)}) for program in self.programs]
        lines += [encode_line({"sha256": digest, "text": text}) for digest, text in self.texts.items()]
        return b"".join([FIRST_LINE, *sorted(lines)])

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
        if "inputs" in row:
            return self._unpack_link(program)
        aliases = row.get("aliases", [])
        roots = {"source": 0}
        for root, path, *_ in (*row["files"], *aliases):
            roots[root] = max(roots.get(root, 0), path_depth(root, path))
        # Deep enough that a header above its root still lies in the directory of this program.
        places = {root: os.path.join(base, root.replace("/", "-"), *["d"] * up) for root, up in roots.items()}
        for root in {root for root, *_ in (*row["files"], *aliases)}:  # where nothing lies, nothing need be there
            os.makedirs(places[root], exist_ok=True)
        try:
            for root, path, digest in row["files"]:
                with open(_entered(places[root], path), "xb") as file:
                    file.write(self.texts[digest].encode("utf-8", "surrogateescape"))
            for root, path, *target in aliases:
                os.symlink(_entered(places[target[0]], target[1]), _entered(places[root], path))
        except (FileExistsError, NotADirectoryError) as error:
            raise BundleError(f"workload with two headers in one place: {error.filename2 or error.filename}") from None
        except OSError as error:
            raise BundleError(f"cannot lay out the headers of a workload: {error}") from None
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
                host_headers=row.get("host_headers", True),
                source_dir=places["source"],
                include_dirs=[places.get(f"include/{n}", f"{base}/none-{n}") for n in range(last + 1)],
            )
        except (ValueError, TypeError) as error:
            raise BundleError(f"workload with a request that cannot be: {error}") from None

    def _unpack_link(self, program: Program) -> LinkRequest:
        row = program.row
        kind, arch, _ = min(program.targets)
        try:
            inputs = [LinkInput.from_text(what, name, self.texts[digest]) for what, name, digest in row["inputs"]]
            return LinkRequest(inputs, kind=kind, arch=arch, options=row["options"], name=row["name"])
        except (ValueError, TypeError) as error:
            raise BundleError(f"workload with a link that cannot be: {error}") from None


def targets_for(how: str, kind: str, arch: str, archs: Iterable[str], kinds: Iterable[str]) -> list[tuple[str, str]]:
    """The (kind, arch) pairs to compile for one recorded target.

    Args:
        how: how the application came to it.
        kind: its kind.
        arch: its arch.
        archs: what to compile for; empty for what was recorded.
        kinds: the kinds to make, by the table of source/targets.py.
    """
    names = tuple(archs)
    if how == CHOSEN or not names:
        return [(kind, arch)]
    targets = fitting_targets(kind, names) if how == BY_KIND else image_targets(names, kinds)
    return [(made.value, ",".join(group)) for made, group in targets]


def decode_workload(data: bytes) -> Workload:
    """The workload in a file, every field of it checked.

    Raises:
        BundleError: it is something else, or damaged.
    """
    if len(data) > MAX_WORKLOAD_BYTES:
        raise BundleError(f"not a workload: longer than {MAX_WORKLOAD_BYTES} bytes")
    return _read_lines(iter(io.BytesIO(data)))


def _read_lines(lines: Iterable[bytes]) -> Workload:
    """The workload in some lines, read no further than to the first that is wrong."""
    reader, number = _Reader(), 0
    try:
        for number, line in enumerate(lines, 1):
            if number > MAX_LINES:
                raise ValueError(f"more than {MAX_LINES} lines")
            if line.strip():
                reader.take(line)
        return reader.finish()
    except (ValueError, BundleError) as error:
        raise BundleError(f"not a workload (line {number}: {error})") from None


class _Reader:
    """What the lines so far have given."""

    def __init__(self) -> None:
        self._programs: dict[str, set[tuple[str, str, str]]] = {}
        self._texts: dict[str, str] = {}
        self._needed: dict[str, str] = {}  # digest of a text -> a program that needs it
        self._begun = False

    def take(self, line: bytes) -> None:
        """One line that is not blank.

        Raises:
            ValueError, BundleError: it is none of a workload.
        """
        if not self._begun:
            if b'"jitload workload"' not in line[:64]:
                raise ValueError(f"it begins with {line[:24]!r}, expected {FIRST_LINE.decode().strip()}")
            _check_version(decode_json(line, max_bytes=4 * len(FIRST_LINE), max_marks=4))
            self._begun = True
        elif _TEXT.match(line):
            self._take_text(line)
        else:
            self._take_other(line)

    def finish(self) -> Workload:
        """The workload, of which no text is missing."""
        if not self._begun:
            raise ValueError("it is empty")
        for digest, name in self._needed.items():
            if digest not in self._texts:
                raise ValueError(f"a text of {name!r:.80} is missing")
        return Workload([Program(fields, targets) for fields, targets in self._programs.items()], self._texts)

    def _take_text(self, line: bytes) -> None:
        digest, text = _decode_text(line)
        self._texts[digest] = text

    def _take_other(self, line: bytes) -> None:
        """A program, or what is spelled in another way than `encode_line`; where files were joined, a version."""
        value = decode_json(line, max_bytes=MAX_LINE_BYTES, max_marks=_MAX_MARKS)
        if isinstance(value, dict) and "jitload workload" in value:
            _check_version(value)
        elif isinstance(value, dict) and "text" in value:
            self._take_text(encode_line(object_of(value, ("sha256", "text"))))
        else:
            program = program_of(value)
            self._programs.setdefault(program.fields, set()).update(program.targets)
            if len(self._programs) > MAX_PROGRAMS:
                raise ValueError(f"more than {MAX_PROGRAMS} programs")
            listed = (*value["headers"], *value["files"], *value.get("inputs", ()))
            texts = [value["source"], *(row[-1] for row in listed)]
            self._needed.update(dict.fromkeys(texts, value["name"]))


def _check_version(value: object) -> None:
    version = object_of(value, ("jitload workload",))["jitload workload"]
    if type(version) is not int or version != 1:
        raise ValueError(f"version {version!r:.40}, this jitload reads 1")


def _decode_text(line: bytes) -> tuple[str, str]:
    """The digest and the text of a line, which match."""
    found = _TEXT.match(line)
    line = line.rstrip()
    if found is None or len(line) > MAX_LINE_BYTES or not line.endswith(b'"}'):
        raise ValueError("a text that is cut short, is longer than a source can be, or has more fields")
    # From its first quotation mark to its last: one string, or an error.
    text = json.loads(line[found.end() - 1 : -1].decode("utf-8"))
    digest = found[1].decode()
    if sha256_hex(text.encode("utf-8", "surrogateescape")) != digest:
        raise ValueError("a text that does not match its digest")
    return digest, text


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
        UsageValueError: kinds without archs, or such as do not go with them.
    """
    names, wanted = parse_archs(archs), parse_kinds(kinds)
    if wanted and not names:
        raise UsageValueError(
            "kinds are made for archs, and none is given: without, a workload is compiled as recorded"
        )
    plan: dict[CompileRequest, tuple[tuple[str, str], ...]] = {}
    for program, request in requests.items():
        for target in sorted(program.targets):
            kind, arch, how = target
            for new_kind, new_arch in targets_for(how, kind, arch, names, wanted):
                plan[request.replace(kind=new_kind, arch=new_arch.split(","))] = program.absent
    return plan
