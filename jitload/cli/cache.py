"""`jitload cache`: what is in the cache, whether it is sound, and why something is or is not in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jitload.cli.cache_exchange import pull, push
from jitload.cli.cache_ls import list_entries
from jitload.cli.cache_merge import merge
from jitload.cli.cache_report import (
    counts_json,
    counts_lines,
    damage_json,
    damage_lines,
    stats_json,
    stats_lines,
)
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app
from jitload.cli.directory import check_writable, opened_cache
from jitload.cli.prometheus import exposition
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
from jitload.cli.tables import count_of, entries_of, format_bytes, parse_bytes, parse_day
from jitload.lazy import lazy
from jitload.tiers.audit import verify_entries
from jitload.values import Kind  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from jitload import inquiry
    from jitload.tiers.cache import Cache
else:
    inquiry = lazy("jitload.inquiry")

#: `explain` of what is not in the cache; 1 is a failure and 2 a wrong command line.
EXIT_MISS = 3

app = new_app(no_args_is_help=True, help="List, check, shrink and explain the cache of compiled kernels.")

Dir = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="The cache directory. Default: JITLOAD_CACHE_DIR, or ~/.cache/jitload."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


app.command("ls")(list_entries)


@app.command("stats")
def print_stats(
    since: Annotated[
        str,
        typer.Option(
            "--since", parser=parse_day, metavar="DATE", help="Count from this day on (UTC): 2026-11-28. Default: all."
        ),
    ] = "",
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print the text that Prometheus reads, without a look at the entries.")
    ] = False,
    directory: Dir = None,
    as_json: Json = False,
) -> None:
    """Sum up the entries, and what all processes have counted.

    Shows how much of its bound the cache fills, by kind, by arch and by the systems that keep blobs here, how long its
    entries took to compile, what lies in quarantine, and whether the index agrees with the entries; then how often
    processes hit and missed, and what that saved. Counts are kept for 400 days.
    """
    if prometheus and as_json:
        raise typer.BadParameter("it is one or the other: take --json away", param_hint="--prometheus")
    with clean_failures(), opened_cache(directory) as cache:
        counts = counts_json(*cache.counted(since))
        if prometheus:
            typer.echo(exposition(counts, cache.stats()), nl=False)
            return
        figures = stats_json(cache)
        if as_json:
            _print_json({**figures, "counts": counts})
        else:
            typer.echo("\n".join([*stats_lines(figures), "", *counts_lines(counts)]))


@app.command()
def verify(directory: Dir = None, as_json: Json = False) -> None:
    """Read and verify every entry; put damaged ones aside.

    They go to quarantine/ in the directory, and are compiled anew when they are next needed. Exits with 1 if there
    were any.
    """
    with clean_failures(), opened_cache(directory) as cache:
        rows, damaged = ({}, []) if cache.disk is None else verify_entries(cache.disk, cache.index)
        if as_json:
            _print_json({"directory": cache.directory, "good": len(rows), "damaged": damage_json(damaged)})
        else:
            typer.echo("\n".join([f"{cache.directory}: {entries_of(len(rows))} good", *damage_lines(damaged)]))
        if damaged:
            raise typer.Exit(EXIT_FAILED)


@app.command("gc")
def collect(
    max_bytes: Annotated[
        int | None,
        typer.Option(
            "--max-bytes",
            parser=parse_bytes,
            metavar="SIZE",
            help="Bound for this once: 500000000, 512M, 2G. Default: JITLOAD_CACHE_MAX_BYTES, or 2 GiB.",
        ),
    ] = None,
    directory: Dir = None,
    as_json: Json = False,
) -> None:
    """Drop what was not used for the longest time.

    Entries go until the rest fits. A cache over its bound is brought a tenth below it. Files that killed processes left
    half written go too.
    """
    with clean_failures():
        check_writable(directory)
        with opened_cache(directory) as cache:
            before = cache.stats()
            removed = cache.gc(max_bytes)
            after = cache.stats()
            bound = before.max_bytes if max_bytes is None else max_bytes
            gone = before.bytes - after.bytes
            if as_json:
                _print_json(
                    {
                        "directory": cache.directory,
                        "removed": removed,
                        "removed_bytes": gone,
                        "entries": after.entries,
                        "bytes": after.bytes,
                        "max_bytes": bound,
                    }
                )
                return
            typer.echo(f"{cache.directory}: removed {entries_of(removed)}, {format_bytes(gone)}")
            typer.echo(f"left: {entries_of(after.entries)}, {format_bytes(after.bytes)} of {format_bytes(bound)}")


@app.command()
def clear(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    directory: Dir = None,
    as_json: Json = False,
) -> None:
    """Remove every entry, and what is in quarantine.

    Asks first; where nobody can be asked, --yes is needed. Everything is compiled anew when it is next needed.
    """
    with clean_failures():
        check_writable(directory)
        with opened_cache(directory) as cache:
            before, aside = cache.stats(), _quarantined(cache)
            what = f"{entries_of(before.entries)}, {format_bytes(before.bytes)}"
            if aside:
                what += f", and {count_of(aside, 'file')} in quarantine"
            if not yes:
                _ask(f"Remove {what} from {cache.directory}?")
            removed = cache.clear()
            left = cache.stats().entries
            if as_json:
                report = {"directory": cache.directory, "removed": removed, "removed_bytes": before.bytes}
                _print_json({**report, "quarantined": aside, "entries": left})
            else:
                typer.echo(f"{cache.directory}: removed {what}")
            if left:
                typer.echo(f"jitload: {entries_of(left)} could not be removed, or came meanwhile", err=True)
                raise typer.Exit(EXIT_FAILED)


@app.command()
def rebuild(directory: Dir = None, as_json: Json = False) -> None:
    """Make the index anew from the entries themselves.

    Kernels never need it; listings are quicker with it. Every entry is verified, and damaged ones are put aside.
    """
    with clean_failures():
        check_writable(directory)
        with opened_cache(directory) as cache:
            done = cache.rebuild()
            damaged = () if done is None else done.damaged
            counts = {
                field: 0 if done is None else getattr(done, field)
                for field in ("entries", "added", "changed", "removed")
            }
            if as_json:
                _print_json({"directory": cache.directory, **counts, "damaged": damage_json(damaged)})
                return
            rows = ", ".join(f"{counts[field]} {field}" for field in ("added", "changed", "removed"))
            typer.echo(f"{cache.directory}: the index knows {entries_of(counts['entries'])} (rows: {rows})")
            typer.echo("".join(f"{line}\n" for line in damage_lines(damaged)), nl=False)


app.command("merge")(merge)
app.command("push")(push)
app.command("pull")(pull)


@app.command()
def explain(
    file: SourceFile,
    arch: Archs = None,
    kind: Annotated[
        Kind | None, kind_option("a cubin for sm_*, PTX for compute_*, a fatbin for several archs.")
    ] = None,
    include_dirs: IncludeDirs = None,
    defines: Defines = None,
    names: Names = None,
    options: Options = None,
    host_headers: HostHeaders = True,
    directory: Dir = None,
    as_json: Json = False,
) -> None:
    """Say what a compile of FILE would get now, and why.

    Prints the image that would serve it, what the key is made of, what each place answers, and the nearest entries with
    what differs, old -> new. The arguments are those of `jitload compile`; without --arch it is what a kernel of that
    file would get at its first launch. Nothing is compiled. Exits with 0 for a hit and with 3 for a miss.
    """
    with clean_failures(), opened_cache(directory, as_compile=True) as cache:
        _, requests = build_requests(
            file,
            kind,
            arch,
            include_dirs=include_dirs,
            defines=defines,
            names=names,
            options=options,
            host_headers=host_headers,
        )
        chosen = [(request, chosen_by_device(request, kind, arch)) for request in requests]
        explanations = [inquiry.explain(request, cache, device=one.device, kinds=one.kinds) for request, one in chosen]
        if as_json:
            _print_json([explanation.to_json() for explanation in explanations])
        else:
            typer.echo("\n\n".join(map(str, explanations)))
        if not all(explanation.hit for explanation in explanations):
            raise typer.Exit(EXIT_MISS)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2))


def _quarantined(cache: Cache) -> int:
    return 0 if cache.disk is None else sum(1 for _ in cache.disk.contents.quarantined())


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here: write --yes to remove everything", param_hint="--yes")
    # On stderr altogether: stdout may be a pipe that wants JSON, and nothing but JSON.
    typer.echo(f"{question} [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        typer.echo("jitload: nothing was removed", err=True)
        raise typer.Exit(EXIT_FAILED)
