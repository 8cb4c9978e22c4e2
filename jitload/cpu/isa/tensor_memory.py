"""Tensor memory: allocation, moves from and to registers, and what orders them (PTX ISA section 9.7.16)."""

from __future__ import annotations

from jitload.cpu.isa.row import NO_CODE, Row

_SINCE = "8.6 sm_100a"
_GROUP = "cta_group::1"
#: Shapes -> the counts that fill up to 128 registers.
_MOVES = (
    ("(16x64b|32x32b)", "(x1|x2|x4|x8|x16|x32|x64|x128)", ""),
    ("16x128b", "(x1|x2|x4|x8|x16|x32|x64)", ""),
    ("16x256b", "(x1|x2|x4|x8|x16|x32)", ""),
    ("16x32bx2", "(x1|x2|x4|x8|x16|x32|x64|x128)", "b:#"),
)
_ARRIVES = "tcgen05!commit.cta_group::1.mbarrier::arrive::one{.shared::cluster}"

ROWS = (
    Row(f"tcgen05!alloc.{_GROUP}.sync.aligned{{.shared::cta}}.b32", "[a] b:u32", model="scene", profile="synchronization", effects="stores meets ends", since=_SINCE),
    Row(f"tcgen05!dealloc.{_GROUP}.sync.aligned.b32", "a:u32 b:u32", model="scene", profile="synchronization", effects="meets ends", since=_SINCE),
    Row(f"tcgen05!relinquish_alloc_permit.{_GROUP}.sync.aligned", model="scene", profile="synchronization", effects="meets ends", since=_SINCE),
    *(Row(f"tcgen05!ld.sync.aligned.{shape}.{count}{{.pack::16b}}.b32", f"{{d}}:* [a] {split}".rstrip(), model="fragment(n, t, b)" if split else "fragment(n, t)", profile="load", effects="loads meets ends", since=_SINCE) for shape, count, split in _MOVES),
    *(Row(f"tcgen05!st.sync.aligned.{shape}.{count}{{.unpack::16b}}.b32", " ".join(["[a]", *split.split(), "{c}:*"]), model="dealt(n, c, b)" if split else "dealt(n, c)", profile="store", effects="stores meets ends", since=_SINCE) for shape, count, split in _MOVES),
    *(Row(f"tcgen05!{what}", "", NO_CODE, "nothing", profile="synchronization", since=_SINCE) for what in ("(wait::ld|wait::st).sync.aligned", "(fence::before_thread_sync|fence::after_thread_sync)")),
    Row(f"{_ARRIVES}.b64", "[a]", model="scene", profile="synchronization", effects="loads stores strong releases", since=_SINCE),
    Row(f"{_ARRIVES}.multicast::cluster.b64", "[a] b:u16", model="scene", profile="synchronization", effects="loads stores strong releases", since=_SINCE),
)  # fmt: skip
