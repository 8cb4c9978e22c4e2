"""The command: which parts, how long, and where the results go."""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import show

from suite.machine import describe
from suite.page import into_page, not_measured
from suite.parts import PARTS, Part
from suite.plot import draw

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parents[1]
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "performance.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and keep; 1 where a part failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures beside peers and budgets.")
    names = ", ".join(part.name for part in PARTS)
    parser.add_argument("--only", metavar="PART,...", help=f"some of: {names}")
    parser.add_argument("--rounds", type=int, help="rounds of every part, in the place of its own number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine, versions and every figure")
    parser.add_argument("--plot", metavar="FILE.png", help="draw what each row takes of its budget (matplotlib)")
    parser.add_argument(
        "--keep", action="store_true", help=f"into benchmarks/results/, and the tables into {PAGE.name}"
    )
    given = parser.parse_args(arguments)
    if given.rounds is not None and given.rounds < 1:
        parser.error(f"--rounds is at least 1, not {given.rounds}")
    chosen = [part for part in PARTS if not given.only or part.name in given.only.split(",")]
    unknown = set(given.only.split(",") if given.only else ()) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"no part is named {', '.join(sorted(unknown))}; there are {names}")
    results = {"machine": describe(), "parts": [run(part, given.rounds) for part in chosen]}
    for absent in not_measured(results):
        print(f"not measured: {absent}")
    keep(given, results)
    return int(any(part["failed"] for part in results["parts"]))


def run(part: Part, rounds: int | None) -> dict[str, Any]:
    """A part's rows, as they come; what stopped it does not stop the others."""
    print(f"\n{part.asks} (--only {part.name})\n")
    started, rows, why_not = time.monotonic(), [], ""
    missing = part.missing()
    if missing:
        why_not = f"{', '.join(missing)} not installed"
    else:
        try:
            rows = show(part.rows(rounds or part.rounds))
        except Exception as error:  # noqa: BLE001
            why_not = f"{type(error).__name__}: {error}"
            print(why_not)
    return {
        "name": part.name,
        "asks": part.asks,
        "seconds": round(time.monotonic() - started, 1),
        "rows": [row.as_json() for row in rows],
        "why_not": why_not,
        "failed": bool(why_not) and not missing,
    }


def keep(given: argparse.Namespace, results: dict[str, Any]) -> None:
    """The files that were asked for."""
    text = json.dumps(results, indent=1) + "\n"
    if given.json:
        given.json.write_text(text)
    if given.keep:
        machine = results["machine"]
        name = re.sub(r"[^a-z0-9]+", "-", f"{machine['date']} {machine['processor']} {machine['cores']}".lower())
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name.strip('-')}.json").write_text(text)
        into_page(PAGE, results)
    if given.plot:
        draw(results, given.plot)
