"""What the `jitload cache` commands say: plain values for --json, and lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cli.tables import (
    SHORT_KEY_DIGITS,
    JsonRow,
    count_of,
    describe_kernels,
    entries_of,
    format_bytes,
    format_time,
    table,
)
from jitload.tiers.records import bytes_in_bound
from jitload.tiers.stats import MAPS, Stats
from jitload.values import BLOB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.tiers.audit import Damage, EntryInfo, IndexState
    from jitload.tiers.cache import Cache


def entry_json(entry: EntryInfo) -> JsonRow:
    """One entry as plain values."""
    fields = {field: getattr(entry, field) for field in ("key", "kind", "arch", "name", "options", "bytes", "used")}
    return {
        **fields,
        "kernels": list(entry.kernels),
        "compile_seconds": entry.compile_seconds,
        "damaged": not entry.kind,
    }


def entry_lines(cache: Cache, entries: list[EntryInfo], total: int) -> list[str]:
    """Entries as a table, with a last line that says how many of how many they are."""
    if not total:
        return [f"{cache.directory}: no entries"]
    rows = [
        (
            entry.key[:SHORT_KEY_DIGITS],
            entry.kind or "damaged",
            entry.arch,
            entry.name,
            describe_kernels(entry.kernels, entry.options),
            format_bytes(entry.bytes),
            format_time(entry.used),
            f"{entry.compile_seconds:.3f} s" if entry.kind not in {"", BLOB} else "",
        )
        for entry in entries
    ]
    count = entries_of(total) if len(entries) == total else f"{len(entries)} of {entries_of(total)}"
    last = f"{count}, {format_bytes(sum(entry.bytes for entry in entries))}"
    header = ("KEY", "KIND", "ARCH", "NAME", "KERNELS", "BYTES", "LAST USE", "COMPILE")
    lines = table(header, rows, right={"BYTES", "COMPILE"}, spare=("KEY", "COMPILE", "LAST USE", "BYTES", "KIND"))
    return [*(lines if rows else ()), last]


def damage_json(damaged: Iterable[Damage]) -> list[JsonRow]:
    """Damaged entries as plain values."""
    return [{"key": damage.key, "reason": damage.reason, "file": damage.file} for damage in damaged]


def damage_lines(damaged: Iterable[Damage]) -> list[str]:
    """Damaged entries as text: what is wrong, and where each is now."""
    lines = []
    for damage in damaged:
        where = "left in its place" if damage.file is None else f"put aside as {damage.file}"
        lines += [f"damaged: {damage.key[:SHORT_KEY_DIGITS]}  {damage.reason}", f"         {where}"]
    return lines


def stats_json(cache: Cache) -> JsonRow:
    """Everything that is known of a cache directory, as plain values."""
    summary = cache.summary()
    aside = [] if cache.disk is None else [size for _, size in cache.disk.contents.quarantined()]
    rows = sorted(summary.groups.items())
    return {
        "directory": cache.directory,
        "read_only": cache.read_only,
        "entries": sum(int(count) for _, (count, _, _) in rows),
        "bytes": sum(int(total) for _, (_, total, _) in rows),
        "records": dict(zip(("files", "bytes"), summary.records, strict=True)),
        "max_bytes": 0 if cache.disk is None else cache.disk.max_bytes,
        "oldest_use": round(summary.oldest, 3) if rows else None,
        "newest_use": round(summary.newest, 3) if rows else None,
        "compile_seconds": round(sum(seconds for _, (_, _, seconds) in rows), 6),
        "kinds": _sums((kind, sums) for (kind, _, _), sums in rows if kind),
        "archs": _sums((arch, sums) for (kind, arch, _), sums in rows if kind not in {"", BLOB}),
        "namespaces": _sums((name, sums) for (kind, _, name), sums in rows if kind == BLOB),
        "damaged": sum(int(sums[0]) for (kind, _, _), sums in rows if not kind),
        "quarantined": {"files": len(aside), "bytes": sum(aside)},
        "index": _index_json(cache, summary.state),
    }


def counts_json(since: str | None, counts: Stats) -> JsonRow:
    """What all processes have counted, as plain values.

    Args:
        since: the first day of it, or None.
        counts: the counts.
    """
    figures = {name: getattr(counts, name) for name in Stats.__slots__}
    plain = {name: dict(value) if name in MAPS else value for name, value in figures.items()}
    rate = counts.hit_rate
    return {"since": since, "hit_rate": None if rate is None else round(rate, 6), **plain}


def counts_lines(figures: JsonRow) -> list[str]:
    """What `counts_json` gives, as text."""
    if figures["since"] is None:
        return ["nothing was counted"]
    rate = figures["hit_rate"]
    facts = {
        f"since {figures['since']}": "no requests" if rate is None else f"{rate:.1%} hits",
        "hits": _spell(figures["hits"]),
        "misses": _spell(figures["misses"]),
        "compiles": f"{figures['compiles']}, {figures['compile_seconds']:.3f} s",
        "saved": f"{figures['seconds_saved']:.3f} s of compiling",
        "written": f"{format_bytes(figures['bytes_stored'])}; {figures['evictions']} dropped for the bound, "
        f"{figures['quarantined']} put aside",
    }
    if figures["bytes_received"] or figures["bytes_sent"] or figures["remote_errors"]:
        received, sent = format_bytes(figures["bytes_received"]), format_bytes(figures["bytes_sent"])
        facts["remote"] = f"{received} received, {sent} sent; errors: {_spell(figures['remote_errors'])}"
    if figures["lease_waits"]:
        facts["lease waits"] = f"{figures['lease_waits']}, {figures['lease_wait_seconds']:.3f} s"
    width = max(map(len, facts))
    return [f"{name:<{width}}  {value}" for name, value in facts.items()]


def _spell(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count) or "none"


def stats_lines(figures: JsonRow) -> list[str]:
    """What `stats_json` gives, as text."""
    records, bound = figures["records"], figures["max_bytes"]
    share = f" ({(figures['bytes'] + bytes_in_bound(records['bytes'], bound)) / bound:.1%})" if bound else ""
    facts = {
        "directory": figures["directory"],
        "entries": str(figures["entries"]),
        "size": f"{format_bytes(figures['bytes'])} of {format_bytes(bound)}{share}",
    }
    if records["files"]:
        facts["records"] = f"{_files(records)}, which count to that bound"
    if figures["entries"]:
        facts["last uses"] = f"{format_time(figures['oldest_use'])} to {format_time(figures['newest_use'])}"
        facts["compile time"] = f"{figures['compile_seconds']:.3f} s went into these entries"
    if figures["damaged"]:
        facts["damaged"] = f"{entries_of(figures['damaged'])}: `jitload cache verify` says what is wrong"
    facts["quarantine"] = _files(figures["quarantined"])
    facts["index"] = _describe_index(figures["index"], read_only=figures["read_only"])
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {value}" for name, value in facts.items()]
    for name in ("kinds", "archs", "namespaces"):
        group = figures[name]
        title = name[:-1].upper()
        rows = [(name, str(sums["entries"]), format_bytes(sums["bytes"])) for name, sums in group.items()]
        if rows:
            lines += ["", *table((title, "ENTRIES", "BYTES"), rows, right={"ENTRIES", "BYTES"})]
    return lines


def _sums(pairs: Iterable[tuple[str, list[float]]]) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {}
    for name, (count, total, _) in sorted(pairs):
        group = sums.setdefault(name, {"entries": 0, "bytes": 0})
        group["entries"] += int(count)
        group["bytes"] += int(total)
    return sums


def _index_json(cache: Cache, state: IndexState) -> JsonRow | None:
    """How the index and the entries agree; None where no index is read."""
    if cache.disk is None or cache.index is None:
        return None
    return {"agrees": state.agrees, "missing": state.missing, "stale": len(state.stale)}


def _describe_index(index: JsonRow | None, *, read_only: bool) -> str:
    if index is None:
        return "not read in a directory that is only read" if read_only else "none"
    if index["agrees"]:
        return "agrees with the entries"
    gaps = []
    if index["missing"]:
        gaps.append(f"lacks {entries_of(index['missing'])}")
    if index["stale"]:
        gaps.append(f"has {count_of(index['stale'], 'row')} of entries that are gone")
    return f"{' and '.join(gaps)}: harmless, and `jitload cache rebuild` mends it"


def _files(quarantined: dict[str, int]) -> str:
    if not quarantined["files"]:
        return "empty"
    return f"{count_of(quarantined['files'], 'file')}, {format_bytes(quarantined['bytes'])}"
