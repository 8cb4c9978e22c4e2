"""`jitload.link`: several images to one, kept like a compile, with nothing of it needed for a hit."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jitload
from jitload import CompileDisabledError, LinkError, LoadError, NotPrecompiledError, UsageTypeError, UsageValueError
from jitload.compiler import nvjitlink
from jitload.images.check import cubin_arch, kernel_symbols, verify_image

SOURCES = {
    "main.cu": """
        extern __device__ int B(); extern __device__ int C(int a, int b);
        __device__ int sum;
        template <typename T> __global__ void fill(T *out, int n) { *out = C(B(), n); }
        template __global__ void fill<int>(int *, int);
        extern "C" __global__ void A(int *out) { *out = C(B(), 1); sum = *out; }
    """,
    "b.cu": "__device__ int B() { return 41; }",
    "c.cu": "namespace m { __device__ int one = 1; } __device__ int C(int a, int b) { return a + b * m::one; }",
}
ARCHS = {"ltoir": "sm_80", "ptx": "compute_80", "cubin": "sm_80"}


@pytest.fixture(scope="module")
def units():
    """Three translation units, of every kind that can be linked."""
    cache = jitload.Cache()

    def unit(name, kind):
        names = ["fill<int>"] if name == "main.cu" else []
        return jitload.compile(
            SOURCES[name], name=name, kind=kind, arch=ARCHS[kind], options=["-rdc=true"], names=names, cache=cache
        )

    return {kind: [unit(name, kind) for name in SOURCES] for kind in ARCHS}


@pytest.fixture(autouse=True)
def _on_the_cpu():
    with jitload.configure(device="cpu"):
        yield


def run(artifact):
    out = np.zeros(1, "i4")
    module = artifact.load()
    module["A"][1, 1](out)
    return int(out[0])


def test_three_translation_units_run_on_the_executor(units):
    linked = jitload.link(units["ltoir"], kind="ptx", arch="sm_80")
    assert (linked.kind, linked.arch, linked.name) == ("ptx", "compute_80", "linked")
    assert run(linked) == 42
    out = np.zeros(1, "i4")
    linked.load()["fill<int>"][1, 1](out, 5)
    assert out[0] == 46
    assert linked.kernels["fill<int>"].parameters == ("int *", "int")


@pytest.mark.parametrize("kinds", ["ltoir", "ptx", "cubin", "ltoir ptx cubin"])
@pytest.mark.parametrize("bare", [False, True])
def test_every_kind_links_to_a_cubin_that_is_whole(units, kinds, bare):
    """From artifacts with the names and types of theirs; from bytes with what the image tells."""
    chosen = [units[kind][n] for n, kind in enumerate((kinds.split() * 3)[:3])]
    linked = jitload.link([one.data for one in chosen] if bare else chosen, arch="sm_86")
    verify_image("cubin", linked.data)
    assert cubin_arch(linked.data) == "sm_86"
    assert sorted(kernel_symbols(linked.data)) == sorted(kernel.symbol for kernel in linked.kernels.values())
    assert not linked.relocatable
    assert linked.kernels["A"].resources.registers > 0
    name = "fill<int>"
    if bare and kinds != "ltoir ptx cubin":
        name = next(one for one in linked.kernels if "fill" in one)
    if name in linked.kernels:
        assert [(p.offset, p.size) for p in linked.kernels[name].params] == [(0, 8), (8, 4)]
    if not bare:
        assert linked.kernels["fill<int>"].parameters == ("int *", "int")


@pytest.mark.parametrize("kind", ["ltoir", "ptx", "cubin"])
def test_what_is_undefined_is_named(units, kind):
    with pytest.raises(
        LinkError, match=r"from main.cu \(input 1\), b.cu \(input 2\): undefined: C \(_Z1Cii\)"
    ) as caught:
        jitload.link(units[kind][:2], arch="sm_80")
    assert caught.value.undefined == ("_Z1Cii",)
    assert "_Z1Cii" in caught.value.log
    assert isinstance(caught.value, jitload.CompileError)
    assert pickle.loads(pickle.dumps(caught.value)).undefined == ("_Z1Cii",)


def test_ptx_that_lacks_a_function_is_refused_like_a_cubin(units):
    with pytest.raises(LinkError, match="undefined: ") as caught:
        jitload.link(units["ltoir"][:1], kind="ptx")
    assert set(caught.value.undefined) == {"_Z1Bv", "_Z1Cii"}


def test_what_every_gpu_brings_is_not_undefined():
    source = '#include <cstdio>\nextern "C" __global__ void k() { printf("x"); delete[] new int[3]; }'
    source = source.replace("#include <cstdio>\n", "")
    unit = jitload.compile(source, kind="ltoir", arch="sm_80", options=["-rdc=true"])
    assert "k" in jitload.link([unit], kind="ptx").kernels


@pytest.mark.parametrize("kind", ["ltoir", "ptx", "cubin"])
def test_what_is_defined_twice_is_named(units, kind):
    """nvJitLink makes an image of PTX and cubins all the same, and says it on standard error alone."""
    with pytest.raises(LinkError, match=r"more than one input defines B \(_Z1Bv\)"):
        jitload.link([*units[kind], units[kind][1]], arch="sm_80")


def test_an_input_that_ends_the_linker_ends_nothing_else(units):
    """One bit of LTO-IR: nvJitLink 12.9 ends its process."""
    data = units["ltoir"][0].data
    place = len(data) // 3
    with pytest.raises(LinkError, match=r"nvJitLink ended with exit code|nvJitLink says|nvJitLink died"):
        jitload.link([data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], *units["ltoir"][1:]])


def test_ptx_alone_becomes_a_cubin():
    unit = jitload.compile('extern "C" __global__ void k(float *x) { *x = 2; }', kind="ptx", arch="compute_80")
    linked = jitload.link([unit.data], arch="sm_90", options=["-maxrregcount=32", "-O3"])
    assert cubin_arch(linked.data) == "sm_90"
    assert [(p.offset, p.size) for p in linked.kernels["k"].params] == [(0, 8)]


def test_kernels_that_launch_kernels_link_with_the_device_runtime():
    source = '__global__ void child(int *o) { *o = 7; }\nextern "C" __global__ void k(int *o) { child<<<1, 1>>>(o); }'
    for kind, arch in (("ltoir", "sm_80"), ("cubin", "sm_80"), ("ptx", "compute_80")):
        unit = jitload.compile(source, kind=kind, arch=arch, options=["-rdc=true"])
        with pytest.raises(LinkError, match=r"need the device runtime: add 'libcudadevrt.a' to the inputs"):
            jitload.link([unit], arch="sm_80")
        linked = jitload.link([unit, "libcudadevrt.a"], arch="sm_80")
        assert set(linked.kernels) == {"k", "child"}


def test_files_are_told_by_their_content(units, tmp_path):
    for unit, name in zip(units["ltoir"], ("a.ltoir", "b", "c.bin"), strict=True):
        (tmp_path / name).write_bytes(unit.data)
    units["ltoir"][0].save(tmp_path / "saved.jle")
    linked = jitload.link([tmp_path / "a.ltoir", str(tmp_path / "b"), tmp_path / "c.bin"], kind="ptx", arch="sm_80")
    assert run(linked) == 42
    named = jitload.link([tmp_path / "saved.jle", tmp_path / "b", tmp_path / "c.bin"], kind="ptx")
    assert "fill<int>" in named.kernels
    assert named.key != linked.key


def test_bad_input_says_what_was_expected(units):
    whole = jitload.compile('extern "C" __global__ void k() {}', kind="cubin", arch="sm_80")
    main = units["cubin"][0]
    for given, error, text in (
        ([], UsageValueError, "nothing to link|needs an arch"),
        ("a.ltoir", UsageTypeError, r"inputs is a list, got str: write \['a.ltoir'\]"),
        ([3], UsageTypeError, "input 1 is an Artifact, the bytes of an image, or a path, got int"),
        ([b"__global__ void k();"], UsageValueError, "input 1 cannot be linked: it begins with"),
        ([whole], UsageValueError, "a whole program already.*-rdc=true"),
        ([main.data[: len(main.data) // 2]], UsageValueError, "input 1 cannot be linked: not a usable cubin"),
        ([b"!<thin>\nx"], UsageValueError, "thin archive"),
        (["/nowhere/at/all.ltoir"], FileNotFoundError, "at/all"),
    ):
        with pytest.raises(error, match=text):
            jitload.link(given, arch="sm_80")
    with pytest.raises(UsageValueError, match=r"main.cu \(input 1\) is a cubin for sm_80, which cannot be linked for"):
        jitload.link(units["cubin"], arch="sm_90")
    with pytest.raises(UsageValueError, match=r"PTX is linked from LTO-IR alone, and main.cu"):
        jitload.link(units["ptx"], kind="ptx")
    with pytest.raises(UsageValueError, match="a link gives kind 'cubin' or 'ptx', not 'ltoir'"):
        jitload.link(units["ptx"], kind="ltoir", arch="sm_80")
    with pytest.raises(LinkError, match="there is no kernel and no variable"):
        jitload.link(units["ltoir"][1:2])


def test_a_relocatable_cubin_is_refused_at_load_with_the_way_out(units):
    with pytest.raises(LoadError, match=r"jitload.link\(\[...\]\)"):
        jitload.load_module_from_bytes("cubin", units["cubin"][0].data)
    with pytest.raises(LoadError, match=r"jitload.link\(\[...\]\)"):
        units["cubin"][0].load()


def test_a_link_is_made_once_and_told(units, tmp_path):
    told = []
    with jitload.Session(cache_dir=tmp_path), jitload.configure(device="cpu"), jitload.on_event(told.append):
        first = jitload.link(units["ltoir"])
        again = jitload.link(units["ltoir"])
        assert first == again
        jitload.Cache.default().memory.clear()
        assert jitload.link(units["ltoir"], cache=jitload.Cache(tmp_path)) == first
        stats = jitload.stats()
    assert [(event.name, event.tier) for event in told if event.name in {"miss", "link", "compile", "hit"}] == [
        ("miss", ""), ("link", ""), ("hit", "memory"), ("hit", "disk"),
    ]  # fmt: skip
    assert (stats.links, stats.compiles) == (1, 0)
    assert stats.link_seconds > 0


def test_the_key_is_made_of_contents_options_target_and_linker(units, monkeypatch):
    cache = jitload.Cache()
    first = jitload.link(units["ltoir"], cache=cache)
    keys = {first.key}
    for given in (
        {"options": ["-maxrregcount=40"]}, {"arch": "sm_86"}, {"kind": "ptx"}, {"name": "other"},
        {"inputs": units["ltoir"][::-1]},
        {"inputs": [one.data for one in units["ltoir"]], "arch": "sm_80"},
    ):  # fmt: skip
        keys.add(jitload.link(**{"inputs": units["ltoir"], "cache": cache, **given}).key)
    assert len(keys) == 7
    for same in ({"options": "-lto"}, {"options": ["-dlto", "-rdc=true"]}, {"arch": "80"}):
        assert jitload.link(units["ltoir"], cache=cache, **same).key == first.key
    other = jitload.Toolchain("nvjitlink", "13.9.1", "ab" * 32)
    monkeypatch.setattr(nvjitlink, "linker_toolchain", lambda _=None: other)
    assert jitload.link(units["ltoir"], cache=jitload.Cache()).key not in keys


def test_compiling_off_is_linking_off(units, tmp_path):
    with jitload.configure(cache_dir=tmp_path, device="cpu"):
        with (
            jitload.configure(compile="never"),
            pytest.raises(NotPrecompiledError, match=r"linked .cubin, sm_80.") as e,
        ):
            jitload.link(units["ltoir"])
        assert "inputs " in e.value.wanted
        jitload.link(units["ltoir"])
        with jitload.configure(compile="never"):
            assert jitload.link(units["ltoir"]).kind == "cubin"
        with jitload.Session(cache_dir=tmp_path):
            jitload.seal()
            jitload.link(units["ltoir"], arch="sm_80")
            with pytest.raises(CompileDisabledError, match="needs a link"):
                jitload.link(units["ltoir"], arch="sm_86")


WITHOUT = """
import pathlib, sys
import jitload, numpy as np
from jitload import LinkError
units = [pathlib.Path(name).read_bytes() for name in sys.argv[1:]]
out = np.zeros(1, "i4")
jitload.link(units, kind="ptx", arch="sm_80").load()["A"][1, 1](out)
print(out[0])
try:
    jitload.link(units, kind="ptx", arch="sm_80", name="another")
