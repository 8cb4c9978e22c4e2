"""Generated code: one Python function per basic block, over lane arrays.

Nothing of the PTX text reaches the generated source: names are made of register and constant numbers, and operations
come from the tables of this package. A block function is called as `block(batch, frame, lanes)`; `lanes` is None when
every lane of the batch runs it, and then registers are exchanged as whole arrays without copying. A value that all
lanes share stays a NumPy scalar for as long as it can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.block_text import BlockText, names_of_loads
from jitload.cpu.code.function_writer import FunctionWriter, Value, loaded
from jitload.cpu.faults import Refused
from jitload.cpu.isa.specials import LINEAR, find_special
from jitload.cpu.text.ir import Immediate, Memory, Not, Operand, Register, Sink, Special, Symbol
from jitload.cpu.types import BITS, unsigned_rep

if TYPE_CHECKING:
    from jitload.cpu.code.control import Block
    from jitload.cpu.text.ir import Instruction


#: Spaces of which one reaches variables of the other.
_ALIKE = ({"global", "const"}, {"shared", "cluster"})


class BlockWriter:
    """Writes the function of one block, instruction by instruction."""

    def __init__(self, function: FunctionWriter, block: Block) -> None:
        self.function = function
        self.block = block
        self.lines: list[str] = []
        self.loads: list[Register] = []
        self.specials: list[str] = []
        self.needs_base = False
        self._values: dict[int, Value] = {}
        self._views: dict[tuple[str, str], str] = {}
        self._dense: dict[str, str] = {}
        self._written: dict[int, Register] = {}
        self._addresses: dict[tuple[str, str], str] = {}
        self._names = 0
        self._select: str | None = None
        self._linear = False  # whether a source of this instruction may be an `Affine`
        self.site = 0

    def temporary(self, expression: str) -> str:
        """Assign an expression to a new name."""
        name = f"t{self._names}"
        self._names += 1
        self.lines.append(f"{name} = {expression}")
        return name

    def temporaries(self, count: int, expression: str) -> list[str]:
        """Assign the elements of an expression, of which there are so many, to new names."""
        names = [f"t{number}" for number in range(self._names, self._names + count)]
        self._names += count
        self.lines.append(f"{', '.join(names)}, = {expression}")
        return names

    def line(self, statement: str) -> None:
        """Add a statement."""
        self.lines.append(statement)

    def begin(self, instruction: Instruction) -> None:
        """Go on to the next instruction: its site, and its guard if the new value is to be selected per lane."""
        self.site = self.function.site(instruction.place)
        self._select = None
        self._linear = False
        if instruction.guard is not None:
            guard = self.source(instruction.guard, "p")
            self._select = f"~{guard}" if instruction.negated else guard

    def source(self, operand: Operand, rep: str) -> str:
        """An expression for a source operand, seen as `rep`: an array of lanes, or a scalar.

        Raises:
            Refused: the operand cannot be that.
        """
        if isinstance(operand, Register):
            value = self._values.get(operand.index) or self._load(operand)
            if value.affine:
                value = Value(self._lanes(value.name), value.rep, value.root)
            return value.name if value.rep == rep else self._convert(value, rep, operand)
        if isinstance(operand, Special) and operand.name.startswith(LINEAR):
            return self._lanes(self._special(operand.name, rep))
        return self.affine_source(operand, rep)

    def sources(self, operands: tuple[Operand, ...], rep: str) -> list[str]:
        """The same for several, of which nearly all are registers."""
        values, found, load = self._values, [], self._load
        for operand in operands:
            if type(operand) is Register:
                value = values.get(operand.index) or load(operand)
                if value.rep == rep and not value.affine:
                    found.append(value.name)
                    continue
            found.append(self.source(operand, rep))
        return found

    def affine_source(self, operand: Operand, rep: str) -> str:
        """An expression for a source operand, seen as `rep`, that may also be an `Affine`.

        Raises:
            Refused: the operand cannot be that.
        """
        if isinstance(operand, Register):
            value = self._values.get(operand.index) or self._load(operand)
            self._linear |= value.affine
            return value.name if value.rep == rep else self._convert(value, rep, operand)
        if isinstance(operand, Immediate):
            return self.function.literal(operand, rep)
        if isinstance(operand, Not) and rep == "p":
            return self.temporary(f"~{self.source(operand.operand, 'p')}")
        if isinstance(operand, Special):
            self._linear |= operand.name.startswith(LINEAR)
            return self._special(operand.name, rep)
        if isinstance(operand, Symbol):
            return self._symbol(operand, rep)
        raise Refused(f"an operand that is no .{rep} value")

    def _lanes(self, name: str) -> str:
        found = self._dense.get(name)
        if found is None:
            found = self._dense[name] = self.temporary(f"dense({name})")
        return found

    def _load(self, register: Register) -> Value:
        """The value of a register that the block has not used so far."""
        index = register.index
        value = self._values[index] = loaded(len(self.loads), register.held, index in self.function.linear)
        self.loads.append(register)
        return value

    def _convert(self, value: Value, rep: str, register: Register) -> str:
        if value.rep == rep:
            return value.name
        key = (value.name, rep)
        name = self._views.get(key)
        if name is None:
            have, want = BITS[value.rep], BITS[rep]
            if "p" in {rep, value.rep} or have < want or have == 128:
                raise Refused(f"register {register.name} of {have} bits where .{rep} is needed")
            if have == want:
                name = self.temporary(f"{value.name}.view({rep})")
            else:
                narrow = f"{self._convert(value, unsigned_rep(have), register)}.astype({unsigned_rep(want)})"
                name = self.temporary(narrow if rep == unsigned_rep(want) else f"{narrow}.view({rep})")
            self._views[key] = name
        return name

    def _special(self, name: str, rep: str) -> str:
        found = find_special(name)
        if found is None:
            raise Refused(f"special register %{name} is not supported")
        if (rep == "p") != (found.bits == 1):
            raise Refused(f"special register %{name} is {'no' if rep == 'p' else 'a'} predicate")
        if name not in self.specials:
            self.specials.append(name)
        own = "p" if rep == "p" else f"u{found.bits}"
        local = f"x{self.specials.index(name)}"  # not s8, which is a type
        if own == "u64" and BITS[rep] == 32:
            return self.temporary(f"{local}.astype(u32).view({rep})")
        if own == "u32" and BITS[rep] == 64:
            return self.temporary(f"{local}.astype({rep})")
        if rep != "p" and (BITS[rep] < 32 or rep[0] == "f"):
            return self.temporary(f"{local}.astype({rep})")
        return local if rep == own else self.temporary(f"{local}.view({rep})")

    def _symbol(self, operand: Symbol, rep: str) -> str:
        space, address = self.function.resolve(operand)
        if BITS[rep] < 32 or rep[0] == "f":
            raise Refused("an address where a number is needed")
        if space != "local":
            return self.function.constant(rep, address)
        self.needs_base = True
        return self.temporary(f"{rep}(base + {address})")

    def result(
        self, operand: Operand, rep: str, expression: str, *, shared: bool = False, affine: bool = False
    ) -> None:
        """Assign an expression of representation `rep` to a destination operand.

        Args:
            operand: a register, or `_`.
            rep: the representation of the expression; a wider register is filled by sign or zero extension.
            expression: what to assign.
            shared: the expression may give back one of its own arguments, so its array is not ours to keep.
            affine: the expression may be an `Affine` if one of its sources may.
        """
        if isinstance(operand, Sink):
            self.line(expression)
            return
        if not isinstance(operand, Register):
            raise Refused("a destination that is no register")
        own = operand.held
        if own != rep:
            if "p" in {rep, own}:
                raise Refused(f"register {operand.name} cannot take a .{rep} value")
            if BITS[own] < BITS[rep]:
                raise Refused(f"register {operand.name} of {BITS[own]} bits is too narrow for .{rep}")
            if BITS[own] > BITS[rep]:
                expression, rep, shared = *self._widened(expression, rep, BITS[own]), False
        affine = affine and self._linear
        if affine and (self._select is not None or operand.index not in self.function.linear):
            expression, shared, affine = f"dense({expression})", True, False
        if self._select is not None:
            old = self.source(operand, rep)
            expression, shared = f"where({self._select}, {expression}, {old})", False
        known = expression.isidentifier()
        name = expression if known else self.temporary(expression)
        root = "shared" if shared or (known and name[0] != "t") else name
        self._values[operand.index] = Value(name, rep, root, affine)
        self._written[operand.index] = operand

    def _widened(self, expression: str, rep: str, bits: int) -> tuple[str, str]:
        """(an expression by sign or zero extension, its representation)."""
        wide = f"{'s' if rep[0] == 's' else 'u'}{bits}"
        seen = f".view({unsigned_rep(BITS[rep])})" if rep[0] == "f" else ""
        return f"({expression}){seen}.astype({wide})", wide

    def alias(self, operand: Operand, source: Operand, rep: str) -> None:
        """`mov` between registers: the destination becomes another name for the source."""
        if self._select is None and isinstance(operand, Register) and isinstance(source, Register):
            value = self._values.get(source.index) or self._load(source)
            fits = BITS[value.rep] == BITS[rep] == BITS[operand.held]
            if fits and (not value.affine or operand.index in self.function.linear):
                self._values[operand.index] = Value(value.name, value.rep, value.root, value.affine)
                self._written[operand.index] = operand
                return
        self.result(operand, rep, self.source(source, rep), shared=True)

    def address_text(self, space: str, memory: Memory, *, affine: bool = False) -> tuple[str, str, int]:
        """(space, expression of the base, constant offset) of `[base + offset]`; the base may be a Python int."""
        base, offset = memory.base, memory.offset
        if isinstance(base, Register):
            rep = "u64" if base.type.bits == 64 else "u32"
            text = self.affine_source(base, rep) if affine else self.source(base, rep)
        elif isinstance(base, Symbol):
            found, address = self.function.resolve(base)
            if found == "code":
                raise Refused(f"{base.name} is a function, not a variable")
            if found == "local":
                self.needs_base = True
                text = f"base + {address}"
            else:
                text = str(address)
            if space not in {found, "generic"} and not any({space, found} <= one for one in _ALIKE):
                raise Refused(f"{base.name} lies in {found} memory, not in {space}")
        else:
            text = "0"
        return space, text, offset

    def address(self, space: str, memory: Memory) -> tuple[str, int]:
        """(name of the checked addresses, constant offset) of `[base + offset]` in a space."""
        _, text, offset = self.address_text(space, memory, affine=True)
        key = (space, text)
        name = self._addresses.get(key)
        if name is None:
            name = self._addresses[key] = self.temporary(f"at_{space}(batch, {text})")
        return name, offset

    def text(self, returned: str, stored: list[Register]) -> BlockText:
        """The code of the block.

        Args:
            returned: the expression that the function returns.
            stored: registers to write back, those that a later block reads.
        """
        lines = [f" x{number} = batch.special({name!r})" for number, name in enumerate(self.specials)]
        if self.needs_base:
            lines.append(" base = frame.base")
        tables: list[tuple[int, ...]] = []
        if self.loads:
            lines.append(f" {names_of_loads(len(self.loads))}= fetch(frame, lanes, n0)")
            tables.append(tuple([register.index for register in self.loads]))
        lines += [f" {line}" for line in self.lines]
        lines += self._write_back(stored, tables)
        if not lines and returned == "None":
            return BlockText("", ())
        return BlockText("\n".join([*lines, f" return {returned}"]), tuple(tables))

    def _write_back(self, stored: list[Register], tables: list[tuple[int, ...]]) -> list[str]:
        own: list[tuple[int, str]] = []
        shared: list[tuple[int, str]] = []
        kept = {"shared"}
        for register in stored:
            if register.index not in self._written:
                continue
            value = self._values[register.index]
            rep = register.held
            name = value.name if value.rep == rep else f"{value.name}.view({rep})"
            is_kept = value.root in kept or value.root[0] == "r"  # what was loaded
            (shared if is_kept else own).append((register.index, name))
            kept.add(value.root)
        lines = []
        for function, group in (("keep", own), ("keep_copies", shared)):
            if group:
                values = ", ".join([name for _, name in group])
                lines.append(f" {function}(batch, frame, lanes, n{len(tables)}, {values})")
                tables.append(tuple([number for number, _ in group]))
        return lines
