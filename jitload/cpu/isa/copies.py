"""Asynchronous copies and stores (PTX ISA sections 9.7.9.25 and 9.7.9.12)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_BYTES = "mbarrier::complete_tx::bytes"
_POLICY = "z:u64@L2::cache_hint"

#: How an asynchronous store to global memory is ordered: nothing waits for it.
_RELEASES = (".release.(gpu|sys)", ".mmio.release.sys")
#: What such a reduction does, the types, and what is in memory afterwards.
_REDUCED = (
    ("add", "(u32|s32|u64)", "old + b"), ("min", "(u32|s32|u64|s64)", "min(old, b)"), ("max", "(u32|s32|u64|s64)", "max(old, b)"),
    ("inc", "u32", "0 if old >= b else old + 1"), ("dec", "u32", "b if old == 0 or old > b else old - 1"),
    ("and", "(b32|b64)", "old & b"), ("or", "(b32|b64)", "old | b"), ("xor", "(b32|b64)", "old ^ b"),
)  # fmt: skip

ROWS = (
    Row("cp!async.ca.OWN.global{.L2::cache_hint}{.PREFETCH}", f"[d] [a] b:# c:*? {_POLICY}", "", "scene", example="[%r1], [%w], 4", since="7.0 sm_80", profile="copy", effects="loads stores releases"),
    Row("cp!async.cg.OWN.global{.L2::cache_hint}{.PREFETCH}", f"[d] [a] b:# c:*? {_POLICY}", "", "scene", example="[%r1], [%w], 16", since="7.0 sm_80", profile="copy", effects="loads stores releases"),
    Row("cp!async!commit_group", model="nothing", since="7.0 sm_80", profile="synchronization", effects="loads stores releases"),
    Row("cp!async!wait_group", "a:#", "", "nothing", since="7.0 sm_80", profile="synchronization", effects="loads stores releases"),
    Row("cp!async!wait_all", model="nothing", since="7.0 sm_80", profile="synchronization", effects="loads stores releases"),
    Row("cp!async!mbarrier!arrive{.noinc}{.OWN}.b64", "[a]", "", "scene", since="7.0 sm_80", profile="synchronization", effects="loads stores releases"),
    Row(f"cp!async!bulk.(shared::cluster|shared::cta).global.{_BYTES}{{.L2::cache_hint}}", f"[d] [a] b:u32 [c] {_POLICY}", "", "scene", since="8.0 sm_90", profile="copy", effects="loads stores releases"),
    Row(f"cp!async!bulk.shared::cluster.global.{_BYTES}.multicast::cluster{{.L2::cache_hint}}", f"[d] [a] b:u32 [c] e:u16 {_POLICY}", "", "scene", since="8.0 sm_90", profile="copy", effects="loads stores releases"),
    Row(f"cp!async!bulk.shared::cluster.shared::cta.{_BYTES}", "[d] [a] b:u32 [c]", "", "scene", since="8.0 sm_90", profile="copy", effects="loads stores releases"),
    Row("cp!async!bulk.global.shared::cta.bulk_group{.L2::cache_hint}", f"[d] [a] b:u32 {_POLICY}", "", "scene", since="8.0 sm_90", profile="copy", effects="loads stores releases"),
    Row("cp!async!bulk.global.shared::cta.bulk_group{.L2::cache_hint}.cp_mask", f"[d] [a] b:u32 {_POLICY} c:u16", "", "scene", since="8.6 sm_100", profile="copy", effects="loads stores releases"),
    Row("cp!async!bulk!prefetch.L2.global{.L2::cache_hint}", f"[a] b:u32 {_POLICY}", "", "nothing", since="8.0 sm_90", profile="copy", effects="loads stores releases"),
    Row("cp!async!bulk!commit_group", model="nothing", since="8.0 sm_90", profile="synchronization", effects="loads stores releases"),
    Row("cp!async!bulk!wait_group{.read}", "a:#", "", "nothing", since="8.0 sm_90", profile="synchronization", effects="loads stores releases"),
    Row(f"st!async{{.weak}}{{.SHARED}}.{_BYTES}{{.VEC}}.(b32|b64|u32|u64|s32|s64|f32|f64)", "[a] {b}:T [c]", "", "scene", profile="store", effects="stores releases", since="8.1 sm_90"),
    *(
        Row(f"red!async.relaxed.cluster{{.shared::cluster}}.{_BYTES}.{name}.{types}", "[a] b:T [c]", "", "scene", profile="atomic", effects="stores strong releases", since="8.1 sm_90")
        for name, types in (("(inc|dec)", "u32"), ("(min|max)", "(u32|s32)"), ("add", "(u32|s32|u64|s64)"), ("(and|or|xor)", "b32"))
    ),
    *(
        Row(f"st!async{order}{{.global}}.(b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64)", "[a] b>T", "", "b", profile="store", effects="stores strong releases", since="8.7 sm_100")
        for order in _RELEASES
    ),
    *(
        Row(f"red!async{order}{{.global}}.{name}.{types}", "[a] b:T", "", model, profile="atomic", effects="stores strong releases", since="8.7 sm_100")
        for order in _RELEASES
        for name, types, model in _REDUCED
    ),
    Row("st!bulk{.weak}{.shared::cta}", "[a] b:* c:#", "", "scene", example="[%r1], 16, 0", profile="store", effects="stores", since="8.6 sm_100"),
)  # fmt: skip
