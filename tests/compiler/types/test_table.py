"""Every type of a parameter that the CUDA headers offer, written in five ways: all say the same canonical type."""

from __future__ import annotations

import itertools

import pytest

import jitload
from jitload.compiler import toolkit

INTEGERS = {
    "bool": "bool", "char": "char", "signed char": "signed char", "unsigned char": "unsigned char", "short": "short",
    "short int": "short", "unsigned short": "unsigned short", "int": "int", "signed": "int", "unsigned": "unsigned int",
    "unsigned int": "unsigned int", "long": "long", "long int": "long", "unsigned long": "unsigned long",
    "long unsigned int": "unsigned long", "long long": "long long", "unsigned long long": "unsigned long long",
    "long long int": "long long", "unsigned long long int": "unsigned long long", "wchar_t": "wchar_t",
    "char16_t": "char16_t", "char32_t": "char32_t", "float": "float", "double": "double", "size_t": "unsigned long",
    "ptrdiff_t": "long", "cudaTextureObject_t": "unsigned long long", "cudaSurfaceObject_t": "unsigned long long",
    "clock_t": "long",
}  # fmt: skip
VECTORS = {
    f"{sign}{base}{width}": f"{sign}{base}{width}"
    for sign, base, width in [
        *itertools.product(("", "u"), ("char", "short", "int", "long", "longlong"), "1234"),
        *itertools.product(("",), ("float", "double"), "1234"),
    ]
} | {"dim3": "dim3", "cudaExtent": "cudaExtent", "cudaPos": "cudaPos"}
HALVES = {
    "__half": "__half", "half": "__half", "__half2": "__half2", "half2": "__half2", "nv_half": "__half",
    "__half_raw": "__half_raw", "__half2_raw": "__half2_raw", "__nv_bfloat16": "__nv_bfloat16",
    "nv_bfloat16": "__nv_bfloat16", "__nv_bfloat162": "__nv_bfloat162", "nv_bfloat162": "__nv_bfloat162",
    "__nv_bfloat16_raw": "__nv_bfloat16_raw", "cuComplex": "float2", "cuFloatComplex": "float2",
    "cuDoubleComplex": "double2",
}  # fmt: skip
EIGHTS = {
    "__nv_fp8_e4m3": "__nv_fp8_e4m3", "__nv_fp8_e5m2": "__nv_fp8_e5m2", "__nv_fp8x2_e4m3": "__nv_fp8x2_e4m3",
    "__nv_fp8x4_e4m3": "__nv_fp8x4_e4m3", "__nv_fp8x2_e5m2": "__nv_fp8x2_e5m2", "__nv_fp8x4_e5m2": "__nv_fp8x4_e5m2",
    "__nv_fp8_storage_t": "unsigned char", "__nv_fp8x2_storage_t": "unsigned short",
    "__nv_fp8x4_storage_t": "unsigned int",
}  # fmt: skip
SMALL = {
    "__nv_fp6_e2m3": "__nv_fp6_e2m3", "__nv_fp6_e3m2": "__nv_fp6_e3m2", "__nv_fp6x2_e2m3": "__nv_fp6x2_e2m3",
    "__nv_fp6x4_e3m2": "__nv_fp6x4_e3m2", "__nv_fp4_e2m1": "__nv_fp4_e2m1", "__nv_fp4x2_e2m1": "__nv_fp4x2_e2m1",
    "__nv_fp4x4_e2m1": "__nv_fp4x4_e2m1", "__nv_fp8_e8m0": "__nv_fp8_e8m0", "__nv_fp6_storage_t": "unsigned char",
}  # fmt: skip
LIBRARY = {
    "cuda::std::complex<float>": "cuda::std::complex<float>", "cuda::std::complex<double>": "cuda::std::complex<double>",
    "cuda::std::array<float, 3>": "cuda::std::array<float, 3>", "cuda::std::tuple<int, float>": "cuda::std::tuple<int, float>",
    "cuda::std::pair<int, double>": "cuda::std::pair<int, double>", "cuda::std::byte": "cuda::std::byte",
    "cuda::std::int8_t": "signed char", "cuda::std::uint8_t": "unsigned char", "cuda::std::int16_t": "short",
    "cuda::std::uint16_t": "unsigned short", "cuda::std::int32_t": "int", "cuda::std::uint32_t": "unsigned int",
    "cuda::std::int64_t": "long long", "cuda::std::uint64_t": "unsigned long long", "cuda::std::size_t": "unsigned long",
    "cuda::std::ptrdiff_t": "long", "int8_t": "signed char", "uint8_t": "unsigned char", "int16_t": "short",
    "uint16_t": "unsigned short", "int32_t": "int", "uint32_t": "unsigned int", "int64_t": "long long",
    "uint64_t": "unsigned long long", "uintptr_t": "unsigned long long", "intptr_t": "long long",
}  # fmt: skip
GROUPS = {
    "builtin": ([], INTEGERS | VECTORS),
    "half": (["cuda_fp16.h", "cuda_bf16.h", "cuComplex.h"], HALVES),
    "fp8": (["cuda_fp8.h"], EIGHTS),
    "fp6 and fp4": (["cuda_fp8.h", "cuda_fp6.h", "cuda_fp4.h"], SMALL),
    "cuda::std": (
        [
            "cuda/std/complex",
            "cuda/std/array",
            "cuda/std/tuple",
            "cuda/std/utility",
            "cuda/std/cstddef",
            "cuda/std/cstdint",
        ],
        LIBRARY,
    ),
}

