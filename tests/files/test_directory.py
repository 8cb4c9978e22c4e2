"""A private directory: what others could have put there is not read, and one that is swapped is noticed."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import stat
import subprocess
import sys

import pytest

from jitload.files import held
from jitload.files.directory import Directory
from jitload.files.ownership import Foreign, Refused

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


@pytest.fixture
def directory(tmp_path):
    made = Directory(str(tmp_path / "cache"))
    made.write("objects/ab/file", b"data", durable=True)
    return made


@pytest.fixture(autouse=True)
def _umask():
    """The most open one: what is private here is private everywhere."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_everything_made_is_private_and_so_is_what_is_missing_above(tmp_path):
    Directory(str(tmp_path / "not" / "there" / "cache")).write("objects/ab/file", b"data", durable=True)
    for root, _, files in os.walk(tmp_path / "not"):
        assert stat.S_IMODE(os.stat(root).st_mode) == 0o700, root
        for name in files:
            assert stat.S_IMODE(os.stat(f"{root}/{name}").st_mode) == 0o600


def test_a_directory_that_was_removed_is_made_again_and_private(directory):
    shutil.rmtree(directory.path)
    with pytest.raises(FileNotFoundError):
        directory.read("objects/ab/file", 100)
    directory.write("objects/ab/file", b"again", durable=False)
    assert directory.read("objects/ab/file", 100) == b"again"
    assert stat.S_IMODE(os.stat(directory.path).st_mode) == 0o700


def test_a_directory_that_another_process_made_again_is_used(directory, tmp_path):
    shutil.rmtree(directory.path)
    Directory(directory.path).write("objects/ab/file", b"theirs", durable=False)
    assert directory.read("objects/ab/file", 100) == b"theirs"


@needs_root
@pytest.mark.parametrize("swap", ["directory", "link"])
def test_a_foreign_directory_in_its_place_is_refused_while_the_object_lives(directory, tmp_path, swap):
    shutil.copytree(directory.path, tmp_path / "evil")
    (tmp_path / "evil" / "objects" / "ab" / "file").write_bytes(b"evil")
    os.chown(tmp_path / "evil", 12345, 12345)
    assert directory.read("objects/ab/file", 100) == b"data"
    os.rename(directory.path, tmp_path / "old")
    if swap == "link":
        os.symlink("evil", directory.path)
    else:
        os.rename(tmp_path / "evil", directory.path)
    with pytest.raises(Refused, match="belongs to user 12345"):
        directory.read("objects/ab/file", 100)
    with pytest.raises(Refused, match="belongs to user 12345"):
        directory.write("objects/ab/new", b"data", durable=False)
    assert not directory.remove("objects/ab/file")
    assert directory.scan("objects/ab") == []
    os.unlink(directory.path) if swap == "link" else shutil.rmtree(directory.path)
    os.rename(tmp_path / "old", directory.path)
    assert directory.read("objects/ab/file", 100) == b"data"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
def test_rights_that_are_given_to_others_meanwhile_are_noticed_and_taken_back_too(directory, mode):
    os.chmod(directory.path, mode)
    with pytest.raises(Refused, match=f"mode {mode:04o}"):
        directory.read("objects/ab/file", 100)
    os.chmod(directory.path, 0o700)
    assert directory.read("objects/ab/file", 100) == b"data"


