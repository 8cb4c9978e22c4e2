"""The page of two profiles beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.report.compare import changed
from jitload.report.page import Cell, Page, Table, cells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jitload.report.profile import Figures, KernelFigures

    Figure = tuple[str, Callable[[Figures], float], str]

#: What a profile counts: its name, the figure, its format. More of each is worse, but for threads.
_THREADS = "Threads per warp"
_FIGURES: tuple[Figure, ...] = (
    ("Instructions", lambda total: total.executed, ",.0f"),
    (_THREADS, lambda total: total.threads_per_warp, ".1f"),
    ("Divergent branches", lambda total: total.divergent, ",.0f"),
    ("Sectors per request", lambda total: total.sectors_per_request, ".2f"),
    ("Bank conflicts", lambda total: total.conflicts, ",.0f"),
    ("Atomics", lambda total: total.atomics, ",.0f"),
)


def compare_profiles_page(
    before: Sequence[KernelFigures], after: Sequence[KernelFigures], names: tuple[str, str]
) -> Page:
    """The page of two profiles: what was counted in the kernels of the same name.

    Args:
        before: as `read_profile` gives it.
        after: the other.
        names: their files, for people.
    """
    old = {kernel.name: kernel for kernel in before}
    new = {kernel.name: kernel for kernel in after}
    both = [name for name in old if name in new]
    facts = [("Before", names[0]), ("After", names[1])]
    facts += [
        (what, ", ".join(sorted(one.keys() - other.keys())))
        for what, one, other in (("Only before", old, new), ("Only after", new, old))
        if one.keys() - other.keys()
    ]
    return Page("Before and after", facts, [_figures(old[name], new[name]) for name in both])


def _figures(old: KernelFigures, new: KernelFigures) -> Table:
    rows = []
    for name, figure, form in _FIGURES:
        one, other = figure(old.total), figure(new.total)
        tone = changed(one, other, form, sign=-1 if name == _THREADS else 1)
        share = f"{(other - one) / one:+.1%}" if one and other != one else ""
        rows.append([Cell(name), *cells(format(one, form), format(other, form)), Cell(share, tone=tone.tone)])
    note = old.shapes if old.shapes == new.shapes else f"Before {old.shapes}; after {new.shapes}."
    return Table(old.name, ("Figure", "Before", "After", "Change"), rows, note)
