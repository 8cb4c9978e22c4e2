"""The deploy side for real: a second environment without NVRTC, and a wheel that brings its bundle along."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import pathlib
import subprocess
import sys
import zipfile

import pytest

from .conftest import SAXPY

ROOT = pathlib.Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "air_gapped" / "air_gapped.py"


def test_the_example_plays_both_sides(tmp_path):
    done = subprocess.run([sys.executable, "-W", "error", EXAMPLE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("NVRTC: None", "0 compiled, served by bundle", "covered (1 request)", "1 of 1 missing", "altered"):
        assert text in done.stdout, done.stdout


@pytest.fixture(scope="module")
def deploy_python(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("air_gapped", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example.make_environment(tmp_path_factory.mktemp("deploy") / "env")


def build_wheel(path, bundle):
    """ops-1.0-py3-none-any.whl: one module, one bundle, one entry point."""
    module = f"""
import numpy as np
import jitload

@jitload.jit_kernel(source={SAXPY!r}, headers={{"scale.h": "#define SCALE 1.0f"}})
def saxpy(a, x, y, n): ...

def main():
    x, y = np.arange(8, dtype=np.float32), np.ones(8, np.float32)
    saxpy[1, 32](2.0, x, y, 8)
    assert np.array_equal(y, 2 * x + 1)
    print(jitload.stats().compiles, jitload.stats().hits["bundle"])
"""
    files = {
        "ops/__init__.py": module.encode(),
        "ops/ops.jlb": b"" if bundle is None else bundle.read_bytes(),
        "ops-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: ops\nVersion: 1.0\n",
        "ops-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "ops-1.0.dist-info/entry_points.txt": b"[jitload.bundles]\nops = ops:ops.jlb\n",
    }
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for name, data in files.items()
    ]
    files["ops-1.0.dist-info/RECORD"] = "\n".join([*rows, "ops-1.0.dist-info/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_wheel_brings_its_bundle(tmp_path, deploy_python):
    """Recorded and built here, installed by pip into an environment without NVRTC, and run there."""
    from jitload.config import child_environment

    wheel = "ops-1.0-py3-none-any.whl"
    (tmp_path / "source").mkdir()
    # What is recorded is the package itself, before it has a bundle.
    with zipfile.ZipFile(build_wheel(tmp_path / wheel, None)) as archive:
        archive.extract("ops/__init__.py", tmp_path / "source")
    jitload = [sys.executable, "-m", "jitload"]
    env = child_environment(PYTHONPATH=str(tmp_path / "source"), JITLOAD_DEVICE="cpu")
    run = [sys.executable, "-c", "import ops; ops.main()"]
    for command in (
        [*jitload, "record", "-o", "ops.jlw", "--", *run],
        [*jitload, "bundle", "create", "ops.jlw", "-o", "ops.jlb"],
    ):
        subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    build_wheel(tmp_path / wheel, tmp_path / "ops.jlb")
    pip = [sys.executable, "-m", "pip", "--python", deploy_python, "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*pip, tmp_path / wheel], check=True, capture_output=True)
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "nowhere"), "JITLOAD_DEVICE": "cpu"}
    done = subprocess.run([deploy_python, *run[1:]], env=bare, cwd="/", capture_output=True, text=True)
    assert done.stdout.split() == ["0", "1"], done.stderr
