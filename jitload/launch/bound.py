"""A kernel with its configuration: what runs when a launch is called.

There are two short roads and a long one, with one meaning. The first is native code, where that is built (_native.c).
The second is Python that is compiled per kernel: it compares the exact type of every argument (a comparison of two
pointers), packs with one `struct` call and submits. Whatever does not match goes down the long road, which converts,
stages host arrays and knows how to complain; native code learns from it how arrays of their types are read.
"""

from __future__ import annotations

import functools
import struct
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from jitload import log
from jitload.errors import JitloadError
from jitload.launch import latest
from jitload.launch.arguments import MISSING
from jitload.launch.opaque import made_opaque, opaque
from jitload.launch.staging import run_staged
from jitload.launch.streams import current_stream
from jitload.trace import is_mistake, short_errors, shorten

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from typing_extensions import Buffer

    from jitload.launch import _native
    from jitload.launch.arguments import Signature
    from jitload.launch.configuration import Configuration
    from jitload.launch.device import DeviceFunction, Dim3, StagingMemory
    from jitload.launch.row import Value
    from jitload.launch.staging import HostArray

    # The same launch on another stream.
    Elsewhere = Callable[[int], Callable[..., None]]

__tracebackhide__ = is_mistake

#: A parameter block and what submits it. Each is used by one launch at a time; a thread takes one from the list.
Slot = tuple["Buffer", "Callable[[], object]"]

# Measured with four scalars and pointers on a do-nothing driver: comparing `tuple(map(type, args))` with a known tuple
# costs three times these written-out comparisons. Defaults and `*more` turn a wrong count into an ArgumentError.
_TEMPLATE = """\
def specialize(take, give, make, pack_into, refuse, slow, latest, name, modules, current_stream, elsewhere):
    {state}
    def launch({parameters}*more):
        nonlocal latest
        {follow}
        if {checks}not more:
            try:
                slot = take()
            except IndexError:
                slot = make()
            buffer, submit = slot
            try:
                pack_into(buffer, 0{values})
            except PackError:
                give(slot)
                return slow({names}*more)
            if outcome := submit():
                refuse(outcome, submit)
            latest = name
            give(slot)
            return None
        return slow({names}*more)
    return launch
"""
# A framework may be imported after the launch was bound. Asking for two names in `sys.modules` costs 75 ns, asking
# whether anything was imported since costs half. Once one is there, `seen` stays -1 and every call asks it.
_STATE = "seen = 0"
_FOLLOW = """\
nonlocal seen
        if len(modules) != seen:
            seen = -1 if "torch" in modules or "cupy" in modules else len(modules)
            if seen < 0 and (stream := current_stream()):
                return elsewhere(stream)({names}*more)"""


