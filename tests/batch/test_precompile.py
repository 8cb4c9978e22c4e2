"""Batches: only what is missing is compiled, failures are collected, headers are shared without changing a byte."""

from __future__ import annotations

import inspect
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import jitload
from jitload import Cache, CompileError, CompileRequest, UsageTypeError
from jitload.batch.answer import answer_batch, compile_batch
from jitload.batch.precompile import precompile
from jitload.batch.report import PrecompileReport
from jitload.batch.work import Batch, Result
from jitload.batch.workers import compile_in_processes
from jitload.compiler.isolate import CompilerProcess
from jitload.door import compile_request
from jitload.inquiry import look_up

HALF = """#include <cuda_fp16.h>
// kernel %(n)d
template <typename T> __global__ void twice(T *x, int n) {
  int i = threadIdx.x + %(n)d;
  if (i < n) x[i] = x[i] + x[i];
}
extern "C" __global__ void line(int *x) { *x = __LINE__; }
"""
# NVRTC 12.9.86 ends its process with a signal here; one that does not has errors to report.
DEADLY = CompileRequest(
    "template<class T> __global__ void r(}T*x){}", kind="cubin", arch="sm_80", names=["r<int>"], name="deadly.cu"
)
BROKEN = CompileRequest("oops", kind="cubin", arch="sm_80", name="broken.cu")


def simple(number: int, **changes) -> CompileRequest:
    source = f'extern "C" __global__ void k{number}(int *x) {{ *x = {number}; }}'
    return CompileRequest(source, **{"kind": "cubin", "arch": "sm_80", "name": f"k{number}.cu", **changes})


def half(number: int, **changes) -> CompileRequest:
    fields = {"kind": "cubin", "arch": "sm_80", "name": f"half{number}.cu", "names": ["twice<__half>"], **changes}
    return CompileRequest(HALF % {"n": number}, **fields)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def outcomes(report: PrecompileReport) -> tuple[int, int, int]:
    return len(report.compiled), len(report.cached), len(report.failed)


def test_what_is_compiled_is_in_the_cache_of_this_process_and_on_the_disk(cache, tmp_path):
    requests = [simple(1), half(1)]
    report = precompile(requests, cache=cache, jobs=2)
    assert report.compiled == tuple(requests)
    assert report.ok
    for request in requests:
        assert look_up(request, cache).artifact == compile_request(request, Cache())
        assert look_up(request, Cache(tmp_path / "cache")).artifact is not None
    assert {entry.name for entry in cache.entries()} == {"k1.cu", "half1.cu"}, "the workers wrote the index"


def test_a_second_run_starts_no_process(cache, monkeypatch):
    precompile([simple(1), simple(2)], cache=cache)
    monkeypatch.setattr("jitload.batch.workers.CompilerProcess", None)
    report = precompile([simple(1), simple(2)], cache=cache)
    assert report.cached == (simple(1), simple(2))
    assert outcomes(report) == (0, 2, 0)


def test_only_what_is_missing_is_compiled(cache):
    precompile([simple(1)], cache=cache)
    report = precompile([simple(1), simple(2)], cache=cache)
    assert (report.cached, report.compiled) == ((simple(1),), (simple(2),))


def test_one_request_is_compiled_once_however_often_it_is_given(cache):
    assert outcomes(precompile([simple(1), simple(1)], cache=cache)) == (1, 0, 0)


def test_failures_are_collected_and_the_others_kept(cache):
    seen = []
    report = precompile(
        [simple(1), BROKEN, simple(2)], cache=cache, progress=lambda *arguments: seen.append(arguments), jobs=1
    )
    assert report.compiled == (simple(1), simple(2))
    ((request, error),) = report.failed
    assert request == BROKEN
    assert isinstance(error, CompileError)
    assert (error.file, error.line) == ("broken.cu", 1)
    assert not report.ok
    assert [(done, total) for done, total, _, _ in seen] == [(1, 3), (2, 3), (3, 3)]
    assert {request.name: outcome for _, _, request, outcome in seen} == {
        "k1.cu": "compiled",
        "k2.cu": "compiled",
        "broken.cu": "failed",
    }


