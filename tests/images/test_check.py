"""Structural checks: real images of NVRTC 12 and 13 pass, and nothing that is damaged, cut or mislabelled does."""

import contextlib
import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitload.errors import LoadError
from jitload.images.check import cubin_arch, kernel_symbols, sniff_kind, verify_image
from jitload.images.ptx import is_debug_ptx, ptx_target
from jitload.images.ptx.entries import entry_names
from jitload.values import Kind

DATA = Path(__file__).parent / "data"
IMAGES = {path.name: path.read_bytes() for path in sorted(DATA.iterdir()) if path.suffix != ".py"}
CUBINS = {name: data for name, data in IMAGES.items() if name.endswith(".cubin")}
CUBIN, CUBIN_13 = IMAGES["sm_90-nvrtc12.cubin"], IMAGES["sm_90a-nvrtc13.cubin"]
PTX, FATBIN, LTOIR = (IMAGES[f"sm_90-nvrtc12.{kind}"] for kind in ("ptx", "fatbin", "ltoir"))
KERNELS = {"saxpy", "_Z4fillIfEvPT_S0_"}

# Where things stand in an ELF64 header.
E_TYPE, E_MACHINE, E_PHOFF, E_SHOFF, E_FLAGS, E_PHENTSIZE, E_SHENTSIZE, E_SHNUM, E_SHSTRNDX = (
    16, 18, 32, 40, 48, 54, 58, 60, 62,
)  # fmt: skip


def patched(data, layout, offset, value):
    copy = bytearray(data)
    struct.pack_into(layout, copy, offset, value)
    return bytes(copy)


def kind_of(name):
    return name.rpartition(".")[2]


def examine(kind, data):
    """Everything that reads images; `LoadError` is the only exception that may come out."""
    for look in (lambda: verify_image(kind, data), lambda: cubin_arch(data), lambda: ptx_target(data)):
        with contextlib.suppress(LoadError):
            look()
    with contextlib.suppress(LoadError):
        assert all(isinstance(symbol, str) for symbol in kernel_symbols(data))
    sniff_kind(data)


# What is whole passes.


@pytest.mark.parametrize("name", IMAGES)
def test_images_of_nvrtc_12_and_13_pass_and_show_their_kind(name):
    verify_image(kind_of(name), IMAGES[name])
    assert sniff_kind(IMAGES[name]) == kind_of(name)


@pytest.mark.parametrize("name", CUBINS)
def test_a_cubin_shows_its_arch_and_kernels(name):
    arch = name.partition("-")[0]
    assert cubin_arch(CUBINS[name]) == arch
    assert set(kernel_symbols(CUBINS[name])) == KERNELS
    verify_image("cubin", CUBINS[name], arch)


def test_a_ptx_shows_its_version_and_target():
    assert ptx_target(PTX) == ("8.8", "sm_90")
    verify_image("ptx", PTX, "sm_90")
    verify_image("ptx", PTX, "compute_90")


def test_the_kind_may_be_the_enumeration():
    verify_image(Kind.CUBIN, CUBIN)
    with pytest.raises(LoadError) as caught:
        verify_image(Kind.PTX, CUBIN)
    assert caught.value.kind == "ptx"


def test_a_kind_without_a_check_is_the_callers_mistake():
    with pytest.raises(ValueError, match=r"no structural check for kind 'echo', there is one for cubin"):
        verify_image("echo", b"")


def every_arch():
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="needs the NVRTC bindings")
    _, numbers = nvrtc.nvrtcGetSupportedArchs()
    return nvrtc, [f"sm_{number}{suffix}" for number in numbers for suffix in ("", "a"[: number >= 90])]


def compiled(nvrtc, source, arch, *options):
    _, program = nvrtc.nvrtcCreateProgram(source, b"k.cu", 0, [], [])
    flags = [f"-arch={arch}".encode(), b"-w", *options]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
    assert int(status) == 0, arch
    _, size = nvrtc.nvrtcGetCUBINSize(program)
    cubin = b" " * size
    nvrtc.nvrtcGetCUBIN(program, cubin)
    nvrtc.nvrtcDestroyProgram(program)
    return cubin


def test_every_arch_of_the_installed_nvrtc_is_read_right():
    nvrtc, archs = every_arch()
    for arch in dict.fromkeys(archs):
        cubin = compiled(nvrtc, b'extern "C" __global__ void k(int* p) { *p = 1; }', arch)
        assert (cubin_arch(cubin), kernel_symbols(cubin)) == (arch, ("k",))


