"""A decoded kernel: everything a launch needs, and nothing that it must look up in text.

The entry and every function that it can reach are read, checked and turned into Python functions, once, when the
kernel is fetched. An instruction that is not known is a fault here: never in the middle of a launch.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from jitload.cpu import emit as _opcodes  # noqa: F401 - importing the package registers them
from jitload.cpu.code.block_code import BlockCode, CallCode, FunctionCode
from jitload.cpu.code.block_text import BlockMaker
from jitload.cpu.code.control import Branch, Call, Exit, Jump, Meeting, Return, Table
from jitload.cpu.code.draft import BUILTINS, Draft, Reader, decode_or_fault
from jitload.cpu.code.function_writer import FunctionWriter
from jitload.cpu.code.grid_sync import GridSync
from jitload.cpu.code.instruction import emit, operands
from jitload.cpu.code.layout import KernelLayout, depends_on_others, find_polling, find_spins, find_waits
from jitload.cpu.code.liveness import linear_registers
from jitload.cpu.code.namespace import make_namespace
from jitload.cpu.code.writer import BlockWriter
from jitload.cpu.faults import Refused, decode_fault
from jitload.cpu.text.ir import Register, Symbol, Variable
from jitload.cpu.types import ZEROS
from jitload.errors import CpuFault
from jitload.images.ptx.limits import LOCAL_BYTES, STATIC_SHARED_BYTES
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.code.block_text import BlockText
    from jitload.cpu.code.control import Block
    from jitload.cpu.code.link import Linker
    from jitload.cpu.emit import meeting
    from jitload.cpu.text.ir import Function, Place
else:
    meeting = lazy("jitload.cpu.emit.meeting")

_STACK_BYTES = 1 << 16  # local memory per lane for calls of unknown depth


class KernelCode:
    """A kernel and the functions that it reaches.

    Attributes:
        name: the symbol.
        entry: how it is declared.
        functions: by name, the entry included.
        linker: gives the addresses of the module's symbols.
        places: where instructions stand, by site number.
        local_bytes: local memory per lane.
        spins: whether some loop waits for other lanes.
        depends_on_others: whether some loop may go round until other lanes have done something.
        parameter_places: (offset, bytes, name) of the parameters.
        reserved_bytes: at the start of shared memory, zeros when a block begins.
        needs_grid: whether every thread waits for its whole grid.
        grid_traps: lines of the PTX where a thread traps that would wait for it in a launch that is not cooperative.
    """

    def __init__(self, linker: Linker, entry: Function) -> None:
        self.name = entry.name
        self.functions: dict[str, FunctionCode] = {}
        self.places: list[Place] = []
        self.linker = linker
        self.entry = entry
        self._namespace = make_namespace()
        drafts = Reader(linker, self.name).read_all(entry)
        symbols = [symbol for draft in drafts.values() for symbol in draft.symbols]
        reserved = any(one.startswith("reserved_smem") for draft in drafts.values() for one in draft.specials)
        self._layout = KernelLayout(entry, symbols, reserved=reserved)
        _check_shared(self.name, self._layout.declared_bytes)
        self.reserved_bytes = self._layout.reserved_bytes
        self.parameter_places = self._layout.parameter_places
        for draft in drafts.values():
            draft.lay_out(entry=draft.function is entry)
            _check_local(draft.function.name, draft.frame_bytes)
        self._polling = find_polling({name: draft.blocks for name, draft in drafts.items()})
        for draft in drafts.values():
            with suppress(*([CpuFault] if draft.foreign else [])):
                name = draft.function.name
                self.functions[name] = decode_or_fault(self.name, name, partial(self._translate, draft))
        self._check_calls()
        self.local_bytes = self._stack_bytes(entry.name)
        self.depends_on_others = any(depends_on_others(draft.blocks) for draft in drafts.values())
        syncs = {name: GridSync(draft.blocks, draft.specials) for name, draft in drafts.items()}
        self.needs_grid = syncs[entry.name].always
        self.grid_traps = frozenset(line for sync in syncs.values() for line in sync.traps)
        self.spins = any(block.spins for function in self.functions.values() for block in function.blocks)

    def shared_bytes(self, dynamic: int) -> int:
        """Shared memory per thread block."""
        return self._layout.shared_bytes(dynamic)

    def shared_places(self, dynamic: int) -> list[tuple[int, int, str]]:
        """(offset, bytes, name) of the shared variables."""
        return self._layout.shared_places(dynamic)

    def _resolve(self, draft: Draft, symbol: Symbol) -> tuple[str, int]:
        variable = symbol.variable
        if variable is None:
            return "code", self.linker.function_address(symbol.name) + symbol.offset
        frame = draft.offsets.get(id(variable))
        if frame is not None:
            return "local", frame + symbol.offset
        if variable.space in {"global", "const"}:
            return variable.space, self.linker.address(variable) + symbol.offset
        return variable.space, self._layout.offset(variable) + symbol.offset

    def _translate(self, draft: Draft) -> FunctionCode:
        function = draft.function
        code = FunctionCode(function.name, draft.frame_bytes)
        registers = draft.body.registers
        code.zeros = [ZEROS[register.held] for register in registers]
        code.formals = (
            [(self._formal_offset(draft, one), one.size) for one in function.parameters] if not function.entry else []
        )
        code.results = [(self._formal_offset(draft, one), one.size) for one in function.results]
        writer = FunctionWriter(
            function.name,
            self._namespace,
            self.places,
            lambda symbol: self._resolve(draft, symbol),
            function.entry,
            draft.carry,
            linear_registers(draft.blocks),
        )
        spins = find_spins(draft.blocks, self._polling) if function.name in self._polling else set()
        waits = find_waits(draft.blocks) if spins else spins
        ends = [block.end for block in draft.blocks]
        shuffles = any(isinstance(end, Meeting) and end.instruction.opcode == "shfl" for end in ends)
        maker = BlockMaker(self._namespace, f"<ptx {function.name}>")
        for block in draft.blocks:
            text, block_code = self._translate_block(draft, writer, block, block.number in spins)
            if shuffles:
                block_code.steps, block_code.live_out = tuple(block.instructions), block.live_out
            block_code.waits = block.number in waits
            maker.make_at_first_run(block_code, text)
            code.blocks.append(block_code)
        return code

    def _formal_offset(self, draft: Draft, formal: Variable) -> int:
        slot = draft.flow.formal_slots.get(formal.name, formal)
        return draft.offsets[id(slot)]

    def _translate_block(
        self, draft: Draft, function: FunctionWriter, block: Block, spins: bool
    ) -> tuple[BlockText, BlockCode]:
        writer = BlockWriter(function, block)
        live = block.live_out
        written: list[Register] = []
        first = len(self.places)
        for instruction in block.instructions:
            try:
                emit(writer, instruction)
            except Refused as refusal:
                raise Refused(refusal.why, refusal.place or instruction.place) from refusal
        returned, code = "None", BlockCode("exit", (), max(writer.site, 0), spins)
        end = block.end
        if isinstance(end, Branch):
            guard = writer.source(end.guard, "p")
            returned = f"~{guard}" if end.negated else guard
            code.kind, code.targets = "branch", (end.taken, end.other)
        elif isinstance(end, Jump):
            code.kind, code.targets = "jump", (end.target,)
        elif isinstance(end, Return | Exit):
            code.kind = "return" if isinstance(end, Return) and not draft.function.entry else "exit"
        else:
            try:
                returned, written = self._translate_end(draft, writer, end, code)
            except Refused as refusal:
                raise Refused(refusal.why, refusal.place or end.instruction.place) from refusal
        code.site = max(writer.site, 0)
        if not isinstance(end, Table | Meeting | Call) and end.instruction is not None:
            function.site(end.instruction.place)
        code.sites = tuple(range(first, len(self.places)))
        late = {register.index for register in written}
        stored = [one for one in block.given if live >> one.index & 1 and one.index not in late]
        if live >> draft.carry.index & 1:
            stored.append(draft.carry)
        return writer.text(returned, stored), code

    def _translate_end(
        self, draft: Draft, writer: BlockWriter, end: Table | Meeting | Call, code: BlockCode
    ) -> tuple[str, list[Register]]:
        writer.begin(end.instruction)
        if isinstance(end, Meeting):
            code.kind, code.targets = "meeting", (end.target,)
            code.meeting, returned, written = meeting.emit_meeting(writer, end.instruction)
            return returned, written
        if isinstance(end, Table):
            code.kind, code.targets = "table", end.targets
            return writer.source(operands(end.instruction, 2)[0], "u32"), []
        code.kind, code.targets = "call", (end.target,)
        places = [tuple((draft.offsets[id(one)], one.size) for one in group) for group in (end.arguments, end.results)]
        name = end.callee.name if isinstance(end.callee, Symbol) else None
        code.call = CallCode(name, places[0], places[1], end.target, writer.site)
        return (writer.source(end.callee, "u64") if name is None else "None"), []

    def _check_calls(self) -> None:
        for function in self.functions.values():
            for block in function.blocks:
                call = block.call
                callee = self.functions.get(call.callee or "") if call is not None else None
                if call is None or callee is None:
                    continue
                wanted = [size for _, size in callee.formals], [size for _, size in callee.results]
                if wanted != ([size for _, size in call.arguments], [size for _, size in call.results]):
                    why = f"the arguments do not fit those of {callee.name}"
                    raise decode_fault(function.name, self.places[call.site], why)

    def _stack_bytes(self, entry: str) -> int:
        """Local memory of the deepest chain of calls; a fixed stack where its depth is unknown.

        Raises:
            CpuFault: it is more than a thread can have.
        """
        depths: dict[str, int] = {}
        path = [(entry, iter(self._callees(entry)))]
        deepest = {entry: 0}
        while path:
            name, rest = path[-1]
            callee = next(rest, "")
            if callee is None or (callee and callee in deepest):
                return _STACK_BYTES  # through a register, or recursion
            if callee and callee in depths:
                deepest[name] = max(deepest[name], depths[callee])
            elif callee:
                path.append((callee, iter(self._callees(callee))))
                deepest[callee] = 0
            else:
                path.pop()
                depths[name] = self.functions[name].frame_bytes + deepest.pop(name)
                if path:
                    deepest[path[-1][0]] = max(deepest[path[-1][0]], depths[name])
        _check_local(entry, depths[entry])
        return depths[entry]

    def _callees(self, name: str) -> list[str | None]:
        """The functions that a function calls; None for one whose address is computed."""
        calls = [block.call for block in self.functions[name].blocks if block.call is not None]
        return [call.callee for call in calls if call.callee not in BUILTINS]


def _check_local(name: str, nbytes: int) -> None:
    if nbytes > LOCAL_BYTES:
        why = f"{nbytes} bytes of local memory per thread: more than {LOCAL_BYTES} are refused, as on a GPU"
        raise decode_fault(name, None, why)


def _check_shared(name: str, nbytes: int) -> None:
    if nbytes > STATIC_SHARED_BYTES:
        why = (
            f"{nbytes} bytes of static shared memory per block: more than {STATIC_SHARED_BYTES} are refused, as by "
            "ptxas for every GPU; declare it `extern __shared__`, and give shared_bytes= at the launch"
        )
        raise decode_fault(name, None, why)
