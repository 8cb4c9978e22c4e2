"""Two kernels as one operator of PyTorch: with its gradient, checked by gradcheck, in one graph of torch.compile.

    pip install jitload torch

Without a GPU the kernels run on the CPU executor, on tensors of the CPU.
"""

from __future__ import annotations

import torch

import jitload
from jitload.interop.torch import custom_op

SOURCE = r"""
// y = x * sigmoid(x)
template <typename T> __global__ void silu(const T *x, T *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] / (1 + exp(-x[i]));
}

template <typename T> __global__ void silu_backward(const T *gradient, const T *x, T *result, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    T s = 1 / (1 + exp(-x[i]));
    result[i] = gradient[i] * s * (1 + x[i] * (1 - s));
}
"""
BLOCK = 128


@jitload.jit_kernel(source=SOURCE)
def silu(x: torch.Tensor, y: torch.Tensor, n: int, *, T: str = "double") -> None: ...  # noqa: N803 - the template's name


@jitload.jit_kernel(source=SOURCE)
def silu_backward(
    gradient: torch.Tensor,
    x: torch.Tensor,
    result: torch.Tensor,
    n: int,
    *,
    T: str = "double",  # noqa: N803
) -> None: ...


def blocks(*arguments: torch.Tensor | int) -> int:
    return -(-arguments[-1] // BLOCK)  # of n


backward_op = custom_op(silu_backward, "example::silu_backward", grid=blocks, block=BLOCK, outputs={"result": "x"})
# `backward` gets the gradient of y, then x and n, and gives the gradient of x: what the other operator does.
silu_op = custom_op(silu, "example::silu", grid=blocks, block=BLOCK, outputs={"y": "x"}, backward=backward_op)


def activate(x: torch.Tensor) -> torch.Tensor:
    return 2 * silu_op(x + 1, x.numel())


def main() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 50, dtype=torch.float64, device="cuda" if torch.cuda.is_available() else "cpu")
    if not torch.allclose(silu_op(x, x.numel()), torch.nn.functional.silu(x)):
        raise SystemExit("wrong numbers")
    print("operator :", torch.ops.example.silu.default)

    few = x[0, :8].clone().requires_grad_()
    if not torch.autograd.gradcheck(lambda x: silu_op(x, x.numel()), (few,)):
        raise SystemExit("wrong gradient")
    print("gradient : as gradcheck measures it")

    compiled = torch.compile(activate, backend="aot_eager", fullgraph=True)  # or inductor, which needs a C++ compiler
    if not torch.allclose(compiled(x), activate(x)):
        raise SystemExit("wrong numbers from the compiled graph")
    print("compiled : one graph, the kernel in it")


if __name__ == "__main__":
    main()