MEMORIES = b"""
__device__ float unset[1000];
__device__ int set[4] = {1, 2, 3, 4};
__constant__ float constants[16];
extern __device__ float elsewhere(float);
extern "C" __global__ void k(float *x, int n) {
    __shared__ float own[1024];
    extern __shared__ float dynamic[];
    float local[50];
    for (int i = 0; i < 50; i++) local[i] = x[i];
    own[threadIdx.x] = dynamic[threadIdx.x] = elsewhere(x[threadIdx.x]);
    __syncthreads();
    x[threadIdx.x] = own[n & 1023] + dynamic[n] + unset[n] + set[n & 3] + constants[n & 15] + local[n];
}"""


def test_sections_without_bytes_in_a_relocatable_cubin_pass():
    """Shared memory and variables that are not set have other types there than in a whole program."""
    nvrtc, archs = every_arch()
    for arch in dict.fromkeys(archs):
        verify_image("cubin", compiled(nvrtc, MEMORIES, arch, b"-rdc=true"), arch)


# The arch.


@pytest.mark.parametrize(
    ("name", "arch"),
    [
        ("sm_90-nvrtc12.cubin", "sm_90a"),  # an unmarked cubin may be one: NVRTC 13 leaves the bit out
        ("sm_90-nvrtc12.cubin", "sm_90f"),
        ("sm_90a-nvrtc12.cubin", "sm_90a"),
        ("sm_100a-nvrtc13.cubin", "sm_100a"),
    ],
)
def test_a_missing_suffix_proves_nothing(name, arch):
    verify_image("cubin", CUBINS[name], arch)


@pytest.mark.parametrize(
    ("name", "arch", "found"),
    [
        ("sm_90-nvrtc12.cubin", "sm_80", "sm_90"),
        ("sm_90-nvrtc12.cubin", "sm_9", "sm_90"),
        ("sm_90-nvrtc13.cubin", "sm_100", "sm_90"),
        ("sm_90a-nvrtc12.cubin", "sm_90", "sm_90a"),
        ("sm_90a-nvrtc13.cubin", "sm_90", "sm_90a"),
        ("sm_100a-nvrtc12.cubin", "sm_100f", "sm_100a"),
    ],
)
def test_a_cubin_for_another_arch_is_refused(name, arch, found):
    with pytest.raises(LoadError, match=f"it is for {found}, expected {arch}$"):
        verify_image("cubin", CUBINS[name], arch)


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_9", "compute_100", ""])
def test_a_ptx_for_another_arch_is_refused(arch):
    with pytest.raises(LoadError, match=r"\.target is sm_90"):
        verify_image("ptx", PTX, arch)


def test_an_unknown_abi_version_has_no_arch_but_a_structure():
    unknown = patched(CUBIN, "<B", 8, 9)
    verify_image("cubin", unknown)
    assert set(kernel_symbols(unknown)) == KERNELS
    with pytest.raises(LoadError, match="ABI version 9"):
        cubin_arch(unknown)


def test_flags_that_name_no_gpu_are_refused():
    with pytest.raises(LoadError, match="name sm_0"):
        cubin_arch(patched(CUBIN, "<I", E_FLAGS, 0))


# What is cut.


@pytest.mark.parametrize("name", [*CUBINS, "sm_90-nvrtc12.fatbin", "sm_90-nvrtc13.fatbin"])
def test_every_truncation_of_a_cubin_or_fatbin_is_refused(name):
    data = IMAGES[name]
    for length in range(len(data)):
        with pytest.raises(LoadError):
            verify_image(kind_of(name), data[:length])


@pytest.mark.parametrize("data", [LTOIR[:length] for length in (0, 1, 4, 23, 24, 43, 44)], ids=len)
def test_ltoir_without_a_body_is_refused(data):
    with pytest.raises(LoadError):
        verify_image("ltoir", data)


@pytest.mark.parametrize("length", [0, 1, PTX.index(b".version"), PTX.index(b"sm_90"), PTX.index(b".address_size")])
def test_a_ptx_cut_in_its_directives_is_refused(length):
    with pytest.raises(LoadError, match="not usable PTX"):
        verify_image("ptx", PTX[:length])


