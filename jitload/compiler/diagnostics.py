"""What NVRTC says about a program, in the user's files and lines: the text of errors, and warnings one by one.

NVRTC's log is a run of blocks, each with a head and what belongs to it (the line of the source, a caret, where a
template was instantiated), up to a blank line:

    /jitload/source/saxpy.cu(3): warning #177-D: variable "k" was declared but never referenced
          int k;
              ^

Between them stand lines of their own: remarks, counts of errors, and what ptxas says.
"""

from __future__ import annotations

import re
import warnings
from itertools import groupby
from typing import TYPE_CHECKING

from jitload.compiler.characters import carets_by_character
from jitload.compiler.consequences import excerpt, without_consequences
from jitload.diagnostic import Diagnostic
from jitload.errors import CompileWarning
from jitload.headers.closure import MISSING_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jitload.headers.closure import Closure

_POSITION = re.compile(r"^(/jitload/.+?|[^\s:][^:\n]*?)\((\d+)\)(?=: )", re.MULTILINE)
_HEAD = re.compile(
    r"^(?P<file>[^\s:][^:\n]*?)\((?P<line>\d+)\): (?P<severity>catastrophic error|error|warning|remark)\b"
)
#: What stands between the severity and what is said: ": ", " #177-D: ".
_NUMBER = re.compile(r"^(?:#\w+(?:-\w)?)?:\s*")
_PTXAS_WARNING = re.compile(r"^ptxas\b(?! +(?:info|\.))[^\n]*\bwarning\b", re.IGNORECASE)
_NOISE = re.compile(
    r"^(?:Remark: The warnings can|\d+ (?:catastrophic )?errors? detected|Compilation term|Error limit)"
)
#: That none of the operators which are built in takes what was given, three lines for each of them.
_OPERATORS = re.compile(r"\n.*\bnote\b.*: built-in operator.*(?:\n {2}.*\n *\^)?")
_KERNEL = re.compile(r"\b__global__\b[^;{}]*?\b(?!__\w+__\s*\()(\w+)\s*\(")  # not __launch_bounds__(
_LINE_AND_CARET = 2
#: How much of what a compiler said goes into the text of an error or a warning.
MAX_TEXT = 4000

# Python gives a warning once per text and line, and remembers here which it gave.
_given: dict[object, object] = {}


def read_log(log: str) -> list[Diagnostic]:
    """The blocks and lines of a log, in order; what only counts or explains the others is left out."""
    found: list[Diagnostic] = []
    for block in re.split(r"\n[ \t]*\n", log):
        head = _HEAD.match(block)
        if head is not None:
            found.append(_read_block(block.rstrip(), head))
            continue
        for line in block.splitlines():
            if line.strip() and not _NOISE.match(line):
                severity = "warning" if _PTXAS_WARNING.match(line) else ""
                found.append(Diagnostic("", 0, severity, line.rstrip()))
    return found


def _read_block(block: str, head: re.Match[str]) -> Diagnostic:
    first, *excerpt = block.split("\n")
    message = _NUMBER.sub("", first[head.end() :].lstrip()).strip()
    return Diagnostic(
        head["file"], int(head["line"]), head["severity"], block, column=_column(excerpt), message=message
    )


def _column(excerpt: list[str]) -> int:
    """Of a caret below the first line of an excerpt, which NVRTC moves two to the right; 0 without one."""
    below = excerpt[1] if len(excerpt) > 1 else ""
    return max(below.index("^") - 1, 1) if below.strip() == "^" else 0


def errors_alone(log: str) -> str:
    """What of a log a failed compile is about: its errors, where it has any, without warnings and counts.

    What a compiler says because of another error is counted, and in the log alone.
    """
    said = [one for one in read_log(log) if one.severity not in {"warning", "remark"}]
    if not any(one.severity.endswith("error") for one in said):
        return log.rstrip()
    kept = without_consequences(said)
    left = len(said) - len(kept)
    more = f"\n({left} more that follow{'s' if left == 1 else ''} from {'it' if len(kept) == 1 else 'them'} in .log)"
    return _OPERATORS.sub("", "\n\n".join(_blocks(kept))) + (more if left else "")


def _blocks(said: Iterable[Diagnostic]) -> Iterator[str]:
    """Their texts; those about one line after another, which then show it once, with all carets."""
    for _, group in groupby(said, _shown):
        several = list(group)
        heads = dict.fromkeys(one.text.split("\n")[0] for one in several)
        line, _ = excerpt(several[0])
        carets = {excerpt(one)[1] for one in several}
        below = "".join("^" if at in carets else " " for at in range(max(carets) + 1))
        yield "\n".join([*heads, line, below]) if len(several) > 1 else several[0].text


