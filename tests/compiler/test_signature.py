"""Types of C++ kernels as instantiated, put to NVRTC; and that they go wherever an artifact goes."""

from __future__ import annotations

import pickle

import pytest

import jitload
from jitload.artifact import Artifact
from jitload.compiler.signature import typed_by_symbol
from jitload.source.request import CompileRequest
from jitload.values import KernelInfo, Parameter

SOURCE = r"""
typedef float real;
namespace n {
struct S { int a; template <class T> struct In { T t; typedef T type; }; };
enum class Mode : unsigned char { A };
enum E { P, Q };
template <class T, int N> struct V { T x[N]; };
inline namespace v1 { struct Inl { int z; }; }
namespace { struct Hidden { int q; }; __global__ void hidden(Hidden *p, real x) { p->q = (int)x; } }
__global__ void plain(S s, S *p, const S &r, S::In<float> f, Mode m, E e, const V<const int *, 4> *w, Inl i) {}
template <class T> using vec = T *;
template <class T> __global__ void aliased(vec<T> a, vec<const T> b) {}
}
template <class T> struct Traits { using type = T; using pointer = const T *; struct inner { T t; }; };
template <> struct Traits<float> { using type = double; typedef float *pointer; struct inner { int t; }; };
template <class T> struct Traits<T *> { using type = T; };
template <bool B, class T, class F> struct pick { using type = T; };
template <class T, class F> struct pick<false, T, F> { using type = F; };
template <class T> using acc = typename pick<(sizeof(T) < 4), float, T>::type;

__global__ void twice(float *x) {}
__global__ void twice(int *x) {}
static __global__ void quiet(const real *x, real y) { *(int *)x = (int)y; }
template <class T> __global__ void scale(T *x, T s, int n) {}
template __global__ void scale<double>(double *, double, int);
template <class T, int N, bool B, auto X> __global__ void values(T t, n::V<T, N + 1> v) {}
template <class... A> __global__ void pack(int n, A... a) {}
template <class... A> __global__ void pointers(const A *... a) {}
template <class T, class U = T *, int N = 4> __global__ void defaults(U u, const U *v, T volatile *w, n::V<T, N> x) {}
template <template <class> class C, class T> __global__ void nested(C<T> c, C<C<T>> d) {}
template <class F> __global__ void call(F f, float *x) {}
template <class T> __global__ void decayed(T a, void (*f)(T), T (*g)(T, T), T (&h)[3]) {}
template <class T> __global__ void trait(typename Traits<T>::type a, typename Traits<T>::pointer b, acc<T> *c) {}
template <class T> __global__ void inner(typename Traits<T>::inner a, typename n::S::In<T>::type b, Traits<T *> *c) {}
template <class T> __global__ void unknown(decltype(T() + 1) a, T *b) {}
__device__ float ff(float x) { return x; }
template <float (*F)(float)> __global__ void function(float x) {}
__global__ void arrays(real a[], real b[3][4], void f(int), real (*g)[4]) {}
"""

#: Name expression -> types; "" where they are not known.
KERNELS = {
    "n::plain": [
        "n::S", "n::S *", "const n::S &", "n::S::In<float>", "n::Mode", "n::E", "const n::V<const int *, 4> *", "n::v1::Inl",
    ],
    "n::hidden": ["n::(anonymous namespace)::Hidden *", "float"],
    "n::aliased<real>": ["float *", "const float *"],
    "quiet": ["const float *", "float"],
    "scale<real>": ["float *", "float", "int"],
    "scale<unsigned char>": ["unsigned char *", "unsigned char", "int"],
    "values<real, 3, true, 'c'>": ["float", "n::V<float, 4>"],
    "pack<>": ["int"],
    "pack<int, const float *, n::S, const double>": ["int", "int", "const float *", "n::S", "double"],
    "pointers<int, real>": ["const int *", "const float *"],
    "defaults<int>": ["int *", "int *const *", "volatile int *", "n::V<int, 4>"],
    "defaults<real, double, 2>": ["double", "const double *", "volatile float *", "n::V<float, 2>"],
    "nested<n::S::In, float>": ["n::S::In<float>", "n::S::In<n::S::In<float>>"],
    "call<float (*)(real)>": ["float (*)(float)", "float *"],
    "call<int n::S::*>": ["int n::S::*", "float *"],
    "decayed<int>": ["int", "void (*)(int)", "int (*)(int, int)", "int (&)[3]"],
    "trait<int>": ["int", "const int *", "int *"],
    "trait<real>": ["double", "float *", "float *"],
    "trait<short>": ["short", "const short *", "float *"],
    "inner<double>": ["Traits<double>::inner", "double", "Traits<double *> *"],
    "unknown<float>": ["", "float *"],
    "function<ff>": ["float"],
    "arrays": ["float *", "float (*)[4]", "void (*)(int)", "float (*)[4]"],
}  # fmt: skip
SAME = """
template <class A, class B> struct same_ { static const bool value = false; };
template <class A> struct same_<A, A> { static const bool value = true; };
"""

pytestmark = pytest.mark.filterwarnings("ignore::jitload.CompileWarning")


def test_types_of_cpp_kernels(compile_ptx):
    kernels = compile_ptx(SOURCE, names=list(KERNELS)).kernels
    assert {name: list(kernels[name].parameters) for name in KERNELS} == KERNELS
    assert kernels["_Z5twicePf"].parameters == ("float *",)
    assert kernels["_Z5twicePi"].parameters == ("int *",)
    assert kernels["_Z5scaleIdEvPT_S0_i"].parameters == ("double *", "double", "int"), "an instance that nobody named"