class Launch:
    """One kernel, one configuration, one stream."""

    def __init__(
        self,
        function: DeviceFunction,
        signature: Signature,
        configuration: Configuration,
        stream: int,
        synchronous: bool,
        plan: _native.Plan | None = None,
    ) -> None:
        self._function = function
        self._signature = signature
        self._configuration = configuration
        self._stream = stream
        self._synchronous = synchronous
        self._plan = plan
        self._slots: list[Slot] = []
        self._settle: Callable[..., Callable[[], None] | None] | None = getattr(function, "settle", None)
        self._fast: _native.Launch | None = None
        self._latest = latest.place(stream)

    @opaque
    def run(self, *args: object) -> None:
        """Check and convert the arguments, stage host arrays, launch; every kind of argument is right here.

        Raises:
            ArgumentError: the arguments do not fit.
            LaunchError, DriverError, CpuFault: the device refused or stopped the kernel.
        """
        try:
            values, hosts, views = self._signature.convert(args, self._stream)
            undo = self._settle(views, self._stream) if views and self._settle is not None else None
            try:
                if hosts:
                    self._run_staged(hosts, values)
                else:
                    self._submit(values, wait=self._synchronous)
            finally:
                if undo is not None:
                    undo()
            if self._plan is not None:
                self._signature.learn(self._plan, args, views)
        except JitloadError as error:
            shorten(error)
            raise

    run.__qualname__ = "launch"  # whatever road a launch takes, Python complains of its keywords in the same words

    @opaque
    @short_errors
    def skip(self, *args: object) -> None:
        """Check the arguments of a launch whose grid has no blocks, and say so.

        Raises:
            ArgumentError: the arguments do not fit.
        """
        self._signature.convert(args, self._stream)
        log.debug(
            "kernel %r: grid %s has no blocks, so nothing is launched",
            self._signature.info.name,
            self._configuration.grid,
        )

    skip.__qualname__ = "launch"

    def latest(self) -> tuple[int, int, str]:
        """When this was launched last (0 is never), on which stream, and the kernel's name."""
        turn, stream = (0, 0) if self._fast is None else self._fast.latest()
        return turn, stream, self._signature.info.name

    def _run_staged(self, hosts: list[HostArray], values: list[Value]) -> None:
        staging: Callable[[int], StagingMemory] | None = getattr(self._function, "staging", None)
        if staging is not None:
            memory = staging(self._stream)
            run_staged(memory, hosts, values, lambda: self._submit(values, wait=False), memory.finish)
        elif self._function.memory is not None:
            run_staged(self._function.memory, hosts, values, lambda: self._submit(values, wait=True))

    def following(self, elsewhere: Elsewhere) -> Callable[..., None]:
        """`run`, on the current stream of a framework when there is one."""

        def launch(*args: object) -> None:
            stream = current_stream()
            (elsewhere(stream) if stream else self.run)(*args)

        launch.__qualname__ = "launch"
        return made_opaque(launch)

    def native(self, extension: ModuleType, road: Callable[..., None], *, follow: bool) -> Callable[..., None]:
        """This launch in native code.

        Args:
            extension: the module.
            road: what is called instead where native code gives way: the first time, and for arguments that need more.
            follow: look for a framework's current stream at every call.
        """
        assert self._plan is not None
        armed = False

        def launch(*args: object) -> None:
            nonlocal armed
            road(*args)
            if not armed:
                armed = True
                make: Callable[..., tuple[int, int, int, object, int, int]] = self._function.submission  # type: ignore[attr-defined]
                fast.arm(*make(*self._shape(), self._configuration.hints))

        def refused(status: int, args: tuple[object, ...], stream: int) -> None:
            self._refuse(status, lambda: road(*args), stream)

        launch.__qualname__ = "launch"
        fast: _native.Launch = extension.Launch(self._plan, made_opaque(launch), refused, follow)
        self._fast = fast
        latest.watch(self)
        return fast

    def compiled(self, specialize: Callable[..., FunctionType], elsewhere: Elsewhere) -> Callable[..., None]:
        """The short road for this launch; `specialize` is what `compile_launch` gave for its signature."""
        launch = specialize(
            self._slots.pop,
            self._slots.append,
            self._make_slot,
            self._signature.layout.pack_into,
            self._refuse,
            self.run,
            None,
            self._signature.info.name,
            sys.modules,
            current_stream,
            elsewhere,
        )
        # All launches on a stream write to one variable: what writing to a list costs is seen in the time of a launch.
        free = zip(launch.__code__.co_freevars, launch.__closure__ or (), strict=True)
        closure = tuple(self._latest if name == "latest" else cell for name, cell in free)
        launch = FunctionType(launch.__code__, launch.__globals__, "launch", launch.__defaults__, closure)
        launch.__qualname__ = "launch"
        return made_opaque(launch)

    def _submit(self, values: list[Value], *, wait: bool) -> None:
        try:
            slot = self._slots.pop()
        except IndexError:
            slot = self._make_slot()
        buffer, submit = slot
        self._signature.layout.pack_into(buffer, 0, *values)
        if outcome := submit():
            self._refuse(outcome, submit)
        if self._fast is not None:
            self._fast.note(self._stream)
        else:
            self._latest.cell_contents = self._signature.info.name
        self._slots.append(slot)
        if wait:
            self._function.synchronize(self._stream)

    def _make_slot(self) -> Slot:
        prepare = getattr(self._function, "prepare", None)
        if prepare is not None:
            slot: Slot = prepare(self._signature.layout.size, *self._shape(), self._configuration.hints)
            return slot
        buffer = bytearray(self._signature.layout.size)
        return buffer, functools.partial(self._function.launch, buffer, *self._shape())

    def _shape(self) -> tuple[Dim3, Dim3, int, int, Dim3 | None, bool]:
        """What every device is launched with."""
        grid, block, shared_bytes, cluster, cooperative, _ = self._configuration
        return grid, block, shared_bytes, self._stream, cluster, cooperative

    def _refuse(self, outcome: object, submit: Callable[[], object], stream: int | None = None) -> None:
        refuse: Callable[..., None] | None = getattr(self._function, "refuse", None)
        if refuse is not None:
            refuse(outcome, submit, self._stream if stream is None else stream)


def compile_launch(signature: Signature, *, follow: bool) -> Callable[..., FunctionType] | None:
    """Compile the short road of a signature, or None when a parameter always needs converting.

    Args:
        signature: its fast types decide what is compared.
        follow: look for a framework's current stream at every call.
    """
    if signature.fast_types is None:
        return None
    names = [f"a{index}" for index in range(len(signature.fast_types))]
    listed = "".join(f"{name}, " for name in names)
    source = _TEMPLATE.format(
        parameters="".join(f"{name}=MISSING, " for name in names) + ("/, " if names else ""),
        names=listed,
        values="".join(f", {name}" for name in names),
        checks="".join(f"{_check(name, fast)} and " for name, fast in zip(names, signature.fast_types, strict=True)),
        state=_STATE if follow else "",
        follow=_FOLLOW.format(names=listed) if follow else "",
    )
    scope: dict[str, Any] = {"MISSING": MISSING, "PackError": (struct.error, OverflowError)}
    # The text is made of the template, a0, a1, ... and the three type names: nothing of the kernel is in it.
    exec(compile(source, "<jitload launch>", "exec"), scope)  # noqa: S102
    specialize: Callable[..., FunctionType] = scope["specialize"]
    return specialize


def _check(name: str, fast: str) -> str:
    # An int packs into a float parameter as it is, and is what people write: saxpy(2, x, y, n).
    return f"(type({name}) is float or type({name}) is int)" if fast == "float" else f"type({name}) is {fast}"
