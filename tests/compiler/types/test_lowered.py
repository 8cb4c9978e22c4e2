"""Types from lowered names: NVRTC must agree that they are the kernel's own, and c++filt reads the same symbols."""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload.compiler.signature import symbol_types, typed_by_symbol
from jitload.compiler.types.cpptype import spell
from jitload.compiler.types.lowered.cursor import Unreadable
from jitload.compiler.types.lowered.reader import MAX_SYMBOL, read_lowered
from jitload.values import KernelInfo, Parameter


def types_of(symbol):
    types = symbol_types(symbol)
    return None if types is None else [None if node is None else spell(node) for node in types]


#: Symbols that NVRTC 12.9 makes -> the types of the parameters, None where only the source could tell.
SYMBOLS = {
    "_Z1kv": [],
    "_Z1kahcstijlmxyfdbwDsDi": [
        "signed char", "unsigned char", "char", "short", "unsigned short", "int", "unsigned int", "long",
        "unsigned long", "long long", "unsigned long long", "float", "double", "bool", "wchar_t", "char16_t", "char32_t",
    ],
    "_Z1k6__half13__nv_bfloat167__half213__nv_fp8_e4m36float44dim37double2": [
        "__half", "__nv_bfloat16", "__half2", "__nv_fp8_e4m3", "float4", "dim3", "double2",
    ],
    "_Z5scaleIfEvPT_S0_i": ["float *", "float", "int"],
    "_Z5totalIfEvPKT_PS0_i": ["const float *", "float *", "int"],
    "_Z2k4PFviPKfEPA4_iMN1n1SEiMS6_KFfiEDnPPfPKS0_PViPiRfRS_no": [
        "void (*)(int, const float *)", "int (*)[4]", "int n::S::*", "float (n::S::*)(int) const", "std::nullptr_t",
        "float **", "const float *const *", "volatile int *", "int *", "float &", "const float &", "__int128",
        "unsigned __int128",
    ],
    "_Z2k5N4cuda3std3__47complexIfEENS1_5tupleIJifEEENS1_5arrayIdLm4EEENS1_4spanIKfLm18446744073709551615EEEPNS0_4byteE": [
        "cuda::std::complex<float>", "cuda::std::tuple<int, float>", "cuda::std::array<double, 4>",
        "cuda::std::span<const float, 18446744073709551615>", "cuda::std::byte *",
    ],
    "_Z2k6IN1n1SELi3ELb1ELNS0_1EE1EEvT_NS0_1VIS3_XT0_EEE": ["n::S", "n::V<n::S, 3>"],
    "_Z2k7IJEEviDpT_": ["int"],
    "_Z2k7IJKiPVfN1n1VINS4_IfLi2EEELi3EEEEEviDpT_": ["int", "int", "volatile float *", "n::V<n::V<float, 2>, 3>"],
    "_Z2k7IJifEEvDpPKT_": ["const int *", "const float *"],
    "_Z2k7IJifEEvDpPT_DpS1_": ["int *", "float *", "int *", "float *"],
    "_Z2k8IMN1n1SEiEvT_Pf": ["int n::S::*", "float *"],
    "_Z2k8IPFffEEvT_Pf": ["float (*)(float)", "float *"],
    "_Z2k9IN4cuda3std3__47complexEfEvT_IT0_ES4_IS6_EPS5_": [None, None, "float *"],
    "_Z3k10ILy5ELc120ELN1n1EE1ELNS0_1S4ModeE1EEvRAT__iNS0_1VIiXplT_Li1EEEE": ["int (&)[5]", "n::V<int, 6>"],
    "_Z3k11IiPiEvT0_PKS1_PVKT_": ["int *", "int *const *", "const volatile int *"],
    "_Z3k12IiEvN3boxIT_E5innerEPS2_": [None, "box<int> *"],
    "_Z3k14IiJLi1ELi2ELi3EEEvN4cuda3std3__416integer_sequenceIT_JXT0_EEEE": [
        "cuda::std::integer_sequence<int, 1, 2, 3>",
    ],
    "_Z3k16IXadL_Z2fffEEEvf": ["float"],
    "_Z3k18IdEN4cuda3std3__49enable_ifIXeqstT_Li8EEvE4typeEPS4_": ["double *"],
    "_Z3k19IiEvN4cuda3std3__411conditionalIXeqstT_Li4EEfdE4typeES4_": [None, "int"],
    "_Z3k20PiPA4_iPFviE": ["int *", "int (*)[4]", "void (*)(int)"],
    "_Z3k232fnIFviPfEES_IFRfN1n1SEEEPS_IFPKivEE": [
        "fn<void (int, float *)>", "fn<float &(n::S)>", "fn<const int *()> *",
    ],
    "_ZN1n2k2IfEEvPT_PKS1_NS_1S2InIS1_E4typeEDTplcvS1__ELi1EE": ["float *", "const float *", None, None],
    "_ZN1n41_GLOBAL__N__00000000_9_kernel_cu_324e20f02hkIiEEvT_NS0_3HidE": ["int", "n::(anonymous namespace)::Hid"],
    "_ZL5quietPf": ["float *"],
    "_Z1kIA4_iEvT_PT_": ["int *", "int (*)[4]"],
    "_Z1kIRfEvT_": ["float &"],
    "_Z1kIKfEvT_PT_RT_": ["float", "const float *", "const float &"],
    "_Z1kIZ4hostvEUlfE_Evf": ["float"],
    "_Z1kIZ4hostvE1LEvT_": ["host()::L"],
    "_Z1kN3cub17CUB_200802_SM_7505ArrayIfLi4EEEN6thrust23THRUST_200802_SM_750_NS7complexIfEE": [
        "cub::Array<float, 4>", "thrust::complex<float>",
    ],
}  # fmt: skip


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_types_in_a_symbol(symbol):
    assert types_of(symbol) == SYMBOLS[symbol]


