"""Triton, on tensors of torch."""

from started import BLOCK, GRID, N, imports, not_here, part, tell

with imports():
    import torch
    import triton
    import triton.language as tl

if not torch.cuda.is_available():
    not_here(f"torch {torch.__version__} sees no GPU")


@triton.jit
def saxpy(a, x, y, n, WIDTH: tl.constexpr):
    i = tl.program_id(0) * WIDTH + tl.arange(0, WIDTH)
    mask = i < n
    tl.store(y + i, tl.load(y + i, mask=mask) + a * tl.load(x + i, mask=mask), mask=mask)


@triton.jit
def scale(a, y, n, WIDTH: tl.constexpr):
    i = tl.program_id(0) * WIDTH + tl.arange(0, WIDTH)
    mask = i < n
    tl.store(y + i, a * tl.load(y + i, mask=mask), mask=mask)


with part("first"):
    x, y = torch.arange(N, dtype=torch.float32).cuda(), torch.zeros(N).cuda()
    saxpy[(GRID,)](1.0, x, y, N, WIDTH=BLOCK)
    y.cpu()
with part("second"):
    scale[(GRID,)](3.0, y, N, WIDTH=BLOCK)
    result = y.cpu()
tell(result)
