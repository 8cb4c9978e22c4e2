"""Several images in one, by nvFatbin."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

import pytest

import jitload
from jitload.compiler.fatbin import pack_fatbin
from jitload.images.check import sniff_kind


def image(arch):
    source = 'extern "C" __global__ void k(int *out) { *out = 1; }'
    return jitload.compile(source, kind="cubin" if arch.startswith("sm_") else "ptx", arch=arch).data


@pytest.mark.parametrize(
    "archs", [["sm_80"], ["sm_80", "sm_90a"], ["sm_80", "compute_90"], ["compute_80"], ["sm_100f"]], ids=str
)
def test_fatbins(archs, needs_nvrtc):
    if archs == ["sm_100f"]:
        needs_nvrtc("12.9")
    members = [(arch, image(arch)) for arch in archs]
    assert sniff_kind(pack_fatbin(members)) == "fatbin"


def test_a_fatbin_of_nonsense_is_a_compile_error():
    with pytest.raises(jitload.CompileError, match="nvFatbin could not pack sm_80"):
        pack_fatbin([("sm_80", b"this is no cubin")])


#: Runs with every installed package but NVIDIA's libraries; the arguments are that site directory and the sources.
WITHOUT_LIBRARIES = """
import site, sys
sys.path[:] = [path for path in sys.path if "-packages" not in path] + sys.argv[1:]
site.getsitepackages = lambda: sys.argv[1:2]
from jitload import CompileError
from jitload.compiler.fatbin import pack_fatbin
try:
    pack_fatbin([("sm_80", b"")])
except CompileError as error:
    print(error)
"""


def test_without_nvfatbin_the_error_says_what_to_install(tmp_path, monkeypatch):
    for directory in site.getsitepackages():
        for package in Path(directory).iterdir():
            if not package.name.startswith("nvidia") and not (tmp_path / package.name).exists():
                (tmp_path / package.name).symlink_to(package)
    for name in ("CUDA_HOME", "CUDA_PATH", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    source = Path(jitload.__file__).parents[1]
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBRARIES, tmp_path, source], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith(
        "nvFatbin is not installed, so no fatbin can be made here: pip install 'jitload[cu12]'"
    )
