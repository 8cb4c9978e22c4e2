"""The CPU executor for PTX: kernels run on NumPy arrays of lanes where there is no GPU.

The rooms, each importing only from those before it:

    types, faults    how values are held; how the executor says no
    text             reading PTX: tokens, statements, operands
    lanes            arithmetic on arrays of lanes
    memory           the state spaces: checked addresses, atomics, copies
    code, emit       from functions of PTX to generated Python; one file of `emit` per family of instructions
    run              batches of thread blocks, who runs next, where lanes wait, who watches
    checks, profile  observers: races and the like; counting
    function, module a kernel that can be launched; the loader
"""

from jitload.cpu.module import PtxModule, load_ptx

__all__ = ["PtxModule", "load_ptx"]
