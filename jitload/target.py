"""What a compile is for when the caller left it open: kind, arch and options for the device in force."""

from __future__ import annotations

from jitload import config
from jitload.device import resolve_device
from jitload.errors import UsageError, UsageValueError
from jitload.frozen import Value
from jitload.lazy import lazy
from jitload.source.arch import EXECUTOR_ARCH, EXECUTOR_OPTIONS, normalize_arch, normalize_archs, parse_kind
from jitload.values import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from jitload.cuda import driver
    from jitload.source import options as spellings
    from jitload.source.request import CompileRequest
else:
    spellings = lazy("jitload.source.options")  # most settings have none
    driver = lazy("jitload.cuda.driver")

#: The kinds that a device runs as they are.
ANY_IMAGE = (Kind.CUBIN, Kind.FATBIN, Kind.PTX)


def default_target(kind: str | Kind | None, arch: str | Iterable[str] | None) -> tuple[Kind, str | list[str]]:
    """Kind and arch of a compile when the caller left one or both out: what runs on the current device.

    Raises:
        UsageValueError: that kind cannot be made without an arch here.
    """
    wanted = None if kind is None else parse_kind(kind)
    if arch is not None:
        given: Any = arch
        archs = [given] if isinstance(arch, (str, bytes)) or not hasattr(arch, "__iter__") else list(given)
        if wanted is None:
            several = len(archs) > 1 or any("," in str(name) for name in archs)
            virtual = normalize_arch(archs[0]).startswith("compute_") if archs and not several else False
            wanted = Kind.FATBIN if several else Kind.PTX if virtual else Kind.CUBIN
        return wanted, archs
    if resolve_device() == "cuda":
        return wanted or Kind.CUBIN, driver.device_arch()
    if wanted in (None, Kind.PTX):
        return Kind.PTX, EXECUTOR_ARCH
    raise UsageValueError(
        f"kind {wanted.value!r} needs an arch, and there is no GPU here to take it from: write e.g. arch='sm_90', "
        f"or kind='ptx' for the CPU executor"
    )


def check_target(kind: str | Kind | None, arch: str | Iterable[str] | None) -> None:
    """Nothing, where images of that kind can be made for that arch; what was left out is not asked for here.

    Raises:
        UsageValueError: there is no such kind or arch, or the two do not go together.
        UsageTypeError: an arch that is no text.
    """
    if arch:
        normalize_archs(*default_target(kind, arch))
    elif kind is not None:
        parse_kind(kind)


def device_options(arch: object) -> tuple[str, ...]:
    """The options that the device in force wants, where it is the device that chooses the arch.

    Args:
        arch: the arch that the caller gave, or None.
    """
    return () if arch is not None or resolve_device() == "cuda" else EXECUTOR_OPTIONS


def wanted_options(options: str | Iterable[str]) -> str | Iterable[str]:
    """The options of a compile as its caller wrote them, with those that `compile_options` has for every compile.

    The caller's count where both speak of one thing: of most the last does, of include directories the first.

    Raises:
        UsageValueError: the setting has one that cannot be.
    """
    for_all = config.current().compile_options
    if not for_all:
        return options
    try:
        plain, directories, macros, undefined = spellings.canonical_options(for_all)
    except UsageError as error:
        raise UsageValueError(f"compile_options={for_all!r}: {error}") from None
    defines = [name if text is None else f"{name}={text}" for name, text in macros]
    before = [*plain, *[f"-D{define}" for define in defines], *[f"-U{name}" for name in undefined]]
    return spellings.joined_options(before, options, [f"-I{directory}" for directory in directories])


class StandIns(Value):
    """What may serve in place of the image that was asked for, where that is not to be had.

    Attributes:
        device: the device whose arch the request took: "sm_90", or "cpu"; None where the arch was chosen, and nothing
            else will do.
        kinds: the kinds that will do.
    """

    __slots__ = ("device", "kinds")
    device: str | None
    kinds: tuple[Kind, ...]

    def __init__(self, device: str | None = None, kinds: tuple[Kind, ...] = ANY_IMAGE) -> None:
        self._set(device=device, kinds=kinds)


#: For a request whose arch was chosen.
NO_STAND_INS = StandIns()


def stand_ins(request: CompileRequest, device: str, kind: str | Kind | None) -> StandIns:
    """What will do for a request that took its arch from "cuda" or "cpu".

    Args:
        request: the request.
        device: `resolve_device()`.
        kind: the kind that the user asked for, or None.
    """
    return StandIns(request.arch if device == "cuda" else "cpu", ANY_IMAGE if kind is None else (parse_kind(kind),))
