"""The macros that a compile defines: a mapping, or texts as behind -D, as (name, value) pairs."""

from __future__ import annotations

import re

from jitload.errors import UsageTypeError, UsageValueError
from jitload.lazy import lazy
from jitload.source.options import macro_name
from jitload.source.text import check_encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import math
    from collections.abc import Iterable, Mapping

    #: A name, with its parameters where it has some, and its value; None defines it bare.
    Definition = tuple[str, str | None]
else:  # for numbers
    math = lazy("math")


def checked_definitions(
    written: Iterable[Definition], defines: Mapping[str, object] | Iterable[str] | None
) -> tuple[Definition, ...]:
    """The definitions of a compile, sorted by name; the last one of a name counts.

    Args:
        written: those that its options have.
        defines: those that it was given apart, which come after them.

    Raises:
        UsageValueError: a name or a value that cannot be.
        UsageTypeError: something that defines nothing.
    """
    last: dict[str, Definition] = {}
    for name, value in [*written, *_definitions(defines)]:
        # With parentheses for a macro that takes arguments: "SQUARE(x)".
        if not re.fullmatch(r"[A-Za-z_]\w*(?:\([\w\s,.]*\))?", name) or re.search(r"[\0\n]", value or ""):
            raise UsageValueError(f"{name!r} cannot be defined as a macro")
        check_encodable(f"the value of macro {name}", value or "")
        last[macro_name(name)] = name, value
    return tuple(sorted(dict(last.values()).items(), key=lambda item: item[0]))


def _definitions(defines: Mapping[str, object] | Iterable[str] | None) -> list[Definition]:
    if defines is None:
        return []
    if isinstance(defines, (str, bytes)) or not hasattr(defines, "__iter__"):
        raise UsageTypeError(
            f"defines is a mapping like {{'N': 4}}, or an iterable of 'N=4'; got one {type(defines).__name__}"
        )
    if hasattr(defines, "items"):
        return [(str(name), _definition_text(value)) for name, value in defines.items()]
    split = [str(item).partition("=") for item in defines]
    return [(name, value if equals else None) for name, equals, value in split]


def _definition_text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return str.__str__(value)  # of a member of an enumeration too
    number = value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
    if isinstance(number, bool):
        return "1" if number else "0"
    if isinstance(number, float) and not math.isfinite(number):
        raise UsageValueError(
            f"{value!r} has no literal in C++, so no macro can be it: write what stands for it as text, such as "
            f"'__int_as_float(0x7f800000)'"
        )
    if isinstance(number, int):
        return int.__repr__(number)
    if isinstance(number, float):  # NumPy writes as many digits as its own type has
        return str(value) if type(value).__module__ == "numpy" else str(number)
    raise UsageTypeError(f"a macro is text, a number or a bool, got {type(value).__name__}: {value!r}")
