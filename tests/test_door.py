"""The whole road with the real compiler: what hits, what misses and why, in one process and over several."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

import jitload
from jitload import door
from jitload.compiler import toolkit
from jitload.door import compile_request
from jitload.headers.closure import Closure
from jitload.source.arch import EXECUTOR_ARCH
from jitload.tiers.flight import single_flight

SOURCE = 'extern "C" __global__ void k(int *x) { *x = VALUE; }'
REPOSITORY = pathlib.Path(jitload.__file__).parent.parent


@pytest.fixture
def cache(tmp_path):
    return jitload.Cache(tmp_path / "cache")


def compiles() -> int:
    return jitload.stats().compiles


def value_of(artifact: jitload.Artifact) -> int:
    """The constant that a kernel of these tests stores, from its PTX."""
    import re

    return int(re.findall(rb"mov\.u32\s+%r1, (\d+);", artifact.data)[0])


def new(cache: jitload.Cache) -> jitload.Cache:
    """A cache object that knows nothing but the directory, like a new process."""
    return jitload.Cache(cache.directory)


def test_the_second_request_is_a_hit_and_the_bytes_are_equal(cache):
    source = SOURCE.replace("VALUE", "1")
    before = compiles()
    first = jitload.compile(source, arch="compute_75", cache=cache)
    hits = jitload.stats().hits
    assert jitload.compile(source, arch="compute_75", cache=cache) is first
    assert jitload.stats().hits["memory"] == hits["memory"] + 1
    again = jitload.compile(source, arch="compute_75", cache=new(cache))
    assert jitload.stats().hits["disk"] == hits["disk"] + 1
    assert again == first
    assert again.kernels == first.kernels
    assert compiles() == before + 1


def test_kind_and_arch_follow_from_each_other(cache):
    source = SOURCE.replace("VALUE", "1")
    assert jitload.compile(source, arch="sm_80", cache=cache).kind == "cubin"
    assert jitload.compile(source, arch="compute_80", cache=cache).kind == "ptx"
    assert jitload.compile(source, arch=["sm_80", "compute_80"], cache=cache).kind == "fatbin"
    with jitload.configure(device="cpu"):
        artifact = jitload.compile(source, cache=cache)
        assert (artifact.kind, artifact.arch) == ("ptx", EXECUTOR_ARCH)
        with pytest.raises(ValueError, match=r"write e\.g\. arch='sm_90', or kind='ptx'"):
            jitload.compile(source, kind="cubin", cache=cache)


def test_the_executor_gets_line_information_and_nobody_else(cache):
    """It takes part in the key; an arch that was asked for is compiled as it was asked for."""
    source, before = SOURCE.replace("VALUE", "731"), compiles()
    with jitload.configure(device="cpu"):
        chosen = jitload.compile(source, cache=cache)
        assert jitload.compile(source, options="-lineinfo", cache=cache).key == chosen.key
    asked = jitload.compile(source, kind="ptx", arch=chosen.arch, cache=cache)
    assert b".loc" in chosen.data
    assert b".loc" not in asked.data
    assert asked.key != chosen.key
    assert compiles() == before + 2


def test_what_the_device_wants_goes_with_the_device():
    request = jitload.CompileRequest(
        SOURCE, kind="ptx", arch="compute_75", options=["-w", "-UX"], device_options=["--generate-line-info"]
    )
    assert request.options == ("--disable-warnings", "--generate-line-info")
    assert request.as_written().options == ("--disable-warnings",)
    assert request.replace(names=["k"]).device_options == ("--generate-line-info",)
    assert request.replace(kind="cubin", arch="sm_90").options == ("--disable-warnings",)
    assert request.replace(kind="cubin", arch="sm_90").undefines == ("X",)
    written = jitload.CompileRequest(SOURCE, kind="ptx", arch="compute_75", options=["-w", "-UX", "-lineinfo"])
    assert written.digest == request.digest
    assert written.as_written() is written


@pytest.fixture
def project(tmp_path):
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "k.cu").write_text(f'#include "value.h"\n{SOURCE}\n')
    (directory / "value.h").write_text("#define VALUE 1\n")
    return directory


def compile_project(project, cache, **options):
    return jitload.compile(project / "k.cu", arch="compute_75", cache=new(cache), **options)


def test_editing_a_header_gives_the_new_kernel_and_back_again_hits(project, cache):
    assert value_of(compile_project(project, cache)) == 1
    (project / "value.h").write_text("#define VALUE 2\n")
    assert value_of(compile_project(project, cache)) == 2
    before = compiles()
    (project / "value.h").write_text("#define VALUE 1\n")
    assert value_of(compile_project(project, cache)) == 1
    assert compiles() == before


def test_editing_a_header_is_seen_in_the_same_process_and_cache(project, cache):
    for value in (1, 2, 3):
        (project / "value.h").write_text(f"#define VALUE {value}\n")
        assert value_of(jitload.compile(project / "k.cu", arch="compute_75", cache=cache)) == value


def test_a_header_reached_only_through_a_macro(project, cache):
    (project / "k.cu").write_text(f'#define NAME "value.h"\n#include NAME\n{SOURCE}\n')
    for value in (1, 2):
        (project / "value.h").write_text(f"#define VALUE {value}\n")
        assert value_of(compile_project(project, cache)) == value


def test_a_header_found_by_has_include(project, cache):
    (project / "k.cu").write_text(
        f'#if __has_include("extra.h")\n#include "extra.h"\n#else\n#define VALUE 7\n#endif\n{SOURCE}\n'
    )
    assert value_of(compile_project(project, cache)) == 7
    (project / "extra.h").write_text("#define VALUE 8\n")
    assert value_of(compile_project(project, cache)) == 8
    (project / "extra.h").write_text("#define VALUE 9\n")
    assert value_of(compile_project(project, cache)) == 9
    (project / "extra.h").unlink()
    before = compiles()
    assert value_of(compile_project(project, cache)) == 7
    assert compiles() == before


def test_a_header_that_newly_shadows_another(project, cache, tmp_path):
    (project / "k.cu").write_text(f"#include <value.h>\n{SOURCE}\n")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (second / "value.h").write_text("#define VALUE 20\n")
    directories = {"include_dirs": [first, second]}
    assert value_of(compile_project(project, cache, **directories)) == 20
    (first / "value.h").write_text("#define VALUE 10\n")
    assert value_of(compile_project(project, cache, **directories)) == 10


def test_a_moved_project_and_another_working_directory_still_hit(project, cache, tmp_path, monkeypatch):
    first = compile_project(project, cache)
    before = compiles()
    moved = tmp_path / "elsewhere" / "deeper"
    moved.parent.mkdir()
    shutil.move(project, moved)
    monkeypatch.chdir(moved.parent)
    assert compile_project(moved, cache) == first
    shutil.copytree(moved, tmp_path / "copy")
    assert compile_project(tmp_path / "copy", cache) == first
    assert compiles() == before


def test_a_lost_closure_record_costs_a_scan_and_no_compile(project, cache):
    first = compile_project(project, cache)
    before = compiles()
    shutil.rmtree(pathlib.Path(cache.directory) / "manifests")
    assert compile_project(project, cache) == first
    assert compiles() == before


def test_a_damaged_closure_record_is_put_aside(project, cache, caplog):
    first = compile_project(project, cache)
    (record,) = (pathlib.Path(cache.directory) / "manifests").glob("*/*")
    record.write_bytes(record.read_bytes()[:-1])
    before = compiles()
    assert compile_project(project, cache) == first
    assert compiles() == before
    assert "digest does not match" in caplog.text


def test_a_damaged_entry_is_compiled_once_more(project, cache, caplog):
    first = compile_project(project, cache)
    (entry,) = (pathlib.Path(cache.directory) / "objects").glob("*/*")
    entry.write_bytes(b"")
    before = compiles()
    assert compile_project(project, cache) == first
    assert compile_project(project, cache) == first
    assert compiles() == before + 1
    assert jitload.stats().misses["damaged"] >= 1
    assert "is not used" in caplog.text


def test_a_clock_macro_is_never_kept_and_said_once(cache, caplog):
    source = 'extern "C" __global__ void k(int *x) { *x = __TIME__[7]; }'
    before = compiles()
    jitload.compile(source, arch="compute_75", cache=cache)
    jitload.compile(source, arch="compute_75", cache=cache)
    assert compiles() == before + 2
    assert list(cache.entries()) == []
    assert len(caplog.records) == 1
    assert "__TIME__ in kernel.cu, line 1" in caplog.text


def test_an_unwritable_cache_never_fails_a_compile(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = jitload.Cache(tmp_path / "file" / "cache")
    for value in ("1", "2"):
        artifact = jitload.compile(SOURCE.replace("VALUE", value), arch="compute_75", cache=cache)
        assert value_of(artifact) == int(value)
    assert len([record for record in caplog.records if "cannot write" in record.getMessage()]) <= 1
    assert len(caplog.records) <= 3


def test_compile_never_and_seal(cache):
    source = SOURCE.replace("VALUE", "31")
    with jitload.configure(compile="never"), pytest.raises(jitload.NotPrecompiledError) as caught:
        jitload.compile(source, arch="compute_75", cache=cache)
    assert isinstance(caught.value, jitload.CompileDisabledError)
    for word in ("wanted", "searched", "fix", "JITLOAD_COMPILE"):
        assert word in str(caught.value)
    artifact = jitload.compile(source, arch="compute_75", cache=cache)
    with jitload.configure(compile="never"):
        assert jitload.compile(source, arch="compute_75", cache=new(cache)) == artifact
    jitload.seal()
    try:
        assert jitload.compile(source, arch="compute_75", cache=new(cache)) == artifact
        with pytest.raises(jitload.CompileDisabledError, match="sealed"):
            jitload.compile(source + "\n", arch="compute_75", cache=cache)
    finally:
        door.seal(False)


def test_compile_always_compiles_and_keeps(cache):
    source = SOURCE.replace("VALUE", "32")
    first = jitload.compile(source, arch="compute_75", cache=cache)
    before = compiles()
    with jitload.configure(compile="always"):
        assert jitload.compile(source, arch="compute_75", cache=cache) == first
    assert compiles() == before + 1


def test_eight_threads_compile_once(cache):
    source = SOURCE.replace("VALUE", "41")
    before = compiles()
    found = []
    start = threading.Barrier(8)

    def work():
        start.wait()
        found.append(jitload.compile(source, arch="compute_75", cache=cache))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compiles() == before + 1
    assert len(set(found)) == 1


WORKER = """
import json, sys, time, jitload
while time.time() < float(sys.argv[1]): pass
artifact = jitload.compile(sys.argv[2], kind="cubin", arch="sm_90")
stats = jitload.stats()
print(json.dumps([stats.compiles, artifact.key, len(artifact.data)]))
"""


def start_worker(source: str, cache_dir: pathlib.Path, start: float = 0.0, code: str = WORKER) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "JITLOAD_CACHE_DIR": str(cache_dir)}
    command = [sys.executable, "-c", code, str(start), source]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(worker: subprocess.Popen) -> list:
    out, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    return json.loads(out)


def test_eight_processes_on_one_cold_key_compile_once(tmp_path):
    start = time.time() + 1.5
    source = SOURCE.replace("VALUE", "51")
    results = [finish(worker) for worker in [start_worker(source, tmp_path / "cache", start) for _ in range(8)]]
    assert sum(count for count, _, _ in results) == 1
    assert len({(key, size) for _, key, size in results}) == 1


HANGING_WORKER = """
import sys, time, jitload
from jitload.compiler import program
def hang(*arguments):
    print("compiling", flush=True)
    time.sleep(600)
