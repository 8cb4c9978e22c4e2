"""docs/fleet.md: recipes that parse, settings that exist."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest

from jitload.settings.option import OPTIONS

PAGE = (pathlib.Path(__file__).parents[1] / "docs/fleet.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", PAGE, re.DOTALL | re.MULTILINE)


def test_every_setting_of_the_page_exists():
    known = {option.variable for option in OPTIONS}
    named = set(re.findall(r"JITLOAD_[A-Z_]*[A-Z]", PAGE))
    assert len(named) > 10
    assert named <= known
    for variable, option in re.findall(r"^\| `(JITLOAD_\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE):
        assert (variable, option) in {(one.variable, one.name) for one in OPTIONS}


def test_recipes_for_kubernetes_parse_and_name_what_they_mount():
    yaml = pytest.importorskip("yaml", reason="distributed is not installed")
    found = blocks("yaml")
    assert len(found) == 2
    for block in found:
        pod = yaml.safe_load(block)
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in (*pod.get("initContainers", []), *pod.get("containers", [])):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert all(isinstance(variable["name"], str) for variable in container["env"])


def test_scripts_for_slurm_parse():
    found = blocks("bash")
    assert len(found) == 1
    for block in found:
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        directives = re.findall(r"^#SBATCH (--[a-z-]+)=\S+$", block, re.MULTILINE)
        assert len(directives) == block.count("#SBATCH") >= 3
