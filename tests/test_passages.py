"""How far a request goes: through how many files, and from room to room. A new idea may need one more; not ten."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name("passages.py")


@pytest.fixture(scope="module")
def passages(tmp_path_factory):
    """What `passages.py` counts of a compile, and then of a hit in a new process."""
    directory = tmp_path_factory.mktemp("passages")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JITLOAD_")}
    environment["PYTHONPATH"] = str(SCRIPT.parents[1])
    ran = [
        subprocess.run(
            [sys.executable, SCRIPT, directory],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        for _ in range(2)
    ]
    return [json.loads(one.stdout) for one in ran]


def test_a_compile_and_a_hit_are_what_is_counted(passages):
    cold, hit = passages
    assert (cold["compiles"], hit["compiles"]) == (1, 0)
    assert {"door.py", "road.py", "compiler/program.py", "files/atomic.py"} <= set(cold["files"])
    assert not [file for file in hit["files"] if file.startswith(("compiler/types", "images/ptx"))]


def test_a_source_crosses_few_rooms_on_its_way_to_the_stored_entry(passages):
    rooms = passages[0]["rooms"]
    assert (rooms[0], rooms[-1]) == ("door", "files")
    assert len(rooms) - 1 <= 35, rooms


def test_a_compile_passes_through_few_files(passages):
    assert len(passages[0]["files"]) <= 79, passages[0]["files"]


def test_a_hit_in_a_new_process_passes_through_few_files(passages):
    assert len(passages[1]["files"]) <= 36, passages[1]["files"]
