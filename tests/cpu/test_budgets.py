"""Hostile and broken text is refused by a bound that the message names, in time and memory that are linear in the text."""

from __future__ import annotations

import io
import sys
import time
import tracemalloc

import pytest

from jitload.cpu.text.operand import split_number
from jitload.errors import CpuFault, JitloadError, LoadError
from jitload.images.ptx import limits
from jitload.images.ptx.tokens import Source

HEAD = ".version 8.0\n.target sm_75\n.address_size 64\n"


def kernel(body: str = "ret;", params: str = "", before: str = "") -> str:
    return f"{HEAD}{before}\n.visible .entry k({params}) {{\n{body}\n}}\n"


def branches(count: int) -> str:
    lines = "".join(f"mov.b32 %r{i}, {i}; @%p bra L{i}; L{i}: " for i in range(count))
    return f".reg .pred %p; .reg .b32 %r<{count}>; setp.eq.s32 %p, %r1, 1; {lines} ret;"


def shared(*sizes: int, end: str = "ret;") -> str:
    """Statements that use static shared memory."""
    used = "".join(f".shared .b8 s{i}[{size}]; st.shared.u8 [s{i}], 1; " for i, size in enumerate(sizes))
    return used + end


#: Text -> what its refusal says, with the bound; each is far beyond it.
REFUSED = {
    "parentheses": (kernel(before=f".global .b32 x = {'(' * 3000}1{')' * 3000};"), f"more than {limits.NESTING}"),
    "conditions": (kernel(before=f".global .b32 x = {'1 ? 1 : ' * 3000}1;"), f"more than {limits.NESTING}"),
    "conditions in the middle": (kernel(before=f".global .b32 x = {'1 ? ' * 3000}1;"), f"more than {limits.NESTING}"),
    "operators and parentheses": (
        kernel(before=f".global .b32 x = {'1||1&&1|1^1&1==1<1<<1+1*(' * 3000}1;"), f"more than {limits.NESTING}",
    ),
    "braces of values": (kernel(before=f".global .b32 x[1] = {'{' * 3000}1{'}' * 3000};"), f"more than {limits.NESTING}"),
    "generic addresses": (
        kernel(before=f".global .u64 x = {'generic(' * 3000}y{')' * 3000};"), f"more than {limits.NESTING}",
    ),
    "scopes": (kernel("{" * 100000 + "}" * 100000 + "ret;"), f"more than {limits.NESTING}"),
    "parentheses in an operand": (
        kernel(f".reg .b32 %r; mov.b32 %r, {'(' * 3000}1{')' * 3000}; ret;"), f"more than {limits.NESTING}",
    ),
    "braces in an operand": (
        kernel(f".reg .b32 %r; mov.b32 %r, {'{' * 3000}%r{'}' * 3000}; ret;"), f"more than {limits.NESTING}",
    ),
    "negations": (kernel(f".reg .pred %p; mov.pred %p, {'!' * 3000}%p; ret;"), "expected a number"),
    "infinity as an integer": (kernel(before=".global .b32 x = (.s64)0d7FF0000000000000;"), "inf has no value"),
    "NaN as an integer": (kernel(before=".global .b32 x = (.u64)0d7FF8000000000000;"), "nan has no value"),
    "1e999 as an integer": (kernel(before=".global .b32 x = (.s64)- 1e999;"), "inf has no value"),
    "digits": (kernel(before=f".global .b32 x = {'9' * 5000};"), f"more than {limits.DIGITS}"),
    "hexadecimal digits": (kernel(before=f".global .b32 x = 0x{'f' * 1000000};"), f"more than {limits.DIGITS}"),
    "a string without an end": (HEAD + '"' + '\\"' * 100000, "unexpected"),
    "comments without an end": (HEAD + "/* " * 300000, "no kernel|no function|has no functions"),
    "a row of values": (kernel(before=".global .b8 x[1][4000000000] = {{1}};"), f"more than {limits.INITIAL_VALUES}"),
    "values": (
        kernel(before=f".global .b8 x[] = {{{'0,' * (limits.INITIAL_VALUES + 1)}0}};"), f"more than {limits.INITIAL_VALUES}",
    ),
    "elements": (kernel(before=".global .b8 x[65536][65537];"), f"more than {1 << 32}"),
    "registers": (kernel("".join(f".reg .b32 %a{i}<1048576>;" for i in range(3))), f"more than {limits.REGISTERS}"),
    "vectors": (kernel(".reg .v4 .b32 %a<1048576>; ret;"), f"more than {limits.VECTOR_REGISTERS}"),
    "instructions": (
        kernel(".reg .b32 %r;" + "add.s32 %r, %r, 1;" * (limits.INSTRUCTIONS + 1)), f"more than {limits.INSTRUCTIONS}",
    ),
    "labels": (kernel("".join(f"L{i}:" for i in range(limits.BLOCKS + 2)) + "ret;"), f"more than {limits.BLOCKS}"),
    "registers over labels": (kernel(branches(15000)), f"more than {limits.LIVE_BITS}"),
    "targets": (
        kernel(f".reg .b32 %r; L: T: .branchtargets {', '.join(['L'] * 100000)}; brx.idx %r, T; ret;"),
        f"more than {limits.BRANCH_TARGETS}",
    ),
    "bytes of parameters": (kernel(params=".param .b8 a[4294967296]"), f"more than {limits.PARAMETER_BYTES}"),
    "parameters": (
        kernel(params=", ".join(f".param .b8 p{i}" for i in range(100000))), f"more than {limits.PARAMETERS}",
    ),
    "local memory": (kernel(".local .b8 x[4294967296]; ret;"), f"more than {limits.LOCAL_BYTES}"),
    "local memory of calls": (
        HEAD + "".join(
            f".func f{i}() {{ .local .b8 x[100000]; {f'call f{i - 1}, ();' if i else ''} ret; }}\n" for i in range(6)
        ) + ".visible .entry k() { call f5, (); ret; }",
        f"more than {limits.LOCAL_BYTES}",
    ),
    "static shared memory": (kernel(shared(32000, 17153)), f"more than {limits.STATIC_SHARED_BYTES}.*shared_bytes="),
    "static shared memory of calls": (
        HEAD + f".func f() {{ {shared(32000)} }}\n.visible .entry k() {{ {shared(17153, end='call f, (); ret;')} }}",
        f"more than {limits.STATIC_SHARED_BYTES}",
    ),
    "text": (HEAD + " " * limits.TEXT_BYTES, f"more than {limits.TEXT_BYTES}"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_bound_is_in_the_message_and_soon_found(device, name):
    text, words = REFUSED[name]
    started = time.thread_time()
    with pytest.raises(JitloadError, match=words):
        device(text.encode()).module.device_function("k")
    assert time.thread_time() - started < 5  # one or less where nothing else runs; what it was before took minutes


@pytest.mark.parametrize("name", [name for name, (text, _) in REFUSED.items() if len(text) < 1 << 17])
def test_a_refusal_takes_little_memory(device, name):
    text, words = REFUSED[name]
    tracemalloc.start()
    try:
        with pytest.raises(JitloadError, match=words):
            device(text.encode()).module.device_function("k")
        assert tracemalloc.get_traced_memory()[1] < 256 << 20
    finally:
        tracemalloc.stop()


def test_static_shared_memory_is_counted_as_by_ptxas(device):
    """Up to the last byte, without what no instruction names, and without dynamic shared memory."""
    statements = ".shared .b8 other[1000]; " + shared(32000, 17152, end="st.shared.u8 [d], 1; ret;")
    device(kernel(statements, before=".extern .shared .b8 d[];").encode()).run("k", 1, 1, shared=64)


def test_words_are_counted(monkeypatch):
    monkeypatch.setattr("jitload.images.ptx.tokens.TOKENS", 100)
    with pytest.raises(LoadError, match="101 words: more than 100"):
        Source(";" * 101)


@pytest.mark.parametrize(
    "text",
    [
        kernel(before=f".global .b32 x = {'(' * limits.NESTING}1{')' * limits.NESTING};"),
        kernel(before=f".global .b32 x = {'- ' * 3000}1;"),
        kernel("{" * limits.NESTING + "}" * limits.NESTING + "ret;"),
        HEAD + "".join(f".func f{i}();\n" for i in range(1500))
        + "".join(f".func f{i}() {{ call f{i + 1}, (); ret; }}\n" for i in range(1499))
        + ".func f1499() { ret; }\n.visible .entry k() { call f0, (); ret; }",
        HEAD + ".global .u64 y0 = 7;\n" + "".join(f".global .u64 y{i} = y{i - 1};\n" for i in range(1, 3000))
        + ".visible .entry k() { .reg .u64 %w; mov.u64 %w, y2999; ret; }",
    ],
    ids=["parentheses", "signs", "scopes", "calls", "variables that point to each other"],
)  # fmt: skip
def test_depth_within_the_bounds_needs_no_recursion(device, text):
    device(text.encode()).run("k", 1, 1)


def test_calls_without_end_overflow_the_stack_where_frames_are_empty(device):
    text = HEAD + ".func f() { call f, (); ret; }\n.visible .entry k() { call f, (); ret; }"
    with pytest.raises(CpuFault, match=f"stack overflow, {limits.CALLS} calls"):
        device(text.encode()).run("k", 1, 1)


def test_the_number_of_a_register():
    assert split_number("%r12") == ("%r", "12")
    assert split_number("%r012") == ("%r0", "12")
    assert split_number("%r00") == ("%r0", "0")
    assert split_number("%r") == ("%r", "")
    assert split_number("7" * 100000 + "a") == ("7" * 100000 + "a", "")


def printf(form: str) -> str:
    data = ",".join(str(byte) for byte in form.encode() + b"\0")
    stores = "".join(f"st.local.b32 [%w3+{4 * i}], %r1; " for i in range(4))
    return (
        f"{HEAD}.extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);\n.global .b8 f[] = {{{data}}};\n"
        ".visible .entry k(.param .b32 n) { .local .align 8 .b8 d[64]; .reg .u64 %w<9>; .reg .b32 %r<9>;\n"
        "mov.u64 %w1, f; cvta.global.u64 %w2, %w1; mov.u64 %w3, d; cvta.local.u64 %w4, %w3; ld.param.b32 %r1, [n];\n"
        f"{stores} {{ .param .b64 p0; st.param.b64 [p0], %w2; .param .b64 p1; st.param.b64 [p1], %w4; .param .b32 q;\n"
        "call.uni (q), vprintf, (p0, p1); ld.param.b32 %r2, [q]; } ret; }\n"
    )


@pytest.mark.parametrize(("form", "number", "wanted"), [
    ("%*d|", 2**31 - 1, "2147483647".rjust(4095) + "|"), ("%*d|", -12, "-12".ljust(12) + "|"),
    ("%2000000000d|", 3, "3".rjust(4095) + "|"), ("%9999999999999999999d|", 3, "3".rjust(4095) + "|"),
    ("%.9999999999999999999d|", 3, "3".zfill(4095) + "|"), ("%.*d|", -5, "-5|"), ("%05d|%-5d|", 42, "00042|42   |"),
    ("%.3d|%.d|%x", 7, "007|7|7"), ("%" + "0" * 30000 + "q", 7, "%" + "0" * 30000 + "q"),
])  # fmt: skip
def test_widths_of_printf_are_cut(device, capsys, form, number, wanted):
    device(printf(form).encode()).run("k", 1, 1, number)
    assert capsys.readouterr().out == wanted


def test_the_text_of_one_printf_is_bounded(device, capsys):
    device(printf("%4095d" * 4).encode()).run("k", 1, 1, 1)
    assert len(capsys.readouterr().out) == 4 * 4095


@pytest.mark.parametrize("end", [" " * 200_000, f"//{'-' * 200_000}", f"/*{'-' * 200_000}*/"])
def test_blanks_at_the_end_are_passed_in_linear_time(end):
    assert Source(f"ret;{end}").tokens == ["ret", ";"]


@pytest.mark.parametrize("stream", [None, io.TextIOWrapper(io.BytesIO(), encoding="ascii")], ids=["none", "ascii"])
def test_printf_prints_what_there_is_to_print_to(device, monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    device(printf("gr\u00f6\u00dfer %d\n").encode()).run("k", 1, 1, 5)
    if stream is not None:
        stream.flush()
        assert stream.buffer.getvalue() == b"gr\\xf6\\xdfer 5\n"


def test_names_and_instructions_of_any_length_are_read_in_linear_time(device):
    name = "%" + "1" * 200000 + "x"
    started = time.thread_time()
    with pytest.raises(JitloadError):
        device(kernel(f".reg .b32 %r<9>; mov.b32 {name}, 0; ret;").encode()).module.device_function("k")
    assert time.thread_time() - started < 5
