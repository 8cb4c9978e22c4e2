"""Which image a device runs: the table over all archs, and the order among those that fit."""

from __future__ import annotations

import pytest

from jitload.bundles.choose import judge_all, judge_image

DEVICES = [70, 72, 75, 80, 86, 87, 89, 90, 100, 101, 103, 107, 110, 120, 121]
SUFFIXED = [number for number in DEVICES if number >= 90]
#: cubin without suffix -> the devices that run it (CUDA C++ Programming Guide, Binary Compatibility: not from or to Tegra)
CUBINS = {
    70: {70, 75},
    72: {72},
    75: {75},
    80: {80, 86, 89},
    86: {86, 89},
    87: {87},
    89: {89},
    90: {90},
    100: {100, 103, 107},
    101: {101},
    103: {103, 107},
    107: {107},
    110: {110},
    120: {120, 121},
    121: {121},
}
#: PTX with "f" -> the devices that compile it, where they are others than those that run such a cubin (PTX ISA, .target)
FAMILIES = {101: {101, 110}}


def runs(kind, arch, device):
    return judge_image(kind, arch, f"sm_{device}").rank is not None


@pytest.mark.parametrize("image", DEVICES)
def test_cubins(image):
    assert {device for device in DEVICES if runs("cubin", f"sm_{image}", device)} == CUBINS[image]


@pytest.mark.parametrize("image", SUFFIXED)
def test_a_is_never_used_across(image):
    for kind, arch in (("cubin", f"sm_{image}a"), ("ptx", f"compute_{image}a"), ("fatbin", f"sm_{image}a")):
        assert {device for device in DEVICES if runs(kind, arch, device)} == {image}


@pytest.mark.parametrize("image", [number for number in SUFFIXED if number >= 100])
def test_f_stays_in_its_family(image):
    assert {device for device in DEVICES if runs("cubin", f"sm_{image}f", device)} == CUBINS[image]
    assert {device for device in DEVICES if runs("ptx", f"compute_{image}f", device)} == FAMILIES.get(
        image, CUBINS[image]
    )


@pytest.mark.parametrize("image", DEVICES)
def test_ptx_runs_on_its_own_arch_and_all_later_ones(image):
    for arch in (f"compute_{image}", f"sm_{image}"):
        assert {device for device in DEVICES if runs("ptx", arch, device)} == {d for d in DEVICES if d >= image}


@pytest.mark.parametrize("device", DEVICES)
def test_every_verdict_has_a_reason(device):
    for image in DEVICES:
        for arch in (f"sm_{image}", f"sm_{image}a", f"sm_{image}f", f"sm_{image},compute_{image}"):
            for kind in ("cubin", "ptx") if "," not in arch else ("fatbin",):
                verdict = judge_image(kind, arch, f"sm_{device}")
                assert verdict.reason
                assert arch in str(verdict)


@pytest.mark.parametrize(
    ("device", "order"),
    [
        ("sm_90", ["sm_90", "sm_90a", "compute_90", "compute_80", "compute_75"]),
        ("sm_90a", ["sm_90a", "sm_90", "compute_90", "compute_80", "compute_75"]),
        ("sm_89", ["sm_89", "sm_86", "sm_80", "compute_80", "compute_75"]),
        ("sm_86", ["sm_86", "sm_80", "compute_80", "compute_75"]),
        ("sm_87", ["compute_80", "compute_75"]),
        ("sm_103", ["sm_103", "sm_100f", "sm_100", "compute_90", "compute_80", "compute_75"]),
        ("sm_100", ["sm_100", "sm_100f", "compute_90", "compute_80", "compute_75"]),
        ("sm_120", ["compute_90", "compute_80", "compute_75"]),
        ("sm_70", []),
        ("cpu", ["compute_90", "compute_80", "compute_75"]),
    ],
)
def test_the_order_among_those_that_run(device, order):
    archs = [
        "sm_80",
        "sm_86",
        "sm_89",
        "sm_90",
        "sm_90a",
        "sm_100",
        "sm_100f",
        "sm_103",
        "compute_75",
        "compute_80",
        "compute_90",
    ]
    targets = [("ptx" if arch.startswith("compute") else "cubin", arch) for arch in reversed(archs)]
    verdicts = judge_all(targets, device)
    assert [verdict.arch for verdict in verdicts if verdict.rank is not None] == order
    assert {(verdict.kind, verdict.arch) for verdict in verdicts} == set(targets)


def test_the_executor_takes_the_nearest_ptx():
    archs = ["compute_70", "compute_75", "compute_89", "compute_90a", "compute_100", "compute_100f"]
    targets = [*(("ptx", arch) for arch in archs), ("fatbin", "sm_75,compute_75")]
    verdicts = judge_all(targets, "cpu")
    assert [v.arch for v in verdicts if v.rank is not None] == ["compute_89", "compute_75", "compute_70"]
    why = "the CPU executor takes PTX up to compute_90, and none of one GPU alone (a, f)"
    assert [(v.arch, v.reason) for v in verdicts if v.rank is None] == [
        *((arch, why) for arch in archs[3:]),
        ("sm_75,compute_75", "the CPU executor runs PTX alone"),
    ]


def test_a_fatbin_is_as_good_as_its_best_member():
    targets = [("fatbin", "sm_80,compute_80"), ("cubin", "sm_86"), ("ptx", "compute_89")]
    assert [v.arch for v in judge_all(targets, "sm_86")[:2]] == ["sm_86", "sm_80,compute_80"]
    assert [v.kind for v in judge_all(targets, "sm_90") if v.rank is not None] == ["ptx", "fatbin"]


def test_lto_ir_is_not_run():
    assert judge_image("ltoir", "sm_90", "sm_90").rank is None
    assert judge_image("another", "sm_90", "sm_90").rank is None
