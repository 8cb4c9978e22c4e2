"""Modules from artifacts, from files and from code: the way to the loader, and what is remembered on it."""

import pytest

from jitload.artifact import Artifact
from jitload.errors import ArtifactError, LoadError
from jitload.loader.create import create_module
from jitload.loader.files import load_module
from jitload.loader.module import Module
from jitload.loader.registry import load_artifact, load_module_from_bytes, register_loader
from jitload.loader.whole import LibraryModule, pack_module
from jitload.values import KernelInfo, Kind, Parameter, Toolchain


@pytest.fixture
def echo():
    with register_loader("echo", lambda data: Module("echo", {"payload": lambda: data}, data=data)):
        yield


def artifact(kind=Kind.PTX, data=b"image"):
    kernel = KernelInfo("fill<float>", "_Z4fillIfEvPT_S0_", [Parameter(0, 8, 8, "u64")])
    return Artifact(
        kind=kind,
        data=data,
        arch="sm_90",
        name="k.cu",
        key="ab" * 32,
        kernels=[kernel],
        toolchain=Toolchain("nvrtc", "12.9.86", "00"),
    )


class Image(Module):
    """A module whose functions come from its image, as those of a device do."""

    def _symbols(self):
        return ("_Z4fillIfEvPT_S0_", "saxpy")

    def _load_function(self, symbol, kernel):
        return (lambda: (symbol, kernel)) if symbol in self._symbols() else None


@pytest.fixture
def image_loader():
    with register_loader("ptx", lambda data: Image("ptx", data=data), override=True):
        yield


def test_an_artifact_loads_by_its_kind_and_answers_to_its_names_and_symbols(image_loader):
    made = artifact()
    for module in (load_artifact(made), made.load()):
        assert module.save_to_bytes() == b"image"
        for name in ("fill<float>", "_Z4fillIfEvPT_S0_"):
            symbol, kernel = module[name]()
            assert symbol == "_Z4fillIfEvPT_S0_"
            assert kernel == made.kernels["fill<float>"]
        assert module["saxpy"]() == ("saxpy", None)


def test_a_file_loads_by_its_suffix(image_loader, tmp_path):
    path = tmp_path / "kernels.v2.PTX"
    path.write_bytes(b"whatever")
    assert load_module(path).save_to_bytes() == b"whatever"
    assert load_module(str(path)).kind == "ptx"


def test_a_file_of_a_registered_kind_loads_by_its_suffix(echo, tmp_path):
    path = tmp_path / "a.echo"
    path.write_bytes(b"payload")
    assert load_module(path)["payload"]() == b"payload"


@pytest.mark.parametrize("name", ["saxpy.bin", "saxpy", "dir.d/saxpy"])
def test_a_file_without_a_telling_suffix_loads_by_its_content(image_loader, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"// made by hand\n.version 8.8\n.target sm_90\n.address_size 64\n")
    assert load_module(path).kind == "ptx"


@pytest.mark.parametrize("name", ["tree.library_bin", "tree.bin", "tree"])
def test_a_file_of_a_whole_module_loads_by_suffix_or_content(echo, tmp_path, name):
    top = LibraryModule()
    top.import_module(load_module_from_bytes("echo", b"inside"))
    (tmp_path / name).write_bytes(pack_module(top))
    assert load_module(tmp_path / name).get_function("payload", query_imports=True)() == b"inside"


@pytest.mark.parametrize("name", ["saxpy.jle", "saxpy.entry"])
def test_a_saved_artifact_loads_with_its_names(image_loader, tmp_path, name):
    artifact().save(tmp_path / name)
    assert load_module(tmp_path / name)["fill<float>"]()[0] == "_Z4fillIfEvPT_S0_"


def test_a_damaged_artifact_names_its_file(tmp_path):
    path = tmp_path / "saxpy.jle"
    artifact().save(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"saxpy\.jle"):
        load_module(path)


def test_a_file_of_no_known_kind_lists_what_is_known(echo, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"hello world")
    with pytest.raises(LoadError) as caught:
        load_module(path)
    for word in ("notes.txt", "'txt'", "b'hello wo'", "cubin", "echo", "jle"):
        assert word in str(caught.value)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_module(tmp_path / "absent.ptx")


def test_create_module_for_an_image_goes_through_its_loader_and_remembers(image_loader):
    kernel = artifact().kernels["fill<float>"]
    module = create_module("ptx", bytearray(b"code"), functions={"axpy": "saxpy", "fill": kernel}, source="// CUDA C++")
    assert isinstance(module, Image)
    assert module.save_to_bytes() == b"code"
    assert module.inspect_source() == "// CUDA C++"
    assert module["axpy"]() == ("saxpy", None)
    symbol, layout = module["fill"]()
    assert symbol == kernel.symbol
    assert (layout.name, layout.params) == ("fill", kernel.params)
    assert {"axpy", "fill"} <= set(module.functions)


def test_create_module_for_another_kind_takes_callables(echo):
    module = create_module("echo", b"code", functions={"twice": lambda x: 2 * x}, source="def twice")
    assert module["twice"](21) == 42
    assert module.kind == "echo"
    assert module.inspect_source() == "def twice"
    assert load_module_from_bytes("echo", module.save_to_bytes())["payload"]() == b"code"


def test_create_module_refuses_functions_of_the_wrong_sort(image_loader):
    with pytest.raises(TypeError, match="'f' needs a symbol"):
        create_module("ptx", b"", functions={"f": len})
    with pytest.raises(TypeError, match="not a callable"):
        create_module("echo", b"", functions={"f": "symbol"})
    with pytest.raises(TypeError, match="bytes-like"):
        create_module("ptx", "text")
