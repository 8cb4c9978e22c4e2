"""torch: its own compiler of CUDA source."""

from started import BLOCK, GRID, SAXPY, SCALE, N, imports, not_here, part, tell

with imports():
    import torch

if not torch.cuda.is_available():
    not_here(f"torch {torch.__version__} sees no GPU")
if not hasattr(torch.cuda, "_compile_kernel"):
    not_here(f"torch {torch.__version__} compiles no CUDA source")
with part("first"):
    x, y = torch.arange(N, dtype=torch.float32).cuda(), torch.zeros(N).cuda()
    torch.cuda._compile_kernel(SAXPY, "saxpy")((GRID, 1, 1), (BLOCK, 1, 1), (1.0, x, y, N))
    y.cpu()
with part("second"):
    torch.cuda._compile_kernel(SCALE, "scale")((GRID, 1, 1), (BLOCK, 1, 1), (3.0, y, N))
    result = y.cpu()
tell(result)
