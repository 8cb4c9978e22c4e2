"""What a link is for when the caller left it open: from what was given to a `LinkRequest` with every choice made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.link_inputs import Collected
from jitload.cuda import driver
from jitload.errors import UsageValueError
from jitload.source.arch import capability, parse_kind, virtual_arch
from jitload.source.link import LinkRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.source.request import CompileRequest
    from jitload.values import Kind


def link_request(
    inputs: object,
    *,
    kind: str | Kind,
    arch: str | Iterable[str] | None,
    options: str | Iterable[str],
    name: str | None,
    device: str,
    parts: Iterable[CompileRequest] = (),
) -> LinkRequest:
    """The request for a link, as `jitload.link` has it.

    Args:
        inputs: as for `jitload.link`.
        kind: as there.
        arch: as there.
        options: as there.
        name: as there.
        device: `resolve_device()`.
        parts: the requests of inputs that were compiled for it.

    Raises:
        UsageValueError, UsageTypeError, OSError: as `jitload.link`.
    """
    collected = Collected(inputs)
    wanted = parse_kind(kind)
    target = arch if arch is not None else _default_arch(collected, device)
    if target is None:
        raise UsageValueError(
            "a link needs an arch, and there is neither a GPU here nor an input that says one: write arch='sm_90'"
        )
    request = LinkRequest(collected.inputs, kind=wanted, arch=target, options=options, name=name, parts=parts)
    if collected.needed is not None and capability(request.arch)[0] != capability(collected.needed)[0]:
        raise UsageValueError(
            f"{collected.cubin} is a cubin for {collected.needed}, which cannot be linked for {request.arch}: compile "
            f"it for {request.arch}, or to LTO-IR or PTX, which can be linked for later ones"
        )
    return request


def _default_arch(collected: Collected, device: str) -> str | None:
    if collected.needed is not None:
        return collected.needed
    if device == "cuda":
        return driver.device_arch()
    return None if collected.highest is None else virtual_arch(collected.highest).replace("compute_", "sm_")
