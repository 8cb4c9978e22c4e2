"""Finding the compiler, and knowing exactly which it is, without loading it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import jitload
from jitload.compiler import toolkit
from jitload.compiler.toolkit import Nvrtc, find_nvrtc, nvrtc_version, toolchain, toolkit_roots
from jitload.digest import sha256_hex
from jitload.format.json import canonical_json
from jitload.values import Toolchain


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A small tree like that of the packages, first on the path, with nothing remembered about any other."""
    site = tmp_path / "site"
    for relative, text in {
        "nvidia/cuda_nvrtc/lib/libnvrtc.so.12": "the library",
        "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.9": "its headers",
        "nvidia/nvfatbin/lib/libnvfatbin.so.12": "the packer",
        "nvidia/cuda_runtime/include/cuda_fp16.h": "",
        "nvidia/cuda_cccl/include/cub/cub.cuh": "",
        "nvidia_cuda_nvrtc_cu12-12.9.41.dist-info/METADATA": "",
        "cuda/bindings/_version.py": "version = '12.9.1'\n",
    }.items():
        (site / relative).parent.mkdir(parents=True, exist_ok=True)
        (site / relative).write_text(text)
    monkeypatch.setattr(sys, "path", [str(site)])
    monkeypatch.setattr(toolkit, "mapped_nvrtc", lambda: None)
    monkeypatch.setattr(toolkit, "cuda_homes", list)
    with jitload.Session():
        yield site


def test_the_installed_one():
    """With its build number, from the package, whatever the machine has besides."""
    found = toolchain()
    assert found.name == "nvrtc"
    major = find_nvrtc().major
    assert found.version.split(".")[0] == str(major)
    assert len(found.version.split(".")) == 3
    if major == 12:
        import importlib.metadata

        assert found.version == ".".join(importlib.metadata.version("nvidia-cuda-nvrtc-cu12").split(".")[:3])
    assert len(found.digest) == 64


def test_no_library_is_loaded_to_know_it():
    script = "from jitload.compiler import toolkit; toolkit.toolchain(); toolkit.toolkit_roots(); print('nvrtc' in open('/proc/self/maps').read())"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_found_from_packages(installed):
    assert find_nvrtc() == Nvrtc(str(installed / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"), 12)
    assert [name for name, _ in toolkit_roots()] == ["toolkit/cuda", "toolkit/cccl"]
    assert toolchain().version == "12.9.41"


def test_found_from_an_installed_toolkit(installed, tmp_path, monkeypatch):
    shutil.rmtree(installed / "nvidia")
    home = tmp_path / "cuda"
    for relative in (
        "lib64/libnvrtc.so.12.4.127",
        "lib64/libnvrtc-builtins.so.12.4",
        "include/cuda_fp16.h",
        "include/cccl/cub/cub.cuh",
    ):
        (home / relative).parent.mkdir(parents=True, exist_ok=True)
        (home / relative).write_text("x")
    (home / "lib64/libnvrtc.so.12").symlink_to("libnvrtc.so.12.4.127")
    monkeypatch.setattr(toolkit, "cuda_homes", lambda: [str(home)])
    assert find_nvrtc().major == 12
    assert toolchain().version == "12.4.127"
    assert [path for _, path in toolkit_roots()] == [str(home / "include"), str(home / "include/cccl")]


def test_cuda_home_is_a_setting(monkeypatch):
    monkeypatch.setenv("CUDA_HOME", "/opt/mine")
    assert toolkit.cuda_homes()[0] == "/opt/mine"


def test_none_at_all(installed, tmp_path, monkeypatch):
    """Headers without a compiler, as of another installation, count for nothing: entries are then taken as recorded."""
    (tmp_path / "cuda/include").mkdir(parents=True)
    monkeypatch.setattr(toolkit, "cuda_homes", lambda: [str(tmp_path / "cuda")])
    shutil.rmtree(installed / "nvidia")
    assert find_nvrtc() is None
    assert toolchain() is None
    assert toolkit_roots() == ()


@pytest.mark.parametrize("changed", ["libnvrtc.so.12", "libnvrtc-builtins.so.12.9"])
def test_the_digest_changes_with_a_library(installed, changed):
    before = toolchain()
    (installed / "nvidia/cuda_nvrtc/lib" / changed).write_text("another")
    after = toolchain()
    assert after.digest != before.digest
    assert after.version == before.version


def test_the_digest_of_a_fatbin_has_the_packer_too(installed):
    plain, fatbin = toolchain(), toolchain(fatbin=True)
    assert plain.digest != fatbin.digest
    (installed / "nvidia/nvfatbin/lib/libnvfatbin.so.12").write_text("another packer")
    assert toolchain().digest == plain.digest
    assert toolchain(fatbin=True).digest != fatbin.digest


def test_the_digest_does_not_depend_on_where_it_lies(installed, tmp_path, monkeypatch):
    before = toolchain()
    shutil.copytree(installed, tmp_path / "other")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "other")])
    with jitload.Session():
        assert toolchain() == before


