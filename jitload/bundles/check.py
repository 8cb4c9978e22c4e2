"""Does a set of bundles cover a workload on a GPU? Asked of the bundles themselves, by the code that a look-up uses."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from jitload.bundles.choose import CPU, PTX_RANK, choose_from, judge_image
from jitload.errors import BundleError, LoadError, UsageValueError
from jitload.frozen import Value
from jitload.images.ptx import ptx_target
from jitload.notebook import html_table
from jitload.source.arch import EXECUTOR_ARCH, EXECUTOR_OPTIONS, normalize_arch
from jitload.tiers.lookup import ask
from jitload.values import Kind
from jitload.workloads.workload import BY_DEVICE, CHOSEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jitload.artifact import Artifact
    from jitload.bundles.bundle import Bundle
    from jitload.source.request import CompileRequest
    from jitload.workloads.workload import Program, Workload

#: First driver branch of a CUDA version, and the newest PTX ISA that it compiles (PTX ISA, release notes; CUDA release
#: notes, table of driver versions).
DRIVERS = (
    (450, (11, 0), (7, 0)),
    (455, (11, 1), (7, 1)),
    (460, (11, 2), (7, 2)),
    (465, (11, 3), (7, 3)),
    (470, (11, 4), (7, 4)),
    (495, (11, 5), (7, 5)),
    (510, (11, 6), (7, 6)),
    (515, (11, 7), (7, 7)),
    (520, (11, 8), (7, 8)),
    (525, (12, 0), (8, 0)),
    (530, (12, 1), (8, 1)),
    (535, (12, 2), (8, 2)),
    (545, (12, 3), (8, 3)),
    (550, (12, 4), (8, 4)),
    (555, (12, 5), (8, 5)),
    (560, (12, 6), (8, 5)),
    (565, (12, 7), (8, 6)),
    (570, (12, 8), (8, 7)),
    (575, (12, 9), (8, 8)),
    (580, (13, 0), (9, 0)),
    (590, (13, 1), (9, 1)),
)


class Coverage(Value):
    """What became of one request of a workload on one device.

    Attributes:
        program: the program name.
        names: its name expressions.
        wanted: "cubin sm_90" as the application would ask.
        found: "cubin sm_80" that serves it, or "".
        reasons: why images were rejected; for one that is covered, those that were not as good.
    """

    __slots__ = ("found", "names", "program", "reasons", "wanted")
    program: str
    names: tuple[str, ...]
    wanted: str
    found: str
    reasons: tuple[str, ...]

    def __init__(self, program: str, names: Iterable[str], wanted: str, found: str, reasons: Iterable[str]) -> None:
        self._set(program=program, names=tuple(names), wanted=wanted, found=found, reasons=tuple(reasons))

    @property
    def covered(self) -> bool:
        """True when a bundle serves it."""
        return bool(self.found)

    def __str__(self) -> str:
        names = f" ({', '.join(self.names)})" if self.names else ""
        if self.covered:
            return f"covered: {self.program}{names} {self.wanted}: {self.found}"
        return f"missing: {self.program}{names} {self.wanted}: {'; '.join(self.reasons) or 'in no bundle'}"

    def _repr_html_(self) -> str:
        state = f"covered by {self.found}" if self.covered else "missing"
        title = f"{self.program} {', '.join(self.names)}: {self.wanted}, {state}"
        return html_table(title, (), [(reason,) for reason in self.reasons])

    def to_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "program": self.program,
            "names": list(self.names),
            "wanted": self.wanted,
            "covered": self.covered,
            "found": self.found or None,
            "reasons": list(self.reasons),
        }


def check_coverage(
    workload: Workload, bundles: Sequence[Bundle], gpu: str, driver: int | None = None
) -> list[Coverage]:
    """What the bundles hold for every request of a workload on a device.

    Args:
        workload: what the application asks for.
        bundles: where it is looked for, in order.
        gpu: "sm_90", or "cpu" for the CPU executor.
        driver: branch of the driver, e.g. 580: PTX that it is too old for is not coverage; None asks no driver.

    Raises:
        BundleError: a bundle is damaged.
        UsageValueError: no such device or driver.
    """
    device = gpu if gpu == CPU else normalize_arch(gpu)
    if device.startswith("compute_"):
        raise UsageValueError(f"{gpu!r} is no GPU: write e.g. sm_90, or cpu for the CPU executor")
    found: list[Coverage] = []
    with workload.unpacked() as requests:
        for program, request in requests.items():
            wanted = dict.fromkeys(_asks(program, device))
            found += [_check(request, *ask, device, bundles, driver) for ask in wanted]
    return found


def _asks(program: Program, device: str) -> list[tuple[str, str, str]]:
    """(kind, arch, how) of what the application would ask for on that device."""
    asks = []
    for kind, arch, how in sorted(program.targets):
        if how == CHOSEN:
            asks.append((kind, arch, how))
        elif device == CPU:
            asks.append(("ptx", EXECUTOR_ARCH, how))
        else:
            asks.append(("cubin" if how == BY_DEVICE else kind, device.rstrip("af"), how))
    return asks


def _check(
    first: CompileRequest, kind: str, arch: str, how: str, device: str, bundles: Sequence[Bundle], driver: int | None
) -> Coverage:
    request = first.replace(kind=kind, arch=arch.split(","))
    artifact: Artifact | None = None
    reasons: list[str] = []
    if how == CHOSEN:
        for bundle in bundles:
            answer = ask(request, bundle.tiers, use=False)
            artifact = answer.artifact
            if artifact is not None:
                break
            reasons.append(f"{os.path.basename(bundle.path)}: {answer.said}")
    else:
        kinds = (Kind.CUBIN, Kind.FATBIN, Kind.PTX) if how == BY_DEVICE else (Kind(kind),)
        answer, verdicts = choose_from(bundles, request, device, kinds, use=False)
        artifact = answer.artifact
        reasons = [str(verdict) for verdict in verdicts]
        if artifact is None and device == CPU:
            artifact = _as_the_executor_asks(request, bundles)
    found = "" if artifact is None else f"{artifact.kind} {artifact.arch}"
    if artifact is not None and driver is not None and device != CPU:
        refusal = _too_new(artifact, device, driver)
        if refusal is not None:
            found, reasons = "", [*reasons, f"{found}: {refusal}"]
    return Coverage(request.name, request.names, f"{kind} {arch}", found, reasons)


def _as_the_executor_asks(request: CompileRequest, bundles: Sequence[Bundle]) -> Artifact | None:
    """What a bundle has for a request with the options that the CPU executor adds."""
    wanted = request.replace(device_options=EXECUTOR_OPTIONS)
    found = (ask(wanted, bundle.tiers, use=False).artifact for bundle in bundles)
    return next((artifact for artifact in found if artifact is not None), None)


def _too_new(artifact: Artifact, device: str, driver: int) -> str | None:
    """Why a driver does not take an image, or None when it does."""
    rows = [row for row in DRIVERS if row[0] <= driver]
    if not rows:
        raise UsageValueError(f"driver {driver} is older than {DRIVERS[0][0]}, the first that is known here")
    _, cuda, isa = rows[-1]
    if driver >= DRIVERS[-1][0] + 10:
        return None  # newer than this table: a driver takes what all earlier toolkits made
    made_by = _version(artifact.toolchain.version)
    if artifact.kind is Kind.PTX:
        try:
            needed = _version(ptx_target(artifact.data)[0])
        except LoadError as error:
            return str(error)
        if needed > isa:
            return f"PTX ISA {_spell(needed)} is newer than driver {driver}, which compiles up to {_spell(isa)}"
    elif artifact.kind is Kind.FATBIN and made_by > cuda and _is_compiled(artifact, device):
        return f"its PTX is of CUDA {_spell(made_by)}, and driver {driver} compiles that of CUDA {_spell(cuda)}"
    elif made_by[0] > cuda[0]:
        # Minor version compatibility: a cubin needs a driver of its toolkit's major version, no more.
        return f"made by CUDA {_spell(made_by)}, and driver {driver} is of CUDA {_spell(cuda)}"
    return None


def _is_compiled(artifact: Artifact, device: str) -> bool:
    """Whether a device gets nothing but PTX from a fatbin."""
    rank = judge_image(artifact.kind.value, artifact.arch, device).rank
    return rank is None or rank[0] == PTX_RANK


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"([0-9]{1,4})(?:\.([0-9]{1,4}))?(?![0-9])", text)
    if found is None:
        raise BundleError(f"an image was made by a compiler of version {text!r:.40}: expected e.g. 12.9.86")
    return int(found[1]), int(found[2] or 0)


def _spell(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
