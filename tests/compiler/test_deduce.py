"""Which parameter of a template decides an open template argument: the plain cases, and nothing that is doubtful."""

import pytest

from jitload.compiler.deduce import find_template, split_arguments


def deciding(source, name="T"):
    template = find_template([source], "k")
    return None if template is None else template.deciding(name)


@pytest.mark.parametrize(
    ("source", "positions"),
    [
        ("template <typename T> __global__ void k(T *x, int n);", (0,)),
        ("template <class T> __global__ void k(int n, const T *__restrict__ x, T s) {}", (1,)),
        ("template <class T, int N> __global__ __launch_bounds__(N > 3 ? 4 : 5) void k(T const *x) {}", (0,)),
        ("template <typename T> __global__ void k(T x[], T v) {}", (0,)),
        ("template <typename T> __global__ void k(T *) {}", (0,)),
        ("template <typename T = float> __global__ void k(T *x);\ntemplate <typename T = float> __global__ void k(T *x) {}", (0,)),
        ("template <typename T> struct S {}; template <typename T> __global__ void k(T *x, S<T> s) {}", (0,)),
        ("namespace n { template <typename T, bool B = (3 > 2)> static __global__ void k(const T *x) {} }", (0,)),
        ("template <typename T, template <typename> class C> __global__ void k(T *x, C<T> c) {}", (0,)),
        ("template <typename T> __global__ void k(const T *x, T *y) {}", (0, 1)),
        ("template <typename T> __global__ void k(S<T> *x, T *y) {}", (0, 1)),
        ("template <typename T> __global__ void k(T x) {}", ()),
        ("template <typename T> __global__ void k(S<T> *x) {}", ()),
        ("template <typename T> __global__ void k(T **x) {}", ()),
        ("template <typename... T> __global__ void k(T *...x) {}", ()),
        ("template <typename T> __global__ void k(typename T::value *x) {}", ()),
        ("template <typename T> __device__ void k(T *x) {}", None),
        ("/* template <typename T> __global__ void k(T *x) {} */", None),
        ("#define MAKE template <typename T> __global__ void k(T *x)\n", None),
        ('const char *s = "template <typename T> __global__ void k(T *x) {}";', None),
        ("template <typename T> __global__ void k(T *x) {} template <typename T> __global__ void k(int n, T *x) {}", None),
        ("template <typename T> __global__ void k(T *x", None),
        ("template <", None),
    ],
)  # fmt: skip
def test_the_positions_that_decide(source, positions):
    assert deciding(source) == positions


def test_arguments_of_a_name_expression():
    assert split_arguments("n::k<{T}, std::pair<{A}, int>, (1, 2)>") == ["{T}", "std::pair<{A}, int>", "(1, 2)"]
    assert split_arguments("k") == []
