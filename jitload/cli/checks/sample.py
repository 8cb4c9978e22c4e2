"""A tiny kernel that is really compiled and really run; every step at most once per doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.nvrtc import MISSING
from jitload.compiler.program import compile_artifact
from jitload.compiler.toolkit import toolchain, toolkit_roots
from jitload.config import configure
from jitload.cuda import driver
from jitload.errors import CompileError
from jitload.headers.closure import Closure
from jitload.lazy import lazy
from jitload.loader.registry import load_module_from_bytes
from jitload.source.arch import EXECUTOR_ARCH
from jitload.source.request import CompileRequest
from jitload.values import Kind

if TYPE_CHECKING:
    import numpy as np

    from jitload.artifact import Artifact
    from jitload.loader.module import Module
else:
    np = lazy("numpy")

KERNEL = "jitload_doctor"
COUNT = 64

SOURCE = f"""extern "C" __global__ void {KERNEL}(int *out, int n)
{{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        out[i] = 3 * i + 1;
}}
"""

#: The same by hand, for machines without a compiler.
PTX = f"""// {KERNEL}
.version 6.3
.target sm_75
.address_size 64

.visible .entry {KERNEL}(
    .param .u64 {KERNEL}_param_0,
    .param .u32 {KERNEL}_param_1
)
{{
    .reg .pred %p<2>;
    .reg .b32 %r<7>;
    .reg .b64 %rd<5>;

    ld.param.u64 %rd1, [{KERNEL}_param_0];
    ld.param.u32 %r1, [{KERNEL}_param_1];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.s32 %p1, %r5, %r1;
    @%p1 bra DONE;
    cvta.to.global.u64 %rd2, %rd1;
    mul.wide.s32 %rd3, %r5, 4;
    add.s64 %rd4, %rd2, %rd3;
    mad.lo.s32 %r6, %r5, 3, 1;
    st.global.u32 [%rd4], %r6;
DONE:
    ret;
}}
"""

#: For machines without a GPU: NVRTC 12 and 13 both compile for it.
DEFAULT_ARCH = "sm_90"


class Sample:
    """The tiny kernel on this machine. Failures are kept like results, and raised again to whoever asks."""

    def __init__(self) -> None:
        self._images: dict[tuple[Kind, str], Artifact | Exception] = {}
        self._runs: dict[str, str | Exception] = {}
        self._arch = ""

    @property
    def arch(self) -> str:
        """What machine code is compiled for: the GPU of this machine, else `DEFAULT_ARCH`."""
        if not self._arch:
            self._arch = driver.device_arch(0) if driver.is_available() else DEFAULT_ARCH
        return self._arch

    def compile(self, kind: Kind, arch: str) -> Artifact:
        """Its artifact from a real compile, whatever the caches hold and the settings allow.

        Raises:
            JitloadError: it does not compile here.
        """
        if (kind, arch) not in self._images:
            try:
                self._images[kind, arch] = _compile(kind, arch)
            except Exception as error:  # noqa: BLE001 - raised again below, for every check that asks
                self._images[kind, arch] = error
        outcome = self._images[kind, arch]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def run(self, device: str) -> str:
        """Run it on "cuda" or "cpu", compare its numbers, and say what was run.

        Raises:
            Exception: it does not run there, or computes something else.
        """
        if device not in self._runs:
            try:
                self._runs[device] = self._run(device)
            except Exception as error:  # noqa: BLE001 - raised again below
                self._runs[device] = error
        outcome = self._runs[device]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _run(self, device: str) -> str:
        with configure(device="cuda" if device == "cuda" else "cpu", sync=True, strict=False):
            module, what = self._load(device)
            out = np.zeros(COUNT, np.int32)
            module.get_function(KERNEL)(out, COUNT, grid=2, block=COUNT // 2)
        wrong = int(np.count_nonzero(out != 3 * np.arange(COUNT) + 1))
        if wrong:
            raise ArithmeticError(f"{wrong} of {COUNT} numbers are wrong, the first are {out[:4].tolist()}")
        return what

    def _load(self, device: str) -> tuple[Module, str]:
        """Its module for a device, compiled where that works, else from the PTX above."""
        kind, arch = (Kind.CUBIN, self.arch) if device == "cuda" else (Kind.PTX, EXECUTOR_ARCH)
        try:
            return self.compile(kind, arch).load(), f"{kind} compiled for {arch}"
        except CompileError:
            return load_module_from_bytes("ptx", PTX.encode()), "ready-made PTX"


def _compile(kind: Kind, arch: str) -> Artifact:
    # By the compiler alone: a broken cache, a refused bundle and a policy are other lines of the list.
    found = toolchain()
    if found is None:
        raise CompileError(MISSING)
    request = CompileRequest(SOURCE, name="doctor.cu", kind=kind, arch=arch)
    return compile_artifact(request, Closure(request, toolkit_roots()), found)
