"""What a profile makes of instructions that are more than one access, or none, or under a guard; worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import jitload


@pytest.fixture
def run(ptx):
    """(body of a kernel with one pointer `out`, threads, array) -> profile; the body begins on line 5 of the PTX."""

    def launch(body, threads, array, grid=1):
        text = f".visible .entry k(.param .u64 out) {{\n{body}\nret; }}"
        with jitload.configure(device="cpu"), jitload.cpu_profile() as profile:
            ptx(text).run("k", grid, threads, array)
        return profile

    return launch


def only(profile, text):
    """The one line of the kernel whose class is `text`."""
    found = [line for line in profile.kernel().lines if text in line.classes]
    assert len(found) == 1
    return found[0]


def test_a_guarded_access_counts_for_its_threads_and_a_guarded_value_for_all(run):
    profile = run(
        """.reg .pred %p; .reg .b32 %r; .reg .b64 %w, %v;
        ld.param.u64 %w, [out];
        mov.u32 %r, %tid.x;
        mad.wide.u32 %w, %r, 4, %w;
        setp.lt.u32 %p, %r, 8;
        @%p cvt.u64.u32 %v, %r;
        @%p st.global.u32 [%w], %r;""",
        64,
        np.zeros(64, np.uint32),
    )
    value, store = only(profile, "conversion"), only(profile, "store")
    assert (value.inst_executed, value.thread_inst_executed) == (2, 64)
    assert (store.inst_executed, store.thread_inst_executed, store.sectors) == (1, 8, 1)
    assert profile.total.branches == 0  # the way around the store is no branch of the kernel's
    names = [line.name for line in profile.kernel().lines]
    assert names == [f"ptx:{number}" for number in range(6, 13)]
    with pytest.raises(LookupError, match=r"those that ran: ptx:6"):
        profile.line(6)


def test_generic_addresses_count_in_the_space_that_each_points_into(run):
    profile = run(
        """.reg .pred %p; .reg .b32 %r; .reg .b64 %w, %s, %v; .shared .align 4 .b8 tile[256];
        ld.param.u64 %w, [out];
        mov.u32 %r, %tid.x;
        mad.wide.u32 %w, %r, 4, %w;
        mov.u64 %s, tile;
        cvta.shared.u64 %s, %s;
        mad.wide.u32 %s, %r, 8, %s;
        setp.lt.u32 %p, %r, 24;
        selp.b64 %v, %w, %s, %p;
        st.u32 [%v], %r;""",
        32,
        np.zeros(32, np.uint32),
    )
    store = only(profile, "store")
    assert store.inst_executed == 1
    to_global, to_shared = store.memory("global", "store"), store.memory("shared", "store")
    assert (to_global.requests, to_global.accesses, to_global.bytes, to_global.sectors) == (1, 24, 96, 3)
    assert (to_shared.requests, to_shared.accesses, to_shared.bytes) == (1, 8, 32)
    assert (to_shared.wavefronts, to_shared.bank_conflicts) == (1, 0)


@pytest.mark.parametrize(("pitch", "conflicts"), [(16, 0), (48, 0), (32, 4), (128, 28)])
def test_a_matrix_is_one_request_with_a_wavefront_per_fragment(run, pitch, conflicts):
    """Four matrices of 8 rows of 16 bytes. At a pitch of 32 bytes two rows share their banks, at 128 all eight do."""
    profile = run(
        f""".reg .b32 %r, %a, %b, %c, %d; .shared .align 16 .b8 tile[4096];
        mov.u32 %r, %tid.x;
        mov.u32 %a, tile;
        mad.lo.u32 %r, %r, {pitch}, %a;
        ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%a, %b, %c, %d}}, [%r];""",
        32,
        np.zeros(1, np.uint32),
    )
    load = only(profile, "load").memory("shared", "load")
    assert (load.requests, load.accesses, load.bytes) == (1, 32, 512)
    assert (load.ideal_wavefronts, load.bank_conflicts) == (4, conflicts)


def test_an_asynchronous_copy_is_a_load_and_a_store(run):
    profile = run(
        """.reg .b32 %r, %s; .reg .b64 %w; .shared .align 16 .b8 tile[1024];
        ld.param.u64 %w, [out];
        mov.u32 %r, %tid.x;
        mad.wide.u32 %w, %r, 16, %w;
        mov.u32 %s, tile;
        mad.lo.u32 %s, %r, 16, %s;
        cp.async.cg.shared.global [%s], [%w], 16;
        cp.async.wait_all;""",
        32,
        np.zeros(128, np.uint32),
    )
    copy = only(profile, "copy")
    assert copy.memory("global", "load").sectors == 16
    assert (copy.memory("shared", "store").wavefronts, copy.bank_conflicts) == (4, 0)
    assert only(profile, "synchronization").barriers == 0


def test_a_vector_atomic_is_one_request(run):
    profile = run(
        """.reg .b64 %w; .reg .f32 %f;
        ld.param.u64 %w, [out];
        mov.f32 %f, 0f3F800000;
        red.global.add.v2.f32 [%w], {%f, %f};""",
        64,
        np.zeros(2, np.float32),
    )
    traffic = only(profile, "atomic").memory("global", "atomic")
    assert (traffic.requests, traffic.accesses, traffic.bytes) == (2, 64, 512)


def test_a_table_of_branches_parts_a_warp_that_goes_several_ways(run):
    profile = run(
        """.reg .b32 %r, %q;
        mov.u32 %r, %tid.x;
        shr.u32 %q, %r, 5;
        and.b32 %r, %r, %q;
        T: .branchtargets A, B;
        brx.idx %r, T;
        A: mov.u32 %q, 1;
        B: add.u32 %q, %q, 2;""",
        64,
        np.zeros(1, np.uint32),
    )
    # Every thread of the first warp goes to A; of the second the odd ones go to B at once, and the others follow.
    assert (profile.total.branches, profile.total.divergent_branches) == (2, 1)
    jump = profile.line("ptx:10")
    assert (jump.branches, jump.divergent_branches, jump.branch_efficiency) == (2, 1, 0.5)
    assert profile.line("ptx:11").thread_inst_executed == 48
    assert (profile.line("ptx:12").inst_executed, profile.line("ptx:12").thread_inst_executed) == (2, 64)


def test_arguments_of_functions_are_parameters_not_local_memory(cuda):
    source = """
