"""Results as Markdown, and as the tables of docs/performance.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from measure import in_words, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGIN = "<!-- figures: written by `python -m benchmarks --keep` -->"
END = "<!-- end of figures -->"


def markdown(results: dict[str, Any]) -> str:
    """Machine, a table for each part, and what was not measured."""
    return "\n".join(lines(results)) + "\n"


def lines(results: dict[str, Any]) -> Iterator[str]:
    machine = results["machine"]
    packages = {"jitload": machine["jitload"], **machine["packages"]}
    packages |= {name: version for name, version in machine["peers"].items() if version}
    yield (
        f"Measured {machine['date']} on {machine['processor']}, {machine['cores']} cores, load {machine['load']} "
        f"at the beginning; {machine['system']}, {machine['python']}; "
        + ", ".join(f"{name} {version}" for name, version in packages.items())
        + "."
    )
    yield ""
    for part in results["parts"]:
        if part["rows"]:
            yield f"### {part['asks']} (`--only {part['name']}`)"
            yield ""
            yield from table(part["rows"])
            yield ""
    absent = list(not_measured(results))
    if absent:
        yield "Not measured: " + "; ".join(absent) + "."


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| what | median | beside | budget | |"
    yield "|---|---|---|---|---|"
    for data in rows:
        figure, beside, budget, verdict = in_words(row_of(data))
        verdict = "**missed**" if verdict == "missed" else verdict
        last = ", ".join(filter(None, (verdict, data["note"])))
        yield (
            "| " + " | ".join(cell.replace("|", "\\|") for cell in (data["what"], figure, beside, budget, last)) + " |"
        )


def not_measured(results: dict[str, Any]) -> Iterator[str]:
    """Peers that are not installed, and parts that could not run."""
    for name, version in results["machine"]["peers"].items():
        if version is None:
            yield f"{name} (not installed)"
    for part in results["parts"]:
        if part["why_not"]:
            yield f"`{part['name']}` ({part['why_not']})"


def into_page(page: Path, results: dict[str, Any]) -> None:
    """Put the tables between the marks of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN!r} and {END!r} between which the figures go")
    page.write_text(f"{before}{BEGIN}\n\n{markdown(results)}\n{END}{after}")
