"""The pages of two caches, bundles or profiles beside each other, from real ones with a kernel."""

from __future__ import annotations

import json

import pytest

import jitload
from jitload.bundles.bundle import Bundle
from jitload.report.compare import bundle_side, cache_side, changed, compare_page
from jitload.report.compare_profiles import compare_profiles_page
from jitload.report.profile import read_profile
from jitload.report.render import render
from jitload.tiers.stats import Stats
from tests.report.pages import HOSTILE, read

#: All values are alive at once, in registers.
SOURCE = """
extern "C" __global__ void keep(const float *x, float *y)
{
    float held[COUNT];
    for (int i = 0; i < COUNT; ++i) held[i] = x[i * 32 + threadIdx.x];
    __syncthreads();
    for (int i = 0; i < COUNT; ++i) y[i * 32 + threadIdx.x] = held[COUNT - 1 - i];
}
"""


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """Two: one kernel for two archs, then with more registers, for one of them with an option; and an arch of its own each."""
    root = tmp_path_factory.mktemp("caches")
    old, new = jitload.Cache(root / "old"), jitload.Cache(root / "new")
    for cache, count, arch, options in (
        (old, 4, "sm_80", ()),
        (old, 4, "sm_90", ()),
        (old, 4, "sm_75", ()),
        (new, 40, "sm_80", ()),
        (new, 40, "sm_90", ("--fmad=false",)),
        (new, 4, "sm_100", ()),
    ):
        text = SOURCE.replace("COUNT", str(count))
        jitload.compile(text, kind="cubin", arch=arch, name="keep<i>.cu", options=options, cache=cache)
    return old, new


def table_of(page, title):
    (table,) = [part for part in page.parts if part.title == title]
    return table


def test_two_caches_beside_each_other(caches):
    counts = ({"misses.absent": 4}, {"hits.memory": 1, "misses.absent": 3})
    sides = [cache_side(cache)._replace(counts=Stats.of_counts(one)) for cache, one in zip(caches, counts, strict=True)]
    page = compare_page(*sides)
    facts = dict(page.facts)
    assert facts["Images"] == "3 → 3, of which 2 are in both"
    assert facts["Kernels that differ"] == "2 of 2 with machine code in both"
    assert facts["Hit rate"] == "0.0% → 25.0%"
    glance = table_of(page, "Registers by arch")
    assert glance.header == ("Kernel", "sm_80", "sm_90")
    assert [row[0].text for row in glance.rows] == ["keep", "keep (none → --fmad=false)"]
    differing = table_of(page, "Kernels that differ")
    for row in differing.rows:
        old, new = (int(text) for text in row[2].text.split(" (")[0].split(" → "))
        assert new > old
        assert (row[2].tone, row[3].text) == ("bad", "0")
    (served, missed) = table_of(page, "What requests got").rows
    assert [cell.text for cell in served] == ["served by memory", "0", "1", "0.0% → 25.0%"]
    assert (served[3].tone, missed[3].tone) == ("good", "good")
    assert [row[3].text for row in table_of(page, "Only before").rows] == ["sm_75"]
    assert [row[3].text for row in table_of(page, "Only after").rows] == ["sm_100"]
    both = table_of(page, "Images that both have")
    assert [(row[0].text, row[3].text, row[4].text) for row in both.rows] == [
        ("keep<i>.cu", "sm_80", ""),
        ("keep<i>.cu", "sm_90", "none → --fmad=false"),
    ]
    assert "keep<i>.cu" in read(render(page)).text


def test_what_is_the_same_is_not_listed(caches):
    side = cache_side(caches[0])
    page = compare_page(side, side)
    assert dict(page.facts)["Kernels that differ"] == "0 of 3 with machine code in both"
    assert [part.title for part in page.parts if part.title != "What requests got"] == ["Images that both have"]
    assert not any(cell.tone for part in page.parts for row in part.rows for cell in row)
    read(render(page))


def test_a_bundle_beside_a_cache_and_a_cache_that_holds_nothing(caches, tmp_path):
    request = jitload.CompileRequest(SOURCE.replace("COUNT", "4"), kind="cubin", arch="sm_80", name="keep<i>.cu")
    jitload.Bundle.create(tmp_path / "k.jlb", [request], cache=caches[0])
    with Bundle.open(tmp_path / "k.jlb", trust="unsigned") as bundle:
        page = compare_page(bundle_side(bundle), cache_side(caches[1]))
        assert dict(page.facts)["Before"] == f"bundle {tmp_path / 'k.jlb'}"
        assert "Hit rate" not in dict(page.facts)
        assert len(table_of(page, "Kernels that differ").rows) == 1
        empty = compare_page(bundle_side(bundle), cache_side(jitload.Cache(tmp_path / "none")))
    (both,) = table_of(page, "Images that both have").rows
    assert (both[6].text, both[6].tone) == ("", "")  # no time is in a bundle
    assert [part.title for part in empty.parts] == ["Only before"]
    assert [(row[5].text == "", row[6].text) for row in empty.parts[0].rows] == [(False, "")]
    read(render(empty))


@pytest.mark.parametrize(
    ("figures", "options", "text", "tone"),
    [
        ((3, 3), {}, "3", ""),
        ((32, 40), {}, "32 → 40 (+25%)", "bad"),
        ((40, 32), {}, "40 → 32 (-20%)", "good"),
        ((0, 8), {}, "0 → 8", "bad"),
        ((1000, 1010), {"least": 0.05}, "1,000 → 1,010 (+1%)", ""),
        ((0.5, 1.0), {"form": ".0%", "sign": -1}, "50% → 100%", "good"),
        ((1.0, 2.0), {"form": ".1f", "sign": 0}, "1.0 → 2.0 (+100%)", ""),
    ],
)
def test_a_figure_then_and_now(figures, options, text, tone):
    cell = changed(*figures, **options)
    assert (cell.text, cell.tone) == (text, tone)


def profile(path, kernel, conflicts):
    figures = {"inst_executed": 4, "thread_inst_executed": 128, "branches": 0, "divergent_branches": 0, "memory": {}}
    figures |= {"atomics": 0, "bank_conflicts": conflicts}
    row = {"kernel": kernel, "launches": 1, "shapes": [{"grid": [1], "block": [32]}], "lines": [], **figures}
    path.write_text(json.dumps({"schema": 1, "kernels": [row, {**row, "kernel": f"only {path.stem}"}]}))
    return read_profile(path)


@pytest.mark.parametrize("kernel", ["transpose", HOSTILE[0]])
def test_two_profiles_beside_each_other(tmp_path, kernel):
    old, new = (profile(tmp_path / f"{name}.json", kernel, count) for name, count in (("a", 31), ("b", 0)))
    page = compare_profiles_page(old, new, ("a.json", "b.json"))
    assert dict(page.facts) == {
        "Before": "a.json",
        "After": "b.json",
        "Only before": "only a",
        "Only after": "only b",
    }
    (table,) = page.parts
    rows = {row[0].text: row for row in table.rows}
    assert [(cell.text, cell.tone) for cell in rows["Bank conflicts"][1:]] == [
        ("31", ""),
        ("0", ""),
        ("-100.0%", "good"),
    ]
    assert [cell.text for cell in rows["Instructions"]] == ["Instructions", "4", "4", ""]
    assert kernel in read(render(page)).text
