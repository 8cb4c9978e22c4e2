"""What cannot be decorated, and what is no source: one sentence each, which says what to write."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import sys

import pytest

import jitload
from jitload import jit_kernel
from jitload.source.text import is_path

SOURCE = 'extern "C" __global__ void k(int *x) { x[0] = 1; }'


def plain(x): ...


class Holder:
    def method(self, x): ...

    @staticmethod
    def static(x): ...


def generator(x):
    yield x


async def coroutine(x): ...


async def async_generator(x):
    yield x


NOT_FUNCTIONS = {
    "lambda": (lambda x: None, r"lambda has no name .* write `def"),
    "partial": (functools.partial(plain, 1), r"partial of plain .*decorate plain itself"),
    "class": (Holder, r"class Holder cannot be a kernel: decorate a function"),
    "method": (Holder.method, r"Holder\.method is a method.* take self out and write @staticmethod above @jit_kernel"),
    "bound method": (Holder().method, r"method of an object.*no self: decorate a plain function"),
    "staticmethod": (
        vars(Holder)["static"],
        r"static is a staticmethod already: write @staticmethod above @jit_kernel",
    ),
    "classmethod": (classmethod(plain), r"classmethod already: write @classmethod above @jit_kernel"),
    "generator": (generator, r"generator is a generator.*write `def generator"),
    "async": (coroutine, r"async def coroutine cannot.*write `def coroutine"),
    "async generator": (async_generator, r"async def async_generator cannot"),
    "builtin": (len, r"len is built in: decorate a function of your own"),
    "an object": (functools.lru_cache(plain), r"decorates a function, got _lru_cache_wrapper"),
    "a number": (4, r"decorates a function, got int"),
}


@pytest.mark.parametrize(("given", "message"), NOT_FUNCTIONS.values(), ids=NOT_FUNCTIONS)
def test_what_is_no_function_is_refused_with_what_to_write(given, message):
    with pytest.raises(jitload.UsageTypeError, match=message) as caught:
        jit_kernel(source=SOURCE)(given)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_kernel_is_decorated_once():
    kernel = jit_kernel(source=SOURCE)(plain)
    with pytest.raises(jitload.UsageTypeError, match=r"plain is a jit_kernel already.*plain\.specialize"):
        jit_kernel(source=SOURCE)(kernel)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (SOURCE, r"write @jit_kernel\(source=\.\.\.\) above `def"),
        ("saxpy.cu", r"write @jit_kernel\(file='saxpy\.cu'\)"),
        ("dir/a kernel.CUH", r"write @jit_kernel\(file='dir/a kernel\.CUH'\)"),
        (pathlib.Path("saxpy.cu"), r"write @jit_kernel\(file='saxpy\.cu'\)"),
        (SOURCE.encode(), r"write @jit_kernel\(source=data\.decode\(\)\)"),
    ],
    ids=["text", "path", "path with a blank", "pathlib", "bytes"],
)
def test_a_source_by_position_is_told_its_keyword(given, message):
    with pytest.raises(jitload.UsageTypeError, match=message):
        jit_kernel(given)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"source": "saxpy.cu"}, jitload.UsageValueError, r"got the path 'saxpy\.cu': write file='saxpy\.cu'"),
        ({"source": pathlib.Path("saxpy.cu")}, jitload.UsageTypeError, r"got PosixPath: write file='saxpy\.cu'"),
        ({"source": SOURCE.encode()}, jitload.UsageTypeError, r"got bytes: decode it"),
        ({"file": SOURCE}, jitload.UsageValueError, r"file= of plain is a path, got CUDA C\+\+ text: write source="),
        ({"file": b"saxpy.cu"}, jitload.UsageTypeError, r"file= of plain is a path, got bytes"),
        ({"file": "a.cu", "source": SOURCE}, jitload.UsageValueError, r"plain has file= and source=: give one"),
    ],
)
def test_a_file_and_a_source_are_not_each_other(options, error, message):
    with pytest.raises(error, match=message):
        jit_kernel(**options)(plain)


def test_a_path_as_the_text_of_a_compile():
    with pytest.raises(jitload.UsageValueError, match=r"got the path 'saxpy\.cu': write pathlib\.Path\('saxpy\.cu'\)"):
        jitload.compile("saxpy.cu", kind="ptx", arch="compute_75")


@pytest.mark.parametrize(
    "text",
    [
        SOURCE,
        '#include "kernel.cu"',
        "int x; // see kernel.cu",
        "// a\n// kernel.cu",
        "// kernel.cu",
        "/* a */ // b.h",
        "",
    ],
)
def test_what_is_no_path(text):
    assert not is_path(text)


@pytest.mark.parametrize(
    "use",
    [lambda kernel: kernel[1, 32](1), lambda kernel: kernel(plain, grid=1, block=1), lambda kernel: kernel(plain, 1)],
    ids=["index", "call with options", "call with arguments"],
)
def test_options_without_a_function_are_no_kernel_yet(use):
    with pytest.raises(
        jitload.UsageTypeError, match=r"before it decorated a function: write jit_kernel\(\.\.\.\) above"
    ):
        use(jit_kernel(source=SOURCE))


@pytest.mark.parametrize("signature", ["*xs", "**xs", "x, *rest"])
def test_parameters_need_names(signature):
    scope = {}
    exec(f"def k({signature}): ...", scope)
    with pytest.raises(jitload.UsageValueError, match=r"k: a kernel cannot take \*\*?\w+: name its parameters"):
        jit_kernel(source=SOURCE)(scope["k"])


@pytest.mark.parametrize(
    ("flags", "prefix", "message"),
    [
        (
            ["-OO"],
            "r",
            "k has no CUDA source: python -OO (PYTHONOPTIMIZE=2) takes docstrings out; write source=... or file=",
        ),
        ([], "f", "k has no CUDA source: give file= or source=, or write it as the docstring; an f-string"),
        ([], "b", "k has no CUDA source: give file= or source=, or write it as the docstring; an f-string"),
    ],
)
def test_a_docstring_that_python_does_not_keep(flags, prefix, message):
    text = SOURCE.replace("{", "{{").replace("}", "}}") if prefix == "f" else SOURCE
    script = f'import jitload\n@jitload.jit_kernel\ndef k(x):\n    {prefix}"""{text}"""\n'
    done = subprocess.run([sys.executable, *flags, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1].startswith(f"jitload.errors.UsageValueError: {message}")


def test_a_body_in_python_is_said_not_to_be_compiled():
    def k(x):
        x[:] = 1

    with pytest.raises(jitload.UsageValueError, match=r"k has no CUDA source: .* Python in the body is not compiled"):
        jit_kernel(k)


def test_a_docstring_in_words():
    def k(x):
        """Scales x."""

    with pytest.raises(jitload.UsageValueError, match=r"or write it as the docstring, which here has no __global__"):
        jit_kernel(k)


def test_a_missing_file_names_the_kernel_and_the_place():
    kernel = jit_kernel(file="gone.cu")(plain)
    with pytest.raises(
        jitload.SourceNotFoundError, match=r"kernel plain: source .*gone\.cu: No such file or directory"
    ) as caught:
        kernel.request()
    place = str(pathlib.Path(__file__).with_name("gone.cu"))
    assert (caught.value.kernel, caught.value.filename) == ("plain", place)
    with pytest.raises(FileNotFoundError, match=r"source .*gone\.cu: No such file or directory"):
        jitload.compile(pathlib.Path("gone.cu"), kind="ptx", arch="compute_75")
