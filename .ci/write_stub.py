"""Write what readers and type checkers have from tables of the sources: `python .ci/write_stub.py`.

jitload/__init__.pyi comes from the table of public names; jitload/settings/options.pyi, which is what `configure` and
`Session` take, and the tables of settings in the README and in docs/settings.md from the rows of
jitload/settings/option.py.
"""

from __future__ import annotations

import re
import sys
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.settings.option import Option

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
#: Where the code of pages stands for mypy, which reads it as strictly as a user may ask it to.
TYPED = ROOT / "tests" / "typed" / "pages"
STUB = ROOT / "jitload" / "__init__.pyi"
OPTIONS_STUB = ROOT / "jitload" / "settings" / "options.pyi"
#: The pages that have the table of settings.
PAGES = (ROOT / "README.md", ROOT / "docs" / "settings.md")
#: The pages besides the README, the how-tos and the reference whose blocks of Python are one program.
PROGRAMS = ("frameworks", "modules", "resources", "settings", "start")


def stub() -> str:
    """The text of the stub."""
    sys.path.insert(0, str(ROOT))
    import jitload

    doors = (*jitload._PUBLIC.items(), *_doors(jitload._DOORS))
    homes = sorted((home, sorted(names, key=_classes_first)) for home, names in doors)
    imports = [f"from jitload.{home} import {name} as {name}" for home, names in homes for name in names]
    public = [f"    {name!r},".replace("'", '"') for name in jitload.__all__]
    return "\n".join([*imports, "", "__version__: str", "__all__ = [", *public, "]", ""])


def _classes_first(name: str) -> tuple[bool, str]:
    """The order of imported names that ruff keeps."""
    return name[0].islower(), name.lower()


def _doors(doors: dict[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    return [(home, (name,)) for name, home in doors.items()]


def options_stub() -> str:
    """The text of the stub with what `configure` takes."""
    imports = ["import os", "from collections.abc import Iterable", "from typing import Literal, TypeAlias, TypedDict"]
    rows = [f"    {option.name}: {option.takes}" for option in _rows() if option.takes]
    path = "Path: TypeAlias = str | os.PathLike[str]"
    return "\n".join([*imports, "", path, "", "class Options(TypedDict, total=False):", *rows, ""])


def settings_table() -> str:
    """The table of settings, in Markdown."""
    lines = ["| variable | argument | meaning |", "|---|---|---|"]
    for option in _rows():
        argument = f"`{option.name}`" if option.takes else ""
        listed = f"; separated by `{option.separator}`" if option.separator else ""
        lines.append(f"| `{option.variable}` | {argument} | {option.text}{listed} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """A page with that table in the place of the one that it has."""
    return re.sub(r"\| variable \|.*\n(?:\|.*\n)*", lambda _: settings_table(), page, count=1)


def page_code() -> dict[str, str]:
    """File in TYPED -> the Python of a page: its blocks, behind what its reader has already."""
    sys.path.insert(0, str(ROOT))
    from tests.preambles import GIVEN

    programs = (README, *(ROOT / "docs" / f"{name}.md" for name in PROGRAMS), *(ROOT / "docs").glob("*/*.md"))
    code = {}
    for page in {*programs, *(ROOT / name for name in GIVEN)}:
        blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        given = GIVEN.get(page.relative_to(ROOT).as_posix(), ())
        parts = [part for pair in zip_longest(given, blocks, fillvalue="") for part in pair]
        if blocks:
            code[f"{page.stem.lower()}.py"] = "\n".join(filter(None, parts))
    return code


def _rows() -> tuple[Option, ...]:
    sys.path.insert(0, str(ROOT))
    from jitload.settings.option import OPTIONS

    return OPTIONS


if __name__ == "__main__":
    STUB.write_text(stub())
    OPTIONS_STUB.write_text(options_stub())
    for page in PAGES:
        page.write_text(with_table(page.read_text()))
    for name, code in page_code().items():
        (TYPED / name).write_text(code)
