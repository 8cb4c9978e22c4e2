"""Compiles: every kind, and what is said when the source is wrong."""

from __future__ import annotations

import pickle
import re

import pytest

import jitload
from jitload.images.check import verify_image

AXPY = 'extern "C" __global__ void axpy(float a, const float *x, float *y, int n) { if (threadIdx.x < n) y[threadIdx.x] += a * x[threadIdx.x]; }\n'


@pytest.mark.parametrize("arch", ["75", "80", "90", "90a", "100", "100f", "120"])
@pytest.mark.parametrize("kind", ["cubin", "ptx", "ltoir", "fatbin"])
def test_every_kind_for_every_generation(cache, needs_arch, needs_nvrtc, kind, arch):
    needs_arch(int(arch.rstrip("af")))
    if arch.endswith("f"):
        needs_nvrtc("12.9")
    artifact = jitload.compile(AXPY, kind=kind, arch=f"{'compute' if kind == 'ptx' else 'sm'}_{arch}", cache=cache)
    verify_image(kind, artifact.data, artifact.arch if kind == "cubin" else None)
    assert artifact.kernels["axpy"].symbol == "axpy"
    assert artifact.log == ""
    assert artifact.compile_seconds > 0
    assert re.fullmatch(r"1[23]\.\d+\.\d+", artifact.toolchain.version)


def test_an_arch_that_nvrtc_does_not_know(compile_ptx):
    with pytest.raises(jitload.CompileError, match="sm_999") as caught:
        compile_ptx(AXPY, kind="cubin", arch="sm_999")
    assert "gpu-architecture" in caught.value.log


def test_two_compiles_are_byte_identical(cache):
    one, two = (jitload.compile(AXPY, arch="sm_90", cache=jitload.Cache(None)) for _ in range(2))
    assert one is not two
    assert one == two


def failure(compile_ptx, source, **arguments):
    with pytest.raises(jitload.CompileError) as caught:
        compile_ptx(source, **arguments)
    return caught.value


def test_an_error_in_the_source(compile_ptx):
    error = failure(compile_ptx, "// axpy\n" + AXPY.replace("y[", "z[", 1), name="axpy.cu")
    assert (error.file, error.line) == ("axpy.cu", 2)
    assert 'axpy.cu(2): error: identifier "z" is undefined' in error.log
    line, caret = error.log.splitlines()[1:3]
    assert line[caret.index("^")] == "z"
    assert str(error).startswith(
        "axpy.cu does not compile for compute_75 (NVRTC_ERROR_COMPILATION):\naxpy.cu(2): error"
    )
    assert "/jitload/" not in str(error) + error.log


def test_an_error_in_a_file_is_clickable(write, compile_ptx):
    path = write({"src/axpy.cu": "\n\n" + AXPY.replace("y[", "z[", 1)}) / "src/axpy.cu"
    error = failure(compile_ptx, path)
    assert (error.file, error.line) == (str(path), 3)
    assert f"{path}(3): error" in str(error)


@pytest.mark.parametrize("where", ["beside", "include_dirs", "headers", "deeper"])
def test_an_error_in_a_header(write, compile_ptx, where):
    bad = "// one\nint broken = ;\n"
    files = {
        "beside": {"bad.h": bad},
        "include_dirs": {"inc/bad.h": bad},
        "headers": {},
        "deeper": {"bad.h": '\n#include "sub/worse.h"\n', "sub/worse.h": bad},
    }[where]
    root = write({"k.cu": '#include "bad.h"\n' + AXPY, **files})
    error = failure(
        compile_ptx, root / "k.cu", include_dirs=[root / "inc"], headers={"bad.h": bad} if where == "headers" else None
    )
    expected = {
        "beside": root / "bad.h",
        "include_dirs": root / "inc/bad.h",
        "headers": "bad.h",
        "deeper": root / "sub/worse.h",
    }[where]
    assert (error.file, error.line) == (str(expected), 2)
    assert f"{expected}(2): error" in str(error)
    assert "/jitload/" not in str(error) + error.log


def test_lines_stay_right_behind_rewritten_includes(write, compile_ptx):
    root = write(
        {
            "a.h": "",
            "k.cu": '#include "a.h"\n#include /* a\n comment */ "a.h"\n#include \\\n"a.h"\n#include <gone_in_a_dead_branch.h>\n'.replace(
                "#include <gone_in_a_dead_branch.h>", "#if 0\n#include <gone.h>\n#endif"
            )
            + "oops\n",
        }
    )
    assert failure(compile_ptx, root / "k.cu").line == 9


def test_an_error_in_a_name_expression(compile_ptx):
    source = "template <class T> __global__ void fill(T *x) {}\n"
    error = failure(compile_ptx, source, names=["fill<float>", "full<float>"], name="fill.cu")
    assert "the name expression 'full<float>' does not name a kernel of this source" in str(error)
    assert (error.file, error.line) == ("fill.cu", None)


