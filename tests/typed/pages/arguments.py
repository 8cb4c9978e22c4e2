import numpy as np
import jitload
@jitload.jit_kernel(source="template <typename T> __global__ void twice(T *x, int n) { for (int i = 0; i < n; ++i) x[i] *= 2; }")
def twice(x: np.ndarray, n: int, *, T: str = ...) -> None: ...

twice[1, 1](np.arange(4.0), 4)                   # twice<double>
twice[1, 1](np.arange(4, dtype=np.int16), 4)     # twice<short>

from pathlib import Path; Path("reduce.cu").touch()
import numpy as np
import jitload

@jitload.jit_kernel(file="reduce.cu", entry="reduce<{T}, {BLOCK}>")
def reduce(x: np.ndarray, out: np.ndarray, n: int, *, T: str = ..., BLOCK: int = 256) -> None: ...
