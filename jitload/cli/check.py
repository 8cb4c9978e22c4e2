"""`jitload check`: does a bundle cover a workload on a GPU, is it as new as its sources? The exit code says it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jitload.bundles.bundle import Bundle
from jitload.bundles.check import Coverage, check_coverage
from jitload.bundles.freshness import Freshness, check_freshness
from jitload.cli.bundle_arguments import AsJson, Trust, open_trusted
from jitload.cli.console import clean_failures, new_app
from jitload.cli.tables import format_count, plain
from jitload.lazy import lazy
from jitload.workloads.workload import Workload

if TYPE_CHECKING:
    from jitload.cli import declared
else:
    declared = lazy("jitload.cli.declared")  # what a question about a workload does not need

#: Something that the workload asks for is in no bundle, or an image is older than its sources.
EXIT_MISSING = 3

app = new_app()


@app.command()
def check_workload(
    bundle: Annotated[
        list[Path], typer.Option("--bundle", "-b", metavar="FILE", help="Bundle; repeatable.", show_default=False)
    ],
    workload: Annotated[
        list[Path] | None,
        typer.Option("--workload", "-w", metavar="FILE", help="Workload; repeatable.", show_default=False),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            "--gpu", metavar="ARCH", help="The arch of the GPU: sm_90 for an H100, ...; or cpu, the CPU executor."
        ),
    ] = None,
    driver: Annotated[
        int | None, typer.Option("--driver", metavar="N", help="Driver branch, e.g. 580: it must take the images, too.")
    ] = None,
    sources: Annotated[
        list[Path] | None,
        typer.Option(
            "--strict-sources",
            metavar="FILE",
            help="Python file that declares kernels (it is imported), plan (.toml) or CUDA C++ file: whether the "
            "bundles have its kernels, and all are of the sources, headers and options as they are now; repeatable.",
            show_default=False,
        ),
    ] = None,
    trust: Trust = None,
    as_json: AsJson = False,
) -> None:
    """Say whether bundles cover a workload, or are stale.

    Whether a workload is covered is found out by the very rules of a look-up. The age of a bundle is a question for
    the CI that builds it: nothing is compiled for the answer.

    Exit codes: 0 covered and as new, 3 something is missing or stale (it is listed), 4 a bundle is not trusted. No GPU
    is needed.

    \b
    jitload check --workload app.jlw --bundle app.jlb --gpu sm_90
    jitload check --bundle ops/kernels.jlb --strict-sources ops/__init__.py --trust unsigned
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    _expect_question(workload, gpu, sources, driver)
    with clean_failures():
        wanted = Workload().merged(*map(Workload.read, workload or ()))
        opened = [open_trusted(path, trust) for path in bundle]
        found = check_coverage(wanted, opened, gpu, driver) if gpu else []
        ages = _ages(sources, opened) if sources else []
        lacking = [*[row for row in found if not row.covered], *[row for row in ages if not row.fresh]]
        if as_json:
            document = _as_json(gpu, driver, found, ages)
            typer.echo(json.dumps(document, indent=2))
        else:
            for row in lacking:
                typer.echo("\n".join(map(plain, str(row).split("\n"))))
            typer.echo("\n".join(_verdicts(gpu, driver, found, ages)))
    if lacking:
        raise typer.Exit(EXIT_MISSING)


def _expect_question(
    workload: list[Path] | None, gpu: str | None, sources: list[Path] | None, driver: int | None
) -> None:
    """Refuse a command line that asks nothing, or half of it."""
    if workload and not gpu:
        raise typer.BadParameter("a workload is covered on some GPU: write --gpu sm_90, or --gpu cpu")
    if gpu and not workload:
        raise typer.BadParameter("what is to run on it? Write --workload FILE, as jitload record makes it")
    if driver is not None and not gpu:
        raise typer.BadParameter("a driver is asked for with --workload FILE and --gpu ARCH")
    if not workload and not sources:
        raise typer.BadParameter("nothing is asked: write --workload FILE --gpu ARCH, or --strict-sources FILE")


def _ages(sources: list[Path], bundles: list[Bundle]) -> list[Freshness]:
    return check_freshness([request for path in sources for request in declared.requests_in(path)], bundles)


def _verdicts(gpu: str | None, driver: int | None, found: list[Coverage], ages: list[Freshness]) -> list[str]:
    """An answer to each question, in a line."""
    said = []
    if gpu:
        missing = sum(not row.covered for row in found)
        state = f"{missing} of {len(found)} missing" if missing else f"covered ({format_count(len(found), 'request')})"
        said.append(f"{gpu}{f' with driver {driver}' if driver else ''}: {state}")
    if ages:
        older = sum(not row.fresh for row in ages)
        as_new = f"the bundle is as new ({format_count(len(ages), 'program')})"
        said.append(
            f"sources: {f'{older} of {len(ages)} missing or stale: build the bundle again' if older else as_new}"
        )
    return said


def _as_json(gpu: str | None, driver: int | None, found: list[Coverage], ages: list[Freshness]) -> dict[str, object]:
    document: dict[str, object] = {}
    if gpu:
        covered = all(row.covered for row in found)
        document = {"gpu": gpu, "driver": driver, "covered": covered, "requests": [row.to_json() for row in found]}
    if ages:
        document |= {"fresh": all(row.fresh for row in ages), "sources": [row.to_json() for row in ages]}
    return document
