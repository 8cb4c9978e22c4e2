"""Machine code that is kept from one process to the next: in this user's own directory, sealed (`tiers/own.py`).

Its key is made of all that decides of it: the PTX, the kernel, what makes it, the processor. No address of a process is
in it: those of variables come from a table that each launch fills.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import jitload
from jitload import log
from jitload.cpu.native.frame import Meet
from jitload.cpu.native.kernel import ErrandPlace, NativeKernel
from jitload.cpu.native.makers import known_maker
from jitload.cpu.native.operands import Resolved
from jitload.cpu.native.sources import digest_of_sources
from jitload.digest import frame_all, sha256
from jitload.format.json import canonical_json, read_canonical
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.native.machine import Maker
    from jitload.tiers import cache as caches
    from jitload.tiers import own
else:
    caches = lazy("jitload.tiers.cache")
    own = lazy("jitload.tiers.own")

NAMESPACE = "machine code"
#: Of what machine code is to a launch. What makes it counts by its sources besides.
_SCHEMA = b"1"


def find(code: KernelCode) -> NativeKernel | None:
    """What is kept of a kernel, or None."""
    found = own.OwnBlobs(caches.default_cache(), NAMESPACE).get(key_of(code, known_maker()))
    if found is None:
        return None
    try:
        return _decode(code, found)
    except (ValueError, KeyError, TypeError) as error:
        log.debug("machine code of kernel %r is kept in another form: %s", code.name, error)
        return None


def keep(code: KernelCode, kernel: NativeKernel) -> None:
    """Keep the machine code of a kernel. It is not kept where a name does not say which variables it uses."""
    variables = code.linker.program.variables
    if all(variables.get(one.name) is one for one in kernel.variables):
        own.OwnBlobs(caches.default_cache(), NAMESPACE).put(key_of(code, known_maker()), _encode(kernel))


def key_of(code: KernelCode, maker: Maker) -> bytes:
    """What the machine code of a kernel is kept under."""
    places = repr([(place.text, place.ptx_line) for place in code.places])
    factors = [
        ("schema", _SCHEMA),
        ("jitload", jitload.__version__.encode()),
        ("sources", digest_of_sources(pathlib.Path(jitload.__file__).parent)),
        ("ptx", sha256(code.linker.program.source.text.encode("utf-8", "surrogateescape"))),
        ("entry", code.name.encode()),
        ("places", sha256(places.encode("utf-8", "surrogateescape"))),
        *((name, value.encode()) for name, value in maker._asdict().items()),
    ]
    return sha256(frame_all(factors))


def _encode(kernel: NativeKernel) -> bytes:
    known = kernel._asdict()
    del known["code"]
    known["variables"] = [one.name for one in kernel.variables]
    known["meets"] = [one[:5] for one in kernel.meets]  # what is written from it is in the code
    known["places"] = [sorted(one) for one in kernel.places]
    return canonical_json(known) + b"\n" + kernel.code


def _decode(code: KernelCode, data: bytes) -> NativeKernel:
    text, _, machine_code = data.partition(b"\n")
    known = read_canonical(text)
    variables = code.linker.program.variables
    return NativeKernel(
        machine_code,
        None if known["start"] is None else int(known["start"]),
        int(known["near"]),
        int(known["frame_bytes"]),
        tuple((str(name), int(block)) for name, block in known["meetings"]),
        tuple(Meet(*one) for one in known["meets"]),
        tuple(frozenset(Resolved(*root) for root in one) for one in known["places"]),
        tuple(variables[name] for name in known["variables"]),
        tuple(_errand(*one) for one in known["errands"]),
        str(known["dear"]),
    )


def _errand(meeting: int, block: int, position: int, follows: int, words: list[tuple[int, int]]) -> ErrandPlace:
    return ErrandPlace(int(meeting), int(block), int(position), int(follows), tuple((int(a), int(b)) for a, b in words))
