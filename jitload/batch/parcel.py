r"""What goes to a worker of a farm and what comes back: bytes, of which every one is checked and none is code.

parcel  := header "\n" workload          the workload as in a file: sources and headers by content
header  := canonical JSON {"compilers": [[name, version, hex]...], "jitload": version, "policy": text,
           "requests": [hex...]}         digests of what is wanted of the workload, in this order
reply   := header "\n" entry*            the entries in the order of the rows
header  := canonical JSON {"jitload": version, "refused": text, "rows": [[hex, outcome, text, entry bytes]...],
           "worker": hex}
outcome := "compiled" | "failed" (by what the source says) | "died" (the compiler, and the text says of what)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jitload import __version__
from jitload.errors import ArtifactError, BundleError
from jitload.format.entry import MAX_ENTRY_BYTES
from jitload.format.json import canonical_json, decode_json, list_of, object_of
from jitload.frozen import Value
from jitload.values import Toolchain
from jitload.workloads.workload import Workload, decode_workload

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What a worker can say of a request.
OUTCOMES = COMPILED, FAILED, DIED = "compiled", "failed", "died"
_MAX_HEADER_BYTES = 64 << 20
_MAX_MARKS = 1 << 20


class Parcel(Value):
    """Requests for a worker.

    Attributes:
        compilers: the compilers that the worker must have: NVRTC, and for fatbins NVRTC with nvFatbin.
        policy: the compile policy of whoever asks.
        requests: the digests of the requests.
        workload: what they are made of.
        version: the jitload of whoever asks.
    """

    __slots__ = ("compilers", "policy", "requests", "version", "workload")
    compilers: tuple[Toolchain, ...]
    policy: str
    requests: tuple[str, ...]
    version: str
    workload: Workload

    def __init__(
        self,
        workload: Workload,
        requests: Iterable[str],
        compilers: Iterable[Toolchain],
        policy: str,
        version: str = __version__,
    ) -> None:
        self._set(
            compilers=tuple(compilers),
            policy=policy,
            requests=tuple(requests),
            version=version,
            workload=workload,
        )

    def encode(self) -> bytes:
        """The bytes."""
        header = {
            "compilers": [[one.name, one.version, one.digest] for one in self.compilers],
            "jitload": self.version,
            "policy": self.policy,
            "requests": self.requests,
        }
        return canonical_json(header) + b"\n" + self.workload.encode()


class Row(Value):
    """What became of a request at a worker.

    Attributes:
        request: its digest.
        outcome: one of `OUTCOMES`.
        text: why it failed, or "".
        entry: the artifact in the entry format, or b"".
    """

    __slots__ = ("entry", "outcome", "request", "text")
    request: str
    outcome: str
    text: str
    entry: bytes

    def __init__(self, request: str, outcome: str, text: str = "", entry: bytes = b"") -> None:
        self._set(request=request, outcome=outcome, text=text, entry=entry)


class Reply(Value):
    """What a worker answers.

    Attributes:
        worker: 32 hex digits that the process of the worker goes by.
        refused: why it does nothing, or "".
        rows: a row for each request.
    """

    __slots__ = ("refused", "rows", "worker")
    worker: str
    refused: str
    rows: tuple[Row, ...]

    def __init__(self, worker: str, rows: Iterable[Row] = (), refused: str = "") -> None:
        self._set(refused=refused, rows=tuple(rows), worker=worker)

    def encode(self) -> bytes:
        """The bytes."""
        rows = [[row.request, row.outcome, row.text, len(row.entry)] for row in self.rows]
        header = {"jitload": __version__, "refused": self.refused, "rows": rows, "worker": self.worker}
        return b"".join([canonical_json(header), b"\n", *(row.entry for row in self.rows)])


def decode_parcel(data: bytes) -> Parcel:
    """The parcel in some bytes.

    Raises:
        ArtifactError: they are something else.
    """
    header, _, workload = data.partition(b"\n")
    try:
        fields = object_of(_decoded(header), ("compilers", "jitload", "policy", "requests"))
        return Parcel(
            decode_workload(workload),
            list_of(fields["requests"], str),
            [Toolchain(*list_of(row, str, 3)) for row in list_of(fields["compilers"], list)],
            _text(fields["policy"]),
            _text(fields["jitload"]),
        )
    except (ValueError, BundleError) as error:
        raise ArtifactError(f"not a parcel of a farm: {error}") from None


def decode_reply(data: object) -> Reply:
    """The reply in what came from a worker.

    Raises:
        ArtifactError: it is something else.
    """
    if type(data) is not bytes:
        raise ArtifactError(f"not a reply of a farm: {type(data).__name__}")
    header, _, entries = data.partition(b"\n")
    try:
        fields = object_of(_decoded(header), ("jitload", "refused", "rows", "worker"))
        rows, at = [], 0
        for digest, outcome, text, size in list_of(fields["rows"], list):
            if type(size) is not int or not 0 <= size <= min(MAX_ENTRY_BYTES, len(entries) - at):
                raise ValueError(f"an entry of {size!r:.40} bytes, and {len(entries) - at} are left")
            if outcome not in OUTCOMES or (outcome == COMPILED) != bool(size):
                raise ValueError(f"outcome {outcome!r:.40} with {size} bytes")
            rows.append(Row(_text(digest), outcome, _text(text), entries[at : at + size]))
            at += size
        if at != len(entries):
            raise ValueError(f"{len(entries) - at} bytes after the entries")
        return Reply(_text(fields["worker"]), rows, _text(fields["refused"]))
    except ValueError as error:
        raise ArtifactError(f"not a reply of a farm: {error}") from None


def _decoded(header: bytes) -> Any:
    return decode_json(header, max_bytes=_MAX_HEADER_BYTES, max_marks=_MAX_MARKS)


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError(f"expected text, got {value!r:.40}")
    return value
