"""Variables of modules: found by their names in C++, read and written; on the CPU executor and on the checking driver."""

import numpy as np
import pytest

import jitload
from jitload import ArgumentError, LoadError, SymbolNotFoundError
from jitload.loader.variables import image_variables, lowered_variable

SOURCE = """
namespace n {
    __constant__ float coeff[4];
    __device__ int counter = 3;
    static __device__ int hidden = 5;
    namespace m { __device__ double deep; }
    struct S {};
    template <typename T, int N> __device__ T table[N];
}
__device__ int plain;
namespace { __device__ int own; }
extern "C" __global__ void k(float *out)
{
    n::counter++; n::hidden++; plain++; own++; n::m::deep += 1; n::table<unsigned, 3>[1] = 7;
    for (int i = 0; i < 4; ++i) out[i] = n::coeff[i];
}
"""
NAMES = {
    "n::coeff": 16, "n::counter": 4, "n::hidden": 4, "n::m::deep": 8, "n::table<unsigned int, 3>": 12, "plain": 4,
    "own": 4, "::plain": 4, "&n::table<unsigned int,3>": 12, "_ZN1n5coeffE": 16,
}  # fmt: skip


@pytest.fixture(scope="module")
def artifacts():
    """The program as PTX, as a cubin and as a fatbin."""
    cache = jitload.Cache()
    archs = {"ptx": "compute_80", "cubin": "sm_80", "fatbin": ["sm_80", "sm_90"]}
    return {kind: jitload.compile(SOURCE, kind=kind, arch=arch, cache=cache) for kind, arch in archs.items()}


@pytest.fixture
def module(artifacts):
    with jitload.configure(device="cpu"):
        module = artifacts["ptx"].load()
        yield module
        module.close()


@pytest.mark.parametrize("kind", ["ptx", "cubin", "fatbin"])
def test_every_image_shows_its_variables(artifacts, kind):
    symbols = image_variables(kind, artifacts[kind].data)
    found = {lowered_variable(name, symbols) for name in NAMES}
    assert len(found) == 7
    assert found <= set(symbols)
    assert not {"k", "out"} & set(symbols)


def test_a_name_has_the_symbol_that_it_should_have_where_an_image_does_not_show_it():
    assert lowered_variable("n::m::deep", ()) == "_ZN1n1m4deepE"
    assert lowered_variable("plain", ()) == "plain"
    assert lowered_variable("n::table<float>", ()) is None
    assert lowered_variable("", ()) is None


def test_variables_of_one_name_are_told_apart_by_their_symbols():
    symbols = [f"_ZN13_GLOBAL__N__{letter}1xE" for letter in "ab"]
    with pytest.raises(SymbolNotFoundError, match=r"several variables are called 'x' here"):
        lowered_variable("x", symbols)
    assert lowered_variable(symbols[0], symbols) == symbols[0]


def test_sizes_and_names(module):
    for name, nbytes in NAMES.items():
        found = module.get_global(name)
        assert found.nbytes == nbytes
        assert found.address == module.get_global(found.name).address
    with pytest.raises(SymbolNotFoundError, match="no variable 'n::nothing' in this module of kind 'ptx': it has "):
        module.get_global("n::nothing")
    with pytest.raises(SymbolNotFoundError, match="no variable 'x' in this module of kind 'mine'"):
        jitload.Module("mine").get_global("x")


def test_the_kernel_and_the_host_see_one_variable(module):
    module.get_global("n::coeff").copy_from(np.arange(4, dtype="f4"))
    out, counter, table = np.zeros(4, "f4"), np.zeros(1, "i4"), np.zeros(3, "u4")
    module["k"][1, 1](out)
    assert out.tolist() == [0, 1, 2, 3]
    module.get_global("n::counter").copy_to(counter)
    module.get_global("n::table<unsigned int, 3>").copy_to(table)
    assert (counter.tolist(), table.tolist()) == ([4], [0, 7, 0])
    module.get_global("n::counter").copy_from((41).to_bytes(4, "little"))
    module["k"][1, 1](out)
    value = bytearray(4)
    module.get_global("n::counter").copy_to(value)
    assert int.from_bytes(value, "little") == 42


def test_only_arrays_of_just_its_size_that_may_be_written(module):
    coeff = module.get_global("n::coeff")
    for wrong in (np.zeros(3, "f4"), np.zeros(5, "f4"), b"x"):
        with pytest.raises(ArgumentError, match="variable '_ZN1n5coeffE' has 16 bytes, and the array has"):
            coeff.copy_from(wrong)
    for wrong in (3.0, 5, "text", None):
        with pytest.raises(ArgumentError, match="expected an array or a buffer"):
            coeff.copy_from(wrong)
    with pytest.raises(ArgumentError, match="not contiguous"):
        coeff.copy_from(np.zeros(8, "f4")[::2])
    frozen = np.zeros(4, "f4")
    frozen.flags.writeable = False
    coeff.copy_from(frozen)
    for wrong in (frozen, bytes(16)):
        with pytest.raises(ArgumentError, match="read-only"):
            coeff.copy_to(wrong)


def test_it_goes_with_its_module(artifacts):
    with jitload.configure(device="cpu"):
        module = artifacts["ptx"].load()
    coeff = module.get_global("n::coeff")
    module.close()
    with pytest.raises(LoadError, match="its module is closed"):
        coeff.copy_from(np.zeros(4, "f4"))
    with pytest.raises(LoadError, match="is closed"):
        module.get_global("n::coeff")
