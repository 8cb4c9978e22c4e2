"""Whatever lies at whatever path below a cache directory: no look-up hangs, raises or gives wrong bytes, and nothing
outside the directory is read for it or changed.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import stat

import pytest

import jitload

SOURCE = 'extern "C" __global__ void k(int *x) {{ *x = {}; }}'
FILE_KINDS = (
    "fifo",
    "link",
    "dangling link",
    "link to a directory",
    "hard link",
    "directory",
    "socket",
    "sparse",
    "empty",
    "random bytes",
    "no rights",
    "open to all",
    "device",
    "of another user",
)
DIRECTORY_KINDS = (
    "fifo",
    "link",
    "link to a directory",
    "empty",
    "directory open to all",
    "directory of another user",
    "directory without rights",
)
#: A look-up that takes longer hangs; a machine that is shared is slow.
LOOK_SECONDS = 60


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A cache directory with everything in it that there can be."""
    path = tmp_path_factory.mktemp("warm") / "cache"
    for number in range(2):
        cache = jitload.Cache(path)
        jitload.compile(SOURCE.format(number), arch="compute_75", cache=cache)
    with jitload.Session():  # knows no toolchain yet, so it writes the memo
        jitload.compile(SOURCE.format(0), arch="compute_75", cache=jitload.Cache(path))
    cache.flush()
    files = [os.path.relpath(os.path.join(root, name), path) for root, _, names in os.walk(path) for name in names]
    assert {name.split("/")[0] for name in files} == {
        "index",
        "journal",
        "locks",
        "manifests",
        "objects",
        "toolchain-2.json",
    }
    directories = [
        os.path.relpath(os.path.join(root, name), path) for root, names, _ in os.walk(path) for name in names
    ]
    return path, sorted(files), sorted({*directories, "quarantine"})


@pytest.fixture
def outside(tmp_path):
    """What must stay as it is; `outside()` gives its state."""
    base = tmp_path / "outside"
    (base / "ab").mkdir(parents=True)
    for name in ("precious", "cache.db", "ab/" + "c" * 62):
        (base / name).write_text(name)
        (base / name).chmod(0o640)

    def state():
        found = {}
        for root, _, names in os.walk(base):
            for name in (".", *names):
                status = os.stat(f"{root}/{name}")
                text = b"" if name == "." else pathlib.Path(root, name).read_bytes()
                found[f"{root}/{name}"] = (text, stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime_ns)
        return found

    state.path = base
    return state


def plant(place: str, kind: str, outside: str) -> None:
    """Put something in the place of what is there."""
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place) if not kind.startswith("directory ") else None
    elif os.path.lexists(place):
        os.unlink(place)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind in {"link", "dangling link", "link to a directory"}:
        os.symlink({"link": f"{outside}/precious", "dangling link": f"{outside}/no"}.get(kind, outside), place)
    elif kind == "hard link":
        os.link(f"{outside}/precious", place)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(os.path.dirname(place))  # the path of a socket may be 107 bytes long
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.basename(place))
        os.chdir(here)
    elif kind == "device":
        os.mknod(place, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
    elif kind.startswith("directory"):
        os.makedirs(f"{place}/x", exist_ok=True)
        if kind == "directory open to all":
            os.chmod(place, 0o777)
        elif kind == "directory of another user":
            os.chown(place, 12345, 12345)
        elif kind == "directory without rights":
            os.chmod(place, 0)
    else:
        with open(place, "wb") as file:
            file.write(os.urandom(5000) if kind == "random bytes" else b"")
            file.truncate(1 << 40 if kind == "sparse" else 5000 if kind == "random bytes" else 0)
        os.chmod(place, {"no rights": 0, "open to all": 0o666}.get(kind, 0o600))
        if kind == "of another user":
            os.chown(place, 12345, 12345)


def look(path: str | os.PathLike[str], number: int) -> int:
    """Look a kernel up as a new process does; gives how often it was compiled."""
    signal.alarm(LOOK_SECONDS)
    with jitload.Session():
        try:
            artifact = jitload.compile(SOURCE.format(number), arch="compute_75", cache=jitload.Cache(path))
        finally:
            signal.alarm(0)
        assert f", {number};".encode() in artifact.data
        return jitload.stats().compiles


def check(path: str | os.PathLike[str]) -> int:
    """Look kernels up, and do what else is done with a cache; gives how often the third look-up compiled."""
    assert look(path, 0) <= 1
    assert look(path, 1) <= 1
    again = look(path, 0)
    look(path, 9)  # a compile in any case: the lock, the index and the writers are used
    cache = jitload.Cache(path)
    signal.alarm(LOOK_SECONDS)
    cache.put(jitload.compile(SOURCE.format(9), arch="compute_75", cache=jitload.Cache()))
    cache.flush()
    list(cache.entries())
    cache.verify()
    cache.gc()
    signal.alarm(0)
    return again


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_at_the_path_of_a_file(warm, outside, tmp_path, kind):
    if kind in {"device", "of another user"} and os.geteuid() != 0:
        pytest.skip("needs root")
    sound, files, _ = warm
    before = outside()
    for number, relative in enumerate(files):
        path = tmp_path / str(number)
        shutil.copytree(sound, path)
        path.chmod(0o700)
        plant(f"{path}/{relative}", kind, str(outside.path))
        again = check(path)
        assert again == 0, f"{relative}: compiled at each look"
        assert outside() == before, relative
        shutil.rmtree(path)


@pytest.mark.parametrize("kind", DIRECTORY_KINDS)
def test_at_the_path_of_a_directory(warm, outside, tmp_path, kind):
    if "another user" in kind and os.geteuid() != 0:
        pytest.skip("needs root to give directories away")
    sound, _, directories = warm
    before = outside()
    for number, relative in enumerate(directories):
        path = tmp_path / str(number)
        shutil.copytree(sound, path)
        path.chmod(0o700)
        plant(f"{path}/{relative}", kind, str(outside.path))
        check(path)
        assert outside() == before, relative
        shutil.rmtree(path)


# A link to a directory is how a user keeps the cache elsewhere.
@pytest.mark.parametrize("kind", [kind for kind in FILE_KINDS if kind != "link to a directory"])
def test_at_the_path_of_the_cache_directory_itself(outside, tmp_path, kind):
    if kind in {"device", "of another user"} and os.geteuid() != 0:
        pytest.skip("needs root")
    plant(str(tmp_path / "cache"), kind, str(outside.path))
    before = outside()
    check(tmp_path / "cache")
    assert outside() == before
