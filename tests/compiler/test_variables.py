"""The types of variables by their declarations: those of every kind that NVRTC compiles, and none that is not certain."""

import pytest

import jitload

SOURCE = r"""
#include <cuda_fp16.h>
#define N 4
#define CONST __constant__
#define TABLE(T, name, n) __device__ T name[n]
typedef float real;
typedef float row[4];
enum Color { red };
struct P { float x; int n; };
namespace a { namespace b { __constant__ double coeff[8]; using half_t = __half; __device__ half_t h[3]; }
              inline namespace v1 { __device__ int inner; } }
namespace { __device__ float anon[2]; }
CONST float macroed[N];
TABLE(int, tabled, 5);
constexpr int K = 3;
__constant__ float filter[K][K], single = 1.5f, *pointer;
__device__ real m[2][8];
__device__ row rows[3] = {};
__device__ float4 vectors[2];
__device__ bool flags[8];
__device__ Color color;
__device__ P pair[2];
__device__ struct P one;
__managed__ int managed = 7;
static __constant__ __align__(16) const float aligned[4] = {1, 2, 3, 4};
alignas(32) __device__ float wide[8];
__device__ int inferred[] = {1, 2, 3}, braced[2]{1, 2}, computed = (3 > 4) + (sizeof(int) < 3 ? 1 : 2);
extern __device__ size_t later[3];
__device__ size_t later[3];
template <class T, int M> __device__ T table[M][2];
template <class T> struct Trait { typedef T type; };
template <class T> __device__ typename Trait<T>::type traited;
template <class T> __device__ T special;
template <> __device__ double special<int>;
extern "C" { __device__ double linked[2]; }
__device__ int (*function)(int);
__device__ void *pointers[2];
__device__ auto deduced = 3.0f;
__device__ union { int i; float f; } either;
#if defined(__SOMETHING)
__device__ double undecided;
#else
__device__ float undecided;
#endif
#ifdef _OF_THE_COMPILER
__device__ double perhaps;
#else
__device__ float perhaps;
#endif
__device__ int f(int x) { return x + managed; }
extern "C" __global__ void k(float *o)
{
    static __device__ int local;
    *o = a::b::coeff[0] + __half2float(a::b::h[1]) + a::inner + anon[1] + macroed[1] + tabled[1] + filter[1][1] + single
        + (pointer != nullptr) + m[1][1] + rows[1][1] + vectors[0].x + flags[0] + color + pair[0].x + one.x + aligned[2]
        + wide[1] + inferred[0] + braced[0] + computed + later[0] + table<double, 4>[0][0] + traited<unsigned>
        + special<int> + linked[0] + (long)function + (pointers[0] != nullptr) + deduced + either.i + undecided + perhaps
        + f(1) + local++;
}
"""
TYPES = {
    "a::b::coeff": "double [8]", "a::b::h": "__half [3]", "a::inner": "int", "anon": "float [2]",
    "macroed": "float [4]", "tabled": "int [5]", "filter": "float [][]", "single": "float", "pointer": "float *",
    "m": "float [2][8]", "rows": "float [3][4]", "vectors": "float4 [2]", "flags": "bool [8]", "color": "Color",
    "pair": "P [2]", "one": "P", "managed": "int", "aligned": "const float [4]", "wide": "float [8]",
    "inferred": "int []", "braced": "int [2]", "computed": "int", "later": "unsigned long [3]",
    "table<double, 4>": "double [4][2]", "traited<unsigned int>": "unsigned int", "special<int>": "",
    "linked": "double [2]", "function": "int (*)(int)", "pointers": "void *[2]", "deduced": "", "either": "",
    "undecided": "", "perhaps": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def module():
    artifact = jitload.compile(SOURCE, kind="ptx", arch="compute_80", cache=jitload.Cache())
    with jitload.configure(device="cpu"):
        module = artifact.load()
        yield module
        module.close()


def test_every_kind_of_declaration(module):
    names = {name: name.replace("a::inner", "a::v1::inner") for name in TYPES}
    assert {name: module.get_global(asked).type for name, asked in names.items()} == TYPES


def test_a_program_for_several_archs_has_the_types_that_hold_for_all():
    source = """
    #if __CUDA_ARCH__ >= 900
    __device__ float by_arch[4];
    #else
    __device__ double by_arch[2];
    #endif
    __device__ int same;
    __global__ void k() { by_arch[0] = same; }
    """
    both = jitload.compile(source, kind="fatbin", arch=["sm_80", "sm_90"], cache=jitload.Cache())
    one = jitload.compile(source, kind="cubin", arch="sm_90", cache=jitload.Cache())
    assert dict(both.variables) == {"same": "int"}
    assert dict(one.variables) == {"same": "int", "by_arch": "float [4]"}
