"""LTO-IR, and PTX that a driver cannot compile, to a cubin with nvJitLink, for the device that is here.

What is made is kept in the cache, under the image's digest, the arch and nvJitLink's own digest: of many processes that
load an image one links it. In strict mode, where only what is signed counts, each process links for itself.
"""

from __future__ import annotations

from time import perf_counter

from jitload import config, events
from jitload.compiler.nvjitlink import LinkerMissing, LinkerRefused, link_images, linker_toolchain
from jitload.digest import digest_factors
from jitload.errors import LoadError
from jitload.images.check import verify_image
from jitload.tiers.cache import default_cache

_WHAT = {"ltoir": "LTO-IR", "ptx": "PTX", "fatbin": "a fatbin"}


def link_ltoir(data: bytes, arch: str) -> bytes:
    """Link one LTO-IR image.

    Args:
        data: the image, as nvrtcGetLTOIR gave it.
        arch: the arch to link for, e.g. "sm_90".

    Returns:
        The cubin.

    Raises:
        LoadError: nvJitLink is not installed or refused the image; `.log` holds what it said.
    """
    return link_image("ltoir", data, arch)


def link_image(kind: str, data: bytes, arch: str) -> bytes:
    """Link one image to a cubin, whatever the driver knows of it.

    Args:
        kind: "ltoir", "ptx" or "fatbin"; of a fatbin the PTX is taken.
        data: the image.
        arch: the arch to link for, e.g. "sm_90".

    Returns:
        The cubin.

    Raises:
        LoadError: nvJitLink is not installed or refused the image; `.log` holds what it said.
    """
    cache = default_cache()
    linker = None if config.current().strict else linker_toolchain(cache.memo_dir())
    if linker is None:
        return link_anew(kind, data, arch)
    made_of = [("kind", kind.encode()), ("arch", arch.encode()), ("image", data), ("linker", linker.digest.encode())]
    kept = cache.blobs("linked at load")
    key = digest_factors(made_of)
    with kept.lock(key) as found:
        if found is not None and _is_whole(found):
            return found
        cubin = link_anew(kind, data, arch)
        kept.put(key, cubin)
    return cubin


def _is_whole(cubin: bytes) -> bool:
    try:
        verify_image("cubin", cubin)
    except LoadError:
        return False
    return True


def link_anew(kind: str, data: bytes, arch: str) -> bytes:
    """The same, whatever is in the cache, and keeping nothing.

    Raises:
        LoadError: as `link_image`.
    """
    started = perf_counter()
    options = [*(["-lto"] if kind == "ltoir" else []), f"-arch={arch}"]
    try:
        cubin, _ = link_images([(kind, data, "jitload")], options)
    except LinkerRefused as error:
        shown = f"\n{error.log}" if error.log else ""
        raise LoadError(
            f"cannot link {_WHAT[kind]} for {arch}: nvJitLink says {error}{shown}", kind=kind, log=error.log
        ) from None
    except LinkerMissing as error:
        other = "a cubin or PTX instead of LTO-IR" if kind == "ltoir" else "a cubin"
        ways_out = f"pip install 'jitload[cu12]' (or cu13), or compile to {other}"
        raise LoadError(f"cannot link {_WHAT[kind]}: {error}: {ways_out}", kind=kind) from None
    if events.listeners:
        events.tell("link", kind="cubin", arch=arch, seconds=perf_counter() - started)
    return cubin
