"""`--resources`: registers, shared memory, spills and occupancy of each kernel and arch, without a GPU."""

import json

import pytest

import jitload
from jitload.compiler.ptxas import tells_for_free
from jitload.compiler.toolkit import toolchain
from jitload.images.multiprocessor import multiprocessor
from jitload.launch.occupancy import best_threads

pytestmark = pytest.mark.usefixtures("needs_nvrtc", "workdir")

SPILLED = """extern "C" __global__ void __launch_bounds__(1024) spilled(float *x, int n)
{
    float a[96];
#pragma unroll
    for (int i = 0; i < 96; i++) a[i] = x[i * n + threadIdx.x];
    for (int k = 0; k < n; k++) {
#pragma unroll
        for (int i = 0; i < 96; i++) a[i] = a[i] * a[(i + 7) % 96];
    }
#pragma unroll
    for (int i = 0; i < 96; i++) x[i * n + threadIdx.x] = a[i];
}
"""
TILED = """template <int N> __global__ void __launch_bounds__(N) tiled(float *x)
{
    __shared__ float t[N];
    t[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = t[N - 1 - threadIdx.x];
}
"""


@pytest.fixture
def sources(workdir):
    (workdir / "spilled.cu").write_text(SPILLED)
    (workdir / "tiled.cu").write_text(TILED)


