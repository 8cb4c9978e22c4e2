"""Operands as compilers write them, by their text: registers, literals, addresses, and registers in braces."""

from __future__ import annotations

from jitload.cpu.text.ir import CallSyntax, Immediate, Memory, Operand, Register, Vector
from jitload.cpu.text.operand import OperandReader

_BETWEEN = ", "
_UNSIGNED_DIGITS = 19  # of a number that may need 64 bits


class PlainReader(OperandReader):
    """Reads the operands of most instructions in one step each; `OperandReader` reads whatever is less plain."""

    def read_plain(self, text: str) -> tuple[Operand, ...] | None:
        """The operands of an instruction, or None where one of them is not plain or has not been read so far."""
        if "{" not in text:
            return self._find_all(text)
        first, *groups = text.split("{")
        found: list[Operand] = []
        if first:
            if not first.endswith(_BETWEEN) or (before := self._find_all(first[: -len(_BETWEEN)])) is None:
                return None
            found += before
        last = groups[-1]
        for group in groups:
            inside, _, after = group.partition("}")
            vector = self._find_vector_of(inside)
            if vector is None:
                return None
            found.append(vector)
            if after == _BETWEEN and group is not last:
                continue
            if after or group is not last:
                more = self._find_between(after, last=group is last)
                if more is None:
                    return None
                found += more
        return tuple(found)

    def keep_read(self, text: str, operands: tuple[Operand, ...]) -> None:
        """Keep operands that were read of a text, for `read_plain`."""
        parts = text.split(_BETWEEN)
        if "{" in text or len(parts) != len(operands) or any(type(one) is CallSyntax for one in operands):
            return
        for part, operand in zip(parts, operands, strict=True):
            if "," not in part and part.count("[") == part.count("]"):
                self.scope.operands[part] = operand

    def _find_all(self, text: str) -> tuple[Operand, ...] | None:
        """Operands with a comma and a blank between them, none of them in braces."""
        known, find = self.scope.operands, self._find_new
        found = [known.get(part) or find(part) for part in text.split(_BETWEEN)]
        return tuple(found) if all(found) else None  # type: ignore[arg-type] # none is None

    def _find_between(self, text: str, *, last: bool) -> tuple[Operand, ...] | None:
        """What stands behind braces, up to the next ones, or to the end."""
        if not text.startswith(_BETWEEN) or not (last or text.endswith(_BETWEEN)):
            return None
        return self._find_all(text[len(_BETWEEN) : None if last else -len(_BETWEEN)])

    def _find_vector_of(self, text: str) -> Vector | None:
        """A vector of nothing but registers."""
        known = self.scope.operands
        key = f"{{{text}"
        vector = known.get(key)
        if vector is None:
            items = self._find_all(text)
            if items is None or set(map(type, items)) != {Register}:
                return None
            vector = known[key] = Vector(items)
        assert type(vector) is Vector
        return vector

    def _find_new(self, text: str) -> Operand | None:
        """A register, a number, or an address that is a register, with a number behind it or not."""
        found: Operand | None = None
        if text[:1] == "%":
            found = self.find_register(text)
        elif _is_decimal(text.removeprefix("-")) and text != "-0":
            found = Immediate(int(text), 0)
        elif text[:1] == "[" and text[-1:] == "]":
            base, plus, digits = text[1:-1].partition("+")
            register = self.scope.operands.get(base) or self.find_register(base)
            if type(register) is Register and (not plus or _is_decimal(digits)):
                found = Memory(register, int(digits or "0"))
        if found is not None:
            self.scope.operands[text] = found
        return found


def _is_decimal(digits: str) -> bool:
    """Whether they are a number in any C: with a zero in front it would be octal, with more digits unsigned."""
    return digits.isdigit() and len(digits) < _UNSIGNED_DIGITS and (digits[0] != "0" or digits == "0")
