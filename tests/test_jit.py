"""`@jit_kernel`: sources, entries, arguments, and launches on the CPU executor."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import types
import typing
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

import jitload
from jitload import ArgumentError, SymbolNotFoundError, jit_kernel
from jitload.source.arch import EXECUTOR_ARCH
from jitload.workloads.workload import Workload

AXPY = 'extern "C" __global__ void axpy(float a, const float *x, float *y, int n) { int i = threadIdx.x; if (i < n) y[i] += a * x[i]; }\n'
SCALE = "template <class T, int N, bool NEGATE> __global__ void scale(T *x) { if (threadIdx.x < N) x[threadIdx.x] *= NEGATE ? -2 : 2; }\n"


@pytest.fixture(autouse=True)
def _on_the_cpu():
    with jitload.configure(device="cpu"):
        yield


@pytest.fixture
def module(tmp_path):
    """Import Python text as a file of its own: {name: what it defined}, by attribute."""

    def load(text, name="kernels.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        loaded = types.ModuleType("kernels")
        exec(compile(path.read_text(), str(path), "exec"), loaded.__dict__)
        return loaded

    return load


def make(source=AXPY, **options):
    @jit_kernel(source=source, **options)
    def axpy(a, x, y, n): ...

    return axpy


def ones(count=8, dtype=np.float32):
    return np.ones(count, dtype)


# Sources


def test_the_docstring_as_the_source(module):
    kernels = module(
        '''
        from jitload import jit_kernel

        @jit_kernel
        def twice(x):
            """extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }"""

        @jit_kernel()
        def thrice(x):
            """
            A comment before the code would be C++; this is one: // */
            """
        '''.replace(
            "A comment before the code would be C++; this is one: // */",
            'extern "C" __global__ void thrice(float *x) { x[threadIdx.x] *= 3; }',
        )
    )
    x = ones()
    kernels.twice[1, 8](x)
    kernels.thrice[1, 8](x)
    assert (x == 6).all()


def test_a_file_beside_the_python_file(module, tmp_path, monkeypatch):
    (tmp_path / "pkg/src").mkdir(parents=True)
    (tmp_path / "pkg/src/axpy.cu").write_text(
        '#include "factor.h"\n#include <offset.h>\nextern "C" __global__ void axpy(float *x) { *x = FACTOR + OFFSET; }\n'
    )
    (tmp_path / "pkg/src/factor.h").write_text("#define FACTOR 40\n")
    (tmp_path / "pkg/inc").mkdir()
    (tmp_path / "pkg/inc/offset.h").write_text("#define OFFSET 2\n")
    kernels = module(
        "from jitload import jit_kernel\n@jit_kernel(file='src/axpy.cu', include_dirs=['inc'])\ndef axpy(x): ...\n",
        "pkg/kernels.py",
    )
    monkeypatch.chdir("/")
    x = ones(1)
    kernels.axpy[1, 1](x)
    assert x == 42
    assert kernels.axpy.request().name == "axpy.cu"


def test_the_source_is_part_of_the_declaration_not_of_the_working_directory(module, tmp_path):
    (tmp_path / "value.h").write_text("#define VALUE 7\n")
    kernels = module(
        'from jitload import jit_kernel\n@jit_kernel(source=\'#include "value.h"\\nextern "C" __global__ void k(int *x) { *x = VALUE; }\')\ndef k(x): ...\n'
    )
    x = np.zeros(1, np.int32)
    kernels.k[1, 1](x)
    assert x == 7


@pytest.mark.parametrize(
    ("options", "docstring", "message"),
    [
        ({}, None, "has no CUDA source: give file= or source=, or write it as the docstring"),
        ({}, "Scales x.", "has no CUDA source"),
        ({"source": AXPY, "file": "a.cu"}, None, "has file= and source=: give one"),
    ],
)
def test_no_source_or_two(options, docstring, message):
    def k(x): ...

    k.__doc__ = docstring
    with pytest.raises(ValueError, match=message):
        jit_kernel(**options)(k)


def test_a_file_that_is_missing_is_told_when_it_is_needed():
    def gone(x): ...

    kernel = jit_kernel(file="gone.cu")(gone)
    with pytest.raises(FileNotFoundError, match=r"gone\.cu"):
        kernel.request()


@pytest.mark.parametrize("signature", ["*xs", "**xs", "x, *rest"])
def test_parameters_must_have_names(signature):
    scope = {}
    exec(f"def k({signature}): ...", scope)
    with pytest.raises(ValueError, match=r"a kernel cannot take .*: name its parameters"):
        jit_kernel(source=AXPY)(scope["k"])


def test_nothing_is_compiled_before_the_first_use():
    before = jitload.stats().compiles
    kernel = make()
    assert repr(kernel) == f"<jit_kernel axpy from {__file__}>"
    assert (kernel.__name__, kernel.__module__) == ("axpy", __name__)
    assert jitload.stats().compiles == before


# Errors in a Python file


@pytest.mark.parametrize(
    "text",
    [
        'from jitload import jit_kernel\n\n@jit_kernel\ndef k(x):\n    """\n    extern "C" __global__ void k(int *x) {\n      *x = oops;\n    }\n    """\n',
        'from jitload import jit_kernel\n\n@jit_kernel\ndef k(x):\n\n    """extern "C" __global__ void k(int *x) {\n*x = oops; }"""\n',
        'from jitload import jit_kernel\nSOURCE = """\nextern "C" __global__\nvoid k(int *x)\n\n{\n *x = oops; }\n"""\n@jit_kernel(source=SOURCE)\ndef k(x): ...\n',
        'from jitload import jit_kernel\n\n@jit_kernel\ndef k(x):\n    """extern "C" __global__ void k(int *x) {\n    // "quoted" \\"escaped\\"\n    *x = oops; }"""\n',
        'from jitload import jit_kernel\n\n@jit_kernel\ndef k(x):\n    """\\\nextern "C" __global__ \\\n void k(int *x) {\n    printf("a\\\\n\\tb");\n    *x = oops; }"""\n',
        'from jitload import jit_kernel\n\n@jit_kernel(source=(\n    \'extern "C" __global__ \'\n    "void k(int *x) {\\n"  # what follows is wrong\n    r"*x = oops;" "\\n"\n    "}"))\ndef k(x): ...\n',
        'from jitload import jit_kernel\nN = 3\n@jit_kernel(source=f"""\nextern "C" __global__ void k(int *x) {{\n    x[0] = {N};\n    x[{N}] = oops; }}\n""")\ndef k(x): ...\n',
        'from textwrap import dedent\nfrom jitload import jit_kernel\n@jit_kernel(source=dedent("""\n    extern "C" __global__ void k(int *x) {\n      *x = oops; }\n    """).strip())\ndef k(x): ...\n',
    ],
    ids=[
        "docstring",
        "docstring on its line",
        "literal",
        "quotes",
        "escapes",
        "several literals",
        "f-string",
        "dedented",
    ],
)
def test_an_error_is_told_in_the_python_files_own_lines(module, tmp_path, text):
    kernels = module(text)
    with pytest.raises(jitload.CompileError) as caught:
        kernels.k.artifact()
    expected = text.splitlines().index(next(line for line in text.splitlines() if "oops" in line)) + 1
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "kernels.py"), expected)
    assert f'kernels.py({expected}): error: identifier "oops"' in str(caught.value)


