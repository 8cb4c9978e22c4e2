"""The digest of what makes machine code: of its bytes, and kept for as long as the files stay what they are."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

import jitload
from jitload.cpu.native import sources
from jitload.tiers.cache import default_cache

pytestmark = pytest.mark.usefixtures("cache_of_its_own")
digest = sources.digest_of_sources.__wrapped__


@pytest.fixture
def cache_of_its_own(tmp_path):
    with jitload.Session(cache_dir=tmp_path / "own"):
        yield


@pytest.fixture
def package(tmp_path):
    """Sources that were written a while ago."""
    made = tmp_path / "package"
    for place in ("cpu/native", "images/ptx"):
        (made / place).mkdir(parents=True)
        (made / place / "one.py").write_text("one = 1\n")
        os.utime(made / place / "one.py", ns=(10**18, 10**18))
    return made


@pytest.fixture
def later(monkeypatch):
    """Look a minute later: what was written just now is old by then."""
    now = sources.time.time_ns
    monkeypatch.setattr(sources.time, "time_ns", lambda: now() + 60_000_000_000)


def set_back(file: pathlib.Path, times: os.stat_result) -> None:
    """Give a file its time again; when that was done tells it, once the clock of the file system has gone on."""
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    while file.stat().st_ctime_ns == times.st_ctime_ns:
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def kept() -> int:
    return sum(one.name == sources.NAMESPACE for one in default_cache().entries())


@pytest.mark.parametrize(
    "changed", ["cpu/native/values.py", "cpu/code/liveness.py", "cpu/types.py", "images/ptx/entries.py"]
)
def test_what_another_version_of_any_maker_made_is_not_taken(tmp_path, changed):
    """In a checkout the number of the version stays the same from one change to the next."""
    package = pathlib.Path(jitload.__file__).parent
    for place in ("cpu", "images"):
        shutil.copytree(package / place, tmp_path / place, ignore=shutil.ignore_patterns("__pycache__"))
    before = sources.digest_of_sources(tmp_path)
    assert before == sources.digest_of_sources(package)
    (tmp_path / changed).write_text((tmp_path / changed).read_text() + "\n")
    assert sources.digest_of_sources.__wrapped__(tmp_path) != before


@pytest.mark.usefixtures("later")
def test_what_is_kept_is_taken_and_no_source_is_read(package, monkeypatch):
    before = digest(package)
    assert kept() == 1
    monkeypatch.setattr(pathlib.Path, "read_bytes", None)
    assert digest(package) == before


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("change", ["same size", "same time", "replaced", "added", "gone"])
def test_a_change_is_seen(package, change):
    """Also one of the same size, with its time set back, or by a file that takes the place of another."""
    before, file = digest(package), package / "cpu/native/one.py"
    if change == "added":
        (package / "images/ptx/two.py").write_text("")
        (package / "images/ptx/two.py").write_text("two = 2\n")
    elif change == "gone":
        file.unlink()
    elif change == "replaced":
        (package / "new").write_text("one = 3\n")
        shutil.copystat(file, package / "new")
        (package / "new").rename(file)
    else:
        times = file.stat()
        file.write_text("one = 2\n")
        if change == "same time":
            set_back(file, times)
    assert digest(package) != before


def test_what_has_just_been_written_is_not_kept(package):
    """The next change may get the same time."""
    digest(package)
    assert kept() == 0


def test_nothing_is_kept_of_no_sources(tmp_path):
    assert digest(tmp_path) == sources.sha256_parts([])
    assert kept() == 0
