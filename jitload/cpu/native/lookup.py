"""The look-up of addresses as LLVM IR: in the table of allocations, or in the window of a state space."""

from __future__ import annotations

from jitload.cpu.native.frame import LANES
from jitload.cpu.native.widen import vector_of

#: `ptr global(context, near, address, bytes, writes)` remembers at `near` what it found, and `generic` too; they do not
#: look at alignment, and give null for what nobody may access. `ptr ask(..., kind, site)` does, and says what is wrong;
#: `i1 ask_row` does that for eight addresses of threads in a row, and puts places where they were.
LOOK_UP = """\
define internal ptr @global(ptr nocapture %c, ptr nocapture %near, i64 %address, i64 %size, i64 %write) noinline {
entry:
  %near_start = load i64, ptr %near
  %near_limit_at = getelementptr i64, ptr %near, i64 1
  %near_limit = load i64, ptr %near_limit_at
  %distance = sub i64 %address, %near_start
  %is_near = icmp ult i64 %distance, %near_limit
  br i1 %is_near, label %again, label %table
again:
  %known_delta_at = getelementptr i64, ptr %near, i64 2
  %known_delta = load i64, ptr %known_delta_at
  %known_place = add i64 %address, %known_delta
  %known_pointer = inttoptr i64 %known_place to ptr
  ret ptr %known_pointer
table:
  %table_at = getelementptr i64, ptr %c, i64 $TABLE
  %table_word = load i64, ptr %table_at
  %rows = inttoptr i64 %table_word to ptr
  %count_at = getelementptr i64, ptr %c, i64 $ALLOCATIONS
  %count = load i64, ptr %count_at
  br label %search
search:
  %first = phi i64 [ 0, %table ], [ %next_first, %step ]
  %last = phi i64 [ %count, %table ], [ %next_last, %step ]
  %open = icmp ult i64 %first, %last
  br i1 %open, label %step, label %found
step:
  %sum = add i64 %first, %last
  %middle = lshr i64 %sum, 1
  %middle_at = mul i64 %middle, 4
  %start_at = getelementptr i64, ptr %rows, i64 %middle_at
  %start = load i64, ptr %start_at
  %above = icmp ule i64 %start, %address
  %after = add i64 %middle, 1
  %next_first = select i1 %above, i64 %after, i64 %first
  %next_last = select i1 %above, i64 %last, i64 %middle
  br label %search
found:
  %some = icmp ne i64 %first, 0
  br i1 %some, label %row, label %none
row:
  %number = sub i64 %first, 1
  %row_word = mul i64 %number, 4
  %row_at = getelementptr i64, ptr %rows, i64 %row_word
  %begin = load i64, ptr %row_at
  %end_at = getelementptr i64, ptr %row_at, i64 1
  %end = load i64, ptr %end_at
  %length = sub i64 %end, %begin
  %inside = sub i64 %address, %begin
  %fits_at_all = icmp ule i64 %size, %length
  %room = sub i64 %length, %size
  %in_room = icmp ule i64 %inside, %room
  %good = and i1 %fits_at_all, %in_room
  br i1 %good, label %allowed, label %none
allowed:
  %written_at = getelementptr i64, ptr %row_at, i64 3
  %written = load i64, ptr %written_at
  %shielded = icmp ult i64 %written, %write
  br i1 %shielded, label %shield, label %take
shield:
  %address_at = getelementptr i64, ptr %c, i64 $ADDRESS
  store i64 %address, ptr %address_at
  %shield_at = getelementptr i64, ptr %c, i64 $SHIELD
  %shield_word = load i64, ptr %shield_at
  %shield_function = inttoptr i64 %shield_word to ptr
  %stopped = call i32 %shield_function(ptr %c)
  %failed = icmp ne i32 %stopped, 0
  br i1 %failed, label %none, label %take
take:
  %delta_at = getelementptr i64, ptr %row_at, i64 2
  %delta = load i64, ptr %delta_at
  store i64 %begin, ptr %near
  %limit = add i64 %room, 1
  %limit_at = getelementptr i64, ptr %near, i64 1
  store i64 %limit, ptr %limit_at
  %near_delta_at = getelementptr i64, ptr %near, i64 2
  store i64 %delta, ptr %near_delta_at
  %place = add i64 %address, %delta
  %pointer = inttoptr i64 %place to ptr
  ret ptr %pointer
none:
  ret ptr null
}

define internal ptr @slab(i64 %memory, i64 %bytes, i64 %offset, i64 %size) {
  %behind = add i64 %bytes, 1
  %ends = call i64 @llvm.usub.sat.i64(i64 %behind, i64 %size)
  %fits = icmp ult i64 %offset, %ends
  %place = add i64 %memory, %offset
  %pointer = inttoptr i64 %place to ptr
  %found = select i1 %fits, ptr %pointer, ptr null
  ret ptr %found
}

define internal ptr @shared(ptr %c, i64 %offset, i64 %size) {
  %memory = call i64 @word(ptr %c, i64 $SHARED)
  %bytes = call i64 @word(ptr %c, i64 $SHARED_BYTES)
  %found = call ptr @slab(i64 %memory, i64 %bytes, i64 %offset, i64 %size)
  ret ptr %found
}

define internal ptr @param(ptr %c, i64 %offset, i64 %size) {
  %memory = call i64 @word(ptr %c, i64 $PARAMS)
  %bytes = call i64 @word(ptr %c, i64 $PARAM_BYTES)
  %found = call ptr @slab(i64 %memory, i64 %bytes, i64 %offset, i64 %size)
  ret ptr %found
}

define internal ptr @local(ptr %c, i64 %offset, i64 %size) {
  %memory = call i64 @word(ptr %c, i64 $LOCAL)
  %bytes = call i64 @word(ptr %c, i64 $LOCAL_BYTES)
  %stride = call i64 @word(ptr %c, i64 $LOCAL_STRIDE)
  %thread = call i64 @word(ptr %c, i64 $THREAD)
  %before = mul i64 %thread, %stride
  %mine = add i64 %memory, %before
  %found = call ptr @slab(i64 %mine, i64 %bytes, i64 %offset, i64 %size)
  ret ptr %found
}

define internal ptr @generic(ptr nocapture %c, ptr nocapture %near, i64 %address, i64 %size, i64 %write) noinline {
entry:
  %in_shared = sub i64 %address, $SHARED_WINDOW
  %is_shared = icmp ult i64 %in_shared, $WINDOW_BYTES
  br i1 %is_shared, label %shared, label %not_shared
shared:
  %in_s = call ptr @shared(ptr %c, i64 %in_shared, i64 %size)
  ret ptr %in_s
not_shared:
  %in_local = sub i64 %address, $LOCAL_WINDOW
  %is_local = icmp ult i64 %in_local, $WINDOW_BYTES
  br i1 %is_local, label %local, label %not_local
local:
  %in_l = call ptr @local(ptr %c, i64 %in_local, i64 %size)
  ret ptr %in_l
not_local:
  %in_params = sub i64 %address, $PARAM_WINDOW
  %is_params = icmp ult i64 %in_params, $WINDOW_BYTES
  br i1 %is_params, label %params, label %elsewhere
params:
  %in_p = call ptr @param(ptr %c, i64 %in_params, i64 %size)
  ret ptr %in_p
elsewhere:
  %in_g = call ptr @global(ptr %c, ptr %near, i64 %address, i64 %size, i64 %write)
  ret ptr %in_g
}

define internal ptr @ask(ptr %c, ptr %near, i64 %address, i64 %size, i64 %kind, i64 %site) noinline {
entry:
  %write = and i64 %kind, 1
  %space = lshr i64 %kind, 1
  %mask = sub i64 %size, 1
  %low = and i64 %address, %mask
  %odd = icmp ne i64 %low, 0
  br i1 %odd, label %fault, label %look
look:
  switch i64 %space, label %generic [
    i64 0, label %global i64 1, label %shared i64 2, label %local i64 3, label %param ]
global:
  %in_g = call ptr @global(ptr %c, ptr %near, i64 %address, i64 %size, i64 %write)
  br label %found
shared:
  %in_s = call ptr @shared(ptr %c, i64 %address, i64 %size)
  br label %found
local:
  %in_l = call ptr @local(ptr %c, i64 %address, i64 %size)
  br label %found
param:
  %in_p = call ptr @param(ptr %c, i64 %address, i64 %size)
  br label %found
generic:
  %in_any = call ptr @generic(ptr %c, ptr %near, i64 %address, i64 %size, i64 %write)
  br label %found
found:
  %pointer = phi ptr [ %in_g, %global ], [ %in_s, %shared ], [ %in_l, %local ], [ %in_p, %param ], [ %in_any, %generic ]
  %good = icmp ne ptr %pointer, null
  br i1 %good, label %done, label %fault
done:
  ret ptr %pointer
fault:
  call void @set(ptr %c, i64 $CODE, i64 $FAULT)
  call void @set(ptr %c, i64 $SITE, i64 %site)
  call void @set(ptr %c, i64 $ADDRESS, i64 %address)
  call void @set(ptr %c, i64 $NBYTES, i64 %size)
  call void @set(ptr %c, i64 $WRITES, i64 %kind)
  ret ptr null
}

define internal i1 @ask_row(ptr %c, ptr %near, ptr %rows, i64 %size, i64 %kind, i64 %site) noinline {
entry:
  %first = call i64 @word(ptr %c, i64 $THREAD)
  br label %lane
lane:
  %k = phi i64 [ 0, %entry ], [ %next_k, %good ]
  %thread = add i64 %first, %k
  call void @set(ptr %c, i64 $THREAD, i64 %thread)
  %at = getelementptr i64, ptr %rows, i64 %k
  %address = load i64, ptr %at
  %place = call ptr @ask(ptr %c, ptr %near, i64 %address, i64 %size, i64 %kind, i64 %site)
  %found = icmp ne ptr %place, null
  br i1 %found, label %good, label %bad
good:
  %number = ptrtoint ptr %place to i64
  store i64 %number, ptr %at
  %next_k = add i64 %k, 1
  %done = icmp eq i64 %next_k, 8
  br i1 %done, label %all, label %lane
all:
  call void @set(ptr %c, i64 $THREAD, i64 %first)
  ret i1 true
bad:
  ret i1 false
}
"""


