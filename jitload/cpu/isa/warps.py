"""What the lanes of a warp do together (PTX ISA sections 9.7.9.6 and 9.7.13.5 to 9.7.13.12)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

ROWS = (
    Row("shfl.sync.(up|down|bfly|idx).b32", "d|q:T a:T b:u32 c:u32 e:u32", "", "shuffled(n, lanes, a, b, c)", profile="warp", effects="meets ends"),
    Row("shfl.(up|down|bfly|idx).b32", "d|q:T a:T b:u32 c:u32", "", "shuffled(n, lanes, a, b, c)", profile="warp", effects="meets ends"),
    Row("vote.sync.(all|any|uni).pred", "d:p a:p b:u32", "", "voted(n, a)", profile="warp", effects="meets ends"),
    Row("vote.sync.ballot.b32", "d:T a:p b:u32", "", "ballot(lanes, a)", profile="warp", effects="meets ends"),
    Row("vote.(all|any|uni).pred", "d:p a:p", "", "voted(n, a)", profile="warp", effects="meets ends"),
    Row("vote.ballot.b32", "d:T a:p", "", "ballot(lanes, a)", profile="warp", effects="meets ends"),
    Row("match.any.sync.BITS32", "d:b32 a:T b:u32", "", "[ballot(lanes, [x == y for y in a]) for x in a]", since="6.0 sm_70", profile="warp", effects="meets ends"),
    Row("match.all.sync.BITS32", "d|q:b32 a:T b:u32", "", "(ballot(lanes), True) if len({*a}) == 1 else (0, False)", since="6.0 sm_70", profile="warp", effects="meets ends"),
    Row("redux.sync.(add|min|max).(u32|s32)", "d:T a:T b:u32", "", "sum(a) if has('add') else min(a) if has('min') else max(a)", since="7.0 sm_80", profile="warp", effects="meets ends"),
    Row("redux.sync.(and|or|xor).b32", "d:T a:T b:u32", "", "folded(n, a)", since="7.0 sm_80", profile="warp", effects="meets ends"),
    Row("redux.sync.(min|max){.abs}{.NaN}.f32", "d:T a:T b:u32", "", "extreme(n, *a)", since="8.6 sm_100a", profile="warp", effects="meets ends"),
    Row("activemask.b32", "d:T", "", "ballot(lanes)", since="6.2", profile="warp", effects="meets ends"),
    Row("elect.sync", "d&q:b32 a:u32", "", "[(lanes[0], lane == lanes[0]) for lane in lanes]", since="8.0 sm_90", profile="warp", effects="meets ends"),
)  # fmt: skip