@pytest.mark.parametrize(
    ("prefix", "body", "hint"),
    [
        ("", r'printf("a\n");', True),
        ("r", r'printf("a\n") oops;', False),
        ("", "oops;", False),
        ("", r"char c = '\\';", True),
    ],
)
def test_backslashes_that_python_has_read_are_told_when_it_does_not_compile(module, prefix, body, hint):
    text = f'extern "C" __global__ void k(int *x) {{\n    {body} }}'
    kernels = module(f'from jitload import jit_kernel\n@jit_kernel\ndef k(x):\n    {prefix}"""{text}"""\n')
    with pytest.raises(jitload.CompileError) as caught:
        kernels.k.artifact()
    assert ('make it raw, r"""..."""' in str(caught.value)) == hint
    assert caught.value.line == 5


def test_a_nul_that_python_made_of_a_backslash(module):
    kernels = module(
        'from jitload import jit_kernel\n@jit_kernel\ndef k(x):\n    """__global__ void k(char *x) { *x = \'\\0\'; }"""\n'
    )
    with pytest.raises(ValueError, match=r"NUL character.*unless it is raw"):
        kernels.k.artifact()


def test_the_lines_of_a_notebook_cell():
    """Its text is where IPython leaves it; there is no such file."""
    import linecache

    text = '@jit_kernel\ndef k(x):\n    """extern "C" __global__ void k(int *x) {\n        *x = oops; }"""\n'
    name = "/tmp/ipykernel_1/2.py"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope = {"jit_kernel": jit_kernel}
    exec(compile(text, name, "exec"), scope)
    with pytest.raises(jitload.CompileError, match=r"ipykernel_1/2\.py\(4\): error") as caught:
        scope["k"].artifact()
    assert (caught.value.file, caught.value.line) == (name, 4)


