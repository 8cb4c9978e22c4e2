"""What a group of threads of a warp works out together, as LLVM IR over what they left in their frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPERATE = """\
define internal void @operate(ptr %frames, i64 %frame_bytes, i32 %operation, i32 %group, i32 %ready) {{
entry:
  %leader = call i32 @llvm.cttz.i32(i32 %group, i1 true)
  %leader_64 = zext i32 %leader to i64
  %leader_frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %leader_64)
  %leader_value_at = getelementptr i64, ptr %leader_frame, i64 $VALUE
  switch i32 %operation, label %done [ {cases} ]
{starts}lane:
  %rest = phi i32 {groups}, [ %rest_after, %lane_done ]
  %common = phi i32 {commons}, [ %common, %lane_done ]
  %some = icmp ne i32 %rest, 0
  br i1 %some, label %look, label %done
look:
  %l32 = call i32 @llvm.cttz.i32(i32 %rest, i1 true)
  %l = zext i32 %l32 to i64
  %bit = shl i32 1, %l32
  %bit_off = xor i32 %bit, -1
  %rest_after = and i32 %rest, %bit_off
  %frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %l)
  %value_at = getelementptr i64, ptr %frame, i64 $VALUE
  %value = load i64, ptr %value_at
  switch i32 %operation, label %own [ {own_cases} ]
{bodies}own:
  br label %lane_done
lane_done:
  %first = phi i32 {firsts}
  %second = phi i64 {seconds}
  %first_64 = zext i32 %first to i64
  %first_at = getelementptr i64, ptr %frame, i64 $RESULT
  store i64 %first_64, ptr %first_at
  %second_at = getelementptr i64, ptr %first_at, i64 $LANES
  store i64 %second, ptr %second_at
  br label %lane
done:
  ret void
}}
"""

#: Operation -> what all of a group have in common: `%{n}.common`.
_COMMON = {
    "activemask": "  %{n}.common = add i32 %group, 0\n",
    "sync": "  %{n}.common = add i32 0, 0\n",
    "elect": "  %{n}.common = add i32 %leader, 0\n",
    "vote.ballot": "  %{n}.common = call i32 @ballot(ptr %frames, i64 %frame_bytes, i32 %group)\n",
    "vote.any": """\
  %{n}.yes = call i32 @ballot(ptr %frames, i64 %frame_bytes, i32 %group)
  %{n}.some = icmp ne i32 %{n}.yes, 0
  %{n}.common = zext i1 %{n}.some to i32
""",
    "vote.all": """\
  %{n}.yes = call i32 @ballot(ptr %frames, i64 %frame_bytes, i32 %group)
  %{n}.all = icmp eq i32 %{n}.yes, %group
  %{n}.common = zext i1 %{n}.all to i32
""",
    "vote.uni": """\
  %{n}.yes = call i32 @ballot(ptr %frames, i64 %frame_bytes, i32 %group)
  %{n}.all = icmp eq i32 %{n}.yes, %group
  %{n}.none = icmp eq i32 %{n}.yes, 0
  %{n}.uni = or i1 %{n}.all, %{n}.none
  %{n}.common = zext i1 %{n}.uni to i32
""",
    "match.all": """\
  %{n}.value = load i64, ptr %leader_value_at
  %{n}.alike = call i32 @equal(ptr %frames, i64 %frame_bytes, i32 %group, i64 %{n}.value)
  %{n}.all = icmp eq i32 %{n}.alike, %group
  %{n}.common = select i1 %{n}.all, i32 %group, i32 0
""",
}
#: Operation -> what a lane has for itself: `%{n}.first`, `%{n}.second`.
_OWN = {
    "elect": """\
  %{n}.is_leader = icmp eq i32 %l32, %leader
  %{n}.first = add i32 %common, 0
  %{n}.second = zext i1 %{n}.is_leader to i64
""",
    "match.all": """\
  %{n}.all_bit = icmp ne i32 %common, 0
  %{n}.first = add i32 %common, 0
  %{n}.second = zext i1 %{n}.all_bit to i64
""",
    "match.any": """\
  %{n}.first = call i32 @equal(ptr %frames, i64 %frame_bytes, i32 %group, i64 %value)
  %{n}.second = add i64 0, 0
""",
}
_SHUFFLE = """\
  %{n}.b_at = getelementptr i64, ptr %value_at, i64 $LANES
  %{n}.b_64 = load i64, ptr %{n}.b_at
  %{n}.c_at = getelementptr i64, ptr %{n}.b_at, i64 $LANES
  %{n}.c_64 = load i64, ptr %{n}.c_at
  %{n}.b_all = trunc i64 %{n}.b_64 to i32
  %{n}.c_all = trunc i64 %{n}.c_64 to i32
  %{n}.b = and i32 %{n}.b_all, 31
  %{n}.clamp = and i32 %{n}.c_all, 31
  %{n}.c_high = lshr i32 %{n}.c_all, 8
  %{n}.segment = and i32 %{n}.c_high, 31
  %{n}.not_segment = xor i32 %{n}.segment, -1
  %{n}.base = and i32 %l32, %{n}.segment
  %{n}.top = and i32 %{n}.clamp, %{n}.not_segment
  %{n}.last = or i32 %{n}.base, %{n}.top
{source}  %{n}.inside = icmp {test} i32 %{n}.source, %{n}.last
  %{n}.from = select i1 %{n}.inside, i32 %{n}.source, i32 %l32
  %{n}.from_bits = lshr i32 %ready, %{n}.from
  %{n}.from_bit = and i32 %{n}.from_bits, 1
  %{n}.here = icmp ne i32 %{n}.from_bit, 0
  %{n}.read = select i1 %{n}.here, i32 %{n}.from, i32 %l32
  %{n}.read_64 = zext i32 %{n}.read to i64
  %{n}.read_frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %{n}.read_64)
  %{n}.read_at = getelementptr i64, ptr %{n}.read_frame, i64 $VALUE
  %{n}.read_value = load i64, ptr %{n}.read_at
  %{n}.first = trunc i64 %{n}.read_value to i32
  %{n}.second = zext i1 %{n}.inside to i64
