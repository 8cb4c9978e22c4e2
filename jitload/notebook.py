"""Values as notebooks show them: small tables of HTML, in which every text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Rows of a table that are shown; beyond them it says how many there are.
MAX_ROWS = 60
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def shown(text: str) -> str:
    """Text in which what does not print (controls, marks that turn the direction) stands as its number, for people."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\u{{{ord(char):x}}}" for char in text)


def escaped(value: object) -> str:
    """A text for the inside of an element or of a quoted attribute."""
    return "".join(_ENTITIES.get(char, char) for char in shown(str(value)))


def html_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> str:
    """A table with a caption; texts are escaped here, and nowhere else.

    Args:
        title: the caption.
        header: the names of the columns; none are shown where there are none.
        rows: the cells; numbers stand at their right.
        note: a line below.
    """
    known = list(rows)
    lines = [f"<table><caption>{escaped(title)}</caption>"]
    if header:
        lines.append(f"<thead><tr>{''.join(f'<th>{escaped(name)}</th>' for name in header)}</tr></thead>")
    lines.append("<tbody>")
    lines += [f"<tr>{''.join(map(_cell, row))}</tr>" for row in known[:MAX_ROWS]]
    lines.append("</tbody></table>")
    more = [f"{len(known) - MAX_ROWS} more rows"] if len(known) > MAX_ROWS else []
    lines += [f"<p>{escaped(text)}</p>" for text in (*more, note) if text]
    return "".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td style="text-align:right">{escaped(f"{value:,.4g}")}</td>'
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td style="text-align:right">{value:,}</td>'
    return f'<td style="text-align:left"><pre style="margin:0">{escaped("" if value is None else value)}</pre></td>'
