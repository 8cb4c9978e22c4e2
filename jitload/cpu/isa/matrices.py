"""Tensor cores: `mma`, `wmma`, `ldmatrix`, `stmatrix`, `movmatrix` (PTX ISA section 9.7.14)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_BYTES = "(u8|s8)"
_NIBBLES = "(u4|s4)"
_FLOATS8 = "(e4m3|e5m2)"
_MODEL = "multiplied(n, a, b, c)"
#: Shapes, orders of A and B, types of D, A, B and C, what stands at the end, and since when.
_PRODUCTS = (
    ("m8n8k4", "row|col", "row|col", "f16", "f16.f16", "f16", "", ""),
    ("m8n8k4", "row|col", "row|col", "f32", "f16.f16", "(f16|f32)", "", ""),
    ("m16n8k8|m16n8k16", "row", "col", "f16", "f16.f16", "f16", "", ""),
    ("m16n8k8|m16n8k16", "row", "col", "f32", "f16.f16", "f32", "", ""),
    ("m16n8k8|m16n8k16", "row", "col", "f32", "bf16.bf16", "f32", "", "7.0 sm_80"),
    ("m16n8k4|m16n8k8", "row", "col", "f32", "tf32.tf32", "f32", "", "7.0 sm_80"),
    ("m8n8k4|m16n8k4|m16n8k8|m16n8k16", "row", "col", "f64", "f64.f64", "f64", "", "7.0 sm_80"),
    ("m16n8k16|m16n8k32", "row", "col", "f16", f"{_FLOATS8}.{_FLOATS8}", "f16", "", "8.4 sm_89"),
    ("m16n8k16|m16n8k32", "row", "col", "f32", f"{_FLOATS8}.{_FLOATS8}", "f32", "", "8.4 sm_89"),
    ("m8n8k16|m16n8k16|m16n8k32", "row", "col", "s32", f"{_BYTES}.{_BYTES}", "s32", "{.satfinite}", "6.5 sm_75"),
    ("m8n8k32|m16n8k32|m16n8k64", "row", "col", "s32", f"{_NIBBLES}.{_NIBBLES}", "s32", "{.satfinite}", "6.5 sm_75"),
    ("m8n8k128|m16n8k128|m16n8k256", "row", "col", "s32", "b1.b1", "s32", ".(xor|and).popc", "7.0 sm_75"),
)  # fmt: skip


def _mma() -> tuple[Row, ...]:
    return tuple(
        Row(
            f"mma.sync.aligned.({shapes}).{_order(a)}.{_order(b)}{end}{'{.rn}' if 'f64' in d else ''}.{d}.{factors}.{c}",
            "{d}:* a:* b:* c:*",
            "",
            _MODEL,
            profile="tensor",
            effects="meets ends",
            since=since,
        )
        for shapes, a, b, d, factors, c, end, since in _PRODUCTS
    )


_KIND = ".kind::f8f6f4"
_FEW = "(e4m3|e5m2|e3m2|e2m3|e2m1)"
#: Of `mma.sp`: shapes, what stands before the types, types of D, A, B and C, and since when; those with `.sp` and those
#: that ordered metadata alone has.
_SPARSE = (
    ("m16n8k16|m16n8k32", "", "f16", "f16.f16", "f16", ""), ("m16n8k16|m16n8k32", "", "f32", "f16.f16", "f32", ""),
    ("m16n8k16|m16n8k32", "", "f32", "bf16.bf16", "f32", ""), ("m16n8k8|m16n8k16", "", "f32", "tf32.tf32", "f32", ""),
    ("m16n8k64", "", "f32", f"{_FLOATS8}.{_FLOATS8}", "f32", "8.4 sm_89"),
    ("m16n8k32|m16n8k64", "{.satfinite}", "s32", f"{_BYTES}.{_BYTES}", "s32", ""),
    ("m16n8k64|m16n8k128", "{.satfinite}", "s32", f"{_NIBBLES}.{_NIBBLES}", "s32", ""),
)  # fmt: skip
_ORDERED = (
    ("m16n8k64", "", "f16", f"{_FLOATS8}.{_FLOATS8}", "f16", "8.7 sm_120a"),
    ("m16n8k64", _KIND, "f16", f"{_FEW}.{_FEW}", "f16", "8.7 sm_120a"),
    ("m16n8k64", _KIND, "f32", f"{_FEW}.{_FEW}", "f32", "8.7 sm_120a"),
)  # fmt: skip
#: Of products with scales: k, the kind, how many scales a row has, types of the factors, and that of the scales.
_SCALED = (
    (32, "mxf8f6f4", "{.scale_vec::1X}", f"{_FEW}.{_FEW}", "ue8m0"), (64, "mxf4", "{.scale_vec::2X}", "e2m1.e2m1", "ue8m0"),
    (64, "mxf4nvf4", ".(scale_vec::2X|scale_vec::4X)", "e2m1.e2m1", "ue8m0"),
    (64, "mxf4nvf4", ".scale_vec::4X", "e2m1.e2m1", "ue4m3"),
)  # fmt: skip
_SCALES = "s:* i:* t:* j:*"


def _product(name: str, operands: str, since: str, model: str) -> Row:
    return Row(f"mma.{name}", operands, "", model, profile="tensor", effects="meets ends", since=since)


def _few_bits() -> tuple[Row, ...]:
    """Floats of 8 bits and fewer, in bytes, and products with scales."""
    plain = [
        _product(
            f"sync.aligned.m16n8k32.row.col{_KIND}.{d}.{_FEW}.{_FEW}.{d}",
            "{d}:* a:* b:* c:*",
            "8.7 sm_120a",
            _MODEL,
        )
        for d in ("f16", "f32")
    ]
    scaled = [
        _product(
            f"{head}sync.aligned.m16n8k{k * times}.row.col.kind::{kind}.block_scale{count}.f32.{factors}.f32.{scale}",
            f"{{d}}:* a:* b:* c:* {sparse}{_SCALES}",
            "8.7 sm_120a",
            f"multiplied(n, across({a}, s), down(b, t), c)",
        )
        for k, kind, count, factors, scale in _SCALED
        for head, times, sparse, a in (("", 1, "", "a"), ("sp::ordered_metadata.", 2, "e:b32 f:# ", "spread(n, a, e)"))
    ]
    return (*plain, *scaled)


def _sparse() -> tuple[Row, ...]:
    """Products whose A has two of four elements, and metadata that say which."""
    forms = [("(sp|sp::ordered_metadata)", one) for one in _SPARSE] + [
        ("sp::ordered_metadata", one) for one in _ORDERED
    ]
    return tuple(
        _product(
            f"{which}.sync.aligned.({shapes}).row.col{before}.{d}.{factors}.{c}",
            "{d}:* a:* b:* c:* e:b32 f:#",
            since or "7.1 sm_80",
            "multiplied(n, spread(n, a, e), b, c)",
        )
        for which, (shapes, before, d, factors, c, since) in forms
    )


def _order(text: str) -> str:
    return f"({text})" if "|" in text else text


_ORDERS = ".(row|col).(row|col)"
#: Shape -> types of the factors of `wmma`, what stands at the end, types of C and D.
_WMMA = (
    ("WMMA", "(f16)", "(f16|f32)", ""), ("WMMA", "(bf16)", "f32", "7.0 sm_80"), ("m16n16k8", "(tf32)", "f32", "7.0 sm_80"),
    ("m8n8k4", "(f64)", "f64", "7.0 sm_80"), ("WMMA", "(u8|s8)", "s32", "6.3 sm_72"), ("m8n8k32", "(u4|s4)", "s32", "6.3 sm_75"),
    ("m8n8k128", "(b1)", "s32", "6.3 sm_75"),
)  # fmt: skip
#: What lies along k in memory.
_ALONG_K = frozenset(["(u4|s4)", "(b1)"])


def _wmma() -> tuple[Row, ...]:
    rows: list[Row] = []
    for shape, factors, sums, since in _WMMA:
        rows += _tiles(shape, factors, sums, since)
        if factors != "(f16)":
            rows += _products(shape, factors, sums, since)
    head = f"wmma!mma.sync.aligned{_ORDERS}.WMMA{{.satfinite}}.(f16|f32).(f16|f32)"
    return (*rows, Row(head, "{d}:* a:* b:* c:*", "", _MODEL, profile="tensor", effects="meets ends"))


def _tiles(shape: str, factors: str, sums: str, since: str) -> list[Row]:
    """From memory and to it."""
    tail = f"{shape}{{.MATRIX_SPACE}}"
    loads = [("a", "row"), ("b", "col")] if factors in _ALONG_K else [("(a|b)", "(row|col)")]
    names = [f"{which}.sync.aligned.{order}.{tail}.{factors}" for which, order in loads]
    names.append(f"c.sync.aligned.(row|col).{tail}.{sums}")
    stored = f"wmma!store!d.sync.aligned.(row|col).{tail}.{sums}"
    return [
        *(Row(f"wmma!load!{name}", "{d}:* [a] b:u32?", "", "a", profile="load", effects="loads", since=since) for name in names),
        Row(stored, "[a] {b}:* c:u32?", "", "b", profile="store", effects="stores", since=since),
    ]  # fmt: skip


def _products(shape: str, factors: str, sums: str, since: str) -> list[Row]:
    """Of two factors of one type."""
    end = ".(xor|and).popc" if factors == "(b1)" else {"s32": "{.satfinite}", "f64": "{.rn}"}.get(sums, "")
    head = f"wmma!mma{end}.sync.aligned{'.row.col' if factors in _ALONG_K else _ORDERS}.{shape}.{sums}"
    return [
        Row(f"{head}.{one}.{one}.{sums}", "{d}:* a:* b:* c:*", "", _MODEL, profile="tensor", effects="meets ends", since=since)
        for one in factors.strip("()").split("|")
    ]  # fmt: skip


_ROWS = ".sync.aligned.m8n8.(x1|x2|x4){.trans}{.OWN}.b16"

ROWS = (
    *_mma(), *_few_bits(), *_sparse(), *_wmma(),
    Row(f"ldmatrix{_ROWS}", "{d}:* [a]", "", "turned(n, a)", profile="load", effects="loads exchanges", since="6.5 sm_75"),
    Row(f"stmatrix{_ROWS}", "[a] {b}:*", "", "turned(n, b)", profile="store", effects="stores exchanges", since="7.8 sm_90"),
    Row("ldmatrix.sync.aligned.m16n16.(x1|x2).trans{.OWN}.b8", "{d}:* [a]", "", "turned(n, a)", profile="load", effects="loads exchanges", since="8.6 sm_100a"),
    Row("ldmatrix.sync.aligned.m8n16.(x1|x2|x4){.OWN}.b8x16.(b6x16_p32|b4x16_p64)", "{d}:* [a]", "", "unpacked(n, a)", profile="load", effects="loads exchanges", since="8.6 sm_100a"),
    Row("stmatrix.sync.aligned.m16n8.(x1|x2|x4).trans{.OWN}.b8", "[a] {b}:*", "", "turned(n, b)", profile="store", effects="stores exchanges", since="8.6 sm_100a"),
    Row("movmatrix.sync.aligned.m8n8.trans.b16", "d:b32 a:b32", "", "turned(n, a)", profile="tensor", effects="meets ends", since="7.8 sm_75"),
)  # fmt: skip
