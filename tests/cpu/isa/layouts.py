"""Where elements of matrices lie in shared memory: the canonical layouts of `wgmma` (PTX ISA section 9.7.15.5.1.2.1)."""

from __future__ import annotations

#: Bytes over which chunks of 16 are permuted -> how a descriptor says so.
MODES = {0: 0, 128: 1, 64: 2, 32: 3}


def canonical(row: int, k: int, major: str, width: int, leading: int, stride: int, bits: int) -> int:
    """The byte of an element: the tables ((8,m),(T,2k)) and ((T,w,m),(8,k)) with their strides, in bytes."""
    size, t = bits / 8, 128 // bits
    w = max(width, 16) // 16
    if major == "k":
        place = row % 8 * 16 * w + row // 8 * stride + k % t * size + k // t * (leading if w == 1 else 16)
    else:
        outer, inner = (stride, leading) if w == 1 else (leading, stride)
        place = row % t * size + row // t % w * 16 + row // (t * w) * outer + k % 8 * 16 * w + k // 8 * inner
    return int(place)


def swizzled(address: int, width: int) -> int:
    """Swizzle<b,4,3>."""
    b = {0: 0, 32: 1, 64: 2, 128: 3}[width]
    return address ^ (address >> 3 & ((1 << b) - 1) << 4)


def descriptor(start: int, leading: int, stride: int, width: int, base: int = 0) -> int:
    """The 64 bits that say where a matrix lies."""
    return start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | base << 49 | MODES[width] << 62


def strides(major: str, width: int, extent: int) -> tuple[int, int]:
    """(leading, stride) byte offsets that keep the parts of a matrix apart; not the tightest ones."""
    w = max(width, 16)
    if major == "k":
        return (128, 8 * w * 2) if w == 16 else (16, 8 * w)
    return (extent // 8 * 128, 128) if w == 16 else (2 * 8 * w, 8 * w)