def test_what_is_read_is_below_the_directory_that_was_checked(directory, tmp_path, monkeypatch):
    """A swap between the look at the path and the open changes nothing: the open starts from what is held."""
    shutil.copytree(directory.path, tmp_path / "evil")
    (tmp_path / "evil" / "objects" / "ab" / "file").write_bytes(b"evil")
    right = os.open

    def swapping_open(path, *arguments, **keywords):
        if path == "objects/ab/file":
            os.rename(directory.path, tmp_path / "old")
            os.rename(tmp_path / "evil", directory.path)
        return right(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", swapping_open)
    assert directory.read("objects/ab/file", 100) == b"data"


@needs_root
def test_a_file_of_another_user_is_not_read(directory):
    os.chown(f"{directory.path}/objects/ab/file", 12345, 12345)
    with pytest.raises(Foreign, match="objects/ab/file belongs to user 12345"):
        directory.read("objects/ab/file", 100)


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_file_that_others_may_write_is_not_read(directory, mode):
    os.chmod(f"{directory.path}/objects/ab/file", mode)
    with pytest.raises(Foreign, match=f"objects/ab/file can be written by other users \\(mode {mode:04o}\\)"):
        directory.read("objects/ab/file", 100)


@pytest.mark.parametrize("which", ["objects", "objects/ab"])
@pytest.mark.parametrize("what", [0o777, 0o770, "owner"])
def test_nothing_is_read_from_a_shard_that_others_may_write(directory, which, what):
    if what == "owner":
        if os.geteuid() != 0:
            pytest.skip("needs root to give a directory away")
        os.chown(f"{directory.path}/{which}", 12345, 12345)
    else:
        os.chmod(f"{directory.path}/{which}", what)
    with pytest.raises(Foreign, match=f"^.*{which} (can be written by other users|belongs to user 12345)"):
        Directory(directory.path).read("objects/ab/file", 100)


def test_a_shard_is_looked_at_again_after_a_while(directory, monkeypatch):
    assert directory.read("objects/ab/file", 100) == b"data"
    os.chmod(f"{directory.path}/objects/ab", 0o777)
    monkeypatch.setattr(held, "LOOK_AGAIN_SECONDS", 0.0)
    with pytest.raises(Foreign, match="mode 0777"):
        directory.read("objects/ab/file", 100)


@pytest.mark.parametrize("which", ["objects", "objects/ab", "incoming"])
def test_a_write_makes_our_own_directories_private_again(directory, which):
    """A cleaner, a copy or an older version made them under another umask."""
    os.chmod(f"{directory.path}/{which}", 0o777)
    fresh = Directory(directory.path)
    fresh.write("objects/ab/other", b"other", durable=False)
    assert stat.S_IMODE(os.stat(f"{directory.path}/{which}").st_mode) == 0o700
    assert fresh.read("objects/ab/file", 100) == b"data"


@needs_root
def test_a_directory_of_others_by_choice_may_hold_its_owners_files_and_roots(directory):
    """Read-only layers: an administrator's or a colleague's, with nobody else able to write."""
    path = directory.path
    for root, _, files in os.walk(path):
        for name in ("", *files):
            os.chown(f"{root}/{name}", 12345, 12345)
            os.chmod(f"{root}/{name}", 0o644 if name else 0o755)
    layer = Directory(path, read_only=True)
    assert layer.read("objects/ab/file", 100) == b"data"
    os.chown(f"{path}/objects/ab/file", 0, 0)
    assert layer.read("objects/ab/file", 100) == b"data"
    os.chown(f"{path}/objects/ab/file", 54321, 0)
    with pytest.raises(Foreign, match="belongs to user 54321"):
        layer.read("objects/ab/file", 100)
    with pytest.raises(OSError, match="is used read-only"):
        layer.write("objects/ab/file", b"mine", durable=False)
    assert not layer.remove("objects/ab/file")


def plant(path: str, kind: str, victim: str) -> None:
    """Put something in the place of a file."""
    if os.path.lexists(path):
        os.unlink(path)
    if kind == "link":
        os.symlink(victim, path)
    elif kind == "hard link":
        os.link(victim, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
    elif kind == "sparse":
        with open(path, "wb") as file:
            file.truncate(1 << 40)
    elif kind == "no rights":
        open(path, "wb").close()
        os.chmod(path, 0)
    elif kind == "open to all":
        open(path, "wb").close()
        os.chmod(path, 0o666)
    else:
        os.mkdir(path)


KINDS = ["link", "hard link", "fifo", "socket", "sparse", "no rights", "open to all"]


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "precious"
    path.write_text("precious")
    path.chmod(0o640)
    yield path
    assert path.read_text() == "precious"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_ours_is_opened_to_be_changed_whatever_lies_in_its_place(directory, victim, kind):
    directory.make("locks")
    plant(f"{directory.path}/locks/abc", kind, str(victim))
    descriptor = directory.open_own("locks/abc")
    os.pwrite(descriptor, b"ours", 0)
    os.close(descriptor)
    status = os.stat(f"{directory.path}/locks/abc", follow_symlinks=False)
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_nlink) == (0o600, os.geteuid(), 1)
    assert directory.read("locks/abc", 1 << 41)[:4] == b"ours" if kind != "sparse" else True


def test_a_directory_in_the_place_of_a_file_of_ours_stays_and_is_an_error(directory):
    os.makedirs(f"{directory.path}/locks/abc/x")
    with pytest.raises(IsADirectoryError):
        directory.open_own("locks/abc")
    assert os.path.isdir(f"{directory.path}/locks/abc/x")


def test_a_shard_that_is_a_link_leads_nowhere(directory, tmp_path):
    """Not to read, to write, to list, to move or to remove what is there."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("precious")
    shutil.rmtree(f"{directory.path}/objects/ab")
    os.symlink(tmp_path / "outside", f"{directory.path}/objects/ab")
    fresh = Directory(directory.path)
    for action in (
        lambda: fresh.read("objects/ab/file", 100),
        lambda: fresh.write("objects/ab/file", b"data", durable=False),
        lambda: fresh.move("objects/ab/file", "quarantine", "file"),
    ):
        with pytest.raises(OSError, match="objects/ab is not a directory of ours"):
            action()
    assert fresh.scan("objects/ab") == []
    assert not fresh.remove("objects/ab/file")
    assert (tmp_path / "outside" / "file").read_text() == "precious"


def descriptor_of(directory):
    """Under which number it is held open."""
    open_files = [(int(name), f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    (number,) = [number for number, link in open_files if os.path.realpath(link) == os.path.realpath(directory.path)]
    return number


def test_a_descriptor_that_others_close_or_take_is_noticed(directory, tmp_path):
    """Who makes a daemon closes every descriptor; the number then goes to the next file that is opened."""
    for taken in (False, True):
        assert directory.read("objects/ab/file", 100) == b"data"
        number = descriptor_of(directory)
        os.close(number)
        (tmp_path / f"other-{taken}").mkdir()
        other = os.open(tmp_path / f"other-{taken}", os.O_RDONLY | os.O_DIRECTORY) if taken else None
        assert other in {None, number}
        assert directory.read("objects/ab/file", 100) == b"data"
        directory.write("objects/ab/file", b"data", durable=False)
        assert os.listdir(tmp_path / f"other-{taken}") == []
        if other is not None:
            os.fstat(other)  # still open: it was not ours to close
            os.close(other)


def test_no_descriptor_outlives_its_directory(directory):
    del directory
    gc.collect()
    before = open_descriptors()
    for _ in range(3):
        other = Directory("/")
        assert other.exists() or os.geteuid() != 0
        del other
    gc.collect()
    assert open_descriptors() == before


@pytest.mark.parametrize("kind", ["file", "fifo", "dangling link"])
def test_what_is_no_directory_is_refused_or_an_error(tmp_path, kind):
    path = tmp_path / "cache"
    if kind == "file":
        path.write_text("")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    directory = Directory(str(path))
    with pytest.raises(OSError, match=r"is not a directory|File exists|No such file"):
        directory.write("file", b"data", durable=False)
    assert not directory.exists()


def test_the_end_of_the_interpreter_says_nothing(tmp_path):
    """Modules may be taken apart before the last directory is let go."""
    code = f"""
import os
from jitload.files import held
os.mkdir({str(tmp_path / "private")!r}, 0o700)
one = held.Held({str(tmp_path / "private")!r}, read_only=False)
held.os = held.errno = held.suppress = None
del one
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
