"""The bundle tier: which bundles are in force, and what they answer. Asked after memory, before every directory.

A bundle that is refused, by its digests or by the trust policy, is an error of whoever asks for a kernel, each time: it
is never passed over, because what would be compiled in its place is not what was signed.
"""

from __future__ import annotations

import os
from contextlib import suppress

from jitload import config, events, log
from jitload.compiler.manifest import check_variant
from jitload.errors import BundleError, TrustError
from jitload.tiers.stats import counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from jitload.artifact import Artifact
    from jitload.bundles.bundle import Bundle
    from jitload.bundles.choose import Verdict
    from jitload.compiler.request import CompileRequest
    from jitload.values import Kind

_used: list[Bundle] = []
# (bundles, trust) of settings -> what they name, opened: one file is opened and verified once per process.
_configured: dict[tuple[object, ...], tuple[Bundle, ...]] = {}
# trust of settings -> the bundles of installed packages, which must meet it.
_installed: dict[tuple[str, ...], tuple[Bundle, ...]] = {}
# id of settings -> the settings, which keeps the id theirs, what is in force under them, and since which change of
# `_used`. Threads may have other settings.
_in_force: dict[int, tuple[config.Config, tuple[Bundle, ...], object]] = {}
# Another object after every change of `_used`: what a thread found before one, and keeps after it, is not believed. A
# lock would do as well, but a child of fork() could find it held.
_change = object()
_MAX_REMEMBERED = 32


def use_bundle(path: str | os.PathLike[str], trust: Iterable[Any] | str | None = None) -> Bundle:
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
    from jitload.bundles.bundle import Bundle

    bundle = Bundle.open(path, trust)
    if config.current().strict:
        try:
            _refuse_unsigned(bundle)
        except TrustError:
            bundle.close()
            raise
    _used.append(bundle)
    _note_change()
    return bundle


def stop_bundle(bundle: Bundle | str | os.PathLike[str]) -> None:
    """Take out of use what `use_bundle` has put in force; a launch that has its kernel keeps it.

    Who asks at this moment may still get an answer from it. Its file is closed when nobody holds the bundle any more,
    or by `bundle.close()`.

    Args:
        bundle: what `use_bundle` gave (stopping it again does nothing), or its path: then every bundle of that path.

    Raises:
        BundleError: no bundle of that path is in use; those that settings name go with the settings.
    """
    if isinstance(bundle, (str, os.PathLike)):
        path = os.path.abspath(os.fspath(bundle))
        stopped = [used for used in _used if used.path == path]
        if not stopped:
            others = ", ".join(used.path for used in _used) or "none"
            raise BundleError(
                f"{path} is not in use by use_bundle(), which has put in force: {others}. Bundles of the setting "
                f"`bundles` (JITLOAD_BUNDLES) and of installed packages are in force while they are named or installed"
            )
    else:
        stopped = [bundle]
    for used in stopped:
        with suppress(ValueError):  # another thread was first
            _used.remove(used)
    _note_change()


def _note_change() -> None:
    global _change
    _change = object()
    _in_force.clear()


def bundles_in_force(settings: config.Config | None = None) -> tuple[Bundle, ...]:
    """Those of `use_bundle`, of the setting `bundles`, and of installed packages, in the order in which they are asked.

    Args:
        settings: `config.current()`, where the caller has it already.

    Raises:
        BundleError, TrustError: one of them is refused.
    """
    now = config.current() if settings is None else settings
    known = _in_force.get(id(now))  # one object for as long as no setting changes
    if known is not None and known[2] is _change:
        return known[1]
    change = _change  # before `_used` is read
    found = (*_used, *_configured_bundles(now), *_installed_bundles(now.trust))
    if now.strict:
        for bundle in found:
            _refuse_unsigned(bundle)
    if len(_in_force) >= _MAX_REMEMBERED:
        _in_force.clear()
    _in_force[id(now)] = (now, found, change)
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


