"""The CUDA driver: modules and launches on an NVIDIA GPU.

The loaders here check an image and make a module of it. The driver is asked when a kernel is fetched: a machine
without one can inspect and save modules, and is told clearly why it cannot launch them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cuda import driver as cuda_driver
    from jitload.cuda import linker as cuda_linker
    from jitload.cuda import module as cuda_module
    from jitload.cuda.module import CudaModule
    from jitload.images import check as images
    from jitload.images.ptx import entries
else:
    cuda_driver = lazy("jitload.cuda.driver")
    cuda_linker = lazy("jitload.cuda.linker")
    cuda_module = lazy("jitload.cuda.module")
    images = lazy("jitload.images.check")
    entries = lazy("jitload.images.ptx.entries")

__all__ = ["load_cubin", "load_fatbin", "load_ltoir", "load_ptx"]


def load_cubin(data: bytes) -> CudaModule:
    """A module of a cubin: ELF machine code for one arch.

    Raises:
        LoadError: the image is damaged, not a cubin, or relocatable.
    """
    images.verify_image("cubin", data)
    images.refuse_relocatable("cubin", data)
    return cuda_module.CudaModule("cubin", data, symbols=images.kernel_symbols(data))


def load_ptx(data: bytes) -> CudaModule:
    """A module of PTX text; the driver compiles it for its device when the first kernel is fetched.

    Raises:
        LoadError: the text is damaged or not PTX.
    """
    images.verify_image("ptx", data)
    return cuda_module.CudaModule(
        "ptx", data, symbols=entries.entry_names(data), source=data.rstrip(b"\0").decode(errors="replace")
    )


def load_fatbin(data: bytes) -> CudaModule:
    """A module of a fatbin: images for several archs, of which the driver takes the one that fits.

    Raises:
        LoadError: the image is damaged, not a fatbin, or holds relocatable cubins.
    """
    images.verify_image("fatbin", data)
    images.refuse_relocatable("fatbin", data)
    return cuda_module.CudaModule("fatbin", data)


def load_ltoir(data: bytes) -> CudaModule:
    """A module of LTO-IR, linked by nvJitLink for the current device when the first kernel is fetched.

    Raises:
        LoadError: the image is damaged or not LTO-IR.
    """
    images.verify_image("ltoir", data)
    return cuda_module.CudaModule("ltoir", data, link=_link_for_current_device)


def _link_for_current_device(data: bytes) -> bytes:
    return cuda_linker.link_ltoir(data, cuda_driver.device_arch())
