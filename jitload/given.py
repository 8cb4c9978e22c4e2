"""What callers give to public functions, taken as what it must be; anything else is a usage error that names it.

Without this an integer in the place of a path would be opened, and closed, as a file descriptor.
"""

from __future__ import annotations

import os

from jitload.errors import UsageTypeError, UsageValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


_KEPT = (str, tuple)


def given_path(what: str, value: object) -> str:
    """A path as text.

    Raises:
        UsageTypeError: it is neither a str nor an os.PathLike.
        UsageValueError: it is empty or holds a NUL.
    """
    text = given_file(what, value)
    if not text or "\0" in text:
        raise UsageValueError(f"{what}={text!r} is not a path")
    return text


def given_directory(what: str, value: object) -> str:
    """A directory as an absolute path; "~" is a home.

    Raises:
        UsageTypeError, UsageValueError: as `given_path`.
    """
    path = given_path(what, value)
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - pathlib is not on the way to a hit


def given_file(what: str, value: object) -> str:
    """The same for whoever opens it and has words of its own for a name that no file system takes.

    Raises:
        UsageTypeError: it is neither a str nor an os.PathLike.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise UsageTypeError(f"{what} is a path (str or os.PathLike), got {type(text).__name__}")
    return text


def given_list(what: str, value: object) -> Iterable[object]:
    """Something to go through, as it is; one str, bytes or path is not meant as its letters, nor a dict as its keys.

    Raises:
        UsageTypeError: it is nothing to go through.
    """
    if isinstance(value, (str, bytes, os.PathLike)) or not hasattr(value, "__iter__") or hasattr(value, "keys"):
        hint = f": write [{str(value)!r}]" if isinstance(value, (str, os.PathLike)) else ""
        raise UsageTypeError(f"{what} is a list, got {type(value).__name__}{hint}")
    items: Iterable[object] = value
    return items


def kept(value: Any) -> Any:
    """A value that can be looked at more than once: of an iterator its items, for it would be empty the second time."""
    if isinstance(value, _KEPT):  # most are, and to ask for a path takes a twentieth of a hit
        return value
    plain = isinstance(value, (bytes, os.PathLike)) or hasattr(value, "keys") or not hasattr(value, "__iter__")
    return value if plain else tuple(value)


def given_truth(what: str, value: object) -> bool:
    """True or False: what else Python takes for true, such as the text "no", is not meant.

    Raises:
        UsageTypeError: it is something else.
    """
    if not isinstance(value, bool):
        raise UsageTypeError(f"{what} is True or False, got {value!r:.40}")
    return value


def given_name(what: str, value: object) -> str:
    """A name, which may be empty.

    Raises:
        UsageTypeError: it is not a str.
    """
    if not isinstance(value, str):
        raise UsageTypeError(f"{what} is a str, got {type(value).__name__}")
    return value


def given_count(what: str, value: object, least: int = 0) -> int:
    """A whole number.

    Raises:
        UsageTypeError: it is something else.
        UsageValueError: it is less than the least that can be.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UsageTypeError(f"{what} is a whole number, got {value!r:.40}")
    number = int(value.__index__())
    if number < least:
        raise UsageValueError(f"{what}={number}: at least {'one' if least == 1 else least} is needed")
    return number


def given_cache(value: object) -> None:
    """Nothing, where a cache was given, or none.

    Raises:
        UsageTypeError: it is something else.
    """
    if value is not None and not hasattr(value, "layers"):
        raise UsageTypeError(f"cache is a jitload.Cache, got {type(value).__name__}: write jitload.Cache(directory)")
