"""The day as a section of docs/performance.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gpu.check import NO_TIME, NOT_HERE, OUTCOMES, PASS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BEGIN, END = "<!-- gpu day: written by `python benchmarks/gpu_day.py --publish` -->", "<!-- end of gpu day -->"
#: A step with more checks than this shows those that did not simply pass.
MANY = 40
MOST_ROWS = 80
MOST_SEEN = 400


def section(day: dict[str, Any]) -> str:
    """The Markdown of one day's results: machine, steps, and what was seen."""
    parts = [f"## On a GPU: {day['machine']['card']} (`benchmarks/gpu_day.py`)", "", *_machine(day["machine"]), ""]
    if day["machine"]["model"]:
        parts += ["**Not a GPU: the checking driver of the tests. No figure here is one of hardware.**", ""]
    parts += _steps(day["steps"])
    for step in day["steps"]:
        parts += _seen(step)
    return "\n".join(parts) + "\n"


def _machine(machine: dict[str, Any]) -> Iterable[str]:
    release = f"driver {machine['driver']}, " if machine["driver"] else ""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    yield (
        f"Measured {machine['date']}: {machine['card']} ({machine['arch']}, {machine['multiprocessors']} "
        f"multiprocessors), {release}CUDA {machine['driver_cuda']}; {machine['system']}, Python {machine['python']}, "
        f"NVRTC {machine['nvrtc'] or 'not here'}; {packages}."
    )
    yield f"jitload {machine['jitload']}; {machine['launches']}."


def _steps(steps: list[dict[str, Any]]) -> Iterable[str]:
    yield f"| step | {' | '.join(OUTCOMES)} | s | |"
    yield f"|---|{'---|' * len(OUTCOMES)}---|---|"
    for step in steps:
        counts = [sum(result["outcome"] == outcome for result in step["results"]) for outcome in OUTCOMES]
        yield f"| {step['name']} | {' | '.join(map(str, counts))} | {step['seconds']:.0f} | {step['question']} |"
    yield ""


def _seen(step: dict[str, Any]) -> Iterable[str]:
    shown = shown_results(step["results"])
    if not step["results"]:
        return
    yield f"### {step['name']}"
    yield ""
    left_out = len(step["results"]) - len(shown)
    if shown:
        yield "| check | | seen |"
        yield "|---|---|---|"
        for result in shown[:MOST_ROWS]:
            yield f"| {_cell(result['name'])} | {result['outcome']} | {_cell(result['seen'])} |"
        yield ""
    if len(shown) > MOST_ROWS:
        yield f"{len(shown) - MOST_ROWS} more such rows are in results.json."
    if left_out:
        yield f"{left_out} checks passed without more to say."
    if len(shown) > MOST_ROWS or left_out:
        yield ""
    yield from _tables(step["results"])


def shown_results(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All of them; of many, those that did not simply pass, what failed first."""
    if len(results) <= MANY:
        return results
    notable = [result for result in results if result["outcome"] != PASS or result["seen"]]
    order = {NOT_HERE: 2, NO_TIME: 3, PASS: 1}
    return sorted(notable, key=lambda result: order.get(result["outcome"], 0))


def _tables(results: list[dict[str, Any]]) -> Iterable[str]:
    """The tables of the checks; those with the same head become one."""
    tables: dict[tuple[str, ...], list[list[Any]]] = {}
    for table in (result["figures"].get("table") for result in results):
        if table:
            tables.setdefault(tuple(table["head"]), []).extend(table["rows"])
    for head, rows in tables.items():
        yield f"| {' | '.join(map(_cell, head))} |"
        yield f"|{'---|' * len(head)}"
        yield from (f"| {' | '.join(map(_cell, row))} |" for row in rows)
        yield ""


def _cell(value: Any) -> str:
    text = re.sub(r"\s+", " ", str(value)).replace("|", "\\|").strip()
    return text if len(text) <= MOST_SEEN else text[: MOST_SEEN - 3] + "..."


def publish(day: dict[str, Any], page: Path) -> str:
    """Put the section of that card into a page, in the place of an older one of it; gives what was done.

    Raises:
        ValueError: the day was one of the checking driver, which has no figures.
    """
    if day["machine"]["model"]:
        raise ValueError("these are results of the checking driver: only those of a GPU go into the page")
    text, card = page.read_text(), day["machine"]["card"]
    begin = BEGIN.replace("gpu day", f"gpu day {card}")
    new = f"{begin}\n\n{section(day)}\n{END}\n"
    if begin in text:
        before, _, rest = text.partition(begin)
        page.write_text(before + new + rest.partition(f"{END}\n")[2])
        return f"{page}: the section of {card} is new"
    page.write_text(f"{text.rstrip()}\n\n{new}")
    return f"{page}: a section for {card} is added"
