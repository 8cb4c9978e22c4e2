"""The standard headers that come with jitload: what they offer runs, and they are headers like all others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jitload
from jitload.headers.closure import Closure
from jitload.source.request import CompileRequest
from jitload.workloads.workload import decode_workload
from tests.headers.standard_list import CPP17, STANDARD, instead, offered, table

PAGE = Path(__file__).parents[2] / "docs" / "headers.md"
MARK = "<!-- headers: written by `python -m tests.headers.write_documentation` -->\n"
CLOSE = {"rtol": 1e-6}


@pytest.fixture
def numbers(cache):
    """`numbers(headers, body, count)`: what a kernel of one thread writes to `double *out`."""

    def run(headers, body, count, before="", **arguments):
        text = "".join(f"#include <{name}>\n" for name in headers) + before
        text += f'extern "C" __global__ void k(double *out) {{\n{body}\n}}\n'
        out = np.zeros(count)
        with jitload.configure(device="cpu"):
            jitload.compile(text, cache=cache, **arguments).load()["k"][1, 1](out)
        return out

    return run


def test_the_page_has_the_verdict_of_every_header():
    assert PAGE.read_text().partition(MARK)[2] == "\n" + table(), (
        "docs/headers.md is stale: run `python -m tests.headers.write_documentation`"
    )


@pytest.mark.parametrize("name", [name for name in CPP17 if name not in offered()])
def test_what_is_not_there_is_told_as_the_page_says(name, cache):
    with pytest.raises(jitload.CompileError) as caught:
        jitload.compile(f"#include <{name}>\n__global__ void k() {{}}", kind="ptx", arch="compute_80", cache=cache)
    assert instead(name) in str(caught.value), "and where libcu++ has one of that name, what else there is to say"


@pytest.mark.parametrize(
    ("standard", "backwards", "using"),
    [("c++17", False, ""), ("c++17", True, "using namespace std;\n"), ("c++20", False, "using namespace std;\n")],
)
def test_all_of_them_together_leave_every_name_clear(cache, standard, backwards, using):
    """No warning, in either order; and with std's names in the global namespace the built-in functions are no others."""
    names = sorted(offered(), reverse=backwards)
    text = "".join(f"#include <{name}>\n" for name in names) + using
    text += """__global__ void k(int *x, float *f) {
      x[0] = max(x[0], x[1]) + (int)strlen("abc") + abs(x[3]);
      f[0] = sqrt(f[0]) + abs(f[1]) + pow(f[0], f[1]) + pow(f[0], 2) + fmax(f[0], f[1]);
      memcpy(x, f, 4);
      printf("%d", x[0]);
    }"""
    made = jitload.compile(text, kind="ptx", arch="compute_80", options=[f"--std={standard}"], cache=cache)
    assert made.log == ""


def test_integers_and_limits(numbers):
    out = numbers(
        ["cstdint", "cstddef", "climits", "cfloat", "limits", "inttypes.h"],
        """std::uint32_t wide = UINT32_MAX; int64_t low = INT64_MIN; std::size_t size = SIZE_MAX; uint8_t byte = 255;
        out[0] = wide; out[1] = low; out[2] = size == ~0ull; out[3] = byte; out[4] = INT_MAX; out[5] = FLT_EPSILON;
        out[6] = std::numeric_limits<float>::max(); out[7] = DBL_MAX; out[8] = sizeof(std::intptr_t) * CHAR_BIT;
        out[9] = CHAR_MIN < 0; out[10] = LONG_MAX; out[11] = offsetof(float4, z); out[12] = FLT_MIN;
        out[13] = INT64_C(1) << 40; out[14] = std::numeric_limits<std::int16_t>::lowest(); out[15] = NULL == nullptr;""",
        16,
    )
    expected = [
        2**32 - 1,
        -(2.0**63),
        1,
        255,
        2**31 - 1,
        2.0**-23,
        np.finfo(np.float32).max,
        np.finfo(float).max,
        64,
        1,
    ]
    expected += [2.0**63, 8, np.finfo(np.float32).tiny, 2.0**40, -(2**15), 1]
    np.testing.assert_allclose(out, expected, **CLOSE)


