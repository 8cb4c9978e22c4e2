"""What processes have counted, used and put, on its way to the index: a line each in a file beside it.

Opening the index takes longer than a whole process that has hit a kernel and ends. So what such a process has to tell
is appended to a file, and taken from there by who writes to the index anyway, or by who finds the file long. The rows
of new entries come here where the index was busy with another process when they should have been written.

    {"counts": {"hits.disk": 3}, "day": "2026-11-28", "rows": {"cd...": {...}}, "used": {"ab...": 1795822000.5}}

Nothing depends on a line: one that cannot be written, or read, is lost.
"""

from __future__ import annotations

import os
import time

from jitload.files.lock import FileLock
from jitload.format.json import canonical_json, read_canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jitload.files.directory import Directory

#: A file that is longer should be taken to the index.
LONG_BYTES = 256 << 10
#: One that is this long grows no more.
MAX_BYTES = 2 << 20
#: How long a process waits for another one that is at the file.
WAIT_SECONDS = 0.2
_FILE = "journal"


class Note:
    """What one process has to tell.

    Attributes:
        day: when it was told, "2026-11-28", in UTC.
        counts: name -> what was counted, as `Counters.take` gives it.
        used: key -> time of use, in seconds since the epoch.
        rows: key -> what the index keeps of a new entry, as `row.row_of` gives it.
    """

    __slots__ = ("counts", "day", "rows", "used")

    def __init__(
        self,
        day: str,
        counts: Mapping[str, float],
        used: Mapping[str, float],
        rows: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.day, self.counts, self.used, self.rows = day, counts, used, rows or {}

    def line(self) -> bytes:
        """It as it stands in the file."""
        told: dict[str, object] = {"counts": dict(self.counts), "day": self.day, "used": dict(self.used)}
        if self.rows:
            told["rows"] = {key: dict(row) for key, row in self.rows.items()}
        return canonical_json(told) + b"\n"


def today() -> str:
    """The day as counts are kept by it, in UTC: "2026-11-28"."""
    return time.strftime("%Y-%m-%d", time.gmtime())


class Journal:
    """The file of one cache directory.

    Args:
        directory: the cache directory.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def append(self, note: Note) -> int:
        """Write a note down; gives how long the file is now, in bytes, or 0 where the note is lost."""
        line = note.line()
        try:
            descriptor = self._directory.open_own(_FILE)
            lock = FileLock(descriptor)
            try:
                if not lock.acquire(WAIT_SECONDS):
                    return 0
                length = os.lseek(descriptor, 0, os.SEEK_END)
                if length + len(line) > MAX_BYTES:
                    return 0
                os.write(descriptor, line)  # half of it, on a full disk, is lost like a line that is not written
                return length + len(line)
            finally:
                lock.release()
        except OSError:
            return 0

    def read(self) -> list[Note]:
        """What is noted and not yet in the index; it stays."""
        try:
            return _notes(self._directory.read(_FILE, MAX_BYTES))
        except OSError:
            return []

    def take(self) -> list[Note]:
        """What is noted, which is then for the caller to keep."""
        try:
            descriptor = self._directory.open_own(_FILE)
            lock = FileLock(descriptor)
            try:
                if not lock.acquire(WAIT_SECONDS):
                    return []
                data = os.pread(descriptor, MAX_BYTES, 0)
                os.ftruncate(descriptor, 0)
                return _notes(data)
            finally:
                lock.release()
        except OSError:
            return []


def _notes(data: bytes) -> list[Note]:
    """The notes in a file that others can have written; what is none is passed over."""
    notes = []
    for line in data.splitlines():
        try:
            note = read_canonical(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(note, dict):
            continue
        day, counts, used = (note.get(name) for name in ("day", "counts", "used"))
        if isinstance(day, str) and isinstance(counts, dict) and isinstance(used, dict):
            times = {key: when for key, when in used.items() if type(when) in {int, float}}
            notes.append(Note(day, counts, times, _rows(note.get("rows"))))
    return notes


def _rows(rows: object) -> dict[str, dict[str, object]]:
    if not isinstance(rows, dict):
        return {}
    return {key: row for key, row in rows.items() if isinstance(row, dict)}
