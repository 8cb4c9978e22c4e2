"""`python -m benchmarks`: rows say what was measured and against what, and results go where they are asked for."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def measure(benchmarks):
    import measure

    return measure


def results_of(rows, **more):
    part = {"name": "hits", "asks": "Hits", "seconds": 1.0, "rows": [row.as_json() for row in rows], "why_not": ""}
    machine = {
        "date": "2026-11-28", "processor": "a processor", "cores": 2, "load": 0.1, "system": "Linux", "python": "3.11",
        "jitload": "0.1.0", "packages": {"numpy": "2.4"}, "peers": {"cuda.core": "1.2.2", "Warp": None},
    }  # fmt: skip
    return {"machine": machine, "parts": [{**part, "failed": False, **more}]}


@pytest.mark.parametrize(
    ("figures", "beside", "budget", "met"),
    [
        ((1e-6, 3e-6, 2e-6), {}, {"limit": 2}, True),
        ((1e-6, 3e-6, 2.1e-6), {}, {"limit": 2}, False),
        ((2e-6, 4e-6), {"peer": (2e-6, 2e-6)}, {"limit": 1.5, "over": "peer"}, True),
        ((2e-6, 4.1e-6), {"peer": (2e-6, 2e-6)}, {"limit": 1.5, "over": "peer"}, False),
        ((4e-6,), {"peer": (2e-6,)}, {"limit": 1.8, "over": "peer", "least": True}, True),
        ((3e-6,), {"peer": (2e-6,)}, {"limit": 1.8, "over": "peer", "least": True}, False),
        ((12e-6,), {"peer": (10e-6,)}, {"limit": 1.05, "over": "peer", "more": 2}, True),
        ((13e-6,), {"peer": (10e-6,)}, {"limit": 1.05, "over": "peer", "more": 2}, False),
    ],
)
def test_a_budget_is_of_the_median_or_of_the_ratio_in_each_round(measure, figures, beside, budget, met):
    row = measure.Row("a thing", "us", figures, beside, measure.Budget(**budget))
    assert row.met() is met
    assert measure.in_words(row)[3] == ("met" if met else "missed")
    assert measure.row_of(json.loads(json.dumps(row.as_json()))) == row


def test_turns_run_every_action_in_every_round_and_change_the_order(measure):
    ran = []
    actions = {name: lambda name=name: ran.append(name) or float(len(ran)) for name in "ab"}
    assert measure.turns(actions, 2, first=1) == {"a": (4.0, 5.0), "b": (3.0, 6.0)}
    assert ran == list("abbaab")


def test_the_page_gets_machine_tables_and_what_was_not_measured(measure, tmp_path):
    from suite.page import BEGIN, END, into_page

    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    slow = measure.Row("a | b", "ms", (0.03,), {"cuda.core": (0.015,)}, measure.Budget(1, "cuda.core"), "why")
    into_page(page, results_of([slow]))
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\nMeasured 2026-11-28 on a processor, 2 cores")
    assert "| a \\| b | 30 ms | cuda.core 15 ms (x2.00) | at most x1 of cuda.core | **missed**, why |" in text
    assert "Not measured: Warp (not installed)." in text
    assert "old" not in text
    assert text.endswith(f"{END}\nafter\n")
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no lines"):
        into_page(page, results_of([slow]))
    assert page.read_text() == "no marks"


def test_the_page_of_the_repository_has_its_marks(benchmarks):
    from suite.page import BEGIN, END

    text = (benchmarks.parent / "docs" / "performance.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)


def test_a_picture_shows_the_part_of_the_budget_that_is_taken(measure):
    from suite.plot import shares

    rows = [
        measure.Row("half", "ms", (0.005,), budget=measure.Budget(10)),
        measure.Row("twice", "ms", (0.02,), {"peer": (0.01,)}, measure.Budget(1, "peer")),
        measure.Row("no budget", "ms", (0.02,)),
    ]
    assert dict(shares(results_of(rows))) == pytest.approx({"half": 0.5, "twice": 2.0})


def run(benchmarks, tmp_path, *arguments):
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(tmp_path)}
    del environment["PYTHONPATH"]
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(
        command, cwd=benchmarks.parent, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def test_a_part_is_measured_and_its_figures_are_written(benchmarks, measure, tmp_path):
    file = tmp_path / "results.json"
    done = run(benchmarks, tmp_path, "--only", "launch", "--rounds", "1", "--json", file)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(file.read_text())
    assert [part["name"] for part in results["parts"]] == ["launch"]
    rows = [measure.row_of(row) for row in results["parts"][0]["rows"]]
    assert all(figure > 0 for row in rows for figure in row.figures)
    assert {row.what for row in rows if row.budget} >= {"jitload bound(a, x, y, n)"}
    assert results["machine"]["cores"] == os.cpu_count()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--only", "hit"), "no part is named hit; there are hits, launch"), (("--rounds", "0"), "at least 1, not 0")],
)
def test_what_cannot_be_measured_is_said(benchmarks, tmp_path, arguments, words):
    done = run(benchmarks, tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_part_says_what_it_lacks_and_does_not_fail_the_run(measure):
    from suite.command import run as run_part
    from suite.parts import Part

    lacking = run_part(Part("x", "X", "no_such:rows", 1, ("no-such-package",), ("no-such-program",)), None)
    assert lacking["why_not"] == "no-such-package, no-such-program not installed"
    assert not lacking["failed"]
    broken = run_part(Part("x", "X", "no_such:rows", 1), None)
    assert broken["failed"]
    assert "ModuleNotFoundError" in broken["why_not"]
