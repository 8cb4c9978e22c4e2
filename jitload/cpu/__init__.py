"""The CPU executor for PTX: kernels run on NumPy arrays of lanes where there is no GPU.

The rooms, each importing only from those before it:

    types            how values are held
    faults           how the executor says no
    text             reading PTX: tokens, statements, operands
    isa              the instructions, a row each: how they are written, what they do to others
    lanes            arithmetic on arrays of lanes
    memory           the state spaces: checked addresses, atomics, copies
    code             from functions of PTX to generated Python: blocks, liveness, registers, the writer
    emit             the code of each instruction, one file per family
    kernel_code      a decoded kernel, put together from the code of its functions
    run              batches of thread blocks, who runs next, where lanes wait, who watches
    checks, profile  observers: races and the like; counting
    function         a kernel that can be launched
    module           the loader
"""

from jitload.cpu.module import PtxModule, load_ptx

__all__ = ["PtxModule", "load_ptx"]
