"""What every test gets: a cache directory of its own, no settings from outside, and warnings that can be seen."""

from __future__ import annotations

import os

import pytest

from jitload import log

#: What CI does not provide, as the marker or the words of the reason; everything else must run there.
MAY_SKIP_IN_CI = ("no NVIDIA GPU", "no GPU", "NVRTC 13", "rustc")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failed one, unless it needs what CI does not have."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr)
        if item.get_closest_marker("gpu") is None and not any(words in reason for words in MAY_SKIP_IN_CI):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI, which provides what this test needs: {reason}"


@pytest.fixture(autouse=True)
def _own_settings(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("JITLOAD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JITLOAD_CACHE_DIR", str(tmp_path / "jitload-cache"))
    monkeypatch.setattr(log, "_said", set())


@pytest.fixture
def cache_dir(tmp_path):
    """The directory of this test's default cache (made at the first write)."""
    return tmp_path / "jitload-cache"
