"""The compiler in a process of its own: when it dies or hangs, it takes nothing with it.

NVRTC is a library with faults of its own: 12.9.86 ends its process with SIGSEGV for the source
`template<class T> __global__ void r(}T*x){}` with the name expression "r<int>". This is a guard against faults, not a
sandbox: the child has the rights of its parent, and the two trust each other.

The child is a plain interpreter rather than a `multiprocessing` process. That would import the caller's main module
again, so it asks for a guard in every script, and cannot be used from a prompt or a script on standard input.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from importlib import import_module
from multiprocessing.connection import Connection, Pipe
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar, final

from jitload.compiler import nvrtc, toolkit
from jitload.compiler.program import compile_artifact
from jitload.errors import CompileError
from jitload.settings.environment import worker_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from jitload.artifact import Artifact
    from jitload.compiler.nvrtc import Output, Run
    from jitload.headers.closure import Closure
    from jitload.source.request import CompileRequest
    from jitload.values import Toolchain

#: A compiler that has not answered by then is taken for hung. The slowest kernels in use take some minutes.
BOUND_SECONDS = 1800.0
#: How often a silent child is looked after.
LOOK_SECONDS = 1.0
#: How long a child may take to end when it is no longer needed.
END_SECONDS = 20.0

_START = (
    "import sys; sys.path[:] = {path!r}; "
    "from jitload.compiler.isolate import serve; serve({module!r}, {function!r}, {handle}, {nvrtc!r})"
)


class CompilerDied(Exception):  # noqa: N818 - never leaves: it becomes a CompileError that names the request
    """A child ended, or was ended because it hung, before it had answered.

    Attributes:
        how: what happened, to follow "the compiler ".
        hung: True when it was alive and silent.
    """

    def __init__(self, how: str, *, hung: bool = False) -> None:
        super().__init__(how)
        self.how = how
        self.hung = hung

    def error(self, request: CompileRequest) -> CompileError:
        """What the user is told about the request that did it."""
        file = request.path or request.name
        names = f" with the name expressions {', '.join(map(repr, request.names))}" if request.names else ""
        return CompileError(
            f"{file}: the compiler {self.how} on this request ({request.kind}, {request.arch}){names}. Nothing else "
            f"was lost. It is a fault of the compiler, most often met with a source that has errors: take out name "
            f"expressions to be shown them, or try another NVRTC",
            file=file,
        )


Question = TypeVar("Question")
Reply = TypeVar("Reply")


@final
class CompilerProcess(Generic[Question, Reply]):
    """A child interpreter that answers questions, one after the other.

    Args:
        answer: a function at the top of a module: question -> iterator of replies. It runs in the child.
        directory: the working directory of the child, which NVRTC writes into LTO-IR and into what has debug
            information; default: that of this process.
    """

    def __init__(self, answer: Callable[[Question], Iterator[Reply]], directory: str | None = None) -> None:
        if not sys.executable:
            raise CompileError(
                "no process can be started for the compiler: this interpreter does not know its own file"
            )
        self._connection, theirs = Pipe()
        found = toolkit.find_nvrtc()
        start = _START.format(
            path=[os.path.abspath(path) for path in sys.path],
            module=answer.__module__,
            function=answer.__qualname__,
            handle=theirs.fileno(),
            nvrtc=None if found is None else (found.library, found.major),
        )
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, running this package
                [sys.executable, "-c", start],
                cwd=directory,
                env=worker_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def ask(self, question: Question) -> None:
        """Send a question.

        Raises:
            CompilerDied: the child has ended.
        """
        try:
            self._connection.send(question)
        except OSError:
            raise self._death() from None

    def reply(self, bound_seconds: float = BOUND_SECONDS) -> Reply:
        """The next reply to the question.

        Raises:
            CompilerDied: the child ended first, or gave none within the bound and was killed.
        """
        end = monotonic() + bound_seconds
        try:
            while (left := end - monotonic()) > 0:
                # In slices, because a fork of the caller's in the wrong moment keeps the other end open for ever.
                ended = self._process.poll() is not None
                if self._connection.poll(0 if ended else min(left, LOOK_SECONDS)):
                    reply: Reply = self._connection.recv()
                    return reply
                if ended:
                    raise self._death()
        except (EOFError, OSError):
            raise self._death() from None
        self.kill()
        raise CompilerDied(f"gave no answer within {bound_seconds:g} s and was stopped", hung=True)

    def kill(self) -> None:
        """End the child now."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let the child end; one that does not is killed."""
        self._connection.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> CompilerProcess[Question, Reply]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        self.close()

    def _death(self) -> CompilerDied:
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return CompilerDied("closed its connection and did not end")
        if code >= 0:
            return CompilerDied(f"ended with exit code {code}")
        return CompilerDied(f"died with signal {-code}{_signal_name(-code)}")


def compile_isolated(
    request: CompileRequest, closure: Closure, toolchain: Toolchain, bound_seconds: float = BOUND_SECONDS
) -> Artifact:
    """Like `program.compile_artifact`, with NVRTC in a child process: the same artifact, the same errors.

    Args:
        request: what to compile.
        closure: its headers.
        toolchain: the compiler, for the key.
        bound_seconds: how long one run of NVRTC may take.

    Raises:
        CompileError: the source does not compile, a compiler is missing, or the compiler died.
    """
    with CompilerProcess(answer_program) as child:

        def compile_program(run: Run) -> Output:
            child.ask(run)
            result = child.reply(bound_seconds)
            if isinstance(result, nvrtc.Output):
                return result
            raise result if isinstance(result, CompileError) else nvrtc.NvrtcFailure(*result)

        try:
            return compile_artifact(request, closure, toolchain, compile_program)
        except CompilerDied as death:
            raise death.error(request) from None


def answer_program(run: Run) -> Iterator[Output | CompileError | tuple[str, str]]:
    """In the child: one run of NVRTC. Gives an Output, a CompileError, or (status, log) of a failure."""
    try:
        yield nvrtc.compile_program(run)
    except nvrtc.NvrtcFailure as failure:
        yield failure.status, failure.log
    except CompileError as error:
        yield error


def serve(module: str, function: str, handle: int, found: tuple[str, int] | None) -> None:
    """In the child: answer until the parent closes its end; with the parent's NVRTC, which the key was made with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal; the parent decides what it means
    # A crash is expected here; a core file of some hundred megabytes in the user's directory is not.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if found is not None:
        toolkit.use_nvrtc(toolkit.Nvrtc(*found))
    answer = getattr(import_module(module), function)
    with Connection(handle) as connection:
        while True:
            try:
                question = connection.recv()
                for result in answer(question):
                    connection.send(result)
            except (EOFError, ConnectionError):
                return


def _signal_name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""
