"""The tree of exceptions: what is also a builtin one, what survives pickling, and that the page draws all of it."""

from __future__ import annotations

import errno
import inspect
import pickle
from pathlib import Path

import pytest

import jitload
from jitload import errors

EXCEPTIONS = [one for one in vars(errors).values() if isinstance(one, type) and not issubclass(one, Warning)]


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (jitload.UsageValueError, ValueError),
        (jitload.UsageTypeError, TypeError),
        (jitload.LaunchError, ValueError),
        (jitload.ArgumentError, TypeError),
        (jitload.SymbolNotFoundError, KeyError),
        (jitload.LoaderNotFoundError, RuntimeError),
        (jitload.SourceNotFoundError, FileNotFoundError),
        (jitload.CompileWarning, UserWarning),
    ],
)
def test_what_the_rest_of_the_world_catches_it_as(error, builtin):
    assert issubclass(error, builtin)


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: error.__name__)
def test_every_error_keeps_its_text_and_its_fields_when_it_is_pickled(error):
    own = inspect.isfunction(error.__init__)  # and not that of BaseException
    names = list(inspect.signature(error).parameters)[1:] if own else []
    before = error("what failed", **{name: f"<{name}>" for name in names})
    after = pickle.loads(pickle.dumps(before))
    assert (type(after), str(after)) == (error, "what failed")
    assert {name: getattr(after, name) for name in names} == {name: f"<{name}>" for name in names}


def test_a_source_that_is_not_there_is_an_oserror_with_its_number():
    error = pickle.loads(pickle.dumps(jitload.SourceNotFoundError("no a.cu", filename="/x/a.cu", kernel="a")))
    assert (error.errno, error.filename, error.kernel, str(error)) == (errno.ENOENT, "/x/a.cu", "a", "no a.cu")


def test_the_tree_in_the_docstring_is_the_tree():
    """Every class stands in it below its parent, and with the builtin that it is as well."""
    for error in EXCEPTIONS:
        line = next(line for line in errors.__doc__.splitlines() if error.__name__ in line.split())
        if error is errors.JitloadError:
            continue
        parent = next(base for base in error.__bases__ if issubclass(base, errors.JitloadError))
        lines = errors.__doc__.splitlines()
        depth = line.index(error.__name__)
        above = [text for text in lines[: lines.index(line)] if text.strip("|`- ") and not text.startswith("Every")]
        nearest = next(t for t in reversed(above) if len(t) - len(t.lstrip("|`- ")) < depth)
        assert nearest.strip("|`- ").split()[0] == parent.__name__
        for builtin in set(error.__bases__) - {parent}:
            assert f"(also a {builtin.__name__})" in line


WILD = "a\x1b[31m\0\x7f\x9b\rb"
SHOWN = r"a\x1b[31m\x00\x7f\x9b\x0db"


def test_a_name_with_control_characters_is_shown_and_not_obeyed():
    """By every error; lines and columns of a compiler's text stay as they are, and `args` has it raw."""
    error = errors.BundleError(f"{WILD}: two\n\tlines")
    assert str(error) == f"{SHOWN}: two\n\tlines"
    assert error.args == (f"{WILD}: two\n\tlines",)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(errors.SymbolNotFoundError(WILD, name=WILD)) == SHOWN
    assert str(errors.SourceNotFoundError(WILD)) == SHOWN


@pytest.mark.parametrize(
    "call",
    [
        lambda path: jitload.stop_bundle(path),
        lambda path: jitload.use_bundle(path),
        lambda path: jitload.load_module(path),
        lambda path: jitload.Artifact.open(path),
        lambda path: jitload.compile(path, kind="ptx", arch="compute_80"),
        lambda path: jitload.precompile([path], ["sm_80"]),
        lambda path: jitload.precompile([path.with_suffix(".jlw")], ["sm_80"]),
        lambda path: jitload.precompile([path.with_suffix(".toml")], ["sm_80"]),
        lambda path: jitload.Bundle.create(path, [path]),
    ],
)
def test_a_path_with_a_nul_is_refused_in_our_words(call):
    with pytest.raises(jitload.JitloadError) as caught:
        call(Path("x\0y"))
    assert "\0" not in str(caught.value)
