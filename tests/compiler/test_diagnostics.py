"""NVRTC's log in the user's words: blocks, name expressions, and what is a warning about the user's own files."""

from __future__ import annotations

import pickle

import pytest

import jitload
from jitload.compiler.consequences import without_consequences
from jitload.compiler.diagnostics import errors_alone, read_log
from jitload.diagnostic import Diagnostic

LOG = """k.cu(1): warning #177-D: variable "a" was declared but never referenced
  int a;
      ^

Remark: The warnings can be suppressed with "-diag-suppress <warning-number>"

dir with blank/h.h(22): catastrophic error: could not open source file "x.h" (no directories in search list)
  #include <x.h>
                ^

ptxas info    : 0 bytes gmem
ptxas warning : Registers are spilled to local memory in function 'k', 8 bytes spill stores
nvrtc: error: invalid value for --gpu-architecture (-arch)
1 catastrophic error detected in the compilation of "k.cu".
Compilation terminated.
"""

SOURCE = """template <class T, int N> __global__ void __launch_bounds__(256) reduce(T *x) { x[0] = N; }
namespace n { __global__ void plain(int *x) {} }
template <class T> __device__ T twice(T x) { return 2 * x; }
"""


def test_a_log_is_read_block_by_block():
    assert [(said.file, said.line, said.severity) for said in read_log(LOG)] == [
        ("k.cu", 1, "warning"),
        ("dir with blank/h.h", 22, "catastrophic error"),
        ("", 0, ""),
        ("", 0, "warning"),
        ("", 0, ""),
    ]
    assert read_log(LOG)[0].text.endswith("  int a;\n      ^")
    assert read_log("") == []
    assert read_log("\n\n   \n") == []


