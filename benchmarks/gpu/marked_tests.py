"""Step "tests": what is marked `gpu`, from cubin for this card and from PTX that its driver compiles."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gpu.check import within
from gpu.pytest_run import run_tests

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 110.0


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """One run; in short, one kernel's cases."""
    some = ["-k", "saxpy or doctor"] if short else []
    arguments = ["-m", "gpu", "--dist=worksteal", *some, "tests/kernels", "tests/cuda", "tests/cli/test_doctor.py"]
    run = partial(run_tests, arguments, seconds=SECONDS, workers=2 if short else 4)
    return {"pytest -m gpu": within(SECONDS + 10)(run)}
