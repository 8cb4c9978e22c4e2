"""The native code of launches for this checkout: built in it, or taken from a jitload that is installed beside it."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from gpu.machine import ROOT

_PLACE = Path("jitload", "launch")


def sources_digest() -> bytes:
    """What a build of this checkout's sources carries in itself (setup.py, SOURCES_DIGEST)."""
    sources = sorted((ROOT / _PLACE).glob("**/*.[ch]"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest().encode()


def adopt() -> str:
    """Copy an installed build of the same sources into the checkout if it has none; says what was found."""
    here = ROOT / _PLACE
    digest = sources_digest()
    built = list(here.glob("_native.*so"))
    if built:
        fresh = any(digest in path.read_bytes() for path in built)
        return f"built in the checkout{'' if fresh else ', from other sources than these'}"
    for entry in dict.fromkeys(filter(None, sys.path)):
        for path in sorted(Path(entry, _PLACE).glob("_native.*so")):
            if digest in path.read_bytes():
                shutil.copy2(path, here / path.name)
                return f"taken from {path}"
    return "not built, and no installed jitload has it from the same sources: launches are pure Python"


if __name__ == "__main__":
    print(adopt())
