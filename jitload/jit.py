"""`@jit_kernel`: a CUDA C++ kernel as a Python function.

The decorated function is a declaration: its positional parameters name the kernel's arguments, in order, with their
defaults; its keyword-only parameters are template arguments. The source is a file beside the Python file, a string, or
the function's docstring. Compile, cache look-up and loading happen at the first use; after that a call only launches.
"""

from __future__ import annotations

import os
from functools import update_wrapper
from threading import RLock
from typing import TYPE_CHECKING, Any, overload

from jitload import config, forks, log
from jitload.declaration import KernelSource
from jitload.device import resolve_device
from jitload.door import compile_request, explain
from jitload.errors import ArgumentError, JitloadError, SourceNotFoundError, SymbolNotFoundError, UsageTypeError
from jitload.given import given_cache, kept
from jitload.launch.signature import split_signature
from jitload.lazy import lazy
from jitload.source.decorated import Undecorated, check_function, check_source, docstring_source
from jitload.source.request import CompileRequest
from jitload.source.template import missing_argument, template_text
from jitload.target import NO_STAND_INS, StandIns, default_target, device_options, stand_ins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jitload.artifact import Artifact
    from jitload.batch import precompile as ahead
    from jitload.batch.report import PrecompileReport
    from jitload.launch import deduction as deducing
    from jitload.launch.deduction import Deduction
    from jitload.launch.kernel import Kernel
    from jitload.loader.module import Module
    from jitload.tiers.cache import Cache
    from jitload.tiers.explain import Explanation
    from jitload.values import Resources
else:
    ahead = lazy("jitload.batch.precompile")
    deducing = lazy("jitload.launch.deduction")

_LAUNCH_OPTIONS = ("grid", "block", "shared_bytes", "stream", "cluster", "cooperative")
#: Hints of a launch, where the declaration has no parameter of that name.
_HINTS = ("pdl", "priority", "cluster_scheduling", "carveout_percent")


