"""`jitload bundle`: make, look into, sign and combine bundles."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from jitload.bundles.bundle import Bundle
from jitload.bundles.entry import Entry
from jitload.bundles.signature import Signature
from jitload.cache.audit import written_options
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app
from jitload.cli.output import destination
from jitload.cli.request import Kinds
from jitload.cli.tables import (
    SHORT_KEY_DIGITS,
    describe_kernels,
    format_bytes,
    format_count,
    format_utc,
    parse_utc,
    plain,
    table,
)
from jitload.errors import TrustError
from jitload.format.json import MAX_DIGITS

#: A signature, key or policy refuses a bundle.
EXIT_UNTRUSTED = 4

app = new_app(no_args_is_help=True)

BundleFile = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle file.", show_default=False)]
Out = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="File to write.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="KEY",
        help="Trusted public key (ed25519:...), .pub file or trust file; repeatable. 'unsigned' asks for no signature. "
        "Default: JITLOAD_TRUST.",
    ),
]
BundleName = Annotated[
    str, typer.Option("--name", help="What the bundle is called, for trust files that ask for a serial.")
]
Serial = Annotated[
    int,
    typer.Option("--serial", min=0, metavar="N", help="A number that grows from one issue of the bundle to the next."),
]


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
) -> None:
    """Make an unsigned bundle of workloads, or of the sources of a plan, for some archs.

    What the cache lacks is compiled first; no GPU is needed. Sources stay out of the bundle unless
    --with-workload puts them in: whoever has the file can then read them.
    """
    from jitload.bundles.workload import Workload
    from jitload.bundling import images_for
    from jitload.cli.progress import shown_progress
    from jitload.compiler.plan import PLAN_SUFFIX

    with clean_failures(), ExitStack() as stack:
        destination(str(out), "")  # refused now rather than when everything has compiled
        items = [file if file.suffix == PLAN_SUFFIX else Workload.read(file) for file in files]
        with shown_progress() as advance:
            images = stack.enter_context(images_for(items, arch, kind, jobs=jobs, progress=advance))
        typer.echo(str(images.report))
        if not images.report.ok:
            raise typer.Exit(EXIT_FAILED)
        about = {"builder": builder, "licences": licence or (), "name": name, "serial": serial}
        typer.echo(_line(images.write(out, about, with_workload=with_workload)))


@app.command()
def inspect(bundle: BundleFile, as_json: AsJson = False) -> None:
    """Show what is in a bundle, and by which keys it is signed. Digests are verified, signatures are not."""
    with clean_failures():
        opened = Bundle.open(bundle, trust="unsigned")
        rows = sorted(map(_row, opened.entries()), key=_order)
        if as_json:
            signatures = list(map(_signature_row, opened.signatures))
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
            typer.echo(f"  licence    {note}")
        for name, version, digest in opened.manifest["toolchains"]:
            typer.echo(f"  toolchain  {name} {version} ({digest[:12]})")
        for signature in opened.signatures:
            typer.echo(f"  signature  {describe_signature(signature)}, not verified")
        if rows:
            typer.echo("\n".join(f"  {line}" for line in _entry_lines(rows)))


@app.command()
def verify(bundle: BundleFile, trust: Trust = None) -> None:
    """Verify the signatures against the trusted keys, and every entry.

    Exit code 4: not trusted.
    """
    with clean_failures():
        opened = open_trusted(bundle, trust)
        count = opened.verify()
        by = f"signed by {', '.join(opened.signers)}" if opened.signers else "signatures not asked for"
        are = "artifact is as it was" if count == 1 else "artifacts are as they were"
        typer.echo(f"{bundle}: {count} {are} built, {by}")


@app.command()
def sign(
    bundle: BundleFile,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Private key.", show_default=False)],
    name: Annotated[
        str | None,
        typer.Option("--name", help="What the key calls itself in the signature. Default: as FILE.pub says."),
    ] = None,
    when: Annotated[
        int | None,
        typer.Option("--time", parser=parse_utc, metavar="TIME", help="When: 2026-05-01T12:00:00Z. Default: now."),
    ] = None,
) -> None:
    """Add a signature; what is signed is verified first. Several keys may sign one bundle.

    Name and time are signed too. With --time, signing again gives the same bytes.
    """
    from jitload.bundles.sign import sign_bundle

    with clean_failures():
        typer.echo(f"{bundle}: signed {describe_signature(sign_bundle(bundle, key, name=name, time=when))}")


@app.command()
def merge(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE", help="Bundle files.", show_default=False)],
    out: Out,
    trust: Trust = None,
    name: BundleName = "",
    serial: Serial = 0,
) -> None:
    """Put several bundles into one, which is unsigned. Where two answer one request, the first comes first."""
    from jitload.bundles.build import merge as merge_bundles

    with clean_failures():
        opened = [open_trusted(path, trust) for path in bundles]
        typer.echo(_line(merge_bundles(out, opened, name=name, serial=serial)))


@app.command()
def diff(old: BundleFile, new: BundleFile) -> None:
    """Show which artifacts differ between two bundles. Exit code 1: some do."""
    with clean_failures():
        before = {_name(entry): entry.data for entry in Bundle.open(old, "unsigned").entries()}
        after = {_name(entry): entry.data for entry in Bundle.open(new, "unsigned").entries()}
        lines = [f"- {name}" for name in before if name not in after]
        lines += [f"+ {name}" for name in after if name not in before]
        lines += [f"! {name}" for name in after if name in before and before[name] != after[name]]
        for line in sorted(lines, key=lambda line: line[2:]):
            typer.echo(line)
        if lines:
            raise typer.Exit(EXIT_FAILED)


@app.command()
def extract(
    bundle: BundleFile,
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Directory.", show_default=False)],
    trust: Trust = None,
) -> None:
    """Write every artifact as a file of its own.

    It is an entry file (.jle), which `load_module` reads, named by its key. The workload, where it is carried, becomes
    workload.jlw.
    """
    with clean_failures():
        opened = open_trusted(bundle, trust)
        out.mkdir(parents=True, exist_ok=True)
        for entry in opened.entries():
            # The key is 64 hex digits that were computed here: no name that the bundle chose becomes a path.
            entry.artifact.save(out / f"{entry.artifact.key}.jle")
        workload = opened.workload()
        if workload is not None:
            (out / "workload.jlw").write_bytes(workload.encode())
        typer.echo(f"{out}: {format_count(sum(1 for _ in opened.entries()), 'artifact')} of {bundle}")


@app.command()
def keygen(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File for the private key.", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="What to call it where it vouches for a bundle.")] = "",
) -> None:
    """Make a key to sign with.

    FILE is the private key, for its owner alone; FILE.pub is for those who trust it. Prints the public key, and its
    id, by which it can be revoked. Nothing is written where one of the files exists.
    """
    from jitload.bundles.sign import generate_keys
    from jitload.bundles.trust import key_id, parse_public_key

    with clean_failures():
        public = generate_keys(path, name or path.name)
        typer.echo(f"{public}\nkey id {key_id(parse_public_key(public))}")


@app.command("trust")
def trust_file(
    keys: Annotated[list[str], typer.Argument(metavar="KEY", help="Public keys or .pub files.", show_default=False)],
    out: Out,
    threshold: Annotated[int, typer.Option("--threshold", min=1, help="How many of them must have signed.")] = 1,
    revoke: Annotated[
        list[str] | None,
        typer.Option(
            "--revoke",
            metavar="KEY",
            help="A key that no longer counts: its .pub file, the key itself, its id, or the first digits of the id of "
            "a key that is named here; repeatable.",
        ),
    ] = None,
    not_older_than: Annotated[
        list[str] | None,
        typer.Option(
            "--not-older-than",
            metavar="NAME=SERIAL",
            help="The least serial of the bundles of that name ('*': of all others); repeatable. Bundles that are not "
            "named here are then refused.",
        ),
    ] = None,
) -> None:
    """Write a trust file.

    It names the keys that may sign, how many of them must, which no longer count, and which bundles are too old.
    """
    from jitload.bundles.trust import Policy, read_policy
    from jitload.bundles.trust_file import encode_trust_file, find_key
    from jitload.files.atomic import write_file

    with clean_failures():
        policy = read_policy(keys)
        if policy.unsigned:
            raise ValueError("'unsigned' is no key: write it in place of a trust file, where bundles are opened")
        revoked = {find_key(text, policy.keys) for text in revoke or ()} | policy.revoked
        counting = len(policy.keys.keys() - revoked)
        if threshold > counting:
            raise ValueError(
                f"{threshold} keys must sign and {counting} would count: name more keys, or lower --threshold"
            )
        serials = [*policy.serials, *([dict(map(_serial, not_older_than))] if not_older_than else [])]
        text = encode_trust_file(Policy(policy.keys, threshold, revoked, serials))
        write_file(out, text.encode())
        away = f"; {format_count(len(revoked), 'key')} revoked" if revoked else ""
        typer.echo(f"{out}: {threshold} of {format_count(counting, 'key')} must sign{away}")


def describe_signature(signature: Signature) -> str:
    """A signature in one line: the id of its key, and what that says of itself and of the time."""
    if signature.time is None:
        return f"by key {signature.key}"
    return f"by key {signature.key} ({signature.name or 'no name'}, {format_utc(signature.time)})"


def _signature_row(signature: Signature) -> dict[str, object]:
    time = None if signature.time is None else format_utc(signature.time)
    return {"key": signature.key, "name": signature.name, "time": time}


def _serial(text: str) -> tuple[str, int]:
    name, equals, number = text.rpartition("=")
    if not equals or not number.isdecimal() or len(number) > MAX_DIGITS:
        raise ValueError(f"--not-older-than {text!r}: write a name and a serial, e.g. ops=7")
    return name, int(number)


def open_trusted(path: Path, trust: list[str] | None) -> Bundle:
    """Open a bundle under a policy; a refusal ends the command with its own exit code."""
    try:
        return Bundle.open(path, trust or None)
    except TrustError as error:
        typer.echo(f"jitload: {error}", err=True)
        raise typer.Exit(EXIT_UNTRUSTED) from None


def _line(bundle: Bundle) -> str:
    manifest = bundle.manifest
    size = format_bytes(os.stat(bundle.path).st_size)
    return (
        f"{bundle.path}: {format_count(manifest['requests'], 'request')}, "
        f"{', '.join(manifest['kinds']) or 'nothing'} for {', '.join(manifest['archs']) or 'nothing'}, {size}"
    )


def _name(entry: Entry) -> str:
    artifact = entry.artifact
    return f"{artifact.name} ({artifact.kind}, {artifact.arch}) {artifact.key[:12]}"


def _row(entry: Entry) -> dict[str, Any]:
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
    }


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[field] for field in ("program", "kernels", "options", "kind", "arch", "key"))


def _entry_lines(rows: list[dict[str, Any]]) -> list[str]:
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
    return table(("KEY", "KIND", "ARCH", "NAME", "KERNELS", "BYTES"), cells, right={"BYTES"})
