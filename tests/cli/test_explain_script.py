"""`jitload explain SCRIPT.py`: the kernels that a Python file declares."""

import json

import pytest

APP = '''
import jitload

@jitload.jit_kernel
def fill(x, n):
    r"""extern "C" __global__ void fill(int *x, int n) { x[0] = n; }"""

@jitload.jit_kernel(source="template <class T> __global__ void one(T *x) { *x = 1; }")
def one(x, *, T): ...

again = fill
print("said")

if __name__ == "__main__":
    raise SystemExit("run as a program")
'''


@pytest.fixture
def app_file(workdir, monkeypatch):
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    (workdir / "app.py").write_text(APP)
    return workdir / "app.py"


def test_each_kernel_of_a_script_is_explained_once(invoke, app_file):
    result = invoke("explain", "app.py")
    assert result.exit_code == 3
    assert result.stdout.startswith("fill: fill.cu (ptx, compute_")
    assert result.stdout.count(": a miss") == 1
    assert "one: one needs template argument 'T'" in result.stdout
    assert "said" not in result.stdout


def test_it_tells_hits_and_misses_in_json(invoke, app_file):
    (row,) = json.loads(invoke("explain", "app.py", "--kernel", "fill", "--json").stdout)
    assert (row["name"], row["hit"]) == ("fill", False)
    namespace = {"__name__": "app", "__file__": str(app_file)}
    exec(compile(APP, str(app_file), "exec"), namespace)
    namespace["fill"].artifact()
    result = invoke("explain", "app.py", "-k", "fill", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["hit"]


def test_a_kernel_that_cannot_be_explained_is_no_hit(invoke, app_file):
    """That its file is gone is a failure; that a template argument is open is told, and counts for nothing."""
    (app_file.parent / "gone.py").write_text(
        "import jitload\n@jitload.jit_kernel(file='gone.cu')\ndef gone(x): ...\n"
        + APP.split("again", maxsplit=1)[0].split("\n", 2)[2]
    )
    result = invoke("explain", "gone.py")
    assert (result.exit_code, "gone.cu" in result.stdout) == (1, True)
    assert invoke("explain", "app.py", "--kernel", "one").exit_code == 0


@pytest.mark.parametrize("ending", ["0", "3", "'no torch'"])
def test_a_script_that_ends_itself_explains_nothing(invoke, app_file, ending):
    (app_file.parent / "ends.py").write_text(
        f"import sys\n{APP.split('if __name__', maxsplit=1)[0]}\nsys.exit({ending})\n"
    )
    result = invoke("explain", "ends.py", "--json")
    assert (result.exit_code, "SystemExit" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["saxpy.cu"], "write jitload cache explain saxpy.cu"),
        (["app.py", "--kernel", "fil"], "declares no kernel 'fil': it has fill, one"),
        (["empty.py"], "declares no kernel"),
        (["fails.py"], "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_explained_is_said(arguments, said, invoke, app_file):
    (app_file.parent / "empty.py").write_text("")
    (app_file.parent / "fails.py").write_text("1 / 0\n")
    result = invoke("explain", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "runpy" not in result.stderr
