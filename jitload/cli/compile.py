"""`jitload compile`: one source file to one image per arch, on any machine that has NVRTC."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from jitload.artifact import Artifact
from jitload.cli import output
from jitload.cli.console import clean_failures, new_app
from jitload.cli.inputs import SOURCES, refuse_directory
from jitload.cli.request import (
    Archs,
    Defines,
    HostHeaders,
    IncludeDirs,
    Names,
    Options,
    SourceFile,
    build_requests,
    chosen_by_device,
    kind_option,
)
from jitload.cli.resources import ShowResources, request_options, resource_lines, resource_rows
from jitload.cli.tables import JsonRow, format_count
from jitload.compiler.kernelless import refuse_unlaunchable
from jitload.door import compile_request
from jitload.source.request import CompileRequest
from jitload.target import StandIns
from jitload.tiers.stats import stats
from jitload.values import Kind

#: Kernels named on a line of the report; a library of templates can have hundreds.
MAX_KERNELS_SHOWN = 5

#: What a name in these is taken for, and no image is.
_OTHER_SUFFIXES = {
    **dict.fromkeys((".cu", ".cuh", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp"), "a source"),
    ".py": "a Python file",
    ".jlb": "a bundle",
    ".jlw": "a workload",
    **dict.fromkeys((".toml", ".json", ".html", ".txt", ".md", ".sass"), "text"),
    **dict.fromkeys((".o", ".obj", ".a", ".so"), "what a host compiler makes"),
}

app = new_app()


@dataclass(frozen=True)
class Image:
    """One image that was made, and how."""

    path: Path | None
    artifact: Artifact
    origin: str
    seconds: float
    options: str
    resources: list[JsonRow] | None = field(default=None)


@app.command()
def compile_file(
    file: SourceFile,
    arch: Archs = None,
    kind: Annotated[
        Kind | None,
        kind_option(
            "what the suffix of OUT says; else a cubin for sm_*, PTX for compute_*, a fatbin for several archs."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="File to write; {arch} in it becomes the arch. In a name that ends in .jle, the image goes with its "
            "kernel names, parameter layouts and a digest. - writes to stdout, and messages to stderr. "
            "Default: FILE's name with the kind as its suffix, in the current directory.",
        ),
    ] = None,
    include_dirs: IncludeDirs = None,
    defines: Defines = None,
    names: Names = None,
    options: Options = None,
    host_headers: HostHeaders = True,
    resources: ShowResources = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON: a list with one object per image.")] = False,
) -> None:
    """Compile a CUDA C++ file; no GPU is needed.

    The result is a cubin, PTX, LTO-IR or a fatbin. Several archs go into one fatbin; with --kind cubin, ptx or ltoir
    they give one file each, and a name behind -o must then contain {arch}. Files are written when everything has
    compiled, each as a whole. What was compiled before comes from the cache.

    \b
    jitload compile saxpy.cu --arch sm_90
    jitload compile saxpy.cu --arch sm_80,sm_90,compute_90 -o saxpy.fatbin
    jitload compile reduce.cu --arch sm_80 --arch sm_90 --kind cubin --name 'reduce<float>' -o 'reduce.{arch}.cubin'
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    with clean_failures():
        refuse_directory(file, SOURCES)
        wanted, requests = build_requests(
            file,
            kind or _kind_of(out),
            arch,
            include_dirs=include_dirs,
            defines=defines,
            names=names,
            options=options,
            host_headers=host_headers,
        )
        pattern = _checked_pattern(out, file, wanted, len(requests))
        paths = [output.destination(pattern, request.arch) for request in requests]
        images = [
            make_image(request, path, chosen_by_device(request, kind or _kind_of(out), arch), resources=resources)
            for request, path in zip(requests, paths, strict=True)
        ]
        for image in images:
            output.write_image(image.path, image.artifact)
        _report(images, as_json=as_json, to_stderr=pattern == output.STDOUT)


def _kind_of(out: str | None) -> Kind | None:
    suffix = Path(out).suffix[1:].lower() if out else ""
    return Kind(suffix) if suffix in set(Kind) else None


