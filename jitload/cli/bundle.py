"""`jitload bundle`: make, look into, sign and combine bundles."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jitload.bundles.build import merge as merge_bundles
from jitload.bundles.bundle import Bundle
from jitload.bundles.entry import Entry
from jitload.bundles.manifest import About
from jitload.cli.bundle_arguments import AsJson, BundleFile, BundleName, Out, Serial, Trust, open_trusted
from jitload.cli.bundle_keys import describe_signature, keygen, sign, signature_row, trust_file
from jitload.cli.bundle_registry import pull, push
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app, print_answer
from jitload.cli.outcomes import outcome_rows
from jitload.cli.output import destination
from jitload.cli.progress import shown_progress
from jitload.cli.request import Kinds
from jitload.cli.resources import ShowResources, resource_lines, resource_rows
from jitload.cli.tables import (
    SHORT_KEY_DIGITS,
    JsonRow,
    describe_kernels,
    format_bytes,
    format_count,
    plain,
    table,
)
from jitload.files.atomic import write_file
from jitload.lazy import lazy
from jitload.tiers.row import written_options

if TYPE_CHECKING:
    from jitload.batch import bundling
    from jitload.cli import bundle_inputs
else:
    bundling = lazy("jitload.batch.bundling")
    bundle_inputs = lazy("jitload.cli.bundle_inputs")

#: Of what is listed below its bundle.
_MARGIN = 2

app = new_app(no_args_is_help=True)


@app.callback()
def bundle_group() -> None:
    """Make, inspect, sign and combine bundles of kernels.

    A bundle is one verified, signed file with the kernels of an application, for machines without a compiler.
    """


@app.command()
def create(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Workloads, and plans (.toml) of sources.", show_default=False),
    ],
    out: Out,
    arch: Annotated[
        list[str] | None,
        typer.Option(
            "--arch",
            "-a",
            metavar="ARCH",
            help="What to compile for: sm_90, sm_90a, sm_100f, compute_80. Repeat it, or write a list with commas. "
            "Default: what was recorded, as it was recorded.",
        ),
    ] = None,
    kind: Kinds = None,
    builder: Annotated[str, typer.Option("--builder", help="Who builds it, for the manifest.")] = "",
    licence: Annotated[
        list[str] | None, typer.Option("--licence", metavar="NOTE", help="Licence note for the manifest; repeatable.")
    ] = None,
    name: BundleName = "",
    serial: Serial = 0,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Worker processes.")] = None,
    with_workload: Annotated[
        bool,
        typer.Option("--with-workload", help="Carry sources and headers: `jitload repro` then needs no more."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an unsigned bundle of workloads or plans for some archs.

    What the cache lacks is compiled first; no GPU is needed. Sources stay out of the bundle unless
    --with-workload puts them in: whoever has the file can then read them.
    """
    with clean_failures(), ExitStack() as stack:
        destination(str(out), "")  # refused now rather than when everything has compiled
        items = list(map(bundle_inputs.read_input, files))
        with shown_progress(lines_to_stderr=as_json) as advance:
            images = stack.enter_context(
                bundling.images_for(items, arch or None, kind or None, jobs=jobs, progress=advance)
            )
        if not as_json:
            typer.echo(str(images.report))
        rows = outcome_rows(images.report)
        if images.report.failed:  # what the cache did not take is here, and goes into the bundle
            if as_json:
                typer.echo(json.dumps({"bundle": None, "images": rows}, indent=2))
            raise typer.Exit(EXIT_FAILED)
        made = images.write(out, About(builder, licence or (), name, serial), with_workload=with_workload)
        print_answer({**_facts(made), "images": rows}, _line(made), as_json=as_json)


@app.command()
def inspect(bundle: BundleFile, resources: ShowResources = False, as_json: AsJson = False) -> None:
    """Show what is in a bundle, and by which keys it is signed. Digests are verified, signatures are not."""
    with clean_failures():
        opened = Bundle.open(bundle, trust="unsigned")
        rows = sorted((_row(entry, resources=resources) for entry in opened.entries()), key=_order)
        if as_json:
            signatures = list(map(signature_row, opened.signatures))
            typer.echo(json.dumps({"manifest": opened.manifest, "signatures": signatures, "entries": rows}, indent=2))
            return
        typer.echo(_line(opened))
        if opened.manifest.get("name") or opened.manifest.get("serial"):
            name = opened.manifest.get("name") or "a bundle without a name"
            typer.echo(f"  name       {name}, serial {opened.manifest.get('serial', 0)}")
        if opened.manifest["builder"]:
            typer.echo(f"  builder    {plain(opened.manifest['builder'])}")
        if opened.manifest["workload"]:
            size = opened.manifest.get("workload_bytes", 0)
            carried = f"carried, {format_bytes(size)}: sources are in it" if size else "not carried"
            typer.echo(f"  workload   {opened.manifest['workload']} ({carried})")
        for note in opened.manifest["licences"]:
            typer.echo(f"  licence    {plain(note)}")
        for name, version, digest in opened.manifest["toolchains"]:
            typer.echo(f"  toolchain  {plain(name)} {plain(version)} ({plain(digest[:12])})")
        for signature in opened.signatures:
            typer.echo(f"  signature  {describe_signature(signature)}, not verified")
        if rows:
            typer.echo("\n".join(f"  {line}" for line in _entry_lines(rows)))
        if resources:
            shown = [(row["program"], row["options"], row["resources"]) for row in rows]
            typer.echo("\n".join(f"  {line}" for line in resource_lines(shown, _MARGIN)))


