"""Is a bundle as new as the sources? Each of its images is compared with what its program would get now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.bundles.nearest import compare_image
from jitload.frozen import Value
from jitload.source.arch import EXECUTOR_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jitload.bundles.bundle import Bundle
    from jitload.bundles.nearest import NearImage
    from jitload.source.request import CompileRequest


class Freshness(Value):
    """What bundles have of one program.

    Attributes:
        program: its name.
        images: how many images of it are in the bundles.
        stale: those that are of another source, header, option or macro, each with what differs.
    """

    __slots__ = ("images", "program", "stale")
    program: str
    images: int
    stale: tuple[str, ...]

    def __init__(self, program: str, images: int, stale: Iterable[str]) -> None:
        self._set(program=program, images=images, stale=tuple(stale))

    @property
    def fresh(self) -> bool:
        """True when there are images of it, and all are of the sources as they are."""
        return self.images > 0 and not self.stale

    def __str__(self) -> str:
        if not self.images:
            return f"missing: {self.program}: in no bundle"
        if not self.stale:
            return f"as new as its sources: {self.program}"
        return "\n".join([f"stale: {text}" for text in self.stale])

    def to_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {"program": self.program, "fresh": self.fresh, "images": self.images, "stale": list(self.stale)}


def check_freshness(requests: Iterable[CompileRequest], bundles: Sequence[Bundle]) -> list[Freshness]:
    """What the bundles have of each program, beside what its sources are now.

    For which archs it is, and with which instantiations of templates, is no question of its age: that is asked of a
    workload (`check_coverage`).

    Args:
        requests: the sources as they are compiled now, for any kind and arch.
        bundles: where their images should be.

    Raises:
        BundleError: a bundle is damaged.
    """
    variants: dict[str, list[CompileRequest]] = {}
    for request in requests:
        # What the CPU executor adds for itself is in bundles that hold what was recorded there.
        variants.setdefault(request.name, []).extend((request, request.replace(device_options=EXECUTOR_OPTIONS)))
    images: dict[str, list[NearImage]] = {name: [] for name in variants}
    for bundle in bundles:
        for entry in bundle.entries():
            name = entry.artifact.name
            if name in variants:  # there may be several sources of a name, or sets of options: it is to be of one
                near = [compare_image(bundle, entry, one) for one in variants[name]]
                images[name].append(min(near, key=lambda one: len(one.stale)))
    return [_judged(name, found) for name, found in images.items()]


def _judged(program: str, images: list[NearImage]) -> Freshness:
    stale = [f"{one.image} in {one.bundle}: {'; '.join(one.stale)}" for one in images if one.stale]
    return Freshness(program, len(images), stale)
