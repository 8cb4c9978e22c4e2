"""Scripts that complete the command line, sourced by the shells that are there."""

import re
import shutil
import subprocess

import pytest

from jitload.cli.app import COMMANDS

BASH = """
source ./script
for line in "$@"; do
  IFS=/ read -ra COMP_WORDS <<<"$line"
  [ "${line: -1}" != / ] || COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _jitload
  echo "${COMPREPLY[*]}"
done
"""
LINES = {
    "jitload/prec": "precompile",
    "jitload/cache/": "ls stats verify gc clear rebuild merge push pull explain",
    "jitload/cache/ls/--s": "--sort",
    "jitload/compile/--kind/": "cubin ptx ltoir fatbin",
    "jitload/compile/saxpy.cu/-k/c": "cubin",
    "jitload/compile/--res": "--resources",
    "jitload/completion/": "bash zsh fish",
    "jitload/compile/-o/comp": "",
    "jitload/compile/sax": "",
}


@pytest.fixture
def script(invoke, tmp_path):
    def write(shell):
        result = invoke("completion", shell)
        assert result.exit_code == 0, result.output
        (tmp_path / "script").write_text(result.stdout)
        return result.stdout

    return write


def test_bash_completes_commands_options_and_their_words(script, tmp_path):
    """Sourced by bash itself; where nothing is known, bash goes on to files."""
    text = script("bash")
    done = subprocess.run(
        ["bash", "-eu", "-c", BASH, "bash", *LINES], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert dict(zip(LINES, done.stdout.splitlines(), strict=True)) == LINES
    assert "complete -o bashdefault -o default -F _jitload jitload" in text


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_know_every_command(shell, script, tmp_path):
    """Where the shell is here, it finds no fault with the script."""
    text = script(shell)
    assert all(re.search(rf"\b{name}\b", text) for name in COMMANDS)
    if shutil.which(shell):
        subprocess.run([shell, "-n", "script"], cwd=tmp_path, check=True, timeout=60)


def test_a_shell_that_there_is_none_for_is_a_usage_error(invoke):
    assert invoke("completion", "tcsh").exit_code == 2
