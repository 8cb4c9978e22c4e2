"""The steps of the day, the most worth first: what a machine with a GPU is asked while there is time."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One step: its name for `--only`, its module, the most seconds it may take, and the question it answers."""

    name: str
    module: str
    seconds: float
    question: str


STEPS = (
    Step("environment", "gpu.environment", 40, "is everything here that kernels are compiled and launched with?"),
    Step("smoke", "gpu.smoke", 90, "what does the hardware do where the documentation leaves it open?"),
    Step("families", "gpu.families", 90, "does every PTX instruction give the bits of the CPU executor?"),
    Step("tests", "gpu.marked_tests", 60, "do the tests pass that need a GPU?"),
    Step("latency", "gpu.latency", 60, "what does a launch cost, beside the same launch by others?"),
    Step("starts", "gpu.starts", 60, "how long from the start of a process to the first result, cold and warm?"),
    Step("shadow", "gpu.shadow", 100, "do the executor's own tests give the same arrays on the GPU?"),
    Step("sanitizer", "gpu.sanitizer", 60, "does compute-sanitizer find anything in what jitload launches?"),
    Step("counters", "gpu.counters", 50, "does cpu_profile count what the hardware counts?"),
    Step("tensors", "gpu.tensors", 25, "do kernels take GPU tensors through tvm-ffi?"),
    Step("suites", "gpu.suites", 60, "do the tests of launches, modules and commands pass with the GPU as device?"),
)
NAMES = tuple(step.name for step in STEPS)