# What is damaged.


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x7fELG" + CUBIN[4:], "starts with"),
        (patched(CUBIN, "<B", 4, 1), "64-bit, little-endian"),
        (patched(CUBIN, "<B", 5, 2), "64-bit, little-endian"),
        (patched(CUBIN, "<H", E_MACHINE, 62), r"ELF machine 62, expected 190 \(EM_CUDA\)"),
        (patched(CUBIN, "<H", E_TYPE, 3), "ELF type 3"),
        (patched(CUBIN, "<Q", E_SHOFF, len(CUBIN)), "section table at byte"),
        (patched(CUBIN, "<Q", E_SHOFF, 0), "section table at byte 0"),
        (patched(CUBIN, "<Q", E_SHOFF, 2**64 - 1), "section table at byte"),
        (patched(CUBIN, "<Q", E_PHOFF, 2**64 - 1), "program headers end"),
        (patched(CUBIN, "<H", E_PHENTSIZE, 57), "program headers of 57 bytes"),
        (patched(CUBIN, "<H", E_SHENTSIZE, 40), "section headers of 40 bytes"),
        (patched(CUBIN, "<H", E_SHNUM, 0xFEFF), "section headers end"),
        (patched(CUBIN, "<H", E_SHNUM, 0), "there are 0 sections"),
        (patched(CUBIN, "<H", E_SHSTRNDX, 0), "section names in section 0"),
        (patched(CUBIN, "<H", E_SHSTRNDX, 500), "section names in section 500"),
        (patched(CUBIN, "<H", E_SHSTRNDX, 3), "not a string table"),
    ],
)
def test_a_damaged_cubin_says_what_is_wrong(data, text):
    with pytest.raises(LoadError, match=text) as caught:
        verify_image("cubin", data)
    assert caught.value.kind == "cubin"
    assert "not a usable cubin: " in str(caught.value)


def sections_at(data):
    return struct.unpack_from("<Q", data, E_SHOFF)[0]


@pytest.mark.parametrize(("field", "text"), [(24, "section 2 ends"), (32, "section 2 ends"), (0, "name of section 2")])
def test_a_section_that_leaves_the_file_is_refused(field, text):
    at = sections_at(CUBIN) + 2 * 64 + field
    with pytest.raises(LoadError, match=text):
        verify_image("cubin", patched(CUBIN, "<I" if field == 0 else "<Q", at, 2**32 - 1))


def test_a_segment_that_leaves_the_file_is_refused():
    (segments,) = struct.unpack_from("<Q", CUBIN, E_PHOFF)
    with pytest.raises(LoadError, match="a segment ends at byte"):
        verify_image("cubin", patched(CUBIN, "<Q", segments + 32, 2**63))


def test_a_symbol_table_with_foreign_strings_is_refused():
    symbols = sections_at(CUBIN) + 3 * 64  # .shstrtab, .strtab and .symtab come first
    with pytest.raises(LoadError, match="not a string table"):
        kernel_symbols(patched(CUBIN, "<I", symbols + 40, 9))
    with pytest.raises(LoadError, match="not a multiple of 24"):
        kernel_symbols(patched(CUBIN, "<Q", symbols + 32, 25))


def test_more_than_65279_sections_are_counted_in_section_zero():
    """The ELF header holds 16 bits; past that, count and name table stand in section 0."""
    header = sections_at(CUBIN)
    (count,), (names,) = struct.unpack_from("<H", CUBIN, E_SHNUM), struct.unpack_from("<H", CUBIN, E_SHSTRNDX)
    data = patched(patched(CUBIN, "<H", E_SHNUM, 0), "<H", E_SHSTRNDX, 0xFFFF)
    data = patched(patched(data, "<Q", header + 32, count), "<I", header + 40, names)
    verify_image("cubin", data)
    assert set(kernel_symbols(data)) == KERNELS
    with pytest.raises(LoadError, match="section headers end"):
        verify_image("cubin", patched(data, "<Q", header + 32, 2**60))


def small_cubin(symbols, strings):
    """A cubin of four sections: none, section names, symbol names, symbols."""
    names = b"\0.shstrtab\0.strtab\0.symtab\0"
    body = names + strings + symbols
    rows = [(0, 0, 0, 0, 0), (1, 3, 64, len(names), 0), (11, 3, 64 + len(names), len(strings), 0)]
    rows.append((19, 2, 64 + len(names) + len(strings), len(symbols), 2))
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", n, kind, 0, 0, at, size, link, 0, 1, 0) for n, kind, at, size, link in rows
    )
    ident = b"\x7fELF\x02\x01\x01\x33\x07".ljust(16, b"\0")
    header = (ident, 2, 190, 1, 0, 0, 64 + len(body), 0x5A055A, 64, 0, 0, 64, len(rows), 1)
    return struct.pack("<16sHHIQQQIHHHHHH", *header) + body + table


def kernel_symbol(name_at, info=0x12, other=0x10, home=1):
    return struct.pack("<IBBHQQ", name_at, info, other, home, 0, 0)


