"""The headers of a request: found here, given to NVRTC from memory, so that it sees only what was hashed.

NVRTC knows in-memory headers by their spelled name alone (measured on 12.9: no search relative to the including file,
and two names of one text defeat `#pragma once`). So every file gets one virtual name, made of a root and the path below
it, and every literal `#include` is rewritten to that name, on its own line:

    /jitload/source/...        beside the source
    /jitload/headers/...       from `headers={...}`
    /jitload/include/0/...     from the first of `include_dirs`, and so on
    /jitload/toolkit/...       the CUDA toolkit's own
    /jitload/absolute/...      included by an absolute path

A name that only appears after macro expansion cannot be rewritten: NVRTC reports it as missing, `Closure.add_missing`
finds it, adds an alias under the spelled name, and the compile is tried again. Search order, as users of nvcc expect:
`headers`, then for quoted names the including file's directory, then `include_dirs` in order, then the toolkit.
"""

from __future__ import annotations

import os
import posixpath
import re
import time

from jitload.compiler.includes import Include, rewrite, scan
from jitload.compiler.toolkit import file_stamp
from jitload.digest import digest_factors, sha256_hex
from jitload.errors import CompileError
from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.compiler.includes import Scan
    from jitload.compiler.request import CompileRequest
    from jitload.compiler.toolkit import Stamp

VIRTUAL_ROOT = "/jitload/"
MAX_HEADER_BYTES = 64 << 20

_CLOCK = re.compile(rb"\b__(?:DATE|TIME|TIMESTAMP)__\b")


class Header(Value):
    """One file of the closure.

    Attributes:
        root: "source", "headers", "include/N", "toolkit/NAME" or "absolute".
        relative: its path below the root, with "/".
        path: where it lies on this machine, or None when it came from `headers`.
        digest: SHA-256 (hex) of its bytes.
        stamp: its file stamp when it was read, or None.
        text: its bytes.
        scan: what it refers to.
    """

    __slots__ = ("digest", "path", "relative", "root", "scan", "stamp", "text")
    root: str
    relative: str
    path: str | None
    digest: str
    stamp: Stamp | None
    text: bytes
    scan: Scan

    def __init__(self, root: str, relative: str, path: str | None, file: ScannedFile) -> None:
        digest, stamp, text, found = file
        self._set(root=root, relative=relative, path=path, digest=digest, stamp=stamp, text=text, scan=found)

    @property
    def name(self) -> str:
        """The virtual name under which NVRTC knows it."""
        return f"{VIRTUAL_ROOT}{self.root}/{self.relative}"


if TYPE_CHECKING:
    ScannedFile = tuple[str, Stamp | None, bytes, Scan]

# Scanned files by path, so that the second kernel that includes CUB does not read 600 files again. The stamp decides.
_scanned: dict[str, ScannedFile] = {}
_MAX_SCANNED = 8192

# A file that changed this recently could change again within one tick of its clock and keep its stamp: the stamp of
# such a file is not believed (ccache's "too new" rule). Two seconds is the coarsest clock of a file system in use.
_TOO_NEW_NS = 2_000_000_000


def read_header(path: str) -> ScannedFile:
    """Read and scan one file, or take it from memory when its stamp is unchanged.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        stamp: Stamp | None = file_stamp(status)
        known = _scanned.get(path)
        if known is not None and known[1] == stamp:
            return known
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < _TOO_NEW_NS:
            stamp = None
        text = file.read(MAX_HEADER_BYTES + 1)
    if len(text) > MAX_HEADER_BYTES:
        raise CompileError(f"header {path} is larger than {MAX_HEADER_BYTES} bytes", file=path)
    if len(_scanned) >= _MAX_SCANNED:
        _scanned.clear()
    result = _scanned[path] = (sha256_hex(text), stamp, text, scan(text))
    return result


def request_roots(request: CompileRequest, toolkit: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Root id -> directory, for every root of the request that is a directory; the ones to search, in order."""
    roots = {"source": request.source_dir} if request.source_dir is not None else {}
    roots.update({f"include/{index}": path for index, path in enumerate(request.include_dirs)})
    roots.update(toolkit)
    roots["absolute"] = "/"
    return roots