__device__ __noinline__ float square(float x) { return x * x; }
extern "C" __global__ void k(float *x) { x[threadIdx.x] = square(x[threadIdx.x]); }
"""
    with jitload.configure(device="cpu"), jitload.cpu_profile() as profile:
        cuda(source, "-lineinfo").run("k", 1, 64, np.ones(64, np.float32))
    total = profile.total
    assert total.memory("local").requests == 0
    # The kernel reads its pointer, and writes and reads an argument and a result; the function does the reverse.
    loads, stores = total.memory("param", "load"), total.memory("param", "store")
    assert (loads.bytes, stores.bytes) == (64 * (8 + 4 + 4), 64 * (4 + 4))
    assert profile.line(2).classes["fp32"] == (2, 64)


def test_barriers_and_warp_operations(run):
    profile = run(
        """.reg .b32 %r, %s; .reg .pred %p;
        mov.u32 %r, %tid.x;
        bar.sync 0;
        shfl.sync.bfly.b32 %s, %r, 1, 31, -1;
        bar.warp.sync -1;
        vote.sync.any.pred %p, %p, -1;""",
        40,
        np.zeros(1, np.uint32),
        grid=3,
    )
    assert profile.total.barriers == 3 * 2
    assert profile.total.classes["synchronization"] == (6, 120)
    assert profile.total.classes["warp"] == (3 * 6, 3 * 120)
    assert profile.total.warp_efficiency == 20 / 32


def test_the_offset_of_an_instruction_counts(run):
    profile = run(
        """.reg .b32 %r; .reg .b64 %w;
        ld.param.u64 %w, [out];
        mov.u32 %r, %tid.x;
        mad.wide.u32 %w, %r, 4, %w;
        ld.global.u32 %r, [%w+4];
        st.global.u32 [%w+32], %r;""",
        32,
        np.zeros(64, np.uint32),
    )
    assert only(profile, "store").sectors == 4
    assert profile.line("ptx:9").sectors == 5  # from byte 4 on, not from a sector's first
