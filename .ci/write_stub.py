"""Write jitload/__init__.pyi, what editors and type checkers read, from the table of public names."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STUB = ROOT / "jitload" / "__init__.pyi"


def stub() -> str:
    """The text of the stub."""
    sys.path.insert(0, str(ROOT))
    import jitload

    homes = sorted((home, sorted(names)) for home, names in (*jitload._PUBLIC.items(), *_doors(jitload._DOORS)))
    imports = [f"from jitload.{home} import {name} as {name}" for home, names in homes for name in names]
    public = [f"    {name!r},".replace("'", '"') for name in jitload.__all__]
    return "\n".join([*imports, "", "__version__: str", "__all__ = [", *public, "]", ""])


def _doors(doors: dict[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    return [(home, (name,)) for name, home in doors.items()]


if __name__ == "__main__":
    STUB.write_text(stub())
