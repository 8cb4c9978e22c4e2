"""Types that only the source tells: every answer is put to NVRTC, which must find it to be the kernel's own type."""

from __future__ import annotations

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