def filtered(symbol):
    """What c++filt says of the parameters, split at top level and written as we write."""
    text = subprocess.run(["c++filt", symbol], capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    assert text.endswith(")"), text
    depth = 0
    for start in range(len(text) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[start], 0)
        if depth == 0:
            break
    parts, depth, piece = [], 0, ""
    for character in text[start + 1 : -1]:
        depth += {"<": 1, "(": 1, "[": 1, ">": -1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(piece)
            piece = ""
        else:
            piece += character
    return [part.strip() for part in [*parts, piece] if part.strip()]


def words(text):
    """A type without what the two spell differently: order of const, blanks, versions, suffixes of numbers."""
    text = re.sub(r"__4::|CUB_200802_SM_750::|THRUST_200802_SM_750_NS::", "", text)
    text = re.sub(r"(\d)u?l*\b", r"\1", text).replace("decltype(nullptr)", "std::nullptr_t")
    text = re.sub(r"\((\d+)\)\+\((\d+)\)", lambda match: str(int(match[1]) + int(match[2])), text)
    return sorted(re.findall(r"\w+|[^\w\s]", text))


@pytest.mark.skipif(shutil.which("c++filt") is None, reason="no c++filt here")
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_binutils_reads_the_same(symbol):
    theirs = filtered(symbol)
    ours = types_of(symbol)
    assert len(theirs) == len(ours)
    for their, our in zip(theirs, ours, strict=True):
        # It does not expand what NVRTC writes for a pack of values, and leaves const and arrays given for T as they are.
        if our is not None and "integer_sequence" not in our and their not in {"int const", "float const", "int [4]"}:
            assert words(their) == words(our)


#: Symbols that are none, or that would take for ever or all memory if they were followed.
HOSTILE = {
    "nothing": "",
    "no symbol": "saxpy",
    "no name": "_Z",
    "a name that is longer than the symbol": "_Z999k",
    "a name of no length": "_Z0i",
    "a huge length": "_Z" + "9" * 5000 + "k",
    "a variable": "_Z1k",
    "no end": "_ZN1n1k",
    "an empty nested name": "_ZNEv",
    "a substitution of nothing": "_Z1kS5_",
    "a template parameter without templates": "_Z1kPT_T5_",
    "deep pointers": "_Z1k" + "P" * 60_000 + "i",
    "deep templates": "_Z1k" + "1AI" * 15_000 + "i" + "E" * 15_000,
    "deep expressions": "_Z1fIX" + "ng" * 30_000 + "Li1EEEvv",
    "deep names": "_ZN" + "1a" * 30_000 + "Ev",
    "many parameters": "_Z1k" + "i" * 60_000,
    "longer than any": "_Z1k" + "i" * MAX_SYMBOL,
    "an open list": "_Z1kI" + "i" * 1000,
    "a pack outside of a list": "_Z1kIJifEEvT_",
    "an expansion of nothing": "_Z1kDpi",
    "division by zero": "_Z1k1VIXdvLi1ELi0EEE",
    "a huge shift": "_Z1k1VIXlsLi1ELi1000000000EEE",
    "a huge number": "_Z1k1VILi" + "9" * 5000 + "EE",
    "digits of another script": "_Z\u0661k",
}


def doubling(levels):
    """V<A, A>, V<V<A, A>, V<A, A>>, and so on: each type twice as long as the one before."""
    names = "S_ S0_ " + " ".join(f"S{number}_" for number in "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    symbol, last = "_Z1f1A1VIS_S_E", 2
    for _ in range(levels):
        symbol += f"S0_I{names.split()[last] * 2}E"
        last += 1
    return symbol


@pytest.mark.parametrize("symbol", [*HOSTILE.values(), doubling(30)], ids=[*HOSTILE, "each twice as long"])
def test_hostile_symbols_end_soon_without_types(symbol):
    started = time.monotonic()
    types = types_of(symbol)
    assert time.monotonic() - started < 5
    assert types is None or not any(text and len(text) > 100_000 for text in types)


@given(st.sampled_from(sorted(SYMBOLS)), st.data())
def test_damaged_symbols_give_types_or_nothing(symbol, data):
    alphabet = st.sampled_from("EIJXLSTPRKNZDpdtcvsi0123456789_FAMn")
    at = data.draw(st.integers(2, len(symbol)))
    damaged = symbol[:at] + data.draw(st.text(alphabet, max_size=4)) + symbol[at + data.draw(st.integers(0, 3)) :]
    types = types_of(damaged)
    assert types is None or all(text is None or isinstance(text, str) for text in types)


def test_what_is_no_function_is_unreadable():
    for symbol in ("saxpy", "_Z5table", "_ZTV1A", "_Z1kIiE"):
        with pytest.raises(Unreadable):
            read_lowered(symbol)


def kernel(symbol, *sizes):
    return KernelInfo(symbol, symbol, [Parameter(0, size, size, f"u{8 * size}") for size in sizes])


def test_types_that_do_not_fit_the_image_are_not_believed():
    assert typed_by_symbol(kernel("_Z1kPfi", 8, 4)).parameters == ("float *", "int")
    for lie in (kernel("_Z1kPfi", 8), kernel("_Z1kPfi", 8, 8), kernel("_Z1kPfi", 4, 4), kernel("saxpy", 8)):
        assert typed_by_symbol(lie) == lie


def test_the_type_says_what_is_a_pointer_and_what_is_const():
    symbol = "_Z1kPfPKfPPKfPKS1_PVfmRKfPVKfPKvPA4_KfPFvPKfE"
    params = typed_by_symbol(kernel(symbol, *[8] * 11)).params
    assert [(p.cpp, p.pointer, p.const) for p in params] == [
        ("float *", True, False),
        ("const float *", True, True),
        ("const float **", True, False),
        ("const float *const *", True, True),
        ("volatile float *", True, False),
        ("unsigned long", False, False),
        ("const float &", True, True),
        ("const volatile float *", True, True),
        ("const void *", True, True),
        ("const float (*)[4]", True, True),
        ("void (*)(const float *)", True, False),
    ]
