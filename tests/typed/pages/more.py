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

import numpy as np
import jitload
from jitload.cpu.profile.kernel_profile import KernelProfile, LineProfile
from jitload.tiers.audit import CacheStats, EntryInfo
from jitload.tiers.explain import Explanation

@jitload.jit_kernel(source='extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }')
def twice(x: np.ndarray) -> None: ...

found: Explanation = jitload.explain(twice.request(kind="cubin", arch="sm_90"))
print(found.outcome, found.tier, found.factors)       # "hit", "compile" or "error"

cache = jitload.Cache.default()
entries: list[EntryInfo] = list(cache.entries())
held: CacheStats = cache.stats()
assert held.bytes == sum(entry.bytes for entry in entries)

with jitload.configure(device="cpu"):
    profile = jitload.cpu_profile(twice, np.ones(32, np.float32), grid=1, block=32)
whole: KernelProfile = profile.kernel("twice")
first: LineProfile = whole.lines[0]
print(whole.launches, first.number, first.sectors_per_request)
