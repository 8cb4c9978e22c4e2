"""`CompileRequest`: everything that a compile depends on, as one value object.

Paths are in it only to find headers and to talk to the user; no path is ever a factor of a key.
"""

from __future__ import annotations

import os

from jitload.digest import digest_factors, frame_all, sha256_hex
from jitload.errors import UsageTypeError, UsageValueError
from jitload.frozen import Value
from jitload.given import given_truth
from jitload.lazy import lazy
from jitload.source.arch import normalize_archs, parse_kind
from jitload.source.text import check_encodable, checked_text, read_source
from jitload.trace import LEFT_OUT, is_mistake, shown_without_misfits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from typing_extensions import Unpack

    from jitload import calls
    from jitload.source import definitions
    from jitload.source import options as spellings
    from jitload.source.fields import Changes
    from jitload.source.options import Canonical
    from jitload.values import Kind
else:  # most requests have neither
    calls = lazy("jitload.calls")
    definitions = lazy("jitload.source.definitions")
    spellings = lazy("jitload.source.options")

__tracebackhide__ = is_mistake

#: Raise it when the meaning of a factor changes: old entries are then simply not found.
SCHEMA = b"1"
_NO_OPTIONS: Canonical = (), [], [], []


class CompileRequest(Value):
    """What is to be compiled.

    Attributes:
        source: CUDA C++ text.
        name: the program name; it appears in `__FILE__`, in line information and in the key.
        path: the user's file, for messages, or None.
        first_line: the line of `path` at which `source` begins (a source inside a Python file), 1-based.
        lines: the line of `path` for each line of `source`; () where they follow one another from `first_line` on.
        escaped: whether Python read backslashes in the literal that `source` is, which is seldom meant.
        kind: the kind of image wanted.
        archs: canonical arch names; more than one only for a fatbin.
        arch: the same, joined by ",": what `Artifact.arch` will say.
        options: canonical NVRTC options.
        device_options: those of them that the device in force wants and the caller did not write.
        defines: (name, value) pairs, sorted by name; the value None is a bare `-DNAME`.
        undefines: names to undefine, sorted.
        names: C++ name expressions, sorted.
        include_dirs: absolute directories, searched in order.
        source_dir: directory for quoted includes of the source, or None.
        headers: (include name, text) pairs, sorted by name.
        host_headers: whether <cstdint>, <stdio.h> and the like are found though the caller has none.
        digest: 64 hex digits over `factors()`: names the request before its headers and its toolchain are known.
    """

    __slots__ = (
        "arch",
        "archs",
        "defines",
        "device_options",
        "digest",
        "escaped",
        "first_line",
        "headers",
        "host_headers",
        "include_dirs",
        "kind",
        "lines",
        "name",
        "names",
        "options",
        "path",
        "source",
        "source_dir",
        "undefines",
    )
    source: str
    name: str
    path: str | None
    first_line: int
    lines: tuple[int, ...]
    escaped: bool
    kind: Kind
    archs: tuple[str, ...]
    arch: str
    options: tuple[str, ...]
    device_options: tuple[str, ...]
    defines: tuple[tuple[str, str | None], ...]
    undefines: tuple[str, ...]
    names: tuple[str, ...]
    include_dirs: tuple[str, ...]
    source_dir: str | None
    headers: tuple[tuple[str, str], ...]
    host_headers: bool
    digest: str
    #: Whether images are linked (source/link.py) rather than a source compiled.
    is_link = False

    @shown_without_misfits
    def __init__(
        self,
        source: str | os.PathLike[str],
        *excess: Unpack[tuple[()]],
        kind: str | Kind,
        arch: str | Iterable[str],
        name: str | None = None,
        options: str | Iterable[str] = (),
        include_dirs: Iterable[str | os.PathLike[str]] = (),
        headers: Mapping[str, str] | None = None,
        defines: Mapping[str, object] | Iterable[str] | None = None,
        names: Iterable[str] = (),
        path: str | None = None,
        first_line: int = 1,
        lines: tuple[int, ...] = (),
        escaped: bool = False,
        source_dir: str | os.PathLike[str] | None = None,
        device_options: Iterable[str] = (),
        host_headers: bool = True,
        **unknown: Unpack[calls.Nothing],
    ) -> None:
        """Read and canonicalise.

        `device_options` are canonical options that go with the kind and the arch, not with the caller's wishes; those
        that the caller wrote too are the caller's.

        Raises:
            ValueError: a kind, arch, option or definition that cannot be used; the text says what to write.
            TypeError: an argument of the wrong type.
            OSError: the source file cannot be read.
        """
        if excess or unknown or source is LEFT_OUT or kind is LEFT_OUT or arch is LEFT_OUT:  # type: ignore[redundant-expr]
            given = {name: value for name, value in (("kind", kind), ("arch", arch)) if value is not LEFT_OUT}
            by_position = (self, *([] if source is LEFT_OUT else [source]), *excess)
            raise calls.refused_call(CompileRequest.__init__, by_position, {**given, **unknown})
        text, path, source_dir = read_source(source, path, source_dir)
        wanted = parse_kind(kind)
        none = type(options) is tuple and not options
        canonical, option_dirs, written, undefines = _NO_OPTIONS if none else spellings.canonical_options(options)
        added = tuple([option for option in device_options if option not in canonical])
        directories = [*_listed("include_dirs", include_dirs), *option_dirs]
        archs = normalize_archs(wanted, arch)
        self._set(
            source=text,
            name=program_name(name, path),
            path=path,
            first_line=first_line,
            lines=lines,
            escaped=escaped,
            kind=wanted,
            archs=archs,
            arch=",".join(archs),
            options=tuple(sorted((*canonical, *added), key=spellings.option_name)) if added else canonical,
            device_options=added,
            defines=definitions.checked_definitions(written, defines) if written or defines is not None else (),
            undefines=tuple(sorted(set(undefines))),
            names=tuple(sorted({_name_expression(item) for item in _listed("names", names)})),
            include_dirs=tuple(_directory(item) for item in directories),
            source_dir=None if source_dir is None else os.path.abspath(source_dir),
            headers=_headers(headers),
            host_headers=host_headers is True or given_truth("host_headers", host_headers),
        )
        object.__setattr__(self, "digest", digest_factors(self.factors()))

    def factors(self) -> list[tuple[str, bytes]]:
        """The factors that the request itself gives to the key, labelled, in the order of the key."""
        factors = [
            ("schema", SCHEMA),
            ("kind", self.kind.value.encode()),
            ("arch", self.arch.encode()),
            ("program name", self.name.encode()),
            ("source", self.source.encode("utf-8", "surrogateescape")),
            ("options", frame_all([("option", option.encode()) for option in self.options])),
            ("defines", frame_all([(name, _define_bytes(value)) for name, value in self.defines])),
            ("undefines", frame_all([("name", name.encode()) for name in self.undefines])),
            ("name expressions", frame_all([("name", name.encode()) for name in self.names])),
            # The texts belong to the include closure; the names alone decide what shadows what.
            ("header names", frame_all([("name", os.fsencode(name)) for name, _ in self.headers])),
        ]
        return factors if self.host_headers else [*factors, ("host headers", b"0")]  # older keys are those of True

    @property
    def source_digest(self) -> str:
        """SHA-256 (hex) of the source."""
        return sha256_hex(self.source.encode("utf-8", "surrogateescape"))

    def replace(self, **changes: Unpack[Changes]) -> CompileRequest:
        """The same request with some of kind, arch, options, defines, names, device_options changed.

        With a kind or an arch of the caller's choice, nothing is left of what the device in force wanted.

        Args:
            **changes: the new values, by name.

        Raises:
            UsageTypeError: a name that is none of these.
            UsageError: what `CompileRequest` raises of the values.
        """
        own = self.device_options
        current: Changes = {
            "kind": self.kind,
            "arch": self.archs,
            "options": [option for option in self.options if option not in own],
            "defines": dict(self.defines),
            "names": self.names,
            "device_options": () if "kind" in changes or "arch" in changes else own,
        }
        unknown = set(changes) - set(current)
        if unknown:
            raise UsageTypeError(f"replace() cannot change {', '.join(sorted(unknown))}")
        current.update(changes)
        if "options" not in changes:
            current["options"] = [*current["options"], *(f"--undefine-macro={name}" for name in self.undefines)]
        return CompileRequest(
            self.source,
            name=self.name,
            include_dirs=self.include_dirs,
            headers=dict(self.headers),
            path=self.path,
            first_line=self.first_line,
            lines=self.lines,
            escaped=self.escaped,
            source_dir=self.source_dir,
            host_headers=self.host_headers,
            **current,
        )

    def beside(self, source: os.PathLike[str]) -> CompileRequest:
        """A `source` file compiled as this one is, without its names; what it includes is looked for beside itself."""
        return CompileRequest(
            source,
            kind=self.kind,
            arch=self.archs,
            options=[*self.options, *(f"--undefine-macro={name}" for name in self.undefines)],
            include_dirs=self.include_dirs,
            headers=dict(self.headers),
            defines=dict(self.defines),
            host_headers=self.host_headers,
        )

    def line_in_file(self, number: int) -> int:
        """The line of `path` that line `number` of the source is, both 1-based."""
        if self.lines:
            return self.lines[min(max(number, 1), len(self.lines)) - 1]
        return self.first_line + number - 1

    def as_written(self) -> CompileRequest:
        """The request without what the device in force added to it."""
        return self.replace(device_options=()) if self.device_options else self

    def __repr__(self) -> str:
        return f"CompileRequest({self.name!r}, kind={self.kind}, arch={self.arch!r}, digest={self.digest[:12]})"


