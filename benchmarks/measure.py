"""What every benchmark gives: rows of figures that were taken in turns, beside peers and a budget."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Seconds of one unit.
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a row may cost.

    Attributes:
        limit: in the unit of the row, or a ratio.
        over: what the ratio is to, one of the row's `beside`; "" for a figure of its own.
        least: the limit is the least that is wanted, not the most.
        more: what the figure may be over the limit times that of `over`, in the unit of the row.
    """

    limit: float
    over: str = ""
    least: bool = False
    more: float = 0.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure, and what the same costs others in the same rounds.

    Attributes:
        what: what was done.
        unit: one of UNITS, or "" for a plain number.
        figures: one of each round, in seconds where there is a unit.
        beside: what else was measured, of the same rounds.
        budget: what is asked for; None where nothing is.
        note: what has to be known to read it.
    """

    what: str
    unit: str
    figures: tuple[float, ...]
    beside: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    budget: Budget | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """In the unit."""
        return statistics.median(self.figures) / UNITS.get(self.unit, 1.0)

    @property
    def best(self) -> float:
        """The least, in the unit: other work on the machine only adds."""
        return min(self.figures) / UNITS.get(self.unit, 1.0)

    @property
    def spread(self) -> float:
        """Half of what lies between the quartiles, as a part of the median; 0 for a single figure."""
        if len(self.figures) < 2 or not self.median:
            return 0.0
        first, _, third = statistics.quantiles(self.figures, n=4, method="inclusive")
        return (third - first) / 2 / statistics.median(self.figures)

    def ratio(self, name: str) -> float:
        """Ours over `name`: the median of the rounds' own ratios."""
        return statistics.median(ours / theirs for ours, theirs in zip(self.figures, self.beside[name], strict=True))

    def met(self) -> bool | None:
        """Whether the budget is kept; None without one."""
        budget = self.budget
        if budget is None:
            return None
        if budget.more:
            figure = self.median
            limit = budget.limit * statistics.median(self.beside[budget.over]) / UNITS[self.unit] + budget.more
        else:
            figure, limit = (self.ratio(budget.over) if budget.over else self.median), budget.limit
        return figure >= limit if budget.least else figure <= limit

    def as_json(self) -> dict[str, Any]:
        """Everything, figures as they were taken, and what follows of them."""
        return {
            "what": self.what,
            "unit": self.unit,
            "figures": list(self.figures),
            "beside": {name: list(figures) for name, figures in self.beside.items()},
            "ratios": {name: self.ratio(name) for name in self.beside},
            "budget": None if self.budget is None else dataclasses.asdict(self.budget),
            "met": self.met(),
            "note": self.note,
        }


def row_of(data: Mapping[str, Any]) -> Row:
    """The row of what `as_json` gave."""
    return Row(
        data["what"],
        data["unit"],
        tuple(data["figures"]),
        {name: tuple(figures) for name, figures in data["beside"].items()},
        None if data["budget"] is None else Budget(**data["budget"]),
        data["note"],
    )


def taken(action: Callable[[], object], calls: int = 1) -> float:
    """Seconds for one of so many calls."""
    started = time.perf_counter()
    for _ in range(calls):
        action()
    return (time.perf_counter() - started) / calls


def turns(actions: Mapping[str, Callable[[], float]], rounds: int, *, first: int = 0) -> dict[str, tuple[float, ...]]:
    """What each action gives, in rounds in which all of them take turns; every other round backwards.

    A slow moment of the machine hits all of them so, and none is always the one that comes after another. The
    first `first` rounds are left out.
    """
    found: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(first + rounds):
        for name in list(actions)[:: -1 if number % 2 else 1]:
            found[name].append(actions[name]())
    return {name: tuple(figures[first:]) for name, figures in found.items()}


def in_words(row: Row) -> tuple[str, str, str, str]:
    """The figure with its spread, what it was measured beside, the budget, and the verdict."""
    spread = f" ±{row.spread:.0%}" if len(row.figures) > 1 else ""
    figure = f"{plain(row.median)} {row.unit}".strip() + spread
    scale = UNITS.get(row.unit, 1.0)
    beside = [
        f"{name} {plain(statistics.median(figures) / scale)} {row.unit}".rstrip() + f" (x{row.ratio(name):.2f})"
        for name, figures in row.beside.items()
    ]
    verdict = {None: "", True: "met", False: "missed"}[row.met()]
    return figure, ", ".join(beside), budget_in_words(row), verdict


def budget_in_words(row: Row) -> str:
    budget = row.budget
    if budget is None:
        return ""
    word = "at least" if budget.least else "at most"
    limit = plain(budget.limit)
    if not budget.over:
        return f"{word} {limit} {row.unit}".rstrip()
    more = f" + {plain(budget.more)} {row.unit}" if budget.more else ""
    return f"{word} x{limit} of {budget.over}{more}"


def plain(number: float) -> str:
    """Three digits that count."""
    if abs(number) >= 100 or number == int(number):
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def show(rows: Iterable[Row]) -> list[Row]:
    """Print rows as they come; gives them."""
    shown = []
    for row in rows:
        figure, beside, budget, verdict = in_words(row)
        print(f"{row.what:<58} {figure:>18}  {'; '.join(filter(None, (beside, budget, verdict, row.note)))}".rstrip())
        shown.append(row)
    return shown
