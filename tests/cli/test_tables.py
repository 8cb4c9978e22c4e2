"""Sizes, times and tables as people read and write them."""

import pytest
import typer

from jitload.cli.tables import format_bytes, format_time, parse_bytes, table, wrapped


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (2 * 1024**3, "2.0 GiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_sizes_are_shown_in_the_unit_that_fits(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("512", 512), ("1k", 1024), ("2G", 2 << 30), ("1.5 MiB", 3 << 19), ("3KB", 3072), ("100B", 100)],
)
def test_sizes_are_read_as_people_write_them(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "much", "-1", "G", "1X", "1e400", "nan", "inf", "2GG"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is not a size"):
        parse_bytes(text)


def test_columns_are_aligned_and_nothing_reaches_the_terminal_raw():
    lines = table(("NAME", "BYTES"), [("a\x1b[2J\n", "1"), ("long name", "1000")], right={"BYTES"})
    assert lines == [
        r"NAME        BYTES",
        r"a\x1b[2J\n      1",
        r"long name    1000",
    ]


def test_a_time_that_no_calendar_has_is_no_failure():
    assert format_time(0).startswith(("1970-01-01", "1969-12-31"))
    assert format_time(1e30) == "?"


HEADER = ("KEY", "NAME", "KERNELS", "BYTES")
ROWS = [
    ("0123456789ab", "a_program_with_a_long_name.cu", "scale<float, 256>, scale<double, 256>", "123456"),
    ("b",) * 4,
]


@pytest.mark.parametrize("columns", [36, 60, 80])
def test_a_table_is_no_wider_than_columns_says(columns, monkeypatch):
    """The widest columns are cut; what stands at the right of its column, such as a number, never is."""
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = table(HEADER, ROWS, right={"BYTES"}, spare=("KEY",))
    assert max(map(len, lines)) <= columns
    assert lines[1].endswith("123456")
    assert "..." in lines[1]
    assert ("KEY" in lines[0]) == (columns > 48)


def test_a_table_in_a_pipe_is_as_wide_as_it_is():
    lines = table(HEADER, ROWS, right={"BYTES"}, spare=("KEY",))
    assert ROWS[0][1] in lines[1]
    assert ROWS[0][2] in lines[1]


def test_no_column_is_cut_to_nothing(monkeypatch):
    monkeypatch.setenv("COLUMNS", "5")
    assert table(("NAME",), [("a_program_with_a_long_name",)])[1] == "a_program..."


@pytest.mark.parametrize("margin", [0, 10])
def test_a_comment_that_does_not_fit_gets_lines_of_its_own(margin, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = wrapped("NAME=value  # what it is, in more words than one line has room for", margin)
    assert lines[0] == "NAME=value"
    assert all(line.startswith("  # ") and len(line) <= 40 - margin for line in lines[1:])
    assert wrapped("short  # one", margin) == ["short  # one"]
