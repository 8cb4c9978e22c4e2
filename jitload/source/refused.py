"""Options that are not taken, each with what to do instead: those that name files, and those of nvcc.

What NVRTC knows is from its documentation ("Supported Compile Options") and from trying every word in its library that
looks like an option (12.9.86); what ptxas knows, from its `--help` and from trying what it opens.
"""

from __future__ import annotations

import re

from jitload.errors import UsageValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_WRITES = "it writes a file, which a cached result could not repeat"
_READS = "it reads a file that no key covers"
_SAVE = "an image stays in memory: write artifact.save(path)"


def _by_name(*rows: tuple[str, str]) -> dict[str, str]:
    return {name: advice for names, advice in rows for name in names.split()}


#: Options that name a file, of NVRTC, of nvcc, and of what they hand on. The files of `--pre-include` and
#: `--include-path` are found here and given from memory.
_FILES = _by_name(
    ("--time --fdevice-time-trace --device-time-trace --generate-builtins -genbuiltins --create-pch", _WRITES),
    ("-M -MM -MD -MMD -MF -MP -MT --generate-dependencies --generate-dependencies-with-compile", _WRITES),
    ("--use-pch --pch --pch-dir", f"{_READS}; jitload.precompile() precompiles the headers of a batch by itself"),
    ("--options-file -optf", f"{_READS}; write its options out, as a list"),
    ("--output-file -o --output-directory -odir --keep -keep --keep-dir -keep-dir --save-temps -save-temps", _SAVE),
)
#: The same of ptxas, to which `--ptxas-options` hands on; what is no option there is the name of an input.
_PTXAS_FILES = _by_name(
    ("--options-file -optf", f"{_READS}; write its options out, as a list"),
    ("--output-file -o", _SAVE),
    ("--input-as-string -ias", "the source of the kernel is the input"),
)
_WITH_VALUES = """
    -Ofc --Ofast-compile -allow-expensive-optimizations --allow-expensive-optimizations -dlcm --def-load-cache -dscm
    --def-store-cache -flcm --force-load-cache -fscm --force-store-cache -func-maxrregcount -device-stack-protector
    --device-function-maxrregcount --device-stack-protector -e --entry -fmad --fmad -m --machine -maxntid --maxntid
    -maxrregcount --maxrregcount -minnctapersm --minnctapersm -O --opt-level -pic --position-independent-code
    -regUsageLevel --register-usage-level -split-compile --split-compile
"""
_PTXAS_VALUES = frozenset(_WITH_VALUES.split())
_FLAGS = """
    -v --verbose --warn-on-spills --warn-on-local-memory-usage --warn-on-double-precision-use --warning-as-error
    --disable-optimizer-constants --generate-line-info --device-debug --return-at-end
"""

