"""What Prometheus reads of a cache: the text format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jitload.tiers.audit import CacheStats

#: (name, of which count, label of its parts or "", what it is).
_COUNTERS = (
    ("jitload_hits_total", "hits", "tier", "Requests that a tier served."),
    ("jitload_misses_total", "misses", "reason", "Requests that no tier could serve."),
    ("jitload_compiles_total", "compiles", "", "Compiles by NVRTC."),
    ("jitload_compile_seconds_total", "compile_seconds", "", "Time that compiles took."),
    ("jitload_saved_seconds_total", "seconds_saved", "", "Time that what was served had taken to compile."),
    ("jitload_stored_bytes_total", "bytes_stored", "", "Size of the entries written to the directory."),
    ("jitload_evictions_total", "evictions", "", "Entries dropped to keep to the bound."),
    ("jitload_quarantined_total", "quarantined", "", "Damaged files put aside."),
    ("jitload_remote_received_bytes_total", "bytes_received", "", "Bytes that came from the remote."),
    ("jitload_remote_sent_bytes_total", "bytes_sent", "", "Bytes that went to the remote."),
    ("jitload_remote_errors_total", "remote_errors", "reason", "What went wrong with the remote."),
    ("jitload_lease_waits_total", "lease_waits", "", "Waits for a compile on another machine."),
    ("jitload_lease_wait_seconds_total", "lease_wait_seconds", "", "Time of those waits."),
)


def exposition(counts: Mapping[str, object], stats: CacheStats) -> str:
    """The metrics of a cache directory.

    Args:
        counts: what all processes have counted, as `counts_json` gives it.
        stats: what is in the directory.
    """
    lines: list[str] = []
    for name, count, label, text in _COUNTERS:
        lines += _family(name, "counter", text, counts[count], label)
    lines += _family("jitload_cache_entries", "gauge", "Entries in the directory.", stats.entries)
    lines += _family("jitload_cache_bytes", "gauge", "Size of the entries in the directory.", stats.bytes)
    lines += _family("jitload_cache_max_bytes", "gauge", "The bound on their size.", stats.max_bytes)
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, kind: str, text: str, value: object, label: str = "") -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    if not isinstance(value, dict):
        yield f"{name} {value!r}"
        return
    for part, count in sorted(value.items()):
        yield f'{name}{{{label}="{_escaped(part)}"}} {count!r}'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
