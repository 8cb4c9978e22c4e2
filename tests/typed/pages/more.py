from pathlib import Path
import jitload
from jitload.batch.report import PrecompileReport
from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.tiers.blobs import BlobStore
from jitload.workloads.workload import Workload

with jitload.record("app.jlw"):
    jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', kind="cubin", arch="sm_90")
workload = Workload.read("app.jlw")
report: PrecompileReport = jitload.precompile(workload, archs=["sm_80"])
assert not report.failed

public = generate_keys("ci.key", name="ci")           # "ed25519:...", which is in ci.key.pub with that name
jitload.Bundle.create("app.jlb", Path("app.jlw"), archs=["sm_80"])
sign_bundle("app.jlb", "ci.key")
with jitload.Bundle.open("app.jlb", trust=["ci.key.pub"]) as bundle:
    assert public in Path("ci.key.pub").read_text() and bundle.signers == ("ci",) and bundle.verify() == 1

blobs: BlobStore = jitload.Cache.default().blobs("somebody")
blobs.put("key", b"bytes")