def _shown(one: Diagnostic) -> object:
    """What is the same of those that show one line, and nothing else beside it."""
    line, _ = excerpt(one)
    return (one.file, one.line, line) if line and one.text.count("\n") == _LINE_AND_CARET else id(one)


def map_positions(log: str, closure: Closure) -> str:
    """A log of NVRTC with the user's paths and lines in place of virtual ones."""
    request = closure.request

    def position(match: re.Match[str]) -> str:
        line = int(match[2])
        if match[1] == closure.main.name:
            line = request.line_in_file(line)
        return f"{closure.display(match[1]) if match[1].startswith('/jitload/') else match[1]}({line})"

    mapped = _POSITION.sub(position, _with_written_includes(carets_by_character(log), closure))
    for name in sorted({closure.main.name, *closure.headers}, key=len, reverse=True):
        if name in mapped:
            mapped = mapped.replace(name, closure.display(name))
    return mapped.replace(MISSING_ROOT, "")


def relative_log(log: str, closure: Closure) -> str:
    """A log for an artifact: names below their roots, since an entry may not hold paths of this machine."""
    if not log:
        return log
    log = _with_written_includes(carets_by_character(log), closure)
    for header in (closure.main, *closure.headers.values()):
        log = log.replace(header.name, header.relative)
    return log.replace(MISSING_ROOT, "")


def _with_written_includes(log: str, closure: Closure) -> str:
    """A log of NVRTC whose excerpts show each `#include` as it is written, not by the name that NVRTC was given."""
    if '"/jitload/' not in log:
        return log
    lines = log.split("\n")
    place = None
    for number, line in enumerate(lines):
        head = _HEAD.match(line)
        if head is not None:
            place = head["file"], int(head["line"])
        elif place is not None and line.startswith("  ") and '"/jitload/' in line:
            carets = lines[number + 1] if lines[number + 1 :] and lines[number + 1].strip() == "^" else ""
            for seen, written in closure.rewritten(*place):
                start = lines[number].find(seen)
                if start >= 0:
                    lines[number] = lines[number].replace(seen, written, 1)
                    carets = _moved(carets, start, len(seen), len(written))
            if carets:
                lines[number + 1] = carets
    return "\n".join(lines)


def _moved(carets: str, start: int, before: int, after: int) -> str:
    """The line below an excerpt, in which a stretch of `before` characters became one of `after`."""
    caret = carets.find("^")
    if caret < start:
        return carets
    moved = caret + after - before if caret >= start + before else min(caret, start + after - 1)
    return f"{carets[: min(caret, moved)].ljust(moved)}^"


def users_warnings(log: str, closure: Closure) -> list[Diagnostic]:
    """The warnings in an artifact's log that are about the user's own files, in the user's files and lines."""
    if "warning" not in log:
        return []
    request = closure.request
    main = closure.main.relative
    paths = {header.relative: header.path or header.relative for header in closure.headers.values() if header.is_users}
    toolkits = {header.relative for header in closure.headers.values()} - paths.keys() - {main}
    found = []
    for said in read_log(log):
        if said.severity != "warning" or said.file in toolkits:
            continue
        file, line = paths.get(said.file, said.file), said.line
        if said.file == main:
            file, line = request.path or request.name, request.line_in_file(line)
        head = f"{said.file}({said.line})"
        text = f"{file}({line}){said.text[len(head) :]}" if said.file else said.text
        found.append(Diagnostic(file or request.path or request.name, line or 1, said.severity, text))
    return found


def give_warnings(found: Iterable[Diagnostic]) -> None:
    """One Python warning for what the compiler said about one program, at the place of the first; none for nothing."""
    said = list(found)
    if said:
        text = shortened("\n".join(dict.fromkeys(one.text for one in said)))
        warnings.warn_explicit(text, CompileWarning, said[0].file, said[0].line, registry=_given)  # type: ignore[arg-type]


def shortened(text: str) -> str:
    """What of a long text goes into a message."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n... (the full log is in .log)"


def kernel_names(source: str) -> list[str]:
    """The names that a source declares kernels by, as far as its text shows them."""
    return list(dict.fromkeys(_KERNEL.findall(source)))
