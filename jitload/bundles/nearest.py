"""What bundles have of a program that is not there as it is asked for, and in what it differs.

Most often that is a bundle gone stale: its sources were edited after it was built.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from jitload import log
from jitload.bundles.installed import package_of
from jitload.bundles.tier import bundles_in_force
from jitload.compiler.key import known_factors
from jitload.errors import BundleError
from jitload.frozen import Value
from jitload.headers.record import check_variant
from jitload.settings.scope import session_part
from jitload.tiers.difference import differences, factors_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.artifact import Artifact
    from jitload.bundles.bundle import Bundle
    from jitload.bundles.entry import Entry
    from jitload.source.request import CompileRequest

#: How many entries are read to find those of a program, in a bundle that does not list its programs, and in one that
#: does and has this one; and how many are shown. One is verified in 0.1 ms.
MAX_SCANNED, MAX_READ, MAX_SHOWN = 1000, 10_000, 3
#: How often a program is compared after a compile: one that is compiled in a hundred variants is not older each time.
MAX_COMPARED = 8
#: What a program is called that nobody named: another of that name need not be an older one.
_NAMELESS = "kernel.cu"

_programs: WeakKeyDictionary[Bundle, dict[str, list[str]]] = WeakKeyDictionary()


class _Compared:
    """How often each program has been compared in a session."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}


class NearImage(Value):
    """An image of the program that a request is for.

    Attributes:
        bundle: the path of the bundle that has it.
        image: what it is: "scale.cu as ptx compute_75".
        kernels: the names of its kernels.
        target: what differs in kind, arch and instantiations.
        stale: what differs in source, headers, options and macros.
    """

    __slots__ = ("bundle", "image", "kernels", "stale", "target")
    bundle: str
    image: str
    kernels: tuple[str, ...]
    target: tuple[str, ...]
    stale: tuple[str, ...]

    def __init__(
        self, bundle: str, image: str, kernels: Iterable[str], target: Iterable[str], stale: Iterable[str]
    ) -> None:
        self._set(bundle=bundle, image=image, kernels=tuple(kernels), target=tuple(target), stale=tuple(stale))

    def __str__(self) -> str:
        differing = "; ".join((*self.stale, *self.target)) or "no factor differs"
        return f"{self.image} in {os.path.basename(self.bundle)}: {differing}"


def nearest_in(bundle: Bundle, request: CompileRequest) -> list[NearImage]:
    """The images that a bundle has of the program of a request, the most alike first; at most `MAX_SHOWN`."""
    found = []
    for entry in _entries_of(bundle, request.name):
        asked = [compare_image(bundle, entry, one) for one in dict.fromkeys((request, request.as_written()))]
        found.append(min(asked, key=_distance))
    return sorted(found, key=_distance)[:MAX_SHOWN]


def describe_nearest(request: CompileRequest) -> str:
    """What the bundles in force have of the program of a request: lines to end a message with, or ""."""
    return "".join([f"\n  nearest: {near}" for bundle in bundles_in_force() for near in nearest_in(bundle, request)])


def stale_images(request: CompileRequest) -> list[NearImage]:
    """For each bundle in force its nearest image of the program, where more differs than what it was made for."""
    nearest = [near for bundle in bundles_in_force() for near in nearest_in(bundle, request)[:1]]
    return [near for near in nearest if near.stale]


def warn_of_stale_bundles(request: CompileRequest, artifact: Artifact) -> None:
    """Say once which bundles in force have an older image of a program that was just compiled.

    Args:
        request: what no bundle had.
        artifact: what was compiled: only an image with a kernel of the same name is taken for the same program.
    """
    counts = session_part(_Compared).counts
    count = counts[request.name] = counts.get(request.name, 0) + 1
    if request.name == _NAMELESS or count > MAX_COMPARED:
        return
    for near in stale_images(request):
        if set(near.kernels) & set(artifact.kernels) and may_be_of(near.bundle, request.path):
            log.warn_once(
                ("stale", near.bundle, request.name),
                f"bundle {near.bundle} does not serve {request.path or request.name}, which was compiled here: it has "
                f"{near.image}, and {'; '.join(near.stale)}. Build the bundle again{_or_release(near.bundle)}",
            )


def may_be_of(bundle: str, path: str | None) -> bool:
    """Whether a source can belong to a bundle: that of an installed package is for the sources of the package.

    Args:
        bundle: its path.
        path: that of the source, or None where it has none.
    """
    package = package_of(bundle)
    return path is None or not package or package.split(".", 1)[0] in path.split(os.sep)


def _or_release(bundle: str) -> str:
    """What somebody can do who has only installed the package that a bundle came with."""
    package = package_of(bundle)
    return f", or install a release of {package} whose bundle fits its sources" if package else ""


def compare_image(bundle: Bundle, entry: Entry, request: CompileRequest) -> NearImage:
    """An image of a program beside what a request for the program would get now.

    Args:
        bundle: where it is.
        entry: the image.
        request: for any kind and arch.
    """
    artifact = entry.artifact
    # Its headers are compared where they lie, rather than looked for anew; which compiler made it does not matter.
    factors = known_factors({**entry.factors, "headers": {}})
    now = factors_now(request, None, artifact.toolchain)
    found = differences(request, artifact, factors, now)
    aimed = {"kind", "arch", "name expressions"}
    header = check_variant(entry.variant, request, (), skip_toolkit=True)
    names = f" ({', '.join(artifact.kernels)})" if entry.factors.get("name expressions") else ""
    return NearImage(
        bundle.path,
        f"{artifact.name}{names} as {artifact.kind} {artifact.arch}",
        artifact.kernels,
        [str(difference) for difference in found if difference.factor in aimed],
        [*(str(difference) for difference in found if difference.factor not in aimed), *([header] if header else [])],
    )


def _distance(near: NearImage) -> tuple[int, int]:
    # What was made for another arch, and is else the same, tells less than what was made for this one.
    return len(near.target), len(near.stale)


def _entries_of(bundle: Bundle, program: str) -> list[Entry]:
    """The artifacts of a program, as far as they can be read."""
    listed = bundle.manifest.get("programs")
    if listed is not None and program not in listed:
        return []
    known = _programs.get(bundle)
    if known is None:
        known = {}
        for request in bundle.requests[: MAX_SCANNED if listed is None else MAX_READ]:
            for name in {entry.artifact.name for entry in _read(bundle, request)}:
                known.setdefault(name, []).append(request)
        _programs[bundle] = known
    return [entry for request in known.get(program, ()) for entry in _read(bundle, request)]


def _read(bundle: Bundle, request: str) -> list[Entry]:
    try:
        return bundle.read(request)
    except BundleError:
        return []  # damaged: whoever asks for it is told
