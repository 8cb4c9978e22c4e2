"""What the day's results become: verdicts, rows and a section of a page."""

import numpy as np
import pytest

NCU = """==PROF== Connected to process 12
saxpy ran
==PROF== Disconnected from process 12
"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC","Section Name","Metric Name","Metric Unit","Metric Value"
"0","12","python3","127.0.0.1","saxpy(float, const float *, float *, int)","1","7","(256, 1, 1)","(79, 1, 1)","0","9.0","Command line profiler metrics","l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum","sector","5,000"
"0","12","python3","127.0.0.1","saxpy(float, const float *, float *, int)","1","7","(256, 1, 1)","(79, 1, 1)","0","9.0","Command line profiler metrics","smsp__inst_executed.sum","inst","9,101"
"1","12","python3","127.0.0.1","another","1","7","(1, 1, 1)","(1, 1, 1)","0","9.0","Command line profiler metrics","smsp__inst_executed.sum","inst","1"
"""


@pytest.fixture
def day():
    """Results of a card that there is not."""
    machine = {"card": "Card X", "arch": "sm_90", "multiprocessors": 1, "model": False, "driver": "580.1"}
    machine |= {"date": "2030-01-02", "driver_cuda": "13.0", "system": "Linux", "python": "3.12", "nvrtc": "13.0.88"}
    machine |= {"packages": {"numpy": "2"}, "jitload": "1", "launches": "native"}
    row = {"outcome": "pass", "seconds": 1.0}
    table = {"head": ["launch", "ns"], "rows": [["a|b", "5"]]}
    results = [
        {**row, "name": "one", "seen": "a | b\nc", "figures": {"table": table}},
        {**row, "name": "two", "seen": "", "outcome": "fail", "figures": {"table": {**table, "rows": [["c", "6"]]}}},
    ]
    step = {"name": "latency", "question": "how fast?", "seconds": 2.0, "results": results}
    return {"machine": machine, "steps": [step]}


def test_a_section_has_date_card_driver_and_one_table_of_each_kind(benchmarks, day):
    from gpu.table import section

    text = section(day)
    assert "Measured 2030-01-02: Card X (sm_90, 1 multiprocessors), driver 580.1, CUDA 13.0" in text
    assert "| latency | 1 | 1 | 0 | 0 | 2 | how fast? |" in text
    assert r"| one | pass | a \| b c |" in text
    assert "| launch | ns |\n|---|---|\n| a\\|b | 5 |\n| c | 6 |\n" in text


def test_a_section_takes_the_place_of_an_older_one_of_that_card(benchmarks, day, tmp_path):
    from gpu.table import publish

    page = tmp_path / "page.md"
    page.write_text("# Figures\n")
    publish(day, page)
    day["machine"]["card"] = "Card Y"
    publish(day, page)
    day["machine"] |= {"card": "Card X", "date": "2031-05-06"}
    publish(day, page)
    text = page.read_text()
    assert text.startswith("# Figures\n")
    assert [text.count(f"## On a GPU: {card}") for card in ("Card X", "Card Y")] == [1, 1]
    assert (text.count("2031-05-06"), text.count("2030-01-02")) == (1, 1)
    day["machine"]["model"] = True
    with pytest.raises(ValueError, match="checking driver"):
        publish(day, page)


def test_counters_are_read_and_only_what_both_count_can_differ(benchmarks):
    from gpu.counters import compared, read

    import jitload

    measured = read(NCU, "saxpy")
    assert measured == {"l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum": 5000, "smsp__inst_executed.sum": 9101}
    with pytest.raises(AssertionError, match="nothing of other"):
        read(NCU, "other")
    with jitload.cpu_profile() as profile:
        pass
    rows = compared("saxpy", profile.total, measured)
    assert [row[1:] for row in rows] == [
        ["global load sectors", 0, 5000, "differs"],
        ["warp instructions", 0, 9101, "counted in its own way"],
    ]


def test_one_bit_of_one_lane_is_a_difference(benchmarks):
    from gpu.families import same
    from gpu.families.both import Outcome

    out, slots = np.zeros((4, 1, 16), np.uint8), np.zeros((4, 128), np.uint8)
    inputs = np.full((4, 2, 16), 7, np.uint8)
    same(Outcome(out, slots), Outcome(out.copy(), slots.copy()), inputs, ("%r1",))
    other = out.copy()
    other[2, 0, 3] = 0x80
    with pytest.raises(AssertionError, match=r"1 of 4 lanes differ; first lane 2, %r1: .*executor 0, card 80000000"):
        same(Outcome(out, slots), Outcome(other, slots), inputs, ("%r1",))
    written = slots.copy()
    written[3, 9] = 1
    with pytest.raises(AssertionError, match="memory at byte 8"):
        same(Outcome(out, slots), Outcome(out, written), inputs, ("%r1",))


def test_approximate_results_have_the_bounds_of_the_isa(benchmarks):
    from gpu.families.judge import bound_of, far

    assert bound_of("add.f32") is None
    bound = bound_of("rcp.approx.f32")
    expected, inputs = np.full((3, 1), 0.5), np.full((3, 1), 2.0)
    wrong, apart = far(bound, expected, expected * [[1], [1 + 2.0**-23], [1 + 2.0**-20]], inputs)
    assert wrong.tolist() == [False, False, True]
    assert apart == pytest.approx(2.0**-20)


def test_the_wheels_are_those_of_pyproject(benchmarks):
    from gpu.prepare import requirements

    newest, pinned = requirements("13"), requirements("13.0")
    assert "nvidia-cuda-nvrtc>=13,<14" in newest
    assert {"cuda-python==13.0.*", "nvidia-cuda-nvrtc==13.0.*"} <= set(pinned)
    assert len(newest) == len(pinned)
    assert [one for one in newest if one.startswith(("numpy", "pytest>"))] == [
        one for one in pinned if one.startswith(("numpy", "pytest>"))
    ]
