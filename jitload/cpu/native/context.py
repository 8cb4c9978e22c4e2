"""What generated code and Python share during a launch: one array of words, by number."""

from __future__ import annotations

#: Numbers of the words, each of 8 bytes. CODE to WRITES are what a stopped thread leaves; SITE may be ALL_MET.
(
    CODE, SITE, ADDRESS, NBYTES, WRITES, THREAD, BLOCK, ROUNDS,
    FUEL, POLL, SHIELD,
    TABLE, ALLOCATIONS, PARAMS, PARAM_BYTES, SHARED, SHARED_BYTES, LOCAL, LOCAL_STRIDE, LOCAL_BYTES, LOCAL_UNSET,
    FRAMES, FRAME_BYTES, STATES, THREADS,
    TID, _TID_Y, _TID_Z, NTID, _NTID_Y, _NTID_Z, CTAID, _CTAID_Y, _CTAID_Z, NCTAID, _NCTAID_Y, _NCTAID_Z,
    WARPS, DYNAMIC_BYTES, VARIABLES, PARTED, WARP_TURNS, FUNCTIONS, ERRANDS,
) = range(44)  # fmt: skip
#: Behind them, per site that accesses global memory: start, how far an access may begin from there, what to add.
NEAR = 48
NEAR_WORDS = 3
#: Words of a row in the table of allocations: start, end, what to add, whether it may be written.
ROW_WORDS = 4

#: In the place of a site while no thread is on its way; -1 while none of a warp is.
ALL_MET = -2

#: Why a launch stopped.
FAULT, ENDLESS, STUCK, STOPPED, OUTSIDE, LOST, TABLE_END = 1, 2, 3, 4, 5, 6, 7
#: Back edges of all threads between two looks at Python: well below a tenth of a second.
FUEL_EDGES = 1 << 20
#: What an errand counts for among them.
ERRAND_FUEL = 1 << 12
#: Looks in a row at one thread that runs on and on: below a second. Lanes stop a launch after as long, but fewer turns.
ENDLESS_LOOKS = 256
#: How often all threads of a block may meet. Lanes stop a launch after two million steps, of which this takes as many.
MOST_ROUNDS = 1_000_000
