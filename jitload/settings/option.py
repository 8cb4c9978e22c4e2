"""What can be set: one row per option.

The signature and the docstring of `configure`, the reader of the environment, `jitload doctor` and the table in the
README come from the rows (`python .ci/write_stub.py` writes what is a file).

The checks are pure: a value, or the text of a variable, becomes what the option holds, or an error that names the
option, what came and what was expected. A path becomes absolute there and then: what it means does not change with the
working directory.
"""

from __future__ import annotations

import os
import re

from jitload.errors import UsageTypeError, UsageValueError
from jitload.frozen import Value
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import shlex
    from collections.abc import Callable, Mapping

    from jitload.settings import address
    from jitload.settings.address import Address

    Check = Callable[[str, object], object]
else:
    shlex = lazy("shlex")
    address = lazy("jitload.settings.address")  # most have no remote

DEFAULT_CACHE_MAX_BYTES = 2 << 30

DEVICES = ("auto", "cuda", "cpu")
COMPILE_POLICIES = ("missing", "never", "always")
CPU_CHECKS = ("memory", "race", "init")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

MAX_SECONDS = 86_400
REMOTE_MODES = ("readwrite", "read")
DEFAULT_REMOTE_MAX_ENTRY_BYTES = 64 << 20
DEFAULT_LEASE_SECONDS, DEFAULT_WAIT_SECONDS = 10.0, 120.0

_SIZE = r"([0-9]+|[0-9]*\.[0-9]+)\s*([KMGT]?)(?:I?B)?"
# What `trust/policy.py` takes that is no file.
_UNSIGNED, _KEY_PREFIX = "unsigned", "ed25519:"


