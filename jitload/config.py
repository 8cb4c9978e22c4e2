"""The only reader of the environment, and `configure()`.

What counts is, in this order: `configure(...)` of this process, the newest first; the `JITLOAD_*` variables as they
are now (a change during the run is seen); the defaults. Nothing is read before the first use.
"""

from __future__ import annotations

import os
from importlib import import_module
from threading import Lock

from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, TypedDict

    from typing_extensions import Unpack

    Path = str | os.PathLike[str]

    class Options(TypedDict, total=False):
        """What `configure` takes, for editors and type checkers."""

        bundles: Path | Iterable[Path] | None
        cache_dir: Path | None
        cache_max_bytes: int | str
        compile: str
        cpu_check: str | Iterable[str] | None
        device: str
        offline: bool
        read_only_dirs: Path | Iterable[Path] | None
        record: Path | None
        remote: str | None
        strict: bool
        sync: bool
        trust: Path | Iterable[Path] | None


DEFAULT_CACHE_MAX_BYTES = 2 << 30

DEVICES = ("auto", "cuda", "cpu")
COMPILE_POLICIES = ("missing", "never", "always")
CPU_CHECKS = ("memory", "race", "init")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_VARIABLES = (
    "JITLOAD_CACHE_DIR",
    "JITLOAD_CACHE_MAX_BYTES",
    "JITLOAD_READ_ONLY_DIRS",
    "JITLOAD_DEVICE",
    "JITLOAD_COMPILE",
    "JITLOAD_OFFLINE",
    "JITLOAD_BUNDLES",
    "JITLOAD_TRUST",
    "JITLOAD_STRICT",
    "JITLOAD_RECORD",
    "JITLOAD_LOG",
    "JITLOAD_CPU_CHECK",
    "JITLOAD_SYNC",
    "CUDA_HOME",
    "CUDA_PATH",
    "XDG_CACHE_HOME",
    "HOME",
)


class Config(Value):
    """The settings in force.

    Attributes:
        cache_dir: the user's cache directory, or None where the user has no home.
        cache_max_bytes: its bound in bytes.
        device: "auto", "cuda" or "cpu".
        compile: "missing", "never" or "always".
        offline: True when no network tier may be touched.
        bundles: bundle files, in order of look-up.
        trust: trusted public keys, a trust file, or "unsigned".
        strict: True when signed bundles alone answer; `compile` is then "never".
        remote: address of a remote tier, or None.
        read_only_dirs: cache directories of others, asked before the user's own and never written.
        record: file for the workload of this process, or None.
        log: level of the logger "jitload" on stderr, or None for the application's own logging.
        cpu_check: what the CPU executor looks for besides bad addresses: some of "memory", "race", "init".
        sync: True when every launch waits for its kernel.
        cuda_home: an installed CUDA toolkit to use where no package brings one, or None.
    """

    __slots__ = (
        "bundles",
        "cache_dir",
        "cache_max_bytes",
        "compile",
        "cpu_check",
        "cuda_home",
        "device",
        "log",
        "offline",
        "read_only_dirs",
        "record",
        "remote",
        "strict",
        "sync",
        "trust",
    )
    cache_dir: str | None
    cache_max_bytes: int
    device: str
    compile: str
    offline: bool
    bundles: tuple[str, ...]
    trust: tuple[str, ...]
    strict: bool
    remote: str | None
    read_only_dirs: tuple[str, ...]
    record: str | None
    log: str | None
    cpu_check: tuple[str, ...]
    sync: bool
    cuda_home: str | None

    def __init__(self, **fields: Any) -> None:
        self._set(**fields)


# os.environ decodes and encodes on every access, and a missing variable costs an exception: 1 us each, while a memory
# hit through compile() may take 10 us in all. Its own mapping of encoded names is read instead, where there is one.
_raw: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
_names = [os.environ.encodekey(name) for name in _VARIABLES] if hasattr(os.environ, "encodekey") else _VARIABLES

_layers: tuple[dict[str, Any], ...] = ()  # replaced as a whole: a reader in another thread has one or the other
_guard = Lock()
_generation = 0
_cached: tuple[object, Config] | None = None


def current() -> Config:
    """The settings in force now.

    Raises:
        ValueError: a `JITLOAD_*` variable has a value that means nothing.
    """
    global _cached
    state = (_generation, *map(_raw.get, _names))
    if _cached is not None and _cached[0] == state:
        return _cached[1]
    fields = _from_environment()
    for layer in _layers:
        fields.update(layer)
    if fields["strict"]:
        fields["compile"] = "never"
    config = Config(**fields)
    _cached = (state, config)
    return config


