"""Code for `clusterlaunchcontrol` (PTX ISA section 9.7.13.17): every cluster runs as it was launched.

A request to take another cluster out of the launch is answered at once, and always with no, as on a GPU where all
clusters run already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.emit.address import address_name, number_text
from jitload.cpu.emit.mbarrier import emit_completion
from jitload.cpu.memory import multicast
from jitload.cpu.text.ir import Sink, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction

_ANSWER_BYTES = 16
_FIRST = ("get_first_ctaid", *(f"get_first_ctaid::{axis}" for axis in "xyz"))


def emit_cluster_launch(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`clusterlaunchcontrol`: the answer is 16 bytes of zeros, of which the mbarrier is told."""
    first, second = operands(instruction, 2)
    if modifiers.flag("query_cancel"):
        modifiers.flag("b32", "b128", "pred", "v4")
        writer.source(second, "u128")
        rep = "p" if modifiers.flag("is_canceled") else "u32"
        modifiers.flag(*_FIRST)
        for register in first.items if isinstance(first, Vector) else (first,):
            if not isinstance(register, Sink):
                writer.result(register, rep, writer.function.constant(rep, 0), shared=True)
        return
    modifiers.flag("try_cancel", "async", "mbarrier::complete_tx::bytes", "b128")
    space = "shared" if modifiers.flag("shared::cta") else "generic"
    if modifiers.flag("multicast::cluster::all"):
        writer.function.use(multicast)
        places = ", ".join(number_text(writer, "cluster", one) for one in (first, second))
        writer.line(f"answer_all(batch, {places}, {writer.site})")
        return
    target, to = address_name(writer, space, first)
    zero = writer.function.constant("u64", 0)
    writer.line(f"{target}.store_vector({to}, 'u64', 8, {writer.site}, [{zero}, {zero}])")
    emit_completion(writer, second, writer.function.constant("u32", _ANSWER_BYTES), space)
