"""`jitload doctor`: the truth about a machine, on whole and on broken ones, and never a traceback.

Broken ones are real: another set of packages, no home, a file where the cache should be.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import jitload
from jitload.bundles.bundle import Bundle
from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.cli.doctor import CHECKS, GROUND
from jitload.lazy import lazy
from jitload.settings.option import OPTIONS

NAMES = [*GROUND, *CHECKS]
SITE = pathlib.Path(np.__file__).parents[1]
CUDA_PACKAGES = ("cuda", "nvidia", "_cuda")


def findings(result, code=None):
    """The checks of a spawned `doctor --json` by name; nothing else may have been said."""
    assert b"Traceback" not in result.stderr, result.stderr.decode()
    assert result.stderr == b""
    assert code is None or result.returncode == code, result.stdout.decode()
    report = json.loads(result.stdout)
    assert report["ready"] is (result.returncode == 0)
    return {check["name"]: check for check in report["checks"]}


@pytest.fixture
def make_site(tmp_path):
    """`make_site(*hidden)`: a directory of packages like this one, as links, without those that begin so."""

    def make(*hidden):
        site = tmp_path / "site"
        site.mkdir()
        for entry in SITE.iterdir():
            if not entry.name.startswith(hidden) and entry.suffix != ".pth":
                (site / entry.name).symlink_to(entry)
        return site

    return make


@pytest.fixture
def spawn_with(spawn):
    """Doctor in an interpreter that sees only the packages of that directory."""

    def call(site, *arguments, **environment):
        root = pathlib.Path(__file__).parents[2]
        path = os.pathsep.join(map(str, (root, site)))
        return spawn("doctor", *arguments, flags=["-S"], PYTHONPATH=path, **environment)

    return call


@pytest.mark.usefixtures("needs_nvrtc")
def test_a_whole_machine_is_ready(invoke):
    result = invoke("doctor")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0, result.stdout
    assert lines[-1].startswith("Ready: kernels compile and run here")
    for name in NAMES:
        (line,) = [line for line in lines if line.startswith(f"{name}  ")]
        assert line.removeprefix(name).split()[0] in {"ok", "missing"}


@pytest.mark.usefixtures("needs_nvrtc")
def test_json_has_the_same_shape_for_every_check(spawn):
    result = spawn("doctor", "--json")
    report = json.loads(result.stdout)
    assert set(report) == {"ready", "verdict", "checks"}
    assert [check["name"] for check in report["checks"]] == NAMES
    for check in report["checks"]:
        assert set(check) == {"name", "status", "found", "fix", "warnings", "details"}
        assert check["status"] in {"ok", "missing", "problem"}
        assert check["found"]
        assert bool(check["fix"]) is (check["status"] != "ok")
    checks = findings(result, 0)
    assert checks["nvrtc"]["details"]["version"].count(".") == 2
    assert checks["compile"]["details"]["bytes"] > 0
    assert checks["cpu executor"]["status"] == "ok"
    assert checks["cpu executor"]["found"] == "ran ptx compiled for compute_90"


def test_machine_code_is_made_where_llvmlite_is_installed(monkeypatch):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    from jitload.cli.checks.machine_code import check_machine_code
    from jitload.cli.checks.sample import Sample
    from jitload.cpu.native import machine

    found = check_machine_code(Sample())
    assert (found.status, found.details["engine"]) == ("ok", "auto")
    assert found.found.startswith("by llvmlite ")
    machine.maker.cache_clear()
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setattr(machine, "llvmlite", lazy("llvmlite"))
    assert check_machine_code(Sample()).status == "missing"


def test_without_any_cuda_package_it_says_what_to_install(spawn_with, make_site):
    checks = findings(spawn_with(make_site(*CUDA_PACKAGES), "--json"), 1)
    assert checks["nvrtc"]["status"] in {"missing", "problem"}  # a toolkit in /usr/local/cuda lacks the bindings only
    for name in ("nvrtc", "compile", "nvfatbin", "nvjitlink"):
        assert checks[name]["status"] != "ok"
        assert "pip install 'jitload[cu" in checks[name]["fix"]
    assert checks["cpu executor"]["found"] == "ran ready-made PTX"
    assert checks["device"]["status"] == "ok"


def test_a_linker_that_is_not_installed_is_missing_and_no_problem(monkeypatch):
    from jitload.cli.checks import compiler
    from jitload.cli.checks.sample import Sample
    from jitload.compiler.nvjitlink import LinkerMissing
    from jitload.errors import LoadError

    def link(*_):
        places = 'Failure finding "libnvJitLink.so.12": No such file: libnvJitLink.so.12\n  listdir("/usr/lib"):'
        raise LoadError(f"cannot link LTO-IR: {places}") from LinkerMissing(places)

    monkeypatch.setattr(compiler, "link_anew", link)
    found = compiler.check_nvjitlink(Sample())
    assert (found.status, found.found) == ("missing", 'not found: Failure finding "libnvJitLink.so.12"')


def test_where_compiling_is_off_no_compiler_is_needed(spawn_with, make_site):
    checks = findings(spawn_with(make_site(*CUDA_PACKAGES), "--json", JITLOAD_COMPILE="never"), 0)
    assert checks["compile"]["status"] != "ok"


def test_headers_are_found_wherever_a_compile_finds_them(tmp_path, monkeypatch):
    """The runtime's in a package, CUB in a toolkit of CUDA 12, which has it among the others."""
    from jitload.cli.checks import compiler
    from jitload.compiler import toolkit

    for path, text in {
        "site/cuda_fp16.h": "",
        "site/cuda_runtime_api.h": f"#define CUDART_VERSION {toolkit.find_nvrtc().major}040\n",
        "home/cub/cub.cuh": "",
        "home/cuda/std/__cccl/version.h": "#define CCCL_VERSION 2008002\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    roots = (("toolkit/cuda", str(tmp_path / "site")), ("toolkit/cuda", str(tmp_path / "home")))
    monkeypatch.setattr(toolkit, "toolkit_roots", lambda: roots)
    found = compiler.check_headers(None)
    assert found.status == "ok"
    assert f"cccl 2.8.2 at {tmp_path}/home" in found.found
    monkeypatch.setattr(toolkit, "toolkit_roots", lambda: roots[:1])
    assert "no <cub/cub.cuh>" in compiler.check_headers(None).found


@pytest.mark.usefixtures("needs_nvrtc")
def test_nvrtc_without_its_bindings_is_a_problem(spawn_with, make_site):
    if not (SITE / "nvidia").is_dir():
        pytest.skip("needs NVRTC from its package")
    checks = findings(spawn_with(make_site("cuda", "_cuda"), "--json"), 1)
    assert checks["nvrtc"]["status"] == "problem"
    assert "bindings are missing" in checks["nvrtc"]["found"]
    assert "pip install 'jitload[cu" in checks["nvrtc"]["fix"]


@pytest.mark.usefixtures("needs_nvrtc")
def test_an_nvrtc_that_cannot_be_loaded_is_a_problem(spawn_with, make_site):
    site = make_site("nvidia")
    major = "13" if (SITE / "nvidia" / "cu13" / "lib" / "libnvrtc.so.13").exists() else "12"
    library = site / "nvidia" / ("cu13/lib" if major == "13" else "cuda_nvrtc/lib") / f"libnvrtc.so.{major}"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"\x7fELF, and nothing more")
    checks = findings(spawn_with(site, "--json"), 1)
    assert checks["nvrtc"]["status"] == "problem"
    assert str(library) in checks["nvrtc"]["found"]
    assert checks["compile"]["status"] == "problem"
    assert checks["device"]["status"] == "ok"


