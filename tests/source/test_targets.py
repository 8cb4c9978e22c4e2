"""Several kinds and archs: which images are made, and that nothing asked for is left out in silence."""

from __future__ import annotations

import pytest

from jitload.source.targets import fitting_targets, image_targets, parse_archs, parse_kinds

ALL = "sm_80,sm_90a,compute_80"


def spelled(targets):
    return [f"{kind} {','.join(archs)}" for kind, archs in targets]


@pytest.mark.parametrize(
    ("archs", "kinds", "expected"),
    [
        (ALL, "", ["cubin sm_80", "cubin sm_90a", "ptx compute_80"]),
        (ALL, "cubin,ptx", ["cubin sm_80", "cubin sm_90a", "ptx compute_80"]),
        (ALL, "ptx,cubin", ["ptx compute_80", "cubin sm_80", "cubin sm_90a"]),
        ("sm_80,sm_90", "cubin,ptx", ["cubin sm_80", "cubin sm_90", "ptx sm_80", "ptx sm_90"]),
        (ALL, "ptx", ["ptx sm_80", "ptx sm_90a", "ptx compute_80"]),
        (ALL, "fatbin", [f"fatbin {ALL}"]),
        (ALL, "cubin,ptx,fatbin", ["cubin sm_80", "cubin sm_90a", "ptx compute_80", f"fatbin {ALL}"]),
        (ALL, "ptx,fatbin", ["ptx compute_80", f"fatbin {ALL}"]),
        ("sm_90,compute_90", "ltoir", ["ltoir sm_90", "ltoir compute_90"]),
        ("90, 9.0, sm_90", "CUBIN,cubin", ["cubin sm_90"]),
    ],
)
def test_images_by_archs_and_kinds(archs, kinds, expected):
    assert spelled(image_targets(archs, kinds or ())) == expected


def test_lists_and_commas_are_the_same():
    assert image_targets(["sm_80", "sm_90a,compute_80"], ["cubin", "ptx"]) == image_targets(ALL, "cubin,ptx")
    assert parse_archs(["80", "sm_80"]) == ("sm_80",)
    assert [kind.value for kind in parse_kinds(["ptx,cubin", "ptx"])] == ["ptx", "cubin"]


@pytest.mark.parametrize(
    ("archs", "kinds", "words"),
    [
        ("compute_80", "cubin", "for sm_"),
        ("compute_80", "cubin,ptx", "for sm_"),
        (ALL, "cubin", "nothing for compute_80: add ptx"),
        ("sm_80", "cubin,exe", "unknown kind 'exe'"),
        ("sm_80,volta", "cubin", "unknown arch 'volta'"),
        ("sm_80,", "cubin", "unknown arch ''"),
    ],
)
def test_nothing_is_left_out_in_silence(archs, kinds, words):
    with pytest.raises(ValueError, match=words):
        image_targets(archs, kinds)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cubin", ["cubin sm_80", "cubin sm_90a"]),
        ("ptx", ["ptx compute_80"]),
        ("fatbin", [f"fatbin {ALL}"]),
    ],
)
def test_the_kind_of_an_application_takes_the_archs_that_fit_it(kind, expected):
    assert spelled(fitting_targets(kind, parse_archs(ALL))) == expected
    assert fitting_targets("cubin", ["compute_80"]) == []
