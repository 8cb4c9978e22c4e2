"""Loading where there may be no driver: images are checked, modules can be looked at and saved."""

import subprocess
import sys

import pytest

import jitload
from jitload import LoadError, cuda
from jitload.compiler.fatbin import pack_fatbin
from jitload.cuda import driver

NO_DRIVER = "no CUDA driver: libcuda.so.1 not found"

SOURCE = b"""
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i];
}
"""


def compiled(kind, arch="75"):
    """An image straight from NVRTC."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="the NVRTC bindings are not installed")
    option = b"-arch=sm_" + arch.encode()
    options = [option, b"-dlto"] if kind == "ltoir" else [option]
    _, program = nvrtc.nvrtcCreateProgram(SOURCE, b"saxpy.cu", 0, [], [])
    assert nvrtc.nvrtcCompileProgram(program, len(options), options)[0] == 0
    name = {"cubin": "CUBIN", "ptx": "PTX", "ltoir": "LTOIR"}[kind]
    _, size = getattr(nvrtc, f"nvrtcGet{name}Size")(program)
    image = b" " * size
    assert getattr(nvrtc, f"nvrtcGet{name}")(program, image)[0] == 0
    return image


LOADERS = {"cubin": cuda.load_cubin, "ptx": cuda.load_ptx, "ltoir": cuda.load_ltoir, "fatbin": cuda.load_fatbin}


def image_of(kind, arch="75"):
    if kind != "fatbin":
        return compiled(kind, arch)
    return pack_fatbin([(f"sm_{arch}", compiled("cubin", arch))])


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_a_module_can_be_looked_at_and_saved_anywhere(kind):
    image = image_of(kind)
    module = LOADERS[kind](image)
    assert module.kind == kind
    assert module.save_to_bytes() == image
    if kind == "cubin":
        assert module.functions == ("saxpy",)
    if kind == "ptx":
        assert ".entry saxpy" in module.inspect_source()
        assert "\0" not in module.inspect_source()
    module.close()
    with pytest.raises(LoadError, match="closed"):
        module.get_function("saxpy")


@pytest.mark.usefixtures("needs_no_gpu")
@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_a_fetch_without_a_driver_says_what_to_do(kind):
    module = LOADERS[kind](image_of(kind))
    with pytest.raises(LoadError) as caught:
        module.get_function("saxpy")
    if kind == "ptx":  # which the CPU executor runs too
        assert str(caught.value) == f"{NO_DRIVER}; run with JITLOAD_DEVICE=cpu, or load where a GPU is"
    else:
        what = {"cubin": "a cubin", "fatbin": "a fatbin", "ltoir": "LTO-IR"}[kind]
        assert str(caught.value).startswith(f"{NO_DRIVER}, and {what} runs on a GPU alone. What runs here")
        assert "leave kind= and arch= out, or write kind='ptx', arch='compute_90'" in str(caught.value)
        assert "JITLOAD_DEVICE" not in str(caught.value)
    assert caught.value.kind in {kind, None}
    with pytest.raises(LoadError, match="no CUDA driver"):
        module.get_global("table")
    assert driver.is_available() is False


@pytest.mark.parametrize("kind", sorted(LOADERS))
@pytest.mark.parametrize("damaged", [b"", b"\x00not an image" * 30], ids=["empty", "other"])
def test_what_is_no_image_is_refused_at_once(kind, damaged):
    with pytest.raises(LoadError):
        LOADERS[kind](damaged)


@pytest.mark.parametrize("kind", ["cubin", "fatbin"])
def test_a_truncated_image_never_reaches_the_driver(kind):
    """The driver is given no size; PTX ends at its NUL, and nvJitLink is given the size of LTO-IR."""
    image = image_of(kind)
    for length in (len(image) - 1, len(image) - 60, len(image) // 2, 70):
        with pytest.raises(LoadError):
            LOADERS[kind](image[:length])


def test_without_bindings_the_way_to_them_is_told():
    program = """
import sys
sys.modules["cuda.bindings"] = None
from jitload.cuda import driver
driver.library = lambda: None
try:
    driver.bindings()
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("LoadError no CUDA driver bindings: ")
    assert "pip install 'jitload[cu12]'" in done.stdout