def test_the_report_reads_well(cache):
    text = str(precompile([simple(1), BROKEN], cache=cache))
    first, second, third = text.splitlines()[:3]
    assert first.startswith("2 requests in ")
    assert first.endswith(" s: 1 compiled, 0 cached, 1 failed")
    assert second == "  broken.cu (cubin, sm_80)"
    assert "does not compile" in third


def test_requests_are_made_for_every_arch(cache, tmp_path):
    file = tmp_path / "axpy.cu"
    file.write_text("template <int N> __global__ void axpy(float *x) { x[threadIdx.x] *= N; }\n")
    request = CompileRequest(file, kind="cubin", arch="sm_75", names=["axpy<2>"])
    plain = tmp_path / "plain.cu"
    plain.write_text("__global__ void plain() {}\n")
    report = precompile([request, plain], ["sm_80", "sm_90,compute_90"], cache=cache)
    made = [(str(one.kind), one.arch, one.names) for one in report.compiled]
    assert made == [
        (kind, arch, names)
        for names in (("axpy<2>",), ())
        for kind, arch in (("cubin", "sm_80"), ("cubin", "sm_90"), ("ptx", "compute_90"))
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("template <int N> __global__ void axpy(float *x) { *x = N; }", 'give names=["axpy<256>"]'),
        ("", "there is no code in it"),
        ("// nothing yet\n", "there is no code in it"),
        ("__device__ int twice(int x) { return 2 * x; }", "it has no __global__ function"),
    ],
    ids=["template", "empty", "comment", "device function"],
)
@pytest.mark.parametrize("target", [("cubin", "sm_80"), ("ptx", "compute_80"), ("fatbin", ["sm_80", "compute_80"])])
def test_a_file_without_a_kernel_is_a_failure_each_time(cache, tmp_path, source, said, target):
    """Also where the cache has it: `compile` takes device code to look at, and keeps it."""
    (tmp_path / "k.cu").write_text(source)
    request = CompileRequest(tmp_path / "k.cu", kind=target[0], arch=target[1])
    for _ in range(2):
        ((_, error),) = precompile([request], cache=cache, jobs=1).failed
        assert isinstance(error, CompileError)
        assert said in str(error)
        assert "no kernel for" in str(error)


@pytest.mark.parametrize(
    "request_",
    [
        CompileRequest("__device__ int counter = 3;", kind="ptx", arch="compute_80"),
        CompileRequest("__constant__ float table[4];", kind="cubin", arch="sm_80"),
        CompileRequest("__device__ int counter;", kind="fatbin", arch=["sm_80", "sm_90"]),
        CompileRequest("__device__ int f(int x) { return x; }", kind="ltoir", arch="sm_80"),
        CompileRequest("__device__ int f(int x) { return x; }", kind="cubin", arch="sm_80", options=["-rdc=true"]),
        CompileRequest("template <class T> __global__ void k(T *x) {}", kind="ptx", arch="compute_80", options=["-dc"]),
    ],
    ids=["global", "constant", "fatbin", "ltoir", "rdc", "dc"],
)
def test_what_has_another_use_than_to_be_launched_is_made(cache, tmp_path, request_):
    (tmp_path / "k.cu").write_text(request_.source)
    file = CompileRequest(tmp_path / "k.cu", kind=request_.kind, arch=request_.archs, options=request_.options)
    assert precompile([file], cache=cache, jobs=1).ok


def test_what_an_application_compiled_without_a_kernel_is_made_again(cache, tmp_path):
    """It was recorded as it was asked for, and that it has no use for a launch is known to who asked."""
    source = "__device__ int twice(int x) { return 2 * x; }"
    with jitload.record(tmp_path / "app.jlw"):
        jitload.compile(source, arch="compute_80", cache=cache)
    assert precompile(tmp_path / "app.jlw", cache=Cache(tmp_path / "other"), jobs=1).ok


def test_a_source_that_fails_for_every_arch_is_told_once_and_each_arch_is_named(cache):
    archs = ["sm_80", "sm_90", "compute_80"]
    report = precompile([BROKEN, simple(1)], archs, cache=cache)
    assert outcomes(report) == (3, 0, 3)
    ((requests, text),) = report.errors
    assert [request.arch for request in requests] == archs
    assert text.startswith("broken.cu does not compile for sm_80, sm_90, compute_80 (NVRTC_ERROR_COMPILATION):")
    assert str(report).count("does not compile") == 1
    assert "\n  broken.cu (cubin sm_80, cubin sm_90, ptx compute_80)\n" in str(report)


