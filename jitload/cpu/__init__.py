"""The CPU executor for PTX: kernels run on NumPy arrays of lanes where there is no GPU."""

from jitload.cpu.module import PtxModule, load_ptx

__all__ = ["PtxModule", "load_ptx"]