def test_a_docstring_that_python_dedented_keeps_its_lines(tmp_path):
    """Python 3.13 takes the common indentation out of docstrings, so the text is not in the file as it is."""
    indented = 'def k(x):\n    """\n    extern "C" __global__ void k(int *x) {\n      *x = 1;\n    }\n    """\n'
    (tmp_path / "k.py").write_text("\n\n" + indented)
    scope = {}
    exec(compile("\n\n" + indented, str(tmp_path / "k.py"), "exec"), scope)
    scope["k"].__doc__ = textwrap.dedent(indented.split('"""')[1])
    assert scope["k"].__doc__ not in indented
    request = jit_kernel(scope["k"]).request()
    assert (request.path, request.first_line) == (str(tmp_path / "k.py"), 4)


def test_iterators_last_for_every_request():
    kernel = jit_kernel(
        source=AXPY,
        options=iter(["-lineinfo"]),
        include_dirs=iter(["inc"]),
        defines=iter(["N=1"]),
        arch=iter(["sm_80"]),
    )(make().__wrapped__)
    assert kernel.request().digest == kernel.request().digest
    assert kernel.request().options == ("--generate-line-info",)
    assert kernel.request().defines == (("N", "1"),)


def test_a_source_that_is_put_together_has_lines_of_its_own(module):
    kernels = module('from jitload import jit_kernel\n@jit_kernel(source="\\n" * 3 + "oops;" + "\\n")\ndef k(x): ...\n')
    with pytest.raises(jitload.CompileError) as caught:
        kernels.k.artifact()
    assert caught.value.line == 4
    assert not caught.value.file.endswith(".py")


def test_where_the_text_stands_is_not_in_the_key(module):
    text = 'from jitload import jit_kernel\n{0}@jit_kernel\ndef k(x):\n    """extern "C" __global__ void k(int *x) {{}}"""\n'
    one, two = module(text.format("")), module(text.format("\n# moved\n\n"), "other/deeper.py")
    assert one.k.request().digest == two.k.request().digest
    assert one.k.request().first_line != two.k.request().first_line


# Entries and template arguments


def test_keyword_only_parameters_are_template_arguments_in_order():
    @jit_kernel(source=SCALE)
    def scale(x, *, T="float", N=8, NEGATE=False): ...

    assert scale.entry == "scale<float, 8, false>"
    x = ones()
    scale[1, 8](x)
    assert (x == 2).all()
    scale[1, 8](x, N=4, NEGATE=True)
    assert x.tolist() == [-4.0] * 4 + [2.0] * 4
    doubles = ones(dtype=np.float64)
    scale(doubles, T=np.float64, grid=1, block=8)
    assert (doubles == 2).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("float", "float"), ("std::pair<int, int>", "std::pair<int, int>"), (3, "3"), (-3, "-3"), (np.int64(5), "5"), (True, "true"), (False, "false"),
        (np.bool_(True), "true"), (np.float32, "float"), (np.dtype("float64"), "double"), (np.dtype("float16"), "__half"), (np.int8, "signed char"),
        (np.uint64, "unsigned long long"), (np.dtype("bool"), "bool"), (float, "double"), (bool, "bool"),
    ],
    ids=str,
)  # fmt: skip
def test_template_arguments_as_text(value, text):
    @jit_kernel(source=SCALE)
    def scale(x, *, T): ...

    assert scale.specialize(T=value).entry == f"scale<{text}>"


