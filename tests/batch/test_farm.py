"""The farm: on a real Dask cluster what comes back is what this machine would have made, whatever happens there."""

from __future__ import annotations

import gc
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import jitload
from jitload import Bundle, Cache, CompileError, CompileRequest
from jitload.artifact import Artifact
from jitload.batch import cluster as cluster_room
from jitload.batch import farm as farm_room
from jitload.batch.cluster import dask_executor
from jitload.batch.packer import Packer
from jitload.batch.plan import Plan
from jitload.batch.precompile import precompile
from jitload.compiler.toolkit import toolkit_roots
from jitload.errors import CompileWarning, UsageValueError
from jitload.headers.closure import Closure
from jitload.headers.record import variant_of
from jitload.inquiry import look_up
from jitload.tiers.disk import DiskStore
from jitload.workloads.program import BY_DEVICE, Program
from jitload.workloads.record import recorded_workload
from jitload.workloads.workload import Workload
from tests.batch.farm import Cluster, Scheduler, until
from tests.tiers.remote.servers import redis_server

dask = pytest.importorskip("dask", reason="distributed is not installed")
pytest.importorskip("distributed", reason="distributed is not installed")
pytestmark = pytest.mark.network

KERNELS = pathlib.Path(__file__).parents[2] / "kernels"
ARCHS = ["sm_80", "sm_89", "sm_90a", "sm_100", "sm_120", "compute_75"]
# NVRTC 12.9.86 ends its process with a signal here; one that does not has errors to report.
DEADLY = "template<class T> __global__ void r(}T*x){}"


def simple(number: int, **changes) -> CompileRequest:
    source = f'extern "C" __global__ void k{number}(int *x) {{ *x = {number}; }}'
    return CompileRequest(source, **{"kind": "cubin", "arch": "sm_80", "name": f"k{number}.cu", **changes})


@pytest.fixture(scope="module")
def new_scheduler(tmp_path_factory):
    """A scheduler that gives up the workers of each test: a scheduler takes longer to start than most of them take."""
    scheduler = Scheduler(tmp_path_factory.mktemp("scheduler"))
    yield scheduler
    scheduler.stop()


@pytest.fixture(scope="module")
def _lost():
    return []