def test_nvrtc_agrees(compile_ptx):
    asked = SOURCE + SAME
    for name, types in KERNELS.items():
        if all(types) and "anonymous" not in types[0]:
            asked += f'static_assert(same_<decltype(&{name}), void (*)({", ".join(types)})>::value, "no");\n'
    compile_ptx(asked)
    with pytest.raises(jitload.CompileError, match="static assertion"):
        compile_ptx(asked + 'static_assert(same_<decltype(&scale<real>), void (*)(float *, float)>::value, "no");\n')


def test_types_say_what_is_const(compile_ptx):
    """`const T *` of a trait is known only by its type."""
    params = compile_ptx(SOURCE, names=["trait<int>", "trait<float>"]).kernels
    assert [(p.pointer, p.const) for p in params["trait<int>"].params] == [(False, False), (True, True), (True, False)]
    assert [(p.pointer, p.const) for p in params["trait<float>"].params] == [
        (False, False),
        (True, False),
        (True, False),
    ]
    assert [p.name for p in params["trait<int>"].params] == ["a", "b", "c"]


TRAVELLER = 'typedef float real;\ntemplate <class T> __global__ void k(const T *x, T *y) {}\nextern "C" __global__ void e(const real *x) {}\n'
TRAVELLED = {"k<double>": ("const double *", "double *"), "e": ("const float *",)}


def travelled(artifact):
    return {name: kernel.parameters for name, kernel in artifact.kernels.items()}


@pytest.mark.parametrize("kind", ["cubin", "ptx", "ltoir", "fatbin"])
def test_types_go_wherever_an_artifact_goes(tmp_path, kind):
    arguments = {"kind": kind, "arch": "sm_80", "names": ["k<double>"]}
    artifact = jitload.compile(TRAVELLER, **arguments, cache=jitload.Cache(tmp_path / "a"))
    assert travelled(artifact) == TRAVELLED
    assert travelled(jitload.compile(TRAVELLER, **arguments, cache=jitload.Cache(tmp_path / "a"))) == TRAVELLED
    before = jitload.stats().compiles
    with jitload.configure(compile="never"):
        hit = jitload.compile(TRAVELLER, **arguments, cache=jitload.Cache(tmp_path / "a"))
    assert jitload.stats().compiles == before
    assert travelled(hit) == TRAVELLED
    artifact.save(tmp_path / "k.jl")
    assert travelled(Artifact.open(tmp_path / "k.jl")) == TRAVELLED
    assert travelled(pickle.loads(pickle.dumps(artifact))) == TRAVELLED


ASK = """
import pathlib, sys, jitload
source = pathlib.Path(sys.argv[1]).read_text()
if sys.argv[2:]:
    jitload.use_bundle(sys.argv[2], trust="unsigned")
artifact = jitload.compile(source, kind="ptx", arch="compute_75", names=["k<double>"])
print(jitload.stats().compiles, {name: kernel.parameters for name, kernel in artifact.kernels.items()})
"""


def test_types_without_a_compiler(tmp_path, python_without_nvrtc):
    """From a directory and from a bundle that were filled elsewhere; a compile in a child sends them along too."""
    source = tmp_path / "k.cu"
    source.write_text(TRAVELLER)
    filled = jitload.Cache(tmp_path / "filled")
    request = CompileRequest(TRAVELLER, kind="ptx", arch="compute_75", names=["k<double>"])
    artifact = jitload.compile(
        TRAVELLER, kind="ptx", arch="compute_75", names=["k<double>"], cache=filled, isolate=True
    )
    assert travelled(artifact) == TRAVELLED
    jitload.Bundle.create(tmp_path / "k.jlb", request, cache=filled)
    for arguments in ((tmp_path / "filled", source), (tmp_path / "empty", source, tmp_path / "k.jlb")):
        done = python_without_nvrtc(ASK, arguments[0], *map(str, arguments[1:]))
        assert done.stdout == f"0 {TRAVELLED}\n", done.stderr


def test_types_of_a_fatbin_that_differ_by_arch_are_not_known(cache):
    source = """#if __CUDA_ARCH__ >= 900
typedef double real;
#else
typedef float real;
#endif
extern "C" __global__ void k(real *x, int *y) {}
"""
    artifact = jitload.compile(source, arch=["sm_80", "sm_90"], cache=cache)
    assert artifact.kernels["k"].parameters == ("", "int *")
    assert jitload.compile(source, arch=["sm_90"], kind="fatbin", cache=cache).kernels["k"].parameters == (
        "double *",
        "int *",
    )


def test_types_survive_loading_and_saving_a_module(compile_ptx):
    artifact = compile_ptx(TRAVELLER, names=["k<double>"])
    with jitload.configure(device="cpu"):
        module = artifact.load()
        assert module["k<double>"].info.parameters == TRAVELLED["k<double>"]
        again = jitload.load_module_from_bytes("ptx", module.save_to_bytes())
        assert again["e"].info.parameters == TRAVELLED["e"]
        bare = jitload.load_module_from_bytes("ptx", artifact.data)
        assert bare[artifact.kernels["k<double>"].symbol].info.parameters == TRAVELLED["k<double>"]


def test_an_integer_that_the_code_uses_as_an_address_stays_one():
    param = Parameter(0, 8, 8, "u64", pointer=True)
    typed = typed_by_symbol(KernelInfo("k", "_Z1km", [param])).params[0]
    assert (typed.cpp, typed.pointer, typed.const) == ("unsigned long", True, False)