def test_what_fails_in_other_words_is_told_for_itself(cache):
    """For one arch alone, in another source, or for other template arguments."""
    source = "#if __CUDA_ARCH__ >= 900\n#error new\n#else\n#error old\n#endif\n__global__ void k() {}"
    split = CompileRequest(source, kind="cubin", arch="sm_80", name="split.cu")
    other = CompileRequest("oops", kind="cubin", arch="sm_80", name="other.cu")
    report = precompile([split, BROKEN, other], ["sm_80", "sm_86", "sm_90"], cache=cache)
    assert [tuple(request.arch for request in requests) for requests, _ in report.errors] == [
        ("sm_80", "sm_86"),
        ("sm_90",),
        ("sm_80", "sm_86", "sm_90"),
        ("sm_80", "sm_86", "sm_90"),
    ]


WARM = 'extern "C" __global__ void warm(int *x) { x[blockIdx.x * 100000000] = 1; } // %s\n'
LAUNCH = """
import sys, numpy as np, jitload
@jitload.jit_kernel(file=sys.argv[1])
def warm(x): ...
said = warm.explain()
x = np.zeros(1, np.int32)
warm[1, 1](x)
stats = jitload.stats()
print(stats.compiles, stats.hits["disk"], said.outcome, said.tier)
try:
    warm[2, 1](x)
except jitload.CpuFault as fault:
    print(fault.cuda_line.rsplit("/", 1)[-1])
"""


