"""Forms whose effect takes more than one instruction to see do in their scenes what these say."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.cpu.isa.registry import families
from jitload.errors import CpuFault
from tests.cpu.isa import scenes
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.scenes import THREADS, text_of
from tests.cpu.isa.tensor_scenes import TENSOR_SCENES
from tests.cpu.isa.ways import way_of

SCENES = {**scenes.SCENES, **TENSOR_SCENES}
ROWS = [row for rows in families().values() for row in rows if way_of(row) == "scene"]


@pytest.mark.parametrize("row", ROWS, ids=[row.spelled for row in ROWS])
def test_a_scene_ends_as_it_says(ptx, row):
    for name in names_of(row, 6):
        scene = SCENES[row.name](name)
        threads = scene.blocks * THREADS
        out, memory = np.zeros(threads, np.uint32), np.array([k % 251 for k in range(512)], np.uint8)
        device = ptx(text_of(scene, name, 0))
        if scene.stops:
            with pytest.raises(CpuFault, match=scene.stops):
                device.run("k0", 1, THREADS, out, memory)
            continue
        cluster = scene.blocks if scene.blocks > 1 else None
        device.run("k0", scene.blocks, THREADS, out, memory, cluster=cluster)
        assert out.tolist() == [scene.found(thread) % (1 << 32) for thread in range(threads)], name.parts


def test_every_scene_is_of_a_row():
    assert {*SCENES} == {row.name for row in ROWS}