@pytest.fixture
def new_cluster(new_scheduler, _lost, tmp_path):
    """A scheduler without workers."""
    cluster = Cluster(new_scheduler, tmp_path)
    yield cluster
    cluster.stop()
    _lost += cluster.workers
    new_scheduler.until_it_has_lost(len(_lost))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A scheduler with two workers, and an executor on them."""
    directory = tmp_path_factory.mktemp("farm")
    scheduler = Scheduler(directory)
    cluster = Cluster(scheduler, directory)
    try:
        cluster.start_workers(2)
        with dask_executor(cluster.address) as executor:
            yield cluster, executor
    finally:
        cluster.stop()
        scheduler.stop()


@pytest.fixture
def executor(shared):
    return shared[1]


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def tree(tmp_path):
    """A source that has headers beside it, in two include directories, and in `headers=`."""
    for path, text in {
        "src/tree.cu": '#include "beside.h"\n#include <one.h>\n#include MACRO\n#include "given.h"\n'
        'extern "C" __global__ void tree(int *x) { *x = BESIDE + ONE + TWO + GIVEN + UNROLL; }\n',
        "src/beside.h": '#pragma once\n#include "deep/er.h"\n',
        "src/deep/er.h": "#define BESIDE 1\n#if __has_include(<nowhere.h>)\n#error\n#endif\n",
        "one/one.h": "#pragma once\n#define ONE 2\n",
        "two/two.h": "#pragma once\n#define TWO 3\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return CompileRequest(
        tmp_path / "src/tree.cu",
        kind="cubin",
        arch="sm_80",
        include_dirs=[tmp_path / "one", tmp_path / "two"],
        headers={"given.h": "#define GIVEN 4\n"},
        defines={"UNROLL": 4, "MACRO": "<two.h>"},
        options=["-lineinfo", "-UNDEBUG"],
    )


def images(requests, cache) -> list[tuple]:
    found = [look_up(request, cache).artifact for request in requests]
    return [(one.key, one.data, one.kernels, one.log, one.toolchain) for one in found]


def kernels_workload(names) -> Workload:
    """What a program that used these kernels would have recorded, with kind and arch left to its device."""
    requests = Plan.read(KERNELS / "precompile.toml").requests(["sm_80"], None)
    served = [
        (request, variant_of(Closure(request, toolkit_roots()), compiler))
        for request in requests
        if (not names or request.name in names) and (compiler := Cache().compiler(request)) is not None
    ]
    made = recorded_workload(served)
    programs = [
        Program(one.fields, [(kind, arch, BY_DEVICE) for kind, arch, _ in one.targets]) for one in made.programs
    ]
    return Workload(programs, made.texts)


def kill_in_the_middle(new_cluster, tmp_path, names) -> None:
    workload = kernels_workload(names)
    new_cluster.start_workers(3)
    there, here = Cache(tmp_path / "there"), Cache(tmp_path / "here")

    def progress(done, total, request, outcome):
        assert outcome == "compiled"
        if done == 1:  # each of the others has a parcel that nobody has taken the results of
            new_cluster.kill(new_cluster.workers[1])

    with dask_executor(new_cluster.address) as executor:
        report = precompile(workload, ARCHS, executor=executor, cache=there, progress=progress)
    assert report.ok, str(report)
    assert any("worker w1 (tcp://" in incident and "was lost" in incident for incident in report.incidents)
    assert f"\n  {report.incidents[0]}" in str(report)
    local = precompile(workload, ARCHS, cache=here, jobs=2)
    order = [[request.digest for request in one.compiled] for one in (report, local)]
    assert order[0] == order[1], "the order of results does not depend on the workers"
    with workload.unpacked() as programs:
        assert len(programs) >= len(names)
        wanted = list(jitload.workloads.workload.planned_requests(programs, ARCHS))
        assert len(wanted) == len(ARCHS) * len(programs)
        assert images(wanted, there) == images(wanted, here)
    made = [
        Bundle.create(tmp_path / name, workload, archs=ARCHS, cache=cache)
        for name, cache in (("there.jlb", there), ("here.jlb", here))
    ]
    assert [one.manifest["requests"] for one in made] == [len(wanted)] * 2
    assert (tmp_path / "there.jlb").read_bytes() == (tmp_path / "here.jlb").read_bytes()


def test_a_worker_that_is_killed_costs_nothing_but_time(new_cluster, tmp_path):
    kill_in_the_middle(new_cluster, tmp_path, ["saxpy.cu", "softmax.cu"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_kernel_of_the_repository_with_a_worker_that_is_killed(new_cluster, tmp_path, bounded):
    kill_in_the_middle(new_cluster, tmp_path, bounded((), ("saxpy.cu", "stencil5.cu", "axpy_half.cu")))


def test_sources_and_headers_travel_by_content(executor, cache, tree, tmp_path):
    """Nothing of this machine's paths is in what a worker gets, and what it makes is what this machine makes."""
    parcel = Packer(cache, "missing").pack([tree])
    assert str(tmp_path).encode() not in parcel
    requests = [
        tree,
        *(tree.replace(kind=kind, arch=arch) for kind, arch in (("ptx", "compute_75"), ("ltoir", "sm_80"))),
    ]
    report = precompile(requests, executor=executor, cache=cache)
    assert report.compiled == tuple(requests), str(report)
    assert not report.incidents
    assert executor._client.get_events("all")
    here = Cache(tmp_path / "here")
    assert precompile(requests, cache=here).ok
    assert images(requests, cache) == images(requests, here)
    records = [[(row[:3] for row in found.files) for found in one.variants(tree.digest)] for one in (cache, here)]
    assert [list(map(list, record)) for record in records[:1]] == [list(map(list, record)) for record in records[1:]]


def test_a_fatbin_and_what_the_executor_runs(executor, cache):
    requests = [simple(1, kind="fatbin", arch=["sm_80", "sm_90"])]
    report = precompile([*requests, simple(2)], ["compute_90"], executor=executor, cache=cache)
    assert report.ok, str(report)
    report = precompile(requests, executor=executor, cache=cache)
    assert report.compiled == tuple(requests), str(report)
    before = jitload.stats().compiles
    with jitload.configure(device="cpu"):
        kernel = jitload.compile(simple(2).source, name="k2.cu", cache=cache)
    assert kernel.kind == "ptx"
    assert jitload.stats().compiles == before


LINKED = """
extern __device__ int helper(int);
extern "C" __global__ void k(int *x) { *x = helper(1); }
"""


