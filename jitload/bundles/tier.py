"""The bundle tier: which bundles are in force. They are asked before every directory.

A bundle that is refused, by its digests or by the trust policy, is an error of whoever asks for a kernel, each time: it
is never passed over, because what would be compiled in its place is not what was signed.
"""

from __future__ import annotations

import os
from contextlib import suppress

from jitload import config
from jitload.errors import BundleError, TrustError
from jitload.given import given_path
from jitload.lazy import lazy
from jitload.settings.scope import session_part
from jitload.trace import is_mistake, short_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.bundles import bundle as bundle_file
    from jitload.bundles import installed
    from jitload.bundles.bundle import Bundle
else:
    bundle_file = lazy("jitload.bundles.bundle")
    installed = lazy("jitload.bundles.installed")


__tracebackhide__ = is_mistake


class _Bundles:
    """The bundles of a session.

    Attributes:
        used: those of `use_bundle`, in order.
        configured: (bundles, trust) of settings -> what they name, opened: one file is opened and verified once.
        installed: trust of settings -> the bundles of installed packages, which must meet it.
        in_force: id of settings -> the settings, which keeps the id theirs, what is in force under them, and since
            which change of `used`. Threads may have other settings.
        change: another object after every change of `used`: what a thread found before one, and keeps after it, is not
            believed. A lock would do as well, but a child of fork() could find it held.
    """

    def __init__(self) -> None:
        self.used: list[Bundle] = []
        self.configured: dict[tuple[object, ...], tuple[Bundle, ...]] = {}
        self.installed: dict[tuple[str, ...], tuple[Bundle, ...]] = {}
        self.in_force: dict[int, tuple[config.Config, tuple[Bundle, ...], object]] = {}
        self.change = object()

    def note_change(self) -> None:
        """The list of `use_bundle` is another one now."""
        self.change = object()
        self.in_force.clear()


_MAX_REMEMBERED = 32


@short_errors
def use_bundle(path: str | os.PathLike[str], trust: Iterable[object] | str | None = None) -> Bundle:
    """Serve kernels from a bundle in this process, before any directory; several are asked in the order given.

    Args:
        path: the file.
        trust: as for `Bundle.open`: public keys, trust files, or "unsigned"; default: the setting `trust`.

    Returns:
        The open bundle; `stop_bundle` takes it out of use.

    Raises:
        BundleError: it is missing, damaged, truncated or altered.
        TrustError: it is not signed by a trusted key, or `strict` is set and it was to be taken unsigned.
    """
    bundle = bundle_file.Bundle.open(path, trust)
    if config.current().strict:
        try:
            _refuse_unsigned(bundle)
        except TrustError:
            bundle.close()
            raise
    bundles = session_part(_Bundles)
    bundles.used.append(bundle)
    bundles.note_change()
    return bundle


@short_errors
def stop_bundle(bundle: Bundle | str | os.PathLike[str]) -> None:
    """Take out of use what `use_bundle` has put in force; a launch that has its kernel keeps it.

    Who asks at this moment may still get an answer from it. Its file is closed when nobody holds the bundle any more,
    or by `bundle.close()`.

    Args:
        bundle: what `use_bundle` gave (stopping it again does nothing), or its path: then every bundle of that path.

    Raises:
        BundleError: no bundle of that path is in use; those that settings name go with the settings.
        UsageError: it is neither a bundle nor a path.
    """
    bundles = session_part(_Bundles)
    if isinstance(bundle, bundle_file.Bundle):
        stopped = [bundle]
    else:
        path = os.path.abspath(given_path("bundle (what use_bundle gave, or its path)", bundle))
        stopped = [used for used in bundles.used if used.path == path]
        if not stopped:
            others = ", ".join(used.path for used in bundles.used) or "none"
            raise BundleError(
                f"{path} is not in use by use_bundle(), which has put in force: {others}. Bundles of the setting "
                f"`bundles` (JITLOAD_BUNDLES) and of installed packages are in force while they are named or installed"
            )
    for used in stopped:
        with suppress(ValueError):  # another thread was first
            bundles.used.remove(used)
    bundles.note_change()


def bundles_in_force(settings: config.Config | None = None) -> tuple[Bundle, ...]:
    """Those of `use_bundle`, of the setting `bundles`, and of installed packages, in the order in which they are asked.

    Args:
        settings: `config.current()`, where the caller has it already.

    Raises:
        BundleError, TrustError: one of them is refused.
    """
    now = config.current() if settings is None else settings
    bundles = session_part(_Bundles)
    known = bundles.in_force.get(id(now))  # one object for as long as no setting changes
    if known is not None and known[2] is bundles.change:
        return known[1]
    change = bundles.change  # before `used` is read
    found = (*bundles.used, *_configured_bundles(now, bundles), *_installed_bundles(now.trust, bundles))
    if now.strict:
        for bundle in found:
            _refuse_unsigned(bundle)
    if len(bundles.in_force) >= _MAX_REMEMBERED:
        bundles.in_force.clear()
    bundles.in_force[id(now)] = (now, found, change)
    return found


def _refuse_unsigned(bundle: Bundle) -> None:
    """Nothing for a bundle that a trusted key has signed.

    Raises:
        TrustError: nobody was asked to vouch for it.
    """
    if not bundle.signers:
        raise TrustError(
            f"{bundle.path}: it was opened without asking for a signature, and in strict mode (JITLOAD_STRICT) every "
            f"bundle in force must be signed: name its key in trust= or JITLOAD_TRUST, or take it out of use"
        )


def _configured_bundles(settings: config.Config, bundles: _Bundles) -> tuple[Bundle, ...]:
    """Those of the setting `bundles`."""
    state = (settings.bundles, settings.trust)
    known = bundles.configured.get(state)
    if known is None:
        known = _open_all(settings.bundles, settings.trust)
        if len(bundles.configured) >= _MAX_REMEMBERED:
            bundles.configured.clear()
        bundles.configured[state] = known
    return known


def _open_all(paths: Iterable[str], trust: tuple[str, ...]) -> tuple[Bundle, ...]:
    return tuple([bundle_file.Bundle.open(path, trust) for path in paths])


def _installed_bundles(trust: tuple[str, ...], bundles: _Bundles) -> tuple[Bundle, ...]:
    """Those of installed packages, opened with the setting `trust`."""
    known = bundles.installed.get(trust)
    if known is None:
        if len(bundles.installed) >= _MAX_REMEMBERED:
            bundles.installed.clear()
        known = bundles.installed[trust] = installed.open_installed(trust)
    return known
