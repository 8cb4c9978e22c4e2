"""Floating-point arithmetic of every width (PTX ISA sections 9.7.3 to 9.7.5)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_ADDS = {"add": "linear hands_on assembles", "sub": "linear hands_on", "mul": "linear"}
_SUMS = {"add": "a + b", "sub": "a - b", "mul": "a * b"}
_APPROXIMATE = {"sin": "sine(a)", "cos": "cosine(a)", "lg2": "log2(a)"}


def _sums(name: str) -> tuple[Row, ...]:
    effects, model = _ADDS[name], _SUMS[name]
    rows = (
        Row(f"{name}{{.RND}}{{.ftz}}{{.sat}}.f32", "d:T a:T b:T", "", model, effects=effects),
        Row(f"{name}{{.RND}}.f64", "d:T a:T b:T", "", model, effects=effects),
        Row(f"{name}{{.RND}}{{.ftz}}.f32x2", "d:T a:T b:T", "", model, effects=effects, since="8.6 sm_100"),
        Row(f"{name}{{.rn}}{{.ftz}}{{.sat}}.HALVES", "d:T a:T b:T", "", model, effects=effects, since="6.0 sm_53"),
        Row(f"{name}{{.rn}}.BRAINS", "d:T a:T b:T", "", model, effects=effects, since="7.8 sm_90"),
    )
    mixed = Row(f"{name}{{.RND}}{{.sat}}.f32.HALF", "d:T a:S b:T", "", model, effects=effects, since="8.6 sm_100")
    return rows if name == "mul" else (*rows, mixed)


def _extremes(name: str) -> tuple[Row, ...]:
    effects = "hands_on"
    return (
        Row(f"{name}{{.ftz}}{{.NaN}}.f32", "d:T a:T b:T", "", "extreme(n, a, b)", effects=effects),
        Row(
            f"{name}{{.ftz}}{{.NaN}}.xorsign.abs.f32",
            "d:T a:T b:T",
            "",
            "extreme(n, a, b)",
            effects=effects,
            since="7.2 sm_86",
        ),
        Row(
            f"{name}{{.ftz}}{{.NaN}}{{.abs}}.f32",
            "d:T a:T b:T c:T",
            "",
            "extreme(n, a, b, c)",
            effects=effects,
            since="8.8 sm_100",
        ),
        Row(f"{name}.f64", "d:T a:T b:T", "", "extreme(n, a, b)", effects=effects),
        Row(
            f"{name}{{.ftz}}{{.NaN}}.HALVES", "d:T a:T b:T", "", "extreme(n, a, b)", effects=effects, since="7.0 sm_80"
        ),
        Row(
            f"{name}{{.ftz}}{{.NaN}}.xorsign.abs.HALVES",
            "d:T a:T b:T",
            "",
            "extreme(n, a, b)",
            effects=effects,
            since="7.2 sm_86",
        ),
        Row(f"{name}{{.NaN}}.BRAINS", "d:T a:T b:T", "", "extreme(n, a, b)", effects=effects, since="7.0 sm_80"),
        Row(
            f"{name}{{.NaN}}.xorsign.abs.BRAINS",
            "d:T a:T b:T",
            "",
            "extreme(n, a, b)",
            effects=effects,
            since="7.2 sm_86",
        ),
    )


def _signs(name: str) -> tuple[Row, ...]:
    effects, model = ("hands_on", "negated(n, a)") if name == "neg" else ("", "absolute(n, a)")
    return (
        Row(f"{name}{{.ftz}}.f32", "d:T a:T", "", model, effects=effects),
        Row(f"{name}.f64", "d:T a:T", "", model, effects=effects),
        Row(f"{name}{{.ftz}}.HALVES", "d:T a:T", "", model, effects=effects, since="6.0 sm_53"),
        Row(f"{name}.BRAINS", "d:T a:T", "", model, effects=effects, since="7.0 sm_80"),
    )


ROWS = (
    *_sums("add"), *_sums("sub"), *_sums("mul"),
    Row("fma.RND{.ftz}{.sat}.f32", "d:T a:T b:T c:T", "", "a * b + c"),
    Row("fma.RND.f64", "d:T a:T b:T c:T", "", "a * b + c"),
    Row("fma.RND{.ftz}.f32x2", "d:T a:T b:T c:T", "", "a * b + c", since="8.6 sm_100"),
    Row("fma.rn{.ftz}{.sat}.HALVES", "d:T a:T b:T c:T", "", "a * b + c", since="6.0 sm_53"),
    Row("fma.rn{.ftz}.relu.HALVES", "d:T a:T b:T c:T", "", "a * b + c", since="7.0 sm_80"),
    Row("fma.rn{.relu}.BRAINS", "d:T a:T b:T c:T", "", "a * b + c", since="7.0 sm_80"),
    Row("fma.rn.oob{.sat}.HALVES", "d:T a:T b:T c:T", "", "inside(n, a * b + c, a, b, c)", since="8.1 sm_90"),
    Row("fma.rn.oob.relu.HALVES", "d:T a:T b:T c:T", "", "inside(n, a * b + c, a, b, c)", since="8.1 sm_90"),
    Row("fma.rn.oob{.relu}.BRAINS", "d:T a:T b:T c:T", "", "inside(n, a * b + c, a, b, c)", since="8.1 sm_90"),
    Row("fma.RND{.sat}.f32.HALF", "d:T a:S b:S c:T", "", "a * b + c", since="8.6 sm_100"),
    Row("mad.RND{.ftz}{.sat}.f32", "d:T a:T b:T c:T", "", "a * b + c", effects="linear assembles"),
    Row("mad.RND.f64", "d:T a:T b:T c:T", "", "a * b + c", effects="linear assembles"),
    Row("div.approx{.ftz}.f32", "d:T a:T b:T", "", "quotient_approx(a, b)"),
    Row("div!full{.ftz}.f32", "d:T a:T b:T", "", "Near(a / b)"),
    Row("div.RND{.ftz}.f32", "d:T a:T b:T", "", "a / b"),
    Row("div.RND.f64", "d:T a:T b:T", "", "a / b"),
    Row("rcp.approx{.ftz}.f32", "d:T a:T", "", "Near(ONE / a)"),
    Row("rcp.RND{.ftz}.f32", "d:T a:T", "", "ONE / a"),
    Row("rcp.RND.f64", "d:T a:T", "", "ONE / a"),
    Row("rcp.approx.ftz.f64", "d:T a:T", "", "upper(ONE / a)"),
    Row("sqrt.approx{.ftz}.f32", "d:T a:T", "", "Near(root(a))"),
    Row("sqrt.RND{.ftz}.f32", "d:T a:T", "", "root(a)"),
    Row("sqrt.RND.f64", "d:T a:T", "", "root(a)"),
    Row("rsqrt.approx{.ftz}.f32", "d:T a:T", "", "Near(ONE / root(a))"),
    Row("rsqrt.approx.f64", "d:T a:T", "", "Near(ONE / root(a))"),
    Row("rsqrt.approx.ftz.f64", "d:T a:T", "", "upper(ONE / root(a))"),
    *(Row(f"{name}.approx{{.ftz}}.f32", "d:T a:T", "", model) for name, model in _APPROXIMATE.items()),
    Row("ex2.approx{.ftz}.f32", "d:T a:T", "", "exp2(a)"),
    Row("ex2.approx.HALVES", "d:T a:T", "", "exp2(a)", since="7.0 sm_75"),
    Row("ex2.approx.ftz.BRAINS", "d:T a:T", "", "exp2(a)", since="7.8 sm_90"),
    Row("tanh.approx.f32", "d:T a:T", "", "tangent_h(a)", since="7.0 sm_75"),
    Row("tanh.approx.HALVES", "d:T a:T", "", "tangent_h(a)", since="7.0 sm_75"),
    Row("tanh.approx.BRAINS", "d:T a:T", "", "tangent_h(a)", since="7.8 sm_90"),
    *_extremes("min"), *_extremes("max"), *_signs("abs"), *_signs("neg"),
    Row("copysign.(f32|f64)", "d:T a:T b:T", "", "copied_sign(a, b, bits)"),
    Row("testp.TEST.(f32|f64)", "d:p a:T", "", "is_like(n, a)"),
)  # fmt: skip