def launched(path, **environment):
    env = {**os.environ, "JITLOAD_DEVICE": "cpu", "PYTHONPATH": str(Path(jitload.__file__).parents[1]), **environment}
    done = subprocess.run([sys.executable, "-c", LAUNCH, str(path)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:2]


@pytest.mark.parametrize("way", ["kernel", "path", "plan", "request", "command", "command with a plan"])
def test_precompiling_for_its_arch_warms_the_executor(tmp_path, way):
    """The launch hits, and its faults still name CUDA lines; the report speaks of what was asked for alone."""
    source = tmp_path / "warm.cu"
    source.write_text(WARM % way)
    plan = tmp_path / "plan.toml"
    plan.write_text('archs = ["compute_90", "sm_80"]\n[[program]]\nsources = ["warm.cu"]\n')

    @jitload.jit_kernel(file=source)
    def warm(x): ...

    archs = ["compute_90", "sm_80"]
    if way.startswith("command"):
        files = [str(plan)] if way.endswith("plan") else [str(source), "--arch", "compute_90,sm_80"]
        command = [sys.executable, "-m", "jitload", "precompile", *files]
        env = {**os.environ, "PYTHONPATH": str(Path(jitload.__file__).parents[1])}
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "2 compiled, 0 cached, 0 failed" in done.stdout
    else:
        wanted = CompileRequest(source, kind="ptx", arch="compute_90")
        items, chosen = {
            "kernel": ([warm], archs),
            "path": ([source], archs),
            "plan": ([plan], None),
            "request": ([wanted], archs),
        }[way]
        seen = []
        report = jitload.precompile(items, chosen, progress=lambda *news: seen.append(news[:2]))
        assert outcomes(report) == (2, 0, 0)
        assert seen == [(1, 2), (2, 2)]
        assert outcomes(jitload.precompile(items, chosen)) == (0, 2, 0)
    assert launched(source) == ["0 1 hit disk", "warm.cu:1"]


def test_what_only_serves_gets_no_image_beside_it(cache, tmp_path):
    """Nothing is asked for that could not be made, and a list of requests is made as it stands."""
    request = simple(7, kind="ptx", arch="compute_90")
    assert outcomes(precompile([request], cache=cache)) == (1, 0, 0)
    assert len(list(cache.entries())) == 1
    with jitload.configure(compile="never"):
        assert outcomes(precompile([request], ["compute_90"], cache=cache)) == (0, 1, 0)
    assert outcomes(precompile([request], ["compute_90"], cache=cache)) == (0, 1, 0)
    assert len(list(Cache(cache.directory).entries())) == 2


def test_threads_of_an_executor_work_under_the_settings_of_whoever_asks(cache):
    """A thread begins without the block that it is used in."""
    with ThreadPoolExecutor(2) as pool:
        assert outcomes(precompile([simple(1), simple(2)], cache=cache, executor=pool)) == (2, 0, 0)
        before = jitload.stats().compiles
        with jitload.configure(compile="always"):
            assert outcomes(precompile([simple(1), simple(2)], cache=cache, executor=pool)) == (2, 0, 0)
        assert jitload.stats().compiles == before + 2


def test_one_fatbin_is_made_for_all_archs(cache):
    report = precompile([simple(1)], ["sm_80", "sm_90"], kinds="fatbin", cache=cache)
    ((kind, archs),) = [(str(one.kind), one.archs) for one in report.compiled]
    assert (kind, archs) == ("fatbin", ("sm_80", "sm_90"))


def test_a_kernel_knows_its_request(cache):
    @jitload.jit_kernel(source='extern "C" __global__ void scale(float *x) { *x *= 2; }')
    def scale(x): ...

    report = precompile([scale], ["sm_90"], cache=cache)
    assert report.compiled == (scale.request(arch="sm_90"),)
    assert look_up(scale.request(arch="sm_90"), cache).artifact is not None


def test_several_kinds_at_once_and_only_what_is_missing_again(cache, tmp_path):
    """From a request, a file, a kernel, a plan and the file of a workload alike."""

    @jitload.jit_kernel(source='extern "C" __global__ void k1(float *x) { *x *= 2; }')
    def k1(x): ...

    (tmp_path / "k2.cu").write_text("__global__ void k2() {}\n")
    (tmp_path / "k3.cu").write_text("__global__ void k3() {}\n")
    (tmp_path / "plan.toml").write_text('archs = ["sm_70"]\n[[program]]\nsources = ["k3.cu"]\n')
    with jitload.record(tmp_path / "app.jlw"), jitload.configure(device="cpu"):
        jitload.compile("__global__ void k4() {}", name="k4.cu", cache=Cache())
    items = [simple(0), k1, tmp_path / "k2.cu", tmp_path / "plan.toml", tmp_path / "app.jlw"]
    archs = ["sm_80,sm_90", "compute_75"]
    first = precompile(items, archs, kinds="cubin,ptx", cache=cache)
    assert first.ok, str(first)
    images = [("cubin", "sm_80"), ("cubin", "sm_90"), ("ptx", "compute_75")]
    made = {}
    for one in first.compiled:
        made.setdefault(one.name, []).append((str(one.kind), one.arch))
    assert len(made) == len(items)
    assert all(sorted(found) == images for found in made.values())
    again = precompile(items, archs, kinds=["cubin", "ptx", "fatbin"], cache=cache)
    assert outcomes(again) == (5, 15, 0)
    assert {(str(one.kind), one.arch) for one in again.compiled} == {("fatbin", "sm_80,sm_90,compute_75")}


def test_kinds_without_archs_are_for_the_arch_of_each(cache):
    report = precompile([simple(1)], kinds=["cubin", "ptx"], cache=cache)
    assert [(str(one.kind), one.arch) for one in report.compiled] == [("cubin", "sm_80"), ("ptx", "sm_80")]
    with jitload.record(cache.directory + ".jlw"), jitload.configure(device="cpu"):
        jitload.compile("__global__ void k() {}", cache=Cache())
    from jitload.workloads.workload import Workload

    with pytest.raises(ValueError, match="compiled as recorded"):
        precompile(Workload.read(cache.directory + ".jlw"), kinds="ptx", cache=cache)


def test_a_recorded_workload_is_compiled_elsewhere(cache, tmp_path):
    """With its headers, which are gone, and for other archs where the application left that to the device."""
    from jitload.workloads.workload import Workload

    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "n.h").write_text("#define N 4\n")
    for number in (1, 2):
        (tmp_path / "app" / f"k{number}.cu").write_text(
            f'#include "n.h"\n__global__ void k{number}(int *x) {{ *x = N; }}\n'
        )
    with jitload.record(tmp_path / "app.workload"), jitload.configure(device="cpu"):
        for number in (1, 2):
            jitload.compile(tmp_path / "app" / f"k{number}.cu", cache=Cache())
    shutil.rmtree(tmp_path / "app")
    report = precompile(Workload.read(tmp_path / "app.workload"), ["sm_80", "compute_90"], cache=cache)
    assert report.ok, str(report)
    assert sorted((one.name, one.arch) for one in report.compiled) == [
        (name, arch) for name in ("k1.cu", "k2.cu") for arch in ("compute_90", "sm_80")
    ]


