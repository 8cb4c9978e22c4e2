"""Parameter layouts against what C lays out, names against what was written, and const against everything."""

from __future__ import annotations

import ctypes

import pytest

import jitload
from jitload.compiler.layout import plain_name, read_kernels

c_half = ctypes.c_uint16


class Float4(ctypes.Structure):
    _fields_ = [(name, ctypes.c_float) for name in "xyzw"]


class Mixed(ctypes.Structure):
    _fields_ = [("c", ctypes.c_char), ("d", ctypes.c_double), ("s", ctypes.c_short)]


class Packed3(ctypes.Structure):
    _fields_ = [("x", ctypes.c_ubyte * 3)]


class Pointers(ctypes.Structure):
    _fields_ = [("p", ctypes.c_void_p * 3), ("n", ctypes.c_int)]


class OnePointer(ctypes.Structure):
    _fields_ = [("p", ctypes.c_void_p)]


TYPES = """
struct Mixed { char c; double d; short s; };
struct Packed3 { unsigned char x[3]; };
struct Pointers { float *p[3]; int n; };
struct OnePointer { const float *p; };
template <class T> struct Box { T value; };
enum Small : unsigned char { SMALL };
enum class Wide : long long { WIDE };
enum Plain { PLAIN };
using Callback = void (*)(int);
typedef float *FloatPointer;
"""

#: C++ type -> the ctypes type of the same layout.
LAYOUTS = {
    "bool": ctypes.c_bool, "char": ctypes.c_char, "signed char": ctypes.c_byte, "unsigned char": ctypes.c_ubyte, "short": ctypes.c_short,
    "unsigned short": ctypes.c_ushort, "int": ctypes.c_int, "unsigned": ctypes.c_uint, "long": ctypes.c_long, "unsigned long": ctypes.c_ulong,
    "long long": ctypes.c_longlong, "unsigned long long": ctypes.c_ulonglong, "float": ctypes.c_float, "double": ctypes.c_double,
    "float *": ctypes.c_void_p, "const void *": ctypes.c_void_p, "float **": ctypes.c_void_p, "int &": ctypes.c_void_p,
    "Callback": ctypes.c_void_p, "FloatPointer": ctypes.c_void_p, "Mixed": Mixed, "Packed3": Packed3, "Pointers": Pointers,
    "OnePointer": OnePointer, "Box<int>": ctypes.c_int * 1, "Box<double>": ctypes.c_double * 1, "Small": ctypes.c_ubyte, "Wide": ctypes.c_longlong,
    "Plain": ctypes.c_uint, "float4": Float4, "wchar_t": ctypes.c_int32,
}  # fmt: skip
#: CUDA aligns these by more than their members (vector_types.h: __builtin_align__).
ALIGNED = {"float4": 16}


