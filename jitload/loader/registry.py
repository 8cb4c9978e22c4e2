"""The registry of loaders: a kind of bytes -> the function that makes a `Module` from them.

Dispatch goes by the kind's name alone and knows no format. A kind is looked up in three places, the first that has it
wins: what `register_loader` was told, what is built in, what installed packages offer (entry-point group
`jitload.loaders`). The environment has no say in it.

The keys are those of tvm-ffi's whole-module loader, `ffi.Module.load_from_bytes.<kind>` with the signature
`(bytes) -> Module` (apache/tvm-ffi, src/ffi/extra/library_module.cc, LoadModuleFromBytes).
"""

from __future__ import annotations

import functools
from time import perf_counter

from jitload import events, forks
from jitload.errors import LoaderNotFoundError, UsageTypeError, UsageValueError
from jitload.given import given_truth
from jitload.lazy import lazy
from jitload.loader.inputs import as_bytes, checked_kind
from jitload.loader.module import Module
from jitload.loader.specs import (
    BUILT_IN,
    ENTRY_POINT_GROUP,
    IMAGE_KINDS,
    RESERVED,
    built_in_spec,
    import_loader,
    installed_offers,
    only_offer,
)
from jitload.trace import is_mistake, short_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import overload

    from typing_extensions import Buffer, Self

    from jitload.loader import described
    from jitload.loader.module import Loader
    from jitload.loader.specs import Offer, Peer
    from jitload.values import Image
else:
    described = lazy("jitload.loader.described")

__tracebackhide__ = is_mistake

KEY_PREFIX = "ffi.Module.load_from_bytes."

# Guards the two tables below, for a few dictionary operations at a time; no loader and no import runs under it.
_lock = forks.ProcessLock()
_registrations: dict[str, tuple[Registration, ...]] = {}  # the last one of a kind is in force
_peer: Peer | None = None  # another registry of loaders in this process


class Registration:
    """One `register_loader` call. As a context manager it takes the loader back at exit."""

    __slots__ = ("kind", "loader")

    def __init__(self, kind: str, loader: Loader) -> None:
        self.kind = kind
        self.loader = loader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Blocks in different threads need not end in the order they began: take out this one, wherever it stands.
        with _lock.here:
            _keep(self.kind, tuple(entry for entry in _registrations.get(self.kind, ()) if entry is not self))
        _announce(self.kind)

    def __repr__(self) -> str:
        return f"<loader {self.loader!r} registered as {loader_key(self.kind)}>"


def loader_key(kind: str) -> str:
    """The registry key of a kind: `ffi.Module.load_from_bytes.<kind>`."""
    return f"{KEY_PREFIX}{kind}"


if TYPE_CHECKING:

    @overload
    def register_loader(kind: str, loader: Loader, *, override: bool = False) -> Registration: ...
    @overload
    def register_loader(kind: str, loader: None = None, *, override: bool = False) -> Callable[[Loader], Loader]: ...


@short_errors
def register_loader(kind: str, loader: Loader | None = None, *, override: bool = False) -> object:
    """Make `loader` the one that `load_module_from_bytes` calls for `kind`.

    `register_loader("echo", load_echo)` registers for the life of the process; the same call in a `with` statement
    registers for its block, and what was in force before comes back after it. Without a loader it is a decorator, which
    gives the function back unchanged.

    Args:
        kind: the name of the kind, e.g. "echo".
        loader: takes the bytes, gives a `Module`.
        override: replace the loader that the kind has.

    Returns:
        A context manager that restores what was there; a decorator where `loader` is left out.

    Raises:
        UsageTypeError: `kind` is not a string, or `loader` cannot be called.
        UsageValueError: the kind is empty, reserved, or has a loader and `override` is false. A loader that an
            installed package offers does not count: what a program says wins over what happens to be installed.
    """
    name = checked_kind(kind)
    given_truth("override", override)
    if loader is None:

        def decorate(function: Loader) -> Loader:
            _register(name, function, override)
            return function

        return decorate
    return _register(name, loader, override)


@short_errors
def unregister_loader(kind: str) -> None:
    """Forget what `register_loader` was told for a kind; a built-in or installed loader of that kind shows again.

    Args:
        kind: the name of the kind.

    Raises:
        LoaderNotFoundError: nothing was registered for the kind.
    """
    name = checked_kind(kind)
    with _lock.here:
        found = _registrations.pop(name, None)
    if found is not None:
        _announce(name)
        return
    built_in = " It is built in and stays." if name in BUILT_IN else ""
    raise LoaderNotFoundError(
        f"no loader was registered for kind {name!r} with jitload.register_loader.{built_in}",
        kind=name,
        key=loader_key(name),
    )


@short_errors
def registered_kinds() -> tuple[str, ...]:
    """Every kind that has a loader, sorted: registered, built in, offered by installed packages, or of a peer.

    No loader is imported, so a kind in the list may still fail to load where its runtime is missing. Raises nothing.

    Returns:
        The names, sorted.
    """
    peer = _peer
    return tuple(sorted({*own_kinds(), *(() if peer is None else peer.kinds())}))


def own_kinds() -> tuple[str, ...]:
    """The registered kinds without those of a peer."""
    offers = _scanned_offers()
    with _lock.here:
        return tuple(sorted({*_registrations, *BUILT_IN, *offers}))


