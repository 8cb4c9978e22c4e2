"""The top of the command line: what commands there are, and which file each lives in."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import jitload
from jitload.cli.console import new_app

#: Command -> the module whose `app` it is, in the order of the help. A module is imported when its command is called;
#: an `app` with one command becomes that command, one with several becomes a group.
COMMANDS = {
    "compile": "jitload.cli.compile",
    "precompile": "jitload.cli.precompile",
    "cache": "jitload.cli.cache",
    "disasm": "jitload.cli.disasm",
    "profile": "jitload.cli.profile",
    "report": "jitload.cli.report",
    "record": "jitload.cli.record",
    "bundle": "jitload.cli.bundle",
    "check": "jitload.cli.check",
    "repro": "jitload.cli.repro",
    "doctor": "jitload.cli.doctor",
}


class LazyGroup(TyperGroup):
    """A group whose commands are imported one by one, when they are asked for."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        # The names alone, for "did you mean"; the commands themselves come from get_command.
        names: Any = dict.fromkeys(COMMANDS)
        self.commands = names

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the parser's signature
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command of that name, or None."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = typer.main.get_command(import_module(module).app)
        command.name = cmd_name
        return command


app = new_app(cls=LazyGroup, no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jitload {jitload.__version__}")
        raise typer.Exit


@app.callback()
def jitload_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Compile, cache and check CUDA C++ kernels.

    No GPU and no driver is needed to compile. Settings come from the JITLOAD_* variables; `jitload doctor` shows
    those in force and says what works on this machine.
    """
    del version  # done by its callback
