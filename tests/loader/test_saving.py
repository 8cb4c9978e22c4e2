"""Every kind that says it can be saved comes back the same, with the names and layouts that were attached to it."""

import pytest

import jitload
from jitload.errors import ArtifactError, LoadError
from jitload.loader.module import BINARY_SERIALIZABLE, COMPILATION_EXPORTABLE, RUNNABLE, Module
from jitload.loader.registry import load_module_from_bytes, register_loader, registered_kinds
from jitload.loader.specs import IMAGE_KINDS
from jitload.loader.system import SystemLibrary
from jitload.loader.whole import LibraryModule, pack_module

SOURCE = r"""
template <typename T> __global__ void fill(T *x, T value, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = value;
}
"""
NAME = "fill<float>"
SYMBOL = "_Z4fillIfEvPT_S0_i"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    with jitload.configure(cache_dir=str(tmp_path_factory.mktemp("cache"))):
        archs = {"cubin": "sm_80", "ptx": "compute_75", "ltoir": "sm_80", "fatbin": ["sm_80", "sm_90"]}
        return {kind: jitload.compile(SOURCE, kind=kind, arch=arch, names=[NAME]) for kind, arch in archs.items()}


def test_the_bits_are_those_of_tvm_ffi():
    assert (BINARY_SERIALIZABLE, RUNNABLE, COMPILATION_EXPORTABLE) == (1, 2, 4)


def test_the_flags_of_modules():
    python, saved, library = Module("python", {"f": len}), Module("echo", data=b""), LibraryModule({"f": len})
    assert [m.get_property_mask() for m in (python, saved, library, SystemLibrary("p"))] == [2, 3, 6, 6]
    assert saved.is_binary_serializable()
    assert not python.is_binary_serializable()
    assert python.is_runnable()
    assert library.is_compilation_exportable()
    assert not saved.is_compilation_exportable()


def every_kind(artifacts):
    """One bare module per kind that has a loader here."""
    for kind in registered_kinds():
        if kind in IMAGE_KINDS:
            yield load_module_from_bytes(kind, artifacts[kind].data)
    yield load_module_from_bytes("library_bin", pack_module(load_module_from_bytes("ptx", artifacts["ptx"].data)))


def test_every_kind_that_says_it_can_be_saved_comes_back_the_same(artifacts):
    seen = set()
    for module in every_kind(artifacts):
        seen.add(module.kind)
        assert module.is_binary_serializable()
        again = load_module_from_bytes(module.kind, module.save_to_bytes())
        assert (again.kind, again.functions, again.save_to_bytes(), again.inspect_source()) == (
            module.kind,
            module.functions,
            module.save_to_bytes(),
            module.inspect_source(),
        )
    assert seen == IMAGE_KINDS


@pytest.mark.parametrize("kind", sorted(IMAGE_KINDS))
def test_a_bare_image_is_saved_as_it_is(artifacts, kind):
    assert load_module_from_bytes(kind, artifacts[kind].data).save_to_bytes() == artifacts[kind].data


@pytest.mark.parametrize("kind", sorted(IMAGE_KINDS))
def test_names_layouts_and_source_come_back_too(artifacts, kind):
    kernel = artifacts[kind].kernels[NAME]
    functions = {"fill": kernel, "other": SYMBOL}
    module = jitload.create_module(kind, artifacts[kind].data, functions=functions, source=SOURCE)
    saved = module.save_to_bytes()
    again = load_module_from_bytes(kind, saved)
    assert again.functions == module.functions
    assert {"fill", "other"} <= set(again.functions)
    assert again.inspect_source() == SOURCE
    assert again.save_to_bytes() == saved


def test_a_saved_artifact_is_taken_by_the_loader_of_its_kind(artifacts, tmp_path):
    artifacts["cubin"].save(tmp_path / "fill.jle")
    module = load_module_from_bytes("cubin", (tmp_path / "fill.jle").read_bytes())
    assert NAME in module.functions


def test_a_packed_kernel_runs_on_the_cpu_under_the_name_the_user_wrote(artifacts):
    import numpy as np

    with jitload.configure(device="cpu"):
        top = LibraryModule({"host": len})
        top.import_module(artifacts["ptx"].load())
        root = load_module_from_bytes("library_bin", pack_module(top))
        kernel = root.get_function(NAME, query_imports=True)
        x = np.zeros(10, np.float32)
        kernel[1, 32](x, 2.5, x.size)
    assert (x == 2.5).all()


@pytest.mark.usefixtures("needs_no_gpu")
@pytest.mark.parametrize("kind", ["cubin", "fatbin", "ltoir"])
def test_without_a_driver_a_module_is_looked_at_and_saved_and_says_why_it_cannot_run(artifacts, kind):
    module = artifacts[kind].load()
    assert NAME in module.functions
    assert load_module_from_bytes(kind, module.save_to_bytes()).functions == module.functions
    with pytest.raises(LoadError, match="no CUDA driver: libcuda"):
        module[NAME]


def test_damage_and_another_kind_are_refused(artifacts):
    saved = jitload.create_module("cubin", artifacts["cubin"].data, functions={"f": SYMBOL}).save_to_bytes()
    for at in range(8, len(saved), 97):
        with pytest.raises(ArtifactError):
            load_module_from_bytes("cubin", saved[:at] + bytes([saved[at] ^ 1]) + saved[at + 1 :])
    with pytest.raises(LoadError, match="of kind 'cubin', not 'ptx'"):
        load_module_from_bytes("ptx", saved)


@pytest.mark.parametrize("factors", [b'{"names":{"f":1},"source":null}', b'{"names":"f","source":null}'])
def test_names_that_are_no_text_are_refused(artifacts, factors):
    from jitload.format.entry import encode_entry

    with pytest.raises(LoadError, match="no text"):
        load_module_from_bytes("cubin", encode_entry(artifacts["cubin"], factors))


def test_the_module_of_a_registered_loader_is_saved_as_that_loader_wants_it(artifacts):
    """What is attached is kept only where the loader is known to read it."""
    with register_loader("cubin", lambda data: Module("cubin", data=data), override=True):
        assert artifacts["cubin"].load().save_to_bytes() == artifacts["cubin"].data


def test_the_typed_constructors(artifacts):
    kernel = artifacts["ptx"].kernels[NAME]
    assert jitload.module_from_cubin(artifacts["cubin"].data, functions={"f": kernel}).functions[0] == "f"
    assert jitload.module_from_fatbin(artifacts["fatbin"].data, functions={"f": SYMBOL}).functions == ("f",)
    for code in (artifacts["ptx"].data, artifacts["ptx"].data.rstrip(b"\0").decode()):
        assert jitload.module_from_ptx(code, source="// C").inspect_source() == "// C"
    with pytest.raises(TypeError, match="bytes-like"):
        jitload.module_from_cubin("text")
