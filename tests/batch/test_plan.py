"""precompile.toml: what it says is compiled, and what it cannot mean is told with its place."""

from __future__ import annotations

import pathlib

import pytest

from jitload.batch.plan import Plan

ROOT = pathlib.Path(__file__).parents[2]

PLAN = """
archs = ["sm_80", "compute_75"]
defines = { N = 4, DEBUG = true, T = "float" }

[[program]]
sources = ["*.cu", "deep/**/*.cu"]
exclude = ["b*.cu"]

[[program]]
sources = ["b.cu"]
archs = ["sm_90"]
kinds = ["cubin", "fatbin"]
names = ["b<int>"]
defines = {}
options = ["-lineinfo"]
include_dirs = ["include"]
"""


@pytest.fixture
def write(tmp_path):
    for name in ("a.cu", "b.cu", "deep/er/c.cu"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("__global__ void k() {}\n")

    def written(text):
        (tmp_path / "precompile.toml").write_text(text, encoding="utf-8")
        return tmp_path / "precompile.toml"

    return written


def test_a_byte_order_mark_is_read_over(write):
    assert Plan.read(write(f"\ufeff{PLAN}")).requests() == Plan.read(write(PLAN)).requests()


def described(requests):
    return [(request.name, request.kind.value, request.arch) for request in requests]


def test_programs_archs_and_kinds(write, monkeypatch):
    path = write(PLAN)
    monkeypatch.chdir("/")  # everything is from the directory of the file
    requests = Plan.read(path).requests()
    assert described(requests) == [
        *(
            (name, kind, arch)
            for name in ("a.cu", "c.cu")
            for kind, arch in (("cubin", "sm_80"), ("ptx", "compute_75"))
        ),
        ("b.cu", "cubin", "sm_90"),
        ("b.cu", "fatbin", "sm_90"),
    ]
    assert dict(requests[0].defines) == {"N": "4", "DEBUG": "1", "T": "float"}
    last = requests[-1]
    assert (last.names, last.options, last.defines) == (("b<int>",), ("--generate-line-info",), ())
    assert last.include_dirs == (str(path.parent / "include"),)


def test_archs_and_kinds_of_the_caller_come_first(write):
    plan = Plan.read(write(PLAN))
    assert described(plan.requests(["sm_100"], ["ptx"])) == [
        (name, "ptx", "sm_100") for name in ("a.cu", "c.cu", "b.cu")
    ]
    assert described(plan.requests(["sm_100"]))[-2:] == [("b.cu", "cubin", "sm_100"), ("b.cu", "fatbin", "sm_100")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kernels = 3", "unknown key 'kernels' at the top: expected one of archs, "),
        ('arch = ["sm_80"]', "unknown key 'arch' at the top: did you mean 'archs'"),
        ('[[programs]]\nsources = ["a.cu"]', "unknown key 'programs' at the top: did you mean 'program'"),
        (
            '[[program]]\nsources = ["a.cu"]\n[[program]]\nsource = ["a.cu"]',
            r"'source' in \[\[program\]\] 2: .*'sources'",
        ),
        ('[[program]]\nsources = ["a.cu"]\nzzzz = 1', "expected one of archs, defines, exclude"),
        ('names = ["k"]\n[[program]]\nsources = ["a.cu"]', "unknown key 'names' at the top"),
        ('archs = "sm_80"', r"'archs' at the top is a list of text, got 'sm_80': write \['sm_80'\]"),
        ('archs = ["volta"]', "'archs' at the top: unknown arch 'volta'"),
        ('kinds = ["exe"]', "'kinds' at the top: unknown kind 'exe'"),
        ("defines = { N = [1] }", "'defines' at the top is a table"),
        ("archs = [", "at end of document"),
        ("a = 1\nb = = 2", "line 2"),
        ('archs = ["sm_80"]', "names no program"),
        ('[program]\nsources = ["a.cu"]', r"write \[\[program\]\]"),
        ("program = [1]", "program is a table"),
        ("[[program]]", r"no sources in \[\[program\]\] 1"),
        ('[[program]]\nsources = ["z*.cu"]', "'z\\*.cu' in .* 1: no such file in /"),
        ('[[program]]\nsources = ["absent.cu"]', "'absent.cu' in .* 1: no such file"),
        (
            '[[program]]\nsources = ["b.cu"]\n[[program]]\nsources = ["a.cu"]\nexclude = ["*.cu"]',
            r"'exclude' in \[\[program\]\] 2 leaves none of its sources",
        ),
        ('[[program]]\nsources = ["a.cu"]\nexclude = ["x.cu"]', "'x.cu' in .* 1: no such file"),
    ],
)
def test_what_it_cannot_mean_is_told(write, text, words):
    with pytest.raises(ValueError, match=words) as caught:
        Plan.read(write(text))
    assert "precompile.toml: " in str(caught.value)


def test_what_only_the_archs_tell(write):
    plan = Plan.read(write('[[program]]\nsources = ["a.cu"]\nkinds = ["cubin"]'))
    with pytest.raises(ValueError, match=r"no archs for a\.cu: add e\.g\. archs = \['sm_90'\]"):
        plan.requests()
    with pytest.raises(ValueError, match=r"a\.cu: kind 'cubin' is for sm_"):
        plan.requests(["compute_80"])
    broken = Plan.read(write('archs = ["sm_80"]\n[[program]]\nsources = ["a.cu"]\noptions = ["-arch=sm_90"]'))
    with pytest.raises(ValueError, match=r"precompile\.toml: a\.cu: "):
        broken.requests()


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "p.toml").write_bytes(b'archs = ["\xff"]')
    with pytest.raises(ValueError, match="utf-8"):
        Plan.read(tmp_path / "p.toml")
    with pytest.raises(FileNotFoundError):
        Plan.read(tmp_path / "absent.toml")


def test_the_plan_of_our_kernels_has_every_kernel_with_its_instances():
    from tests.kernels.cases import NAMES

    plan = Plan.read(ROOT / "kernels" / "precompile.toml")
    found = {source.name: tuple(fields.get("names", ())) for source, fields in plan.programs}
    templates = {file: names for file, names in NAMES.items() if "<" in "".join(names)}
    assert found.keys() == NAMES.keys()
    assert {file: names for file, names in found.items() if names} == templates
    assert len(plan.requests()) == 5 * len(NAMES)