@pytest.mark.parametrize("value", [1.5, None, [1], {"a": 1}, int, np.dtype("complex64")], ids=str)
def test_what_is_no_template_argument(value):
    @jit_kernel(source=SCALE)
    def scale(x, *, T): ...

    with pytest.raises(jitload.ArgumentError, match="cannot be a template argument"):
        scale.specialize(T=value)


def test_an_entry_pattern():
    source = "namespace ns { template <int N, class T> __global__ void fill(T *x) { *x = N; } }\n"

    @jit_kernel(source=source, entry="ns::fill<{BLOCK} * 2, {T}>")
    def fill(x, *, T="float", BLOCK=3): ...

    x = ones(1)
    fill[1, 1](x)
    assert x == 6
    assert fill.specialize(BLOCK=5).entry == "ns::fill<5 * 2, float>"


@pytest.mark.parametrize("entry", ["fill<{U}>", "fill<{}>", "fill<{0}>", "fill<{T", "fill<{T.x}>"])
def test_an_entry_pattern_that_cannot_be_filled_in(entry):
    @jit_kernel(source=SCALE, entry=entry)
    def fill(x, *, T="float"): ...

    with pytest.raises(
        jitload.ArgumentError, match=r"entry=.*cannot be filled in.*its template arguments are T"
    ) as caught:
        fill.request()
    assert "as in `def fill(x, *, T): ...`" in str(caught.value)


def test_a_kernel_in_a_namespace_by_entry_and_blanks_around_it():
    @jit_kernel(source="namespace ns { __global__ void k(int *x) { *x = 4; } }\n", entry=" ns::k ")
    def anything(x): ...

    x = np.zeros(1, np.int32)
    anything[1, 1](x)
    assert x == 4


def test_a_plain_cpp_kernel_needs_no_extern_c():
    @jit_kernel(source="__global__ void k(int *x) { *x = 5; }\n")
    def k(x): ...

    x = np.zeros(1, np.int32)
    k[1, 1](x)
    assert x == 5


def test_a_missing_template_argument():
    @jit_kernel(source=SCALE)
    def scale(x, *, T, N=4, NEGATE=False): ...

    for use in (scale.request, scale.explain, scale.artifact, scale.kernel, lambda: scale.bind(grid=1, block=1)):
        with pytest.raises(
            jitload.ArgumentError, match=r"scale needs template argument 'T'.*specialize\(T=\.\.\.\)"
        ) as caught:
            use()
        assert (caught.value.kernel, caught.value.parameter) == ("scale", "T")


def test_a_template_argument_that_does_not_exist():
    with pytest.raises(jitload.ArgumentError, match="axpy has no template argument 'T'; it has none"):
        make().specialize(T="float")


def test_specializations_are_made_once():
    @jit_kernel(source=SCALE)
    def scale(x, *, T="float", N=8, NEGATE=False): ...

    assert scale.specialize(T="double") is scale.specialize(T=np.float64)
    assert scale.specialize(T="double").specialize(N=4).entry == "scale<double, 4, false>"
    assert repr(scale.specialize(N=2)).startswith("<jit_kernel scale with T=float, N=2, NEGATE=false from ")


def test_a_name_that_the_source_does_not_have():
    @jit_kernel(source=AXPY)
    def axpi(a, x, y, n): ...

    with pytest.raises(
        jitload.SymbolNotFoundError,
        match=r"has no kernel 'axpi': it has axpy; name the function after the kernel, or give entry=",
    ) as caught:
        axpi[1, 1](1.0, ones(), ones(), 8)
    assert (caught.value.name, caught.value.available) == ("axpi", ("axpy",))


