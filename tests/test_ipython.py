"""Errors as IPython shows them, which runs the cells of notebooks: the message first, in at most 20 lines, in every mode."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import jitload

MOST_LINES = 20
BODY = """\
extern "C" __global__ void bad(float *x, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x
    if (i < n) x[i] = 0;
}
"""
#: Where the kernel stands -> the cell, what its place is called, and the line of the error there.
CELLS = {
    "docstring": (
        f'import jitload\n@jitload.jit_kernel\ndef bad(x, n):\n    r"""\n{BODY}    """\nbad.forall(10)(None, 10)',
        "Cell In[{number}]",
        8,
    ),
    "source": (
        f'import jitload\n@jitload.jit_kernel(source=r"""\n{BODY}""")\ndef bad(x, n): ...\nbad[1, 32](None, 10)',
        "Cell In[{number}]",
        6,
    ),
    "file": (
        "import jitload, os\n@jitload.jit_kernel(file=os.path.abspath('bad.cu'))\ndef bad(x, n): ...\nbad[1, 32](None, 10)",
        "{place}/bad.cu",
        4,
    ),
}
MODES = ("Plain", "Context", "Verbose", "Minimal")
SHELL = """
import contextlib, io, json, sys
from IPython.core.interactiveshell import InteractiveShell
shell, said = InteractiveShell.instance(colors="NoColor"), []
for mode, cell in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        shell.run_line_magic("xmode", mode)
        begin = len(out.getvalue())
        shell.run_cell(cell, store_history=True)
    said.append(out.getvalue()[begin:])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What IPython prints for each cell in each mode, in one process: (place, {(mode, where): (number of the cell, text)})."""
    pytest.importorskip("IPython", reason="IPython is not installed")
    place = tmp_path_factory.mktemp("notebook")
    (place / "bad.cu").write_text(BODY)
    asked = [(mode, where) for mode in MODES for where in CELLS]
    done = subprocess.run(
        [sys.executable, "-c", SHELL],
        input=json.dumps([(mode, CELLS[where][0]) for mode, where in asked]),
        cwd=place,
        env={
            **os.environ,
            "JITLOAD_DEVICE": "cpu",
            "JITLOAD_CACHE_DIR": str(place / "cache"),
            "IPYTHONDIR": str(place),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    texts = json.loads(done.stdout.splitlines()[-1])
    return place, {key: (number, text) for number, (key, text) in enumerate(zip(asked, texts, strict=True), 1)}


@pytest.mark.parametrize("where", CELLS)
@pytest.mark.parametrize("mode", MODES)
def test_a_missing_semicolon_is_told_first_and_in_few_lines(shown, mode, where):
    place, texts = shown
    number, text = texts[mode, where]
    _, name, line = CELLS[where]
    called = name.format(number=number, place=place)
    lines = text.strip("\n").split("\n")
    assert len(lines) <= MOST_LINES
    assert lines[0] == f"CompileError: {called} does not compile for compute_90 (NVRTC_ERROR_COMPILATION):"
    assert lines[1:4] == [f'{called}({line}): error: expected a ";"', "      if (i < n) x[i] = 0;", "      ^"]
    assert lines[5].startswith(f"Cell In[{number}], line ")
    assert lines[6].strip().startswith("bad")


def test_the_lines_hold_whatever_stands_between_them():
    """IPython puts a line feed between what it gets, or, in some modes, nothing."""
    with pytest.raises(jitload.UsageError) as caught:
        jitload.compile("", kind="cubn")  # type: ignore[arg-type]
    told = caught.value._render_traceback_()
    assert "".join(told) == "\n".join(told)
    assert "".join(told).split("\n")[0].startswith("UsageValueError: unknown kind")
    assert any("test_ipython.py" in line for line in "".join(told).split("\n")[1:])
