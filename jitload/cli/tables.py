"""Numbers, times and tables as people read them."""

from __future__ import annotations

import sys
import textwrap
from datetime import datetime, timezone
from functools import partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import typer

from jitload.errors import UsageValueError
from jitload.format.json import MAX_DIGITS
from jitload.settings.check import byte_count
from jitload.settings.environment import wanted_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

#: What is printed as JSON, by field; lines for people are made of the same.
JsonRow = dict[str, Any]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
SHORT_KEY_DIGITS = 12
_GAP = 2
#: No column is cut to less.
_LEAST = 12
#: Columns of which a part tells nothing.
_WHOLE = ("LAST USE",)
MAX_COLUMNS = 100_000


def format_bytes(count: int) -> str:
    """A size in the unit that fits: "512 B", "1.5 KiB", "2.0 GiB"."""
    value, unit = float(count), 0
    while value >= 1023.95 and unit < len(_UNITS) - 1:  # what would round to 1024.0 belongs to the next unit
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def format_count(count: int, noun: str) -> str:
    """A number of things: "1 request", "4 requests"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def parse_bytes(text: str) -> int:
    """A size as people write it: "1000000", "512K", "2G", "1.5GiB", by the same rules as a setting.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return byte_count("size", text)
    except UsageValueError:
        raise typer.BadParameter(f"{text!r} is not a size: write bytes, or 512M, 2G, 1.5G") from None


def format_time(seconds: float) -> str:
    """A time since the epoch, as local date and minute."""
    try:
        return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return "?"  # a file's time can be set to anything


def format_utc(seconds: int) -> str:
    """A time since the epoch, to the second: "2026-05-01T12:00:00Z"."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def parse_utc(text: str) -> int:
    """Seconds since the epoch of a time like "2026-05-01T12:00:00Z", or of these seconds themselves.

    Raises:
        typer.BadParameter: it is no such time.
    """
    if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS:
        return int(text)
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: write 2026-05-01T12:00:00Z") from None


def parse_day(text: str) -> str:
    """A day as it is written: "2026-11-28".

    Raises:
        typer.BadParameter: it is no day.
    """
    try:
        return f"{datetime.strptime(text, '%Y-%m-%d').replace(tzinfo=timezone.utc):%Y-%m-%d}" if text else ""
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day: write 2026-11-28") from None


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 entry", "3 entries"."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def entries_of(number: int) -> str:
    """ "1 entry", "3 entries"."""  # noqa: D210 - it begins with a quotation mark
    return count_of(number, "entry", "entries")


def describe_kernels(kernels: Iterable[str], options: str, limit: int = 60) -> str:
    """Kernels and how they were compiled, in one column: "scale<float>, scale<int> (-DN=4)", cut where it is long."""
    names = ", ".join(kernels)
    cut = [text if len(text) <= limit else f"{text[: limit - 3]}..." for text in (names, options)]
    return f"{cut[0]} ({cut[1]})" if options else cut[0]


def plain(text: str) -> str:
    """Text for one line of a terminal: what does not print is escaped, because others can write to a cache."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str] = (),
    spare: Sequence[str] = (),
    margin: int = 0,
) -> list[str]:
    """The lines of a table with aligned columns, no wider than the terminal, or than COLUMNS says.

    Args:
        header: the names of the columns.
        rows: the cells.
        right: the columns, by name, that are aligned at their right; these are never cut.
        spare: those that are left out, one by one, where even what is cut does not fit.
        margin: how far the lines will be moved to the right.
    """
    room = line_width() - margin - _GAP * (len(header) - 1)
    cells = [list(header), *([plain(cell) for cell in row] for row in rows)]
    for name in spare:
        if sum(_needed(column, right) for column in zip(*cells, strict=True)) <= room:
            break
        gone = cells[0].index(name)
        cells = [[*row[:gone], *row[gone + 1 :]] for row in cells]
        room += _GAP
    header = cells[0]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cut = [number for number, name in enumerate(header) if name not in right and name not in _WHOLE]
    _narrow(widths, cut, room)
    aligns = [">" if name in right else "<" for name in header]
    return [
        "  ".join(
            f"{_shown(cell, width):{align}{width}}" for cell, align, width in zip(row, aligns, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def wrapped(line: str, margin: int = 0) -> list[str]:
    """A line of prose as lines that fit, `margin` columns from the left; a comment behind it gets lines of its own."""
    room = max(line_width() - margin, _LEAST)
    if len(line) <= room:
        return [line]
    text, mark, comment = line.partition("  # ")
    fill = partial(textwrap.wrap, width=room, break_long_words=False, break_on_hyphens=False)
    return [*fill(text, subsequent_indent="  "), *fill(comment, initial_indent=mark, subsequent_indent=mark)]


def line_width() -> int:
    """How wide a line may be: as COLUMNS says, or as the terminal is; very wide in a pipe."""
    return get_terminal_size().columns if wanted_columns() or sys.stdout.isatty() else MAX_COLUMNS


def _needed(column: Sequence[str], right: Collection[str]) -> int:
    """The least width of a column."""
    widest = max(map(len, column))
    return widest if column[0] in right or column[0] in _WHOLE else min(widest, _LEAST)


def _narrow(widths: list[int], cut: list[int], room: int) -> None:
    """Take from the widest of the columns that may be cut, until all fit."""
    while sum(widths) > room:
        widest = max(cut, key=lambda number: widths[number], default=None)
        if widest is None or widths[widest] <= _LEAST:
            return
        widths[widest] -= 1


def _shown(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 3]}..."
