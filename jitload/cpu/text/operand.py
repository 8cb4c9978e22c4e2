"""Operands of instructions (PTX ISA section 6.4), looked up in the scopes around them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.cpu.text.ir import (
    CallSyntax,
    Immediate,
    Memory,
    Not,
    Operand,
    Pair,
    Part,
    Register,
    Scope,
    Sink,
    Special,
    Symbol,
    Texel,
    Variable,
    Vector,
)
from jitload.images.ptx.constant import read_constant, read_size, starts_constant
from jitload.images.ptx.initializer import read_offset

if TYPE_CHECKING:
    from jitload.images.ptx.tokens import Cursor

_MOST_DIGITS = 7  # of a register's number
_MOST_ITEMS = 128  # of a vector: wgmma gives so many sums
_SELECTED = re.compile(r"(.+)\.([bh][0-7]{1,4})")
_SPECIAL = re.compile(
    r"%(tid|ntid|ctaid|nctaid|clusterid|nclusterid|cluster_ctaid|cluster_nctaid)(\.[xyzw])?"
    r"|%(laneid|warpid|nwarpid|smid|nsmid|gridid|is_explicit_cluster|cluster_ctarank|cluster_nctarank"
    r"|lanemask_(eq|le|lt|ge|gt)|clock|clock_hi|clock64|pm\d+(_64)?|envreg\d+|globaltimer(_lo|_hi)?"
    r"|reserved_smem_offset_\w+|total_smem_size|aggr_smem_size|dynamic_smem_size|current_graph_exec)"
)


def split_number(name: str) -> tuple[str, str]:
    """`%r12` to ("%r", "12"); a zero before other digits belongs to the stem."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    if digits[:1] != "0" and len(digits) <= _MOST_DIGITS:
        return stem, digits
    tail = name[-_MOST_DIGITS:]
    digits = tail[len(tail.rstrip("0123456789")) :]
    digits = digits.lstrip("0") or digits[:1]
    return name[: len(name) - len(digits)], digits


