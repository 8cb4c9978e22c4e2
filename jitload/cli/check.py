"""`jitload check`: does a bundle cover a workload on a GPU? The exit code says it, for CI and for health probes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from jitload.bundles.check import check_coverage
from jitload.cli.bundle_arguments import AsJson, Trust, open_trusted
from jitload.cli.console import clean_failures, new_app
from jitload.cli.tables import format_count, plain
from jitload.workloads.workload import Workload

#: Something that the workload asks for is in no bundle.
EXIT_MISSING = 3

app = new_app()


@app.command()
def check_workload(
    workload: Annotated[
        list[Path], typer.Option("--workload", "-w", metavar="FILE", help="Workload; repeatable.", show_default=False)
    ],
    bundle: Annotated[
        list[Path], typer.Option("--bundle", "-b", metavar="FILE", help="Bundle; repeatable.", show_default=False)
    ],
    gpu: Annotated[
        str,
        typer.Option(
            "--gpu", metavar="ARCH", help="The arch of the GPU: sm_90 for an H100, ...; or cpu, the CPU executor."
        ),
    ],
    driver: Annotated[
        int | None, typer.Option("--driver", metavar="N", help="Driver branch, e.g. 580: it must take the images, too.")
    ] = None,
    trust: Trust = None,
    as_json: AsJson = False,
) -> None:
    """Say whether bundles cover a workload on a GPU.

    It is found out by the very rules of a look-up.

    Exit codes: 0 covered, 3 something is missing (it is listed), 4 a bundle is not trusted. No GPU is needed.
    """
    with clean_failures():
        wanted = Workload().merged(*map(Workload.read, workload))
        opened = [open_trusted(path, trust) for path in bundle]
        found = check_coverage(wanted, opened, gpu, driver)
        missing = [row for row in found if not row.covered]
        if as_json:
            rows = [row.to_json() for row in found]
            typer.echo(json.dumps({"gpu": gpu, "driver": driver, "covered": not missing, "requests": rows}, indent=2))
        else:
            for row in missing:
                typer.echo(plain(str(row)))
            state = (
                f"{len(missing)} of {len(found)} missing"
                if missing
                else f"covered ({format_count(len(found), 'request')})"
            )
            typer.echo(f"{gpu}{f' with driver {driver}' if driver else ''}: {state}")
    if missing:
        raise typer.Exit(EXIT_MISSING)
