"""What is registered is called in a forked child, and there alone."""

from __future__ import annotations

import subprocess
import sys

CALLS = """
import os, sys
from jitload import forks

calls = []
class Owner:
    def reset(self): calls.append("method")
kept, dropped = Owner(), Owner()
def fail(): raise ValueError("a reset that fails")
forks.after_fork(lambda: calls.append("function"))
forks.after_fork(kept.reset)
forks.after_fork(dropped.reset)
forks.after_fork(fail)
forks.after_fork(lambda: calls.append("last"))
del dropped
child = os.fork()
if child == 0:
    os._exit(0 if calls == ["function", "method", "last"] else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert calls == []
"""


def test_resets_are_called_in_order_in_the_child_and_one_that_fails_stops_none():
    done = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "a reset that fails" in done.stderr
