"""The digest that Triton makes of itself is remembered by the stamps of what it is made of."""

import os
import pathlib

import pytest

from jitload.files.directory import Directory
from jitload.interop.triton_key import remembered

FILES = [
    "__init__.py",
    "runtime/cache.py",
    "_C/libtriton.so",
    "compiler/__init__.py",
    "compiler/compiler.py",
    "backends/__init__.py",
    "backends/nvidia/__init__.py",
    "backends/nvidia/driver.py",
    "language/core.py",
]


@pytest.fixture
def root(tmp_path):
    """As a Triton is laid out."""
    for name in FILES:
        path = tmp_path / "triton" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "triton"


@pytest.fixture
def ask(root, tmp_path):
    """`ask()`: the key in a new process, and whether Triton had to make it."""

    def asked(directory=tmp_path / "cache", **rules):
        made = []

        def make():
            made.append(True)
            return "key of " + (root / "_C/libtriton.so").read_text()

        keep = None if directory is None else Directory(str(directory), **rules)
        triton_key = remembered(str(root), make, keep)
        assert triton_key() == triton_key()
        return triton_key(), len(made)

    return asked


def test_it_is_made_once(ask):
    assert ask() == ("key of _C/libtriton.so", 1)
    assert ask() == ("key of _C/libtriton.so", 0)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_another_triton(ask, root, name):
    ask()
    (root / name).write_text("another")
    assert ask() == ("key of " + (root / "_C/libtriton.so").read_text(), 1)


def test_a_file_of_the_same_size_and_time_is_another_triton_as_well(ask, root):
    ask()
    path = root / "_C/libtriton.so"
    before = path.stat()
    path.write_text("_C/libTRITON.so")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ask() == ("key of _C/libTRITON.so", 1)


@pytest.mark.parametrize("name", ["compiler/more.py", "backends/amd/__init__.py"])
def test_a_file_more_is_another_triton(ask, root, name):
    ask()
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).touch()
    assert ask()[1] == 1


def test_a_memo_that_was_altered_is_none(ask, tmp_path):
    ask()
    memo = tmp_path / "cache" / "triton-key.json"
    whole = memo.read_bytes()
    for at in range(0, len(whole), 7):
        memo.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert ask() == ("key of _C/libtriton.so", 1)
    for other in (b"", b"[]", b"5", b"{}", b'{"key":5}', b"[" * 100000):
        memo.write_bytes(other)
        assert ask() == ("key of _C/libtriton.so", 1)


def test_where_nothing_can_be_kept_it_is_made_each_time(ask, tmp_path):
    for _ in range(2):
        assert ask(None)[1] == 1
        assert ask(tmp_path / "mounted", read_only=True)[1] == 1
    assert not (tmp_path / "mounted").exists()


def test_another_layout_is_left_to_triton(ask, root):
    pathlib.Path(root / "runtime/cache.py").unlink()
    assert ask()[1] == ask()[1] == 1
