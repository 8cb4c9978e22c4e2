"""The one reader of PTX: compile, loader and executor learn the same of a text, whatever stands around it."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys
import time

import pytest

import jitload
from jitload.compiler.layout import read_kernel, read_kernels
from jitload.cpu.text.program import read_program
from jitload.images.ptx.entries import entry_names, kernel_of, read_entries, variable_names

TEXT = """
.version 8.0
.target sm_75, texmode_independent
.address_size 64
// .entry commented(.param .u32 n) { ret; }
/* .visible .entry too() { */
.visible .const .align 4 .b8 table[16];
.visible .global .align 8 .u64 where = generic(table);
.extern .entry elsewhere(.param .u64 x);
.visible .entry saxpy( // { not yet
    .param .u64 .ptr .global .align 16 x, /* , .param .u32 no */
    .param .align 8 .b8 pair[12],
    .param .u16 half,
    .param .f64 scale
)
.maxntid 32, 2, 1
.reqntid 64
.pragma "a { b ; c";
{ ret; }
.file 1 ".entry quoted() {"
.func .entryless() { ret; }
.entry _Z4fillIfEvPT_S0_(.param .s64 n, .param .v4 .f32 wide) { .reg .b32 %r<2>; { ret; } }
.entry nothing { ret; }
"""
#: name -> (offset, size, alignment, type, pointer), threads, block.
EXPECTED = {
    "saxpy": (
        [(0, 8, 8, "u64", True), (8, 12, 8, "b8", False), (20, 2, 2, "u16", False), (24, 8, 8, "f64", False)],
        64,
        (64, 1, 1),
    ),
    "_Z4fillIfEvPT_S0_": ([(0, 8, 8, "s64", None), (16, 16, 16, "b8", False)], None, None),
    "nothing": ([], None, None),
}


def told(kernel):
    params = [(one.offset, one.size, one.alignment, one.type, one.pointer) for one in kernel.params]
    return params, kernel.max_threads, kernel.required_block


def test_a_compile_and_the_executor_read_the_same_of_a_kernel():
    assert {name: told(kernel) for name, kernel in read_kernels(TEXT).items()} == EXPECTED
    program = read_program(TEXT.replace("_independent", "_unified").encode())
    assert {name: told(kernel_of(program.functions[name])) for name in program.entries} == EXPECTED
    assert {name: told(read_kernel(TEXT, name)) for name in EXPECTED} == EXPECTED


@pytest.mark.parametrize("name", ["commented", "too", "quoted", "elsewhere", "entryless", "saxp", "saxpy2", ""])
def test_there_is_no_kernel_of_a_name_that_none_has(name):
    assert read_kernel(TEXT, name) is None


def test_what_is_declared_and_not_defined_has_a_name_and_no_layout():
    assert entry_names(TEXT.encode()) == ("elsewhere", *EXPECTED)
    assert [entry.head.name for entry in read_entries(TEXT)] == list(EXPECTED)


def test_bodies_begin_behind_their_brace():
    assert [TEXT[entry.body :].split(maxsplit=1)[0] for entry in read_entries(TEXT)] == ["ret;", ".reg", "ret;"]


def test_variables_are_those_at_the_outer_level():
    assert variable_names(TEXT.encode()) == ("table", "where")
    managed = ".visible .global .attribute(.managed) .align 4 .u32 m = 7;\n.global .attribute(.unified(19, 95)) .f32 u;"
    assert variable_names(managed) == ("m", "u")


@pytest.mark.parametrize(
    "head",
    [
        ".entry k(.param .u32",
        ".entry k(.param .u77 n) { ret; }",
        ".entry k(.param .u32 n[-1]) { ret; }",
        ".entry k(n) { ret; }",
        ".entry k() word { ret; }",
        ".entry k(.param .align 3 .b8 x[4]) { ret; }",
        ".entry",
    ],
)
def test_a_head_that_cannot_be_read_is_passed_over_and_hides_no_other(head):
    assert list(read_kernels(f"{head}\n.entry good(.param .u32 n) {{ ret; }}"))[-1:] == ["good"]


def test_reading_takes_linear_time():
    start = time.perf_counter()
    for hostile in (".entry k(" * 50_000, ".entry k; " * 50_000, ".entry k /*" * 50_000, ".entry k()\n{}\n" * 5_000):
        list(read_entries(hostile))
    assert time.perf_counter() - start < 10


def test_what_a_body_shows_of_an_address_is_seen():
    text = """.entry k(.param .u64 k_param_0, .param .u64 k_param_1)
{
    ld.param.u64 %rd1, [k_param_0];
    ld.param.u64 %rd2, [k_param_1];
    cvta.to.global.u64 %rd3, %rd1;
}"""
    assert [param.pointer for param in read_kernels(text)["k"].params] == [True, None]


def test_a_compile_does_not_load_numpy(tmp_path):
    """Whatever is made: layouts are read from PTX."""
    code = """
import sys, jitload
for kind, arch in (("ptx", "compute_75"), ("cubin", "sm_80")):
    artifact = jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', kind=kind, arch=arch)
    assert len(artifact.kernels["k"].params) == 1
print(jitload.stats().compiles, "numpy" in sys.modules)
"""
    environment = {"PATH": "/usr/bin:/bin", "JITLOAD_CACHE_DIR": str(tmp_path), "HOME": str(tmp_path)}
    environment["PYTHONPATH"] = str(pathlib.Path(jitload.__file__).parents[1])
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["2", "False"]


def test_nobody_else_takes_ptx_apart():
    """Directives of the outer level are looked for in one place; elsewhere their names stand in prose and tables."""
    package = pathlib.Path(jitload.__file__).parent
    readers = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"re.compile", "re.search", "re.match"}:
                text = ast.unparse(node)
                if any(word in text for word in (r"\.entry", r"\.param\s", r"\.target", r"\.version", r"\.global")):
                    readers.add(path.relative_to(package).parts[:2])
    assert readers == {("images", "ptx")}
