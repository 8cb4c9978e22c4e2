"""Where headers are looked for, and what one file of them is.

Search order, as users of nvcc expect: `headers`, then for quoted names the including file's directory, then
`include_dirs` in order, then the standard headers that come with jitload, then the toolkit. Headers of the toolkit find
no standard ones: under NVRTC they include none, and what they would with another compiler is not parsed. Every place
that had nothing is noted: a file that appears there later would be found first.
"""

from __future__ import annotations

import os
import posixpath
import time
from typing import TYPE_CHECKING

from jitload.digest import sha256_hex
from jitload.errors import CompileError
from jitload.files.regular import file_stamp, open_regular
from jitload.frozen import Value
from jitload.headers.roots import MAX_HEADER_BYTES, STANDARD_ROOT, VIRTUAL_ROOT, Roots
from jitload.lazy import lazy
from jitload.source.text import BYTE_ORDER_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.files.regular import Stamp
    from jitload.headers import scan as scanner
    from jitload.headers.includes import Include, Scan
    from jitload.source.request import CompileRequest

    ScannedFile = tuple[str, Stamp | None, bytes, Scan]
else:
    scanner = lazy("jitload.headers.scan")  # its patterns cost 4 ms, and a hit scans nothing

# Scanned files by path, so that the second kernel that includes CUB does not read 600 files again. The stamp decides.
_scanned: dict[str, ScannedFile] = {}
_MAX_SCANNED = 8192

# A file that changed this recently could change again within one tick of its clock and keep its stamp: the stamp of
# such a file is not believed (ccache's "too new" rule). Two seconds is the coarsest clock of a file system in use.
_TOO_NEW_NS = 2_000_000_000


class Header(Value):
    """One file of the closure.

    Attributes:
        name: the virtual name under which NVRTC knows it.
        root: "source", "headers", "include/N", "toolkit/NAME" or "absolute".
        relative: its path below the root, with "/".
        place: root and directory: what a quoted name is looked for beside.
        path: where it lies on this machine, or None when it came from `headers`.
        digest: SHA-256 (hex) of its bytes.
        stamp: its file stamp when it was read, or None.
        text: its bytes.
        scan: what it refers to.
    """

    __slots__ = ("digest", "name", "path", "place", "relative", "root", "scan", "stamp", "text")
    name: str
    root: str
    relative: str
    place: str
    path: str | None
    digest: str
    stamp: Stamp | None
    text: bytes
    scan: Scan

    def __init__(self, root: str, relative: str, path: str | None, file: ScannedFile) -> None:
        digest, stamp, text, found = file
        self._set(
            name=f"{VIRTUAL_ROOT}{root}/{relative}",
            root=root,
            relative=relative,
            place=f"{root}/{posixpath.dirname(relative)}",
            path=path,
            digest=digest,
            stamp=stamp,
            text=text,
            scan=found,
        )

    @property
    def is_users(self) -> bool:
        """False for a header of the toolkit."""
        return not self.root.startswith("toolkit/")


def read_header(path: str) -> ScannedFile:
    """Read and scan one file, or take it from memory when its stamp is unchanged.

    Raises:
        OSError: it cannot be read.
    """
    known = _scanned.get(path)
    if known is not None and known[1] == file_stamp(os.stat(path)):
        return known
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        stamp: Stamp | None = file_stamp(status)
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < _TOO_NEW_NS:
            stamp = None
        text = file.read(MAX_HEADER_BYTES + 1)
    if len(text) > MAX_HEADER_BYTES:
        raise CompileError(f"header {path} is larger than {MAX_HEADER_BYTES} bytes", file=path)
    if len(_scanned) >= _MAX_SCANNED:
        _scanned.clear()
    result = scan_text(text.removeprefix(BYTE_ORDER_MARK), stamp)
    if text.startswith(BYTE_ORDER_MARK):
        result = sha256_hex(text), *result[1:]  # of the file as it is, which others read too
    _scanned[path] = result
    return result


def scan_text(text: bytes, stamp: Stamp | None = None) -> ScannedFile:
    """A text that is in memory already, as a scanned file."""
    return sha256_hex(text), stamp, text, scanner.scan(text)


def _relative(root: str, path: str) -> str:
    """A path below a root, without what changes nothing: in a user's tree ".." may follow a link, or a missing name."""
    if root.startswith("toolkit/"):
        return posixpath.normpath(path)
    return "/".join([part for part in path.split("/") if part not in {"", "."}])


