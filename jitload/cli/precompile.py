"""`jitload precompile`: many sources for many archs into the cache, on all cores."""

import json
import tempfile
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jitload.batch.expand import WORKLOAD_SUFFIX
from jitload.batch.plan import DEFAULT_PLAN, PLAN_SUFFIX, Plan, wishes_of
from jitload.batch.precompile import precompile
from jitload.batch.report import PrecompileReport
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app
from jitload.cli.inputs import SOURCES, WORKLOADS, refuse_directory
from jitload.cli.outcomes import outcome_rows
from jitload.cli.output import page_destination
from jitload.cli.progress import shown_progress
from jitload.cli.request import Archs, Defines, HostHeaders, IncludeDirs, Kinds, Names, Options, Written, as_wished
from jitload.cli.resources import ShowResources, request_options, resource_lines, resource_rows
from jitload.cli.tables import JsonRow, plain
from jitload.cli.words import on_command_line
from jitload.errors import UsageValueError
from jitload.inquiry import look_up
from jitload.lazy import lazy
from jitload.report.render import write_page
from jitload.source.fields import Wishes
from jitload.source.request import CompileRequest
from jitload.source.targets import image_targets, parse_kinds
from jitload.target import default_target, device_options, wanted_options
from jitload.tiers.cache import default_cache

if TYPE_CHECKING:
    from jitload.batch import cluster
    from jitload.batch.precompile import Progress
    from jitload.report import run as run_pages
else:
    cluster = lazy("jitload.batch.cluster")
    run_pages = lazy("jitload.report.run")

app = new_app()


