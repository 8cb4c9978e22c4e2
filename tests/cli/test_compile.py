"""`jitload compile`: images that are what they say, messages that help, and files that are whole."""

import json
import os
import re
import stat

import pytest

import jitload
from jitload.images.check import verify_image

pytestmark = pytest.mark.usefixtures("needs_nvrtc", "workdir")

BROKEN = """extern "C" __global__ void broken(float (*rows)[4])
{
    rows[0][1] = undefined[2];
}
"""


@pytest.mark.parametrize("kind", ["cubin", "ptx", "ltoir", "fatbin"])
def test_every_kind_is_written_and_verifies(invoke, workdir, kind):
    result = invoke("compile", "saxpy.cu", "--arch", "sm_90", "--kind", kind)
    assert result.exit_code == 0, result.stderr
    verify_image(kind, (workdir / f"saxpy.{kind}").read_bytes())
    assert sorted(path.name for path in workdir.iterdir()) == ["saxpy.cu", f"saxpy.{kind}"]
    line = rf"saxpy\.{kind}: {kind} for sm_90, [0-9]+ bytes, 1 kernel \(saxpy\), compiled in [0-9.]+ s\n"
    assert re.fullmatch(line, result.stdout)


def test_the_file_holds_what_the_library_gives(invoke, workdir):
    invoke("compile", "saxpy.cu", "--arch", "sm_80", "-o", "there.cubin")
    artifact = jitload.compile(workdir / "saxpy.cu", arch="sm_80")
    assert (workdir / "there.cubin").read_bytes() == artifact.data


def test_what_was_compiled_before_comes_from_the_cache(spawn):
    first = spawn("compile", "saxpy.cu", "--arch", "sm_90")
    second = spawn("compile", "saxpy.cu", "--arch", "sm_90")
    assert b"compiled in" in first.stdout
    assert b"from the disk cache in" in second.stdout


@pytest.mark.parametrize(
    ("arguments", "name", "kind"),
    [
        (["--arch", "sm_90"], "saxpy.cubin", "cubin"),
        (["--arch", "compute_90"], "saxpy.ptx", "ptx"),
        (["--arch", "sm_90,compute_90"], "saxpy.fatbin", "fatbin"),
        (["--arch", "sm_90", "-o", "x.ptx"], "x.ptx", "ptx"),
        (["--arch", "9.0", "-o", "noun"], "noun", "cubin"),
    ],
)
def test_the_kind_follows_from_arch_and_name(invoke, workdir, arguments, name, kind):
    assert invoke("compile", "saxpy.cu", *arguments).exit_code == 0
    verify_image(kind, (workdir / name).read_bytes())


def test_several_archs_make_one_file_each(invoke, workdir):
    result = invoke("compile", "saxpy.cu", "--arch", "sm_80,sm_90", "--arch", "sm_80", "--kind", "cubin")
    assert result.exit_code == 0
    for arch in ("sm_80", "sm_90"):
        verify_image("cubin", (workdir / f"saxpy.{arch}.cubin").read_bytes(), arch)
    assert len(result.stdout.splitlines()) == 2


