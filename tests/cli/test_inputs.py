"""Directories, and files of another kind, in the place of what a command reads: it says what to write, and that works."""

import pytest

PLAN = 'archs = ["sm_80"]\n[[program]]\nsources = ["saxpy.cu"]\n'


@pytest.fixture
def kernels(workdir):
    """Directories beside the current one's saxpy.cu: with a source and a plan, with a Python file, and with nothing."""
    for name in ("kernels", "scripts", "empty"):
        (workdir / name).mkdir()
    (workdir / "kernels" / "saxpy.cu").write_text((workdir / "saxpy.cu").read_text())
    (workdir / "scripts" / "app.py").write_text("")
    return workdir


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compile kernels", "kernels: is a directory: write a file in it, such as kernels/saxpy.cu"),
        ("disasm kernels", "kernels: is a directory: write a file in it, such as kernels/saxpy.cu"),
        ("watch kernels", "kernels: is a directory: write a file in it, such as kernels/saxpy.cu"),
        ("precompile kernels -a sm_80", "kernels: is a directory: in its place write kernels/*.cu"),
        ("precompile empty", "empty: is a directory without precompile.toml, *.cu, *.jlw in it: write the name of a file"),
        ("compile empty", "empty: is a directory without *.cu in it: write the name of a file"),
        ("explain scripts", "scripts: is a directory: write a file in it, such as scripts/app.py"),
        ("profile scripts", "scripts: is a directory: write a file in it, such as scripts/app.py"),
        ("bundle create empty -o k.jlb", "empty: is a directory without precompile.toml, *.jlw in it: write the name of a "),
        ("check -w empty -b k.jlb --gpu sm_80", "empty: is a directory: write the name of a file in it"),
        ("report workload empty -o w.html", "empty: is a directory: write the name of a file in it"),
    ],
)  # fmt: skip
def test_a_directory_in_the_place_of_a_file_says_what_to_write(invoke, kernels, line, said):
    result = invoke(*line.split())
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"jitload: {said}")


def test_of_a_directory_with_a_plan_that_is_named_first(invoke, kernels):
    (kernels / "kernels" / "precompile.toml").write_text(PLAN)
    said = invoke("precompile", "kernels").stderr
    assert said == "jitload: kernels: is a directory: in its place write kernels/precompile.toml or kernels/*.cu\n"
    said = invoke("bundle", "create", "kernels", "-o", "k.jlb").stderr
    assert said == "jitload: kernels: is a directory: write a file in it, such as kernels/precompile.toml\n"


def test_a_bundle_of_a_source_says_how_it_is_made_and_so_it_is(invoke, workdir, needs_nvrtc):
    result = invoke("bundle", "create", "saxpy.cu", "-o", "k.jlb", "-a", "sm_80")
    assert (result.exit_code, result.stdout) == (1, "")
    head, first, _, row, tail = result.stderr.split("`")
    assert head == "jitload: saxpy.cu is neither a workload (.jlw) nor a plan (.toml): list it in precompile.toml as "
    assert tail == ", and write precompile.toml here\n"
    (workdir / "precompile.toml").write_text(f"{first}\n{row}\n")
    result = invoke("bundle", "create", "precompile.toml", "-o", "k.jlb", "-a", "sm_80")
    assert result.exit_code == 0, result.stderr
    assert "k.jlb: 1 request, cubin for sm_80" in result.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("app.py", "write jitload record -o app.jlw -- python app.py, and then app.jlw here"),
        ("old.jlb", "bundles are put together by jitload bundle merge"),
        ("notes.txt", "not a workload (line 1"),
    ],
)
def test_a_bundle_of_another_file_says_what_makes_one(invoke, workdir, name, said):
    (workdir / name).write_text("x = 1\n")
    result = invoke("bundle", "create", name, "-o", "k.jlb")
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (workdir / "k.jlb").exists()