def test_what_is_linked_is_made_as_here(executor, cache, tmp_path):
    """The farm compiles what it can; links, of kernels and in workloads, are made here, as without a farm."""
    (tmp_path / "helper.cu").write_text("__device__ int helper(int x) { return x + 1; }")

    @jitload.jit_kernel(source=LINKED, link=[tmp_path / "helper.cu"])
    def k(x): ...

    workload = tmp_path / "app.jlw"
    with jitload.configure(cache_dir=tmp_path / "recorded"), jitload.record(workload):
        unit = jitload.compile(simple(6).source, kind="ltoir", arch="sm_80", name="k6.cu", cache=cache)
        linked = jitload.link([unit], arch="sm_80", name="six")
    report = precompile([k, workload, simple(7)], ["sm_80"], executor=executor, cache=cache)
    assert report.ok, str(report)
    made = [request for request in report.compiled if request.is_link]
    assert len(made) == 2
    alone = Cache(tmp_path / "alone")
    assert precompile([k], ["sm_80"], cache=alone).ok
    assert {image[1] for image in images(made, cache)} == {linked.data, images(made[:1], alone)[0][1]}


def test_what_does_not_compile_is_told_in_the_files_of_the_user(executor, cache, tree, tmp_path):
    (tmp_path / "one/one.h").write_text("#pragma once\n#define ONE undefined_name\n")
    broken = tree.replace(defines=dict(tree.defines))
    there = precompile([broken, simple(3)], executor=executor, cache=cache)
    here = precompile([broken, simple(3)], cache=Cache(tmp_path / "here"))
    assert [str(error) for _, error in there.failed] == [str(error) for _, error in here.failed]
    assert str(tmp_path / "src/tree.cu") in str(there.failed[0][1])
    assert there.compiled == (simple(3),)


def test_a_compiler_that_dies_is_retried_elsewhere_and_named(executor, cache):
    deadly = CompileRequest(DEADLY, kind="cubin", arch="sm_80", names=["r<int>"], name="deadly.cu")
    report = precompile([simple(4), deadly, simple(5)], executor=executor, cache=cache)
    assert report.compiled == (simple(4), simple(5))
    assert [request for request, _ in report.failed] == [deadly]
    if "died" in str(report.failed[0][1]):
        said = [
            incident
            for incident in report.incidents
            if "deadly.cu (cubin, sm_80, r<int>): the compiler died" in incident
        ]
        assert [incident.rpartition("; ")[2] for incident in said] == ["asked for again elsewhere", "compiled here"]
        assert {incident.split()[1] for incident in said} == {"w0", "w1"}


def test_warnings_of_the_compiler_come_here(executor, cache):
    warns = CompileRequest(
        'extern "C" __global__ void warns(int *x) { int unused; *x = 1; }', kind="cubin", arch="sm_80", name="warns.cu"
    )
    with pytest.warns(CompileWarning, match=r"warns.cu.*unused"):
        assert precompile([warns], executor=executor, cache=cache).ok


@pytest.mark.parametrize("where", ["clock", "absolute"])
def test_what_cannot_travel_is_compiled_here(executor, cache, tmp_path, where):
    (tmp_path / "x.h").write_text("#define X 1\n")
    text = "__DATE__[0]" if where == "clock" else "X"
    include = "" if where == "clock" else f'#include "{tmp_path}/x.h"\n'
    source = include + f'extern "C" __global__ void k(int *x) {{ *x = {text}; }}'
    request = CompileRequest(source, kind="cubin", arch="sm_80")
    there = precompile([request, simple(6)], executor=executor, cache=cache)
    here = precompile([request, simple(6)], cache=Cache(tmp_path / "here"))
    assert [str(error) for _, error in there.failed] == [str(error) for _, error in here.failed]
    assert there.compiled == here.compiled


def test_what_the_cache_holds_is_not_sent(executor, cache):
    precompile([simple(7)], cache=cache)
    report = precompile([simple(7), simple(8)], executor=executor, cache=cache)
    assert (report.cached, report.compiled) == ((simple(7),), (simple(8),))


def test_a_worker_is_sent_its_next_parcel_before_the_last_one_is_kept(shared, cache, monkeypatch):
    """It has two at a time, and is not to wait for a disk of another machine."""
    sent, kept, submit, put = [], [], farm_room.Cluster.submit, DiskStore.put

    def count(cluster, function, *rest):
        sent.extend([function] * (function is farm_room.answer))
        return submit(cluster, function, *rest)

    def note(store, *rest):
        kept.append(len(sent))
        return put(store, *rest)

    monkeypatch.setattr(farm_room.Cluster, "submit", count)
    monkeypatch.setattr(DiskStore, "put", note)
    requests = [simple(number) for number in range(40, 48)]
    with shared[1]._client.get_executor(workers=["w0"]) as executor:
        assert precompile(requests, executor=executor, cache=cache).ok
    assert len(kept) == len(requests) > len(sent) > 3, "short ones go together"
    assert min(kept) == 3


