"""What a device may take into account when it schedules a launch. No hint changes what a kernel computes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from jitload.errors import LaunchError

if TYPE_CHECKING:
    from jitload.launch.foreign import Given
    from jitload.values import KernelInfo

#: CUclusterSchedulingPolicy (cuda.h).
CLUSTER_SCHEDULING = {"spread": 1, "load_balancing": 2}


class Hints(NamedTuple):
    """Hints of one launch, checked; what a device has no use for is left out there.

    Attributes:
        pdl: programmatic dependent launch: the kernel may begin before the one in front of it on the stream has ended,
            and waits for it itself, with `griddepcontrol.wait` (cudaGridDependencySynchronize).
        priority: as of a stream: lower numbers are more urgent; None is the stream's own.
        cluster_scheduling: "spread" or "load_balancing"; None is the driver's choice.
        carveout_percent: how much of what L1 cache and shared memory share is to be shared memory, of the most that
            the device can give; None is the driver's choice.
    """

    pdl: bool = False
    priority: int | None = None
    cluster_scheduling: str | None = None
    carveout_percent: int | None = None


NO_HINTS = Hints()


class ForallOptions(TypedDict, total=False):
    """The keywords of `Kernel.forall`."""

    block: int | None
    shared_bytes: int
    stream: object
    cluster: object


class HintOptions(TypedDict, total=False):
    """The keywords that `Hints` are read from."""

    pdl: bool
    priority: int | None
    cluster_scheduling: str | None
    carveout_percent: int | None


class LaunchOptions(HintOptions, total=False):
    """The keywords of `Kernel.bind`."""

    grid: object
    block: object
    shared_bytes: int
    stream: object
    cluster: object
    cooperative: bool


def read_hints(
    info: KernelInfo,
    pdl: Given = False,
    priority: object = None,
    cluster_scheduling: Given = None,
    carveout_percent: object = None,
) -> Hints:
    """Check what was given as hints.

    Raises:
        LaunchError: one of them means nothing.
    """
    if pdl is not True and pdl is not False:
        raise _meaningless(info, "pdl", pdl, "True or False")
    known = isinstance(cluster_scheduling, str) and cluster_scheduling in CLUSTER_SCHEDULING
    if cluster_scheduling is not None and not known:
        words = ", ".join(map(repr, CLUSTER_SCHEDULING))
        raise _meaningless(info, "cluster_scheduling", cluster_scheduling, f"{words} or None")
    return Hints(
        pdl,
        _number(info, "priority", priority, -(2**31), 2**31 - 1),
        cluster_scheduling,
        _number(info, "carveout_percent", carveout_percent, 0, 100),
    )


def _number(info: KernelInfo, word: str, given: Given, least: int, most: int) -> int | None:
    if given is None:
        return None
    expected = f"an integer from {least} to {most}, or None"
    if isinstance(given, bool):
        raise _meaningless(info, word, given, expected)
    try:
        number = operator.index(given)
    except TypeError:
        raise _meaningless(info, word, given, expected) from None
    if not least <= number <= most:
        raise _meaningless(info, word, given, expected)
    return number


def _meaningless(info: KernelInfo, word: str, given: object, expected: str) -> LaunchError:
    return LaunchError(f"kernel {info.name!r}: {word} {given!r} must be {expected}")
