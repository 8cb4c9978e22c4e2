"""Dumps of what a process is served, and images that were edited in them."""

from __future__ import annotations

import json
import logging
import warnings

import numpy as np
import pytest

import jitload
from jitload import LoadError, TrustError, jit_kernel
from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.dumps import disassembler
from jitload.dumps.disassembler import disassemble

SOURCE = '#include "two.h"\nextern "C" __global__ void k(int *x) { x[threadIdx.x] = TWO * N; }\n'


@pytest.fixture
def places(tmp_path):
    """The directory of the dumps; the cache and a header lie beside it."""
    (tmp_path / "two.h").write_text("#define TWO 2\n")
    (tmp_path / "k.cu").write_text(SOURCE)
    with jitload.Session(cache_dir=tmp_path / "cache"), jitload.configure(device="cpu"):
        yield tmp_path


def compiled(places, **more):
    return jitload.compile(places / "k.cu", defines={"N": 21}, **more)


def only(directory):
    (folder,) = directory.iterdir()
    return folder


def test_a_folder_has_all_that_an_image_was_made_of(places):
    with jitload.configure(dump=places / "dump"):
        artifact = compiled(places, arch="sm_80")
    folder = only(places / "dump")
    assert folder.name == f"k.cu-{artifact.key[:12]}"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"k.cu", "headers/source/two.h", "k.cubin", "k.ptx", "k.sass", "about.json", "log.txt"}
    assert (folder / "k.cu").read_text() == SOURCE
    assert (folder / "k.cubin").read_bytes() == artifact.data
    assert ".entry k(" in (folder / "k.ptx").read_text()
    assert "EXIT" in (folder / "k.sass").read_text()
    about = json.loads((folder / "about.json").read_text())
    assert (about["arch"], about["kind"], about["defines"]) == ("sm_80", "cubin", {"N": "21"})
    assert about["kernels"]["k"]["parameters"] == [[0, 8, "int *"]]
    assert about["kernels"]["k"]["resources"]["registers"] > 0
    assert about["files"].keys() == found - {"about.json"}


def test_a_hit_is_dumped_too_and_a_dump_compiles_nothing_where_nothing_may_be(places):
    compiled(places, arch="sm_80")
    with jitload.configure(dump=places / "dump", compile="never"):
        compiled(places, arch="sm_80")
    names = {path.name for path in only(places / "dump").iterdir()}
    assert {"k.cubin", "k.cu"} <= names
    assert "k.ptx" not in names
    assert jitload.stats().compiles == 1


def test_a_link_is_dumped_with_its_inputs(places):
    with jitload.configure(dump=places / "dump"):
        linked = jitload.compile(sources=[places / "k.cu"], defines={"N": 1}, arch="sm_80")
    folder = places / "dump" / f"k.cu-{linked.key[:12]}"
    assert (folder / "k.cubin").read_bytes() == linked.data
    assert (folder / "inputs").is_dir()


def test_a_dump_that_cannot_be_written_costs_one_warning(places, caplog):
    (places / "dump").write_text("in the way")
    with caplog.at_level(logging.WARNING, "jitload"), jitload.configure(dump=places / "dump"):
        artifact = compiled(places)
        compiled(places)
    assert artifact.kernels
    assert sum(1 for _ in (record.message for record in caplog.records if "cannot be dumped" in record.message)) == 1


def run(kernel):
    x = np.zeros(4, "i4")
    kernel[1, 4](x)
    return x.tolist()


def declared(places):
    @jit_kernel(file=places / "k.cu", defines={"N": 21})
    def k(x): ...

    return k


