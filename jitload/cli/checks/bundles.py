"""The bundles in force: one that is refused stops every kernel, so it has to be seen before the application starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import config
from jitload.cli.checks.finding import missing, ok, problem
from jitload.cli.tables import format_count
from jitload.errors import BundleError, TrustError

if TYPE_CHECKING:
    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample


def check_bundles(_sample: Sample) -> Finding:
    """Those of the settings and of installed packages: can be read, and are signed as the settings demand."""
    from jitload.bundles.tier import bundles_in_force

    try:
        bundles = bundles_in_force()
    except TrustError as error:
        fix = "correct JITLOAD_TRUST, or take a bundle that a trusted key has signed; until then no kernel is had"
        return problem(str(error), fix)
    except BundleError as error:
        fix = "correct JITLOAD_BUNDLES, or copy the file again; until then no kernel is had"
        return problem(str(error), fix)
    if not bundles:
        if config.current().strict:
            return missing(
                "none in force, and in strict mode nothing else answers", "name signed bundles in JITLOAD_BUNDLES"
            )
        return ok("none in force", bundles=[])
    rows = [{"path": bundle.path, "requests": len(bundle), "signers": list(bundle.signers)} for bundle in bundles]
    found = [
        f"{bundle.path}: {format_count(len(bundle), 'request')}, signed by {', '.join(bundle.signers) or 'nobody'}"
        for bundle in bundles
    ]
    return ok("\n".join(found), bundles=rows)
