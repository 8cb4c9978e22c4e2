"""What a user sees of an error: their own lines, one frame of jitload, and in a notebook the message first."""

from __future__ import annotations

import json
import linecache
import os
import subprocess
import sys
import textwrap
import traceback

import numpy as np
import pytest

import jitload
from jitload import frames, trace

PACKAGE = os.path.dirname(jitload.__file__)
SAXPY = 'extern "C" __global__ void saxpy(float a, const float *x, float *y, int n) { y[threadIdx.x] = a * x[n]; }'
MOST_FRAMES = 3


@jitload.jit_kernel(source=SAXPY)
def saxpy(a, x, y, n): ...


@jitload.jit_kernel(source='extern "C" __global__ void broken(int *x) { x[0] = 1 }')
def broken(x): ...


@jitload.jit_kernel(source="template <class T> __global__ void first(const T *x, T *y) { y[0] = x[0]; }")
def first(x, y, *, T): ...


@jitload.jit_kernel(file="nowhere.cu")
def nowhere(x): ...


@jitload.jit_kernel(source='extern "C" __global__ void other(int *x) { x[0] = 1; }')
def misnamed(x): ...


X = np.ones(10, np.float32)
MISTAKES = {
    "semicolon, launched": lambda tmp: broken[1, 32](X),
    "semicolon, called": lambda tmp: broken(X, grid=1, block=32),
    "semicolon, bound": lambda tmp: broken.bind(grid=1, block=32),
    "semicolon, for all": lambda tmp: broken.forall(10)(X),
    "semicolon, artifact": lambda tmp: broken.artifact(),
    "semicolon, module": lambda tmp: broken.module,
    "semicolon, compile": lambda tmp: jitload.compile("__global__ void f() { int a }", arch="sm_90"),
    "semicolon, fatbin": lambda tmp: jitload.compile("__global__ void f() { int a }", arch=["sm_80", "sm_90"]),
    "no such file": lambda tmp: nowhere[1, 1](X),
    "no such file, explained": lambda tmp: nowhere.explain(),
    "no such file, precompiled": lambda tmp: jitload.precompile([nowhere], ["sm_90"]),
    "no such kernel": lambda tmp: misnamed[1, 1](X),
    "no such arch": lambda tmp: jitload.compile(SAXPY, arch="sm_12345"),
    "no such kind": lambda tmp: jitload.compile(SAXPY, kind="cubn"),  # type: ignore[arg-type]
    "no such template argument": lambda tmp: first.specialize(Q=3),
    "open template argument": lambda tmp: first[1, 1](3, 4),  # type: ignore[call-arg]
    "no source": lambda tmp: jitload.jit_kernel(lambda x: x),
    "element type": lambda tmp: saxpy[1, 32](1.0, np.ones(10), X, 10),
    "element type, bound": lambda tmp: saxpy.bind(grid=1, block=32)(1.0, np.ones(10), X, 10),
    "element type, of a kernel": lambda tmp: saxpy.kernel()(1.0, np.ones(10), X, 10, grid=1, block=32),
    "a number too large": lambda tmp: saxpy[1, 32](1.0, X, X, 2**40),
    "block too large": lambda tmp: saxpy[1, 4096](1.0, X, X, 1),
    "no grid": lambda tmp: saxpy(1.0, X, X, 1),
    "no stream": lambda tmp: saxpy[1, 32, "s"](1.0, X, X, 1),
    "out of bounds": lambda tmp: saxpy[1, 32](1.0, X, X, 1 << 20),
    "out of bounds, bound": lambda tmp: saxpy.bind(grid=1, block=32)(1.0, X, X, 1 << 20),
    "damaged image": lambda tmp: jitload.load_module_from_bytes("cubin", b"junk"),
    "damaged PTX": lambda tmp: jitload.create_module("ptx", b"junk"),
    "damaged bundle": lambda tmp: jitload.Bundle.open(damaged(tmp)),
    "damaged bundle in use": lambda tmp: jitload.use_bundle(damaged(tmp)),
    "linked nonsense": lambda tmp: jitload.link([b"junk"], arch="sm_90"),
    "no such function": lambda tmp: saxpy.module["axpy"],
    "no such variable": lambda tmp: saxpy.module.get_global("axpy"),
    "a setting": lambda tmp: jitload.configure(compile="nevr"),  # type: ignore[arg-type]
    "a cache": lambda tmp: jitload.Cache(3),  # type: ignore[arg-type]
    "no block": lambda tmp: jitload.occupancy(saxpy, "x", arch="sm_80"),  # type: ignore[arg-type]
    "a damaged whole module": lambda tmp: jitload.load_whole_module(b"x"),
    "a path that is none": lambda tmp: jitload.Artifact.open(3),  # type: ignore[arg-type]
    "no such bundle": lambda tmp: jitload.Bundle.open(tmp / "nope.jlb"),
    "no such bundle in use": lambda tmp: jitload.use_bundle(tmp / "nope.jlb"),
    "no such bundle in the settings": lambda tmp: compiled_with(tmp / "nope.jlb"),
    "a directory for a bundle": lambda tmp: jitload.Bundle.open(tmp),
}
#: What settings, and all that is declared before anything runs, refuse.
DECLARED = {
    "a word that means nothing": lambda tmp: jitload.configure(compile="nevr"),  # type: ignore[arg-type]
    "no list": lambda tmp: jitload.configure(bundles=3),  # type: ignore[arg-type]
    "no list of words": lambda tmp: jitload.configure(trust=3),  # type: ignore[arg-type]
    "no such option": lambda tmp: jitload.configure(bundel="x.jlb"),  # type: ignore[call-arg]
    "no such remote": lambda tmp: jitload.configure(remote="ftp://x"),
    "a session": lambda tmp: jitload.Session(cpu_check="races"),
    "a recording": lambda tmp: jitload.record(3),  # type: ignore[arg-type]
    "no file": lambda tmp: jitload.jit_kernel(file=3)(misnamed),  # type: ignore[call-overload]
    "two sources": lambda tmp: jitload.jit_kernel(source=SAXPY, file="x.cu")(lambda x: x),
    "launched undecorated": lambda tmp: jitload.jit_kernel(source=SAXPY)(1, 2),  # type: ignore[arg-type, call-arg]
}
#: What the system refuses: errors of Python's own, which notebooks show with the lines around each frame.
REFUSED = {
    "no artifact": lambda tmp: jitload.Artifact.open(tmp / "nope"),
    "a directory": lambda tmp: jitload.Artifact.open(tmp),
    "nowhere to save": lambda tmp: saxpy.artifact().save(tmp / "no" / "x.jle"),
    "no module": lambda tmp: jitload.load_module(tmp / "nope"),
    "nothing to link": lambda tmp: jitload.link([str(tmp / "nope.o")], arch="sm_90"),
    "nowhere to record": lambda tmp: jitload.record(tmp / "no" / "x.jlw").__enter__(),
}