@app.command()
def verify(bundle: BundleFile, trust: Trust = None, as_json: AsJson = False) -> None:
    """Verify the signatures against the trusted keys, and every entry.

    Exit code 4: not trusted.
    """
    with clean_failures():
        opened = open_trusted(bundle, trust)
        count = opened.verify()
        if as_json:
            typer.echo(json.dumps({"bundle": str(bundle), "artifacts": count, "signed_by": opened.signers}, indent=2))
            return
        by = f"signed by {', '.join(opened.signers)}" if opened.signers else "signatures not asked for"
        are = "artifact is as it was" if count == 1 else "artifacts are as they were"
        typer.echo(f"{bundle}: {count} {are} built, {by}")


app.command()(sign)


@app.command()
def merge(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE", help="Bundle files.", show_default=False)],
    out: Out,
    trust: Trust = None,
    name: BundleName = "",
    serial: Serial = 0,
    as_json: AsJson = False,
) -> None:
    """Put several bundles into one, which is unsigned. Where two answer one request, the first comes first."""
    with clean_failures():
        opened = [open_trusted(path, trust) for path in bundles]
        made = merge_bundles(out, opened, name=name, serial=serial)
        print_answer(_facts(made), _line(made), as_json=as_json)


@app.command()
def diff(old: BundleFile, new: BundleFile, as_json: AsJson = False) -> None:
    """Show which artifacts differ between two bundles. Exit code 1: some do."""
    with clean_failures():
        before = {_name(entry): entry.data for entry in Bundle.open(old, "unsigned").entries()}
        after = {_name(entry): entry.data for entry in Bundle.open(new, "unsigned").entries()}
        found = {
            "removed": sorted(before.keys() - after.keys()),
            "added": sorted(after.keys() - before.keys()),
            "changed": sorted(name for name in after if name in before and before[name] != after[name]),
        }
        if as_json:
            typer.echo(json.dumps(found, indent=2))
        else:
            marks = dict(zip(found, "-+!", strict=True))
            lines = [f"{marks[what]} {name}" for what, names in found.items() for name in names]
            for line in sorted(lines, key=lambda line: line[2:]):
                typer.echo(plain(line))
        if any(found.values()):
            raise typer.Exit(EXIT_FAILED)


@app.command()
def extract(
    bundle: BundleFile,
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Directory.", show_default=False)],
    trust: Trust = None,
    as_json: AsJson = False,
) -> None:
    """Write every artifact as a file of its own.

    It is an entry file (.jle), which `load_module` reads, named by its key. The workload, where it is carried, becomes
    workload.jlw.
    """
    with clean_failures():
        opened = open_trusted(bundle, trust)
        out.mkdir(parents=True, exist_ok=True)
        files = []
        for entry in opened.entries():
            # The key is 64 hex digits that were computed here: no name that the bundle chose becomes a path.
            files.append(f"{entry.artifact.key}.jle")
            entry.artifact.save(out / files[-1])
        workload = opened.workload()
        if workload is not None:
            write_file(out / "workload.jlw", workload.encode())
        said = f"{out}: {format_count(len(files), 'artifact')} of {bundle}"
        carried = None if workload is None else "workload.jlw"
        document = {"bundle": str(bundle), "directory": str(out), "artifacts": files, "workload": carried}
        print_answer(document, said, as_json=as_json)


app.command()(keygen)
app.command()(push)
app.command()(pull)
app.command("trust")(trust_file)


def _facts(bundle: Bundle) -> JsonRow:
    about = {field: bundle.manifest[field] for field in ("requests", "kinds", "archs")}
    return {"bundle": bundle.path, **about, "bytes": os.stat(bundle.path).st_size}


def _line(bundle: Bundle) -> str:
    facts = _facts(bundle)
    return (
        f"{bundle.path}: {format_count(facts['requests'], 'request')}, "
        f"{', '.join(facts['kinds']) or 'nothing'} for {', '.join(facts['archs']) or 'nothing'}, "
        f"{format_bytes(facts['bytes'])}"
    )


def _name(entry: Entry) -> str:
    artifact = entry.artifact
    return f"{artifact.name} ({artifact.kind}, {artifact.arch}) {artifact.key[:12]}"


def _row(entry: Entry, *, resources: bool) -> JsonRow:
    artifact = entry.artifact
    return {
        "program": artifact.name,
        "kernels": sorted(artifact.kernels),
        "options": written_options(entry.factors),
        "kind": artifact.kind.value,
        "arch": artifact.arch,
        "bytes": len(artifact.data),
        "key": artifact.key,
        "request": entry.request,
        "toolchain": str(artifact.toolchain),
        **({"resources": resource_rows(artifact)} if resources else {}),
    }


def _order(row: JsonRow) -> tuple[object, ...]:
    return tuple(row[field] for field in ("program", "kernels", "options", "kind", "arch", "key"))


def _entry_lines(rows: list[JsonRow]) -> list[str]:
    cells = [
        (
            row["key"][:SHORT_KEY_DIGITS],
            row["kind"],
            row["arch"],
            row["program"],
            describe_kernels(row["kernels"], row["options"]),
            format_bytes(row["bytes"]),
        )
        for row in rows
    ]
    return table(
        ("KEY", "KIND", "ARCH", "NAME", "KERNELS", "BYTES"),
        cells,
        right={"BYTES"},
        spare=("KEY", "BYTES", "KIND"),
        margin=_MARGIN,
    )
