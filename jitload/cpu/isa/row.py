"""One declaration per form of an instruction, and how one is written.

    add{.sat}.s32              d:T a:T b:T
    ld{.weak}{.SPACE}{.VEC}.DATA    d>T [a]
    shf!(l|r).(wrap|clamp).b32      d:u32 a:u32 b:u32 c:u32

Parts stand in the order of the PTX ISA. What is in braces may be missing as a whole, in parentheses it is one of several, and a word
in capitals is one of `GROUPS`. Types must come in the order in which they are written here, and so must parts of one of the
kinds in `ORDERED`; others in any, as ptxas takes them, and NVRTC itself writes `min.s32.relu`. What stands behind "!"
belongs to the name of the opcode: it must follow at once what stands before it here.

Of an operand the letter names it: `d` is the result, `_d` one that may be `_`, others are sources; `[a]` is an address,
`[t]` a place in a texture. Behind ":" stands what a register must hold: `T`, `S`, `R` are the first, the second and the
third type of the instruction, `U` the bits of `T`, `W` twice its width, `p` a predicate; `*` leaves it to the emitter.
With ">" the register may be wider, with "~" the value may be an `Affine`. `#` is a literal; `d|q` may be two results, of
which the second is a predicate, and `d&q` must be; behind "@" stands the modifier that asks for the operand, "?" may be
missing.

An expression is over the sources, `{a}`, and functions of `jitload/cpu/lanes`; "pass" is no code at all. `{is_hi}` is whether a part stands in the
name, `{0:T}` a constant, `{T}` and `{U}` are representations.
"""

from __future__ import annotations

import re
from functools import lru_cache

from jitload.cpu.isa.groups import GROUPS, TYPE_WORDS

#: The expression of what needs no code: memory is sequentially consistent, and there are no caches to hint at.
NO_CODE = "pass"
_BRACES = re.compile(r"\{[^}]*\}|[^{]+")
_PART = re.compile(r"([.!])(?:\(([^)]*)\)|([\w:]+))")
_OPERAND = re.compile(
    r"(?P<sign>[\[{]?)(?P<name>\w+)(?P<pair>[|&]\w)?[\]}]?(?:(?P<mark>[:>~])(?P<holds>[\w*#]+))?(?:@(?P<when>[\w:]+))?(?P<may>\?)?"
)


class Slot:
    """A part of a name.

    Attributes:
        group: the word in capitals, or "".
        names: what may stand there.
        optional: whether it may be missing.
        follows: whether it must follow at once what is before it.
        braces: number of the braces that it shares with others: all of them are there, or none; 0 if it shares none.
    """

    __slots__ = ("braces", "follows", "group", "names", "optional")

    def __init__(self, group: str, names: tuple[str, ...], optional: bool, follows: bool, braces: int = 0) -> None:
        self.group = group
        self.names = names
        self.optional = optional
        self.follows = follows
        self.braces = braces

    @property
    def is_type(self) -> bool:
        """Whether types stand there, whose order counts."""
        return self.names[0] in TYPE_WORDS

    def within(self, braces: int) -> Slot:
        """The same in braces of that number."""
        return Slot(self.group, self.names, self.optional, self.follows, braces)


class Place:
    """An operand.

    Attributes:
        name: "d" for a result, "_d" for one that may be `_`.
        sign: "[" for an address, "{" for as many as `VEC` says.
        pair: "&" where a predicate must stand behind "|", "|" where one may, or "".
        mark: ":", ">" or "~".
        holds: what a register there holds.
        when: the modifier that asks for it, or "".
        optional: whether it may be missing.
    """

    __slots__ = ("holds", "mark", "name", "optional", "pair", "sign", "when")

    def __init__(self, name: str, sign: str, pair: str, mark: str, holds: str, when: str, optional: bool) -> None:
        self.name = name
        self.sign = sign
        self.pair = pair
        self.mark = mark
        self.holds = holds
        self.when = when
        self.optional = optional

    @property
    def is_result(self) -> bool:
        """Whether it is written."""
        return self.name in {"d", "_d"}


class Row:
    """One form of an instruction.

    Attributes:
        spelled: how it is written.
        opcode: its first part.
        operands: what it takes, as text.
        effects: words of `jitload.cpu.isa.effects`.
        profile: its class in profiles; "math" goes by the last type.
        since: the least version of PTX and the least arch, as far as they are above 6.0 and sm_50.
        expression: what it computes, or "" where an emitter says it.
        model: the same in plain Python, as text that tests alone evaluate; how it is written says `tests/cpu/isa/models.py`.
        example: operands for an example, where they do not follow from `operands`.
        refused: why it does not run, or "".
    """

    __slots__ = (
        "_places", "_slots", "effects", "example", "expression", "model", "opcode", "operands", "profile", "refused", "since",
        "spelled",
    )  # fmt: skip

    def __init__(
        self,
        spelled: str,
        operands: str = "",
        expression: str = "",
        model: str = "",
        *,
        profile: str = "math",
        effects: str = "",
        since: str = "",
        example: str = "",
        refused: str = "",
    ) -> None:
        self.spelled = spelled
        self.opcode = spelled.partition("{")[0].partition(".")[0].partition("!")[0]
        self.operands = operands
        self.expression = expression
        self.model = model
        self.profile = profile
        self.effects = _words(effects)
        self.since = since
        self.example = example
        self.refused = refused
        self._slots: tuple[Slot, ...] | None = None
        self._places: tuple[Place, ...] | None = None

    @property
    def name(self) -> str:
        """How it is written, for people."""
        return self.spelled.replace("!", ".")

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The parts behind the opcode."""
        if self._slots is None:
            found: list[Slot] = []
            for number, piece in enumerate(_BRACES.findall(self.spelled)):
                slots = _slots(piece)
                shared = len(slots) > 1 and slots[0].optional
                found += [slot.within(number) for slot in slots] if shared else slots
            self._slots = tuple(found)
        return self._slots

    @property
    def places(self) -> tuple[Place, ...]:
        """The operands."""
        if self._places is None:
            found = [_OPERAND.fullmatch(one) for one in self.operands.split()]
            self._places = tuple(
                Place(
                    one["name"],
                    one["sign"],
                    (one["pair"] or "")[:1],
                    one["mark"] or ":",
                    one["holds"] or "*",
                    one["when"] or "",
                    bool(one["may"]),
                )
                for one in found
                if one is not None
            )
        return self._places

    @property
    def gives(self) -> bool:
        """Whether its first operand is a result."""
        return self.operands.startswith(("d", "_d", "{d"))


@lru_cache(maxsize=128)
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@lru_cache(maxsize=1024)
def _slots(piece: str) -> tuple[Slot, ...]:
    """Those of a piece of a name, in braces or not; rows have many pieces in common."""
    optional = piece[0] == "{"
    return tuple(
        [
            Slot(word if word in GROUPS else "", _names(several or word), optional, sign == "!")
            for sign, several, word in _PART.findall(piece)
        ]
    )


@lru_cache(maxsize=1024)
def _names(text: str) -> tuple[str, ...]:
    return tuple(name for word in text.split("|") for name in GROUPS.get(word, (word,)))
