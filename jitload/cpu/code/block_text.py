"""Generated code of blocks, and the functions that are made of it when lanes first come by."""

from __future__ import annotations

from functools import lru_cache
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from jitload.cpu.code.block_code import BlockCode, BlockRun
    from jitload.cpu.code.registers import RegisterFile
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.types import Array


class BlockText(NamedTuple):
    """The code of one block.

    Attributes:
        body: the lines of its function, each with a blank before it, or "" if it does nothing. Registers are numbered
            as the block loads them, so what is unrolled has one text many times.
        tables: numbers of registers, by which the body calls them `n0`, `n1`, ...
    """

    body: str
    tables: tuple[tuple[int, ...], ...]


@lru_cache(maxsize=256)
def names_of_loads(count: int) -> str:
    """What a block calls the registers that it loads: `r0, r1, `, with a comma behind each."""
    return "".join([f"r{number}, " for number in range(count)])


class BlockMaker:
    """Makes the functions of one function's blocks; blocks with the same text share what Python compiles.

    Args:
        namespace: what the code may name.
        file: how tracebacks call it.
    """

    def __init__(self, namespace: dict[str, object], file: str) -> None:
        self._namespace = namespace
        self._file = file
        self._codes: dict[str, CodeType] = {}

    def make_at_first_run(self, block: BlockCode, text: BlockText) -> None:
        """Let a block run its text, which Python compiles when lanes first come by.

        Compiling is a quarter of preparation, and large kernels have ways that no launch takes, or run as machine code.
        """
        if not text.body:
            return

        def run(batch: RunningLanes, frame: RegisterFile, lanes: Array | None) -> Any:
            block.run = self.make(text)
            return block.run(batch, frame, lanes)

        block.run = run

    def make(self, text: BlockText) -> BlockRun:
        """The function of a text that does something."""
        tables = "".join([f", n{number}" for number in range(len(text.tables))])
        source = f"def block(batch, frame, lanes{tables}):\n{text.body}"
        code = self._codes.get(source)
        if code is None:
            module = compile(source, self._file, "exec")  # only names and numbers of ours
            code = self._codes[source] = next(one for one in module.co_consts if isinstance(one, CodeType))
        return cast("BlockRun", FunctionType(code, self._namespace, None, text.tables))