def truth(types):
    """(offset, size) of each, by ctypes; vector types by their declared alignment."""
    places, offset = [], 0
    for name in types:
        size = ctypes.sizeof(LAYOUTS[name])
        alignment = ALIGNED.get(name) or ctypes.alignment(LAYOUTS[name])
        offset = -(-offset // alignment) * alignment
        places.append((offset, size, alignment))
        offset += size
    return places


SIGNATURES = [
    [],
    *([name] for name in LAYOUTS),
    ["char", "double", "char", "int", "bool", "short"],
    ["bool", "float4", "bool", "Mixed", "char", "float *"],
    ["Packed3", "Packed3", "int", "Packed3", "long long"],
    ["float *", "const void *", "int", "Pointers", "Small", "Wide", "Small", "Plain"],
    ["char", "OnePointer", "char", "Box<double>", "char", "Box<int>", "char", "Callback"],
    ["unsigned char"] * 9 + ["double"],
    list(LAYOUTS),
    list(reversed(LAYOUTS)),
]


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    """Every signature above as a kernel of one program."""
    kernels = []
    for number, types in enumerate(SIGNATURES):
        params = ", ".join(f"{name} p{position}" for position, name in enumerate(types))
        kernels.append(f'extern "C" __global__ void k{number}({params}) {{}}\n')
    cache = jitload.Cache(tmp_path_factory.mktemp("cache"))
    return jitload.compile(TYPES + "".join(kernels), arch="compute_75", cache=cache)


@pytest.mark.parametrize(
    "number", range(len(SIGNATURES)), ids=lambda number: ", ".join(SIGNATURES[number])[:40] or "none"
)
def test_a_layout_is_what_c_makes_it(laid_out, number):
    kernel = laid_out.kernels[f"k{number}"]
    assert [(p.offset, p.size, p.alignment) for p in kernel.params] == truth(SIGNATURES[number])
    assert [p.name for p in kernel.params] == [f"p{position}" for position in range(len(kernel.params))]
    for param, name in zip(kernel.params, SIGNATURES[number], strict=True):
        if name.endswith(("*", "&")):
            assert param.pointer is True
        elif name in {"Callback", "FloatPointer", "Wide"}:
            assert param.pointer is not False or name == "Wide"
        else:
            assert param.pointer is False, name


def test_half_and_bfloat(compile_ptx, needs_toolkit_header):
    needs_toolkit_header("cuda_bf16.h")
    source = '#include <cuda_fp16.h>\n#include <cuda_bf16.h>\nextern "C" __global__ void k(char a, __half h, __nv_bfloat16 b, half2 h2, char c, __half *p) {}\n'
    params = compile_ptx(source).kernels["k"].params
    assert [(p.offset, p.size, p.pointer) for p in params] == [
        (0, 1, False),
        (2, 2, False),
        (4, 2, False),
        (8, 4, False),
        (12, 1, False),
        (16, 8, True),
    ]


@pytest.mark.parametrize("kind", ["cubin", "ptx", "ltoir", "fatbin"])
def test_every_kind_knows_its_kernels(kind, cache):
    source = "template <class T, int N> __global__ void fill(T *out, const T *in, int n) { *out = *in; }\n"
    artifact = jitload.compile(
        source, kind=kind, arch="sm_80", names=["fill<float, 4>", "fill<double, 2>"], cache=cache
    )
    assert sorted(artifact.kernels) == ["fill<double, 2>", "fill<float, 4>"]
    for kernel in artifact.kernels.values():
        assert [(p.name, p.offset, p.size, p.pointer, p.const) for p in kernel.params] == [
            ("out", 0, 8, True, False),
            ("in", 8, 8, True, True),
            ("n", 16, 4, False, False),
        ]


def test_a_fatbin_knows_the_kernels_of_every_arch(cache):
    source = """#if __CUDA_ARCH__ >= 900
extern "C" __global__ void hopper(int n) {}
#endif
extern "C" __global__ void any(int n) {}
"""
    assert sorted(jitload.compile(source, arch=["sm_80", "sm_90"], cache=cache).kernels) == ["any", "hopper"]


def test_names(compile_ptx):
    source = """
extern "C" __global__ void saxpy(float *x) {}
__global__ void plain(float *x) {}
namespace ns { __global__ void axpy(float *x) {} namespace deep { __global__ void axpy(float *x) {} } }
namespace { __global__ void hidden(float *x) { *x = 1; } }
static __global__ void quiet(float *x) { *x = 1; }
__global__ void twice(float *x) {}
__global__ void twice(int *x) {}
template <class T> __global__ void made(T *x) {}
template __global__ void made<int>(int *);
struct S { };
__global__ void takes(S s, S *p) {}
"""
    names = ["ns::axpy", " made<float>", "made<  double  >", "&plain", "hidden", "quiet"]
    kernels = compile_ptx(source, names=names).kernels
    assert {
        "saxpy",
        "ns::axpy",
        "ns::deep::axpy",
        "made<float>",
        "made<  double  >",
        "&plain",
        "hidden",
        "quiet",
        "takes",
    } <= set(kernels)
    assert kernels["ns::axpy"].symbol == "_ZN2ns4axpyEPf"
    overloads = {kernel.symbol: kernel for kernel in kernels.values() if "twice" in kernel.symbol}
    assert set(overloads) == {"_Z5twicePf", "_Z5twicePi"} <= set(kernels), (
        "two of one name are told apart by their symbols"
    )
    assert "_Z4madeIiEvPT_" in kernels, "an instance that nobody named keeps its symbol"
    assert len({kernel.symbol for kernel in kernels.values()}) == len(kernels)
    for name, kernel in kernels.items():
        assert (kernel.name, len(kernel.params)) == (name, 2 if name == "takes" else 1)


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("saxpy", "saxpy"),
        ("_Z5saxpyPKfPf", "saxpy"),
        ("_ZN2ns4axpyEPf", "ns::axpy"),
        ("_ZN2ns4deep4axpyEv", "ns::deep::axpy"),
        ("_ZL5quietPf", "quiet"),
        ("_ZN12_GLOBAL__N_16hiddenEPf", "hidden"),
        ("_ZN2ns12_GLOBAL__N_16hiddenEPf", "ns::hidden"),
        ("_Z4madeIiEvPT_", "_Z4madeIiEvPT_"),
        ("_ZN2ns4madeIiEEvPT_", "_ZN2ns4madeIiEEvPT_"),
        ("_ZplRK1SS1_", "_ZplRK1SS1_"),
        ("_Z", "_Z"),
        ("_Zed", "_Zed"),
        ("_Z999short", "_Z999short"),
        ("_ZN9shortE", "_ZN9shortE"),
        ("", ""),
    ],
)
def test_plain_names(symbol, name):
    assert plain_name(symbol) == name