def test_math_for_reals_and_for_integers(numbers):
    """As in C++: float stays float, an integer is taken as double, and two different types as double."""
    out = numbers(
        ["cmath", "math.h"],
        """float two = 2; int three = 3;
        out[0] = std::sqrt(two); out[1] = std::sqrt(three); out[2] = std::pow(two, three); out[3] = std::abs(-three);
        out[4] = std::abs(-two); out[5] = std::fmax(two, 2.5); out[6] = std::isnan(NAN); out[7] = std::isinf(INFINITY);
        out[8] = M_PI; out[9] = std::hypot(three, 4); out[10] = std::round(-2.5f); out[11] = std::exp(0);
        out[12] = std::isnormal(two); out[13] = sizeof(std::sqrt(two)); out[14] = sizeof(std::sqrt(three));
        out[15] = std::atan2(1, 1.0f); out[16] = sqrtf(two); out[17] = std::isfinite(HUGE_VAL);""",
        18,
    )
    expected = [2**0.5, 3**0.5, 8, 3, 2, 2.5, 1, 1, np.pi, 5, -3, 1, 1, 4, 8, np.pi / 4, 2**0.5, 0]
    np.testing.assert_allclose(out, expected, **CLOSE)


def test_types_pairs_tuples_and_arrays(numbers):
    out = numbers(
        ["type_traits", "utility", "tuple", "array", "initializer_list"],
        """static_assert(std::is_same_v<std::conditional_t<true, int, float>, int>, "");
        static_assert(std::tuple_size<std::tuple<int, float>>::value == 2 && std::tuple_size_v<std::array<int, 3>> == 3, "");
        std::pair<int, double> pair = std::make_pair(4, 2.5);
        auto [first, second] = pair;
        std::tuple<int, float, double> three{1, 2.f, 3.};
        std::array<int, 3> array{{7, 8, 9}};
        int a = 1, b = 2; std::swap(a, b); int c = std::exchange(a, 5);
        out[0] = first; out[1] = second; out[2] = std::get<1>(three); out[3] = std::get<2>(array); out[4] = a; out[5] = b;
        out[6] = c; out[7] = std::move(b); out[8] = std::forward<int>(c); out[9] = sum({1, 2, 3}); double x, y;
        std::tie(x, y) = pair; out[10] = x * y; int total = 0; for (int v : array) total += v; out[11] = total;""",
        12,
        before="__device__ int sum(std::initializer_list<int> l) { int s = 0; for (int v : l) s += v; return s; }\n",
    )
    np.testing.assert_allclose(out, [4, 2.5, 2, 9, 5, 1, 2, 1, 2, 6, 10, 24])


def test_algorithms_and_functions(numbers):
    out = numbers(
        ["algorithm", "functional", "numeric", "iterator", "optional"],
        """int v[5] = {5, 3, 9, 1, 7};
        out[0] = std::min(v[0], v[1]); out[1] = std::max({2, 8, 4}); out[2] = std::clamp(12, 0, 10);
        out[3] = *std::max_element(v, v + 5); out[4] = std::accumulate(v, v + 5, 0);
        out[5] = std::find(std::begin(v), std::end(v), 9) - v; out[6] = std::plus<int>()(2, 3);
        std::reverse(v, v + 5); out[7] = v[0]; std::fill(v, v + 2, 4); out[8] = v[1]; out[9] = std::gcd(12, 18);
        out[10] = std::invoke(std::multiplies<>(), 6, 7); std::optional<int> maybe = 3; out[11] = maybe.value_or(0);
        out[12] = std::count_if(v, v + 5, [](int x) { return x > 3; }); int w[5]; std::copy(v, v + 5, w); out[13] = w[2];""",
        14,
    )
    np.testing.assert_allclose(out, [3, 8, 10, 9, 25, 2, 5, 7, 4, 6, 42, 3, 4, 9])


