"""The command as a whole: version, help, names, and what it imports."""

import json
import subprocess
import sys

import pytest

import jitload
from jitload.cli.app import COMMANDS


@pytest.mark.parametrize("flags", [["-m", "jitload"], ["-c", "from jitload.cli import main; main()"]])
def test_version(flags):
    result = subprocess.run([sys.executable, *flags, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"jitload {jitload.__version__}\n"


def test_help_names_every_command_with_a_sentence(invoke):
    lines = invoke("--help").stdout.splitlines()
    for name in COMMANDS:
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert len(line.split()) > 4
        assert not line.endswith("...")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_every_option_explained(invoke, command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: jitload {command}")


def test_without_a_command_there_is_help(invoke):
    result = invoke()
    assert result.exit_code in {0, 2}  # the parser changed its mind between versions
    assert "Commands:" in result.output


def test_a_misspelt_command_is_a_usage_error(invoke):
    result = invoke("compil")
    assert result.exit_code == 2
    assert "No such command 'compil'" in result.stderr


def test_the_command_line_imports_only_the_command_that_was_called():
    code = (
        "import sys, json; from jitload.cli.app import app; app(['--version'], standalone_mode=False);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(json.loads(output.splitlines()[-1]))
    assert not loaded & {"numpy", "jitload.cli.compile", "jitload.cli.doctor", "jitload.source.request"}


@pytest.mark.parametrize("group", [(), ("cache",), ("bundle",)])
def test_the_sentence_of_every_command_is_a_whole_one(invoke, group):
    listed = invoke(*group, "--help").stdout.split("Commands:")[1].splitlines()[1:]
    assert listed
    for line in listed:
        assert line.endswith("."), line
        assert not line.endswith("..."), line
