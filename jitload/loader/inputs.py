"""What callers hand to the registry: the name of a kind, and bytes."""

from __future__ import annotations

from jitload.errors import UsageTypeError, UsageValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer


def checked_kind(kind: str) -> str:
    """The plain name of a kind.

    Raises:
        UsageTypeError: it is not a string.
        UsageValueError: it is empty.
    """
    if not isinstance(kind, str):
        raise UsageTypeError(f"kind must be a str such as 'ptx', got {type(kind).__name__}")
    if not kind:
        raise UsageValueError("kind must not be empty")
    return str(kind)  # a member of jitload.Kind becomes its plain name


def as_bytes(data: Buffer) -> bytes:
    """What a loader is given for a bytes-like object.

    Raises:
        UsageTypeError: it is not bytes-like.
    """
    if isinstance(data, str):
        raise UsageTypeError("data must be bytes-like, got str: encode text first, e.g. ptx.encode()")
    try:
        view = memoryview(data)
    except TypeError:
        raise UsageTypeError(
            f"data must be bytes-like (bytes, bytearray, memoryview or mmap), got {type(data).__name__}"
        ) from None
    with view:
        return view.tobytes()
