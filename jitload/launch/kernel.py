"""`Kernel`: what a user launches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from jitload import config
from jitload.errors import JitloadError, LoadError, UsageTypeError
from jitload.launch import native, shapes
from jitload.launch.opaque import keep_opaque, made_opaque, opaque
from jitload.lazy import lazy
from jitload.trace import is_mistake, short_errors, shorten, shown_without_misfits

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

    from typing_extensions import Unpack

    from jitload import calls
    from jitload.launch import _native, arguments, bound, occupancy, streams
    from jitload.launch import configuration as configurations
    from jitload.launch import hints as launch_hints
    from jitload.launch.arguments import Signature
    from jitload.launch.configuration import Configuration
    from jitload.launch.device import DeviceFunction, Dim3
    from jitload.launch.hints import HintOptions
    from jitload.launch.lookup import PythonLookup as Lookup
    from jitload.values import KernelInfo, Resources
else:
    Lookup = native.lookup_type()
    calls = lazy("jitload.calls")
    arguments = lazy("jitload.launch.arguments")
    bound = lazy("jitload.launch.bound")
    configurations = lazy("jitload.launch.configuration")
    launch_hints = lazy("jitload.launch.hints")
    occupancy = lazy("jitload.launch.occupancy")
    streams = lazy("jitload.launch.streams")

__tracebackhide__ = is_mistake

#: Bound launches kept per kernel for `kernel[grid, block]`; a grid that follows the data must not fill the memory.
MAX_BOUND = 512


class Kernel(Lookup, shapes.PeerAttributes):
    """A kernel of a loaded module.

    Three ways to launch, with one meaning; sizes are in blocks and threads, `shared_bytes` is dynamic shared memory:

        kernel[grid, block](x, y, 2.0, n)             # also [grid, block, stream, shared_bytes]
        kernel(x, y, 2.0, n, grid=grid, block=block)  # also shared_bytes=, stream= and whatever `bind` takes
        bound = kernel.bind(grid=grid, block=block)   # then bound(x, y, 2.0, n): the fastest

    A stream of None is the current stream of torch or CuPy at the time of each call, else the default stream.

    Args:
        info: its name, symbol and parameters.
        function: the kernel on its device.
    """

    def __init__(self, info: KernelInfo, function: DeviceFunction) -> None:
        self._info = info
        self._function = function
        self._signature: Signature | None = None
        self._specialize: dict[bool, Callable[..., FunctionType] | None] = {}
        self._table: dict[object, Callable[..., None]] = {}
        self._native = native.extension() if hasattr(function, "submission") else None
        self._plan: _native.Plan | None = None

    @property
    def name(self) -> str:
        """What the user calls it: "saxpy", "reduce<float, 256>"."""
        return self._info.name

    @property
    def symbol(self) -> str:
        """The lowered name in the image."""
        return self._info.symbol

    @property
    def info(self) -> KernelInfo:
        """Its name, symbol and parameter layout."""
        return self._info

    @property
    def device(self) -> str:
        """Where it runs: "cuda" or "cpu"."""
        return self._function.device

    @property
    def resources(self) -> Resources | None:
        """What it takes of a multiprocessor: of a cubin as the file says, else as the driver says of its own compile.

        None on the CPU executor, which runs PTX, and where the driver does not tell. The driver tells no spills,
        which are None then where there is a stack, and no bytes of code and constants and no barriers, which are 0.
        """
        if self._info.resources is not None:
            return self._info.resources
        measured: Callable[[], Resources | None] | None = getattr(self._function, "resources", None)
        return None if measured is None else measured()

    @property
    def handle(self) -> int:
        """The driver's CUkernel, for calls of the driver that jitload does not make.

        Raises:
            LoadError: it runs on the CPU executor, or its module is closed.
        """
        if self.device != "cuda":
            raise LoadError(f"kernel {self.name!r} runs on the CPU executor: only a GPU's driver has a CUkernel for it")
        handle: int = self._function.handle  # type: ignore[attr-defined]
        return handle

    @property
    def arch(self) -> str:
        """The GPU that it would be launched on now: "sm_90"; "cpu" on the CPU executor."""
        return getattr(self._function, "arch", "cpu")

    @short_errors
    def suggest_block(self, shared_bytes: int | Callable[[int], int] = 0) -> int | Dim3:
        """The threads of a block with which most threads are resident on the current device; the largest of several.

        The choice of cuOccupancyMaxPotentialBlockSize. On the CPU executor, and on a GPU that this version does not
        know, it is 256, or less where the kernel's launch bounds say so. A kernel that was compiled for one block alone
        (`__block_size__`, `.reqntid`) gives that one.

        Args:
            shared_bytes: dynamic shared memory per block, or a function of the threads that gives it.

        Raises:
            LaunchError: no block fits with so much shared memory.
        """
        return occupancy.suggest_block(self._info, self.resources, self.arch, shared_bytes)

    @short_errors
    def forall(
        self, count: int, *, block: object = None, shared_bytes: int = 0, stream: object = None, cluster: object = None
    ) -> Callable[..., None]:
        """The kernel bound for a thread per element: `kernel.forall(n)(x, n)`.

        The threads of the last block go beyond the count: the kernel leaves out what is not below it.

        Args:
            count: elements; with 0 nothing is launched.
            block: threads per block; default: `suggest_block`.
            shared_bytes: dynamic shared memory per block.
            stream: see `Kernel`.
            cluster: blocks per cluster; the grid has whole ones.

        Raises:
            LaunchError: the count is no whole number from 0 on, or blocks or clusters have more than one dimension.
        """
        chosen = self.suggest_block(shared_bytes) if block is None else block
        grid, threads = configurations.cover(self._info, count, chosen, cluster)
        return self.bind(grid=grid, block=threads, shared_bytes=shared_bytes, stream=stream, cluster=cluster)

    @opaque
    def __call__(
        self,
        *args: object,
        grid: object = None,
        block: object = None,
        shared_bytes: int = 0,
        stream: object = None,
        cluster: object = None,
        cooperative: bool = False,
        **hints: Unpack[HintOptions],
    ) -> None:
        """Launch with `args`; everything else is as for `bind`.

        Raises:
            ArgumentError: an argument does not fit its parameter.
            LaunchError: the configuration is missing or cannot be run.
            DriverError, CpuFault: the device refused or stopped the kernel.
        """
        try:
            if grid is None or block is None or hints:
                names = [parameter.name for parameter in self._info.params]
                given = {"grid": grid, "block": block, "shared_bytes": shared_bytes, "stream": stream, **hints}
                shapes.refuse_foreign_call(self.name, names, args, given)
            if stream is None and not shared_bytes and cluster is None and cooperative is False and not hints:
                self[grid, block](*args)
            else:
                self.bind(
                    grid=grid,
                    block=block,
                    shared_bytes=shared_bytes,
                    stream=stream,
                    cluster=cluster,
                    cooperative=cooperative,
                    **hints,
                )(*args)
        except JitloadError as error:
            shorten(error)
            raise

    @opaque
    @shown_without_misfits
    def bind(  # noqa: D417 - it takes no more than is said
        self,
        *excess: Unpack[tuple[()]],
        grid: object = None,
        block: object = None,
        shared_bytes: int = 0,
        stream: object = None,
        cluster: object = None,
        cooperative: bool = False,
        pdl: bool = False,
        priority: int | None = None,
        cluster_scheduling: str | None = None,
        carveout_percent: int | None = None,
        **unknown: Unpack[calls.Nothing],
    ) -> Callable[..., None]:
        """A function of the kernel's arguments alone, everything else decided: the fastest way to launch again.

        `JITLOAD_SYNC` is looked at here, not at each call.

        Args:
            grid: blocks: a number, or a tuple of 1 to 3; with a 0 among them nothing is launched. A function is called
                with the arguments of each launch, and gives them.
            block: threads per block, likewise.
            shared_bytes: dynamic shared memory per block.
            stream: see `Kernel`.
            cluster: blocks per cluster.
            cooperative: whether blocks may wait for each other (`grid.sync()`).
            pdl: programmatic dependent launch, a hint like all that follow: the kernel may begin before the one in
                front of it on the stream has ended, and waits for it itself (cudaGridDependencySynchronize).
            priority: as of a stream: lower numbers are more urgent.
            cluster_scheduling: "spread" or "load_balancing".
            carveout_percent: shared memory, in percent of the most that the device can make of its L1 cache.

        Raises:
            LaunchError: the configuration is missing or cannot be run.
            ArgumentError: `stream` is no stream.
        """
        try:
            if excess or unknown:  # type: ignore[redundant-expr]
                raise calls.refused_call(Kernel.bind, (self, *excess), unknown)
            hints = launch_hints.read_hints(self._info, pdl, priority, cluster_scheduling, carveout_percent)
            handle = None if stream is None else streams.stream_handle(stream, self.device)
            synchronous = config.current().sync
            if not callable(grid):
                made = configurations.configure(self._info, grid, block, shared_bytes, cluster, cooperative, hints)
                return self._bind(made, handle, synchronous)

            def launch(*args: object) -> None:
                now = grid(*args)
                made = configurations.configure(self._info, now, block, shared_bytes, cluster, cooperative, hints)
                self._found((made, handle, synchronous), made, handle, synchronous)(*args)

            return made_opaque(launch)
        except JitloadError as error:
            shorten(error)
            raise

    @short_errors
    def _look_up(self, key: object) -> Callable[..., None]:
        if not isinstance(key, tuple) or not 2 <= len(key) <= 4:
            raise shapes.refused_configuration(self.name, key)
        grid, block = key[:2]
        if callable(grid):
            return self._measured(grid, key[1:])
        stream = key[2] if len(key) > 2 else None
        shared_bytes = key[3] if len(key) > 3 else 0
        handle = None if stream is None else streams.stream_handle(stream, self.device)
        configuration = configurations.configure(self._info, grid, block, shared_bytes)
        synchronous = config.current().sync
        plain = handle is None and configuration.shared_bytes == 0 and not synchronous
        quick = (grid, block) if plain else (configuration, handle, synchronous)
        try:
            hash(quick)
        except TypeError:  # a list among the dimensions
            quick = (configuration, handle, synchronous)
        return self._found(quick, configuration, handle, synchronous)

    def _measured(self, grid: Callable[..., object], rest: tuple[object, ...]) -> Callable[..., None]:
        """`kernel[grid, ...]` with a grid that follows from the arguments of each launch."""

        def launch(*args: object) -> None:
            key = (grid(*args), *rest)
            self[key](*args)

        return made_opaque(launch)

    def _found(self, key: object, made: Configuration, handle: int | None, synchronous: bool) -> Callable[..., None]:
        """Bound, the first time, and found by its key from then on."""
        found = self._table.get(key)
        if found is None:
            if len(self._table) >= MAX_BOUND:
                self._table.clear()
            found = self._table[key] = self._bind(made, handle, synchronous)
        return found

    def _bind(self, configuration: Configuration, handle: int | None, synchronous: bool) -> Callable[..., None]:
        signature = self._signature
        if signature is None:
            foreign = getattr(self._function.memory, "is_foreign", None)
            signature = self._signature = arguments.Signature(self._info, self.device, foreign)
            self._plan = native.make_plan(self._native, signature)
        follow = handle is None and self.device == "cuda"
        if follow not in self._specialize:
            self._specialize[follow] = bound.compile_launch(signature, follow=follow)
        specialize = self._specialize[follow]
        launch = bound.Launch(self._function, signature, configuration, handle or 0, synchronous, self._plan)
        keep_opaque()
        if configuration.is_empty:
            return launch.skip

        def elsewhere(stream: int) -> Callable[..., None]:
            return self._found((configuration, stream, synchronous), configuration, stream, synchronous)

        if self._native is not None and self._plan is not None and not synchronous:
            return launch.native(self._native, launch.following(elsewhere) if follow else launch.run, follow=follow)
        if specialize is not None and not synchronous:
            return launch.compiled(specialize, elsewhere)
        return launch.following(elsewhere) if follow else launch.run

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(
            f"{self!r} is loaded in this process and cannot be pickled: send the Artifact, or its module's "
            f"save_to_bytes(), or decorate it with jit_kernel, which is pickled by its name"
        )

    def __repr__(self) -> str:
        return f"<Kernel {arguments.Signature(self._info, self.device)} on {self.device}>"
