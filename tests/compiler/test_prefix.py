"""Leading directives, and precompiled headers that are used for exactly what they were made of."""

from __future__ import annotations

import pytest

from jitload.compiler import nvrtc, prefix
from jitload.compiler.nvrtc import NvrtcFailure
from jitload.compiler.prefix import SharedHeaders, leading_directives
from jitload.values import Kind


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("__global__ void k() {}\n#include <a.h>\n", ""),
        ("#define N 1\nint x;\n", ""),
        ('#include "a.h"\n', '#include "a.h"\n'),
        ('#include "a.h"', '#include "a.h"\n'),
        ("// note\n\n/* more\n#include <no.h>\n*/\n  #  include <a.h>  // why\nint x;\n", "#  include <a.h>  // why\n"),
        ("#define N 1\n#include <a.h>\n#define LATER 2\nint x;", "#define N 1\n#include <a.h>\n"),
        ("#include <a.h>\n#if X\n#include <b.h>\n#endif\nint x;", "#include <a.h>\n#if X\n#include <b.h>\n#endif\n"),
        ("#include <a.h>\n#if X\n#include <b.h>\nint x;\n#endif\n", "#include <a.h>\n"),
        ("#include <a.h>\n#ifndef N\n#define N 1\n#endif\nint x;", "#include <a.h>\n"),
        ("#define LONG a \\\n  b\n#include <a.h>\n", "#define LONG a \\\n  b\n#include <a.h>\n"),
        ("#include <a.h>\n#define OPEN /* goes on\n#include <no.h> */\n#include <b.h>\n", "#include <a.h>\n"),
        ("// a comment \\\n#include <no.h>\n#include <a.h>\n", "#include <a.h>\n"),
        ("#pragma once\r\n#include <a.h>\r\nint x;\r\n", "#pragma once\n#include <a.h>\n"),
        ("#include <a.h>\n#include MACRO\nint x;", "#include <a.h>\n#include MACRO\n"),
    ],
)
def test_the_directives_at_the_top_up_to_the_last_include(source, expected):
    assert leading_directives(source.encode()).decode() == expected


HEADERS = {"/jitload/headers/v.h": b"#pragma once\n__device__ inline int v() { return 1; }\n"}
SOURCE = b'#include "/jitload/headers/v.h"\nextern "C" __global__ void k(int *x) { *x = v(); }\n'


class Counted:
    """`precompile_headers`, counted."""

    def __init__(self, monkeypatch):
        self.calls = 0
        self._real = nvrtc.precompile_headers
        monkeypatch.setattr(nvrtc, "precompile_headers", self)
        monkeypatch.setattr(prefix, "PAYS_BYTES", 1)
        monkeypatch.setattr(prefix, "UNOPENED_BYTES", 0)

    def __call__(self, *arguments, **keywords):
        self.calls += 1
        return self._real(*arguments, **keywords)


@pytest.fixture
def needs_precompiled_headers(needs_nvrtc):
    """12.8 is the first that has them; older ones compile every program from its text."""
    needs_nvrtc("12.8")


@pytest.fixture
def made(monkeypatch):
    return Counted(monkeypatch)


def plain(source=SOURCE, headers=HEADERS, options=(), arch="sm_80", names=(), seed=""):
    return nvrtc.compile_program(
        nvrtc.Run(source, "k.cu", headers, tuple(options), Kind.CUBIN, arch, tuple(names), seed)
    )


def use(shared, source=SOURCE, headers=HEADERS, options=(), arch="sm_80", name="k.cu", names=(), seed=""):
    return shared.compile_program(
        nvrtc.Run(source, name, headers, tuple(options), Kind.CUBIN, arch, tuple(names), seed)
    )


@pytest.mark.usefixtures("needs_precompiled_headers")
def test_one_is_made_for_many_programs(made, tmp_path):
    shared = SharedHeaders(str(tmp_path), 3)
    for number in range(3):
        other = b"// program %d\n\n" % number + SOURCE
        assert use(shared, other).image == plain(other).image
    assert made.calls == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_header_that_changed_is_not_served_stale(made, tmp_path):
    """NVRTC itself would: it does not compare what in-memory headers said."""
    shared = SharedHeaders(str(tmp_path), 3)
    use(shared)
    changed = {name: text.replace(b"1;", b"2;") for name, text in HEADERS.items()}
    assert use(shared, headers=changed).image == plain(headers=changed).image != plain().image


@pytest.mark.parametrize("change", [{"options": ["--define-macro=N"]}, {"arch": "sm_90"}, {"options": ["-lineinfo"]}])
def test_other_options_and_archs_get_their_own(made, tmp_path, change):
    shared = SharedHeaders(str(tmp_path), 4)
    use(shared)
    assert use(shared, **change).image == plain(**change).image
    assert use(shared).image == plain().image
    assert made.calls == 2


def test_names_and_errors_are_the_same(made, tmp_path):
    shared = SharedHeaders(str(tmp_path), 4)
    use(shared)
    template = b'#include "/jitload/headers/v.h"\ntemplate <int N> __global__ void t(int *x) { *x = v() + N; }\n'
    output, expected = use(shared, template, names=["t<3>"]), plain(template, names=["t<3>"])
    assert (output.image, output.lowered, output.log) == (expected.image, expected.lowered, expected.log)
    wrong = SOURCE + b"\noops;\n"
    with pytest.raises(NvrtcFailure) as shared_failure:
        use(shared, wrong)
    with pytest.raises(NvrtcFailure) as failure:
        plain(wrong)
    assert shared_failure.value.log == failure.value.log


