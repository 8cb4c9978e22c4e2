"""Words in capitals of the rows: what may stand for them."""

from __future__ import annotations

from jitload.cpu.types import TYPES

GROUPS: dict[str, tuple[str, ...]] = {
    name: tuple(text.split())
    for name, text in {
        # types
        "INT": "u16 s16 u32 s32 u64 s64",
        "INT32": "u32 s32 u64 s64",
        "NARROW": "u16 s16 u32 s32",
        "SIGNED": "s16 s32 s64",
        "BITS": "b16 b32 b64",
        "BITS32": "b32 b64",
        "LOGIC": "pred b16 b32 b64",
        "ANY": "b16 b32 b64 u16 s16 u32 s32 u64 s64 f32 f64",
        "MOVED": "b16 b32 b64 b128 u16 s16 u32 s32 u64 s64 f32 f64 pred",
        "WHOLE": "u8 s8 u16 s16 u32 s32 u64 s64",
        "DATA": "b8 b16 b32 b64 b128 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64",
        "DATA32": "b32 u32 s32 f32",
        "DATA64": "b64 u64 s64 f64",
        "HALVES": "f16 f16x2",
        "BRAINS": "bf16 bf16x2",
        "HALF": "f16 bf16",
        # other parts
        "RND": "rn rz rm rp",
        "IRND": "rni rzi rmi rpi",
        "CMP": "eq ne lt le gt ge",
        "UCMP": "eq ne lt le gt ge lo ls hi hs",
        "FCMP": "eq ne lt le gt ge equ neu ltu leu gtu geu num nan",
        "BOOL": "and or xor",
        "PRMT": "f4e b4e rc8 ecl ecr rc16",
        "SPACE": "global shared shared::cta shared::cluster local param param::entry param::func const",
        "WRITTEN": "global shared shared::cta shared::cluster local param param::func",
        "SHARED": "shared shared::cta shared::cluster",
        "OWN": "shared shared::cta",
        "ATOMS": "global shared shared::cta shared::cluster",
        "WINDOW": "global const shared shared::cta shared::cluster local param param::entry",
        "SCOPE": "cta cluster gpu sys",
        "SEM": "relaxed acquire release acq_rel",
        "COP": "ca cg cs lu",
        "STORED": "wb cg cs wt",
        "EVICT1": "L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate",
        "EVICT2": "L2::evict_normal L2::evict_first L2::evict_last",
        "PREFETCH": "L2::64B L2::128B L2::256B",
        "POLICY": "L2::evict_last L2::evict_normal L2::evict_first L2::evict_unchanged",
        "POLICY2": "L2::evict_first L2::evict_unchanged",
        "VEC": "v2 v4",
        "TEST": "finite infinite number notanumber normal subnormal",
        "WMMA": "m16n16k16 m32n8k16 m8n32k16",
        "ORDER": "row col",
        "MATRIX_SPACE": "global shared shared::cta",
    }.items()
}
#: Parts whose order counts.
TYPE_WORDS = frozenset(TYPES) | frozenset(
    [
        "s2",
        "u2",
        "s4",
        "u4",
        "b1",
        "e4m3",
        "e5m2",
        "e3m2",
        "e2m3",
        "e2m1",
        "e4m3x2",
        "e5m2x2",
        "e3m2x2",
        "e2m3x2",
        "e2m1x2",
        "ue8m0",
        "ue4m3",
        "ue8m0x2",
        "e4m3x4",
        "e5m2x4",
        "e3m2x4",
        "e2m3x4",
        "e2m1x4",
    ]
)
#: A part -> those of its kind, where the order of these counts.
ORDERED: dict[str, tuple[str, ...]] = {
    word: kind
    for kind in (("row", "col"), ("xor", "and", "popc"), ("global", "shared", "shared::cta", "shared::cluster"))
    for word in kind
}
