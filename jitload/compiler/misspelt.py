"""Compiler options that NVRTC or ptxas refuses: the nearest that there are, and the values that they take."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jitload.source.options import known_options, option_name
from jitload.source.refused import ptxas_options

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNKNOWN = re.compile(r"nvrtc: error: unrecognized option (\S+) found")
_UNKNOWN_TO_PTXAS = re.compile(r"ptxas fatal\s*: Unknown option '([^']*)'")
_VALUE = re.compile(r"nvrtc: error: invalid (?:value|argument) for (?:option )?(--[\w-]+)")
#: Where NVRTC refuses a value without a word about others.
_VALUES = {"--std": ("c++03", "c++11", "c++14", "c++17", "c++20"), "--dopt": ("on",)}
#: How alike two words must be, of 1.
_ALIKE = 0.7


def about_options(log: str, options: Iterable[str]) -> str | None:
    """What to write in the place of the option that a compiler refuses; None where it refuses none.

    Args:
        log: what it said.
        options: what it was given, in the canonical spelling.
    """
    unknown = _UNKNOWN.search(log)
    if unknown is not None:
        return _about_name(option_name(unknown[1]))
    of_ptxas = _UNKNOWN_TO_PTXAS.search(log)
    if of_ptxas is not None:
        near = nearest_option(of_ptxas[1], ptxas_options())
        return f"did you mean '--ptxas-options={near}'?" if near else None
    refused = _VALUE.search(log)
    values = _VALUES.get(refused[1], ()) if refused is not None else ()
    if refused is None or not values:
        return None
    given = next((option.partition("=")[2] for option in options if option_name(option) == refused[1]), "")
    near = next(iter(get_close_matches(given.lower(), values, 1)), None)
    meant = f": did you mean '{refused[1]}={near}'?" if near else ""
    return f"{refused[1]} takes {' or '.join([', '.join(values[:-1]), values[-1]]) if values[1:] else values[0]}{meant}"


def nearest_option(name: str, known: Iterable[str]) -> str | None:
    """The option that may be meant by one that there is not, whatever its dashes.

    Args:
        name: as it was written.
        known: those that there are; of several that differ in their dashes alone, the first.
    """
    spelled: dict[str, str] = {}
    for option in known:
        spelled.setdefault(_plain(option), option)
    near = get_close_matches(_plain(name), spelled, 1, cutoff=_ALIKE)
    return spelled[near[0]] if near else None


def _about_name(name: str) -> str:
    known = known_options()
    if name in known:
        return f"{name!r} is an option of other versions of NVRTC than the one in use"
    near = nearest_option(name, known)
    if near is not None:
        return f"NVRTC has no option {name!r}: did you mean {near!r}?"
    return f"NVRTC has no option {name!r}, nor one like it; its documentation lists them (Supported Compile Options)"


def _plain(option: str) -> str:
    return option.lstrip("-").replace("-", "_").lower()