class configure:  # noqa: N801 - called like a function, usable in a `with` statement
    """Set options for this process; as a context manager, until the end of the block.

    Args:
        cache_dir: directory of the disk cache.
        cache_max_bytes: its bound in bytes.
        device: "auto", "cuda" or "cpu".
        compile: "missing", "never" or "always".
        offline: True: no network tier.
        bundles: bundle files, in order.
        trust: trusted public keys, a trust file, or "unsigned".
        strict: True: signed bundles alone answer; whatever `compile` says, nothing is compiled.
        remote: address of a remote tier.
        read_only_dirs: cache directories of others, in order; never written.
        record: file for the workload.
        cpu_check: what the CPU executor looks for besides bad addresses: some of "memory", "race", "init".
        sync: True: every launch waits for its kernel.

    Raises:
        ValueError: a value that means nothing.
        TypeError: an option that does not exist.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        known = set(_CHECKS)
        for name in options:
            if name not in known:
                raise TypeError(f"configure() has no option {name!r}; it knows {', '.join(sorted(known))}")
        self._layer = {name: _CHECKS[name](name, value) for name, value in options.items()}
        self._change(in_force=True)

    def __enter__(self) -> Config:
        if not any(layer is self._layer for layer in _layers):
            self._change(in_force=True)  # the block of an object that was used before
        return current()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._change(in_force=False)

    def _change(self, *, in_force: bool) -> None:
        global _generation, _layers
        with _guard:
            others = tuple([layer for layer in _layers if layer is not self._layer])
            _layers = (*others, self._layer) if in_force else others
            _generation += 1


def resolve_device() -> str:
    """What runs kernels under the settings in force: "cuda" or "cpu"."""
    device = current().device
    if device != "auto":
        return device
    # By name: this is the lowest room of the house, and only asks here when nobody chose a device.
    return "cuda" if import_module("jitload.cuda.driver").is_available() else "cpu"


def child_environment(**variables: str) -> dict[str, str]:
    """The environment of this process with some variables set: for a process that is started with it."""
    return {**os.environ, **variables}


def _from_environment() -> dict[str, Any]:
    read = os.environ.get
    # A relative XDG_CACHE_HOME is to be ignored (XDG base directory specification).
    bases = (read("XDG_CACHE_HOME") or "", os.path.join(read("HOME") or "", ".cache"))
    base = next((path for path in bases if os.path.isabs(path)), None)
    return {
        "cache_dir": _path(
            "JITLOAD_CACHE_DIR", read("JITLOAD_CACHE_DIR") or (os.path.join(base, "jitload") if base else None)
        ),
        "cache_max_bytes": byte_count(
            "JITLOAD_CACHE_MAX_BYTES", read("JITLOAD_CACHE_MAX_BYTES") or DEFAULT_CACHE_MAX_BYTES
        ),
        "device": _one_of(DEVICES)("JITLOAD_DEVICE", read("JITLOAD_DEVICE") or "auto"),
        "compile": _one_of(COMPILE_POLICIES)("JITLOAD_COMPILE", read("JITLOAD_COMPILE") or "missing"),
        "offline": _switch("JITLOAD_OFFLINE", read("JITLOAD_OFFLINE") or "0"),
        "bundles": _paths("JITLOAD_BUNDLES", read("JITLOAD_BUNDLES")),
        "trust": _words("JITLOAD_TRUST", read("JITLOAD_TRUST")),
        "strict": _switch("JITLOAD_STRICT", read("JITLOAD_STRICT") or "0"),
        "remote": None,
        "read_only_dirs": _paths("JITLOAD_READ_ONLY_DIRS", read("JITLOAD_READ_ONLY_DIRS")),
        "record": _path("JITLOAD_RECORD", read("JITLOAD_RECORD") or None),
        "log": _log_level("JITLOAD_LOG", read("JITLOAD_LOG", "")),
        "cpu_check": _cpu_checks("JITLOAD_CPU_CHECK", read("JITLOAD_CPU_CHECK")),
        "sync": _switch("JITLOAD_SYNC", read("JITLOAD_SYNC") or "0"),
        "cuda_home": read("CUDA_HOME") or read("CUDA_PATH") or None,
    }


def _one_of(choices: tuple[str, ...]) -> Any:
    def check(name: str, value: object) -> str:
        if value not in choices:
            raise ValueError(f"{name}={value!r} means nothing; expected one of {', '.join(choices)}")
        return str(value)

    return check


def _log_level(name: str, value: str) -> str | None:
    if value and value.upper() not in LOG_LEVELS:
        raise ValueError(f"{name}={value!r} means nothing; expected one of {', '.join(LOG_LEVELS).lower()}")
    return value.upper() or None


def byte_count(name: str, value: object) -> int:
    """A setting that is a number of bytes.

    Raises:
        ValueError: it is none; the text names the setting.
    """
    number = -1
    if isinstance(value, str) and value.strip().isdecimal():
        number = int(value)
    elif hasattr(value, "__index__") and not isinstance(value, bool):
        number = int(value.__index__())
    if number < 0:
        raise ValueError(f"{name}={value!r} is not a number of bytes; expected an integer >= 0")
    return number


def _switch(name: str, value: object) -> bool:
    text = str(value).lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ValueError(f"{name}={value!r} means nothing; expected 1 or 0")


def _path(name: str, value: object) -> str | None:
    if value is None:
        return None
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(f"{name}={value!r} is not a path")
    return os.path.abspath(os.path.expanduser(text))


def _paths(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(os.pathsep) if part]
    return tuple([path for item in _items(name, value) if (path := _path(name, item)) is not None])


def _words(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    words = [os.fspath(item) if isinstance(item, os.PathLike) else item for item in _items(name, value)]
    for word in words:
        if not isinstance(word, str):
            raise ValueError(f"{name}: {word!r} is not text")
    return tuple(words)


def _cpu_checks(name: str, value: object) -> tuple[str, ...]:
    words = _words(name, value)
    for word in words:
        if word not in CPU_CHECKS:
            raise ValueError(f"{name}={value!r}: there is no check {word!r}; expected some of {', '.join(CPU_CHECKS)}")
    return tuple([word for word in CPU_CHECKS if word in words])


def _items(name: str, value: object) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, os.PathLike):
        return [value]
    if not hasattr(value, "__iter__") or isinstance(value, (bytes, dict)):
        raise ValueError(f"{name}={value!r} is not a list")
    return list(value)


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}={value!r} is not text")
    return value


_CHECKS: dict[str, Any] = {
    "bundles": _paths,
    "cache_dir": _path,
    "cache_max_bytes": byte_count,
    "compile": _one_of(COMPILE_POLICIES),
    "cpu_check": _cpu_checks,
    "device": _one_of(DEVICES),
    "offline": _switch,
    "read_only_dirs": _paths,
    "record": _path,
    "remote": _text,
    "strict": _switch,
    "sync": _switch,
    "trust": _words,
}
