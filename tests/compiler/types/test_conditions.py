"""Conditions of `#if`, against what NVRTC's preprocessor takes them for; what depends on widths is not known."""

from __future__ import annotations

import re

import pytest

import jitload
from jitload.compiler.types.conditions import compute, evaluate

_TOKENS = re.compile(rb"0x[0-9a-fA-F]+|\d+[uUlL]*|[<>]|==|!=|&&|[|][|]|[-+*/%()?:~!]")
#: What C++ says is true.
TRUE = [
    "-7 / 2 == -3", "7 / -2 == -3", "-7 / -2 == 3", "-7 % 3 == -1", "7 % -3 == 1", "-8 / 2 == -4", "0 / -5 == 0",
    "010 == 8", "(1 ? 2 : 3) == 2", "3u > 2", "~0 == -1", "7u / 2u == 3",
]  # fmt: skip
#: What has numbers below 0 and others without a sign, which C++ may make large of.
WIDE = ["-1 > 0u", "-1 == 0xffffffffffffffff", "2u - 3 > 0", "(0 - 1) / 2u > 5", "~0u == 0xffffffffffffffff"]


def words(text: str) -> list[bytes]:
    return _TOKENS.findall(text.encode())


@pytest.mark.parametrize("text", TRUE)
def test_numbers_are_those_of_cpp(text):
    assert evaluate(words(text), lambda _: None) is True


@pytest.mark.parametrize("text", WIDE)
def test_what_may_wrap_is_not_known(text):
    assert compute(words(text), lambda _: None) is None


def test_the_preprocessor_says_the_same_of_all():
    lines = [f"#if !({text})\n#error {text}\n#endif\n" for text in (*TRUE, *WIDE)]
    source = "".join(lines) + 'extern "C" __global__ void k() {}'
    assert jitload.compile(source, kind="ptx", arch="compute_80", options="-w", cache=jitload.Cache()).kernels


def test_a_variable_in_a_branch_that_wraps_has_no_type():
    source = """
    #if -1 > 0u
    __device__ int v;
    #else
    __device__ float v;
    #endif
    __device__ int other;
    extern "C" __global__ void k() { v = other; }"""
    made = jitload.compile(source, kind="ptx", arch="compute_80", options="-w", cache=jitload.Cache())
    assert dict(made.variables) == {"other": "int"}
