"""CONTRIBUTING.md and docs/internals.md name files that are there, and what is in them."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = pathlib.Path(__file__).parents[1]
#: What a path in these pages may begin at.
BEGINNINGS = (ROOT, ROOT / "jitload", ROOT / "docs", ROOT / "tests")
PAGES = ("CONTRIBUTING.md", "docs/internals.md")
#: Names for what a reader is to choose.
PLACEHOLDERS = ("NAME", "FAMILY", "EXTRA", "DIR")


def expanded(path: str) -> list[str]:
    """`a/{b,c}.py` as the shell has it."""
    match = re.fullmatch(r"(.*)\{(.*)\}(.*)", path)
    return [path] if match is None else [f"{match[1]}{middle}{match[3]}" for middle in match[2].split(",")]


def named_paths(text: str) -> list[str]:
    """What looks like a path in code and in pictures, without what a reader fills in."""
    in_code = [word for code in re.findall(r"`([^`\n]+)`", text) for word in code.split()]
    pictures = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    words = in_code + re.findall(r"(?<![\w/])[a-z_]+/[a-z_/]+\b", "".join(pictures))
    paths = [word.rstrip(",.;:)").lstrip("(") for word in words]
    looks = re.compile(r"\.?[\w{},./-]+/[\w{},.-]*|\w[\w{},/]*\.(py|c|md|toml)")
    return [path for path in paths if looks.fullmatch(path) and not any(name in path for name in PLACEHOLDERS)]


def find(path: str) -> pathlib.Path | None:
    places = [start / f"{path}{end}" for start in BEGINNINGS for end in ("", ".py", ".c")]
    return next((place for place in places if place.exists()), None)


@pytest.mark.parametrize("page", PAGES)
def test_every_path_is_there(page):
    paths = [one for path in named_paths((ROOT / page).read_text()) for one in expanded(path)]
    assert len(paths) > 10
    assert [path for path in paths if find(path) is None] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_said_to_stand_in_a_file_stands_there(page):
    """Written as `NAME` (`path`), `NAME` of `path` or `NAME` in `path`."""
    pairs = re.findall(r"`@?([A-Za-z_]\w*)[^`\n]*`\s+(?:\(|of |in )`([\w/]+\.py)`", (ROOT / page).read_text())
    missing = []
    for name, path in pairs:
        place = find(path)
        if place is None or not re.search(rf"\b{name}\b", place.read_text()):
            missing.append((name, path))
    assert missing == []
    assert page == "CONTRIBUTING.md" or len(pairs) > 10


def test_what_is_not_there_is_found_missing():
    text = "Its row in `tiers/nowhere.py`, see\n\n```\n look_up   road, tiers/gone\n```\n"
    assert [path for path in named_paths(text) if find(path) is None] == ["tiers/nowhere.py", "tiers/gone"]


def test_every_dependency_has_its_row_with_what_else_was_looked_at():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [project["project"]["dependencies"], *project["project"]["optional-dependencies"].values()]
    names = {re.match(r"[\w-]+", one)[0] for some in lists for one in some}
    table = (ROOT / "docs/decisions.md").read_text().split("## Dependencies")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)
    known = {word for row in rows for word in re.findall(r"[\w-]+", row)}
    of_others = {"cuda-bindings": "cuda-python", "cupy-cuda12x": "cupy"}  # the smaller part, and a build
    found = {of_others.get(name, name) for name in names if not name.startswith("nvidia-")}
    assert found - known == set()
