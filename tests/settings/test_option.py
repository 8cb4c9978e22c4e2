"""The rows: what each option takes, and how a value is written again."""

from __future__ import annotations

import inspect
import os
import re
import runpy
from pathlib import Path

import pytest

from jitload.config import Config, configure
from jitload.errors import UsageTypeError, UsageValueError
from jitload.settings.check import absolute_path, byte_count, option_text
from jitload.settings.environment import unknown_variables
from jitload.settings.option import OPTIONS

ROOT = Path(__file__).parents[2]
BY_NAME = {option.name: option for option in OPTIONS}


def test_every_field_of_the_settings_is_a_row_and_back():
    assert set(BY_NAME) == set(Config.__slots__) == set(Config.__annotations__)


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
    for options in ("-Iinclude", ["-I", "include"], "--include-path=include"):
        with pytest.raises(UsageValueError, match="compile_options: -I include: the working directory is gone"):
            option_text("compile_options", options)
    assert option_text("compile_options", "-I/include") == "-I /include"


def test_trusted_files_are_settled_like_other_paths_and_keys_are_not_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check = BY_NAME["trust"].check
    assert check("trust", "ed25519:ab, ci.pub") == ("ed25519:ab", str(tmp_path / "ci.pub"))
    assert check("trust", [Path("unsigned.pub")]) == (str(tmp_path / "unsigned.pub"),)
    assert check("trust", "unsigned") == ("unsigned",)


@pytest.mark.parametrize("value", ["unsigned", "ed25519:ab, unsigned", ["unsigned"]])
def test_a_remote_that_must_be_signed_cannot_be_unsigned(value):
    with pytest.raises(UsageValueError, match=r"'unsigned' demands no signature; .* to demand none, leave it out"):
        BY_NAME["remote_trust"].check("remote_trust", value)
    assert BY_NAME["remote_trust"].check("remote_trust", "ed25519:ab,/ci.pub") == ("ed25519:ab", "/ci.pub")


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


def written() -> dict:
    """What .ci/write_stub.py has to say."""
    return runpy.run_path(str(ROOT / ".ci" / "write_stub.py"))


def described_in(docstring):
    """What a docstring says of each name that it lists."""
    text = re.sub(r"\n {8,}", "\n", docstring)  # Python 3.13 takes four of the blanks away
    return dict(re.findall(r"^ *(\w+): (.*)\.$", text, re.MULTILINE))


def test_configure_says_what_the_rows_say():
    """`inspect.signature`, `help`, and an error for anything else."""
    taken = [option for option in OPTIONS if option.takes]
    parameters = inspect.signature(configure).parameters
    assert [(one.name, one.default, one.annotation) for one in parameters.values()] == [
        (option.name, option.default, option.takes) for option in taken
    ]
    assert {one.kind for one in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    texts = {option.name: option.text for option in OPTIONS}
    assert described_in(Config.__doc__).items() >= texts.items()
    listed = described_in(configure.__doc__)
    assert listed.items() >= {option.name: option.text for option in taken}.items()
    assert not listed.keys() & {option.name for option in OPTIONS if not option.takes}
    for option in OPTIONS:
        if not option.takes:
            with pytest.raises(UsageTypeError, match=f"has no option '{option.name}'; it knows bundles"):
                configure(**{option.name: option.default})


def test_type_checkers_read_the_rows():
    """`python .ci/write_stub.py` writes what `configure` and `Session` take, and the tables of settings."""
    stub = ROOT / "jitload" / "settings" / "options.pyi"
    assert stub.read_text() == written()["options_stub"]()


def test_type_checkers_read_the_code_of_the_pages():
    """mypy reads tests/typed as strictly as a user may ask it to; `python .ci/write_stub.py` writes these files there."""
    there = {path.name: path.read_text() for path in (ROOT / "tests" / "typed" / "pages").glob("*.py")}
    assert there == written()["page_code"]()
    pages = [page for page in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")) if "\n```python\n" in page.read_text()]
    assert sorted(there) == sorted(f"{page.stem.lower()}.py" for page in pages), "each page with Python has a file"


@pytest.mark.parametrize("page", ["README.md", "docs/settings.md"])
def test_the_pages_on_settings_have_the_rows(page):
    text = (ROOT / page).read_text()
    assert text == written()["with_table"](text)
    table = text.partition("# Settings")[2].partition("\n\n| ")[2].partition("\n\n")[0]
    for option in OPTIONS:
        assert sum(f"| `{option.variable}` |" in f"| {row}" and option.text in row for row in table.splitlines()) == 1


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_text_is_one_cell_of_a_table_and_one_line_of_a_docstring(option):
    assert not set(option.text) & set("|\n\\")
    assert not option.text.endswith(".")


def test_the_warning_about_variables_goes_by_the_rows(monkeypatch):
    """One letter too many is unknown, and the row that comes nearest is named."""
    for name in [name for name in os.environ if name.startswith("JITLOAD_")]:
        monkeypatch.delenv(name)
    rows = [option.variable for option in OPTIONS if option.variable.startswith("JITLOAD_")]
    for name in rows:
        monkeypatch.setenv(name, "1")
        monkeypatch.setenv(f"{name}X", "1")
    said = unknown_variables()
    assert said.keys() == {f"{name}X" for name in rows}
    assert all(said[f"{name}X"].endswith(f"did you mean {name}?") for name in rows)


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("-Iinclude", "-I {}/include"),
        ("-I include -lineinfo", "-I {}/include -lineinfo"),
        ("--include-path=include", "--include-path {}/include"),
        ("--include-path include", "--include-path {}/include"),
        (["-I include", "-G"], "-I {}/include -G"),
        (["-I=include"], "-I {}/include"),
        ("-I/opt/include -I~/include", "-I /opt/include -I {}/home/include"),
        ("-I 'a b'", "-I '{}/a b'"),
        ("-DX=-Iinclude -lineinfo", "-DX=-Iinclude -lineinfo"),
        ("-Iinclude 'open", "-Iinclude 'open"),
        ("-I", "-I"),
    ],
)
def test_a_directory_among_the_options_for_every_compile_is_settled_when_it_is_read(given, held, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert option_text("compile_options", given) == held.format(tmp_path, tmp_path)
