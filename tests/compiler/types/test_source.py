"""Types that only the source tells: every answer is put to NVRTC, which must find it to be the kernel's own type."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jitload
from jitload.compiler.types import unit
from jitload.compiler.types.meanings import Meanings
from jitload.compiler.types.scanner import Declared
from jitload.compiler.types.source import written_type
from jitload.compiler.types.toolkit_names import ToolkitNames
from jitload.compiler.types.unit import Unit

SAME = """
template <class A, class B> struct same_ { static const bool value = false; };
template <class A> struct same_<A, A> { static const bool value = true; };
"""


def confirmed(compile_ptx, source, **arguments):
    """Kernel -> its types, after NVRTC has confirmed all that are known."""
    kernels = compile_ptx(source, **arguments).kernels
    asked = source + SAME
    for name, kernel in kernels.items():
        if all(kernel.parameters):
            types = ", ".join(kernel.parameters).replace("(anonymous namespace)::", "")
            asked += f'static_assert(same_<decltype(&{name}), void (*)({types})>::value, "{name}");\n'
    compile_ptx(asked, **arguments)
    return {name: kernel.parameters for name, kernel in kernels.items()}


def table_of(compile_ptx, prefix, declared, **arguments):
    """What each declaration of a parameter says, as it is found and confirmed."""
    source = prefix + "".join(
        f'extern "C" __global__ void k{number}({text}) {{}}\n' for number, text in enumerate(declared)
    )
    found = confirmed(compile_ptx, source, **arguments)
    return {text: found[f"k{number}"][0] for number, text in enumerate(declared)}


USERS = r"""
typedef float real; typedef real scalar, *scalarp, vec4[4]; using Real = scalar;
typedef const real creal;
namespace n { typedef double real; using idx = unsigned long long; struct S { int a; typedef short type; using ptr = const real *; template<class T> struct In { T t; using type = T*; }; };
  enum class Mode : unsigned char {A}; enum E {P,Q}; template<class T,int N=4> struct V { T x[N]; using elem = T; static const int n = N; };
  namespace deep { typedef S T2; typedef real deepreal; } inline namespace v1 { struct Inl {int z;}; typedef Inl InlT; }
  template <class T> using vec = const T *__restrict__; }
