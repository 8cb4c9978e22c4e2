"""What settings are checked by: a value, or the text of a variable, becomes what the option holds, or an error.

The checks are pure, and an error names the option, what came and what was expected. A path becomes absolute there and
then: what it means does not change with the working directory.
"""

from __future__ import annotations

import os

from jitload.errors import UsageValueError
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    import shlex
    from collections.abc import Callable

    from jitload.settings import address
    from jitload.settings.address import Address

    Check = Callable[[str, object], object]
else:
    re = lazy("re")  # a hit needs no pattern
    shlex = lazy("shlex")
    address = lazy("jitload.settings.address")  # most have no remote

DEFAULT_CACHE_MAX_BYTES = 2 << 30

DEVICES = ("auto", "cuda", "cpu")
COMPILE_POLICIES = ("missing", "never", "always")
CPU_ENGINES = ("auto", "lanes", "native")
CPU_CHECKS = ("memory", "race", "init")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

MAX_SECONDS = 86_400
REMOTE_MODES = ("readwrite", "read")
DEFAULT_REMOTE_MAX_ENTRY_BYTES = 64 << 20
DEFAULT_LEASE_SECONDS, DEFAULT_WAIT_SECONDS = 10.0, 120.0

_SIZE = r"([0-9]+|[0-9]*\.[0-9]+)\s*([KMGT]?)(?:I?B)?"
# What `trust/policy.py` takes that is no file.
_UNSIGNED, _KEY_PREFIX = "unsigned", "ed25519:"


def byte_count(name: str, value: object) -> int:
    """A setting that is a number of bytes: an integer, or text such as "1000000", "512M", "1.5 GiB"; K is 1024 bytes.

    Raises:
        UsageValueError: it is none; the text names the setting.
    """
    number = -1
    if isinstance(value, str):
        match = re.fullmatch(_SIZE, value.strip().upper())
        if match and (match[2] or "." not in match[1]):
            scale = 1024 ** " KMGT".index(match[2] or " ")
            number = int(match[1]) * scale if "." not in match[1] else int(float(match[1]) * scale)
    elif hasattr(value, "__index__") and not isinstance(value, bool):
        number = int(value.__index__())
    if not 0 <= number < 1 << 63:
        raise UsageValueError(f"{name}={value!r} is not a number of bytes; expected an integer >= 0, or 512M, 2G, 1.5G")
    return number


def absolute_path(name: str, value: object) -> str | None:
    """A setting that is a path, from the working directory as it is now; None stays None.

    Raises:
        UsageValueError: it is no path, or there is no such place to begin at.
    """
    if value is None:
        return None
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text or "\0" in text:
        raise UsageValueError(f"{name}={value!r} is not a path; expected text, or a pathlib.Path")
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        owner = text.split("/", 1)[0]
        raise UsageValueError(
            f"{name}={text!r}: no home is known for {owner!r}; expected an absolute path (or ./{text})"
        )
    try:
        return os.path.abspath(expanded)
    except FileNotFoundError:
        raise UsageValueError(f"{name}={text!r}: the working directory is gone; expected an absolute path") from None


def seconds(name: str, value: object) -> float:
    """A time of up to a day, in seconds."""
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_SECONDS:
        raise UsageValueError(f"{name}={value!r} is no time; expected seconds, 0 to {MAX_SECONDS}")
    return seconds


def toolkit_home(name: str, value: object) -> str | None:
    """The variable of another product: a path that leads nowhere is nothing to complain of."""
    try:
        return absolute_path(name, value)
    except UsageValueError:
        return None


def one_of(choices: tuple[str, ...]) -> Check:
    """A check for one of a few words."""

    def check(name: str, value: object) -> str:
        if value not in choices:
            raise UsageValueError(f"{name}={value!r} means nothing; expected one of {', '.join(choices)}")
        return str(value)

    return check


