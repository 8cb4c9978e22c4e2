r"""Bundles that installed packages carry: entry-point group `jitload.bundles`, value "package:file.jlb".

    [project.entry-points."jitload.bundles"]
    ops = "ops.kernels:ops.jlb"

What stands behind the colon is a file in the directory of the package, or in its zip file; the package is not imported
for it (resource.py). The packages' metadata are read here line by line: `importlib.metadata` costs 20 ms, which a
process that only wants a kernel from the cache does not have.

A package may name a file that is not there: in a checkout that is installed with `pip install -e`, until its author has
built the bundle, which takes the package itself. Such a bundle serves nothing, and a warning says so; where only
bundles may answer, the kernel is refused as one that no bundle has.

Trust: who can put a package on the import path can run code in this process anyway, so its bundle need not be signed
unless the setting `trust` asks for signatures; then it must meet that like any other.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from jitload import log
from jitload.errors import BundleError, TrustError
from jitload.files.regular import read_regular
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

    from jitload.bundles import bundle, resource
    from jitload.bundles.bundle import Bundle
    from jitload.bundles.source import Source
else:
    bundle = lazy("jitload.bundles.bundle")
    resource = lazy("jitload.bundles.resource")
    zipfile = lazy("zipfile")

GROUP = "jitload.bundles"
#: The end of the path of a bundle that came with a package, behind "package:file.jlb".
INSTALLED = " (installed)"
_GROUP_BYTES = GROUP.encode()
_MAX_METADATA_BYTES = 1 << 20
_METADATA = (".dist-info", ".egg-info")


def open_installed(trust: tuple[str, ...]) -> tuple[Bundle, ...]:
    """The bundles of installed packages, by the name of their entry point.

    Args:
        trust: the setting: keys and trust files that they must meet; empty for none.

    Raises:
        BundleError: one is damaged, or its package cannot be found.
        TrustError: one is not signed as the setting `trust` demands.
    """
    found = []
    for name, value in sorted(installed_offers().items()):
        source = _source(name, value)
        if source is None:
            package, _, file = value.partition(":")
            log.warn_once(
                ("absent", name, value),
                f"the package {package} has no file {file}, the bundle that its entry point {name!r} of {GROUP} names: "
                f"build it, or put it in the wheel",
            )
        else:
            found.append(_opened(name, value, source, trust))
    return tuple(found)


def _opened(name: str, value: str, source: Source, trust: tuple[str, ...]) -> Bundle:
    try:
        return bundle.Bundle.from_source(source, trust or "unsigned")
    except TrustError as error:
        package = value.partition(":")[0]
        raise TrustError(
            f"{error}. It came with the installed package {package} (entry point {name!r}), and JITLOAD_TRUST (trust=) "
            f"holds for such bundles too: install a release that is signed so, or uninstall it"
        ) from None


def package_of(bundle_path: str) -> str:
    """The package that a bundle came with: "ops.kernels" of "ops.kernels:ops.jlb (installed)"; "" for a file."""
    package, _, rest = bundle_path.partition(":")
    return package if rest.endswith(INSTALLED) else ""


def installed_offers() -> dict[str, str]:
    """Entry point -> "package:file", for every package on the import path; the first of a name counts."""
    offers: dict[str, str] = {}
    for place in dict.fromkeys(sys.path):
        for text in _metadata(place):
            for name, value in _group_of(text):
                offers.setdefault(name, value)
    return offers


def _source(name: str, value: str) -> Source | None:
    package, _, file = value.partition(":")
    is_package = all(part.isidentifier() for part in package.split("."))
    if not is_package or not file or "/" in file or "\\" in file or file.startswith("."):
        raise BundleError(f"entry point {name!r} of {GROUP} is {value!r}, expected 'package:file.jlb'")
    try:
        return resource.open_resource(package, file, f"{value}{INSTALLED}")
    except BundleError as error:
        raise BundleError(f"entry point {name!r} of {GROUP} names {value!r}: {error}") from None


def _metadata(place: str) -> Iterator[str]:
    """The entry points of every package in one directory or zip file of the import path that speaks of our group."""
    try:
        names = os.listdir(place or ".")
    except NotADirectoryError:
        yield from _zipped_metadata(place)
        return
    except OSError:
        return
    for name in names:
        if name.endswith(_METADATA):
            with suppress(OSError, UnicodeDecodeError):  # many have none
                data = read_regular(f"{place or '.'}/{name}/entry_points.txt", _MAX_METADATA_BYTES)
                if _GROUP_BYTES in data:
                    yield data.decode()


def _zipped_metadata(place: str) -> Iterator[str]:
    if not os.path.isfile(place):
        return

    try:
        with zipfile.ZipFile(place) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".dist-info/entry_points.txt") and member.file_size < _MAX_METADATA_BYTES:
                    yield archive.read(member).decode("utf-8", "replace")
    except (OSError, zipfile.BadZipFile):
        return


def _group_of(text: str) -> Iterator[tuple[str, str]]:
    """The (name, value) pairs of our group in the text of an entry_points.txt, which is in INI form."""
    inside = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            inside = stripped == f"[{GROUP}]"
        elif inside and "=" in stripped and not stripped.startswith(("#", ";")):
            name, _, value = stripped.partition("=")
            yield name.strip(), value.strip().replace(" ", "")