namespace m = n::deep; using namespace m; using n::Mode; using n::V;
typedef struct { float x, y; } Pair; typedef struct Tag { int q; } TagT, *TagP; typedef enum { AA } EnT; typedef union U_ { int i; } UT;
typedef void (*Callback)(int, const real *); typedef real (*Arr)[4]; using Fn = void(int);
template<class T> struct Traits { using type = T; using pointer = T *; }; template<> struct Traits<float> { using type = double; typedef int pointer; };
struct Base { typedef char bt; }; struct Derived : Base { };
template<class T> struct Wrap : Traits<T> { };
namespace { struct Hidden { int h; }; typedef int hint; }
#define RR real
#define PTR(T) const T *__restrict__
#define U32 unsigned int
#define ARGS PTR(RR) a, int b
#ifdef USE_DOUBLE
typedef double sel;
#else
typedef float sel;
#endif
#if defined(__HIPCC__) || defined(_WIN32)
typedef char plat;
#else
typedef long plat;
#endif
#ifndef DEF
#define DEF float
#endif
template <char C> struct Ch { using type = n::V<int, C>; using code = n::V<int, C + 1>; };
template <> struct Ch<'c'> { using type = float; };
"""

#: A parameter of an extern "C" kernel -> its type; "" where it is not known.
OF_USERS = {
    "real *x": "float *",
    "const real *x": "const float *",
    "scalarp x": "float *",
    "const scalarp x": "float *",
    "vec4 x": "float *",
    "const vec4 x": "const float *",
    "Real &x": "float &",
    "creal *x": "const float *",
    "creal x": "float",
    "n::real x": "double",
    "n::idx x": "unsigned long long",
    "::real x": "float",
    "n::S x": "n::S",
    "n::S::type x": "short",
    "n::S::ptr x": "const double *",
    "n::S::In<int> x": "n::S::In<int>",
    "n::S::In<real>::type x": "float *",
    "n::Mode x": "n::Mode",
    "Mode x": "n::Mode",
    "n::E x": "n::E",
    "n::V<real> x": "n::V<float, 4>",
    "V<real,2> *x": "n::V<float, 2> *",
    "V<int,8>::elem x": "int",
    "n::deep::T2 x": "n::S",
    "m::T2 *x": "n::S *",
    "T2 x": "n::S",
    "deepreal x": "double",
    "n::InlT x": "n::v1::Inl",
    "n::vec<real> x": "const float *",
    "Pair x": "Pair",
    "const Pair *x": "const Pair *",
    "Tag x": "Tag",
    "struct Tag *x": "Tag *",
    "TagT x": "Tag",
    "TagP x": "Tag *",
    "EnT x": "EnT",
    "UT x": "U_",
    "Callback x": "void (*)(int, const float *)",
    "Arr x": "float (*)[4]",
    "Fn x": "void (*)(int)",
    "Fn *x": "void (*)(int)",
    "Traits<int>::type x": "int",
    "Traits<float>::type x": "double",
    "Traits<float>::pointer x": "int",
    "Traits<real>::type x": "double",
    "typename Traits<double>::pointer x": "double *",
    "Derived::bt x": "char",
    "Derived x": "Derived",
    "Wrap<int>::type x": "int",
    "Hidden x": "(anonymous namespace)::Hidden",
    "hint x": "int",
    "RR x": "float",
    "PTR(RR) x": "const float *",
    "U32 x": "unsigned int",
    "sel *x": "float *",
    "plat x": "long",
    "DEF x": "float",
    "unsigned x": "unsigned int",
    "long int unsigned x": "unsigned long",
    "short int x": "short",
    "const volatile char *const x": "const volatile char *",
    "int (*x)[4]": "int (*)[4]",
    "const int x[3][4]": "const int (*)[4]",
    "void (*x)(real, n::S *)": "void (*)(float, n::S *)",
    "real (&x)[4]": "float (&)[4]",
    "struct Unseen *x": "Unseen *",
    "const n::S &x": "const n::S &",
    "real *x = nullptr": "float *",
    "real *const *x": "float *const *",
    "n::V<int, 2 + 1> x": "n::V<int, 3>",
    "n::V<int, sizeof(real)> x": "n::V<int, 4>",
    "bool x": "bool",
    "wchar_t x": "wchar_t",
    "n::V<int, 'b' - 'a'> x": "n::V<int, 1>",
    "n::V<int, '\\n'> x": "n::V<int, 10>",
    "n::V<int, '\\''> x": "n::V<int, 39>",
    "n::V<int, '\\x01'> x": "",
    "Ch<'\\377'> x": "",
    "Ch<'b'> x": "Ch<(char)98>",
    "Ch<97> *x": "Ch<(char)97> *",
    "Ch<'c'>::type x": "float",
    "Ch<'b'>::type x": "n::V<int, 98>",
    "Ch<'d'>::code *x": "n::V<int, 101> *",
    "decltype(1) x": "",
    "decltype(nullptr) x": "",
    "int *__restrict__ x": "int *",
    "[[maybe_unused]] real x": "float",
    "V<V<int, 1>, 2> x": "n::V<n::V<int, 1>, 2>",
}  # fmt: skip


def test_types_of_the_users(compile_ptx):
    assert table_of(compile_ptx, USERS, OF_USERS) == OF_USERS


TOOLKIT = """
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuComplex.h>
#include <cuda/std/complex>
#include <cuda/std/cstdint>
#include <cuda/std/array>
#include <cuda/std/tuple>
#include <cuda/std/cstddef>
typedef float real;
"""

OF_THE_TOOLKIT = {
    "int8_t x": "signed char",
    "uint32_t *x": "unsigned int *",
    "cuda::std::int64_t x": "long long",
    "size_t x": "unsigned long",
    "cuda::std::size_t x": "unsigned long",
    "uint8_t x[]": "unsigned char *",
    "int_fast8_t x": "signed char",
    "const int_least8_t *x": "const signed char *",
    "cuda::std::uint_fast16_t x": "unsigned short",
    "int_fast32_t *x": "int *",
    "uint_least64_t x": "unsigned long long",
    "half x": "__half",
    "const half2 *x": "const __half2 *",
    "nv_bfloat16 x": "__nv_bfloat16",
    "__nv_bfloat162 x": "__nv_bfloat162",
    "cuFloatComplex x": "float2",
    "cuDoubleComplex *x": "double2 *",
    "cuComplex x": "float2",
    "cuda::std::complex<float> x": "cuda::std::complex<float>",
    "cuda::std::complex<real> *x": "cuda::std::complex<float> *",
    "::cuda::std::array<real, 4> x": "cuda::std::array<float, 4>",
    "cuda::std::tuple<int, real> x": "cuda::std::tuple<int, float>",
    "cuda::std::byte *x": "cuda::std::byte *",
    "cudaTextureObject_t x": "unsigned long long",
    "float4 x": "float4",
    "const dim3 x": "dim3",
    "__half_raw x": "__half_raw",
}  # fmt: skip


def test_types_of_the_toolkit(compile_ptx, needs_toolkit_header):
    needs_toolkit_header("cuda/std/complex")
    assert table_of(compile_ptx, TOOLKIT, OF_THE_TOOLKIT) == OF_THE_TOOLKIT


#: What it is about -> a source with a kernel k, macros for the compile, the types of k; "" where they are not certain.
PROGRAMS = {
    "later inner": (
        'typedef float real; namespace q { extern "C" __global__ void k(real x) {} typedef double real; }',
        {},
        ['float'],
    ),
    "inner first": (
        'typedef float real; namespace q { typedef double real; extern "C" __global__ void k(real *x) {} }',
        {},
        ['double *'],
    ),
    "redefine macro": (
        """#define T float
