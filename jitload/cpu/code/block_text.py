"""Generated code of blocks, and the functions that are made of it: blocks with the same text share one code object."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.cpu.code.block_code import BlockRun


class BlockText(NamedTuple):
    """The code of one block.

    Attributes:
        body: the lines of its function, each with a blank before it, or "" if it does nothing. Registers are numbered
            as the block loads them, so what is unrolled has one text many times.
        tables: numbers of registers, by which the body calls them `n0`, `n1`, ...
    """

    body: str
    tables: tuple[tuple[int, ...], ...]


def make_functions(texts: Iterable[BlockText], namespace: dict[str, object], file: str) -> list[BlockRun | None]:
    """The functions of blocks, None for one that does nothing.

    Python compiles each text once, which is most of what preparation takes where a compiler has unrolled a loop.

    Args:
        texts: of the blocks.
        namespace: what the code may name.
        file: how tracebacks call it.
    """
    texts = list(texts)
    numbers = {
        text: number for number, text in enumerate(dict.fromkeys([_source(text) for text in texts if text.body]))
    }
    exec(compile("\n".join(f"def b{number}{text}" for text, number in numbers.items()), file, "exec"), namespace)  # noqa: S102 - only names and numbers of ours
    codes = {text: cast("FunctionType", namespace.pop(f"b{number}")).__code__ for text, number in numbers.items()}
    return [
        cast("BlockRun", FunctionType(codes[_source(text)], namespace, None, text.tables)) if text.body else None
        for text in texts
    ]


def _source(text: BlockText) -> str:
    """The function without its name."""
    tables = "".join([f", n{number}" for number in range(len(text.tables))])
    return f"(batch, frame, lanes{tables}):\n{text.body}"
