"""What the lanes of a warp do together (PTX ISA sections 9.7.9.6 and 9.7.13.5 to 9.7.13.12)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

ROWS = (
    Row("shfl.sync.(up|down|bfly|idx).b32", "d|q:T a:T b:u32 c:u32 e:u32", profile="warp", effects="meets ends"),
    Row("shfl.(up|down|bfly|idx).b32", "d|q:T a:T b:u32 c:u32", profile="warp", effects="meets ends"),
    Row("vote.sync.(all|any|uni).pred", "d:p a:p b:u32", profile="warp", effects="meets ends"),
    Row("vote.sync.ballot.b32", "d:T a:p b:u32", profile="warp", effects="meets ends"),
    Row("vote.(all|any|uni).pred", "d:p a:p", profile="warp", effects="meets ends"),
    Row("vote.ballot.b32", "d:T a:p", profile="warp", effects="meets ends"),
    Row("match.any.sync.BITS32", "d:b32 a:T b:u32", since="6.0 sm_70", profile="warp", effects="meets ends"),
    Row("match.all.sync.BITS32", "d|q:b32 a:T b:u32", since="6.0 sm_70", profile="warp", effects="meets ends"),
    Row("redux.sync.(add|min|max).(u32|s32)", "d:T a:T b:u32", since="7.0 sm_80", profile="warp", effects="meets ends"),
    Row("redux.sync.(and|or|xor).b32", "d:T a:T b:u32", since="7.0 sm_80", profile="warp", effects="meets ends"),
    Row("redux.sync.(min|max){.abs}{.NaN}.f32", "d:T a:T b:u32", since="8.6 sm_100a", profile="warp", effects="meets ends"),
    Row("activemask.b32", "d:T", since="6.2", profile="warp", effects="meets ends"),
    Row("elect.sync", "d&q:b32 a:u32", since="8.0 sm_90", profile="warp", effects="meets ends"),
)  # fmt: skip
