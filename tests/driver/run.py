"""Run a command on the checking driver: with libcuda.so.1 built from libcuda.c, and its model, in front of it.

python tests/driver/run.py python -m pytest tests/kernels
python tests/driver/run.py --capability 8.0 --capability 9.0 --version 12.4 python examples/quickstart.py

The exit status is the command's, or 1 where that was 0 and a call was made that the driver's documentation forbids.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def compiler() -> str | None:
    """The C compiler that is there, or None."""
    return shutil.which("gcc") or shutil.which("cc")


def build(directory: Path) -> Path:
    """Compile the library against the installed toolkit's <cuda.h>; gives its place."""
    from jitload.compiler.toolkit import toolkit_roots

    library = directory / "libcuda.so.1"
    includes = [f"-I{path}" for _, path in toolkit_roots()]
    model = f'-DMODEL_DIRECTORY="{HERE}"'
    flags = [model, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"]
    subprocess.run([compiler() or "cc", *flags, *includes, "-o", library, HERE / "libcuda.c", "-ldl"], check=True)
    return library


def environment(directory: Path, **scenario: object) -> dict[str, str]:
    """The environment of a process that finds the library in `directory`; `scenario` has fields of `Scenario`."""
    images = directory / "images"
    images.mkdir(exist_ok=True)
    fields = {"images": str(images), **scenario}
    paths = {"LD_LIBRARY_PATH": str(directory), "PYTHONPATH": str(HERE)}
    for name, path in paths.items():
        paths[name] = os.pathsep.join([path, *filter(None, [os.environ.get(name)])])
    return {**os.environ, **paths, "CHECKING_DRIVER": json.dumps(fields)}


def tell(report: Path) -> int:
    """Say which calls were refused; gives how many."""
    lines = report.read_text().splitlines() if report.exists() else []
    print(f"\ncalls that the checking driver refused: {len(lines)}", file=sys.stderr)
    for line in sorted(set(lines)):
        print(f"  {lines.count(line)}x {line[:300]}", file=sys.stderr)
    return len(lines)


def main() -> int:
    """Build, run, and say which calls were refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--capability", action="append", help="of one device, e.g. 9.0; again for each further one")
    parser.add_argument("--version", help="of the driver, e.g. 12.4; default: that of the toolkit it is built with")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help="any other field of Scenario")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    scenario: dict[str, object] = {}
    for assignment in options.set:
        field, _, value = assignment.partition("=")
        scenario[field] = json.loads(value)
    if options.capability:
        scenario["capabilities"] = [[int(part) for part in one.split(".")] for one in options.capability]
    if options.version:
        major, minor = (int(part) for part in options.version.split("."))
        scenario["version"] = 1000 * major + 10 * minor
    with tempfile.TemporaryDirectory() as folder:
        directory, report = Path(folder), Path(folder, "report.txt")
        build(directory)
        variables = environment(directory, report=str(report), **scenario)
        done = subprocess.run(options.command, env=variables, check=False)
        return done.returncode or int(tell(report) > 0)


if __name__ == "__main__":
    sys.exit(main())
