"""From statements to basic blocks.

A block ends where lanes may part or must wait: at branches, calls, barriers and warp operations. An instruction under
a guard becomes a branch around it, unless it only computes a value: then the new value is selected per lane.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from jitload.cpu.code.control import Block, Branch, Call, Exit, Jump, Meeting, Return, Table
from jitload.cpu.code.liveness import find_liveness
from jitload.cpu.faults import Refused
from jitload.cpu.isa.decode import read
from jitload.cpu.isa.effects import acts, effects_of
from jitload.cpu.text.ir import (
    Body,
    CallSyntax,
    Function,
    Immediate,
    Instruction,
    Label,
    Memory,
    Operand,
    Place,
    Register,
    Scope,
    Sink,
    Symbol,
    Variable,
)
from jitload.cpu.types import TYPES
from jitload.images.ptx.limits import BLOCKS, BRANCH_TARGETS, LIVE_BITS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What ends a block and is no instruction in it: nobody writes its code, so nobody else reads its row.
_JUMPS = frozenset(["bra", "brx", "call", "ret", "exit"])


class FlowBuilder:
    """Cuts one body into blocks; `build` does it all.

    Attributes:
        carry: the register that stands for CC.CF.
        slots: frame variables made for call arguments and results that are registers.
        targets: labels in tables of branches.
    """

    def __init__(self, function: Function, body: Body, carry: Register, functions: Mapping[str, Function]) -> None:
        self.function = function
        self.functions = functions
        self.body = body
        self.carry = carry
        self.slots: list[Variable] = []
        self.blocks: list[Block] = [Block(0)]
        self.labels: dict[int, int] = {}
        self.formal_slots: dict[str, Variable] = {}
        self._open_targets: list[tuple[Block, Instruction]] = []
        self.targets = 0

    def build(self) -> list[Block]:
        """The blocks, entry first, with liveness."""
        self._load_formals()
        for item in self.body.items:
            if isinstance(item, Label):
                self._start_block()
                self.labels[item.key] = len(self.blocks) - 1
            else:
                self._add(item)
        self._store_results(self.blocks[-1])
        self.blocks[-1].end = Return()
        self._resolve_targets()
        if len(self.blocks) * len(self.body.registers) > LIVE_BITS:
            raise Refused(
                f"{len(self.body.registers)} registers over {len(self.blocks)} basic blocks: more than {LIVE_BITS} "
                f"of one times the other are refused"
            )
        find_liveness(self.blocks, self.carry)
        return self.blocks

    def _start_block(self) -> None:
        self.blocks[-1].end = Jump(len(self.blocks))
        self._append()

    def _append(self) -> Block:
        block = Block(len(self.blocks))
        self.blocks.append(block)
        if block.number >= BLOCKS:
            raise Refused(f"more than {BLOCKS} basic blocks are refused")
        return block

    def _add(self, instruction: Instruction) -> None:
        opcode = instruction.opcode
        if opcode in _JUMPS:
            _require_row(instruction)
        if opcode == "bra":
            self._open_targets.append((self.blocks[-1], instruction))
            self._append()
            return
        guard = instruction.guard
        if guard is not None and acts(opcode, instruction.modifiers):
            instruction.guard = None
            around = self.blocks[-1]
            self._append()
            self._add(instruction)
            self._start_block()
            around.end = Branch(guard, not instruction.negated, len(self.blocks) - 1, around.number + 1)
            return
        effects = effects_of(opcode, instruction.modifiers)
        if "exchanges" in effects:
            self._exchange_addresses(instruction)
        elif "ends" in effects:
            self._end_block(instruction)
        else:
            self.blocks[-1].instructions.append(instruction)

    def _exchange_addresses(self, instruction: Instruction) -> None:
        """`ldmatrix`: a meeting that gives every lane the addresses of its rows, then accesses in the next block."""
        if len(instruction.operands) != 2:
            raise Refused(instruction.malformed or "two operands are expected", instruction.place)
        count = next((int(part[1]) for part in instruction.modifiers if part in {"x1", "x2", "x4"}), 0)
        count *= (1 + ("trans" in instruction.modifiers)) * (1 + ("m16n16" in instruction.modifiers))
        hidden = []
        for number in range(count):
            register = Register(f"row{number}", TYPES["b64"], len(self.body.registers))
            self.body.registers.append(register)
            hidden.append(register)
        instruction.operands = (*instruction.operands, *hidden)
        self.blocks[-1].end = Meeting(instruction, len(self.blocks))
        self._append()
        self.blocks[-1].instructions.append(instruction)

    def _end_block(self, instruction: Instruction) -> None:
        block = self.blocks[-1]
        follow = len(self.blocks)
        if instruction.opcode == "ret":
            self._store_results(block)
            block.end = Return(instruction)
        elif instruction.opcode == "exit":
            block.end = Exit(instruction)
        elif instruction.opcode == "call":
            self._add_call(block, instruction)
            return
        elif instruction.opcode == "brx":
            self._open_targets.append((block, instruction))
        else:
            block.end = Meeting(instruction, follow)
        self._append()

    def _add_call(self, block: Block, instruction: Instruction) -> None:
        syntax = instruction.operands[0] if instruction.operands else None
        if not isinstance(syntax, CallSyntax):
            raise Refused(instruction.malformed or "a call that cannot be read", instruction.place)
        callee = self.functions.get(syntax.target.name) if isinstance(syntax.target, Symbol) else None
        parameters, outcomes = (callee.parameters, callee.results) if callee is not None else ((), ())
        arguments = [
            self._argument(block, instruction, operand, formal)
            for operand, formal in zip_longest(syntax.arguments, parameters[: len(syntax.arguments)])
        ]
        target = len(self.blocks)
        after = Block(target)
        results = [
            self._result(after, instruction, operand, formal)
            for operand, formal in zip_longest(syntax.results, outcomes[: len(syntax.results)])
        ]
        block.end = Call(instruction, syntax.target, tuple(arguments), tuple(results), target)
        self.blocks.append(after)

    def _argument(self, block: Block, call: Instruction, operand: Operand, formal: Variable | None) -> Variable:
        if isinstance(operand, Symbol) and operand.variable is not None and operand.variable.space == "param":
            return operand.variable
        if isinstance(operand, Register) and operand.type.bits > 1:
            slot = self._slot(operand.type.bits)
            block.instructions.append(_move("st", operand, slot, call.place, call.scope))
            return slot
        if isinstance(operand, Immediate):
            if formal is None or formal.count != 1:
                raise Refused("a literal as an argument of unknown type: put it into a register", call.place)
            slot = self._slot(formal.type.bits, formal.type.name)
            block.instructions.append(_move("st", operand, slot, call.place, call.scope))
            return slot
        raise Refused("a call argument that is neither a .param variable nor a register", call.place)

    def _result(self, after: Block, call: Instruction, operand: Operand, formal: Variable | None) -> Variable:
        if isinstance(operand, Symbol) and operand.variable is not None and operand.variable.space == "param":
            return operand.variable
        if isinstance(operand, Register) and operand.type.bits > 1:
            slot = self._slot(operand.type.bits)
            after.instructions.append(_move("ld", operand, slot, call.place, call.scope))
            return slot
        if isinstance(operand, Sink) and formal is not None:  # nobody wants it
            slot = Variable(f"slot{len(self.slots)}", "param", formal.type, formal.count, formal.alignment)
            self.slots.append(slot)
            return slot
        raise Refused("a call result that is neither a .param variable nor a register", call.place)

    def _slot(self, bits: int, type_name: str = "") -> Variable:
        slot = Variable(f"slot{len(self.slots)}", "param", TYPES[type_name or f"b{bits}"], 1, bits // 8)
        self.slots.append(slot)
        return slot

    def _load_formals(self) -> None:
        for formal in self.function.parameters:
            if formal.space == "reg":
                slot = self.formal_slots[formal.name] = self._slot(formal.type.bits)
                place = _place_of(formal)
                register = self.body.scope.registers[formal.name]
                self.blocks[0].instructions.append(_move("ld", register, slot, place, self.body.scope))
        for formal in self.function.results:
            if formal.space == "reg":
                self.formal_slots[formal.name] = self._slot(formal.type.bits)
        if self.blocks[0].instructions:
            self._start_block()

    def _store_results(self, block: Block) -> None:
        for formal in self.function.results:
            if formal.space == "reg":
                place = _place_of(formal)
                register = self.body.scope.registers[formal.name]
                move = _move("st", register, self.formal_slots[formal.name], place, self.body.scope)
                block.instructions.append(move)

    def _resolve_targets(self) -> None:
        for block, instruction in self._open_targets:
            follow = block.number + 1
            if instruction.opcode == "brx":
                block.end = self._table(instruction)
                continue
            operand = instruction.operands[0] if len(instruction.operands) == 1 else None
            if not isinstance(operand, Symbol):
                raise Refused(instruction.malformed or "a branch without a label", instruction.place)
            target = self._find_label(operand.name, instruction)
            if instruction.guard is None:
                block.end = Jump(target, instruction)
            else:
                block.end = Branch(instruction.guard, instruction.negated, target, follow, instruction)

    def _table(self, instruction: Instruction) -> Table:
        operands = instruction.operands
        names: tuple[str, ...] | None = None
        scope: Scope | None = instruction.scope
        while scope is not None and names is None and len(operands) == 2 and isinstance(operands[1], Symbol):
            names = scope.targets.get(operands[1].name)
            scope = scope.parent
        if not names or instruction.modifiers[:1] != ("idx",):
            raise Refused("brx without a table of targets", instruction.place)
        self.targets += len(names)
        if self.targets > BRANCH_TARGETS:
            raise Refused(f"{self.targets} targets of brx: more than {BRANCH_TARGETS} are refused", instruction.place)
        return Table(instruction, tuple(self._find_label(name, instruction) for name in names))

    def _find_label(self, name: str, instruction: Instruction) -> int:
        scope: Scope | None = instruction.scope
        while scope is not None:
            label = scope.labels.get(name)
            if label is not None:
                return self.labels[label.key]
            scope = scope.parent
        raise Refused(f"no label {name[:60]!r} in this function", instruction.place)


def _place_of(formal: Variable) -> Place:
    return Place(lambda: (f".reg {formal.name}", 0))


def _move(opcode: str, value: Register | Immediate, slot: Variable, place: Place, scope: Scope) -> Instruction:
    memory = Memory(Symbol(slot.name, 0, slot), 0)
    operands = (value, memory) if opcode == "ld" else (memory, value)
    return Instruction(f"{opcode}.param.{slot.type.name}", operands, place, scope)


def _require_row(instruction: Instruction) -> None:
    """Refuse what no row takes."""
    try:
        read(instruction)
    except Refused as refused:
        raise Refused(refused.why, instruction.place) from None