def test_a_dependency_that_is_not_there_is_named(spawn_with, make_site):
    checks = findings(spawn_with(make_site("diskcache"), "--json"))
    assert checks["dependencies"]["status"] == "problem"
    assert "diskcache" in checks["dependencies"]["fix"]


def test_without_a_home_kernels_stay_in_memory(spawn):
    environment = {"HOME": None, "XDG_CACHE_HOME": None, "JITLOAD_CACHE_DIR": None}
    checks = findings(spawn("doctor", "--json", **environment))
    assert checks["cache"]["status"] == "missing"
    assert "JITLOAD_CACHE_DIR" in checks["cache"]["fix"]
    (warned,) = checks["cache"]["warnings"]
    assert warned.startswith("no home directory")
    assert not any(check["warnings"] for name, check in checks.items() if name != "cache")


@pytest.mark.usefixtures("needs_nvrtc")
def test_a_cache_that_does_not_work_does_not_stop_kernels(spawn, tmp_path):
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        (tmp_path / "file").write_text("in the way")
        checks = findings(spawn("doctor", "--json", JITLOAD_CACHE_DIR=str(place)), 0)
        assert checks["cache"]["status"] == "problem"
        assert "not a directory" in checks["cache"]["found"]
        assert "JITLOAD_CACHE_DIR" in checks["cache"]["fix"]


