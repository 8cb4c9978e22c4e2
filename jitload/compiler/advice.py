"""What to write in place of a header or a name that a program failed at, in one line for the end of the error."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jitload.compiler.characters import about_characters
from jitload.compiler.habits import about_messages
from jitload.compiler.name_map import NAME_MAP
from jitload.compiler.substitutes import (
    BUILTIN_INTEGERS,
    BUILTIN_NAMES,
    C_HEADERS,
    COMPONENTS,
    CPP_HEADERS,
    ELSEWHERE,
    HOST,
    HOST_BEGINNINGS,
    HOST_HEADERS,
    INTEGERS,
    NAMES,
    STANDARD_NAMES,
    STANDARD_STD,
    STD,
    STD_ELSEWHERE,
)
from jitload.compiler.toolkit import find_nvrtc
from jitload.headers.roots import STANDARD_ROOT
from jitload.source.python_code import about_python

if TYPE_CHECKING:
    from jitload.headers.closure import Closure, Header

_MISSING = re.compile(
    r'^(.+?)\(\d+\): catastrophic error: (?:could not|cannot) open source file "([^"]+)"', re.MULTILINE
)
_UNDEFINED = re.compile(r'^(?P<file>.+?)\(\d+\): error: identifier "(?P<name>\w+)" is undefined', re.MULTILINE)
#: As NVRTC says it of a name behind `std::`, of one in a declaration with const, and of one without `std::`.
_NOT_IN_STD = re.compile(
    r'namespace "(?:std)" has no member "(\w+)"'
    r"|error: qualified name is not allowed\n.*?\bstd::(\w+)"
    r'|identifier "(string|cout|cerr|endl)" is undefined'
    r'|identifier "(vector|map|set|deque|list|queue|stack|unordered_\w+|array|pair|tuple)" is undefined\n.*\4 *<'
)
_NO_NAMESPACE = re.compile(
    r'error: name followed by "::" must be a class or namespace name\n(?P<line>.*)\n(?P<blanks> *)\^', re.MULTILINE
)
_HOST_FUNCTION = re.compile(
    r"^(.+?)\(\d+\): error: A (function|namespace scope variable) without \w+ space", re.MULTILINE
)
_SHOWN = re.compile(r": error: .*\n  (.+)\n *\^")
_FENCE = re.compile(r": error: .*\n[ \t]*(?:```|~~~)[ \t]*\w*[ \t]*\n")
_LAUNCH = re.compile(
    r"error: .*(?:device-side kernel launch could not be processed|a host function call cannot be configured)"
)


def advise(log: str, closure: Closure) -> str | None:
    """What to write instead of what a program failed at, in one line; None where nothing is known.

    Args:
        log: NVRTC's log, in virtual names.
        closure: the headers of the program.
    """
    if _FENCE.search(log):
        return "the source is fenced as Markdown: take the fences out, and what is no code"
    missing = _MISSING.search(log)
    if missing is not None:
        return _about_header(missing[1], missing[2], closure)
    unread = about_characters(log) or about_python(_SHOWN.findall(log))
    if unread is not None:
        return unread
    host = _HOST_FUNCTION.search(log)
    through = _leading_to(host[1], closure) if host is not None else ()
    if through:
        return _about_host_header(_blamed(through), "")
    for known in (_about_names, _about_std, _about_namespaces):
        text = known(log, closure)
        if text is not None:
            return text
    if _LAUNCH.search(log):
        return "kernels are launched from Python: leave the host's code out of the source"
    if host is not None:
        word = "__device__" if host[2] == "function" else "__device__, __constant__ or constexpr"
        return (
            f"write {word} in front of it, or leave it out where it is for the host: NVRTC compiles device code alone"
        )
    return about_messages(log)


def _about_header(includer: str, name: str, closure: Closure) -> str | None:
    through = _leading_to(includer, closure)
    if through and closure.headers[includer].root == STANDARD_ROOT:
        return f"<{through[0]}> is made of libcu++: {_about_component(name, closure) or f'<{name}> is missing'}"
    if through and name.startswith("crt/mma"):  # the one header for kernels that a package of its own brings a part of
        return f"<{through[0]}> needs <{name}>: {_about_component(name, closure)}"
    if through:
        return _about_host_header(_blamed(through), name)
    spelled = name.removeprefix("/jitload/missing/")
    advice = _about_host_header(spelled, "") if _host_text(spelled) else None
    return advice or _about_standard(spelled, closure) or _about_component(spelled, closure)


def _about_host_header(name: str, needed: str) -> str:
    because = f" (it needs <{needed}>)" if needed else ""
    return f"<{name}>{because}: {_host_text(name) or f'{HOST}; leave it out'}"


def _leading_to(name: str, closure: Closure) -> tuple[str, ...]:
    """The names in `#include` lines of the user's files through which a header of the toolkit is reached.

    Args:
        name: its virtual name; for a file of the user's own the answer is ().
        closure: the headers of the program.
    """
    header = closure.headers.get(name)
    if header is None or header.is_users:
        return ()
    users = [file for file in closure.files() if file.is_users]
    lines = [line for file in users for line in closure.included_by(file) if not line[1].is_users]
    names = dict.fromkeys(include.name for include, target in lines if _reaches(target, header, closure))
    return tuple(names) or (header.relative,)


def _reaches(start: Header, goal: Header, closure: Closure) -> bool:
    seen, ahead = {start.name}, [start]
    while ahead:
        header = ahead.pop()
        if header is goal:
            return True
        for _, target in closure.included_by(header):
            if target.name not in seen:
                seen.add(target.name)
                ahead.append(target)
    return False


def _blamed(names: tuple[str, ...]) -> str:
    """Of the headers that lead to one of the toolkit's, the one that is known to be for host code, if any is."""
    return next((name for name in names if _host_text(name)), names[0])


