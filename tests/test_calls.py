"""Calls of public functions with the wrong words: an error of ours that says what was meant, with one frame of ours."""

# mypy: disable-error-code="arg-type, call-arg, call-overload, misc, no-untyped-call"

from __future__ import annotations

import inspect
import os
import re
import traceback

import pytest

import jitload
from jitload import calls, trace

PACKAGE = os.path.dirname(jitload.__file__)
SOURCE = 'extern "C" __global__ void one(int *x) { x[0] = 1; }'


@jitload.jit_kernel(source=SOURCE)
def one(x): ...


#: A call, and the end of what is said of it.
MISTAKES = {
    "configure by position": (lambda: jitload.configure("cpu"), "configure() takes its arguments by name: write device='cpu'"),
    "a session": (lambda: jitload.Session("cuda"), "Session() takes its arguments by name: write device='cuda'"),
    "what fits no option": (lambda: jitload.configure(3), "configure() takes its arguments by name: bundles, cache_dir, "),
    "an option": (lambda: jitload.configure(devise="cpu"), "configure() has no option 'devise'; it knows bundles, "),
    "an option of a session": (lambda: jitload.Session(devise="cpu"), "trust. Did you mean device=?"),
    "compile for archs": (lambda: jitload.compile(SOURCE, archs="sm_90"), "compile() has no argument 'archs': did you mean arch=?"),
    "compile by position": (lambda: jitload.compile(SOURCE, "sm_90"), "compile() takes source by position: write arch='sm_90'"),
    "compile a kind": (lambda: jitload.compile(SOURCE, "sm_90", "ptx"), "by position: write arch='sm_90', kind='ptx'"),
    "compile much": (lambda: jitload.compile(SOURCE, 1, 2), "takes source by position, the others by name: name, kind, arch"),
    "compile flags": (lambda: jitload.compile(SOURCE, flags=["-G"]), "has no argument 'flags': did you mean options=?"),
    "compile nonsense": (lambda: jitload.compile(SOURCE, qqq=1), "has no argument 'qqq': it takes source, name, kind, arch, "),
    "a decorator": (lambda: jitload.jit_kernel(option="-G"), "jit_kernel() has no argument 'option': did you mean options=?"),
    "its source": (lambda: jitload.jit_kernel(code=SOURCE), "jit_kernel() has no argument 'code': did you mean source=?"),
    "precompile": (lambda: jitload.precompile([one], arch="sm_90"), "precompile() has no argument 'arch': did you mean archs=?"),
    "workers": (lambda: jitload.precompile([one], workers=2), "precompile() has no argument 'workers': did you mean jobs=?"),
    "a bundle": (lambda: jitload.Bundle.create("x", [one], arch="sm_90"), "Bundle.create() has no argument 'arch': did you mean archs=?"),
    "a bundle of nothing": (lambda: jitload.Bundle.create("x"), "Bundle.create() lacks items: write Bundle.create(path, items)"),
    "a bundle in use": (lambda: jitload.use_bundle("x", keys="y"), "use_bundle() has no argument 'keys': did you mean trust=?"),
    "explain": (lambda: jitload.explain(one, archs="sm_90"), "explain() has no argument 'archs': it takes request, cache, device, kinds"),
    "a cache": (lambda: jitload.Cache(dir="x"), "Cache() has no argument 'dir': did you mean directory=?"),
    "bytes without a kind": (lambda: jitload.load_module_from_bytes(b"x"), "lacks data: write load_module_from_bytes(kind, data)"),
    "no arguments": (lambda: jitload.stats(3), "stats() takes nothing by position"),
    "of a kernel": (lambda: one.artifact(archs="sm_90"), "JitKernel.artifact() has no argument 'archs': did you mean arch=?"),
    "bind by position": (lambda: one.bind(1, 32), "Kernel.bind() takes its arguments by name: write grid=1, block=32"),
    "bind": (lambda: one.bind(grid=1, blok=32), "Kernel.bind() has no argument 'blok': did you mean block=?"),
    "bind what is loaded": (lambda: one.kernel().bind(1, 32), "Kernel.bind() takes its arguments by name: write grid=1, block=32"),
    "launch": (lambda: one(1, grid=1, blok=32), "one() has no argument 'blok': did you mean block=?"),
    "launch what is loaded": (lambda: one.kernel()(1, grid=1, blok=32), "Kernel.bind() has no argument 'blok': did you mean block=?"),
    "a request by position": (lambda: jitload.CompileRequest(SOURCE, "ptx", "compute_90"), "takes source by position: write kind='ptx', arch='compute_90'"),
    "a request with flags": (lambda: jitload.CompileRequest(SOURCE, kind="ptx", arch="compute_90", flags=["-G"]), "CompileRequest() has no argument 'flags': did you mean options=?"),
    "a request for nothing": (lambda: jitload.CompileRequest(SOURCE), "CompileRequest() lacks kind and arch: write CompileRequest(source, kind=..., arch=...)"),
    "a request of nothing": (lambda: jitload.CompileRequest(kind="ptx", arch="compute_90"), "CompileRequest() lacks source: write CompileRequest(source)"),
    "no request at all": (lambda: jitload.CompileRequest(), "CompileRequest() lacks source and kind and arch: write CompileRequest(source, kind=..., arch=...)"),
    "stats of a cache": (lambda: jitload.Cache("c").stats(3), "Cache.stats() takes nothing by position"),
    "clear a cache": (lambda: jitload.Cache("c").clear(force=True), "Cache.clear() has no argument 'force': it takes none"),
    "collect a cache": (lambda: jitload.Cache("c").gc(max_byte=3), "Cache.gc() has no argument 'max_byte': did you mean max_bytes=?"),
    "merge a cache": (lambda: jitload.Cache("c").merge(), "Cache.merge() lacks directories: write Cache.merge(directories)"),
    "once for two": (lambda: jitload.link([], inputs=[]), "link() got multiple values for argument 'inputs'"),
}  # fmt: skip