def test_a_template_without_arguments_beside_a_kernel():
    @jit_kernel(source=AXPY + "template <class T, int N> __global__ void first(T *y) { y[0] = N; }")
    def first(y): ...

    with pytest.raises(jitload.SymbolNotFoundError, match=r'first is a template, .*: give entry="first<float, \d+>"'):
        first[1, 1](ones())


# Arguments and launches


@pytest.mark.parametrize(
    "launch",
    [
        lambda kernel, *arguments: kernel[1, 8](*arguments),
        lambda kernel, *arguments: kernel[1, 8, None, 0](*arguments),
        lambda kernel, *arguments: kernel[(1, 1, 1), (8,)](*arguments),
        lambda kernel, *arguments: kernel(*arguments, grid=1, block=8),
        lambda kernel, *arguments: kernel(*arguments, grid=(1,), block=(8, 1), stream=None, shared_bytes=0),
        lambda kernel, *arguments: kernel.bind(grid=1, block=8)(*arguments),
        lambda kernel, a, x, y, n: kernel[1, 8](a, n=n, y=y, x=x),
        lambda kernel, a, x, y, n: kernel(n=n, y=y, x=x, a=a, grid=1, block=8),
    ],
    ids=[
        "index",
        "all of the index",
        "tuples",
        "call",
        "call with options",
        "bind",
        "keywords by index",
        "keywords by call",
    ],
)
def test_ways_to_launch(launch):
    y = ones()
    launch(make(), 2.0, ones(), y, 8)
    assert (y == 3).all()


def test_defaults():
    @jit_kernel(source=AXPY)
    def axpy(a, x, y, n=4): ...

    y = ones()
    axpy[1, 8](2.0, ones(), y)
    assert y.tolist() == [3.0] * 4 + [1.0] * 4
    axpy[1, 8](2.0, ones(), y, n=1)
    assert y[:2].tolist() == [5.0, 3.0]


@pytest.mark.parametrize(
    ("positional", "keywords", "message"),
    [
        ((2.0,), {}, "axpy\\(\\) lacks arguments 'x', 'y', 'n'; it takes a, x, y, n"),
        ((2.0,), {"a": 1.0}, "axpy\\(\\) got argument 'a' twice"),
        ((), {"b": 1.0}, "axpy\\(\\) has no argument 'b'; it has a, x, y, n"),
        ((1.0, 2, 3, 4, 5), {}, "axpy.*(takes|expects|has) 4"),
    ],
)
def test_arguments_that_do_not_fit_the_declaration(positional, keywords, message):
    with pytest.raises(jitload.ArgumentError, match=message):
        make()[1, 8](*positional, **keywords)


def test_const_arrays_are_read_and_others_written():
    x, y = ones(), ones()
    x.flags.writeable = False
    make()[1, 8](2.0, x, y, 8)
    assert (y == 3).all()


def test_the_first_use_compiles_and_loads_and_the_next_only_launch():
    kernel = make(AXPY + "// once\n")
    before = jitload.stats()
    for _ in range(3):
        kernel[1, 8](2.0, ones(), ones(), 8)
    after = jitload.stats()
    assert after.compiles == before.compiles + 1
    assert sum(after.hits.values()) == sum(before.hits.values())
    assert kernel.kernel() is kernel.kernel()


def test_requests_and_artifacts_for_other_archs():
    kernel = make(options=["-lineinfo"], defines={"N": 4})
    request = kernel.request(arch="sm_90")
    assert (request.kind, request.arch, request.options, request.defines) == (
        "cubin",
        "sm_90",
        ("--generate-line-info",),
        (("N", "4"),),
    )
    assert kernel.request().arch == EXECUTOR_ARCH
    assert kernel.request(kind="fatbin", arch=["sm_80", "sm_90"]).arch == "sm_80,sm_90"
    artifact = kernel.artifact(arch="sm_90")
    assert (artifact.kind, artifact.name, list(artifact.kernels)) == ("cubin", "axpy.cu", ["axpy"])
    with pytest.raises(ValueError, match=r"write e\.g\. arch='sm_90'"):
        kernel.request(kind="cubin")


