"""Results as a picture: how much of its budget each row takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from measure import UNITS, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Row


def shares(results: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Each row with a budget, and its figure as a part of that: 1 is all of it, less is better."""
    for part in results["parts"]:
        for data in part["rows"]:
            share = share_of(row_of(data))
            if share:
                yield data["what"], share


def share_of(row: Row) -> float | None:
    """None where there is no budget."""
    budget = row.budget
    if budget is None:
        return None
    if budget.more:
        limit = budget.limit * row.median / row.ratio(budget.over) + budget.more
        return row.median / limit
    figure = row.ratio(budget.over) if budget.over else row.median
    if budget.least:
        return budget.limit / figure
    return figure / budget.limit if row.unit in UNITS or budget.limit else None


def draw(results: dict[str, Any], path: str) -> None:
    """A PNG, one bar for each row; a row over its budget goes past the line.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = list(shares(results))[::-1]
    figure, axes = plt.subplots(figsize=(10, 1 + 0.28 * len(rows)))
    colours = ["#3b7a57" if share <= 1 else "#b3432b" for _, share in rows]
    axes.barh([what for what, _ in rows], [share for _, share in rows], color=colours)
    axes.set_xscale("log")
    axes.axvline(1, color="#444444", linewidth=1)
    axes.set_xlabel("part of the budget that is taken; 1 is all of it")
    machine = results["machine"]
    axes.set_title(f"jitload {machine['jitload']}, {machine['date']}, {machine['processor']}", fontsize=9)
    axes.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