def test_complex_numbers_by_value_and_in_arrays(cache):
    """The parameter is one that arrays of complex numbers fit."""
    text = """#include <complex>
    __global__ void k(const std::complex<float> *x, std::complex<float> *out, std::complex<float> by) {
      out[0] = std::exp(x[0]) * by; out[1] = std::abs(x[1]); out[2] = std::pow(x[2], 2); out[3] = std::conj(x[3]);
      out[4] = std::sqrt(x[4]) + std::polar(1.f, 0.f); out[5] = {std::norm(x[5]), std::arg(x[5])};
      out[6] = std::sqrt(4.f) + 0.f * x[6];
    }"""
    x = (np.arange(7) / 4 - 1j * np.arange(1, 8) / 8).astype(np.complex64)
    out = np.zeros_like(x)
    with jitload.configure(device="cpu"):
        made = jitload.compile(text, names=["k"], cache=cache)
        made.load()["k"][1, 1](x, out, np.complex64(2 + 1j))
    assert made.kernels["k"].parameters[0] == "const cuda::std::complex<float> *"
    expected = [np.exp(x[0]) * (2 + 1j), abs(x[1]), x[2] ** 2, np.conj(x[3]), np.sqrt(x[4]) + 1]
    expected += [abs(x[5]) ** 2 + 1j * np.angle(x[5]), 2]
    np.testing.assert_allclose(out, np.array(expected, np.complex64), rtol=1e-5)


def test_memory_and_strings(numbers):
    out = numbers(
        ["cstring", "string.h", "cstdlib", "new"],
        """int a[4] = {1, 2, 3, 4}; char text[8]; int *heap = (int *)std::malloc(8);
        std::memcpy(heap, a, 8); out[0] = heap[1]; free(heap); memmove(a + 1, a, 12); out[1] = a[3] * 10 + a[1];
        out[2] = std::strlen("four"); strcpy(text, "abc"); out[3] = strcmp(text, "abd"); out[4] = std::memcmp(a, a, 16);
        out[5] = strchr(text, 'c') - text; memset(text, 0, 8); out[6] = text[0]; out[7] = std::strncmp("abx", "aby", 2);
        int *placed = new (a) int(9); out[8] = *placed; memmove(a, a + 2, 8); out[9] = a[0]; out[10] = std::abs(-3);""",
        11,
    )
    np.testing.assert_allclose(out, [2, 31, 4, -1, 0, 2, 0, 0, 9, 2, 3])


def test_functions_of_ones_own_by_the_names_of_strings_are_preferred(numbers):
    before = "__device__ size_t strlen(const char *) { return 77; }\n"
    assert numbers(["string.h"], 'out[0] = strlen("x");', 1, before=before) == [77]


def test_a_file_in_the_style_of_the_samples_compiles_unchanged(tmp_path, cache, capfd):
    file = tmp_path / "vector_add.cu"
    file.write_text("""#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include <cuda_runtime.h>
#include <device_launch_parameters.h>

extern "C" __global__ void vectorAdd(const float *A, const float *B, float *C, int32_t numElements) {
  int32_t i = blockDim.x * blockIdx.x + threadIdx.x;
  assert(numElements > 0);
  if (i < numElements) {
    C[i] = A[i] + B[i] + 0.0f;
    if (i == 3) printf("element %d: %.1f\\n", i, sqrtf(C[i]));
  }
}
""")
    a, b, c = np.arange(50, dtype=np.float32), np.full(50, 1, np.float32), np.zeros(50, np.float32)
    with jitload.configure(device="cpu"):
        jitload.compile(file, cache=cache).load()["vectorAdd"][1, 64](a, b, c, 50)
    np.testing.assert_array_equal(c, a + b)
    assert capfd.readouterr().out == "element 3: 2.0\n"


def test_an_assert_counts_as_ndebug_says(numbers):
    with pytest.raises(jitload.CpuFault):
        numbers(["cassert"], "assert(out[0] == 1);", 1)
    numbers(["cassert"], "assert(out[0] == 1);", 1, defines=["NDEBUG"])