@short_errors
def load_module_from_bytes(kind: str, data: Buffer) -> Module:
    """Make a module from bytes with the loader that is registered for their kind.

    Args:
        kind: what the bytes are: "cubin", "ptx", "fatbin", "ltoir", or a kind that somebody registered.
        data: any bytes-like object (`bytes`, `bytearray`, `memoryview`, `mmap`). The loader gets `bytes`.

    Returns:
        The module that the loader gave.

    Raises:
        UsageTypeError: `kind` is not a string, `data` is not bytes-like, or the loader returned no Module.
        LoaderNotFoundError: no loader is registered under `ffi.Module.load_from_bytes.<kind>`.
        LoadError: the loader is known by name only and cannot be imported.
        Exception: whatever the loader raises comes through as it is.
    """
    name = checked_kind(kind)
    image = data if type(data) is bytes else as_bytes(data)
    started = perf_counter()
    module = _load(name, image)
    if events.listeners:
        events.tell("load", kernel=", ".join(module.functions), kind=name, seconds=perf_counter() - started)
    return module


def _load(kind: str, image: bytes) -> Module:
    module = require_loader(kind)(image)
    if not isinstance(module, Module):
        raise UsageTypeError(f"the loader {loader_key(kind)} must return a jitload.Module, got {type(module).__name__}")
    return module


def load_artifact(artifact: Image) -> Module:
    """Load the image of an artifact; the module answers to its kernels' names, and knows their parameters.

    Raises:
        LoaderNotFoundError: no loader is registered for the artifact's kind.
        LoadError: the image cannot be loaded here.
    """
    started = perf_counter()
    module = _load(artifact.kind.value, artifact.data)
    module.attach_kernels(artifact.kernels.values())
    module.attach_variables(artifact.variables)
    if events.listeners:
        events.tell_of("load", artifact, seconds=perf_counter() - started)
    return module


def require_loader(kind: str) -> Loader:
    """The loader in force for a kind; where there is none of our own, that of a peer.

    Raises:
        LoaderNotFoundError: there is none.
        LoadError: it cannot be imported, or several installed packages offer one.
    """
    loader = find_loader(kind)
    peer = _peer
    if loader is None and peer is not None:
        loader = peer.find(kind)
    if loader is None:
        raise LoaderNotFoundError(_not_found_text(kind), kind=kind, key=loader_key(kind))
    return loader


def find_loader(kind: str) -> Loader | None:
    """The loader in force for a kind, imported if it was known by name only; None when there is none.

    Raises:
        LoadError: it cannot be imported, or several installed packages offer one.
    """
    registered = _registrations.get(kind)
    if registered is not None:
        return registered[-1].loader
    loader: Loader
    spec = built_in_spec(kind)
    if spec is not None:
        loader = import_loader(kind, spec, "jitload")
        if kind not in IMAGE_KINDS:
            return loader

        return described.with_descriptions(kind, loader)
    offers = _scanned_offers().get(kind)
    if offers is None:
        return None
    offer = only_offer(kind, offers)
    loader = import_loader(kind, offer.spec, offer.package)
    return loader


def peer() -> Peer | None:
    """The other registry that is looked in."""
    return _peer


def join_peer(peer: Peer) -> None:
    """Look also in another registry, and tell it what changes here."""
    global _peer
    _peer = peer


def leave_peer(peer: Peer) -> None:
    """Forget a peer that had joined."""
    global _peer
    if _peer is peer:
        _peer = None


def _register(kind: str, loader: Loader, override: bool) -> Registration:
    if not callable(loader):
        raise UsageTypeError(f"the loader for kind {kind!r} must be callable with bytes, got {type(loader).__name__}")
    if kind in RESERVED:
        raise UsageValueError(f"the kind {kind!r} has a meaning of its own in whole modules and cannot have a loader")
    registration = Registration(kind, loader)
    with _lock.here:
        before = _registrations.get(kind, ())
        if not override and (before or kind in BUILT_IN):
            what = f"is registered: {before[-1].loader!r}" if before else "is built in"
            raise UsageValueError(f"a loader for kind {kind!r} {what}. Pass override=True to replace it")
        _keep(kind, (*before, registration))
    _announce(kind)
    return registration


def _announce(kind: str) -> None:
    peer = _peer
    if peer is not None:
        peer.changed(kind)


def _keep(kind: str, registrations: tuple[Registration, ...]) -> None:
    """Store a kind's registrations; the caller holds the lock."""
    if registrations:
        _registrations[kind] = registrations
    else:
        _registrations.pop(kind, None)


@functools.cache  # reading a package's metadata takes milliseconds
def _scanned_offers() -> dict[str, tuple[Offer, ...]]:
    return installed_offers()


def _not_found_text(kind: str) -> str:
    # The first two sentences are tvm-ffi's own: tools and people search logs for them.
    return (
        f"Library binary was created using {kind} but a loader of that name is not registered. "
        f"Make sure to have runtime that registers {loader_key(kind)}. "
        f"Registered kinds: {', '.join(registered_kinds())}. "
        f"Register a loader with jitload.register_loader({kind!r}, loader), "
        f"or install a package that offers one in the entry-point group {ENTRY_POINT_GROUP!r}"
    )