#undef T
#define T double
extern "C" __global__ void k(T *x) {}
#undef T
#define T int""",
        {},
        ['double *'],
    ),
    "macro after": (
        """typedef float T; extern "C" __global__ void k(T *x) {}
#define T int""",
        {},
        ['float *'],
    ),
    "if 0": (
        """#if 0
typedef double real;
#else
typedef float real;
#endif
extern "C" __global__ void k(real *x) {}""",
        {},
        ['float *'],
    ),
    "D double": (
        """#ifdef D
typedef double real;
#else
typedef float real;
#endif
extern "C" __global__ void k(real *x) {}""",
        {"D": None},
        ['double *'],
    ),
    "arch": (
        """#if __CUDA_ARCH__ >= 800
typedef double real;
#else
typedef float real;
#endif
extern "C" __global__ void k(real *x) {}""",
        {},
        ['float *'],
    ),
    "unknown cond": (
        """#ifdef __SOMETHING__
typedef double real;
#else
typedef float real;
#endif
extern "C" __global__ void k(real *x) {}""",
        {},
        [''],
    ),
    "unknown cond same": (
        """#ifdef __SOMETHING__
typedef float real;
#else
typedef float real;
#endif
extern "C" __global__ void k(real *x) {}""",
        {},
        ['float *'],
    ),
    "unknown cond shadow": (
        """typedef float real; namespace q {
#ifdef __SOMETHING__
typedef double real;
#endif
extern "C" __global__ void k(real *x) {} }""",
        {},
        [''],
    ),
    "kernel in unknown": (
        """typedef float real;
#ifdef __SOMETHING__
extern "C" __global__ void k(const real *x) {}
#else
extern "C" __global__ void k(real *x) {*x=1;}
#endif""",
        {},
        [''],
    ),
    "quick dead": (
        """#if 0
extern "C" __global__ void k(const float *x);
#else
extern "C" __global__ void k(float *x) { *x = 1; }
#endif""",
        {},
        ['float *'],
    ),
    "quick dead2": (
        """#ifdef X_
extern "C" __global__ void k(const int *x) {}
#else
#define KK extern "C" __global__
KK void k(int *x) { *x = 1; }
#endif""",
        {},
        ['int *'],
    ),
    "struct named as typedef": (
        'struct real { float v; }; typedef float Real; extern "C" __global__ void k(real *x, Real y) {}',
        {},
        ['real *', 'float'],
    ),
    "elaborated": (
        'typedef float T; namespace z { struct T {int a;}; extern "C" __global__ void k(struct T *x, T y) {} }',
        {},
        ['z::T *', 'z::T'],
    ),
    "local typedef": (
        'typedef float T; __device__ void f() { typedef double T; T x; } extern "C" __global__ void k(T *x) { typedef int T; }',
        {},
        ['float *'],
    ),
    "class member typedef not seen": (
        'typedef float T; struct A { typedef double T; T m; }; extern "C" __global__ void k(T *x) {}',
        {},
        ['float *'],
    ),
    "template param same name": (
        'typedef float T; template <class T> struct A { T t; }; extern "C" __global__ void k(T *x, A<T> y) {}',
        {},
        ['float *', 'A<float>'],
    ),
    "using decl": (
        'namespace a { typedef double real; } namespace b { typedef float real; } using b::real; extern "C" __global__ void k(real *x) {}',
        {},
        ['float *'],
    ),
    "using directive": (
        'namespace a { typedef double real; } namespace b { typedef float rreal; } using namespace a; extern "C" __global__ void k(real *x) {}',
        {},
        ['double *'],
    ),
    "using directive in ns not": (
        'namespace a { typedef double real; } namespace b { using namespace a; } typedef float real; extern "C" __global__ void k(real *x) {}',
        {},
        ['float *'],
    ),
    "nested using directive": (
        'namespace a { typedef double real; } namespace b { using namespace a; } extern "C" __global__ void k(b::real *x) {}',
        {},
        ['double *'],
    ),
    "hide": (
        'typedef float real; namespace b { struct real { int q; }; extern "C" __global__ void k(real *x, ::real y) {} }',
        {},
        ['b::real *', 'float'],
    ),
    "enum hides": (
        'typedef float real; namespace b { enum real { A }; extern "C" __global__ void k(real x) {} }',
        {},
        ['b::real'],
    ),
    "partial spec": (
        'template<class T> struct Tr { using type = T; }; template<class T> struct Tr<T*> { using type = double; }; extern "C" __global__ void k(Tr<int*>::type x, Tr<int>::type y) {}',
        {},
        ['double', 'int'],
    ),
    "spec": (
        'template<class T, int N> struct Tr { using type = T; }; template<> struct Tr<int, 2> { using type = double; }; extern "C" __global__ void k(Tr<int,1+1>::type x, Tr<int,1>::type y) {}',
        {},
        ['double', 'int'],
    ),
    "later spec": (
        'template<class T> struct Tr { using type = T; }; typedef int I; template<> struct Tr<I> { using type = double; }; extern "C" __global__ void k(Tr<int>::type x) {}',
        {},
        ['double'],
    ),
    "alias template default": (
        'template<class T=float, int N=2> using A = T; extern "C" __global__ void k(A<> x, A<double> y) {}',
        {},
        ['float', 'double'],
    ),
    "alias spec-ish": (
        'template<bool B, class T, class F> struct cond { using type = T; }; template<class T, class F> struct cond<false,T,F> { using type = F; }; extern "C" __global__ void k(cond<true,int,float>::type x, cond<false,int,float>::type y) {}',
        {},
        ['int', 'float'],
    ),
    "recursive alias": (
        'namespace a { typedef float real; } namespace b { typedef a::real real; typedef real *realp; } extern "C" __global__ void k(b::realp x) {}',
        {},
        ['float *'],
    ),
    "const typedef ptr": (
        'typedef float *P; typedef const P CP; extern "C" __global__ void k(const P *x, CP y, CP *z) {}',
        {},
        ['float *const *', 'float *', 'float *const *'],
    ),
    "array typedef": (
        'typedef const int A[3]; extern "C" __global__ void k(A x, A *y, A z[2]) {}',
        {},
        ['const int *', 'const int (*)[3]', 'const int (*)[3]'],
    ),
    "macro func hides const": (
        """#define constant(x) x
#define C const
extern "C" __global__ void k(constant(C float) *x) {}""",
        {},
        ['const float *'],
    ),
    "const is no const": (
        """#define const
extern "C" __global__ void k(const float *x) { *x=1; }""",
        {},
        ['float *'],
    ),
    "float is double": (
        """#define float double
extern "C" __global__ void k(float *x) { *x=1; }""",
        {},
        ['double *'],
    ),
    "define by D": (
        'extern "C" __global__ void k(const REAL *x) { }',
        {"REAL": "unsigned long"},
        ['const unsigned long *'],
    ),
    "D pointer": (
        'extern "C" __global__ void k(const REAL x) { }',
        {"REAL": "float*"},
        ['const float *'],
    ),
    "paste": (
        """#define VEC(t,n) t##n
extern "C" __global__ void k(VEC(float,4) *x, VEC(i,nt) y) { }""",
        {},
        ['float4 *', 'int'],
    ),
    "variadic": (
        """#define KERNEL(name, ...) extern "C" __global__ void name(__VA_ARGS__)
KERNEL(k, float *a, const int b) { }""",
        {},
        ['float *', 'int'],
    ),
    "whole macro": (
        """#define DEF(T) typedef T real; typedef T *realp;
DEF(double)
extern "C" __global__ void k(real x, realp y) {}""",
        {},
        ['double', 'double *'],
    ),
    "xmacro": (
        """#define LIST(X) X(float, k)
#define X(T, name) extern "C" __global__ void name(T *x) {}
LIST(X)""",
        {},
        ['float *'],
    ),
    "namespace macro": (
        """#define BEGIN namespace q {
#define END }
BEGIN typedef double real; END typedef float real; extern "C" __global__ void k(real x, q::real y) {}""",
        {},
        ['float', 'double'],
    ),
    "comment tricks": (
        """typedef float /* ; */ real; // typedef double real;
/* typedef int real; */ extern "C" __global__ void k(real /* , int */ x) {}""",
        {},
        ['float'],
    ),
    "string tricks": (
        '__device__ const char *s = "typedef double real; }"; typedef float real; extern "C" __global__ void k(real x) {}',
        {},
        ['float'],
    ),
    "splice": (
        'typedef fl\\\noat re\\\nal; extern "C" __global__ void k(real x) {}',
        {},
        ['float'],
    ),
    "digraph": (
        'typedef float A<:3:>; extern "C" __global__ void k(A x) <% %>',
        {},
        ['float *'],
    ),
    "trailing return": (
        'typedef float real; extern "C" __global__ auto k(real x) -> void {}',
        {},
        ['float'],
    ),
    "launch bounds": (
        'typedef float real; extern "C" __global__ void __launch_bounds__(32*2) k(real *x) {}',
        {},
        ['float *'],
    ),
    "attr": (
        'typedef float real; extern "C" __attribute__((used)) [[maybe_unused]] __global__ void k(const real *__restrict__ x) {}',
        {},
        ['const float *'],
    ),
    "two decl": (
        'typedef float real; extern "C" __global__ void k(real *x); extern "C" __global__ void k(float *y) {}',
        {},
        ['float *'],
    ),
    "overload ns": (
        'typedef float real; namespace a { __global__ void k(double *x) {} } extern "C" __global__ void k(real *x) {}',
        {},
        [''],
    ),
    "inline ns versions": (
        'namespace a { namespace v1 { typedef double real; } inline namespace v2 { typedef float real; } } extern "C" __global__ void k(a::real x, a::v1::real y) {}',
        {},
        ['float', 'double'],
    ),
    "ns alias": (
        'namespace a { namespace b { typedef float real; } } namespace c = a::b; extern "C" __global__ void k(c::real x) {}',
        {},
        ['float'],
    ),
    "reopened": (
        'namespace a { typedef float real; } namespace b {} namespace a { extern "C" __global__ void k(real x) {} }',
        {},
        ['float'],
    ),
    "nested def": (
        'namespace a::b { typedef float real; } namespace a { extern "C" __global__ void k(b::real x) {} }',
        {},
        ['float'],
    ),
    "class scope": (
        'struct A { typedef float real; struct B { real x; typedef real *rp; }; }; extern "C" __global__ void k(A::B x, A::B::rp y) {}',
        {},
        ['A::B', 'float *'],
    ),
    "inherit": (
        'struct A { typedef float real; }; struct B : public A {}; template <class T> struct C : B { }; extern "C" __global__ void k(C<int>::real y) {}',
        {},
        ['float'],
    ),
    "inherit hides": (
        'struct A { typedef float real; }; struct B : A { typedef double real; }; extern "C" __global__ void k(B::real y) {}',
        {},
        ['double'],
    ),
    "two bases": (
        'struct A { typedef float real; }; struct D { typedef int other; }; struct B : D, A { }; extern "C" __global__ void k(B::real y) {}',
        {},
        ['float'],
    ),
    "template member": (
        'template <class T> struct A { template <class U> struct B { typedef T tt; typedef U uu; }; }; extern "C" __global__ void k(A<int>::B<float>::tt x, A<int>::B<float>::uu y, A<int>::template B<float> z) {}',
        {},
        ['int', 'float', 'A<int>::B<float>'],
    ),
    "dependent default": (
        'template <class T, class U = T*> struct A { typedef U u; }; extern "C" __global__ void k(A<int>::u x, A<int> y) {}',
        {},
        ['int *', 'A<int, int *>'],
    ),
    "enum size": (
        'enum class E : short { A }; enum F { B }; extern "C" __global__ void k(E x, F y, enum F z) {}',
        {},
        ['E', 'F', 'F'],
    ),
    "fn typedef": (
        'typedef float F(float, int *); extern "C" __global__ void k(F *f, F g) {}',
        {},
        ['float (*)(float, int *)', 'float (*)(float, int *)'],
    ),
    "fnptr ret": (
        'extern "C" __global__ void k(int *(*f)(void), int (*(*g)(int))[3]) {}',
        {},
        ['int *(*)()', 'int (*(*)(int))[3]'],
    ),
    "decltype": (
        '__device__ float v; typedef decltype(v) real; extern "C" __global__ void k(real x, decltype(v) y) {}',
        {},
        ['', ''],
    ),
    "auto alias": (
        'template <class T> struct id { using type = T; }; template <class T> using id_t = typename id<T>::type; extern "C" __global__ void k(id_t<float> x, id_t<id_t<int>*> y) {}',
        {},
        ['float', 'int *'],
    ),
    "shadow builtin": (
        'namespace q { struct float4 { int a; }; extern "C" __global__ void k(float4 x, ::float4 y) {} }',
        {},
        ['q::float4', 'float4'],
    ),
    "user int8": (
        'typedef signed char int8_t; typedef unsigned long long u64; extern "C" __global__ void k(int8_t x, u64 *y) {}',
        {},
        ['signed char', 'unsigned long long *'],
    ),
    "user half": (
        'struct half { unsigned short x; }; extern "C" __global__ void k(half x, half *y) {}',
        {},
        ['half', 'half *'],
    ),
    "macro type in template arg": (
        """#define N 3
template <class T, int K> struct A { T t[K]; }; extern "C" __global__ void k(A<float, N> x) {}""",
        {},
        ['A<float, 3>'],
    ),
    "constexpr arg": (
        'constexpr int N = 3; template <class T, int K> struct A { T t[K]; }; extern "C" __global__ void k(A<float, N> x) {}',
        {},
        [''],
    ),
    "bool arg": (
        'template <bool B> struct A { int t; }; extern "C" __global__ void k(A<true> x, A<1> y, A<!true> z, A<(2>1)> w) {}',
        {},
        ['A<true>', 'A<true>', 'A<false>', 'A<true>'],
    ),
    "char arg": (
        """template <char C> struct A { int t; }; template<unsigned long long L> struct Q {int t;}; extern "C" __global__ void k(A<'x'> x, Q<4> y) {}""",
        {},
        ['A<(char)120>', 'Q<4>'],
    ),
    "ttp": (
        'template <class T> struct B {int t;}; template <template<class> class C> struct A { C<int> t; }; extern "C" __global__ void k(A<B> x) {}',
        {},
        [''],
    ),
    "pack": (
        'template <class... T> struct A { int t; }; extern "C" __global__ void k(A<int, float *> x, A<> y) {}',
        {},
        ['A<int, float *>', 'A<>'],
    ),
    "fn in template arg": (
        'template <class T> struct A { int t; }; extern "C" __global__ void k(A<void(int)> x, A<int[3]> y, A<const int> z, A<int (*)(float)> w) {}',
        {},
        ['A<void (int)>', 'A<int [3]>', 'A<const int>', 'A<int (*)(float)>'],
    ),
    "static_assert noise": (
        'static_assert(sizeof(int) == 4, "x"); typedef float real; __device__ int arr[] = {1, 2, 3}; struct S { __device__ S() : a(1), b{2} { } int a; int b; __device__ operator int() const { return 1; } __device__ bool operator<(const S &o) const { return true; } }; template <class T> __device__ bool lt(T a, T b) { return a < b; } typedef S SS; extern "C" __global__ void k(real x, SS *y) {}',
        {},
        ['float', 'S *'],
    ),
    "operators": (
        'struct S2 { __device__ int operator()(int x) { return x > 1 ? x >> 2 : x < 3; } }; typedef S2 T; extern "C" __global__ void k(T x) {}',
        {},
        ['S2'],
    ),
    "lambda body": (
        'typedef float real; __device__ auto f() { auto l = [](int x) { return x; }; return l(1); } extern "C" __global__ void k(real x) {}',
        {},
        ['float'],
    ),
    "friend": (
        'typedef float real; class A { friend class B; int x; public: typedef int t; }; extern "C" __global__ void k(real x, A::t y) {}',
        {},
        ['float', 'int'],
    ),
    "bitfield": (
        'struct A { unsigned a : 3; unsigned : 0; typedef int t; enum { Z = 1 }; }; extern "C" __global__ void k(A::t y, A z) {}',
        {},
        ['int', 'A'],
    ),
    "var of struct": (
        'struct A { typedef int t; int x; }; __device__ struct A2 { int y; } inst; extern "C" __global__ void k(A::t y, A2 z) {}',
        {},
        ['int', 'A2'],
    ),
    "using enum": (
        'struct T1 { using value_type = float; using pointer = value_type *; using cptr = const value_type *; }; extern "C" __global__ void k(T1::pointer x, T1::cptr y) {}',
        {},
        ['float *', 'const float *'],
    ),
    "dep in class": (
        'template <class T> struct V { using v = T; using p = v *; struct It { T t; }; using it = It; }; extern "C" __global__ void k(V<float>::p x, V<float>::it y) {}',
        {},
        ['float *', 'V<float>::It'],
    ),
    "class alias in ns": (
        'namespace a { template <class T> struct V { T t; }; using F = V<float>; } extern "C" __global__ void k(a::F x, a::F *y) {}',
        {},
        ['a::V<float>', 'a::V<float> *'],
    ),
    "extern block": (
        'extern "C" { typedef float real; struct P { real x; }; __global__ void k(real *a, P p, struct P *q) {} }',
        {},
        ['float *', 'P', 'P *'],
    ),
    "cpp guard": (
        """#ifdef __cplusplus
extern "C" {
#endif
typedef float real;
__global__ void k(real *a) {}
#ifdef __cplusplus
}
#endif""",
        {},
        ['float *'],
    ),
    "unknown brace": (
        """#ifdef __FOO
namespace a {
#else
namespace b {
#endif
typedef float real;
extern "C" __global__ void k(real *a) {}
}""",
        {},
        [''],
    ),
    "hip": (
        """#if defined(__HIP_PLATFORM_AMD__)
typedef double real;
#elif defined(__CUDACC__)
typedef float real;
#endif
extern "C" __global__ void k(real *a) {}""",
        {},
        ['float *'],
    ),
    "vector ptr": (
        'using f4 = float4; extern "C" __global__ void k(const f4 *__restrict__ a, f4 b) {}',
        {},
        ['const float4 *', 'float4'],
    ),
    "long spelled": (
        'typedef unsigned long int ulong_; typedef long long int ll; typedef short unsigned us; typedef signed s; extern "C" __global__ void k(ulong_ a, ll b, us c, s d, signed char e, char f) {}',
        {},
        ['unsigned long', 'long long', 'unsigned short', 'int', 'signed char', 'char'],
    ),
    "name is keyword-like": (
        'typedef float real; extern "C" __global__ void k(real real) {}',
        {},
        ['float'],
    ),
    "unnamed": (
        'typedef float real; extern "C" __global__ void k(real *, real, const real [], void (*)(real)) {}',
        {},
        ['float *', 'float', 'const float *', 'void (*)(float)'],
    ),
    "restrict macros": (
        """#define RESTRICT __restrict__
typedef float real; extern "C" __global__ void k(const real *RESTRICT a, real *RESTRICT b) {}""",
        {},
        ['const float *', 'float *'],
    ),
    "include-guarded": (
        """#ifndef FOO_H
#define FOO_H
typedef float real;
#endif
extern "C" __global__ void k(real *a) {}""",
        {},
        ['float *'],
    ),
    "attribute behind": (
        "typedef float4 f4 __attribute__((aligned(16))); typedef float v2 __attribute__((vector_size(8))); typedef __align__(16) float4 g4; extern \"C\" __global__ void k(f4 *a, g4 b, v2 *c) {}",
        {},
        ["float4 *", "float4", ""],
    ),
    "typedef in the middle": (
        'typedef float real; namespace q { double typedef real, other; extern "C" __global__ void k(real *x) {} }',
        {},
        ["double *"],
    ),
    "a pragma in the way": (
        'typedef float real; namespace q { _Pragma("nv_diag_suppress 177") typedef double real; extern "C" __global__ void k(real *x) {} }',
        {},
        ["double *"],
    ),
    "a member of a template defined outside": (
        'template <class T> struct V { struct In; typedef T t; }; template <class T> struct V<T>::In { typedef T *t; int a; }; extern "C" __global__ void k(V<float>::t x) {}',
        {},
        ["float"],
    ),
    "a negative number for an unsigned one": (
        'template <unsigned long N> struct V { int a; }; extern "C" __global__ void k(V<(unsigned long)-1> x, V<-1 + 3> y) {}',
        {},
        ["", "V<2>"],
    ),
    "extern and static classes": (
        'typedef float S; namespace q { static __device__ struct S { int a; } s; extern "C" __global__ void k(S x) {} }',
        {},
        ["q::S"],
    ),
    "attributes of classes": (
        'struct __attribute__((packed)) P { char c; int i; }; class [[maybe_unused]] C { int a; }; struct alignas(16) A { int a; }; extern "C" __global__ void k(P p, C c, A a) {}',
        {},
        ["P", "C", "A"],
    ),
    "macro as a name": (
        '#define k kernel_of_mine\n#undef k\n#define other k\ntypedef float real; extern "C" __global__ void other(real x) {}',
        {},
        ["float"],
    ),
    "a macro of the compiler's own": (
        "#ifdef CUDART_VERSION\ntypedef float real;\n#else\ntypedef double real;\n#endif\nextern \"C\" __global__ void k(real *x, int y) {}",
        {},
        ["", "int"],
    ),
    "stringize": (
        """#define S(x) #x
__device__ const char *q = S(typedef double real;); typedef float real; extern "C" __global__ void k(real a) {}""",
        {},
        ['float'],
    ),
    "ifdef inside params": (
        """typedef float real; extern "C" __global__ void k(real *a
#ifdef EXTRA
, int b
#endif
) {}""",
        {},
        ['float *'],
    ),
    "ifdef inside params2": (
        """typedef float real; extern "C" __global__ void k(real *a
#ifdef EXTRA
, int b
#endif
) {}""",
        {"EXTRA": None},
        ['float *', 'int'],
    ),
    "ifdef inside params plain": (
        """extern "C" __global__ void k(float *a,
#ifdef EXTRA
 const float *b
#else
 float *b
#endif
) {*b=1;}""",
        {},
        ['float *', 'float *'],
    ),
    "function-style cast default": (
        'typedef float real; extern "C" __global__ void k(real a = real(1 < 2), int b = (3, 4)) {}',
        {},
        ['float', 'int'],
    ),
    "concept": (
        'typedef float real; template <class T> concept C = sizeof(T) == 4; template <C T> struct A { T t; }; template <class T> requires C<T> struct B { using t = T; }; extern "C" __global__ void k(real a, B<int>::t b) {}',
        {},
        ['float', 'int'],
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::jitload.CompileWarning")
@pytest.mark.parametrize("what", PROGRAMS)
def test_the_types_are_those_that_nvrtc_sees_or_unknown(compile_ptx, what):
    source, defines, expected = PROGRAMS[what]
    options = ["-std=c++20"] if what == "concept" else []
    found = compile_ptx(source + "\n", defines=defines, options=options).kernels["k"].parameters
    assert list(found) == expected
    if all(found):
        # The same function again: NVRTC refuses a second `extern "C"` declaration with other types.
        again = f'#undef float\n#undef const\nextern "C" __global__ void k({", ".join(found)});\n'
        compile_ptx(f"{source}\n{again}", defines=defines, options=options)


def test_a_wrong_type_would_be_refused(compile_ptx):
    """The test above can fail."""
    with pytest.raises(jitload.CompileError):
        compile_ptx('extern "C" __global__ void k(float *) {}\nextern "C" __global__ void k(double *);\n')


@settings(max_examples=200)
@given(st.sampled_from(sorted(PROGRAMS)), st.data())
def test_texts_that_are_no_programs_are_read_to_the_end(what, data):
    """As they may stand in a branch that is not compiled."""
    words = re.findall(r"\w+|\s+|[^\w\s]", PROGRAMS[what][0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(words)))
        words[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.lists(st.sampled_from(words + list(SIGNS)), max_size=3)
        )
    unit = Unit({}, lambda _: True, lambda _: False, set())
    unit.read("k.cu", "".join(words).encode())
    found = Declared(unit.words, unit.sure)
    meanings = Meanings(found, ToolkitNames([]))
    for kernel in [one for ones in found.kernels.values() for one in ones]:
        assert len(meanings.parameters(kernel)) == len(kernel.parameters)
        assert all(isinstance(text, str) for words in kernel.parameters for text in written_type(words))
    meanings.member("Tr<int>::type")


SIGNS = [
    "<",
    ">",
    "(",
    ")",
    "{",
    "}",
    ";",
    ",",
    "::",
    "*",
    "&",
    "=",
    "typedef",
    "using",
    "struct",
    "template",
    "\n#define ",
    "#",
    "x",
]


def test_a_directory_with_the_size_of_a_library_is_searched_and_not_read(compile_ptx, write, monkeypatch):
    """CUB from a checkout took twenty seconds to read. What it declares is found by name, as in the toolkit."""
    classes = "".join(f"struct S{number} {{ int member; }};\n" for number in range(10_000))
    root = write(
        {"lib/lib.h": f"#pragma once\n{classes}typedef float real_t;\n", "inc/mine.h": "typedef real_t mine_t;\n"}
    )
    read = []
    whole = unit.outline
    monkeypatch.setattr(
        unit, "outline", lambda text, *macros, **more: read.append(text) or whole(text, *macros, **more)
    )
    source = '#include <lib.h>\n#include <mine.h>\nextern "C" __global__ void k(const real_t *x, mine_t *y, S7 s) {}\n'
    kernel = compile_ptx(source, include_dirs=[root / "lib", root / "inc"]).kernels["k"]
    assert kernel.parameters == ("const float *", "float *", "S7")
    assert [param.name for param in kernel.params] == ["x", "y", "s"]
    assert sum(map(len, read)) < 1000
