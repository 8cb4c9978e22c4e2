"""A function body: statements, scopes and operands (PTX ISA sections 4.6, 5.4, 6.4)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jitload.cpu.text.ir import (
    Body,
    Function,
    Instruction,
    Label,
    Memory,
    Operand,
    Place,
    Register,
    Scope,
    Symbol,
    Vector,
)
from jitload.cpu.text.lines import LineTracker
from jitload.cpu.text.plain import PlainReader
from jitload.cpu.types import TYPES
from jitload.errors import LoadError
from jitload.images.ptx.declaration import read_variables
from jitload.images.ptx.limits import LIVE_BITS, NESTING, REGISTERS, VECTOR_REGISTERS
from jitload.images.ptx.tokens import Cursor, InstructionCursor, find_brace, is_instruction

if TYPE_CHECKING:
    from jitload.cpu.text.program import Program
    from jitload.images.ptx.tokens import Source

_LONGEST_TEXT = 1000  # of an instruction, for people
_CALL_ENDS = ("", ".")
_VECTORS = {".v2": 2, ".v4": 4}


def read_body(program: Program, function: Function) -> Body:
    """Read the body of a function that has one.

    Raises:
        LoadError: a statement cannot be read.
    """
    return _BodyReader(program, function).read()


class _BodyReader(PlainReader):
    def __init__(self, program: Program, function: Function) -> None:
        assert function.span is not None
        self.program = program
        self.function = function
        super().__init__(Cursor(program.source, function.span[0]), program.variables)
        self.end = function.span[1]
        self.body = Body(self.registers, self.scope)
        self.lines = LineTracker(program.files, program.users)
        self.label_count = 0
        self.nesting = 0
        self.declared = 0

    def read(self) -> Body:
        for formal in (*self.function.parameters, *self.function.results):
            if formal.space == "reg":
                self._declare(formal.name, formal.type.name)
            else:
                self.scope.variables[formal.name] = formal
        cursor, items = self.cursor, self.body.items
        while cursor.index < self.end:
            word = cursor.tokens[cursor.index]
            if is_instruction(word):
                items.append(self._read_line(word))
            else:
                self._read_statement(word)
        if self.scope is not self.body.scope:
            raise self.cursor.error("a '{' is never closed")
        return self.body

    def _read_statement(self, word: str) -> None:
        cursor = self.cursor
        if word[0] not in "{};.":
            if cursor.tokens[cursor.index + 1] == ":" and cursor.index + 1 < self.end:
                cursor.index += 2
                self._read_label(word)
            else:
                self.body.items.append(self._read_instruction())
        elif word == "{":
            cursor.index += 1
            self.scope = Scope(self.scope)
            self.nesting += 1
            if self.nesting > NESTING:
                raise cursor.error(f"braces in one another: more than {NESTING} are refused")
        elif word == "}":
            cursor.index += 1
            if self.scope.parent is None:
                raise cursor.error("a '}' that closes nothing")
            self.scope = self.scope.parent
            self.nesting -= 1
        elif word == ";":
            cursor.index += 1
        else:
            self._read_directive()

    def _read_label(self, name: str) -> None:
        cursor = self.cursor
        if cursor.peek() in {".branchtargets", ".calltargets"}:
            cursor.index += 1
            names = []
            while not cursor.accept(";"):
                names.append(cursor.take())
                cursor.accept(",")
            self.scope.targets[name] = tuple(names)
        elif cursor.peek() == ".callprototype":
            while cursor.take() != ";":
                pass
        else:
            if name in self.scope.labels:
                raise cursor.error(f"label {name} is defined twice")
            label = self.scope.labels[name] = Label(self.label_count)
            self.label_count += 1
            if self.label_count * len(self.registers) > LIVE_BITS:
                what = f"{len(self.registers)} registers over {self.label_count} labels"
                raise cursor.error(f"{what}: more than {LIVE_BITS} of one times the other are refused")
            self.body.items.append(label)

    def _read_directive(self) -> None:
        cursor = self.cursor
        word = cursor.take()
        if word == ".reg":
            self._read_registers()
        elif word in {".shared", ".local", ".param", ".global", ".const"}:
            self.scope.operands.clear()
            for variable in read_variables(cursor, word[1:]):
                self.scope.variables[variable.name] = variable
                self.body.variables.append(variable)
        elif word == ".loc":
            self.lines.read(cursor)
        elif word in {".pragma", ".branchtargets", ".calltargets"}:
            while cursor.take() != ";":
                pass
        elif word == ".section":
            cursor.take()
            cursor.expect("{")
            cursor.index = find_brace(cursor, cursor.index) + 1
        else:
            raise cursor.error(f"unknown directive {word[:40]!r}")

    def _read_registers(self) -> None:
        self.scope.operands.clear()
        cursor = self.cursor
        width = _VECTORS.get(cursor.peek(), 0)
        cursor.index += bool(width)
        type_ = cursor.take()[1:]
        if type_ not in TYPES:
            raise cursor.error(f"registers of type .{type_[:20]} are not supported")
        while True:
            name = cursor.take()
            if cursor.accept("<"):
                count = cursor.integer()
                cursor.expect(">")
                self._count_registers(count, width)
                if width:
                    for number in range(count):
                        self._declare_vector(f"{name}{number}", type_, width)
                else:
                    self.scope.ranges[name] = (count, TYPES[type_])
            elif width:
                self._declare_vector(name, type_, width)
            else:
                self._declare(name, type_)
            if not cursor.accept(","):
                break
        cursor.expect(";")

    def _count_registers(self, count: int, width: int) -> None:
        """Bound what is declared; a vector counts for as many plain registers as make all vectors too many."""
        most = VECTOR_REGISTERS if width else REGISTERS
        self.declared += count * (REGISTERS // most)
        if count < 0 or self.declared > REGISTERS:
            kind = "vector registers" if width else "registers"
            raise self.cursor.error(f"{count} more {kind} in a function: more than {most} are refused")

    def _declare(self, name: str, type_name: str) -> Register:
        register = Register(name, TYPES[type_name], len(self.body.registers))
        self.body.registers.append(register)
        self.scope.registers[name] = register
        return register

    def _declare_vector(self, name: str, type_name: str, width: int) -> None:
        """Elements are called .x .y .z .w, or .r .g .b .a (PTX ISA section 6.4.3)."""
        parts = [self._declare(f"{name}.{element}", type_name) for element in "xyzw"[:width]]
        self.scope.registers |= {f"{name}.{color}": part for color, part in zip("rgba", parts, strict=False)}
        self.scope.vectors[name] = Vector(tuple(parts))

    def _read_line(self, word: str) -> Instruction:
        """An instruction that is one word of the source."""
        cursor = self.cursor
        name, text = word[:-1].split(None, 1)
        operands = self.read_plain(text)
        if operands is not None:
            cursor.index += 1
            return self._make(name, operands, cursor.index - 1)
        self.cursor = InstructionCursor(cursor.source, cursor.index)
        instruction = self._read_instruction(cursor.index)
        self.cursor = cursor
        cursor.index += 1
        if instruction.malformed is None:
            self.keep_read(text, instruction.operands)
        return instruction

    def _read_instruction(self, at: int | None = None) -> Instruction:
        """An instruction of many words, or of those of word `at` of the source."""
        cursor = self.cursor
        first = cursor.index
        cursor.depth = 0
        guard, negated = None, False
        if cursor.tokens[first] == "@":
            cursor.index += 1
            negated = cursor.accept("!")
            guard = self.find_register(cursor.take())
            if guard is None or guard.type.bits != 1:
                raise cursor.error(f"the guard {cursor.tokens[cursor.index - 1][:40]!r} is no predicate register")
        name = cursor.take()
        if not (name[0].isalpha() or name[0] == "_"):
            raise cursor.error(f"expected an instruction, found {name[:40]!r}")
        operands: tuple[Operand, ...] = ()
        malformed = None
        start = cursor.index
        try:
            operands = self.read_operands() if name[:4] != "call" or name[4:5] not in _CALL_ENDS else self.read_call()
            cursor.expect(";")
        except LoadError as error:
            malformed = str(error)
            cursor.index = start
            end = self.end if at is None else len(cursor.tokens)
            while cursor.peek()[-1:] != ";" and cursor.index < end:
                cursor.index += 1
            cursor.expect(cursor.peek() if cursor.index < end else ";")
        first, last = (first, cursor.index - 1) if at is None else (at, at)
        return self._make(name, operands, first, last, guard, negated, malformed)

    def _make(
        self,
        name: str,
        operands: tuple[Operand, ...],
        first: int,
        last: int | None = None,
        guard: Register | None = None,
        negated: bool = False,
        malformed: str | None = None,
    ) -> Instruction:
        """What words `first` to `last` of the source say; without `last` they are one."""
        place = Place(partial(_stands, self.cursor.source, first, first if last is None else last), self.lines.current)
        if len(operands) == 2 and type(operands[1]) is Memory and name.startswith(("mov.", "cvta.")):
            # An element of an array stands for its address here.
            base, offset = operands[1]
            operands = (operands[0], base._replace(offset=offset)) if isinstance(base, Symbol) else operands
        return Instruction(name, operands, place, self.scope, guard, negated, malformed)


def _stands(source: Source, first: int, last: int) -> tuple[str, int]:
    """An instruction as written, for people, and its line."""
    text, line = source.stands(first, last)
    return text.rstrip("; ")[:_LONGEST_TEXT], line