program.compile_artifact = hang
jitload.compile(sys.argv[2], kind="cubin", arch="sm_90")
"""


def test_a_killed_holder_does_not_block_the_next(tmp_path):
    source = SOURCE.replace("VALUE", "52")
    holder = start_worker(source, tmp_path / "cache", code=HANGING_WORKER)
    assert holder.stdout.readline() == "compiling\n"
    waiter = start_worker(source, tmp_path / "cache")
    time.sleep(1)
    assert waiter.poll() is None  # it waits for the holder
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert finish(waiter)[0] == 1


USE_KERNEL = """
import numpy as np, jitload
source = r'''
#include <cuda_fp16.h>
#include <cuda/std/limits>
extern "C" __global__ void k(float *x, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = __half2float(__float2half(x[i])) + cuda::std::numeric_limits<int>::digits;
}
'''
artifact = jitload.compile(source)
x = np.arange(100, dtype=np.float32)
artifact.load()["k"][1, 128](x, 100)
assert np.array_equal(x, np.arange(100) + 31), x
print(jitload.stats().compiles)
"""


def test_without_nvrtc_what_is_cached_runs_and_the_rest_names_the_extra(tmp_path, python_without_nvrtc):
    cache_dir = tmp_path / "cache"
    with_nvrtc = subprocess.run(
        [sys.executable, "-c", USE_KERNEL],
        env={**os.environ, "JITLOAD_CACHE_DIR": str(cache_dir), "JITLOAD_DEVICE": "cpu", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (with_nvrtc.stdout, with_nvrtc.returncode) == ("1\n", 0), with_nvrtc.stderr
    without = python_without_nvrtc("import cuda.bindings.nvrtc", cache_dir)
    assert "ModuleNotFoundError" in without.stderr
    without = python_without_nvrtc(USE_KERNEL, cache_dir)
    assert (without.stdout, without.returncode) == ("0\n", 0), without.stderr
    missing = python_without_nvrtc(USE_KERNEL.replace("int n)", "int n )"), cache_dir)
    assert missing.returncode != 0
    assert "NVRTC is not installed" in missing.stderr
    assert "pip install 'jitload[cu12]'" in missing.stderr


def test_a_clock_in_a_header_that_a_macro_names_is_seen_too(project, cache):
    (project / "k.cu").write_text(f'#define NAME "value.h"\n#include NAME\n{SOURCE}\n')
    (project / "value.h").write_text("#define VALUE __TIME__[7]\n")
    before = compiles()
    jitload.compile(project / "k.cu", arch="compute_75", cache=cache)
    jitload.compile(project / "k.cu", arch="compute_75", cache=cache)
    assert compiles() == before + 2


def test_iterators_are_arguments_like_any_other(cache):
    source = "template <int N> __global__ void k(int *x) { *x = N; }"
    for _ in range(2):
        artifact = jitload.compile(
            source,
            arch=iter(["compute_75"]),
            names=(name for name in ["k<3>"]),
            options=iter(["-lineinfo"]),
            cache=cache,
        )
        assert list(artifact.kernels) == ["k<3>"]


def test_ptx_is_text(cache):
    artifact = jitload.compile(SOURCE.replace("VALUE", "1"), arch="compute_75", cache=cache)
    assert b"\0" not in artifact.data
    assert artifact.data.decode().rstrip().endswith("}")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arch": 75}, "an arch is a str like 'sm_90' or 'compute_80', got int"),
        ({"arch": 75, "kind": "ptx"}, "an arch is a str like 'sm_90' or 'compute_80', got int"),
        ({"options": 3}, "options is a str or a list of them, got int"),
        ({"cache": "directory"}, "cache is a jitload.Cache, got str"),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(wrong, message):
    with pytest.raises(TypeError, match=message):
        jitload.compile(SOURCE, **{"kind": "ptx", "arch": "compute_75", **wrong})
    if "arch" in wrong and "kind" not in wrong:
        with pytest.raises(TypeError, match=message):
            jitload.compile(SOURCE, **wrong)


@pytest.mark.parametrize("explain", [jitload.explain, lambda asked: jitload.Cache().explain(asked)])
def test_what_cannot_be_explained_is_told(explain):
    with pytest.raises(TypeError, match="expected a CompileRequest or a jit_kernel, got str"):
        explain("saxpy.cu")


def test_an_arch_that_this_compiler_does_not_know_is_told_with_those_it_does(cache):
    with pytest.raises(jitload.CompileError, match=r"compiles for the compute capabilities .*\b90\b"):
        jitload.compile(SOURCE, kind="cubin", arch="sm_20", defines={"VALUE": 1}, cache=cache)


#: Includes a header whose name the compiler makes (it alone knows what __CUDACC_RTC__ stands for): late1.h.
UNFORESEEN = """
#define NAME__(x) <late##x.h>
#define NAME_(x) NAME__(x)
#include NAME_(__CUDACC_RTC__)
extern "C" __global__ void k(int *x) { *x = VALUE; }
"""


@pytest.fixture
def unforeseen(tmp_path):
    """`unforeseen(text)`: a request whose scan does not see the header with that text, so that it gives no key."""

    def make(text: str) -> jitload.CompileRequest:
        (tmp_path / "inc").mkdir(exist_ok=True)
        (tmp_path / "inc" / "late1.h").write_text(text)
        request = jitload.CompileRequest(UNFORESEEN, kind="ptx", arch="compute_75", include_dirs=[tmp_path / "inc"])
        assert list(Closure(request, ()).headers) == []
        return request

    return make


def test_the_clock_in_a_header_that_the_compiler_found_keeps_the_output_out_of_the_cache(unforeseen, cache, caplog):
    request, before = unforeseen("#define VALUE sizeof(__TIME__)\n"), compiles()
    for _ in range(2):
        compile_request(request, cache)
    assert compiles() == before + 2
    assert "__TIME__ in" in caplog.text
    assert list(cache.entries()) == []


def test_what_another_process_compiled_while_this_one_waited_is_not_compiled_again(unforeseen, cache, tmp_path):
    """The closure record is read once more behind the lock; a scan alone would not lead to this entry."""
    request = unforeseen("#define VALUE 5\n")
    compile_request(request, jitload.Cache(tmp_path / "theirs"))
    before, found = compiles(), []
    waiting = threading.Thread(target=lambda: found.append(compile_request(request, cache)))
    with single_flight(request.digest, cache.disk.directory):
        waiting.start()
        time.sleep(0.3)
        shutil.copytree(tmp_path / "theirs", cache.directory, dirs_exist_ok=True)
    waiting.join()
    assert value_of(found[0]) == 5
    assert compiles() == before


WITH_COMPILER = """
import ctypes, json, sys
if sys.argv[1]:
    ctypes.CDLL(sys.argv[1])
