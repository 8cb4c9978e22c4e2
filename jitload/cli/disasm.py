"""`jitload disasm`: the machine code (SASS) of a source, a cubin, PTX or a saved artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jitload.artifact import Artifact
from jitload.cli.console import clean_failures, new_app
from jitload.cli.inputs import SOURCES, refuse_directory
from jitload.cli.request import Archs, Defines, HostHeaders, IncludeDirs, Names, Options, build_requests
from jitload.device import resolve_device
from jitload.door import compile_request, link
from jitload.dumps.disassembler import disassemble
from jitload.errors import UsageValueError
from jitload.files.regular import open_regular
from jitload.format.entry import MAGIC, MAX_ENTRY_BYTES
from jitload.images.check import cubins_in, sniff_kind, verify_image
from jitload.values import Kind

app = new_app()

Image = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CUDA C++ source, cubin, fatbin, PTX or saved artifact.", show_default=False),
]


@app.command()
def disasm(
    file: Image,
    archs: Archs = None,
    defines: Defines = None,
    include_dirs: IncludeDirs = None,
    names: Names = None,
    options: Options = None,
    host_headers: HostHeaders = True,
) -> None:
    """Print the machine code (SASS) of a kernel file.

    Of a source and of PTX it is what is made for --arch. It needs nvdisasm: pip install nvidia-cuda-nvdisasm, or an
    installed CUDA toolkit.
    """
    with clean_failures():
        refuse_directory(file, SOURCES, "*.cubin", "*.ptx", "*.fatbin", "*.jle")
        with open_regular(str(file)) as opened:
            data = opened.read(MAX_ENTRY_BYTES)
        kind = "entry" if data.startswith(MAGIC) else sniff_kind(data)
        if kind == "entry":
            saved = Artifact.open(file)
            kind, data = saved.kind.value, saved.data
        if kind is None:
            if not archs and resolve_device() != "cuda":
                raise UsageValueError(
                    "machine code is made for an arch, and there is no GPU here to take it from: write --arch sm_90"
                )
            _, requests = build_requests(
                file,
                Kind.CUBIN,
                archs,
                defines=defines,
                include_dirs=include_dirs,
                names=names,
                options=options,
                host_headers=host_headers,
            )
            cubins = [compile_request(request, warn=list).data for request in requests]
        else:
            cubins = _cubins(kind, data, file, archs)
        for cubin in cubins:
            typer.echo(disassemble(cubin).rstrip())


def _cubins(kind: str, data: bytes, file: Path, archs: list[str] | None) -> list[bytes]:
    """The machine code in an image, or made of it."""
    verify_image(kind, data)
    if kind == "cubin":
        return [data]
    if kind == "fatbin":
        return list(cubins_in(data))
    listed = [name for item in archs or () for name in item.split(",")]
    if not listed:
        raise UsageValueError(f"{file} is {kind}, which has no machine code yet: say what to make it for, --arch sm_90")
    return [link([data], arch=arch, name=file.name).data for arch in listed]
