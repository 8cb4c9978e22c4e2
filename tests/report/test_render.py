"""A page is one file that is well formed, asks for nothing, and shows every text as a text."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys

import pytest

import jitload
from jitload.errors import JitloadError
from jitload.report.page import Cell, Column, Columns, Line, Page, Source, Table, cells, filled, timeline
from jitload.report.render import render, write_page
from tests.report.pages import HOSTILE, read


def page_of(text: str) -> Page:
    """A page with every part, in which every text is the same."""
    drawn = timeline(text, [(text, 1.0, 2.0, text, ""), (f"{text} too", 1.5, 3.0, text, "bad")], text)
    assert drawn is not None
    table = Table(text, (text, "Figure"), [[Cell(text, note=text), filled(3, 4, tone="good")], cells(text, None)], text)
    source = Source(text, [text], [Line(1, text, [filled(1, 2, text)]), Line(7, text, cells(""))], text * 20)
    columns = Columns(text, [Column(0, 400, 40, 60, text), Column(500, 400, 10, 0, text)], (text, text), (text, text))
    return Page(text, [(text, text)], [table, source, drawn, columns])


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_is_shown_and_none_is_obeyed(text):
    page = read(render(page_of(text)))
    shown = text.replace("\x1b", "\\u{1b}").replace("\x00", "\\u{0}").replace("\u202e", "\\u{202e}")
    assert page.text.count(shown) > 20


def test_a_text_that_is_no_unicode_is_written_all_the_same(tmp_path):
    write_page(page_of("kernel\udcff"), tmp_path / "page.html")
    assert "kernel\\u{dcff}" in read((tmp_path / "page.html").read_text(encoding="utf-8")).text


def test_drawings_stay_within_their_bounds():
    drawn = timeline("t", [("a", 10.0, 10.0, "at once", ""), ("b", 10.0, 14.0, "long", "")])
    assert drawn is not None
    assert [(span.left, span.width, span.row) for span in drawn.spans] == [(0, 1, 0), (0, 1000, 1)]
    assert drawn.ticks[-1] == (1000, "4 s")
    assert timeline("t", []) is None
    crowded = timeline("t", [("b", 4, 5, "", ""), ("a", 0, 2, "", ""), ("a", 1, 3, "", ""), ("a", 2, 4, "", "")])
    assert crowded is not None
    assert crowded.rows == ["a", "", "b"]
    assert [span.row for span in crowded.spans] == [0, 1, 0, 2]
    assert [filled(value, most).share for value, most in ((5, 4), (-1, 4), (1, 0), (1, 4))] == [1, 0, 0, 0.25]


def test_without_jinja_the_error_says_what_to_install():
    program = "import sys; sys.modules['jinja2'] = None\nfrom jitload.report.render import render\nrender(None)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'jitload[report]'" in done.stderr.splitlines()[-1]
    assert JitloadError.__name__ in done.stderr.splitlines()[-1]


def test_a_page_of_nothing_says_so():
    assert "nothing to show" in read(render(Page("Empty", [], []))).text
    assert jitload.__version__ in read(render(Page("Empty", [], []))).text


def test_a_browser_shows_it_without_a_complaint_on_a_phone_and_on_a_desk(tmp_path):
    """In headless Chromium: nothing on its console, and a picture of the size that was asked for."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    write_page(page_of(HOSTILE[0]), tmp_path / "page.html")
    for width in (400, 1400):
        picture = tmp_path / f"{width}.png"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
        flags += [f"--user-data-dir={tmp_path}/{width}", f"--window-size={width},900", f"--screenshot={picture}"]
        command = [chromium, *flags, (tmp_path / "page.html").as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert "CONSOLE" not in done.stderr
        head = picture.read_bytes()[:24]
        assert struct.unpack(">II", head[16:24]) == (width, 900)


def test_names_in_the_first_column_are_not_broken_into_letters_on_a_phone(tmp_path):
    """As Chromium lays out a page beside more columns than there is room for; 500 pixels are its least without a picture."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    names = ["saxpy", "reduce_kernel", "block_reduce<float, 256>", "_Z24attention_backwardIfLi64ELi128EEvPKT_PS0_ii"]
    rows = [cells(name, "sm_90", "32", "4.0 KiB", "0", "100 %", "12.3 KiB") for name in names]
    header = ("Kernel", "Arch", "Registers", "Shared", "Spills", "Occupancy", "Size")
    page = render(Page("A page", [], [Table("Kernels", header, rows)]))
    script = """<script>
    document.title = [...document.querySelectorAll(".first > span")].map(
        name => Math.round(name.getBoundingClientRect().height / parseFloat(getComputedStyle(name).lineHeight))).join(" ")
        + " of " + document.documentElement.scrollWidth
    </script></main>"""
    policy = re.search(r"<meta http-equiv=.*>", page)
    assert policy is not None  # or the script that measures would not have to be let in
    measured = tmp_path / "measured.html"
    measured.write_text(page.replace(policy[0], "").replace("</main>", script), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/user", "--window-size=500,900"]
    command = [chromium, *flags, "--dump-dom", measured.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search("<title>(.*)</title>", done.stdout)
    assert title is not None
    lines, _, width = title[1].partition(" of ")
    short, name, template, mangled = map(int, lines.split())
    assert (short, name) == (1, 1)
    assert (template <= 2, mangled <= 4, int(width) <= 500) == (True, True, True)
