"""The wheels to carry to a machine with a GPU and no network: `python benchmarks/gpu_day.py --prepare DIR`."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from gpu.machine import ROOT

if TYPE_CHECKING:
    from pathlib import Path

#: What pip calls Linux on x86-64, from the oldest glibc on that the packages are built for.
PLATFORMS = ("manylinux1_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_27_x86_64")
PLATFORMS += ("manylinux_2_28_x86_64", "manylinux_2_34_x86_64")
#: From this Python on one build of the native code serves all later ones (setup.py).
ABI3 = (3, 12)
MIB = 1 << 20


def prepare(directory: Path, python: str, cuda: str, without: tuple[str, ...]) -> int:
    """Gather them, and say how they are used there.

    Args:
        directory: where they go.
        python: version of the other machine's Python, e.g. "3.12".
        cuda: of the packages, e.g. "13", or "13.0" where a driver is not to meet newer PTX.
        without: names of packages that the other machine has.

    Returns:
        An exit status: that of pip, where it failed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    wanted = requirements(cuda)
    print("\n".join(wanted), flush=True)
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    options = ["--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms]
    done = subprocess.run([*_pip("download"), *options, "-d", str(directory), *wanted], check=False)
    if done.returncode:
        return done.returncode
    for wheel in directory.glob("*.whl"):
        if _name_of(wheel) in {_normal(name) for name in without}:
            wheel.unlink()
    own = own_wheel(directory, python)
    total = sum(wheel.stat().st_size for wheel in directory.glob("*.whl"))
    count = len(list(directory.glob("*.whl")))
    print(f"\n{count} wheels, {total / MIB:.0f} MiB; {own}\n{ADVICE.format(name=directory.name)}")
    return 0


ADVICE = """
Carry them with this checkout. There, where pip is:
    python -m pip install --no-index --no-deps --target site {name}/*.whl
and where it is not, for each of them: python -m zipfile -e WHEEL site. Then:
    PYTHONPATH=site python benchmarks/gpu_day.py --out DIR
Leave out what is installed there: --without torch,numpy,..."""


def requirements(cuda: str) -> list[str]:
    """What pyproject.toml names for running and testing with one CUDA."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    major, minor, _ = f"{cuda}..".split(".", 2)
    toolkit = [re.split("[<>=]", one)[0] + f"=={major}.{minor}.*" if minor else one for one in extras[f"cu{major}"]]
    return [*project["dependencies"], *toolkit, *extras["test"]]


def own_wheel(directory: Path, python: str) -> str:
    """Build jitload's own wheel, for the native code in it, where this Python can; says what became of it."""
    there = tuple(int(part) for part in python.split(".")[:2])
    here = sys.version_info[:2]
    if there != here and not (there >= ABI3 and here >= ABI3):
        return f"the native code of launches is not among them: prepare with Python {python}, or install jitload there"
    command = [*_pip("wheel"), "--no-deps", "-w", str(directory), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"jitload's own wheel could not be built: {done.stderr.strip()[-300:]}"
    return "jitload's own wheel brings the native code of launches"


def _pip(command: str) -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", command, "--quiet"]


def _name_of(wheel: Path) -> str:
    return _normal(wheel.name.partition("-")[0])


def _normal(name: str) -> str:
    return name.replace("_", "-").replace(".", "-").lower()