@app.command()
def precompile_files(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help=f"CUDA C++ sources, workloads (.jlw) and plans (.toml). Default: {DEFAULT_PLAN}, if there is one.",
            show_default=False,
        ),
    ] = None,
    arch: Archs = None,
    kind: Kinds = None,
    include_dirs: IncludeDirs = None,
    defines: Defines = None,
    names: Names = None,
    options: Options = None,
    host_headers: HostHeaders = True,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Worker processes. Default: one per core.")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="Compile on a Dask cluster, e.g. tcp://scheduler:8786."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="N/ALL", help="Only this part of it, e.g. 3/8: for a machine of eight."),
    ] = None,
    resources: ShowResources = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON: a list with one object per image.")] = False,
    page: Annotated[
        Path | None,
        typer.Option("--report", metavar="OUT", help="Write a page of HTML: workers over time, and what kernels take."),
    ] = None,
) -> None:
    """Compile what the cache lacks, on all cores.

    Every file is compiled for every arch, with the same options and names; what the cache holds already is left alone.
    What does not compile is told at the end, and does not keep the rest from being compiled. No GPU is needed.

    A workload (.jlw) and a plan (precompile.toml) bring their own options and names; a plan its archs and kinds too,
    unless they are given here. A source whose templates a plan beside it names is compiled with what that says, unless
    names or options are given here.

    Several kinds may be made in one run: a cubin for each sm_*, PTX for each compute_* (for each sm_* where there is
    none), and one fatbin of all archs.

    \b
    jitload precompile kernels/s*.cu --arch sm_80,sm_90 --arch compute_90
    jitload precompile app.jlw --arch sm_80,sm_90a,compute_80 --kind cubin,ptx,fatbin -j 8
    jitload precompile kernels/precompile.toml
    jitload precompile app.jlw --arch sm_80,sm_90 --dask tcp://scheduler:8786
    jitload precompile app.jlw --arch sm_80,sm_90 --shard 3/8    # then: jitload cache merge DIR...
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    with clean_failures():
        written: Written = {"include_dirs": include_dirs, "defines": defines, "names": names, "options": options}
        if not host_headers:
            written["host_headers"] = False
        items = [item for file in files or [_default_plan()] for item in _items(file, arch, kind, written)]
        _expect_writable_cache()
        where = page and page_destination(str(page))  # refused now rather than when all is compiled
        with shown_progress(lines_to_stderr=as_json) as advance, _executor(dask) as executor:
            noted = _Noting(advance)
            report = precompile(
                items,
                arch or None,
                kinds=parse_kinds(kind) if kind else None,
                jobs=jobs,
                progress=noted if resources or where else advance,
                executor=executor,
                shard=shard,
            )
        if where:
            write_page(run_pages.run_page(report, _with_programs(noted.taken)), where.resolve())
        _show(report, noted.taken if resources else None, as_json=as_json)
    if not report.ok:
        raise typer.Exit(EXIT_FAILED)


class _Noting:
    """Tells how far it is, and notes what kernels take while the headers of a workload are there.

    Attributes:
        taken: request -> a row for each kernel.
        expect: what is told the count before anything is done, where somebody wants to know.
    """

    def __init__(self, advance: "Progress") -> None:
        self.taken: dict[CompileRequest, list[JsonRow]] = {}
        self.expect = getattr(advance, "expect", None)
        self._advance = advance

    def __call__(self, done: int, total: int, request: CompileRequest, outcome: str) -> None:
        self._advance(done, total, request, outcome)
        if outcome != "failed":
            artifact = look_up(request, default_cache()).artifact
            self.taken[request] = [] if artifact is None else resource_rows(artifact, request)


def _show(report: PrecompileReport, resources: dict[CompileRequest, list[JsonRow]] | None, *, as_json: bool) -> None:
    """Print what came of it, with what the kernels take where that is wanted."""
    if as_json:
        typer.echo(json.dumps(outcome_rows(report, resources), indent=2))
    else:
        typer.echo(str(report).splitlines()[0])
    if resources is not None and not as_json:
        shown = [(request.name, request_options(request), rows) for request, rows in resources.items()]
        typer.echo("\n".join(resource_lines(shown)))
    for _, text in report.errors:
        typer.echo(f"jitload: {on_command_line(text)}", err=True)
    if report.unkept:
        kept = f"{len(report.unkept)} of {len(report.compiled)} compiled could not be kept in the cache"
        typer.echo(f"jitload: {kept}: make room there, and run this again", err=True)
    for incident in report.incidents:
        typer.echo(f"jitload: {plain(incident)}", err=True)


def _executor(dask: str | None) -> AbstractContextManager[Executor | None]:
    """Where to compile: on the cluster of this scheduler, or here."""
    if dask is None:
        return nullcontext()
    return cluster.dask_executor(dask)


#: What an option is called that is not called as what it sets.
_OPTION = {"host_headers": "--no-host-headers"}


def _items(
    file: Path, archs: list[str] | None, kinds: list[str] | None, written: Written
) -> list[Path] | list[CompileRequest]:
    """A workload or a plan as it is; a source with the options of the command line, or of a plan that names them."""
    refuse_directory(file, DEFAULT_PLAN, SOURCES, WORKLOADS, several=True)
    given = [name for name, value in written.items() if value or value is False]
    if file.suffix in {WORKLOAD_SUFFIX, PLAN_SUFFIX}:
        if given:
            names = ", ".join(_OPTION.get(name) or f"--{name.rstrip('s').replace('_', '-')}" for name in given)
            raise ValueError(f"{file} brings its own options: {names} would not reach it")
        return [file]
    wishes = [as_wished(written)] if given else _wishes_beside(file) or [{}]
    return [_request(file, archs, kinds, found) for found in wishes]


def _wishes_beside(file: Path) -> list[Wishes]:
    """How a plan beside a source says that its templates are to be compiled; none where no plan does."""
    plan = file.parent / DEFAULT_PLAN
    with suppress(OSError, UsageValueError):  # it was not asked for, and others need not be right
        programs = Plan.read(plan).programs if plan.is_file() else ()
        return [wishes_of(fields) for source, fields in programs if fields.get("names") and source.samefile(file)]
    return []


def _request(file: Path, archs: list[str] | None, kinds: list[str] | None, wishes: Wishes) -> CompileRequest:
    """The request for a source; where several images are made of it, for the first."""
    wishes = {**wishes, "options": wanted_options(wishes.get("options", ()))}
    if archs:
        first, arch = image_targets(archs, kinds or ())[0]
        return CompileRequest(file, kind=first, arch=arch, **wishes)
    wanted, device = default_target(parse_kinds(kinds)[0] if kinds else None, None)
    return CompileRequest(file, kind=wanted, arch=device, device_options=device_options(None), **wishes)


#: Some bytes; the cubin of an empty kernel is as large.
_SMALLEST_ENTRY_BYTES = 4096


def _expect_writable_cache() -> None:
    """Elsewhere a cache that cannot be written costs a warning; here keeping is all there is to do.

    Raises:
        OSError: nothing could be kept.
        ValueError: there is no cache directory.
    """
    disk = default_cache().disk
    if disk is None:
        raise ValueError("there is no cache directory to compile into: set JITLOAD_CACHE_DIR")
    try:
        with tempfile.TemporaryFile(dir=disk.directory.make("incoming")) as file:
            file.write(bytes(_SMALLEST_ENTRY_BYTES))  # a full disk takes a file, and nothing into it
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write to the cache ({error.strerror}), so nothing compiled would be kept; set JITLOAD_CACHE_DIR",
            disk.directory.path,
        ) from None


def _default_plan() -> Path:
    plan = Path(DEFAULT_PLAN)
    if not plan.is_file():
        raise ValueError(f"name sources, a workload or a plan: there is no {DEFAULT_PLAN} here")
    return plan


def _with_programs(taken: dict[CompileRequest, list[JsonRow]]) -> list[JsonRow]:
    return [
        {"program": request.name, "options": request_options(request), **row}
        for request, rows in taken.items()
        for row in rows
    ]
