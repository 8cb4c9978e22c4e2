"""The README keeps its promises: two commands under "Quick start", code that runs, settings that exist."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import jitload
from jitload.settings.option import OPTIONS

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)\n```", text, re.DOTALL)


def test_the_quick_start_has_the_two_commands():
    section = README.split("## Quick start", 1)[1].split("\n## ", 1)[0]
    assert blocks("sh", section) == [
        "python3 -m venv .venv && .venv/bin/pip install -e '.[cu12]' && .venv/bin/python examples/quickstart.py",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[cu12,test]' && .venv/bin/python -m pytest",
    ]


def test_the_first_python_block_runs_and_is_right(tmp_path):
    path = tmp_path / "readme.py"
    path.write_text(blocks("python")[0])
    names: dict = {"__file__": str(path), "__name__": "readme"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    assert (names["y"] == 4.0).all()  # launched twice with a = 2 and x = 1
    names["bound"](2.0, names["x"], names["y"], names["n"])
    assert (names["y"] == 6.0).all()


def test_the_other_python_block_runs_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"jitload": jitload}
    exec(blocks("python")[1], names)
    assert names["module"].kind == "cubin"
    assert list(jitload.Artifact.open(tmp_path / "scale.jle").kernels) == ["scale<float, 256>"]
    assert len(blocks("python")) == 2, "every block is run here or above"


def test_it_is_read_in_one_sitting():
    assert len(README.splitlines()) < 200


def test_the_python_block_about_resources_runs(capsys):
    (block,) = blocks("python", (ROOT / "docs" / "resources.md").read_text())
    exec(block, {})
    assert capsys.readouterr().out.strip() in block, "what it prints stands behind it"


@pytest.mark.parametrize("page", ["README.md", "docs/bundles.md"])
def test_the_way_through_the_air_gap_works_as_written(page, tmp_path):
    """Every shell command of it, typed in by bash: first those of the build side, then those where it is deployed."""
    text = (ROOT / page).read_text()
    commands = "\n".join(blocks("bash", text)).replace("/srv/", f"{tmp_path}/srv/")
    build, deploy = commands.split("export ", 1)
    assert build.count("jitload ") >= 5
    work, tools = tmp_path / "work", tmp_path / "bin"
    for directory in (work, tools, tmp_path / "srv"):
        directory.mkdir()
    for name in ("app.py", "saxpy.cu", "factor.h"):
        shutil.copy(ROOT / "examples" / "air_gapped" / name, work)
    for name, command in (("python", ""), ("jitload", "-m jitload")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (tools / name).chmod(0o755)

    def bash(lines, cache):
        env = {
            **os.environ,
            "PATH": f"{tools}:/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "JITLOAD_CACHE_DIR": str(tmp_path / cache),
        }
        command = ["bash", "-euo", "pipefail", "-c", lines]
        done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "covered (1 request)" in bash(build, "cache")
    for name in ("app.jlb", "ci.key.pub"):
        shutil.copy(work / name, tmp_path / "srv")
    assert bash(f"export {deploy}", "empty") == "right result; 0 compiled, served by bundle\n"


def test_the_shell_line_that_precompiles_kernels_makes_kernels_of_all_of_them():
    """The other line, with the plan, is the test of the kernels themselves."""
    line = next(line for block in blocks("sh") for line in block.splitlines() if "precompile kernels/s" in line)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = line.replace("jitload ", f"{sys.executable} -m jitload ", 1)
    done = subprocess.run(["bash", "-euc", command], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(" 9 compiled, 0 cached, 0 failed")


def test_the_table_of_settings_has_every_variable_and_what_separates_its_items():
    documented = set(re.findall(r"`(JITLOAD_[A-Z_]+)`", README))
    variables = {option.variable: option for option in OPTIONS if option.variable.startswith("JITLOAD_")}
    assert documented == variables.keys()
    for line in README.splitlines():
        for variable in re.findall(r"`(JITLOAD_[A-Z_]+)`", line.split("|")[1] if line.startswith("| `JITLOAD") else ""):
            separator = variables[variable].separator
            assert not separator or f"`{separator}`" in line, line


def test_the_extras_in_the_table_exist():
    documented = set(re.findall(r"`jitload\[([a-z0-9-]+)\]`", README))
    text = (ROOT / "pyproject.toml").read_text()
    section = text.split("[project.optional-dependencies]", 1)[1].split("\n[", 1)[0]
    assert documented == set(re.findall(r"^([a-z0-9-]+) = \[", section, re.MULTILINE))
