"""What can be set: one row per option.

The signature and the docstring of `configure`, the reader of the environment, `jitload doctor` and the table in the
README come from the rows (`python .ci/write_stub.py` writes what is a file).
"""

from __future__ import annotations

import os

from jitload.errors import UsageTypeError
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.settings.check import (
    COMPILE_POLICIES,
    CPU_ENGINES,
    DEFAULT_CACHE_MAX_BYTES,
    DEFAULT_LEASE_SECONDS,
    DEFAULT_REMOTE_MAX_ENTRY_BYTES,
    DEFAULT_WAIT_SECONDS,
    DEVICES,
    REMOTE_MODES,
    absolute_path,
    byte_count,
    cpu_checks,
    demanded_keys,
    log_level,
    one_of,
    option_text,
    paths,
    remote,
    seconds,
    switch,
    toolkit_home,
    trusted,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jitload import calls
    from jitload.settings.check import Check
else:
    calls = lazy("jitload.calls")


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


# A line for what it is, one for what it means.
# fmt: off
#: Every option, in the order in which they are listed.
OPTIONS = (
    Option("cache_dir", "JITLOAD_CACHE_DIR", None, absolute_path, "Path | None",
           "the user's cache directory (default `$XDG_CACHE_HOME/jitload`, else `~/.cache/jitload`)"),
    Option("cache_max_bytes", "JITLOAD_CACHE_MAX_BYTES", DEFAULT_CACHE_MAX_BYTES, byte_count, "int | str",
           "its bound: bytes, or text such as `512M`, `2G` (default 2 GiB)"),
    Option("read_only_dirs", "JITLOAD_READ_ONLY_DIRS", (), paths, "Path | Iterable[Path] | None",
           "cache directories of others, in order, asked before the user's own, never written", separator=os.pathsep),
    Option("device", "JITLOAD_DEVICE", "auto", one_of(DEVICES), 'Literal["auto", "cuda", "cpu"]',
           "`auto` (default: a GPU if there is one, else the CPU), `cuda` or `cpu`"),
    Option("compile", "JITLOAD_COMPILE", "missing", one_of(COMPILE_POLICIES), 'Literal["missing", "never", "always"]',
           "what is compiled: `missing` (default): what no bundle and no cache has; `never`: nothing; `always`: all"),
    Option("compile_options", "JITLOAD_COMPILE_OPTIONS", "", option_text, "str | Iterable[str]",
           "options for every compile, such as `-lineinfo` or `-G`, in front of its own"),
    Option("offline", "JITLOAD_OFFLINE", False, switch, "bool",
           "`1`: no network tier is touched, not even imported"),
    Option("bundles", "JITLOAD_BUNDLES", (), paths, "Path | Iterable[Path] | None",
           "bundle files, in order", separator=os.pathsep),
    Option("trust", "JITLOAD_TRUST", (), trusted, "Path | Iterable[Path] | None",
           "trusted public keys, files with one, or trust files; or `unsigned`", separator=","),
    Option("strict", "JITLOAD_STRICT", False, switch, "bool",
           "`1`: signed bundles alone answer; nothing is compiled, and no cache directory is asked"),
    Option("remote", "JITLOAD_REMOTE", None, remote, "str | None",
           "URL of a store that machines share, behind the cache directory: "
           "`redis://`, `rediss://`, `s3://`, `gs://`, `az://`, `http(s)://`, `file://`"),
    Option("remote_mode", "JITLOAD_REMOTE_MODE", "readwrite", one_of(REMOTE_MODES), 'Literal["readwrite", "read"]',
           "`readwrite` (default), or `read`: nothing is ever written there"),
    Option("remote_max_entry_bytes", "JITLOAD_REMOTE_MAX_ENTRY_BYTES", DEFAULT_REMOTE_MAX_ENTRY_BYTES, byte_count,
           "int | str", "entries that are larger (default `64M`) neither come from there nor go there"),
    Option("remote_trust", "JITLOAD_REMOTE_TRUST", (), demanded_keys, "Path | Iterable[Path] | None",
           "trusted public keys or trust files: what comes from there must be signed by one", separator=","),
    Option("remote_key", "JITLOAD_REMOTE_KEY", None, absolute_path, "Path | None",
           "file of the private key that signs what goes there"),
    Option("remote_lease_seconds", "JITLOAD_REMOTE_LEASE_SECONDS", DEFAULT_LEASE_SECONDS, seconds, "float | str",
           "a compile that another machine has begun is anybody's when nothing was heard of it for so long "
           "(default 10; `0`: machines do not wait for each other)"),
    Option("remote_wait_seconds", "JITLOAD_REMOTE_WAIT_SECONDS", DEFAULT_WAIT_SECONDS, seconds, "float | str",
           "a compile on another machine is waited for no longer (default 120)"),
    Option("record", "JITLOAD_RECORD", None, absolute_path, "Path | None",
           "file that the workload of this process is written to"),
    Option("dump", "JITLOAD_DUMP", None, absolute_path, "Path | None",
           "directory that gets a folder for each image that is compiled or found: its source, options, PTX and SASS"),
    Option("override", "JITLOAD_OVERRIDE", None, absolute_path, "Path | None",
           "directory of dumps: an image in it that was edited runs in the place of the compiled one"),
    Option("log", "JITLOAD_LOG", None, log_level, "",
           "level of the logger `jitload` on stderr: `debug`, `info`, `warning`, `error`"),
    Option("full_traceback", "JITLOAD_FULL_TRACEBACK", False, switch, "bool",
           "`1`: errors show every frame of jitload, not the one alone that was called"),
    Option("cpu_engine", "JITLOAD_CPU_ENGINE", "auto", one_of(CPU_ENGINES), 'Literal["auto", "lanes", "native"]',
           "what the CPU executor makes machine code of (`jitload[native]`): `auto` (default): of kernels that it pays "
           "for, beside the program; `lanes`: of none; `native`: of all, at the first launch"),
    Option("cpu_check", "JITLOAD_CPU_CHECK", (), cpu_checks, "str | Iterable[str] | None",
           "what the CPU executor looks for besides bad addresses: some of `memory`, `race`, `init`", separator=","),
    Option("sync", "JITLOAD_SYNC", False, switch, "bool",
           "`1`: every launch waits for its kernel"),
    Option("native", "JITLOAD_NATIVE", True, switch, "",
           "`0`: launch in pure Python, also where the native code is built; looked at when a kernel is loaded"),
    Option("cuda_home", "CUDA_HOME", None, toolkit_home, "",
           "an installed CUDA toolkit (else `CUDA_PATH`, /usr/local/cuda), for what no package brings: "
           "compiler, linker, headers"),
)
# fmt: on


def checked_options(
    options: Mapping[str, object], excess: Sequence[object] = (), called: str = "configure"
) -> dict[str, object]:
    """What `configure` was given, in the form in which it holds.

    Args:
        options: by name.
        excess: what was given by position, which is refused.
        called: what takes them.

    Raises:
        UsageValueError: a value that means nothing.
        UsageTypeError: an option that does not exist, or none by name.
    """
    known = {option.name: option for option in OPTIONS if option.takes}
    checked: dict[str, object] = {}
    if excess:
        raise calls.too_many(called, (), excess, sorted(known))
    for name, value in options.items():
        if name not in known:
            near = calls.nearest_name(name, sorted(known))
            meant = f". Did you mean {near}=?" if near else ""
            raise UsageTypeError(f"{called}() has no option {name!r}; it knows {', '.join(sorted(known))}{meant}")
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
