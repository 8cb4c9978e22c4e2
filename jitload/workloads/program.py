"""One program of a workload, and what may stand in its line (workload.py has the grammar).

What comes from a file is checked here to the letter: that nothing is there twice or of another type, that no name is
one that a file system would refuse or that leads elsewhere, and that a request can be made of it at all.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from jitload.errors import BundleError
from jitload.format.json import all_different, list_of, object_of
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.source.arch import normalize_archs
from jitload.source.request import CompileRequest
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypedDict

    from jitload.format.json import JsonObject
    from jitload.source import link as links

    class ProgramRow(TypedDict, total=False):
        """The line of a program, checked: digests stand for texts, [root, path] for places."""

        name: str
        source: str
        options: list[str]
        undefines: list[str]
        names: list[str]
        defines: list[tuple[str, str | None]]
        headers: list[tuple[str, str]]
        absent: list[tuple[str, str]]
        files: list[tuple[str, str, str]]
        aliases: list[tuple[str, str, str, str]]
        inputs: list[tuple[str, str, str]]
        host_headers: bool

else:
    links = lazy("jitload.source.link")  # most workloads have none

CHOSEN, BY_KIND, BY_DEVICE = "chosen", "kind", "device"
MAX_WORKLOAD_BYTES = 1 << 30
FIELDS = ("absent", "defines", "files", "headers", "name", "names", "options", "source", "undefines")
#: How far above its root a header may lie ("../../common/x.h").
MAX_UP = 16
#: Beyond what compilers meet, and with room for the directory of the time being below what a system takes for a path.
MAX_DEPTH, MAX_PATH_BYTES, MAX_COMPONENT_BYTES = 128, 2048, 255

_ROOT = re.compile(r"source|include/[0-9]{1,3}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MACRO = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_KINDS = frozenset(kind.value for kind in Kind)


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
    def row(self) -> ProgramRow:
        """The fields as plain values."""
        row: ProgramRow = json.loads(self.fields)
        return row

    @property
    def name(self) -> str:
        """The program name."""
        return str(self.row["name"])

    @property
    def absent(self) -> tuple[tuple[str, str], ...]:
        """Where headers were looked for in vain."""
        return tuple([(root, path) for root, path in self.row["absent"]])


def encode_line(value: object) -> bytes:
    """One line of a workload."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def program_of(value: object) -> Program:
    """The program in a line.

    Raises:
        ValueError: something in it is missing, twice, of another type, or cannot be.
        BundleError: a header would lie elsewhere than below its root.
    """
    row = dict(object_of(value, ("targets", *FIELDS), ("aliases", "inputs", "host_headers")))
    targets = [
        (kind, arch, how)
        for kind, arch, how in (list_of(target, str, 3) for target in list_of(row.pop("targets"), list))
    ]
    if not targets:
        raise ValueError("a program without a target")
    all_different(targets, "a target")
    for kind, arch, how in targets:
        _check_target(kind, arch, how)
    if not list_of(row.get("aliases", []), list):
        row.pop("aliases", None)  # as it is written where there are none
    if not list_of(row.get("inputs", []), list):
        row.pop("inputs", None)
    if row.get("host_headers", False) is not False:
        raise ValueError(f"host_headers is false where it stands, got {row['host_headers']!r:.40}")
    _check_texts(row)
    _check_places(row)
    if "inputs" in row:
        _check_link(row, *targets[0][:2])
    else:
        _check_request(row, *targets[0][:2])
    return Program(encode_line(row).decode().rstrip(), targets)


def path_depth(root: str, path: str) -> int:
    """How many levels above its root the way to a header leads at most.

    Raises:
        BundleError: it could lead out of the directory that it is unpacked into, or no file system has such a name.
    """
    parts = path.split("/")
    depth = lowest = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        lowest = min(lowest, depth)
    # Names need not be UTF-8, and are then as Python has them; what has no bytes at all cannot be one.
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in parts] if _is_encodable(path) else [1 << 30]
    fits = len(parts) <= MAX_DEPTH and max(sizes) <= MAX_COMPONENT_BYTES and sum(sizes) + len(sizes) <= MAX_PATH_BYTES
    leads_elsewhere = lowest < -MAX_UP or {"", "."} & {*parts} or parts[-1] == ".." or "\0" in path
    if not fits or leads_elsewhere or not _ROOT.fullmatch(root):
        raise BundleError(f"a header at {root!r:.80}, {path!r:.200}: expected a path below its root")
    return -lowest


@lru_cache(maxsize=1024)
def _check_target(kind: str, arch: str, how: str) -> None:
    if how not in {CHOSEN, BY_KIND, BY_DEVICE} or kind not in _KINDS:
        raise ValueError(f"target {kind!r:.40}, {arch!r:.40}, {how!r:.40}")
    normalize_archs(Kind(kind), arch)


