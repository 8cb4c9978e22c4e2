"""Loaders named by text: the built-in ones and those of installed packages, imported when first asked for.

A spec is the text of an entry point, "package.module:attribute". Nothing here imports a loader before a module of its
kind is wanted, so the registry works where CUDA, NVRTC or another vendor's runtime is missing.
"""

from __future__ import annotations

from importlib import import_module

from jitload.errors import LoadError
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib import metadata
    from typing import Any, Protocol

    from jitload.loader.module import Loader

    class Peer(Protocol):
        """Another registry of loaders in this process, as `jitload.interop.tvm_ffi` connects one."""

        def find(self, kind: str) -> Loader | None:
            """Its loader for a kind that has none here."""

        def kinds(self) -> tuple[str, ...]:
            """The kinds that it has loaders for, without those that it has from here."""

        def changed(self, kind: str) -> None:
            """A loader for this kind has come or gone here."""
else:
    metadata = lazy("importlib.metadata")


#: Where installed packages offer loaders; each entry point's name is the kind.
ENTRY_POINT_GROUP = "jitload.loaders"

#: Kind -> its loader where the device is "cuda", and where it is "cpu". The CPU executor runs PTX only; the machine
#: code kinds go to `jitload.cuda` everywhere, whose modules can be inspected and saved without a driver.
BUILT_IN = {
    "cubin": {"cuda": "jitload.cuda:load_cubin", "cpu": "jitload.cuda:load_cubin"},
    "fatbin": {"cuda": "jitload.cuda:load_fatbin", "cpu": "jitload.cuda:load_fatbin"},
    "library_bin": dict.fromkeys(("cuda", "cpu"), "jitload.loader.whole:load_whole_module"),
    "ltoir": {"cuda": "jitload.cuda:load_ltoir", "cpu": "jitload.cuda:load_ltoir"},
    "ptx": {"cuda": "jitload.cuda:load_ptx", "cpu": "jitload.cpu:load_ptx"},
}

#: The built-in kinds whose bytes are one image of kernels.
IMAGE_KINDS = frozenset({"cubin", "fatbin", "ltoir", "ptx"})

#: Which of the two is in force: by name as well, since it asks the driver, and loaders are below that.
DEVICE = "jitload.device:resolve_device"

#: Names that mean something else where kinds stand: in whole modules the library around the blob, and what TVM called
#: a whole module before tvm-ffi.
RESERVED = frozenset({"_lib", "_import_tree"})


class Offer:
    """A loader that an installed package offers, not imported yet."""

    __slots__ = ("package", "spec")

    def __init__(self, spec: str, package: str) -> None:
        self.spec = spec
        self.package = package

    def __str__(self) -> str:
        return f"{self.spec} of {self.package}"


def built_in_spec(kind: str) -> str | None:
    """The spec of a built-in kind on the device that this process uses, or None for another kind."""
    by_device = BUILT_IN.get(kind)
    if by_device is None:
        return None
    if by_device["cuda"] == by_device["cpu"]:  # then there is no need to ask for a GPU
        return by_device["cuda"]
    return by_device[import_loader(kind, DEVICE, "jitload")()]


def installed_offers() -> dict[str, tuple[Offer, ...]]:
    """Kind -> the loaders that the packages on `sys.path` offer for it, without importing any of them."""
    offers: dict[str, tuple[Offer, ...]] = {}
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        known = offers.get(entry.name, ())
        if all(offer.spec != entry.value for offer in known):
            package = entry.dist.name if entry.dist is not None else "an unknown package"
            offers[entry.name] = (*known, Offer(entry.value, package))
    return offers


def only_offer(kind: str, offers: tuple[Offer, ...]) -> Offer:
    """The one loader on offer.

    Raises:
        LoadError: packages disagree; which one is found first is an accident of `sys.path`, so neither is taken.
    """
    if len(offers) > 1:
        raise LoadError(
            f"several installed packages offer a loader for kind {kind!r}: {', '.join(map(str, offers))}. "
            f"Uninstall all but one, or choose with jitload.register_loader({kind!r}, loader)",
            kind=kind,
        )
    return offers[0]


def import_loader(kind: str, spec: str, origin: str) -> Any:
    """The object that a spec names.

    Args:
        kind: the kind it loads, for messages.
        spec: "package.module:attribute".
        origin: who declared the spec, for messages.

    Raises:
        LoadError: the spec cannot be imported, or names something that cannot be called.
    """
    module_name, _, attributes = (part.strip() for part in spec.partition(":"))
    try:
        found: Any = import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise LoadError(
            f"the loader for kind {kind!r}, {spec!r} of {origin}, cannot be imported: {error}", kind=kind
        ) from error
    if not callable(found):
        what = f"is of type {type(found).__name__} and cannot be called"
        raise LoadError(f"the loader for kind {kind!r}, {spec!r} of {origin}, {what}", kind=kind)
    return found
