"""`jitload cache push` and `pull`: a remote filled from this machine, and this machine from a remote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jitload.batch import exchange
from jitload.cli.console import EXIT_FAILED, clean_failures
from jitload.cli.request import Archs, Kinds  # noqa: TC001 - typer reads the annotations
from jitload.cli.tables import count_of, entries_of, plain
from jitload.tiers.cache import default_cache

if TYPE_CHECKING:
    from jitload.batch.exchange import Exchanged

Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE]...", help="Workloads (.jlw), plans (.toml) and sources.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def push(
    files: Files = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything in the cache directory.")] = False,
    arch: Archs = None,
    kind: Kinds = None,
    as_json: Json = False,
) -> None:
    """Give the remote what this machine has.

    What is there already stays as it is. What the files name and the machine lacks is told, and is for `jitload
    precompile`; the exit code is then 1.
    """
    with clean_failures():
        if bool(files) is everything:
            raise typer.BadParameter("name workloads, or write --all for everything in the cache", param_hint="FILE")
        _refuse_choice(everything, arch, kind)
        cache = default_cache()
        done = exchange.push_everything(cache) if everything else exchange.push(cache, files or [], arch, kind)
        _tell(done, as_json, f"{entries_of(done.moved)} given to {cache.remote.place if cache.remote else 'nobody'}")


def pull(
    files: Files = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything in the remote.")] = False,
    arch: Archs = None,
    kind: Kinds = None,
    as_json: Json = False,
) -> None:
    """Take from the remote what files name, or all that it has.

    What it lacks is told; the exit code is then 1. The bound of the cache directory holds as ever.
    """
    with clean_failures():
        if bool(files) is everything:
            raise typer.BadParameter("name workloads, or write --all for everything in the remote", param_hint="FILE")
        _refuse_choice(everything, arch, kind)
        cache = default_cache()
        done = exchange.pull_everything(cache) if everything else exchange.pull(cache, files or [], arch, kind)
        place = cache.remote.place if cache.remote else "nobody"
        _tell(done, as_json, f"{entries_of(done.moved)} from {place}, {done.present} already here")


def _refuse_choice(everything: bool, arch: object, kind: object) -> None:
    if everything and (arch or kind):
        raise typer.BadParameter("--all takes every arch and kind: leave --arch and --kind out, or name workloads")


def _tell(done: Exchanged, as_json: bool, line: str) -> None:
    if as_json:
        fields = {name: getattr(done, name) for name in ("moved", "present", "failed")}
        typer.echo(json.dumps({**fields, "missing": list(done.missing)}, indent=2))
    else:
        typer.echo(line)
    for text in done.missing:
        typer.echo(f"jitload: missing: {plain(text)}", err=True)
    if done.failed:
        typer.echo(f"jitload: {count_of(done.failed, 'thing')} did not arrive, or is damaged here", err=True)
    if done.missing or done.failed:
        raise typer.Exit(EXIT_FAILED)
