"""Step "suites": tests that run on whatever device there is, which is now the GPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gpu.check import within
from gpu.pytest_run import run_tests

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 110.0
SUITES = ("tests/launch", "tests/test_jit.py", "tests/test_readme.py", "tests/test_examples.py", "tests/interop")
MORE = ("tests/loader", "tests/test_pipeline.py", "tests/cli/test_doctor.py")


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """One run; in short, one file."""
    files = ["tests/loader/test_module.py"] if short else [*SUITES, *MORE]
    run = partial(run_tests, files, seconds=SECONDS, workers=2 if short else 8)
    return {"pytest with the GPU as device": within(SECONDS + 10)(run)}