def test_to_sort_requests_takes_no_longer_for_each_the_more_there_are(cache, tmp_path, monkeypatch):
    """A run of a thousand kernels spent half a minute in comparing every request with all that can travel."""
    hashes = []
    whole = CompileRequest.__hash__
    monkeypatch.setattr(CompileRequest, "__hash__", lambda one: hashes.append(1) or whole(one))
    (tmp_path / "here.h").write_text("")
    stays = CompileRequest(f'#include "{tmp_path}/here.h"\n__global__ void k() {{}}', kind="ptx", arch="compute_80")
    wanted = [*map(simple, range(40)), stays]
    assert Packer(cache, "missing").sorted(wanted) == (wanted[:-1], [stays])
    assert len(hashes) <= 4 * len(wanted)


def test_a_cache_without_a_directory_gets_the_artifacts(executor):
    cache = Cache()
    assert precompile([simple(9)], executor=executor, cache=cache).ok
    assert look_up(simple(9), cache).artifact is not None


def test_the_command(shared, tmp_path):
    (tmp_path / "k.cu").write_text(simple(10).source)
    command = [sys.executable, "-m", "jitload", "precompile", "k.cu", "-a", "sm_80,sm_90", "--dask", shared[0].address]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 compiled, 0 cached, 0 failed" in done.stdout
    assert done.stdout.startswith("[1/2] compiled: ")


def test_ctrl_c_cancels(new_cluster, tmp_path):
    """What has not begun is taken back, and the command ends at once."""
    new_cluster.start_workers(1)
    long = "\n".join(f"x[{number}] += x[{number + 1}] / x[{number + 2}];" for number in range(200))  # to compile
    for number in range(40):
        (tmp_path / f"k{number}.cu").write_text(f'extern "C" __global__ void k{number}(int *x) {{ {long} }}')
    files = [f"k{number}.cu" for number in range(40)]
    command = [
        sys.executable,
        "-m",
        "jitload",
        "precompile",
        *files,
        "-a",
        "sm_80,sm_90",
        "--dask",
        new_cluster.address,
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=_hear_ctrl_c
    )
    assert "[1/80]" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0, said
    assert "Traceback" not in said
    assert time.monotonic() - before < 20
    with dask_executor(new_cluster.address) as executor:
        tasks = executor._client.run_on_scheduler
        assert until(lambda: not _unfinished(tasks), "the tasks to be gone") is True


def _hear_ctrl_c() -> None:
    """In a child before its program begins: a shell has what it runs in the background ignore Ctrl-C, tests included."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _unfinished(run_on_scheduler) -> int:
    return run_on_scheduler(_count_tasks)


def _count_tasks(dask_scheduler) -> int:
    return sum(task.state in {"processing", "waiting", "queued", "no-worker"} for task in dask_scheduler.tasks.values())


OTHER_VERSION = "import jitload; jitload.__version__ = '0.0.1'"
OTHER_NVRTC = "from jitload.compiler import toolkit; toolkit.nvrtc_version = lambda nvrtc: '11.0.1'"
NO_JITLOAD = "import sys; sys.modules['jitload'] = None"
#: A worker that gives the right artifact of something else.
LIAR = """
from jitload.batch import farmhand
from jitload.artifact import decode_entry, encode_entry
first = []
def lie(artifact):
    first.append(artifact)
    return encode_entry(first[0])
