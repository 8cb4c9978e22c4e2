"""`jitload.occupancy` for everything that stands for a kernel, on a machine without a GPU."""

import pytest

import jitload
from jitload import (
    CompileRequest,
    Occupancy,
    Resources,
    SymbolNotFoundError,
    UsageTypeError,
    UsageValueError,
    occupancy,
)
from jitload.images.resources import resources_by_arch

PLAIN = 'extern "C" __global__ void plain(float *x) { x[threadIdx.x] = 1; }'
TWO = f"template <typename T> __global__ void scale(T *x) {{ x[threadIdx.x] *= 2; }}\n{PLAIN}"
FULL = Occupancy(8, 64, 1.0, "warps")


@pytest.fixture(scope="module")
def cubin():
    return jitload.compile(PLAIN, kind="cubin", arch="sm_80")


@pytest.fixture(scope="module")
def fatbin():
    return jitload.compile(TWO, arch=["sm_80", "sm_90a", "compute_90"], names=["scale<double>"])


def test_an_artifact_is_for_its_own_gpu_or_another_that_runs_it(cubin):
    assert occupancy(cubin, 256) == occupancy(cubin, (32, 8)) == occupancy(cubin, [8, 8, 4]) == FULL
    assert occupancy(cubin, 256, arch="sm_86") == Occupancy(6, 48, 1.0, "warps")
    with pytest.raises(UsageValueError, match="runs on sm_90: a cubin for sm_80 does not run on sm_90"):
        occupancy(cubin, 256, arch="sm_90")


def test_a_kernel_of_an_artifact_and_its_resources_need_a_gpu_to_be_named(cubin):
    info = cubin.kernels["plain"]
    assert occupancy(info, 256, arch="sm_80") == occupancy(info.resources, 256, arch="80") == FULL
    for one in (info, info.resources):
        with pytest.raises(UsageValueError, match=f"occupancy of a {type(one).__name__} needs arch="):
            occupancy(one, 256)


def test_dynamic_shared_memory_counts(cubin):
    assert occupancy(cubin, 64, shared_bytes=81 * 1024) == Occupancy(2, 4, 0.0625, "shared memory")
    assert occupancy(cubin, 64, 163 * 1024).blocks_per_sm == 1
    assert occupancy(cubin, 64, 163 * 1024 + 1) == Occupancy(0, 0, 0.0, "shared memory")


def test_a_block_that_cannot_be_launched_has_none(cubin):
    assert occupancy(cubin, 1025) == Occupancy(0, 0, 0.0, "threads")


def test_an_artifact_of_several_kernels_wants_one_of_them(fatbin):
    with pytest.raises(UsageValueError, match=r"has 2 kernels \('scale<double>', 'plain'\): pass one"):
        occupancy(fatbin, 256, arch="sm_80")


def test_a_fatbin_has_the_figures_of_each_of_its_cubins(fatbin):
    found = resources_by_arch(fatbin)
    assert list(found) == ["sm_80", "sm_90a"]
    for arch, kernels in found.items():
        alone = jitload.compile(TWO, kind="cubin", arch=arch, names=["scale<double>"])
        expected = {name: info.resources for name, info in alone.kernels.items()}
        for name, resources in kernels.items():
            assert resources == expected[name], (arch, name)
        assert list(kernels) == list(expected)


def test_of_a_fatbin_the_cubin_counts_that_the_gpu_runs():
    fatbin = jitload.compile(PLAIN, arch=["sm_80", "sm_90", "compute_90"])
    assert occupancy(fatbin, 256, arch="sm_89") == Occupancy(6, 48, 1.0, "warps")
    with pytest.raises(UsageValueError, match="was compiled for sm_80, sm_90: choose one"):
        occupancy(fatbin, 256)
    with pytest.raises(UsageValueError, match=r"runs on sm_100: a cubin for sm_80 .*; a cubin for sm_90"):
        occupancy(fatbin, 256, arch="sm_100")  # it would run the PTX, whose registers the driver chooses


def test_what_is_not_machine_code_has_no_occupancy_yet():
    ptx = jitload.compile(PLAIN, kind="ptx", arch="compute_75")
    assert resources_by_arch(ptx) == {}
    for one, arch in ((ptx, None), (ptx, "sm_80"), (ptx.kernels["plain"], "sm_80"), (ptx.load()["plain"], "sm_80")):
        with pytest.raises(UsageValueError, match="no GPU is needed to compile it for one: kind='cubin', arch='sm_90'"):
            occupancy(one, 256, arch=arch)


def lost(x): ...


def test_a_decorated_kernel_is_compiled_for_the_gpu_that_is_asked_about():
    @jitload.jit_kernel(source=TWO, entry="scale<{T}>")
    def scale(x, *, T="float"): ...

    assert occupancy(scale, 256, arch="sm_90") == FULL
    assert occupancy(scale.specialize(T="double"), 512, arch="sm_120a") == Occupancy(3, 48, 1.0, "warps")
    with pytest.raises(SymbolNotFoundError, match="has no kernel 'lost': it has plain; name the function after"):
        occupancy(jitload.jit_kernel(source=PLAIN)(lost), 256, arch="sm_90")
    assert CompileRequest(PLAIN, kind="ptx", arch="compute_75")  # the class is no kernel
    with jitload.configure(device="cpu"):
        with pytest.raises(UsageValueError, match="runs on the CPU here: name a GPU, arch='sm_90'"):
            occupancy(scale, 256)
        assert scale.resources is None
        assert scale.suggest_block() == 256


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"block": 0}, UsageValueError, "block=0"),
        ({"block": (8, -1)}, UsageValueError, "block=-1"),
        ({"block": ()}, UsageValueError, "has 0 dimensions"),
        ({"block": (1, 1, 1, 1)}, UsageValueError, "has 4 dimensions"),
        ({"block": 1.5}, UsageTypeError, "block is a whole number, got 1.5"),
        ({"block": True}, UsageTypeError, "got True"),
        ({"block": None}, UsageTypeError, "got None"),
        ({"shared_bytes": -1}, UsageValueError, "shared_bytes=-1"),
        ({"shared_bytes": "1"}, UsageTypeError, "shared_bytes is a whole number"),
        ({"arch": "compute_80"}, UsageValueError, "the multiprocessor of 'compute_80' is not known"),
        ({"arch": "sm_60"}, UsageValueError, "expected one of sm_70, "),
        ({"arch": "x"}, UsageValueError, "unknown arch 'x'"),
        ({"arch": ["sm_80"]}, UsageTypeError, "arch is one GPU"),
        ({"kernel": "plain"}, UsageTypeError, "occupancy takes a kernel, .* got str"),
        ({"kernel": CompileRequest}, UsageTypeError, "got type"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(arguments, error, words):
    given = {"kernel": Resources(registers=8), "block": 64, "arch": "sm_80", **arguments}
    with pytest.raises(error, match=words):
        occupancy(**given)


def test_every_gpu_is_known_by_every_spelling():
    arguments = Resources(registers=8), 1024
    for number in (70, 72, 75, 80, 86, 87, 88, 89, 90, 100, 101, 103, 110, 120, 121):
        found = occupancy(*arguments, arch=f"sm_{number}")
        assert found.fraction in {1.0, 2 / 3}, number  # 1024 threads of 2048, 1024 or 1536
        if number >= 90:
            assert occupancy(*arguments, arch=f"sm_{number}a") == found