except LinkError as error:
    print(error)
"""


def test_a_hit_needs_no_linker(units, tmp_path, python_without_nvrtc):
    """Nor NVRTC, nor any package of NVIDIA's: this Python has none."""
    files = [tmp_path / unit.name for unit in units["ltoir"]]
    for file, unit in zip(files, units["ltoir"], strict=True):
        file.write_bytes(unit.data)
    with jitload.configure(cache_dir=tmp_path / "cache"):
        jitload.link(files, kind="ptx", arch="sm_80")
    done = python_without_nvrtc(WITHOUT, tmp_path / "cache", *map(str, files))
    assert done.stdout.startswith("42\nanother (ptx, compute_80) is in no bundle"), done.stdout + done.stderr
    assert "nvJitLink is not installed" in done.stdout


def test_a_link_is_recorded_precompiled_and_bundled(units, tmp_path):
    """By content: what is recorded links elsewhere, without its sources."""
    workload = tmp_path / "app.jlw"
    with jitload.configure(cache_dir=tmp_path / "here", device="cpu"), jitload.record(workload):
        key = jitload.link([*units["ltoir"]], kind="ptx", options=["-O0"], name="app").key
        jitload.link([units["cubin"][0], units["ptx"][1].data, units["ltoir"][2]], arch="sm_80")
    with jitload.configure(cache_dir=tmp_path / "there", device="cpu", compile="missing"):
        report = jitload.precompile(workload, jobs=1)
        assert (len(report.compiled), len(report.failed)) == (2, 0)
        bundle = jitload.Bundle.create(tmp_path / "app.jlb", [workload], with_workload=True)
        assert len(bundle) == 2
    with jitload.configure(cache_dir=tmp_path / "none", device="cpu", compile="never", trust="unsigned"):
        jitload.use_bundle(tmp_path / "app.jlb")
        try:
            linked = jitload.link(units["ltoir"], kind="ptx", options="-O0", name="app")
        finally:
            jitload.stop_bundle(tmp_path / "app.jlb")
    assert linked.key == key
    assert run(linked) == 42


