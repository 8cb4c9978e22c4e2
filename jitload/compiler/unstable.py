"""Names that differ from run to run, found in the bytes of an image.

What lies in an anonymous namespace, and what is static in a relocatable image, gets a name that no other program has.
NVRTC makes it of the program's name and, where the source has one, of an external symbol: the same in every run. Where
it has none, of a seed (`--frandom-seed`, which each compile here has, known since 12.9), else of the time and
the process id, so that the same source gives other bytes each time (seen with NVRTC 12.9):

    _GLOBAL__N__00000000_4_k_cu_z                   from the symbol `z`
    _GLOBAL__N__00000000_4_k_cu_00000007            from a seed
    _GLOBAL__N__00000000_4_k_cu_9c037531_112111     from process 11211, and the first digit of what follows ("1q")
    _INTERNAL_00000000_4_k_cu_2b1da09c_114121       the same with `-rdc=true`, for `static`
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.artifact import Artifact

# Itanium C++ ABI, <source-name>: a length before each name, so the end of this one is known to the byte.
_LENGTH_AND_NAME = re.compile(rb"([0-9]{2,4})((?:_GLOBAL__N_|_INTERNAL)_[0-9a-f]{8}_([0-9]{1,4})_)")
_OF_PROCESS = re.compile(rb"_[0-9a-f]{8}_[0-9]+\Z")


def unstable_name(data: bytes) -> str:
    """The first name in an image or a symbol that was made of a process id, "" where there is none.

    Args:
        data: PTX, a cubin, LTO-IR, a fatbin, or the lowered name of a kernel.
    """
    for found in _LENGTH_AND_NAME.finditer(data):
        # Digits that end a longer number ("_Z112" + "42...") make several readings of the length: all are tried.
        for start in range(len(found[1])):
            length = int(found[1][start:])
            name = data[found.start(2) : found.start(2) + length]
            rest = name[len(found[2]) + int(found[3]) :]
            if len(name) == length and _OF_PROCESS.match(rest):
                return name.decode("ascii", "replace")
    return ""


def why_unstable(artifact: Artifact) -> str:
    """Why an artifact's bytes differ from run to run, and what to write; "" where no such reason is known.

    Its kernels are asked as well as its image: a compressed image hides its names.
    """
    symbols = b"\n".join(kernel.symbol.encode("utf-8", "surrogateescape") for kernel in artifact.kernels.values())
    name = unstable_name(symbols) or unstable_name(artifact.data)
    if not name:
        return ""
    return (
        f"NVRTC has named what is the program's own after a process ({name}), so each compile gives other bytes: "
        "compile it again with NVRTC 12.9 or newer (JITLOAD_COMPILE=always), or add an external symbol to the source, "
        "`__device__ void anchor() {}`"
    )
