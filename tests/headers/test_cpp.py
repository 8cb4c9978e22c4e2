"""The lexer: its tokens are the text, and where it matters they are the compiler's."""

from __future__ import annotations

import re

import pytest
from cuda.bindings import nvrtc
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jitload.headers import cpp

#: What is there for people or as data; the rest is code.
PROSE = frozenset({cpp.COMMENT, cpp.STRING, cpp.CHARACTER, cpp.RAW})
UNSEEN = {cpp.BLANK, cpp.NEWLINE, cpp.COMMENT}
QUOTES = [
    '"',
    "'",
    "//",
    "/*",
    "*/",
    "\\",
    "\n",
    "\r\n",
    "\r",
    "\\\n",
    "\\\r\n",
    " ",
    "x",
    "u",
    "u8",
    "U",
    "L",
    "R",
    'R"(',
    ')"',
    'R"x(',
    ')x"',
    'u8R"(',
]
OTHERS = [
    "\t",
    "#",
    "%:",
    "%",
    ":",
    "(",
    ")",
    "<",
    ">",
    "1",
    "0x",
    "e+",
    "p-",
    ".",
    "_a",
    "\\u00e9",
    "\xe9",
    "$",
    "->*",
    "define",
]
HEADERS = ["include", "#include <a'b>", '# include "a"', "__has_include(", "#if ", "1'0", "\0"]  # fmt: skip
texts = st.lists(st.sampled_from(QUOTES + OTHERS + HEADERS), max_size=25).map("".join).map(str.encode) | st.binary(
    max_size=60
)


def spelled(text):
    """'kind:spelling' of the tokens that code is made of."""
    return [
        f"{kind}:{cpp.spelling(text, start, end).decode('latin-1')}"
        for kind, start, end in cpp.tokens(text)
        if kind not in UNSEEN
    ]


@given(texts)
def test_the_tokens_are_the_text(text):
    position = 0
    for _, start, end in cpp.tokens(text):
        assert start == position < end
        position = end
    assert position == len(text)


@given(texts)
def test_blanked_text_keeps_its_places_and_its_lines(text):
    blank = cpp.blanked(text, PROSE)
    assert len(blank) == len(text)
    for kind, start, end in cpp.tokens(text):
        if kind in PROSE:
            assert blank[start:end] == re.sub(rb"[^\r\n]", b" ", text[start:end])
        else:
            assert blank[start:end] == text[start:end]


@given(texts, texts)
def test_behind_the_end_of_a_line_of_code_a_text_is_read_as_if_it_stood_alone(before, behind):
    assume([*cpp.tokens(before + b"\n")][-1][0] == cpp.NEWLINE)
    assert spelled(before + b"\n" + behind) == spelled(before + b"\n") + spelled(behind)


@given(texts)
def test_a_splice_between_two_tokens_changes_neither(text):
    *_, (kind, start, _) = [*cpp.tokens(text), (cpp.OTHER, 0, 0)][:-1] or [(cpp.OTHER, 0, 0)]
    assume(kind in {cpp.WORD, cpp.NUMBER, cpp.PUNCTUATOR} and b"\\" not in text)
    assert spelled(text[:start] + b"\\\r\n" + text[start:]) == spelled(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('R"(a" /*)" b', ['raw:R"(a" /*)"', "word:b"]),
        ('u8R"x(a)")x"_s', ['raw:u8R"x(a)")x"_s']),
        ('uR"()" UR"()" LR"()"', ['raw:uR"()"', 'raw:UR"()"', 'raw:LR"()"']),
        ('u\\\n8R"(\\\n)"', ['raw:u8R"()"']),
        ('FOOR"(a)"', ["word:FOOR", 'string:"(a)"']),
        ('u8LR"(a)"', ["word:u8LR", 'string:"(a)"']),
        ('1R"(a)"', ["number:1R", 'string:"(a)"']),
        ('1.R"(a)" .R"(b)"', ["number:1.R", 'string:"(a)"', "punctuator:.", 'raw:R"(b)"']),
        ('1e+R"(a)" 1+R"(b)"', ["number:1e+R", 'string:"(a)"', "number:1", "punctuator:+", 'raw:R"(b)"']),
        ('"a"R"(b)"', ['string:"a"R', 'string:"(b)"']),
        ('R"(a)"R"(b)"', ['raw:R"(a)"R', 'string:"(b)"']),
        ("'a'R\"(b)\"", ["character:'a'R", 'string:"(b)"']),
        ('$R"(a)"', ["other:$", 'raw:R"(a)"']),
        ('\\u00e9R"(a)"', ["word:\\u00e9R", 'string:"(a)"']),
        ('R"0123456789abcdef()0123456789abcdef"', ['raw:R"0123456789abcdef()0123456789abcdef"']),
        ('R"0123456789abcdefg()"', ["word:R", 'string:"0123456789abcdefg()"']),
        ('R"(a" b', ['raw:R"(a" b']),
        ("1'000'000 1'a+'b'", ["number:1'000'000", "number:1'a", "punctuator:+", "character:'b'"]),
        ("0xA'Bp-3 1e+5 .5f 1..2", ["number:0xA'Bp-3", "number:1e+5", "number:.5f", "number:1..2"]),
        ("u8'x' L'x' ''", ["character:u8'x'", "character:L'x'", "character:''"]),
        ("don't // x\ny", ["word:don", "character:'t // x", "word:y"]),
        ('"a\\" // x\ny', ['string:"a\\" // x', "word:y"]),
        ("a // x \\\n b \\\r\r\n c\nd", ["word:a", "word:d"]),
        ("a // \\ \nb /\\\n* */ c", ["word:a", "word:b", "word:c"]),
        ("a /* b", ["word:a"]),
        ("a<::b> a<:<::>", ["word:a", "punctuator:<", "punctuator:::", "word:b", "punctuator:>", "word:a", "punctuator:[", "punctuator:[", "punctuator:]"]),
        ("a>>b ->* <=> ... ## %:%:",
         ["word:a", "punctuator:>", "punctuator:>", "word:b", "punctuator:->*", "punctuator:<=>", "punctuator:...", "punctuator:##", "punctuator:##"]),
        ("#include <it's//a.h> x", ["hash:#", "word:include", "header:<it's//a.h>", "word:x"]),
        ('#\\\n include_next/**/"a\\b.h"', ["hash:#", "word:include_next", 'header:"a\\b.h"']),
        ("#if __has_include (<a'b>)", ["hash:#", "word:if", "word:__has_include", "punctuator:(", "header:<a'b>", "punctuator:)"]),
        ("#define A <b>", ["hash:#", "word:define", "word:A", "punctuator:<", "word:b", "punctuator:>"]),
        ("include <b>", ["word:include", "punctuator:<", "word:b", "punctuator:>"]),
        ("a # b\n%: d", ["word:a", "punctuator:#", "word:b", "hash:#", "word:d"]),
        ("a /*\n*/ # b /*\n*/ # c", ["word:a", "hash:#", "word:b", "punctuator:#", "word:c"]),
        ("a\r# b", ["word:a", "punctuator:#", "word:b"]),
    ],
)  # fmt: skip
def test_kinds(text, expected):
    assert spelled(text.encode()) == expected


