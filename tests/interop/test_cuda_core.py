"""cuda.core's program cache on ours: its protocol, as cuda.core's own tests have it, and its real `Program.compile`."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

import jitload
from jitload.errors import UsageTypeError
from jitload.tiers.cache import Cache

core = pytest.importorskip("cuda.core", reason="cuda.core is not installed")
from cuda.core.utils import ProgramCacheResource

from jitload.interop.cuda_core import ProgramCache

REPOSITORY = pathlib.Path(jitload.__file__).parent.parent
SOURCE = 'extern "C" __global__ void k(int* o) { *o = 7; }'
TEMPLATE = "template<class T> __global__ void f(T* o) { *o = 3; }"


@pytest.fixture
def programs(cache_dir):
    with ProgramCache(Cache(cache_dir)) as opened:
        yield opened


def compiled(cache, source=SOURCE, **options):
    program = core.Program(source, "c++", core.ProgramOptions(arch="sm_80", **options))
    return program.compile("cubin", cache=cache)


def test_it_is_a_resource_of_cuda_core(programs):
    assert isinstance(programs, ProgramCacheResource)
    assert not hasattr(programs, "__contains__")


def test_a_real_compile_is_kept_and_served_to_the_next_process(programs, cache_dir):
    first = compiled(programs)
    assert len(programs) == 1
    again = compiled(ProgramCache(Cache(cache_dir)))
    assert (bytes(again.code), again.code_type) == (bytes(first.code), "cubin")
    compiled(programs, SOURCE + " ")
    compiled(programs, max_register_count=32)
    assert len(programs) == 3


def test_a_flipped_bit_is_compiled_anew(programs, cache_dir):
    code = bytes(compiled(programs).code)
    (path,) = [path for path in (cache_dir / "objects").rglob("*") if path.is_file()]
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    fresh = ProgramCache(Cache(cache_dir))
    assert bytes(compiled(fresh).code) == code
    assert len(fresh) == 1


@pytest.mark.parametrize("value", [b"abc", bytearray(b"abc"), memoryview(b"abc")], ids=["bytes", "array", "view"])
def test_values_are_bytes_like(programs, value):
    programs["k"] = value
    assert (programs[b"k"], type(programs["k"])) == (b"abc", bytes)


def test_a_str_key_is_its_utf_8(programs):
    programs["schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel"] = b"v"
    assert programs["schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel".encode()] == b"v"
    assert len(programs) == 1


def test_what_is_absent(programs):
    for absent in (lambda: programs["k"], lambda: programs.__delitem__("k")):
        with pytest.raises(KeyError, match="k"):
            absent()
    assert (programs.get("k"), programs.get("k", b"other")) == (None, b"other")


def test_delete_overwrite_update_and_clear(programs):
    programs.update({"a": b"1", b"b": b"2"})
    programs.update([("a", b"3")])
    assert (programs["a"], len(programs)) == (b"3", 2)
    del programs["a"]
    assert (programs.get("a"), len(programs)) == (None, 1)
    programs.clear()
    assert (programs.get("b"), len(programs)) == (None, 0)


def test_clear_and_len_have_to_do_with_programs_alone(programs, cache_dir):
    kernel = jitload.compile(SOURCE, kind="ptx", arch="compute_75", cache=Cache(cache_dir))
    other = ProgramCache(Cache(cache_dir), namespace="other")
    other["k"] = b"v"
    programs["k"] = b"w"
    assert len(programs) == 1
    programs.clear()
    assert (other["k"], Cache(cache_dir).get(kernel.key)) == (b"v", kernel)


@pytest.mark.parametrize(("key", "value"), [(1, b"v"), (None, b"v"), ("k", "text"), ("k", 5), ("k", None)], ids=repr)
def test_what_is_neither_is_a_type_error(programs, key, value):
    with pytest.raises(TypeError):
        programs[key] = value
    assert len(programs) == 0


def test_object_code_is_kept_by_its_bytes_also_where_it_is_a_file(programs, tmp_path):
    data = bytes(compiled(None).code)
    file = tmp_path / "k.cubin"
    file.write_bytes(data)
    programs["memory"] = core.ObjectCode.from_cubin(data)
    programs["file"] = core.ObjectCode.from_cubin(str(file))
    file.write_bytes(b"other")
    assert programs["memory"] == programs["file"] == data
    file.unlink()
    with pytest.raises(FileNotFoundError):
        programs["gone"] = core.ObjectCode.from_cubin(str(file))


def test_what_cuda_core_refuses_to_cache_is_refused(programs):
    program = core.Program(TEMPLATE, "c++", core.ProgramOptions(arch="sm_80"))
    with pytest.raises(ValueError, match="name_expressions"):
        program.compile("cubin", name_expressions=("f<int>",), cache=programs)


def test_it_goes_on_after_close_and_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with ProgramCache(Cache(tmp_path / "file")) as opened:
        assert compiled(opened).code
    assert compiled(opened).code
    with pytest.raises(UsageTypeError, match=r"cache is a jitload\.Cache, got str"):
        ProgramCache(str(tmp_path))


def test_threads_compile_one_program_once(programs, in_threads):
    missed = []

    def work():
        with programs.single_flight() as one:
            if one.get("k") is None:
                missed.append(time.sleep(0.05))
                one["k"] = b"v"

    in_threads(work)
    assert len(missed) == 1


def test_a_compile_that_fails_frees_the_others(programs):
    """Also where somebody keeps the view."""
    kept, waited = [], []

    def work():
        started = time.monotonic()
        with programs.single_flight() as one:
            assert one.get("k") is None
            one["k"] = b"v"
            assert one["k"] == b"v"
        waited.append(time.monotonic() - started)

    with programs.single_flight() as one:
        kept.append(one)
        assert one.get("k") is None
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert waited
    assert waited[0] < 10


COMPILE = """
import sys
from cuda.core import Program, ProgramOptions
from jitload.interop.cuda_core import ProgramCache
from jitload import stats
with ProgramCache() as cache, cache.single_flight() as one:
    Program(sys.argv[1], "c++", ProgramOptions(arch="sm_80")).compile("cubin", cache=one)