def cells(text):
    """(kernel, arch) -> the other columns, of the table in what a command printed."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.split()[:2] == ["NAME", "KERNEL"])
    names = lines[start].split()
    starts = [lines[start].index(name) for name in ("KERNEL", "ARCH")]
    found = {}
    for line in lines[start + 1 : -1]:
        kernel, rest = line[starts[0] : starts[1]].strip(), line[starts[1] :].split(maxsplit=len(names) - 3)
        found[kernel, rest[0]] = dict(zip(names[3:], rest[1:], strict=True))
    return found


@pytest.mark.usefixtures("sources")
def test_precompile_shows_each_kernel_for_each_arch(invoke):
    arguments = ("precompile", "tiled.cu", "-n", "tiled<64>", "-n", "tiled<512>", "--arch", "sm_80,sm_90,compute_75")
    first = invoke(*arguments, "--resources")
    shown = cells(first.stdout)
    assert list(shown) == [(name, arch) for name in ("tiled<512>", "tiled<64>") for arch in ("sm_80", "sm_90")]
    for (name, arch), row in shown.items():
        artifact = jitload.compile(TILED, kind="cubin", arch=arch, name="tiled.cu", names=["tiled<64>", "tiled<512>"])
        taken = artifact.kernels[name].resources
        assert (row["REGISTERS"], row["STACK"], row["SPILLS"]) == (str(taken.registers), "0", "0/0")
        assert row["SHARED"] == str(taken.shared_bytes) == str(4 * int(name[6:-1]))
        assert row["BLOCK"] == str(best_threads(taken, 0, multiprocessor(arch))) == name[6:-1]
        assert (row["OCCUPANCY"], row["LIMIT"][:5]) == ("100%", "warps")
    assert invoke(*arguments, "--resources").stdout.splitlines()[-6:] == first.stdout.splitlines()[-6:], "of a hit too"
    assert "REGISTERS" not in invoke(*arguments).stdout


@pytest.mark.usefixtures("sources")
def test_json_has_the_same_figures_from_every_command(invoke, workdir):
    arguments = ("spilled.cu", "--arch", "sm_90", "--resources", "--json")
    (compiled,) = json.loads(invoke("compile", *arguments).stdout)
    (precompiled,) = json.loads(invoke("precompile", *arguments).stdout)
    (row,) = compiled["resources"]
    assert precompiled["resources"] == [row]
    artifact = jitload.compile(workdir / "spilled.cu", kind="cubin", arch="sm_90", options="--ptxas-options=-v")
    taken = artifact.kernels["spilled"].resources
    assert {name: row[name] for name in taken.__slots__} == taken.__getstate__()
    found = jitload.occupancy(artifact, row["occupancy"]["block"])
    assert row["occupancy"] == {"block": 1024, **found.__getstate__()}
    with jitload.record(workdir / "app.jlw"):
        jitload.compile(workdir / "spilled.cu", kind="cubin", arch="sm_90")
    assert invoke("bundle", "create", "app.jlw", "-o", "app.jlb").exit_code == 0
    (entry,) = json.loads(invoke("bundle", "inspect", "app.jlb", "--resources", "--json").stdout)["entries"]
    untold = {} if tells_for_free("sm_90", toolchain()) else {"spill_store_bytes": None, "spill_load_bytes": None}
    assert entry["resources"] == [{**row, **untold}]
    assert cells(invoke("bundle", "inspect", "app.jlb", "--resources").stdout)["spilled", "sm_90"]["REGISTERS"] == "64"
    assert "resources" not in json.loads(invoke("bundle", "inspect", "app.jlb", "--json").stdout)["entries"][0]
    assert "resources" not in json.loads(invoke("precompile", *arguments[:-2], "--json").stdout)[0]
    assert "resources" not in json.loads(invoke("compile", *arguments[:-2], "--json").stdout)[0]


@pytest.mark.usefixtures("sources")
def test_spills_that_the_image_does_not_tell_are_asked_of_the_compiler(invoke):
    """From sm_100 on asking would change the image: so another compile asks, and the image that was asked for stays."""
    plain = jitload.compile(SPILLED, kind="cubin", arch="sm_100", name="spilled.cu")
    assert plain.kernels["spilled"].resources.spill_store_bytes is None
    told = jitload.compile(SPILLED, kind="cubin", arch="sm_100", options=["--ptxas-options=-v"])
    store, load = (getattr(told.kernels["spilled"].resources, f"spill_{way}_bytes") for way in ("store", "load"))
    assert store > 0
    for kind in ((), ("--kind", "fatbin")):
        done = invoke("compile", "spilled.cu", "--arch", "sm_100", *kind, "--resources", "-o", "out.bin")
        assert cells(done.stdout)["spilled", "sm_100"]["SPILLS"] == f"{store}/{load}", done.stderr
    with jitload.configure(compile="never"):
        shown = invoke("compile", "spilled.cu", "--arch", "sm_100", "--resources").stdout
        assert cells(shown)["spilled", "sm_100"]["SPILLS"] == f"{store}/{load}", "it is in the cache"


@pytest.mark.usefixtures("sources")
def test_spills_that_nobody_tells_are_a_question_mark(invoke, workdir):
    with jitload.record(workdir / "app.jlw"):
        jitload.compile(workdir / "spilled.cu", kind="cubin", arch="sm_100")
    with jitload.configure(compile="never"):
        shown = invoke("compile", "spilled.cu", "--arch", "sm_100", "--resources").stdout
    assert cells(shown)["spilled", "sm_100"]["SPILLS"] == "?"
    assert invoke("bundle", "create", "app.jlw", "-o", "app.jlb").exit_code == 0
    assert cells(invoke("bundle", "inspect", "app.jlb", "--resources").stdout)["spilled", "sm_100"]["SPILLS"] == "?"


@pytest.mark.usefixtures("sources")
def test_a_fatbin_has_a_row_for_each_of_its_cubins(invoke):
    done = invoke("compile", "spilled.cu", "--arch", "sm_80,sm_90,compute_90", "--resources")
    alone = invoke("precompile", "spilled.cu", "--arch", "sm_80,sm_90", "--resources")
    assert cells(done.stdout) == cells(alone.stdout)


def test_ptx_has_none_and_says_why(invoke):
    for command in ("compile", "precompile"):
        assert invoke(command, "saxpy.cu", "--arch", "compute_75", "--resources").stdout.endswith(
            "no machine code, so nothing to tell of registers: name an arch such as sm_90\n"
        )
        (row,) = json.loads(invoke(command, "saxpy.cu", "--arch", "compute_75", "--resources", "--json").stdout)
        assert row["resources"] == []


@pytest.mark.usefixtures("sources")
def test_what_does_not_compile_keeps_the_rest_from_nothing(invoke, workdir):
    (workdir / "broken.cu").write_text("__global__ void broken() { undefined; }\n")
    done = invoke("precompile", "broken.cu", "spilled.cu", "--arch", "sm_90", "--resources")
    assert done.exit_code == 1
    assert list(cells(done.stdout)) == [("spilled", "sm_90")]
    assert "undefined" in done.stderr
    rows = json.loads(invoke("precompile", "broken.cu", "spilled.cu", "-a", "sm_90", "--resources", "--json").stdout)
    assert [(row["outcome"], len(row["resources"])) for row in rows] == [("cached", 1), ("failed", 0)]


@pytest.mark.usefixtures("sources")
def test_specialisations_are_told_apart_by_their_options(invoke, workdir):
    (workdir / "plan.toml").write_text(
        'archs = ["sm_90"]\n'
        '[[program]]\nsources = ["saxpy.cu"]\ndefines = { N = "1" }\n'
        '[[program]]\nsources = ["saxpy.cu"]\ndefines = { N = "2" }\n'
    )
    shown = invoke("precompile", "plan.toml", "--resources").stdout
    assert list(cells(shown)) == [("saxpy (-DN=1)", "sm_90"), ("saxpy (-DN=2)", "sm_90")]