_NO_HOST = "no host compiler runs here: leave it out"
_NO_LINK = "a compile links nothing: leave it out, and bring device code in by #include"
#: Options of nvcc that NVRTC does not have.
_NVCC = _by_name(
    (
        "--expt-relaxed-constexpr -expt-relaxed-constexpr",
        "write '--device-as-default-execution-space': what is not marked, constexpr or not, is for the device then",
    ),
    (
        "--extended-lambda -extended-lambda --expt-extended-lambda -expt-extended-lambda",
        "leave it out, and '__device__' at the lambda: in a kernel it is for the device anyway",
    ),
    ("-Xcompiler --compiler-options -ccbin --compiler-bindir -pthread -march -mtune -fPIC -fpic -fopenmp", _NO_HOST),
    ("--forward-unknown-to-host-compiler -forward-unknown-to-host-compiler", _NO_HOST),
    ("--allow-unsupported-compiler -allow-unsupported-compiler", _NO_HOST),
    ("-Xlinker --linker-options -Xnvlink --nvlink-options -Xarchive --archive-options -cudart --cudart", _NO_LINK),
    ("-cudadevrt --cudadevrt --library -l --library-path -L -shared --shared -lib --lib -link --link", _NO_LINK),
    ("-x --x", "a source is CUDA C++ always: leave it out"),
    ("-c --compile", "leave it out; for an image that is to be linked, write '-rdc=true'"),
    ("-ptx --ptx", "write kind='ptx'"),
    ("-cubin --cubin", "write kind='cubin'"),
    ("-fatbin --fatbin", "write kind='fatbin', with a list of archs"),
    ("-ltoir --ltoir -lto --lto", "write kind='ltoir'"),
    ("-g --debug", "write '-G' for a debug build, '-lineinfo' for line numbers"),
    ("-m --machine -m64 --m64", "device code is 64-bit always: leave it out"),
    ("-Werror --Werror", "write '--diag-error=NUMBER', with the number that the warning shows"),
    ("-Wno-deprecated-gpu-targets --Wno-deprecated-gpu-targets", "leave it out"),
    ("-res-usage --resource-usage -v --verbose", "write '--ptxas-options=-v'"),
    ("-t --threads", "jitload.precompile() compiles with several workers"),
    ("-default-stream --default-stream", "a stream belongs to a launch: kernel[grid, block, stream](...)"),
    ("-isystem --system-include", "write include_dirs=[...]"),
    ("-ffast-math", "write '--use_fast_math'"),
)
_NVCC_FORMS = (
    (re.compile(r"-l(?!ine)\w+|-L.+"), _NO_LINK),
    (
        re.compile(r"-O\w*|--optimize"),
        "NVRTC optimizes always: leave it out; the level of ptxas is '--ptxas-options=-O3'",
    ),
    (re.compile(r"-W\w.*"), "write '--diag-suppress=NUMBER', '--diag-warn=NUMBER' or '-w'"),
    (re.compile(r"-t\d+"), "jitload.precompile() compiles with several workers"),
)
_ARCH = r"\b(?:sm|compute)_\d+[af]?\b"


def refuse_file_options(options: Iterable[tuple[str, str | None]]) -> None:
    """Refuse what names a file, be it for a tool that the compiler hands it on to.

    Args:
        options: canonical name and value of every option, in their order.

    Raises:
        UsageValueError: one of them names a file; the text says what to do instead.
    """
    takes_value = False
    for name, value in options:
        if name in _FILES:
            raise UsageValueError(f"option {_written(name, value)!r} cannot be given to jitload: {_FILES[name]}")
        if name != "--ptxas-options" or value is None:
            continue
        option = re.split("[=,]", value, maxsplit=1)[0]
        reason = _PTXAS_FILES.get(option)
        if reason is None and not value.startswith("-") and not takes_value:
            reason = "ptxas would open a file of that name; write an option and its value as one, like '-O=3'"
        if reason is not None:
            raise UsageValueError(f"option {_written(name, value)!r} cannot be given to jitload: {reason}")
        takes_value = value in _PTXAS_VALUES


def ptxas_options() -> tuple[str, ...]:
    """Options of ptxas that may be handed on, the long spellings first."""
    return tuple(sorted({*_PTXAS_VALUES, *_FLAGS.split()}, key=lambda option: (not option.startswith("--"), option)))


def refuse_nvcc_option(name: str, value: str | None) -> None:
    """Refuse an option that is nvcc's alone.

    Raises:
        UsageValueError: it is one; the text says what to write instead.
    """
    if name in {"-gencode", "--generate-code", "-code", "--gpu-code"}:
        advice = _arch_advice(value or "")
    else:
        advice = _NVCC.get(name) or next((text for form, text in _NVCC_FORMS if form.fullmatch(name)), "")
    if advice:
        raise UsageValueError(f"option {_written(name, value)!r} is nvcc's, and NVRTC has none like it: {advice}")


def _arch_advice(value: str) -> str:
    """What stands for `-gencode arch=compute_90,code=[sm_90,compute_90]`."""
    archs = re.findall(_ARCH, value.partition("code=")[2] or value)
    if not archs:
        return "write arch='sm_90'"
    return f"write arch={archs[0]!r}" if len(archs) == 1 else f"write kind='fatbin', arch={archs!r}"


def _written(name: str, value: str | None) -> str:
    return name if value is None else f"{name}={value}"
