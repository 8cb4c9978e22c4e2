"""Step "shadow": the executor's own tests, each launch on the card too."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu.check import NoTime, Seen, within
from gpu.pytest_run import run_tests

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 95.0
MOST_NAMED = 12
#: The programs with the most in them first: what is cut off is at the end.
TESTS = ("tests/cpu/algorithms", "tests/cpu/differential", "tests/cpu")


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """One run; in short, two files."""
    files = ["tests/cpu/algorithms/test_scans.py", "tests/cpu/test_narrow.py"] if short else list(TESTS)

    @within(SECONDS + 5)
    def executor_tests() -> Seen:
        return compare(files, 2 if short else min(12, os.cpu_count() or 2))

    return {"the executor's tests on both": executor_tests}


def compare(files: list[str], workers: int) -> Seen:
    """Run the files; what was compared, and where the card's bytes were others.

    Raises:
        AssertionError: a test failed with the card's numbers, or the card faulted.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "compared")
        place.touch()
        arguments = ["-p", "gpu.shadow_plugin", "--dist=worksteal", *files]
        why: AssertionError | NoTime | None = None
        try:
            said = run_tests(arguments, seconds=SECONDS, workers=workers, GPU_DAY_SHADOW=str(place)).text
        except (AssertionError, NoTime) as error:
            why, said = error, str(error)
        rows = [json.loads(line) for line in place.read_text().splitlines()]
    compared = [row for row in rows if "compared" in row]
    differ = {row["test"]: f"{row['differ']} of {row['compared']} bytes" for row in compared if row["differ"]}
    faulted = [f"{row['test']}: {row['faulted']}" for row in rows if "faulted" in row]
    refused = {row["test"]: row["refused"] for row in rows if "refused" in row}
    tests = len({row["test"] for row in compared})
    text = f"{len(compared)} arrays of {tests} tests compared, {len(differ)} tests with other bytes"
    text += f", {len(refused)} not taken by the card" if refused else ""
    text += f"; {said}"
    if differ:
        text += f"; other bytes: {'; '.join(f'{test}: {how}' for test, how in list(differ.items())[:MOST_NAMED])}"
    assert not faulted, f"the card faulted in {'; '.join(faulted[:MOST_NAMED])}; {text}"
    if why is not None:
        raise type(why)(text)
    assert compared, f"nothing was compared; {text}"
    return Seen(text, {"arrays": len(compared), "tests": tests, "differ": differ, "refused": refused})