@pytest.mark.parametrize("where", ["headers", "include_dirs", "beside"])
def test_a_header_that_the_user_has_wins(where, value, file_value, write):
    own = {"cstdint": "#define VALUE 31\n"}
    if where == "headers":
        assert value("#include <cstdint>", headers=own) == 31
    elif where == "include_dirs":
        assert value("#include <cstdint>", include_dirs=[write(own)]) == 31
    else:
        write(own)
        assert file_value("k.cu", '#include "cstdint"') == 31


def test_one_that_appears_later_is_seen(value, write):
    root = write({"inc/other.h": ""})
    asks = "#include <climits>\n#ifdef MINE\n#define VALUE 2\n#else\n#define VALUE 1\n#endif"
    assert value(asks, include_dirs=[root / "inc"]) == 1
    write({"inc/climits": "#define MINE\n"})
    assert value(asks, include_dirs=[root / "inc"]) == 2


def test_headers_of_the_toolkit_find_none_of_them():
    """What they include for other compilers is no part of the program: keys of sources that name none stay."""
    request = CompileRequest("#include <cuda_fp16.h>\n", kind="ptx", arch="compute_80")
    from_toolkit = [("toolkit/cuda", str(Path(__file__).parent / "none"))]
    assert not Closure(request, from_toolkit).headers
    found = Closure(CompileRequest("#include <stdio.h>\n", kind="ptx", arch="compute_80"), from_toolkit).headers
    assert [*found] == ["/jitload/toolkit/standard/stdio.h"]


def test_a_header_of_the_users_finds_them(value, write):
    root = write({"inc/mine.h": "#include <climits>\n#define VALUE CHAR_BIT\n"})
    assert value("#include <mine.h>", include_dirs=[root / "inc"]) == 8


def test_they_can_be_switched_off(cache, value):
    with pytest.raises(jitload.CompileError, match=r"cstdint"):
        value("#include <cstdint>\n#define VALUE 1", host_headers=False)
    asks = "#if __has_include(<cstdint>)\n#define VALUE 1\n#else\n#define VALUE 0\n#endif"
    for expected in (1, 0, 1, 0):
        assert value(asks, host_headers=bool(expected)) == expected, "neither is served for the other"

    @jitload.jit_kernel(source="#include <cstdint>\n__global__ void k(int *x) {}", host_headers=False, cache=cache)
    def k(x): ...

    assert not k.request(arch="sm_90").host_headers
    assert not k.request(arch="sm_90").replace(arch="sm_80").host_headers


@pytest.mark.parametrize("junk", [0, None, "no"])
def test_off_is_false_and_nothing_else(junk):
    with pytest.raises(jitload.UsageTypeError, match="host_headers is True or False"):
        jitload.compile("", kind="ptx", arch="compute_80", host_headers=junk)


def test_a_key_is_of_what_they_say(tmp_path, monkeypatch, cache):
    """They are headers by content: another text is another key, and what was kept for the old one is not served."""
    shipped = tmp_path / "standard"
    shipped.mkdir()
    monkeypatch.setattr("jitload.headers.roots._STANDARD", str(shipped))
    keys = []
    for number in (1, 2):
        (shipped / "stdbool.h").write_text(f"#define VALUE {number}\n")
        text = "#include <stdbool.h>\n__global__ void k(int *out) { *out = VALUE; }"
        keys.append(jitload.compile(text, kind="ptx", arch="compute_80", cache=cache).key)
    assert len({*keys}) == 2


def test_a_workload_keeps_that_they_are_off(tmp_path, cache):
    text = "__global__ void k(int *x) { x[0] = __has_include(<cstdint>); }"
    text = (
        "#if __has_include(<cstdint>)\n#define V 1\n#else\n#define V 0\n#endif\n__global__ void k(int *x) { *x = V; }"
    )
    for off in (True, False):
        path = tmp_path / f"{off}.jlw"
        with jitload.record(path):
            jitload.compile(text, kind="ptx", arch="compute_80", cache=cache, host_headers=not off)
        (program,) = decode_workload(path.read_bytes()).programs
        assert ("host_headers" in program.row) is off
        with decode_workload(path.read_bytes()).unpacked() as found:
            assert [request.host_headers for request in found.values()] == [not off]


