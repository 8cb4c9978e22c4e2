"""`Session`: settings, caches, bundles in use, counters and a seal that a block has for itself."""

from __future__ import annotations

from contextvars import copy_context

from jitload import config
from jitload.settings.option import checked_options
from jitload.settings.scope import Scope, State, put_in_force, scope_in_force
from jitload.trace import is_mistake, short_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import ParamSpec, TypeVar

    from typing_extensions import Unpack

    Given = ParamSpec("Given")
    Result = TypeVar("Result")


__tracebackhide__ = is_mistake


class Session:
    """What is in force in a block, apart from what is in force in the process.

        with jitload.Session(cache_dir="/tmp/a", device="cpu"):
            jitload.compile(source)

    Settings, caches, `use_bundle`, `seal`, `stats` and what is known of the toolkit are its own. What is called in the
    block uses them, and so do asyncio tasks that are made in it. A thread begins in the session of the process: enter
    the session there too, as many threads may have it at once, or let `run` be what the thread calls.

    Args:
        options: as for `configure`. What is not given is as the `JITLOAD_*` variables and the defaults have it; what
            was configured outside does not count.

    Raises:
        UsageValueError: a value that means nothing.
        UsageTypeError: an option that does not exist.
    """

    @short_errors
    def __init__(self, *excess: Unpack[tuple[()]], **options: Unpack[config.Options]) -> None:
        given = checked_options(options, excess, "Session")
        self._state = State((given,) if given else ())

    def run(self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """What a function gives that is called with these arguments while the session is in force.

        Args:
            function: what to call.
            *args: its arguments.
            **kwargs: its keywords.
        """

        def call() -> Result:
            with self:
                return function(*args, **kwargs)

        return copy_context().run(call)

    def __enter__(self) -> Session:  # noqa: PYI034 - nobody derives from it, and Self needs Python 3.11
        outer = scope_in_force()
        put_in_force(Scope(self._state, (), outer))
        try:
            config.current()
        except BaseException:
            put_in_force(outer)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        opened: Scope | None = scope_in_force()
        while opened is not None and opened.state is not self._state:
            opened = opened.outer
        if opened is not None and opened.outer is not None:
            put_in_force(opened.outer)
