"""The functions that a kernel can reach, read and cut into blocks: what code is generated from.

A call through a register may reach any function whose address the module takes: those that the kernel's own functions
and the variables that they name give out, and those that another kernel left in memory (a table of virtual functions
in an object that it made). What only another kernel gives out may hold instructions that are refused; it is left out
then, and calling it is a fault.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jitload.cpu.code.control import Call
from jitload.cpu.code.flow import FlowBuilder
from jitload.cpu.code.liveness import named_by
from jitload.cpu.faults import Refused, decode_fault
from jitload.cpu.text.body import read_body
from jitload.cpu.text.ir import Register, Symbol
from jitload.cpu.types import TYPES
from jitload.errors import CpuFault, JitloadError
from jitload.images.ptx.entries import align
from jitload.images.ptx.limits import INSTRUCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload.cpu.code.link import Linker
    from jitload.cpu.text.ir import Body, Function, Variable

Decoded = TypeVar("Decoded")

#: Functions that the CUDA runtime provides, carried out by the scheduler.
BUILTINS = {"vprintf", "__assertfail", "malloc", "free"}


class Draft:
    """A function between reading and code; `foreign` if only another kernel gives its address out.

    Attributes:
        symbols: every one that its instructions name.
        specials: the special registers that they name.
    """

    def __init__(self, function: Function, body: Body, functions: Mapping[str, Function], *, foreign: bool) -> None:
        self.function = function
        self.body = body
        self.foreign = foreign
        self.carry = Register("CC.CF", TYPES["pred"], len(body.registers))
        body.registers.append(self.carry)
        self.flow = FlowBuilder(function, body, self.carry, functions)
        self.blocks = self.flow.build()
        self.symbols, self.specials = named_by(self.blocks)
        self.framed: list[Variable] = []
        self.offsets: dict[int, int] = {}
        self.frame_bytes = 0

    def lay_out(self, *, entry: bool) -> None:
        """Find which variables lie in its frame, `framed`, where by their identities, and how large it is.

        Args:
            entry: whether it is the kernel, whose parameters lie elsewhere.
        """
        formals = [] if entry else [*self.function.parameters, *self.function.results]
        own = [one for one in self.body.variables if one.space in {"local", "param"}]
        self.framed = [*own, *self.flow.slots, *(one for one in formals if one.space == "param")]
        for variable in self.framed:
            start = align(self.frame_bytes, variable.alignment)
            self.offsets[id(variable)] = start
            self.frame_bytes = start + variable.size
        self.frame_bytes = align(self.frame_bytes, 16)


def decode_or_fault(kernel: str, name: str, work: Callable[[], Decoded]) -> Decoded:
    """Do some decoding; what is refused, or makes no sense, becomes a CpuFault."""
    try:
        return work()
    except Refused as refusal:
        raise decode_fault(name, refusal.place, refusal.why) from refusal
    except JitloadError:
        raise
    except MemoryError as error:
        raise CpuFault(f"function {name} needs more memory than there is", kernel=kernel) from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Text that no compiler writes can be inconsistent in more ways than are worth naming one by one.
        raise CpuFault(f"function {name} is not valid PTX: {error}", kernel=kernel) from error


class Reader:
    """Reads what a kernel reaches.

    Args:
        linker: the module.
        kernel: the kernel's name, for faults.
    """

    def __init__(self, linker: Linker, kernel: str) -> None:
        self._linker = linker
        self._kernel = kernel
        self._drafts: dict[str, Draft] = {}
        self._taken: set[str] = set()
        self._indirect = False
        self._statements = 0

    def read_all(self, entry: Function) -> dict[str, Draft]:
        """The drafts by name, the entry first.

        Raises:
            CpuFault: a function cannot be read, or calls one that is not there.
        """
        self._read(entry.name, foreign=False)
        while self._indirect and (more := self._taken - set(self._drafts)):
            for name in sorted(more):
                self._read(name, foreign=False)
        if self._indirect:
            for name in sorted(self._linker.functions_given_out() - set(self._drafts)):
                self._try(name)
        return self._drafts

    def _try(self, name: str) -> None:
        """Read a function that only others give out, with what it calls, or nothing of it."""
        before = dict(self._drafts)
        try:
            self._read(name, foreign=True)
        except CpuFault:
            self._drafts = before

    def _read(self, name: str, *, foreign: bool) -> None:
        """Read a function, and those that it calls by name."""
        functions = self._linker.program.functions
        waiting = [name]
        while waiting:
            function = functions[waiting.pop()]
            if function.name in self._drafts or function.span is None:
                continue
            self._count(function)
            body = decode_or_fault(self._kernel, function.name, partial(read_body, self._linker.program, function))
            draft = decode_or_fault(
                self._kernel, function.name, partial(Draft, function, body, functions, foreign=foreign)
            )
            self._drafts[function.name] = draft
            for block in draft.blocks:
                if isinstance(block.end, Call):
                    self._indirect = self._indirect or isinstance(block.end.callee, Register)
                    waiting += self._called(block.end)
            self._taken |= self._linker.functions_named(draft.symbols)

    def _count(self, function: Function) -> None:
        """Bound the statements of all functions together."""
        assert function.span is not None
        first, last = function.span
        self._statements += self._linker.program.source.count_semicolons(first, last)
        if self._statements > INSTRUCTIONS:
            why = f"{self._statements} instructions with the functions it calls: more than {INSTRUCTIONS} are refused"
            raise decode_fault(self._kernel, None, why)

    def _called(self, call: Call) -> list[str]:
        if not isinstance(call.callee, Symbol) or call.callee.name in BUILTINS:
            return []
        callee = self._linker.program.functions.get(call.callee.name)
        if callee is None or callee.span is None or callee.entry:
            why = f"it calls {call.callee.name[:80]}, which this PTX does not define"
            if call.callee.name.lstrip("_").startswith(("cudaCDP", "cudaLaunchDevice", "cudaGetParameterBuffer")):
                why = "launching kernels from a kernel (dynamic parallelism) is not supported by the CPU executor"
            raise decode_fault(self._kernel, call.instruction.place, why)
        return [callee.name]
