"""Products and copies in tensor memory, `tcgen05.mma` and `tcgen05.cp` (PTX ISA sections 9.7.16.9.2 and 9.7.16.10.9)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_COLLECTOR = "{.(collector::a::fill|collector::a::use|collector::a::lastuse|collector::a::discard)}"
_EFFECTS = "loads stores releases"
_FACTORS = ("a:u64", "[a]")
_WEAKENED = "multiplied(n, a, b, weakened(d, k) if c else cleared(d))"
_WHOLE = "cut(multiplied(n, a, b, d if c else cleared(d)), s)"
_PLAIN = "multiplied(n, a, b, d if c else cleared(d))"
_SCALED = "multiplied(n, across(a, s), down(b, t), d if c else cleared(d))"
#: Kinds, whether D may be weakened, and the model.
_KINDS = (("(kind::f16|kind::tf32)", " k:#?", _WEAKENED), ("kind::f8f6f4", "", _PLAIN), ("kind::i8", "", _WHOLE))
#: Kinds with scales, how many a row has, and since when.
_SCALES = (
    ("kind::mxf8f6f4.block_scale{.(scale_vec::1X|block32)}", "8.6"),
    ("kind::mxf4.block_scale{.(scale_vec::2X|block32)}", "8.6"),
    ("kind::mxf4nvf4.block_scale.(scale_vec::2X|scale_vec::4X|block16|block32)", "8.7"),
)
#: Shapes of copies, with what gives the same to several warps.
_COPIES = ("(128x256b|128x128b)", "64x128b.(warpx2::02_13|warpx2::01_23)", "32x128b.warpx4")

ROWS = (
    *(
        Row(f"tcgen05!mma.cta_group::1.{kind}{_COLLECTOR}", f"[d] {a} b:u64 i:u32 {masks}c:p{weakened}", model=model, profile="tensor", effects=_EFFECTS, since="8.6 sm_100a")
        for kind, weakened, model in _KINDS
        for a in _FACTORS
        for masks in ("", "{m}:u32 ")
    ),
    *(
        Row(f"tcgen05!mma.cta_group::1.{kind}{_COLLECTOR}", f"[d] {a} b:u64 i:u32 [x] [y] c:p", model=_SCALED, profile="tensor", effects=_EFFECTS, since=f"{since} sm_100a")
        for kind, since in _SCALES
        for a in _FACTORS
    ),
    *(Row(f"tcgen05!cp.cta_group::1.{shape}{{.b8x16.(b6x16_p32|b4x16_p64)}}", "[d] b:u64", model="copied_cells(n, b)", profile="copy", effects=_EFFECTS, since="8.6 sm_100a") for shape in _COPIES),
)  # fmt: skip