def test_two_libraries_that_swap_their_bytes_differ(installed):
    directory = installed / "nvidia/cuda_nvrtc/lib"
    before = toolchain()
    a, b = directory / "libnvrtc.so.12", directory / "libnvrtc-builtins.so.12.9"
    one, two = a.read_text(), b.read_text()
    a.write_text(two)
    b.write_text(one)
    assert toolchain().digest != before.digest


def test_the_digest_is_remembered_by_stamps(installed, tmp_path, monkeypatch):
    memo = tmp_path / "memo"
    memo.mkdir()
    first = toolchain(str(memo))
    monkeypatch.setattr(toolkit, "digest_files", lambda _files: pytest.fail("hashed again"))
    with jitload.Session():
        assert toolchain(str(memo)) == first


def test_a_touched_library_is_hashed_again(installed, tmp_path, monkeypatch):
    memo = tmp_path / "memo"
    memo.mkdir()
    first = toolchain(str(memo))
    os.utime(installed / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12", (5, 5))
    hashed = []
    real = toolkit.digest_files
    monkeypatch.setattr(toolkit, "digest_files", lambda files: hashed.append(files) or real(files))
    assert toolchain(str(memo)) == first
    assert len(hashed) == 1


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"[]", b"null", b"7", b'{"stamps": 1}', b"\xff", b'{"stamps": [], "toolchain": ["a"]}', b"[" * 70_000],
)
def test_a_damaged_memo_is_ignored_and_replaced(installed, tmp_path, monkeypatch, garbage):
    memo = tmp_path / "memo"
    memo.mkdir()
    first = toolchain(str(memo))
    (file,) = memo.glob("*.json")
    good = file.read_bytes()
    for bad in (garbage, json.dumps({**json.loads(good), "toolchain": [1, 2, 3]}).encode()):
        file.write_bytes(bad)
        with jitload.Session():
            assert toolchain(str(memo)) == first
        assert file.read_bytes() == good


@pytest.fixture
def noted(installed, tmp_path, monkeypatch):
    """The memo's file, with what it says; `again()` is what a new process would make of it."""
    memo = tmp_path / "memo"
    memo.mkdir()
    first = toolchain(str(memo))
    (file,) = memo.glob("*.json")

    def again():
        with jitload.Session():
            return toolchain(str(memo))

    again.first, again.file, again.good = first, file, file.read_bytes()
    return again


def test_a_memo_with_any_byte_changed_is_a_miss(noted):
    """None is believed, a digit that is another digit least of all; the sound one is then written again."""
    for place in range(len(noted.good)):
        for byte in {b"0", b"f", b"}", bytes([noted.good[place] ^ 1])} - {noted.good[place : place + 1]}:
            noted.file.write_bytes(noted.good[:place] + byte + noted.good[place + 1 :])
            noted.file.chmod(0o600)
            assert noted() == noted.first, (place, byte)
            assert noted.file.read_bytes() == noted.good