class Search:
    """Finds the place of a header.

    Args:
        request: whose headers.
        toolkit: (root id, directory) of the toolkit.

    Attributes:
        roots: where they are looked for.
        absent: (root id, relative path) that did not exist; a path with a trailing "/" stands for all below it, the
            root id "toolkit" for every directory of the toolkit.
    """

    def __init__(self, request: CompileRequest, toolkit: Iterable[tuple[str, str]]) -> None:
        self.roots = Roots(request, toolkit)
        self.absent: set[tuple[str, str]] = set()
        self._given = frozenset(name for name, _ in request.headers)
        self._prefixes: dict[tuple[str, str], bool] = {}
        self._looked: dict[tuple[str, str], bool] = {}
        self._order = [f"include/{index}" for index in range(len(request.include_dirs))]

    def place(self, include: Include, includer: Header, *, is_main: bool) -> tuple[str, str] | None:
        """(root id, relative path) of what `include` means inside `includer`, or None."""
        for place in self._candidates(include, includer, is_main):
            if self._is_there(place):
                return place
        if include.name.startswith("/"):
            return None
        standard = STANDARD_ROOT, posixpath.normpath(include.name)
        finds_standard = includer.is_users and STANDARD_ROOT in self.roots
        if finds_standard and self._is_there(standard):
            return standard
        of_toolkit = self._toolkit_place(include, includer, is_main)
        if finds_standard and of_toolkit is None:
            self.absent.add(standard)
        return of_toolkit

    def _is_there(self, place: tuple[str, str]) -> bool:
        found = self._looked.get(place)
        if found is None:
            found = self._looked[place] = self._exists(*place)
        return found

    def _candidates(self, include: Include, includer: Header, is_main: bool) -> list[tuple[str, str]]:
        """Where to look before the toolkit, in order; in it, for what stands beside the header of it that includes."""
        name = include.name
        if name.startswith("/"):
            return [("absolute", _relative("absolute", name))]
        order = self._order
        places: list[tuple[str, str]] = []
        if include.next and not is_main:
            # On from the directory of the search path where this file lies; one beside the source, or in `headers`,
            # stands before all of them. GCC and NVRTC start over for a file that was found beside its includer, too;
            # here a file is one text however it was found, so that `#pragma once` holds.
            if not includer.is_users:
                return []
            if includer.root in order:
                order = order[order.index(includer.root) + 1 :]
        else:
            beside = posixpath.join(posixpath.dirname(includer.relative), name)
            places.append(("headers", name))
            if includer.root == "headers":
                places.append(("headers", posixpath.normpath(beside)))
            elif include.quoted and includer.root in self.roots:
                relative = _relative(includer.root, beside)
                root = self._root_beside(includer, relative)
                places += [(root, relative)] if root is not None else []
        return [*places, *((root, _relative(root, name)) for root in order)]

    def _root_beside(self, includer: Header, relative: str) -> str | None:
        if includer.is_users or includer.root == STANDARD_ROOT:
            return includer.root
        return self.roots.holder_beside(includer.root, relative)

    def _toolkit_place(self, include: Include, includer: Header, is_main: bool) -> tuple[str, str] | None:
        relative = posixpath.normpath(include.name)
        if include.next and not is_main and not includer.is_users:
            root = self.roots.holder_after(includer.root, relative)
        else:
            root = self.roots.holder(relative)
        if root is None:
            self.absent.add(("toolkit", relative))
            return None
        return root, relative

    def _exists(self, root: str, relative: str) -> bool:
        if root == "headers":
            return relative in self._given
        if root == STANDARD_ROOT:
            return os.path.isfile(self.roots.path(root, relative) or "")
        if root.startswith("toolkit/"):
            return True  # `_candidates` has asked
        path = self.roots.path(root, relative) or ""
        first, slash, _ = relative.partition("/")
        # One missing directory stands for all the names below it: a few hundred headers of the toolkit are looked for
        # in every directory of the user first.
        if slash and first != ".." and root != "absolute":
            known = self._prefixes.get((root, first))
            if known is None:
                known = self._prefixes[root, first] = os.path.lexists(path[: len(path) - len(relative) + len(first)])
            if not known:
                self.absent.add((root, f"{first}/"))
                return False
        if os.path.isfile(path):
            return True
        self.absent.add((root, relative))
        return False
