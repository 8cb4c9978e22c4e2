"""A function body: statements, scopes and operands (PTX ISA sections 4.6, 5.4, 6.4)."""

from __future__ import annotations

import re

from jitload.cpu.ir import (
    Body,
    CallSyntax,
    Function,
    Immediate,
    Instruction,
    Label,
    Memory,
    Not,
    Operand,
    Pair,
    Place,
    Register,
    Scope,
    Sink,
    Special,
    Symbol,
    Vector,
)
from jitload.cpu.lexer import float_bits, parse_number
from jitload.cpu.program import Cursor, Program, find_brace, read_variable
from jitload.cpu.types import TYPES
from jitload.errors import LoadError

_NUMBERED = re.compile(r"(.*?)(0|[1-9]\d*)$")
_SPECIAL = re.compile(
    r"%(tid|ntid|ctaid|nctaid|clusterid|nclusterid|cluster_ctaid|cluster_nctaid)(\.[xyzw])?"
    r"|%(laneid|warpid|nwarpid|smid|nsmid|gridid|is_explicit_cluster|cluster_ctarank|cluster_nctarank"
    r"|lanemask_(eq|le|lt|ge|gt)|clock|clock_hi|clock64|pm\d+(_64)?|envreg\d+|globaltimer(_lo|_hi)?"
    r"|reserved_smem_offset_\w+|total_smem_size|aggr_smem_size|dynamic_smem_size|current_graph_exec)"
)
_MAX_REGISTERS = 1 << 20


def read_body(program: Program, function: Function) -> Body:
    """Read the body of a function that has one.

    Raises:
        LoadError: a statement cannot be read.
    """
    return _BodyReader(program, function).read()


