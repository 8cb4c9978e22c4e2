"""explain names what changed, says what each tier answered, and changes nothing."""

from __future__ import annotations

import json

import pytest

import jitload
from jitload.door import compile_request

SOURCE = '#include "value.h"\nextern "C" __global__ void k(int *x) { *x = VALUE; }\n'


@pytest.fixture
def project(tmp_path):
    (tmp_path / "k.cu").write_text(SOURCE)
    (tmp_path / "value.h").write_text("#define VALUE 1\n")
    return tmp_path


def request(project, **changes):
    return jitload.CompileRequest(project / "k.cu", **{"kind": "ptx", "arch": "compute_75", **changes})


def differences(explanation) -> list[str]:
    return [difference.factor for difference in explanation.nearest[0].differences]


def test_never_compiled(project):
    explanation = jitload.explain(request(project))
    assert not explanation.hit
    assert explanation.nearest == ()
    assert "never compiled into this cache" in str(explanation)
    assert dict(explanation.factors)["arch"] == "compute_75"


def test_a_hit_has_the_key_of_its_artifact_and_is_not_its_own_nearest(project):
    artifact = compile_request(request(project))
    explanation = jitload.explain(request(project))
    assert explanation.hit
    assert explanation.key == artifact.key
    assert explanation.nearest == ()
    assert repr(explanation) == f"<Explanation of {explanation.request}: a hit, {explanation.launch}>"
    assert ("memory: hit; disk: hit") in str(explanation)


def test_a_cache_explains_what_it_holds_itself(project, tmp_path):
    own = jitload.Cache(tmp_path / "own")
    compile_request(request(project))
    assert not own.explain(request(project)).hit
    compile_request(request(project), own)
    assert own.explain(request(project)).hit
    assert own.explain(request(project)) == jitload.explain(request(project), own)
    (project / "value.h").write_text("#define VALUE 2\n")
    assert differences(own.explain(request(project))) == [f"header {project / 'value.h'}"]


def test_the_nearest_entry_is_the_one_with_the_fewest_differences(project, tmp_path):
    cache = jitload.Cache(tmp_path / "own")
    for options in (["-lineinfo", "--fmad=false"], [], ["-lineinfo"]):
        compile_request(request(project, arch="compute_80", options=options), cache)
    nearest = cache.explain(request(project)).nearest
    assert [len(entry.differences) for entry in nearest] == [1, 2, 2]


def test_an_edited_header_is_named_with_old_and_new(project):
    compile_request(request(project))
    before = jitload.stats()
    (project / "value.h").write_text("#define VALUE 2\n")
    explanation = jitload.explain(request(project))
    assert not explanation.hit
    assert differences(explanation) == [f"header {project / 'value.h'}"]
    assert f"header {project / 'value.h'} changed" in str(explanation)
    assert jitload.stats() == before


def test_a_header_behind_a_macro_is_named_too(project):
    (project / "k.cu").write_text(SOURCE.replace('"value.h"', "NAME").replace("#inc", '#define NAME "value.h"\n#inc'))
    compile_request(request(project))
    (project / "value.h").write_text("#define VALUE 2\n")
    explanation = jitload.explain(request(project))
    assert differences(explanation) == [f"header {project / 'value.h'}"]
    assert explanation.key is None  # only a compile can tell


@pytest.mark.filterwarnings("ignore::jitload.CompileWarning")
def test_one_edited_header_among_the_six_hundred_of_cub_is_named(project, tmp_path):
    import shutil

    from jitload.compiler.toolkit import toolkit_roots

    for root, directory in toolkit_roots():
        if root == "toolkit/cccl":
            shutil.copytree(directory, tmp_path / "cccl")
    (project / "k.cu").write_text(
        "#include <cub/block/block_reduce.cuh>\n"
        "__global__ void k(int *x) { __shared__ cub::BlockReduce<int, 64>::TempStorage t;"
        " x[0] = cub::BlockReduce<int, 64>(t).Sum(x[threadIdx.x]); }\n"
    )
    wanted = request(project, include_dirs=[tmp_path / "cccl"])
    compile_request(wanted)
    edited = tmp_path / "cccl" / "cub" / "warp" / "warp_reduce.cuh"
    edited.write_text(edited.read_text() + "\n// edited\n")
    explanation = jitload.explain(wanted)
    assert differences(explanation) == [f"header {edited}"]


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ({"arch": "compute_80"}, "arch"),
        ({"kind": "cubin", "arch": "sm_80"}, "kind"),
        ({"options": ["-lineinfo"]}, "options"),
        ({"defines": {"N": 4}}, "define N"),
        ({"name": "other.cu"}, "program name"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_changed_factor_is_named(project, changes, factor):
    compile_request(request(project))
    explanation = jitload.explain(request(project, **changes))
    assert factor in differences(explanation)
    assert not any(name.startswith("header ") for name in differences(explanation))


def test_a_jit_kernel_with_a_cache_of_its_own_is_explained_against_it(tmp_path):
    own = jitload.Cache(tmp_path / "own")

    @jitload.jit_kernel(source='extern "C" __global__ void k(int *x) { *x = 1; }', cache=own)
    def k(x): ...

    assert not jitload.explain(k).hit
    k.artifact()
    assert jitload.explain(k).hit
    assert not jitload.explain(k, jitload.Cache()).hit
    assert str(k.explain()) == str(jitload.explain(k))


def test_a_jit_kernel_explains_itself_and_json_has_the_same(project):
    @jitload.jit_kernel(file=project / "k.cu")
    def k(x): ...

    k.artifact(arch="compute_75")
    explanation = k.explain(arch="compute_75")
    assert explanation.hit
    assert json.loads(json.dumps(explanation.to_json()))["key"] == explanation.key


def test_a_hit_in_a_layer_is_one_and_explaining_is_no_use_of_it(project, tmp_path):
    import os

    layer = jitload.Cache(tmp_path / "opt")
    compile_request(request(project), layer)
    (entry,) = (tmp_path / "opt" / "objects").glob("*/*")
    os.utime(entry, (1, 1))
    before = jitload.stats()
    over = jitload.Cache(tmp_path / "own", layers=[tmp_path / "opt"])
    explanation = jitload.explain(request(project), over)
    assert explanation.hit
    assert f"disk {tmp_path / 'opt'}: hit; disk: absent" in str(explanation)
    own = jitload.explain(request(project), jitload.Cache(tmp_path / "opt"))
    assert own.hit
    assert entry.stat().st_mtime == 1
    assert jitload.stats() == before


def test_a_damaged_entry_shows_as_one(project, cache_dir):
    compile_request(request(project))
    (entry,) = (cache_dir / "objects").glob("*/*")
    entry.write_bytes(b"")
    explanation = jitload.explain(request(project), jitload.Cache(cache_dir))
    assert not explanation.hit
    assert "disk: damaged" in str(explanation)
    assert entry.exists()
