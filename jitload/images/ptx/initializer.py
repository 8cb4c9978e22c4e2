"""Initial values of variables (PTX ISA section 5.4.4)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from jitload.images.ptx.constant import PRODUCT, read_constant, starts_constant
from jitload.images.ptx.limits import INITIAL_VALUES
from jitload.images.ptx.tokens import float_bits
from jitload.images.ptx.values import InitialValue

if TYPE_CHECKING:
    from jitload.images.ptx.tokens import Cursor

_PLAIN_DIGITS = 18  # fewer than any number whose sign depends on its size has


def read_initializer(cursor: Cursor, dimensions: list[int]) -> list[InitialValue]:
    """Take `value` or nested braces; a row that names fewer values than it has elements is filled up with zeros.

    Args:
        cursor: after the '='.
        dimensions: the extents below the outermost one, whose length the values may give.

    Raises:
        LoadError: it cannot be read, or a row holds too much.
    """
    if not cursor.accept("{"):
        return [_read_value(cursor)]
    values: list[InitialValue] = []
    row = prod(dimensions)
    while not cursor.accept("}"):
        if _read_plain(cursor, values):
            pass
        elif cursor.peek() == "{":
            cursor.deeper()
            inner = read_initializer(cursor, dimensions[1:])
            cursor.depth -= 1
            if dimensions:
                if len(inner) > row:
                    raise cursor.error(f"{len(inner)} initial values for a row of {row}")
                missing = -len(values) % row if row else 0
                if len(values) + missing + row > INITIAL_VALUES:
                    raise cursor.error(f"rows of {row} initial values: more than {INITIAL_VALUES} in all are refused")
                values += [InitialValue(0)] * missing
                inner += [InitialValue(0)] * (row - len(inner))
            values += inner
        else:
            values.append(_read_value(cursor))
        if len(values) > INITIAL_VALUES:
            raise cursor.error(f"more than {INITIAL_VALUES} initial values are refused")
        if not cursor.accept(","):
            cursor.expect("}")
            break
    return values


def _read_plain(cursor: Cursor, values: list[InitialValue]) -> bool:
    """Take values of long tables up to a comma or the end: decimal numbers and bits of floats, each standing alone.

    Returns:
        Whether there was one; the last comma is left.
    """
    tokens, index, room = cursor.tokens, cursor.index, INITIAL_VALUES - len(values)
    known: dict[str, InitialValue] = {}
    last = index - 1  # what stands after the last value that was taken
    while index + 1 < len(tokens) and tokens[index + 1] in {",", "}"}:
        word = tokens[index]
        value = known.get(word) or _plain_value(word)
        if value is None:
            break
        known[word] = value
        values.append(value)
        last = index + 1
        if tokens[last] == "}" or room == 0:
            break
        room -= 1
        index += 2
    taken = last >= cursor.index
    cursor.index = max(cursor.index, last)
    return taken


def _plain_value(word: str) -> InitialValue | None:
    if len(word) > _PLAIN_DIGITS:
        return None
    exact = float_bits(word)
    if exact is not None:
        return InitialValue(exact[1], exact[0])
    return InitialValue(int(word)) if word.isdigit() and (word[0] != "0" or len(word) == 1) else None


def _read_value(cursor: Cursor) -> InitialValue:
    if not starts_constant(cursor.peek()):
        return _read_address(cursor, 0)
    tokens = cursor.tokens[cursor.index : cursor.index + 2]
    if len(tokens) == 2 and tokens[0][0].isdigit() and tokens[1] == "(":  # 0xff00(symbol), some bits of an address
        mask = cursor.integer()
        cursor.expect("(")
        value = _read_address(cursor, mask)
        cursor.expect(")")
        return value
    constant = read_constant(cursor)
    return InitialValue(constant.value, constant.float_width)


def _read_address(cursor: Cursor, mask: int) -> InitialValue:
    word = cursor.take()
    offset: int | float = 0
    if word == "generic" and cursor.accept("("):
        cursor.deeper()
        found = _read_address(cursor, mask)
        cursor.expect(")")
        cursor.depth -= 1
        word, offset = found.symbol, found.number
    elif not (word[0].isalpha() or word[0] in "_$%"):
        raise cursor.error(f"expected a symbol in an initialiser, found {word[:40]!r}")
    return InitialValue(offset + read_offset(cursor), 0, word, mask)


def read_offset(cursor: Cursor) -> int:
    """Take `+ 4*3 - 8` after an address, perhaps nothing."""
    offset = 0
    while cursor.peek() in {"+", "-"}:
        sign = 1 if cursor.take() == "+" else -1
        value, width = read_constant(cursor, PRODUCT)
        if width or not isinstance(value, int):
            raise cursor.error("an address takes whole bytes")
        offset += sign * value
    return offset