def compiled_with(bundle):
    with jitload.configure(bundles=[bundle]):
        jitload.compile(SAXPY, arch="sm_90")


def damaged(tmp):
    path = tmp / "damaged.jlb"
    path.write_bytes(b"no bundle" * 20)
    return path


@pytest.fixture
def on_cpu(tmp_path):
    with jitload.configure(device="cpu", cache_dir=tmp_path / "cache"):
        yield tmp_path


def shown(error):
    """Every frame that Python prints of an error: (file, function)."""
    printed = traceback.TracebackException.from_exception(error)
    found = []
    while printed is not None:
        found += [(frame.filename, frame.name) for frame in printed.stack]
        printed = printed.__cause__ or (None if printed.__suppress_context__ else printed.__context__)
    return found


def ours(error):
    return [frame for frame in shown(error) if frame[0].startswith((PACKAGE, "<ptx"))]


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_shows_at_most_three_frames_of_ours(mistake, on_cpu):
    with pytest.raises(jitload.JitloadError) as caught:
        mistake(on_cpu)
    assert 1 <= len(ours(caught.value)) <= MOST_FRAMES
    assert shown(caught.value)[0][0] == __file__
    told = "".join(traceback.format_exception(caught.value))
    assert told.count("Traceback (most recent call last)") == 1


