"""A program of cuda.core, compiled without a GPU and kept in jitload's cache; then its image as a module of jitload.

python examples/caches/cuda_core_program.py    # twice: the second one is a hit

Needs cuda-core 1.2.
"""

from __future__ import annotations

from cuda.core import Program, ProgramOptions

import jitload
from jitload.interop.cuda_core import ProgramCache

SOURCE = 'extern "C" __global__ void fill(int *out, int value) { out[threadIdx.x] = value; }'


def main() -> None:
    with ProgramCache() as cache, cache.single_flight() as one:
        code = Program(SOURCE, "c++", ProgramOptions(arch="sm_80")).compile("cubin", cache=one)
    hits = sum(jitload.stats().hits.values())
    print(f"{code.code_type} of {len(code.code)} bytes: {'a hit' if hits else 'compiled'}")
    print("kernels:", ", ".join(jitload.load_module_from_bytes(code.code_type, code.code).functions))


if __name__ == "__main__":
    main()
