"""What a bundle is made of: what is no workload and no plan is refused with how a bundle is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.batch.expand import WORKLOAD_SUFFIX
from jitload.batch.plan import DEFAULT_PLAN, PLAN_SUFFIX
from jitload.cli.inputs import WORKLOADS, refuse_directory
from jitload.errors import UsageValueError
from jitload.jit.specialization import SOURCE_SUFFIXES
from jitload.workloads.workload import Workload

if TYPE_CHECKING:
    from pathlib import Path


def read_input(path: Path) -> Path | Workload:
    """A plan as it is, and a workload read.

    Raises:
        OSError: the file cannot be read, or is a directory.
        BundleError: the workload is damaged.
        UsageValueError: it is neither; the text says how a bundle is made of it.
    """
    refuse_directory(path, DEFAULT_PLAN, WORKLOADS)
    if path.suffix == PLAN_SUFFIX:
        return path
    if path.suffix != WORKLOAD_SUFFIX and path.is_file():
        advice = _advice(path)
        if advice:
            raise UsageValueError(f"{path} is neither a workload (.jlw) nor a plan (.toml): {advice}")
    return Workload.read(path)


def _advice(path: Path) -> str:
    """How a bundle is made of a file of another kind; "" where that is not known."""
    if path.suffix in SOURCE_SUFFIXES:
        plan = path.with_name(DEFAULT_PLAN)
        return f'list it in {plan} as `[[program]]`, `sources = ["{path.name}"]`, and write {plan} here'
    if path.suffix == ".py":
        return f"write jitload record -o app.jlw -- python {path}, and then app.jlw here"
    return "bundles are put together by jitload bundle merge" if path.suffix == ".jlb" else ""