def test_the_arch_goes_where_the_name_says(invoke, workdir):
    assert invoke("compile", "saxpy.cu", "-a", "sm_80,sm_90", "-o", "k-{arch}.ptx").exit_code == 0
    assert {path.name for path in workdir.glob("*.ptx")} == {"k-sm_80.ptx", "k-sm_90.ptx"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-a", "sm_80,sm_90", "-k", "cubin", "-o", "x.cubin"], "write {arch} in its name"),
        (["-a", "sm_80,sm_90", "-k", "ptx", "-o", "-"], "--kind fatbin"),
        (["-a", "sm_90", "-k", "cubin", "-o", "x.ptx"], "--kind ptx"),
        (["-a", "sm_90", "-k", "elf"], "'cubin', 'ptx', 'ltoir', 'fatbin'"),
        (["--fast"], "--fast"),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_right_one(invoke, workdir, arguments, words):
    result = invoke("compile", "saxpy.cu", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert [path.name for path in workdir.iterdir()] == ["saxpy.cu"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["saxpy.cu", "-a", "compute_90", "-k", "cubin"], "sm_90"),
        (["saxpy.cu", "-a", "volta"], "sm_90"),
        (["saxpy.cu", "-a", "sm_90", "--option=-arch=sm_80"], "write --arch sm_90 instead"),
        (["saxpy.cu", "-a", "sm_90", "-D", "1X"], "'1X'"),
        (["absent.cu", "-a", "sm_90"], "absent.cu: No such file or directory"),
        (["saxpy.cu", "-a", "sm_90", "-o", "absent/x.cubin"], "absent: no such directory"),
        (["saxpy.cu", "-a", "sm_90", "-o", "."], "is a directory"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(invoke, workdir, arguments, words):
    result = invoke("compile", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("jitload: ")
    assert words in result.stderr
    assert [path.name for path in workdir.iterdir()] == ["saxpy.cu"]


def test_a_compile_error_shows_line_and_caret_as_the_compiler_drew_them(spawn, workdir):
    source = workdir / "broken.cu"
    source.write_text(BROKEN)
    result = spawn("compile", "broken.cu", "--arch", "sm_90", "-o", "broken.cubin")
    lines = result.stderr.decode().splitlines()
    assert result.returncode == 1
    assert result.stdout == b""
    assert f'{source}(3): error: identifier "undefined" is undefined' in lines
    caret = next(line for line in lines if line.strip() == "^")
    code = lines[lines.index(caret) - 1]
    assert code.endswith("rows[0][1] = undefined[2];")
    assert code[caret.index("^") :].startswith("undefined")
    assert "Traceback" not in result.stderr.decode()
    assert not (workdir / "broken.cubin").exists()


def test_nothing_is_written_when_one_arch_fails(invoke, workdir):
    (workdir / "new.cu").write_text("#if __CUDA_ARCH__ < 900\n#error too old\n#endif\n")
    assert invoke("compile", "new.cu", "-a", "sm_90,sm_80", "-k", "cubin").exit_code == 1
    assert not list(workdir.glob("*.cubin"))


def test_an_old_file_survives_a_failure(invoke, workdir):
    (workdir / "broken.cu").write_text(BROKEN)
    (workdir / "broken.cubin").write_bytes(b"old")
    assert invoke("compile", "broken.cu", "-a", "sm_90").exit_code == 1
    assert (workdir / "broken.cubin").read_bytes() == b"old"


def test_stdout_gets_the_image_and_nothing_else(spawn):
    result = spawn("compile", "saxpy.cu", "--arch", "sm_90", "-o", "-")
    assert result.returncode == 0
    verify_image("cubin", result.stdout, "sm_90")
    assert result.stderr.startswith(b"stdout: cubin for sm_90")


def test_a_jle_is_an_artifact(invoke, workdir):
    assert invoke("compile", "saxpy.cu", "-a", "sm_90", "-o", "saxpy.jle").exit_code == 0
    artifact = jitload.Artifact.open(workdir / "saxpy.jle")
    assert (artifact.kind, artifact.arch, list(artifact.kernels)) == ("cubin", "sm_90", ["saxpy"])


def test_a_link_is_followed_and_a_device_stays_a_device(invoke, workdir):
    (workdir / "real.cubin").write_bytes(b"old")
    (workdir / "link.cubin").symlink_to("real.cubin")
    assert invoke("compile", "saxpy.cu", "-a", "sm_90", "-o", "link.cubin").exit_code == 0
    assert (workdir / "link.cubin").is_symlink()
    verify_image("cubin", (workdir / "real.cubin").read_bytes())
    assert invoke("compile", "saxpy.cu", "-a", "sm_90", "-o", "/dev/null").exit_code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_includes_definitions_options_and_names_reach_the_compiler(invoke, workdir):
    (workdir / "inc").mkdir()
    (workdir / "inc" / "scale.h").write_text("#define SCALE FACTOR\n")
    (workdir / "scale.cu").write_text(
        '#include "scale.h"\ntemplate <typename T> __global__ void scale(T *x) { x[threadIdx.x] *= SCALE; }\n'
    )
    result = invoke(
        "compile", "scale.cu", "-a", "sm_90", "-k", "ptx", "-Iinc", "-DFACTOR=3", "--option=-lineinfo",
        "--name", "scale<float>", "--name", "scale<double>", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)
    assert set(row["kernels"]) == {"scale<float>", "scale<double>"}
    text = (workdir / "scale.ptx").read_text()
    assert ".loc" in text
    assert all(symbol in text for symbol in row["kernels"].values())


@pytest.mark.parametrize("command", ["compile", "precompile", "disasm", "cache explain"])
def test_no_host_headers_is_without_those_of_jitload(invoke, workdir, command):
    source = '#include <cstdint>\nextern "C" __global__ void k(std::int32_t *x) { *x = 1; }'
    (workdir / "host.cu").write_text(source)
    one = (*command.split(), "host.cu", "--arch", "sm_90")
    without = invoke(*one, "--no-host-headers")
    if command == "cache explain":
        assert "headers: 0 files" in without.output
        assert "headers: 0 files" not in invoke(*one).output
        return
    assert without.exit_code != 0
    assert "cstdint" in without.output
    if command != "disasm":  # which needs a tool beside
        assert invoke(*one).exit_code == 0
        assert invoke(*one, "--host-headers").exit_code == 0


def test_json_describes_every_image(invoke, workdir):
    rows = json.loads(invoke("compile", "saxpy.cu", "-a", "sm_80,sm_90", "-k", "cubin", "--json").stdout)
    assert [row["arch"] for row in rows] == ["sm_80", "sm_90"]
    for row in rows:
        assert set(row) == {
            "file", "origin", "kind", "arch", "bytes", "kernels", "seconds", "compile_seconds", "key", "toolchain", "log",
        }  # fmt: skip
        assert row["bytes"] == (workdir / row["file"]).stat().st_size
        assert row["origin"] == "compiled"


def test_json_keeps_out_of_the_image_on_stdout(spawn):
    result = spawn("compile", "saxpy.cu", "-a", "sm_90", "-o", "-", "--json")
    verify_image("cubin", result.stdout)
    assert json.loads(result.stderr)[0]["file"] is None


def test_warnings_of_the_compiler_are_shown_even_from_the_cache(invoke, workdir):
    (workdir / "warns.cu").write_text('extern "C" __global__ void k(int *x) { int unused[3]; *x = 1; }\n')
    for _ in range(2):
        result = invoke("compile", "warns.cu", "-a", "sm_90")
        assert "int unused[3];" in result.stderr
        assert result.exit_code == 0


def test_with_compiling_off_it_says_so(invoke, monkeypatch):
    monkeypatch.setenv("JITLOAD_COMPILE", "never")
    result = invoke("compile", "saxpy.cu", "-a", "sm_90")
    assert result.exit_code == 1
    assert "JITLOAD_COMPILE=never" in result.stderr


def test_a_full_disk_is_named(invoke):
    result = invoke("compile", "saxpy.cu", "-a", "sm_90", "-o", "/dev/full")
    assert result.exit_code == 1
    assert result.stderr == "jitload: /dev/full: No space left on device\n"


def test_a_reader_that_goes_away_is_no_traceback(spawn):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        result = spawn("compile", "saxpy.cu", "-a", "sm_90", "-o", "-", stdout=stdout)
    assert b"Traceback" not in result.stderr


@pytest.mark.usefixtures("needs_nvrtc")
@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "template <class T> __global__ void scale(T *x) { *x *= 2; }\n",
            'scale is a template, .*names=["scale<float>"]',
        ),
        ("", "there is no code in it"),
        ("__device__ int twice(int x) { return 2 * x; }", "no __global__ function"),
    ],
    ids=["template", "empty", "device function"],
)
@pytest.mark.parametrize("kind", ["cubin", "fatbin"])
def test_what_gives_no_kernel_is_a_failure_and_writes_nothing(workdir, invoke, source, said, kind):
    (workdir / "scale.cu").write_text(source)
    for _ in range(2):
        result = invoke("compile", "scale.cu", "-a", "sm_90", "-k", kind)
        assert (result.exit_code, result.stdout) == (1, "")
        assert re.search(said.replace("[", r"\["), result.stderr)
    assert [path.name for path in workdir.iterdir() if path.name.startswith("scale")] == ["scale.cu"]


@pytest.mark.usefixtures("needs_nvrtc")
def test_an_instantiated_template_and_what_is_to_be_linked_are_compiled(workdir, invoke):
    (workdir / "scale.cu").write_text("template <class T> __global__ void scale(T *x) { *x *= 2; }\n")
    assert "1 kernel (scale<int>)" in invoke("compile", "scale.cu", "-a", "sm_90", "-n", "scale<int>").stdout
    assert "1 kernel (saxpy)" in invoke("compile", "saxpy.cu", "-a", "sm_90", "-k", "ltoir").stdout
    (workdir / "twice.cu").write_text("__device__ int twice(int x) { return 2 * x; }")
    assert "0 kernels" in invoke("compile", "twice.cu", "-a", "sm_90", "--option=-rdc=true").stdout


def test_a_name_with_control_characters_is_shown_and_not_obeyed(spawn, workdir):
    """One that the system complains about as well."""
    (workdir / "a\x1b[31m.cu").mkdir()
    for name in ("a\x1b[31m.cu", "b\x1b[31m.cu"):
        result = spawn("compile", name, "-a", "sm_80")
        assert result.returncode == 1
        assert b"\x1b" not in result.stderr
        assert f"{name[0]}\\x1b[31m.cu".encode() in result.stderr
