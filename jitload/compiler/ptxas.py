"""What ptxas tells of kernels with `-v`, and where it is asked for it.

    ptxas info    : Compiling entry function 'spilled' for 'sm_90'
    ptxas info    : Function properties for spilled
    ptxas         .     1056 bytes stack frame, 1408 bytes spill stores, 1904 bytes spill loads
    ptxas info    : Used 64 registers, used 0 barriers, 1056 bytes cumulative stack size
    ptxas info    : Compile time = 105.103 ms

Everything but the spills stands in the cubin as well (images/resources.py). Asking for them must not change the image:
up to NVRTC 12.9 and sm_90 it does not (measured on 12.1, 12.6, 12.8 and 12.9, with and without -G, -lineinfo, -rdc=true
and -maxrregcount), so there every compile asks, and what ptxas says beyond that is left out of the log unless the user
asked too. From sm_100 on, and with NVRTC 13 everywhere, the options of ptxas stand in a note of the cubin: there only a
compile whose own options have `--ptxas-options=-v` knows them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.source.arch import capability

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.values import Toolchain

#: The option that makes ptxas tell, as canonical options have it.
VERBOSE = "--ptxas-options=-v"
_SPELLINGS = {VERBOSE, "--ptxas-options=--verbose"}
#: NVRTC of this major version leaves no trace of ptxas' options in cubins for less than this compute capability.
_PLAIN_MAJOR, _PLAIN_BELOW = "12", (10, 0)

_SPILLS = re.compile(
    r"Function properties for (?P<symbol>[\w$.]+)\n[^\n]*?"
    r"\d+ bytes stack frame, (?P<store>\d+) bytes spill stores, (?P<load>\d+) bytes spill loads"
)
_TIMES = re.compile(r"^ptxas info +: Compile time = [^\n]*\n?", re.MULTILINE)
# Remarks that ptxas makes unasked, such as "(C7510) Potential Performance Loss", begin otherwise.
_FIGURES = re.compile(
    r"^ptxas(?: info +: (?:\d+ bytes gmem|Compiling (?:entry )?function|Function properties for|Used \d+ registers|"
    r"Overriding (?:global maxrregcount|maximum register limit)|Compile time =)| +\. +\d+ bytes stack frame)[^\n]*\n?",
    re.MULTILINE,
)


def asks_for_figures(options: Iterable[str]) -> bool:
    """Whether these canonical options make ptxas tell."""
    return not _SPELLINGS.isdisjoint(options)


def tells_for_free(arch: str, toolchain: Toolchain) -> bool:
    """Whether ptxas can be asked without a trace of it in the cubin."""
    return toolchain.version.partition(".")[0] == _PLAIN_MAJOR and capability(arch)[:2] < _PLAIN_BELOW


def read_spills(log: str) -> dict[str, tuple[int, int]]:
    """Symbol -> bytes of spill stores and of spill loads, of the functions that a log tells of."""
    return {match["symbol"]: (int(match["store"]), int(match["load"])) for match in _SPILLS.finditer(log)}


def clean_log(log: str, options: Iterable[str]) -> str:
    """A log without what differs in every run and, where the user's options did not ask, without what ptxas told."""
    return (_TIMES if asks_for_figures(options) else _FIGURES).sub("", log)
