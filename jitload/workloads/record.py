"""Recording a workload: `jitload.record(path)`, or the setting `record` (JITLOAD_RECORD).

Every request is appended to the file at once, under a lock that the kernel releases when its holder dies, so a process
that is killed has lost nothing and several may write to one file. When a recording ends, the file is put in order.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jitload import config, forks, log
from jitload.compiler.toolkit import toolkit_roots
from jitload.digest import sha256_hex
from jitload.errors import BundleError
from jitload.files.atomic import write_all, write_file
from jitload.files.lock import FileLock
from jitload.files.regular import open_regular
from jitload.given import given_path
from jitload.headers.roots import Roots
from jitload.source.link import LinkRequest
from jitload.trace import is_mistake, short_errors
from jitload.workloads.aliases import header_aliases, spot
from jitload.workloads.program import MAX_WORKLOAD_BYTES, program_of
from jitload.workloads.workload import (
    BY_DEVICE,
    BY_KIND,
    CHOSEN,
    FIRST_LINE,
    MAX_LINE_BYTES,
    decode_workload,
    encode_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from jitload.artifact import Artifact
    from jitload.headers.record import Variant
    from jitload.source.request import CompileRequest
    from jitload.workloads.workload import Workload

__tracebackhide__ = is_mistake

# (file, request, how) and (file, text) that this process has written; files to put in order at exit.
_written: set[tuple[str, str, str]] = set()
_to_tidy: set[str] = set()
_guard = forks.ProcessLock()
#: How long to wait for another process that writes to the same workload.
LOCK_SECONDS = 30.0


class Unrecordable(Exception):  # noqa: N818 - never leaves: it becomes a warning, or an error that names the request
    """Why a request cannot be written down so that it could be made again elsewhere."""


class record:  # noqa: N801 - called like a function, used in a `with` statement
    """Record every request while this block lasts into a workload file, which is made or added to.

    Threads are recorded too, but those that are in a block of their own for another file.

    Args:
        path: the file, by custom in ".jlw".

    Raises:
        BundleError: the file is something else than a workload.
        OSError: it cannot be written.
    """

    @short_errors
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.path.expanduser(given_path("path", path)))

    @short_errors
    def __enter__(self) -> record:  # noqa: PYI034 - nobody derives from it, and Self needs Python 3.11
        tidy(self.path)
        # Written anew even where this process has recorded before: the file may have been removed meanwhile.
        _written.difference_update({row for row in _written if row[0] == self.path})
        # For the process, because the threads that the block starts begin without its settings; and for the block, so
        # that another one that is open at the same time takes nothing of it.
        self._everywhere = config.configure(record=self.path)
        self._here = config.configure(record=self.path)
        self._here.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._here.__exit__(kind, error, traceback)
        self._everywhere.__exit__(kind, error, traceback)
        tidy(self.path)


def note_request(
    request: CompileRequest, artifact: Artifact, variant: Variant | None, path: str, *, device: bool, kind: bool
) -> None:
    """Write a request that was served to the workload at `path`; a file that cannot be written costs a warning.

    Args:
        request: the request.
        artifact: what it got.
        variant: the headers that it was compiled with; None where they are not kept.
        path: the workload.
        device: True when arch (and kind) were the device's.
        kind: True when the kind was the application's choice all the same.
    """
    how = (BY_KIND if kind else BY_DEVICE) if device else CHOSEN
    mark = (path, artifact.key if how == CHOSEN else request.digest, how)
    if mark in _written:
        return
    try:
        lines = _lines(request, variant, how)
    except (Unrecordable, OSError) as why:  # OSError: a header that went away since it was looked at
        log.warn_once(("record", request.digest, str(why)), f"{request.name} is not recorded: {why}")
        return
    with _guard.here:
        fresh = {digest: line for digest, line in lines.items() if (path, digest, "text") not in _written}
        try:
            with _locked(path) as alone:
                _append(path, b"".join(fresh.values()), alone=alone)
        except OSError as error:
            log.warn_once(("record", path), f"cannot record into {path}: {error.strerror or error}")
            return
        _written.add(mark)
        _written.update((path, digest, "text") for digest in fresh if digest)
        if path not in _to_tidy:
            if not _to_tidy:
                atexit.register(_tidy_at_exit)
            _to_tidy.add(path)


def recorded_workload(served: Iterable[tuple[CompileRequest, Variant]]) -> Workload:
    """The workload of some requests, each as if it had been chosen so, with the headers that each had.

    Raises:
        BundleError: one cannot be recorded, so it could not be made again elsewhere.
    """
    lines: set[bytes] = set()
    for request, variant in served:
        try:
            lines.update(_lines(request, variant, CHOSEN).values())
        except Unrecordable as why:
            what = f"{request.name} ({request.kind}, {request.arch})"
            raise BundleError(f"the sources of {what} cannot be carried: {why}") from None
    return decode_workload(FIRST_LINE + b"".join(sorted(lines)))


def tidy(path: str) -> None:
    """Put a workload file in order: sorted, each line once. A file that is missing is made.

    Raises:
        BundleError: it is something else than a workload.
        OSError: it cannot be written.
    """
    with _locked(path):
        data = _read_file(path)
        if data is None:
            return
        # What follows the last whole line is of a writer that died within it.
        whole = data[: data.rfind(b"\n") + 1] if data.startswith(FIRST_LINE) else data
        try:
            tidied = decode_workload(whole).encode() if whole else FIRST_LINE
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None
        if tidied != data:
            write_file(path, tidied)


def _read_file(path: str) -> bytes | None:
    """What a workload file holds now, b"" for none; None for what is not to be read, such as /dev/null."""
    try:
        opened = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    except FileNotFoundError:
        return b""
    with opened as file:
        status = os.fstat(file.fileno())
        if stat.S_ISCHR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_WORKLOAD_BYTES:
            raise BundleError(f"{path}: not a workload: no regular file of up to {MAX_WORKLOAD_BYTES} bytes")
        return file.read()


def _lines(request: CompileRequest, variant: Variant | None, how: str) -> dict[str, bytes]:
    """The lines of a request: by digest those of its texts, by "" its own.

    Raises:
        Unrecordable: they would not say what was compiled.
        OSError: a header cannot be read.
    """
    if variant is None:
        raise Unrecordable("its output cannot be kept")
    texts: dict[str, str] = {}

    def add(text: str) -> str:
        digest = sha256_hex(text.encode("utf-8", "surrogateescape"))
        texts[digest] = text
        return digest

    files = _users_files(request, variant, add)
    inputs = request.inputs if isinstance(request, LinkRequest) else ()
    aliases = header_aliases(request, [(root, relative) for root, relative, _ in files], toolkit_roots())
    if len({spot(root, relative) for root, relative, *_ in (*files, *aliases)}) < len(files) + len(aliases):
        raise Unrecordable("two of its headers would lie in one place without the links here")
    row = {
        **({"aliases": aliases} if aliases else {}),
        **({} if request.host_headers else {"host_headers": False}),
        "absent": [[root, path] for root, path in variant.absent if root == "source" or root.startswith("include/")],
        "defines": request.defines,
        "files": sorted(files),
        **({"inputs": [[one.type, one.name, add(one.to_text())] for one in inputs]} if inputs else {}),
        "headers": [[name, add(text)] for name, text in request.headers],
        "name": request.name,
        "names": request.names,
        "options": request.as_written().options,
        "source": add(request.source),
        "targets": [[request.kind.value, request.arch, how]],
        "undefines": request.undefines,
    }
    lines = {digest: encode_line({"sha256": digest, "text": text}) for digest, text in texts.items()}
    lines[""] = encode_line(row)
    try:  # what could not be read again is not written
        program_of(json.loads(lines[""]))
        if max(map(len, lines.values())) > MAX_LINE_BYTES:
            raise ValueError(f"a source or header takes more than {MAX_LINE_BYTES} bytes")
    except (ValueError, BundleError) as error:
        raise Unrecordable(str(error)) from None
    return lines


def _users_files(request: CompileRequest, variant: Variant, add: Callable[[str], str]) -> list[list[str]]:
    """[root, path below it, digest] of each header that no toolkit and no request has; its text is given to `add`."""
    files = []
    roots = Roots(request, ())
    for root, relative, digest, _ in variant.files:
        if root.startswith("toolkit/") or root == "headers":
            continue
        if root == "absolute":
            raise Unrecordable(
                f"it includes /{relative} by an absolute path, which will not be there on another machine"
            )
        path = roots.path(root, relative) or relative
        with open_regular(path) as file:
            if add(file.read().decode("utf-8", "surrogateescape")) != digest:
                raise Unrecordable(f"{path} changed meanwhile")
        files.append([root, relative, digest])
    return files


def _append(path: str, data: bytes, *, alone: bool) -> None:
    # NONBLOCK: a pipe must not hang a look-up.
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o666)
    try:
        status = os.fstat(descriptor)
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        if size == 0:
            data = FIRST_LINE + data
        elif os.pread(descriptor, len(FIRST_LINE), 0) != FIRST_LINE:
            raise OSError(errno.EINVAL, "it is not a workload")
        elif alone and os.pread(descriptor, 1, size - 1) != b"\n":
            # A writer died within the last line: nobody else can be writing, the lock is ours.
            os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: str) -> Iterator[bool]:
    """Alone with a file among the processes of this host: the lock is on its directory, so that none is left behind.

    Gives False where there are no locks, or one was not to be had for long: the appends are still whole lines.
    """
    lock = FileLock(os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    held = False
    try:
        try:
            held = lock.acquire(LOCK_SECONDS)
        except OSError as error:
            log.warn_once(("lock", path), f"nothing keeps other processes from writing to {path} now ({error})")
        else:
            if not held:
                log.warn(f"another process has had {os.path.dirname(path)} locked for {LOCK_SECONDS:g} s: not waiting")
        yield held
    finally:
        lock.release()


def _tidy_at_exit() -> None:
    for path in sorted(_to_tidy):
        try:
            tidy(path)
        except (BundleError, OSError) as error:
            sys.stderr.write(f"jitload: the workload {path} is as it was appended to: {error}\n")
