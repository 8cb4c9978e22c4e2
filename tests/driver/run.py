"""Run a command on the checking driver: with libcuda.so.1 built from libcuda.c, and its model, in front of it.

python tests/driver/run.py python -m pytest tests/kernels
python tests/driver/run.py --capability 8.0 --capability 9.0 --version 12.4 python examples/quickstart.py
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


def build(directory: Path) -> Path:
    """Compile the library against the installed toolkit's <cuda.h>; gives its place."""
    from jitload.compiler.toolkit import toolkit_roots

    library = directory / "libcuda.so.1"
    includes = [f"-I{path}" for _, path in toolkit_roots()]
    model = f'-DMODEL_DIRECTORY="{HERE}"'
    flags = [model, "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"]
    compiler = shutil.which("gcc") or shutil.which("cc") or "cc"
    subprocess.run([compiler, *flags, *includes, "-o", library, HERE / "libcuda.c", "-ldl"], check=True)
    return library


def environment(directory: Path, **scenario: object) -> dict[str, str]:
    """The environment of a process that finds the library in `directory`; `scenario` has fields of `Scenario`."""
    images = directory / "images"
    images.mkdir(exist_ok=True)
    fields = {"images": str(images), "report": str(directory / "report.txt"), **scenario}
    paths = {"LD_LIBRARY_PATH": str(directory), "PYTHONPATH": str(HERE)}
    for name, path in paths.items():
        paths[name] = os.pathsep.join([path, *filter(None, [os.environ.get(name)])])
    return {**os.environ, **paths, "CHECKING_DRIVER": json.dumps(fields)}


def main() -> int:
    """Build, run, and say which calls were refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--capability", action="append", help="of one device, e.g. 9.0; again for each further one")
    parser.add_argument("--version", help="of the driver, e.g. 12.4; default: that of the toolkit it is built with")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    scenario: dict[str, object] = {}
    if options.capability:
        scenario["capabilities"] = [[int(part) for part in one.split(".")] for one in options.capability]
    if options.version:
        major, minor = (int(part) for part in options.version.split("."))
        scenario["version"] = 1000 * major + 10 * minor
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        build(directory)
        done = subprocess.run(options.command, env=environment(directory, **scenario), check=False)
        report = directory / "report.txt"
        if report.exists():
            lines = report.read_text().splitlines()
            print(f"\nrefused by the checking driver: {len(lines)} calls", file=sys.stderr)
            for line in sorted(set(lines)):
                print(f"  {lines.count(line)}x {line[:300]}", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
