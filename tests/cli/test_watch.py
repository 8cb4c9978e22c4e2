"""`jitload watch`: each time a source or a header is saved, once."""

import os
import pathlib
import subprocess
import sys

import jitload

ROOT = pathlib.Path(jitload.__file__).parents[1]
HEADER = "#define VALUE {}\n"
SOURCE = '#include "value.h"\nextern "C" __global__ void k(int *x) { *x = VALUE; }\n'


def test_a_save_is_compiled_and_shown(workdir, needs_nvrtc):
    """An error, then what mends it in a header, then an error in the source."""
    (workdir / "k.cu").write_text(SOURCE)
    (workdir / "value.h").write_text(HEADER.format("nothing"))
    command = [sys.executable, "-u", "-m", "jitload", "watch", "k.cu", "--arch", "sm_90", "--interval", "0.05"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    watching = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line_with(watching, 'identifier "nothing" is undefined')
        save(workdir / "value.h", HEADER.format(7))
        line_with(watching, "k.cu: cubin for sm_90")
        line_with(watching, "REGISTERS")
        save(workdir / "k.cu", SOURCE.replace(";", ""))
        line_with(watching, "k.cu(2): error")
    finally:
        watching.kill()
        watching.communicate(timeout=60)


def save(path, text):
    """As editors do: under another name first."""
    (path.parent / "saved").write_text(text)
    (path.parent / "saved").replace(path)


def line_with(watching, text):
    said = []
    for line in watching.stdout:
        said.append(line)
        if text in line:
            return
    raise AssertionError(f"it ended before it said {text!r}: {said}")


def test_a_file_that_is_not_there_is_said(invoke, workdir):
    result = invoke("watch", "nowhere.cu")
    assert (result.exit_code, "nowhere.cu: no such file" in result.stderr) == (1, True)


def test_what_no_save_can_mend_ends_it(invoke, workdir):
    (workdir / "k.cu").write_text(SOURCE)
    result = invoke("watch", "k.cu", "--arch", "foo")
    assert (result.exit_code, "foo" in result.stderr) == (1, True)


def test_the_file_itself_counts_whatever_it_is_called(workdir, needs_nvrtc):
    (workdir / "k.txt").write_text('extern "C" __global__ void k(int *x) { *x = 1; }\n')
    command = [sys.executable, "-u", "-m", "jitload", "watch", "k.txt", "--arch", "sm_90", "--interval", "0.05"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    watching = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line_with(watching, "k.txt: cubin for sm_90")
        save(workdir / "k.txt", "nonsense;\n")
        line_with(watching, "error")
    finally:
        watching.kill()
        watching.communicate(timeout=60)