class Closure:
    """Every header that a request can reach, and every place where one was looked for in vain.

    Args:
        request: whose headers.
        toolkit: (root id, directory) of the toolkit.

    Attributes:
        headers: virtual name -> header, in order of discovery.
        aliases: spelled name -> virtual name, for `__has_include` and names made by macros.
        absent: (root id, relative path) that did not exist; a path with a trailing "/" stands for all below it.
    """

    def __init__(self, request: CompileRequest, toolkit: Iterable[tuple[str, str]]) -> None:
        self.request = request
        self.roots = request_roots(request, toolkit)
        self.headers: dict[str, Header] = {}
        self.aliases: dict[str, str] = {}
        self.absent: set[tuple[str, str]] = set()
        self._given = dict(request.headers)
        self._by_file: dict[str, Header] = {}
        self._located: dict[tuple[str, str, str], Header | None] = {}
        self._prefixes: dict[tuple[str, str], bool] = {}
        self._texts: dict[str, bytes] = {}
        self._order = [name for name in self.roots if name.startswith(("include/", "toolkit/"))]
        source = request.source.encode("utf-8", "surrogateescape")
        self.main = Header("source", request.name, request.path, (sha256_hex(source), None, source, scan(source)))
        self._reach(self.main)
        for option in request.options:
            name, _, included = option.partition("=")
            if name == "--pre-include":
                self._resolve(Include(included, quoted=True), self.main)
        for macro, value in request.defines:
            self._reach_absolute(scan(f"#define {macro} {value}".encode()).absolute)

    def digest(self) -> str:
        """64 hex digits over what NVRTC will see: virtual names, rewritten texts, aliases."""
        texts = [(name, sha256_hex(self._text(header)).encode()) for name, header in sorted(self.headers.items())]
        aliases = [(name, target.encode()) for name, target in sorted(self.aliases.items())]
        return digest_factors([*texts, ("aliases", b""), *aliases])

    def program(self) -> tuple[bytes, dict[str, bytes]]:
        """The source and the in-memory headers (include name -> text) for NVRTC."""
        texts = {name: self._text(header) for name, header in self.headers.items()}
        texts.update({alias: f'#include "{target}"\n'.encode() for alias, target in self.aliases.items()})
        return self._text(self.main), texts

    def add_missing(self, spelled: str, includer: str) -> bool:
        """Find a header that NVRTC asked for under a name made by a macro.

        Args:
            spelled: the name it asked for.
            includer: the virtual name of the file that includes it.

        Returns:
            False when there is no such header.

        Raises:
            CompileError: two files mean different headers by that name, and NVRTC could not tell them apart.
        """
        header = self._resolve(Include(spelled, quoted=True), self.headers.get(includer, self.main))
        if header is None or spelled in self.aliases:
            return False
        for other in (self.main, *self.headers.values()):
            if not other.scan.macro_includes:
                continue
            theirs = self._resolve(Include(spelled, quoted=True), other)
            if theirs is not None and theirs.name != header.name:
                raise CompileError(
                    f"#include of a macro that gives {spelled!r} is ambiguous: it is {self.display(header.name)} from "
                    f"{self.display(includer)} and {self.display(theirs.name)} from {self.display(other.name)}; "
                    f"write the name out in one of them",
                    file=self.display(includer),
                )
        self.aliases[spelled] = header.name
        return True

    def asks_compiler(self) -> bool:
        """Whether only a compile can tell the whole closure: some file includes a name that a macro makes."""
        return any(header.scan.macro_includes for header in (self.main, *self.headers.values()))

    def unsharable(self) -> str | None:
        """Why the output must not be kept for others, or None.

        `__DATE__`, `__TIME__` and `__TIMESTAMP__` make it depend on when it was compiled (C++17 [cpp.predefined]).
        """
        for header in (self.main, *self.headers.values()):
            if not header.root.startswith("toolkit/") and (match := _CLOCK.search(header.text)):
                line = header.text.count(b"\n", 0, match.start()) + 1
                return f"{match[0].decode()} in {self.display(header.name)}, line {line}"
        for name, value in self.request.defines:
            if value is not None and (clock := _CLOCK.search(value.encode())):
                return f"{clock[0].decode()} in the definition of {name}"
        return None

    def resolve(self, spelled: str) -> str | None:
        """The virtual name of a header as the source would find it by a quoted name, or None."""
        header = self._resolve(Include(spelled, quoted=True), self.main)
        return None if header is None else header.name

    def display(self, name: str) -> str:
        """What to call a virtual name when talking to the user: the path on this machine if there is one."""
        header = self.main if name == self.main.name else self.headers.get(name)
        if header is None:
            return name
        return header.path or header.relative

    def _reach(self, start: Header) -> None:
        """Add what a text refers to, and what that refers to, depth first in the order of the text."""
        pending = [start]
        while pending:
            header = pending.pop()
            for include in header.scan.includes:
                self._resolve(include, header, pending)
            for probe in header.scan.probes:
                target = self._resolve(probe, header, pending)
                if target is not None and not probe.next:
                    self.aliases.setdefault(probe.name, target.name)
            self._reach_absolute(header.scan.absolute, pending)

    def _reach_absolute(self, paths: Iterable[str], pending: list[Header] | None = None) -> None:
        for path in paths:
            target = self._resolve(Include(path, quoted=True), self.main, pending)
            if target is not None:
                self.aliases.setdefault(path, target.name)

    def _text(self, header: Header) -> bytes:
        """What NVRTC sees of a file."""

        def name_of(include: Include) -> str | None:
            target = self._resolve(include, header)
            return None if target is None else target.name

        text = self._texts.get(header.name)
        if text is None:
            text = self._texts[header.name] = rewrite(header.text, header.scan.includes, name_of)
        return text

    def _resolve(self, include: Include, includer: Header, pending: list[Header] | None = None) -> Header | None:
        """The header that `include` means inside `includer`; one seen for the first time is added to the closure."""
        place = includer.root if include.next else f"{includer.root}/{posixpath.dirname(includer.relative)}"
        memo = (place, include.name, "next" if include.next else '"' if include.quoted else "<")
        if memo in self._located:
            return self._located[memo]
        for root, relative in self._candidates(include, includer):
            if self._exists(root, relative):
                header = self._located[memo] = self._add(root, relative, pending)
                return header
        self._located[memo] = None
        return None

    def _candidates(self, include: Include, includer: Header) -> list[tuple[str, str]]:
        """Where to look, in order."""
        name = include.name
        if name.startswith("/"):
            return [("absolute", posixpath.normpath(name).lstrip("/"))]
        order = self._order
        places: list[tuple[str, str]] = []
        if include.next and includer.root in order:
            order = order[order.index(includer.root) + 1 :]
        else:
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(includer.relative), name))
            places.append(("headers", name))
            if includer.root == "headers":
                places.append(("headers", beside))
            elif include.quoted and includer.root in self.roots:
                places.append((includer.root, beside))
        return [*places, *((root, posixpath.normpath(name)) for root in order)]

    def _exists(self, root: str, relative: str) -> bool:
        if root == "headers":
            return relative in self._given
        base = self.roots[root]
        is_toolkit = root.startswith("toolkit/")
        first, slash, _ = relative.partition("/")
        # One missing directory stands for all the names below it: a few hundred headers of the toolkit are looked for
        # in every directory of the user first.
        if slash and first != ".." and root != "absolute":
            known = self._prefixes.get((root, first))
            if known is None:
                known = self._prefixes[root, first] = os.path.lexists(os.path.join(base, first))
            if not known:
                if not is_toolkit:
                    self.absent.add((root, f"{first}/"))
                return False
        if os.path.isfile(os.path.join(base, relative)):
            return True
        if not is_toolkit:
            self.absent.add((root, relative))
        return False

    def _add(self, root: str, relative: str, pending: list[Header] | None) -> Header:
        path = None if root == "headers" else os.path.join(self.roots[root], relative)
        if path is None:
            text = self._given[relative].encode("utf-8", "surrogateescape")
            header = Header(root, relative, None, (sha256_hex(text), None, text, scan(text)))
        else:
            header = self._read(root, relative, path)
        known = self.headers.setdefault(header.name, header)
        if known is header:
            if pending is None:
                self._reach(header)
            else:
                pending.append(header)
        return known

    def _read(self, root: str, relative: str, path: str) -> Header:
        try:
            file = read_header(path)
        except OSError as error:
            raise CompileError(f"cannot read header {path}: {error.strerror or error}", file=path) from error
        header = Header(root, relative, path, file)
        if root.startswith("toolkit/"):
            return header  # its includes name one file one way; 17 000 lstat calls for CUB say so
        # The same file by two paths is one header, or `#pragma once` would not hold.
        return self._by_file.setdefault(os.path.realpath(path), header)
