"""What every test gets: a cache directory of its own, no settings from outside, and warnings that can be seen."""

from __future__ import annotations

import gc
import importlib
import os
import pathlib
import re
import subprocess
import sys
import zlib

import hypothesis
import pytest

import jitload
from jitload import log
from jitload.compiler.fatbin import FATBIN_MISSING
from jitload.compiler.toolkit import find_library
from jitload.cuda.driver import missing_gpu
from tests.driver import run as driver_run
from tests.forked import Warm

# The one profile, in force before any test module is imported: no deadlines, since a machine that is shared is now and
# then ten times slower than itself, whatever the code under test does. Stages of .ci/run that try again what others have
# tried do so with fewer examples.
EXAMPLES = int(os.environ.get("JITLOAD_TEST_EXAMPLES", "100"))
hypothesis.settings.register_profile("jitload", deadline=None, max_examples=EXAMPLES)
hypothesis.settings.load_profile("jitload")

# Such stages also run so many rows alone of each table, other ones with each Python and each driver; 0 is all.
ROWS = int(os.environ.get("JITLOAD_TEST_ROWS", "0"))

#: Skipped without these, but where JITLOAD_TEST_FRAMEWORKS says that they are there.
FRAMEWORKS = tuple(f"{name} is not installed" for name in ("cupy", "jax", "torch", "triton"))
MUST_RUN = FRAMEWORKS if os.environ.get("JITLOAD_TEST_FRAMEWORKS") else ()
NO_GPU, ABOUT_NO_GPU = "needs a GPU", "a GPU is here, and this test is about machines without one"
#: What CI does not provide, as the words of the reason; everything else must run there. A stage of it that goes without
#: more says so in JITLOAD_TEST_WITHOUT, in such words, with ";" between them; one has the checking driver's GPUs.
MAY_SKIP_IN_CI: tuple[str, ...] = (
    ABOUT_NO_GPU if os.environ.get("CHECKING_DRIVER") else NO_GPU,
    "NVRTC 13",
    "rustc",
    "need Python 3.12",
    "has a global lock",
)
MAY_SKIP_IN_CI += FRAMEWORKS
MAY_SKIP_IN_CI += tuple(filter(None, os.environ.get("JITLOAD_TEST_WITHOUT", "").split(";")))


#: So many rows of each table of tests in these rooms are measured, where coverage is: the others go through the same code.
#: In the other rooms a row may have a line of its own, as an instruction has in `cpu`: there of each part of a table.
MEASURED_ROWS = 3
SAMPLED_ROOMS = frozenset(
    {"batch", "cli", "cpu/algorithms", "cpu/differential", "cuda", "driver", "images", "kernels", "launch"}
)
UNMEASURED = pytest.StashKey[set]()
_FIRST_WORD = re.compile(r"\w*")


def pytest_addoption(parser):
    parser.addoption("--bounded", action="store_true", help="the slow tests in short: some of each table, fewer rounds")


