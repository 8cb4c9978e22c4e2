"""The headers of a request: found here, given to NVRTC from memory, so that it sees only what was hashed.

NVRTC knows in-memory headers by their spelled name alone (measured on 12.9: no search relative to the including file,
and two names of one text defeat `#pragma once`). So every file gets one virtual name, made of a root and the path below
it, and every literal `#include` and `__has_include` is rewritten to that name, on its own line:

    /jitload/source/...        beside the source
    /jitload/headers/...       from `headers={...}`
    /jitload/include/0/...     from the first of `include_dirs`, and so on
    /jitload/toolkit/...       the CUDA toolkit's own, and the standard headers that come with jitload
    /jitload/absolute/...      included by an absolute path
    /jitload/missing/...       found nowhere, where an alias of that name would be found instead

A name that only appears after macro expansion cannot be rewritten: it gets an alias, a header of the spelled name that
includes the right one. Either it can be foreseen what the macro stands for (`macros.py`), or NVRTC reports it as
missing, and then `Closure.add_missing` finds it and the compile is tried again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jitload.digest import digest_factors, sha256_hex
from jitload.errors import CompileError
from jitload.headers.includes import Include, absolute_names, decode_name, defined_names, renamed, rewrite
from jitload.headers.macros import Macros
from jitload.headers.roots import VIRTUAL_ROOT
from jitload.headers.search import Header, Search, read_header, scan_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jitload.headers.roots import Roots
    from jitload.source.request import CompileRequest

__all__ = ["VIRTUAL_ROOT", "Closure", "Header", "read_header"]

MISSING_ROOT = f"{VIRTUAL_ROOT}missing/"

_DIRECT_PROBES = {"__has_include", "__has_include_next"}


class Closure:
    """Every header that a request can reach, and every place where one was looked for in vain.

    Args:
        request: whose headers.
        toolkit: (root id, directory) of the toolkit.

    Attributes:
        main: the source itself.
        headers: virtual name -> header, in order of discovery.
    """

    def __init__(self, request: CompileRequest, toolkit: Iterable[tuple[str, str]]) -> None:
        self.request = request
        self.headers: dict[str, Header] = {}
        self._probed: dict[str, str] = {}
        self._foreseen: dict[str, str] = {}
        self._asked: dict[str, tuple[Include, Header, Header]] = {}  # name -> reference, includer, what it is
        self._macros = Macros()
        self._defining = 0  # how many files the macros are from
        self._search = Search(request, toolkit)
        self._given = dict(request.headers)
        self._by_file: dict[str, Header] = {}
        self._added: dict[tuple[str, str], Header] = {}
        self._located: dict[tuple[str, str, str], Header | None] = {}
        self._defined: dict[tuple[str, bool], None] = {}  # (name, quoted) of macros that stand for one name
        self._texts: dict[str, bytes] = {}  # as NVRTC sees them; the source, which a header may be too, as ""
        self._digest: str | None = None
        source = request.source.encode("utf-8", "surrogateescape")
        self.main = Header("source", request.name, request.path, scan_text(source))
        values = "".join(f"#define {name} {value}\n" for name, value in request.defines if value is not None)
        self._definitions = values.encode("utf-8", "surrogateescape")
        self._macros.add(self._definitions, is_users=True)
        self._note_names(self._definitions)
        self._reach(self.main)
        for option in request.options:
            name, _, included = option.partition("=")
            if name == "--pre-include":
                self._resolve(Include(included, quoted=True), self.main)
        self._foresee()

    @property
    def aliases(self) -> dict[str, str]:
        """Spelled name -> virtual name, for names made by macros."""
        asked = {spelled: header.name for spelled, (_, _, header) in self._asked.items()}
        return {**self._foreseen, **self._probed, **asked}

    @property
    def roots(self) -> Roots:
        """Where the headers are looked for."""
        return self._search.roots

    @property
    def absent(self) -> set[tuple[str, str]]:
        """(root id, relative path) of every place where nothing was."""
        return self._search.absent

    def digest(self) -> str:
        """64 hex digits over what NVRTC will see: virtual names, rewritten texts, aliases."""
        if self._digest is None:
            texts = [(name, sha256_hex(self._text(header)).encode()) for name, header in sorted(self.headers.items())]
            main = sha256_hex(self._text(self.main)).encode()
            aliases = [(name, os.fsencode(target)) for name, target in sorted(self.aliases.items())]
            self._digest = digest_factors([("main", main), *texts, ("aliases", b""), *aliases])
        return self._digest

    def program(self) -> tuple[bytes, dict[str, bytes], str]:
        """The source and the in-memory headers (include name -> text) for NVRTC, and the digest of both."""
        texts = {name: self._text(header) for name, header in self.headers.items()}
        texts.update({alias: os.fsencode(f'#include "{target}"\n') for alias, target in self.aliases.items()})
        return self._text(self.main), texts, self.digest()

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
        if spelled.startswith(VIRTUAL_ROOT) or spelled in self.aliases:
            return False
        include = Include(spelled, quoted=(spelled, False) not in self._defined or (spelled, True) in self._defined)
        source = self.headers.get(includer, self.main)
        header = self._resolve(include, source)
        if header is None:
            return False
        self._asked[spelled] = include, source, header
        self._foresee()
        for asked in self._asked.values():  # what is new may use the same name for another header
            self._refuse_ambiguous(*asked)
        return True

    def asks_compiler(self) -> bool:
        """Whether only a compile can tell the whole closure: some file includes a name that a macro makes."""
        return any(header.scan.macro_includes for header in self.files())

    def resolve(self, spelled: str) -> str | None:
        """The virtual name of a header as the source would find it by a quoted name, or None."""
        header = self._resolve(Include(spelled, quoted=True), self.main)
        return None if header is None else header.name

    def display(self, name: str) -> str:
        """What to call a virtual name when talking to the user: the path on this machine if there is one."""
        header = self.main if name == self.main.name else self.headers.get(name)
        if header is None:
            return name.removeprefix(MISSING_ROOT)
        return header.path or header.relative

    def included_by(self, header: Header) -> Iterator[tuple[Include, Header]]:
        """The `#include` lines of a file, each with the header that it means; those that mean none are left out."""
        for include in header.scan.includes:
            target = self._resolve(include, header)
            if target is not None:
                yield include, target

    def files(self) -> tuple[Header, ...]:
        """The source and every header."""
        return (self.main, *self.headers.values())

    def users_texts(self) -> Iterator[tuple[str, bytes]]:
        """(what to call it, text) of the definitions, the source and the user's headers."""
        yield "defines", self._definitions
        for header in self.files():
            if header.is_users:
                yield self.display(header.name), header.text

    def _note_names(self, text: bytes) -> None:
        """Take notice of the names that macros of a user's text may stand for."""
        self._defined.update(dict.fromkeys((found.name, found.quoted) for found in defined_names(text)))
        for path in absolute_names(text):
            self._defined[path, True] = None

    def _reach(self, start: Header) -> None:
        """Add what a text refers to, and what that refers to, depth first in the order of the text."""
        pending = [start]
        while pending:
            header = pending.pop()
            if header.is_users:
                self._note_names(header.text)
            for include in header.scan.includes:
                self._resolve(include, header, pending)
            for probe in header.scan.probes:
                target = self._resolve(probe, header, pending)
                if target is not None and probe.keyword not in _DIRECT_PROBES:
                    self._probed.setdefault(probe.name, target.name)

    def _foresee(self) -> None:
        """Give an alias to every name that a macro may stand for, where all files that use macros so agree on it."""
        known = -1
        while known != len(self.headers):  # a header that is new may use or define more of them
            known = len(self.headers)
            self._expand_includes()
            users = [h for h in self.files() if h.scan.macro_includes or h.scan.probes_macro]
            self._foreseen = {}
            for name, quoted in list(self._defined):
                places = [self.main] if name.startswith("/") else _places(users, quoted=quoted)
                targets = {self._resolve(Include(name, quoted=quoted), header) for header in places}
                if len(targets) == 1 and (name, not quoted) not in self._defined and (target := targets.pop()):
                    self._foreseen[name] = target.name
        self._texts.clear()
        self._digest = None

    def _expand_includes(self) -> None:
        """Take notice of the names that the `#include MACRO` lines may mean."""
        files = self.files()
        expressions = dict.fromkeys(text for header in files for text in header.scan.expressions)
        if not expressions:
            return
        for header in files[self._defining :]:
            self._macros.add(header.text, is_users=header.is_users)
        self._defining = len(files)
        for expression in expressions:
            names = self._macros.header_names(expression)
            self._defined.update(dict.fromkeys(name for name in names if not name[0].startswith(VIRTUAL_ROOT)))

    def _refuse_ambiguous(self, include: Include, includer: Header, header: Header) -> None:
        for other in self.files():
            theirs = self._resolve(include, other) if other.scan.macro_includes else None
            if theirs is not None and theirs.name != header.name:
                raise CompileError(
                    f"#include of a macro that gives {include.name!r} is ambiguous: it is {self.display(header.name)} "
                    f"from {self.display(includer.name)} and {self.display(theirs.name)} from "
                    f"{self.display(other.name)}; write the name out in one of them",
                    file=self.display(includer.name),
                )

    def rewritten(self, file: str, line: int) -> list[tuple[str, str]]:
        """What NVRTC sees in the place of each reference to a header in a line, and what is written there.

        Args:
            file: the virtual name of the file.
            line: of that file, from 1.
        """
        header = self.headers.get(file, self.main)
        found = []
        for include in _references(header):
            name = self._name_in(header, include) if line_of(header.text, include.start) == line else None
            if name is not None:
                written = header.text[include.start : include.end]
                found.append((decode_name(renamed(include, name)), decode_name(written)))
        return found

    def _name_in(self, header: Header, include: Include) -> str | None:
        """The virtual name that a reference in a file is rewritten to, if it is."""
        target = self._resolve(include, header)
        if target is not None:
            return target.name
        return f"{MISSING_ROOT}{include.name}" if include.name in self.aliases else None

    def _text(self, header: Header) -> bytes:
        """What NVRTC sees of a file."""
        name = "" if header is self.main else header.name
        text = self._texts.get(name)
        if text is None:
            text = rewrite(header.text, _references(header), lambda include: self._name_in(header, include))
            # In memory, NVRTC 12.9 and 13.5 take the byte 0xFF for the end of the text, and a NUL is the end of a C
            # string. UTF-8 has no 0xFF; in comments of an older encoding it means nothing.
            text = self._texts[name] = text.replace(b"\xff", b"?").replace(b"\0", b" ")
        return text

    def _resolve(self, include: Include, includer: Header, pending: list[Header] | None = None) -> Header | None:
        """The header that `include` means inside `includer`; one seen for the first time is added to the closure."""
        is_next = include.next and includer is not self.main
        if is_next:
            memo = (includer.root, include.name, "next")
        elif include.quoted or includer.root == "headers":
            memo = (includer.place, include.name, '"' if include.quoted else "<")
        else:
            memo = ("", include.name, "<")  # the same header for whoever asks
        if memo not in self._located:
            found = self._search.place(include, includer, is_main=includer is self.main)
            self._located[memo] = None if found is None else self._add(*found, pending)
        return self._located[memo]

    def _add(self, root: str, relative: str, pending: list[Header] | None) -> Header:
        known = self._added.get((root, relative))
        if known is not None:
            return known
        if root == "headers":
            text = self._given[relative].encode("utf-8", "surrogateescape")
            header = Header(root, relative, None, scan_text(text))
        else:
            header = self._read(root, relative, self.roots.path(root, relative) or relative)
        known = self._added[root, relative] = self.headers.setdefault(header.name, header)
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
            raise CompileError(f"cannot read header {path}: {error.strerror or error}", file=path) from None
        header = Header(root, relative, path, file)
        if not header.is_users:
            return header  # its includes name one file one way; 17 000 lstat calls for CUB say so
        # The same file by two paths is one header, or `#pragma once` would not hold.
        return self._by_file.setdefault(os.path.realpath(path), header)


def _references(header: Header) -> tuple[Include, ...]:
    """Those that are rewritten."""
    return (*header.scan.includes, *(probe for probe in header.scan.probes if probe.keyword in _DIRECT_PROBES))


def _places(files: list[Header], *, quoted: bool) -> list[Header]:
    """One file of each place from where a name may mean a header of its own."""
    beside = {h.place if quoted or h.root == "headers" else "": h for h in files}
    return list(beside.values())


def line_of(text: bytes, position: int) -> int:
    """The line of a position in a text, from 1."""
    return text.count(b"\n", 0, position) + 1