def _check_texts(row: JsonObject) -> None:
    """Types, what has no bytes, and what is there twice; what the texts mean, `_check_request` finds out."""
    texts = [row["name"], row["source"]]
    for field in ("names", "options", "undefines"):
        texts += list_of(row[field], str)
    pairs = {field: list_of(row[field], list) for field in ("absent", "headers", "defines", "files")}
    for pair in (*pairs["absent"], *pairs["headers"]):
        texts += list_of(pair, str, 2)
    for triple in (*pairs["files"], *row.get("inputs", ())):
        texts += list_of(triple, str, 3)
    for define in pairs["defines"]:
        if type(define) is not list or len(define) != 2:
            raise ValueError(f"expected a macro and its text, got {define!r:.80}")
        texts += define if define[1] is not None else define[:1]
    for text in texts:
        if type(text) is not str or not _is_encodable(text):
            raise ValueError(f"expected text, got {text!r:.80}")
    for digest in (row["source"], *(digest for _, digest in row["headers"]), *(digest for *_, digest in _listed(row))):
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"expected a SHA-256, got {digest!r:.80}")
    for field in ("names", "undefines"):
        all_different(row[field], f"in {field}")
    for field in ("headers", "defines"):
        all_different((name for name, _ in row[field]), f"in {field}")
    all_different(map(tuple, row["absent"]), "in absent")


def _check_places(row: JsonObject) -> None:
    """Paths that lead out, and aliases of what is not there."""
    files = {(root, path) for root, path, _ in row["files"]}
    aliases = [list_of(alias, str, 4) for alias in row.get("aliases", [])]
    places = [(root, path) for root, path, *_ in (*row["files"], *aliases)]
    for root, path in places:
        path_depth(root, path)
    all_different(places, "a header")
    if not files.issuperset((root, path) for _, _, root, path in aliases):
        raise ValueError("an alias of a file that is not there")
    for root, path in row["absent"]:
        # Nothing is ever written there, so no more is asked of it than that one can look.
        if not _ROOT.fullmatch(root) or path.startswith("/") or "\0" in path or not 0 < len(path) < 2 * MAX_PATH_BYTES:
            raise ValueError(f"a place {root!r:.80}, {path!r:.200}")


def _check_request(row: JsonObject, kind: str, arch: str) -> None:
    """Make the request once, without its texts: whatever cannot be compiled, or reads or writes a file, is refused."""
    for name in row["undefines"]:
        if not _MACRO.fullmatch(name):
            raise ValueError(f"{name!r:.80} cannot be undefined as a macro")
    for option in row["options"]:
        # What NVRTC would read or write is refused by `CompileRequest`; this is what might be passed on to other tools.
        name, _, value = option.partition("=")
        elsewhere = "/" in value and (name != "--pre-include" or value.startswith("/"))
        is_file_option = "optf" in option or "options-file" in option or name.lstrip("-").startswith("keep")
        if elsewhere or is_file_option or "/" in name or not option.isprintable():
            raise ValueError(f"option {option!r:.80}: a workload has none that name files")
    try:
        made = CompileRequest(
            "",
            kind=kind,
            arch=arch,
            name=row["name"],
            options=row["options"],
            defines=dict(row["defines"]),
            names=row["names"],
            headers={name: "" for name, _ in row["headers"]},
            host_headers=row.get("host_headers", True),
        )
    except TypeError as error:
        raise ValueError(str(error)) from None
    if made.name != row["name"]:
        raise ValueError(f"program name {row['name']!r:.80} with a directory in it")
    if made.include_dirs or made.undefines or made.defines != tuple(sorted(map(tuple, row["defines"]))):
        raise ValueError(f"options {row['options']!r:.200}: directories and macros do not stand there")


def _listed(row: JsonObject) -> list[list[str]]:
    """What is listed with its digest behind it."""
    return [*row["files"], *row.get("inputs", ())]


def _check_link(row: JsonObject, kind: str, arch: str) -> None:
    """Make the request of a link once, without its inputs."""
    if any(row[field] for field in ("absent", "defines", "files", "headers", "undefines")):
        raise ValueError("a link with headers or macros")
    if any(what not in links.INPUT_TYPES for what, *_ in row["inputs"]):
        raise ValueError(f"an input of a link of another type than {', '.join(links.INPUT_TYPES)}")
    inputs = [links.LinkInput(what, b"", name) for what, name, _ in row["inputs"]]
    made = links.LinkRequest(inputs, kind=kind, arch=arch, options=row["options"], name=row["name"])
    made.check()
    if made.options != tuple(row["options"]) or made.name != row["name"]:
        raise ValueError(f"a link {row['name']!r:.80} with options {row['options']!r:.200}")


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
