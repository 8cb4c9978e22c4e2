"""Every exception of jitload.

    JitloadError
    |- UsageError                a call that means nothing: no such kind, arch, option, setting, no source
    |  |- UsageValueError        ... by what was given                   (also a ValueError)
    |  `- UsageTypeError         ... by the type of what was given       (also a TypeError)
    |- SourceNotFoundError       the file of a kernel is not there       (also a FileNotFoundError)
    |- CompileError              NVRTC (or nvFatbin) refused the source, or no compiler is installed
    |  `- LinkError              nvJitLink refused the inputs, or is not installed
    |- CompileDisabledError      a compile was needed and compiling is off
    |  `- NotPrecompiledError    ... with what was wanted, searched and nearest
    |- LoadError                 bytes could not become a module
    |- LoaderNotFoundError       no loader for that kind               (also a RuntimeError)
    |- SymbolNotFoundError       a module has no such kernel or global (also a KeyError)
    |- ArgumentError             an argument does not fit its parameter (also a TypeError)
    |- LaunchError               a grid, block or stream that cannot be launched (also a ValueError)
    |- DriverError               a CUDA driver call failed
    |- ArtifactError             an entry is damaged, truncated or not ours
    |- BundleError               a bundle is damaged, truncated or not ours
    |- TrustError                a signature, key or policy refuses the bytes
    `- CpuFault                  the CPU executor stopped a kernel

and one warning, `CompileWarning` (a UserWarning): what the compiler had to say about a source that it took.

Fields hold the values that the text mentions. Every error survives pickling with its fields.
"""

from __future__ import annotations

from errno import ENOENT

from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload import frames
    from jitload.diagnostic import Diagnostic
else:  # not on the way to a hit
    frames = lazy("jitload.frames")

#: What a terminal would obey rather than show, C0 and C1, without tab and newline.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}


def printable(text: str) -> str:
    r"""A message for people, who may have given a name with an escape sequence or a NUL in it: these show as "\x1b"."""
    return text.translate(_CONTROL)


def _restore(cls: type[JitloadError], args: tuple[object, ...], fields: dict[str, object]) -> JitloadError:
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    for name, value in fields.items():
        setattr(error, name, value)
    return error


class JitloadError(Exception):
    """Root of every exception that jitload raises itself."""

    def __str__(self) -> str:
        # KeyError would print the repr of its argument; the text of every error of ours is the message.
        return printable(str(self.args[0])) if self.args else ""

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self.args, dict(self.__dict__))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the place of its own traceback: what went wrong first.

        One text: what IPython puts between several depends on %xmode, and in Plain and Minimal it is nothing.
        """
        return ["\n".join(frames.lines_for_notebook(self))]


class UsageError(JitloadError):
    """A call that means nothing: the text says what to write instead."""


class UsageValueError(UsageError, ValueError):
    """A kind, arch, option or setting that does not exist, or several that do not go together."""


class UsageTypeError(UsageError, TypeError):
    """An argument of a type that cannot be meant there."""


class SourceNotFoundError(JitloadError, FileNotFoundError):
    """The source file of a kernel is not there.

    Attributes:
        filename: where it was looked for.
        kernel: the kernel that is declared with it, or "".
    """

    def __init__(self, message: str, *, filename: str = "", kernel: str = "") -> None:
        super().__init__(message)
        self.errno = ENOENT
        self.filename = filename
        self.kernel = kernel

    def __reduce__(self) -> tuple[object, ...]:
        fields = {**self.__dict__, "errno": self.errno, "filename": self.filename}  # OSError keeps these elsewhere
        return _restore, (type(self), self.args, fields)


class CompileError(JitloadError):
    """The source did not compile, or there is nothing to compile it with.

    Attributes:
        file: the user's file (or program name) of the first diagnostic, or None.
        line: its 1-based line, or None.
        log: the compiler's full log, with the user's file names.
        diagnostics: what the log says, one by one, warnings too; () where no compiler spoke.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        log: str = "",
        diagnostics: tuple[Diagnostic, ...] = (),
    ) -> None:
        super().__init__(message)
        self.file = file
        self.line = line
        self.log = log
        self.diagnostics = diagnostics


