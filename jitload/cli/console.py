"""How every command talks: plain text, answers on stdout, complaints on stderr, and no traceback for a known failure.

Help and messages are never read as rich markup: C++ text is full of [ ], and a compiler's caret lines only mean
something when every column stays where it was.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import contextmanager, suppress
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import typer

from jitload.cli.words import on_command_line
from jitload.errors import CompileError, CompileWarning, JitloadError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What the parser of the command line has and takes, whose types differ by its version.
Parsed: TypeAlias = Any
#: What was asked for could not be done; usage errors are 2, by the command-line parser.
EXIT_FAILED = 1
#: What the parser raises for a command line that means nothing.
UsageMistake: Parsed = typer.BadParameter.__base__
#: Commands that run programs of others.
_RUNNERS = ("profile", "record")


def new_app(**options: Parsed) -> typer.Typer:
    """A typer application in the plain style that all commands have."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **options,
    )


class Failed(typer.Exit):
    """The end of a command that could not do what was asked for, which stderr has been told."""

    def __init__(self, error: Exception, code: int = EXIT_FAILED) -> None:
        super().__init__(code)
        self.error = error


def wants_json(arguments: list[str]) -> bool:
    """Whether a command line asks for JSON; what stands behind the script of another program is not ours."""
    if arguments and arguments[0] in _RUNNERS:
        ours = list(takewhile(lambda part: part.startswith("-") and part != "--", _without_values(arguments[1:])))
    else:
        ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in ours


def _without_values(arguments: list[str]) -> list[str]:
    """Arguments without the names of files to write, which follow their option."""
    return [part for before, part in pairwise(["", *arguments]) if before not in {"-o", "--output"}]


def has_image(arguments: list[str]) -> bool:
    """Whether a command line sends what it makes to stdout: what else there is to say goes to stderr then."""
    apart = [("-o", "-"), ("--output", "-")]
    return not {"-o-", "--output=-"}.isdisjoint(arguments) or any(pair in apart for pair in pairwise(arguments))


def print_failure(error: Exception, code: int, *, to_stderr: bool = False) -> None:
    """One object that says what went wrong: its type, its text, and for a compile what the compiler said."""
    told: dict[str, object] = {"type": type(error).__name__, "message": failure_text(error)}
    if isinstance(error, CompileError):
        told |= {"file": error.file, "line": error.line}
        said = [{name: getattr(one, name) for name in one.__slots__} for one in error.diagnostics]
        told["diagnostics"] = said
    with suppress(OSError):  # stdout may be what failed, and stderr was told
        typer.echo(json.dumps({"error": told, "exit_code": code}, indent=2), err=to_stderr)


def print_answer(document: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """What a command has to say: as one object, or as text for people."""
    typer.echo(json.dumps(document, indent=2) if as_json else text)


def failure_text(error: Exception) -> str:
    """An error as it is told on a terminal."""
    if isinstance(error, UsageMistake):
        return str(error.format_message())
    if isinstance(error, OSError):
        return printable(describe_os_error(error))
    return printable(on_command_line(str(error)) if isinstance(error, JitloadError) else str(error))


@contextmanager
def clean_failures() -> Iterator[None]:
    """Turn the failures that a user can do something about into a message on stderr and exit code 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of a pipe went away: the command-line parser ends quietly
    except (JitloadError, ValueError, CompileWarning, OSError) as error:
        typer.echo(f"jitload: {failure_text(error)}", err=True)
        raise Failed(error) from None


def end_with(error: OSError) -> NoReturn:
    """End the process where stdout or stderr cannot be written: the disk that it goes to is full."""
    with suppress(OSError):
        typer.echo(f"jitload: {failure_text(error)}", err=True)
    sys.stdout = sys.stderr = None  # what they hold is lost, and is not tried again at the end
    sys.exit(EXIT_FAILED)


def describe_os_error(error: OSError) -> str:
    """An OSError in words, without its number: "saxpy.cu: No such file or directory"."""
    if error.strerror is None:
        return str(error)
    files = [str(name) for name in (error.filename, error.filename2) if name is not None]
    said = error.strerror
    if len(files) == 1 and said == os.strerror(errno.EISDIR):  # the system's words say no more
        said = "is a directory: write the name of a file in it"
    return f"{' -> '.join(files)}: {said}" if files else said
