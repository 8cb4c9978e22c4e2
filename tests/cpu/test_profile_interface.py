"""How a profile is taken: both forms, what it collects and what not, and that nobody else pays for it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import traceback

import numpy as np
import pytest

import jitload
from jitload import trace

SOURCE = r"""
extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }
template <typename T> __global__ void fill(T *x, T value) { x[threadIdx.x] = value; }
extern "C" __global__ void late(int *x, int n) { x[0] = 1; x[n] = 1; }
"""


@pytest.fixture(scope="module")
def module(cuda):
    with jitload.configure(device="cpu"):
        names = ["fill<float>", "fill<double>"]
        yield jitload.compile(SOURCE, name="two.cu", names=names).load()


def test_a_block_collects_every_launch_in_it(module):
    x = np.ones(64, np.float32)
    with jitload.cpu_profile() as profile:
        module["twice"][1, 64](x)
        module["fill<float>"][1, 32](x, 3.0)
        module["twice"][1, 32](x)
    module["twice"][1, 32](x)  # too late
    assert [(one.name, one.launches) for one in profile.kernels] == [("twice", 2), ("fill<float>", 1)]
    twice = profile.kernel("twice")
    assert twice.shapes == (((1, 1, 1), (64, 1, 1), 1), ((1, 1, 1), (32, 1, 1), 1))
    assert twice.memory("global", "store").requests == 3
    assert profile.total.memory("global", "store").requests == 4
    assert profile.kernel(profile.kernels[1].symbol).name == "fill<float>"
    with pytest.raises(LookupError, match=r"the only kernel is not there, .* twice, fill<float>"):
        profile.kernel()


def test_one_launch_can_be_given_directly(module):
    x = np.ones(32, np.float32)
    profile = jitload.cpu_profile(module["twice"], x, grid=1, block=32)
    assert isinstance(profile, jitload.CpuProfile)
    assert (x == 2).all()
    assert profile.kernel().sectors == 8
    assert repr(profile) == "<CpuProfile of twice>"
    with pytest.raises(TypeError, match="needs the kernel"):
        jitload.cpu_profile(grid=1, block=32)


@jitload.jit_kernel(source=SOURCE)
def late(x, n): ...


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((), {}, r"lacks grid= and block=: write cpu_profile\((late|kernel), x, n, grid=\.\.\., block=\.\.\.\)"),
        ((1,), {"grid": 1}, "lacks block=: "),
        ((), {"grid": 1, "block": 1}, "(lacks arguments 'x', 'n'|takes 2 arguments, got 0)"),
    ],
)
@pytest.mark.parametrize("loaded", [False, True])
def test_a_launch_that_lacks_something_says_what_to_give_and_shows_one_frame(module, loaded, arguments, options, said):
    kernel = module["late"] if loaded else late
    with jitload.configure(device="cpu"), pytest.raises(jitload.JitloadError, match=said) as caught:
        jitload.cpu_profile(kernel, *arguments, **options)
    files = [entry.filename for entry in traceback.extract_tb(caught.value.__traceback__)]
    assert files == [__file__, trace.__file__]


def test_a_line_of_two_instantiations_is_one_line(module):
    with jitload.cpu_profile() as profile:
        module["fill<float>"][1, 32](np.zeros(32, np.float32), 1.0)
        module["fill<double>"][1, 32](np.zeros(32), 1.0)
    assert profile.line(3).sectors == profile.line("two.cu:3").sectors == 4 + 8
    assert profile.kernel("fill<double>").sectors == 8


def test_kernels_are_told_apart_by_their_code_not_by_module_or_name(module):
    other = SOURCE.replace("x[threadIdx.x] *= 2", "x[0] = 1")
    with jitload.configure(device="cpu"):
        again, different = (jitload.load_module_from_bytes("ptx", data) for data in (
            module.save_to_bytes(), jitload.compile(other, name="two.cu").data))  # fmt: skip
    with jitload.cpu_profile() as profile:
        for one in (module, again, different):
            one["twice"][1, 32](np.zeros(32, np.float32))
    assert [(one.name, one.launches) for one in profile.kernels] == [("twice", 2), ("twice", 1)]
    with pytest.raises(LookupError, match="kernel 'twice' is not there, or there more than once"):
        profile.kernel("twice")


def test_a_profile_goes_on_when_it_is_used_again(module):
    profile = jitload.cpu_profile()
    for _ in range(2):
        with profile:
            module["twice"][1, 32](np.zeros(32, np.float32))
            with pytest.raises(RuntimeError, match="in force already"), profile:
                pass
    assert profile.kernel().launches == 2


def test_launches_of_other_threads_are_not_collected(module):
    other = threading.Thread(target=lambda: module["twice"][1, 32](np.zeros(32, np.float32)))
    with jitload.cpu_profile() as profile:
        other.start()
        other.join()
    assert profile.kernels == ()
    assert str(profile) == "no launch on the CPU executor was seen"


def test_a_launch_that_faults_is_counted_as_far_as_it_came(module):
    with jitload.cpu_profile() as profile, pytest.raises(jitload.CpuFault):
        module["late"][1, 32](np.zeros(1, np.int32), 1 << 20)
    assert profile.kernel("late").memory("global", "store").requests == 1


def test_where_a_gpu_runs_kernels_the_error_says_what_to_do():
    with jitload.configure(device="cuda"):
        with pytest.raises(jitload.LaunchError, match=r"JITLOAD_DEVICE=cpu.*Nsight Compute"), jitload.cpu_profile():
            pass
        with pytest.raises(jitload.LaunchError, match="the device in force is a GPU"):
            jitload.cpu_profile(lambda: None)


def test_a_wrong_space_is_an_error_that_lists_them(module):
    profile = jitload.cpu_profile(module["twice"], np.zeros(32, np.float32), grid=1, block=32)
    with pytest.raises(ValueError, match="the spaces are global, shared, cluster, local, param, const"):
        profile.total.memory("texture")


def test_nothing_of_it_is_imported_for_a_launch_without_a_profile(cache_dir):
    code = """
import sys, json, numpy as np, jitload
k = jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', name="k.cu").load()["k"]
k[1, 1](np.zeros(1, np.int32))
print(json.dumps([name for name in sys.modules if name.startswith("jitload.cpu.")]))
"""
    environment = {"JITLOAD_DEVICE": "cpu", "JITLOAD_CACHE_DIR": str(cache_dir)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=jitload.config.child_environment(**environment),
        capture_output=True,
        check=True,
    )
    loaded = json.loads(done.stdout)
    assert "jitload.cpu.run.batch" in loaded
    assert not [name for name in loaded if name.startswith("jitload.cpu.profile")]