def row_helpers() -> str:
    """Loads and stores of a row: `@load.BITS(places, offset)`, `@store.BITS(places, offset, values)`."""
    found = []
    for bits in (8, 16, 32, 64):
        vector, lines = vector_of(f"i{bits}"), []
        for lane in range(LANES):
            lines += [
                f"  %n{lane} = extractelement <8 x i64> %places, i32 {lane}",
                f"  %o{lane} = add i64 %n{lane}, %offset",
                f"  %p{lane} = inttoptr i64 %o{lane} to ptr",
            ]
        load, store = list(lines), list(lines)
        for lane in range(LANES):
            before = f"%v{lane - 1}" if lane else "poison"
            load.append(f"  %e{lane} = load i{bits}, ptr %p{lane}, align {bits // 8}")
            load.append(f"  %v{lane} = insertelement {vector} {before}, i{bits} %e{lane}, i32 {lane}")
            store.append(f"  %e{lane} = extractelement {vector} %values, i32 {lane}")
            store.append(f"  store i{bits} %e{lane}, ptr %p{lane}, align {bits // 8}")
        found += [
            f"define internal {vector} @load.{bits}(<8 x i64> %places, i64 %offset) noinline {{", *load,
            f"  ret {vector} %v{LANES - 1}", "}",
            f"define internal void @store.{bits}(<8 x i64> %places, i64 %offset, {vector} %values) noinline {{", *store,
            "  ret void", "}",
        ]  # fmt: skip
    return "\n".join(found) + "\n"