def test_it_is_not_made_where_it_does_not_pay(monkeypatch, tmp_path):
    monkeypatch.setattr(nvrtc, "precompile_headers", None)
    shared = SharedHeaders(str(tmp_path), 100)
    assert use(shared).image == plain().image
    assert use(shared, b"__global__ void k() {}").image == plain(b"__global__ void k() {}").image


@pytest.mark.usefixtures("needs_precompiled_headers")
@pytest.mark.parametrize(
    ("size", "programs", "pays"),
    [(1_330_000, 8, False), (1_330_000, 12, True), (1_810_000, 3, False), (1_810_000, 4, True), (5_700_000, 1, False), (5_700_000, 2, True)],
    ids=["8 of cuda_fp16.h", "12 of it", "3 of mma.h", "4 of it", "one of CUB", "two of it"],
)  # fmt: skip
def test_it_is_made_where_enough_programs_share_enough_text(tmp_path, size, programs, pays):
    """Sizes of closures as they were measured; the threshold is from there."""
    headers = {**HEADERS, "/jitload/toolkit/cuda/rest.h": b"/" * (size - sum(map(len, HEADERS.values())))}
    assert use(SharedHeaders(str(tmp_path), programs), headers=headers).image == plain().image
    assert bool(list(tmp_path.iterdir())) == pays


def test_a_program_that_asks_for_its_place_gets_none(made, tmp_path):
    """`#if __LINE__` means another thing where the directives stand elsewhere."""
    shared = SharedHeaders(str(tmp_path), 3)
    placed = b'// a line\n#if __LINE__ == 2\n#include "/jitload/headers/v.h"\n#endif\n' + SOURCE
    assert use(shared, placed).image == plain(placed).image
    assert made.calls == 0


def test_a_missing_header_is_asked_for_once(made, tmp_path):
    """The retry loop of `program.py` sees the failure for every program, and NVRTC runs into it once."""
    shared = SharedHeaders(str(tmp_path), 3)
    headers = {"/jitload/headers/v.h": b"#define NAME <later.h>\n#include NAME\n"}
    for name in ("a.cu", "b.cu"):
        with pytest.raises(NvrtcFailure) as caught:
            use(shared, headers=headers, name=name)
        assert '"later.h"' in caught.value.log
        assert f'compilation of "{name}"' in caught.value.log
    assert made.calls == 1
    complete = {**headers, "later.h": HEADERS["/jitload/headers/v.h"]}
    assert use(shared, headers=complete).image == plain(headers=complete).image


def test_an_error_in_the_directives_is_told_with_the_programs_own_lines(made, tmp_path):
    shared = SharedHeaders(str(tmp_path), 3)
    wrong = b"// one\n// two\n#error wrong\n" + SOURCE
    with pytest.raises(NvrtcFailure) as shared_failure:
        use(shared, wrong)
    with pytest.raises(NvrtcFailure) as failure:
        plain(wrong)
    assert shared_failure.value.log == failure.value.log
    assert "k.cu(3)" in failure.value.log


@pytest.mark.usefixtures("needs_precompiled_headers")
def test_a_damaged_or_lost_file_costs_time_only(made, tmp_path):
    shared = SharedHeaders(str(tmp_path), 5)
    use(shared)
    (file,) = tmp_path.iterdir()
    file.unlink()
    assert use(shared).image == plain().image
    assert use(shared).log == plain().log


@pytest.mark.usefixtures("needs_precompiled_headers")
def test_a_heap_too_small_is_grown_and_older_ones_are_given_up(made, tmp_path):
    """NVRTC says so in the log of a compile that cannot use them; such a log is no user's business."""
    nvrtc.invoke("nvrtcSetPCHHeapSize", 1 << 16)
    try:
        shared = SharedHeaders(str(tmp_path), 4)
        use(shared)
        large = {
            **HEADERS,
            "large.h": b"".join(b"__device__ inline int f%d() { return %d; }\n" % (n, n) for n in range(20000)),
        }
        source = SOURCE.replace(b"\n", b'\n#include "large.h"\n', 1)
        assert use(shared, source, large).image == plain(source, large).image
        again = use(shared)
        assert (again.image, again.log) == (plain().image, "")
        assert made.calls == 2
    finally:
        nvrtc.invoke("nvrtcSetPCHHeapSize", 256 << 20)


def test_no_directory_to_write_to_costs_time_only(made, tmp_path):
    shared = SharedHeaders(str(tmp_path / "absent"), 3)
    assert use(shared).image == plain().image
    assert use(shared).log == ""


@pytest.mark.usefixtures("needs_precompiled_headers")
def test_programs_with_seeds_of_their_own_share_one(made, tmp_path, needs_nvrtc):
    needs_nvrtc("12.9")
    shared = SharedHeaders(str(tmp_path), 3)
    hidden = SOURCE.replace(b'extern "C" __global__ void k', b"namespace { __global__ void k") + b"}\n"
    for seed in ("1", "2"):
        output = use(shared, hidden, names=["k"], seed=seed)
        assert output.image == plain(hidden, names=["k"], seed=seed).image
        assert output.lowered["k"].endswith(f"0000000{seed}1kEPi")
    assert made.calls == 1
