"""`jitload bundle push` and `pull`: bundles in registries of container images."""

from typing import TYPE_CHECKING, Annotated

import typer

from jitload.cli.bundle_arguments import EXIT_UNTRUSTED, AsJson, BundleFile, Out, Trust
from jitload.cli.console import Failed, clean_failures, failure_text, print_answer
from jitload.errors import TrustError
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.bundles import oci
else:
    oci = lazy("jitload.bundles.oci")

Reference = Annotated[
    str,
    typer.Argument(metavar="REFERENCE", help="oci://registry/repository:tag, or @sha256:...", show_default=False),
]
PlainHttp = Annotated[
    bool, typer.Option("--plain-http", help="Speak HTTP with a registry that is not on this machine.")
]


def push(
    bundle: BundleFile,
    reference: Reference,
    plain_http: PlainHttp = False,
    as_json: AsJson = False,
) -> None:
    """Put a bundle into a registry of container images.

    It becomes an image of one layer. Prints the reference with its digest, which `pull` takes for that bundle and no
    other. Credentials are those of the
    container tools (`docker login`): ~/.docker/config.json, or the directory in DOCKER_CONFIG.

    \b
    jitload bundle push app.jlb oci://registry.example/kernels/app:1.4
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    with clean_failures():
        pushed = oci.push_bundle(bundle, reference, plain_http=plain_http)
        print_answer({"bundle": str(bundle), "reference": pushed}, pushed, as_json=as_json)


def pull(
    reference: Reference,
    out: Out,
    trust: Trust = None,
    plain_http: PlainHttp = False,
    as_json: AsJson = False,
) -> None:
    """Get a bundle out of a registry of container images.

    Every byte is compared with its digest before the file is written. Signatures are verified when the bundle is used,
    and here too with --trust. Prints the reference with its digest.

    \b
    jitload bundle pull oci://registry.example/kernels/app@sha256:5f0c... -o app.jlb
    """  # noqa: D301 - as above
    with clean_failures():
        try:
            pulled = oci.pull_bundle(reference, out, trust=trust or "unsigned", plain_http=plain_http)
        except TrustError as error:
            typer.echo(f"jitload: {failure_text(error)}", err=True)
            raise Failed(error, EXIT_UNTRUSTED) from None
        print_answer({"bundle": str(out), "reference": pulled}, pulled, as_json=as_json)
