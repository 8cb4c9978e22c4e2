"""The macros in force while a text is read: each with the definitions that it may have there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.headers.macros import Expansion, Macro, Macros, TooMany, parse_macro

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Compilers that are not NVRTC, and systems whose compilers say so (measured with NVRTC 12.9: not defined).
_OTHERS = frozenset(
    b"_WIN32 _WIN64 WIN32 _MSC_VER __APPLE__ __HIPCC__ __HIP__ __HIP_PLATFORM_AMD__ __HIP_PLATFORM_HCC__ __HIPCC_RTC__ "
    b"__HIP_DEVICE_COMPILE__ __SYCL_DEVICE_ONLY__ SYCL_LANGUAGE_VERSION __OPENCL_VERSION__ __OPENCL_C_VERSION__ "
    b"__METAL_VERSION__ __EMSCRIPTEN__ __clang__ __INTEL_COMPILER __NVCC__".split()
)
#: What NVRTC defines by itself besides names that begin with "_" (the texts in libnvrtc-builtins 12.9).
_BUILT_IN = re.compile(
    rb"CUDART\w*|CUDA_(?:IPC_HANDLE_SIZE|VERSION)|CU_UUID_HAS_BEEN_DEFINED|NV_\w+|cuda[A-Z]\w*|NOMINMAX|NULL|STD|"
    rb"THROWBADALLOC|alloca|assert|va_\w+|warpSize"
)
_STANDARDS = {"c++03": b"199711", "c++11": b"201103", "c++14": b"201402", "c++17": b"201703", "c++20": b"202002"}
_GUARD = re.compile(rb"\w+_(?:H|HH|HPP|HXX|CUH|CU|INCLUDED|GUARD)_*")


class Definitions(Macros):
    """The macros in force where the text has been read to; some may have several definitions, or perhaps none.

    Args:
        is_defined_elsewhere: whether some header that is not read has a `#define` of that name.
    """

    def __init__(self, is_defined_elsewhere: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._known: dict[bytes, list[Macro | None]] = {}
        self._is_defined_elsewhere = is_defined_elsewhere

    def alternatives(self, name: bytes) -> list[Macro | None]:
        """The definitions that the name may have; None stands for none."""
        return self._known.get(name, [None])

    def define(self, name: str, value: str | None, *, sure: bool = True) -> None:
        """Define a macro as an option of the compiler does; None is 1, as there."""
        self.define_by(name.encode(), parse_macro(b"", b"1" if value is None else value.encode()), sure=sure)

    def undefine(self, name: str) -> None:
        """Take a definition back."""
        self.define_by(name.encode(), None, sure=True)

    def predefine(self, archs: Iterable[str], standard: str = "c++17") -> None:
        """Define what NVRTC defines and kernels ask for."""
        numbers = {re.sub(r"\D", "", arch) for arch in archs}
        for number in numbers:
            self.define("__CUDA_ARCH__", f"{number}0", sure=len(numbers) == 1)
        if len(numbers) > 1:
            self._known[b"__CUDA_ARCH__"].remove(None)
        self.define("__cplusplus", _STANDARDS.get(standard, b"201703").decode() + "L")
        for name in ("__CUDACC__", "__CUDACC_RTC__"):
            self.define(name, None)

    def define_by(self, name: bytes, macro: Macro | None, *, sure: bool) -> None:
        """Take in a `#define`, or with None an `#undef`, that is compiled for certain or perhaps."""
        before = [] if sure else self.alternatives(name)
        self._known[name] = [*(one for one in before if not _same(one, macro)), macro]

    def is_defined(self, name: bytes) -> bool | None:
        """Whether a name is a macro; None when that is not known."""
        known = self._known.get(name)
        if known is not None:
            return None if None in known and len(known) > 1 else known != [None]
        if name in _OTHERS:
            return False
        if (name.startswith(b"_") and not _GUARD.fullmatch(name)) or _BUILT_IN.fullmatch(name):
            return None  # the compiler's, perhaps
        return None if self._is_defined_elsewhere(name) else False

    def may_expand(self, name: bytes) -> bool:
        """Whether a word is a macro of the user's."""
        return name in self._known and self._known[name] != [None]

    def takes_arguments(self, name: bytes) -> bool:
        """Whether a macro is function-like."""
        return any(macro is not None and macro.parameters is not None for macro in self.alternatives(name))

    def expand(self, words: Iterable[bytes]) -> list[bytes] | None:
        """The words with macros replaced, or None when that can be done in more than one way."""
        try:
            found = Expansion(self).expand([(word, frozenset()) for word in words])
        except TooMany:
            return None
        results = {tuple([word for word, _ in result if word != b" "]) for result in found}
        return list(results.pop()) if len(results) == 1 else None

    def value_of(self, name: bytes) -> int | None:
        """The value in a condition of a word that is left after expansion."""
        return 0 if self.is_defined(name) is False else None


def _same(one: Macro | None, other: Macro | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.parameters == other.parameters and one.replacement == other.replacement
