"""Which images to make of one source for several archs and kinds.

kind     made for
cubin    each sm_*
ptx      each compute_*; each sm_* too where no compute_* is named, or ptx is the only kind
ltoir    each arch
fatbin   all archs together: one image
(none)   a cubin for each sm_*, PTX for each compute_*
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import UsageTypeError, UsageValueError
from jitload.source.arch import normalize_arch, parse_kind
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def parse_archs(archs: str | Iterable[str]) -> tuple[str, ...]:
    """Canonical arch names, each once, from names that may be lists with commas.

    Raises:
        UsageValueError: one is no arch.
    """
    return tuple(dict.fromkeys(map(normalize_arch, _items(archs))))


def parse_kinds(kinds: str | Iterable[str]) -> tuple[Kind, ...]:
    """Kinds, each once, from names that may be lists with commas.

    Raises:
        UsageValueError: one is no kind.
    """
    return tuple(dict.fromkeys(map(parse_kind, _items(kinds))))


def parse_choice(
    archs: str | Iterable[str] | None, kinds: str | Iterable[str] | None
) -> tuple[tuple[str, ...] | None, tuple[Kind, ...] | None]:
    """What a caller wants of all items, each None where it is left to them.

    Raises:
        UsageValueError: one is no arch or kind, or a list of them is empty.
    """
    names = None if archs is None else parse_archs(archs)
    wanted = None if kinds is None else parse_kinds(kinds)
    for what, found, example in (("archs", names, "sm_90"), ("kinds", wanted, "cubin")):
        if found is not None and not found:
            raise UsageValueError(f"{what} is empty: write e.g. {what}=[{example!r}], or leave it out")
    return names, wanted


def image_targets(archs: str | Iterable[str], kinds: str | Iterable[str] = ()) -> list[tuple[Kind, tuple[str, ...]]]:
    """Kind and archs of every image, by the table above.

    Args:
        archs: what to compile for.
        kinds: what to make.

    Raises:
        UsageValueError: no such arch or kind, a kind that none of the archs fits, or an arch that would be left out.
    """
    names, wanted = parse_archs(archs), parse_kinds(kinds)
    targets = [target for kind in wanted or (None,) for target in _targets_of(kind, names, alone=len(wanted) == 1)]
    made = {kind for kind, _ in targets}
    for kind in wanted:
        if kind not in made:
            raise UsageValueError(f"kind {kind.value!r} is for sm_* archs, and there is none among {', '.join(names)}")
    left_out = [name for name in names if not any(name in group for _, group in targets)]
    if left_out:
        listed = ", ".join(kind.value for kind in wanted)
        raise UsageValueError(
            f"kind {listed} makes nothing for {', '.join(left_out)}: add ptx or fatbin, or leave it out"
        )
    return targets


def fitting_targets(kind: str, archs: Iterable[str]) -> list[tuple[Kind, tuple[str, ...]]]:
    """The same for a kind that the application chose while the archs are another's choice: those that fit it."""
    return _targets_of(parse_kind(kind), tuple(archs), alone=False)


def _targets_of(kind: Kind | None, archs: tuple[str, ...], *, alone: bool) -> list[tuple[Kind, tuple[str, ...]]]:
    real = tuple(name for name in archs if name.startswith("sm_"))
    virtual = tuple(name for name in archs if not name.startswith("sm_"))
    if kind is None:
        return [(Kind.CUBIN if name in real else Kind.PTX, (name,)) for name in archs]
    if kind is Kind.FATBIN:
        return [(kind, archs)] if archs else []
    fitting = archs
    if kind is Kind.CUBIN:
        fitting = real
    elif kind is Kind.PTX and not alone:
        fitting = virtual or real
    return [(kind, (name,)) for name in fitting]


def _items(values: Any) -> list[str]:
    """The items of lists with commas; what is no text is for the caller to refuse."""
    if not hasattr(values, "__iter__") or hasattr(values, "keys"):
        raise UsageTypeError(f"archs and kinds are text like 'sm_80,sm_90' or lists of it, got {type(values).__name__}")
    given = [values] if isinstance(values, str) else list(values)
    return [part for item in given for part in (map(str.strip, item.split(",")) if isinstance(item, str) else [item])]
