"""The same kernel on the GPU and on the CPU executor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import jitload
from gpu.check import NotHere
from gpu.families.around import CELL_BYTES, HEADER
from jitload.cuda import driver
from jitload.errors import LoadError

#: What a line of PTX in tests/cpu/families.py may ask for at most, by the driver's CUDA version.
_PTX_VERSIONS = ((12, 9, "8.8"), (12, 8, "8.7"), (12, 4, "8.4"), (12, 0, "8.0"))
PARAMETER = 0x1234_5678_9ABC_DEF0


class Launch(NamedTuple):
    """A kernel `k(in, out, slots, parameter)` and what it gets.

    Attributes:
        body: PTX without its header.
        inputs: cells per thread, uint8.
        results: 16-byte cells that a thread writes.
        slots: 128 bytes per thread.
        block: threads per block.
    """

    body: str
    inputs: np.ndarray
    results: int
    slots: np.ndarray
    block: int


class Outcome(NamedTuple):
    """What a launch wrote: cells per thread, and the slots."""

    out: np.ndarray
    slots: np.ndarray


def headers() -> list[str]:
    """PTX headers for this card, the plainest first."""
    now = driver.driver_version()
    version = next((ptx for major, minor, ptx in _PTX_VERSIONS if now >= (major, minor)), "7.8")
    arch = driver.device_arch()
    targets = [arch, f"{arch}a"] if int(arch[3:]) >= 90 else [arch]
    return [HEADER.format(version=version, target=target) for target in targets]


def on_both(launch: Launch) -> tuple[Outcome, Outcome]:
    """What the executor and the card make of it.

    Raises:
        NotHere: the card's driver does not compile it.
    """
    refused = None
    for header in headers():
        try:
            with jitload.configure(device="cuda"):
                theirs = run(header, launch)
        except LoadError as error:
            refused = error
            continue
        with jitload.configure(device="cpu"):
            return run(header, launch), theirs
    raise NotHere(f"the card's driver refuses it: {str(refused)[-300:]}") from refused


def run(header: str, launch: Launch) -> Outcome:
    """On the device that the settings name."""
    lanes = len(launch.inputs)
    out = np.zeros((lanes, max(launch.results, 1), CELL_BYTES), np.uint8)
    slots = launch.slots.copy()
    module = jitload.load_module_from_bytes("ptx", (header + launch.body).encode())
    try:
        kernel = module["k"]
        kernel(launch.inputs.copy(), out, slots, PARAMETER, grid=lanes // launch.block, block=launch.block)
    finally:
        module.close()
    return Outcome(out, slots)
