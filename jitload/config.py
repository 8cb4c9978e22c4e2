"""The settings in force, and `configure()`.

What counts is, in this order: the `with configure(...)` blocks that are open in this context, the innermost first;
what `configure(...)` set for this process, the newest first; the `JITLOAD_*` variables as they are now (a change during
the run is seen); the defaults. Nothing is read before the first use.

A context is what `contextvars` calls one: an asyncio task has the blocks in which it was made, a thread begins without.
"""

from __future__ import annotations

import functools
import sys

from jitload import forks, log
from jitload.errors import UsageError
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.settings.check import DEFAULT_CACHE_MAX_BYTES as DEFAULT_CACHE_MAX_BYTES
from jitload.settings.check import byte_count as byte_count
from jitload.settings.environment import child_environment as child_environment
from jitload.settings.environment import environment_state, read_environment, unknown_variables
from jitload.settings.option import OPTIONS, checked_options, described
from jitload.settings.scope import Block, put_in_force, scope_in_force

TYPE_CHECKING = False
if TYPE_CHECKING:
    import inspect
    import opcode
    from types import FrameType, TracebackType
    from typing import Any

    from typing_extensions import Unpack

    from jitload import frames
    from jitload.settings.address import Address
    from jitload.settings.options import Options as Options
else:
    frames = lazy("jitload.frames")
    inspect = lazy("inspect")
    opcode = lazy("opcode")


class Config(Value):
    """The settings in force.

    Attributes:
        {options}
    """

    __slots__ = tuple(option.name for option in OPTIONS)
    cache_dir: str | None
    cache_max_bytes: int
    device: str
    compile: str
    compile_options: str
    offline: bool
    bundles: tuple[str, ...]
    trust: tuple[str, ...]
    strict: bool
    read_only_dirs: tuple[str, ...]
    remote: Address | None
    remote_mode: str
    remote_max_entry_bytes: int
    remote_trust: tuple[str, ...]
    remote_key: str | None
    remote_lease_seconds: float
    remote_wait_seconds: float
    record: str | None
    dump: str | None
    override: str | None
    log: str | None
    full_traceback: bool
    cpu_engine: str
    cpu_check: tuple[str, ...]
    sync: bool
    native: bool
    cuda_home: str | None

    def __init__(self, **fields: Any) -> None:
        self._set(**fields)

    def options(self) -> dict[str, Any]:
        """What `configure` takes to have the same settings elsewhere."""
        return {option.name: getattr(self, option.name) for option in OPTIONS if option.takes}


_guard = forks.ProcessLock()
#: True once anybody has asked for synchronous launches: until then a launch need not look at the settings.
sync_seen = False


def current() -> Config:
    """The settings in force now, in this context.

    Raises:
        UsageValueError: a `JITLOAD_*` variable has a value that means nothing.
    """
    global sync_seen
    scope = scope_in_force()
    layers = scope.state.layers
    state = (environment_state(), layers, scope.state.generation)
    seen = scope.seen
    if seen is not None and seen[0] == state:
        known: Config = seen[1]
        return known
    _say_unknown()
    fields = read_environment()
    for options in (*layers, *(block.options for block in scope.blocks if not block.over)):
        fields.update(options)
    if fields["strict"]:
        fields["compile"] = "never"
    sync_seen = sync_seen or bool(fields["sync"])
    config = Config(**fields)
    if environment_state() is state[0]:  # else another thread set a variable meanwhile, and may set it back
        scope.seen = (state, config)
    return config


@functools.cache
def _say_unknown() -> None:
    """Warn of variables that mean nothing. The environment is the process's, so what is wrong in it is said once."""
    if said := unknown_variables():
        log.warn_once("environment", "; ".join(said.values()))


def shows_all_frames() -> bool:
    """Whether errors show every frame of jitload. Not where a setting cannot be read, which may be the error itself."""
    try:
        return current().full_traceback
    except UsageError:
        return False


class _Signature:
    """What `inspect.signature` and `help` say of `configure`: an argument for each row that it takes."""

    def __get__(self, _instance: object, _owner: type) -> inspect.Signature:
        keyword = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature(
            [
                inspect.Parameter(option.name, keyword, default=option.default, annotation=option.takes)
                for option in OPTIONS
                if option.takes
            ]
        )