def test_only_defined_kernels_are_listed_each_once():
    strings = b"\0kernel\0device\0data\0extern\0static\0"
    at = strings.index
    symbols = [
        kernel_symbol(at(b"kernel")),
        kernel_symbol(at(b"device"), other=0),
        kernel_symbol(at(b"data"), info=0x11),
        kernel_symbol(at(b"extern"), home=0),
        kernel_symbol(at(b"static"), info=0x02),
        kernel_symbol(at(b"kernel")),
    ]
    assert kernel_symbols(small_cubin(b"".join(symbols), strings)) == ("kernel", "static")
    assert kernel_symbols(small_cubin(b"", b"\0")) == ()


@pytest.mark.parametrize(
    ("name_at", "strings", "text"),
    [(1, b"\0open", "has no end"), (99, b"\0name\0", "has no end"), (1, b"\0\xff\xfe\0", "is not UTF-8")],
)
def test_a_damaged_symbol_name_is_refused(name_at, strings, text):
    with pytest.raises(LoadError, match=text):
        kernel_symbols(small_cubin(kernel_symbol(name_at), strings))


def test_names_that_all_cover_the_whole_table_do_not_fill_the_memory():
    strings = b"\0" + b"k" * (1 << 20) + b"\0"
    hostile = small_cubin(b"".join(kernel_symbol(at) for at in range(1, 40_000)), strings)
    with pytest.raises(LoadError, match="names of its kernels overlap"):
        kernel_symbols(hostile)


HEAD = b".version 8.8\n.target sm_90\n.address_size 64\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD, ("8.8", "sm_90")),
        (HEAD + b"\0", ("8.8", "sm_90")),
        (b".version 7.0 .target sm_100f, debug,texmode_unified .address_size 64", ("7.0", "sm_100f")),
        (b"// a\n/* .version 1.0 * / ** **/\r\n\t" + HEAD, ("8.8", "sm_90")),
        (b".version 8.8// x\n.target sm_90a// y\n/**/.address_size/**/64", ("8.8", "sm_90a")),
        (HEAD + "// größer".encode(), ("8.8", "sm_90")),
    ],
)
def test_directives_as_the_ptx_isa_allows_them(data, expected):
    verify_image("ptx", data)
    assert ptx_target(data) == expected
    assert sniff_kind(data) == "ptx"
    assert is_debug_ptx(data) == (b"debug" in data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", r"expected \.version at byte 0, found b'the end'"),
        (b"\0", r"expected \.version"),
        (b"// only a comment", r"expected \.version"),
        (b"/* open " + HEAD, r"expected \.version"),
        (b".target sm_90\n.version 8.8\n", r"expected \.version"),
        (HEAD.replace(b"8.8", b"8"), r"\.version is '8'"),
        (HEAD.replace(b"8.8", b""), r"\.version is '.target'"),
        (HEAD.replace(b"sm_90", b"compute_90"), r"\.target is 'compute_90'"),
        (HEAD.replace(b"sm_90", b"sm_"), r"\.target is 'sm_'"),
        (HEAD.replace(b"sm_90", b"sm_a"), r"\.target is 'sm_a'"),
        (HEAD.replace(b"sm_90", b"sm_9\xb2"), r"\.target is"),
        (HEAD.replace(b"64", b"32"), r"\.address_size is '32', expected 64"),
        (b".version 8.8\n.target sm_90\n.visible .entry k() {}", r"expected \.address_size"),
        (HEAD + b"a\0b", "NUL at byte"),
        (HEAD + b"\0\0", "NUL at byte"),
        (HEAD + b"\xff", "is not UTF-8"),
        (b"//" + b"x" * 70000 + b"\n" + HEAD, r"expected \.version"),
        (CUBIN, r"expected \.version"),
    ],
)
def test_a_text_that_is_no_ptx_says_why(data, text):
    with pytest.raises(LoadError, match=text) as caught:
        verify_image("ptx", data)
    assert caught.value.kind == "ptx"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "0 bytes"),
        (patched(FATBIN, "<I", 0, 0x466243B1), "starts with 0x466243b1, expected 0xba55ed50"),
        (patched(FATBIN, "<H", 4, 2), "version 2"),
        (patched(FATBIN, "<H", 6, 8), "header of 8 bytes"),
        (patched(FATBIN, "<Q", 8, 2**64 - 1), "its entries end at byte"),
        (patched(FATBIN, "<Q", 8, 0), "holds nothing"),
        (patched(FATBIN, "<Q", 8, 8), "does not fit"),
        (patched(FATBIN, "<I", 16 + 4, 0), "has a header of 0 bytes"),
        (patched(FATBIN, "<Q", 16 + 8, 2**64 - 1), "the entry at byte 16 ends at byte"),
        (patched(FATBIN, "<H", FATBIN.index(b"\x7fELF") + E_MACHINE, 62), "in the entry at byte 16: .*ELF machine 62"),
    ],
)
def test_a_damaged_fatbin_says_what_is_wrong(data, text):
    with pytest.raises(LoadError, match=text) as caught:
        verify_image("fatbin", data)
    assert caught.value.kind == "fatbin"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"BC\xc0\xde" + LTOIR[4:], "starts with 0xdec04342, expected 0x7f4e43ed"),
        (patched(LTOIR, "<H", 12, 8), "rising order"),
        (patched(LTOIR, "<I", 16, 0), "rising order"),
        (patched(LTOIR, "<I", 20, 2**32 - 1), "rising order"),
    ],
)
def test_a_damaged_ltoir_says_what_is_wrong(data, text):
    with pytest.raises(LoadError, match=text) as caught:
        verify_image("ltoir", data)
    assert caught.value.kind == "ltoir"


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\x7fELF", b"#include <x>", patched(CUBIN, "<H", E_MACHINE, 62), b"JLENTRY\n"]
)
def test_what_is_no_image_shows_no_kind(data):
    assert sniff_kind(data) is None


