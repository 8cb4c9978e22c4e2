"""The pages of docs/ keep their promises: names, errors and commands that exist, blocks that run."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

import jitload
from jitload import errors
from jitload.cli.app import COMMANDS, app

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def test_the_page_of_errors_has_each_of_them_and_what_it_is_besides():
    headings = re.findall(r"^## (\w+)(?: \(an? (\w+)\))?$", (DOCS / "errors.md").read_text(), re.MULTILINE)
    classes = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, Exception)}
    assert {name for name, _ in headings} == classes.keys()
    assert len(headings) == len(classes)
    for name, built_in in headings:
        own = [base.__name__ for base in classes[name].__bases__ if base.__module__ == "builtins"]
        assert not built_in or own == [built_in], name


def test_messages_on_the_page_of_errors_are_messages_of_the_sources():
    """A message is what stands in backticks in the first column; "..." in it is what differs from case to case."""
    sources = "".join(path.read_text() for path in sorted((ROOT / "jitload").rglob("*.py")))
    said = re.sub(r'"\s*\n\s*f?"', "", sources)  # texts that go on in the next line
    rows = re.findall(r"^\| `([^`]+)` \|", (DOCS / "errors.md").read_text(), re.MULTILINE)
    assert len(rows) > 40
    for row in rows:
        for part in filter(None, (part.strip() for part in row.split("..."))):
            assert part in said, f"docs/errors.md says {part!r}, and nothing in jitload/ does"


def test_the_page_of_exit_codes_has_every_command():
    text = (DOCS / "exit_codes.md").read_text()
    for command in COMMANDS:
        assert f"`jitload {command}" in text, command


def test_commands_that_pages_name_are_commands():
    groups = {
        name: getattr(get_command(importlib.import_module(path).app), "commands", None)
        for name, path in COMMANDS.items()
    }
    asked = 0
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]:
        for command, word in re.findall(r"`jitload ([a-z]+)(?: ([a-z]+)\b(?![.:/]))?", page.read_text()):
            assert command in groups, f"{page}: jitload {command}"
            assert not word or groups[command] is None or word in groups[command], f"{page}: jitload {command} {word}"
            asked += 1
    assert asked > 100


def shell_commands(text: str):
    """The words of each call of jitload in shell blocks and in lines that are set in, without variables in front."""
    found = re.findall(r"^ *```(?:sh|bash)\n(.*?)^ *```|^ {4}(jitload [^\n]*)$", text, re.DOTALL | re.MULTILINE)
    for line in "\n".join(block + line for block, line in found).replace("\\\n", " ").splitlines():
        calls: list[list[str]] = [[]]
        for word in shlex.split(line, comments=True):
            if word in {"&&", "||", "|"}:
                calls.append([])
            elif calls[-1] or not re.match(r"[A-Z_]+=", word):
                calls[-1].append(word)
        yield from (call[1:] for call in calls if call[:1] == ["jitload"])


def test_options_that_pages_give_are_options():
    asked = 0
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        for words in shell_commands(page.read_text()):
            command = get_command(app)
            while hasattr(command, "get_command") and not words[0].startswith("-"):
                command = command.get_command(typer.Context(command), words.pop(0))
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            own = words[: words.index("--")] if "--" in words else words
            given = {word.split("=")[0] for word in own if word.startswith("-")}
            assert given <= known, f"{page}: jitload ... {' '.join(words)}: {given - known}"
            asked += 1
    assert asked > 60


@pytest.mark.parametrize("page", ["start.md", "settings.md", "howto/author.md"])
def test_the_blocks_of_a_page_run_in_order(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "page.py"
    path.write_text("\n".join(blocks(page, "python")))
    names: dict = {"__file__": str(path), "__name__": "page"}
    with jitload.Session():  # what a page seals is its own
        exec(compile(path.read_text(), str(path), "exec"), names)
    for clean_up in (names.get("listening") and names["listening"].remove, names.get("load_echo") and forget_echo):
        if clean_up:
            clean_up()


def forget_echo() -> None:
    jitload.unregister_loader("echo")


def test_the_tests_of_the_page_on_ci_pass(tmp_path):
    (block,) = blocks("howto/ci.md", "python")
    path = tmp_path / "test_kernels.py"
    path.write_text(block)
    names: dict = {"__file__": str(path), "__name__": "test_kernels"}
    exec(compile(block, str(path), "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 4
    with jitload.configure(device="cpu"):
        for test in tests:
            test()


def write_project(root: pathlib.Path) -> pathlib.Path:
    """The project of the page on wheels: its blocks begin with the name of their file."""
    for language in ("toml", "python", "cuda"):
        (block,) = blocks("howto/wheel.md", language)
        name = block.splitlines()[0].lstrip("#/ ")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(block)
    return root


def test_what_the_page_on_wheels_installs_runs_where_there_is_no_compiler(tmp_path, python_without_nvrtc):
    """What setuptools would put into the wheel of the project there, and a user who has it, but no NVRTC."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed")
    project, installed = write_project(tmp_path / "project"), tmp_path / "installed"
    installed.mkdir()
    shown = (block.splitlines() for block in blocks("howto/wheel.md", "sh")[:4])
    (make, _), (check,), (_, as_new), (_, away, use, _) = shown
    assert away.partition("#")[0].endswith("cd /                       ")  # or the sources would be imported
    build = f"""python -c "import setuptools; setuptools.setup()" -q build_py --build-lib {installed} egg_info -e {installed}"""

    def run(line: str, place: pathlib.Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{place}", "JITLOAD_DEVICE": "cpu"}
        line = re.sub(r"^jitload ", "python -m jitload ", line)
        command = ["bash", "-euc", line.replace("python ", f"{sys.executable} ", 1)]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)

    for line, place in ((make, project), (check, project), (build, project), (as_new, installed)):
        done = run(line, place)
        assert done.returncode == 0, done.stderr
    code = use.partition('-c "')[2].rstrip('"')
    done = python_without_nvrtc(f"import sys; sys.path.insert(0, {str(installed)!r}); {code}", tmp_path / "cache")
    assert (done.returncode, done.stdout) == (0, "[2. 2. 2.]\n"), done.stderr
    source = installed / "acme_ops/scale.cu"
    source.write_text(source.read_text().replace("*= a", "*= a + a"))
    assert (
        run(
            as_new.replace("JITLOAD_COMPILE=never ", "").replace("JITLOAD_CACHE_DIR=$(mktemp -d) ", ""), installed
        ).returncode
        == 0
    )
    shutil.copy(source, project / "acme_ops/scale.cu")
    done = run(check, project)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        3,
        "sources: 1 of 1 missing or stale: build the bundle again",
    )
    done = run(as_new, installed)  # although the cache has it now
    assert "NotPrecompiledError" in done.stderr
    assert "source: " in done.stderr


def run_cells(path: pathlib.Path, names: dict) -> list[object]:
    """What the last expression of each cell gives, as a notebook would show it."""
    shown = []
    for number, cell in enumerate(json.loads(path.read_text())["cells"]):
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"cell {number}", "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names))
    return shown


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_tables(path):
    values = [value for value in run_cells(path, {"__name__": "notebook"}) if value is not None]
    assert len(values) >= 2
    assert all(value._repr_html_().startswith("<table>") for value in values)


def prose(page: pathlib.Path) -> str:
    """A page without its code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return "\n".join(line if line.startswith("#") else re.sub(r"`[^`]*`", "", line) for line in text.splitlines())


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


LINKING = sorted(
    page.relative_to(ROOT).as_posix() for at in ("*.md", "docs/**/*.md", "examples/**/*.md") for page in ROOT.glob(at)
)


@pytest.mark.parametrize("name", LINKING)
def test_what_a_page_links_to_is_there(name):
    """Files and headings of this repository."""
    page = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{name} links to {target}"
        if anchor:
            slugs = {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose(file), re.MULTILINE)}
            assert anchor in slugs, f"{name} links to {target}; headings there: {sorted(slugs)}"
