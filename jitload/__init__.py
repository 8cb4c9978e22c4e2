"""jitload: compile, cache, load and launch CUDA C++ kernels from Python."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
