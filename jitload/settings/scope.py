"""What is in force in a context: the state of its session, and the `with configure(...)` blocks that are open in it.

A process has one state from the beginning, `Session` makes others. Rooms keep what they have per session in parts of
the state, which are made when they are first asked for, so nothing here knows them.
"""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    Part = TypeVar("Part")


class State:
    """What a session has in force.

    Attributes:
        layers: what `configure` has set without a block, the newest last; replaced as a whole, so that a reader has one
            or the other.
        sealed: True after `seal()`: a compile is an error.
        generation: how often something else has changed that settings depend on.
        parts: class -> the one object of it that a room keeps here.
    """

    __slots__ = ("generation", "layers", "parts", "sealed")

    def __init__(self, layers: tuple[Mapping[str, Any], ...] = ()) -> None:
        self.layers = layers
        self.sealed = False
        self.generation = 0
        self.parts: dict[object, Any] = {}


class Block:
    """A `with configure(...)` that is open.

    Attributes:
        options: what it sets.
        state: of the session that it was opened in.
        over: True when it ended in another context than its own.
    """

    __slots__ = ("options", "over", "state")

    def __init__(self, options: Mapping[str, Any], state: State) -> None:
        self.options = options
        self.state = state
        self.over = False


class Scope:
    """What is in force in a context.

    Attributes:
        state: of the session.
        blocks: the `with configure(...)` that are open, the innermost last.
        outer: the scope in which the session was entered; None for that of the process.
        seen: the settings that this led to last, and what they depend on.
    """

    __slots__ = ("blocks", "outer", "seen", "state")

    def __init__(self, state: State, blocks: tuple[Block, ...] = (), outer: Scope | None = None) -> None:
        self.state = state
        self.blocks = blocks
        self.outer = outer
        self.seen: tuple[object, Any] | None = None

    def with_blocks(self, blocks: tuple[Block, ...]) -> Scope:
        """The same with these blocks in the place of its own."""
        return Scope(self.state, blocks, self.outer)


_scope: ContextVar[Scope] = ContextVar("jitload_scope", default=Scope(State()))  # noqa: B039 - only `seen` changes
scope_in_force = _scope.get
put_in_force = _scope.set


def session_part(kind: Callable[[], Part]) -> Part:
    """What a room keeps in the session in force.

    Args:
        kind: its class, called without arguments where the session has none yet.
    """
    parts = scope_in_force().state.parts
    try:
        found: Part = parts[kind]
    except KeyError:
        found = parts.setdefault(kind, kind())
    return found
