"""nvdisasm, the disassembler of CUDA: found, never demanded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from jitload.compiler.toolkit import cuda_homes
from jitload.errors import LoadError

MISSING = (
    "nvdisasm is not installed: pip install nvidia-cuda-nvdisasm, or have the bin directory of a CUDA toolkit on PATH "
    "or CUDA_HOME set"
)
_SECONDS = 120.0


def find_nvdisasm() -> str | None:
    """The path of nvdisasm: on PATH, in a toolkit, or in a package; or None."""
    found = shutil.which("nvdisasm")
    if found is not None:
        return found
    places = [Path(home, "bin", "nvdisasm") for home in cuda_homes()]
    places += [path for site in sys.path if site for path in sorted(Path(site).glob("nvidia/*/bin/nvdisasm"))]
    return next((str(path) for path in places if path.is_file() and os.access(path, os.X_OK)), None)


def disassemble(cubin: bytes) -> str:
    """The machine code of a cubin as text (SASS).

    Raises:
        LoadError: there is no nvdisasm, or it refuses the image.
    """
    tool = find_nvdisasm()
    if tool is None:
        raise LoadError(MISSING, kind="cubin")
    with tempfile.NamedTemporaryFile(prefix="jitload-", suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        try:
            done = subprocess.run(  # noqa: S603 - the tool that was found, on a file of ours
                [tool, "--print-code", file.name], capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LoadError(f"{tool} cannot be run: {error}", kind="cubin") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise LoadError(f"{tool} refuses the cubin (exit code {done.returncode}): {said}", kind="cubin", log=said)
    return done.stdout.decode(errors="replace")
