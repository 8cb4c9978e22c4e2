"""A process whose calls below the cache directory fail: `LD_PRELOAD=... python io_errors.py STATE ERROR STICKY COUNT`.

STATE is what is there before: "absent" no directory, "empty" an empty one, "warm" one with the kernel in it; with
"index" it is the index that is written. ERROR is a name of errno, STICKY "once" or "sticky", COUNT how many numbers of
calls are tried, drawn with a seed of these three, or "all".

One child per number: it compiles, hits or writes the index while that call fails, then again with a sound file system.
Prints as JSON how many calls there are, how many were tried, and what was wrong, by the number of the call.
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import fcntl
import json
import logging
import os
import random
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import jitload
from jitload.compiler import toolkit

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE = 'extern "C" __global__ void k(int *x) { *x = 7; }'
CHILD_SECONDS = 100
shim = ctypes.CDLL(None)
shim.io_errors_begin.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
shim.io_errors_end.restype = ctypes.c_long


def compile_in(directory: str) -> jitload.Artifact:
    return jitload.compile(SOURCE, arch="compute_75", cache=jitload.Cache(directory))


def open_below(directory: str) -> list[str]:
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return [path for path in map(read_link, links) if path.startswith(directory)]


def read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def are_locked(directory: str) -> list[str]:
    found = []
    for name in os.listdir(f"{directory}/locks") if os.path.isdir(f"{directory}/locks") else ():
        descriptor = os.open(f"{directory}/locks/{name}", os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            found.append(name)
        os.close(descriptor)
    return found


def check_call(directory: str, right: bytes, k: int, error: int, sticky: bool, index: bool) -> tuple[int, list[str]]:
    """What is wrong when call number `k` fails, and how many calls there were."""
    wrong = []
    cache = jitload.Cache(directory)
    if index:
        jitload.compile(SOURCE, arch="compute_75", cache=cache)
    shim.io_errors_begin(directory.encode(), k, error, sticky)
    try:
        if index:
            cache.flush()
        elif jitload.compile(SOURCE, arch="compute_75", cache=cache).data != right:
            wrong.append("another artifact")
    except BaseException as caught:  # noqa: BLE001
        wrong.append(f"{type(caught).__name__}: {caught}")
    calls = shim.io_errors_end()
    if opened := [path for path in open_below(directory) if path != directory]:  # that one is held
        wrong.append(f"left open: {opened}")
    if locked := are_locked(directory):
        wrong.append(f"left locked: {locked}")
    strays = set(os.listdir(directory) if os.path.isdir(directory) else ()) - {
        "objects",
        "manifests",
        "index",
        "locks",
        "incoming",
        "quarantine",
        "journal",
        "toolchain-2.json",
    }
    if strays:
        wrong.append(f"left behind: {strays}")
    try:
        wrong += jitload.Session().run(check_after, directory, right)
    except BaseException as caught:  # noqa: BLE001
        wrong.append(f"afterwards {type(caught).__name__}: {caught}")
    return calls, wrong


def check_after(directory: str, right: bytes) -> list[str]:
    """What is wrong once the file system is sound again."""
    wrong = []
    if compile_in(directory).data != right:
        wrong.append("another artifact afterwards")
    before = jitload.stats().compiles
    cache = jitload.Cache(directory)
    if jitload.compile(SOURCE, arch="compute_75", cache=cache).data != right:
        wrong.append("another artifact at the second look")
    if jitload.stats().compiles != before:
        wrong.append("compiled at each look")
    if cache.verify()[1]:
        wrong.append("damaged entries are left")
    return wrong


def in_child(*arguments: Any) -> tuple[int, list[str]]:
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        faulthandler.dump_traceback_later(CHILD_SECONDS, exit=True)
        with os.fdopen(write, "w") as file:
            json.dump(jitload.Session().run(check_call, *arguments), file)  # as in a new process
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return tuple(json.loads(text)) if text else (0, ["it died or hung"])


def main(state: str, error: str, sticky: str, count: str) -> None:
    logging.getLogger("jitload").setLevel(logging.CRITICAL)
    toolkit.digest_files = lambda paths: "ab" * 32  # 0.2 s per child, and none of its files are below the directory
    base = tempfile.mkdtemp(prefix="io-errors-")
    directory, sound = f"{base}/cache", f"{base}/sound"
    right = jitload.compile(SOURCE, arch="compute_75", cache=jitload.Cache()).data
    if state == "warm":
        os.mkdir(sound, 0o700)
        jitload.Session().run(compile_in, sound)
    elif state == "empty":
        os.mkdir(sound, 0o700)

    def attempt(k: int) -> tuple[int, list[str]]:
        shutil.rmtree(directory, ignore_errors=True)
        if os.path.isdir(sound):
            shutil.copytree(sound, directory)
            os.chmod(directory, 0o700)
        return in_child(directory, right, k, getattr(errno, error), sticky == "sticky", state == "index")

    calls, wrong = attempt(0)
    found = {0: wrong} if wrong else {}
    numbers: Sequence[int] = range(1, calls + 1)
    if count != "all":
        drawn = random.Random(f"{state} {error} {sticky}")  # other calls for each
        numbers = sorted(drawn.sample(numbers, min(int(count), calls)))
    for k in numbers:
        if wrong := attempt(k)[1]:
            found[k] = wrong
    shutil.rmtree(base, ignore_errors=True)
    print(json.dumps([calls, len(numbers), found]))


if __name__ == "__main__":
    main(*sys.argv[1:])
