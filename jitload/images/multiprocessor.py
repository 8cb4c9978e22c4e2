"""What a multiprocessor holds, per compute capability.

Figures: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"; `cuda_occupancy.h` of the
toolkits 12.9 and 13, and `cuda/__device/arch_traits.h` of CCCL 3.3, which tests compile and compare with. Of 10.7 the
last two say different things about shared memory, so it is left out.
"""

from __future__ import annotations

import re

from jitload.errors import UsageValueError
from jitload.frozen import Value

WARP_THREADS = 32
MAX_BLOCK_THREADS = 1024
MAX_BLOCK_REGISTERS = 65536
#: Registers of a multiprocessor. Each of its four parts gives them to its own warps, in units.
REGISTERS, PARTS, REGISTER_UNIT = 65536, 4, 256


class Multiprocessor(Value):
    """The limits of one multiprocessor.

    Attributes:
        warps: the most that are resident.
        blocks: the most that are resident.
        shared_bytes: shared memory of all resident blocks together.
        block_shared_bytes: the most that one block may use, static and dynamic together, after the driver's opt-in.
        reserved_bytes: shared memory that the system keeps in every block.
        shared_unit: shared memory is given out in units of this many bytes.
        barriers: named barriers of all resident blocks together, or None where they limit nothing.
    """

    __slots__ = (
        "barriers",
        "block_shared_bytes",
        "blocks",
        "reserved_bytes",
        "shared_bytes",
        "shared_unit",
        "warps",
    )
    warps: int
    blocks: int
    shared_bytes: int
    block_shared_bytes: int
    reserved_bytes: int
    shared_unit: int
    barriers: int | None

    def __init__(
        self, warps: int, blocks: int, shared_kib: int, barriers: int | None, *, reserved_kib: int = 1
    ) -> None:
        self._set(
            warps=warps,
            blocks=blocks,
            shared_bytes=shared_kib * 1024,
            block_shared_bytes=(shared_kib - reserved_kib) * 1024,
            reserved_bytes=reserved_kib * 1024,
            shared_unit=128 if reserved_kib else 256,
            barriers=barriers,
        )


BY_CAPABILITY = {
    70: Multiprocessor(64, 32, 96, None, reserved_kib=0),
    72: Multiprocessor(64, 32, 96, None, reserved_kib=0),
    75: Multiprocessor(32, 16, 64, None, reserved_kib=0),
    80: Multiprocessor(64, 32, 164, None),
    86: Multiprocessor(48, 16, 100, None),
    87: Multiprocessor(48, 16, 164, None),
    88: Multiprocessor(48, 16, 100, None),
    89: Multiprocessor(48, 24, 100, None),
    90: Multiprocessor(64, 32, 228, 64),
    100: Multiprocessor(64, 32, 228, 64),
    101: Multiprocessor(48, 24, 228, 24),
    103: Multiprocessor(64, 32, 228, 32),
    110: Multiprocessor(48, 24, 228, 24),
    120: Multiprocessor(48, 24, 100, 24),
    121: Multiprocessor(48, 24, 100, 24),
}


def find_multiprocessor(arch: str) -> Multiprocessor | None:
    """The multiprocessor of "sm_90", "sm_90a", "sm_100f", ..., or None where its figures are not known."""
    number = re.fullmatch(r"sm_(\d+)[af]?", arch)
    return BY_CAPABILITY.get(int(number[1])) if number else None


def multiprocessor(arch: str) -> Multiprocessor:
    """`find_multiprocessor`, of an arch that must be known.

    Raises:
        UsageValueError: its figures are not known.
    """
    found = find_multiprocessor(arch)
    if found is None:
        known = ", ".join(f"sm_{number}" for number in BY_CAPABILITY)
        raise UsageValueError(f"the multiprocessor of {arch!r} is not known: expected one of {known}")
    return found


def warp_registers(registers: int) -> int:
    """The registers that a warp takes whose threads have so many each."""
    return -(-registers * WARP_THREADS // REGISTER_UNIT) * REGISTER_UNIT


def launchable_threads(registers: int, bound: int | None) -> int:
    """The most threads per block that can be launched: by `__launch_bounds__`, and by registers.

    The hardware counts the registers of a block as if its warps were spread evenly over the parts.
    """
    most = MAX_BLOCK_THREADS if bound is None else min(bound, MAX_BLOCK_THREADS)
    if not registers:
        return most
    warps = MAX_BLOCK_REGISTERS // warp_registers(registers) // PARTS * PARTS
    return min(most, warps * WARP_THREADS)