def test_a_hit_needs_no_compiler(tmp_path):
    """In a process that has neither NVRTC nor the toolkit's headers, and explain says that it would hit."""
    text = "#include <cstdint>\n#include <cuda_fp16.h>\n__global__ void k(std::uint32_t *x) { *x = 1; }"
    script = f"""
import sys
import jitload, jitload.compiler.toolkit as toolkit
if "blind" in sys.argv:
    toolkit.use_nvrtc(None)
request = jitload.CompileRequest({text!r}, kind="ptx", arch="compute_80")
print("hit" if jitload.explain(request).hit else "miss", end=" ")
jitload.compile({text!r}, kind="ptx", arch="compute_80")
print(jitload.stats().compiles, toolkit.find_nvrtc() is None)
"""
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(tmp_path / "cache")}
    runs = [[], ["blind"]]
    said = [
        subprocess.run(
            [sys.executable, "-c", script, *more],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.split()
        for more in runs
    ]
    assert said == [["miss", "1", "False"], ["hit", "0", "True"]]


def test_where_libcupp_is_missing_the_error_says_what_to_install(cache, monkeypatch):
    monkeypatch.setattr("jitload.door._ROLES.toolkit", tuple)
    with pytest.raises(jitload.CompileError, match=r"<limits> is made of libcu\+\+: .*pip install nvidia-cuda-cccl"):
        jitload.compile("#include <limits>\n__global__ void k() {}", kind="ptx", arch="compute_80", cache=cache)
    for name in ("cstdint", "climits", "cfloat", "cmath", "cstring", "cstdio", "cassert", "cstddef", "inttypes.h"):
        text = f"#include <{name}>\n__global__ void k() {{}}"
        assert jitload.compile(text, kind="ptx", arch="compute_80", cache=cache).log == ""


def test_without_libcupp_integers_and_limits_are_the_same(numbers, monkeypatch):
    monkeypatch.setattr("jitload.door._ROLES.toolkit", tuple)
    test_out = numbers(
        ["cstdint", "climits", "cfloat"],
        """out[0] = UINT64_MAX; out[1] = INT32_MIN; out[2] = FLT_MAX; out[3] = DBL_EPSILON; out[4] = CHAR_MIN;
        out[5] = sizeof(std::int64_t); out[6] = LONG_MIN; out[7] = INT_MIN; out[8] = UINT16_MAX; out[9] = SIZE_MAX;""",
        10,
    )
    expected = [2.0**64, -(2**31), np.finfo(np.float32).max, 2.0**-52, -128, 8, -(2.0**63), -(2**31), 65535, 2.0**64]
    np.testing.assert_allclose(test_out, expected, **CLOSE)


def test_a_tensor_map_is_a_parameter_by_value(cache):
    text = "#include <cuda.h>\n__global__ void k(const __grid_constant__ CUtensorMap map, CUdeviceptr to) {}"
    made = jitload.compile(text, kind="ptx", arch="compute_90", names=["k"], cache=cache)
    (tensor_map, pointer) = made.kernels["k"].params
    assert (tensor_map.size, tensor_map.alignment, pointer.size) == (128, 64, 8)


def test_every_file_says_what_it_is_and_guards_itself():
    for path in STANDARD.rglob("*"):
        if path.is_file() and path.name not in {"assert.h", "infinity.h"}:
            assert f"#ifndef JITLOAD_STANDARD_{path.name.replace('.', '_').upper()}\n" in path.read_text()


def test_several_sources_of_one_program_have_them_too_or_not():
    unit = CompileRequest("", kind="ptx", arch="compute_80", host_headers=False)
    assert not unit.beside(Path(__file__)).host_headers
    with pytest.raises(jitload.CompileError, match="cstdint"):
        jitload.compile(sources=["#include <cstdint>\n"], kind="cubin", arch="sm_80", host_headers=False)
