"""Branches, calls and ends (PTX ISA sections 9.7.12 and 9.7.19)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row

ROWS = (
    Row("bra{.uni}", "a:*", "", "scene", example="DONE", profile="control", effects="ends"),
    Row("brx!idx{.uni}", "a:u32 b:*", "", "scene", example="%r1, TABLE", profile="control", effects="ends"),
    Row("call{.uni}", "a:*", "", "scene", example="(%r1), callee, (%r2)", profile="control", effects="ends"),
    Row("ret{.uni}", model="scene", profile="control", effects="ends"),
    Row("exit", model="scene", profile="control", effects="ends"),
    Row("trap", model="scene", profile="control", effects="stops"),
    Row("brkpt", model="scene", profile="control", effects="stops"),
    Row("pmevent{.mask}", "a:#", "pass", "nothing", profile="other"),
    Row("setmaxnreg!(inc|dec).sync.aligned.u32", "a:#", "pass", "nothing", profile="other", since="8.0 sm_90a"),
)  # fmt: skip
