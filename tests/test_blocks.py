"""Every Python block of README and docs runs: here, after what its reader has already, or in the test that is named."""

from __future__ import annotations

import contextlib
import pathlib
import re
import types

import pytest

import jitload
from tests.preambles import GIVEN

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")))

#: Page -> the test that runs its blocks.
ELSEWHERE = {
    "README.md": "tests/test_readme.py",
    "docs/frameworks.md": "tests/interop/test_torch.py",
    "docs/howto/author.md": "tests/test_docs.py",
    "docs/howto/ci.md": "tests/test_docs.py",
    "docs/howto/wheel.md": "tests/test_docs.py",
    "docs/interop.md": "tests/interop/test_cupy.py",
    "docs/modules.md": "tests/interop/test_docs.py",
    "docs/resources.md": "tests/test_readme.py",
    "docs/settings.md": "tests/test_docs.py",
    "docs/start.md": "tests/test_docs.py",
}
#: The scheduler of a page, in whose place comes one that runs here.
DASK = "tcp://scheduler:8786"
#: What a block imports that is not here everywhere.
NEEDED = {"cuda.core": "cuda.core", "distributed": "distributed"}


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)\n```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def test_every_page_with_python_is_run():
    assert [page for page in PAGES if python_blocks(page)] == sorted({**GIVEN, **ELSEWHERE})
    assert not [page for page in PAGES if re.search(r"^ +```python", (ROOT / page).read_text(), re.MULTILINE)]
    for page, test in ELSEWHERE.items():
        assert pathlib.Path(page).name in (ROOT / test).read_text(), f"{test} does not name {page}"
    for page, given in GIVEN.items():
        assert len(given) == len(python_blocks(page)), page
        assert None not in given or page in ELSEWHERE, page


def run(text: str, path: pathlib.Path) -> None:
    path.write_text(text)
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec"), module.__dict__)


CASES = [(page, number) for page, given in GIVEN.items() for number, one in enumerate(given) if one is not None]


@pytest.mark.parametrize(("page", "number"), CASES, ids=[f"{page}-{number}" for page, number in CASES])
def test_a_block_runs(page, number, tmp_path, monkeypatch):
    """After what its reader has; a line that says that it fails is left out."""
    monkeypatch.chdir(tmp_path)
    block = python_blocks(page)[number]
    for imported, package in NEEDED.items():
        if imported in block:
            pytest.importorskip(package, reason=f"{package} is not installed")
    lines = [line for line in block.splitlines() if "# fails here" not in line]
    text = "\n".join([*GIVEN[page][: number + 1], *lines])
    with jitload.Session(), jitload.configure(device="cpu"), contextlib.ExitStack() as running:
        if DASK in text:
            text = text.replace(DASK, running.enter_context(dask_cluster()))
        run(text, tmp_path / "block.py")


@contextlib.contextmanager
def dask_cluster():
    """The address of a scheduler, with a worker in this process."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    with distributed.LocalCluster(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address
