"""The older path of `jitload.images.check`, kept for programs that name it."""

from __future__ import annotations

from jitload.images.check import cubin_arch as cubin_arch
from jitload.images.check import kernel_symbols as kernel_symbols
from jitload.images.check import sniff_kind as sniff_kind
from jitload.images.check import verify_image as verify_image
