"""One file per family of instructions: the code that each is turned into. Importing the package registers them all.

Files of families that few programs have are imported when a program first has one.
"""

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import emits_with
from jitload.cpu.emit import (
    bits,
    float,  # noqa: A004 - the family's name
    integer,
    memory,
    value,
)
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.emit import (
        cluster_launch,
        convert,
        copy,
        fp8,
        matrix,
        mbarrier,
        multimem,
        stochastic,
        surface,
        tensor,
        tensor_memory,
        tensor_product,
        texture,
        video,
        warpgroup,
    )
else:
    cluster_launch = lazy("jitload.cpu.emit.cluster_launch")
    convert = lazy("jitload.cpu.emit.convert")
    copy = lazy("jitload.cpu.emit.copy")
    fp8 = lazy("jitload.cpu.emit.fp8")
    matrix = lazy("jitload.cpu.emit.matrix")
    mbarrier = lazy("jitload.cpu.emit.mbarrier")
    multimem = lazy("jitload.cpu.emit.multimem")
    stochastic = lazy("jitload.cpu.emit.stochastic")
    surface = lazy("jitload.cpu.emit.surface")
    tensor = lazy("jitload.cpu.emit.tensor")
    tensor_memory = lazy("jitload.cpu.emit.tensor_memory")
    tensor_product = lazy("jitload.cpu.emit.tensor_product")
    texture = lazy("jitload.cpu.emit.texture")
    video = lazy("jitload.cpu.emit.video")
    warpgroup = lazy("jitload.cpu.emit.warpgroup")

__all__ = ["bits", "float", "integer", "memory", "value"]

_SCALAR = ("vadd", "vsub", "vabsdiff", "vmin", "vmax", "vshl", "vshr", "vset")
_PAIRS = ("vadd2", "vsub2", "vavrg2", "vabsdiff2", "vmin2", "vmax2", "vset2")
_FOURS = ("vadd4", "vsub4", "vavrg4", "vabsdiff4", "vmin4", "vmax4", "vset4")

emits_with(lambda: cluster_launch.emit_cluster_launch, "clusterlaunchcontrol")
emits_with(lambda: convert.emit_cvt, "cvt")
emits_with(lambda: copy.emit_copy, "cp")
emits_with(lambda: copy.emit_special_store, "st", of=("async", "bulk"))
emits_with(lambda: copy.emit_async_reduction, "red", of=("async",))
emits_with(lambda: fp8.emit_cvt_fp8, "cvt", of=("e4m3x2", "e5m2x2", "e3m2x2", "e2m3x2", "e2m1x2", "ue8m0x2"))
emits_with(lambda: matrix.emit_matrix_access, "ldmatrix", "stmatrix")
emits_with(lambda: matrix.emit_wmma_memory, "wmma")
emits_with(lambda: mbarrier.emit_mbarrier, "mbarrier")
emits_with(lambda: multimem.emit_multimem, "multimem")
emits_with(lambda: stochastic.emit_rounding, "cvt", of=("rs",))
emits_with(lambda: surface.emit_load, "suld")
emits_with(lambda: surface.emit_store, "sust")
emits_with(lambda: surface.emit_reduction, "sured")
emits_with(lambda: surface.emit_query, "suq", "txq")
emits_with(lambda: tensor.emit_tensor_copy, "cp", of=("tensor", "reduce"))
emits_with(lambda: tensor.emit_tensor_map_fence, "fence", of=("tensormap::generic",))
emits_with(lambda: tensor.emit_tensor_map, "tensormap")
emits_with(lambda: tensor_memory.emit_commit, "tcgen05", of=("commit",))
emits_with(lambda: tensor_product.emit_product, "tcgen05", of=("mma",))
emits_with(lambda: tensor_product.emit_copy, "tcgen05", of=("cp",))
emits_with(lambda: texture.emit_tex, "tex")
emits_with(lambda: texture.emit_tld4, "tld4")
emits_with(lambda: video.emit_scalar, *_SCALAR)
emits_with(lambda: video.emit_mad, "vmad")
emits_with(lambda: video.emit_simd, *_PAIRS, *_FOURS)
emits_with(lambda: warpgroup.emit_order, "wgmma")