class configure:  # noqa: N801 - called like a function, usable in a `with` statement
    """Set options: for this process, or, in a `with` statement, for that block alone.

    `configure(device="cpu")` holds in every thread from then on. `with configure(device="cpu"):` holds for what the
    block itself runs, and for asyncio tasks that are made in it; other threads do not see it, and a thread that is
    started in the block begins without it (`contextvars.copy_context().run` takes it along). What an open block sets
    counts in it before what is set for the process meanwhile.

    Args:
        {options}

    Raises:
        UsageValueError: a value that means nothing.
        UsageTypeError: an option that does not exist.
    """

    __signature__ = _Signature()

    def __init__(self, *excess: Unpack[tuple[()]], **options: Unpack[Options]) -> None:
        global sync_seen
        try:
            self._options = checked_options(options, excess)
        except UsageError as error:  # written out: a decorator would stand between this and the `with` it looks for
            if not shows_all_frames():
                frames.shorten(error)
            raise
        self._state = scope_in_force().state
        sync_seen = sync_seen or bool(self._options.get("sync", False))
        self._blocks: list[Block] = []
        if not _opens_block():
            self._hold_for_process()

    def __enter__(self) -> Config:
        before = scope_in_force()
        block = Block(self._options, before.state)
        with _guard.here:
            self._blocks.append(block)
        self._release_for_process()  # the same object, called before: from now on it is this block's
        put_in_force(before.with_blocks((*[other for other in before.blocks if not other.over], block)))
        try:
            return current()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        now = scope_in_force()
        here = now.blocks
        with _guard.here:
            # The innermost of this context. A generator may also be closed by another thread than began it.
            mine = [block for block in self._blocks if block in here] or self._blocks
            block = mine[-1] if mine else None
            if block is not None:
                self._blocks.remove(block)
                if block not in here:
                    block.over = True
                    block.state.generation += 1
        if block is None:
            self._release_for_process()
        elif not block.over:
            put_in_force(now.with_blocks(tuple([other for other in here if other is not block and not other.over])))

    def _hold_for_process(self) -> None:
        with _guard.here:
            self._state.layers = (*self._state.layers, self._options)

    def _release_for_process(self) -> None:
        with _guard.here:
            self._state.layers = tuple([layer for layer in self._state.layers if layer is not self._options])


Config.__doc__ = described(Config.__doc__, all_of_them=True)
configure.__doc__ = described(configure.__doc__)


def _look_again() -> None:
    """After a fork: another thread may have ended a block, and not counted that yet."""
    scope_in_force().state.generation += 1


forks.after_fork(_look_again)


def _opens_block() -> bool:
    """Whether the call of `configure` that is going on is what a `with` statement enters.

    A plain call holds in every thread at once, and `__enter__` would come too late to take that back: for the moment
    between the two, other threads would have the settings of the block. So the instruction behind the call is looked
    at, and where that returns, the one behind the call before. Where it is another one, as in
    `stack.enter_context(configure(...))`, that moment remains.
    """
    caller: FrameType | None = sys._getframe(1).f_back
    while caller is not None:
        following = _instructions_behind(caller)
        # "with" is SETUP_WITH in 3.10, BEFORE_WITH from 3.11 on, and COPY, LOAD_SPECIAL from 3.14 on.
        if following[:1] in (["SETUP_WITH"], ["BEFORE_WITH"]) or following == ["COPY", "LOAD_SPECIAL"]:
            return True
        if following[:1] != ["RETURN_VALUE"]:
            return False
        caller = caller.f_back
    return False  # called by no Python code at all


def _instructions_behind(frame: FrameType) -> list[str]:
    """The names of the two instructions that follow the one that a frame is carrying out."""
    code = frame.f_code.co_code
    names = [opcode.opname[code[at]] for at in range(frame.f_lasti + 2, min(frame.f_lasti + 34, len(code)), 2)]
    return [name for name in names if name not in {"CACHE", "EXTENDED_ARG"}][:2]
