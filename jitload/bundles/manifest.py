"""The manifest of a bundle: what it holds, in canonical JSON, every field of it checked.

    archs, kinds, licences   lists of text, nothing twice
    targets                  [[kind, arch], ...] of the artifacts; several archs of a fatbin are joined by ","
    toolchains               [[name, version, digest], ...]
    requests                 the number of rows of the index
    builder                  who built it, text
    workload                 SHA-256 (hex) of the workload that it was made from, or ""
    workload_bytes           its size, where the bundle carries it
    name, serial             what the bundle is called, and a number that grows from one issue to the next; a trust file
                             can demand a serial (trust.py). Not there where they are "" and 0
    programs                 the names of its programs, which tell one that is not there from one that is there, but not
                             as it is asked for; not there where they are too many, and in what earlier writers made

A field that is not known here is left alone: earlier readers took those that came later in the same way.
"""

from __future__ import annotations

from jitload.errors import BundleError
from jitload.format.json import all_different, canonical_json, count_of, decode_json, list_of, name_of
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.source.arch import normalize_archs
from jitload.values import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypedDict

    from typing_extensions import NotRequired

    from jitload.format.json import Json, JsonObject
    from jitload.workloads import program as workload_lines

    class Manifest(TypedDict):
        """A manifest whose fields were checked."""

        archs: list[str]
        builder: str
        kinds: list[str]
        licences: list[str]
        name: NotRequired[str]
        programs: NotRequired[list[str]]
        requests: int
        serial: NotRequired[int]
        targets: list[list[str]]
        toolchains: list[list[str]]
        workload: str
        workload_bytes: NotRequired[int]
else:
    workload_lines = lazy("jitload.workloads.program")  # most bundles have no sources


class About(Value):
    """What a manifest says besides what is in the bundle.

    Attributes:
        builder: who built it.
        licences: notes.
        name: what it is called, or "".
        serial: a number that grows from one issue to the next, or 0.
    """

    __slots__ = ("builder", "licences", "name", "serial")
    builder: str
    licences: tuple[str, ...]
    name: str
    serial: int

    def __init__(self, builder: str = "", licences: Iterable[str] = (), name: str = "", serial: int = 0) -> None:
        self._set(builder=builder, licences=tuple(licences), name=name, serial=serial)


#: A description of a bundle; it does not grow with the number of entries.
MAX_SUMMARY_BYTES = 4 << 20
MAX_PROGRAMS = 2000

#: Values, and commas in the texts of licences.
_MAX_MARKS = 1 << 18
_KINDS = frozenset(kind.value for kind in Kind)
_HEX = frozenset("0123456789abcdef")
_LISTS = ("archs", "kinds", "licences")


def decode_manifest_json(data: bytes) -> Manifest:
    """The manifest, checked.

    Raises:
        BundleError: it is not canonical JSON, or a field is missing or of another type.
    """
    try:
        value = decode_json(data, max_bytes=MAX_SUMMARY_BYTES, max_marks=_MAX_MARKS)
    except ValueError as error:
        raise BundleError(f"bundle with an unreadable manifest ({error})") from None
    manifest = check_manifest(value)
    if canonical_json(manifest) != data:
        raise BundleError("bundle whose manifest is not in canonical form")
    return manifest


def check_manifest(value: Json) -> Manifest:
    """The manifest, when its fields are what they must be.

    Raises:
        BundleError: a field is missing or of another type.
    """
    try:
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, got {type(value).__name__}")
        for field in _LISTS:
            all_different(list_of(value[field], str), f"in {field}")
        all_different(list_of(value.get("programs", []), str), "in programs")
        for field, length in (("targets", 2), ("toolchains", 3)):
            rows = [tuple(list_of(row, str, length)) for row in list_of(value[field], list)]
            all_different(rows, f"in {field}")
        for kind, arch in value["targets"]:
            _check_target(kind, arch)
        count_of(value["requests"])
        _check_texts(value)
    except KeyError as error:
        raise BundleError(f"bundle with an unreadable manifest (no field {error})") from None
    except ValueError as error:
        raise BundleError(f"bundle with an unreadable manifest ({error})") from None
    copied: Json = dict(value)
    manifest: Manifest = copied
    return manifest


def _check_texts(value: JsonObject) -> None:
    workload = value["workload"]
    if type(value["builder"]) is not str or type(workload) is not str:
        raise ValueError("builder and workload are text")
    if workload and (len(workload) != 64 or not _HEX.issuperset(workload)):
        raise ValueError(f"workload {workload!r:.80} is no SHA-256")
    if "workload_bytes" in value:
        count_of(value["workload_bytes"], 1, workload_lines.MAX_WORKLOAD_BYTES)
    if not name_of(value.get("name", "-")):
        raise ValueError("an empty name")
    count_of(value.get("serial", 1), 1)


def _check_target(kind: str, arch: str) -> None:
    if kind not in _KINDS:
        raise ValueError(f"kind {kind!r:.40}")
    if ",".join(normalize_archs(Kind(kind), arch)) != arch:
        raise ValueError(f"arch {arch!r:.80}")
