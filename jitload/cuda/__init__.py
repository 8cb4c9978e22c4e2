"""The CUDA driver: modules and launches on an NVIDIA GPU.

The loaders here check an image and make a module of it. The driver is asked when a kernel is fetched: a machine
without one can inspect and save modules, and is told clearly why it cannot launch them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.cuda.module import CudaModule

__all__ = ["load_cubin", "load_fatbin", "load_ltoir", "load_ptx"]


def load_cubin(data: bytes) -> CudaModule:
    """A module of a cubin: ELF machine code for one arch.

    Raises:
        LoadError: the image is damaged, not a cubin, or relocatable.
    """
    from jitload.cuda.module import CudaModule
    from jitload.images.check import kernel_symbols, refuse_relocatable, verify_image

    verify_image("cubin", data)
    refuse_relocatable("cubin", data)
    return CudaModule("cubin", data, symbols=kernel_symbols(data))


def load_ptx(data: bytes) -> CudaModule:
    """A module of PTX text; the driver compiles it for its device when the first kernel is fetched.

    Raises:
        LoadError: the text is damaged or not PTX.
    """
    from jitload.cuda.module import CudaModule
    from jitload.images.check import verify_image
    from jitload.images.ptx import ptx_entries

    verify_image("ptx", data)
    return CudaModule("ptx", data, symbols=ptx_entries(data), source=data.rstrip(b"\0").decode(errors="replace"))


def load_fatbin(data: bytes) -> CudaModule:
    """A module of a fatbin: images for several archs, of which the driver takes the one that fits.

    Raises:
        LoadError: the image is damaged, not a fatbin, or holds relocatable cubins.
    """
    from jitload.cuda.module import CudaModule
    from jitload.images.check import refuse_relocatable, verify_image

    verify_image("fatbin", data)
    refuse_relocatable("fatbin", data)
    return CudaModule("fatbin", data)


def load_ltoir(data: bytes) -> CudaModule:
    """A module of LTO-IR, linked by nvJitLink for the current device when the first kernel is fetched.

    Raises:
        LoadError: the image is damaged or not LTO-IR.
    """
    from jitload.cuda.module import CudaModule
    from jitload.images.check import verify_image

    verify_image("ltoir", data)
    return CudaModule("ltoir", data, link=_link_for_current_device)


def _link_for_current_device(data: bytes) -> bytes:
    from jitload.cuda.driver import device_arch
    from jitload.cuda.linker import link_ltoir

    return link_ltoir(data, device_arch())
