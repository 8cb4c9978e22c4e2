"""What a bundle costs: open, find and read verified in a new process, 1,000 and 10,000 entries, signed and not.

Run by hand: `python benchmarks/bundle.py`. The time is taken inside the new process, from `Bundle.open` (its import
apart) to the artifact in hand. With a signature half of it is the import of `cryptography`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from measure import Budget, Row, show, taken, turns

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Milliseconds: entries and whether signed.
BUDGETS = {(10_000, ""): 5, (10_000, ", signed"): 30}
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
print(opened - before, time.perf_counter() - opened)
"""


def rows(rounds: int) -> Iterator[Row]:
    """Opened, found and read, in new processes; all bundles in turns."""
    image = compile_source('extern "C" __global__ void k(float *x) { *x = 1; }', kind="cubin", arch="sm_90")
    with tempfile.TemporaryDirectory() as base:
        public = generate_keys(f"{base}/key")
        actions: dict[str, Callable[[], float]] = {}
        budgets: dict[str, Budget | None] = {}
        for count in (1_000, 10_000):
            data = bundle_of(image, count)
            for signed in ("", ", signed"):
                path = f"{base}/{count}{signed[2:]}.jlb"
                write_file(path, data)
                request = Bundle.open(path, trust="unsigned").requests[count // 3]
                if signed:
                    sign_bundle(path, f"{base}/key")
                what = f"bundle of {count} entries{signed}: open, find, verified read"
                trust = public if signed else "unsigned"
                actions[what] = lambda path=path, trust=trust, request=request: opened(path, trust, request)
                limit = BUDGETS.get((count, signed))
                budgets[what] = None if limit is None else Budget(limit)
        for what, figures in turns(actions, rounds, first=1).items():
            yield Row(what, "ms", figures, budget=budgets[what])
        yield Row(
            "bundle of 10000 entries, signed: every entry verified",
            "s",
            (taken(lambda: Bundle.open(path, trust=public).verify()),),
        )


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


def opened(path: str, trust: str, request: str) -> float:
    """Seconds from the path to the artifact, in a new process."""
    code = NEW_PROCESS.format(path=path, trust=trust, request=request)
    # With the modules compiled, as they are where jitload is installed.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = os.path.join(os.path.dirname(path), "pyc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return float(done.stdout.split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    show(rows(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
