"""What NVIDIA's headers write in PTX is decoded, but for what is listed here; the list only gets shorter.

Names alone are looked at: those in `asm` of the installed headers, among them every function of `cuda::ptx`.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

from jitload.cpu.isa.registry import candidates, rows_of
from tests.cpu.families import decide

#: How refused names begin -> a line with one, and what its refusal says to do.
LEFT = {
    "tcgen05.mma.ws.": ("tcgen05.mma.ws.cta_group::1.kind::f16 [%r1], %d1, %d2, %r2, %p1", "tcgen05.mma is"),
    "tcgen05.cp.cta_group::1.4x256b": ("tcgen05.cp.cta_group::1.4x256b [%r1], %d1", ".128x256b is"),
    "tcgen05.shift.": ("tcgen05.shift.cta_group::1.down [%r1]", "is not supported"),
    **{
        f"tcgen05.{verb}.cta_group::2": (f"tcgen05.{verb}.cta_group::2{rest}", ".cta_group::1 is")
        for verb, rest in (
            ("alloc", ".sync.aligned.b32 [%d1], 32"),
            ("dealloc", ".sync.aligned.b32 %r1, 32"),
            ("relinquish_alloc_permit", ".sync.aligned"),
            ("commit", ".mbarrier::arrive::one.b64 [%d1]"),
            ("cp", ".128x256b [%r1], %d1"),
            ("mma", ".kind::f16 [%r1], %d1, %d2, %r2, %p1"),
        )
    },
    "tensormap.replace.tile.swizzle_atomicity.": (
        "tensormap.replace.tile.swizzle_atomicity.global.b1024.b32 [%w], 1",
        "leave it at 0",
    ),
    "cvta.param.u32": ("cvta.param.u32 %r1, %r2", "legal is cvta.WINDOW.u64"),  # of hosts with 32 bits
    "cvta.to.param.u32": ("cvta.to.param.u32 %r1, %r2", "legal is cvta.to.WINDOW.u64"),
}
_TEXT = re.compile(r'\basm\s*(?:volatile)?\s*\(\s*"((?:[^"\\]|\\.|"\s*")*)"')
_NAME = re.compile(r"^[\s{]*(?:\.reg[^;]*;)?[\s{]*([a-z]\w*(?:\.[\w:]+)+)[\s;]")


@cache
def written() -> frozenset[str]:
    """The names of instructions in the headers, as far as no macro puts them together."""
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    found = set()
    for path in (path for root in roots for path in root.rglob("include/**/*") if path.is_file()):
        text = path.read_text(errors="replace")
        if "asm" in text:
            matches = (_NAME.match(re.sub(r'"\s*"', "", body)) for body in _TEXT.findall(text.replace("\\n", " ")))
            found |= {match[1] for match in matches if match}
    return frozenset(found)


def is_taken(name: str) -> bool:
    """Whether some row has it and runs."""
    opcode, *modifiers = name.split(".")
    fitting = candidates(opcode, tuple(modifiers))
    return bool(fitting) and not fitting[0].row.refused


def test_what_the_headers_write_is_decoded():
    if not any(name.startswith("cp.async.bulk.tensor.") for name in written()):
        pytest.skip("needs the headers of CCCL (pip install 'jitload[cu12]')")
    known = {name for name in written() if rows_of(name.partition(".")[0])}
    assert len(known) > 500
    refused = sorted(name for name in known if not is_taken(name) and not name.startswith(tuple(LEFT)))
    assert not refused


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_is_refused_by_its_name(name):
    line, advice = LEFT[name]
    assert not is_taken(line.partition(" ")[0]), "it is decoded now: take it out of the list"
    assert advice in decide(line)
