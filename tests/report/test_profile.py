"""The page of a profile: figures over the source, and files of others as data."""

from __future__ import annotations

import json

import numpy as np
import pytest

import jitload
from jitload.errors import UsageValueError
from jitload.report.page import Source
from jitload.report.profile import profile_page, read_profile
from jitload.report.render import render
from tests.report.pages import HOSTILE, read

KERNEL = """extern "C" __global__ void shuffle(const float *x, float *y, int n)
{
    __shared__ float tile[32][32];
    int i = threadIdx.x;
    tile[i % 32][i / 32] = x[i];
    __syncthreads();
    if (i % 2) y[i] = tile[i / 32][i % 32];
}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A profile as it is written, and its kernel's source beside it."""
    directory = tmp_path_factory.mktemp("profile")
    (directory / "shuffle.cu").write_text(KERNEL)
    x = np.arange(1024, dtype=np.float32)
    cache = jitload.Cache(directory / "cache")
    artifact = jitload.compile(
        directory / "shuffle.cu", kind="ptx", arch="compute_75", options="-lineinfo", cache=cache
    )
    with jitload.configure(device="cpu"):
        loaded = artifact.load()["shuffle"]
        profile = jitload.cpu_profile(loaded, x, np.zeros_like(x), 1024, grid=1, block=1024)
    (directory / "profile.json").write_text(profile.to_json())
    return directory


def source_of(page) -> Source:
    (source,) = [part for part in page.parts if isinstance(part, Source)]
    return source


def test_figures_stand_beside_the_lines_that_they_are_of(written):
    kernels = read_profile(written / "profile.json")
    source = source_of(profile_page(kernels, "profile.json", [written]))
    lines = {line.number: dict(zip(source.header, line.cells, strict=True)) for line in source.lines}
    texts = {line.number: line.text for line in source.lines}
    assert texts[5] == KERNEL.splitlines()[4]
    assert lines[5]["Conflicts"].share == 1.0
    assert lines[5]["Sectors per request"].text == "4.00"
    assert lines[7]["Divergent"].text == "32 of 32"
    assert "Atomics" not in source.header, "no line has any"
    assert "32 wavefronts" not in read(render(profile_page(kernels, "profile.json", [written]))).text


@pytest.mark.parametrize("places", [[], ["profile.json"], ["cache"]])
def test_a_source_is_looked_for_where_the_user_says_and_nowhere_else(written, places):
    kernels = read_profile(written / "profile.json")
    page = profile_page(kernels, "p", [written / place for place in places])
    assert not any(line.text for line in source_of(page).lines)
    shown = read(render(page))
    assert "of shuffle.cu: name its file or its directory by --source" in shown.texts, "where it is seen at once"
    assert "Source" not in shown.texts, "no column of nothing"


def test_a_page_with_the_source_says_nothing_of_a_missing_one(written):
    shown = read(render(profile_page(read_profile(written / "profile.json"), "p", [written])))
    assert "Source" in shown.texts
    assert "--source" not in shown.text


def test_a_path_in_a_profile_is_not_followed(written, tmp_path):
    """A profile of others could name any file; what is shown to people is a source that they have named."""
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret\n" * 9)
    text = (written / "profile.json").read_text()
    for name in (str(secret), "../secret.txt", "secret.txt", str(tmp_path / "secret.cu")):
        (tmp_path / "profile.json").write_text(text.replace('"shuffle.cu:', f'"{name}:'))
        page = profile_page(read_profile(tmp_path / "profile.json"), "p", [tmp_path])
        assert "the secret" not in render(page)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_kernel_is_a_text(written, tmp_path, text):
    profile = json.loads((written / "profile.json").read_text())
    profile["kernels"][0]["kernel"] = text
    for line in profile["kernels"][0]["lines"]:
        line["line"] = f"{text}:{line['line'].rpartition(':')[2]}"
    (tmp_path / "p.json").write_text(json.dumps(profile))
    read(render(profile_page(read_profile(tmp_path / "p.json"), text)))


@pytest.mark.parametrize(
    "change",
    [
        lambda profile: profile.pop("kernels"),
        lambda profile: profile["kernels"][0].pop("memory"),
        lambda profile: profile["kernels"][0].update(inst_executed=-1),
        lambda profile: profile["kernels"][0].update(atomics=1e999),
        lambda profile: profile["kernels"][0].update(launches=True),
        lambda profile: profile["kernels"][0].update(shapes=[{}]),
        lambda profile: profile["kernels"][0]["lines"][0].update(line="no number"),
        lambda profile: profile["kernels"][0]["lines"].append(7),
        lambda profile: profile.update(kernels=7),
        lambda profile: profile.update(schema=2),
    ],
)
def test_what_is_no_profile_is_refused_by_its_name(written, tmp_path, change):
    profile = json.loads((written / "profile.json").read_text())
    change(profile)
    (tmp_path / "p.json").write_text(json.dumps(profile))
    with pytest.raises(UsageValueError, match=r"p\.json is no profile, as `jitload profile -o` writes it: "):
        read_profile(tmp_path / "p.json")


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"kernels": [[]]}'])
def test_what_is_no_json_is_refused_too(tmp_path, data):
    (tmp_path / "p.json").write_bytes(data)
    with pytest.raises(UsageValueError, match="is no profile"):
        read_profile(tmp_path / "p.json")


def test_an_empty_profile_has_a_page(tmp_path):
    (tmp_path / "p.json").write_text('{"schema": 1, "kernels": []}')
    assert "none ran" in read(render(profile_page(read_profile(tmp_path / "p.json"), "p"))).text