def test_launch_bounds(compile_ptx):
    source = """
#define THREADS 64
#define BOUNDS __launch_bounds__(THREADS * 2, 2)
extern "C" __global__ void free_(float *x) {}
extern "C" __global__ void __launch_bounds__(THREADS) bounded(float *x, int n) {}
extern "C" __global__ BOUNDS void by_macro(float *x, int n) {}
extern "C" void __launch_bounds__((32 + 32), 1) __global__ behind(const float *x, int n) {}
"""
    kernels = compile_ptx(source).kernels
    assert {name: kernel.max_threads for name, kernel in kernels.items()} == {
        "free_": None,
        "bounded": 64,
        "by_macro": 128,
        "behind": 64,
    }
    assert [p.name for p in kernels["bounded"].params] == ["x", "n"]
    assert [p.name for p in kernels["by_macro"].params] == ["x", "n"]
    assert [(p.name, p.const) for p in kernels["behind"].params] == [("x", True), ("n", False)]


def test_required_blocks_are_read_from_ptx():
    """NVRTC writes .reqntid for __block_size__ and for cluster launches (PTX ISA section 11.4)."""
    ptx = ".visible .entry k(\n\t.param .u32 k_param_0\n)\n.reqntid 8, 4\n.minnctapersm 2\n{\nret;\n\n}\n.entry bare()\n{\nret;\n}\n.entry none\n{\nret;\n}\n"
    kernels = read_kernels(ptx)
    assert kernels["k"].required_block == (8, 4, 1)
    assert kernels["k"].max_threads is None
    assert [kernels[name].params for name in ("bare", "none")] == [(), ()]


def only(compile_ptx, source, name="k", **arguments):
    return compile_ptx(source, **arguments).kernels[name].params


CONST = {
    "const float *x": True,
    "float const *x": True,
    "const float *const x": True,
    "const float *__restrict__ x": True,
    "const float* __restrict__ x": True,
    "float const*__restrict__ const x": True,
    "const float x[]": True,
    "const float x[16]": True,
    "const float &x": True,
    "const volatile float *x": True,
    "const unsigned long long int *x": True,
    "float *const *x": True,
    "[[maybe_unused]] const float *x": True,
    "const float * /* float * */ x": True,
    "const float *x = nullptr": True,
    "float *x": False,
    "float *const x": False,
    "float *__restrict__ x": False,
    "volatile float *x": False,
    "const float **x": False,
    "float *x /* const */": False,
    "float *x // const float *x": False,
    "float *x = (float *)(const float *)0": False,
    "float *const_x": False,
    "Box<const float> *x": False,
    "Box<const float *> *x": False,
    "const float *&x": False,
    "FloatPointer x": False,
    "const FloatPointer x": False,
    "float *x[4]": False,
    "const float *x[4]": False,
    "void (*x)(const float *)": False,
    "float (*x)[4]": False,
    "decltype((const float *)0, (float *)0) x": False,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["extern C", "C++", "template"])
