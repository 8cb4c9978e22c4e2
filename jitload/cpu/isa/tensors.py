"""Copies of boxes of tensors, and reductions in bulk (PTX ISA sections 9.7.9.25 and 9.7.9.27)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_LOAD, _STORE, _REDUCE = "boxed(t)", "unboxed(t, b)", "unboxed(t, b, lambda old, one: reduced(n, old, one))"
_AXES = "(1d|2d|3d|4d|5d)"
_BYTES = "mbarrier::complete_tx::bytes"
_POLICY = "z:u64@L2::cache_hint"
_HINT = "{.L2::cache_hint}"
_OPERATION = "(add|min|max|inc|dec|and|or|xor)"
_COPIES = "loads stores releases"
#: Operations and types of reductions in bulk to global memory, and to that of a block of the cluster.
_GLOBAL = (
    (".(and|or|xor)", "(b32|b64)"), (".add", "(u32|s32|u64|f32|f64)"), (".add.noftz", "(f16|bf16)"), (".(inc|dec)", "u32"),
    (".(min|max)", "(u32|s32|u64|s64|f16|bf16)"),
)  # fmt: skip
_CLUSTER = ((".(and|or|xor)", "b32"), (".add", "(u32|s32|u64)"), (".(min|max)", "(u32|s32)"), (".(inc|dec)", "u32"))

#: Which mbarriers of pairs of blocks are told.
_PAIR = "{.(cta_group::1|cta_group::2)}"
#: Where a box goes, what brings it to several blocks, and the operand for that.
_FAR = (("shared::cluster", "{.multicast::cluster}", "b:u16@multicast::cluster "), ("shared::cta", "", ""))

_OF_MAP = "{.(global|shared::cta)}.b1024"


def _replacing() -> tuple[Row, ...]:
    """`tensormap.replace`: fields of a map in memory."""
    return tuple(
        Row(f"tensormap!replace.tile.{field}{_OF_MAP}.{type_}", operands, since="8.3 sm_90a", model="replaced(n, t, b, c)" if " c:" in operands else "replaced(n, t, b)", profile="store", effects="stores")
        for field, type_, operands in (
            ("global_address", "b64", "[a] b:T"), ("rank", "b32", "[a] b:T"), ("(box_dim|global_dim|element_stride)", "b32", "[a] b:# c:T"),
            ("global_stride", "b64", "[a] b:# c:T"), ("(elemtype|interleave_layout|swizzle_mode|fill_mode)", "b32", "[a] b:#"),
        )
    )  # fmt: skip


ROWS = (
    *_replacing(),
    Row("tensormap!cp_fenceproxy.global.shared::cta.tensormap::generic.release.SCOPE.sync.aligned", "[a] [b] c:#", example="[%w], [%r1], 128", since="8.3 sm_90", model="scene", profile="copy", effects=_COPIES),
    Row("fence!proxy.tensormap::generic!release.SCOPE", model="nothing", profile="synchronization", effects="fences", since="8.3 sm_90"),
    Row("fence!proxy.tensormap::generic!acquire.SCOPE", "[a] b:#", model="nothing", example="[%w], 128", profile="synchronization", effects="fences", since="8.3 sm_90"),
    *(Row(f"cp!async!bulk!tensor.2d.{space}.global.tile::gather4.{_BYTES}{more}{_PAIR}{_HINT}", f"[d] [t] [c] {mask}{_POLICY}", since="8.6 sm_100a", model=_LOAD, profile="copy", effects=_COPIES) for space, more, mask in _FAR),
    *(Row(f"cp!async!bulk!tensor.{_AXES}.{space}.global{{.tile}}.{_BYTES}{more}.(cta_group::1|cta_group::2){_HINT}", f"[d] [t] [c] {mask}{_POLICY}", since="8.6 sm_100a", model=_LOAD, profile="copy", effects=_COPIES) for space, more, mask in _FAR),
    Row(f"cp!async!bulk!tensor.2d.global.shared::cta.tile::scatter4.bulk_group{_HINT}", f"[t] [a] {_POLICY}", since="8.6 sm_100a", model=_STORE, profile="copy", effects=_COPIES),
    Row(f"cp!async!bulk!prefetch!tensor.2d.L2.global.tile::gather4{_HINT}", f"[t] {_POLICY}", since="8.6 sm_100a", model="t.elements", profile="copy", effects=_COPIES),
    Row(f"cp!async!bulk!tensor.{_AXES}.shared::cluster.global{{.tile}}.{_BYTES}{{.multicast::cluster}}{_HINT}", f"[d] [t] [c] b:u16@multicast::cluster {_POLICY}", since="8.0 sm_90", model=_LOAD, profile="copy", effects=_COPIES),
    Row(f"cp!async!bulk!tensor.{_AXES}.shared::cta.global{{.tile}}.{_BYTES}{_HINT}", f"[d] [t] [c] {_POLICY}", since="8.6 sm_90", model=_LOAD, profile="copy", effects=_COPIES),
    Row(f"cp!async!bulk!tensor.{_AXES}.global.shared::cta{{.tile}}.bulk_group{_HINT}", f"[t] [a] {_POLICY}", since="8.0 sm_90", model=_STORE, profile="copy", effects=_COPIES),
    Row(f"cp!async!bulk!prefetch!tensor.{_AXES}.L2.global{{.tile}}{_HINT}", f"[t] {_POLICY}", since="8.0 sm_90", model="t.elements", profile="copy", effects=_COPIES),
    Row(f"cp!reduce!async!bulk!tensor.{_AXES}.global.shared::cta.{_OPERATION}{{.tile}}.bulk_group{_HINT}", f"[t] [a] {_POLICY}", since="8.0 sm_90", model=_REDUCE, profile="copy", effects=_COPIES),
    *(Row(f"cp!reduce!async!bulk.global.shared::cta.bulk_group{_HINT}{operation}.{types}", f"[d] [a] b:u32 {_POLICY}", since="8.0 sm_90", model="reduced(n, old, b)", profile="copy", effects=_COPIES) for operation, types in _GLOBAL),
    *(Row(f"cp!reduce!async!bulk.shared::cluster.shared::cta.{_BYTES}{operation}.{types}", "[d] [a] b:u32 [c]", since="8.0 sm_90", model="reduced(n, old, b)", profile="copy", effects=_COPIES) for operation, types in _CLUSTER),
)  # fmt: skip
