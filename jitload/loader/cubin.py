"""The older path of `jitload.images.cubin`, kept for programs that name it."""

from __future__ import annotations

from jitload.images.cubin import cubin_arch as cubin_arch
from jitload.images.cubin import read_sections as read_sections
