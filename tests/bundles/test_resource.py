"""Files of installed packages are found as the import system finds the packages, and nothing of these is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import pytest

import jitload
from jitload.bundles.installed import open_installed
from jitload.bundles.resource import open_resource
from jitload.errors import BundleError

RUNS = "raise SystemExit('this package was imported')\n"


def write(base, **files):
    for name, text in files.items():
        path = base / name.replace("__slash__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tree(base, paths):
    for path in paths:
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_text(RUNS if path.endswith(".py") else f"text of {path}")
    return base


@pytest.mark.parametrize(
    ("package", "paths"),
    [
        ("ops", ["ops/__init__.py", "ops/k.jlb"]),
        ("ops.kernels", ["ops/__init__.py", "ops/kernels/__init__.py", "ops/kernels/k.jlb"]),
        ("ops.kernels", ["ops/__init__.py", "ops/kernels/k.jlb"]),
        ("ops", ["ops/k.jlb"]),
        ("ops.a.b", ["ops/a/b/k.jlb"]),
    ],
    ids=["package", "sub-package", "namespace-in-package", "namespace", "namespaces"],
)
def test_a_file_is_found_and_its_package_is_not_run(tmp_path, monkeypatch, package, paths):
    monkeypatch.syspath_prepend(tree(tmp_path, paths))
    source = open_resource(package, "k.jlb", "a name")
    assert source.read(0, source.size) == f"text of {paths[-1]}".encode()
    assert source.name == "a name"
    assert package.split(".")[0] not in sys.modules


@pytest.mark.parametrize("package", ["ops", "ops.kernels"])
def test_from_a_zip_file(tmp_path, monkeypatch, package):
    place = package.replace(".", "/")
    paths = ["ops/__init__.py", f"{place}/__init__.py", f"{place}/k.jlb"]
    tree(tmp_path / "site", paths)
    with zipfile.ZipFile(tmp_path / "site.zip", "w") as archive:
        for path in dict.fromkeys(paths):
            archive.write(tmp_path / "site" / path, path)
    monkeypatch.syspath_prepend(tmp_path / "site.zip")
    source = open_resource(package, "k.jlb", "a name")
    assert source.read(0, source.size) == f"text of {place}/k.jlb".encode()
    assert open_resource(package, "other.jlb", "a name") is None


def test_what_an_imported_package_added_to_its_path_counts(tmp_path, monkeypatch):
    write(tmp_path / "site", ops__slash__x="", ops__slash__k="")
    (tmp_path / "site/ops/__init__.py").write_text(f"__path__.append({str(tmp_path / 'more')!r})\n")
    tree(tmp_path / "more", ["k.jlb", "sub/k.jlb"])
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert open_resource("ops", "k.jlb", "") is None
    __import__("ops")
    try:
        assert open_resource("ops", "k.jlb", "").size
        assert open_resource("ops.sub", "k.jlb", "").size
    finally:
        del sys.modules["ops"]


def test_a_finder_of_an_editable_install_is_asked(tmp_path, monkeypatch):
    from importlib.machinery import PathFinder

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return PathFinder.find_spec(name, [str(tmp_path)]) if name == "ops" else None

    tree(tmp_path, ["ops/__init__.py", "ops/k.jlb"])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert open_resource("ops", "k.jlb", "").size


@pytest.mark.parametrize("package", ["absent", "ops.absent", "absent.ops", "module", "json.decoder"])
def test_what_is_no_package_is_named(tmp_path, monkeypatch, package):
    monkeypatch.syspath_prepend(tree(tmp_path, ["ops/__init__.py", "module.py"]))
    with pytest.raises(BundleError, match="there is no package"):
        open_resource(package, "k.jlb", "")


@pytest.mark.parametrize(
    "value", ["ops", "ops:", "ops:a/b.jlb", "ops:../b.jlb", "../ops:b.jlb", ":b.jlb", "a..b:c.jlb"]
)
def test_an_entry_point_that_names_nothing_is_refused_with_its_name(tmp_path, monkeypatch, value):
    tree(tmp_path, ["ops/__init__.py"])
    (tmp_path / "ops-1.dist-info").mkdir()
    (tmp_path / "ops-1.dist-info/entry_points.txt").write_text(f"[jitload.bundles]\nmine = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BundleError, match="entry point 'mine'"):
        open_installed(())


def test_a_bundle_that_is_not_built_yet_hinders_nobody(unsigned, built, tmp_path, monkeypatch, caplog):
    """It takes the package to build it, and who does so may have installed that with `pip install -e`."""
    tree(tmp_path, ["ops/__init__.py"])
    for name, file in (("early", "absent.jlb"), ("mine", "k.jlb")):
        (tmp_path / f"{name}-1.dist-info").mkdir()
        (tmp_path / f"{name}-1.dist-info/entry_points.txt").write_text(f"[jitload.bundles]\n{name} = ops:{file}\n")
    (tmp_path / "ops/k.jlb").write_bytes(unsigned.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    assert [bundle.path for bundle in open_installed(())] == ["ops:k.jlb (installed)"]
    (said,) = caplog.messages
    assert said.startswith("the package ops has no file absent.jlb, the bundle that its entry point 'early'")


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_what_lies_in_the_place_of_a_bundle_and_is_no_file_is_not_taken_for_absent(kind, tmp_path, monkeypatch):
    tree(tmp_path, ["ops/__init__.py"])
    place = tmp_path / "ops/k.jlb"
    if kind == "link":
        place.symlink_to("nowhere.jlb")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BundleError, match=r"k\.jlb"):
        open_resource("ops", "k.jlb", "")


@pytest.mark.parametrize("damage", ["its data", "its header", "its end"])
def test_a_bundle_in_a_damaged_zip_file_is_not_taken_for_absent(damage, tmp_path, monkeypatch):
    path = tmp_path / "ops.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ops/__init__.py", "")
        file.writestr("ops/k.jlb", os.urandom(1000))
    monkeypatch.syspath_prepend(path)
    assert open_resource("ops", "absent.jlb", "") is None
    data = bytearray(path.read_bytes())
    start = data.find(b"ops/k.jlb")
    if damage == "its data":
        data[start + 9 : start + 15] = b"\xff" * 6
    elif damage == "its header":
        data[start - 30 : start - 26] = b"none"
    path.write_bytes(data[: start + 100] if damage == "its end" else data)
    with pytest.raises(BundleError, match=r"ops\.zip/ops/k\.jlb: cannot read the bundle"):
        open_resource("ops", "k.jlb", "")


def test_a_look_up_does_not_import_the_package(unsigned, built, tmp_path):
    """In a process of its own, in whose working directory the package lies."""
    tree(tmp_path, ["ops/__init__.py"])
    (tmp_path / "ops/k.jlb").write_bytes(unsigned.read_bytes())
    (tmp_path / "ops-1.dist-info").mkdir()
    (tmp_path / "ops-1.dist-info/entry_points.txt").write_text("[jitload.bundles]\nmine = ops:k.jlb\n")
    code = f"""
import sys, json, pathlib, jitload
jitload.compile(pathlib.Path({str(built[0])!r}), kind="cubin", arch="sm_80")
print(json.dumps([jitload.stats().hits["bundle"], "ops" in sys.modules]))
"""
    env = {**os.environ, "JITLOAD_COMPILE": "never", "PYTHONPATH": os.path.dirname(os.path.dirname(jitload.__file__))}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert json.loads(done.stdout or "null") == [1, False], done.stderr
