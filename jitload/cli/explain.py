"""`jitload explain`: what the kernels that a Python file declares would get now, and why."""

import json
import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from jitload.cli.bundle_arguments import AsJson
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app
from jitload.cli.request import Archs
from jitload.cli.script import expect_script, told_apart
from jitload.cli.tables import JsonRow
from jitload.errors import ArgumentError, JitloadError
from jitload.jit import JitKernel
from jitload.jit.specialization import SOURCE_SUFFIXES

#: As of `jitload cache explain`: one of them would miss.
EXIT_MISS = 3

app = new_app()


@app.command()
def explain_script(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A Python file.", show_default=False)],
    kernels: Annotated[
        list[str] | None, typer.Option("--kernel", "-k", metavar="NAME", help="Only this kernel; repeatable.")
    ] = None,
    arch: Archs = None,
    as_json: AsJson = False,
) -> None:
    """Say what the kernels of a Python file would get now, and why.

    The file is imported, as a module and not as a program: what stands under `if __name__ == "__main__"` is not run.
    For each jit_kernel in it stands what `jitload cache explain` says of a CUDA file; of one that has a template
    argument without a default, that it has: such a kernel counts neither as a hit nor as a miss. Exits with 0 for
    hits alone, with 3 for a miss, and with 1 where something stood in the way of an answer.

    \b
    jitload explain app.py --kernel saxpy
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    with clean_failures():
        if script.suffix in SOURCE_SUFFIXES:
            raise ValueError(f"{script} is no Python file: write jitload cache explain {script}")
        found = _declared(script)
        for name in kernels or ():
            if name not in found:
                raise ValueError(f"{script} declares no kernel {name!r}: it has {', '.join(found) or 'none'}")
        chosen = {name: found[name] for name in kernels or found}
        if not chosen:
            raise ValueError(f"{script} declares no kernel: no jit_kernel is a variable of it")
        rows = {name: _explained(kernel, arch) for name, kernel in chosen.items()}
    if as_json:
        typer.echo(json.dumps([{"name": name, **row} for name, (row, _) in rows.items()], indent=2))
    else:
        typer.echo("\n\n".join(f"{name}: {text}" for name, (_, text) in rows.items()))
    if any(row.get("failed") for row, _ in rows.values()):
        raise typer.Exit(EXIT_FAILED)
    if not all(row.get("hit", True) for row, _ in rows.values()):
        raise typer.Exit(EXIT_MISS)


def _declared(script: Path) -> dict[str, JitKernel]:
    """The kernels among the variables of a Python file, each once. What it prints goes to stderr."""
    expect_script(script)
    sys.path.insert(0, str(script.resolve().parent))
    with told_apart(script, script.stem):
        names = runpy.run_path(str(script), run_name=script.stem)
    found: dict[str, JitKernel] = {}
    for value in names.values():
        if isinstance(value, JitKernel):
            found.setdefault(value.__name__, value)
    return found


def _explained(kernel: JitKernel, arch: list[str] | None) -> tuple[JsonRow, str]:
    """What is known of one: as JSON, and as text."""
    archs = [name for item in arch or () for name in item.split(",")]
    try:
        explanation = kernel.explain(arch=archs or None)
    except ArgumentError as error:  # a template argument that only a launch gives
        return {"error": str(error)}, str(error)
    except JitloadError as error:
        return {"error": str(error), "failed": True}, str(error)
    return explanation.to_json(), str(explanation)
