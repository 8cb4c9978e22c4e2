"""The pages of a bundle and of a workload."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.report.coverage import image_coverage, workload_coverage
from jitload.report.kernels import artifact_rows, kernel_parts
from jitload.report.page import Cell, Page, Table, cells, filled
from jitload.report.units import as_bytes
from jitload.tiers.row import written_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jitload.bundles.bundle import Bundle
    from jitload.bundles.entry import Entry
    from jitload.workloads.workload import Workload

_IMAGES = ("Program", "Kind", "Arch", "Kernels", "Options", "Bytes", "Compiler")
_PROGRAMS = ("Program", "Names", "Macros and options", "Asked for", "Files", "Source, bytes")


def bundle_page(bundle: Bundle, workload: Workload | None = None, driver: int | None = None) -> Page:
    """The page of a bundle.

    Args:
        bundle: the bundle, every entry of which is read and verified.
        workload: what an application asks for; default: the workload that the bundle carries, if any.
        driver: branch of the driver that has to take the images, e.g. 580.

    Raises:
        BundleError: it is damaged.
    """
    entries = list(bundle.entries())
    asked = bundle.workload() if workload is None else workload
    rows = [row for entry in entries for row in artifact_rows(entry.artifact, written_options(entry.factors))]
    covered = [image_coverage(_images(entries))] if asked is None else [workload_coverage(asked, [bundle], driver)]
    parts = [*filter(None, covered), *kernel_parts(rows), _image_table(entries)]
    return Page("Bundle of kernels", _bundle_facts(bundle, len(entries)), parts)


def _images(entries: Iterable[Entry]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in entries:
        artifact = entry.artifact
        options = written_options({**entry.factors, "options": []})
        names = f"{artifact.name}: {', '.join(sorted(artifact.kernels)) or 'no kernels'}"
        found.setdefault(f"{names} {options}".strip(), []).append((artifact.kind.value, artifact.arch))
    return found


def _bundle_facts(bundle: Bundle, images: int) -> list[tuple[str, str]]:
    manifest = bundle.manifest
    signed = [signature.name or signature.key for signature in bundle.signatures]
    trusted = (
        f"; trusted here: {', '.join(bundle.signers)}" if bundle.signers else ", not verified here" if signed else ""
    )
    facts = [
        ("File", bundle.path),
        (
            "Holds",
            f"{images:,} images for {manifest['requests']:,} requests, {as_bytes(Path(bundle.path).stat().st_size)}",
        ),
        ("Name", f"{manifest.get('name') or 'none'}, serial {manifest.get('serial', 0)}"),
        ("Signed by", f"{', '.join(signed) or 'nobody'}{trusted}"),
        ("Compilers", ", ".join(f"{name} {version}" for name, version, _ in manifest["toolchains"])),
    ]
    return [*facts, ("Builder", manifest["builder"])] if manifest["builder"] else facts


def _image_table(entries: Sequence[Entry]) -> Table:
    artifacts = [(entry.artifact, written_options(entry.factors)) for entry in entries]
    largest = max([len(artifact.data) for artifact, _ in artifacts] or [0])
    rows = [
        [
            Cell(artifact.name, note=artifact.key),
            *cells(artifact.kind.value, artifact.arch, ", ".join(sorted(artifact.kernels)), options),
            filled(len(artifact.data), largest),
            Cell(str(artifact.toolchain)),
        ]
        for artifact, options in sorted(artifacts, key=lambda row: (row[0].name, row[1], row[0].kind, row[0].arch))
    ]
    return Table("Images", _IMAGES, rows, figures=False)


def workload_page(workload: Workload, path: str) -> Page:
    """The page of a workload: what an application asks for.

    Args:
        workload: the workload.
        path: its file, for people.
    """
    kinds = Counter(f"{kind} {arch}" for program in workload.programs for kind, arch, _ in program.targets)
    facts = [
        ("File", path),
        ("Programs", f"{len(workload.programs):,}"),
        ("Asks for", ", ".join(f"{count:,} of {what}" for what, count in sorted(kinds.items())) or "nothing"),
        ("Texts", f"{len(workload.texts):,}, {as_bytes(sum(map(len, workload.texts.values())))}"),
    ]
    rows = []
    for program in workload.programs:
        row = program.row
        named = {
            "defines": dict(row.get("defines", ())),
            "undefines": row.get("undefines", []),
            "options": row["options"],
        }
        targets = sorted({f"{kind} {arch} ({how})" for kind, arch, how in program.targets})
        files = sorted({path for _, path, *_ in row.get("files", ())})
        source = len(workload.texts.get(row.get("source", ""), ""))
        rows.append(
            [
                Cell(program.name),
                *cells(", ".join(row.get("names", ())), written_options(named), ", ".join(targets)),
                Cell(f"{len(files):,}", note=", ".join(files[:40])),
                Cell(f"{source:,}"),
            ]
        )
    note = "“chosen” is compiled as it stands; of “device” and “kind” every --arch is made."
    return Page("Workload", facts, [Table("Programs", _PROGRAMS, rows, note, figures=False)])