def test_a_cache_directory_without_write_permission_is_a_problem_except_for_root(invoke, cache_dir):
    cache_dir.mkdir(mode=0o555)
    finding = cache_finding(invoke)
    assert finding["status"] == ("ok" if os.geteuid() == 0 else "problem")
    assert ("Permission denied" in finding["found"]) is (os.geteuid() != 0)


def test_a_cache_directory_that_others_can_write_is_a_problem(invoke, cache_dir):
    cache_dir.mkdir()
    cache_dir.chmod(0o777)
    assert cache_finding(invoke)["status"] == "problem"
    assert "chmod go-w" in cache_finding(invoke)["found"]


@pytest.mark.parametrize("made", [False, True])
def test_a_cache_directory_that_others_can_replace_is_a_problem(invoke, tmp_path, made):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    if made:
        (tmp_path / "open" / "cache").mkdir(mode=0o700)
    with jitload.configure(cache_dir=tmp_path / "open" / "cache"):
        finding = cache_finding(invoke)
    assert finding["status"] == "problem"
    assert f"chmod go-w {tmp_path / 'open'}" in finding["found"]
    assert (tmp_path / "open" / "cache").exists() is made


def cache_finding(invoke):
    checks = json.loads(invoke("doctor", "--json").stdout)["checks"]
    return next(check for check in checks if check["name"] == "cache")


@pytest.mark.usefixtures("needs_nvrtc", "workdir")
def test_the_cache_is_described_and_left_as_it_was(invoke, cache_dir):
    unmade = cache_finding(invoke)
    assert (unmade["status"], unmade["details"]["exists"]) == ("ok", False)
    assert not cache_dir.exists()
    assert invoke("compile", "saxpy.cu", "-a", "sm_90").exit_code == 0
    made = cache_finding(invoke)
    assert made["details"]["entries"] == 1
    assert "private and writable, 1 entry," in made["found"]
    assert made["details"]["index"] is True
    assert made["details"]["bytes"] == sum(path.stat().st_size for path in cache_dir.glob("objects/*/*"))
    assert list((cache_dir / "incoming").iterdir()) == []


def test_an_index_that_cannot_be_made_is_a_problem_with_its_reason(invoke, cache_dir):
    cache_dir.mkdir(mode=0o700)
    (cache_dir / "index").write_text("in the way")
    finding = cache_finding(invoke)
    assert finding["status"] == "problem"
    assert finding["details"]["writable"] is True
    assert any("index" in warning for warning in finding["warnings"])
    shutil.rmtree(cache_dir)


def test_a_setting_that_means_nothing_ends_the_examination_there(spawn):
    result = spawn("doctor", "--json", JITLOAD_DEVICE="gpu")
    checks = findings(result, 1)
    assert list(checks) == list(GROUND)
    assert "JITLOAD_DEVICE='gpu'" in checks["settings"]["found"]


def test_settings_in_force_are_listed(invoke, monkeypatch):
    monkeypatch.setenv("JITLOAD_SYNC", "1")
    report = json.loads(invoke("doctor", "--json").stdout)
    settings = next(check for check in report["checks"] if check["name"] == "settings")
    assert settings["details"]["JITLOAD_SYNC"] is True
    assert "JITLOAD_SYNC=1" in settings["found"].split()


def test_every_setting_is_listed_as_it_is_written_and_can_be_pasted_back(spawn, tmp_path):
    given = {
        "JITLOAD_BUNDLES": "",
        "JITLOAD_TRUST": f"ed25519:{'22' * 32},{tmp_path}/ci key.pub",
        "JITLOAD_READ_ONLY_DIRS": f"{tmp_path}/a b:{tmp_path}/c",
        "JITLOAD_CACHE_MAX_BYTES": "1G",
        "JITLOAD_OFFLINE": "yes",
        "JITLOAD_CPU_CHECK": "race,memory",
        "JITLOAD_DEVICE": "cpu",
    }
    found = findings(spawn("doctor", "--json", **given))["settings"]["found"]
    assert [line.split("=")[0] for line in found.splitlines()] == [option.variable for option in OPTIONS]
    pasted = subprocess.run(
        ["bash", "-euc", f"set -a\n{found}\nexec env -0"], env={}, capture_output=True, check=True
    ).stdout
    values = dict(entry.split("=", 1) for entry in pasted.decode().split("\0") if "=" in entry)
    assert values["JITLOAD_TRUST"] == given["JITLOAD_TRUST"]
    assert values["JITLOAD_READ_ONLY_DIRS"] == given["JITLOAD_READ_ONLY_DIRS"]
    assert values["JITLOAD_CACHE_MAX_BYTES"] == str(1 << 30)
    assert values["JITLOAD_OFFLINE"] == "1"
    assert values["JITLOAD_CPU_CHECK"] == "memory,race"
    assert values["JITLOAD_BUNDLES"] == values["JITLOAD_RECORD"] == ""
    again = findings(spawn("doctor", "--json", **{k: v for k, v in values.items() if k.startswith("JITLOAD_")}))
    assert again["settings"]["found"] == found


