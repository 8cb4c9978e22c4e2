import torch
import jitload
from jitload.interop.torch import custom_op

SOURCE = """
__global__ void cube(const double *x, double *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] * x[i] * x[i];
}
"""

@jitload.jit_kernel(source=SOURCE, entry="cube")
def cube(x: torch.Tensor, y: torch.Tensor, n: int) -> None: ...

def blocks(x: torch.Tensor, y: torch.Tensor, n: int) -> int:
    return -(-n // 128)

cube_op = custom_op(
    cube, "mylib::cube", grid=blocks, block=128,
    outputs={"y": "x"},                                         # y is made for each call, like x, and returned
    backward=lambda gradient, x, n: 3 * gradient * x**2,        # or another operator of this function
)
x = torch.randn(1000, dtype=torch.float64, requires_grad=True)
cube_op(x, 1000).sum().backward()
torch.library.opcheck(cube_op, (x, 1000))
compiled = torch.compile(lambda x: cube_op(x.sin(), x.numel()), backend="aot_eager", fullgraph=True)

import jax
import jax.numpy as jnp
from jitload.interop.jax import jax_function

AXPY = """
__global__ void axpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
"""

@jitload.jit_kernel(source=AXPY, entry="axpy")
def axpy(a: float, x: jax.Array, y: jax.Array, n: int) -> None: ...

add = jax_function(axpy, grid=lambda a, x, y, n: -(-n // 128), block=128, outputs={"y": "y"})
x, y = jnp.arange(1000.0), jnp.ones(1000)
changed = jax.jit(lambda x, y: add(2.0, x, y, x.size))(x, y)    # y is what it was
