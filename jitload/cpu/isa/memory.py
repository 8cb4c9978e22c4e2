"""Loads, stores, atomics, fences and hints (PTX ISA sections 9.7.9.8 to 9.7.9.20 and 9.7.13)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_HINTS = "{.EVICT1}{.EVICT2}{.L2::cache_hint}{.PREFETCH}"
_POLICY = "z:u64@L2::cache_hint"
#: Operation -> the types that it takes.
_ATOMS = {
    "add": "(u32|s32|u64|s64|f32|f64)", "min": "(u32|s32|u64|s64)", "max": "(u32|s32|u64|s64)",
    "inc": "u32", "dec": "u32", "and": "(b32|b64)", "or": "(b32|b64)", "xor": "(b32|b64)",
    "exch": "(b32|b64|b128|u32|s32|f32|u64|s64)", "cas": "(b16|b32|b64|b128|u32|s32|u64|s64)",
}  # fmt: skip
#: A loop may wait until one of these finds what another thread wrote.
_POLLS = {"and", "or", "exch", "cas"}


def _atomics(opcode: str) -> tuple[Row, ...]:
    place = f"{opcode}{{.SEM}}{{.SCOPE}}{{.ATOMS}}"
    does, polls = (
        ("loads stores strong", "loads stores strong polls") if opcode == "atom" else ("stores strong", "stores strong")
    )
    d = "d:T " if opcode == "atom" else ""
    rows = [
        Row(
            f"{place}.{name}{{.L2::cache_hint}}.{types}",
            f"{d}[a] b:T{' c:T' if name == 'cas' else ''} {_POLICY}",
            profile="atomic",
            effects=polls if name in _POLLS else does,
        )
        for name, types in _ATOMS.items()
        if d or name not in {"exch", "cas"}
    ]
    vector = f"{{d}}:T [a] {{b}}:T {_POLICY}" if d else f"[a] {{b}}:T {_POLICY}"
    far = f"{opcode}{{.SEM}}{{.SCOPE}}{{.global}}"
    return (
        *rows,
        Row(f"{place}.add.noftz{{.L2::cache_hint}}.(f16|f16x2)", f"{d}[a] b:T {_POLICY}", since="6.3 sm_70", profile="atomic", effects=does),
        Row(f"{place}.add.noftz{{.L2::cache_hint}}.BRAINS", f"{d}[a] b:T {_POLICY}", since="7.8 sm_90", profile="atomic", effects=does),
        Row(f"{far}.add{{.L2::cache_hint}}.(v2|v4).f32", vector, since="8.1 sm_90", profile="atomic", effects=does),
        Row(f"{far}.(add|min|max).noftz{{.L2::cache_hint}}.(v2|v4|v8).HALF", vector, since="8.1 sm_90", profile="atomic", effects=does),
        Row(f"{far}.(add|min|max).noftz{{.L2::cache_hint}}.(v2|v4).(f16x2|bf16x2)", vector, since="8.1 sm_90", profile="atomic", effects=does),
    )  # fmt: skip


ROWS = (
    Row(f"ld{{.weak}}{{.SPACE}}{{.COP}}{_HINTS}{{.VEC}}.DATA", operands=f"{{d}}>T [a] {_POLICY}", profile="load", effects="loads"),
    Row(f"ld{{.weak}}{{.SPACE}}.cv{_HINTS}{{.VEC}}.DATA", operands=f"{{d}}>T [a] {_POLICY}", profile="load", effects="loads strong polls"),
    Row(f"ld.volatile{{.SPACE}}{_HINTS}{{.VEC}}.DATA", operands=f"{{d}}>T [a] {_POLICY}", profile="load", effects="loads strong polls"),
    Row(f"ld.(relaxed|acquire).SCOPE{{.SPACE}}{_HINTS}{{.VEC}}.DATA", operands=f"{{d}}>T [a] {_POLICY}", profile="load", effects="loads strong polls"),
    Row("ld.mmio.relaxed.sys{.global}{.VEC}.DATA", operands=f"{{d}}>T [a] {_POLICY}", profile="load", effects="loads strong polls", since="8.2 sm_70"),
    Row(f"ld.global{{.COP}}.nc{_HINTS}{{.VEC}}.DATA", operands=f"{{d}}>T [a] {_POLICY}", profile="load", effects="accesses"),
    Row("ldu{.global}{.VEC}.DATA", operands=f"{{d}}>T [a] {_POLICY}", profile="load", effects="loads"),
    Row(f"st{{.weak}}{{.WRITTEN}}{{.STORED}}{_HINTS}{{.VEC}}.DATA", operands=f"[a] {{b}}>T {_POLICY}", profile="store", effects="stores"),
    Row(f"st.volatile{{.WRITTEN}}{_HINTS}{{.VEC}}.DATA", operands=f"[a] {{b}}>T {_POLICY}", profile="store", effects="stores strong"),
    Row(f"st.relaxed.SCOPE{{.WRITTEN}}{_HINTS}{{.VEC}}.DATA", operands=f"[a] {{b}}>T {_POLICY}", profile="store", effects="stores strong"),
    Row(f"st.release.SCOPE{{.WRITTEN}}{_HINTS}{{.VEC}}.DATA", operands=f"[a] {{b}}>T {_POLICY}", profile="store", effects="stores strong releases"),
    Row("st.mmio.relaxed.sys{.global}{.VEC}.DATA", operands=f"[a] {{b}}>T {_POLICY}", profile="store", effects="stores strong", since="8.2 sm_70"),
    *_atomics("atom"), *_atomics("red"),
    Row("membar!(cta|gl|sys)", profile="synchronization", effects="fences"),
    Row("membar!proxy.(alias|async)", profile="synchronization", effects="fences"),
    Row("membar!proxy.async.(global|shared::cta|shared::cluster)", profile="synchronization", effects="fences"),
    Row("fence{.(sc|acq_rel|acquire|release)}.SCOPE", profile="synchronization", effects="fences"),
    Row("fence.mbarrier_init.release.cluster", profile="synchronization", effects="fences", since="8.0 sm_90"),
    Row("fence!proxy.(alias|async)", profile="synchronization", effects="fences"),
    Row("fence!proxy.async.(global|shared::cta|shared::cluster)", profile="synchronization", effects="fences"),
    Row("prefetch{.(global|local)}.(L1|L2)", "[a]", profile="other"),
    Row("prefetch.global.(L2::evict_last|L2::evict_normal)", "[a]", profile="other"),
    Row("prefetch{.(const|param)}.tensormap", "[a]", profile="other", since="8.0 sm_90"),
    Row("prefetchu.L1", "[a]", profile="other"),
    Row("applypriority{.global}.L2::evict_normal", "[a] b:#", example="[%w], 128", profile="other", since="7.4 sm_80"),
    Row("discard{.global}.L2", "[a] b:#", example="[%w], 128", profile="other", since="7.4 sm_80"),
    Row("createpolicy.fractional.POLICY{.POLICY2}.b64", "d:T a:*?", example="%d1, 1.0", profile="move", since="7.4 sm_80"),
    Row("createpolicy.range{.global}.POLICY{.POLICY2}.b64", "d:T [a] b:u32 c:u32", profile="move", since="7.4 sm_80"),
    Row("createpolicy.cvt.L2.b64", "d:T a:T", profile="move", since="7.4 sm_80"),
)  # fmt: skip
