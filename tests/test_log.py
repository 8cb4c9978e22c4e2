"""The logger "jitload": quiet, lazy, and once is once."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys

import pytest

from jitload import log


@pytest.fixture(autouse=True)
def _fresh_logger(monkeypatch):
    """The handler that JITLOAD_LOG adds must not outlive a test."""
    logger = logging.getLogger("jitload")
    before = (list(logger.handlers), logger.level)
    yield
    logger.handlers[:], _ = before
    logger.setLevel(before[1])


def test_a_warning_about_one_subject_comes_once(caplog):
    for _ in range(3):
        log.warn_once(("disk", "/a"), "cannot write /a")
    log.warn_once(("disk", "/b"), "cannot write /b")
    assert [record.getMessage() for record in caplog.records] == ["cannot write /a", "cannot write /b"]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_percent_signs_in_a_message_are_text(caplog):
    log.warn("100 % of %s")
    assert caplog.records[0].getMessage() == "100 % of %s"


def test_the_variable_sets_the_level_and_a_change_of_it_is_seen(monkeypatch, capsys):
    monkeypatch.setenv("JITLOAD_LOG", "debug")
    log.debug("compiled in %.1f s", 0.5)
    monkeypatch.setenv("JITLOAD_LOG", "ERROR")
    log.debug("not shown")
    log.warn("not shown either")
    assert capsys.readouterr().err == "jitload DEBUG: compiled in 0.5 s\n"


def test_a_line_goes_to_what_is_stderr_then(monkeypatch):
    monkeypatch.setenv("JITLOAD_LOG", "info")
    for number in range(2):
        with io.StringIO() as stream, contextlib.redirect_stderr(stream):
            log.warn(f"line {number}")
            assert stream.getvalue() == f"jitload WARNING: line {number}\n"


def test_every_line_comes_once(monkeypatch, capsys):
    monkeypatch.setenv("JITLOAD_LOG", "info")
    for number in range(3):
        log.warn(f"line {number}")
    assert capsys.readouterr().err.splitlines() == [f"jitload WARNING: line {number}" for number in range(3)]


def test_a_warning_reaches_stderr_without_any_settings():
    script = "from jitload import log; log.debug('quiet'); log.warn('cache is full')"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr == "cache is full\n"


def test_logging_is_not_imported_for_details_nobody_reads():
    script = "import sys; from jitload import log; log.debug('x'); print('logging' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_a_warning_shows_control_characters_of_names(caplog):
    log.warn("cannot read a\x1b[31m\0b")
    log.warn_once("wild", "cannot read a\x1b[31m\0b")
    assert {record.getMessage() for record in caplog.records} == {r"cannot read a\x1b[31m\x00b"}
