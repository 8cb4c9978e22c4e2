"""The PTX behind machine code: kept at every compile on the checking driver, since the CPU executor runs PTX alone.

NVRTC gives both from one compile; they are filed by the digest of the machine code, in a directory that all processes
of a test run share.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import json
import os
import sys


def keep(image, ptx):
    """File the PTX of an image."""
    directory = json.loads(os.environ["CHECKING_DRIVER"])["images"]
    place = os.path.join(directory, hashlib.sha256(image).hexdigest())
    temporary = f"{place}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(ptx)
    os.replace(temporary, place)


def ptx_of(image):
    """What `keep` filed, or None."""
    directory = json.loads(os.environ["CHECKING_DRIVER"])["images"]
    place = os.path.join(directory, hashlib.sha256(image).hexdigest())
    if not os.path.exists(place):
        return None
    with open(place, "rb") as file:
        return file.read()


def watch_compiler(module):
    """Around `cuda.bindings.nvrtc`, whoever calls it: jitload, tests, other libraries."""
    get_cubin = module.nvrtcGetCUBIN

    def got(program, image):
        outcome = get_cubin(program, image)
        if not int(outcome[0]):
            text = bytearray(module.nvrtcGetPTXSize(program)[1])
            if not int(module.nvrtcGetPTX(program, text)[0]):
                keep(image, bytes(text).rstrip(b"\0"))
        return outcome

    module.nvrtcGetCUBIN = got


def watch_packer(module):
    """Around what packs fatbins: all members are made from one program."""
    pack_fatbin = module.pack_fatbin

    def packed(members):
        members = list(members)
        image = pack_fatbin(members)
        arch, last = members[-1]
        # What was compiled on another machine can be packed and looked at; the driver refuses it.
        text = last if arch.startswith("compute_") else ptx_of(last)
        if text is not None:
            keep(image, text)
        return image

    module.pack_fatbin = packed


def watch_linker(module):
    """Around `jitload.cuda.linker`: of LTO-IR nvJitLink gives PTX too, when it is asked again."""
    link_image = module.link_image

    def linked(kind, data, arch):
        cubin = link_image(kind, data, arch)
        text = linked_ptx(data, arch) if kind == "ltoir" else data if kind == "ptx" else ptx_of(data)
        if text is not None:
            keep(cubin, text)
        return cubin

    module.link_image = linked


def linked_ptx(data, arch):
    """What nvJitLink makes of LTO-IR before it makes a cubin."""
    from cuda.bindings import nvjitlink

    options = ["-lto", "-ptx", f"-arch={arch}"]
    handle = nvjitlink.create(len(options), options)
    nvjitlink.add_data(handle, nvjitlink.InputType.LTOIR, data, len(data), "jitload")
    nvjitlink.complete(handle)
    text = bytearray(nvjitlink.get_linked_ptx_size(handle))
    nvjitlink.get_linked_ptx(handle, text)
    nvjitlink.destroy(handle)
    return bytes(text).rstrip(b"\0")


WATCHED = {
    "cuda.bindings.nvrtc": watch_compiler,
    "jitload.compiler.fatbin": watch_packer,
    "jitload.cuda.linker": watch_linker,
}


class Finder(importlib.abc.MetaPathFinder):
    """Finds the watched modules as everybody does, and has them changed once they are loaded."""

    def find_spec(self, name, path, target=None):
        if name not in WATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                WATCHED[name](module)

            spec.loader.exec_module = exec_module
        return spec


def watch():
    """Keep what is compiled in this process from now on."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, Finder())
    for name, change in WATCHED.items():
        if name in sys.modules:
            change(sys.modules[name])
