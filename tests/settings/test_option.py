"""The rows: what each option takes, and how a value is written again."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from jitload import config
from jitload.config import Config, configure
from jitload.errors import UsageValueError
from jitload.settings.option import OPTIONS, absolute_path, byte_count

BY_NAME = {option.name: option for option in OPTIONS}


def test_every_field_of_the_settings_is_a_row_and_back():
    assert set(BY_NAME) == set(Config.__slots__)


def test_no_two_rows_share_a_variable():
    assert len({option.variable for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("0", 0),
        ("512", 512),
        (" 4096 ", 4096),
        ("1k", 1 << 10),
        ("2G", 2 << 30),
        ("2 GiB", 2 << 30),
        ("3KB", 3072),
        ("100B", 100),
        ("1.5M", 3 << 19),
        (".5K", 512),
        ("1T", 1 << 40),
        (7, 7),
    ],
)
def test_a_size_is_a_number_of_bytes_or_one_with_a_unit(value, count):
    assert byte_count("x", value) == count


@pytest.mark.parametrize(
    "value",
    [
        "",
        "much",
        "-1",
        "G",
        "1X",
        "1e3",
        "1_000",
        "nan",
        "inf",
        "2GG",
        "1.5",
        "1.5.5K",
        "٣",
        "9" * 400,
        -1,
        1.5,
        True,
        None,
    ],
)
def test_what_is_no_size_is_refused_by_its_name(value):
    with pytest.raises(UsageValueError, match=r"bound=.* is not a number of bytes; expected .*2G"):
        byte_count("bound", value)


def test_a_path_is_settled_when_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert absolute_path("x", "a/../b") == str(tmp_path / "b")
    assert absolute_path("x", Path("b")) == str(tmp_path / "b")
    assert absolute_path("x", "~/b") == str(tmp_path / "b")
    assert absolute_path("x", None) is None


def test_a_home_that_nobody_knows_is_refused_rather_than_made_a_directory_of_that_name():
    with pytest.raises(UsageValueError, match=r"no home is known for '~nobody-of-that-name'.*absolute"):
        absolute_path("cache_dir", "~nobody-of-that-name/kernels")


def test_a_relative_path_in_a_directory_that_is_gone_is_refused(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageValueError, match="working directory is gone"):
        absolute_path("cache_dir", "kernels")
    assert absolute_path("cache_dir", "/kernels") == "/kernels"


def test_trusted_files_are_settled_like_other_paths_and_keys_are_not_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check = BY_NAME["trust"].check
    assert check("trust", "ed25519:ab, ci.pub") == ("ed25519:ab", str(tmp_path / "ci.pub"))
    assert check("trust", [Path("unsigned.pub")]) == (str(tmp_path / "unsigned.pub"),)
    assert check("trust", "unsigned") == ("unsigned",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bundles", "/a.jlb:/b c.jlb"),
        ("read_only_dirs", "/a:/b"),
        ("trust", "ed25519:ab,/ci.pub"),
        ("cpu_check", "memory,race"),
        ("offline", "1"),
        ("sync", "0"),
        ("device", "cpu"),
        ("cache_max_bytes", "4096"),
        ("record", "/w.jlw"),
        ("log", "INFO"),
    ],
)
def test_a_value_is_written_as_it_is_read(name, text):
    option = BY_NAME[name]
    value = option.check(option.variable, text)
    assert option.written(value) == text
    assert option.check(option.variable, option.written(value)) == value


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_what_is_not_set_is_written_as_nothing_or_as_its_default(option):
    text = option.written(option.default)
    assert text == "" or option.check(option.variable, text) == option.default


def names_in(section, docstring):
    """The names that a section of a docstring describes."""
    text = docstring.partition(f"{section}:\n")[2].partition("\n\n")[0]
    return set(re.findall(r"^ {8}(\w+):", text, re.MULTILINE))


def test_what_is_written_about_options_is_about_the_rows():
    """Type checkers, docstrings and the README know those that there are, and no other."""
    taken = {option.name for option in OPTIONS if option.in_configure}
    source = ast.parse(Path(config.__file__).read_text())
    (listed,) = (node for node in ast.walk(source) if isinstance(node, ast.ClassDef) and node.name == "Options")
    assert {line.target.id for line in listed.body if isinstance(line, ast.AnnAssign)} == taken
    assert names_in("Args", configure.__doc__) == taken
    assert names_in("Attributes", Config.__doc__) == set(BY_NAME)
    readme = (Path(__file__).parents[2] / "README.md").read_text().partition("## Settings")[2]
    rows = " ".join(line.split("|")[1] for line in readme.splitlines() if line.startswith("| `"))
    variables = {option.variable for option in OPTIONS if option.variable.startswith("JITLOAD_")}
    assert set(re.findall(r"`(\w+)`", rows)) == variables
