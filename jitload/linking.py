"""What a link is for when the caller left it open: from what was given to a `LinkRequest` with every choice made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.link_inputs import Collected
from jitload.cuda import driver
from jitload.errors import UsageTypeError, UsageValueError
from jitload.given import given_list
from jitload.source.arch import capability, parse_kind, virtual_arch
from jitload.source.link import LinkRequest
from jitload.source.link_options import machine_options
from jitload.source.request import CompileRequest
from jitload.target import default_target
from jitload.values import Kind

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypedDict

    from typing_extensions import Unpack

    from jitload.artifact import Artifact

    class UnitWishes(TypedDict, total=False):
        """How every source of a program is compiled."""

        options: str | Iterable[str]
        include_dirs: Iterable[str | os.PathLike[str]]
        headers: Mapping[str, str] | None
        defines: Mapping[str, object] | Iterable[str] | None
        host_headers: bool

    Make = Callable[[CompileRequest], Artifact]


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
    request.check()
    if collected.needed is not None and capability(request.arch)[0] != capability(collected.needed)[0]:
        raise UsageValueError(
            f"{collected.cubin} is a cubin for {collected.needed}, which cannot be linked for {request.arch}: compile "
            f"it for {request.arch}, or to LTO-IR or PTX, which can be linked for later ones"
        )
    return request


def units_of(
    source: object,
    sources: Iterable[str | os.PathLike[str]] | None,
    *,
    kind: str | None,
    arch: str | Iterable[str] | None,
    names: Iterable[str] = (),
    name: str | None = None,
    **wishes: Unpack[UnitWishes],
) -> list[CompileRequest]:
    """The requests of the sources of one program; the names are asked of the first, which has its templates.

    Args:
        source: None.
        sources: text (str) and files (os.PathLike).
        kind: of the program.
        arch: of the program.
        names: name expressions.
        name: of text among the sources; default: "kernel.cu".
        wishes: the other arguments of `CompileRequest`.

    Raises:
        UsageTypeError: there is neither a source nor a list of sources, or both.
        UsageValueError: the list is empty, or something that cannot be.
    """
    if source is not None:
        raise UsageTypeError("compile takes a source, or sources=[...], not both")
    if sources is None:
        raise UsageTypeError("compile takes a source: CUDA C++ text (str) or a file (os.PathLike)")
    listed = list(given_list("sources", sources))
    if not listed:
        raise UsageValueError("sources=[] names no source")
    wanted, archs = default_target(kind, arch)
    made: list[Any] = listed
    units: list[CompileRequest] = []
    for one in made:
        own = name if isinstance(one, str) else None  # a file has a name
        units.append(CompileRequest(one, kind=wanted, arch=archs, names=() if units else names, name=own, **wishes))
    return units


def linked_request(
    units: Sequence[CompileRequest], others: Iterable[object], make: Make, *, name: str | None = None
) -> LinkRequest:
    """The request for one program of several sources, which are compiled to LTO-IR for it: now, or before.

    Args:
        units: the sources, each with the kind, arch and options of the whole.
        others: what is linked with them, as for `jitload.link`.
        make: gives the artifact of a request.
        name: of the whole; default: the first unit's.

    Raises:
        UsageValueError: neither a cubin nor PTX is wanted, or an input that cannot be linked.
        CompileError: a unit does not compile.
    """
    whole = units[0]
    if whole.kind not in {Kind.CUBIN, Kind.PTX}:
        raise UsageValueError(f"several sources make kind 'cubin' or 'ptx', not {whole.kind.value!r}")
    real = virtual_arch(whole.arch).replace("compute_", "sm_")
    parts = [unit.replace(kind=Kind.LTOIR, arch=real, options=[*unit.options, "-rdc=true"]) for unit in units]
    return link_request(
        [*map(make, parts), *others],
        kind=whole.kind,
        arch=whole.arch,
        options=machine_options(whole.options),
        name=name or whole.name,
        device="",
        parts=parts,
    )


def _default_arch(collected: Collected, device: str) -> str | None:
    if collected.needed is not None:
        return collected.needed
    if device == "cuda":
        return driver.device_arch()
    return None if collected.highest is None else virtual_arch(collected.highest).replace("compute_", "sm_")