def test_a_damaged_workload_of_a_link_is_refused(units, tmp_path):
    workload = tmp_path / "app.jlw"
    with jitload.configure(cache_dir=tmp_path / "here", device="cpu"), jitload.record(workload):
        jitload.link(units["ltoir"], kind="ptx")
    text = workload.read_text()
    for old, new in (
        ('[["ltoir",', '[["sass",'),
        ('"options":[]', '"options":["-Xptxas=-o=/x"]'),
        ('"ptx"', '"fatbin"'),
    ):
        assert old in text
        workload.write_text(text.replace(old, new, 1))
        with pytest.raises(jitload.BundleError, match="not a workload"):
            jitload.precompile(workload)


def test_explain_says_what_a_link_would_get(units, tmp_path):
    from jitload.linking import link_request

    cache = jitload.Cache(tmp_path)
    request = link_request(units["ltoir"], kind="ptx", arch=None, options=(), name=None, device="cpu")
    assert jitload.explain(request, cache).outcome == "compile"
    jitload.link(units["ltoir"], kind="ptx", cache=cache)
    assert jitload.explain(request, cache).outcome == "hit"
    assert pickle.loads(pickle.dumps(request)) == request


@pytest.mark.parametrize("kind", ["ltoir", "ptx", "cubin"])
def test_cuobjdump_reads_what_was_linked(units, kind, tmp_path):
    """NVIDIA's own reader of cubins finds the kernels, with code for the arch."""
    tool = next(path for site in sys.path for path in Path(site or ".").glob("nvidia/*/bin/cuobjdump"))
    file = tmp_path / "linked.cubin"
    file.write_bytes(jitload.link(units[kind], arch="sm_80").data)
    done = subprocess.run([tool, "--dump-elf-symbols", file], capture_output=True, text=True, check=True)
    entries = {line.split()[-1] for line in done.stdout.splitlines() if "ENTRY" in line}
    assert entries == {"A", "_Z4fillIiEvPT_i"}


