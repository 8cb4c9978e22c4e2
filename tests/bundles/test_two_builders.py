"""One bundle, built by two users who share nothing but the sources and the compiler: the same bytes."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

import jitload

PACKAGE = pathlib.Path(jitload.__file__).parent
#: The uid of "nobody", by custom.
NOBODY = 65534
STARTS_ANOTHER = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import numpy, jitload.cli'], check=True)"
)

APP = """
import os, sys
import numpy as np, jitload

HERE = os.path.dirname(os.path.abspath(__file__))

@jitload.jit_kernel(file="kernels/scale.cu", options=["-lineinfo"], include_dirs=["include"], defines={"N": 3, "A": 2})
def scale(x, n): ...

@jitload.jit_kernel(file="kernels/fill.cu", entry="fill<{T}>", headers={"given.h": "#define GIVEN 7"})
def fill(x, n, *, T="float"): ...

x = np.ones(64, np.float32)
kernels = [scale, fill, fill.specialize(T="int")]
for kernel in kernels if sys.argv[1] == "forth" else reversed(kernels):
    kernel.artifact()
scale[2, 32](x, 64)
assert (x == 6).all()
print(os.getuid())
"""
SOURCES = {
    "app.py": APP,
    "kernels/scale.cu": '#include "deep/near.h"\n#include <far.h>\n#include <cuda_fp16.h>\n'
    'extern "C" __global__ void scale(float *x, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x;\n'
    "    if (i < n) x[i] *= N * A; }\n",
    "kernels/deep/near.h": '#pragma once\n#include "../../include/far.h"\n__device__ const char *file = __FILE__;\n',
    "include/far.h": "#pragma once\n__device__ inline float far_away(float x) { return x + 1; }\n",
    "kernels/fill.cu": "#include <given.h>\n"
    "template <class T> __global__ void fill(T *x, int n) { if (threadIdx.x < n) x[threadIdx.x] = GIVEN; }\n",
}


@pytest.fixture
def directory():
    """One that other users can pass through, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="jitload-builders-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def another_user() -> tuple[int, list[str]]:
    """A uid and what to put before a command to run it as that user; where that cannot be, this user and nothing.

    The interpreter may lie where only root can read: then the other user keeps the right to read, and no more.
    """
    setpriv = shutil.which("setpriv")
    if os.getuid() == 0 and setpriv is not None:
        change = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        for capability in ("", "dac_read_search", "dac_override"):
            caps = [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"] if capability else []
            probe = [*change, *caps, sys.executable, "-c", STARTS_ANOTHER]
            if (
                subprocess.run(probe, capture_output=True, cwd="/", env={"PYTHONPATH": str(PACKAGE.parent)}).returncode
                == 0
            ):
                return NOBODY, [*change, *caps]
    return os.getuid(), []


def build(place: pathlib.Path, uid: int, prefix: list[str], order: str, umask: int, **environment: str):
    """Record, compile and bundle in a checkout of its own; the bytes of the workload and of the bundle."""
    checkout = place / "some" / order / "checkout"
    shutil.copytree(PACKAGE, checkout / "jitload", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in SOURCES.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
    out = place / "out" / order
    for path in (place / "home", place / "tmp", out):
        path.mkdir(parents=True)
    for path in (place, *place.rglob("*")):
        os.chown(path, uid, uid if uid == NOBODY else -1)
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1",
        "JITLOAD_DEVICE": "cpu", "HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), **environment,
    }  # fmt: skip

    def run(*arguments):
        command = [*prefix, sys.executable, *arguments]
        done = subprocess.run(command, cwd=out, env=env, umask=umask, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    app = os.path.relpath(checkout / "app.py", out) if order == "back" else str(checkout / "app.py")
    shown = run("-m", "jitload", "record", "-o", "app.jlw", "--", sys.executable, app, order)
    assert shown == f"{uid}\n"
    archs = ("--arch", "sm_80,sm_90a,compute_75") if order == "forth" else ("-a", "sm_80", "-a", "90a", "-a", "ptx:75")
    run("-m", "jitload", "bundle", "create", "app.jlw", "-o", "k.jlb", *archs, "--kind", "cubin,ptx,fatbin",
        "--builder", "ci", "--with-workload")  # fmt: skip
    assert {path.stat().st_uid for path in out.iterdir()} == {uid}
    assert list((place / "tmp").iterdir()) == []
    return (out / "app.jlw").read_bytes(), (out / "k.jlb").read_bytes()


def test_two_users_build_the_same_bytes(directory):
    """Other uid, home, directories, checkout, order, umask, hash seed, locale and clock; with line information."""
    uid, prefix = another_user()
    first = build(
        directory / "alice", os.getuid(), [], "forth", 0o022,
        USER="alice", LOGNAME="alice", PYTHONHASHSEED="1", LC_ALL="C", TZ="UTC",
    )  # fmt: skip
    second = build(
        directory / "b ö" / "bob", uid, prefix, "back", 0o077,
        USER="bob", LOGNAME="bob", PYTHONHASHSEED="77", LC_ALL="C.UTF-8", TZ="Asia/Tokyo", JITLOAD_LOG="debug",
    )  # fmt: skip
    assert first[0] == second[0]
    assert first[1] == second[1]
    bundle = jitload.Bundle.from_bytes(first[1], trust="unsigned")
    assert bundle.verify() == 3 * 4  # three programs: two cubins, one PTX, one fatbin
    for word in (b"alice", b"checkout", str(directory).encode(), PACKAGE.as_posix().encode()):
        assert word not in first[1]
