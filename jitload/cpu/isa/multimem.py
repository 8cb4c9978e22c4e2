"""Memory that several devices share at one address, `multimem` (PTX ISA section 9.7.9.14): here a group of one device."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_SINCE = "8.1 sm_90"
_PAIRS = "(f16x2|bf16x2)"
#: Vectors and types of floats, but for single ones of 32 bits and more.
_HALVES = (("", _PAIRS), (".(v2|v4)", _PAIRS), (".(v2|v4|v8)", "HALF"))
_FLOATS = ((".(v2|v4)", "f32"), *_HALVES)
_ORDERED = "(u32|s32|u64|s64)"
_ADDED = "(u32|s32|u64|f32|f64)"
_MOVED = "(b32|b64|u32|s32|u64|s64|f32|f64)"
_BITS = "(b32|b64)"


def _loads(head: str, effects: str) -> tuple[Row, ...]:
    """`ld_reduce`: the reduction of one value is that value."""
    names = [
        f"(min|max).{_ORDERED}", f"(and|or|xor).{_BITS}", f"add.{_ADDED}", "add.(v2|v4).f32",
        *(f"(min|max){vector}.{types}" for vector, types in _HALVES),
        *(f"add{{.acc::f32}}{vector}.{types}" for vector, types in _HALVES),
    ]  # fmt: skip
    return tuple(
        Row(f"multimem!ld_reduce{head}{{.global}}.{name}", "{d}:T [a]", "", "old", profile="load", effects=effects, since=_SINCE)
        for name in names
    )  # fmt: skip


def _stores(head: str, effects: str) -> tuple[Row, ...]:
    names = (_MOVED, *(f"{vector[1:]}.{types}" if vector else types for vector, types in _FLOATS))
    return tuple(
        Row(f"multimem!st{head}{{.global}}.{name}", "[a] {b}:T", "", "b", profile="store", effects=effects, since=_SINCE)
        for name in names
    )  # fmt: skip


def _reductions() -> tuple[Row, ...]:
    names = (
        (f"min.{_ORDERED}", "min(old, b)"), (f"max.{_ORDERED}", "max(old, b)"), (f"add.{_ADDED}", "old + b"),
        (f"and.{_BITS}", "old & b"), (f"or.{_BITS}", "old | b"), (f"xor.{_BITS}", "old ^ b"), (f"add.{_PAIRS}", "old + b"),
        ("add.(v2|v4).f32", "old + b"), *((f"(add|min|max){vector}.{types}", "joined(n, old, b)") for vector, types in _HALVES if vector),
    )  # fmt: skip
    return tuple(
        Row(
            f"multimem!red{{.(relaxed|release).SCOPE}}{{.global}}.{name}",
            "[a] {b}:T",
            "",
            model,
            profile="atomic",
            effects="stores strong releases",
            since=_SINCE,
        )
        for name, model in names
    )


ROWS = (
    *_loads("{.weak}", "loads"), *_loads(".(relaxed|acquire).SCOPE", "loads strong polls"),
    *_stores("{.weak}", "stores"), *_stores(".(relaxed|release).SCOPE", "stores strong releases"),
    *_reductions(),
)  # fmt: skip
