"""A file in an installed package, found without running a line of that package.

`importlib.resources` imports the package, and `importlib.util.find_spec` the parents of a package in another: the first
look-up for a kernel would then run what nobody has imported. Here the finders of the import system are asked, part by
part, where each would come from.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from jitload.bundles.source import FileSource, MemorySource
from jitload.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec

    from jitload.bundles.source import Source


def open_resource(package: str, file: str, name: str) -> Source | None:
    """A file that lies in the directory of a package, or in its zip file; None where the package lacks it.

    Args:
        package: dotted name of the package, which need not be imported.
        file: name of the file, without a directory.
        name: what to call it in messages.

    Raises:
        BundleError: there is no such package, or the file cannot be opened.
    """
    loader, places = _find_package(package)
    for place in places:
        path = os.path.join(place, file)
        if os.path.lexists(path):  # what is no file there is refused, not absent
            return FileSource(path, name)
        read: Callable[[str], bytes] | None = getattr(loader, "get_data", None)
        if read is not None and not os.path.isdir(place):
            try:
                return MemorySource(read(path), name)  # a zip file, or what else a loader reads from
            except Exception as error:  # noqa: BLE001 - of a loader, which may be anybody's
                if not _is_absence(error):
                    raise BundleError(f"{path}: cannot read the bundle: {error}") from None
    return None


def _is_absence(error: Exception) -> bool:
    """Whether a loader has no such file: that of zip files says so by an error that has the number 0."""
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return missing or (isinstance(error, OSError) and error.errno == 0)


def _find_package(package: str) -> tuple[object, list[str]]:
    """The loader of a package, and where its files lie."""
    loader: object = None
    places: list[str] | None = None
    parts = package.split(".")
    for end, part in enumerate(parts, 1):
        name = ".".join(parts[:end])
        spec = _find_spec(name, places)
        loader = None if spec is None else spec.loader
        if spec is None:  # perhaps a namespace: directories alone
            places = [path for place in places or () if os.path.isdir(path := os.path.join(place, part))]
        else:
            # One that is imported already may have added to its path.
            places = list(getattr(sys.modules.get(name), "__path__", spec.submodule_search_locations or ()))
        if not places:
            raise BundleError(f"there is no package {name}: is it installed whole?")
    return loader, places or []


def _find_spec(name: str, places: list[str] | None) -> ModuleSpec | None:
    """What the import system would load under a name, without its parents being imported."""
    for finder in sys.meta_path:
        find: Callable[[str, list[str] | None], ModuleSpec | None] | None = getattr(finder, "find_spec", None)
        try:
            spec = None if find is None else find(name, places)
        except (ImportError, ValueError, KeyError):  # KeyError: a namespace, whose parent would have to be imported
            continue
        if spec is not None:
            return spec
    return None