def test_const(compile_ptx, kind):
    """True only for a pointer to const, whatever else is written around it."""
    prefix = {"extern C": 'extern "C" ', "C++": "", "template": "template <int N> "}[kind]
    source = TYPES
    for number, text in enumerate(CONST):
        source += f"{prefix}__global__ void k{number}({text}\n) {{}}\n"
    names = [f"k{number}<1>" for number in range(len(CONST))] if kind == "template" else []
    kernels = compile_ptx(source, names=names).kernels
    found = {text: kernels[f"k{number}<1>" if names else f"k{number}"].params[0] for number, text in enumerate(CONST)}
    assert {text: param.const for text, param in found.items()} == CONST
    for text, param in found.items():
        assert param.pointer is True or "(" in text or "FloatPointer" in text, text


#: Sources whose kernel writes to x although `const` stands somewhere near: all must say False.
WRITES = {
    "const is no const": "#define const\nextern \"C\" __global__ void k(const float *x) { *x = 1; }",
    "a macro that is a pointer": 'typedef float *P;\n#define F float *\nextern "C" __global__ void k(const F *x) { *x = 0; }',
    "a macro of a macro that is a pointer": '#define G float *\n#define F G\nextern "C" __global__ void k(const F *x) { *x = 0; }',
    "a macro that forgets": '#define READS(x) float *x\n#define constant const float *x\nextern "C" __global__ void k(READS(x)) { *x = 1; }',
    "dead code of the same name": '#if 0\nextern "C" __global__ void k(const float *x);\n#endif\n#define KERNEL(name) extern "C" __global__ void name(float *x) { *x = 1; }\nKERNEL(k)',
    "dead code beside living": '#if 0\nextern "C" __global__ void k(const float *x);\n#else\nextern "C" __global__ void k(float *x) { *x = 1; }\n#endif',
    "dead code beside clever": '#if 0\nextern "C" __global__ void k(const float *x);\n#endif\nextern "C" __global__ auto (k)(float *x) -> void { *x = 1; }',
    "a comment": '// __global__ void k(const float *x);\n/* __global__ void k(const float *x); */\n#define GLOBAL __global__\nextern "C" GLOBAL void k(float *x) { *x = 1; }',
    "a spliced comment": '// comment \\\n__global__ void k(const float *x);\n#define GLOBAL __global__\nextern "C" GLOBAL void k(float *x) { *x = 1; }',
    "a string": '__device__ const char *s = "__global__ void k(const float *x);";\n#define GLOBAL __global__\nextern "C" GLOBAL void k(float *x) { *x = 1; }',
    "a raw string": '__device__ const char *s = R"(\n__global__ void k(const float *x);\n)";\n#define KERNEL(n) extern "C" __global__ void n(float *x) { *x = 1; }\nKERNEL(k)',
    "another namespace": "namespace a { __global__ void k(const float *x) {} }\n#define K(n) __global__ void n(float *x) { *x = 1; }\nK(k)",
    "a device function": '__device__ void f(const float *x) {}\nnamespace n { __device__ void k(const float *x) {} }\nextern "C" __global__ void k(float *x) { *x = 1; }',
    "an overload": "__global__ void k(const float *x, int n) {}\n__global__ void k(float *x) { *x = 1; }",
    "a digit separator": '__device__ int n = 1\'000;\nextern "C" __global__ void k(float *x) { *x = 1; } // it\'s const float *x',
}  # fmt: skip


@pytest.mark.parametrize("source", WRITES.values(), ids=WRITES.keys())
def test_never_const_for_what_is_written(compile_ptx, source):
    """A wrong True loses the result: the array is not copied back."""
    found = {
        name: [p.const for p in kernel.params]
        for name, kernel in compile_ptx(source).kernels.items()
        if "a::" not in name
    }
    found = {name: consts for name, consts in found.items() if "PKf" not in name and "PKfi" not in name}
    assert found
    assert [consts for consts in found.values() if consts != [False]] == []


@pytest.mark.parametrize(
    ("source", "defines", "expected"),
    [
        ("const Real *x", {"Real": "float"}, True),
        ("const Real *x", {"Real": "float *"}, False),
        ("const Real *x", {"Real": "std_like::type<int>"}, True),
        ("Q float *x", {"Q": "const"}, True),
        ("Q float *x", {"Q": ""}, False),
    ],
)
def test_macros_from_the_definitions(compile_ptx, source, defines, expected):
    text = f'namespace std_like {{ template <class T> using type = T; }}\nextern "C" __global__ void k({source}) {{}}\n'
    assert only(compile_ptx, text, defines=defines)[0].const is expected


