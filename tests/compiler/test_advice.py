"""What an error says to write instead, each tried with the compiler that is installed: a failing program and the hint."""

from __future__ import annotations

import re

import pytest

import jitload
from jitload.compiler import substitutes, toolkit
from jitload.compiler.program import compile_artifact
from jitload.headers.closure import Closure

KERNEL = 'extern "C" __global__ void k(float *x) {{ {} }}'


def compiled(text, **options):
    return jitload.compile(text, kind="ptx", arch="compute_80", cache=jitload.Cache(), **options)


def hint(text, **options):
    """The hint of a program that does not compile; "" where there is none."""
    with pytest.raises(jitload.CompileError) as caught:
        compiled(text, **options)
    hints = [line for line in str(caught.value).splitlines() if line.startswith("hint: ")]
    assert len(hints) <= 1
    return hints[0].removeprefix("hint: ") if hints else ""


def includes(*names):
    return "".join(f"#include <{name}>\n" for name in names)


@pytest.mark.parametrize(
    "name", [*substitutes.C_HEADERS, *substitutes.CPP_HEADERS, "complex", "type_traits", "cstdint"]
)
def test_a_standard_header_says_what_device_code_has_for_it(name):
    """And where that is a header, including it in the place of this one compiles."""
    said = hint(includes(name) + KERNEL.format(""), host_headers=False)
    assert f"<{name}>" in said
    advised = re.search(r"write #include <(cuda/std/\w+)> and cuda::std::", said)
    if advised is not None:
        compiled(includes(advised[1]) + KERNEL.format(""))
    else:
        assert "built in" in said or "device code" in said or "<" in said.partition(":")[2]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cudaTypedefs.h"], r"<cudaTypedefs\.h> \(it needs <\w+\.h>\): the driver API is for host code; leave it out"),
        (["cub/cub.cuh"], r"<cub/cub\.cuh>.*: it is for the host as well; include what the kernel uses"),
        (["cub/device/device_reduce.cuh"], r"<cub/device/device_reduce\.cuh>.* launches kernels from the host"),
        (
            ["thrust/device_vector.h"],
            r"<thrust/device_vector\.h> \(it needs <memory>\): it is for host code; in a kernel",
        ),
        (["thrust/complex.h"], r"<thrust/complex\.h> .*include <cuda/std/complex>"),
        (["cuda_fp16.h", "cub/block/block_scan.cuh", "thrust/sort.h"], r"^<thrust/sort\.h>.*for host code"),
        (["torch/extension.h"], r"tensors stay in Python: the kernel takes pointers"),
        (["cublas_v2.h"], r"<cublas_v2\.h>: it is for host code"),
        (["cutlass/cutlass.h"], r"name its include directory in include_dirs="),
        (["cuda/std/nothing"], r"the CCCL that is installed has no <cuda/std/nothing>"),
        (["curand_kernel.h"], r"<curand_kernel\.h> comes with pip install nvidia-curand"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_header_for_the_host_or_of_another_package(names, message):
    text = includes(*names) + KERNEL.format("")
    if names == ["curand_kernel.h"]:
        try:
            compiled(text)
        except jitload.CompileError:
            pass
        else:
            pytest.skip("curand is installed here")
    assert re.search(message, hint(text))


def test_a_part_of_a_header_for_kernels_that_is_missing_names_its_package(tmp_path):
    """As with the extra cu12-nvrtc, which goes without it."""
    (tmp_path / "mma.h").write_text('#include "crt/mma.h"\n')
    request = jitload.CompileRequest(includes("mma.h") + KERNEL.format(""), kind="ptx", arch="compute_80")
    closure = Closure(request, (("toolkit/cuda", str(tmp_path)),))
    with pytest.raises(jitload.CompileError) as caught:
        compile_artifact(request, closure, toolkit.toolchain())
    said = str(caught.value).splitlines()[-1]
    assert re.fullmatch(r"hint: <mma.h> needs <crt/mma.h>: .* comes with pip install nvidia-cuda-(nvcc-cu12|crt)", said)


def test_the_header_to_blame_may_stand_in_a_header_of_ones_own():
    headers = {"mine.h": includes("cuda_fp16.h", "thrust/host_vector.h")}
    assert hint(includes("mine.h") + KERNEL.format(""), headers=headers).startswith("<thrust/host_vector.h>")


def test_a_header_that_nobody_knows_gets_no_advice():
    assert hint(includes("my/own.h") + KERNEL.format("")) == ""


@pytest.mark.parametrize(
    ("code", "message", "mended"),
    [
        ("uint32_t u = 1; x[0] = u;", "uint32_t: write #include <cuda/std/cstdint> and cuda::std::uint32_t, or unsigned int", "cuda::std::uint32_t u = 1; x[0] = u;"),
        ("int8_t u = 1; x[0] = u;", "int8_t: write #include <cuda/std/cstdint> and cuda::std::int8_t, or char", "cuda::std::int8_t u = 1; x[0] = u;"),
        ("uintptr_t u = 1; x[0] = u;", "uintptr_t: write #include <cuda/std/cstdint> and cuda::std::uintptr_t", "cuda::std::uintptr_t u = 1; x[0] = u;"),
        ("x[0] = __half2float(__float2half(1.f));", "write #include <cuda_fp16.h>", None),
        ("__nv_bfloat16 b;", "__nv_bfloat16: write #include <cuda_bf16.h>", "__nv_bfloat16 *b = 0; x[0] = b == 0;"),
        ("__nv_fp8_e4m3 b;", "__nv_fp8_e4m3: write #include <cuda_fp8.h>", "__nv_fp8_e4m3 *b = 0; x[0] = b == 0;"),
        ("cuFloatComplex c = make_cuFloatComplex(1, 2); x[0] = c.x;", "cuFloatComplex: write #include <cuComplex.h>", None),
        ("x[0] = FLT_MAX;", "FLT_MAX: write #include <cuda/std/limits> and cuda::std::numeric_limits<float>::max()", "x[0] = cuda::std::numeric_limits<float>::max();"),
        ("x[0] = INT_MAX;", "INT_MAX: write #include <cuda/std/climits>", None),
        ("x[0] = UINT64_MAX;", "UINT64_MAX: write #include <cuda/std/cstdint>", None),
        ("x[0] = INFINITY;", "INFINITY: write #include <cuda/std/cmath>", None),
        ("x[0] = M_PI;", "M_PI: write #include <math_constants.h> and CUDART_PI", "x[0] = CUDART_PI_F;"),
        ("cooperative_groups::this_grid().sync();", "cooperative_groups: write #include <cooperative_groups.h>", None),
        ("cg::this_grid().sync();", "cg: write #include <cooperative_groups.h> and namespace cg = cooperative_groups;", "namespace cg = cooperative_groups; cg::this_grid().sync();"),
        ("typedef cub::BlockReduce<float, 128> R;", "cub: write #include <cub/block/block_reduce.cuh>", "typedef cub::BlockReduce<float, 128> R; x[0] = sizeof(R);"),
        ("x[0] = nvcuda::wmma::mem_row_major;", "nvcuda: write #include <mma.h>", None),
        ("x[0] = cuda::std::abs(-1);", "cuda: include what it is of", None),
        ("x[0] = std::min(1, 2);", "std::min: min() and max() are built in, without std::", "x[0] = min(1, 2);"),
        ("x[0] = std::sqrt(2.f);", "std::sqrt: the functions of math are built in", "x[0] = sqrtf(2.f);"),
        ("std::complex<float> c;", "std::complex: write #include <cuda/std/complex> and cuda::std::complex", "cuda::std::complex<float> c(1, 2); x[0] = c.real();"),
        ("x[0] = std::is_same<int, int>::value;", "std::is_same: write #include <cuda/std/type_traits> and cuda::std::is_same", "x[0] = cuda::std::is_same<int, int>::value;"),
        ("std::cout << 1;", "std::cout: printf is built in", 'printf("1");'),
        ("std::vector<int> v;", "std::vector: device code has no containers that grow", None),
        ("exit(1);", "exit: device code ends with __trap() or assert", "__trap();"),
        ("cudaMalloc(&x, 4);", "cudaMalloc: the runtime API is for host code", None),
        ("k<<<1, 1>>>(x);", "kernels are launched from Python", None),
    ],
)  # fmt: skip
def test_a_name_that_host_code_has(code, message, mended):
    """And what is advised compiles, where the standard headers of jitload are off."""
    said = hint(KERNEL.format(code), host_headers=False)
    assert message in said
    header = re.search(r"#include <([\w/.]+)>", said)
    if header is not None or mended is not None:
        compiled((includes(header[1]) if header else "") + KERNEL.format(mended or code), host_headers=False)


@pytest.mark.parametrize(
    ("code", "header"),
    [
        ("uint32_t u = 1; x[0] = u;", "cstdint"),
        ("std::uint32_t u = 1; x[0] = u;", "cstdint"),
        ("x[0] = SIZE_MAX;", "cstdint"),
        ("x[0] = INT_MAX;", "climits"),
        ("x[0] = FLT_EPSILON;", "cfloat"),
        ("x[0] = M_PI * INFINITY;", "cmath"),
        ("x[0] = std::sqrt(2);", "cmath"),
        ("x[0] = std::min(1, 2);", "algorithm"),
        ("x[0] = std::is_same_v<int, int>;", "type_traits"),
        ("std::complex<float> c(1, 2); x[0] = c.real();", "complex"),
        ("x[0] = std::numeric_limits<int>::max();", "limits"),
        ("memmove(x, x + 1, 4);", "cstring"),
        ("std::memcpy(x, x + 1, 4);", "cstring"),
        ('std::printf("x");', "cstdio"),
        ("int a[2] = {1, 2}; x[0] = std::accumulate(a, a + 2, 0);", "numeric"),
    ],
)
def test_a_name_of_the_standard_library_says_which_header_to_include(code, header):
    """And with that it compiles as it was written."""
    said = hint(KERNEL.format(code))
    assert f": write #include <{header}>" in said
    assert "cuda::std" not in said
    compiled(includes(header) + KERNEL.format(code))


@pytest.mark.parametrize("name", ["vector", "iostream", "string", "thread", "random", "stdexcept"])
def test_a_standard_header_for_the_host_is_told_with_a_way_out(name):
    assert f"<{name}>" in hint(includes(name) + KERNEL.format(""))


def test_a_parameter_of_half_is_known_among_the_errors_that_follow_from_it():
    """NVRTC says four other things first."""
    assert hint('extern "C" __global__ void k(__half *x) { x[0] = 1; }') == "__half: write #include <cuda_fp16.h>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int main() { return 0; }", "write __device__ in front of it, or leave it out where it is for the host"),
        ("int count = 3;", "write __device__, __constant__ or constexpr in front of it"),
    ],
)
def test_code_of_the_host_in_the_source(text, message):
    assert message in hint(text)