class JitKernel:
    """A kernel that is compiled when it is first used. Made by `jit_kernel`.

    Launch it like any kernel: `k[grid, block](...)`, `k[grid, block, stream, shared_bytes](...)`,
    `k(..., grid=..., block=...)`, or `k.bind(grid=..., block=...)` once and call that. Template arguments may be given
    to `specialize` or among the keywords of a call.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __init__(
        self,
        declaration: Callable[..., Any],
        source: KernelSource,
        options: Mapping[str, Any],
        template: Mapping[str, Any],
        base: JitKernel | None = None,
    ) -> None:
        update_wrapper(self, declaration)
        self._base = base
        self.__wrapped__ = declaration
        self._source = source
        self._options = dict(options)
        self._parameters, self._template_names, defaults = split_signature(declaration)
        own = {*self._parameters.names, *self._template_names}
        self._launch_options = (*_LAUNCH_OPTIONS, *[name for name in _HINTS if name not in own])
        self._template = {**defaults, **template}
        self._open = tuple([name for name in self._template_names if name not in self._template])
        self._deduction: Deduction[JitKernel] | None = None
        self._specializations: dict[tuple[Any, ...], JitKernel] = {}
        self._kernels: dict[tuple[object, ...], Kernel] = {}
        self._current: tuple[config.Config, Kernel] | None = None
        self._lock = RLock()
        forks.after_fork(self._renew_lock)

    @property
    def entry(self) -> str:
        """The C++ name expression of the kernel with the template arguments filled in."""
        values = {name: template_text(value) for name, value in self._template.items()}
        if self._open:
            raise missing_argument(self.__name__, self._open[0])
        pattern = self._options["entry"]
        if pattern is None:
            arguments = ", ".join(values[name] for name in self._template_names)
            return f"{self.__name__}<{arguments}>" if arguments else self.__name__
        try:
            return str(pattern).format_map(values).strip()
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ArgumentError(
                f"entry={pattern!r} of {self.__name__} cannot be filled in ({error}): "
                f"its template arguments are {', '.join(self._template_names) or 'none'}",
                kernel=self.__name__,
            ) from None

    @property
    def cache(self) -> Cache | None:
        """The cache that it was given, or None where the user's counts."""
        cache: Cache | None = self._options["cache"]
        return cache

    def request(self, *, arch: str | Iterable[str] | None = None, kind: str | None = None) -> CompileRequest:
        """The compile request for an arch; default: what the current device runs.

        Raises:
            SourceNotFoundError: the source file is not there.
            OSError: it cannot be read.
            UsageValueError: that kind cannot be made for that arch.
        """
        options = self._options
        wanted, archs = default_target(kind or options["kind"], arch or options["arch"])
        entry = self.entry
        return self._made(
            kind=wanted,
            arch=archs,
            options=options["options"],
            include_dirs=self._source.include_dirs(options["include_dirs"]),
            defines=options["defines"],
            names=(entry,) if "<" in entry or "::" in entry else (),
            device_options=device_options(arch or options["arch"]),
        )

    def _made(self, **fields: Any) -> CompileRequest:
        try:
            return CompileRequest(**self._source.request_fields(self._options["headers"]), **fields)
        except SourceNotFoundError as error:
            text = f"kernel {self.__name__}: {error}; file= is looked for beside the Python file that declares it"
            raise SourceNotFoundError(text, filename=error.filename, kernel=self.__name__) from None

    def artifact(self, *, arch: str | Iterable[str] | None = None, kind: str | None = None) -> Artifact:
        """The compiled artifact, from a tier or from one compile.

        Raises:
            CompileError: the source does not compile, or no compiler is installed and no tier has it.
        """
        options = self._options
        request = self.request(arch=arch, kind=kind)
        chosen = self.stand_ins(request, arch=arch, kind=kind)
        return compile_request(request, options["cache"], device=chosen.device, kinds=chosen.kinds)

    def stand_ins(
        self, request: CompileRequest, *, arch: str | Iterable[str] | None = None, kind: str | None = None
    ) -> StandIns:
        """What will do for a request of this kernel; nothing else where the arch was chosen."""
        if arch or self._options["arch"]:
            return NO_STAND_INS
        return stand_ins(request, resolve_device(), kind or self._options["kind"])

    def precompile(
        self,
        archs: str | Iterable[str] | None = None,
        *,
        kinds: str | Iterable[str] | None = None,
        **options: Any,
    ) -> PrecompileReport:
        """Compile this kernel ahead for several archs and kinds, without a GPU; what the cache has is left alone.

        Args:
            archs: "sm_90", "compute_80", ...; default: the kernel's own, else the current device's.
            kinds: "cubin", "ptx", "ltoir", "fatbin"; default: a cubin for "sm_*", PTX for "compute_*".
            options: `executor`, `progress`, `jobs` and `cache` of `jitload.precompile`; the cache of the kernel counts
                where none is given.
        """
        return ahead.precompile([self], archs, kinds=kinds, **options)

    def explain(self, *, arch: str | Iterable[str] | None = None, kind: str | None = None) -> Explanation:
        """What the next load of this kernel would get now, and why: image, factors, nearest entries. `print` it.

        A kernel that is loaded in this process is not asked for again: `jitload.stats()` has what it got.
        """
        request = self.request(arch=arch, kind=kind)
        chosen = self.stand_ins(request, arch=arch, kind=kind)
        return explain(request, self._options["cache"], device=chosen.device, kinds=chosen.kinds)

    def kernel(self) -> Kernel:
        """The loaded kernel for the device in force: compiled or found, and loaded, at the first call.

        Raises:
            CompileError: as `artifact`.
            LoadError: the image cannot be loaded here.
        """
        settings = config.current()
        seen = self._current
        if seen is not None and seen[0] is settings:
            return seen[1]
        with self._lock:
            # What was loaded under other bundles, or before strict mode, is not what these settings ask for.
            state = (resolve_device(), settings.strict, settings.bundles, settings.trust)
            kernel = self._kernels.get(state)
            if kernel is None:
                kernel = self._kernels[state] = self._load()
            elif settings.record is not None:
                self._note_use()
            self._current = (settings, kernel)
            return kernel

    @property
    def resources(self) -> Resources | None:
        """`Kernel.resources` of the kernel that is loaded for the device in force."""
        return self.kernel().resources

    @property
    def handle(self) -> int:
        """`Kernel.handle`, the driver's CUkernel."""
        return self.kernel().handle

    def suggest_block(self, shared_bytes: int | Callable[[int], int] = 0) -> int | tuple[int, int, int]:
        """`Kernel.suggest_block`: the threads of a block with which most threads are resident."""
        return self.kernel().suggest_block(shared_bytes)

    def _renew_lock(self) -> None:
        """After a fork: another thread may have been loading the kernel. The child loads it for itself."""
        self._lock = RLock()

    def specialize(self, **template: Any) -> JitKernel:
        """The same kernel with other template arguments: strings of C++, integers, bools or NumPy dtypes."""
        self._check_template(template)
        merged = {**self._template, **template}
        state = tuple(sorted((name, template_text(value)) for name, value in merged.items()))
        with self._lock:
            known = self._specializations.get(state)
            if known is None:
                known = self._specializations[state] = JitKernel(
                    self.__wrapped__, self._source, self._options, merged, self._base or self
                )
            return known

    def bind(self, **launch: Any) -> Callable[..., None]:
        """The kernel bound to a launch configuration, for the hot path: `bound(*args)`, positional only.

        Raises:
            ArgumentError: a template argument is open; there is no array yet to deduce it from.
        """
        if self._open:
            raise missing_argument(self.__name__, self._open[0], "bind() sees no array to deduce it from")
        return self.kernel().bind(**launch)

    def __getitem__(self, configuration: Any) -> Callable[..., None]:
        def launch(*arguments: Any, **keywords: Any) -> None:
            target = self._specialized(keywords) if keywords else self
            ordered = target._parameters.order(self.__name__, arguments, keywords)
            if target._open:
                target = target._deduced(ordered)
            target.kernel()[configuration](*ordered)

        return launch

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        """Launch with `grid=`, `block=` and the other launch options among the keywords.

        Raises:
            ArgumentError: an argument does not fit.
            LaunchError: the configuration does not fit.
        """
        options = {name: keywords.pop(name) for name in self._launch_options if name in keywords}
        target = self._specialized(keywords)
        ordered = target._parameters.order(self.__name__, arguments, keywords)
        if target._open:
            target = target._deduced(ordered)
        target.kernel()(*ordered, **options)

    def __repr__(self) -> str:
        template = ", ".join(f"{name}={template_text(value)}" for name, value in self._template.items())
        return f"<jit_kernel {self.__name__}{f' with {template}' if template else ''} from {self._source.label}>"

    def __reduce__(self) -> Any:
        """Pickled like a function, by its name: another process imports it, and compiles or finds it for itself."""
        return self.__qualname__ if self._base is None else (_specialize, (self._base, self._template))

    def _specialized(self, keywords: dict[str, Any]) -> JitKernel:
        template = {name: keywords.pop(name) for name in self._template_names if name in keywords}
        return self.specialize(**template) if template else self

    def _deduced(self, arguments: tuple[Any, ...]) -> JitKernel:
        """The kernel with the template arguments that were left open, by the arrays of a call."""
        deduction = self._deduction
        if deduction is None:
            headers = self._options["headers"] or {}
            sources = (self._made(kind="ptx", arch="compute_80").source, *headers.values())
            names = ", ".join(f"{{{name}}}" for name in self._template_names)
            pattern = self._options["entry"] or f"{self.__name__}<{names}>"
            deduction = deducing.Deduction(self.__name__, sources, pattern, self._open, len(self._parameters))
            self._deduction = deduction
        specialized: JitKernel = deduction.specialized(self.specialize, arguments)
        return specialized

    def _check_template(self, template: Mapping[str, Any]) -> None:
        for name in template:
            if name not in self._template_names:
                known = ", ".join(self._template_names) or "none"
                raise ArgumentError(
                    f"{self.__name__} has no template argument {name!r}; it has {known}",
                    kernel=self.__name__,
                    parameter=name,
                )

    def _note_use(self) -> None:
        """Ask for what is loaded already, so that it stands in the workload that is recorded now."""
        try:
            self.artifact()
        except (JitloadError, OSError) as error:  # it is loaded, and a recording is no reason to fail
            log.warn_once(("record", id(self)), f"{self.__name__} is not recorded: {error}")

    def _load(self) -> Kernel:
        artifact = self.artifact()
        entry = self.entry
        if entry not in artifact.kernels:
            names = tuple(artifact.kernels)
            raise SymbolNotFoundError(
                f"{self._source.label} has no kernel {entry!r}: it has {', '.join(names) or 'none'}; "
                f"name the function after the kernel, or give entry=",
                name=entry,
                available=names,
            )
        module = artifact.load()
        self._attach_lines(module)
        kernel: Kernel = module[entry]
        return kernel

    def _attach_lines(self, module: Module) -> None:
        """Let faults and profiles name the lines of the Python file, as compile errors do.

        They belong to this declaration, not to the artifact: another file may have the same source.
        """
        if self._source.is_literal:
            request = self.request()
            if request.path is not None:
                module.attach_lines(request.name, request.path, request.line_in_file)


