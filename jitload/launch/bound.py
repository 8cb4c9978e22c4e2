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
from typing import TYPE_CHECKING, Any

from jitload.launch.arguments import MISSING
from jitload.launch.staging import run_staged
from jitload.launch.streams import current_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.launch import _native
    from jitload.launch.arguments import Signature
    from jitload.launch.configuration import Configuration
    from jitload.launch.kernel import DeviceFunction

#: A parameter block and what submits it. Each is used by one launch at a time; a thread takes one from the list.
Slot = tuple[Any, "Callable[[], object]"]

# Measured with four scalars and pointers on a do-nothing driver: comparing `tuple(map(type, args))` with a known tuple
# costs three times these written-out comparisons. Defaults and `*more` turn a wrong count into an ArgumentError.
_TEMPLATE = """\
def specialize(take, give, make, pack_into, refuse, slow, modules, current_stream, elsewhere):
    {state}
    def launch({parameters}*more):
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
            give(slot)
            return None
        return slow({names}*more)
    launch.__qualname__ = "launch"
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

    def run(self, *args: Any) -> None:
        """Check and convert the arguments, stage host arrays, launch; every kind of argument is right here.

        Raises:
            ArgumentError: the arguments do not fit.
            LaunchError, DriverError, CpuFault: the device refused or stopped the kernel.
        """
        values, hosts, views = self._signature.convert(args, self._stream)
        for view in views.values():
            # Version 3 of the CUDA Array Interface: work of the producer may still be queued on its stream. 1 is
            # the legacy default stream, which the driver also calls 0.
            if view.stream is not None and not view.host and view.stream != (self._stream or 1):
                self._function.synchronize(view.stream)
        if hosts:
            run_staged(self._function.memory, hosts, values, lambda: self._submit(values, wait=True))
        else:
            self._submit(values, wait=self._synchronous)
        if self._plan is not None:
            self._signature.learn(self._plan, args, views)

    run.__qualname__ = "launch"  # whatever road a launch takes, Python complains of its keywords in the same words

    def following(self, elsewhere: Callable[[int], Callable[..., None]]) -> Callable[..., None]:
        """`run`, on the current stream of a framework when there is one."""

        def launch(*args: Any) -> None:
            stream = current_stream()
            (elsewhere(stream) if stream else self.run)(*args)

        launch.__qualname__ = "launch"
        return launch

    def native(self, extension: Any, road: Callable[..., None], *, follow: bool) -> Callable[..., None]:
        """This launch in native code.

        Args:
            extension: the module.
            road: what is called instead where native code gives way: the first time, and for arguments that need more.
            follow: look for a framework's current stream at every call.
        """
        assert self._plan is not None
        armed = False

        def launch(*args: Any) -> None:
            nonlocal armed
            road(*args)
            if not armed:
                armed = True
                grid, block, shared_bytes, cluster, cooperative = self._configuration
                make: Callable[..., tuple[int, int, int, object, int, int]] = self._function.submission  # type: ignore[attr-defined]
                fast.arm(*make(grid, block, shared_bytes, self._stream, cluster, cooperative))

        def refused(status: int, args: tuple[Any, ...]) -> None:
            self._refuse(status, lambda: road(*args))

        launch.__qualname__ = "launch"
        fast: _native.Launch = extension.Launch(self._plan, launch, refused, follow)
        return fast

    def compiled(self, specialize: Callable[..., Callable[..., None]], elsewhere: Any) -> Callable[..., None]:
        """The short road for this launch; `specialize` is what `compile_launch` gave for its signature."""
        return specialize(
            self._slots.pop,
            self._slots.append,
            self._make_slot,
            self._signature.layout.pack_into,
            self._refuse,
            self.run,
            sys.modules,
            current_stream,
            elsewhere,
        )

    def _submit(self, values: list[Any], *, wait: bool) -> None:
        try:
            slot = self._slots.pop()
        except IndexError:
            slot = self._make_slot()
        buffer, submit = slot
        self._signature.layout.pack_into(buffer, 0, *values)
        if outcome := submit():
            self._refuse(outcome, submit)
        self._slots.append(slot)
        if wait:
            self._function.synchronize(self._stream)

    def _make_slot(self) -> Slot:
        grid, block, shared_bytes, cluster, cooperative = self._configuration
        rest = (grid, block, shared_bytes, self._stream, cluster, cooperative)
        prepare = getattr(self._function, "prepare", None)
        if prepare is not None:
            slot: Slot = prepare(self._signature.layout.size, *rest)
            return slot
        buffer = bytearray(self._signature.layout.size)
        return buffer, functools.partial(self._function.launch, buffer, *rest)

    def _refuse(self, outcome: object, submit: Callable[[], object]) -> None:
        refuse: Callable[[object, Callable[[], object]], None] | None = getattr(self._function, "refuse", None)
        if refuse is not None:
            refuse(outcome, submit)


def compile_launch(signature: Signature, *, follow: bool) -> Callable[..., Callable[..., None]] | None:
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
    specialize: Callable[..., Callable[..., None]] = scope["specialize"]
    return specialize


def _check(name: str, fast: str) -> str:
    # An int packs into a float parameter as it is, and is what people write: saxpy(2, x, y, n).
    return f"(type({name}) is float or type({name}) is int)" if fast == "float" else f"type({name}) is {fast}"