class LinkError(CompileError):
    """Inputs did not link, or there is nothing to link them with.

    Attributes:
        undefined: the symbols that an input refers to and none defines.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        log: str = "",
        diagnostics: tuple[Diagnostic, ...] = (),
        undefined: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, file=file, line=line, log=log, diagnostics=diagnostics)
        self.undefined = undefined


class CompileDisabledError(JitloadError):
    """A compile was needed while compiling is off (`JITLOAD_COMPILE=never`, or after `jitload.seal()`)."""


class NotPrecompiledError(CompileDisabledError):
    """Compiling is off and no tier holds what was asked for.

    Attributes:
        wanted: what was asked for, as text.
        searched: one line per tier, each with its reason.
        nearest: one line for each thing that came near, with what differs.
        fix: what to do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        wanted: str = "",
        searched: tuple[str, ...] = (),
        nearest: tuple[str, ...] = (),
        fix: str = "",
    ) -> None:
        super().__init__(message)
        self.wanted = wanted
        self.searched = searched
        self.nearest = nearest
        self.fix = fix


class LoadError(JitloadError):
    """Bytes could not be made into a module: damaged image, wrong device, or no driver.

    Attributes:
        kind: the kind that was loaded, or None.
        log: the log of the driver's or linker's compiler, if there was one.
    """

    def __init__(self, message: str, *, kind: str | None = None, log: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.log = log


class LoaderNotFoundError(JitloadError, RuntimeError):
    """No loader is registered for a kind.

    Attributes:
        kind: the kind that was asked for.
        key: the registry key that is missing, `ffi.Module.load_from_bytes.<kind>`.
    """

    def __init__(self, message: str, *, kind: str = "", key: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.key = key


class SymbolNotFoundError(JitloadError, KeyError):
    """A module holds no kernel, function or global of that name.

    Attributes:
        name: the name that was asked for.
        available: the names that the module has.
    """

    def __init__(self, message: str, *, name: str = "", available: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.available = available


class ArgumentError(JitloadError, TypeError):
    """An argument does not fit the kernel's parameter.

    Attributes:
        kernel: the kernel's name.
        position: 0-based position of the argument, or None when the count is wrong.
        parameter: the parameter's name, or None.
    """

    def __init__(
        self, message: str, *, kernel: str = "", position: int | None = None, parameter: str | None = None
    ) -> None:
        super().__init__(message)
        self.kernel = kernel
        self.position = position
        self.parameter = parameter


class LaunchError(JitloadError, ValueError):
    """A launch configuration that the device or the kernel cannot run."""


class DriverError(JitloadError):
    """A CUDA driver call returned an error.

    Attributes:
        code: the CUresult as an integer.
        name: its name, e.g. "CUDA_ERROR_INVALID_VALUE".
        call: the driver function, e.g. "cuLibraryLoadData".
    """

    def __init__(self, message: str, *, code: int = 0, name: str = "", call: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.call = call


class ArtifactError(JitloadError):
    """An entry cannot be decoded: not ours, truncated, altered or of another version."""


class BundleError(JitloadError):
    """A bundle cannot be read: not ours, truncated, altered or of another version."""


class TrustError(JitloadError):
    """A signature, a key or the trust policy refuses the bytes."""


class CpuFault(JitloadError):  # noqa: N818 - the name is part of the public contract; a GPU calls this a fault
    """The CPU executor met an unknown instruction, a bad access or a deadlock.

    Attributes:
        kernel: the kernel's symbol, or None at load time.
        instruction: the PTX instruction as written, or None.
        ptx_line: its 1-based line in the PTX, or None.
        cuda_line: "file:line" of the CUDA source when the PTX has line information, or None.
        inlined_at: the lines at which the function around that line was inlined, the innermost first.
        thread: (x, y, z) of the first thread concerned, or None.
        block: (x, y, z) of its block, or None.
        address: the address that was accessed, or None.
        nearest: the nearest allocation, described, or None.
        other: another place that has to do with it, with the same fields, or None: the access that this one races
            with, or where memory was freed before.
        excerpt: the line of the source with its number, and a caret below its column; "" where the source is not known.
    """

    def __init__(
        self,
        message: str,
        *,
        kernel: str | None = None,
        instruction: str | None = None,
        ptx_line: int | None = None,
        cuda_line: str | None = None,
        inlined_at: tuple[str, ...] = (),
        thread: tuple[int, int, int] | None = None,
        block: tuple[int, int, int] | None = None,
        address: int | None = None,
        nearest: str | None = None,
        other: CpuFault | None = None,
        excerpt: str = "",
    ) -> None:
        super().__init__(message)
        self.kernel = kernel
        self.instruction = instruction
        self.ptx_line = ptx_line
        self.cuda_line = cuda_line
        self.inlined_at = inlined_at
        self.thread = thread
        self.block = block
        self.address = address
        self.nearest = nearest
        self.other = other
        self.excerpt = excerpt


class CompileWarning(UserWarning):
    """The compiler took a source and had something to say about it. Given once per kernel, when it is compiled."""