def test_a_cache_of_its_own(tmp_path):
    cache = jitload.Cache(tmp_path / "mine")
    make(cache=cache)[1, 8](2.0, ones(), ones(), 8)
    assert cache.stats().entries == 1


def test_a_kernel_is_compiled_ahead_into_its_own_cache():
    """For archs that no device here has, each template argument by itself."""
    cache = jitload.Cache()
    kernel = jitload.jit_kernel(
        source="template <int N> __global__ void fill(float *x) { x[threadIdx.x] = N; }", cache=cache
    )(fill)
    report = kernel.specialize(N=3).precompile("sm_80,compute_75", kinds=["cubin", "ptx"])
    assert [(str(one.kind), one.arch, one.names) for one in report.compiled] == [
        ("cubin", "sm_80", ("fill<3>",)),
        ("ptx", "compute_75", ("fill<3>",)),
    ]
    assert [len(kernel.specialize(N=n).precompile("sm_80", jobs=1).cached) for n in (3, 4)] == [1, 0]
    compiles = jitload.stats().compiles
    assert kernel.specialize(N=3).artifact(arch="sm_80", kind="cubin").kernels["fill<3>"]
    assert jitload.stats().compiles == compiles
    other = jitload.Cache()
    assert len(kernel.specialize(N=3).precompile("sm_80", cache=other).compiled) == 1


def fill(x, *, N=1): ...


def test_explain_says_what_is_missing():
    kernel = make(AXPY + "// explained\n")
    assert not kernel.explain().hit
    kernel.artifact()
    assert kernel.explain().hit


def test_used_from_many_threads_it_compiles_once():
    kernel = make(AXPY + "// threads\n")
    before = jitload.stats().compiles
    with ThreadPoolExecutor(8) as pool:
        kernels = list(pool.map(lambda _: kernel.kernel(), range(16)))
    assert len(set(map(id, kernels))) == 1
    assert jitload.stats().compiles == before + 1


def two_threads(work, *arguments):
    """What `work` gives for each argument, both threads in their own block at the same time."""
    barrier = Barrier(2, timeout=120)  # a thread that fails must not leave the other one waiting
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda argument: work(argument, barrier), arguments))


def test_two_threads_launch_one_kernel_under_two_settings_and_each_has_its_own():
    """The kernel remembered for a device must not reach the thread that asked for another."""
    kernel = make(AXPY + "// two settings\n", kind="ptx", arch="compute_75")

    def work(device, barrier):
        found = set()
        with jitload.configure(device=device):
            for _ in range(20):
                barrier.wait()
                try:
                    y = ones()
                    kernel[1, 8](1.0, ones(), y, 8)
                    found.add((kernel.kernel().device, float(y[0])))
                except (jitload.LoadError, jitload.DriverError) as error:  # no GPU here: the right one of the two
                    found.add(type(error).__mro__[1].__name__)
        return found

    cpu, cuda = two_threads(work, "cpu", "cuda")
    assert cpu == {("cpu", 2.0)}
    assert cpu & cuda == set()


def test_two_threads_record_one_loaded_kernel_each_into_its_own_workload(tmp_path):
    kernel = make(AXPY + "// two records\n")
    kernel[1, 8](1.0, ones(), ones(), 8)

    def work(name, barrier):
        mine = make(AXPY + f"// {name}\n")
        with jitload.record(tmp_path / name), jitload.configure(device="cpu"):
            barrier.wait()
            kernel[1, 8](1.0, ones(), ones(), 8)
            mine[1, 8](1.0, ones(), ones(), 8)
            barrier.wait()

    two_threads(work, "a.jlw", "b.jlw")
    for name, other in (("a.jlw", "b.jlw"), ("b.jlw", "a.jlw")):
        texts = "".join(Workload.read(tmp_path / name).texts.values())
        assert "// two records" in texts
        assert f"// {name}" in texts
        assert f"// {other}" not in texts


UNSET = 'extern "C" __global__ void unset(int *x) { __shared__ int s[4]; x[0] = s[threadIdx.x]; }'


