"""What the compiler warns of reaches the user: once, at the user's line, and never at the price of the artifact."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

import jitload
from jitload import CompileWarning

SOURCE = """extern "C" __global__ void w(int *o) {
    int forgotten;
    o[0] = 1;
}
"""
KIND = {"kind": "ptx", "arch": "compute_75"}


def said(**options):
    """What a compile makes Python warn of."""
    options = {"source": SOURCE, "cache": jitload.Cache(), **KIND, **options}
    source = options.pop("source")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        jitload.compile(source, **options)
    return [one for one in found if issubclass(one.category, CompileWarning)]


def test_one_warning_at_the_compile_and_none_at_a_hit():
    cache = jitload.Cache()
    (warning,) = said(cache=cache)
    assert (warning.filename, warning.lineno) == ("kernel.cu", 2)
    assert 'kernel.cu(2): warning #177-D: variable "forgotten"' in str(warning.message)
    assert said(cache=cache) == []
    assert "forgotten" in jitload.compile(SOURCE, cache=cache, **KIND).log


def test_several_things_are_one_warning():
    (warning,) = said(source=SOURCE.replace("int forgotten;", "int forgotten; unsigned other = -1;"))
    assert "forgotten" in str(warning.message)
    assert "other" in str(warning.message)
    assert "diag-suppress" not in str(warning.message)


def test_a_file_and_its_header_are_named_by_their_paths(tmp_path):
    (tmp_path / "w.cu").write_text('#include "h.h"\n' + SOURCE.replace("int forgotten;", ""))
    (tmp_path / "h.h").write_text("__device__ int f() { int lost; return 3; }\n")
    (warning,) = said(source=tmp_path / "w.cu")
    assert (warning.filename, warning.lineno) == (str(tmp_path / "h.h"), 1)
    assert f"{tmp_path / 'h.h'}(1): warning" in str(warning.message)


def test_a_docstring_is_named_by_the_lines_of_its_python_file(tmp_path):
    path = tmp_path / "kernels.py"
    path.write_text(f'import jitload\n\n@jitload.jit_kernel\ndef w(o):\n    r"""\n{SOURCE}"""\n')
    scope = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    with jitload.configure(device="cpu"), pytest.warns(CompileWarning, match="forgotten") as found:
        scope["w"].kernel()
    assert [(one.filename, one.lineno) for one in found] == [(str(path), 7)]
    assert f"{path}(7): warning" in str(found[0].message)
    with jitload.configure(device="cpu"), warnings.catch_warnings():
        warnings.simplefilter("error")
        scope["w"].artifact()  # a hit


def test_a_warning_that_is_an_error_leaves_the_artifact_in_the_cache(tmp_path):
    cache = jitload.Cache(tmp_path / "cache")
    before = jitload.stats().compiles
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CompileWarning, match="forgotten"):
            jitload.compile(SOURCE, cache=cache, **KIND)
        assert jitload.compile(SOURCE, cache=cache, **KIND).kernels
        assert jitload.compile(SOURCE, cache=jitload.Cache(tmp_path / "cache"), **KIND).kernels
    assert jitload.stats().compiles == before + 1


def test_a_warning_that_is_an_error_still_records_the_request(tmp_path):
    with warnings.catch_warnings(), jitload.record(tmp_path / "w.jlw"):
        warnings.simplefilter("error")
        with pytest.raises(CompileWarning):
            jitload.compile(SOURCE, cache=jitload.Cache(), **KIND)
    assert (tmp_path / "w.jlw").stat().st_size


def test_what_is_wrong_in_the_toolkits_own_headers_is_in_the_log_alone():
    source = "#include <thrust/functional.h>\n" + SOURCE.replace("int forgotten;", "")
    assert said(source=source) == []


def test_what_ptxas_tells_is_no_warning():
    options = {"kind": "cubin", "arch": "sm_80", "options": ["--ptxas-options=-v"], "cache": jitload.Cache()}
    clean = SOURCE.replace("int forgotten;", "")
    assert said(source=clean, **options) == []
    assert "registers" in jitload.compile(clean, **options).log


@pytest.mark.parametrize("isolate", [False, True])
def test_a_compiler_in_a_process_of_its_own_warns_the_same(isolate):
    (warning,) = said(isolate=isolate)
    assert (warning.filename, warning.lineno) == ("kernel.cu", 2)


def test_a_batch_warns_at_its_end_and_keeps_everything(tmp_path):
    """The workers are other processes, and some of them may turn warnings into errors."""
    (tmp_path / "w.cu").write_text(SOURCE)
    (tmp_path / "v.cu").write_text(SOURCE.replace(" w(", " v("))
    cache = jitload.Cache(tmp_path / "cache")
    files = [tmp_path / "w.cu", tmp_path / "v.cu"]
    with pytest.warns(CompileWarning, match="forgotten") as found:
        report = jitload.precompile(files, "compute_75", cache=cache, jobs=1)
    assert [one.filename for one in found] == [str(path) for path in files]
    assert len(report.compiled) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CompileWarning):
            jitload.precompile(files, "compute_80", cache=cache, jobs=1)
        assert len(jitload.precompile(files, "compute_80", cache=cache, jobs=1).cached) == 2


def test_by_default_it_is_shown_once_on_stderr(tmp_path):
    (tmp_path / "w.cu").write_text(SOURCE)
    code = f"""
import pathlib, jitload
for arch in ("compute_75", "compute_80"):
    jitload.compile(pathlib.Path({str(tmp_path / "w.cu")!r}), kind="ptx", arch=arch, cache=jitload.Cache())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("CompileWarning") == 1
    assert done.stderr.startswith(f"{tmp_path / 'w.cu'}:2: CompileWarning: ")
