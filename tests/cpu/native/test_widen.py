"""Text of LLVM for one thread becomes text for eight, or is refused: never something else."""

from __future__ import annotations

import pytest

from jitload.cpu.native.widen import Unwidened, require_pure, row_of, widened

ONE, MINUS_ZERO = row_of("float", "0x3FF0000000000000"), row_of("float", "0x8000000000000000")


def row(type_: str, value: str) -> str:
    return f"<{value}>" if value.startswith("%") else row_of(type_, value)


@pytest.mark.parametrize(
    ("text", "wide", "element"),
    [
        ("add i32 %a, 5", f"add <8 x i32> <%a>, {row_of('i32', 5)}", "i32"),
        ("icmp ult i64 %a, %b", "icmp ult <8 x i64> <%a>, <%b>", "i1"),
        ("zext i1 %p to i32", "zext <8 x i1> <%p> to <8 x i32>", "i32"),
        ("select i1 %p, i16 %a, i16 -1", f"select <8 x i1> <%p>, <8 x i16> <%a>, <8 x i16> {row_of('i16', -1)}", "i16"),
        (
            "call float @llvm.fma.f32(float %a, float 0x3FF0000000000000, float 0x8000000000000000)",
            f"call <8 x float> @llvm.fma.v8f32(<8 x float> <%a>, <8 x float> {ONE}, <8 x float> {MINUS_ZERO})",
            "float",
        ),
        (
            "call i32 @llvm.ctlz.i32(i32 %a, i1 false)",
            "call <8 x i32> @llvm.ctlz.v8i32(<8 x i32> <%a>, i1 false)",
            "i32",
        ),
        (
            "call i32 @llvm.fptoui.sat.i32.f64(double %a)",
            "call <8 x i32> @llvm.fptoui.sat.v8i32.v8f64(<8 x double> <%a>)",
            "i32",
        ),
    ],
)
def test_instructions_over_rows(text, wide, element):
    assert widened(text, row) == (wide, element)


@pytest.mark.parametrize(
    "text",
    [
        "load i32, ptr %p, align 4",
        "call i32 @helper(i32 %a)",
        "atomicrmw add ptr %p, i32 %a monotonic",
        "extractvalue {i32, i1} %a, 0",
        "fneg float %a",
    ],
)
def test_what_has_no_form_over_rows(text):
    with pytest.raises(Unwidened):
        widened(text, row)


@pytest.mark.parametrize(
    "text", ["call i32 @helper(i32 1)", "atomicrmw add ptr %p, i32 1 monotonic", "cmpxchg ptr %p, i32 1, i32 2"]
)
def test_what_every_thread_must_do_is_not_done_once(text):
    with pytest.raises(Unwidened):
        require_pure(text)
