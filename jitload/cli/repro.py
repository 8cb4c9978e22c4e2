"""`jitload repro`: compile what a bundle holds once more, elsewhere, and compare the bytes."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jitload.batch.expand import WORKLOAD_SUFFIX
from jitload.batch.precompile import precompile
from jitload.bundles.build import collect
from jitload.bundles.bundle import Bundle
from jitload.cli.bundle_arguments import AsJson, BundleFile  # noqa: TC001 - typer reads the annotations
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app, print_answer
from jitload.cli.tables import plain
from jitload.compiler.unstable import why_unstable
from jitload.config import configure
from jitload.errors import BundleError
from jitload.tiers.cache import Cache
from jitload.workloads.workload import Workload

if TYPE_CHECKING:
    from jitload.artifact import Artifact
    from jitload.source.request import CompileRequest

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
    as_json: AsJson = False,
) -> None:
    """Recompile what a bundle holds, and compare bytes.

    It is done in fresh processes and from another directory, with the compiler that is installed here: it must be the
    one that made the bundle. Each image that differs, or cannot be made again, is named with the reason as far as it is
    known. Exit code 1: there are such.
    """
    with clean_failures(), tempfile.TemporaryDirectory(prefix="jitload-repro-") as scratch:
        opened = Bundle.open(bundle, trust="unsigned")
        digests = list(opened.requests)
        if sample is not None and sample < len(digests):
            digests = sorted(random.sample(digests, sample))
        sources = Workload().merged(*map(Workload.read, workload)) if workload else _find_sources(opened)
        with configure(bundles=(), trust=(), compile="always", strict=False, record=None):
            made, reasons = _made_again(opened, digests, sources, Path(scratch))
        lines = [reasons.get(digest) or _compare(opened, made.get(digest, {}), digest) for digest in digests]
        wrong = [line for line in lines if line]
        texts = ["\n".join(map(plain, line.split("\n"))) for line in wrong]
        document = {"bundle": str(bundle), "compiled": len(lines), "same": len(lines) - len(wrong), "differing": wrong}
        said = f"{bundle}: {len(lines) - len(wrong)} of {len(lines)} are the same bytes"
        print_answer(document, "\n".join([*texts, said]), as_json=as_json)
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
    files = sorted(file for file in place.glob(f"*{WORKLOAD_SUFFIX}") if file.is_file())
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


def _made_again(
    bundle: Bundle, digests: list[str], sources: Workload, scratch: Path
) -> tuple[dict[str, dict[str, Artifact]], dict[str, str]]:
    """What could be compiled again, request digest -> key -> artifact, and for each other request why it could not."""
    targets = [(kind, arch.split(",")) for kind, arch in bundle.manifest["targets"]]
    with sources.unpacked() as requests:
        plan = {
            request.replace(kind=kind, arch=archs): program.absent
            for program, request in requests.items()
            for kind, archs in targets
        }
        plan = {request: absent for request, absent in plan.items() if request.digest in digests}
        cache = Cache(scratch / "cache")
        report = precompile(list(plan), cache=cache)
        found, missing = collect({request: plan[request] for request in (*report.compiled, *report.cached)}, cache)
    reasons = {request.digest: f"{_name(request)}: {why}" for request, why in report.failed}
    reasons |= {request.digest: f"{_name(request)}: its output cannot be kept" for request in missing}
    for digest in set(digests) - {request.digest for request in plan}:
        reasons[digest] = f"{_name(bundle.read(digest)[0].artifact)}: its source is not in the workload"
    return {digest: {key: row[2] for key, row in rows.items()} for digest, rows in found.items()}, reasons


def _compare(bundle: Bundle, again: dict[str, Artifact], digest: str) -> str:
    """What is wrong with one request, "" when nothing is."""
    for entry in bundle.read(digest):
        before, now = entry.artifact, again.get(entry.artifact.key)
        if now is None:
            return f"{_name(before)}: not made again: {_why_missing(before, again)}"
        if now.data != before.data:
            why = why_unstable(before) or why_unstable(now) or _first_difference(before.data, now.data)
            return f"{_name(before)}: other bytes: {why}"
    return ""


def _why_missing(before: Artifact, again: dict[str, Artifact]) -> str:
    now = next(iter(again.values()), None)
    if now is not None and now.toolchain != before.toolchain:
        return f"it was made by {before.toolchain}, and {now.toolchain} is installed here"
    return f"it was made by {before.toolchain} from headers of the toolkit that differ from those that are here"


def _first_difference(before: bytes, now: bytes) -> str:
    at = next((at for at, (old, new) in enumerate(zip(before, now, strict=False)) if old != new), None)
    sizes = f"{len(before)} bytes before, {len(now)} now"
    return f"{sizes}, and the first that differs is at {min(len(before), len(now)) if at is None else at}"


def _name(image: Artifact | CompileRequest) -> str:
    return f"{image.name} ({image.kind}, {image.arch})"
