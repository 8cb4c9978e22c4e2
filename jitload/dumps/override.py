"""Overrides: an edited image in the place of the one that was compiled, for one process (`JITLOAD_OVERRIDE=DIR`).

DIR is what `JITLOAD_DUMP` has written (dump.py). An image in a folder there counts when it is not as it was written; an
edited PTX serves for a cubin too. It is kept in no cache and goes into no bundle, and is said once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from jitload import log
from jitload.artifact import Artifact
from jitload.digest import digest_factors, sha256_hex
from jitload.dumps.dump import ABOUT, folder_of, stem_of
from jitload.errors import LoadError, TrustError
from jitload.files.directory import Directory
from jitload.files.ownership import Refused
from jitload.format.entry import MAX_ENTRY_BYTES
from jitload.images.check import verify_image
from jitload.source.arch import virtual_arch
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_ABOUT_BYTES = 64 << 20


def overridden(artifact: Artifact, directory: str, *, strict: bool) -> Artifact:
    """The artifact with the image that somebody has put in the place of its own, else itself.

    Args:
        artifact: what was compiled, or came from a tier.
        directory: of the overrides.
        strict: whether only what is signed may run.

    Raises:
        LoadError: the edited image is not usable, or its folder is one that others may write to.
        TrustError: strict mode is on, and there is one.
    """
    found = _edited(artifact, directory)
    if found is None:
        return artifact
    kind, path, data = found
    if strict:
        raise TrustError(f"{path} would stand for {artifact.name}, and strict mode takes nothing that is not signed")
    try:
        verify_image(kind.value, data)
    except LoadError as error:
        raise LoadError(f"{path} cannot stand for {artifact.name}: {error}", kind=kind.value) from None
    log.warn_once(("override", path), f"{path} runs in the place of what was compiled of {artifact.name}")
    return Artifact(
        kind=kind,
        data=data.rstrip(b"\0") if kind is Kind.PTX else data,
        arch=virtual_arch(artifact.arch) if kind is Kind.PTX else artifact.arch,
        name=artifact.name,
        key=digest_factors([("override of", artifact.key.encode()), ("image", data)]),
        kernels=[kernel.replace(resources=None) for kernel in artifact.kernels.values()],
        toolchain=artifact.toolchain,
        log=artifact.log,
        compile_seconds=artifact.compile_seconds,
        variables=artifact.variables,
    )


def _edited(artifact: Artifact, directory: str) -> tuple[Kind, str, bytes] | None:
    """The kind, the path and the bytes of the image that was edited, or None."""
    if artifact.kind not in {Kind.PTX, Kind.CUBIN}:
        return None
    folder, stem = Directory(directory, read_only=True), f"{folder_of(artifact)}/{stem_of(artifact)}"
    written: Mapping[str, str] | None = None
    for kind in (Kind.CUBIN, Kind.PTX) if artifact.kind is Kind.CUBIN else (Kind.PTX,):
        name = f"{stem}.{kind}"
        try:
            data = folder.read(name, MAX_ENTRY_BYTES)
        except FileNotFoundError:
            continue
        except Refused as error:
            raise LoadError(f"{directory} is not used for overrides: {error.strerror}", kind=kind.value) from None
        except OSError as error:
            raise LoadError(f"{directory}/{name} cannot be read: {error.strerror}", kind=kind.value) from None
        if written is None:
            written = _digests(folder, folder_of(artifact))
        if written.get(Path(name).name) != sha256_hex(data) and data != artifact.data:
            return kind, f"{directory}/{name}", data
    return None


def _digests(folder: Directory, name: str) -> dict[str, str]:
    """SHA-256 by file name, as the dump has written it; nothing where that is not there."""
    try:
        about = json.loads(folder.read(f"{name}/{ABOUT}", _MAX_ABOUT_BYTES))
        return {str(file): str(digest) for file, digest in about["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
