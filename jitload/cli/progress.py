"""What a command shows while many requests are compiled: a bar on a terminal, a line each in a log."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from jitload.batch.report import describe_request
from jitload.cli.tables import plain
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich import console
    from rich import progress as bars

    from jitload.batch.precompile import Progress
    from jitload.source.request import CompileRequest
else:
    console = lazy("rich.console")
    bars = lazy("rich.progress")


@contextmanager
def shown_progress(*, lines_to_stderr: bool = False) -> Iterator[Progress]:
    """What to call for every request, as `jitload.precompile(progress=...)` does.

    Args:
        lines_to_stderr: where stdout is for something else.
    """
    if not sys.stderr.isatty():

        def line(done: int, total: int, request: CompileRequest, outcome: str) -> None:
            typer.echo(f"[{done}/{total}] {outcome}: {plain(describe_request(request))}", err=lines_to_stderr)

        yield line
        return

    # File names may have brackets in them: nothing here is read as markup.
    columns = (
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TextColumn("{task.description}", markup=False),
    )
    with bars.Progress(*columns, console=console.Console(stderr=True), transient=True) as bar:
        yield Bar(bar)


class Bar:
    """A bar that knows its count from the start, where it is told."""

    def __init__(self, shown: bars.Progress) -> None:
        self._shown = shown
        self._task = shown.add_task("", total=None)

    def expect(self, total: int) -> None:
        """What there will be to do."""
        self._shown.update(self._task, total=total)

    def __call__(self, done: int, total: int, request: CompileRequest, outcome: str) -> None:
        """One more is done."""
        text = plain(f"{outcome}: {request.name} {request.arch}")
        self._shown.update(self._task, completed=done, total=total, description=text)