def test_two_threads_look_for_two_things_at_once_on_the_executor():
    """The checks of a launch are those of the thread that launches."""

    @jit_kernel(source=UNSET)
    def unset(x): ...

    unset.kernel()

    def work(checks, barrier):
        found = set()
        with jitload.configure(device="cpu", cpu_check=checks):
            bound = unset.bind(grid=1, block=1)
            for _ in range(20):
                barrier.wait()
                try:
                    bound(np.zeros(1, np.int32))
                    found.add("ran")
                except jitload.CpuFault:
                    found.add("fault")
        return found

    assert two_threads(work, "init", None) == [{"fault"}, {"ran"}]


def test_a_loaded_kernel_is_not_taken_for_that_of_other_bundles(tmp_path):
    kernel = make(AXPY + "// of a bundle\n")
    compiled = kernel.kernel()
    path = tmp_path / "k.jlb"
    jitload.Bundle.create(path, [kernel.request(arch=EXECUTOR_ARCH)]).close()
    before = jitload.stats().hits["bundle"]
    with jitload.configure(bundles=[path], trust="unsigned", compile="never"):
        assert kernel.kernel() is not compiled
        assert kernel.kernel() is kernel.kernel()
    assert jitload.stats().hits["bundle"] == before + 1
    assert kernel.kernel() is compiled


def test_threads_that_a_recorded_block_starts_are_recorded(tmp_path):
    kernel = make(AXPY + "// in a thread\n")
    with jitload.record(tmp_path / "app.jlw"), ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, kernel[1, 8], 1.0, ones(), ones(), 8).result()
        pool.submit(jitload.compile, AXPY + "// bare\n", arch="compute_75").result()
    texts = "".join(Workload.read(tmp_path / "app.jlw").texts.values())
    assert "// in a thread" in texts
    assert "// bare" in texts
    assert jitload.config.current().record is None


def test_a_recording_is_no_reason_for_a_loaded_kernel_to_fail(tmp_path, caplog):
    (tmp_path / "axpy.cu").write_text(AXPY)

    @jit_kernel(file=tmp_path / "axpy.cu")
    def axpy(a, x, y, n): ...

    axpy[1, 8](1.0, ones(), ones(), 8)
    (tmp_path / "axpy.cu").unlink()
    with jitload.record(tmp_path / "app.jlw"):
        axpy[1, 8](1.0, ones(), y := ones(), 8)
    assert y[0] == 2
    assert "axpy is not recorded" in caplog.text


def test_include_dirs_as_one_path_is_refused():
    with pytest.raises(TypeError, match="include_dirs is a list"):
        make(include_dirs="inc").request()


def test_a_path_object_as_the_file(tmp_path):
    (tmp_path / "axpy.cu").write_text(AXPY)

    @jit_kernel(file=Path(tmp_path, "axpy.cu"))
    def axpy(a, x, y, n): ...

    y = ones()
    axpy[1, 8](2.0, ones(), y, 8)
    assert (y == 3).all()


PICKLED = """
import pickle, sys
from multiprocessing import get_context

import numpy as np
import jitload

@jitload.jit_kernel
def fill(x, *, VALUE=1):
    "template<int VALUE> __global__ void fill(int *x) { *x = VALUE; }"

def run(kernel):
    x = np.zeros(1, np.int32)
    kernel[1, 1](x)
    return int(x[0])

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(fill)) is fill
    assert pickle.loads(pickle.dumps(fill.specialize(VALUE=2).specialize(VALUE=3))) is fill.specialize(VALUE=3)
    with get_context("spawn").Pool(1) as pool:
        print(*pool.map(run, [fill, fill.specialize(VALUE=7)]))
"""