@pytest.mark.parametrize(("mistake", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_call_that_does_not_fit_says_what_was_meant(mistake, said, tmp_path):
    with (
        jitload.configure(device="cpu", cache_dir=tmp_path),
        pytest.raises((jitload.UsageTypeError, jitload.ArgumentError), match=re.escape(said)) as caught,
    ):
        mistake()
    files = [entry.filename for entry in traceback.extract_tb(caught.value.__traceback__)]
    assert [file.startswith(PACKAGE) for file in files] == [False, False, True]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


#: Classes that users make themselves; all others they get.
MADE = ("Cache", "CompileRequest", "Session", "Surface", "TensorMap", "Texture", "configure", "record")
PUBLIC = [name for name in jitload.__all__ if inspect.isfunction(getattr(jitload, name)) or name in MADE]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_refuses_a_word_that_it_does_not_know(name):
    with pytest.raises(jitload.UsageTypeError, match=r"'no_such_word'|needs the kernel"):
        getattr(jitload, name)(no_such_word=1)


#: What a cache does for itself, on the way of a hit or at the end of a process.
OWN = {
    "add_variant",
    "begin",
    "blobs",
    "compiler",
    "drop",
    "find",
    "flush",
    "get",
    "memo_dir",
    "note",
    "put",
    "put_here",
}
OWN |= {"summary", "survey", "variants"}
CARE = [
    name for name, made in inspect.getmembers(jitload.Cache, inspect.isfunction) if name[0] != "_" and name not in OWN
]


@pytest.mark.parametrize("name", CARE)
def test_so_does_all_that_is_done_with_a_cache(name, tmp_path):
    cache = jitload.Cache(tmp_path / "cache")
    with pytest.raises(jitload.UsageTypeError, match=rf"^Cache\.{name}\(\) has no argument 'no_such_word'"):
        getattr(cache, name)(no_such_word=1)


def test_a_request_is_shown_with_what_it_needs():
    parameters = inspect.signature(jitload.CompileRequest).parameters
    needed = [name for name, one in parameters.items() if one.default is one.empty]
    assert needed == ["source", "kind", "arch"]
    assert parameters["kind"].kind == inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    "function", [jitload.compile, jitload.CompileRequest, jitload.Kernel.bind, jitload.JitKernel.bind]
)
def test_what_is_taken_to_be_refused_is_not_shown(function):
    parameters = inspect.signature(function).parameters
    assert not {"excess", "unknown"} & parameters.keys()
    assert inspect.Parameter.VAR_POSITIONAL not in {one.kind for one in parameters.values()}


def test_the_rest_of_such_a_signature_is_shown_as_it_is():
    parameters = inspect.signature(jitload.compile).parameters
    assert list(parameters)[:4] == ["source", "name", "kind", "arch"]
    assert parameters["source"].default is None
    assert parameters["arch"].kind == inspect.Parameter.KEYWORD_ONLY
    assert parameters["host_headers"].default is True
    assert list(inspect.signature(jitload.JitKernel.bind).parameters) == ["self", "launch"]
    assert jitload.compile.__doc__.startswith("Compile CUDA C++")
    assert inspect.getsource(jitload.compile).startswith("@shown_without_misfits")


def test_a_type_error_of_the_function_itself_is_left_alone():
    """Also one that looks as if it were about the call."""

    @trace.short_errors
    def outer(value):
        return len(value) + inner(1, 2)

    def inner(one):
        return one

    for value, said in ((3, "has no len"), ([], "takes 1 positional argument but 2 were given")):
        with pytest.raises(TypeError, match=said) as caught:
            outer(value)
        assert type(caught.value) is TypeError
    with pytest.raises(jitload.UsageTypeError, match=r"outer\(\) lacks value"):
        outer()


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("archs", ["arch", "kind"], "arch"),
        ("ARCH", ["arch", "kind"], "arch"),
        ("include-dirs", ["include_dirs"], "include_dirs"),
        ("includes", ["include_dirs", "options"], "include_dirs"),
        ("gpu", ["device"], "device"),
        ("gpu", ["archs", "device"], "archs"),
        ("dir", ["cache_dir", "directory"], "directory"),
        ("x", ["xs", "path"], None),
        ("archs", ["cache"], None),
    ],
)
def test_the_nearest_name(word, known, meant):
    assert calls.nearest_name(word, known) == meant