@pytest.mark.parametrize("item", ["k.cu", b"", 3])
def test_text_is_not_taken_for_a_file(item):
    with pytest.raises(TypeError, match="CompileRequest"):
        precompile([item])


def test_no_jobs_is_refused(cache):
    with pytest.raises(ValueError, match="jobs=0"):
        precompile([simple(1)], cache=cache, jobs=0)


def test_a_cache_in_memory_gets_the_artifacts_themselves():
    cache = Cache()
    assert outcomes(precompile([simple(1)], cache=cache)) == (1, 0, 0)
    assert outcomes(precompile([simple(1)], cache=cache)) == (0, 1, 0)
    assert look_up(simple(1), cache).artifact == compile_request(simple(1), Cache())


def test_a_read_only_cache_stays_as_it_is(tmp_path):
    precompile([simple(1)], cache=Cache(tmp_path / "cache"))
    before = sorted(tmp_path.rglob("*"))
    cache = Cache(tmp_path / "cache", read_only=True)
    assert outcomes(precompile([simple(1), simple(2)], cache=cache)) == (1, 1, 0)
    assert look_up(simple(2), cache).artifact is not None
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unwritable_cache_costs_a_warning_and_no_result(tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "cache")
    assert outcomes(precompile([simple(1)], cache=cache)) == (1, 0, 0)
    assert look_up(simple(1), cache).artifact is not None


def test_what_depends_on_the_time_of_day_cannot_be_kept(cache):
    request = CompileRequest("__device__ const char *t = __TIME__;", kind="cubin", arch="sm_80", name="t.cu")
    ((_, error),) = precompile([request], cache=cache).failed
    assert "cannot be kept: __TIME__ in t.cu, line 1" in str(error)


def test_where_compiling_is_off_each_missing_request_is_a_failure(cache):
    precompile([simple(1)], cache=cache)
    with jitload.configure(compile="never"):
        report = precompile([simple(1), simple(2)], cache=cache)
    assert report.cached == (simple(1),)
    assert [type(error) for _, error in report.failed] == [jitload.NotPrecompiledError]


def test_the_settings_of_this_process_hold_in_the_workers(cache, monkeypatch):
    monkeypatch.setenv("JITLOAD_COMPILE", "never")
    with jitload.configure(compile="always"):
        assert outcomes(precompile([simple(1)], cache=cache)) == (1, 0, 0)
        assert outcomes(precompile([simple(1)], cache=cache)) == (1, 0, 0)


# Executors


def test_threads_do(cache):
    with ThreadPoolExecutor(2) as executor:
        report = precompile([half(1), half(2), BROKEN], cache=cache, executor=executor)
    assert outcomes(report) == (2, 0, 1)
    assert outcomes(precompile([half(1), half(2)], cache=cache)) == (0, 2, 0)


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_processes_do(cache, start):
    with ProcessPoolExecutor(2, mp_context=get_context(start)) as executor:
        report = precompile([half(1), half(2), BROKEN], cache=cache, executor=executor)
        assert outcomes(report) == (2, 0, 1)
        assert outcomes(precompile([simple(3)], cache=Cache(), executor=executor)) == (1, 0, 0)
    written = {entry.key for entry in Cache(cache.directory).entries()}
    assert {key for key, _ in Cache(cache.directory).index.rows()} == written, "a worker may end without a word"
    assert len(written) == 2
    assert outcomes(precompile([half(1), half(2)], cache=cache)) == (0, 2, 0)


@pytest.mark.parametrize("executor", [5, "tcp://scheduler:8786", object(), Cache])
def test_what_is_no_executor_is_refused_whether_it_is_needed_or_not(cache, executor):
    for requests in ([], [simple(1)]):
        with pytest.raises(UsageTypeError, match="an executor has submit"):
            precompile(requests, cache=cache, executor=executor)


