"""`jitload cache merge`: cache directories of other machines, taken into one's own."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from jitload.cli.cache_report import damage_json
from jitload.cli.console import EXIT_FAILED, clean_failures
from jitload.cli.directory import check_writable, named_directory, opened_cache
from jitload.cli.tables import SHORT_KEY_DIGITS, count_of, entries_of


def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Cache directories; nothing changes there.")],
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="The cache directory that gets them. Default: JITLOAD_CACHE_DIR, or ~/.cache/jitload.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take in what other cache directories hold.

    Entries are verified, and what is known of headers adds up. What is damaged is told and left out; the exit code is
    then 1. The bound on the size holds: JITLOAD_CACHE_MAX_BYTES.
    """
    with clean_failures():
        paths = [named_directory(source) for source in sources]
        check_writable(directory)
        with opened_cache(directory) as cache:
            merged = cache.merge(paths)
        counts = {name: getattr(merged, name) for name in ("added", "present", "records", "lost")}
        if as_json:
            report = {"directory": cache.directory, **counts, "damaged": damage_json(merged.damaged)}
            typer.echo(json.dumps(report, indent=2))
        else:
            added = f"{entries_of(merged.added)} added, {merged.present} already there"
            typer.echo(f"{cache.directory}: {added}, {count_of(merged.records, 'closure record')} added to")
            for damage in merged.damaged:
                typer.echo(
                    f"damaged: {damage.key[:SHORT_KEY_DIGITS]}  {damage.reason}\n         left out: {damage.file}"
                )
        if merged.lost:
            typer.echo(f"jitload: {entries_of(merged.lost)} could not be written", err=True)
        if merged.damaged or merged.lost:
            raise typer.Exit(EXIT_FAILED)
