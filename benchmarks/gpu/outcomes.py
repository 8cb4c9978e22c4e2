"""A pytest plugin that files each test's outcome as it comes, so that a run that is cut off leaves what it knew.

`python -m pytest -p gpu.outcomes`, with GPU_DAY_OUTCOMES naming the file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

#: What is said of a test that failed: the last line of its error.
_MOST_TEXT = 300


class Outcomes:
    """Writes a line of JSON per test that passed, failed or was skipped."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def pytest_runtest_logreport(self, report) -> None:
        """Set-up and tear-down count when something went wrong there."""
        if report.when != "call" and report.passed:
            return
        why = "" if report.passed else str(report.longrepr).strip().rpartition("\n")[2][:_MOST_TEXT]
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            why = crash.message.partition("\n")[0][:_MOST_TEXT]
        with self._place.open("a") as file:
            file.write(json.dumps({"test": report.nodeid, "outcome": report.outcome, "why": why}) + "\n")


def pytest_configure(config) -> None:
    """In the process that hears of all tests, which no worker is."""
    place = os.environ.get("GPU_DAY_OUTCOMES")
    if place and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes(Path(place)))