def test_a_kernel_goes_to_a_worker_process_by_its_name(tmp_path):
    (tmp_path / "app.py").write_text(PICKLED)
    environment = {**os.environ, "PYTHONPATH": str(Path(jitload.__file__).parents[1]), "JITLOAD_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "1 7\n"), done.stderr


@pytest.mark.usefixtures("needs_no_gpu")
@pytest.mark.parametrize("options", [{"arch": "sm_90"}, {"arch": "90"}, {"arch": ["sm_80", "sm_90"]}], ids=str)
def test_machine_code_where_there_is_no_gpu_is_told_what_runs_here(options):
    kernel = make(**options)
    with pytest.raises(
        jitload.LoadError, match=r"runs on a GPU alone\. What runs here.*leave kind= and arch= out"
    ) as caught:
        kernel[1, 8](2.0, ones(), ones(), 8)
    assert caught.value.__suppress_context__  # the reason stands in the message


def test_hints_and_grids_that_follow_from_the_arguments():
    """A parameter of a declaration is meant before the hint of that name; a grid without blocks runs nothing."""

    @jitload.jit_kernel(source='extern "C" __global__ void put(int *x, int priority) { x[blockIdx.x] = priority; }')
    def put(x, priority): ...

    x = np.zeros(4, np.int32)
    put(x, priority=7, grid=2, block=1, pdl=True, carveout_percent=50)
    assert x.tolist() == [7, 7, 0, 0]
    put[lambda x, priority: len(x), 1](x, 5)
    assert x.tolist() == [5, 5, 5, 5]
    put[0, 1](x, 9)
    put(x, 9, grid=lambda x, priority: 0 * priority, block=1)
    assert x.tolist() == [5, 5, 5, 5]


CONSTANTS = """
namespace n { __constant__ float coeff[2]; }
__device__ int calls;
template <typename T> __global__ void k(T *out) { *out = n::coeff[0] + n::coeff[1]; ++calls; }
"""


def test_variables_are_set_by_name_before_and_after_the_first_launch(cache_dir):
    """Compiled, and from a hit; each specialization has its own."""
    for _ in range(2):

        @jit_kernel(source=CONSTANTS, entry="k<{T}>")
        def k(out, *, T="float"): ...

        double = k.specialize(T="double")
        k.constant("n::coeff", np.array([1, 2], "f4"))
        double.constant("&n::coeff", memoryview(np.array([5, 5], "f4")))
        out, wide, calls = np.zeros(1, "f4"), np.zeros(1, "f8"), np.zeros(1, "i4")
        k[1, 1](out)
        double[1, 1](wide)
        assert (out[0], wide[0]) == (3, 10)
        k.constant("n::coeff", np.array([4, 2], "f4"))
        k[1, 1](out)
        assert out[0] == 6
        k.module.get_global("calls").copy_to(calls)
        assert calls[0] == 2
        with pytest.raises(SymbolNotFoundError, match="no variable 'n::other'"):
            k.constant("n::other", out)
        with pytest.raises(ArgumentError, match="has 8 bytes, and the array has 16"):
            k.constant("n::coeff", np.zeros(2, "f8"))


def test_a_variable_of_an_open_template_is_refused():
    @jit_kernel(source=CONSTANTS, entry="k<{T}>")
    def k(out, *, T): ...

    with pytest.raises(ArgumentError, match=r"T.*constant"):
        k.constant("n::coeff", np.zeros(2, "f4"))


@jitload.jit_kernel(source="template <class T, int N> __global__ void fill_open(T *x, T v) { x[threadIdx.x] = v + N; }")
def fill_open(x, v, *, T: str = ..., N: int = 3) -> None: ...


def test_dots_as_a_default_leave_a_template_argument_open():
    """They are for type checkers, by which a call may leave it out; the array says what it is."""
    x = np.zeros(4, np.int16)
    fill_open[1, 4](x, 2)
    assert x.tolist() == [5, 5, 5, 5]
    with pytest.raises(jitload.ArgumentError, match="'T'"):
        fill_open.bind(grid=1, block=4)


def test_dots_as_a_default_are_no_argument_of_a_launch():
    @jitload.jit_kernel(source='extern "C" __global__ void two(int *x, int n) { x[0] = n; }')
    def two(x, n: int = ...): ...

    with pytest.raises(jitload.ArgumentError, match="lacks argument 'n'"):
        two[1, 1](np.zeros(1, np.int32))


def test_a_declaration_may_stand_in_annotations():
    assert typing.get_origin(jitload.JitKernel[[int, float]]) is jitload.JitKernel
