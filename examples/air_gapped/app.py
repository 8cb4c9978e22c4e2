"""The application: it knows nothing of bundles."""

from typing import Any

import numpy as np

import jitload


@jitload.jit_kernel(file="saxpy.cu")
def saxpy(a: float, x: Any, y: Any, n: int) -> None: ...


def main() -> None:
    x = np.arange(1000, dtype=np.float32)
    y = np.ones(1000, dtype=np.float32)
    saxpy[4, 256](2.0, x, y, 1000)
    assert np.array_equal(y, 2 * x + 1)
    stats = jitload.stats()
    served = [tier for tier, count in stats.hits.items() if count]
    print(f"right result; {stats.compiles} compiled, served by {', '.join(served) or 'the compiler'}")


if __name__ == "__main__":
    main()
