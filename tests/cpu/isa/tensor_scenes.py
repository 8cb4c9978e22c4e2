"""Scenes of what manages tensor memory, and of what tells an mbarrier that products and copies are complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cpu.isa.scenes import Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

_ALLOC = "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32"
_DEALLOC = "tcgen05.dealloc.cta_group::1.sync.aligned.b32"
_FIRST = "setp.ge.u32 %p1, %t, 32; mov.u32 %r5, sh; @%p1 bra REST; "
#: Each thread stores ten times its number above what is in column 0, or anywhere else, and reads it.
_USED = "mad.lo.u32 %r3, %t, 10, 5; tcgen05.st.sync.aligned.32x32b.x1.b32 [%r2], {%r3}; tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r0}, [%r2];"


def _allocated(name: Name) -> Scene:
    """Half of the columns, and the other half behind them."""
    place = "%r5" if name.has("shared::cta") else "%d2"
    body = f"""{_FIRST}cvt.u64.u32 %d1, %r5; cvta.shared.u64 %d2, %d1; {{name}} [{place}], 256; {{name}} [{place}+8], 256; REST: bar.sync 0;
        ld.shared.b32 %r2, [sh+8]; {_USED} add.u32 %r0, %r0, %r2; ld.shared.b32 %r2, [sh]; add.u32 %r0, %r0, %r2; bar.sync 0; @%p1 bra END;
        {_DEALLOC} %r2, 256; add.u32 %r2, %r2, 256; {_DEALLOC} %r2, 256;"""
    return Scene(body, lambda t: 10 * t + 5 + 256)


def _freed(_name: Name) -> Scene:
    """All columns, twice."""
    body = f"""{_FIRST}{_ALLOC} [%r5], 512; ld.shared.b32 %r2, [sh]; {{name}} %r2, 512; {_ALLOC} [%r5], 512; REST: bar.sync 0;
        ld.shared.b32 %r2, [sh]; {_USED} bar.sync 0; @%p1 bra END; {{name}} %r2, 512;"""
    return Scene(body, lambda t: 10 * t + 5)


def _relinquished(_name: Name) -> Scene:
    return Scene(
        f"{_FIRST}{{name}}; {_ALLOC} [%r5], 32; REST: bar.sync 0;", lambda _: 0, stops="relinquish_alloc_permit"
    )


def _committed(name: Name) -> Scene:
    """One arrival of every thread; with a multicast at the mbarriers of two blocks."""
    both = name.has("multicast::cluster")
    place = "%r5" if name.has("shared::cluster") else "%d2"
    body = f"""mov.u32 %r5, bar; cvt.u64.u32 %d1, %r5; cvta.shared.u64 %d2, %d1; mov.b16 %h1, 3; {"barrier.cluster.arrive; barrier.cluster.wait;" if both else ""}
        {{name}} [{place}]{", %h1" if both else ""}; WAIT: mbarrier.try_wait.parity.shared.b64 %p1, [bar], 0; @!%p1 bra WAIT; mov.b32 %r0, 3;
        {"barrier.cluster.arrive; barrier.cluster.wait;" if both else ""}"""
    return Scene(body, lambda _: 3, 128 if both else 64, blocks=1 + both)


_COMMIT = "tcgen05.commit.cta_group::1.mbarrier::arrive::one"
TENSOR_SCENES: dict[str, Callable[[Name], Scene]] = {
    "tcgen05.alloc.cta_group::1.sync.aligned{.shared::cta}.b32": _allocated,
    "tcgen05.dealloc.cta_group::1.sync.aligned.b32": _freed,
    "tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned": _relinquished,
    f"{_COMMIT}{{.shared::cluster}}.b64": _committed,
    f"{_COMMIT}{{.shared::cluster}}.multicast::cluster.b64": _committed,
}