def test_it_says_what_offline_governs_and_what_separates_a_list(invoke):
    lines = invoke("doctor").stdout.splitlines()
    assert any("JITLOAD_OFFLINE=0" in line and "no network tier is touched" in line for line in lines)
    assert any("JITLOAD_BUNDLES=" in line and "separated by :" in line for line in lines)


@pytest.mark.usefixtures("needs_nvrtc")
def test_a_variable_that_nothing_reads_is_a_problem_and_the_rest_is_examined(spawn):
    result = spawn("doctor", JITLOAD_COMPIL="never", JITLOAD_ZZZ="x", JITLOAD_DEVICE="cpu")
    text = result.stdout.decode()
    assert result.returncode == 0
    assert "settings        problem" in text
    assert text.count("did you mean JITLOAD_COMPILE?") == 1
    assert "-> correct or unset JITLOAD_COMPIL, JITLOAD_ZZZ" in text
    assert "JITLOAD_ZZZ does nothing" in text
    assert result.stderr == b""


def test_cache_directories_of_others_that_cannot_be_used_are_named(spawn, tmp_path):
    whole, file, open_ = tmp_path / "whole", tmp_path / "file", tmp_path / "open"
    jitload.Cache(whole)
    whole.mkdir(mode=0o755)
    file.touch()
    open_.mkdir()
    open_.chmod(0o777)
    places = [whole, tmp_path / "absent", file, open_]
    checks = findings(spawn("doctor", "--json", JITLOAD_READ_ONLY_DIRS=":".join(map(str, places))))
    finding = checks["read-only dirs"]
    assert finding["status"] == "missing"
    assert [line.split(": ")[0] for line in finding["found"].splitlines()] == list(map(str, places))
    assert f"{whole}: 0 entries" in finding["found"]
    assert f"{tmp_path / 'absent'}: missing" in finding["found"]
    assert f"{file}: not a directory" in finding["found"]
    assert "chmod go-w" in finding["found"]
    assert str(whole) not in finding["fix"]
    warned = {name: check["warnings"] for name, check in checks.items() if check["warnings"]}
    assert list(warned) == ["read-only dirs"]
    for place in places[1:3]:
        assert any(str(place) in text for text in warned["read-only dirs"])
    assert findings(spawn("doctor", "--json", JITLOAD_READ_ONLY_DIRS=str(whole)))["read-only dirs"]["status"] == "ok"


@pytest.fixture
def bundled(workdir):
    """`bundled(kind, arch)`: the file of a bundle of saxpy.cu for one target."""

    def make(kind, arch):
        request = jitload.CompileRequest(workdir / "saxpy.cu", kind=kind, arch=arch)
        assert jitload.precompile([request], jobs=1).ok
        path = workdir / f"{arch}.jlb"
        Bundle.create(path, [request]).close()
        return str(path)

    return make


@pytest.mark.usefixtures("needs_nvrtc")
def test_without_a_compiler_it_is_ready_for_what_bundles_hold(spawn_with, make_site, bundled):
    ptx, cubin = bundled("ptx", "compute_75"), bundled("cubin", "sm_90")
    site = make_site(*CUDA_PACKAGES)
    settings = {"JITLOAD_TRUST": "unsigned", "JITLOAD_DEVICE": "cpu", "JITLOAD_CACHE_DIR": "/nowhere"}
    result = spawn_with(site, "--json", JITLOAD_BUNDLES=f"{ptx}:{cubin}", **settings)
    checks = findings(result, 0)
    assert checks["compile"]["status"] != "ok"
    assert checks["bundles"]["found"].splitlines() == [
        f"{ptx}: 1 request, signed by nobody; holds ptx compute_75, of which the CPU executor runs ptx compute_75",
        f"{cubin}: 1 request, signed by nobody; holds cubin sm_90, of which the CPU executor runs nothing",
    ]
    verdict = json.loads(result.stdout)["verdict"]
    assert verdict.startswith("Ready for saxpy.cu from its bundles on the CPU executor; nothing else can be compiled")
    result = spawn_with(site, "--json", JITLOAD_BUNDLES=cubin, **settings)
    assert findings(result, 1)["bundles"]["details"]["covers"] is False
    assert json.loads(result.stdout)["verdict"].startswith("Not ready: nothing can be compiled")


