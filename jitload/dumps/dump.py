"""Dumps: a folder for each image that this process is served, with all that it was made of (`JITLOAD_DUMP=DIR`).

    DIR/saxpy.cu-0123456789ab/      the program's name, and the start of the artifact's key
        saxpy.cu                    the source, as the compiler is given it
        headers/...                 the user's headers, below the roots that they were found by
        saxpy.cubin                 the image (.ptx, .ltoir, .fatbin)
        saxpy.ptx                   of a cubin the PTX, where a compiler is here
        saxpy.sass                  of a cubin the machine code, where nvdisasm is here
        about.json                  kind, arch, options, macros, names, compiler, every header's digest, the kernels
                                    with parameters and resources, and the SHA-256 of every file beside it
        log.txt                     what the compiler said

A folder is written once per process. Nothing here can fail a compile: what cannot be written is one warning.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from jitload import log
from jitload.compiler.key import readable_factors
from jitload.compiler.process import compile_here
from jitload.compiler.toolkit import toolchain, toolkit_roots
from jitload.digest import sha256_hex
from jitload.dumps.disassembler import disassemble, find_nvdisasm
from jitload.errors import JitloadError, LoadError
from jitload.files.atomic import write_file
from jitload.headers.closure import VIRTUAL_ROOT, Closure
from jitload.settings.scope import session_part
from jitload.source.arch import virtual_arch
from jitload.source.link import LinkRequest
from jitload.values import Kind

if TYPE_CHECKING:
    from jitload.artifact import Artifact
    from jitload.source.request import CompileRequest
    from jitload.values import KernelInfo

ABOUT = "about.json"
_UNSAFE = re.compile(r"[^\w.+-]")
_MAX_NAME = 80


class _Written(set["tuple[str, str]"]):
    """(directory, key) of the folders that this session has written."""


def folder_of(artifact: Artifact) -> str:
    """The name of the folder of an artifact: the same in every process."""
    return f"{_safe(artifact.name)}-{artifact.key[:12]}"


def stem_of(artifact: Artifact) -> str:
    """What the names of its images begin with."""
    path = Path(_safe(artifact.name))
    return path.stem if path.suffix in {".cu", ".cuh", ".cpp", ".cc"} else path.name


def dump(request: CompileRequest, artifact: Artifact, directory: str, *, compiles: bool) -> None:
    """Write the folder of an artifact, if this process has not.

    Args:
        request: what was asked for.
        artifact: what served it.
        directory: where the folder is made.
        compiles: whether PTX may be compiled for it.
    """
    written = session_part(_Written)
    if (directory, artifact.key) in written:
        return
    written.add((directory, artifact.key))  # two threads at once write the same
    folder = Path(directory, folder_of(artifact))
    try:
        files = {**_source_files(request), **_image_files(request, artifact, compiles=compiles)}
        files["log.txt"] = artifact.log.encode("utf-8", "surrogateescape")
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_file(folder / name, data)
        about = {**_about(request, artifact), "files": {name: sha256_hex(data) for name, data in files.items()}}
        write_file(folder / ABOUT, json.dumps(about, indent=2, sort_keys=True).encode() + b"\n")
    except (JitloadError, OSError, ValueError) as error:
        log.warn_once(("dump", directory), f"{artifact.name} cannot be dumped to {folder}: {error}")


def _safe(name: str) -> str:
    """A name as part of a path."""
    return _UNSAFE.sub("_", name)[:_MAX_NAME].lstrip(".") or "_"


def _source_files(request: CompileRequest) -> dict[str, bytes]:
    if isinstance(request, LinkRequest):
        names = [f"inputs/{number}-{_safe(one.name)}.{one.type}" for number, one in enumerate(request.inputs, 1)]
        return {name: one.data for name, one in zip(names, request.inputs, strict=True)}
    found = {_safe(request.name): request.source.encode("utf-8", "surrogateescape")}
    for name, header in Closure(request, toolkit_roots()).headers.items():
        if header.is_users:
            below = name.removeprefix(VIRTUAL_ROOT)
            found["/".join(["headers", *map(_safe, below.split("/"))])] = header.text
    return found


def _image_files(request: CompileRequest, artifact: Artifact, *, compiles: bool) -> dict[str, bytes]:
    stem = stem_of(artifact)
    found = {f"{stem}.{artifact.kind}": artifact.data}
    if artifact.kind is Kind.CUBIN:
        ptx = _ptx_of(request, artifact.arch) if compiles else None
        if ptx is not None:
            found[f"{stem}.ptx"] = ptx
        if find_nvdisasm() is not None:
            try:
                found[f"{stem}.sass"] = disassemble(artifact.data).encode()
            except LoadError as error:
                log.warn_once(("disassemble", artifact.key), str(error))
    return found


def _ptx_of(request: CompileRequest, arch: str) -> bytes | None:
    """The PTX of what a cubin was made of, or None where it cannot be had; it is kept nowhere else."""
    found = toolchain()
    if found is None or request.is_link:
        return None
    try:
        asked = request.replace(kind=Kind.PTX, arch=virtual_arch(arch))
        return compile_here(asked, Closure(asked, toolkit_roots()), found).data
    except JitloadError:
        return None


def _about(request: CompileRequest, artifact: Artifact) -> dict[str, object]:
    headers = {} if request.is_link else {n: h.digest for n, h in Closure(request, toolkit_roots()).headers.items()}
    return {
        **readable_factors(request, headers),
        "arch": artifact.arch,
        "compile_seconds": artifact.compile_seconds,
        "compiler": str(artifact.toolchain),
        "kernels": {name: _kernel(kernel) for name, kernel in artifact.kernels.items()},
        "key": artifact.key,
        "kind": artifact.kind.value,
        "name": artifact.name,
    }


def _kernel(kernel: KernelInfo) -> dict[str, object]:
    resources = kernel.resources
    return {
        "parameters": [
            [param.offset, param.size, param.cpp or param.declared or param.type] for param in kernel.params
        ],
        "resources": None if resources is None else resources.__getstate__(),
        "symbol": kernel.symbol,
    }
