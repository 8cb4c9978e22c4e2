"""CUDA C++ text as it comes in, from files and from strings: one text, without a byte-order mark."""

from __future__ import annotations

import errno
import os

from jitload.errors import SourceNotFoundError, UsageTypeError, UsageValueError
from jitload.files.regular import open_input
from jitload.given import given_path

#: A source beyond this is a mistake (a device image read as text, say), not a kernel.
MAX_SOURCE_BYTES = 64 << 20
#: What editors put before UTF-8 "with signature". It is no text: nvcc and GCC skip it, NVRTC trips over it.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What begins no program, and is copied along with one from a README or a chat.
_FENCES = ("```", "~~~")
_SOURCE_SUFFIXES = (".cu", ".cuh", ".cpp", ".cc", ".cxx", ".c", ".h", ".hpp", ".txt")


def read_source(
    source: str | os.PathLike[str], path: str | None, source_dir: str | os.PathLike[str] | None
) -> tuple[str, str | None, str | None]:
    """(text, path for messages, directory for quoted includes) of a source that is text or a file.

    Raises:
        UsageValueError: it cannot be CUDA C++ text.
        UsageTypeError: it is neither text nor a path.
        SourceNotFoundError: there is no such file.
        OSError: the file cannot be read.
    """
    directory = None if source_dir is None else os.fspath(source_dir)
    if isinstance(source, str):
        if is_path(source):
            raise UsageValueError(f"source is CUDA C++ text, got the path {source!r}: write pathlib.Path({source!r})")
        return checked_text("source", source), path, directory
    if not isinstance(source, os.PathLike):
        raise UsageTypeError(
            f"source is CUDA C++ text (str) or a file (os.PathLike), got {type(source).__name__}{_advice(source)}"
        )
    file_path = os.path.abspath(given_path("source", source))
    try:
        with open_input(file_path) as file:
            data = file.read(MAX_SOURCE_BYTES + 1)
    except FileNotFoundError:
        raise SourceNotFoundError(f"source {file_path}: {os.strerror(errno.ENOENT)}", filename=file_path) from None
    except IsADirectoryError:
        names = sorted(name for name in os.listdir(file_path) if name.endswith(".cu"))
        such_as = f", such as {names[0]}" if names else ""
        what = f"is a directory, and a source is a file: name one in it{such_as}"
        raise IsADirectoryError(errno.EISDIR, what, file_path) from None
    if directory is None:
        directory = os.path.dirname(file_path)
    return text_of(f"source {file_path}", data), path or file_path, directory


def _advice(source: object) -> str:
    if isinstance(source, bytes | bytearray | memoryview):
        return "; decode bytes first"
    if callable(source):
        return "; a Python function with CUDA C++ in its docstring becomes a kernel by @jitload.jit_kernel"
    return ""


def is_path(text: str) -> bool:
    """Whether what should be CUDA C++ is the name of a file."""
    is_code = any(mark in text for mark in ("\n", "{", "}", ";", "#", "//", "/*"))
    return text.strip().lower().endswith(_SOURCE_SUFFIXES) and not is_code


def text_of(what: str, data: bytes) -> str:
    """The text in the bytes of a file; bytes that are not UTF-8 survive.

    Raises:
        UsageValueError: it cannot be CUDA C++ text.
    """
    if len(data) > MAX_SOURCE_BYTES:
        raise UsageValueError(f"{what} is larger than {MAX_SOURCE_BYTES} bytes: is it CUDA C++ text?")
    encoding = foreign_encoding(data)
    if encoding:
        raise UsageValueError(f"{what} is {encoding}, which no CUDA compiler reads: save it as UTF-8")
    return checked_text(what, data.decode("utf-8", "surrogateescape"))


def foreign_encoding(data: bytes) -> str:
    """UTF-16 or UTF-32, where a file is that; else ""."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    # Without a mark, every other byte of what is mostly ASCII is a NUL.
    sample = data[:256]
    halves = (sample[::2], sample[1::2]) if len(sample) >= 8 else ()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or any(half.count(0) * 4 >= len(half) * 3 for half in halves):
        return "UTF-16"
    return ""


def checked_text(what: str, text: str) -> str:
    """A text as the compiler gets it.

    Raises:
        UsageValueError: a compiler could not read it to its end.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UsageValueError(
            f"{what} holds a NUL character in line {line}, and a compiler would stop reading there: is it CUDA C++ "
            f'text? In a Python literal \'\\0\' makes one, unless it is raw: r"""..."""'
        )
    begin = text.lstrip()
    if begin.startswith(_FENCES):
        first, _, _ = begin.partition("\n")
        raise UsageValueError(
            f"{what} is fenced as Markdown: take the line {first.rstrip()!r} out, and the {begin[:3]!r} that closes it"
        )
    check_encodable(what, text)
    return text.removeprefix("\ufeff")


def check_encodable(what: str, text: str) -> None:
    """Nothing, where a text has bytes.

    Raises:
        UsageValueError: it has none.
    """
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageValueError(f"{what} is not text: character {error.start} is half of a surrogate pair") from None
