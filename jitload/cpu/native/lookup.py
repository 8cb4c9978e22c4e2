"""The look-up of addresses as LLVM IR: in the table of allocations, or in the window of a state space."""

from __future__ import annotations

#: Words of a row in the table of allocations: start, end, what to add, whether it may be written.
ROW_WORDS = 4

#: `ptr global(context, near, address, bytes, writes)` remembers at `near` what it found; both give null for a fault.
LOOK_UP = """\
define internal ptr @global(ptr nocapture %c, ptr nocapture %near, i64 %address, i64 %size, i64 %write) noinline {
entry:
  %table_at = getelementptr i64, ptr %c, i64 $TABLE
  %table_word = load i64, ptr %table_at
  %table = inttoptr i64 %table_word to ptr
  %count_at = getelementptr i64, ptr %c, i64 $ALLOCATIONS
  %count = load i64, ptr %count_at
  %mask = sub i64 %size, 1
  %low = and i64 %address, %mask
  %odd = icmp ne i64 %low, 0
  br i1 %odd, label %none, label %search
search:
  %first = phi i64 [ 0, %entry ], [ %next_first, %step ]
  %last = phi i64 [ %count, %entry ], [ %next_last, %step ]
  %open = icmp ult i64 %first, %last
  br i1 %open, label %step, label %found
step:
  %sum = add i64 %first, %last
  %middle = lshr i64 %sum, 1
  %middle_at = mul i64 %middle, 4
  %start_at = getelementptr i64, ptr %table, i64 %middle_at
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
  %row_at = getelementptr i64, ptr %table, i64 %row_word
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
  %last = add i64 %offset, %size
  %fits = icmp ule i64 %last, %bytes
  %mask = sub i64 %size, 1
  %low = and i64 %offset, %mask
  %aligned = icmp eq i64 %low, 0
  %good = and i1 %fits, %aligned
  %place = add i64 %memory, %offset
  %pointer = inttoptr i64 %place to ptr
  %found = select i1 %good, ptr %pointer, ptr null
  ret ptr %found
}

define internal ptr @generic(ptr nocapture %c, ptr nocapture %near, i64 %address, i64 %size, i64 %write) noinline {
entry:
  %in_shared = sub i64 %address, $SHARED_WINDOW
  %is_shared = icmp ult i64 %in_shared, $WINDOW_BYTES
  br i1 %is_shared, label %shared, label %not_shared
shared:
  %shared_at = getelementptr i64, ptr %c, i64 $SHARED
  %shared_memory = load i64, ptr %shared_at
  %shared_bytes_at = getelementptr i64, ptr %c, i64 $SHARED_BYTES
  %shared_bytes = load i64, ptr %shared_bytes_at
  %in_s = call ptr @slab(i64 %shared_memory, i64 %shared_bytes, i64 %in_shared, i64 %size)
  ret ptr %in_s
not_shared:
  %in_local = sub i64 %address, $LOCAL_WINDOW
  %is_local = icmp ult i64 %in_local, $WINDOW_BYTES
  br i1 %is_local, label %local, label %not_local
local:
  %local_at = getelementptr i64, ptr %c, i64 $LOCAL
  %local_memory = load i64, ptr %local_at
  %stride_at = getelementptr i64, ptr %c, i64 $LOCAL_STRIDE
  %stride = load i64, ptr %stride_at
  %thread_at = getelementptr i64, ptr %c, i64 $THREAD
  %thread = load i64, ptr %thread_at
  %before = mul i64 %thread, %stride
  %mine = add i64 %local_memory, %before
  %local_bytes_at = getelementptr i64, ptr %c, i64 $LOCAL_BYTES
  %local_bytes = load i64, ptr %local_bytes_at
  %in_l = call ptr @slab(i64 %mine, i64 %local_bytes, i64 %in_local, i64 %size)
  ret ptr %in_l
not_local:
  %in_params = sub i64 %address, $PARAM_WINDOW
  %is_params = icmp ult i64 %in_params, $WINDOW_BYTES
  br i1 %is_params, label %params, label %elsewhere
params:
  %params_at = getelementptr i64, ptr %c, i64 $PARAMS
  %params_memory = load i64, ptr %params_at
  %params_bytes_at = getelementptr i64, ptr %c, i64 $PARAM_BYTES
  %params_bytes = load i64, ptr %params_bytes_at
  %in_p = call ptr @slab(i64 %params_memory, i64 %params_bytes, i64 %in_params, i64 %size)
  ret ptr %in_p
elsewhere:
  %in_g = call ptr @global(ptr %c, ptr %near, i64 %address, i64 %size, i64 %write)
  ret ptr %in_g
}
"""
