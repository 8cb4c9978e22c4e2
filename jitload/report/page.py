"""What a page shows, as plain values: the template (page.html) has a form for each part, and does no arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Cell(NamedTuple):
    """One cell.

    Attributes:
        text: what it says.
        share: how far it is filled, from 0 to 1; None for a cell without a bar.
        tone: "", "good", "fair" or "bad".
        note: what is shown when it is pointed at.
    """

    text: str
    share: float | None = None
    tone: str = ""
    note: str = ""


class Table(NamedTuple):
    """A table, whose first column stays in sight where it is wider than the screen.

    Attributes:
        title: its heading.
        header: the names of the columns.
        rows: the cells.
        note: a sentence below the heading.
        figures: whether all columns but the first are figures, which stand at their right.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    figures: bool = True
    form: str = "table"


class Line(NamedTuple):
    """A line of a source.

    Attributes:
        number: its number in the file.
        text: as it stands there.
        cells: a figure in each column; "" where there is none.
    """

    number: int
    text: str
    cells: Sequence[Cell]


class Source(NamedTuple):
    """Lines of a source with figures beside them: the fuller a cell, the more of that is in its line.

    Attributes:
        title: its heading.
        header: the names of the columns of figures.
        lines: the lines.
        note: a sentence below the heading.
    """

    title: str
    header: Sequence[str]
    lines: Sequence[Line]
    note: str = ""
    form: str = "source"


class Span(NamedTuple):
    """Something that took its time, in units of the drawing, whose width is 1000.

    Attributes:
        left: where it begins.
        width: how long it is.
        row: the row that it is in, from 0.
        text: what it is.
        tone: "", "good", "fair" or "bad".
    """

    left: float
    width: float
    row: int
    text: str
    tone: str = ""


class Timeline(NamedTuple):
    """Rows of spans over a time.

    Attributes:
        title: its heading.
        rows: the names of the rows.
        spans: what is drawn.
        ticks: (place, text) of the marks of time.
        note: a sentence below the heading.
    """

    title: str
    rows: Sequence[str]
    spans: Sequence[Span]
    ticks: Sequence[tuple[float, str]]
    note: str = ""
    form: str = "timeline"


class Column(NamedTuple):
    """A column of two parts, in units of the drawing, whose height is 100.

    Attributes:
        left: where it begins, of 1000.
        width: how wide it is.
        low: the height of the lower part.
        high: that of the part on it.
        text: what it stands for.
    """

    left: float
    width: float
    low: float
    high: float
    text: str


class Columns(NamedTuple):
    """Columns of two parts over days.

    Attributes:
        title: its heading.
        columns: what is drawn.
        names: of the lower and of the upper part.
        ends: what the first and the last column stand for.
        note: a sentence below the heading.
    """

    title: str
    columns: Sequence[Column]
    names: tuple[str, str]
    ends: tuple[str, str]
    note: str = ""
    form: str = "columns"


class Page(NamedTuple):
    """A page.

    Attributes:
        title: what it is about.
        facts: (name, value), shown at the top.
        parts: what follows.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    parts: Sequence[Table | Source | Timeline | Columns]


def filled(value: float, most: float, text: str | None = None, *, tone: str = "", note: str = "") -> Cell:
    """A figure with a bar for its share of the largest one."""
    share = min(1.0, max(0.0, value / most)) if most > 0 else 0.0
    return Cell(f"{value:,}" if text is None else text, share, tone, note)


def cells(*texts: object) -> list[Cell]:
    """Plain cells; None is an empty one."""
    return [Cell("" if text is None else str(text)) for text in texts]


def timeline(title: str, jobs: Iterable[tuple[str, float, float, str, str]], note: str = "") -> Timeline | None:
    """A drawing of jobs, or None where there are none.

    Args:
        title: its heading.
        jobs: row, begin and end (seconds), text and tone of each.
        note: a sentence below the heading.
    """
    known = sorted(jobs)
    if not known:
        return None
    first = min(begin for _, begin, _, _, _ in known)
    length = max(end for _, _, end, _, _ in known) - first or 1.0
    rows: list[str] = []
    ends: dict[int, float] = {}  # when each row of the drawing is free again
    spans = []
    own = 0
    for name, begin, end, text, tone in known:
        if name not in rows:
            own = len(rows)
        row = next((row for row in range(own, len(rows)) if ends[row] <= begin), len(rows))
        if row == len(rows):
            rows.append(name if row == own else "")  # what overlaps is drawn below
        ends[row] = end
        spans.append(Span((begin - first) / length * 1000, max(1.0, (end - begin) / length * 1000), row, text, tone))
    ticks = [(quarter * 250.0, f"{length * quarter / 4:.3g} s") for quarter in range(5)]
    return Timeline(title, rows, spans, ticks, note)
