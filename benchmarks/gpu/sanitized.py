"""What compute-sanitizer watches: `python -m gpu.sanitized [FILE...]` launches a little of everything, and checks it.

FILE is one of kernels/; without any, all of them.
"""

from __future__ import annotations

import sys

import numpy as np

from gpu.machine import ROOT
from gpu.smoke import launches
from gpu.smoke.program import artifact, check_saxpy, module


def main() -> None:
    """Every road of a launch, then every kernel of kernels/ once."""
    for kind in ("cubin", "ptx"):
        check_saxpy(artifact(kind).load()["saxpy"])
    launches.device_arrays()
    launches.a_stream()
    launches.graph_of_a_new_kernel()
    x = np.arange(256, dtype=np.float32)
    for name in ("reverse", "reverse_static"):
        module()[name].bind(grid=1, block=256, shared_bytes=2048)(x, 512)
    print(f"{cases_of_kernels(sys.argv[1:])} cases of kernels/")


def cases_of_kernels(files: list[str]) -> int:
    """Each case of tests/kernels on its last shape, which spans several blocks; gives how many.

    Args:
        files: of kernels/; all, if there are none.
    """
    sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]
    import jitload
    from jitload.cuda import driver
    from tests.kernels.cases import CASES, KERNELS, NAMES, run

    ran = 0
    for file, names in NAMES.items():
        if files and file not in files:
            continue
        program = jitload.compile(KERNELS / file, kind="cubin", arch=driver.device_arch(), names=names).load()
        for case in CASES:
            if case.file == file:
                run(case.problem(case.shapes[-1], "cover"), program)
                ran += 1
    return ran


if __name__ == "__main__":
    main()