def pytest_collection_modifyitems(config, items):
    """Keep some rows of each table: with --bounded of the slow ones, and where `ROWS` says so."""
    kept = {*items}
    if config.getoption("--bounded"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        kept -= {*slow}.difference(*(_bounded(rows) for _, rows in _tables(slow)))
    if ROWS:
        salt = f"{sys.version_info[:2]} {'CHECKING_DRIVER' in os.environ}"
        kept &= {item for name, rows in _tables(items) for item in _some(name + salt, rows, ROWS)}
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def _bounded(rows):
    """Two rows of a slow table, or `slow(keep=...)`, 0 where a quick test does the same in short.

    In one file they are of the same builds, each of which is a compile of it.
    """
    return _some(rows[0].path.name, rows, rows[0].get_closest_marker("slow").kwargs.get("keep", 2))


def _tables(items, part_of=lambda item: ""):
    """(name, rows) of each test of these, or of its parts: what differs by its parameters alone are the rows of one table."""
    tables = {}
    for item in items:
        tables.setdefault((item.path, getattr(item, "originalname", item.name), part_of(item)), []).append(item)
    return [(name + part, rows) for (_, name, part), rows in tables.items()]


def _part(item):
    """The part of its table that a row is in: that of the rows whose names begin with the same word."""
    return _FIRST_WORD.match(item.callspec.id)[0] if hasattr(item, "callspec") else ""


def _measured_part(item):
    """The part of its table, of which some rows are measured."""
    rooms = {room.as_posix() for room in item.path.relative_to(pathlib.Path(__file__).parent).parents}
    return "" if rooms & SAMPLED_ROOMS else _part(item)


def _some(name, rows, keep):
    """So many of the rows, evenly from all of them, beginning at another one for each test."""
    keep, start = min(keep, len(rows)), zlib.crc32(name.encode())
    return {rows[(start + number * len(rows) // keep) % len(rows)] for number in range(keep)}


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    """What stands for 16,000 tests lives to the end: no collection of garbage is to walk through it again."""
    measured = [item for item in session.items if not item.get_closest_marker("unmeasured")]
    kept = {item for name, rows in _tables(measured, _measured_part) for item in _some(name, rows, MEASURED_ROWS)}
    session.stash[UNMEASURED] = {*session.items} - kept
    gc.collect()
    gc.freeze()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Where .ci/run measures coverage, most rows of large tables run without: it doubles what they cost."""
    measured = sys.modules["coverage"].Coverage.current() if "coverage" in sys.modules else None
    if measured is None or item not in item.session.stash[UNMEASURED]:
        yield
        return
    measured.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_START", raising=False)  # nor what the test starts
        yield
    measured.start()


def pytest_sessionfinish(session):
    """Keep what .ci/run measures: xdist kills a worker that has not ended ten seconds later, and then it is lost."""
    if hasattr(session.config, "workerinput") and "coverage" in sys.modules:
        measured = sys.modules["coverage"].Coverage.current()
        if measured is not None:
            measured.stop()
            measured.save()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that fails for want of nvFatbin is skipped; in CI a skipped test is a failed one, but for what it lacks."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and FATBIN_MISSING in str(call.excinfo.value) and find_library("nvfatbin") is None:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], "Skipped: nvFatbin is not installed")
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr)
        allowed = any(words in reason for words in MAY_SKIP_IN_CI)
        if any(words in reason for words in MUST_RUN) or (os.environ.get("CI") and not allowed):
            report.outcome = "failed"
            report.longrepr = f"skipped where everything that this test needs is to be there: {reason}"


@pytest.fixture(autouse=True)
def _own_settings(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("JITLOAD_") and "_TEST_" not in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JITLOAD_CACHE_DIR", str(tmp_path / "jitload-cache"))
    monkeypatch.setattr(log, "said", set())
    yield
    # What makes machine code beside this test keeps it in this test's cache, not in the next one's, nor in the user's.
    beside = getattr(sys.modules.get("jitload.cpu.native.background"), "background", None)
    if beside is not None:
        beside.wait(60)


@pytest.fixture(scope="session")
def framework():
    """`framework("torch")`: the module; skips where it is not installed, unless CI says that it installed them all."""

    def load(name):
        try:
            return importlib.import_module(name)
        except ImportError:
            if MUST_RUN:
                raise
            pytest.skip(f"{name} is not installed")

    return load


@pytest.fixture
def bounded(request):
    """`bounded(300, 30)`: the first, or with --bounded the second: rounds, processes, seconds of a slow test."""
    return lambda full, short: short if request.config.getoption("--bounded") else full


@pytest.fixture
def cache_dir(tmp_path):
    """The directory of this test's default cache (made at the first write)."""
    return tmp_path / "jitload-cache"


@pytest.fixture(scope="session")
def checking_driver(tmp_path_factory):
    """A directory with the checking driver of tests/driver as libcuda.so.1."""
    if driver_run.compiler() is None:
        pytest.skip("no C compiler to build the checking driver with")
    pytest.importorskip("cuda.bindings", reason="the driver bindings are not installed")
    directory = tmp_path_factory.mktemp("driver")
    driver_run.build(directory)
    return directory


@pytest.fixture(scope="session")
def warm_driver(checking_driver):
    """A Python that forks for each program, with the checking driver."""
    with Warm(driver_run.environment(checking_driver)) as warm:
        yield warm


@pytest.fixture
def on_driver(checking_driver, warm_driver):
    """`on_driver(program, **scenario)` runs it in a process that has the checking driver; its asserts are the test's."""

    def run(program, *, seconds=120, **scenario):
        done = warm_driver.run(program, driver_run.environment(checking_driver, **scenario), seconds)
        assert done.returncode == 0, done.stderr[-4000:].decode()
        return done.stdout.decode()

    return run


@pytest.fixture
def needs_nvrtc():
    """`needs_nvrtc("12.9")`: skip where an older NVRTC is installed than the one that what is tested came with."""

    def check(least):
        found = _nvrtc_version()
        if [int(part) for part in found.split(".")[:2]] < [int(part) for part in least.split(".")]:
            pytest.skip(f"needs NVRTC {least}, and {found} is installed")

    return check


@pytest.fixture(scope="session")
def needs_gpu():
    """Skip where no GPU is: the checking driver of tests/driver and a real one both have some."""
    if why := missing_gpu():
        pytest.skip(f"{NO_GPU}: {why}")


@pytest.fixture(scope="session")
def needs_no_gpu():
    """Skip where a GPU is: the test is about what a machine without one says and does."""
    if missing_gpu() is None:
        pytest.skip(ABOUT_NO_GPU)


@pytest.fixture
def needs_arch():
    """`needs_arch(120)`: skip where the installed NVRTC does not compile for compute capability 12.0."""

    def check(number):
        from jitload.compiler.nvrtc import supported_archs

        if number not in supported_archs():
            pytest.skip(f"NVRTC {_nvrtc_version()} does not compile for compute_{number}")

    return check


def _nvrtc_version():
    from jitload.compiler import toolkit

    return toolkit.nvrtc_version(toolkit.find_nvrtc())


@pytest.fixture(scope="session")
def python_without_nvrtc(tmp_path_factory):
    """A Python whose site directory holds everything that this one's does, but NVIDIA's libraries and the bindings."""
    site = tmp_path_factory.mktemp("site")
    for source in [pathlib.Path(path) for path in sys.path if path.endswith("site-packages")]:
        for entry in source.iterdir():
            if not entry.name.startswith(("nvidia", "cuda")) and not (site / entry.name).exists():
                (site / entry.name).symlink_to(entry)

    repository = pathlib.Path(jitload.__file__).parent.parent

    def run(code: str, cache_dir: pathlib.Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(cache_dir),
            "PYTHONPATH": f"{repository}{os.pathsep}{site}",
            "JITLOAD_CACHE_DIR": str(cache_dir),
            "JITLOAD_DEVICE": "cpu",
            **variables,
        }
        command = [sys.executable, "-S", "-c", code, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    return run
