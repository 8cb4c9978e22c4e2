"""LLVM itself: text of IR becomes object code, and object code that has no image a function with an address."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from jitload import forks
from jitload.cpu.faults import Refused
from jitload.lazy import lazy

if TYPE_CHECKING:
    from types import TracebackType

    import llvmlite
    import llvmlite.binding as llvm
else:
    llvmlite = lazy("llvmlite")
    llvm = lazy("llvmlite.binding")

_LEVEL = 2  # of code generation
_PASSES = ("add_sroa_pass", "add_instruction_combine_pass", "add_simplify_cfg_pass")
#: Calls into LLVM. The binding holds a lock over each, for which a child of a fork meanwhile would wait for ever.
calls = forks.Calls()
_left: list[llvm.ExecutionEngine] = []  # engines that went while another thread was in LLVM


class _Inside:
    """Around all that calls LLVM."""

    def __enter__(self) -> None:
        if calls.torn:
            raise Refused("this process was forked while another thread of its parent was making machine code")
        calls.__enter__()

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        calls.__exit__()
        if isinstance(error, RuntimeError):  # what the binding raises
            raise Refused(f"LLVM does not take it: {str(error)[:200]}") from error


@functools.cache
def has_half_conversions() -> bool:
    """Whether the processor has instructions between f16 and f32: LLVM calls functions for them elsewhere."""
    with _Inside():
        return bool(llvm.get_host_cpu_features().get("f16c", False))


class Engine:
    """Object code that LLVM has loaded, as long as this lives.

    Args:
        code: from `generate`, of this machine.

    Attributes:
        address: of the function `launch`.

    Raises:
        Refused: it cannot be loaded here.
    """

    def __init__(self, code: bytes) -> None:
        with _Inside():
            _left.clear()
            target = _target()  # nothing of LLVM is there to parse with before
            engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(target))
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            self.address = int(engine.get_function_address("launch"))
        self._engine = engine

    def __del__(self, calls: forks.Calls = calls, left: list[llvm.ExecutionEngine] = _left) -> None:
        # Both by default, since the names of this module may be gone when a process ends.
        engine = getattr(self, "_engine", None)
        if engine is None:
            return
        if calls.torn:
            engine.detach()  # to free it, a lock is needed that nobody gives back
        elif calls.others_inside():
            left.append(engine)  # rather than wait for the other thread


def generate(text: str, *, near: bool = False) -> bytes:
    """Object code of IR; LLVM makes it without the interpreter's lock.

    Args:
        text: the IR.
        near: whether all of it will lie together, so that an image can be made of it.

    Raises:
        Refused: LLVM finds fault with the text.
    """
    with _Inside():
        machine = _machine(_target(), "small" if near else "jitdefault")
        module = llvm.parse_assembly(text)
        module.verify()
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=_LEVEL))
        passes = llvm.create_new_function_pass_manager()
        for name in _PASSES:
            getattr(passes, name)()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        return bytes(machine.emit_object(module))


class Maker(NamedTuple):
    """What decides of the same text into what it is made.

    Attributes:
        binding: the version of llvmlite.
        llvm: that of LLVM.
        processor: its name, as LLVM has it.
        features: its features, likewise.
    """

    binding: str
    llvm: str
    processor: str
    features: str

    def __str__(self) -> str:
        return f"llvmlite {self.binding} (LLVM {self.llvm}) for {self.processor}"


@functools.cache
def maker() -> Maker:
    """What makes machine code here, as LLVM says.

    Raises:
        ImportError: nothing does.
    """
    with _Inside():
        version = ".".join(map(str, llvm.llvm_version_info))
        features = llvm.get_host_cpu_features().flatten()
        return Maker(llvmlite.__version__, version, llvm.get_host_cpu_name(), features)


@functools.cache
def has_images() -> bool:
    """Whether objects are of the kind of which images are made (`image.py`)."""
    with _Inside():
        triple = str(llvm.get_process_triple())
        return triple.startswith("x86_64-") and "linux" in triple


def _machine(target: llvm.Target, distances: str = "jitdefault") -> llvm.TargetMachine:
    here = maker()
    return target.create_target_machine(
        cpu=here.processor, features=here.features, opt=_LEVEL, reloc="pic", codemodel=distances, jit=True
    )


@functools.cache
def _target() -> llvm.Target:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()
