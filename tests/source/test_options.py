"""Options: one spelling each, and no way in for what the key cannot hold."""

from __future__ import annotations

import contextlib

import pytest
from cuda.bindings import nvrtc

import jitload
from jitload.source.options import canonical_options

SAME = [
    ["-use_fast_math", "--use_fast_math", "--use-fast-math", "-use-fast-math"],
    ["-lineinfo", "--generate-line-info"],
    ["-G", "--device-debug"],
    ["-w", "--disable-warnings"],
    ["-restrict", "--restrict"],
    ["-default-device", "--device-as-default-execution-space"],
    ["-extra-device-vectorization", "--extra-device-vectorization"],
    ["-Ofc=min", "--Ofast-compile=min"],
    ["-ftz=true", "--ftz=true", "--ftz=TRUE", "--ftz=1", "-ftz true", "--ftz true"],
    ["-fmad=false", "--fmad=false", "--fmad=0"],
    ["-prec-div=true", "--prec-div=1"],
    ["-rdc=true", "--relocatable-device-code=true", "-rdc 1"],
    ["-std=c++17", "--std=c++17", "-std c++17", "--std c++17"],
    ["-maxrregcount=1", "--maxrregcount=1", "-maxrregcount 1"],
    ["-Xptxas=-O1", "--ptxas-options=-O1", "-Xptxas -O1"],
    ["-split-compile=0", "--split-compile=0", "--split-compile 0"],
    ["-diag-suppress=177", "--diag-suppress=177", "-diag-suppress 177"],
    ["-jtd=1", "--jump-table-density=1"],
    ["-dQ=true", "--version-ident=1"],
    ["-include=a.h", "--pre-include=a.h", "-include a.h"],
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_every_spelling_is_one(spellings):
    assert len({canonical_options(spelling)[0] for spelling in spellings}) == 1


#: An option as NVRTC wants it, so that what the canonical spelling is can be tried.
TRIED = [
    "--split-compile=1", "--split-compile=0", "--diag-suppress=1", "--Ofast-compile=0", "--jump-table-density=1", "--ftz=1", "--fmad=0",
    "--prec-div=True", "--prec-sqrt=0", "-rdc=1", "-builtin-move-forward=0", "-builtin-initializer-list=1", "--version-ident=1",
    "--frandom-seed=1", "--maxrregcount=1", "--dopt=on", "-Xptxas=-O1", "-G", "-lineinfo", "-w", "-minimal", "-err-no", "-brief-diag=true",
    "-ewp", "-restrict", "-default-device", "-device-int128", "-diag-warn=177", "-diag-error=177", "-std=c++20",
    "-extra-device-vectorization", "-modify-stack-limit=false", "--no-cache", "--no-source-include",
]  # fmt: skip
#: NVRTC 12.6 does not know these yet; the oldest that an extra installs does.
NEW = ["--frandom-seed=1"]


@pytest.mark.parametrize("option", TRIED)
def test_nvrtc_accepts_the_canonical_spelling(compile_ptx, needs_nvrtc, option):
    if option in NEW:
        needs_nvrtc("12.9")
    source = '__device__ int f() { return 1; }\nextern "C" __global__ void k(int *out) { *out = f(); }\n'
    assert "k" in compile_ptx(source, options=[option], kind="ptx").kernels


MACROS = "#ifdef A\nenum { VALUE = A + 0 };\n#else\nenum { VALUE = 9 };\n#endif"
OVERRIDING = [["-DA=1", "-DA=2"], ["-DA", "-UA", "-DA=3"], ["-UA", "-DA=4"], ["-DA=5", "-UA"], ["-DA=6", "-UA", "-DA=7", "-UA", "-DA=8"]]  # fmt: skip


@pytest.mark.parametrize("options", OVERRIDING, ids=str)
def test_nvrtc_reads_options_that_override_each_other_as_we_do(value, options):
    _, program = nvrtc.nvrtcCreateProgram(
        f"{MACROS}\ntemplate <int> struct Show; enum {{ S = sizeof(Show<VALUE>) }};".encode(), b"k.cu", 0, [], []
    )
    nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b"\0" * max(size, 2)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    assert f"Show<{value(MACROS, options=options)}>" in log.decode()


@pytest.mark.filterwarnings("ignore::jitload.CompileWarning")
def test_no_option_changes_a_later_compile(compile_ptx):
    """NVRTC is a library: what one compile leaves behind in it would be in the bytes or the log of the next."""
    source = '__device__ __noinline__ float f(float x) { return x / 3; }\nextern "C" __global__ void k(float *x) { *x = f(*x) * *x + 1; }\n'

    def plain():
        artifact = compile_ptx(source, kind="cubin", arch="sm_80", cache=jitload.Cache(None))
        return artifact.data, artifact.log

    before = plain()
    for option in TRIED:
        with contextlib.suppress(jitload.CompileError):  # ptxas 12.9 and 13.5 refuse what --version-ident writes
            compile_ptx(source, options=[option], kind="cubin", arch="sm_80", cache=jitload.Cache(None))
        assert plain() == before, option


def test_order_of_different_options_is_ignored_and_of_the_same_is_kept():
    assert canonical_options(["-lineinfo", "-ftz=true"]) == canonical_options(["-ftz=true", "-lineinfo"])
    assert canonical_options(["-ftz=true", "-ftz=false"]) != canonical_options(["-ftz=false", "-ftz=true"])
    assert canonical_options(["-Xptxas=-v", "-Xptxas=-O1"])[0] == ("--ptxas-options=-v", "--ptxas-options=-O1")


@pytest.mark.parametrize(
    "options",
    [["-DN=4"], ["-D N=4"], ["-D", "N=4"], ["-D=N=4"], ["--define-macro=N=4"], ["--define-macro", "N=4"], [" -DN=4 "]],
    ids=str,
)
def test_definitions(options):
    assert canonical_options(options) == ((), [], [("N", "4")], [])


def test_definitions_without_and_with_an_empty_value():
    assert canonical_options(["-DA", "-DB=", "-DC=x=y"])[2] == [("A", None), ("B", ""), ("C", "x=y")]


@pytest.mark.parametrize("options", [["-UN"], ["-U N"], ["-U", "N"], ["-U=N"], ["--undefine-macro=N"]], ids=str)
def test_undefinitions(options):
    assert canonical_options(options) == ((), [], [], ["N"])


@pytest.mark.parametrize(
    "options",
    [
        ["-I/a b"],
        ["-I /a b"],
        ["-I", "/a b"],
        ["-I=/a b"],
        [" -I/a b"],
        ["\t-I/a b\n"],
        ["--include-path=/a b"],
        ["--include-path", "/a b"],
    ],
    ids=str,
)
def test_include_directories(options):
    """All of these reach the disk when NVRTC sees them (measured, but for the last), so none may."""
    assert canonical_options(options) == ((), ["/a b"], [], [])


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("-arch=sm_90", "arch='sm_90'"),
        ("--gpu-architecture=compute_90", "arch='sm_90'"),
        ("-dlto", "kind='ltoir'"),
        ("--gen-opt-lto", "kind='ltoir'"),
        ("--optix-ir", "OptiX"),
        ("-opt-info=inline", "every later compile"),
        ("-time=/x.csv", "writes a file"),
        ("-fdevice-time-trace=/x", "writes a file"),
        ("-pch", "key"),
        ("--use-pch=/x.pch", "key"),
        ("--create-pch=/x.pch", "writes a file"),
        ("-pch-dir=/x", "key"),
        ("--fdevice-syntax-only", "no image"),
        ("-Xcudafe=-I/x", "diag-suppress"),
        ("-Xptxas=--options-file=/x", "no key covers; write its options out"),
        ("-Xptxas -optf=/x", "no key covers"),
        ("-Xptxas=-v,-optf=/x", "no key covers"),
        ("-Xptxas=-optf -Xptxas=/x", "no key covers"),
        ("-Xptxas=-optf,x", "no key covers"),
        ("-Xptxas=/x.ptx", "ptxas would open a file of that name"),
        ("-Xptxas=-v -Xptxas=x", "ptxas would open a file of that name"),
        ("-Xptxas=-O=1 -Xptxas=x", "ptxas would open a file of that name"),
        ("--ptxas-options=-o=/x", "artifact.save"),
        ("-optf /x", "write its options out, as a list"),
        ("--options-file=/x", "write its options out, as a list"),
        ("-genbuiltins", "writes a file"),
        ("-keep-dir=/x", "artifact.save"),
        ("-o k.cubin", "artifact.save"),
        ("-MD", "writes a file"),
    ],
)
def test_what_a_cached_compile_cannot_have_is_refused_with_advice(option, advice):
    with pytest.raises(jitload.UsageValueError, match=advice.replace("(", r"\(")):
        canonical_options(option)


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("-O3", "the level of ptxas is '--ptxas-options=-O3'"),
        ("--optimize=2", "--ptxas-options=-O3"),
        ("--expt-relaxed-constexpr", "--device-as-default-execution-space"),
        ("-expt-relaxed-constexpr", "--device-as-default-execution-space"),
        ("--extended-lambda", "leave it out, and '__device__' at the lambda"),
        ("-gencode arch=compute_80,code=sm_80", "write arch='sm_80'"),
        (
            "-gencode=arch=compute_90a,code=[sm_90a,compute_90a]",
            r"write kind='fatbin', arch=\['sm_90a', 'compute_90a'\]",
        ),
        ("--generate-code=arch=compute_80", "write arch='compute_80'"),
        ("-Xcompiler -fPIC", "no host compiler"),
        ("--compiler-options=-Wall", "no host compiler"),
        ("-ccbin g++", "no host compiler"),
        ("-lcudart", "links nothing"),
        ("-L/usr/lib", "links nothing"),
        ("-x cu", "leave it out"),
        ("-c", "-rdc=true"),
        ("--ptx", "kind='ptx'"),
        ("-cubin", "kind='cubin'"),
        ("-fatbin", "kind='fatbin'"),
        ("-g", "'-lineinfo'"),
        ("-m64", "leave it out"),
        ("-Werror all-warnings", "--diag-error"),
        ("-Wno-psabi", "--diag-suppress"),
        ("-res-usage", "--ptxas-options=-v"),
        ("-t4", "jitload.precompile"),
        ("--threads=4", "jitload.precompile"),
        ("--default-stream=per-thread", "stream"),
        ("-isystem /x", "include_dirs"),
    ],
)
def test_an_option_of_nvcc_is_told_what_to_write(option, advice):
    with pytest.raises(jitload.UsageValueError, match=f"is nvcc's, and NVRTC has none like it: .*{advice}"):
        canonical_options(option)