@pytest.mark.parametrize("mistake", DECLARED.values(), ids=DECLARED)
def test_what_is_refused_before_anything_runs_shows_one_frame_of_ours(mistake, on_cpu):
    with pytest.raises(jitload.UsageError) as caught:
        mistake(on_cpu)
    assert len(ours(caught.value)) == 1
    assert shown(caught.value)[0][0] == __file__


def test_a_refused_setting_shows_every_frame_where_that_is_asked_for(on_cpu):
    with jitload.configure(full_traceback=True), pytest.raises(jitload.UsageError) as caught:
        jitload.configure(bundles=3)  # type: ignore[arg-type]
    assert len(ours(caught.value)) > MOST_FRAMES


@pytest.mark.parametrize("mistake", REFUSED.values(), ids=REFUSED)
def test_what_the_system_refuses_shows_one_frame_of_ours_and_the_file(mistake, on_cpu):
    with pytest.raises(OSError, match=str(on_cpu)) as caught:
        mistake(on_cpu)
    assert len(ours(caught.value)) == 1
    assert "None" not in str(caught.value)


def test_the_way_to_a_function_of_a_module_is_not_shown(on_cpu):
    with pytest.raises(jitload.SymbolNotFoundError) as caught:
        saxpy.module.get_function("axpy")
    assert len(ours(caught.value)) == 1


def test_a_setting_that_cannot_be_read_is_short_too(on_cpu, monkeypatch):
    monkeypatch.setenv("JITLOAD_COMPILE", "nevr")
    with pytest.raises(jitload.UsageValueError, match="JITLOAD_COMPILE") as caught:
        saxpy[1, 1](1.0, X, X, 1)
    assert len(ours(caught.value)) == 1


def test_the_setting_shows_all_frames(on_cpu):
    with jitload.configure(full_traceback=True), pytest.raises(jitload.CompileError) as caught:
        broken[1, 32](X)
    assert len(ours(caught.value)) > 2 * MOST_FRAMES


def test_frames_of_a_callback_among_ours_stay(on_cpu):
    """An error that a function of the user's raises, within a call of ours, shows that function."""

    def refuse(*_):
        raise jitload.UsageValueError("enough")

    with pytest.raises(jitload.UsageValueError) as caught:
        jitload.precompile([saxpy], ["compute_75"], progress=refuse, jobs=1)
    assert [name for _, name in shown(caught.value)][-1] == "refuse"
    assert len(ours(caught.value)) == 1


def test_errors_of_others_are_left_as_they_are(on_cpu):
    def loader(data):
        return {}[data]

    with jitload.register_loader("mine", loader), pytest.raises(KeyError) as caught:
        jitload.load_module_from_bytes("mine", b"x")
    assert [name for _, name in shown(caught.value)][-2:] == ["_load", "loader"]


def test_what_led_to_an_error_is_cut_too():
    def fail():
        raise ValueError("inner")

    namespace = {"__name__": "jitload.somewhere", "fail": fail}
    exec(
        compile("def middle():\n fail()\ndef outer():\n try:\n  middle()\n except ValueError as e:\n"
                "  raise KeyError from e\n", "<somewhere>", "exec"),
        namespace,
    )  # fmt: skip
    with pytest.raises(KeyError) as caught:
        namespace["outer"]()
    frames.shorten(caught.value)
    assert [entry.name for entry in traceback.extract_tb(caught.value.__cause__.__traceback__)] == ["outer", "fail"]


def test_what_the_user_was_handling_keeps_its_frames(on_cpu):
    """It did not come about here, and may be logged by whoever handles it."""
    try:
        json.loads("{bad")
    except ValueError as error:
        handled, before = error, len(traceback.extract_tb(error.__traceback__))
        with pytest.raises(jitload.JitloadError):
            jitload.load_module_from_bytes("no such kind", b"x")
    assert before > 2
    assert len(traceback.extract_tb(handled.__traceback__)) == before