def test_what_a_bundle_holds_besides_is_no_reason_to_fail(units, tmp_path):
    """Kinds that no link gives are targets of a bundle too: of it a link is asked for, and not found."""
    source = jitload.CompileRequest("__device__ int f() { return 1; }", kind="ltoir", arch="sm_80", name="linked")
    with jitload.configure(cache_dir=tmp_path / "c", device="cpu"):
        jitload.Bundle.create(tmp_path / "k.jlb", [source])
    with jitload.Session(cache_dir=tmp_path / "d"), jitload.configure(device="cpu", compile="never"):
        jitload.use_bundle(tmp_path / "k.jlb", trust="unsigned")
        with pytest.raises(NotPrecompiledError, match=r"linked .cubin, sm_80. is not available"):
            jitload.link(units["ltoir"])


def test_a_bundle_with_links_is_reproduced(units, tmp_path):
    workload, bundle = tmp_path / "app.jlw", tmp_path / "app.jlb"
    with jitload.configure(cache_dir=tmp_path / "c", device="cpu"):
        with jitload.record(workload):
            jitload.link(units["ltoir"], kind="ptx")
        unit = jitload.CompileRequest("__device__ int f() { return 1; }", kind="ltoir", arch="sm_80")
        jitload.Bundle.create(bundle, [workload, unit], with_workload=True)
    command = [sys.executable, "-m", "jitload", "repro", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("2 of 2 are the same bytes\n"), done.stdout + done.stderr
