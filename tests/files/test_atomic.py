"""The one writer: whole or not at all, never through what somebody put in the way, and errors by the user's name."""

from __future__ import annotations

import errno
import os
import stat
import threading

import pytest

from jitload.files import atomic
from jitload.files.atomic import replace_file, write_file


@pytest.fixture
def umask():
    """`umask(0o002)`: for this test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_what_is_written_is_there_and_nothing_else(tmp_path):
    for data in (b"one", b"", b"x" * 100_000):
        write_file(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_of_the_users_has_the_rights_that_their_umask_gives(tmp_path, umask, mask, mode):
    umask(mask)
    write_file(tmp_path / "file", b"data")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_private_file_is_private_under_any_umask(tmp_path, umask):
    umask(0)
    write_file(tmp_path / "file", b"data", mode=0o600)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to("precious")
    write_file(tmp_path / "link", b"data")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("plant", ["file", "link"])
def test_what_lies_at_the_temporary_name_is_neither_used_nor_removed(tmp_path, monkeypatch, plant):
    monkeypatch.setattr(atomic, "unguessable", lambda: "guessed")
    planted = tmp_path / ".jitload-guessed.tmp"
    (tmp_path / "precious").write_text("precious")
    if plant == "link":
        planted.symlink_to("precious")
    else:
        planted.write_text("precious")
    with pytest.raises(FileExistsError) as caught:
        write_file(tmp_path / "file", b"data")
    assert caught.value.filename == str(tmp_path / "file")
    assert planted.read_text() == (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "file").exists()


def test_a_name_as_long_as_names_get_can_be_written(tmp_path):
    name = "n" * os.pathconf(tmp_path, "PC_NAME_MAX")
    write_file(tmp_path / name, b"data")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_fault_leaves_the_old_file_and_nothing_else_and_names_the_file(tmp_path, monkeypatch, call, number):
    (tmp_path / "file").write_text("old")

    def fail(*_, **__):
        raise OSError(number, os.strerror(number), "temporary", None, "target")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        write_file(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "file"), None)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_file_system_that_cannot_sync_directories_is_as_good_as_it_gets(tmp_path, monkeypatch):
    right = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not here")
        right(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"


def test_a_pipe_gets_the_bytes_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_file(tmp_path / "pipe", b"data" * 50_000)
    reader.join(20)
    assert got == [b"data" * 50_000]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_directory_is_an_error_and_stays(tmp_path):
    with pytest.raises(IsADirectoryError) as caught:
        write_file(tmp_path, b"data")
    assert caught.value.filename == str(tmp_path)


def test_a_missing_directory_is_an_error_by_the_name_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_file(tmp_path / "missing" / "file", b"data")
    assert caught.value.filename == str(tmp_path / "missing" / "file")


def test_names_below_an_open_directory_stay_there_when_it_is_renamed(tmp_path):
    (tmp_path / "one").mkdir()
    root = os.open(tmp_path / "one", os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "one").rename(tmp_path / "two")
    replace_file("file", b"data", temporary="temporary", root=root)
    os.close(root)
    assert os.listdir(tmp_path / "two") == ["file"]
    assert stat.S_IMODE((tmp_path / "two" / "file").stat().st_mode) == 0o600
