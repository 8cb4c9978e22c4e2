"""What is known and does not run, with the reason: whatever has these parts in its name."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

_INSTEAD = "not supported by the CPU executor: give the kernel a path"
_PLAIN = f"{_INSTEAD} for plain compute_90 (mma, wmma)"
_STACK = "stack allocation (alloca) is not supported by the CPU executor"

#: Opcode -> why it does not run; the effects are those that it would have.
_OPCODES = {
    "istypep": ("texture, sampler and surface types are not supported by the CPU executor", ""),
    **dict.fromkeys(("alloca", "stacksave", "stackrestore"), (_STACK, "stops")),
}
_ENUMERATED = "{} is a number of the source language's own, which CUDA has none of: not supported by the CPU executor"
_SAMPLERS = "samplers apart from textures are not supported by the CPU executor: an object of CUDA is both"
_SAMPLES = "textures of several samples are not supported by the CPU executor: CUDA makes none"
_FORMS = "copies of tensors (TMA) in the form .{} are not supported by the CPU executor: .tile is"
#: Parts of copies of tensors that do not run.
_TENSORS = ("im2col", "im2col::w", "im2col::w::128", "im2col_no_offs")

#: Floats of 8 bits that the memory of several devices reduces.
_NARROW = ("e4m3", "e5m2", "e4m3x2", "e5m2x2", "e4m3x4", "e5m2x4")

_UNPACKED = "ldmatrix.m16n16 that unpacks .{} is not supported by the CPU executor: .m8n16 is, and .m16n16 of .b8"

_NOT_YET = "is not supported by the CPU executor"
#: Parts of instructions on tensor memory that do not run, with the effects they would have.
_TENSOR_MEMORY = {
    "cta_group::2": (f"tcgen05 of a pair of thread blocks (.cta_group::2) {_NOT_YET}: .cta_group::1 is", "meets ends"),
    "ld.red": (f"tcgen05.ld.red {_NOT_YET}: tcgen05.ld is", "meets ends"),
    "shift": (f"tcgen05.shift {_NOT_YET}", "loads stores"),
    "4x256b": (f"tcgen05.cp.4x256b {_NOT_YET}: .128x256b is", "loads stores"),
    "sp": (f"tcgen05.mma.sp, products of sparse matrices, {_NOT_YET}: tcgen05.mma is", "loads stores"),
    "ws": (f"tcgen05.mma.ws {_NOT_YET}: tcgen05.mma is", "loads stores"),
    "ashift": (f"tcgen05.mma.ashift {_NOT_YET}: tcgen05.mma is", "loads stores"),
}

ROWS = (
    *(Row(opcode, "d:*", profile="other", effects=effects, refused=why) for opcode, (why, effects) in _OPCODES.items()),
    *(Row(f"cp.tensor.{form}", refused=_FORMS.format(form), profile="copy", effects="loads stores releases") for form in _TENSORS),
    Row("tensormap.swizzle_atomicity", "[a] b:#", profile="store", effects="stores", refused="permuting other chunks than 16 bytes (.swizzle_atomicity) is not supported by the CPU executor: leave it at 0"),
    *(Row(f"multimem.{one}", "d:*", profile="other", refused=f"multimem of floats of 8 bits (.{one}) is not supported by the CPU executor: f16x2 is") for one in _NARROW),
    *(Row(f"ldmatrix.m16n16.{one}", "d:*", profile="load", effects="loads", refused=_UNPACKED.format(one)) for one in ("b6x16_p32", "b4x16_p64")),
    *(Row(f"tcgen05.{form}", "d:*", profile="other", effects=effects, refused=why) for form, (why, effects) in _TENSOR_MEMORY.items()),
    Row("wgmma.sp", "d:*", profile="tensor", effects="meets ends", refused=f"wgmma.mma_async.sp, products of sparse matrices, are {_PLAIN}"),
    *(Row(f"{opcode}.{question}", "d:*", profile="other", refused=_ENUMERATED.format(question)) for opcode in ("txq", "suq") for question in ("channel_data_type", "channel_order")),
    Row("txq.force_unnormalized_coords", "d:*", profile="other", refused=_SAMPLERS),
    *(Row(f"tex.{geometry}", "d:*", profile="load", effects="accesses", refused=_SAMPLES) for geometry in ("2dms", "a2dms")),
    Row("cvt.s2f6x2", "d:*", profile="conversion", refused="conversions with fixed-point numbers (.s2f6x2) are not supported by the CPU executor"),
)  # fmt: skip
