"""Tables of HTML for notebooks: escaped, bounded, with numbers at their right."""

from __future__ import annotations

import pytest

from jitload.notebook import MAX_ROWS, escaped, html_table, shown
from tests.report.pages import HOSTILE, read


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_is_escaped(text):
    page = read(html_table(text, (text,), [(text,)], text))
    assert {tag for tag, _ in page.elements} <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "pre"}
    assert page.text.count(shown(text)) == 4


def test_numbers_are_grouped_and_nothing_is_an_empty_cell():
    text = html_table("t", (), [(1234567, 0.123456, None, True)])
    assert "1,234,567" in text
    assert "0.1235" in text
    assert ">True<" in text
    assert "None" not in text


def test_a_long_table_ends_with_how_much_is_left_out():
    page = read(html_table("t", ("n",), [(number,) for number in range(MAX_ROWS + 5)]))
    assert [tag for tag, _ in page.elements].count("tr") == MAX_ROWS + 1
    assert "5 more rows" in page.text


def test_what_does_not_print_is_shown_by_its_number():
    assert escaped("a\x07\u202e<\n") == "a\\u{7}\\u{202e}&lt;\n"