def test_hostile_comments_cost_linear_time():
    """The limit of the runner is the assertion: anything worse than linear would not come back."""
    for text in (b"/*" + b"*" * 65000, b"/*" * 32000, b"//\n" * 21000, b" " * 65000, b"/**/" * 16000):
        examine("ptx", text)
        examine("ptx", b".version 8.8 .target sm_90 " + text)
    examine("ptx", b".version 8.8 .target sm_90" + b" ,a" * 20000)


# Fuzzing: yes, or LoadError.

SAMPLES = st.sampled_from([CUBIN, CUBIN_13, PTX, FATBIN, LTOIR])
KINDS = st.sampled_from(["cubin", "ptx", "fatbin", "ltoir"])
HARD = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])


def with_bytes(data, edits):
    copy = bytearray(data)
    for at, replacement in edits:
        at %= len(copy)
        copy[at : at + len(replacement)] = replacement
    return bytes(copy)


EDITS = st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6)


@HARD
@given(SAMPLES, KINDS, EDITS, st.integers(0, 1 << 14))
def test_mutated_and_cut_images(sample, kind, edits, cut):
    data = with_bytes(sample, edits)
    examine(kind, data[: max(len(data) - cut, 0)] if cut % 3 == 0 else data)


@HARD
@given(KINDS, st.binary(max_size=400))
def test_arbitrary_bytes(kind, data):
    examine(kind, data)


@HARD
@given(st.sampled_from([CUBIN, CUBIN_13]), st.integers(0, 63), st.binary(min_size=1, max_size=8))
def test_damaged_elf_headers(sample, at, replacement):
    examine("cubin", with_bytes(sample, [(at, replacement)]))


@HARD
@given(st.sampled_from([CUBIN, CUBIN_13]), st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_damaged_section_tables(sample, at, replacement):
    examine("cubin", with_bytes(sample, [(sections_at(sample) + at, replacement)]))


@pytest.mark.slow(keep=1)
@pytest.mark.parametrize("name", ["sm_90-nvrtc12.cubin", "sm_90a-nvrtc13.cubin", "sm_90-nvrtc12.fatbin"])
def test_every_byte_flipped(name):
    data = bytearray(IMAGES[name])
    for at in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            data[at] ^= mask
            examine(kind_of(name), bytes(data))
            data[at] ^= mask


# The kernels of a PTX text.


def test_the_entries_of_a_ptx_text_without_those_in_comments_and_strings():
    text = b"""
.version 8.8
.target sm_90
.address_size 64
// .entry commented
/* .entry too
   .entry */ .visible .entry saxpy(
    .param .u64 x
)
{ ret; }
.file 1 ".entry quoted"
.entry _Z4fillIfEvPT_S0_(.param .u64 x) { ret; }
.entry
    $odd_1 () { ret; }
.entry saxpy() { ret; }
.func .entryless () { ret; }
/* .entry unclosed
"""
    assert entry_names(text) == ("saxpy", "_Z4fillIfEvPT_S0_", "$odd_1")


def test_finding_entries_takes_linear_time():
    start = time.perf_counter()
    for hostile in (b"/*" * 500_000, b"/" * 1_000_000, b'"' * 1_000_000, b".entry" * 200_000, b".entry " * 150_000):
        entry_names(hostile)
    assert time.perf_counter() - start < 5