def test_the_tables_refuse_nothing_that_nvrtc_takes():
    """Every option that NVRTC 12.9 takes, but for those that its own table refuses."""
    taken = "-device-stack-protector=true --fassociative-math -no-lineinfo-ia -uumn -Ofc=min -lineinfo -minimal -w -G -dc -ewp -rdc=true -modify-stack-limit=true"
    assert len(canonical_options(taken)[0]) == len(taken.split())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ('-DMSG="hello world"', [("MSG", "hello world")]),
        ("'-DMSG=\"hello world\"'", [("MSG", '"hello world"')]),
        ('-DMSG=\\"hi\\"', [("MSG", '"hi"')]),
        ("-D 'A=x y' -DB=''", [("A", "x y"), ("B", "")]),
        ("-DA=1\t-DB\n", [("A", "1"), ("B", None)]),
    ],
)
def test_one_string_is_split_as_a_shell_would(options, expected):
    assert canonical_options(options) == ((), [], expected, [])


def test_a_directory_with_a_blank_in_one_string():
    assert canonical_options('-I"a dir" -I \'b dir\' --include-path="c dir"')[1] == ["a dir", "b dir", "c dir"]


@pytest.mark.parametrize("options", ['-DA="x', "-DA='x", "-DA=\\"])
def test_quotes_that_do_not_close_are_told(options):
    with pytest.raises(jitload.UsageValueError, match=r"cannot be split as a shell would .*pass a list"):
        canonical_options(options)