def _host_text(name: str) -> str | None:
    exact = HOST_HEADERS.get(name)
    if exact is not None:
        return exact
    return next((text for beginnings, text in HOST_BEGINNINGS if name.startswith(beginnings)), None)


def _about_standard(name: str, closure: Closure) -> str | None:
    known = C_HEADERS.get(name)
    if known is not None:
        instead, text = known
    elif name.removeprefix("cuda/std/") in CPP_HEADERS or _has(closure, f"cuda/std/{name}"):
        instead, text = name, CPP_HEADERS.get(name.removeprefix("cuda/std/"), "")
    elif name.startswith("c") and f"{name[1:]}.h" in C_HEADERS:
        instead, text = C_HEADERS[f"{name[1:]}.h"]
    else:
        return None
    if instead and _has(closure, f"cuda/std/{instead}"):
        return f"write #include <cuda/std/{instead}> and cuda::std:: for <{name}>" + (f"; {text}" if text else "")
    if "built in" in text:
        return f"<{name}> is not needed, take it out: {text}"
    return f"<{name}>: {text}" if text else None


def _about_component(name: str, closure: Closure) -> str | None:
    """The wheel that brings a header of the toolkit."""
    part = next((component for beginnings, component in COMPONENTS if name.startswith(beginnings)), None)
    if part is None:
        return None
    major = nvrtc.major if (nvrtc := find_nvrtc()) is not None else 12
    if part == "cuda-cccl" and _has(closure, "cuda/std/version"):
        return f"the CCCL that is installed has no <{name}>"
    if part == "cuda-runtime" and _has(closure, "cuda_runtime.h"):
        return f"the toolkit that is installed has no <{name}>"
    package = {"cuda-crt": "cuda-nvcc"}.get(part, part) if major < 13 else part
    suffix = f"-cu{major}" if major < 13 else ""
    return f"<{name}> comes with pip install nvidia-{package}{suffix}"


def _about_names(log: str, closure: Closure) -> str | None:
    for match in _UNDEFINED.finditer(log):
        name = match["name"]
        number = INTEGERS.fullmatch(name)
        standard = _of_standard(name, STANDARD_NAMES, closure)
        if standard is not None:
            return f"{name}: write #include <{standard}>"
        if number is not None:
            plain = (
                f"{'unsigned ' if name[0] == 'u' else ''}{BUILTIN_INTEGERS[number[1]]}"
                if number[1]
                else "a builtin type"
            )
            return f"{name}: write #include <cuda/std/cstdint> and cuda::std::{name}, or {plain}"
        text = _home_of(name, closure)
        if match["file"] != NAME_MAP:
            text = text or _first(name, ELSEWHERE) or _about_spelling(name)
        if text is not None:
            return f"{name}: {text}"
    return None


def _about_spelling(name: str) -> str | None:
    """The builtin name that may be meant."""
    spelled = {builtin.lower(): builtin for builtin in BUILTIN_NAMES}
    near = get_close_matches(name.lower(), spelled, 1, cutoff=0.85)
    return f"did you mean {spelled[near[0]]}?" if near else None


def _about_std(log: str, closure: Closure) -> str | None:
    for match in _NOT_IN_STD.finditer(log):
        name = next(filter(None, match.groups()))
        standard = _of_standard(name, STANDARD_STD, closure)
        if standard is not None:
            return f"std::{name}: write #include <{standard}>"
        for header, names in STD.items():
            if re.fullmatch(names, name) and _has(closure, f"cuda/std/{header}"):
                if closure.request.host_headers:
                    return f"std::{name}: write #include <{header}>"
                return f"std::{name}: write #include <cuda/std/{header}> and cuda::std::{name}"
        text = _first(name, STD_ELSEWHERE)
        if text is not None:
            return f"std::{name}: {text}"
    return None


def _about_namespaces(log: str, closure: Closure) -> str | None:
    for match in _NO_NAMESPACE.finditer(log):
        name = re.match(r"\w*", match["line"][len(match["blanks"]) :])
        word = name[0] if name is not None else ""
        text = _home_of(word, closure)
        if word == "cuda":
            text = "include what it is of, e.g. <cuda/std/atomic>, <cuda/std/complex> or <cuda/barrier>"
        if word == "thrust":
            text = "device code has cuda::std:: in its place, e.g. cuda::std::complex of <cuda/std/complex>"
        if text is not None:
            return f"{word}: {text}"
    return None


def _home_of(name: str, closure: Closure) -> str | None:
    for names, header, instead in NAMES:
        if re.fullmatch(names, name):
            if not _has(closure, header):
                from_where = _about_component(header, closure)
                return None if from_where is None else f"write #include <{header}>; {from_where}"
            return f"write #include <{header}>" + (f" and {instead}" if instead else "")
    return None


def _of_standard(name: str, table: tuple[tuple[str, str], ...], closure: Closure) -> str | None:
    return _first(name, table) if closure.request.host_headers else None


def _first(name: str, table: tuple[tuple[str, str], ...]) -> str | None:
    return next((text for names, text in table if re.fullmatch(names, name)), None)


def _has(closure: Closure, header: str) -> bool:
    """Whether the toolkit that is installed has a header."""
    toolkits = (directory for _, directory in closure.roots.toolkit)
    return any(os.path.isfile(os.path.join(directory, header)) for directory in toolkits)
