"""What happens to kernels, told to whoever listens: hits, misses, compiles, waits, loads, links, evictions, refusals.

Nobody listening costs one look at an empty tuple, which is replaced as a whole, so that telling takes no lock. A child
of a fork goes on telling the listeners that it has inherited.
"""

from __future__ import annotations

from _thread import _local  # of `threading`, which costs 5 ms of start-up

from jitload import forks
from jitload.errors import UsageTypeError
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.trace import is_mistake, short_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TypedDict

    from typing_extensions import Unpack

    from jitload import log
    from jitload.values import Blob, Image

    class Course(TypedDict, total=False):
        """How a thing went."""

        tier: str
        seconds: float
        reason: str

    class Fields(Course, total=False):
        """What is known of an event."""

        kernel: str
        key: str
        kind: str
        arch: str
else:
    log = lazy("jitload.log")  # for a listener that fails

__tracebackhide__ = is_mistake


class Event(Value):
    """One thing that happened.

    Attributes:
        name: "hit", "miss", "compile", "wait", "load", "link", "evict" or "reject".
        kernel: the kernels that it is about, as users write them, joined by ", "; where none are known, the program.
        key: 64 hex digits, the artifact's key; of a miss and a wait, when it is not known yet, the request's digest; ""
            where there is neither.
        kind: "cubin", "ptx", "ltoir", "fatbin" or a kind of somebody's own; "blob" for what another system keeps here
            (`Cache.blobs`), whose namespace is `kernel` then; "" where it is not known.
        arch: "sm_90", "compute_75", several for a fatbin; "" where it is not known.
        tier: "memory", "bundle" or "disk" for a hit, an eviction or a refusal; "" for the others.
        seconds: how long a compile, a wait, a load or a link took; 0.0 for the others.
        reason: why it was a miss or a refusal, or what is waited for; "" for the others.
    """

    __slots__ = ("arch", "kernel", "key", "kind", "name", "reason", "seconds", "tier")
    name: str
    kernel: str
    key: str
    kind: str
    arch: str
    tier: str
    seconds: float
    reason: str

    def __init__(
        self,
        name: str,
        kernel: str = "",
        key: str = "",
        kind: str = "",
        arch: str = "",
        tier: str = "",
        seconds: float = 0.0,
        reason: str = "",
    ) -> None:
        self._set(name=name, kernel=kernel, key=key, kind=kind, arch=arch, tier=tier, seconds=seconds, reason=reason)


class Listening:
    """A callback that is told events, until `remove` or the end of its `with` block. Made by `on_event`."""

    def __init__(self, callback: Callable[[Event], object]) -> None:
        self.callback = callback

    def remove(self) -> None:
        """Tell it nothing any more. May be repeated."""
        global listeners
        with _changing.here:
            listeners = tuple([one for one in listeners if one is not self])

    def close(self) -> None:
        """The same as `remove`."""
        self.remove()

    def __enter__(self) -> Listening:  # noqa: PYI034 - nobody derives from it, and Self needs Python 3.11
        _add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<{self.callback!r} listens to events of jitload{'' if self in listeners else ' no more'}>"


#: Who listens; looked at before anything is done for an event.
listeners: tuple[Listening, ...] = ()
_changing = forks.ProcessLock()
_telling = _local()


@short_errors
def on_event(callback: Callable[[Event], object]) -> Listening:
    """Call `callback(event)` for what happens to kernels in this process from now on.

        with jitload.on_event(print):                   # for a block
            saxpy[4, 256](2.0, x, y, n)

        counting = jitload.on_event(metrics.count)      # until counting.remove()

    It is called at once, in the thread in which the thing happens, sometimes with a lock held: it should be short. What
    it raises is logged, once, and changes nothing; what it does itself is told to nobody. Worker processes of
    `precompile` tell nothing.

    Args:
        callback: a function of one `Event`.

    Returns:
        The listener: a context manager, whose `remove()` ends it.

    Raises:
        UsageTypeError: it cannot be called.
    """
    if not callable(callback):
        raise UsageTypeError(f"on_event takes a function of one Event, got {type(callback).__name__}")
    listening = Listening(callback)
    _add(listening)
    return listening


def tell(name: str, **fields: Unpack[Fields]) -> None:
    """Make an event of the fields that are known, and tell it."""
    if getattr(_telling, "now", False):
        return
    event = Event(name, **fields)
    _telling.now = True
    try:
        for listening in listeners:
            try:
                listening.callback(event)
            except Exception as error:  # noqa: BLE001 - a listener is not to fail what it listens to
                text = f"{listening.callback!r}, which listens to events, raised {type(error).__name__}: {error}"
                log.warn_once(("event", id(listening)), text)
    finally:
        _telling.now = False


def tell_of(name: str, artifact: Image | Blob, **fields: Unpack[Course]) -> None:
    """Tell an event of an artifact or a blob."""
    kernel = ", ".join(artifact.kernels) or artifact.name
    tell(name, kernel=kernel, key=artifact.key, kind=str(artifact.kind), arch=artifact.arch, **fields)


def _add(listening: Listening) -> None:
    global listeners
    with _changing.here:
        if listening not in listeners:
            listeners = (*listeners, listening)
