# acme_ops/__init__.py
import numpy as np
import jitload

@jitload.jit_kernel(file="scale.cu")
def scale(a: float, x: np.ndarray, n: int) -> None: ...

def doubled(x: np.ndarray) -> np.ndarray:
    """x * 2, as a new array of float32."""
    y = np.array(x, np.float32)
    scale[(y.size + 255) // 256, 256](2.0, y, y.size)
    return y