@pytest.mark.parametrize(
    "part",
    ['"', "'", "/*", "* ", "\\\n", "\\\r", " ", "#", 'R"(', ')"', "1'", "1e+", "\\", "#include <", "a\\\n", '"\\'],
)
@pytest.mark.parametrize("before", ["", "/*", '"', "'", 'R"(', "//", "1", "#include "])  # fmt: skip
def test_hostile_texts_are_read_in_no_time(part, before):
    """Not a timed test: what is quadratic here runs into the limit of the whole suite."""
    text = (before + part * (200_000 // len(part))).encode()
    assert sum(end - start for _, start, end in cpp.tokens(text)) == len(text)


def compiled_value(text, *, errors=True):
    """The integer n of the `Show<n>` in this text, by NVRTC; None where there is none, or there are other errors."""
    source = f"template <int n> struct Show;\n{text}"
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"k.cu", 0, [], [])
    nvrtc.nvrtcCompileProgram(program, 1, [b"--gpu-architecture=compute_75"])
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b"\0" * max(size, 2)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    found = re.search(rb'"Show<(-?\d+)>"', log)
    return None if found is None or (not errors and log.count(b" error: ") > 1) else int(found[1])


@settings(max_examples=150)
@given(st.lists(st.lists(st.sampled_from(QUOTES + OTHERS), max_size=8).map("".join), min_size=1, max_size=4))
def test_nvrtc_finds_the_same_directive_first(parts):
    """In what `#if 0` skips nothing is an error: the first `#elif` that is not in a comment, quote or splice counts."""
    text = "#if 0\n"
    marks = []
    for number, part in enumerate(parts):
        text += f"{part}\n"
        marks.append((len(text.encode()), number))
        text += f"#elif 1\nenum {{ VALUE = sizeof(Show<{number}>) }};\n#elif 0\n"
    text += "#endif\n"
    hashes = {start for kind, start, _ in cpp.tokens(text.encode()) if kind == cpp.HASH}
    assert compiled_value(text) == next((number for start, number in marks if start in hashes), None)


# NVRTC 12.9 and 13.0 crash at a raw string that follows a splice at once in the arguments of a macro.
ARGUMENTS = [
    ",",
    ",",
    '"a,"',
    "','",
    'R"(,)"',
    'R"x(,")x"',
    'u8R"(")"',
    '"',
    "'",
    "/* , */",
    "1'0",
    "0x1'f",
    "R",
    "u8",
    "FOO",
    "e+",
    ".",
    "\\\n ",
    " ",
    "_s",
    "x",
]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(ARGUMENTS), max_size=12).map("".join))
def test_nvrtc_finds_the_same_commas(argument):
    """The arguments of a macro are told apart by the commas that are tokens."""
    numbers = ", ".join(map(str, range(14, 0, -1)))
    names = ", ".join(f"p{number}" for number in range(14))
    text = f"#define PICK({names}, value, ...) value\n#define COUNT(...) PICK(__VA_ARGS__, {numbers}, 0)\n"
    value = compiled_value(f"{text}enum {{ VALUE = sizeof(Show<COUNT({argument}\n)>) }};", errors=False)
    assume(value is not None)
    commas = depth = 0
    for token in spelled(argument.encode()):
        depth += token == "punctuator:("
        depth -= token == "punctuator:)"
        commas += token == "punctuator:," and depth == 0
    assert value == 1 + commas
