"""The reference says all of every public name: of functions, of classes, and of their constructors, members and fields."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
import pathlib
import re
import textwrap
from typing import NamedTuple

import pytest

import jitload
from jitload import errors

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
CURES = (ROOT / "docs" / "errors.md").read_text()
#: (public name, page); those of `jitload` without the name of a module in front.
ENTRIES = [
    (name, page)
    for page in PAGES
    for name in re.findall(r"^\.\. auto(?:class|function):: jitload\.([\w.]+)$", page.read_text(), re.MULTILINE)
]
NAMED = dict(ENTRIES)
#: Class -> what makes it, where its constructor is nobody else's; its docstring names that.
MADE_BY = {
    "JitKernel": "jit_kernel",
    "Stats": "stats",
    "batch.report.PrecompileReport": "precompile",
    "cpu.profile.kernel_profile.KernelProfile": "CpuProfile.kernel",
    "cpu.profile.kernel_profile.LineProfile": "CpuProfile.line",
    "tiers.audit.CacheStats": "Cache.stats",
    "tiers.audit.EntryInfo": "Cache.entries",
    "tiers.explain.Explanation": "explain",
}


class Said(NamedTuple):
    """What the source of a function has: its docstring, parameters, and the errors that it raises itself."""

    docstring: str
    parameters: list[str]
    raised: set[str]
    gives: bool


def said_by(node: ast.AST, *, is_method: bool = False) -> Said:
    assert isinstance(node, ast.FunctionDef)
    given = node.args
    parameters = [*given.posonlyargs, *given.args, *filter(None, [given.vararg]), *given.kwonlyargs]
    names = [one.arg for one in [*parameters, *filter(None, [given.kwarg])] if not is_refused(one)]
    gives = node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn")
    return Said(ast.get_docstring(node) or "", names[is_method:], set(raised_in(node)), gives)


def is_refused(parameter: ast.arg) -> bool:
    """Whether it is there to refuse what does not fit: `help` does not show it, and type checkers let nothing through."""
    types = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
    return types in {"Unpack[tuple[()]]", "Unpack[calls.Nothing]"}


def raised_in(node: ast.AST):
    for one in ast.walk(node):
        if isinstance(one, ast.Raise) and one.exc is not None:
            error = one.exc.func if isinstance(one.exc, ast.Call) else one.exc
            name = getattr(error, "attr", getattr(error, "id", ""))
            if name[:1].isupper():
                yield name


def node_of(function: object) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]  # type: ignore[arg-type]


def function_of(name: str) -> ast.AST:
    """Also of a module that imports what is not installed here."""
    home, _, last = f"jitload.{name}".rpartition(".")
    if home == "jitload":
        return node_of(getattr(jitload, name))
    tree = ast.parse((ROOT / f"{home.replace('.', '/')}.py").read_text())
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == last)


def class_of(name: str) -> type | None:
    home, _, last = f"jitload.{name}".rpartition(".")
    if home in ("jitload.interop.torch", "jitload.interop.jax"):
        return None  # they have functions alone, and import what is not installed everywhere
    value = getattr(importlib.import_module(home), last)
    return value if inspect.isclass(value) else None


CLASSES = {name: cls for name in NAMED if (cls := class_of(name)) is not None}
FUNCTIONS = [name for name in NAMED if name not in CLASSES]


def own_classes(cls: type) -> list[type]:
    return [one for one in cls.__mro__ if one.__module__.startswith("jitload")]


def members_of(cls: type) -> dict[str, object]:
    """What a class and those that it inherits from define, as a reader of the reference finds it."""
    found: dict[str, object] = {}
    for one in own_classes(cls):
        found = {**vars(one), **found}
    return {name: member for name, member in found.items() if not name.startswith("_")}


def says(docstring: str, name: str) -> bool:
    """In backticks, or in a line of a section."""
    return re.search(rf"`{name}`|^ *\**{name}: |^ *\w+, {name}: ", docstring, re.MULTILINE) is not None


def lacking(said: Said) -> list[str]:
    """What a docstring should say and does not."""
    if not said.docstring:
        return ["a docstring"]
    raises = "".join(re.findall(r"^ *Raises:\n((?: +.*\n?)+)", said.docstring, re.MULTILINE))
    known = {one for line in re.findall(r"^ *(\w+(?:, \w+)*): ", raises, re.MULTILINE) for one in line.split(", ")}
    return [
        *(name for name in said.parameters if not says(said.docstring, name)),
        *(f"raises {name}" for name in sorted(said.raised) if not {*bases_of(name)} & {*re.findall(r"\w+", raises)}),
        *(f"{name} is no error" for name in sorted(known) if error_of(name) is None),
    ]


def error_of(name: str) -> type | None:
    return getattr(errors, name, None) or getattr(builtins, name, None)


def bases_of(name: str) -> list[str]:
    """An error that is not ours to catch stands for itself."""
    found = error_of(name)
    return [name] if found is None else [one.__name__ for one in found.__mro__ if one.__name__.endswith("Error")]


def test_the_pages_have_every_name_of_jitload_and_names_that_are_there():
    assert sorted(name for name, _ in ENTRIES if "." not in name) == jitload.__all__
    assert len(ENTRIES) == len(NAMED)
    assert len(NAMED) > len(jitload.__all__) + 15
    assert len(CLASSES) > 40


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_takes_gives_and_raises(name):
    said = said_by(function_of(name))
    assert lacking(said) == []
    assert not said.gives or "Returns:" in said.docstring
    assert "Raises:" in said.docstring or "Raises nothing." in said.docstring


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_says_what_it_takes_and_has(name):
    cls = CLASSES[name]
    text = "\n".join(inspect.cleandoc(one.__doc__ or "") for one in own_classes(cls))
    fields = [field for field, member in members_of(cls).items() if inspect.ismemberdescriptor(member)]
    assert [field for field in fields if not says(text, field)] == []
    if name in MADE_BY:
        assert f"`{MADE_BY[name]}" in text
        return
    init = next((vars(one)["__init__"] for one in own_classes(cls) if "__init__" in vars(one)), None)
    if init is not None:
        said = said_by(node_of(init), is_method=True)
        if "__signature__" in vars(cls):  # which names what the constructor takes by **
            said = said._replace(parameters=list(inspect.signature(cls).parameters))
        taken = [one for one in said.parameters if not (issubclass(cls, Exception) and one == "message")]
        assert lacking(said._replace(docstring=f"{text}\n{said.docstring}", parameters=taken)) == []


@pytest.mark.parametrize("name", CLASSES)
def test_every_member_says_what_it_takes_and_raises(name):
    found = {}
    for member, defined in members_of(CLASSES[name]).items():
        if inspect.isclass(defined):
            continue
        function = defined.fget if isinstance(defined, property) else getattr(defined, "func", defined)
        function = getattr(function, "__func__", function)
        if inspect.isfunction(function):
            found[member] = lacking(said_by(node_of(function), is_method=not isinstance(defined, staticmethod)))
    assert {member: missing for member, missing in found.items() if missing} == {}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_has_an_example_beside_it(name):
    """In the Python block of the same page, which test_blocks.py runs; an error on the page of errors, with its cure.

    What the module of another library is named for is in the code of a page that the page links to.
    """
    text = NAMED[name].read_text()
    used = "\n".join(code_of(text))
    linked = "(../errors.md)" in text and re.search(rf"^## {name}\b", CURES, re.MULTILINE)
    home, _, last = name.rpartition(".")
    if home:
        pages = [(NAMED[name].parent / link).read_text() for link in re.findall(r"\]\(([^)#]+\.md)", text)]
        used += "\n".join(code for page in pages for code in code_of(page, inline=True))
    assert linked or re.search(rf"\b{last}\b", used), f"{NAMED[name].name} shows no use of {name}"


def code_of(text: str, *, inline: bool = False) -> list[str]:
    in_text = re.findall(r"`([^`\n]+)`", text) if inline else []
    return re.findall(r"^```(?:python|sh)\n(.*?)\n```", text, re.DOTALL | re.MULTILINE) + in_text
