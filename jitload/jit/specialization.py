"""What a declared kernel compiles: its source and options, with the template arguments that are known."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any

from jitload.device import resolve_device
from jitload.errors import ArgumentError, SourceNotFoundError
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.source.arch import given_arch
from jitload.source.request import CompileRequest
from jitload.source.template import missing_argument, template_text
from jitload.target import NO_STAND_INS, StandIns, default_target, device_options, stand_ins, wanted_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeVar

    from typing_extensions import Unpack

    from jitload import door, linking
    from jitload.declaration import KernelSource
    from jitload.launch import deduction as deducing
    from jitload.launch.deduction import Deduction
    from jitload.source.fields import Asked
    from jitload.tiers.cache import Cache
    from jitload.values import KindName

    Kernel = TypeVar("Kernel")
else:
    door = lazy("jitload.door")
    linking = lazy("jitload.linking")
    deducing = lazy("jitload.launch.deduction")


#: Files that are compiled before they are linked; all others are images and libraries.
SOURCE_SUFFIXES = (".cu", ".cuh", ".cc", ".cpp", ".cxx")


class KernelOptions(Value):
    """What a declaration says beside its source, as `jit_kernel` was given it."""

    __slots__ = (
        "arch",
        "cache",
        "defines",
        "entry",
        "headers",
        "host_headers",
        "include_dirs",
        "kind",
        "link",
        "options",
    )
    entry: str | None
    kind: KindName | None
    arch: str | Iterable[str] | None
    options: str | Iterable[str]
    include_dirs: Iterable[str | os.PathLike[str]]
    headers: Mapping[str, str] | None
    defines: Mapping[str, object] | Iterable[str] | None
    cache: Cache | None
    link: tuple[object, ...]
    host_headers: bool

    def __init__(
        self,
        *,
        entry: str | None,
        kind: KindName | None,
        arch: str | Iterable[str] | None,
        options: str | Iterable[str],
        include_dirs: Iterable[str | os.PathLike[str]],
        headers: Mapping[str, str] | None,
        defines: Mapping[str, object] | Iterable[str] | None,
        cache: Cache | None,
        host_headers: bool,
        link: Iterable[object] = (),
    ) -> None:
        self._set(
            entry=entry,
            kind=kind,
            arch=arch,
            options=options,
            include_dirs=include_dirs,
            headers=headers,
            defines=defines,
            cache=cache,
            link=tuple(link),
            host_headers=host_headers,
        )


class Specialization:
    """A declared kernel with its template arguments, as far as they are known.

    Args:
        name: of the declaration.
        source: where its text stands.
        options: of the declaration.
        names: of its template arguments, in order.
        template: the values of those that are known.

    Attributes:
        name: as above.
        source: as above.
        options: as above.
        names: as above.
        template: as above.
        open: the template arguments that are not known.
    """

    def __init__(
        self,
        name: str,
        source: KernelSource,
        options: KernelOptions,
        names: tuple[str, ...],
        template: dict[str, object],
    ) -> None:
        self.name = name
        self.source = source
        self.options = options
        self.template = template
        self.names = names
        self.open = tuple([name for name in names if name not in template])
        self._deduction: Deduction[Any] | None = None

    @property
    def entry(self) -> str:
        """The C++ name expression of the kernel with the template arguments filled in.

        Raises:
            ArgumentError: one is open, or what was given as `entry` has no place for them.
        """
        values = {name: template_text(value) for name, value in self.template.items()}
        if self.open:
            raise missing_argument(self.name, self.open[0])
        pattern = self.options.entry
        if pattern is None:
            arguments = ", ".join(values[name] for name in self.names)
            return f"{self.name}<{arguments}>" if arguments else self.name
        try:
            return str(pattern).format_map(values).strip()
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ArgumentError(
                f"entry={pattern!r} of {self.name} cannot be filled in ({error}): "
                f"its template arguments are {', '.join(self.names) or 'none'}: the keyword-only parameters of "
                f"the declaration, as in `def {self.name}(x, *, T): ...`",
                kernel=self.name,
            ) from None

    def request(self, arch: str | Iterable[str] | None, kind: KindName | None) -> CompileRequest:
        """The compile request for an arch and a kind; None for the declaration's own, else the device's.

        Raises:
            SourceNotFoundError: the source file is not there.
            OSError: it cannot be read.
            UsageValueError: that kind cannot be made for that arch.
            CompileError: it is linked with others, and one of them does not compile.
        """
        options, arch = self.options, given_arch(arch)
        wanted, archs = default_target(kind or options.kind, arch or options.arch)
        entry = self.entry
        request = self._made(
            kind=wanted,
            arch=archs,
            options=wanted_options(options.options),
            include_dirs=self.source.include_dirs(options.include_dirs),
            defines=options.defines,
            names=(entry,) if "<" in entry or "::" in entry else (),
            host_headers=options.host_headers,
            device_options=() if options.link else device_options(arch or options.arch),
        )
        return self._linked(request) if options.link else request

    def _linked(self, request: CompileRequest) -> CompileRequest:
        """The request with what is linked to it; sources among that are compiled as it is."""
        units: list[CompileRequest] = [request]
        others: list[object] = []
        for item in self.options.link:
            if isinstance(item, (str, os.PathLike)):
                path = self.source.linked_path(item)
                if path.endswith(SOURCE_SUFFIXES):
                    units.append(request.beside(pathlib.Path(path)))
                else:
                    others.append(path)
            else:
                others.append(item)
        return linking.linked_request(units, others, lambda unit: door.compile_request(unit, self.options.cache))

    def stand_ins(self, request: CompileRequest, arch: str | Iterable[str] | None, kind: KindName | None) -> StandIns:
        """What will do for such a request; nothing else where the arch was chosen."""
        if given_arch(arch) or self.options.arch:
            return NO_STAND_INS
        return stand_ins(request, resolve_device(), kind or self.options.kind)

    def merged(self, template: Mapping[str, object]) -> Specialization:
        """The same with other template arguments.

        Raises:
            ArgumentError: it has none of that name.
        """
        for name in template:
            if name not in self.names:
                known = ", ".join(self.names) or "none"
                raise ArgumentError(
                    f"{self.name} has no template argument {name!r}; it has {known}", kernel=self.name, parameter=name
                )
        return Specialization(self.name, self.source, self.options, self.names, {**self.template, **template})

    def deduced(self, specialize: Callable[..., Kernel], arguments: tuple[object, ...], count: int) -> Kernel:
        """What `specialize` gives for the template arguments that are open, by the arrays of a call.

        Args:
            specialize: template arguments by name -> the kernel with them.
            arguments: of the call, in order.
            count: how many the declaration names.

        Raises:
            ArgumentError: one of them cannot be deduced.
        """
        deduction = self._deduction
        if deduction is None:
            sources = (self._made(kind="ptx", arch="compute_80").source, *(self.options.headers or {}).values())
            names = ", ".join(f"{{{name}}}" for name in self.names)
            pattern = self.options.entry or f"{self.name}<{names}>"
            deduction = self._deduction = deducing.Deduction(self.name, sources, pattern, self.open, count)
        found: Kernel = deduction.specialized(specialize, arguments)
        return found

    def spelled(self) -> list[tuple[str, str]]:
        """(name, C++ text) of the template arguments that are known."""
        return [(name, template_text(value)) for name, value in self.template.items()]

    def _made(self, **fields: Unpack[Asked]) -> CompileRequest:
        try:
            return CompileRequest(**self.source.request_fields(self.options.headers), **fields)
        except SourceNotFoundError as error:
            text = f"kernel {self.name}: {error}; file= is looked for beside the Python file that declares it"
            raise SourceNotFoundError(text, filename=error.filename, kernel=self.name) from None
