"""Loads, stores, atomics, fences and hints (PTX ISA sections 9.7.9.8 to 9.7.9.20 and 9.7.13)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_POLICY = "z:u64@L2::cache_hint"
#: Operation -> the types that it takes, and what is in memory afterwards.
_ATOMS = {
    "add": ("(u32|s32|u64|f32|f64)", "old + b"), "min": ("(u32|s32|u64|s64)", "min(old, b)"),
    "max": ("(u32|s32|u64|s64)", "max(old, b)"), "inc": ("u32", "0 if old >= b else old + 1"),
    "dec": ("u32", "b if old == 0 or old > b else old - 1"), "and": ("(b32|b64)", "old & b"),
    "or": ("(b32|b64)", "old | b"), "xor": ("(b32|b64)", "old ^ b"), "exch": ("(b32|b64|b128)", "b"),
}  # fmt: skip
#: A loop may wait until one of these finds what another thread wrote.
_POLLS = {"and", "or", "exch"}


def _atomics(opcode: str) -> tuple[Row, ...]:
    gives = opcode == "atom"
    does = "loads stores strong" if gives else "stores strong"
    head = f"{opcode}{{.{'SEM' if gives else '(relaxed|release)'}}}{{.SCOPE}}"
    d, v = ("_d:T ", "{d}:T ") if gives else ("", "")
    near, far, hint = f"{head}{{.ATOMS}}", f"{head}{{.global}}", ".L2::cache_hint"
    rows = []
    for name, (types, model) in _ATOMS.items():
        if gives or name != "exch":
            effects = f"{does} polls" if gives and name in _POLLS else does
            rows += [
                Row(f"{near}.{name}.{types}", f"{d}[a] b:T", "", model, profile="atomic", effects=effects),
                Row(
                    f"{far}.{name}{hint}.{types}",
                    f"{d}[a] b:T {_POLICY}",
                    "",
                    model,
                    profile="atomic",
                    effects=effects,
                    since="7.4 sm_80",
                ),
            ]
    for types, since in (("(f16|f16x2)", "6.3 sm_70"), ("BRAINS", "7.8 sm_90")):
        rows += [
            Row(f"{near}.add.noftz.{types}", f"{d}[a] b:T", "", "old + b", profile="atomic", effects=does, since=since),
            Row(
                f"{far}.add.noftz{hint}.{types}",
                f"{d}[a] b:T {_POLICY}",
                "",
                "old + b",
                profile="atomic",
                effects=does,
                since=since,
            ),
        ]
    vectors = (
        ("add", "(v2|v4)", "f32"),
        ("(add|min|max).noftz", "(v2|v4|v8)", "HALF"),
        ("(add|min|max).noftz", "(v2|v4)", "(f16x2|bf16x2)"),
    )
    return (
        *rows,
        *(
            Row(f"{far}.{name}{{{hint}}}.{count}.{types}", f"{v}[a] {{b}}:T {_POLICY}", "", "joined(n, old, b)", profile="atomic", effects=does, since="8.1 sm_90")
            for name, count, types in vectors
        ),
    )  # fmt: skip


def _loads(
    spelled: str,
    effects: str,
    *,
    near: str = "",
    evict: bool = False,
    cached: str = "",
    hint: str = "{.L2::cache_hint}",
) -> tuple[Row, ...]:
    """Of any space; of global memory with hints, and as 256 bits at once.

    Args:
        spelled: what stands before the space.
        effects: of all of them.
        near: the group of its spaces; "" for global memory alone.
        evict: whether it takes a priority in the caches.
        cached: how it is cached, as part of a name.
        hint: the part that brings a policy, where it takes one.
    """
    far = f"{spelled}{'{.global}' if near else '.global'}"
    operands = f"{{d}}>T [a] {_POLICY}" if hint else "{d}>T [a]"
    names = [f"{far}{more}{hint}{{.PREFETCH}}{{.VEC}}.DATA" for more in (cached, *([".EVICT1"] if evict else []))]
    wide = {cached: None, "{.EVICT1}{.EVICT2}" if evict else cached: None}
    names += [f"{far}{more}{hint}{{.PREFETCH}}.{vector}" for more in wide for vector in ("v8.DATA32", "v4.DATA64")]
    plain = [f"{spelled}{{.{near}}}{cached}{{.VEC}}.DATA"] if near else []
    return (
        *(Row(name, "{d}>T [a]", "", "old", profile="load", effects=effects) for name in plain),
        *(
            Row(name, operands, "", "old", profile="load", effects=effects, since="" if "VEC" in name else "8.8 sm_100")
            for name in names
        ),
    )


def _stores(
    spelled: str, effects: str, *, near: str, evict: bool = False, cached: str = "", hint: str = "{.L2::cache_hint}"
) -> tuple[Row, ...]:
    """The same for stores."""
    operands = f"[a] {{b}}>T {_POLICY}" if hint else "[a] {b}>T"
    far = f"{spelled}{{.global}}"
    names = [f"{far}{more}{hint}{{.VEC}}.DATA" for more in (cached, *([".EVICT1"] if evict else []))]
    names += [f"{far}{'{.EVICT1}{.EVICT2}' if evict else ''}{hint}.{vector}" for vector in ("v8.DATA32", "v4.DATA64")]
    return (
        Row(f"{spelled}{{.{near}}}{cached}{{.VEC}}.DATA", "[a] {b}>T", "", "b", profile="store", effects=effects),
        *(
            Row(name, operands, "", "b", profile="store", effects=effects, since="" if "VEC" in name else "8.8 sm_100")
            for name in names
        ),
    )


_LOOKS = "loads strong polls"

ROWS = (
    *_loads("ld{.weak}", "loads", near="SPACE", evict=True, cached="{.COP}"),
    *_loads("ld{.weak}", _LOOKS, near="SPACE", cached=".cv"),
    *_loads("ld.volatile", _LOOKS, near="ATOMS", hint=""),
    *_loads("ld.(relaxed|acquire).SCOPE", _LOOKS, near="ATOMS", evict=True),
    Row("ld.mmio.relaxed.sys{.global}.DATA", "d>T [a]", "", "old", profile="load", effects=_LOOKS, since="8.2 sm_70"),
    *_loads("ld.nc", "accesses", evict=True, cached="{.(ca|cg|cs)}"),
    Row("ldu{.global}{.VEC}.DATA", "{d}>T [a]", "", "old", profile="load", effects="loads"),
    *_stores("st{.weak}", "stores", near="WRITTEN", evict=True, cached="{.STORED}"),
    *_stores("st.volatile", "stores strong", near="ATOMS", hint=""),
    *_stores("st.relaxed.SCOPE", "stores strong", near="ATOMS", evict=True),
    *_stores("st.release.SCOPE", "stores strong releases", near="ATOMS", evict=True),
    Row("st.mmio.relaxed.sys{.global}.DATA", "[a] b>T", "", "b", profile="store", effects="stores strong", since="8.2 sm_70"),
    *_atomics("atom"), *_atomics("red"),
    Row("atom{.SEM}{.SCOPE}{.ATOMS}.cas.(b16|b32|b64|b128)", "_d:T [a] b:T c:T", "", "c if old == b else old", profile="atomic", effects="loads stores strong polls"),
    Row("membar!(cta|gl|sys)", "", "pass", "nothing", profile="synchronization", effects="fences"),
    Row("membar!proxy.alias", "", "pass", "nothing", profile="synchronization", effects="fences"),
    Row("fence{.(sc|acq_rel|acquire|release)}.SCOPE", "", "pass", "nothing", profile="synchronization", effects="fences"),
    Row("fence.mbarrier_init.release.cluster", "", "pass", "nothing", profile="synchronization", effects="fences", since="8.0 sm_90"),
    Row("fence.acquire.sync_restrict::shared::cluster.cluster", "", "pass", "nothing", profile="synchronization", effects="fences", since="8.6 sm_90"),
    Row("fence.release.sync_restrict::shared::cta.cluster", "", "pass", "nothing", profile="synchronization", effects="fences", since="8.6 sm_90"),
    Row("fence!proxy.async::generic.acquire.sync_restrict::shared::cluster.cluster", "", "pass", "nothing", profile="synchronization", effects="fences", since="8.6 sm_90"),
    Row("fence!proxy.async::generic.release.sync_restrict::shared::cta.cluster", "", "pass", "nothing", profile="synchronization", effects="fences", since="8.6 sm_90"),
    Row("fence!proxy.(alias|async)", "", "pass", "nothing", profile="synchronization", effects="fences"),
    Row("fence!proxy.async.(global|shared::cta|shared::cluster)", "", "pass", "nothing", profile="synchronization", effects="fences"),
    Row("prefetch{.(global|local)}.(L1|L2)", "[a]", "pass", "nothing", profile="other"),
    Row("prefetch{.global}.(L2::evict_last|L2::evict_normal)", "[a]", "pass", "nothing", profile="other"),
    Row("prefetch{.(const|param)}.tensormap", "[a]", "pass", "nothing", profile="other", since="8.0 sm_90"),
    Row("prefetchu.L1", "[a]", "pass", "nothing", profile="other"),
    Row("applypriority{.global}.L2::evict_normal", "[a] b:#", "pass", "nothing", example="[%w], 128", profile="other", since="7.4 sm_80"),
    Row("discard{.global}.L2", "[a] b:#", "pass", "nothing", example="[%w], 128", profile="other", since="7.4 sm_80"),
    Row("createpolicy!fractional.POLICY{.POLICY2}.b64", "d:u64 a:*?", "", "scene", example="%d1, 1.0", profile="move", since="7.4 sm_80"),
    Row("createpolicy!range{.global}.POLICY{.POLICY2}.b64", "d:u64 [a] b:u32 c:u32", "", "scene", profile="move", since="7.4 sm_80"),
    Row("createpolicy!cvt.L2.b64", "d:u64 a:u64", "", "scene", profile="move", since="7.4 sm_80"),
)  # fmt: skip
