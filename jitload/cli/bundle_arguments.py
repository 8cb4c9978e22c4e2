"""Arguments that several commands about bundles have, and how a bundle is opened for them."""

from pathlib import Path
from typing import Annotated

import typer

from jitload.bundles.bundle import Bundle
from jitload.cli.console import Failed, failure_text
from jitload.errors import TrustError

#: A signature, key or policy refuses a bundle.
EXIT_UNTRUSTED = 4

BundleFile = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle file.", show_default=False)]
Out = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="File to write.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="KEY",
        help="Trusted public key (ed25519:...), .pub file or trust file; repeatable. 'unsigned' asks for no signature. "
        "Default: JITLOAD_TRUST.",
    ),
]
BundleName = Annotated[
    str, typer.Option("--name", help="What the bundle is called, for trust files that ask for a serial.")
]
Serial = Annotated[
    int,
    typer.Option("--serial", min=0, metavar="N", help="A number that grows from one issue of the bundle to the next."),
]


def open_trusted(path: Path, trust: list[str] | None) -> Bundle:
    """Open a bundle under a policy; a refusal ends the command with its own exit code."""
    try:
        return Bundle.open(path, trust or None)
    except TrustError as error:
        typer.echo(f"jitload: {failure_text(error)}", err=True)
        raise Failed(error, EXIT_UNTRUSTED) from None