@overload
def jit_kernel(function: Callable[..., Any], /) -> JitKernel: ...


@overload
def jit_kernel(
    *,
    file: str | os.PathLike[str] | None = None,
    source: str | None = None,
    entry: str | None = None,
    kind: str | None = None,
    arch: str | Iterable[str] | None = None,
    options: str | Iterable[str] = (),
    include_dirs: Iterable[str | os.PathLike[str]] = (),
    headers: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | Iterable[str] | None = None,
    cache: Cache | None = None,
) -> Callable[[Callable[..., Any]], JitKernel]: ...


def jit_kernel(
    function: Callable[..., Any] | None = None,
    /,
    *,
    file: str | os.PathLike[str] | None = None,
    source: str | None = None,
    entry: str | None = None,
    kind: str | None = None,
    arch: str | Iterable[str] | None = None,
    options: str | Iterable[str] = (),
    include_dirs: Iterable[str | os.PathLike[str]] = (),
    headers: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | Iterable[str] | None = None,
    cache: Cache | None = None,
) -> JitKernel | Callable[[Callable[..., Any]], JitKernel]:
    """Declare a CUDA C++ kernel. Nothing is compiled before the first use.

    Args:
        function: the declaration, when used without parentheses (the source is then its docstring).
        file: the source file, relative to the Python file: on the disk, or where its module's loader has it (a zip,
            a frozen application), with the headers that it includes by quoted names. Never the working directory: from
            a prompt, a notebook or `python -c` it has to be absolute.
        source: the source text.
        entry: the kernel's C++ name, with template arguments in braces: "reduce<{T}, {BLOCK}>"; default: the
            function's name with its keyword-only parameters as template arguments.
        kind: "cubin", "ptx", "ltoir" or "fatbin"; default: what the device runs.
        arch: default: the device's.
        options: NVRTC options, a list of them or one string that is split as a shell would.
        include_dirs: directories for `#include`, relative to the Python file.
        headers: include name -> text.
        defines: macro -> value.
        cache: where to look and to keep; default: the user's cache.

    Raises:
        UsageValueError: no source, or more than one.
        UsageTypeError: what is decorated is no function.
    """
    given_cache(cache)
    settings = {
        "entry": entry,
        "kind": kind,
        "arch": kept(arch),
        "options": kept(options),
        "include_dirs": kept(include_dirs),
        "headers": headers,
        "defines": kept(defines),
        "cache": cache,
    }
    if isinstance(include_dirs, (str, os.PathLike)):
        raise UsageTypeError(
            f"include_dirs is a list, got one {type(include_dirs).__name__}: write [{str(include_dirs)!r}]"
        )

    def decorate(declaration: Callable[..., Any]) -> JitKernel:
        check_function(declaration)
        check_source(declaration.__name__, file, source)
        text = docstring_source(declaration) if file is None and source is None else source
        return JitKernel(declaration, KernelSource(declaration, file, text), settings, {})

    return Undecorated(decorate) if function is None else decorate(function)


def _specialize(base: JitKernel, template: Mapping[str, Any]) -> JitKernel:
    return base.specialize(**template)
