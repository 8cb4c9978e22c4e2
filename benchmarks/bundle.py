"""What a bundle costs: open, find and read verified in a new process, 1,000 and 10,000 entries, signed and not.

Run by hand: `python benchmarks/bundle.py`. The time is taken inside the new process, from `Bundle.open` (its import
apart) to the artifact in hand; each figure is a median, the last column the best round. The budget (10,000 entries) is
5 ms without a signature and 30 ms with one, of which half is the import of `cryptography`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from jitload.artifact import Artifact
from jitload.bundles.bundle import Bundle
from jitload.bundles.format import encode_blob, encode_bundle
from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.compiler.key import key_of
from jitload.digest import sha256_hex
from jitload.door import compile as compile_source
from jitload.files.atomic import write_file
from jitload.format.entry import encode_entry
from jitload.headers.record import Variant, encode_record
from jitload.values import Kind, Toolchain

ROUNDS = 25
NEW_PROCESS = """
import time
import jitload
before = time.perf_counter()
from jitload.bundles.bundle import Bundle
opened = time.perf_counter()
bundle = Bundle.open({path!r}, trust={trust!r})
ready = time.perf_counter()
(entry,) = bundle.read({request!r})
assert entry.artifact.data
print(opened - before, ready - opened, time.perf_counter() - ready)
"""


def main() -> None:
    image = compile_source('extern "C" __global__ void k(float *x) { *x = 1; }', kind="cubin", arch="sm_90")
    with tempfile.TemporaryDirectory() as base:
        public = generate_keys(f"{base}/key")
        print(f"{'entries':>8} {'signed':>7} {'import ms':>10} {'open ms':>9} {'read ms':>9} {'open+read best':>14}")
        for count in (1_000, 10_000):
            path = f"{base}/{count}.jlb"
            write_file(path, bundle_of(image, count))
            request = Bundle.open(path, trust="unsigned").requests[count // 3]
            show(count, "no", path, "unsigned", request)
            sign_bundle(path, f"{base}/key")
            show(count, "yes", path, public, request)
            started = time.perf_counter()
            Bundle.open(path, trust=public).verify()
            print(f"{'':>8} every entry verified in {time.perf_counter() - started:.2f} s")


def bundle_of(image: Artifact, count: int) -> bytes:
    """A bundle of one image under many requests; what its entries hold does not matter here."""
    blobs = {}
    chain = Toolchain("nvrtc", "12.9.86", "ab" * 32)
    for number in range(count):
        request = sha256_hex(f"request {number}".encode())
        variant = Variant("cd" * 32, chain, (), ())
        entry = Artifact(
            kind=Kind.CUBIN, data=image.data, arch="sm_90", name="k.cu", key=key_of(request, "cd" * 32, chain),
            kernels=image.kernels.values(), toolchain=chain,
        )  # fmt: skip
        blobs[bytes.fromhex(request)] = encode_blob(encode_record(request, [variant]), [encode_entry(entry)])
    manifest = {"archs": ["sm_90"], "kinds": ["cubin"], "licences": [], "builder": "", "workload": "",
                "requests": count, "targets": [["cubin", "sm_90"]], "toolchains": []}  # fmt: skip
    return encode_bundle(blobs, manifest)


def show(count: int, signed: str, path: str, trust: str, request: str) -> None:
    code = NEW_PROCESS.format(path=path, trust=trust, request=request)
    rows = []
    # With the modules compiled, as they are where jitload is installed.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = os.path.join(os.path.dirname(path), "pyc")
    for _ in range(ROUNDS + 1):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        rows.append([1000 * float(part) for part in done.stdout.split()])
    rows = rows[1:]
    imported, opened, read = (statistics.median(column) for column in zip(*rows, strict=True))
    best = min(row[1] + row[2] for row in rows)
    print(f"{count:>8} {signed:>7} {imported:>10.2f} {opened:>9.2f} {read:>9.2f} {best:>14.2f}")


if __name__ == "__main__":
    main()