def log_level(name: str, value: object) -> str:
    """The name of a level of `logging`, in any case."""
    level = str(value).upper()
    if level not in LOG_LEVELS:
        raise UsageValueError(f"{name}={value!r} means nothing; expected one of {', '.join(LOG_LEVELS).lower()}")
    return level


def switch(name: str, value: object) -> bool:
    """True or False, or a word for one of them."""
    text = str(value).lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise UsageValueError(f"{name}={value!r} means nothing; expected 1 or 0")


def paths(name: str, value: object) -> tuple[str, ...]:
    """Paths, of which a variable has several behind each other; each absolute."""
    if isinstance(value, str):
        value = [part for part in value.split(os.pathsep) if part]
    return tuple([path for item in _items(name, value, "a path") if (path := absolute_path(name, item)) is not None])


def _words(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    words = []
    for item in _items(name, value, "text"):
        word = os.fspath(item) if isinstance(item, os.PathLike) else item
        if not isinstance(word, str):
            raise UsageValueError(f"{name}: {word!r} is not text")
        words.append(word)
    return tuple(words)


def trusted(name: str, value: object) -> tuple[str, ...]:
    """Keys and the word "unsigned" as they are; everything else is the path of a file."""
    words = _words(name, value)
    return tuple(
        [
            word if word == _UNSIGNED or word.startswith(_KEY_PREFIX) else str(absolute_path(name, word))
            for word in words
        ]
    )


def demanded_keys(name: str, value: object) -> tuple[str, ...]:
    """As `trusted`, where signatures are what is asked for: the word "unsigned" would ask for none."""
    found = trusted(name, value)
    if _UNSIGNED in found:
        raise UsageValueError(
            f"{name}={value!r}: {_UNSIGNED!r} demands no signature; expected public keys (ed25519:...) or trust files; "
            "to demand none, leave it out"
        )
    return found


def cpu_checks(name: str, value: object) -> tuple[str, ...]:
    """Checks of the CPU executor, in their order."""
    words = _words(name, value)
    for word in words:
        if word not in CPU_CHECKS:
            raise UsageValueError(
                f"{name}={value!r}: there is no check {word!r}; expected some of {', '.join(CPU_CHECKS)}"
            )
    return tuple([word for word in CPU_CHECKS if word in words])


def option_text(name: str, value: object) -> str:
    """Options as one text, to be split as a shell would; what they are is for those to say who know them.

    A directory behind -I is a path like any other in a setting: it becomes absolute.
    """
    if isinstance(value, str):
        return _with_places(name, value.strip())
    items = _items(name, value, "text")
    for item in items:
        if not isinstance(item, str):
            raise UsageValueError(f"{name}: {item!r} is not text")
    return _with_places(name, shlex.join([str(item) for item in items]))


def _with_places(name: str, text: str) -> str:
    if "-I" not in text and "--include-path" not in text:
        return text
    try:
        words = shlex.split(text)
    except ValueError:  # for those to say who know what a shell makes of it
        return text
    settled: list[str] = []
    for word in words:
        flag = next((flag for flag in ("--include-path", "-I") if word.startswith(flag)), "")
        if settled and settled[-1] in {"--include-path", "-I"}:
            settled.append(_place(name, word))
        elif flag and word != flag:
            settled += [flag, _place(name, word[len(flag) :].lstrip().removeprefix("="))]
        else:
            settled.append(word)
    return shlex.join(settled)


def _place(name: str, path: str) -> str:
    try:
        return os.path.abspath(os.path.expanduser(path))
    except FileNotFoundError:
        raise UsageValueError(f"{name}: -I {path}: the working directory is gone; expected an absolute path") from None


def _items(name: str, value: object, one: str) -> list[object]:
    if value is None:
        return []
    if isinstance(value, os.PathLike):
        return [value]
    if not hasattr(value, "__iter__") or isinstance(value, (bytes, dict)):
        raise UsageValueError(f"{name}={value!r} means nothing; expected {one}, or a list of such")
    return list(value)


def remote(name: str, value: object) -> Address | None:
    """The URL of a remote."""
    return None if value is None else address.remote_address(name, value)