class _BodyReader:
    def __init__(self, program: Program, function: Function) -> None:
        assert function.span is not None
        self.program = program
        self.function = function
        self.cursor = Cursor(program.source, function.span[0])
        self.end = function.span[1]
        self.scope = Scope(None)
        self.body = Body([], [], [], self.scope)
        self.cuda_line: str | None = None
        self.label_count = 0

    def read(self) -> Body:
        for formal in (*self.function.parameters, *self.function.results):
            if formal.space == "reg":
                self._declare(formal.name, formal.type.name)
            else:
                self.scope.variables[formal.name] = formal
        while self.cursor.index < self.end:
            self._read_statement()
        if self.scope is not self.body.scope:
            raise self.cursor.error("a '{' is never closed")
        return self.body

    def _read_statement(self) -> None:
        cursor = self.cursor
        word = cursor.peek()
        if word == "{":
            cursor.index += 1
            self.scope = Scope(self.scope)
        elif word == "}":
            cursor.index += 1
            if self.scope.parent is None:
                raise cursor.error("a '}' that closes nothing")
            self.scope = self.scope.parent
        elif word == ";":
            cursor.index += 1
        elif word.startswith("."):
            self._read_directive()
        elif cursor.index + 1 < self.end and cursor.tokens[cursor.index + 1] == ":":
            cursor.index += 2
            self._read_label(word)
        else:
            self.body.items.append(self._read_instruction())

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
            self.body.items.append(label)

    def _read_directive(self) -> None:
        cursor = self.cursor
        word = cursor.take()
        if word == ".reg":
            self._read_registers()
        elif word in {".shared", ".local", ".param", ".global", ".const"}:
            while True:
                variable = read_variable(cursor, word[1:])
                self.scope.variables[variable.name] = variable
                self.body.variables.append(variable)
                if not cursor.accept(","):
                    break
            cursor.expect(";")
        elif word == ".loc":
            file, line = cursor.integer(), cursor.integer()
            self.cuda_line = f"{self.program.files.get(file, '?')}:{line}" if line else None
            cursor.index = cursor.source.line_end(cursor.index - 1)
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
        cursor = self.cursor
        type_ = cursor.take()[1:]
        if type_ not in TYPES:
            raise cursor.error(f"registers of type .{type_[:20]} are not supported")
        while True:
            name = cursor.take()
            if cursor.accept("<"):
                count = cursor.integer()
                cursor.expect(">")
                if not 0 <= count <= _MAX_REGISTERS:
                    raise cursor.error(f"{count} registers")
                self.scope.ranges[name] = (count, TYPES[type_])
            else:
                self._declare(name, type_)
            if not cursor.accept(","):
                break
        cursor.expect(";")

    def _declare(self, name: str, type_name: str) -> Register:
        register = Register(name, TYPES[type_name], len(self.body.registers))
        self.body.registers.append(register)
        self.scope.registers[name] = register
        return register

    def _find_register(self, name: str) -> Register | None:
        scope: Scope | None = self.scope
        while scope is not None:
            found = scope.registers.get(name)
            if found is not None:
                return found
            match = _NUMBERED.match(name) if scope.ranges else None
            if match:
                count, type_ = scope.ranges.get(match[1], (0, None))
                if type_ is not None and int(match[2]) < count:
                    register = Register(name, type_, len(self.body.registers))
                    self.body.registers.append(register)
                    scope.registers[name] = register
                    return register
            scope = scope.parent
        return None

    def _read_instruction(self) -> Instruction:
        cursor = self.cursor
        first = cursor.index
        guard, negated = None, False
        if cursor.accept("@"):
            negated = cursor.accept("!")
            guard = self._find_register(cursor.take())
            if guard is None or guard.type.bits != 1:
                raise cursor.error(f"the guard {cursor.tokens[cursor.index - 1][:40]!r} is no predicate register")
        name = cursor.take()
        if not (name[0].isalpha() or name[0] == "_"):
            raise cursor.error(f"expected an instruction, found {name[:40]!r}")
        operands: tuple[Operand, ...] = ()
        malformed = None
        start = cursor.index
        try:
            operands = self._read_call() if name.partition(".")[0] == "call" else self._read_operands()
            cursor.expect(";")
        except LoadError as error:
            malformed = str(error)
            cursor.index = start
            while cursor.peek() != ";" and cursor.index < self.end:
                cursor.index += 1
            cursor.expect(";")
        text = cursor.source.excerpt(first, cursor.index - 1)
        place = Place(text.rstrip("; "), cursor.source.line(first), self.cuda_line)
        instruction = Instruction(name, operands, place, self.scope)
        instruction.guard, instruction.negated, instruction.malformed = guard, negated, malformed
        return instruction

    def _read_operands(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        if self.cursor.peek() == ";":
            return ()
        while True:
            operands.append(self._read_operand())
            if not self.cursor.accept(","):
                return tuple(operands)

    def _read_list(self, end: str) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while not self.cursor.accept(end):
            operands.append(self._read_operand())
            if not self.cursor.accept(","):
                self.cursor.expect(end)
                break
        return tuple(operands)

    def _read_call(self) -> tuple[Operand, ...]:
        cursor = self.cursor
        results: tuple[Operand, ...] = ()
        arguments: tuple[Operand, ...] = ()
        prototype = ""
        if cursor.accept("("):
            results = self._read_list(")")
            cursor.expect(",")
        target = self._read_operand()
        while cursor.accept(","):
            if cursor.accept("("):
                arguments = self._read_list(")")
            else:
                prototype = cursor.take()
        return (CallSyntax(results, target, arguments, prototype),)

    def _read_operand(self) -> Operand:
        cursor = self.cursor
        word = cursor.peek()
        if word == "{":
            cursor.index += 1
            return Vector(self._read_list("}"))
        if word == "[":
            cursor.index += 1
            return self._read_memory()
        if word == "!":
            cursor.index += 1
            return Not(self._read_operand())
        first = self._read_simple()
        if cursor.accept("|"):
            return Pair(first, self._read_simple())
        return first

    def _read_simple(self) -> Operand:
        cursor = self.cursor
        word = cursor.peek()
        if word in {"-", "+", "~", "("} or word[:1].isdigit():
            return self._read_constant()
        word = cursor.take()
        if word == "_":
            return Sink()
        register = self._find_register(word)
        if register is not None:
            return register
        if _SPECIAL.fullmatch(word):
            return Special(word[1:])
        if word == "WARP_SZ":
            return Immediate(32)
        if not (word[0].isalpha() or word[0] in "_$%"):
            raise cursor.error(f"expected an operand, found {word[:40]!r}")
        return self._read_symbol(word)

    def _read_symbol(self, word: str) -> Symbol:
        offset = self._read_offset()
        scope: Scope | None = self.scope
        while scope is not None:
            variable = scope.variables.get(word)
            if variable is not None:
                return Symbol(word, offset, variable)
            scope = scope.parent
        return Symbol(word, offset, self.program.variables.get(word))

    def _read_offset(self) -> int:
        cursor = self.cursor
        offset = 0
        while cursor.peek() in {"+", "-"}:
            sign = 1 if cursor.take() == "+" else -1
            offset += sign * cursor.integer()
        return offset

    def _read_constant(self) -> Immediate:
        cursor = self.cursor
        if cursor.accept("("):
            inside = self._read_constant()
            cursor.expect(")")
            return inside
        sign = cursor.take() if cursor.peek() in {"-", "+", "~"} else "+"
        if cursor.peek() == "(":
            inner = self._read_constant()
            number, width = inner.value, inner.float_width
        else:
            word = cursor.take()
            exact = float_bits(word)
            if exact is not None:
                width, bits = exact
                return Immediate(bits ^ (1 << (width - 1)) if sign == "-" else bits, width)
            parsed = parse_number(word)
            if parsed is None:
                raise cursor.error(f"expected a number, found {word[:40]!r}")
            number, width = parsed, 1 if isinstance(parsed, float) else 0
        if sign == "~" and isinstance(number, int):
            return Immediate(~number)
        return Immediate(-number if sign == "-" else number, width)

    def _read_memory(self) -> Memory:
        cursor = self.cursor
        if cursor.peek() == "-" or cursor.peek()[:1].isdigit():
            memory = Memory(None, cursor.integer())
        else:
            base = self._read_simple()
            if isinstance(base, Register):
                memory = Memory(base, self._read_offset())
            elif isinstance(base, Symbol):
                memory = Memory(base._replace(offset=0), base.offset)
            else:
                raise cursor.error("an address must start with a register, a symbol or a number")
        cursor.expect("]")
        return memory
