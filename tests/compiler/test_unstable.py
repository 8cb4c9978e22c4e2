"""Names that NVRTC makes of a process id are found in every kind of image, and names that it repeats are not."""

from __future__ import annotations

import pytest

import jitload
from jitload.compiler.unstable import unstable_name, why_unstable

HIDDEN = "namespace { __global__ void q(int *x) { x[0] = 1; } }"
TARGETS = [("ptx", "compute_75"), ("cubin", "sm_80"), ("ltoir", "sm_80"), ("fatbin", ["sm_80", "compute_80"])]


def compiled(source, kind="ptx", arch="compute_75", names=("q",), **fields):
    return jitload.compile(source, kind=kind, arch=arch, names=names, **fields)


@pytest.mark.parametrize(("kind", "arch"), TARGETS, ids=[kind for kind, _ in TARGETS])
def test_a_kernel_in_an_anonymous_namespace_alone_is_unstable(kind, arch):
    why = why_unstable(compiled(HIDDEN, kind, arch))
    assert "_GLOBAL__N__" in why
    assert "__device__ void anchor() {}" in why


@pytest.mark.parametrize("anchor", ["__device__ void anchor() {}", 'extern "C" __global__ void z() {}'])
@pytest.mark.parametrize(("kind", "arch"), TARGETS, ids=[kind for kind, _ in TARGETS])
def test_an_external_symbol_makes_it_stable(kind, arch, anchor):
    assert why_unstable(compiled(f"{HIDDEN}\n{anchor}", kind, arch)) == ""


@pytest.mark.parametrize("name", ["k.cu", "a-b c.cu", "9.cu", "ä$.cu", "long_" * 30 + ".cu"])
def test_whatever_the_program_is_called(name):
    assert why_unstable(compiled(HIDDEN, name=name))


def test_a_template_argument_from_an_anonymous_namespace():
    source = "namespace { struct A { int v = 1; }; } template <class T> __global__ void t(int *x) { *x = T().v; }"
    assert why_unstable(compiled(source, names=["t<A>"]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_GLOBAL__N__00000000_4_k_cu_9c037531_11211",
        "_ZN29_GLOBAL__N__00000000_4_k_cu_z1qEPi",
        "_ZN43_GLOBAL__N__00000000_4_k_cu_deadbeef_1xyzabc1qEPi",
        "_ZN12_GLOBAL__N_16hiddenEPf",
        "_ZN9999_GLOBAL__N__00000000_4_k_cu_9c037531_11211",
    ],
)
def test_other_names_are_stable(text):
    assert unstable_name(text.encode()) == ""


def test_the_name_is_cut_where_its_length_says():
    assert unstable_name(b"_ZN42_GLOBAL__N__00000000_4_k_cu_9c037531_112111qEPi").endswith("_9c037531_11211")
    assert unstable_name(b"_Z1tIN142_GLOBAL__N__00000000_4_k_cu_9c037531_112111AEEvPi").endswith("_11211")