def test_a_module_of_the_user_may_be_called_as_one_of_pythons(on_cpu):
    """Its frames stay, where it is called back."""
    namespace = {"__name__": "queue"}
    exec(compile("def load(data):\n raise jitload.LoadError('mine')\n", "/home/user/queue.py", "exec"), namespace)
    namespace["jitload"] = jitload
    with jitload.register_loader("mine", namespace["load"]), pytest.raises(jitload.LoadError) as caught:
        jitload.load_module_from_bytes("mine", b"x")
    assert ("/home/user/queue.py", "load") in shown(caught.value)


def test_a_chain_that_goes_round_ends():
    one, other = ValueError(1), ValueError(2)
    one.__cause__, other.__cause__ = other, one
    frames.shorten(one)
    assert frames.lines_for_notebook(one)[0] == "ValueError: 1"


def test_pytest_hides_frames_for_mistakes_alone():
    class Found:
        value = jitload.UsageError("x")

    class Bug:
        value = AttributeError("x")

    assert trace.is_mistake(Found)
    assert not trace.is_mistake(Bug)
    assert not trace.is_mistake(None)


def test_a_marked_function_keeps_its_name_and_signature():
    assert jitload.link.__name__ == "link"
    assert "inputs" in str(__import__("inspect").signature(jitload.link))


SCRIPT = '''
import jitload

@jitload.jit_kernel
def bad(x, n):
    r"""
    extern "C" __global__ void bad(float *x, int n)
    {
        int i = blockIdx.x * blockDim.x + threadIdx.x
        if (i < n) x[i] = 0;
    }
    """

bad.forall(10)(None, 10)
'''
# From 3.13 on Python takes the indentation of a docstring away when it compiles it.
INDENT = 6 if sys.version_info >= (3, 13) else 10
EXCERPT = [" " * INDENT + "if (i < n) x[i] = 0;", " " * INDENT + "^"]


def test_a_missing_semicolon_is_told_in_15_lines_in_a_script(tmp_path):
    (tmp_path / "bad.py").write_text(SCRIPT)
    environment = {**os.environ, "JITLOAD_DEVICE": "cpu", "JITLOAD_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "bad.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    said = done.stderr.rstrip().splitlines()
    assert len(said) <= 15
    assert said[-3].endswith('bad.py(10): error: expected a ";"')
    assert said[-2:] == EXCERPT


def test_a_notebook_is_told_what_went_wrong_first(on_cpu):
    """In at most 20 lines, with the cell's line, its text and the caret; by the hook that IPython asks an error for."""
    cell = "<cell 7>"
    linecache.cache[cell] = (len(SCRIPT), None, SCRIPT.splitlines(keepends=True), cell)
    try:
        with pytest.raises(jitload.CompileError) as caught:
            exec(compile(SCRIPT, cell, "exec"), {"__name__": "__main__"})
        lines = "\n".join(caught.value._render_traceback_()).split("\n")
    finally:
        del linecache.cache[cell]
    assert len(lines) <= 20
    assert lines[0].startswith(f"CompileError: {cell} does not compile for compute_")
    assert lines[1:4] == [f'{cell}(10): error: expected a ";"', *EXCERPT]
    assert f'File "{cell}", line 14' in lines
    assert "    bad.forall(10)(None, 10)" in lines


def test_frames_of_the_shell_are_left_out_in_a_notebook():
    namespace = {"__name__": "IPython.core.interactiveshell"}
    exec(compile("def run_code(run):\n run()\n", "shell.py", "exec"), namespace)

    def cell():
        raise jitload.UsageValueError("no")

    with pytest.raises(jitload.UsageValueError) as caught:
        namespace["run_code"](cell)
    lines = frames.lines_for_notebook(caught.value)
    assert lines[0] == "UsageValueError: no"
    assert not any("shell.py" in line for line in lines)
    assert any(line.endswith(", in cell") for line in lines)


def test_what_led_to_an_error_is_told_in_a_notebook():
    try:
        try:
            raise OSError("disk")
        except OSError as error:
            raise jitload.BundleError("bundle") from error
    except jitload.BundleError as error:
        text = "\n".join(frames.lines_for_notebook(error))
    assert text.startswith("BundleError: bundle\n")
    assert textwrap.dedent("which came from:") in text
    assert "OSError: disk" in text
