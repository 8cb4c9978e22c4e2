"""What of a text reads the clock, and what only speaks of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jitload.headers.clock import clock_word

PROSE = {
    "line comment": b"int x; // not __DATE__\n",
    "comment with quotes": b"// don't use \"__DATE__\n",
    "spliced comment": b"// never \\\n __TIME__\n",
    "block comment": b'/* __TIMESTAMP__\n * and "__DATE__ */ int x;\n',
    "string": b'const char *s = "__DATE__";\n',
    "escaped quotes": b'const char *s = "\\"__DATE__\\\\";\n',
    "spliced string": b'const char *s = "so \\\n __DATE__";\n',
    "comment behind a quote": b"char c = '\"'; // __DATE__\n",
    "comment behind a separator": b"int n = 1'000'000; // __DATE__\n",
    "longer word": b"int x__DATE__, __DATE__s;\n",
    "raw string": b'const char *s = u8R"x(" __DATE__ ")x";\n',
    "old line end": b"// x\rconst char *s = __DATE__;\n",
    "name of a header": b"#include <__DATE__>\n",
    "suffix of a string": b'const char *s = "a"R"(__DATE__)";\n',
}
CODE = {
    "plain": b"const char *s = __DATE__;\n",
    "macro": b"#define STAMP __TIME__\n",
    "beside a string": b'const char *s = "a" __TIMESTAMP__ "b";\n',
    "behind a comment": b"/* // */ const char *s = __DATE__;\n",
    "comment marks in strings": b'const char *a = "/*", *b = __DATE__, *c = "*/";\n',
    "comment mark in a character": b"int a = '//'; const char *s = __DATE__;\n",
    "quote in a character": b"char a = '\"'; const char *s = __DATE__; char b = '\"';\n",
    "escaped quote": b'const char *s = "\\\\" __DATE__ "";\n',
    "character behind a word": b"char a = u8'x'; const char *s = __DATE__; char b = 'y';\n",
    "separator": b"int n = 1'000; const char *s = __DATE__; char c = 'x';\n",
    "string behind a word": b'#define FOOR\nconst char *s = FOOR"(" __DATE__ ")";\n',
    "block comment begun in a spliced line comment": b"// \\\n /* \nconst char *s = __DATE__; /* */\n",
    "spliced word": b"const char *s = __DA\\\nTE__;\n",
    "stringised by nothing": b"#define S(x) #x\n#define T(x) S(x)\nconst char *s = T(__DATE__);\n",
    "behind an open quote": b"#error don't\nconst char *s = __DATE__; // can't\n",
    "behind a raw string": b'const char *s = R"x(/*)" )x" __DATE__;\n',
    "byte that no text holds": b'\xff"(" __DATE__ ")"\n',
    "line end that is none": b"// x\n\rconst char *s = __DATE__;\n",
    "blank behind a splice": b"// x \\ \n__DATE__\n",
}  # fmt: skip


@pytest.mark.parametrize("text", PROSE.values(), ids=PROSE.keys())
def test_prose_is_no_clock(text):
    assert clock_word(text) is None


@pytest.mark.parametrize("text", CODE.values(), ids=CODE.keys())
def test_code_is(text):
    assert clock_word(text) is not None


@pytest.mark.parametrize("standard", ["c++03", "c++11", "c++14"])
def test_what_an_old_standard_reads_otherwise_is_code(standard):
    """`??/` is a backslash there: the first comment goes on in the second line, and the last begins behind the word."""
    text = b"// ??/\n /*\n__DATE__ /* */"
    assert clock_word(text) is None
    assert clock_word(text, standard) == ("__DATE__", 2)
    assert clock_word(b"// __DATE__\n", standard) is None


def test_without_raw_strings_r_is_a_word():
    text = b'#define R\nconst char *s = R"(")" /*" __DATE__ /*"*/;\n'
    assert clock_word(text, "c++17") is None
    assert clock_word(text, "c++03") == ("__DATE__", 2)


def test_the_line_is_that_of_the_text_as_it_was_written():
    assert clock_word(b"a \\\n b // __DATE__ \\\n c\n d \\\n __TIME__ \\\n\n") == ("__TIME__", 5)
    assert clock_word(b"\r\n\\\r\n\r\n__DATE__") == ("__DATE__", 4)


pieces = st.sampled_from(
    ["__DATE__", '"', "'", "//", "/*", "*/", "\\", "\n", "\\\n", " ", "1", "a", "R", "x'y'", '"s"', "(", ")"]
)


@given(st.lists(pieces, max_size=12).map("".join))
@example("*/\\\n*/")
def test_what_stands_alone_on_a_line_below_whole_lines_is_found(text):
    """A word is hidden only by what is open above it, and nothing is open behind its end."""
    spliced = text.replace("\\\n", "")
    if "/*" not in spliced and not text.endswith("\\") and not re.search(r'R"[^()\\\s]*\(', spliced):
        assert clock_word(text.encode() + b"\n__TIME__\n") is not None


@given(st.binary(max_size=60) | st.lists(pieces, max_size=30).map("".join).map(str.encode))
def test_any_text_is_read_to_its_end(text):
    assert clock_word(text) == clock_word(text)
