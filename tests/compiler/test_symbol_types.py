"""Images that come without a description: their kernels have the C++ types that the symbols tell."""

from __future__ import annotations

import jitload
from jitload.artifact import Artifact
from jitload.compiler.symbol_types import kernel_of_sizes
from jitload.values import Kind, Toolchain

PTX = b""".version 8.0
.target sm_75
.address_size 64
.visible .entry _Z5scaleIfEvPT_PKS0_S0_i(.param .u64 a, .param .u64 b, .param .f32 c, .param .u32 d) { ret; }
.visible .entry _Z4liesPfi(.param .u64 a, .param .u64 b) { ret; }
.visible .entry saxpy(.param .u64 a, .param .u64 b) { ret; }
"""


def described(kernel):
    return [(p.type, p.cpp, p.pointer, p.const) for p in kernel.info.params]


def test_ptx_keeps_its_layout_and_gets_the_types_of_the_symbol():
    with jitload.configure(device="cpu"):
        module = jitload.load_module_from_bytes("ptx", PTX)
    assert described(module["_Z5scaleIfEvPT_PKS0_S0_i"]) == [
        ("u64", "float *", True, False),
        ("u64", "const float *", True, True),
        ("f32", "float", False, False),
        ("u32", "int", False, False),
    ]
    assert module["_Z4liesPfi"].info.parameters == ("", ""), "an int has no 8 bytes"
    assert module["saxpy"].info.parameters == ("", "")


def test_an_entry_made_before_types_gets_those_of_its_symbols():
    with jitload.configure(device="cpu"):
        raw = jitload.load_module_from_bytes("ptx", PTX)["_Z5scaleIfEvPT_PKS0_S0_i"].info
        untyped = [
            type(p)(p.offset, p.size, p.alignment, p.type, name=name)
            for p, name in zip(raw.params, "abcd", strict=True)
        ]
        artifact = Artifact(
            kind=Kind.PTX,
            data=PTX,
            arch="compute_75",
            name="k.cu",
            key="ab" * 32,
            kernels=[type(raw)("scale<float>", raw.symbol, untyped)],
            toolchain=Toolchain("nvrtc", "12.9.86", "cd" * 32),
        )
        kernel = artifact.load()["scale<float>"]
    assert kernel.info.parameters == raw.parameters == ("float *", "const float *", "float", "int")
    assert [p.name for p in kernel.info.params] == list("abcd")


def test_machine_code_tells_sizes_and_the_symbol_what_they_are():
    known = kernel_of_sizes(
        "_Z1kfdibhPf6__halfN1n4ModeE", [(0, 4), (8, 8), (16, 4), (20, 1), (21, 1), (24, 8), (32, 2), (36, 4)]
    )
    assert [(p.type, p.cpp) for p in known.params] == [
        ("f32", "float"),
        ("f64", "double"),
        ("u32", "int"),
        ("u8", "bool"),
        ("u8", "unsigned char"),
        ("u64", "float *"),
        ("b16", "__half"),
        ("b32", "n::Mode"),
    ]
    bare = kernel_of_sizes("saxpy", [(0, 4), (8, 8), (16, 12)])
    assert [(p.type, p.size, p.pointer, p.cpp) for p in bare.params] == [
        ("b32", 4, False, ""),
        ("b64", 8, None, ""),
        ("b8", 12, False, ""),
    ]
