"""`jitload report`: what a cache, a bundle, a workload or a profile holds, or two of them, as one page of HTML."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jitload.bundles.bundle import Bundle
from jitload.bundles.format import MAGIC
from jitload.cli.console import clean_failures, new_app
from jitload.cli.directory import opened_cache
from jitload.cli.output import page_destination
from jitload.errors import UsageValueError
from jitload.files.regular import open_regular
from jitload.lazy import lazy
from jitload.report.page import Page
from jitload.report.render import write_page
from jitload.workloads.workload import Workload

if TYPE_CHECKING:
    from jitload.report import bundle as bundle_pages
    from jitload.report import cache as cache_pages
    from jitload.report import compare, compare_profiles
    from jitload.report import profile as profile_pages
else:
    bundle_pages = lazy("jitload.report.bundle")
    cache_pages = lazy("jitload.report.cache")
    compare = lazy("jitload.report.compare")
    compare_profiles = lazy("jitload.report.compare_profiles")
    profile_pages = lazy("jitload.report.profile")

#: As the command-line parser has it for a command line that means nothing.
EXIT_USAGE = 2

app = new_app(invoke_without_command=True)

Out = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT", help="File to write, e.g. report.html.", show_default=False)
]


@app.callback()
def report(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="File to write about the user's cache.")
    ] = None,
) -> None:
    """Write a page about a cache, a bundle, a workload or a profile.

    It is one file of HTML that asks no network for anything, for light and dark screens and for phones. Without a
    command it is about the user's cache. It takes Jinja2: pip install 'jitload[report]'.

    \b
    jitload report -o cache.html
    jitload report bundle app.jlb --workload app.jlw -o coverage.html
    jitload report profile profile.json --source kernels -o profile.html
    jitload report compare old.jlb new.jlb -o change.html
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    if context.invoked_subcommand is not None:
        if out is not None:
            raise typer.BadParameter("write it behind the command", param_hint="-o")
    elif out is None:
        typer.echo(context.get_help())
        raise typer.Exit(EXIT_USAGE)
    else:
        cache(out)


@app.command()
def cache(
    out: Out,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="The cache directory. Default: JITLOAD_CACHE_DIR, or ~/.cache/jitload."
        ),
    ] = None,
) -> None:
    """What is in a cache: kernels by archs, hits and misses with their reasons, entries."""
    with clean_failures(), opened_cache(directory) as opened:
        _write(cache_pages.cache_page(opened), out)


@app.command()
def bundle(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle file.", show_default=False)],
    out: Out,
    workload: Annotated[
        list[Path] | None,
        typer.Option(
            "--workload", "-w", metavar="FILE", help="What it has to cover; repeatable. Default: what it carries."
        ),
    ] = None,
    driver: Annotated[
        int | None, typer.Option("--driver", metavar="N", help="Driver branch, e.g. 580: it must take the images, too.")
    ] = None,
) -> None:
    """What is in a bundle, and what each GPU gets of it. Digests are verified, signatures are not."""
    with clean_failures(), Bundle.open(file, trust="unsigned") as opened:
        asked = Workload().merged(*map(Workload.read, workload)) if workload else None
        _write(bundle_pages.bundle_page(opened, asked, driver), out)


@app.command()
def workload(
    file: Annotated[Path, typer.Argument(metavar="WORKLOAD", help="Workload file.", show_default=False)], out: Out
) -> None:
    """What an application asks for."""
    with clean_failures():
        _write(bundle_pages.workload_page(Workload.read(file), str(file)), out)


@app.command()
def profile(
    file: Annotated[
        Path, typer.Argument(metavar="PROFILE", help="What `jitload profile -o` wrote.", show_default=False)
    ],
    out: Out,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--source",
            metavar="PLACE",
            help="A source, or a directory with sources; repeatable. They are found there by their names. Default: the "
            "directory of PROFILE, and the current one.",
        ),
    ] = None,
) -> None:
    """What the CPU executor counted, over the source text: divergence, coalescing, bank conflicts by line."""
    with clean_failures():
        places = source or [file.parent, Path()]
        _write(profile_pages.profile_page(profile_pages.read_profile(file), str(file), places), out)


@app.command(name="compare")
def compare_two(
    before: Annotated[
        Path, typer.Argument(metavar="BEFORE", help="Cache directory, bundle, or profile.", show_default=False)
    ],
    after: Annotated[
        Path, typer.Argument(metavar="AFTER", help="Another; a profile beside a profile.", show_default=False)
    ],
    out: Out,
) -> None:
    """What one takes more of than another, or less: registers, spills, sizes, compile times, hit rates.

    Of two profiles: what the CPU executor counted in kernels of the same name.
    """
    with clean_failures():
        profiles = [_is_profile(path) for path in (before, after)]
        if all(profiles):
            old, new = (profile_pages.read_profile(path) for path in (before, after))
            page = compare_profiles.compare_profiles_page(old, new, (str(before), str(after)))
        elif any(profiles):
            raise UsageValueError(
                f"{before} and {after}: one of them is a profile, or none of what `report` takes; "
                f"compare caches and bundles with each other, and profiles with profiles"
            )
        else:
            page = compare.compare_page(_side(before), _side(after))
        _write(page, out)


def _is_profile(path: Path) -> bool:
    """Whether it is neither a directory nor a bundle."""
    if path.is_dir():
        return False
    with open_regular(path) as file:
        return file.read(len(MAGIC)) != MAGIC


def _side(path: Path) -> "compare.Side":
    if path.is_dir():
        with opened_cache(path) as opened:
            return compare.cache_side(opened)
    with Bundle.open(path, trust="unsigned") as bundle:
        return compare.bundle_side(bundle)


def _write(page: Page, out: Path) -> None:
    write_page(page, page_destination(str(out)).resolve())
    typer.echo(f"{out}: {len(page.parts)} part{'' if len(page.parts) == 1 else 's'}")
