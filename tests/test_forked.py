"""Programs that a warm Python forks for: processes of their own, which end as those of `python -c` do."""

import os
import subprocess

import pytest

from .forked import Warm, run_anew


@pytest.fixture(scope="module")
def warm():
    with Warm({**os.environ}) as found:
        yield found


@pytest.mark.parametrize("program", [
    "import os, sys; print(os.environ['ONE'], os.getcwd(), sys.argv); print('apart', file=sys.stderr)",
    "import atexit, threading, time; atexit.register(print, 'last'); threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()",
    "import sys; sys.exit(3)",
    "import sys; sys.exit('a word')",
    "import os; os._exit(4)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "class Own:\n    pass\nprint(Own, __name__, __import__('__main__').Own is Own)",
])  # fmt: skip
def test_a_program_ends_as_by_itself(warm, program):
    environment = {**os.environ, "ONE": "1"}
    forked, alone = warm.run(program, environment), run_anew(program, environment)
    assert (forked.returncode, forked.stdout, forked.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_an_error_is_told_and_no_program_sees_another_one(warm):
    done = warm.run("seen = 1; import os; os.environ['OWN'] = '1'; 1 / 0", {**os.environ})
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, b"ZeroDivisionError: division by zero")
    assert (
        warm.run("import os; print('seen' in globals(), 'OWN' in os.environ)", {**os.environ}).stdout
        == b"False False\n"
    )


def test_one_that_does_not_end_is_ended(warm):
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run("import time; print('begun', flush=True); time.sleep(60)", {**os.environ}, 0.3)
    assert warm.run("print(1)", {**os.environ}).stdout == b"1\n"


def test_what_a_python_reads_when_it_starts_has_it_start(warm):
    asked = "import os, sys; print(os.getppid(), 'numpy' in sys.modules, sys.flags.hash_randomization)"
    parent = str(os.getpid()).encode()
    assert warm.run(asked, {**os.environ, "PYTHONHASHSEED": "0"}).stdout.split() == [parent, b"False", b"0"]
    assert warm.run(asked, {**os.environ}).stdout.split()[0] != parent