farmhand.encode_entry = lie
"""


@pytest.mark.parametrize(
    ("prelude", "why"),
    [
        (OTHER_VERSION, f"it has jitload 0.0.1, and {jitload.__version__} is asked for"),
        (OTHER_NVRTC, "it has nvrtc 11.0.1"),
        (NO_JITLOAD, "it cannot be asked: ModuleNotFoundError"),
    ],
    ids=["jitload", "nvrtc", "none"],
)
def test_a_worker_of_another_kind_is_refused_by_name(new_cluster, cache, prelude, why):
    new_cluster.start_workers(1, prelude=prelude)
    with dask_executor(new_cluster.address) as executor:
        with pytest.raises(
            CompileError, match=r"no worker of the farm can be used: worker w0 \(tcp.* is refused"
        ) as refused:
            precompile([simple(1)], executor=executor, cache=cache)
        assert why in str(refused.value)
        new_cluster.start_workers(1)
        report = precompile([simple(1), simple(2)], executor=executor, cache=cache)
    assert report.ok
    assert any("worker w0 (tcp" in incident and why in incident for incident in report.incidents)
    assert not os.path.exists(new_cluster.directory / "cache-w0" / "objects")


def test_workers_are_there_at_every_look(shared):
    """While the client writes an answer without workers where it keeps the last one, which it does every two seconds."""
    often = {"distributed.client.scheduler-info-interval": "1ms"}
    with dask.config.set(often), dask_executor(shared[0].address) as executor:
        cluster = cluster_room.Cluster(executor)
        until(lambda: len(cluster.workers()) == 2, "both workers to be known")
        looks = [len(cluster.workers()) for _ in range(200)]
    assert looks == [2] * 200


def test_what_is_not_what_was_asked_for_is_not_taken(new_cluster, cache):
    new_cluster.start_workers(1, prelude=LIAR)
    requests = [simple(number) for number in range(3)]
    with dask_executor(new_cluster.address) as executor:
        report = precompile(requests, executor=executor, cache=cache)
    assert report.ok
    assert len(report.incidents) == 2
    assert all("worker w0 (tcp" in incident and "entry holds key" in incident for incident in report.incidents)
    assert [look_up(request, cache).artifact.name for request in requests] == ["k0.cu", "k1.cu", "k2.cu"]


def test_a_farm_that_is_lost_leaves_the_rest_to_this_machine(new_cluster, cache, monkeypatch):
    monkeypatch.setattr(farm_room, "NEXT_WORKER_SECONDS", 2.0)
    (worker,) = new_cluster.start_workers(1)
    requests = [simple(number) for number in range(12)]

    def progress(done, total, request, outcome):
        if done == 3:
            new_cluster.kill(worker)

    with dask_executor(new_cluster.address) as executor:
        report = precompile(requests, executor=executor, cache=cache, progress=progress)
    assert report.compiled == tuple(requests), str(report)
    assert any("the farm was lost (no worker is left): the rest is compiled here" in said for said in report.incidents)


def test_workers_with_a_remote_write_to_it_themselves(new_cluster, cache, tmp_path):
    """And this machine, which has no remote, leaves it alone."""
    pytest.importorskip("redis", reason="redis is not installed")
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis") as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        new_cluster.start_workers(1, JITLOAD_REMOTE=url)
        with dask_executor(new_cluster.address) as executor:
            assert precompile([simple(31)], executor=executor, cache=cache).ok
        with jitload.Session(remote=url, cache_dir=str(tmp_path / "elsewhere")):
            until(lambda: look_up(simple(31), Cache.default()).artifact, "the remote to have it")
            assert jitload.stats().hits["remote"] == 1


def test_a_worker_that_comes_later_is_used(new_cluster, cache):
    import threading

    timer = threading.Timer(1.5, new_cluster.start_workers, [1])
    timer.start()
    with dask_executor(new_cluster.address) as executor:
        assert precompile([simple(1)], executor=executor, cache=cache).ok
    timer.join()


def test_only_the_workers_that_the_executor_names_are_used(shared, cache):
    client = shared[1]._client
    with client.get_executor(workers=["w1"]) as executor:
        assert precompile([simple(21), simple(22)], executor=executor, cache=cache).ok
    assert not list((shared[0].directory / "cache-w0").rglob(f"{look_up(simple(21), cache).artifact.key}*"))


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("tcp://127.0.0.1:1", OSError, "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ("gopher://x:1", UsageValueError, "is no address of a Dask scheduler"),
        ("", UsageValueError, "is empty"),
        ("nonsense", UsageValueError, "is no address of a Dask scheduler"),
        ("tcp://a..b:1", UsageValueError, "is no address of a Dask scheduler"),
        ("tls://127.0.0.1:1", UsageValueError, "is no address of a Dask scheduler"),
    ],
)
def test_an_address_where_no_scheduler_is(monkeypatch, address, error, says):
    """Nor does it take long to give up what never began: the client's own end would wait for that."""
    monkeypatch.setattr("jitload.batch.cluster.CONNECT_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(error, match=says), dask_executor(address):
        pass
    gc.collect()
    assert time.monotonic() - started < 10


def test_without_the_package_the_error_says_how_to_get_it(tmp_path):
    (tmp_path / "k.cu").write_text(simple(1).source)
    code = "import sys; sys.modules['distributed'] = None; from jitload.cli import main; main()"
    command = [sys.executable, "-c", code, "precompile", "k.cu", "-a", "sm_80", "--dask", "tcp://127.0.0.1:1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "jitload: a farm needs the package distributed: pip install 'jitload[dask]'\n"


def test_importing_the_farm_and_asking_for_processes_does_not_import_dask(tmp_path):
    code = "import sys, jitload; jitload.precompile([], cache=jitload.Cache()); import jitload.batch.farm; print('distributed' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n", Artifact
