"""The command as a whole: version, help, names, and what it imports."""

import json
import pathlib
import subprocess
import sys

import pytest

import jitload
from jitload.cli.app import COMMANDS

ROOT = pathlib.Path(jitload.__file__).parents[1]


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


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_was_closed_is_one_that_nobody_reads(closed, cache_dir):
    command = f"exec {sys.executable} -m jitload cache ls {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("no entries" in done.stdout) == (">&-" not in closed.split())


@pytest.mark.parametrize("arguments", [["completion", "bash"], ["cache", "ls", "--json"]])
def test_a_full_disk_behind_stdout_is_one_line(arguments, spawn, cache_dir):
    with open("/dev/full", "w") as full:
        done = spawn(*arguments, stdout=full)
    assert (done.returncode, done.stderr) == (1, b"jitload: No space left on device\n")


def test_without_a_command_there_is_help(invoke):
    result = invoke()
    assert result.exit_code in {0, 2}  # the parser changed its mind between versions
    assert "Commands:" in result.output


def test_a_misspelt_command_is_a_usage_error(invoke):
    result = invoke("compil")
    assert result.exit_code == 2
    assert "No such command 'compil'" in result.stderr


def modules_after(*arguments: str) -> set[str]:
    """What a process has imported that ran this command."""
    code = (
        "import sys, json; from jitload.cli.app import app; app(sys.argv[1:], standalone_mode=False);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.splitlines()[-1]))


def test_the_command_line_imports_only_the_command_that_was_called():
    loaded = modules_after("--version")
    assert not loaded & {"numpy", "jitload.cli.compile", "jitload.cli.doctor", "jitload.source.request"}


def test_no_command_waits_for_a_library_of_data_models():
    """typer from 0.29 on loads pydantic for every parameter of a command, which takes as long as all the rest."""
    loaded = modules_after("cache", "ls")
    assert "jitload.cli.cache_ls" in loaded
    assert not [name for name in loaded if name.startswith("pydantic")]


@pytest.mark.parametrize("group", [(), ("cache",), ("bundle",)])
def test_the_sentence_of_every_command_is_a_whole_one(invoke, group):
    listed = invoke(*group, "--help").stdout.split("Commands:")[1].splitlines()[1:]
    assert listed
    for line in listed:
        assert line.endswith("."), line
        assert not line.endswith("..."), line


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["compile", "nowhere.cu", "--json"], 1, "nowhere.cu"),
        (["compile", "bad.cu", "--arch", "sm_90", "--json"], 1, "expected a"),
        (["compile", "bad.cu", "--arch", "sm_nine", "--json"], 1, "sm_nine"),
        (["compile", "--json", "--nope", "bad.cu"], 2, "--nope"),
        (["compile", "--json", "bad.cu", "-o", "x.py"], 2, "Python file"),
        (["cache", "clear", "--json"], 2, "--yes"),
        (["cache", "ls", "--json", "--dir", "nowhere"], 1, "no such directory"),
        (["bundle", "verify", "nowhere.jlb", "--json"], 1, "nowhere.jlb"),
        (["explain", "nowhere.py", "--json"], 1, "nowhere.py"),
        (["nope", "--json"], 2, "nope"),
        (["--nope", "cache", "ls", "--json"], 2, "--nope"),
    ],
)
def test_what_goes_wrong_is_one_json_object_too(arguments, code, said, invoke, workdir):
    """On stdout, where JSON is asked for; the message on stderr and the exit code are as without it."""
    (workdir / "bad.cu").write_text('extern "C" __global__ void f(int *x) { x[0] = 1 }')
    result = invoke(*arguments)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["exit_code"]) == (code, code)
    assert said in told["error"]["message"]
    plain = invoke(*[argument for argument in arguments if argument != "--json"])
    assert (plain.exit_code, plain.stdout) == (code, "")
    if said == "expected a":
        assert told["error"]["type"] == "CompileError"
        assert [one["line"] for one in told["error"]["diagnostics"]] == [1]


@pytest.mark.parametrize("out", [["-o", "-"], ["-o-"], ["--output", "-"], ["--output=-"]])
def test_where_an_image_goes_no_other_bytes_do(out, invoke, workdir):
    (workdir / "bad.cu").write_text("int x = ;\n")
    result = invoke("compile", "bad.cu", "--arch", "sm_90", "--json", *out)
    assert (result.exit_code, result.stdout) == (1, "")
    begin = result.stderr.index("{")
    assert json.loads(result.stderr[begin:])["exit_code"] == 1


def test_json_that_another_program_is_asked_for_is_not_ours(invoke, workdir):
    assert "{" not in invoke("profile", "nowhere.py", "--json").stdout
    assert "{" not in invoke("record", "-o", "missing/x.jlw", "--", "true", "--json").stdout