"""
_SOURCES = {
    "up": ("  %{n}.source = sub i32 %l32, %{n}.b\n", "sge"),
    "down": ("  %{n}.source = add i32 %l32, %{n}.b\n", "sle"),
    "bfly": ("  %{n}.source = xor i32 %l32, %{n}.b\n", "sle"),
    "idx": ("  %{n}.part = and i32 %{n}.b, %{n}.not_segment\n  %{n}.source = or i32 %{n}.base, %{n}.part\n", "sle"),
}
#: Of `redux`: what a fold begins with, and its step; `{s}` is the sign of the type.
_FOLDS = {
    **{name: ("0", f"{name} i32 %total, %value") for name in ("add", "or", "xor")},
    "and": ("-1", "and i32 %total, %value"),
    **{name: ("", f"call i32 @llvm.{{s}}{name}.i32(i32 %total, i32 %value)") for name in ("min", "max")},
}
_FOLD = """\
define internal i32 @{name}(ptr %frames, i64 %frame_bytes, i32 %set) {{
entry:
  br label %lane
lane:
  %rest = phi i32 [ %set, %entry ], [ %rest_after, %look ]
  %total = phi i32 [ {start}, %entry ], [ %total_after, %look ]
  %some = icmp ne i32 %rest, 0
  br i1 %some, label %look, label %done
look:
  %l32 = call i32 @llvm.cttz.i32(i32 %rest, i1 true)
  %l = zext i32 %l32 to i64
  %bit = shl i32 1, %l32
  %frame = call ptr @frame(ptr %frames, i64 %frame_bytes, i64 %l)
  %value_at = getelementptr i64, ptr %frame, i64 $VALUE
  %value_64 = load i64, ptr %value_at
  %value = trunc i64 %value_64 to i32
  %total_after = {step}
  %bit_off = xor i32 %bit, -1
  %rest_after = and i32 %rest, %bit_off
  br label %lane
done:
  ret i32 %total
}}
"""


def operations_text(used: Mapping[int, str]) -> str:
    """`void operate(frames, bytes of a frame, operation, group, all that go on)` for operations by their numbers."""
    return "".join(_fold(name) for name in used.values() if name.startswith("redux")) + _operate(used)


def _fold(name: str) -> str:
    _, mode, type_ = name.split(".")
    start, step = _FOLDS[mode]
    signed = type_ == "s32"
    if not start:
        least, most = (-(1 << 31), (1 << 31) - 1) if signed else (0, -1)
        start = str(most if mode == "min" else least)
    return _FOLD.format(name=name, start=start, step=step.format(s="s" if signed else "u"))


def _operate(used: Mapping[int, str]) -> str:
    starts, bodies, commons, firsts, seconds, cases, own = "", "", [], [], [], [], []
    for number, name in used.items():
        cases.append(f"i32 {number}, label %start{number}")
        starts += f"start{number}:\n{_common(name).format(n=f'o{number}')}  br label %lane\n"
        commons.append(f"[ %o{number}.common, %start{number} ]")
        body = _own(name)
        if body:
            own.append(f"i32 {number}, label %body{number}")
            bodies += f"body{number}:\n{body.format(n=f'o{number}')}  br label %lane_done\n"
            firsts.append(f"[ %o{number}.first, %body{number} ]")
            seconds.append(f"[ %o{number}.second, %body{number} ]")
    groups = ", ".join(f"[ %group, %start{number} ]" for number in used)
    return _OPERATE.format(
        cases=" ".join(cases), starts=starts, groups=groups, commons=", ".join(commons), own_cases=" ".join(own),
        bodies=bodies, firsts=", ".join([*firsts, "[ %common, %own ]"]), seconds=", ".join([*seconds, "[ 0, %own ]"]),
    )  # fmt: skip


def _common(name: str) -> str:
    family, _, mode = name.partition(".")
    if family == "redux":
        return f"  %{{n}}.common = call i32 @{name}(ptr %frames, i64 %frame_bytes, i32 %group)\n"
    return _COMMON.get(f"{family}.{mode.partition('.')[0]}" if mode else family, _COMMON["sync"])


def _own(name: str) -> str:
    family, _, mode = name.partition(".")
    mode = mode.partition(".")[0]
    if family == "shfl":
        source, test = _SOURCES[mode]
        return _SHUFFLE.replace("{source}", source).replace("{test}", test)
    return _OWN.get(f"{family}.{mode}" if mode else family, "")