class OperandReader:
    """Reads operands at a cursor.

    Args:
        cursor: where the operands stand.
        variables: the module's variables.

    Attributes:
        scope: the innermost scope.
        registers: every register that was declared and named, in the order of their numbers.
    """

    def __init__(self, cursor: Cursor, variables: dict[str, Variable]) -> None:
        self.cursor = cursor
        self.scope = Scope(None)
        self.registers: list[Register] = []
        self._variables = variables
        self._literals: dict[str, Immediate] = {}

    def find_register(self, name: str) -> Register | None:
        """The register of that name in the scopes around; `%r<10>` declares ten, made when they are named."""
        scope: Scope | None = self.scope
        while scope is not None:
            found = scope.registers.get(name)
            if found is not None:
                return found
            if scope.vectors and name in scope.vectors:
                return None
            if scope.ranges:
                stem = name.rstrip("0123456789")
                digits = name[len(stem) :]
                if digits[:1] == "0" or len(digits) > _MOST_DIGITS:
                    stem, digits = split_number(name)
                known = scope.ranges.get(stem)
                if known is not None and digits and int(digits) < known[0]:
                    register = scope.registers[name] = Register(name, known[1], len(self.registers))
                    self.registers.append(register)
                    return register
            scope = scope.parent
        return None

    def _find_vector(self, name: str) -> Vector | None:
        """The vector register of that name in the scopes around."""
        scope: Scope | None = self.scope
        while scope is not None:
            if name in scope.vectors:
                return scope.vectors[name]
            scope = scope.parent
        return None

    def read_operands(self) -> tuple[Operand, ...]:
        """The operands up to the semicolon, which is left there."""
        cursor = self.cursor
        operands: list[Operand] = []
        tokens, registers, literals, index = cursor.tokens, self.scope.registers, self._literals, cursor.index
        if tokens[index] == ";":
            return ()
        while True:
            # Most operands are a register or a literal, an address of those or registers in braces; a brace at least
            # comes after them.
            word, after = tokens[index], tokens[index + 1]
            found = registers.get(word) or literals.get(word) or (self.find_register(word) if word[0] == "%" else None)
            if found is not None and after == ",":
                operands.append(found)
                index += 2
                continue
            if found is not None and after == ";":
                operands.append(found)
                cursor.index = index + 1
                return tuple(operands)
            cursor.index = index
            if word == "[" and (base := registers.get(after)) is not None:
                operands.append(self._read_address(base))
            else:
                operands.append((self._read_plain() if word == "{" else None) or self._read_operand())
            if not cursor.accept(","):
                return tuple(operands)
            index = cursor.index

    def _read_plain(self) -> Vector | None:
        """`{a, b, ...}` of nothing but registers, or None, with the cursor where it was."""
        tokens, first = self.cursor.tokens, self.cursor.index + 1
        try:
            end = tokens.index("}", first, first + 2 * _MOST_ITEMS)
        except ValueError:
            return None
        names = tokens[first:end:2]
        if tokens[first + 1 : end : 2].count(",") == len(names) - 1 == (end - first) // 2 and tokens[end + 1] != "|":
            known = self.scope.registers
            found = [register for name in names if (register := known.get(name) or self.find_register(name))]
            if len(found) == len(names):
                self.cursor.index = end + 1
                return Vector(tuple(found))
        return None

    def _read_address(self, base: Register) -> Memory | Texel:
        """`[base]`, `[base+4]` or what is less common, from its bracket on."""
        cursor, tokens = self.cursor, self.cursor.tokens
        first = cursor.index
        if tokens[first + 2] == "]":
            cursor.index = first + 3
            return Memory(base, 0)
        offset = self._literals.get(tokens[first + 3]) if tokens[first + 2] == "+" else None
        if offset is not None and tokens[first + 4] == "]" and not offset.float_width and isinstance(offset.value, int):
            cursor.index = first + 5
            return Memory(base, offset.value)
        cursor.index = first + 1
        return self._read_memory()

    def _read_list(self, end: str) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while not self.cursor.accept(end):
            operands.append(self._read_operand())
            if not self.cursor.accept(","):
                self.cursor.expect(end)
                break
        return tuple(operands)

    def read_call(self) -> tuple[Operand, ...]:
        """`(results), target, (arguments), prototype` as one operand."""
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
            cursor.deeper()
            found = Vector(self._read_list("}"))
            cursor.depth -= 1
            return Pair(found, self._read_simple()) if cursor.accept("|") else found
        if word == "[":
            cursor.index += 1
            return self._read_memory()
        if word == "!" and not starts_constant(cursor.tokens[cursor.index + 1]):
            cursor.index += 1
            cursor.deeper()
            negated = Not(self._read_operand())
            cursor.depth -= 1
            return negated
        first = self._read_simple()
        if isinstance(first, Symbol) and cursor.accept("["):
            return self._read_element(first)
        if cursor.accept("|"):
            return Pair(first, self._read_simple())
        return first

    def _read_simple(self) -> Operand:
        cursor = self.cursor
        word = cursor.peek()
        if starts_constant(word):
            return self._read_negated() if word == "-" else self._read_constant(word)
        word = cursor.take()
        if word == "_":
            return Sink()
        register = self.find_register(word)
        if register is not None:
            return register
        if _SPECIAL.fullmatch(word):
            return Special(word[1:])
        found = self._find_vector(word) or self._find_part(word)
        if found is not None:
            return found
        if not (word[0].isalpha() or word[0] in "_$%"):
            raise cursor.error(f"expected an operand, found {word[:40]!r}")
        return self._read_symbol(word)

    def _find_part(self, word: str) -> Part | None:
        """`r.b0`: bytes or halves of a register."""
        match = _SELECTED.fullmatch(word)
        register = self.find_register(match[1]) if match else None
        return Part(register, match[2]) if match and register is not None else None

    def _read_constant(self, word: str) -> Immediate:
        first = self.cursor.index
        found = read_constant(self.cursor)
        if self.cursor.index == first + 1:
            self._literals[word] = found
        return found

    def _read_negated(self) -> Operand:
        """`-r` or `-r.b0`, which `vmad` takes, or a number."""
        word = self.cursor.tokens[self.cursor.index + 1]
        register = self.find_register(word)
        part = Part(register, "") if register is not None else self._find_part(word)
        if part is None:
            return read_constant(self.cursor)
        self.cursor.index += 2
        return part._replace(negated=True)

    def _read_symbol(self, word: str) -> Symbol:
        scope: Scope | None = self.scope
        variable = None
        while scope is not None and variable is None:
            variable = scope.variables.get(word)
            scope = scope.parent
        variable = variable or self._variables.get(word)
        return Symbol(word, read_offset(self.cursor), variable)

    def _read_element(self, array: Symbol) -> Memory:
        """`array[3]`, which is `[array + 12]` (PTX ISA section 6.4.2)."""
        if array.variable is None:
            raise self.cursor.error(f"{array.name[:40]} is no array")
        offset = array.variable.type.size * read_size(self.cursor)
        self.cursor.expect("]")
        return Memory(array, offset)

    def _read_texel(self, handle: Register) -> Texel:
        coordinates = self._read_operand()
        if self.cursor.accept(","):
            raise self.cursor.unsupported("samplers apart from textures, which objects of CUDA are both,")
        self.cursor.expect("]")
        return Texel(handle, coordinates if isinstance(coordinates, Vector) else Vector((coordinates,)))

    def _read_memory(self) -> Memory | Texel:
        cursor = self.cursor
        if starts_constant(cursor.peek()):
            memory = Memory(None, read_size(cursor))
        else:
            base = self._read_simple()
            if isinstance(base, Register):
                if cursor.accept("]"):
                    return Memory(base, 0)
                if cursor.accept(","):
                    return self._read_texel(base)
                memory = Memory(base, read_offset(cursor))
            elif isinstance(base, Symbol):
                if cursor.accept(","):
                    raise cursor.unsupported("references, in place of texture and surface objects by value,")
                memory = Memory(base._replace(offset=0), base.offset)
            else:
                raise cursor.error("an address must start with a register, a symbol or a number")
        cursor.expect("]")
        return memory
