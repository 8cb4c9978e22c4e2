"""Files as they were written before signatures had names and manifests a serial: read, served, signed anew and merged.

`before/` holds a bundle with its workload, signed, as the first version of the format was written, and never changes.
"""

from __future__ import annotations

import pathlib
import shutil

import pytest

import jitload
from jitload.bundles.build import merge
from jitload.bundles.check import check_coverage
from jitload.bundles.sign import sign_bundle
from jitload.door import compile_request
from jitload.errors import TrustError
from jitload.workloads.workload import Workload

BEFORE = pathlib.Path(__file__).parent / "before"
PUBLIC = BEFORE / "key.pub"


@pytest.fixture
def bundle():
    with jitload.Bundle.open(BEFORE / "app.jlb", trust=PUBLIC) as opened:
        yield opened


def test_it_verifies_and_says_what_it_said(bundle):
    assert bundle.verify() == 1
    assert bundle.signers == ("old",)
    assert [(one.name, one.time) for one in bundle.signatures] == [("", None)]
    assert (bundle.manifest["builder"], bundle.manifest["targets"]) == ("before", [["ptx", "compute_75"]])
    assert not {"name", "serial"} & set(bundle.manifest)


def test_its_workload_is_the_one_beside_it(bundle):
    workload = Workload.read(BEFORE / "app.jlw")
    assert workload.encode() == (BEFORE / "app.jlw").read_bytes() == bundle.workload().encode()
    assert [row.covered for row in check_coverage(workload, [bundle], "cpu")] == [True]


def test_it_serves_what_was_recorded_then():
    with Workload.read(BEFORE / "app.jlw").unpacked() as requests:
        (request,) = requests.values()
        with jitload.configure(bundles=[BEFORE / "app.jlb"], trust=PUBLIC, strict=True):
            assert b".target sm_75" in compile_request(request, jitload.Cache()).data


def test_it_can_be_signed_by_another_key_and_merged(bundle, keys, tmp_path):
    copy = tmp_path / "copy.jlb"
    shutil.copy(BEFORE / "app.jlb", copy)
    sign_bundle(copy, keys["ci"][0])
    for trust in (PUBLIC, keys["ci"][1]):
        assert jitload.Bundle.open(copy, trust=trust).signers
    merged = merge(tmp_path / "merged.jlb", [bundle])
    assert [entry.data for entry in merged.entries()] == [entry.data for entry in bundle.entries()]
    assert merged.workload().digest == bundle.workload().digest


def test_a_trust_file_that_asks_for_a_serial_refuses_it(tmp_path):
    key = PUBLIC.read_text().split()[0]
    (tmp_path / "t.json").write_text(
        f'{{"jitload trust": 1, "keys": [{{"key": "{key}"}}], "not_older_than": {{"app": 1}}}}'
    )
    with pytest.raises(TrustError, match="without a name"):
        jitload.Bundle.open(BEFORE / "app.jlb", trust=tmp_path / "t.json")
