"""What `txq` and `suq` answer about objects (PTX ISA sections 9.7.10.5 and 9.7.11.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.memory.images import Image
    from jitload.cpu.types import Lanes

_MODES = ("wrap", "mirror", "", "clamp", "border")  # { wrap, mirror, clamp_ogl, clamp_to_edge, clamp_to_border }
#: Extent -> the kinds that have it, by the start of their names.
_HAVE: dict[str, str | tuple[str, ...]] = {"width": "", "height": ("2d", "3d", "cube"), "depth": "3d"}


def query_texture(batch: RunningLanes, handles: Lanes, question: str, level: Lanes, site: int) -> Lanes:
    """`txq`: a number for each lane; the level of detail counts for extents alone."""

    def answer(handle: int, detail: int) -> int | None:
        image = batch.arena.textures.get(handle)
        return None if image is None else _about_texture(image, question, detail)

    return _ask(batch, handles, level, answer, f"texture, or it has no {question}", site)


def query_surface(batch: RunningLanes, handles: Lanes, question: str, level: Lanes, site: int) -> Lanes:
    """`suq`: the same for surfaces."""

    def answer(handle: int, _: int) -> int | None:
        texels = batch.arena.surfaces.get(handle)
        return None if texels is None else _about_texels(texels.kind, texels.shape, question, 0)

    return _ask(batch, handles, level, answer, f"surface, or it has no {question}", site)


def _ask(
    batch: RunningLanes, handles: Lanes, level: Lanes, answer: Callable[[int, int], int | None], what: str, site: int
) -> Lanes:
    found = np.zeros(batch.count, np.uint32)
    objects, levels = (np.broadcast_to(one, found.shape) for one in (handles, level))
    for handle, detail in sorted({*zip(objects.tolist(), levels.tolist(), strict=True)}):
        lanes = np.flatnonzero((objects == handle) & (levels == detail))
        known = answer(handle, detail)
        if known is None:
            batch.fail(site, int(lanes[0]), f"{handle:#x} is no {what}")
        found[lanes] = known
    return found


def _about_texels(kind: str, shape: tuple[int, ...], question: str, level: int) -> int | None:
    if question in _HAVE:
        if not kind.startswith(_HAVE[question]) and kind != "linear":
            return None
        extent = shape[{"width": 3, "height": 2, "depth": 1}[question]]
        return max(extent >> level, 1) if kind != "linear" or question == "width" else None
    if question == "array_size":
        return shape[0] // (6 if kind.startswith("cube") else 1) if "layered" in kind else 0
    return 0  # samples of a texel, and the layout in memory


def _about_texture(image: Image, question: str, level: int) -> int | None:
    if question.startswith("addr_mode"):
        return _MODES.index(image.axes[int(question[-1])][1])
    if question == "filter_mode":
        return int(image.linear)
    if question == "normalized_coords":
        return int(image.normalized)
    if question == "num_mipmap_levels":
        return len(image.coarser) + 1 if image.coarser else 0
    return _about_texels(image.kind, image.texels.shape, question, level)