#: Ways to write a kernel of a type by value and behind pointers; {0} is the type, {1} a number.
WAYS = {
    "extern C": 'extern "C" __global__ void k{1}({0} a, {0} *b, const {0} *__restrict__ c, {0} *const *d) {{}}\n',
    "C++": "__global__ void k{1}({0} a, {0} *b, const {0} *__restrict__ c, {0} *const *d) {{}}\n",
    "template": "",
    "typedef": 'typedef {0} t{1};\nextern "C" __global__ void k{1}(t{1} a, t{1} *b, const t{1} *c, t{1} *const *d) {{}}\n',
    "alias": (
        "namespace n{1} {{ using t = {0}; }}\n"
        'extern "C" __global__ void k{1}(n{1}::t a, same<n{1}::t> *b, const same<{0}> *c, same<{0} *const> *d) {{}}\n'
    ),
}
PREFIX = """
template <class T> using same = T;
template <class T> __global__ void of(T a, T *b, const T *c, T *const *d) {}
"""


@pytest.mark.filterwarnings("ignore::jitload.CompileWarning")  # CUDA 13 calls double4 and its kin deprecated
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("group", GROUPS)
def test_one_type_has_one_name(compile_ptx, needs_toolkit_header, group, way):
    headers, types = GROUPS[group]
    for header in headers:
        needs_toolkit_header(header)
    source = "".join(f"#include <{header}>\n" for header in headers) + PREFIX
    source += "".join(WAYS[way].format(written, number) for number, written in enumerate(types))
    names = [f"of<{written}>" for written in types] if way == "template" else []
    kernels = compile_ptx(source, names=names).kernels
    for number, (written, canonical) in enumerate(types.items()):
        kernel = kernels[f"of<{written}>" if names else f"k{number}"]
        expected = (canonical, f"{canonical} *", f"const {canonical} *", f"{canonical} *const *")
        assert kernel.parameters == expected, written
        assert [p.const for p in kernel.params] == [False, False, True, True]
        assert [p.pointer for p in kernel.params][1:] == [True, True, True]
        assert not kernel.params[0].pointer


def test_vectors_that_came_with_cuda_13(compile_ptx):
    names = [
        f"{base}4_{alignment}a"
        for base in ("long", "ulong", "longlong", "ulonglong", "double")
        for alignment in (16, 32)
    ]
    source = PREFIX + "".join(WAYS["typedef"].format(name, number) for number, name in enumerate(names))
    if toolkit.find_nvrtc().major < 13:
        with pytest.raises(jitload.CompileError):
            compile_ptx(source)
        return
    kernels = compile_ptx(source, names=[f"of<{name}>" for name in names]).kernels
    for number, name in enumerate(names):
        expected = (name, f"{name} *", f"const {name} *", f"{name} *const *")
        assert kernels[f"of<{name}>"].parameters == kernels[f"k{number}"].parameters == expected
