"""Whom a directory can be taken from: its rights, its owner, and the directories that it is in."""

from __future__ import annotations

import os

import pytest

from jitload.files import ownership
from jitload.files.directory import Directory
from jitload.files.ownership import Refused, check_parents

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


@pytest.fixture
def parent(tmp_path):
    """A directory with a private one in it."""
    (tmp_path / "parent").mkdir(mode=0o755)
    (tmp_path / "parent" / "cache").mkdir(mode=0o700)
    return tmp_path / "parent"


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o772])
def test_a_parent_that_others_may_write_is_refused_with_the_reason(parent, mode):
    parent.chmod(mode)
    directory = Directory(str(parent / "cache"))
    with pytest.raises(Refused, match=rf"{parent} can be written by other users \(mode {mode:04o}, no sticky bit\)"):
        directory.check()
    assert not directory.is_private()
    with pytest.raises(Refused, match=f"chmod go-w {parent}, or set JITLOAD_CACHE_DIR"):
        directory.write("file", b"data", durable=False)
    assert os.listdir(parent / "cache") == []


def test_a_parent_is_looked_at_before_anything_is_made_in_it(parent):
    parent.chmod(0o777)
    with pytest.raises(Refused):
        Directory(str(parent / "other")).write("file", b"data", durable=False)
    assert os.listdir(parent) == ["cache"]


@pytest.mark.parametrize("mode", [0o1777, 0o755, 0o750, 0o711])
def test_a_parent_where_names_are_safe_is_fine(parent, mode):
    parent.chmod(mode)
    Directory(str(parent / "cache")).check()


def test_a_directory_further_up_counts_too(parent):
    (parent / "cache" / "deep").mkdir(mode=0o700)
    parent.chmod(0o777)
    with pytest.raises(Refused, match=str(parent)):
        check_parents(str(parent / "cache" / "deep"))


@pytest.mark.parametrize("which", ["where the link is", "where it leads", "where a link of it leads"])
def test_the_directories_of_a_link_count_as_well(tmp_path, which):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "c" / "cache").mkdir(mode=0o700)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b" / "link")
    (tmp_path / "b" / "link").symlink_to("../c/cache")
    check_parents(str(tmp_path / "a" / "link"))
    open_one = {"where the link is": "a", "where it leads": "c", "where a link of it leads": "b"}[which]
    (tmp_path / open_one).chmod(0o777)
    with pytest.raises(Refused, match="no sticky bit"):
        check_parents(str(tmp_path / "a" / "link"))


def test_links_in_a_circle_come_to_an_end(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    check_parents(str(tmp_path / "one" / "cache"))


def test_the_users_own_group_may_write_to_a_parent(parent):
    """Homes of mode 0775 are the rule where every user has a group of their own (umask 002)."""
    import grp
    import pwd

    account = pwd.getpwuid(os.geteuid())
    if grp.getgrgid(account.pw_gid).gr_name != account.pw_name:
        pytest.skip("this user has no group of their own")
    os.chown(parent, -1, account.pw_gid)
    parent.chmod(0o775)
    Directory(str(parent / "cache")).check()


@needs_root
def test_another_group_may_not(parent):
    os.chown(parent, -1, 12345)
    parent.chmod(0o775)
    with pytest.raises(Refused, match="mode 0775, no sticky bit"):
        Directory(str(parent / "cache")).check()


@pytest.mark.parametrize(
    ("name", "primary", "members", "own"),
    [
        ("alice", 500, [], True),
        ("alice", 500, ["alice"], True),
        ("alice", 500, ["alice", "bob"], False),
        ("users", 500, [], False),
        ("alice", 501, [], False),
    ],
)
def test_a_group_is_ones_own_when_nobody_else_is_in_it(monkeypatch, name, primary, members, own):
    import grp
    import pwd

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(("alice", "x", 1000, primary, "", "/", "/")))
    monkeypatch.setattr(grp, "getgrgid", lambda number: grp.struct_group((name, "x", number, members)))
    assert ownership.is_own_group(500) is own


def test_a_user_in_no_table_has_the_group_of_their_number(monkeypatch):
    import pwd

    def unknown(_):
        raise KeyError("no such user")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "getegid", lambda: 1234)
    assert ownership.is_own_group(1234)
    assert not ownership.is_own_group(100)
