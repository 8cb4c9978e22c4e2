"""A Triton kernel for an H100, compiled without a GPU and kept in jitload's cache.

python examples/caches/triton_kernel.py        # twice: the second one is a hit
python -m jitload cache ls --kind blob

Needs Triton 3.9.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys

os.environ.setdefault("TRITON_CACHE_MANAGER", "jitload.interop.triton:CacheManager")

import triton
import triton.language as tl
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def add_kernel(x, y, out, n, block: tl.constexpr):
    i = tl.program_id(0) * block + tl.arange(0, block)
    inside = i < n
    tl.store(out + i, tl.load(x + i, mask=inside) + tl.load(y + i, mask=inside), mask=inside)


def main() -> None:
    hits = []
    knobs.compilation.listener = lambda **told: hits.append(told["cache_hit"])
    types = {"x": "*fp32", "y": "*fp32", "out": "*fp32", "n": "i32", "block": "constexpr"}
    kernel = triton.compile(ASTSource(add_kernel, types, {"block": 256}), GPUTarget("cuda", 90, 32))
    digest = hashlib.sha256(kernel.asm["cubin"]).hexdigest()
    if "--json" in sys.argv:
        print(json.dumps({"hit": hits[0], "digest": digest, "ptx": kernel.asm["ptx"]}))
    else:
        print(f"cubin of {len(kernel.asm['cubin'])} bytes, {digest[:12]}: {'a hit' if hits[0] else 'compiled'}")


if __name__ == "__main__":
    main()
