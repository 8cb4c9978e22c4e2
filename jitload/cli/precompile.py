"""`jitload precompile`: many sources for many archs into the cache, on all cores."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from jitload.artifact import Kind
from jitload.bundles.workload import Workload, planned_requests
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app
from jitload.cli.request import Archs, Defines, IncludeDirs, Names, Options, build_requests, kind_option
from jitload.compiler.request import CompileRequest
from jitload.precompile import PrecompileReport, describe_request, precompile

#: A file of this name is no source, but what `jitload record` wrote.
WORKLOAD_SUFFIX = ".jlw"

app = new_app()


@app.command()
def precompile_files(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="CUDA C++ sources, or workloads (.jlw).", show_default=False)
    ],
    arch: Archs = None,
    kind: Annotated[
        Kind | None, kind_option("a cubin for each sm_*, PTX for each compute_*. One fatbin holds all archs.")
    ] = None,
    include_dirs: IncludeDirs = None,
    defines: Defines = None,
    names: Names = None,
    options: Options = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Worker processes. Default: one per core.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON: a list with one object per image.")] = False,
) -> None:
    """Compile what the cache lacks, on all cores.

    Every file is compiled for every arch, with the same options and names; what the cache holds already is left alone.
    What does not compile is told at the end, and does not keep the rest from being compiled. No GPU is needed. A
    workload (.jlw) brings its own options and names.

    \b
    jitload precompile kernels/*.cu --arch sm_80,sm_90 --arch compute_90
    JITLOAD_CACHE_DIR=/srv/kernels jitload precompile saxpy.cu --arch sm_90 -j 8
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    with clean_failures(), ExitStack() as stack:
        given = [name for item in arch or () for name in item.split(",")]
        groups = [given] if kind is Kind.FATBIN or not given else [[name] for name in given]
        requests = [
            request
            for file in files
            if file.suffix != WORKLOAD_SUFFIX
            for group in groups
            for request in build_requests(
                file, kind, group, include_dirs=include_dirs, defines=defines, names=names, options=options
            )[1]
        ]
        for file in files:
            if file.suffix == WORKLOAD_SUFFIX:
                unpacked = stack.enter_context(Workload.read(file).unpacked())
                requests += planned_requests(unpacked, given, [kind.value] if kind else [])
        with _progress(len(set(requests)), lines_to_stderr=as_json) as advance:
            report = precompile(requests, jobs=jobs, progress=advance)
        if as_json:
            typer.echo(json.dumps(_rows(report), indent=2))
        else:
            typer.echo(str(report).splitlines()[0])
        for _, error in report.failed:
            typer.echo(f"jitload: {error}", err=True)
    if not report.ok:
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def _progress(total: int, *, lines_to_stderr: bool) -> Iterator[Callable[[int, int, CompileRequest, str], None]]:
    """What to call for every request: a bar on a terminal, a line each in a log."""
    if not sys.stderr.isatty():

        def line(done: int, total: int, request: CompileRequest, outcome: str) -> None:
            typer.echo(f"[{done}/{total}] {outcome}: {describe_request(request)}", err=lines_to_stderr)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    # File names may have brackets in them: nothing here is read as markup.
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def advance(done: int, _total: int, request: CompileRequest, outcome: str) -> None:
            bar.update(task, completed=done, description=f"{outcome}: {request.name} {request.arch}")

        yield advance


def _rows(report: PrecompileReport) -> list[dict[str, object]]:
    outcomes = [(request, "compiled", None) for request in report.compiled]
    outcomes += [(request, "cached", None) for request in report.cached]
    rows = [*outcomes, *((request, "failed", str(error)) for request, error in report.failed)]
    return [
        {
            "file": request.path,
            "kind": request.kind.value,
            "arch": request.arch,
            "names": list(request.names),
            "outcome": outcome,
            "error": error,
        }
        for request, outcome, error in rows
    ]
