"""`jitload repro`: compile what a bundle holds once more, elsewhere, and compare the bytes."""

import random
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from jitload.bundles.bundle import Bundle
from jitload.cli.bundle import BundleFile
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app

app = new_app()


@app.command()
def reproduce(
    bundle: BundleFile,
    workload: Annotated[
        list[Path],
        typer.Option("--workload", "-w", metavar="FILE", help="The sources it was made from.", show_default=False),
    ],
    sample: Annotated[int | None, typer.Option("--sample", metavar="N", min=1, help="Compile N of them only.")] = None,
) -> None:
    """Recompile what a bundle holds, and compare bytes.

    It is done in fresh processes and from another directory.

    A bundle holds no sources, so the workload that it was made from is needed, and the compiler that made it. Exit code
    1: some differ, or cannot be made again.
    """
    from jitload.bundles.workload import Workload
    from jitload.cache.tiers import Cache
    from jitload.config import configure
    from jitload.precompile import precompile

    with clean_failures(), tempfile.TemporaryDirectory(prefix="jitload-repro-") as scratch:
        opened = Bundle.open(bundle, trust="unsigned")
        digests = list(opened.requests)
        if sample is not None and sample < len(digests):
            digests = sorted(random.sample(digests, sample))
        sources = Workload().merged(*map(Workload.read, workload))
        targets = [(kind, arch.split(",")) for kind, arch in opened.manifest["targets"]]
        with sources.unpacked() as requests, configure(bundles=(), compile="always", record=None):
            plan = {
                request.replace(kind=kind, arch=archs): program.absent
                for program, request in requests.items()
                for kind, archs in targets
            }
            plan = {request: absent for request, absent in plan.items() if request.digest in digests}
            cache = Cache(Path(scratch) / "cache")
            report = precompile(plan, cache=cache)
            made = Bundle.create(
                Path(scratch) / "again.jlb", [*report.compiled, *report.cached], cache=cache, absent=plan
            )
            lines = [_compare(opened, made, digest) for digest in digests]
        wrong = [line for line in lines if line]
        for line in wrong:
            typer.echo(line)
        typer.echo(f"{bundle}: {len(lines) - len(wrong)} of {len(lines)} are the same bytes")
    if wrong:
        raise typer.Exit(EXIT_FAILED)


def _compare(bundle: Bundle, again: Bundle, digest: str) -> str:
    """What is wrong with one request, "" when nothing is."""
    theirs = {entry.artifact.key: entry.artifact.data for entry in again.read(digest)}
    for entry in bundle.read(digest):
        artifact = entry.artifact
        name = f"{artifact.name} ({artifact.kind}, {artifact.arch})"
        if artifact.key not in theirs:
            return f"{name}: not made again; it was made by {artifact.toolchain}, from headers that may differ"
        if theirs[artifact.key] != artifact.data:
            return f"{name}: other bytes"
    return ""
