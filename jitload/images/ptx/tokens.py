"""PTX text to tokens, and a place in them (PTX ISA sections 4.1 to 4.5)."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from itertools import count
from operator import sub

from jitload.errors import LoadError
from jitload.images.ptx.limits import DIGITS, NESTING, TEXT_BYTES, TOKENS

# What is never closed goes to the end, of the line or the text: to look for its other end again from each place where
# it might begin takes quadratic time.
_COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"?|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
# An instruction as compilers write it is one word: its line from a tab to the semicolon, with no braces left open.
_INSTRUCTION = (
    r"(?<=\n\t)[a-z][a-zA-Z0-9_.:]*[ \t]+(?=[a-zA-Z0-9_%$[{])"
    r"[a-zA-Z0-9_.:%$+\-,[\] \t]*(?:\{[a-zA-Z0-9_.:%$+\-,[\] \t]*\}[a-zA-Z0-9_.:%$+\-,[\] \t]*)*;"
)
# Blanks before a word are part of a match: to try every kind of word at each of them takes longer than all the rest.
# Sets without a class such as \w are looked up in one step.
_TOKEN = re.compile(
    r"[ \t\r\f\v]*("
    rf"[][,;{{}}()\n]|{_INSTRUCTION}"  # most words of a text: the first that are tried
    r"|[%$_A-Za-z][a-zA-Z0-9_$.%]*(?:::[a-zA-Z0-9_][a-zA-Z0-9_.$]*)*|\.[a-zA-Z0-9_]+(?:::[a-zA-Z0-9_]+)*"
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|0[fF][0-9a-fA-F]{8}(?!\w)|0[dD][0-9a-fA-F]{16}(?!\w)"
    r"|0[xX][0-9a-fA-F]+U?|0[bB][01]+U?"
    r"|\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\d+U?"
    r"|<<|>>|&&|\|\||[=!<>]="
    r"|\S"
    r")",
    re.ASCII,
)
_BLANKS = " \t\r\f\v"


class Source:
    """The text of a module as tokens that remember where they stood.

    Attributes:
        text: the text as given.
        tokens: the tokens' text, in order, without comments. An instruction as compilers write it is one of them, which
            `InstructionCursor` takes apart.

    Raises:
        LoadError: there are too many.
    """

    __slots__ = ("_line_ends", "_lines", "_starts", "text", "tokens")

    def __init__(self, text: str) -> None:
        if text.count("\n") > TOKENS:
            raise LoadError(f"PTX of {text.count(chr(10))} lines: more than {TOKENS} are refused", kind="ptx")
        self.text = text
        words: list[str] = _TOKEN.findall(_without_comments(text))
        self.tokens = [word for word in words if word != "\n"]
        if len(self.tokens) > TOKENS:
            raise LoadError(f"PTX of {len(self.tokens)} words: more than {TOKENS} are refused", kind="ptx")
        ends = [place for place, word in enumerate(words) if word == "\n"]
        self._line_ends = array("q", map(sub, ends, count()))  # the tokens before each end
        self._lines: list[str] | None = None
        self._starts: array[int] | None = None

    def line(self, index: int) -> int:
        """The 1-based line of the token at `index` (of the last one, past the end)."""
        return bisect_right(self._line_ends, min(index, len(self.tokens) - 1)) + 1 if self.tokens else 1

    def stands(self, first: int, last: int) -> tuple[str, int]:
        """The text from token `first` to token `last`, as written, on one line; and the line where it begins."""
        last = min(last, len(self.tokens) - 1)
        ends, line = self._line_ends, bisect_right(self._line_ends, first)
        if line < len(ends) and ends[line] == last + 1 and (ends[line - 1] if line else 0) == first:
            if self._lines is None:
                self._lines = self.text.split("\n")
            text = self._lines[line]
            if "/" not in text:  # an instruction that has a line for itself, without a comment
                return " ".join(text.split()), line + 1
        if self._starts is None:
            found = _TOKEN.finditer(_without_comments(self.text))
            self._starts = array("q", (match.start(1) for match in found if match[1] != "\n"))
        text = self.text[self._starts[first] : self._starts[last] + len(self.tokens[last])]
        return " ".join(text.split()), self.line(first)

    def count_semicolons(self, first: int, last: int) -> int:
        """How many there are from token `first` up to token `last`."""
        return sum([word[-1] == ";" for word in self.tokens[first:last]])

    def line_end(self, index: int) -> int:
        """The index of the first token on a later line than the token at `index`."""
        line = bisect_right(self._line_ends, index)
        return self._line_ends[line] if line < len(self._line_ends) else len(self.tokens)


def is_instruction(word: str) -> bool:
    """Whether a word is a whole instruction, with its semicolon; no other word that begins with a letter has one."""
    return word[-1] == ";" and word[0].isalpha()


def _without_comments(text: str) -> str:
    """The text with blanks in the place of comments, and none at its end, where words would be looked for at each."""
    return _COMMENT.sub(_blank, text).rstrip(_BLANKS)


def _blank(match: re.Match[str]) -> str:
    found = match.group()
    return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)


def read_source(data: bytes) -> Source:
    """Bytes of PTX, perhaps NUL-terminated, to tokens.

    Raises:
        LoadError: the bytes are not text, or not PTX.
    """
    if len(data) > TEXT_BYTES:
        raise LoadError(f"PTX of {len(data)} bytes: more than {TEXT_BYTES} bytes are refused", kind="ptx")
    try:
        text = data.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError as error:
        raise LoadError(f"not PTX: byte {error.start} is not text", kind="ptx") from error
    source = Source(text)
    if ".version" not in source.tokens:
        raise LoadError("not PTX: no .version directive in the text", kind="ptx")
    return source


def parse_number(token: str) -> int | float | None:
    """The value of a numeric literal (PTX ISA section 4.5), or None for another token.

    `0f...` and `0d...` give floats of the exact bits; they are told apart by `float_bits`.
    """
    if not token[0].isdigit() or len(token) > DIGITS:
        return None
    digits = token.rstrip("U")
    try:
        if digits[:2] in {"0x", "0X"}:
            return int(digits, 16)
        if digits[:2] in {"0b", "0B"}:
            return int(digits, 2)
        if len(digits) > 1 and digits.isdigit() and digits[0] == "0":
            return int(digits, 8)
        return int(digits) if digits.isdigit() else float(digits)
    except ValueError:
        return None


def float_bits(token: str) -> tuple[int, int] | None:
    """(width, bits) of a `0f` or `0d` literal, or None."""
    if token[:2] in {"0f", "0F"} and len(token) == 10:
        return 32, int(token[2:], 16)
    if token[:2] in {"0d", "0D"} and len(token) == 18:
        return 64, int(token[2:], 16)
    return None


class Cursor:
    """A place in the tokens of a source, with the small questions that a reader asks."""

    __slots__ = ("depth", "index", "source", "tokens")

    def __init__(self, source: Source, index: int = 0) -> None:
        self.source = source
        self.tokens = source.tokens
        self.index = index
        self.depth = 0

    @property
    def line(self) -> int:
        """The 1-based line of the next word."""
        return self.source.line(self.index)

    def peek(self) -> str:
        """The next word, or "" at the end."""
        try:
            return self.tokens[self.index]
        except IndexError:
            return ""

    def take(self) -> str:
        """The next word; the end is an error."""
        try:
            word = self.tokens[self.index]
        except IndexError:
            raise self.error("the text ends too early") from None
        self.index += 1
        return word

    def accept(self, word: str) -> bool:
        """Whether the next word is this one; if so it is taken."""
        try:
            found = self.tokens[self.index] == word
        except IndexError:
            return False
        self.index += found
        return found

    def expect(self, word: str) -> None:
        """Take this word or fail."""
        if not self.accept(word):
            raise self.error(f"expected {word!r}, found {self.peek()[:40]!r}")

    def integer(self) -> int:
        """Take an integer literal, perhaps negative."""
        sign = -1 if self.accept("-") else 1
        value = parse_number(self.take())
        if not isinstance(value, int):
            raise self.error(f"expected an integer, found {self.tokens[self.index - 1][:40]!r}")
        return sign * value

    def deeper(self) -> None:
        """Go into a brace, a parenthesis or a condition within another one; whoever comes out takes one off `depth`."""
        self.depth += 1
        if self.depth > NESTING:
            raise self.error(f"braces or parentheses in one another: more than {NESTING} are refused")

    def error(self, what: str) -> LoadError:
        """A LoadError that names the line."""
        return LoadError(f"invalid PTX, line {self.line}: {what}", kind="ptx")

    def unsupported(self, what: str) -> LoadError:
        """The same of what PTX has and nothing here reads."""
        return LoadError(f"PTX, line {self.line}: {what} are not supported", kind="ptx")


class InstructionCursor(Cursor):
    """The same in an instruction that is one word of its source; behind it stands a brace, as behind all others.

    Args:
        source: where it stands.
        at: which word it is.
    """

    __slots__ = ("_at",)

    def __init__(self, source: Source, at: int) -> None:
        super().__init__(source)
        self.tokens = [*_TOKEN.findall(source.tokens[at]), "}"]
        self._at = at

    @property
    def line(self) -> int:
        """The 1-based line of the instruction."""
        return self.source.line(self._at)


def find_brace(cursor: Cursor, first: int) -> int:
    """The index of the brace that closes the one opened just before `first`."""
    depth, after = 1, first
    tokens = cursor.tokens
    try:
        while depth:
            close = tokens.index("}", after)
            depth += tokens[after:close].count("{") - 1
            after = close + 1
    except ValueError:
        cursor.index = len(tokens)
        raise cursor.error("a '{' is never closed") from None
    return after - 1