def test_an_executor_that_was_shut_down_fails_its_requests(cache):
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    report = precompile([simple(1), simple(2)], cache=cache, executor=closed)
    assert outcomes(report) == (0, 0, 2)
    assert "the executor gave no result: RuntimeError: cannot schedule" in str(report.failed[0][1])


def test_an_executor_that_gives_no_result_fails_its_requests_and_no_others(cache):
    class Forgetful(ThreadPoolExecutor):
        def submit(self, function, batch):
            return super().submit(function if batch.requests[0] != simple(2) else "not a function", batch)

    with Forgetful(1) as executor:
        report = precompile([simple(1), simple(2), simple(3)], cache=cache, executor=executor)
    assert report.compiled == (simple(1), simple(3))
    ((request, error),) = report.failed
    assert request == simple(2)
    assert "k2.cu: the executor gave no result: TypeError" in str(error)


def test_requests_batches_and_results_travel():
    request = half(1, defines={"N": 4, "BARE": None}, headers={"a.h": "\udcff"})
    result = Result(request, "failed", CompileError("no", file="a", line=3, log="l"))
    again = pickle.loads(pickle.dumps(result))
    assert again.request == request
    assert (str(again.error), again.error.line, again.error.log) == ("no", 3, "l")
    batch = Batch([request], Cache(), "/nowhere", "missing")
    assert pickle.loads(pickle.dumps(batch)) == batch


def test_a_batch_is_its_own_whole(cache):
    """What an executor runs in some worker: no cache object, no settings, no scratch directory of ours."""
    (result,) = compile_batch(Batch([simple(1)], cache, "/nowhere", "missing"))
    assert result.outcome == "compiled"
    assert look_up(simple(1), cache).artifact is not None


# A compiler that dies


def check_the_deadly(report: PrecompileReport, good: tuple[CompileRequest, ...]) -> None:
    assert report.compiled == good
    ((request, error),) = report.failed
    assert request == DEADLY
    assert isinstance(error, CompileError)
    if compile_request(simple(1), Cache()).toolchain.version == "12.9.86":
        assert "deadly.cu: the compiler died with signal 11 (SIGSEGV) on this request" in str(error)
        assert "'r<int>'" in str(error)


def test_a_compiler_that_dies_takes_down_one_request(cache):
    good = (simple(1), simple(2), simple(3))
    check_the_deadly(precompile([simple(1), DEADLY, simple(2), simple(3)], cache=cache, jobs=1), good)


