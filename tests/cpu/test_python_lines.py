"""A kernel that stands in a Python file: whatever names a line of it names the line of that file, as the compiler does."""

from __future__ import annotations

import sys
import textwrap
import types

import numpy as np
import pytest

import jitload

#: Line 1 of the Python files.
HEAD = "from jitload import jit_kernel\n"
#: The fault is in the line that says so.
FAULT = '''
    @jit_kernel
    def k(x):
        r"""
        extern "C" __global__ void k(int *x) {
            int i = threadIdx.x;
            x[i + 500000000] = i;  // here
        }
        """
'''
RACE = '''
    @jit_kernel(source="""
    __device__ void put(int *x) {
        x[0] = threadIdx.x;  // here
    }
    extern "C" __global__ void k(int *x) {
        put(x);  // inlined here
    }
    """)
    def k(x): ...
'''
ASSERT = """
    @jit_kernel(source=(
        'extern "C" __global__ void k(int *x) {\\n'
        "assert(x[0] == 1);\\n"  # here
        "}"))
    def k(x): ...
"""


@pytest.fixture(autouse=True)
def _on_the_cpu():
    with jitload.configure(device="cpu"):
        yield


@pytest.fixture
def load(tmp_path):
    """A Python file with a kernel: the kernel, and the file."""

    def make(text, name="kernels.py", above=""):
        path = tmp_path / name
        path.write_text(HEAD + above + textwrap.dedent(text))
        module = types.ModuleType("kernels")
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
        return module.k, path

    return make


def marked(path, mark="here"):
    """The line of a file that ends with a comment."""
    lines = path.read_text().splitlines()
    return next(
        f"{path}:{number}" for number, line in enumerate(lines, 1) if line.endswith((f"// {mark}", f"# {mark}"))
    )


def test_a_fault_names_the_line_of_the_python_file(load):
    kernel, path = load(FAULT)
    with pytest.raises(jitload.CpuFault) as caught:
        kernel[1, 32](np.zeros(32, np.int32))
    assert caught.value.cuda_line == marked(path)
    assert f", {marked(path)})" in str(caught.value)


def test_a_fault_shows_its_line_with_a_caret_below_the_statement(load):
    kernel, path = load(FAULT)
    with pytest.raises(jitload.CpuFault) as caught:
        kernel[1, 32](np.zeros(32, np.int32))
    indent = " " * (4 if sys.version_info >= (3, 13) else 8)  # Python 3.13 takes the indent of a docstring off
    assert caught.value.excerpt == f"    8 | {indent}x[i + 500000000] = i;  // here\n      | {indent}^"
    assert str(caught.value).endswith(f"\n{caught.value.excerpt}")
    assert path.read_text().splitlines()[7].strip() in caught.value.excerpt


@pytest.mark.parametrize(
    ("line", "below"),
    [
        ("\tx[500000000] = 1;", "\t^"),
        ("/* \u00e4\u4e2d */ x[500000000] = 1;", " " * 9 + "^"),
        ("x[500000000] = 1;", "^"),
        ("x[500000000] = 1; // " + "long" * 50, None),
        ("x[500000000] = 1; // \x1b[31m", None),
    ],
    ids=["tab", "more than ASCII", "first", "long", "what does not print"],
)
def test_the_caret_stands_below_the_statement_in_a_file(load, tmp_path, line, below):
    """What is too long for a terminal, or could write to it, is not shown."""
    (tmp_path / "k.cu").write_text(f'extern "C" __global__ void k(int *x) {{\n{line}\n}}\n', encoding="utf-8")
    kernel, _ = load("@jit_kernel(file='k.cu')\ndef k(x): ...\n")
    with pytest.raises(jitload.CpuFault) as caught:
        kernel[1, 1](np.zeros(1, np.int32))
    assert caught.value.cuda_line == "k.cu:2"
    assert caught.value.excerpt == ("" if below is None else f"    2 | {line}\n      | {below}")


def test_a_race_shows_each_of_its_lines_once(load):
    text = RACE.replace("    put(x);", "    x[1] = x[0];\n    put(x);")
    kernel, _ = load(text)
    with jitload.configure(cpu_check="race"), pytest.raises(jitload.CpuFault) as caught:
        kernel[1, 64](np.zeros(4, np.int32))
    assert caught.value.excerpt != caught.value.other.excerpt
    assert str(caught.value).endswith(f"\n{caught.value.excerpt}\n{caught.value.other.excerpt}")


def test_the_same_source_in_another_file_is_a_hit_with_lines_of_its_own(load):
    one, path = load(FAULT)
    one.kernel()
    compiles = jitload.stats().compiles
    other, other_path = load(FAULT, "other.py", above="\n\nMORE = 3\n")
    for kernel, its in ((one, path), (other, other_path), (one, path)):
        with pytest.raises(jitload.CpuFault) as caught:
            kernel[1, 32](np.zeros(32, np.int32))
        assert caught.value.cuda_line == marked(its)
    assert marked(path).rpartition(":")[2] != marked(other_path).rpartition(":")[2]
    assert jitload.stats().compiles == compiles


def test_a_race_names_both_lines_and_where_they_were_inlined(load):
    kernel, path = load(RACE)
    with jitload.configure(cpu_check="race"), pytest.raises(jitload.CpuFault) as caught:
        kernel[1, 64](np.zeros(4, np.int32))
    assert (caught.value.cuda_line, caught.value.other.cuda_line) == (marked(path), marked(path))
    assert caught.value.inlined_at == (marked(path, "inlined here"),)


def test_an_assertion_names_the_line_of_the_python_file(load):
    kernel, path = load(ASSERT)
    with pytest.raises(jitload.CpuFault, match=r"assertion `x\[0\] == 1` failed") as caught:
        kernel[1, 1](np.zeros(1, np.int32))
    assert str(caught.value).count(marked(path)) == 2
    assert "/jitload/" not in str(caught.value)


def test_a_profile_counts_the_lines_of_the_python_file(load):
    kernel, path = load(FAULT.replace("500000000", "0"))
    profile = jitload.cpu_profile(kernel, np.zeros(32, np.int32), grid=1, block=32)
    store = profile.line(marked(path))
    assert store.memory("global", "store").requests == 1
    assert profile.line(int(marked(path).rpartition(":")[2])).name == store.name == marked(path)
    assert profile.line(f"kernels.py:{store.number}").name == store.name
    assert f"\nkernels.py:{store.number} " in str(profile)
    assert str(path.parent) not in str(profile)


def test_a_kernel_of_a_file_names_that_file(load, tmp_path):
    (tmp_path / "k.cu").write_text('extern "C" __global__ void k(int *x) {\n    x[500000000] = 1;\n}\n')
    kernel, _ = load("@jit_kernel(file='k.cu')\ndef k(x): ...\n")
    with pytest.raises(jitload.CpuFault) as caught:
        kernel[1, 1](np.zeros(1, np.int32))
    assert caught.value.cuda_line == "k.cu:2"


def test_a_header_beside_the_python_file_keeps_its_own_name(load, tmp_path):
    (tmp_path / "put.h").write_text("__device__ void put(int *x) {\n    x[500000000] = 1;\n}\n")
    kernel, path = load(
        "@jit_kernel(source='''#include \"put.h\"\nextern \"C\" __global__ void k(int *x) {\n    put(x);  // here\n}''')\ndef k(x): ...\n"
    )
    with pytest.raises(jitload.CpuFault) as caught:
        kernel[1, 1](np.zeros(1, np.int32))
    assert (caught.value.cuda_line, caught.value.inlined_at) == ("put.h:2", (marked(path),))
