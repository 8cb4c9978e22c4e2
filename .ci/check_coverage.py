"""Branch coverage of each package of jitload, held against its floor.

    python .ci/check_coverage.py DIRECTORY

DIRECTORY holds the data files of the processes that were measured (data.*). A percentage is that of statements and
branches together.
"""

from __future__ import annotations

import json
import pathlib
import sys
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Percent, a little below what was measured; "jitload" stands for the modules at the top.
FLOORS = {
    "jitload": 95,
    "jitload/bundles": 93,
    "jitload/tiers": 93,
    "jitload/cli": 89,
    "jitload/compiler": 89,
    "jitload/cpu": 93,
    "jitload/cuda": 90,
    "jitload/files": 94,
    "jitload/format": 95,
    "jitload/headers": 95,
    "jitload/interop": 93,
    "jitload/launch": 86,
    "jitload/loader": 97,
    "jitload/report": 93,
    "jitload/settings": 95,
}
#: For a package that is new.
FLOOR = 85


def measure(directory: str) -> dict[str, list[tuple[str, int, int]]]:
    """Package -> (file, what ran, what there is)."""
    data = coverage.Coverage(data_file=f"{directory}/data", config_file="pyproject.toml")
    data.combine([directory])
    data.get_data().touch_files(_sources(data.get_option("run:omit")))
    report = pathlib.Path(directory, "report.json")
    data.json_report(outfile=str(report), ignore_errors=True)  # of what tests compile under names of no file
    files = json.loads(report.read_text())["files"]
    found: dict[str, list[tuple[str, int, int]]] = {}
    for path, file in sorted(files.items()):
        total = file["summary"]
        ran = total["covered_lines"] + total["covered_branches"]
        there = total["num_statements"] + total["num_branches"]
        package = pathlib.PurePath(path).parts[:2] if path.count("/") > 1 else ("jitload",)
        found.setdefault("/".join(package), []).append((path, ran, there))
    return found


def _sources(omitted: Iterable[str]) -> list[str]:
    """The files of the package, of which some may have run in no process."""
    paths = (str(path.resolve()) for path in pathlib.Path("jitload").rglob("*.py"))
    return [path for path in paths if not any(fnmatch(path, pattern) for pattern in omitted)]


def percent(files: list[tuple[str, int, int]]) -> float:
    """Of all that there is in these files, what ran."""
    return 100 * sum(ran for _, ran, _ in files) / max(sum(there for _, _, there in files), 1)


def main(directory: str) -> int:
    """1 when a package is below its floor."""
    failed = 0
    packages = measure(directory)
    for package in sorted({*packages, *FLOORS}):
        files, floor = packages.get(package, []), FLOORS.get(package, FLOOR)
        value = percent(files)
        below = value < floor
        failed |= below
        print(f"{package:20} {value:5.1f} %  floor {floor}{'  BELOW' if below else ''}")
        if below:
            worst = sorted(files, key=lambda file: file[1] - file[2])[:5]
            print("".join(f"    {path}: {there - ran} of {there} did not run\n" for path, ran, there in worst), end="")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