def request_of(asked: object) -> CompileRequest:
    """A request itself, or that of a kernel which has a `request()`.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(asked, CompileRequest):
        return asked
    if not hasattr(asked, "request"):
        raise UsageTypeError(f"expected a CompileRequest or a jit_kernel, got {type(asked).__name__}")
    request: CompileRequest = asked.request()
    return request


def program_name(name: str | None, path: str | None = None) -> str:
    """The name NVRTC sees: never with a directory of the machine in it."""
    if name is None:
        name = os.path.basename(path) if path else "kernel.cu"
    if not isinstance(name, str):
        raise UsageTypeError(f"a program name is a str, got {type(name).__name__}")
    if not name or "\0" in name or "\n" in name:
        raise UsageValueError(f"{name!r} cannot be a program name")
    base = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or "kernel.cu"
    return base.encode("utf-8", "replace").decode()  # a file name need not be UTF-8, a program name must


def _define_bytes(value: str | None) -> bytes:
    # A bare -DNAME defines NAME as 1, exactly like -DNAME=1: one spelling for both.
    return b"1" if value is None else value.encode()


def _listed(what: str, values: Iterable[object]) -> list[object]:
    if isinstance(values, (str, os.PathLike)):
        raise UsageTypeError(f"{what} is a list, got one {type(values).__name__}: write [{str(values)!r}]")
    if isinstance(values, bytes) or not hasattr(values, "__iter__") or hasattr(values, "keys"):
        raise UsageTypeError(f"{what} is a list, got {type(values).__name__}")
    return list(values)


def _directory(item: object) -> str:
    text = os.fspath(item) if isinstance(item, os.PathLike) else item
    if not isinstance(text, str):
        raise UsageTypeError(f"include_dirs is a list of paths; got {type(item).__name__}: {item!r}")
    return os.path.abspath(os.path.expanduser(text))


def _name_expression(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or "\0" in name or "\n" in name:
        raise UsageValueError(f"{name!r} is not a C++ name expression; write e.g. 'reduce<float, 256>'")
    check_encodable(f"name expression {name!r}", name)
    return name.strip()


def _headers(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    if not headers:
        return ()
    if not hasattr(headers, "items"):
        raise UsageTypeError(f"headers maps include names to text (str); got one {type(headers).__name__}")
    pairs: list[tuple[Any, Any]] = sorted(headers.items(), key=lambda item: str(item[0]))
    for name, text in pairs:
        if not isinstance(name, str) or not isinstance(text, str) or not name or "\0" in name or "\n" in name:
            raise UsageTypeError(f"headers maps include names to text (str); got {name!r}: {type(text).__name__}")
        check_encodable(f"header name {name!r}", name)
    return tuple([(name, checked_text(f"header {name!r}", text)) for name, text in pairs])
