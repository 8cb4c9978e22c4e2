"""Which image a device runs, and which of several is best.

Exact arch, then family ("f"), then a cubin of the same major and a lower minor, then PTX; an "a" arch is never used on
another device than its own.

The rules are those of the CUDA C++ Programming Guide: "Binary Compatibility" (a cubin runs on the same major with an
equal or higher minor, except from or to Tegra), "PTX Compatibility" (PTX runs on its own or any later compute
capability), and "Family-Specific Compatibility" (the suffixes a and f); and of the PTX ISA, ".target", for the families
themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.frozen import Value
from jitload.source.arch import EXECUTOR_ARCH, capability
from jitload.tiers.lookup import Answer, ask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from jitload.bundles.manifest import Manifest
    from jitload.source.request import CompileRequest
    from jitload.tiers.tier import Tier
    from jitload.values import Kind

    Rank = tuple[int, int, int]

    class Stock(Protocol):
        """A bundle, as far as a choice asks it.

        Attributes:
            manifest: of its entries.
            tiers: what a look-up asks.
        """

        manifest: Manifest
        tiers: tuple[Tier, ...]


#: The device that stands for the CPU executor, beside "sm_90" and the like.
CPU = "cpu"
#: The first number of the rank of an image that the driver still has to compile.
PTX_RANK = 3
#: Compute capabilities of Tegra (Nano, TX2, Xavier, Orin, Thor), for which the guide promises no binary compatibility.
#: The GPU of DGX Spark, 12.1, is integrated too, but the guide lists it with what 12.0 shares.
_TEGRA = frozenset({(5, 3), (6, 2), (7, 2), (8, 7), (10, 1), (11, 0)})


class Verdict(Value):
    """What became of one image.

    Attributes:
        kind: its kind.
        arch: what it was compiled for; several for a fatbin.
        rank: lower is better; None when the device does not run it.
        reason: why, in a few words.
    """

    __slots__ = ("arch", "kind", "rank", "reason")
    kind: str
    arch: str
    rank: Rank | None
    reason: str

    def __init__(self, kind: str, arch: str, rank: Rank | None, reason: str) -> None:
        self._set(kind=kind, arch=arch, rank=rank, reason=reason)

    def __str__(self) -> str:
        return f"{self.kind} {self.arch}: {self.reason}"


def judge_image(kind: str, arch: str, device: str) -> Verdict:
    """Whether a device runs an image, and how good a choice it is.

    Args:
        kind: "cubin", "ptx", "fatbin" or "ltoir".
        arch: its arch; several, joined by ",", for a fatbin.
        device: "sm_90", or "cpu" for the CPU executor.
    """
    if kind == "ltoir":
        return Verdict(kind, arch, None, "LTO-IR is linked, not run")
    if device == CPU:
        rank, reason = _judge_for_executor(kind, arch)
        return Verdict(kind, arch, rank, reason)
    if kind not in {"cubin", "ptx", "fatbin"}:
        return Verdict(kind, arch, None, "an unknown kind")
    if kind != "fatbin":
        rank, reason = _judge_ptx(arch, device) if kind == "ptx" else _judge_cubin(arch, device)
        return Verdict(kind, arch, rank, reason)
    members = [
        _judge_cubin(member, device) if member.startswith("sm_") else _judge_ptx(member, device)
        for member in arch.split(",")
    ]
    fitting = [(rank, reason) for rank, reason in members if rank is not None]
    if not fitting:
        return Verdict(kind, arch, None, "; ".join(dict.fromkeys(reason for _, reason in members)))
    rank, reason = min(fitting)
    return Verdict(kind, arch, rank, f"in a fatbin: {reason}")


def judge_all(targets: Iterable[tuple[str, str]], device: str) -> list[Verdict]:
    """The verdicts on (kind, arch) pairs: those that run, the best first, then those that do not.

    Among equals the order of kinds is cubin, fatbin, ptx.
    """
    verdicts = [judge_image(kind, arch, device) for kind, arch in targets]
    fitting = [(verdict.rank, verdict.kind, verdict.arch, verdict) for verdict in verdicts if verdict.rank is not None]
    ordered = [row[3] for row in sorted(fitting, key=lambda row: row[:3])]
    return [*ordered, *(verdict for verdict in verdicts if verdict.rank is None)]


def choose_from(
    bundles: Iterable[Stock],
    request: CompileRequest,
    device: str,
    kinds: Iterable[Kind],
    *,
    before: Answer | None = None,
    use: bool = True,
) -> tuple[Answer, list[Verdict]]:
    """The best image that bundles have for a device, and what became of each other that they have.

    Args:
        bundles: where to look, in order.
        request: the request for the device's own arch.
        device: "sm_90", or "cpu" for the CPU executor.
        kinds: the kinds that will do.
        before: what was said before, for the answer.
        use: as for `ask`.

    Raises:
        BundleError: a bundle is damaged.
    """
    wanted = {kind.value for kind in kinds}
    opened = list(bundles)
    targets = dict.fromkeys((kind, arch) for bundle in opened for kind, arch in bundle.manifest["targets"])
    verdicts: list[Verdict] = []
    chosen: Answer | None = None
    for verdict in judge_all([target for target in targets if target[0] in wanted], device):
        if verdict.rank is None:
            verdicts.append(verdict)
            continue
        if chosen is not None:
            verdicts.append(Verdict(verdict.kind, verdict.arch, None, "a better one was found"))
            continue
        answer = _ask_for_image(
            opened, request.replace(kind=verdict.kind, arch=verdict.arch.split(",")), device, use=use
        )
        if answer.artifact is not None:
            chosen = answer
        else:
            why = "this kernel is not in it" if answer.said == "absent" else answer.said
            verdicts.append(Verdict(verdict.kind, verdict.arch, None, why))
    noted = Answer(request, before=before, about=f"for {device}")
    noted.notes = [(f"{verdict.kind} {verdict.arch} in bundles", verdict.reason) for verdict in verdicts]
    if chosen is None:
        return noted, verdicts
    chosen.before = noted
    return chosen, verdicts


def _ask_for_image(bundles: Iterable[Stock], image: CompileRequest, device: str, *, use: bool) -> Answer:
    """What the first bundle that has an image says, else the last."""
    answer = Answer(image)
    for bundle in bundles:
        answer = ask(image, bundle.tiers, about=f"for {device}", use=use)
        if answer.artifact is not None:
            break
    return answer


def _judge_cubin(arch: str, device: str) -> tuple[Rank | None, str]:
    major, minor, suffix = capability(arch)
    device_major, device_minor, device_suffix = capability(device)
    if suffix == "a":
        if (major, minor) != (device_major, device_minor):
            return None, f'"{arch}" runs on {_name(major, minor)} alone, never across'
        return (0, 0 if device_suffix else 1, 0), "exact arch"
    if (major, minor) == (device_major, device_minor):
        if suffix:
            return (1, 0, 0), "exact arch, of a family"
        return (0, 1 if device_suffix else 0, 0), "exact arch"
    if major != device_major:
        return None, f"a cubin for {_name(major, minor)} does not run on {_name(device_major, device_minor)}"
    if minor > device_minor:
        return None, f"{_name(major, minor)} is newer than {_name(device_major, device_minor)}"
    if _TEGRA & {(major, minor), (device_major, device_minor)}:
        return None, f"{_name(major, minor)} and {_name(device_major, device_minor)}: Tegra shares no cubins"
    if suffix == "f":
        return (1, 1, -minor), "same family"
    return (2, 0, -minor), "same major, lower minor"


def _judge_ptx(arch: str, device: str) -> tuple[Rank | None, str]:
    major, minor, suffix = capability(arch)
    device_major, device_minor, _ = capability(device)
    same = (major, minor) == (device_major, device_minor)
    if suffix == "a" and not same:
        return None, f'"{arch}" runs on {_name(major, minor)} alone, never across'
    if (major, minor) > (device_major, device_minor):
        return None, f"PTX for {_name(major, minor)} is newer than {_name(device_major, device_minor)}"
    if suffix == "f" and _family(major, minor) != _family(device_major, device_minor):
        return None, f'"{arch}" is of another family than {_name(device_major, device_minor)}'
    order = {"a": 0, "f": 1, "": 2}[suffix]
    return (PTX_RANK, -(major * 10 + minor), order), "PTX, compiled by the driver"


def _family(major: int, minor: int) -> int:
    """The family of a compute capability: its major, but for Thor, which was 10.1 and is 11.0 from CUDA 13 on."""
    return 11 if (major, minor) == (10, 1) else major


def _judge_for_executor(kind: str, arch: str) -> tuple[Rank | None, str]:
    if kind != "ptx":
        return None, "the CPU executor runs PTX alone"
    major, minor, suffix = capability(arch)
    limit = capability(EXECUTOR_ARCH)[:2]
    if suffix or (major, minor) > limit:
        return None, f"the CPU executor takes PTX up to {EXECUTOR_ARCH}, and none of one GPU alone (a, f)"
    exact = (major, minor) == limit
    return (0 if exact else PTX_RANK, -(major * 10 + minor), 0), "exact arch" if exact else "PTX of an older arch"


def _name(major: int, minor: int) -> str:
    return f"sm_{major}{minor}"