def _checked_pattern(out: str | None, file: Path, kind: Kind, images: int) -> str:
    """The pattern for file names, refused where two images would share a file or a suffix would lie."""
    if out is None:
        return output.default_pattern(file, kind, per_arch=images > 1)
    if images > 1 and output.PLACEHOLDER not in out:
        instead = "choose one arch, or --kind fatbin" if out == output.STDOUT else "write {arch} in its name"
        raise typer.BadParameter(
            f"{images} archs with --kind {kind} make {images} images, and {out} can hold one: {instead}",
            param_hint="-o",
        )
    suffix = Path(out).suffix.lower()
    if suffix in _OTHER_SUFFIXES:
        raise typer.BadParameter(
            f"{out} is named like {_OTHER_SUFFIXES[suffix]}, and would hold {kind}: write a name in .{kind}",
            param_hint="-o",
        )
    named = _kind_of(out)
    if named not in {None, kind}:
        raise typer.BadParameter(
            f"{out} is named like {named}, and would hold {kind}: change its suffix, or write --kind {named}",
            param_hint="-o",
        )
    return out


def make_image(request: CompileRequest, path: Path | None, chosen: StandIns, *, resources: bool) -> Image:
    """One image, compiled or found; with the rows of what its kernels take, where they are wanted."""
    before, started = stats(), time.perf_counter()
    # The log is shown below, of a hit as well.
    artifact = compile_request(request, device=chosen.device, kinds=chosen.kinds, warn=list)
    refuse_unlaunchable(request, artifact)
    after, seconds = stats(), time.perf_counter() - started
    tiers = [tier for tier, count in after.hits.items() if count > before.hits[tier]]
    origin = "compiled" if after.compiles > before.compiles or not tiers else tiers[0]
    rows = resource_rows(artifact, request) if resources else None
    return Image(path, artifact, origin, seconds, request_options(request), rows)


def _report(images: list[Image], *, as_json: bool, to_stderr: bool) -> None:
    # The same header warns for every arch: each text is said once.
    for log in dict.fromkeys(image.artifact.log for image in images if image.artifact.log):
        typer.echo(log.rstrip(), err=True)
    if as_json:
        rows = [_row(image) for image in images]
        typer.echo(json.dumps(rows, indent=2), err=to_stderr)
        return
    for image in images:
        typer.echo(image_line(image, str(image.path or "stdout")), err=to_stderr)
    shown = [(image.artifact.name, image.options, image.resources) for image in images if image.resources is not None]
    if shown:
        typer.echo("\n".join(resource_lines(shown)), err=to_stderr)


def image_line(image: Image, where: str) -> str:
    """What came of it, in one line, behind the name of the file that it is in."""
    artifact = image.artifact
    kernels = list(artifact.kernels)
    shown = ", ".join(kernels[:MAX_KERNELS_SHOWN])
    if len(kernels) > MAX_KERNELS_SHOWN:
        shown += f" and {len(kernels) - MAX_KERNELS_SHOWN} more"
    count = f"{format_count(len(kernels), 'kernel')}{f' ({shown})' if shown else ''}"
    how = "compiled" if image.origin == "compiled" else f"from the {image.origin} cache"
    kind = f"relocatable {artifact.kind}" if artifact.relocatable else artifact.kind
    return f"{where}: {kind} for {artifact.arch}, {len(artifact.data)} bytes, {count}, {how} in {image.seconds:.3f} s"


def _row(image: Image) -> dict[str, object]:
    artifact = image.artifact
    return {
        "file": None if image.path is None else str(image.path),
        "origin": image.origin,
        "kind": artifact.kind.value,
        "arch": artifact.arch,
        "bytes": len(artifact.data),
        "kernels": {name: kernel.symbol for name, kernel in artifact.kernels.items()},
        "seconds": round(image.seconds, 6),
        "compile_seconds": artifact.compile_seconds,
        "key": artifact.key,
        "toolchain": f"{artifact.toolchain.name} {artifact.toolchain.version}",
        "log": artifact.log,
        **({} if image.resources is None else {"resources": image.resources}),
    }