import jitload
from jitload.door import compile_request
request = jitload.CompileRequest(sys.argv[2], kind="ptx", arch="compute_75", include_dirs=[sys.argv[3]])
print(json.dumps([compile_request(request).toolchain.digest, jitload.stats().compiles]))
"""


def test_two_compilers_share_a_cache_and_each_is_served_its_own(unforeseen, tmp_path):
    """Neither gets what the other compiled, nor takes its place."""
    unforeseen("#define VALUE 5\n")
    directory = pathlib.Path(toolkit.find_nvrtc().library).parent
    other = tmp_path / "other"
    shutil.copytree(directory, other, ignore=lambda _, names: [name for name in names if "nvrtc" not in name])
    with open(other / pathlib.Path(toolkit.find_nvrtc().library).name, "ab") as file:
        file.write(b"another build")
    seen = []
    for library in ("", str(other / pathlib.Path(toolkit.find_nvrtc().library).name)) * 3:
        command = [sys.executable, "-c", WITH_COMPILER, library, UNFORESEEN, str(tmp_path / "inc")]
        seen.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert [count for _, count in seen] == [1, 1, 0, 0, 0, 0]
    assert [digest for digest, _ in seen] == [seen[0][0], seen[1][0]] * 3
    assert seen[0][0] != seen[1][0]


@pytest.mark.parametrize("options", ["-Iinclude", ["-I", "include"], ("--include-path=include",), "-I ../one/include"])
def test_a_relative_directory_among_the_options_is_that_of_the_working_directory(options, tmp_path, monkeypatch):
    """Of the second call too: the request of the first is remembered by what was written."""
    source = '#include "value.h"\nextern "C" __global__ void k(int *x) { *x = VALUE; }\n'
    cache = jitload.Cache()
    keys = []
    for number, place in enumerate(("a/one", "b/one")):
        (tmp_path / place / "include").mkdir(parents=True)
        (tmp_path / place / "include" / "value.h").write_text(f"#define VALUE {number}\n")
        monkeypatch.chdir(tmp_path / place)
        made = [jitload.compile(source, kind="ptx", arch="compute_90", options=options, cache=cache) for _ in range(2)]
        assert made[0] is made[1]
        keys.append(made[0].key)
    assert keys[0] != keys[1]