def test_a_name_expression_with_a_missing_argument(compile_ptx):
    source = "template <class T, int N> __global__ void fill(T *x) {}\n"
    error = failure(compile_ptx, source, names=["fill<float>"])
    assert "'fill<float>'" in str(error)


def test_an_error_inside_a_template_names_its_line(compile_ptx):
    source = "template <class T> __global__ void fill(T *x) {\n  *x = T::nothing;\n}\n"
    error = failure(compile_ptx, source, names=["fill<float>"], name="fill.cu")
    assert (error.file, error.line) == ("fill.cu", 2)


def test_the_first_error_counts_not_an_earlier_warning(compile_ptx):
    source = '__device__ void f() { int unused; }\nextern "C" __global__ void k() { oops; }\n'
    error = failure(compile_ptx, source, name="k.cu")
    assert (error.file, error.line) == ("k.cu", 2)
    assert "k.cu(1): warning" in error.log


def test_an_error_after_a_line_directive_is_told_as_nvrtc_tells_it(compile_ptx):
    error = failure(compile_ptx, '#line 70 "generator.py"\noops\n')
    assert (error.file, error.line) == ("generator.py", 70)


def test_a_long_log_is_cut_in_the_message_and_whole_in_the_field(compile_ptx):
    error = failure(compile_ptx, "".join(f"oops{number};\n" for number in range(90)), options=["-diag-warn=1"])
    assert len(str(error)) < 5000
    assert "(the full log is in .log)" in str(error)
    assert "oops40" in error.log


def test_error_in_ptxas(compile_ptx):
    """What ptxas refuses comes with its own words."""
    source = 'extern "C" __global__ void k() { asm volatile("nonsense.instruction;"); }\n'
    error = failure(compile_ptx, source, kind="cubin", arch="sm_80")
    assert "nonsense" in error.log
    assert error.file == "kernel.cu"


def test_too_much_shared_memory(compile_ptx):
    source = 'extern "C" __global__ void k(int *x) { __shared__ int s[99999]; s[threadIdx.x] = *x; __syncthreads(); *x = s[1]; }\n'
    assert "shared" in failure(compile_ptx, source, kind="cubin", arch="sm_80").log


def test_a_compile_error_pickles_with_its_fields(compile_ptx):
    error = failure(compile_ptx, "oops;\n", name="k.cu")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.file, again.line, again.log) == (str(error), "k.cu", 1, error.log)


def test_a_failed_compile_is_not_kept(compile_ptx, compiles, cache):
    for _ in range(2):
        failure(compile_ptx, "oops;\n")
    assert cache.stats().entries == 0
    assert "k" in compile_ptx('extern "C" __global__ void k() {}\n').kernels


@pytest.mark.filterwarnings("ignore::jitload.CompileWarning")
def test_warnings_are_kept_without_paths_of_the_machine(write, cache):
    root = write(
        {
            "k.cu": '#include "w.h"\n#include <far.h>\n__device__ void f() { int here; }\n',
            "w.h": "__device__ void g() { int there; }\n",
            "inc/far.h": "__device__ void h() { int far; }\n",
        }
    )
    artifact = jitload.compile(root / "k.cu", arch="compute_75", include_dirs=[root / "inc"], cache=cache)
    for place in ("k.cu(3)", "w.h(1)", "far.h(1)"):
        assert re.search(rf"^{re.escape(place)}: warning #177-D", artifact.log, re.MULTILINE), artifact.log
    assert str(root) not in artifact.log
    assert "/jitload/" not in artifact.log
    hit = jitload.compile(
        root / "k.cu", arch="compute_75", include_dirs=[root / "inc"], cache=jitload.Cache(cache.directory)
    )
    assert hit.log == artifact.log


@pytest.mark.filterwarnings("ignore::jitload.CompileWarning")
def test_a_warning_of_two_archs_is_told_once(cache):
    source = "__device__ void f() { int unused; }\n"
    assert jitload.compile(source, arch=["sm_80", "sm_90"], cache=cache).log.count("#177-D") == 1


def test_a_header_per_macro_without_end(value, write):
    root = write({f"inc/h{number}.h": "" for number in range(30)})
    lines = "".join(f"#define N{number}(x) Q(x{number}.h)\n#include N{number}(h)\n" for number in range(30))
    assert (
        value(
            "#define Q(x) #x\n".replace("Q(x)", "Q(x)") + lines.replace("x", "h", 0) + "#define VALUE 3",
            include_dirs=[root / "inc"],
            headers={f"x{n}.h": "" for n in range(30)},
        )
        == 3
    )


def test_file_macro_holds_no_directory(write, compile_ptx):
    root = write({"k.cu": 'extern "C" __global__ void k(char *x) { const char *f = __FILE__; *x = f[*x]; }\n'})
    data = compile_ptx(root / "k.cu").data
    assert str(root).encode() not in data
