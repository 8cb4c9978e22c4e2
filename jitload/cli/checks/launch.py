"""How kernels are launched on a GPU: by native code, or in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import config
from jitload.cli.checks.finding import missing, ok
from jitload.launch import native

if TYPE_CHECKING:
    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample


def check_launch(_sample: Sample) -> Finding:
    """Which road launches take, and why not the short one."""
    build = native.build()
    if build.module is None:
        return missing(f"pure Python: {build.found}", f"nothing, if that is fast enough; {build.fix}", native=False)
    if not config.current().native:
        return ok(f"pure Python, since JITLOAD_NATIVE is 0; {build.found}", native=False)
    return ok(build.found, native=True, file=build.module.__file__)