def test_an_edited_image_runs_in_one_process_and_is_kept_nowhere(places, caplog):
    with jitload.configure(dump=places / "dump"):
        assert run(declared(places)) == [42] * 4
    folder = only(places / "dump")
    text = (folder / "k.ptx").read_text()
    with jitload.configure(override=places / "dump"):
        assert run(declared(places)) == [42] * 4  # nothing was edited
        (folder / "k.ptx").write_text(text.replace(", 42;", ", 43;"))
        with caplog.at_level(logging.WARNING, "jitload"):
            assert run(declared(places)) == [43] * 4
            assert run(declared(places)) == [43] * 4
    assert [
        record.message for record in caplog.records if "in the place of what was compiled" in record.message
    ].__len__() == 1
    assert run(declared(places)) == [42] * 4
    before = jitload.stats()
    jitload.Cache.default().memory.clear()
    assert run(declared(places)) == [42] * 4
    assert jitload.stats().compiles == before.compiles


def test_edited_ptx_serves_for_a_cubin(places):
    with jitload.configure(dump=places / "dump"):
        artifact = compiled(places, arch="sm_80")
    folder = only(places / "dump")
    text = (folder / "k.ptx").read_text()
    (folder / "k.ptx").write_text(text.replace(", 42;", ", 44;"))
    with jitload.configure(override=places / "dump"):
        found = compiled(places, arch="sm_80")
        assert (found.kind, found.arch) == ("ptx", "compute_80")
        assert found.key != artifact.key
        assert run(found.load()["k"]) == [44] * 4
    assert compiled(places, arch="sm_80") == artifact


def test_what_is_edited_goes_into_no_bundle(places):
    with jitload.configure(dump=places / "dump"):
        artifact = compiled(places, arch="compute_80")
    file = only(places / "dump") / "k.ptx"
    file.write_text(file.read_text().replace(", 42;", ", 43;"))
    request = jitload.CompileRequest(places / "k.cu", kind="ptx", arch="compute_80", defines={"N": 21})
    with jitload.configure(override=places / "dump"):
        jitload.Bundle.create(places / "k.jlb", [request])
    (entry,) = jitload.Bundle.open(places / "k.jlb", trust="unsigned").read(request.digest)
    assert entry.artifact.data == artifact.data


def test_an_override_that_cannot_be_used_is_refused(places):
    with jitload.configure(dump=places / "dump"):
        compiled(places)
    file = only(places / "dump") / "k.ptx"
    good = file.read_text()
    with jitload.configure(override=places / "dump"):
        file.write_text("nonsense")
        with pytest.raises(LoadError, match=r"k.ptx cannot stand for k.cu: not usable PTX"):
            compiled(places)
        file.write_text(good + "// edited\n")
        (places / "dump").chmod(0o777)
        with pytest.raises(LoadError, match="is not used for overrides"):
            compiled(places)
        (places / "dump").chmod(0o755)
        assert compiled(places).data.endswith(b"// edited\n")
        file.unlink()
        assert compiled(places).data.decode() == good


def test_strict_mode_takes_nothing_that_was_edited(places):
    with jitload.configure(dump=places / "dump"):
        compiled(places, kind="ptx", arch="compute_80")
    file = only(places / "dump") / "k.ptx"
    file.write_text(file.read_text() + "// edited\n")
    key = places / "key"
    jitload.Bundle.create(
        places / "k.jlb", [jitload.CompileRequest(places / "k.cu", kind="ptx", arch="compute_80", defines={"N": 21})]
    )
    public = generate_keys(key)
    sign_bundle(places / "k.jlb", key)
    with jitload.configure(strict=True, bundles=[places / "k.jlb"], trust=[public]):
        assert compiled(places, kind="ptx", arch="compute_80").kernels
        with jitload.configure(override=places / "dump"), pytest.raises(TrustError, match="strict mode takes nothing"):
            compiled(places, kind="ptx", arch="compute_80")


def test_a_missing_disassembler_is_named_with_the_package(monkeypatch, places):
    monkeypatch.setattr(disassembler, "find_nvdisasm", lambda: None)
    with pytest.raises(LoadError, match="pip install nvidia-cuda-nvdisasm"):
        disassemble(b"")
    monkeypatch.undo()
    with pytest.raises(LoadError, match="refuses the cubin"):
        disassemble(b"nonsense")


def test_no_setting_no_dump(places):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(places)
    assert {path.name for path in places.iterdir()} == {"two.h", "k.cu", "cache"}
