"""Where a text stands in Python source."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from jitload.source.python_text import find_text

CONTENT = "".join(f"def f{n}(x):\n    return [x, ({n}, -x), {{'a': x + {n}}}]\n\n" for n in range(30)) + (
    'TEXT = """one\\\\n\ntwo\n"""\n'
)


@pytest.fixture
def switches():
    """Other threads get their turn in the middle of what Python does without them otherwise: where it collects."""

    def switch(*_):
        time.sleep(0)

    thresholds = gc.get_threshold()
    gc.callbacks.append(switch)
    gc.set_threshold(50)
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks.remove(switch)


@pytest.mark.usefixtures("switches")
def test_threads_that_look_at_once_all_find_it():
    """Python 3.11 mixes up trees that are made in several threads at once."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: find_text(CONTENT, "one\\n\ntwo\n"), range(8)))
    assert {standing and standing.first_line for standing in found} == {91}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("one\n        two\tthree\n        ", "one\ntwo\tthree\n"),  # dedented
        ("one\n        two\tthree\n        ", "one\ntwo     three\n"),  # tabs are eight columns, counted before that
        ("  one\ttwo", "one   two"),
    ],
)
def test_a_docstring_is_found_as_newer_pythons_tidy_it(written, read):
    """Python 3.13 expands tabs and takes the common indentation away."""
    found = find_text(f'x = 1\n\n\ndef k():\n    """{written}"""\n', read)
    assert found is not None
    assert (found.first_line, found.lines) == (5, ())
