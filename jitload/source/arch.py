"""Arch names, and which kind goes with which arch.

An arch is `sm_NN` (machine code for compute capability N.N) or `compute_NN` (its virtual arch, PTX). Both may carry
"a" (exactly this arch) or "f" (its family). NVRTC 12.9 answers `cubin` + `compute_90` with 0 bytes and no error, so
the pairing is checked here.
"""

from __future__ import annotations

from jitload.errors import UsageTypeError, UsageValueError
from jitload.lazy import lazy
from jitload.values import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable
    from typing import Any

    from jitload.source import cards
else:
    re = lazy("re")  # for archs that are written otherwise
    cards = lazy("jitload.source.cards")

_SUFFIXES = ("a", "f")

#: What some CUDA toolkit compiles for, up to the last generation to which none is added any more.
_CAPABILITIES = (20, 21, 30, 32, 35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 88, 89, 90, 100)
#: What nvcc calls the arch of the current device.
NATIVE = "native"
#: What nvcc takes for an arch besides.
_ADVICE = {
    NATIVE: "leave it out, which means the current device's",
    "all": "write a list of them, with kind='fatbin'",
    "all-major": "write a list of them, with kind='fatbin'",
}

#: What the CPU executor asks for: the newest arch that every NVRTC since CUDA 11.8 compiles for, so that what stands
#: behind `#if __CUDA_ARCH__ >= 800` is there. A test holds NVRTC to it.
EXECUTOR_ARCH = "compute_90"
#: What it asked for in earlier versions: images of that arch still serve where none can be compiled.
FORMER_EXECUTOR_ARCHS = ("compute_75",)
#: What the executor wants besides: the CUDA lines that its faults and profiles name.
EXECUTOR_OPTIONS = ("--generate-line-info",)


def parse_kind(kind: str) -> Kind:
    """The kind of that name.

    Raises:
        UsageValueError: there is none.
    """
    try:
        return Kind(kind.lower())
    except (ValueError, AttributeError):
        expected = ", ".join(member.value for member in Kind)
        raise UsageValueError(f"unknown kind {kind!r}: expected one of {expected}") from None


def given_arch(arch: str | Iterable[str] | None) -> str | Iterable[str] | None:
    """An arch as it was given; None for "native", which is the current device's as if it had been left out."""
    return None if isinstance(arch, str) and arch.strip().lower() == NATIVE else arch


def normalize_arch(arch: object) -> str:
    """The canonical name of an arch: "sm_90a", "compute_80"; "90", "9.0" and "ptx:90" are understood too.

    Raises:
        UsageValueError: it is no arch.
    """
    if not isinstance(arch, str):
        hint = _number_hint(arch)
        raise UsageTypeError(f"an arch is a str like 'sm_90' or 'compute_80', got {type(arch).__name__}{hint}")
    text = arch.strip().lower()
    if not _number_and_suffix(text):
        text = _spelled_out(text)
    parts = _number_and_suffix(text)
    if not parts:
        advice = _ADVICE.get(text, "write 'sm_90', 'sm_90a', 'sm_100f' or 'compute_80'")
        called = cards.archs_called(text)
        advice += f"; {arch.strip():.40} is {called}" if called else ""
        raise UsageValueError(f"unknown arch {arch!r}: {advice}")
    number = int(parts[0])
    if number < _CAPABILITIES[-1] and number not in _CAPABILITIES:
        above = max(next(at for at, one in enumerate(_CAPABILITIES) if one > number), 1)
        near = " and ".join(f"sm_{one}" for one in _CAPABILITIES[above - 1 : above + 1])
        raise UsageValueError(f"unknown arch {arch!r}: no CUDA toolkit compiles for it; the nearest are {near}")
    return text


def _spelled_out(text: str) -> str:
    """An arch that was written as a number, or as Triton and torch write a virtual one; else the text itself."""
    if re.fullmatch(r"[0-9]+\.[0-9][af]?", text):
        text = text.replace(".", "")
    if re.fullmatch(r"[0-9]{2,3}[af]?", text):
        return f"sm_{text}"
    return f"compute_{text[4:]}" if text.startswith("ptx:") else text


def _number_hint(given: object) -> str:
    """How a number that names an arch is written: 90, 9.0, or 9 of a compute capability (9, 0)."""
    if isinstance(given, bool) or not (isinstance(given, float) or hasattr(given, "__index__")):
        return ""
    if isinstance(given, float):
        return f": write {str(given)!r}"
    number = str(given)
    return f": write 'sm_{number}'" if len(number) > 1 else ": a compute capability (9, 0) is written 'sm_90'"


def normalize_archs(kind: Kind, arch: str | Iterable[str]) -> tuple[str, ...]:
    """The archs of a request, checked against its kind.

    Raises:
        UsageValueError: the kind cannot be made for such an arch; the text says what to write instead.
    """
    given: Any = arch
    one = isinstance(given, (str, bytes)) or not hasattr(given, "__iter__")
    names = [given] if one else list(given)  # what is no text is for `normalize_arch` to refuse
    split = [name for item in names for name in (item.split(",") if isinstance(item, str) else [item])]
    archs = tuple(dict.fromkeys(normalize_arch(name) for name in split))
    if not archs:
        raise UsageValueError(f"kind {kind.value!r} needs an arch, e.g. arch='sm_90'")
    if kind is Kind.FATBIN:
        return archs
    if len(archs) > 1:
        raise UsageValueError(
            f"kind {kind.value!r} takes one arch, got {', '.join(archs)}; "
            f"write kind='fatbin' for several, or compile once per arch"
        )
    (name,) = archs
    if kind is Kind.CUBIN and name.startswith("compute_"):
        real = name.replace("compute_", "sm_")
        raise UsageValueError(
            f"kind 'cubin' cannot be made for the virtual arch {name!r}: "
            f"write arch={real!r}, or kind='ptx' for {name!r}"
        )
    return archs


def virtual_arch(arch: str) -> str:
    """The virtual arch of an arch: "sm_90a" -> "compute_90a"."""
    return arch.replace("sm_", "compute_")


def capability(arch: str) -> tuple[int, int, str]:
    """Compute capability and suffix of an arch: "sm_100f" -> (10, 0, "f")."""
    parts = _number_and_suffix(arch)
    if not parts:
        raise UsageValueError(f"unknown arch {arch!r}")
    digits, suffix = parts
    return int(digits) // 10, int(digits) % 10, suffix


def _number_and_suffix(arch: str) -> tuple[str, str] | tuple[()]:
    """What stands behind "sm_" or "compute_", such as ("90", "a"); () where that is no arch."""
    prefix, _, name = arch.partition("_")
    suffix = name[-1:] if name.endswith(_SUFFIXES) else ""
    digits = name.removesuffix(suffix)
    known = prefix in {"sm", "compute"} and len(digits) in {2, 3} and digits.isascii() and digits.isdecimal()
    return (digits, suffix) if known else ()