def find_in(bundle: Bundle, request: CompileRequest, *, serve: bool = False) -> tuple[Artifact | None, str]:
    """The artifact of a request from one bundle, or None and why not.

    Args:
        bundle: where to look.
        request: what for.
        serve: count the hit, and keep the artifact in the bundle's own memory: what a cache has in memory under the
            same key may come from a directory, and would then stand in for what was signed.

    Raises:
        BundleError: the bundle is damaged.
    """
    reason = "absent"
    for variant, key in bundle.variants(request.digest):
        stale = check_variant(variant, request, (), skip_toolkit=True) if variant.files or variant.absent else None
        if stale is not None:
            reason = stale
            log.debug("stale in %s: %s: %s", bundle.path, request, stale)
            continue
        artifact = bundle.served.read(key)[0]
        tier = "bundle" if artifact is None else "memory"
        if artifact is None:
            artifact = bundle.take(request.digest, key)
        if serve:
            counters.count_hit(tier, artifact.compile_seconds)
            if events.listeners:
                events.tell_of("hit", artifact, tier=tier)
            bundle.served.put(artifact)
        return artifact, "hit"
    return None, reason


def choose_from(
    bundles: Iterable[Bundle], request: CompileRequest, device: str, kinds: Iterable[Kind], *, serve: bool = False
) -> tuple[Artifact | None, list[Verdict]]:
    """The best image that bundles have for a device, and what became of each other that they have.

    Args:
        bundles: where to look, in order.
        request: the request for the device's own arch.
        device: "sm_90", or "cpu" for the CPU executor.
        kinds: the kinds that will do.
        serve: as for `find_in`.

    Raises:
        BundleError: a bundle is damaged.
    """
    from jitload.bundles.choose import Verdict, judge_all

    wanted = {kind.value for kind in kinds}
    opened = list(bundles)
    targets = dict.fromkeys((kind, arch) for bundle in opened for kind, arch in bundle.manifest["targets"])
    verdicts: list[Verdict] = []
    chosen: Artifact | None = None
    for verdict in judge_all([target for target in targets if target[0] in wanted], device):
        if verdict.rank is None:
            verdicts.append(verdict)
            continue
        if chosen is not None:
            verdicts.append(Verdict(verdict.kind, verdict.arch, None, "a better one was found"))
            continue
        candidate = request.replace(kind=verdict.kind, arch=verdict.arch.split(","))
        reason = "absent"
        for bundle in opened:
            artifact, reason = find_in(bundle, candidate, serve=serve)
            if artifact is not None:
                chosen = artifact
                break
        if chosen is None:
            why = "this kernel is not in it" if reason == "absent" else reason
            verdicts.append(Verdict(verdict.kind, verdict.arch, None, why))
    return chosen, verdicts


def _configured_bundles(settings: config.Config) -> tuple[Bundle, ...]:
    """Those of the setting `bundles`."""
    state = (settings.bundles, settings.trust)
    known = _configured.get(state)
    if known is None:
        known = _open_all(settings.bundles, settings.trust)
        if len(_configured) >= _MAX_REMEMBERED:
            _configured.clear()
        _configured[state] = known
    return known


def _open_all(paths: Iterable[str], trust: tuple[str, ...]) -> tuple[Bundle, ...]:
    opened: list[Bundle] = []
    for path in paths:
        from jitload.bundles.bundle import Bundle

        opened.append(Bundle.open(path, trust))
    return tuple(opened)


def _installed_bundles(trust: tuple[str, ...]) -> tuple[Bundle, ...]:
    """Those of installed packages, opened with the setting `trust`."""
    known = _installed.get(trust)
    if known is None:
        from jitload.bundles.installed import open_installed

        if len(_installed) >= _MAX_REMEMBERED:
            _installed.clear()
        known = _installed[trust] = open_installed(trust)
    return known
