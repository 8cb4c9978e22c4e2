"""Resources read from cubins, against what ptxas says while it compiles them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import jitload
from jitload.batch.plan import Plan
from jitload.compiler.nvrtc import supported_archs
from jitload.door import compile_request
from jitload.errors import LoadError
from jitload.images.resources import known_resources, read_resources
from jitload.values import Resources

SOURCE = r"""
__constant__ float weights[100];
extern "C" __global__ void plain(float *x, int n) { x[threadIdx.x] = n; }
extern "C" __global__ void __launch_bounds__(128, 4) bounded(float *x, int n) {
    __shared__ float t[1024];
    t[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = t[n & 1023];
}
extern "C" __global__ void dynamic(float *x) { extern __shared__ float s[]; s[threadIdx.x] = x[1]; x[0] = s[threadIdx.x ^ 1]; }
extern "C" __global__ void stack(float *x, int n) {
    float a[300];
    for (int i = 0; i < 300; i++) a[i] = x[i];
    x[0] = a[n % 300];
    a[(n * 3) % 300] = 1;
    x[1] = a[(n * 5) % 300];
}
extern "C" __global__ void barriers(float *x) {
    asm volatile("bar.sync 1, 64; bar.sync 4, 64;");
    x[threadIdx.x] = 1;
}
extern "C" __global__ void __launch_bounds__(1024) spilled(float *x, int n) {
    float a[96];
#pragma unroll
    for (int i = 0; i < 96; i++) a[i] = x[i * n + threadIdx.x];
    for (int k = 0; k < n; k++) {
#pragma unroll
        for (int i = 0; i < 96; i++) a[i] = a[i] * a[(i + 7) % 96] + weights[i];
    }
#pragma unroll
    for (int i = 0; i < 96; i++) x[i * n + threadIdx.x] = a[i];
}
template <typename T> __global__ void __launch_bounds__(64) scale(T *x, T a) { x[threadIdx.x] *= a; }
"""
SAID = re.compile(
    r"Compiling entry function '(?P<symbol>\w+)'.*?(?P<stack>\d+) bytes stack frame, (?P<store>\d+) bytes spill stores, "
    r"(?P<load>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers, used (?P<barriers>\d+) barriers(?P<rest>[^\n]*)",
    re.DOTALL,
)


def check(artifact):
    """The figures of every kernel of a cubin are those of ptxas in the log; gives them by symbol."""
    found = {kernel.symbol: kernel.resources for kernel in artifact.kernels.values()}
    said = {match["symbol"]: match for match in SAID.finditer(artifact.log)}
    assert set(said) == set(found) == set(read_resources(artifact.data))
    for symbol, match in said.items():
        resources = found[symbol]
        shared = re.search(r"(\d+) bytes smem", match["rest"])
        constant = re.search(r"(\d+) bytes cmem\[0\]", match["rest"])
        assert resources.registers == int(match["registers"]), symbol
        assert resources.stack_bytes == int(match["stack"]), symbol
        assert resources.barriers == int(match["barriers"]), symbol
        assert resources.shared_bytes == (int(shared[1]) if shared else 0), symbol
        assert (resources.spill_store_bytes, resources.spill_load_bytes) == (int(match["store"]), int(match["load"]))
        assert resources.code_bytes > 0
        if constant:  # not said from sm_90 on
            assert resources.constant_bytes == int(constant[1]), symbol
    return found


@pytest.mark.parametrize("number", [number for number in supported_archs() if number >= 70])
def test_what_a_cubin_says_is_what_ptxas_says(number):
    artifact = jitload.compile(
        SOURCE, kind="cubin", arch=f"sm_{number}", options=["--ptxas-options=-v"], names=["scale<double>"]
    )
    found = check(artifact)
    assert len(found) == 7
    assert found["spilled"].spill_store_bytes > 0
    assert found["spilled"].max_threads == 1024
    assert found["bounded"].max_threads == 128


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_every_kernel_of_this_repository_has_the_figures_of_ptxas(arch):
    requests = Plan.read(Path(__file__).parents[2] / "kernels" / "precompile.toml").requests((arch,), None)
    count = 0
    for request in requests:
        count += len(check(compile_request(request.replace(options=[*request.options, "--ptxas-options=-v"]))))
    assert count >= 26


@pytest.mark.parametrize("number", [number for number in supported_archs() if number >= 70])
def test_a_linked_program_has_the_figures_of_its_parts(number):
    """The linker counts the shared memory that the system keeps as well, and leaves out the section that names it."""
    from cuda.bindings import nvjitlink

    arch = f"sm_{number}"
    part = jitload.compile(SOURCE, kind="cubin", arch=arch, options="-rdc=true", names=["scale<double>"])
    handle = nvjitlink.create(1, [f"-arch={arch}"])
    nvjitlink.add_data(handle, nvjitlink.InputType.CUBIN, part.data, len(part.data), "part")
    nvjitlink.complete(handle)
    linked = bytearray(nvjitlink.get_linked_cubin_size(handle))
    nvjitlink.get_linked_cubin(handle, linked)
    nvjitlink.destroy(handle)
    found = read_resources(bytes(linked))
    assert found["bounded"].shared_bytes == 4096
    for kernel in part.kernels.values():
        before, after = kernel.resources, found[kernel.symbol]
        for figure in ("registers", "shared_bytes", "stack_bytes", "barriers", "max_threads"):
            assert getattr(after, figure) == getattr(before, figure), (kernel.symbol, figure)


def test_ltoir_linked_for_an_arch_has_the_figures_of_its_cubin():
    from jitload.cuda.linker import link_ltoir

    part = jitload.compile(SOURCE, kind="ltoir", arch="sm_90")
    whole = jitload.compile(SOURCE, kind="cubin", arch="sm_90")
    found = read_resources(link_ltoir(part.data, "sm_90"))
    assert found["bounded"] == whole.kernels["bounded"].resources


def test_an_image_alone_tells_the_spills_of_kernels_without_a_stack_frame():
    found = read_resources(jitload.compile(SOURCE, kind="cubin", arch="sm_90").data)
    assert (found["spilled"].spill_store_bytes, found["spilled"].spill_load_bytes) == (None, None)
    assert found["stack"].spill_store_bytes is None
    assert (found["plain"].spill_store_bytes, found["plain"].spill_load_bytes) == (0, 0)
    assert read_resources(jitload.compile(SOURCE, kind="cubin", arch="sm_90").data, {"stack": (0, 4)})["stack"] == (
        Resources(**{**found["stack"].__getstate__(), "spill_store_bytes": 0, "spill_load_bytes": 4})
    )


def test_damaged_attributes_are_refused():
    """An attribute that claims more bytes than its section has."""
    data = bytearray(jitload.compile(SOURCE, kind="cubin", arch="sm_90").data)
    at = data.find(b"\x04\x2f\x08\x00")
    assert at > 0
    data[at + 2 : at + 4] = b"\xff\xff"
    with pytest.raises(LoadError, match=r"attribute 0x2f of \.nv\.info has no end"):
        read_resources(bytes(data))
    assert known_resources(bytes(data)) == {}


def test_other_bytes_are_refused():
    with pytest.raises(LoadError, match="not a usable cubin"):
        read_resources(b"//\n.version 8.0\n" * 20)
