"""Figures as pages show them."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def as_bytes(count: int) -> str:
    """A size in the unit that fits: "512 B", "1.5 KiB"."""
    value, unit = float(count), 0
    while value >= 1023.95 and unit < len(_UNITS) - 1:  # what would round to 1024.0 belongs to the next unit
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} B"