class Option(Value):
    """One thing that can be set.

    Attributes:
        name: the field of `Config`, and the argument of `configure`.
        variable: its environment variable.
        default: its value where nobody sets it.
        check: makes the value from an argument or a text, or raises a UsageValueError; called with the name that the
            user wrote, and that.
        takes: the type that `configure` takes, as type checkers read it; "" where only the variable sets it.
        text: what it means, in one line of Markdown.
        separator: what stands between the items of a list in the variable; "" where it is no list.
    """

    __slots__ = ("check", "default", "name", "separator", "takes", "text", "variable")
    name: str
    variable: str
    default: object
    check: Check
    takes: str
    text: str
    separator: str

    def __init__(
        self,
        name: str,
        variable: str,
        default: object,
        check: Check,
        takes: str,
        text: str,
        *,
        separator: str = "",
    ) -> None:
        self._set(
            name=name, variable=variable, default=default, check=check, takes=takes, text=text, separator=separator
        )

    def written(self, value: object) -> str:
        """A value as it is written in the variable; "" for none."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "1" if value else "0"
        return self.separator.join(value) if isinstance(value, tuple) else str(value)


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


def _seconds(name: str, value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_SECONDS:
        raise UsageValueError(f"{name}={value!r} is no time; expected seconds, 0 to {MAX_SECONDS}")
    return seconds


def _toolkit(name: str, value: object) -> str | None:
    """The variable of another product: a path that leads nowhere is nothing to complain of."""
    try:
        return absolute_path(name, value)
    except UsageValueError:
        return None


def _one_of(choices: tuple[str, ...]) -> Check:
    def check(name: str, value: object) -> str:
        if value not in choices:
            raise UsageValueError(f"{name}={value!r} means nothing; expected one of {', '.join(choices)}")
        return str(value)

    return check


def _log_level(name: str, value: object) -> str:
    level = str(value).upper()
    if level not in LOG_LEVELS:
        raise UsageValueError(f"{name}={value!r} means nothing; expected one of {', '.join(LOG_LEVELS).lower()}")
    return level


def _switch(name: str, value: object) -> bool:
    text = str(value).lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise UsageValueError(f"{name}={value!r} means nothing; expected 1 or 0")


def _paths(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(os.pathsep) if part]
    return tuple([path for item in _items(name, value) if (path := absolute_path(name, item)) is not None])


def _words(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    words = []
    for item in _items(name, value):
        word = os.fspath(item) if isinstance(item, os.PathLike) else item
        if not isinstance(word, str):
            raise UsageValueError(f"{name}: {word!r} is not text")
        words.append(word)
    return tuple(words)


def _trusted(name: str, value: object) -> tuple[str, ...]:
    """Keys and the word "unsigned" as they are; everything else is the path of a file."""
    words = _words(name, value)
    return tuple(
        [
            word if word == _UNSIGNED or word.startswith(_KEY_PREFIX) else str(absolute_path(name, word))
            for word in words
        ]
    )


def _cpu_checks(name: str, value: object) -> tuple[str, ...]:
    words = _words(name, value)
    for word in words:
        if word not in CPU_CHECKS:
            raise UsageValueError(
                f"{name}={value!r}: there is no check {word!r}; expected some of {', '.join(CPU_CHECKS)}"
            )
    return tuple([word for word in CPU_CHECKS if word in words])


def _option_text(name: str, value: object) -> str:
    """Options as one text, to be split as a shell would; what they are is for those to say who know them."""
    if isinstance(value, str):
        return value.strip()
    items = _items(name, value)
    for item in items:
        if not isinstance(item, str):
            raise UsageValueError(f"{name}: {item!r} is not text")
    return shlex.join([str(item) for item in items])


def _items(name: str, value: object) -> list[object]:
    if value is None:
        return []
    if isinstance(value, os.PathLike):
        return [value]
    if not hasattr(value, "__iter__") or isinstance(value, (bytes, dict)):
        raise UsageValueError(f"{name}={value!r} is not a list")
    return list(value)


def _remote(name: str, value: object) -> Address | None:
    return None if value is None else address.remote_address(name, value)


# A line for what it is, one for what it means.
# fmt: off
#: Every option, in the order in which they are listed.
OPTIONS = (
    Option("cache_dir", "JITLOAD_CACHE_DIR", None, absolute_path, "Path | None",
           "the user's cache directory (default `~/.cache/jitload`)"),
    Option("cache_max_bytes", "JITLOAD_CACHE_MAX_BYTES", DEFAULT_CACHE_MAX_BYTES, byte_count, "int | str",
           "its bound: bytes, or text such as `512M`, `2G` (default 2 GiB)"),
    Option("read_only_dirs", "JITLOAD_READ_ONLY_DIRS", (), _paths, "Path | Iterable[Path] | None",
           "cache directories of others, in order, asked before the user's own, never written", separator=os.pathsep),
    Option("device", "JITLOAD_DEVICE", "auto", _one_of(DEVICES), 'Literal["auto", "cuda", "cpu"]',
           "`auto` (default: a GPU if there is one, else the CPU), `cuda` or `cpu`"),
    Option("compile", "JITLOAD_COMPILE", "missing", _one_of(COMPILE_POLICIES), 'Literal["missing", "never", "always"]',
           "`missing` (default), `never` or `always`"),
    Option("compile_options", "JITLOAD_COMPILE_OPTIONS", "", _option_text, "str | Iterable[str]",
           "options for every compile, such as `-lineinfo` or `-G`, in front of its own"),
    Option("offline", "JITLOAD_OFFLINE", False, _switch, "bool",
           "`1`: no network tier is touched, not even imported"),
    Option("bundles", "JITLOAD_BUNDLES", (), _paths, "Path | Iterable[Path] | None",
           "bundle files, in order", separator=os.pathsep),
    Option("trust", "JITLOAD_TRUST", (), _trusted, "Path | Iterable[Path] | None",
           "trusted public keys, files with one, or trust files; or `unsigned`", separator=","),
    Option("strict", "JITLOAD_STRICT", False, _switch, "bool",
           "`1`: signed bundles alone answer; nothing is compiled, and no cache directory is asked"),
    Option("remote", "JITLOAD_REMOTE", None, _remote, "str | None",
           "URL of a store that machines share, behind the cache directory: "
           "`redis://`, `rediss://`, `s3://`, `gs://`, `az://`, `http(s)://`, `file://`"),
    Option("remote_mode", "JITLOAD_REMOTE_MODE", "readwrite", _one_of(REMOTE_MODES), 'Literal["readwrite", "read"]',
           "`readwrite` (default), or `read`: nothing is ever written there"),
    Option("remote_max_entry_bytes", "JITLOAD_REMOTE_MAX_ENTRY_BYTES", DEFAULT_REMOTE_MAX_ENTRY_BYTES, byte_count,
           "int | str", "entries that are larger (default `64M`) neither come from there nor go there"),
    Option("remote_trust", "JITLOAD_REMOTE_TRUST", (), _trusted, "Path | Iterable[Path] | None",
           "trusted public keys or trust files: what comes from there must be signed by one", separator=","),
    Option("remote_key", "JITLOAD_REMOTE_KEY", None, absolute_path, "Path | None",
           "file of the private key that signs what goes there"),
    Option("remote_lease_seconds", "JITLOAD_REMOTE_LEASE_SECONDS", DEFAULT_LEASE_SECONDS, _seconds, "float | str",
           "a compile that another machine has begun is anybody's when nothing was heard of it for so long "
           "(default 10; `0`: machines do not wait for each other)"),
    Option("remote_wait_seconds", "JITLOAD_REMOTE_WAIT_SECONDS", DEFAULT_WAIT_SECONDS, _seconds, "float | str",
           "a compile on another machine is waited for no longer (default 120)"),
    Option("record", "JITLOAD_RECORD", None, absolute_path, "Path | None",
           "file that the workload of this process is written to"),
    Option("dump", "JITLOAD_DUMP", None, absolute_path, "Path | None",
           "directory that gets a folder for each image that is compiled or found: its source, options, PTX and SASS"),
    Option("override", "JITLOAD_OVERRIDE", None, absolute_path, "Path | None",
           "directory of dumps: an image in it that was edited runs in the place of the compiled one"),
    Option("log", "JITLOAD_LOG", None, _log_level, "",
           "level of the logger `jitload` on stderr: `debug`, `info`, `warning`, `error`"),
    Option("full_traceback", "JITLOAD_FULL_TRACEBACK", False, _switch, "bool",
           "`1`: errors show every frame of jitload, not the one alone that was called"),
    Option("cpu_check", "JITLOAD_CPU_CHECK", (), _cpu_checks, "str | Iterable[str] | None",
           "what the CPU executor looks for besides bad addresses: some of `memory`, `race`, `init`", separator=","),
    Option("sync", "JITLOAD_SYNC", False, _switch, "bool",
           "`1`: every launch waits for its kernel"),
    Option("native", "JITLOAD_NATIVE", True, _switch, "",
           "`0`: launch in pure Python, also where the native code is built; looked at when a kernel is loaded"),
    Option("cuda_home", "CUDA_HOME", None, _toolkit, "",
           "an installed CUDA toolkit, for headers that no package brings"),
)
# fmt: on


def checked_options(options: Mapping[str, object]) -> dict[str, object]:
    """What `configure` was given, in the form in which it holds.

    Raises:
        UsageValueError: a value that means nothing.
        UsageTypeError: an option that does not exist.
    """
    known = {option.name: option for option in OPTIONS if option.takes}
    checked: dict[str, object] = {}
    for name, value in options.items():
        if name not in known:
            raise UsageTypeError(f"configure() has no option {name!r}; it knows {', '.join(sorted(known))}")
        checked[name] = known[name].check(name, value)
    return checked


def described(docstring: str | None, *, all_of_them: bool = False) -> str | None:
    """A docstring with a line for each option in the place of "{options}".

    Args:
        docstring: None where Python has taken it away.
        all_of_them: also those that `configure` does not take.
    """
    before, place, behind = (docstring or "").partition("{options}")
    if not place:
        return docstring
    indent = before[before.rfind("\n") + 1 :]
    lines = [f"{option.name}: {option.text}." for option in OPTIONS if option.takes or all_of_them]
    return before + f"\n{indent}".join(lines) + behind
