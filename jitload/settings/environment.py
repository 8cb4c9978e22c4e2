"""The only reader of the environment: what the `JITLOAD_*` variables set, and which of them nothing reads."""

from __future__ import annotations

import os

from jitload.lazy import lazy
from jitload.settings.option import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import difflib
    from collections.abc import Mapping
    from typing import Any

    from jitload.settings.option import Option
else:
    difflib = lazy("difflib")

# Everything that settings come from.
_VARIABLES = (*[option.variable for option in OPTIONS], "CUDA_PATH", "XDG_CACHE_HOME", "HOME")
#: What tests, and those who run them, may call theirs.
RESERVED = "JITLOAD_TEST_"
PREFIX = "JITLOAD_"

# os.environ decodes and encodes on every access, and a missing variable costs an exception: 1 us each, while a hit in
# memory may take 10 us in all. Its own mapping of encoded names is read instead, where there is one.
_RAW: Mapping[Any, object] = getattr(os.environ, "_data", os.environ)
_ENCODED = [os.environ.encodekey(name) for name in _VARIABLES] if hasattr(os.environ, "encodekey") else _VARIABLES

#: An environment of more variables than this is quicker looked at name by name.
_MOST_COMPARED = 80
# The one last seen as it was, or None where it is too large to be compared; and what our variables said in it.
_last_seen: list[tuple[object, list[object]]] = [(None, [])]

_LOG = next(option for option in OPTIONS if option.name == "log")

# (variable, text, HOME) -> value: a relative path in a variable means one place, wherever the process goes later.
_settled: dict[tuple[str, str, str | None], object] = {}


def environment_state() -> list[object]:
    """What every variable says that settings come from: the same object for as long as none of them changes.

    The whole environment is compared with what it was, which is quicker than to ask for each name, and takes the same
    time however many settings there are.
    """
    seen, said = _last_seen[0]
    return said if seen == _RAW else _state_again()


def _state_again() -> list[object]:
    # The names are asked of the copy: another thread may set a variable, and set it back, while this goes on.
    seen = dict(_RAW) if len(_RAW) <= _MOST_COMPARED else None
    now = [*map((_RAW if seen is None else seen).get, _ENCODED)]
    before = _last_seen[0][1]
    said = before if before == now else now
    _last_seen[0] = (seen, said)
    return said


def read_environment() -> dict[str, object]:
    """The value of every option by its name: what its variable says, else its default.

    Raises:
        UsageValueError: a variable has a value that means nothing.
    """
    fields = {option.name: _read(option, option.variable) for option in OPTIONS}
    if fields["cuda_home"] is None:
        fields["cuda_home"] = next(_read(option, "CUDA_PATH") for option in OPTIONS if option.name == "cuda_home")
    if fields["cache_dir"] is None:
        fields["cache_dir"] = _default_cache_dir()
    return fields


def read_log_level() -> str | None:
    """What `JITLOAD_LOG` says, which nothing else does.

    Raises:
        UsageValueError: it means nothing.
    """
    level = _read(_LOG, _LOG.variable)
    return level if isinstance(level, str) else None


def docker_config() -> str:
    """The file in which the container tools keep what registries ask for (docker(1), DOCKER_CONFIG)."""
    home = os.environ.get("HOME") or ""
    return os.path.join(os.environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker"), "config.json")


def _read(option: Option, variable: str) -> object:
    text = os.environ.get(variable)
    if not text:
        return option.default
    state = (variable, text, os.environ.get("HOME"))
    if state not in _settled:
        _settled[state] = option.check(variable, text)
    return _settled[state]


def _default_cache_dir() -> str | None:
    # A relative XDG_CACHE_HOME is to be ignored (XDG base directory specification).
    bases = (os.environ.get("XDG_CACHE_HOME") or "", os.path.join(os.environ.get("HOME") or "", ".cache"))
    base = next((path for path in bases if os.path.isabs(path)), None)
    return None if base is None else os.path.join(os.path.abspath(base), "jitload")


def unknown_variables() -> dict[str, str]:
    """The `JITLOAD_*` variables that are set and that nothing reads -> what to say about each."""
    known = [option.variable for option in OPTIONS if option.variable.startswith(PREFIX)]
    names = [name for name in sorted(os.environ) if name.startswith(PREFIX) and name not in known and os.environ[name]]
    return {name: _describe_unknown(name, known) for name in names if not name.startswith(RESERVED)}


def _describe_unknown(name: str, known: list[str]) -> str:
    # What all have in common would make every name near.
    nearest = difflib.get_close_matches(name[len(PREFIX) :], [other.removeprefix(PREFIX) for other in known], 1)
    advice = f"did you mean {PREFIX}{nearest[0]}?" if nearest else "unset it"
    return f"{name} does nothing, jitload has no such variable: {advice}"


def wanted_columns() -> bool:
    """Whether COLUMNS says how wide what is printed may be."""
    return bool(os.environ.get("COLUMNS"))


def child_environment(**variables: str) -> dict[str, str]:
    """The environment of this process with some variables set: for a process that is started with it."""
    return {**os.environ, **variables}


def worker_environment() -> dict[str, str]:
    """The environment for a process of our own: without what nothing reads, of which this process has spoken."""
    unknown = unknown_variables()
    return {name: value for name, value in os.environ.items() if name not in unknown}