@pytest.mark.parametrize(
    ("name", "version", "digest"),
    [
        ("nvcc", "12.9.41", "ab" * 32),
        ("nvrtc", "12.9.41", "AB" * 32),
        ("nvrtc", "12.9.41", "ab" * 31),
        ("nvrtc", "12.9.41", "ab" * 32 + "\n"),
        ("nvrtc", "", "ab" * 32),
        ("nvrtc", "12.9.41 ", "ab" * 32),
        ("nvrtc", "../12", "ab" * 32),
        ("nvrtc", 12, "ab" * 32),
        ("nvrtc", None, None),
    ],
)
def test_a_memo_whose_digest_fits_must_make_sense_too(noted, name, version, digest):
    body = {"stamps": json.loads(noted.good)["stamps"], "toolchain": [name, version, digest]}
    forged = {**body, "digest": sha256_hex(canonical_json(body))}
    noted.file.write_bytes(canonical_json(forged))
    noted.file.chmod(0o600)
    assert noted() == noted.first


@pytest.mark.parametrize("plant", ["fifo", "link", "directory", "open to all"])
def test_what_lies_in_the_memos_place_is_not_read_and_harms_nothing(noted, tmp_path, plant):
    outside = tmp_path / "outside"
    outside.write_bytes(noted.good)
    noted.file.unlink()
    if plant == "fifo":
        os.mkfifo(noted.file)
    elif plant == "link":
        noted.file.symlink_to(outside)
    elif plant == "directory":
        (noted.file / "x").mkdir(parents=True)
    else:
        noted.file.write_bytes(noted.good)
        noted.file.chmod(0o666)
    hashed = []
    with pytest.MonkeyPatch.context() as patch:
        real = toolkit.digest_files
        patch.setattr(toolkit, "digest_files", lambda files: hashed.append(files) or real(files))
        assert noted() == noted.first
    assert len(hashed) == 1
    assert outside.read_bytes() == noted.good


def test_a_memo_is_private_and_leaves_no_other_file(noted):
    before = os.umask(0)
    try:
        noted.file.unlink()
        noted()
    finally:
        os.umask(before)
    assert stat.S_IMODE(noted.file.stat().st_mode) == 0o600
    assert os.listdir(noted.file.parent / "incoming") == []
    assert sorted(os.listdir(noted.file.parent)) == ["incoming", noted.file.name]


def test_a_memo_that_cannot_be_written_costs_nothing(installed, tmp_path):
    assert toolchain(str(tmp_path / "gone")).version == "12.9.41"


def test_the_version_of_another_package_is_not_taken(installed):
    (installed / "nvidia_cuda_nvrtc_cu11-11.8.89.dist-info").mkdir()
    (installed / "nvidia_cuda_nvrtc_sys-12.0.0.dist-info").mkdir()
    assert nvrtc_version(find_nvrtc()) == "12.9.41"


def test_a_version_without_a_package_is_that_of_the_file(tmp_path):
    library = tmp_path / "libnvrtc.so.13.0.48"
    library.write_text("")
    assert nvrtc_version(Nvrtc(str(library), 13)) == "13.0.48"
    (tmp_path / "libnvrtc.so.13").write_text("")
    assert nvrtc_version(Nvrtc(str(tmp_path / "libnvrtc.so.13"), 13)) == "13"


@pytest.mark.parametrize(
    "text",
    [
        "__version__ = version = '12.9.1'",
        '# 13.0\n\n__version__ = "12.0.3"\n',
        "version: str\nversion_tuple = (13, 0)\n__version_tuple__ = version_tuple = '13.0'\nversion = '12.9.1'\n",
    ],
)
def test_the_bindings_say_which_of_two_majors(installed, text):
    (installed / "cuda/bindings/_version.py").write_text(text)
    other = installed / "nvidia/cu13/lib/libnvrtc.so.13"
    other.parent.mkdir(parents=True)
    other.write_text("thirteen")
    assert find_nvrtc().major == 12


