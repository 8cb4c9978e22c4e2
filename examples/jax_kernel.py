"""A kernel as a function of JAX arrays: in jax.jit, with a gradient of its own.

    pip install jitload jax

JAX's arrays never change: what the kernel writes comes back as new arrays. The kernel runs on the host's side of a
callback; without a GPU on the CPU executor.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

import jitload
from jitload.interop.jax import jax_function

SOURCE = r"""
// y = x * sigmoid(x)
__global__ void silu(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] / (1 + expf(-x[i]));
}

__global__ void silu_backward(const float *gradient, const float *x, float *result, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float s = 1 / (1 + expf(-x[i]));
    result[i] = gradient[i] * s * (1 + x[i] * (1 - s));
}
"""
BLOCK = 128


@jitload.jit_kernel(source=SOURCE)
def silu(x: jax.Array, y: jax.Array, n: int) -> None: ...


@jitload.jit_kernel(source=SOURCE)
def silu_backward(gradient: jax.Array, x: jax.Array, result: jax.Array, n: int) -> None: ...


def blocks(*arguments: jax.Array | int) -> int:
    return -(-int(arguments[-1]) // BLOCK)  # of n


forward = jax_function(silu, grid=blocks, block=BLOCK, outputs={"y": "x"})
backward = jax_function(silu_backward, grid=blocks, block=BLOCK, outputs={"result": "x"})


@jax.custom_vjp
def activate(x: jax.Array) -> jax.Array:
    return forward(x, x.size)


activate.defvjp(lambda x: (activate(x), x), lambda x, gradient: (backward(gradient, x, x.size),))


def main() -> None:
    x = jnp.linspace(-4, 4, 300, dtype=jnp.float32).reshape(3, 100)
    if not jnp.allclose(jax.jit(activate)(x), jax.nn.silu(x), atol=1e-6):
        raise SystemExit("wrong numbers")
    print("jit      : as jax.nn.silu")

    ours, theirs = (jax.grad(lambda x, f=f: f(x).sum())(x) for f in (activate, jax.nn.silu))
    if not jnp.allclose(ours, theirs, atol=1e-6):
        raise SystemExit("wrong gradient")
    print("gradient : the other kernel")

    if not jnp.allclose(jax.vmap(activate)(x), jax.nn.silu(x), atol=1e-6):
        raise SystemExit("wrong numbers by vmap")
    print("vmap     : one launch for each of", len(x))


if __name__ == "__main__":
    main()