@pytest.mark.parametrize(
    "item", ["-std c++17", "--std\tc++17", "-maxrregcount 32", "-Xptxas -v", "-include a b.h", "-D N=a b"]
)
def test_two_words_in_one_item_of_a_list(item):
    name, value = item.split(maxsplit=1)
    assert canonical_options([item]) == canonical_options([name, value])


def test_several_options_of_ptxas_in_one():
    """As nvcc takes them: ptxas itself knows no "-v,-O1"."""
    expected = ("--ptxas-options=-v", "--ptxas-options=-O1", "--ptxas-options=-maxntid=128,1,1")
    assert canonical_options(["-Xptxas=-v,-O1,-maxntid=128,1,1"])[0] == expected
    assert canonical_options(["-Xptxas", "-v -O1", "-Xptxas=-maxntid=128,1,1"])[0] == expected
    assert canonical_options(["-Xptxas=-O", "-Xptxas=1"])[0] == ("--ptxas-options=-O", "--ptxas-options=1")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-diag-suppress=177", "-diag-error=177"], ("--diag-error=177",)),
        (["-diag-error=177", "-diag-suppress=177"], ("--diag-suppress=177",)),
        (["-diag-error=177,20", "-diag-warn=177"], ("--diag-error=20", "--diag-warn=177")),
        (["-diag-warn=20", "-diag-error=177"], ("--diag-error=177", "--diag-warn=20")),
        (["-diag-warn=20", "-diag-warn=20"], ("--diag-warn=20", "--diag-warn=20")),
    ],
    ids=str,
)
def test_the_last_that_speaks_of_a_diagnostic_decides(options, expected):
    assert canonical_options(options)[0] == expected


def test_a_value_that_is_missing():
    with pytest.raises(ValueError, match="'--std' needs a value"):
        canonical_options(["-lineinfo", "--std"])


@pytest.mark.parametrize("bad", [[1], [b"-lineinfo"], [None], [["-lineinfo"]]], ids=str)
def test_an_option_of_another_type(bad):
    with pytest.raises(TypeError, match="an option is a str, got"):
        canonical_options(bad)


def test_no_options_in_many_ways():
    assert canonical_options("") == canonical_options([]) == canonical_options(["", " "]) == ((), [], [], [])


def test_an_unknown_option_is_nvrtcs_to_refuse(compile_ptx):
    with pytest.raises(jitload.CompileError, match="--frobnicate") as caught:
        compile_ptx("", options=["--frobnicate"])
    assert "NVRTC_ERROR_INVALID_OPTION" in str(caught.value)