def test_an_installed_toolkit_completes_the_packages(installed, tmp_path, monkeypatch):
    """Component by component: what a package brings comes from it, everything else from the toolkit."""
    shutil.rmtree(installed / "nvidia/cuda_cccl")
    for relative in ("include/cuda_fp16.h", "include/cub/cub.cuh"):
        (tmp_path / "cuda" / relative).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cuda" / relative).write_text("")
    monkeypatch.setattr(toolkit, "cuda_homes", lambda: [str(tmp_path / "cuda")])
    assert toolkit_roots() == (
        ("toolkit/cuda", str(installed / "nvidia/cuda_runtime/include")),
        ("toolkit/cuda", str(tmp_path / "cuda/include")),
    )


def test_the_packer_of_a_fatbin_may_come_from_an_installed_toolkit(installed, tmp_path, monkeypatch):
    shutil.rmtree(installed / "nvidia/nvfatbin")
    assert toolchain(fatbin=True).digest == toolchain().digest, "there is none"
    packer = tmp_path / "cuda/lib64/libnvfatbin.so.12"
    packer.parent.mkdir(parents=True)
    packer.write_text("the toolkit's packer")
    monkeypatch.setattr(toolkit, "cuda_homes", lambda: [str(tmp_path / "cuda")])
    assert find_nvrtc().packer() == str(packer)
    assert toolchain(fatbin=True).digest != toolchain().digest


MAPPED = """
import ctypes, sys
ctypes.CDLL(sys.argv[1])
from jitload.compiler import toolkit
print(toolkit.find_nvrtc().library)
"""


@pytest.mark.parametrize("directory", ["plain", "with blanks in it"])
def test_one_that_the_process_has_loaded_already_is_the_one(tmp_path, directory):
    """Whatever loaded it first, it is what will compile."""
    place = tmp_path / directory
    place.mkdir()
    real = Path(find_nvrtc().library)
    copy = place / real.name
    os.link(real, copy) if os.stat(real).st_dev == os.stat(place).st_dev else shutil.copy(real, copy)
    ran = subprocess.run([sys.executable, "-c", MAPPED, str(copy)], capture_output=True, text=True, check=True)
    assert Path(ran.stdout.strip()) == copy


def test_one_of_another_major_that_the_process_has_loaded_is_not(tmp_path):
    """The bindings would not take it. (Any library serves: what counts is the name under which it is mapped.)"""
    import _ctypes

    other = tmp_path / f"libnvrtc.so.{find_nvrtc().major + 1}"
    shutil.copy(_ctypes.__file__, other)
    ran = subprocess.run([sys.executable, "-c", MAPPED, str(other)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == find_nvrtc().library


UNREADABLE = """
import os, sys
from jitload.compiler import toolkit
sys.path[:] = sys.argv[1:]
if os.getuid() == 0:
    os.seteuid(65534)
print(toolkit.find_nvrtc(), toolkit.toolkit_roots())
"""


def test_what_cannot_be_read_is_passed_over(installed):
    """A library and headers of another user, in the first place on the path."""
    with tempfile.TemporaryDirectory() as directory:  # the one of this test is closed to others
        os.chmod(directory, 0o755)
        closed, free = Path(directory, "closed"), Path(directory, "free")
        shutil.copytree(installed, closed)
        shutil.copytree(installed, free)
        os.chmod(closed / "nvidia/cuda_nvrtc/lib", 0)
        os.chmod(closed / "nvidia/cuda_runtime", 0)
        command = [sys.executable, "-c", UNREADABLE, str(closed), str(free)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        os.chmod(closed / "nvidia/cuda_nvrtc/lib", 0o700)
        os.chmod(closed / "nvidia/cuda_runtime", 0o700)
    assert str(free / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12") in ran.stdout
    assert str(free / "nvidia/cuda_runtime/include") in ran.stdout
    assert str(closed / "nvidia/cuda_runtime/include") not in ran.stdout


def test_a_toolchain_says_what_it_is():
    assert str(Toolchain("nvrtc", "12.9.86", "ab" * 32)) == "nvrtc 12.9.86 (abababababab)"