def test_nothing_is_imported_or_touched_before_it_is_needed():
    program = """
import sys
import jitload.cuda, jitload.cuda.driver
print([name for name in ("cuda.bindings", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ltoir_links_for_any_arch_without_a_gpu():
    from jitload.cuda.linker import link_ltoir
    from jitload.images.check import cubin_arch, kernel_symbols, verify_image

    cubin = link_ltoir(compiled("ltoir", "80"), "sm_90")
    verify_image("cubin", cubin)
    assert cubin_arch(cubin) == "sm_90"
    assert kernel_symbols(cubin) == ("saxpy",)


def test_of_processes_that_load_an_image_one_links_it(cache_dir):
    from jitload.cuda.linker import link_image

    image = compiled("ptx", "80")
    told = []
    with jitload.on_event(lambda event: told.append(event.name) if event.name == "link" else None):
        cubins = []
        for arch in ("sm_90", "sm_90", "sm_80"):
            with jitload.Session(cache_dir=cache_dir):
                cubins.append(link_image("ptx", image, arch))
        assert cubins[0] == cubins[1] != cubins[2]
        assert told == ["link", "link"]
        for path in [path for path in (cache_dir / "objects").rglob("*") if path.is_file()]:
            data = bytearray(path.read_bytes())
            data[-40] ^= 1
            path.write_bytes(data)
        with jitload.Session(cache_dir=cache_dir):
            assert link_image("ptx", image, "sm_90") == cubins[0]
        with jitload.Session(cache_dir=cache_dir, strict=True):
            assert link_image("ptx", image, "sm_90") == cubins[0]
    assert told == ["link"] * 4


def test_linker_errors_carry_the_log():
    from jitload.cuda.linker import link_ltoir

    ltoir = compiled("ltoir", "80")
    with pytest.raises(LoadError, match="cannot link LTO-IR for sm_75: nvJitLink says") as caught:
        link_ltoir(ltoir, "sm_75")
    assert "newer than target" in caught.value.log
    assert caught.value.kind == "ltoir"
    # Neither sm_1, at which nvJitLink 13.5 ends the process, nor sm_200, at which 12.9 crashes after an earlier link.
    with pytest.raises(LoadError, match="cannot link LTO-IR for sm_70: nvJitLink says"):
        link_ltoir(ltoir, "sm_70")


@pytest.mark.gpu
@pytest.mark.usefixtures("needs_gpu")
@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_on_a_gpu(kind):
    """Every kind runs saxpy on arrays of the host; the driver itself tells the layout."""
    import numpy as np

    kernel = LOADERS[kind](image_of(kind, driver.device_arch().removeprefix("sm_")))["saxpy"]
    assert [parameter.size for parameter in kernel.info.params] == [4, 8, 8, 4]
    x, y = np.arange(1000, dtype="f4"), np.ones(1000, "f4")
    kernel[4, 256](np.float32(2), x, y, np.int32(1000))
    np.testing.assert_array_equal(y, 1 + 2 * x)


PART = 'extern "C" __device__ int other(int); extern "C" __global__ void k(int *x) { x[0] = other(1); }'
WHOLE = 'extern "C" __global__ void k(int *x) { x[0] = 1; }'


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_100"])
@pytest.mark.parametrize("source", [PART, WHOLE], ids=["refers to others", "whole"])
def test_a_relocatable_cubin_is_marked_and_refused_at_load(arch, source, tmp_path):
    """On every device, before a driver sees it; it is compiled, kept and saved like any other."""
    options = {"kind": "cubin", "arch": arch, "cache": jitload.Cache(tmp_path / "cache")}
    part = jitload.compile(source, options=["-rdc=true"], **options)
    assert part.relocatable
    assert "cubin, relocatable" in repr(part)
    part.save(tmp_path / "part.jle")
    assert jitload.Artifact.open(tmp_path / "part.jle").relocatable
    assert jitload.compile(source, options=["-rdc=true"], **options).data == part.data
    for device in ("cpu", "cuda"):
        with jitload.configure(device=device):
            with pytest.raises(
                LoadError, match=r"is relocatable .*link it .*or compile it without -rdc=true"
            ) as caught:
                part.load()
            assert caught.value.kind == "cubin"
            with pytest.raises(LoadError, match="is relocatable"):
                jitload.load_module_from_bytes("cubin", part.data)
    whole = jitload.compile(WHOLE, **options)
    assert not whole.relocatable
    whole.load()


def test_a_fatbin_of_relocatable_cubins_is_refused_too():
    part = jitload.compile(PART, kind="fatbin", arch=["sm_80", "sm_90"], options=["-rdc=true"], cache=jitload.Cache())
    with pytest.raises(LoadError, match="is relocatable"):
        part.load()
    jitload.compile(WHOLE, kind="fatbin", arch=["sm_80", "sm_90"], cache=jitload.Cache()).load()


def test_ptx_and_ltoir_are_linked_or_compiled_at_load():
    for kind, arch in (("ptx", "compute_80"), ("ltoir", "sm_80")):
        image = jitload.compile(WHOLE, kind=kind, arch=arch, options=["-rdc=true"], cache=jitload.Cache())
        assert not image.relocatable
        image.load()
