"""The page of a cache directory: what is in it, and how often it was of use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.artifact import Artifact
from jitload.errors import LoadError
from jitload.report.kernels import artifact_rows, kernel_parts
from jitload.report.page import Cell, Column, Columns, Page, Table, cells, filled
from jitload.report.units import as_bytes
from jitload.values import BLOB

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jitload.report.kernels import Row
    from jitload.tiers.audit import EntryInfo
    from jitload.tiers.cache import Cache
    from jitload.tiers.stats import Stats

#: Entries whose images are read for the page, the last used first.
MAX_ENTRIES = 500
_ENTRY_HEADER = ("Program", "Kind", "Arch", "Kernels", "Options", "Bytes", "Compile, s")


def cache_page(cache: Cache) -> Page:
    """The page of a cache. Every entry is listed from its index; the images of the last used ones are read.

    Args:
        cache: the cache.
    """
    entries = sorted(cache.entries(), key=lambda entry: (-entry.used, entry.key))
    chosen = entries[:MAX_ENTRIES]
    found = cache.stats()
    first, counts = cache.counted()
    rate = counts.hit_rate
    facts = [
        ("Directory", str(cache.directory)),
        ("Entries", f"{found.entries:,}, {as_bytes(found.bytes)} of {as_bytes(found.max_bytes)}"),
        ("Compiled in", f"{sum(entry.compile_seconds for entry in entries):,.1f} s together"),
        ("Hit rate", "nothing was counted" if rate is None else f"{rate:.1%} of all requests since {first}"),
    ]
    days = cache.counted_by_day()
    parts = [*hit_parts(counts, days), *kernel_parts(_rows(cache, chosen)), _entry_table(chosen, len(entries))]
    return Page("Cache of kernels", facts, parts)


def hit_parts(counts: Stats, days: Mapping[str, Stats]) -> list[Columns | Table]:
    """Hits and misses by day, where there are several days; and the reasons, where anything was counted."""
    parts: list[Columns | Table] = [_by_day(days)] if len(days) > 1 else []
    served = {f"served by {tier}": count for tier, count in counts.hits.items() if count}
    missed = {f"missed: {reason}": count for reason, count in sorted(counts.misses.items()) if count}
    every = {**served, **missed}
    if every:
        most = max(every.values())
        rows = [
            [Cell(name), filled(count, most, tone="good" if name in served else "fair")]
            for name, count in every.items()
        ]
        compiles = f"{counts.compiles:,} compiles in {counts.compile_seconds:,.1f} s"
        note = f"{compiles}; hits saved {counts.seconds_saved:,.1f} s."
        parts.append(Table("What requests got", ("Answer", "Requests"), rows, note))
    return parts


def _by_day(days: Mapping[str, Stats]) -> Columns:
    sums = [(day, sum(one.hits.values()), sum(one.misses.values())) for day, one in sorted(days.items())]
    most = max([hits + misses for _, hits, misses in sums] or [0]) or 1
    width = 1000 / len(sums)
    columns = [
        Column(
            number * width,
            width * 0.8,
            hits / most * 100,
            misses / most * 100,
            f"{day}: {hits:,} hits, {misses:,} misses",
        )
        for number, (day, hits, misses) in enumerate(sums)
    ]
    note = f"The highest column is {most:,} requests."
    return Columns("Hits and misses by day", columns, ("hits", "misses"), (sums[0][0], sums[-1][0]), note)


def _rows(cache: Cache, entries: Iterable[EntryInfo]) -> list[Row]:
    rows: list[Row] = []
    for entry in entries:
        if cache.disk is None or entry.kind in {"", BLOB}:
            continue
        artifact, _ = cache.disk.peek(entry.key)
        if isinstance(artifact, Artifact):
            try:
                rows += artifact_rows(artifact, entry.options)
            except LoadError:
                continue  # `jitload cache verify` says what is wrong with it
    return rows


def _entry_table(entries: Sequence[EntryInfo], total: int) -> Table:
    slowest = max([entry.compile_seconds for entry in entries] or [0.0])
    largest = max([entry.bytes for entry in entries] or [0])
    rows = [
        [
            Cell(entry.name, note=entry.key),
            *cells(entry.kind or "damaged", entry.arch, ", ".join(entry.kernels), entry.options),
            filled(entry.bytes, largest),
            filled(entry.compile_seconds, slowest, f"{entry.compile_seconds:.3f}"),
        ]
        for entry in sorted(entries, key=lambda entry: (entry.name, entry.kernels, entry.kind, entry.arch, entry.key))
    ]
    note = f"The last used {len(entries):,} of {total:,} entries." if len(entries) < total else ""
    return Table("Entries", _ENTRY_HEADER, rows, note, figures=False)
