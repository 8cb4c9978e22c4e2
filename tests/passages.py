"""What a compile passes through, counted in a process of its own: `python tests/passages.py DIRECTORY`, JSON on stdout.

It compiles a small kernel with one header, the cache in DIRECTORY, under `sys.setprofile`. What is counted:

    files        of jitload in which a function is called between the call of `jitload.compile` and its return; what
                 runs while a module is imported is not
    rooms        the rooms that what carries the source goes through, in order, up to the write of the entry. A call is
                 followed when an argument is, or has in it, the text, a request, its headers, an artifact or the bytes
                 of an entry. A place in the code counts once, however often it runs, and a function is followed into
                 once; every call into another room and every return from there is a step, the ground rooms' too.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter

import jitload
from jitload.artifact import Artifact
from jitload.format.entry import MAGIC
from jitload.headers.closure import Closure
from jitload.source.request import CompileRequest

ROOT = os.path.dirname(jitload.__file__) + os.sep
SOURCE = '#include "value.h"\nextern "C" __global__ void k(int *x) { *x = VALUE; }\n'
HEADER = "#define VALUE 3\n"
START = jitload.compile.__code__


def file_of(code) -> str:
    return code.co_filename[len(ROOT) :]


def room_of(code) -> str:
    return file_of(code).split(os.sep)[0].removesuffix(".py")


def is_source(value) -> bool:
    if isinstance(value, (str, bytes)):
        return value == SOURCE or (isinstance(value, bytes) and value.startswith(MAGIC))
    return isinstance(value, (CompileRequest, Closure, Artifact))


def carries(value) -> bool:
    """Whether a value is what is followed, or has it in a field or an item."""
    if is_source(value):
        return True
    if isinstance(value, (tuple, list, dict)):
        return any(map(is_source, value.values() if isinstance(value, dict) else value))
    if not type(value).__module__.startswith("jitload"):
        return False
    slots = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ())]
    return any(is_source(getattr(value, name, None)) for name in [*slots, *getattr(value, "__dict__", ())])


class Passages:
    """What was called, told by `sys.setprofile`."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.calls: dict[object, dict[tuple[int, object], None]] = {START: {}}  # caller -> (line, callee), in order
        self.importing = 0
        self.is_stored = False

    def note(self, frame, event, _) -> None:
        code = frame.f_code
        if code.co_name == "<module>":
            self.importing += {"call": 1, "return": -1}.get(event, 0)
        elif event == "call" and not self.importing and code.co_filename.startswith(ROOT):
            self.files[file_of(code)] += 1
            if not self.is_stored and not code.co_name.startswith("<"):
                self.follow(frame)

    def follow(self, frame) -> None:
        code = frame.f_code
        known = frame.f_locals
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
        given = [known[name] for name in code.co_varnames[:count] if name in known]
        if code.co_name == "__init__":
            del given[0]
        sys.setprofile(None)  # to look at a value may call what is to be counted
        followed = any(map(carries, given))
        sys.setprofile(self.note)
        caller = frame.f_back
        while followed and caller is not None and caller.f_code not in self.calls:
            caller = caller.f_back
        if followed and caller is not None:
            self.calls.setdefault(code, {})
            self.calls[caller.f_code].setdefault((caller.f_lineno, code))
            self.is_stored = room_of(code) == "files" and any(is_source(value) for value in given)

    def rooms(self) -> list[str]:
        """The rooms in order, each as often as it is come to."""
        steps: list[str] = []
        self._walk(START, steps, set())
        last = max(number for number, room in enumerate(steps) if room == "files")
        return [room for number, room in enumerate(steps[: last + 1]) if number == 0 or steps[number - 1] != room]

    def _walk(self, code, steps, seen) -> None:
        steps.append(room_of(code))
        if code not in seen:
            seen.add(code)
            for _, callee in self.calls[code]:
                self._walk(callee, steps, seen)
                steps.append(room_of(code))


def main(directory: str) -> None:
    include = os.path.join(directory, "include")
    os.makedirs(include, exist_ok=True)
    with open(os.path.join(include, "value.h"), "w") as header:
        header.write(HEADER)
    cache = os.path.join(directory, "cache")
    passages = Passages()
    with jitload.configure(cache_dir=cache):
        sys.setprofile(passages.note)
        jitload.compile(SOURCE, kind="cubin", arch="sm_80", include_dirs=[include])
        sys.setprofile(None)
    told = {"files": sorted(passages.files), "compiles": jitload.stats().compiles}
    if passages.is_stored:
        told["rooms"] = passages.rooms()
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
