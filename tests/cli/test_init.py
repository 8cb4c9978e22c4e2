"""`jitload init`: what it writes works as it is."""

import subprocess
import sys


def test_the_package_passes_its_test_and_its_bundle_can_be_built(invoke, workdir, monkeypatch):
    result = invoke("init", "fast-ops")
    assert result.exit_code == 0, result.output
    root = workdir / "fast-ops"
    assert all((workdir / line).is_file() for line in result.stdout.splitlines())
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    code = "import sys; sys.path[:0] = ['', 'tests']; import test_fast_ops as t; t.test_scaled()"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=120)
    monkeypatch.chdir(root)
    built = invoke("bundle", "create", "fast_ops/precompile.toml", "-a", "sm_90", "-o", "fast_ops/fast_ops.jlb")
    assert built.exit_code == 0, built.output
    entry = '[project.entry-points."jitload.bundles"]\nfast_ops = "fast_ops:fast_ops.jlb"'
    assert entry in (root / "pyproject.toml").read_text()


def test_a_name_that_no_package_can_have_is_refused(invoke, workdir, monkeypatch):
    (workdir / "1st").mkdir()
    monkeypatch.chdir(workdir / "1st")
    for arguments in (
        ["."],
        [".", "--name", "class-1"],
        *([".", "--name", name] for name in ("class", "numpy", "jitload")),
    ):
        result = invoke("init", *arguments)
        assert result.exit_code == 1
        assert "cannot be the name of a package" in result.stderr
    assert not list((workdir / "1st").iterdir())


def test_nothing_is_written_over(invoke, workdir):
    (workdir / "README.md").write_text("mine")
    result = invoke("init", ".", "--name", "ops")
    assert result.exit_code == 1
    assert "README.md is there already" in result.stderr
    assert (workdir / "README.md").read_text() == "mine"
    assert not (workdir / "pyproject.toml").exists()
