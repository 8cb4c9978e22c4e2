"""Programs that compile to no kernel: what is surely a mistake, and what it says to write."""

from __future__ import annotations

import pytest

import jitload
from jitload.compiler.deduce import kernel_templates

TEMPLATES = {
    "template <typename T, int B> __global__ void reduce(const T *x, T *y) {}": ["reduce<float, 256>"],
    "template<class T> __launch_bounds__(256) __global__ void k(T *x);": ["k<float>"],
    "template<class T> __global__ void __launch_bounds__(256, 2) k(T *x) {}": ["k<float>"],
    "template <class T> struct S { T a; }; template <bool N, class... Ts> __global__ void v(Ts... x) {}": [
        "v<true, float>"
    ],
    "namespace n { inline namespace m { template <unsigned int N = 3> __global__ void q(int (&x)[N]) {} } }": [
        "n::m::q<256>"
    ],
    "namespace n { int x; } template <size_t N> __global__ void q() noexcept {}": ["q<256>"],
    "template <class T> __global__ auto g(T x) -> void {}": ["g<float>"],
    "template <template <class> class C> __global__ void w() {}": ["w<...>"],
    "template <class T> __global__ void a(T); template <class T> __global__ void a(T) {}": ["a<float>"],
    "template <class T> __device__ T f(T x) { return x; } // __global__ void no(T)": [],
    "#if 0\ntemplate <class T> __global__ void off(T) {}\n#endif": ["off<float>"],
    "__global__ void plain() {}": [],
    "template <class T": [],
    "template <class T> __global__ void broken(": [],
    "": [],
}


@pytest.mark.parametrize("source", TEMPLATES, ids=lambda text: text[:40])
def test_the_kernel_templates_of_a_text_with_an_example_of_each(source):
    assert [template.example() for template in kernel_templates(source)] == TEMPLATES[source]


def test_compile_refuses_kernel_templates_that_nothing_instantiates():
    source = "namespace n { template <class T> __global__ void a(T *x) {} template <int N> __global__ void b() {} }"
    with pytest.raises(
        jitload.CompileError, match=r'n::a, n::b are templates.* give names=\["n::a<float>"\]'
    ) as caught:
        jitload.compile(source, name="two.cu", arch="compute_80")
    assert caught.value.file == "two.cu"
    assert list(jitload.compile(source, names=["n::a<float>"], arch="compute_80").kernels) == ["n::a<float>"]


def test_a_template_that_the_source_instantiates_itself_is_a_kernel():
    source = "template <class T> __global__ void a(T *x) {}\ntemplate __global__ void a<int>(int *);"
    assert len(jitload.compile(source, arch="compute_80").kernels) == 1


@pytest.mark.parametrize("source", ["", " \n\t", "// later\n/* __global__ void k() {} */"], ids=repr)
def test_compile_refuses_what_has_no_code(source):
    with pytest.raises(jitload.CompileError, match="no code in it"):
        jitload.compile(source, arch="sm_80")


@pytest.mark.parametrize(
    "source",
    ["__device__ int x;", "__device__ int f(int x) { return x; }", "#define N 3\n", "#include <cuda_fp16.h>\n"],
)
def test_compile_takes_code_without_kernels(source):
    """To look at it, to try a header, for its globals."""
    assert jitload.compile(source, arch="compute_80").kernels == {}
