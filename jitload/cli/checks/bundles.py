"""The bundles in force: one that is refused stops every kernel, so it has to be seen before the application starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import config
from jitload.bundles.choose import CPU, judge_all
from jitload.bundles.tier import bundles_in_force
from jitload.cli.checks.finding import missing, ok, problem
from jitload.cli.tables import JsonRow, format_count, plain
from jitload.cuda import driver
from jitload.device import resolve_device
from jitload.errors import BundleError, JitloadError, TrustError

if TYPE_CHECKING:
    from jitload.bundles.bundle import Bundle
    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample


def check_bundles(_sample: Sample) -> Finding:
    """Those of the settings and of installed packages: can be read, and are signed as the settings demand."""
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
        return ok("none in force", bundles=[], covers=False)
    device = _device()
    rows = [_row(bundle, device) for bundle in bundles]
    where = "the CPU executor" if device == CPU else device or "no device here"
    covers = any(row["runs_here"] for row in rows)
    return ok("\n".join(_line(row, where) for row in rows), bundles=rows, covers=covers)


def _device() -> str:
    """The device in force, as bundles know it; "" where there is none."""
    try:
        return CPU if resolve_device() == "cpu" else driver.device_arch()
    except JitloadError:
        return ""


def _row(bundle: Bundle, device: str) -> JsonRow:
    targets = [(kind, arch) for kind, arch in bundle.manifest["targets"]]
    verdicts = judge_all(targets, device) if device else []
    return {
        "path": bundle.path,
        "requests": len(bundle),
        "signers": list(bundle.signers),
        "programs": bundle.manifest.get("programs"),
        "targets": [f"{kind} {arch}" for kind, arch in targets],
        "runs_here": [f"{verdict.kind} {verdict.arch}" for verdict in verdicts if verdict.rank is not None],
    }


def _line(row: JsonRow, where: str) -> str:
    signed = ", ".join(map(plain, row["signers"])) or "nobody"
    text = f"{plain(row['path'])}: {format_count(row['requests'], 'request')}, signed by {signed}"
    if not row["targets"]:
        return text
    held = f"{text}; holds {', '.join(row['targets'])}"
    return f"{held}, of which {where} runs {', '.join(row['runs_here']) or 'nothing'}"
