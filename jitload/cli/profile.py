"""`jitload profile`: run a Python script, and count what its kernels do on the CPU executor."""

import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

import jitload
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app
from jitload.cli.output import STDOUT, destination
from jitload.cli.script import expect_script, print_script_error
from jitload.cli.tables import line_width
from jitload.files.atomic import write_file
from jitload.jit.specialization import SOURCE_SUFFIXES

app = new_app()


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def profile_script(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A Python file.", show_default=False)],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGUMENTS", help="What the script is given.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Write JSON there, and no table.")
    ] = None,
) -> None:
    """Profile the kernels of a Python script, on the CPU executor.

    Prints, behind what the script prints: instructions by class, memory by space, and for every CUDA line threads per
    warp, sectors, bank conflicts and atomics. Launches of the script's main thread count; no GPU is needed or used.

    The exit code is the script's.

    \b
    jitload profile -o profile.json app.py --size 1024
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    with clean_failures():
        expect_script(script)
        if script.suffix in SOURCE_SUFFIXES:
            raise ValueError(f"{script} is CUDA C++: profile the Python file that launches it")
        if out is not None:
            if str(out) == STDOUT:
                raise ValueError("the script itself prints to stdout: write the name of a file behind -o")
            destination(str(out), "")  # refused now rather than when the script has run
            out = out.absolute()  # the script may go elsewhere
    everywhere = jitload.configure(device="cpu")  # in the threads of the script as well
    try:
        with jitload.cpu_profile() as profile:
            code = _run(script, arguments or [])
    finally:
        everywhere.__exit__(None, None, None)
    with clean_failures():
        if out is None:
            typer.echo(profile.table(line_width()))
        else:
            write_file(out, profile.to_json().encode())
    raise typer.Exit(code)


def _run(script: Path, arguments: list[str]) -> int:
    """The exit code of a script, as `python SCRIPT ...` would give it."""
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        typer.echo(end.code, err=True)
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the script's own, shown as Python shows it
        print_script_error(error, "__main__")
        return EXIT_FAILED
    return 0