def test_agreeing_declarations_and_definitions(compile_ptx):
    assert only(
        compile_ptx,
        'extern "C" __global__ void k(const float *x, int n);\nextern "C" __global__ void k(const float *x, int n) {}\n',
    )[0].const
    unlike = only(
        compile_ptx,
        'extern "C" __global__ void k(const float *in, int n);\nextern "C" __global__ void k(const float *x, int count) {}\n',
    )
    assert not any(p.const for p in unlike) or unlike[0].const


def test_a_kernel_declared_in_a_header(write, compile_ptx):
    root = write({"inc/k.h": "template <class T> __global__ void k(const T *in, T *out) { *out = *in; }\n"})
    params = only(compile_ptx, "#include <k.h>\n", "k<int>", include_dirs=[root / "inc"], names=["k<int>"])
    assert [(p.name, p.declared, p.const) for p in params] == [("in", "const T *", True), ("out", "T *", False)]


@pytest.mark.parametrize(
    "source",
    [
        '#define API extern "C" __global__\nAPI void k(const float *x, int n) {}',
        'extern "C" __global__ void k(const float *x, int n) {}\n__global__ void other(float *a) {}',
        'extern "C" {\n__global__ void k(const float *x,\n   int n\n) {}\n}',
        'extern "C" __global__ void k(const float *x /* a, b) */, int n = (1, 2)) {}',
        'extern "C" __attribute__((used)) __global__ __attribute__((noinline)) void k(const float *x, int n) {}',
        'extern "C" __global__ auto k(const float *x, int n) -> void {}',
        '#define N (4)\nextern "C" __global__ void k(const float *__restrict__ x, const int n) {}',
    ],
)
@pytest.mark.filterwarnings("ignore::jitload.CompileWarning")
def test_plain_enough_to_be_read(compile_ptx, source):
    params = only(compile_ptx, source)
    assert [(p.name, p.pointer, p.const) for p in params] == [("x", True, True), ("n", False, False)]


def test_templates_with_conditions(compile_ptx):
    source = """
template <bool B, class T> struct If {}; template <class T> struct If<true, T> { using type = T; };
template <class T, int N = (1 > 2 ? 3 : 4)>
__global__ typename If<sizeof(T) == 4, void>::type k(const T *x, T *y) { *y = *x; }
"""
    params = only(compile_ptx, source, "k<float>", names=["k<float>"])
    assert [(p.name, p.const) for p in params] == [("x", True), ("y", False)]


def test_pointer_or_number(compile_ptx):
    """What the type says wins, through typedefs too; an integer that the code uses as an address still takes arrays."""
    source = """
using Address = unsigned long long;
extern "C" __global__ void k(long long n, unsigned long u, Address a, Address used, float *unused, int *p) { *p = n + u + a; *(int *)used = 1; }
"""
    assert [p.pointer for p in only(compile_ptx, source)] == [False, False, False, True, True, True]


def test_structures_by_value_are_no_pointers(compile_ptx):
    source = TYPES + 'extern "C" __global__ void k(OnePointer a, Box<const float *> b, Box<float *> c, long double_) {}'
    params = only(compile_ptx, source)
    assert [(p.pointer, p.const, p.type) for p in params[:3]] == [(False, False, "b8")] * 3
    assert [p.name for p in params] == ["a", "b", "c", "double_"]


def test_unnamed_parameters(compile_ptx):
    params = only(
        compile_ptx, 'extern "C" __global__ void k(const float *, int, unsigned long, const float4, float *) {}'
    )
    assert [p.name for p in params] == [""] * 5
    assert [p.const for p in params] == [True, False, False, False, False]


@pytest.mark.parametrize("depth", range(5))
def test_const_is_not_claimed_through_any_number_of_macros(compile_ptx, depth):
    """`const F *x` is a pointer to what a kernel may write where F hides a `*`; a wrong claim loses what it wrote."""
    macros = [f"#define F{number + 1} F{number}\n" for number in range(depth)]
    kernel = f'extern "C" __global__ void k(const F{depth} *x, const float *y) {{ *x = (float *)y; }}\n'
    for order in (macros, macros[::-1]):
        source = "".join(("#define F0 float *\n", *order, kernel))
        assert [param.const for param in compile_ptx(source).kernels["k"].params] == [False, True]
