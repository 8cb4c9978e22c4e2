"""`jitload record`: run a program, and write down every kernel that it asks for."""

import json
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from jitload.cli.console import clean_failures, new_app
from jitload.cli.tables import format_count
from jitload.settings.environment import child_environment
from jitload.workloads.record import tidy
from jitload.workloads.workload import Workload

app = new_app()


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def record_program(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The program.", show_default=False)],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Workload file.", show_default=False)],
    as_json: Annotated[
        bool, typer.Option("--json", help="Report as JSON on stdout; what the program prints there goes to stderr.")
    ] = False,
) -> None:
    """Run a program and record every kernel it asks for.

    Sources, headers, options and targets go into a workload file, to be compiled and bundled elsewhere.

    The file is added to when it exists. The exit code is the program's. Its child processes are recorded too.

    \b
    jitload record -o app.jlw -- python app.py
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    path = out.absolute()
    with clean_failures():
        tidy(str(path))
        before = len(Workload.read(path).programs)
        # The program is what the user wrote behind `--`.
        done = subprocess.run(  # noqa: S603
            command, env=child_environment(JITLOAD_RECORD=str(path)), stdout=2 if as_json else None, check=False
        )
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        tidy(str(path))
        programs = Workload.read(path).programs
        new, requests = len(programs) - before, sum(len(program.targets) for program in programs)
        if as_json:
            counts = {"programs": len(programs), "new": new, "requests": requests}
            typer.echo(json.dumps({"workload": str(out), **counts, "exit_code": code}, indent=2))
        else:
            count = f"{format_count(len(programs), 'program')} ({new} new)"
            typer.echo(f"{out}: {count}, {format_count(requests, 'request')}", err=True)
    raise typer.Exit(code)