def test_every_name_of_std_is_where_the_table_says():
    """One program that includes what is advised and uses all that is advised for."""
    lines = []
    for header, names in substitutes.STD.items():
        plain = [name for name in names.split("|") if re.fullmatch(r"[a-z_]+", name)]
        lines += [includes(f"cuda/std/{header}"), *(f"using cuda::std::{name};\n" for name in plain)]
    assert compiled("".join(lines) + KERNEL.format("")).kernels


@pytest.mark.parametrize("fence", ["```cuda", "```", "  ``` cpp"])
def test_a_fence_below_other_text(fence):
    text = f"Sets one.\n\n{fence}\n{KERNEL.format('')}\n{fence.strip()[:3]}\n"
    assert hint(text) == "the source is fenced as Markdown: take the fences out, and what is no code"


def test_a_fence_in_a_comment_or_in_what_is_left_out_is_no_fault():
    text = f"// ```cuda\n/*\n```\n*/\n#if 0\n```\n#endif\n{KERNEL.format('')}"
    assert [*compiled(text).kernels] == ["k"]
    assert hint(f"/* ```cuda\n```\n*/\n{KERNEL.format('x = ;')}") == ""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "float größe = 1;",
            r"'ö' \(U\+00F6, latin small letter o with diaeresis\) stands in a name, .* A-Z, a-z, 0-9 and _",
        ),
        ("float 长度 = 1;", r"'长' \(U\+957F, .*\) stands in a name"),
        ("/* größe */ float é;", r"'é' .* stands in a name"),
        ("printf(\u201chi\u201d);", r"write \" in its place"),
        ("x[0]\u00a0= 1;", r"no-break space\) is no blank of C\+\+"),
        ("x[0] = 2 \u2013 1;", r"en dash\) is no character of C\+\+: write - in its place"),
        ("x[0] = 2 \u00d7 1;", r"write \* in its place"),
        ("x[0] = 1\uff1b", r"write ; in its place"),
        ("x[0] = \u200b1;", r"zero width space\) is not seen .* take it out"),
        ("x[0] = 1 \u2192 2;", r"rightwards arrow\) may stand in comments and strings alone"),
        ("x[threadidx.x] = 1;", r"^threadidx: did you mean threadIdx\?$"),
        ("__synchthreads();", r"^__synchthreads: did you mean __syncthreads\?$"),
        ("x[0] = @;", "^$"),
        ("x[0] = None;", "^None: C\\+\\+ has nullptr$"),
        ("x[0] = math.sin(x[0]);", "^math: it is a module of Python"),
        ("x[0] = len(x);", "^len: it is of Python: a pointer has no length"),
        ("x[0] = 2 ** 2;", "no operator for powers"),
        ("x[0] = x.size;", "^a pointer has no members"),
        ("int n = x[0]; int a[n];", "^the compiler must know the size"),
        ("int n = x[0]; __shared__ int a[n];", "^shared memory .* extern __shared__"),
        ("int i = threadIdx;", "write threadIdx.x$"),
        ("x[threadIdx + 1] = 1;", "write threadIdx.x$"),
        ("x[threadIdx.X] = 1;", "write threadIdx.x$"),
        ("const std::vector<int> &v = x;", "^std::vector: device code has no containers"),
        ("vector<int> v;", "^std::vector: device code has no containers"),
        ("string s;", "^std::string: device code has no std::string"),
        ("x[0] = unheard_of;", "^$"),
    ],
    ids=[
        "letter",
        "ideograph",
        "comment",
        "quote",
        "blank",
        "dash",
        "times",
        "wide",
        "unseen",
        "arrow",
        "case",
        "near",
        "at",
        "None",
        "math",
        "len",
        "power",
        "size",
        "array",
        "shared",
        "index",
        "sum of an index",
        "member of an index",
        "const vector",
        "vector",
        "string",
        "none",
    ],
)
def test_a_character_or_a_name_that_is_meant_to_be_another(body, message):
    assert re.search(message, hint(KERNEL.format(body)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def add(x, n):\n    x[0] = n\n", r'^`def add\(x, n\):` is Python, .* write extern "C" __global__ void add\('),
        ("@cuda.jit\ndef add(x):\n    x[0] = 1\n", r"^`@cuda\.jit` is Python, and a kernel is CUDA C\+\+$"),
        ("import numpy as np\n" + KERNEL.format(""), "^`import numpy as np` is Python, .* #include"),
        (
            KERNEL.format("\nfor i in range(3):\n  x[i] = 1\n"),
            r"^`for i in range\(3\):` .* write for \(int i = 0; i < n; ",
        ),
        (KERNEL.format("\nif x[0] > 1:\n  x[0] = 1;\n"), r"^`if x\[0\] > 1:` is Python, .* write if \(i < n\) \{"),
        (KERNEL.format("\nif (x[0] > 1) {{\n}}\nelse:\n  x[0] = 1;\n"), r"^`else:` is Python, .* write else \{"),
    ],
)
def test_python_in_the_source(text, message):
    """Is told with its first line, and nothing that follows."""
    assert re.search(message, hint(text))
    with pytest.raises(jitload.CompileError) as caught:
        compiled(text)
    assert str(caught.value).count(": error: ") == 1
