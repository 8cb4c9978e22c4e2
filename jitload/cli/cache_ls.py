"""`jitload cache ls`: the entries of a cache, chosen and sorted."""

from __future__ import annotations

import json
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from jitload.cli.cache_report import entry_json, entry_lines
from jitload.cli.console import clean_failures
from jitload.cli.directory import opened_cache
from jitload.source.arch import normalize_arch
from jitload.values import BLOB, Kind

if TYPE_CHECKING:
    from jitload.tiers.audit import EntryInfo


class Listed(str, Enum):
    """What kinds of entries `ls` knows."""

    CUBIN = Kind.CUBIN.value
    PTX = Kind.PTX.value
    LTOIR = Kind.LTOIR.value
    FATBIN = Kind.FATBIN.value
    BLOB = BLOB


class Order(str, Enum):
    """What `ls` sorts by."""

    NAME = "name"
    KEY = "key"
    BYTES = "bytes"
    USED = "used"


def list_entries(
    sort: Annotated[
        Order, typer.Option("--sort", help="By name, by key, the largest first, or the last used first.")
    ] = Order.NAME,
    kind: Annotated[Listed | None, typer.Option("--kind", "-k", case_sensitive=False, help="Only this kind.")] = None,
    arch: Annotated[
        str | None, typer.Option("--arch", "-a", metavar="ARCH", help="Only what was compiled for this arch.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", metavar="GLOB", help="Only programs or kernels of this name: 'reduce*'."),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="The cache directory. Default: JITLOAD_CACHE_DIR, or ~/.cache/jitload."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the entries.

    Shows key, kind, arch, program name, kernels (with the macros and options they were compiled with), size, last use
    (noted at most once an hour) and compile time. Of a blob, which another system keeps here, the name is its namespace
    and the kernel the beginning of its key. An entry that is damaged has no kind: `jitload cache verify` says what is
    wrong, and puts it aside.
    """
    with clean_failures(), opened_cache(directory) as cache:
        entries = list(cache.entries())
        chosen = [entry for entry in entries if _is_chosen(entry, kind, arch, name)]
        if sort is Order.NAME:
            chosen.sort(key=lambda entry: (entry.name, entry.kernels, entry.options, entry.kind, entry.arch, entry.key))
        elif sort is Order.BYTES:
            chosen.sort(key=lambda entry: -entry.bytes)
        elif sort is Order.USED:
            chosen.sort(key=lambda entry: -entry.used)
        if as_json:
            typer.echo(
                json.dumps({"directory": cache.directory, "entries": [entry_json(entry) for entry in chosen]}, indent=2)
            )
            return
        typer.echo("\n".join(entry_lines(cache, chosen, len(entries))))


def _is_chosen(entry: EntryInfo, kind: Listed | None, arch: str | None, name: str | None) -> bool:
    return (
        (kind is None or entry.kind == kind)
        and (arch is None or normalize_arch(arch) in entry.arch.split(","))
        and (name is None or any(fnmatchcase(text, name) for text in (entry.name, *entry.kernels)))
    )
