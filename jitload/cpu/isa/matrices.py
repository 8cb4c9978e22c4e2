"""Tensor cores: `mma`, `wmma`, `ldmatrix`, `stmatrix`, `movmatrix` (PTX ISA section 9.7.14)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_BYTES = "(u8|s8)"
_NIBBLES = "(u4|s4)"
_FLOATS8 = "(e4m3|e5m2)"
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
            operands="{d}:* a:* b:* c:*",
            profile="tensor",
            effects="meets ends",
            since=since,
        )
        for shapes, a, b, d, factors, c, end, since in _PRODUCTS
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


def _wmma() -> tuple[Row, ...]:
    rows = []
    for shape, factors, sums, since in _WMMA:
        head = f".sync.aligned.(row|col).{shape}{{.MATRIX_SPACE}}"
        few = "b1" in factors or "u4" in factors  # which lie along k
        loads = [("a", "row"), ("b", "col")] if few else [("(a|b)", "(row|col)")]
        rows += [
            Row(
                f"wmma!load.{which}.sync.aligned.{order}.{shape}{{.MATRIX_SPACE}}.{factors}",
                operands="{d}:* [a] b:u32?",
                profile="load",
                effects="loads",
                since=since,
            )
            for which, order in loads
        ]
        rows += [
            Row(f"wmma!load.c{head}.{sums}", operands="{d}:* [a] b:u32?", profile="load", effects="loads", since=since),
            Row(
                f"wmma!store.d{head}.{sums}",
                operands="[a] {b}:* c:u32?",
                profile="store",
                effects="stores",
                since=since,
            ),
        ]
        end = {"s32": "{.satfinite}", "f64": "{.rn}"}.get(sums, "")
        end = ".(xor|and).popc" if "b1" in factors else end
        order = ".row.col" if few else _ORDERS
        rows += [
            Row(
                f"wmma!mma{end}.sync.aligned{order}.{shape}.{sums}.{one}.{one}.{sums}",
                operands="{d}:* a:* b:* c:*",
                profile="tensor",
                effects="meets ends",
                since=since,
            )
            for one in factors.strip("()").split("|")
            if one != "f16"
        ]
    rows.append(
        Row(
            f"wmma!mma.sync.aligned{_ORDERS}.WMMA{{.satfinite}}.(f16|f32).(f16|f32)",
            operands="{d}:* a:* b:* c:*",
            profile="tensor",
            effects="meets ends",
        )
    )
    return tuple(rows)


_ROWS = ".sync.aligned.m8n8.(x1|x2|x4){.trans}{.OWN}.b16"

ROWS = (
    *_mma(), *_wmma(),
    Row(f"ldmatrix{_ROWS}", "{d}:* [a]", profile="load", effects="loads exchanges", since="6.5 sm_75"),
    Row(f"stmatrix{_ROWS}", "[a] {b}:*", profile="store", effects="stores exchanges", since="7.8 sm_90"),
    Row("movmatrix.sync.aligned.m8n8.trans.b16", "d:b32 a:b32", profile="tensor", effects="meets ends", since="7.8 sm_75"),
)  # fmt: skip
