"""`jitload repro`: compile what a bundle holds once more, elsewhere, and compare the bytes."""

import random
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from jitload.bundles.bundle import Bundle
from jitload.bundles.workload import Workload
from jitload.cli.bundle import BundleFile
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app
from jitload.errors import BundleError
from jitload.expand import WORKLOAD_SUFFIX

app = new_app()


@app.command()
def reproduce(
    bundle: BundleFile,
    workload: Annotated[
        list[Path] | None,
        typer.Option(
            "--workload",
            "-w",
            metavar="FILE",
            help="The sources that it was made from; repeatable. Default: those that it carries, or else the workload "
            "of the right digest among the .jlw files beside it.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[int | None, typer.Option("--sample", metavar="N", min=1, help="Compile N of them only.")] = None,
) -> None:
    """Recompile what a bundle holds, and compare bytes.

    It is done in fresh processes and from another directory, with the compiler that is installed here: it must be the
    one that made the bundle. Exit code 1: some differ, or cannot be made again.
    """
    from jitload.config import configure

    with clean_failures(), tempfile.TemporaryDirectory(prefix="jitload-repro-") as scratch:
        opened = Bundle.open(bundle, trust="unsigned")
        digests = list(opened.requests)
        if sample is not None and sample < len(digests):
            digests = sorted(random.sample(digests, sample))
        sources = Workload().merged(*map(Workload.read, workload)) if workload else _find_sources(opened)
        with configure(bundles=(), compile="always", strict=False, record=None):
            made, reasons = _made_again(opened, digests, sources, Path(scratch))
        lines = [reasons.get(digest) or _compare(opened, made, digest) for digest in digests]
        wrong = [line for line in lines if line]
        for line in wrong:
            typer.echo(line)
        typer.echo(f"{bundle}: {len(lines) - len(wrong)} of {len(lines)} are the same bytes")
    if wrong:
        raise typer.Exit(EXIT_FAILED)


def _find_sources(bundle: Bundle) -> Workload:
    """The workload that a bundle was made from: in it, or beside it.

    Raises:
        BundleError: it is in neither place; the text says what is missing.
    """
    carried = bundle.workload()
    if carried is not None:
        return carried
    digest = bundle.manifest["workload"]
    if not digest:
        raise BundleError(f"{bundle.path}: it names no workload that it was made from: give the sources by --workload")
    place = Path(bundle.path).parent
    files = sorted(place.glob(f"*{WORKLOAD_SUFFIX}"))
    for file in files:
        try:
            found = Workload.read(file)
        except (BundleError, OSError):
            continue  # not the one that is looked for
        if found.digest == digest:
            return found
    seen = f"{len(files)} workloads in {place}, none of them that one" if files else f"no workload in {place}"
    raise BundleError(
        f"{bundle.path}: it carries no sources, and they are needed to compile it again. It was made from the workload "
        f"whose SHA-256 is {digest}; there is {seen}. Give it by --workload (all of them, where it was made from "
        f"several), or make bundles by `jitload bundle create --with-workload`"
    )


def _made_again(bundle: Bundle, digests: list[str], sources: Workload, scratch: Path) -> tuple[Bundle, dict[str, str]]:
    """A bundle of what could be compiled again, and for each other request why it could not."""
    from jitload.cache.tiers import Cache
    from jitload.precompile import precompile

    targets = [(kind, arch.split(",")) for kind, arch in bundle.manifest["targets"]]
    with sources.unpacked() as requests:
        plan = {
            request.replace(kind=kind, arch=archs): program.absent
            for program, request in requests.items()
            for kind, archs in targets
        }
        plan = {request: absent for request, absent in plan.items() if request.digest in digests}
        cache = Cache(scratch / "cache")
        report = precompile(plan, cache=cache)
        made = Bundle.create(scratch / "again.jlb", [*report.compiled, *report.cached], cache=cache, absent=plan)
    reasons = {
        request.digest: f"{request.name} ({request.kind}, {request.arch}): {why}" for request, why in report.failed
    }
    for digest in set(digests) - {request.digest for request in plan}:
        artifact = bundle.read(digest)[0].artifact
        reasons[digest] = f"{artifact.name} ({artifact.kind}, {artifact.arch}): its source is not in the workload"
    return made, reasons


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
