"""The pages of a cache, a bundle, a workload and a run, from real ones with two kernels."""

from __future__ import annotations

import numpy as np
import pytest

import jitload
from jitload.bundles.bundle import Bundle
from jitload.report.bundle import bundle_page, workload_page
from jitload.report.cache import MAX_ENTRIES, cache_page, hit_parts
from jitload.report.coverage import GPUS
from jitload.report.kernels import artifact_rows
from jitload.report.page import Columns, Table
from jitload.report.render import render
from jitload.report.run import run_page
from jitload.source.request import CompileRequest
from jitload.tiers.stats import Stats
from jitload.workloads.workload import Workload
from tests.report.pages import read

SOURCE = """
template <int N> __global__ void keep(const int *x, int *y)
{
    int held[N];
    for (int i = 0; i < N; ++i) held[i] = x[i * threadIdx.x];
    for (int i = 0; i < N; ++i) y[held[(i * 7) % N] % N] = held[i];
}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(cache, bundle file, workload, report): a kernel for two archs with a hostile option, and PTX."""
    directory = tmp_path_factory.mktemp("made")
    cache = jitload.Cache(directory / "cache")
    options = {"names": ["keep<8>"], "defines": {"TAG": "<b>"}, "name": "keep<i>.cu"}
    requests = [CompileRequest(SOURCE, kind="cubin", arch=arch, **options) for arch in ("sm_80", "sm_90")]
    requests.append(CompileRequest(SOURCE, kind="ptx", arch="compute_80", **options))
    with jitload.record(directory / "app.jlw"):
        report = jitload.precompile([*requests, CompileRequest("no", kind="cubin", arch="sm_80")], cache=cache, jobs=1)
        for request in requests:
            jitload.compile(SOURCE, kind=request.kind.value, arch=request.arch, cache=cache, **options)
    jitload.Bundle.create(directory / "app.jlb", requests, cache=cache, name="app", serial=7, builder="<u>")
    return cache, directory / "app.jlb", Workload.read(directory / "app.jlw"), report


def table_of(page, title) -> Table:
    (table,) = [part for part in page.parts if part.title == title]
    return table


def test_the_page_of_a_cache_has_kernels_by_arch_and_every_entry(made):
    cache, *_ = made
    page = cache_page(cache)
    glance = table_of(page, "Kernels by arch")
    assert glance.header == ("Kernel", "sm_80", "sm_90")
    (row,) = glance.rows
    assert row[0].text == "keep<8> (-DTAG=<b>)"
    assert all(cell.share for cell in row[1:])
    assert len(table_of(page, "Entries").rows) == 3
    text = read(render(page)).text
    assert "keep<i>.cu" in text
    assert str(cache.directory) in text


def test_hits_and_misses_come_with_their_reasons_and_by_day():
    one = Stats.of_counts({"hits.disk": 3, "misses.absent": 1, "compiles": 1, "compile_seconds": 0.5})
    by_day, answers = hit_parts(one, {"2026-11-27": one, "2026-11-28": Stats.of_counts({"hits.memory": 8})})
    assert isinstance(by_day, Columns)
    assert [(column.low, column.high) for column in by_day.columns] == [(37.5, 12.5), (100, 0)]
    assert by_day.ends == ("2026-11-27", "2026-11-28")
    assert [[cell.text for cell in row] for row in answers.rows] == [["served by disk", "3"], ["missed: absent", "1"]]
    assert hit_parts(Stats.of_counts({}), {}) == []


def test_counts_by_day_add_up_to_the_counts(made):
    cache, *_ = made
    cache.flush()
    days = cache.counted_by_day()
    first, total = cache.counted()
    assert sum(day.compiles for day in days.values()) == total.compiles
    assert min(days, default=None) == first
    assert jitload.Cache().counted_by_day() == {}


def test_the_page_of_a_cache_that_holds_nothing(tmp_path):
    page = cache_page(jitload.Cache(tmp_path / "none"))
    assert table_of(page, "Entries").rows == []
    read(render(page))
    assert MAX_ENTRIES >= 100


def test_the_page_of_a_bundle_says_what_each_gpu_gets(made):
    _, file, workload, _ = made
    with Bundle.open(file, trust="unsigned") as bundle:
        page = bundle_page(bundle)
        asked = bundle_page(bundle, workload, driver=580)
    row = dict(zip(("program", *GPUS), table_of(page, "What each GPU gets").rows[0], strict=True))
    assert row["sm_70"].text == ""
    assert row["sm_70"].tone == "bad"
    assert (row["sm_86"].text, row["sm_90"].text) == ("cubin sm_80", "cubin sm_90")
    assert (row["sm_120"].text, row["sm_120"].tone) == ("ptx compute_80", "fair")
    images = table_of(page, "Images")
    assert "Compile, s" not in images.header  # a bundle does not keep it
    assert {len(row) for row in images.rows} == {len(images.header)}
    text = read(render(page)).text
    assert "app, serial 7" in text
    assert "<u>" in text
    covered = table_of(asked, "Coverage of the workload")
    assert "With driver 580." in covered.note
    assert any(cell.text == "cubin sm_90" for row in covered.rows for cell in row)
    read(render(asked))


def test_the_page_of_a_workload_lists_what_is_asked_for(made):
    _, _, workload, _ = made
    page = workload_page(workload, "app.jlw")
    (row,) = table_of(page, "Programs").rows
    assert [cell.text for cell in row[:3]] == ["keep<i>.cu", "keep<8>", "-DTAG=<b>"]
    assert "cubin sm_90 (chosen)" in row[3].text
    read(render(page))


def test_the_page_of_a_run_has_its_workers_over_time_and_what_failed(made):
    cache, _, _, report = made
    assert len(report.turns) == 4
    assert {turn.request for turn in report.turns} == {*report.compiled, *(request for request, _ in report.failed)}
    assert all(turn.seconds > 0 for turn in report.turns)
    rows = [row for entry in cache.entries() for row in artifact_rows(cache.get(entry.key), entry.options)]
    page = run_page(report, rows)
    assert [part.title for part in page.parts] == ["Workers", "What failed", "Kernels by arch", "Kernels"]
    drawn = page.parts[0]
    assert [span.tone for span in drawn.spans].count("bad") == 1
    assert "1 failed" in read(render(page)).text


def test_values_in_a_notebook_are_tables_in_which_every_text_is_escaped(made):
    cache, file, workload, report = made
    artifact = next(cache.get(entry.key) for entry in cache.entries() if entry.kind == "ptx")
    module = jitload.Module("<i>", {"<b>": np.abs})
    from jitload.bundles.check import check_coverage

    with Bundle.open(file, trust="unsigned") as bundle:
        (covered, *_) = check_coverage(workload, [bundle], "sm_90")
    request = CompileRequest(SOURCE, kind="cubin", arch="sm_80", name="<script>.cu")
    for value in (artifact, module, jitload.stats(), cache.explain(request), covered, report, jitload.cpu_profile()):
        page = read(value._repr_html_())
        assert [tag for tag, _ in page.elements].count("table") == 1, value
    assert "keep<8>" in read(artifact._repr_html_()).text
    assert "(const int *, int *)" in read(artifact._repr_html_()).text
    module.close()
    assert "closed" in read(module._repr_html_()).text