@pytest.mark.usefixtures("needs_nvrtc")
def test_strict_mode_is_ready_for_what_signed_bundles_hold_and_for_nothing_else(spawn, bundled, workdir):
    key = generate_keys(workdir / "key", "ci")
    settings = {"JITLOAD_STRICT": "1", "JITLOAD_TRUST": key, "JITLOAD_DEVICE": "cpu"}
    for target, code in ((("ptx", "compute_75"), 0), (("cubin", "sm_90"), 1)):
        path = bundled(*target)
        sign_bundle(path, workdir / "key")
        result = spawn("doctor", "--json", JITLOAD_BUNDLES=path, **settings)
        assert findings(result, code)["bundles"]["details"]["covers"] is (code == 0)
    assert json.loads(result.stdout)["verdict"].startswith("Not ready: no bundle in force holds what the CPU")


@pytest.mark.usefixtures("needs_nvrtc")
def test_a_refused_bundle_is_no_fault_of_the_compiler(spawn, tmp_path):
    checks = findings(spawn("doctor", "--json", JITLOAD_BUNDLES=f"{tmp_path}/absent.jlb", JITLOAD_DEVICE="cpu"), 1)
    assert [checks[name]["status"] for name in ("compile", "cpu executor", "bundles")] == ["ok", "ok", "problem"]


def test_a_check_that_fails_by_itself_is_a_line_not_a_traceback(invoke, monkeypatch):
    def fails(_sample):
        raise RuntimeError("unforeseen")

    monkeypatch.setitem(CHECKS, "headers", fails)
    output = invoke("doctor").stdout
    assert "the check itself failed: RuntimeError: unforeseen" in output


def test_a_full_disk_behind_stdout_is_no_traceback(spawn):
    with open("/dev/full", "wb") as stdout:
        result = spawn("doctor", stdout=stdout, JITLOAD_DEVICE="gpu")
    assert result.returncode == 1
    assert result.stderr == b"jitload: No space left on device\n"


@pytest.mark.usefixtures("needs_no_gpu")
def test_a_gpu_that_is_demanded_and_absent_is_not_ready(spawn):
    checks = findings(spawn("doctor", "--json", JITLOAD_DEVICE="cuda"), 1)
    assert checks["device"]["status"] == "problem"
    assert checks["gpu"]["status"] == "missing"


@pytest.mark.gpu
@pytest.mark.usefixtures("needs_gpu")
def test_a_gpu_really_runs_a_kernel(spawn):
    checks = findings(spawn("doctor", "--json"), 0)
    assert checks["gpu"]["status"] == "ok"
    assert "ran cubin compiled for" in checks["gpu"]["found"]
    assert checks["device"]["details"]["device"] == "cuda"


@pytest.mark.usefixtures("needs_nvrtc")
def test_strict_mode_is_no_fault_of_the_machine_and_needs_a_bundle(spawn):
    checks = findings(spawn("doctor", "--json", JITLOAD_STRICT="1", JITLOAD_DEVICE="cpu"), 1)
    assert {checks[name]["status"] for name in ("compile", "cpu executor", "device")} == {"ok"}
    assert (checks["bundles"]["status"], checks["bundles"]["fix"]) == (
        "missing",
        "name signed bundles in JITLOAD_BUNDLES",
    )


@pytest.mark.usefixtures("needs_nvrtc")
def test_a_bundle_that_is_refused_is_a_problem(workdir, spawn):
    jitload.Bundle.create("k.jlb", [workdir / "saxpy.cu"], archs=["compute_75"])
    named = {"JITLOAD_BUNDLES": str(workdir / "k.jlb"), "JITLOAD_DEVICE": "cpu"}
    checks = findings(spawn("doctor", "--json", **named, JITLOAD_TRUST="unsigned"), 0)
    assert checks["bundles"]["found"].startswith(f"{workdir / 'k.jlb'}: 1 request, signed by nobody")
    checks = findings(spawn("doctor", "--json", **named, JITLOAD_TRUST=None), 1)
    assert "no key is trusted" in checks["bundles"]["found"]
    (workdir / "k.jlb").unlink()
    checks = findings(spawn("doctor", "--json", **named), 1)
    assert "No such file" in checks["bundles"]["found"]
    assert "JITLOAD_BUNDLES" in checks["bundles"]["fix"]
