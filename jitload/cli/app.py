"""The top of the command line: what commands there are, and which file each lives in."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import Annotated

import typer
from typer.core import TyperGroup

import jitload
from jitload.cli.console import Failed, Parsed, UsageMistake, has_image, new_app, print_failure, wants_json

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
    "explain": "jitload.cli.explain",
    "init": "jitload.cli.init",
    "watch": "jitload.cli.watch",
    "completion": "jitload.cli.completion",
}


@contextmanager
def _telling(to_stderr: bool) -> Iterator[None]:
    """What goes wrong is told as JSON too."""
    try:
        yield
    except Failed as failed:
        print_failure(failed.error, failed.exit_code, to_stderr=to_stderr)
        raise
    except UsageMistake as error:
        print_failure(error, error.exit_code, to_stderr=to_stderr)
        raise


def _teller(arguments: list[str]) -> Callable[[], AbstractContextManager[None]]:
    """What to run a command in that was called like this."""
    return partial(_telling, has_image(arguments)) if wants_json(arguments) else nullcontext


class LazyGroup(TyperGroup):
    """A group whose commands are imported one by one, when they are asked for."""

    def __init__(self, **attrs: Parsed) -> None:
        super().__init__(**attrs)
        # The names alone, for "did you mean"; the commands themselves come from get_command.
        names: Parsed = dict.fromkeys(COMMANDS)
        self.commands = names

    def make_context(self, info_name: str | None, args: list[str], *rest: Parsed, **extra: Parsed) -> Parsed:
        """The context of a call, which knows how what goes wrong is told."""
        tell = _teller(args)
        with tell():
            context = super().make_context(info_name, args, *rest, **extra)
        context.obj = tell
        return context

    def invoke(self, ctx: Parsed) -> Parsed:
        """Run the command; where it is answered in JSON, so is what goes wrong."""
        with ctx.obj():
            return super().invoke(ctx)

    def list_commands(self, ctx: Parsed) -> list[str]:  # noqa: ARG002 - the parser's signature
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Parsed, cmd_name: str) -> Parsed:  # noqa: ARG002
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
