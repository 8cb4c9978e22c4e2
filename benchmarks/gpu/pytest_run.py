"""Tests of the repository as one check: how many passed, and which failed and why."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from gpu.check import NoTime, Seen, needs
from gpu.watch import run_command

#: What pyproject.toml has pytest ask for.
PLUGINS = ("pytest", "xdist", "pytest_timeout")
MOST_NAMED = 8


def run_tests(arguments: list[str], *, seconds: float, workers: int, **variables: str) -> Seen:
    """Run pytest with these arguments.

    Raises:
        AssertionError: tests failed, or none ran.
        NotHere: pytest or one of its plugins is not installed.
        NoTime: nothing failed within `seconds`, and not everything had run.
    """
    for plugin in PLUGINS:
        needs(plugin)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "outcomes")
        environment = {**os.environ, **variables, "GPU_DAY_OUTCOMES": str(place)}
        environment.pop("CI", None)  # there, a skipped test is a failed one
        command = [sys.executable, "-m", "pytest", "-p", "gpu.outcomes", "-p", "no:cacheprovider", "-q", f"-n{workers}"]
        cut, said = False, ""
        try:
            done = run_command([*command, *arguments], seconds=seconds, env=environment)
            said = " / ".join(done.stdout.strip().splitlines()[-3:])
        except TimeoutError:
            cut = True
        rows = [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []
    return _summary(rows, cut, said)


def _summary(rows: list[dict[str, str]], cut: bool, said: str) -> Seen:
    counts = Counter(row["outcome"] for row in rows)
    failed = [row for row in rows if row["outcome"] == "failed"]
    text = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    named = "; ".join(f"{row['test']}: {row['why']}" for row in failed[:MOST_NAMED])
    assert not failed, f"{text}: {named}"
    if cut:
        raise NoTime(f"cut off: {text or 'no test had ended'}")
    assert counts["passed"], f"no test passed: {text} {said}"
    skipped = Counter(row["why"].rpartition("Skipped: ")[2] for row in rows if row["outcome"] == "skipped")
    why = f" ({'; '.join(f'{number}x {reason}' for reason, number in skipped.most_common(5))})" if skipped else ""
    return Seen(text + why, {"counts": counts, "skipped": skipped})
