"""`jitload watch`: compile a source each time it, or a header beside it, is saved."""

import time
from pathlib import Path
from typing import Annotated

import typer

from jitload.cli.compile import image_line, make_image
from jitload.cli.console import clean_failures, failure_text, new_app
from jitload.cli.inputs import SOURCES, refuse_directory
from jitload.cli.request import Archs, Defines, IncludeDirs, Names, Options, SourceFile, build_requests
from jitload.cli.resources import resource_lines
from jitload.errors import JitloadError
from jitload.source.request import CompileRequest
from jitload.target import NO_STAND_INS

#: What is looked at beside the source, and in the directories for #include.
SUFFIXES = (".cu", ".cuh", ".h", ".hpp", ".inl", ".cpp", ".cc", ".cxx")

app = new_app()


@app.command()
def watch(
    file: SourceFile,
    arch: Archs = None,
    include_dirs: IncludeDirs = None,
    defines: Defines = None,
    names: Names = None,
    options: Options = None,
    seconds: Annotated[float, typer.Option("--interval", min=0.05, metavar="SECONDS", help="How often to look.")] = 0.3,
) -> None:
    """Compile a file whenever it is saved.

    Shows errors, or what its kernels take of a multiprocessor. Headers beside the file and in the directories for
    #include count too. Ends with Ctrl-C.

    \b
    jitload watch saxpy.cu --arch sm_80,sm_90
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    with clean_failures():
        directories = [file.parent, *map(Path, include_dirs or ())]
        refuse_directory(file, SOURCES)
        if not file.is_file():
            raise FileNotFoundError(2, "no such file", str(file))

        def wanted() -> list[CompileRequest]:
            _, requests = build_requests(
                file, None, arch, include_dirs=include_dirs, defines=defines, names=names, options=options
            )
            return requests

        wanted()  # what no save can mend is said now
    seen: object = None
    while True:
        now = _stamps(file, directories)
        if now != seen:
            seen = now
            try:
                images = [make_image(request, None, NO_STAND_INS, resources=True) for request in wanted()]
            except (JitloadError, OSError) as error:
                typer.echo(f"{time.strftime('%H:%M:%S')} {failure_text(error)}")
            else:
                for image in images:
                    typer.echo(f"{time.strftime('%H:%M:%S')} {image_line(image, str(file))}")
                rows = [(one.artifact.name, one.options, one.resources or []) for one in images]
                if any(resources for _, _, resources in rows):
                    typer.echo("\n".join(resource_lines(rows)))
        time.sleep(seconds)


def _stamps(file: Path, directories: list[Path]) -> dict[str, tuple[int, int]]:
    """(time of the last change, size) of the file, and of every other that may count."""
    beside = [path for directory in directories if directory.is_dir() for path in directory.iterdir()]
    found = {}
    for path in (file, *(path for path in beside if path.suffix in SUFFIXES)):
        try:
            state = path.stat()
        except OSError:  # saved by way of another name, or gone
            continue
        found[str(path)] = (state.st_mtime_ns, state.st_size)
    return found
