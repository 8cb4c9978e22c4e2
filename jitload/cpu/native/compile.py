"""From a decoded kernel to machine code: what refuses it, its text, and LLVM."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.control import Meeting
from jitload.cpu.code.draft import Reader
from jitload.cpu.code.layout import KernelLayout
from jitload.cpu.code.liveness import symbols_of
from jitload.cpu.faults import Refused, describe_place
from jitload.cpu.native.column import emit
from jitload.cpu.native.runtime import runtime_text
from jitload.cpu.native.waits import may_wait
from jitload.cpu.native.writer import KernelWriter, barrier_number
from jitload.images.ptx.entries import align
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    import llvmlite.binding as llvm

    from jitload.cpu.code.draft import Draft
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.text.ir import Symbol
else:
    llvm = lazy("llvmlite.binding")

_LEVEL = 2  # of code generation
_PASSES = ("add_sroa_pass", "add_instruction_combine_pass", "add_simplify_cfg_pass")


class NativeKernel(NamedTuple):
    """Machine code of a kernel.

    Attributes:
        address: of `i32 launch(context, first block, how many)`.
        near: sites that access global memory.
        frame_bytes: what a thread keeps while it waits.
        meetings: the block in front of each meeting, by its number less one.
        keep: what the code lives in.
    """

    address: int
    near: int
    frame_bytes: int
    meetings: tuple[int, ...]
    keep: object


def compile_native(code: KernelCode) -> NativeKernel:
    """The machine code of a kernel.

    Raises:
        Refused: something in it has no native form; it says what and where.
    """
    if code.spins or code.needs_grid or code.grid_traps or code.reserved_bytes:
        raise Refused("it waits for other threads in loops, or for its whole grid")
    program = code.linker.program
    drafts = Reader(code.linker, code.name).read_all(program.functions[code.name])
    if len(drafts) != 1:
        raise Refused("it calls functions that are not inlined")
    draft = drafts[code.name]
    if may_wait(draft.blocks):
        raise Refused("a loop of it may wait for what other threads write")
    sites = {place.written: number for number, place in reversed(list(enumerate(code.places)))}
    writer = KernelWriter(draft.blocks, sites, _resolver(code, draft), emit)
    body = writer.write()
    ends = [block.end.instruction for block in writer.meetings if isinstance(block.end, Meeting)]
    aligned = [one.opcode == "bar" or "aligned" in one.modifiers for one in ends]
    text = f"{body}\n{runtime_text([barrier_number(one) for one in ends], aligned)}"
    engine = _generate(text)
    address = engine.get_function_address("launch")
    frame_bytes = max(8 * len(writer.kept), 8)
    return NativeKernel(address, writer.near, frame_bytes, tuple(one.number for one in writer.meetings), engine)


def _resolver(code: KernelCode, draft: Draft) -> Callable[[Symbol], tuple[str, int]]:
    """Gives (space, address) of a symbol, as the lanes executor does."""
    entry = draft.function
    layout = KernelLayout(entry, symbols_of(draft.blocks), reserved=False)
    offsets, end = {}, 0
    own = [one for one in draft.body.variables if one.space in {"local", "param"}]
    for variable in (*own, *draft.flow.slots):
        start = align(end, variable.alignment)
        offsets[id(variable)] = start
        end = start + variable.size

    def resolve(symbol: Symbol) -> tuple[str, int]:
        variable = symbol.variable
        if variable is None:
            raise Refused(f"the address of {symbol.name[:80]} has no native form")
        frame = offsets.get(id(variable))
        if frame is not None:
            return "local", frame + symbol.offset
        if variable.space in {"global", "const"}:
            return variable.space, code.linker.address(variable) + symbol.offset
        return variable.space, layout.offset(variable) + symbol.offset

    return resolve


@functools.cache
def _target() -> llvm.Target:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def _generate(text: str) -> llvm.ExecutionEngine:
    """Optimize and generate code; LLVM does it without the interpreter's lock."""
    target = _target()
    features = llvm.get_host_cpu_features().flatten()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=_LEVEL, jit=True)
    module = llvm.parse_assembly(text)
    module.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=_LEVEL))
    passes = llvm.create_new_function_pass_manager()
    for name in _PASSES:
        getattr(passes, name)()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


def why_refused(refusal: Refused) -> str:
    """A refusal, for people."""
    return f"{describe_place(refusal.place)}: {refusal.why}" if refusal.place is not None else refusal.why