def test_a_compiler_that_dies_breaks_a_pool_and_loses_nothing(cache):
    good = (simple(1), half(1), half(2))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        report = precompile([simple(1), DEADLY, half(1), half(2)], cache=cache, executor=executor, jobs=2)
        check_the_deadly(report, good)
        # The pool stays broken; it is no longer asked.
        again = precompile([simple(4)], cache=cache, executor=executor)
        assert again.compiled == (simple(4),) or "12.9.86" not in str(compile_request(simple(1)).toolchain)


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """A module that workers can import, with ways to end."""
    (tmp_path / "ways_to_end.py").write_text(
        textwrap.dedent(
            """
            import os, signal, time
            from pathlib import Path
            from jitload.batch.answer import answer_batch

            def by_signal(batch):
                for request in batch.requests:
                    if request.name == "k2.cu":
                        os.kill(os.getpid(), signal.SIGKILL)
                    yield from answer_batch(batch.of([request], share_headers=False))

            def once(batch):
                mark = Path(__file__).with_name("been-here")
                for request in batch.requests:
                    if request.name == "k2.cu" and not mark.exists():
                        mark.touch()
                        os.kill(os.getpid(), signal.SIGABRT)
                    yield from answer_batch(batch.of([request], share_headers=False))

            def by_exit(batch):
                os._exit(3)
                yield

            def never(batch):
                for request in batch.requests:
                    if request.name == "k2.cu":
                        time.sleep(600)
                    yield from answer_batch(batch.of([request], share_headers=False))
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import ways_to_end

    yield ways_to_end
    del sys.modules["ways_to_end"]


def run(answer, cache, **options):
    batch = Batch([simple(number) for number in (1, 2, 3)], cache, "/nowhere", "missing")
    results = list(compile_in_processes([batch], 1, answer=answer, **options))
    assert sorted(result.request.name for result in results) == ["k1.cu", "k2.cu", "k3.cu"]
    return {result.request.name: result for result in results}


def test_a_killed_worker_costs_the_request_that_it_dies_of(answers, cache):
    results = run(answers.by_signal, cache)
    assert [results[name].outcome for name in ("k1.cu", "k3.cu")] == ["compiled", "compiled"]
    assert "died with signal 9 (SIGKILL) on this request" in str(results["k2.cu"].error)


def test_a_worker_killed_by_chance_costs_nothing(answers, cache):
    assert {result.outcome for result in run(answers.once, cache).values()} == {"compiled"}


def test_a_worker_that_only_ends_is_reported_for_each_request(answers, cache):
    for result in run(answers.by_exit, cache).values():
        assert "ended with exit code 3" in str(result.error)


def test_a_worker_that_hangs_is_stopped(answers, cache):
    results = run(answers.never, cache, bound_seconds=10)
    assert [results[name].outcome for name in ("k1.cu", "k3.cu")] == ["compiled", "compiled"]
    assert "gave no answer within 10 s and was stopped" in str(results["k2.cu"].error)


def test_none_compiles_before_the_one_ahead_of_it(cache):
    """Who waits for one with large headers waits for no other, which would be taken for its own hanging."""
    wanted = [half(1), simple(2)]
    results = list(compile_in_processes([Batch(wanted, cache, "/nowhere", "missing")], 1))
    first, second = (result.turn for result in results)
    artifact = look_up(wanted[0], cache).artifact
    assert artifact is not None
    assert second.began - first.began >= artifact.compile_seconds


def test_an_interrupted_run_leaves_no_process(cache, monkeypatch):
    started = []

    class Watched(CompilerProcess):  # type: ignore[misc]
        def __init__(self, answer, directory):
            super().__init__(answer, directory)
            started.append(self.pid)

    monkeypatch.setattr("jitload.batch.workers.CompilerProcess", Watched)

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        precompile([simple(number) for number in range(8)], cache=cache, progress=interrupt, jobs=2)
    assert started
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_kernels_are_kept_in_their_own_caches_where_none_is_given(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("JITLOAD_CACHE_DIR", str(tmp_path / "users"))
    text = 'extern "C" __global__ void k(int *x) { *x = %d; }'

    def k(x): ...

    own = [jitload.jit_kernel(source=text % 1, cache=cache)(k), jitload.jit_kernel(source=text % 2)(k)]
    seen = []
    report = precompile([*own, simple(3)], "sm_80", jobs=1, progress=lambda done, total, *_: seen.append((done, total)))
    assert (len(report.compiled), report.ok, seen) == (3, True, [(1, 3), (2, 3), (3, 3)])
    assert (cache.stats().entries, Cache(tmp_path / "users").stats().entries) == (1, 2)
    other = Cache(tmp_path / "other")
    assert len(precompile(own, "sm_80", jobs=1, cache=other).compiled) == 2
    assert other.stats().entries == 2


# Shared headers


def answer_of_worker(requests, cache, scratch):
    """The results of one batch in a worker process, and the names of the files that NVRTC was made to write."""
    batch = Batch(requests, cache, str(scratch), "missing")
    with CompilerProcess(answer_batch) as process:
        process.ask(batch)
        results, files = [], set()
        for _ in requests:
            results.append(process.reply())
            files |= {path.suffix for path in scratch.rglob("*") if path.is_file()}
    return results, files


@pytest.mark.parametrize("options", [(), ("-lineinfo",), ("-G",), ("-std=c++20", "-w")], ids=" ".join)
def test_shared_headers_change_no_byte(cache, tmp_path, options):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    requests = [half(number, options=options) for number in range(12)]  # fewer would not be worth it
    results, files = answer_of_worker(requests, cache, scratch)
    assert [result.outcome for result in results] == ["compiled"] * 12
    assert files == {".pch"}
    assert not list(scratch.rglob("*")), "nothing outlives the batch"
    for request in requests[:3]:
        shared, single = look_up(request, cache).artifact, compile_request(request, Cache())
        assert (shared.key, shared.data, shared.log) == (single.key, single.data, single.log)
        assert shared.kernels == single.kernels


def test_shared_headers_of_cub_change_no_byte(cache, tmp_path):
    """600 headers, some of which are only named by macros."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = """#include <cub/block/block_reduce.cuh>
extern "C" __global__ void total(const float *x, float *sum) {
  using Reduce = cub::BlockReduce<float, %d>;
  __shared__ typename Reduce::TempStorage storage;
  float result = Reduce(storage).Sum(x[threadIdx.x]);
  if (threadIdx.x == 0) *sum = result;
}
"""
    requests = [CompileRequest(source % size, kind="cubin", arch="sm_90") for size in (64, 256)]
    results, files = answer_of_worker(requests, cache, scratch)
    assert [result.outcome for result in results] == ["compiled"] * 2
    assert files == {".pch"}
    shared, single = look_up(requests[1], cache).artifact, compile_request(requests[1], Cache())
    assert (shared.key, shared.data, shared.log) == (single.key, single.data, single.log)
    assert shared.kernels == single.kernels


def test_single_requests_write_no_precompiled_header(cache, tmp_path):
    _, files = answer_of_worker([half(1)], cache, tmp_path)
    assert ".pch" not in files


# The name


def test_a_script_needs_no_guard_and_can_come_from_standard_input(tmp_path):
    code = """
import jitload
from jitload.batch.precompile import precompile
request = jitload.CompileRequest("__global__ void k() {}", kind="cubin", arch="sm_80")
print(len(precompile([request], cache=jitload.Cache()).compiled))
"""
    done = subprocess.run([sys.executable, "-"], input=code, text=True, capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout == "1\n"
    assert not list(tmp_path.glob("*.pch"))


def test_the_signature_is_the_contract():
    parameters = inspect.signature(precompile).parameters
    assert list(parameters)[:2] == ["requests", "archs"]
    assert {"executor", "progress", "jobs", "cache", "kinds"} <= set(parameters)


def test_the_directory_of_whoever_asks_is_in_no_image(tmp_path, monkeypatch):
    """NVRTC writes its working directory into LTO-IR and into debug information, and bundles are built anywhere."""
    wanted = [simple(1, kind="ltoir"), simple(1, options=["-G"])]
    made = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        store = Cache(tmp_path / f"cache-{name}")
        assert precompile(wanted, cache=store, jobs=1).ok
        made.append([look_up(request, store).artifact.data for request in wanted])
    assert made[0] == made[1]


def test_a_progress_that_expects_a_count_is_told_it_first(tmp_path):
    """Before anything is compiled: a bar then begins with its length."""

    class Bar:
        def __init__(self):
            self.seen = []

        def expect(self, total):
            self.seen.append(("expect", total))

        def __call__(self, done, total, request, outcome):
            self.seen.append((done, total))

    (tmp_path / "k.cu").write_text('extern "C" __global__ void k(int *x) { *x = 1; }')
    bar = Bar()
    jitload.precompile([tmp_path / "k.cu"], ["sm_80", "sm_90"], jobs=1, progress=bar)
    assert bar.seen == [("expect", 2), (1, 2), (2, 2)]


def test_values_are_one_short_line_in_a_prompt(tmp_path):
    with jitload.Session(cache_dir=tmp_path):
        artifact = jitload.compile('extern "C" __global__ void k(const float *x, int n) {}', kind="cubin", arch="sm_80")
        request = CompileRequest("__global__ void k() {}", kind="cubin", arch="sm_80")
        report = PrecompileReport([request], [], [], 1.5)
        assert repr(report) == "<PrecompileReport of 1 request in 1.5 s: 1 compiled, 0 cached, 0 failed>"
        assert repr(artifact.kernels["k"]) == "<KernelInfo k(const float *x, int n)>"
        assert repr(jitload.Cache(tmp_path, read_only=True)) == f"Cache({str(tmp_path)!r}, read_only=True)"
        assert repr(jitload.stats()).startswith("Stats(bytes_stored=")
        assert "misses={'absent': 1}" in repr(jitload.stats())
        assert "evictions" not in repr(jitload.stats())
