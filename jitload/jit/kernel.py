"""`JitKernel`: a declared kernel, launched like a function; what it launches is loaded on demand (on_demand.py)."""

from __future__ import annotations

import typing
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Generic

from jitload.errors import JitloadError
from jitload.jit.on_demand import OnDemand
from jitload.launch import shapes
from jitload.launch.opaque import keep_opaque, opaque
from jitload.source.template import missing_argument
from jitload.trace import is_mistake, short_errors, shorten, shown_without_misfits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import ParamSpec, Unpack

    from jitload.jit.specialization import Specialization
    from jitload.launch.foreign import Given
    from jitload.launch.hints import ForallOptions, LaunchOptions
    from jitload.launch.signature import Parameters

    #: The parameters of the declaration.
    Declared = ParamSpec("Declared", default=...)
else:
    Declared = typing.ParamSpec("Declared")

__tracebackhide__ = is_mistake

_LAUNCH_OPTIONS = ("grid", "block", "shared_bytes", "stream", "cluster", "cooperative")
#: Hints of a launch, where the declaration has no parameter of that name.
_HINTS = ("pdl", "priority", "cluster_scheduling", "carveout_percent")


class JitKernel(OnDemand, shapes.PeerAttributes, Generic[Declared]):
    """A kernel that is compiled when it is first used. Made by `jit_kernel`.

    Launch it like any kernel: `k[grid, block](...)`, `k[grid, block, stream, shared_bytes](...)`,
    `k(..., grid=..., block=...)`, or `k.bind(grid=..., block=...)` once and call that. Template arguments may be given
    to `specialize` or among the keywords of a call.
    """

    __qualname__: str
    __wrapped__: Callable[..., object]

    def __init__(
        self,
        declaration: Callable[..., object],
        parameters: Parameters,
        wanted: Specialization,
        base: JitKernel[Declared] | None = None,
    ) -> None:
        super().__init__(wanted)
        update_wrapper(self, declaration)
        self.__wrapped__ = declaration
        self._parameters = parameters
        self._base = base
        own = {*parameters.names, *wanted.names}
        self._launch_options = (*_LAUNCH_OPTIONS, *[name for name in _HINTS if name not in own])
        self._specializations: dict[tuple[object, ...], JitKernel[Declared]] = {}
        keep_opaque()

    @short_errors
    def specialize(self, **template: object) -> JitKernel[Declared]:
        """The same kernel with other template arguments: strings of C++, integers, bools or NumPy dtypes.

        Args:
            **template: the keyword-only parameters of the declaration.
        """
        merged = self._wanted.merged(template)
        state = tuple(sorted(merged.spelled()))
        with self._lock:
            known = self._specializations.get(state)
            if known is None:
                known = JitKernel(self.__wrapped__, self._parameters, merged, self._base or self)
                self._specializations[state] = known
            return known

    @opaque
    @shown_without_misfits
    def bind(  # noqa: D417 - it takes no more than is said
        self, *excess: Unpack[tuple[()]], **launch: Unpack[LaunchOptions]
    ) -> Callable[Declared, None]:
        """The kernel bound to a launch configuration, for the hot path: `bound(*args)`, positional only.

        Args:
            **launch: `grid`, `block`, `shared_bytes`, `stream` and the other options of a launch.

        Raises:
            ArgumentError: a template argument is open; there is no array yet to deduce it from.
        """
        try:
            if self._open:
                raise missing_argument(self.__name__, self._open[0], "bind() sees no array to deduce it from")
            return self.kernel().bind(*excess, **launch)
        except JitloadError as error:
            shorten(error)
            raise

    @short_errors
    def forall(self, count: int, **launch: Unpack[ForallOptions]) -> Callable[Declared, None]:
        """The kernel for a thread per element, as `Kernel.forall`: `k.forall(n)(x, n)`, with keywords as in any call.

        Args:
            count: how many elements, a thread for each.
            **launch: `block`, `stream` and the other options of a launch, but `grid`.

        Raises:
            LaunchError: as there.
        """
        return partial(self._launch_forall, count, launch)

    def __getitem__(self, configuration: object) -> Callable[Declared, None]:
        # Said here, or kernel[grid][block](...) would fail for the second pair of brackets, in words of functools.
        if type(configuration) is not tuple and not isinstance(configuration, tuple):
            raise shapes.refused_configuration(self.__name__, configuration)
        return partial(self._launch, configuration)

    @opaque
    def _launch(self, configuration: object, /, *arguments: object, **keywords: object) -> None:
        try:
            target = self._specialized(keywords) if keywords else self
            ordered = target._parameters.order(self.__name__, arguments, keywords)
            if target._open:
                target = target._deduced(ordered)
            target.kernel()[configuration](*ordered)
        except JitloadError as error:
            shorten(error)
            raise

    @opaque
    def _launch_forall(self, count: int, launch: ForallOptions, /, *arguments: object, **keywords: object) -> None:
        try:
            target = self._specialized(keywords) if keywords else self
            ordered = target._parameters.order(self.__name__, arguments, keywords)
            if target._open:
                target = target._deduced(ordered)
            target.kernel().forall(count, **launch)(*ordered)
        except JitloadError as error:
            shorten(error)
            raise

    @opaque
    def __call__(self, *arguments: object, **keywords: Given) -> None:
        """Launch with `grid=`, `block=` and the other launch options among the keywords.

        Raises:
            ArgumentError: an argument does not fit.
            LaunchError: the configuration does not fit.
        """
        try:
            options = {name: keywords.pop(name) for name in self._launch_options if name in keywords}
            if keywords or "grid" not in options or "block" not in options:
                own = self._parameters.names
                shapes.refuse_foreign_call(
                    self.__name__, own, arguments, {**keywords, **options}, {*own, *self._wanted.names}
                )
            target = self._specialized(keywords)
            ordered = target._parameters.order(self.__name__, arguments, keywords)
            if target._open:
                target = target._deduced(ordered)
            target.kernel()(*ordered, **options)
        except JitloadError as error:
            shorten(error)
            raise

    def __repr__(self) -> str:
        template = ", ".join(f"{name}={text}" for name, text in self._wanted.spelled())
        return f"<jit_kernel {self.__name__}{f' with {template}' if template else ''} from {self._wanted.source.label}>"

    def __reduce__(self) -> str | tuple[object, ...]:
        """Pickled like a function, by its name: another process imports it, and compiles or finds it for itself."""
        return self.__qualname__ if self._base is None else (_specialize, (self._base, self._wanted.template))

    def _specialized(self, keywords: dict[str, object]) -> JitKernel[Declared]:
        template = {name: keywords.pop(name) for name in self._wanted.names if name in keywords}
        return self.specialize(**template) if template else self

    def _deduced(self, arguments: tuple[object, ...]) -> JitKernel[Declared]:
        """The kernel with the template arguments that were left open, by the arrays of a call."""
        return self._wanted.deduced(self.specialize, arguments, len(self._parameters))


def _specialize(base: JitKernel[Declared], template: Mapping[str, object]) -> JitKernel[Declared]:
    return base.specialize(**template)
