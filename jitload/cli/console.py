"""How every command talks: plain text, answers on stdout, complaints on stderr, and no traceback for a known failure.

Help and messages are never read as rich markup: C++ text is full of [ ], and a compiler's caret lines only mean
something when every column stays where it was.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from jitload.errors import CompileWarning, JitloadError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What was asked for could not be done; usage errors are 2, by the command-line parser.
EXIT_FAILED = 1


def new_app(**options: Any) -> typer.Typer:
    """A typer application in the plain style that all commands have."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **options,
    )


@contextmanager
def clean_failures() -> Iterator[None]:
    """Turn the failures that a user can do something about into a message on stderr and exit code 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of a pipe went away: the command-line parser ends quietly
    except (JitloadError, ValueError, CompileWarning) as error:
        typer.echo(f"jitload: {printable(str(error))}", err=True)
        raise typer.Exit(EXIT_FAILED) from None
    except OSError as error:
        typer.echo(f"jitload: {printable(describe_os_error(error))}", err=True)
        raise typer.Exit(EXIT_FAILED) from None


def describe_os_error(error: OSError) -> str:
    """An OSError in words, without its number: "saxpy.cu: No such file or directory"."""
    if error.strerror is None:
        return str(error)
    files = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' -> '.join(files)}: {error.strerror}" if files else error.strerror
