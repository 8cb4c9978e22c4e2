"""With --json every command gives one document, also where it fails; as text its lines are as wide as COLUMNS says."""

import json
import shutil
import sys

import pytest

import jitload
from jitload.bundles.sign import generate_keys
from jitload.cli.resources import resource_lines, resource_rows

KERNEL = 'extern "C" __global__ void k(int *x) { *x = 1; }'


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """app.jlb and app.jlw of one kernel, ci.key, and two files that are nothing."""
    directory = tmp_path_factory.mktemp("files")
    with jitload.Session(cache_dir=directory / "cache"):
        with jitload.record(directory / "app.jlw"):
            jitload.compile(KERNEL, kind="cubin", arch="sm_80")
        jitload.Bundle.create(directory / "app.jlb", [directory / "app.jlw"])
    generate_keys(directory / "ci.key", "ci")
    (directory / "broken.jlb").write_text("nothing")
    (directory / "taken").write_text("")
    return directory


@pytest.fixture
def bundle(files, workdir):
    """Those files, in the current directory."""
    shutil.copytree(files, workdir, dirs_exist_ok=True)
    with jitload.configure(cache_dir=workdir / "cache"):
        yield


#: Command -> exit code, and the fields of its document.
ANSWERS = {
    "create app.jlw -o new.jlb": (0, "bundle requests kinds archs bytes images"),
    "create none.jlw -o new.jlb": (1, "error exit_code"),
    "create app.jlw": (2, "error exit_code"),
    "merge app.jlb app.jlb -o new.jlb --trust unsigned": (0, "bundle requests kinds archs bytes"),
    "merge app.jlb broken.jlb -o new.jlb --trust unsigned": (1, "error exit_code"),
    "diff app.jlb app.jlb": (0, "removed added changed"),
    "diff app.jlb broken.jlb": (1, "error exit_code"),
    "extract app.jlb -o out --trust unsigned": (0, "bundle directory artifacts workload"),
    "extract app.jlb -o out --trust ci.key.pub": (4, "error exit_code"),
    "extract app.jlb -o taken --trust unsigned": (1, "error exit_code"),
    "sign app.jlb --key ci.key": (0, "bundle signature"),
    "sign app.jlb --key none": (1, "error exit_code"),
    "keygen new.key": (0, "private public public_key key"),
    "keygen ci.key": (1, "error exit_code"),
    "trust ci.key.pub -o trust.json": (0, "file threshold keys revoked"),
    "trust ci.key.pub -o trust.json --threshold 2": (1, "error exit_code"),
    "push app.jlb nowhere": (1, "error exit_code"),
    "pull nowhere -o new.jlb": (1, "error exit_code"),
    "inspect app.jlb": (0, "manifest signatures entries"),
    "verify app.jlb --trust unsigned": (0, "bundle artifacts signed_by"),
    "verify app.jlb --trust ci.key.pub": (4, "error exit_code"),
}


@pytest.mark.usefixtures("needs_nvrtc", "bundle")
@pytest.mark.parametrize("line", ANSWERS)
def test_each_command_about_bundles_answers_in_one_document(line, invoke):
    code, fields = ANSWERS[line]
    result = invoke("bundle", *line.split(), "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, list(document)) == (code, fields.split())
    assert document.get("exit_code", code) == code


@pytest.mark.usefixtures("needs_nvrtc", "bundle")
def test_a_bundle_that_cannot_be_made_says_of_which_image(workdir, invoke):
    (workdir / "bad.cu").write_text("__global__ void k(int *x) { *x = }")
    (workdir / "plan.toml").write_text('archs = ["sm_80"]\n[[program]]\nsources = ["bad.cu"]\n')
    result = invoke("bundle", "create", "plan.toml", "-o", "new.jlb", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["bundle"]) == (1, None)
    assert [(row["outcome"], "expected an expression" in row["error"]) for row in document["images"]] == [
        ("failed", True)
    ]


@pytest.mark.usefixtures("needs_nvrtc", "bundle")
def test_a_bundle_made_again_is_answered_in_one_document(invoke):
    assert json.loads(invoke("repro", "app.jlb", "--workload", "app.jlw", "--json").stdout)["differing"] == []


def test_a_recorded_program_keeps_its_code_and_leaves_stdout_to_the_document(workdir, spawn):
    (workdir / "app.py").write_text("print('its own'); raise SystemExit(3)")
    done = spawn("record", "-o", "app.jlw", "--json", "--", sys.executable, "app.py")
    assert json.loads(done.stdout) == {"workload": "app.jlw", "programs": 0, "new": 0, "requests": 0, "exit_code": 3}
    assert (done.returncode, done.stderr) == (3, b"its own\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-o", "app.jlw", "--json", "--", "no-such-program"], 1),
        (["--json", "--", "true"], 2),
        (["-o", "none/app.jlw", "--json", "true"], 1),
    ],
)
def test_what_cannot_be_recorded_is_told_in_one_document(arguments, code, workdir, invoke):
    result = invoke("record", *arguments)
    assert json.loads(result.stdout)["exit_code"] == result.exit_code == code


def test_options_of_the_recorded_program_are_its_own(workdir, invoke):
    result = invoke("record", "-o", "none/app.jlw", "true", "--json")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.usefixtures("needs_nvrtc")
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_lines_are_no_wider_than_columns_says(columns, invoke, monkeypatch, cache_dir):
    """But for a word that is longer: paths stay whole, to be copied."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("JITLOAD_CACHE_DIR", str(cache_dir))
    artifact = jitload.compile(KERNEL, kind="cubin", arch="sm_90", name="a_program_with_a_long_name.cu")
    shown = [resource_lines([(artifact.name, "", resource_rows(artifact))])]
    shown += [invoke(*command).stdout.splitlines() for command in (["cache", "ls"], ["doctor"])]
    for lines in shown:
        assert lines
        assert not [line for line in lines if len(line) > columns and len(line.split()) > 3]
