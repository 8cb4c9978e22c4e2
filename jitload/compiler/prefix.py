r"""Headers that many programs share, parsed once: NVRTC's precompiled headers, for batches in a worker process.

Measured on NVRTC 12.9.86:

- In-memory headers can be precompiled. The result is an image of the compiler's own heap (256 MiB unless it is grown),
  of use to this process alone, and still a file of that size: 8 MB for cuda_fp16.h, 150 MB for CUB's block reduction.
  The automatic mode (`--pch`) drops it into the working directory.
- What an in-memory header said when it was precompiled is never compared with what it says now: a changed text is
  served stale. So here one is used for exactly the texts that it was made of, and for nothing else.
- The automatic mode makes another one for every program that goes on with a directive of its own. So here it is made
  from the shared directives alone (`--create-pch`) and then used by name (`--use-pch`).
- The sequence of the directives has to be the same; comments, blank lines and the program's name do not matter, and
  the image, the line information and the log are the same bytes as without.
"""

from __future__ import annotations

import os
import re
from itertools import chain
from typing import TYPE_CHECKING

from jitload.compiler import nvrtc
from jitload.digest import digest_factors
from jitload.headers import cpp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jitload.compiler.nvrtc import Output, Run

#: What a header of the toolkit brings into a closure and NVRTC never opens, the host's side behind `#if`: 1.13 to
#: 1.34 MB for cuda_fp16.h, cuda_bf16.h, mma.h, <cuda/std/type_traits>, cooperative_groups.h and CUB.
UNOPENED_BYTES = 1_120_000
#: Text to be parsed by all programs together from which on it pays. Making one costs 1.2 to 1.8 times what parsing
#: does. Measured break-even: 1.3 to 1.7 programs with CUB, cooperative groups or cuda/std, 3 with mma.h or cuda_fp8.h,
#: 4 with cuda_bf16.h, 7 and more with cuda_fp16.h, of which a program is 1.35 times faster at best.
PAYS_BYTES = 2_400_000

_MISSING = re.compile(r"^(.+?)\(\d+\): catastrophic error: (?:could not|cannot) open source file", re.MULTILINE)
# Where a program's own place shows, the directives of one program are not those of another.
_PLACES = (b"__LINE__", b"__FILE__", b"__BASE_FILE__", b"__INCLUDE_LEVEL__")
_REFUSED = "precompiled header"


class SharedHeaders:
    """Compiles like `nvrtc.compile_program`, for programs that begin with the same directives.

    Args:
        directory: an empty private directory; whoever made it removes it.
        programs: how many programs will come, to judge whether precompiling pays.
    """

    def __init__(self, directory: str, programs: int) -> None:
        self._directory = directory
        self._programs = programs
        self._files: dict[str, str | None] = {}
        self._failures: dict[str, tuple[nvrtc.NvrtcFailure, str]] = {}
        self._families: set[str] = set()

    def compile_program(self, run: Run) -> Output:
        """Compile one program; the same result and the same errors as `nvrtc.compile_program`."""
        directives = leading_directives(run.source)
        file = None
        if directives and self._pays(run.headers):
            file = self._precompiled(run._replace(source=directives))
        if file is not None:
            using = (*run.options, f"--use-pch={file}", "--pch-messages=false")
            try:
                output = nvrtc.compile_program(run._replace(options=using))
                said = output.log
            except nvrtc.NvrtcFailure as failure:
                if _REFUSED not in failure.log:
                    raise
                said = failure.log
            if _REFUSED not in said:
                return output
        return nvrtc.compile_program(run)

    def _pays(self, headers: Mapping[str, bytes]) -> bool:
        parsed_bytes = sum(map(len, headers.values())) - UNOPENED_BYTES
        return self._programs > 1 and self._programs * parsed_bytes >= PAYS_BYTES

    def _precompiled(self, run: Run) -> str | None:
        """The file made of exactly these directives, headers and options, or None."""
        family = [("directives", run.source), ("kind", run.kind.value.encode()), ("arch", run.arch.encode())]
        family += [("option", option.encode("utf-8", "surrogateescape")) for option in run.options]
        texts = [(spelled, text) for spelled, text in sorted(run.headers.items())]
        state = digest_factors([*family, *texts])
        if state in self._failures:
            failure, other = self._failures[state]
            raise nvrtc.NvrtcFailure(failure.status, failure.log.replace(other, run.name))
        if state not in self._files:
            group = digest_factors(family)
            self._files[state] = None
            # One is enough: programs whose later includes differ are not worth 150 MB each.
            if group not in self._families and not any(place in run.source for place in _PLACES):
                self._files[state] = self._make(state, run)
                if self._files[state] is not None:
                    self._families.add(group)
        return self._files[state]

    def _make(self, state: str, run: Run) -> str | None:
        path = os.path.join(self._directory, f"{state[:32]}.pch")
        if any(b"__BASE_FILE__" in text for text in run.headers.values()):
            return None
        try:
            made = nvrtc.precompile_headers(run, path)
        except nvrtc.NvrtcFailure as failure:
            missing = _MISSING.search(failure.log)
            if missing is not None and missing[1] in run.headers:
                # A header named by a macro is not there yet: every program that begins like this one would stop at the
                # very same place, so the others are told without trying.
                self._failures[state] = (failure, run.name)
                raise
            return None  # the program will say it better, with its own lines
        return path if made and os.path.isfile(path) else None


def leading_directives(source: bytes) -> bytes:
    """The preprocessor directives at the top of a program, up to its last `#include`, one per line.

    Comments and blank lines are left out. A conditional block is taken when it is complete. Empty when nothing is
    included.
    """
    kept: list[bytes] = []
    end = depth = 0
    including = False
    for keyword, directive in _at_the_top(source):
        kept.append(directive.strip())
        depth += keyword in {b"if", b"ifdef", b"ifndef"}
        depth -= keyword == b"endif"
        including |= keyword in {b"include", b"include_next"}
        if including and depth == 0:
            end, including = len(kept), False
    return b"".join(line + b"\n" for line in kept[:end])


def _at_the_top(source: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(keyword, text) of the directives before any code, up to one of which a comment or a string goes on below it."""
    begin, keyword = -1, b""
    for kind, start, end in chain(cpp.tokens(source), [(cpp.NEWLINE, len(source), len(source))]):
        if kind == cpp.HASH:
            begin, keyword = start, b""
        elif kind == cpp.NEWLINE:
            if begin >= 0:
                yield keyword, source[begin:start]
            begin = -1
        elif begin < 0:
            if kind not in {cpp.BLANK, cpp.COMMENT}:
                return
        elif kind in {cpp.COMMENT, cpp.RAW}:
            if b"\n" in source[start:end] and not source.startswith(b"//", start):
                return
        elif not keyword and kind == cpp.WORD:
            keyword = cpp.spelling(source, start, end)
