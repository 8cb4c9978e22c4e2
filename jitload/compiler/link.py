"""From a `LinkRequest` to an artifact: the one place where a link happens, in a child process."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from jitload.artifact import Artifact
from jitload.compiler.isolate import CompilerDied, CompilerProcess
from jitload.compiler.key import key_of
from jitload.compiler.layout import plain_name, read_kernels
from jitload.compiler.nvjitlink import LINKER_MISSING, LinkerMissing, LinkerRefused, link_images
from jitload.compiler.symbol_types import kernel_of_sizes
from jitload.compiler.toolkit import find_library
from jitload.errors import LinkError, LoadError, UsageTypeError
from jitload.images.check import kernel_symbols, verify_image
from jitload.images.cubin import variable_symbols
from jitload.images.layouts import known_layouts
from jitload.images.ptx.entries import variable_names
from jitload.images.resources import known_resources
from jitload.source.link import LinkRequest
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.compiler.nvjitlink import Input
    from jitload.headers.closure import Closure
    from jitload.source.request import CompileRequest
    from jitload.values import KernelInfo, Toolchain

_UNDEFINED = re.compile(
    r"Undefined reference to '([^']+)' in '([^']+)'|Unresolved extern \w+ '([^']+)'()", re.IGNORECASE
)
# PTX that still has them lacks what they stand for; dynamic shared memory is the exception.
_EXTERN = re.compile(
    r"^\.extern\s+\.(?:func\s*(?:\([^()]*\)\s*)?|(?:global|const)\b[^;]*?)([A-Za-z_$][\w$]*)\s*"
    r"(?:\([^()]*\)|(?:\[\d*\])*)\s*;",
    re.MULTILINE,
)
_SEVERAL = re.compile(r"Multiple definition of '([^']+)'|Linking globals named '([^']+)': symbol multiply defined")
#: Kernels of libcudadevrt.a, which nobody launches by name.
_LIBRARYS_OWN = "__nv_static_"
#: What every GPU brings along (CUDA C++ Programming Guide, "Formatted Output", "Assertion", dynamic memory).
_SYSTEM = frozenset({"vprintf", "malloc", "free", "__assertfail"})


class Question(NamedTuple):
    """What a child is asked."""

    inputs: tuple[Input, ...]
    options: tuple[str, ...]
    to: str
    library: str | None


class Answered(NamedTuple):
    """What it answers.

    Attributes:
        image: what was linked; b"" where it was not.
        log: what nvJitLink had to say, in its log and beside it.
        status: why it was not linked, or "".
        missing: True when there is no nvJitLink.
    """

    image: bytes
    log: str
    status: str = ""
    missing: bool = False


def link_artifact(request: CompileRequest, closure: Closure, toolchain: Toolchain) -> Artifact:
    """Link a request with nvJitLink (never from a cache).

    Args:
        request: what to link.
        closure: of no headers; it belongs to the key.
        toolchain: the linker, for the key.

    Raises:
        LinkError: it does not link, the linker is missing, or it died.
        UsageTypeError: it is no LinkRequest.
        UsageValueError: a link cannot be what it asks for.
    """
    if not isinstance(request, LinkRequest):
        raise UsageTypeError(f"expected a LinkRequest, got {type(request).__name__}")
    request.check()
    started = time.perf_counter()
    answered = _ask(request)
    if answered.missing:
        raise _error(request, f"{LINKER_MISSING} ({answered.status})", "")
    undefined = _undefined(answered.log)
    several = tuple(dict.fromkeys(one or other for one, other in _SEVERAL.findall(answered.log)))
    if request.kind is Kind.PTX and not undefined:
        found = dict.fromkeys(_EXTERN.findall(answered.image.decode(errors="replace")))
        undefined = {symbol: "" for symbol in found if symbol not in _SYSTEM}
    if answered.status or undefined or several:
        raise _error(request, _why(answered, undefined, several), answered.log, tuple(undefined))
    kernels = _kernels(request, answered.image)
    try:
        verify_image(request.kind.value, answered.image)
    except LoadError as error:
        raise _error(request, f"nvJitLink gave an image that is not whole: {error}", answered.log) from None
    if not kernels and not _variables(request.kind, answered.image):
        raise _error(
            request, "there is no kernel and no variable in what comes out: link what has a __global__ function", ""
        )
    return Artifact(
        kind=request.kind,
        data=answered.image,
        arch=request.arch,
        name=request.name,
        key=key_of(request.digest, closure.digest(), toolchain),
        kernels=kernels,
        toolchain=toolchain,
        log=answered.log,
        compile_seconds=round(time.perf_counter() - started, 6),
        variables=_variable_types(request, answered.image),
    )


def answer_link(question: Question) -> Iterator[Answered]:
    """In the child: one link, with what nvJitLink writes to standard error instead of its log.

    12.9 says there, and only there, that PTX and cubins define a function twice, and gives an image all the same.
    """
    with _standard_error() as written:
        try:
            image, log = link_images(question.inputs, question.options, to=question.to, library=question.library)
            answered = Answered(image, log)
        except LinkerRefused as error:
            answered = Answered(b"", error.log, str(error))
        except LinkerMissing as error:
            answered = Answered(b"", "", str(error), missing=True)
    beside = written[0].replace("@E@", "").strip()
    yield answered._replace(log="\n".join(filter(None, (answered.log, beside))))


@contextmanager
def _standard_error() -> Iterator[list[str]]:
    """What is written to file descriptor 2 meanwhile, as the one item of a list that is filled at the end."""
    written: list[str] = [""]
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield written
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            written[0] = file.read().decode(errors="replace")


def _ask(request: LinkRequest) -> Answered:
    options = [f"-arch={request.arch}", *(["-lto"] if any(one.type == "ltoir" for one in request.inputs) else [])]
    to = request.kind.value
    options += [*(["-ptx"] if to == "ptx" else []), *request.options]
    inputs = tuple([(one.type, one.data, one.name) for one in request.inputs])
    library = find_library("nvJitLink")
    process: CompilerProcess[Question, Answered]
    with CompilerProcess(answer_link) as process:
        try:
            process.ask(Question(inputs, tuple(options), to, library))
            return process.reply()
        except CompilerDied as death:
            why = f"nvJitLink {death.how}: an input is damaged, most likely one of LTO-IR. Nothing else was lost"
            raise _error(request, why, "") from None


def _undefined(log: str) -> dict[str, str]:
    """Symbol -> the input that refers to it, or ""."""
    rows = _UNDEFINED.findall(log)
    return {symbol or other: where for symbol, where, other, _ in rows}


def _why(answered: Answered, undefined: dict[str, str], several: tuple[str, ...]) -> str:
    if several:
        return f"more than one input defines {', '.join(map(_spelled, several))}"
    if not undefined:
        return f"nvJitLink says {answered.status}"
    named = [_spelled(symbol) + (f", which {where} refers to" if where else "") for symbol, where in undefined.items()]
    hint = "add the input that defines it, compiled with -rdc=true or to LTO-IR"
    if any(symbol.startswith("__cudaCDP") for symbol in undefined):
        hint = "kernels that launch kernels need the device runtime: add 'libcudadevrt.a' to the inputs"
    return f"undefined: {'; '.join(named)}. To mend it, {hint}"


def _spelled(symbol: str) -> str:
    """A symbol as people write it, and itself."""
    plain = plain_name(symbol)
    return symbol if plain == symbol else f"{plain} ({symbol})"


def _error(request: LinkRequest, why: str, log: str, undefined: tuple[str, ...] = ()) -> LinkError:
    inputs = ", ".join(one.name for one in request.inputs)
    shown = f"\n{log}" if log else ""
    return LinkError(
        f"{request.name} cannot be linked for {request.arch} from {inputs}: {why}{shown}",
        file=request.name,
        log=log,
        undefined=undefined,
    )


def _kernels(request: LinkRequest, image: bytes) -> list[KernelInfo]:
    """The kernels of an image: as the inputs describe them, where they do, else as the image does."""
    described: dict[str, list[KernelInfo]] = {}
    for known in [kernel for one in request.inputs for kernel in one.kernels]:
        described.setdefault(known.symbol, []).append(known)
    own = _own_kernels(request.kind, image)
    resources = known_resources(image) if request.kind is Kind.CUBIN else {}
    plain = Counter(plain_name(symbol) for symbol in own)
    found: dict[str, KernelInfo] = {}
    for symbol, shown in own.items():
        fitting = [one for one in described.get(symbol, ()) if shown is None or _places(one) == _places(shown)]
        if not fitting and shown is not None and not symbol.startswith(_LIBRARYS_OWN):
            name = plain_name(symbol)
            fitting = [shown.replace(name=name if plain[name] == 1 else symbol)]
        for kernel in fitting:
            found.setdefault(kernel.name, kernel.replace(resources=resources.get(symbol)))
    return list(found.values())


def _places(kernel: KernelInfo) -> list[tuple[int, int]]:
    return [(param.offset, param.size) for param in kernel.params]


def _own_kernels(kind: Kind, image: bytes) -> dict[str, KernelInfo | None]:
    """Symbol -> what the image says of the kernel; None where it does not say where its parameters lie."""
    if kind is Kind.PTX:
        return dict(read_kernels(image.decode(errors="replace")))
    layouts = known_layouts(image)
    return {
        symbol: kernel_of_sizes(symbol, layouts[symbol]) if symbol in layouts else None
        for symbol in kernel_symbols(image)
    }


def _variable_types(request: LinkRequest, image: bytes) -> dict[str, str]:
    """The types of the variables in an image, as the inputs know them, where they agree."""
    known: dict[str, set[str]] = {}
    for symbol, text in [pair for one in request.inputs for pair in one.variables]:
        known.setdefault(symbol, set()).add(text)
    own = _variables(request.kind, image)
    return {symbol: known[symbol].pop() for symbol in own if len(known.get(symbol, ())) == 1}


def _variables(kind: Kind, image: bytes) -> tuple[str, ...]:
    return variable_names(image) if kind is Kind.PTX else variable_symbols(image)
