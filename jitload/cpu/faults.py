"""How the executor says that it will not, or cannot, go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import CpuFault

if TYPE_CHECKING:
    from jitload.cpu.text.ir import Place


class Refused(Exception):  # noqa: N818 - it is turned into a CpuFault at the boundary, and never leaves the package
    """An instruction that the executor does not know; `place` is filled in by whoever knows it."""

    def __init__(self, why: str, place: Place | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.place = place


def describe_place(place: Place) -> str:
    """`'ld.global.f32 %f1, [%rd4]' (PTX line 31, saxpy.cu:7 inlined at main.cu:12)`."""
    lines = " inlined at ".join((place.cuda_line, *place.inlined_at)) if place.cuda_line else ""
    where = f"PTX line {place.ptx_line}" + (f", {lines}" if lines else "")
    return f"'{place.text}' ({where})"


def _excerpt(place: Place) -> str:
    return "" if place.excerpt is None else place.excerpt()


def _below(*excerpts: str) -> str:
    """What a message ends with: each of the lines, once."""
    return "".join(f"\n{text}" for text in dict.fromkeys(filter(None, excerpts)))


def decode_fault(function: str, place: Place | None, why: str) -> CpuFault:
    """The fault for an instruction that is refused before anything runs."""
    if place is None:
        return CpuFault(f"function {function} cannot run on the CPU: {why}", kernel=function)
    excerpt = _excerpt(place)
    return CpuFault(
        f"function {function} cannot run on the CPU: {describe_place(place)}: {why}{_below(excerpt)}",
        kernel=function,
        instruction=place.text,
        ptx_line=place.ptx_line,
        cuda_line=place.cuda_line,
        inlined_at=place.inlined_at,
        excerpt=excerpt,
    )


def run_fault(
    kernel: str,
    place: Place,
    what: str,
    *,
    thread: tuple[int, int, int] | None = None,
    block: tuple[int, int, int] | None = None,
    address: int | None = None,
    nearest: str | None = None,
    other: CpuFault | None = None,
) -> CpuFault:
    """The fault of one thread at one instruction."""
    who = f", thread {thread} of block {block}" if thread is not None else ""
    text = f"kernel {kernel}{who}: {what} at {describe_place(place)}"
    if nearest is not None:
        text += f". Nearest: {nearest}"
    excerpt = _excerpt(place)
    return CpuFault(
        text + _below(excerpt, "" if other is None else other.excerpt),
        kernel=kernel,
        instruction=place.text,
        ptx_line=place.ptx_line,
        cuda_line=place.cuda_line,
        inlined_at=place.inlined_at,
        thread=thread,
        block=block,
        address=address,
        nearest=nearest,
        other=other,
        excerpt=excerpt,
    )