print(stats().bytes_stored > 0)
"""


def test_processes_compile_one_program_once(cache_dir):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", COMPILE, SOURCE]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    said = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert sorted(said) == ["False", "False", "True"]


def test_object_code_comes_in_with_the_names_of_its_mapping():
    program = core.Program(TEMPLATE, "c++", core.ProgramOptions(arch="sm_80"))
    code = program.compile("cubin", name_expressions=("f<int>",))
    assert all(isinstance(symbol, bytes) for symbol in code.symbol_mapping.values())
    module = jitload.create_module(code.code_type, code.code, functions=code.symbol_mapping)
    assert module.implements_function("f<int>")
    assert jitload.load_module_from_bytes(code.code_type, code.code).functions == ("_Z1fIiEvPT_",)


@pytest.mark.parametrize("kind", ["cubin", "ptx", "ltoir", "fatbin"])
def test_an_artifact_goes_out_as_object_code(kind):
    arch = "compute_80" if kind in {"ptx", "ltoir"} else "sm_80"
    artifact = jitload.compile(TEMPLATE, kind=kind, arch=arch, names=["f<int>"])
    code = artifact.to_object_code()
    assert (code.code_type, bytes(code.code), code.name) == (kind, artifact.data, artifact.name)
    assert code.symbol_mapping == {"f<int>": b"_Z1fIiEvPT_"}


ON_A_GPU = """
import cuda.core as core, jitload, numpy as np
core.Device(0).set_current()
artifact = jitload.compile('''template<class T> __global__ void f(T* o) { *o = 3; }''', kind="cubin", arch="sm_90",
                           names=["f<int>"])
kernel = artifact.to_object_code().get_kernel("f<int>")
assert int(kernel.handle)
ours = artifact.load()["f<int>"]
theirs = core.Kernel.from_handle(ours.handle)
assert int(theirs.handle) == ours.handle
"""


def test_kernels_go_both_ways_on_a_gpu(checking_driver):
    command = [sys.executable, "tests/driver/run.py", sys.executable, "-c", ON_A_GPU]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
