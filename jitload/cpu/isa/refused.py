"""What is known and does not run, with the reason: whatever has these parts in its name."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_TEXTURES = "questions about textures (txq) are not supported by the CPU executor"
_SURFACES = "surfaces are not supported by the CPU executor"
_INSTEAD = "not supported by the CPU executor: give the kernel a path"
_PLAIN = f"{_INSTEAD} for plain compute_90 (mma, wmma)"
_STACK = "stack allocation (alloca) is not supported by the CPU executor"

#: Opcode -> why it does not run; the effects are those that it would have.
_OPCODES = {
    "txq": (_TEXTURES, ""),
    **dict.fromkeys(("suld", "sust", "sured", "suq"), (_SURFACES, "")),
    "tcgen05": (f"tcgen05, products in tensor memory, are {_PLAIN}", ""),
    "multimem": ("multicast memory is not supported by the CPU executor", ""),
    "istypep": ("texture, sampler and surface types are not supported by the CPU executor", ""),
    **dict.fromkeys(("alloca", "stacksave", "stackrestore"), (_STACK, "stops")),
}
_FORMS = "copies of tensors (TMA) in the form .{} are not supported by the CPU executor: .tile is"
#: Parts of copies of tensors that do not run.
_TENSORS = ("im2col", "im2col::w", "im2col::w::128", "im2col_no_offs", "tile::gather4", "tile::scatter4")

ROWS = (
    *(Row(opcode, "d:*", profile="other", effects=effects, refused=why) for opcode, (why, effects) in _OPCODES.items()),
    *(Row(f"cp.tensor.{form}", refused=_FORMS.format(form), profile="copy", effects="loads stores releases") for form in _TENSORS),
    Row("wgmma.sp", "d:*", profile="tensor", effects="meets ends", refused=f"wgmma.mma_async.sp, products of sparse matrices, are {_PLAIN}"),
    Row("cvt.s2f6x2", "d:*", profile="conversion", refused="conversions with fixed-point numbers (.s2f6x2) are not supported by the CPU executor"),
)  # fmt: skip