def test_a_diagnostic_is_a_value():
    assert Diagnostic("a", 1, "error", "x") == Diagnostic("a", 1, "error", "x")


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        (["redcue<float, 3>"], ["the name expression 'redcue<float, 3>' does not name a kernel of this source: identifier \"redcue\" is undefined; did you mean 'reduce'?"]),
        (["reduce<flaot, 3>"], ["the name expression 'reduce<flaot, 3>' does not name a kernel of this source: identifier \"flaot\" is undefined; did you mean float?"]),
        (["reduce<float>"], ["the name expression 'reduce<float>' does not name a kernel of this source: cannot determine which instance of function template \"reduce\" is intended; reduce is a template: write e.g. 'reduce<float, 256>'"]),
        (["reduce<float, 3"], ["the name expression 'reduce<float, 3' does not name a kernel of this source: expected a \">\"; reduce is a template: write e.g. 'reduce<float, 256>'"]),
        (["reduce<T, N>"], ["the name expression 'reduce<T, N>' does not name a kernel of this source: identifier \"T\" is undefined; T is a parameter of the template: write e.g. 'reduce<float, 256>', or, where it is left to the launch, entry='reduce<{T}, {N}>' of a jit_kernel, and declare def reduce(..., *, T, N)"]),
        (["reduce<double, N>"], ["the name expression 'reduce<double, N>' does not name a kernel of this source: identifier \"N\" is undefined; N is a parameter of the template: write e.g. 'reduce<float, 256>', or, where it is left to the launch, entry='reduce<{T}, {N}>' of a jit_kernel, and declare def reduce(..., *, T, N)"]),
        (["reduce<np.float32, 3>"], ["the name expression 'reduce<np.float32, 3>' does not name a kernel of this source: identifier \"np\" is undefined; write 'reduce<float, 3>'"]),
        (["reduce<int64, 3>"], ["the name expression 'reduce<int64, 3>' does not name a kernel of this source: identifier \"int64\" is undefined; write 'reduce<long long, 3>'"]),
        (["n::plain<float>"], ["the name expression 'n::plain<float>' does not name a kernel of this source: type name is not allowed; plain is no template: write 'n::plain'"]),
        (["m::plain"], ["the name expression 'm::plain' does not name a kernel of this source: name followed by \"::\" must be a class or namespace name"]),
        (["nothing<int>"], ["the name expression 'nothing<int>' does not name a kernel of this source: identifier \"nothing\" is undefined; its kernels are reduce, plain"]),
        (["twice<float>"], ["the name expression 'twice<float>' does not name a kernel of this source: Name expression cannot form address of a non-__global__ function; its kernels are reduce, plain"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_name_expression_that_fails_takes_one_line(names, lines):
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(SOURCE, kind="ptx", arch="compute_80", names=names)
    head, *rest = str(caught.value).splitlines()
    assert head == "kernel.cu does not compile for compute_80 (NVRTC_ERROR_COMPILATION):"
    assert rest == lines
    assert "__nv_name_map" in caught.value.log
    assert (caught.value.file, caught.value.line) == ("kernel.cu", None)


def test_of_several_name_expressions_those_that_fail_are_told():
    names = ["redcue<float, 3>", "reduce<double>", "n::plain"]
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(SOURCE, kind="ptx", arch="compute_80", names=names)
    assert "__nv_name_map" not in str(caught.value)
    assert str(caught.value).count("does not name a kernel") == 2
    assert "'n::plain'" not in str(caught.value)


def test_a_type_in_a_name_expression_may_lack_its_header():
    with pytest.raises(
        jitload.CompileError, match=r"'reduce<__half, 3>'.*\nhint: __half: write #include <cuda_fp16\.h>"
    ):
        jitload.compile(SOURCE, kind="ptx", arch="compute_80", names=["reduce<__half, 3>"])


#: Lines that NVRTC complains about, with a "^" below what it means.
INCLUDES = [
    '#include "v.h" extra\n               ^',
    "#include <v.h> extra\n               ^",
    '  #  include "sub/../v.h" extra\n                          ^',
    '#if __has_include("v.h") + ;\n                           ^',
    "#if defined(V) && __has_include(<v.h>) bad\n                                       ^",
    "#include_next <v.h> extra\n                    ^",
]


@pytest.mark.parametrize("shown", INCLUDES)
def test_an_excerpt_shows_an_include_as_it_is_written(shown, tmp_path):
    """In errors and in warnings, with the caret where it belongs: not the name under which NVRTC gets the header."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "v.h").write_text("#pragma once\n#define V 1\n")
    line, caret = shown.split("\n")
    body = f"{line}\n#endif\n" if line.startswith("#if") else f"{line}\n"
    (tmp_path / "k.cu").write_text(f"{body}__global__ void k() {{ int x = ; }}\n")
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(tmp_path / "k.cu", kind="ptx", arch="compute_80", include_dirs=[tmp_path])
    assert "k.cu(1): " in caught.value.log
    assert f"\n  {line}\n" in caught.value.log
    assert f"\n  {line}\n  {caret}\n" in caught.value.log
    assert "/jitload/" not in caught.value.log


def test_a_warning_in_a_header_shows_an_include_as_it_is_written(tmp_path):
    """Also when it comes from the cache."""
    (tmp_path / "v.h").write_text("#pragma once\n#define V 1\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.h").write_text('\n#include "../v.h" extra\n')
    (tmp_path / "k.cu").write_text('#include "sub/w.h"\n__global__ void k(int *o) { *o = V; }\n')
    with pytest.warns(jitload.CompileWarning) as caught:
        artifact = jitload.compile(tmp_path / "k.cu", kind="ptx", arch="compute_80")
    excerpt = '  #include "../v.h" extra\n                    ^'
    assert f"{tmp_path}/sub/w.h(2): warning" in str(caught[0].message)
    assert excerpt in str(caught[0].message)
    assert excerpt in artifact.log


TWO_ERRORS = """\
#define N 1
extern "C" __global__ void k(int *x)
{
	int unused;
	x[0] = y;
    x[1] = 1
}
"""


def test_what_the_compiler_says_is_data_in_the_order_of_the_log(tmp_path):
    """With the character that the caret stands below, behind a tab as well; warnings are there, and not in the text."""
    (tmp_path / "k.cu").write_text(TWO_ERRORS)
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(tmp_path / "k.cu", kind="ptx", arch="compute_80")
    error = caught.value
    file = str(tmp_path / "k.cu")
    assert [(one.file, one.line, one.column, one.severity, one.message) for one in error.diagnostics] == [
        (file, 5, 9, "error", 'identifier "y" is undefined'),
        (file, 7, 1, "error", 'expected a ";"'),
        (file, 4, 6, "warning", 'variable "unused" was declared but never referenced'),
    ]
    assert error.diagnostics[1].text == f'{file}(7): error: expected a ";"\n  }}\n  ^'
    assert (error.file, error.line) == (file, 5)
    assert "unused" in error.log
    assert "unused" not in str(error)
    assert pickle.loads(pickle.dumps(error)).diagnostics == error.diagnostics


def test_a_log_without_errors_is_told_as_it_is():
    assert errors_alone("k.cu(1): warning #1-D: x\n\n") == "k.cu(1): warning #1-D: x"


def test_an_error_of_a_child_process_has_its_diagnostics_too(tmp_path):
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile("__global__ void k() { int a }", kind="ptx", arch="compute_80", isolate=True)
    assert [(one.line, one.column, one.severity) for one in caught.value.diagnostics][:1] == [(1, 29, "error")]


def test_a_caret_behind_other_letters_stands_below_what_is_meant():
    """NVRTC counts their bytes. A letter that it does not read is told once, however many bytes it has."""
    text = 'extern "C" __global__ void k(int *x)\n{\n  /* größe */ x[0] = q;\n}\n'
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(text, kind="ptx", arch="compute_80")
    assert f"\n    {text.splitlines()[2].strip()}\n{' ' * (4 + len('/* größe */ x[0] = '))}^" in str(caught.value)
    assert caught.value.diagnostics[0].column == text.splitlines()[2].index("q") + 1


@pytest.mark.parametrize("parameter", ["__half *x", "uint32_t *x", "int größe", "nothing *x"])
def test_what_follows_from_an_unknown_name_or_letter_is_counted(parameter):
    """In a script the error has at most 15 lines, nine of which are its own; all that the compiler said is data."""
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(f'extern "C" __global__ void k({parameter}) {{ }}', kind="ptx", arch="compute_80")
    said = str(caught.value).splitlines()
    assert len(said) <= 9
    assert sum(": error: " in line for line in said) == 1
    more = len(caught.value.diagnostics) - 1
    assert f"({more} more that follow{'s' if more == 1 else ''} from it in .log)" in said


def body_fails(body):
    """What is told of a kernel with that body below its first line, without the head."""
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(f"__global__ void k(int *x, int n) {{\n{body}\n}}", kind="ptx", arch="compute_80")
    return str(caught.value).splitlines()[1:]


#: One mistake each, of which NVRTC says two to seven things.
ONE_MISTAKE = {
    "a container": "std::vector<int> v;\nv.push_back(1);\nx[0] = v[0];",
    "two of them": "std::vector<int> v(3), w{};\nv[0] = w[0];",
    "in a container": "std::unordered_map<int, std::string> m;\nm[0];",
    "const": "const std::vector<int> &v = x;\nv[0];",
    "a copy": "auto v = std::vector<int>(3);\nv[0] = 1;",
    "without std": "vector<int> v;\nv[0] = 1;",
    "by using": "using std::vector;\nvector<int> v;\nv[0] = 1;",
    "of thrust": "thrust::device_vector<int> v(3);\nv[0] = 1;",
    "a pointer": "foo_t *v = nullptr;\n*v = 1;",
    "an unknown template": "Matrix<float, 3> m{};\nm.a = 1;",
    "in a loop": "for (std::vector<int> v; n > 0; --n) v[0] = 1;",
    "a stream": "std::cout << x[0] << std::endl;",
    "no semicolon": "int a = 1\nint b = 2;\nx[0] = a + b;",
    "no component": "int i = blockIdx.x * blockDim.x + threadIdx;\nx[i] = 1;",
    "Python": "for i in range(n):\n    x[i] = 1",
}


@pytest.mark.parametrize("body", ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_one_mistake_takes_at_most_15_lines_in_a_script(body):
    """Six are of the traceback, one is the head."""
    said = body_fails(body)
    assert len(said) <= 8
    assert said[0].startswith("kernel.cu(2): error: ") or said[0].startswith("kernel.cu(3): error: expected a")


def test_two_unknown_names_in_one_line_are_both_told():
    """And show the line once."""
    assert body_fails("    x[0] = p * q;") == [
        'kernel.cu(2): error: identifier "p" is undefined',
        'kernel.cu(2): error: identifier "q" is undefined',
        "      x[0] = p * q;",
        "             ^   ^",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "foo_t v = w;",
        "std::vector<int> v(w);",
        "vector<int> v; x[0] = w;",
        "foo_t<int> v[w];",
        "foo(v, w);",
        "x[0] = foo_t * w;",
        "foo_t v;\nx[0] = w;",
    ],
)
def test_an_unknown_name_that_the_line_would_not_have_declared_is_told(body):
    assert any('"w" is undefined' in line for line in body_fails(body))


def test_what_follows_is_of_the_same_file():
    said = [
        Diagnostic("a.cu", 1, "error", "a.cu(1): error: x\n  foo v;\n  ^", message='identifier "foo" is undefined'),
        Diagnostic("b.h", 2, "error", "b.h(2): error: x\n  v = 1;\n  ^", message='identifier "v" is undefined'),
        Diagnostic("a.cu", 3, "error", "a.cu(3): error: x\n  v = 1;\n  ^", message='identifier "v" is undefined'),
    ]
    assert without_consequences(said) == said[:2]
