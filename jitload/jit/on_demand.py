"""What a declared kernel is before it is launched: compiled, found and loaded when somebody first asks for it."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

from jitload import config, forks, log
from jitload.device import resolve_device
from jitload.door import compile_request
from jitload.errors import JitloadError, SymbolNotFoundError
from jitload.launch.opaque import opaque
from jitload.lazy import lazy
from jitload.source.template import missing_argument
from jitload.trace import is_mistake, short_errors, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jitload import inquiry
    from jitload.artifact import Artifact
    from jitload.batch import precompile as ahead
    from jitload.batch.report import PrecompileReport
    from jitload.compiler import deduce
    from jitload.jit.specialization import Specialization
    from jitload.launch.foreign import Given
    from jitload.launch.kernel import Kernel
    from jitload.loader.module import Module
    from jitload.source.request import CompileRequest
    from jitload.target import StandIns
    from jitload.tiers.cache import Cache
    from jitload.tiers.explain import Explanation
    from jitload.values import KernelInfo, KindName, Resources
else:
    ahead = lazy("jitload.batch.precompile")
    deduce = lazy("jitload.compiler.deduce")
    inquiry = lazy("jitload.inquiry")

__tracebackhide__ = is_mistake


class OnDemand:
    """A declared kernel as an image: its request, its artifact, and the loaded kernel of each device and settings.

    Args:
        wanted: its source and options, with the template arguments that are known.
    """

    __name__: str

    def __init__(self, wanted: Specialization) -> None:
        self._wanted = wanted
        self._open = wanted.open
        self._loaded: dict[tuple[object, ...], tuple[Kernel, Module]] = {}
        self._current: tuple[config.Config, Kernel] | None = None
        self._lock = RLock()
        forks.after_fork(self._renew_lock)

    @property
    def entry(self) -> str:
        """The C++ name expression of the kernel with the template arguments filled in."""
        return self._wanted.entry

    @property
    def cache(self) -> Cache | None:
        """The cache that it was given, or None where the user's counts."""
        return self._wanted.options.cache

    @property
    def is_linked(self) -> bool:
        """Whether it is linked with others (`link=`), so that asking for its request compiles them."""
        return bool(self._wanted.options.link)

    @short_errors
    def request(self, *, arch: str | Iterable[str] | None = None, kind: KindName | None = None) -> CompileRequest:
        """The compile request for an arch; default: what the current device runs.

        Args:
            arch: "sm_90", "compute_80", ...; several for a fatbin.
            kind: "cubin", "ptx", "ltoir" or "fatbin"; default: what goes with the arch.

        Raises:
            SourceNotFoundError: the source file is not there.
            OSError: it cannot be read.
            UsageValueError: that kind cannot be made for that arch.
        """
        return self._wanted.request(arch, kind)

    @short_errors
    def artifact(self, *, arch: str | Iterable[str] | None = None, kind: KindName | None = None) -> Artifact:
        """The compiled artifact, from a tier or from one compile.

        Args:
            arch: as for `request`.
            kind: as for `request`.

        Raises:
            CompileError: the source does not compile, or no compiler is installed and no tier has it.
        """
        request = self.request(arch=arch, kind=kind)
        chosen = self.stand_ins(request, arch=arch, kind=kind)
        return compile_request(request, self.cache, device=chosen.device, kinds=chosen.kinds)

    def described(self, artifact: Artifact) -> KernelInfo:
        """What is known of this kernel in an artifact that was compiled for it.

        Args:
            artifact: as `artifact()` gives it.

        Raises:
            SymbolNotFoundError: the source has no kernel of this name.
        """
        found = artifact.kernels.get(self.entry)
        if found is None:
            names = tuple(artifact.kernels)
            raise SymbolNotFoundError(
                f"{self._wanted.source.label} has no kernel {self.entry!r}: it has {', '.join(names) or 'none'}; "
                f"{self._how_to_name()}",
                name=self.entry,
                available=names,
            )
        return found

    def _how_to_name(self) -> str:
        """What to do where the source has no kernel of this name."""
        templates = [one for one in deduce.kernel_templates(self.request().source) if one.name == self.entry]
        if templates:
            return f'{self.entry} is a template, and nothing instantiates it: give entry="{templates[0].example()}"'
        return "name the function after the kernel, or give entry="

    def stand_ins(
        self, request: CompileRequest, *, arch: str | Iterable[str] | None = None, kind: KindName | None = None
    ) -> StandIns:
        """What will do for a `request` of this kernel; nothing else where its `arch` or `kind` was chosen."""
        return self._wanted.stand_ins(request, arch, kind)

    @short_errors
    def precompile(
        self,
        archs: str | Iterable[str] | None = None,
        *,
        kinds: KindName | Iterable[KindName] | None = None,
        **options: Given,
    ) -> PrecompileReport:
        """Compile this kernel ahead for several archs and kinds, without a GPU; what the cache has is left alone.

        Args:
            archs: "sm_90", "compute_80", ...; default: the kernel's own, else the current device's.
            kinds: "cubin", "ptx", "ltoir", "fatbin"; default: a cubin for "sm_*", PTX for "compute_*".
            options: `executor`, `progress`, `jobs` and `cache` of `jitload.precompile`; the cache of the kernel counts
                where none is given.

        Returns:
            What came of it: `compiled`, `cached`, `failed`.
        """
        return ahead.precompile([self], archs, kinds=kinds, **options)

    @short_errors
    def explain(self, *, arch: str | Iterable[str] | None = None, kind: KindName | None = None) -> Explanation:
        """What the next load of this kernel would get now, and why: image, factors, nearest entries. `print` it.

        A kernel that is loaded in this process is not asked for again: `jitload.stats()` has what it got.

        Args:
            arch: as for `request`.
            kind: as for `request`.
        """
        request = self.request(arch=arch, kind=kind)
        chosen = self.stand_ins(request, arch=arch, kind=kind)
        return inquiry.explain(request, self.cache, device=chosen.device, kinds=chosen.kinds)

    @opaque
    def kernel(self) -> Kernel:
        """The loaded kernel for the device in force: compiled or found, and loaded, at the first call.

        Raises:
            CompileError: as `artifact`.
            LoadError: the image cannot be loaded here.
        """
        try:
            settings = config.current()
            seen = self._current
            if seen is not None and seen[0] is settings:
                return seen[1]
            return self._in_force(settings)[0]
        except JitloadError as error:
            shorten(error)
            raise

    @property
    @short_errors
    def module(self) -> Module:
        """The module of the kernel that is loaded for the device in force, with its variables: `get_global`.

        Raises:
            CompileError, LoadError: as `kernel`.
        """
        return self._in_force(config.current())[1]

    @short_errors
    def constant(self, name: str, array: Given, *, stream: object = None) -> None:
        """Set a `__constant__`, `__device__` or `__managed__` variable of the kernel's source, on the current device.

        It may be called before the first launch, which then finds the value, and between launches. Each device has
        variables of its own, and so has each specialization of a template kernel.

        Args:
            name: in C++: "coeff", "filters::coeff".
            array: an array, or a buffer, of just the bytes of the variable; of its elements and rows, where its type is
                known, as of arithmetic types, vectors and arrays of them. `bytes` are taken as they are.
            stream: as for a launch: it is set behind what is queued there.

        Raises:
            SymbolNotFoundError: the source has no such variable, or nothing in it uses it.
            ArgumentError: an array of another size or type, or a template argument is open.
            CompileError, LoadError: as `kernel`.
        """
        if self._open:
            raise missing_argument(self.__name__, self._open[0], "constant() sees no array to deduce it from")
        self.module.get_global(name).copy_from(array, stream=stream)

    @property
    @short_errors
    def resources(self) -> Resources | None:
        """`Kernel.resources` of the kernel that is loaded for the device in force."""
        return self.kernel().resources

    @property
    @short_errors
    def handle(self) -> int:
        """`Kernel.handle`, the driver's CUkernel."""
        return self.kernel().handle

    @short_errors
    def suggest_block(self, shared_bytes: int | Callable[[int], int] = 0) -> int | tuple[int, int, int]:
        """`Kernel.suggest_block`: the threads of a block with which most threads are resident.

        Args:
            shared_bytes: dynamic shared memory per block, in bytes, or a function of the threads that gives it.
        """
        return self.kernel().suggest_block(shared_bytes)

    def _in_force(self, settings: config.Config) -> tuple[Kernel, Module]:
        """The kernel for some settings, and its module."""
        with self._lock:
            # What was loaded under other bundles or options, or before strict mode, is not what these settings ask for.
            state = (resolve_device(), settings.strict, settings.bundles, settings.trust, settings.compile_options)
            loaded = self._loaded.get(state)
            if loaded is None:
                loaded = self._loaded[state] = self._load()
            elif settings.record is not None:
                self._note_use()
            self._current = (settings, loaded[0])
            return loaded

    def _renew_lock(self) -> None:
        """After a fork: another thread may have been loading the kernel. The child loads it for itself."""
        self._lock = RLock()

    def _note_use(self) -> None:
        """Ask for what is loaded already, so that it stands in the workload that is recorded now."""
        try:
            self.artifact()
        except (JitloadError, OSError) as error:  # it is loaded, and a recording is no reason to fail
            log.warn_once(("record", id(self)), f"{self.__name__} is not recorded: {error}")

    def _load(self) -> tuple[Kernel, Module]:
        artifact = self.artifact()
        entry = self.described(artifact).name
        module = artifact.load()
        self._attach_lines(module)
        return module[entry], module

    def _attach_lines(self, module: Module) -> None:
        """Let faults and profiles name and show lines of this declaration: another file may have the same source."""
        if module.names_lines:
            request = self.request()
            around = request.path if self._wanted.source.is_literal else None
            module.attach_lines(request.name, around, request.line_in_file, request.source)
