"""Workloads: what is recorded, in which text, and that it compiles to the same thing somewhere else."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import jitload
from jitload.digest import sha256_hex
from jitload.door import compile_request
from jitload.errors import BundleError, NotPrecompiledError
from jitload.source.arch import EXECUTOR_ARCH
from jitload.workloads.workload import (
    FIRST_LINE,
    Workload,
    decode_workload,
    encode_line,
    planned_requests,
    targets_for,
)
from tests.bundles.conftest import requests_of, write_sources
from tests.bundles.test_bounds import cheap

NESTED = {
    "app/kernels/k.cu": '#include "../common/a.h"\n#include <lib/b.h>\n#include <given.h>\n#include MACRO\n'
    'extern "C" __global__ void k(int *x) { *x = A + B + GIVEN + N + C; }\n',
    "app/common/a.h": "#define A 1\n",
    "include/lib/b.h": '#include "deep/c.h"\n',
    "include/lib/deep/c.h": "#define B 2 // \xe9\n",
    "include/macro.h": "#define C 5\n",
}


def write_tree(base):
    for name, text in NESTED.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(text.encode("latin-1"))
    return base / "app/kernels/k.cu"


def nested_request(base, **target):
    return jitload.CompileRequest(
        write_tree(base),
        **(target or {"kind": "cubin", "arch": "sm_80"}),
        headers={"given.h": "#define GIVEN 3\n"},
        defines={"N": 4, "MACRO": "<macro.h>"},
        include_dirs=[base / "include"],
        options=["-lineinfo"],
    )


def recorded(path, *requests, cache=None):
    with jitload.record(path):
        for request in requests:
            compile_request(request, cache or jitload.Cache())
    return Workload.read(path)


def test_a_recorded_request_is_the_same_request_elsewhere(tmp_path):
    """Digest, closure and key: from texts alone, in another place."""
    request = nested_request(tmp_path / "one")
    cache = jitload.Cache(tmp_path / "cache")
    workload = recorded(tmp_path / "app.jlw", request, cache=cache)
    artifact = cache.get(next(iter(cache.entries())).key)
    with workload.unpacked() as requests:
        (again,) = requests.values()
        assert again.digest == request.digest
        assert compile_request(again, jitload.Cache()).key == artifact.key


def test_texts_with_a_byte_order_mark_are_recorded(tmp_path):
    nested_request(tmp_path / "one")
    for name in ("app/kernels/k.cu", "app/common/a.h"):
        path = tmp_path / "one" / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    request = jitload.CompileRequest(
        tmp_path / "one/app/kernels/k.cu",
        kind="cubin",
        arch="sm_80",
        headers={"given.h": "\ufeff#define GIVEN 3\n"},
        defines={"N": 4, "MACRO": "<macro.h>"},
        include_dirs=[tmp_path / "one/include"],
        options=["-lineinfo"],
    )
    workload = recorded(tmp_path / "app.jlw", request)
    key = compile_request(nested_request(tmp_path / "plain"), jitload.Cache()).key
    with workload.unpacked() as requests:
        (again,) = requests.values()
        assert compile_request(again, jitload.Cache(None)).key == key


def test_a_header_by_two_paths_is_one_header_elsewhere(tmp_path):
    """From one root into another, and through a link: recorded as it was found first, and found again by both."""
    tree = {
        "app/k.cu": '#include "deep/near.h"\n#include <far.h>\n#include "link.h"\n#include "real.h"\n#include "first.h"\n'
        'extern "C" __global__ void k(int *x) { *x = FAR + far() + real(); }\n',
        "app/deep/near.h": '#include "../../include/far.h"\n#include "../first.h"\n#include "../../beside/other.h"\n'
        '#include "../link.h"\n',
        "app/first.h": "#pragma once\n",
        "beside/other.h": "",
        "app/real.h": "#pragma once\n__device__ int real() { return 1; }\n",
        "include/far.h": "#pragma once\n#define FAR 7\n__device__ int far() { return 2; }\n",
    }
    for name, text in tree.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "app/link.h").symlink_to("real.h")
    request = jitload.CompileRequest(
        tmp_path / "app/k.cu", kind="cubin", arch="sm_80", include_dirs=[tmp_path / "include"], options=["-lineinfo"]
    )
    workload = recorded(tmp_path / "app.jlw", request, cache=jitload.Cache(tmp_path / "cache"))
    (program,) = workload.programs
    assert len(program.row["aliases"]) == 2
    assert str(tmp_path) not in program.fields
    (key,) = {entry.key for entry in jitload.Cache(tmp_path / "cache").entries()}
    with workload.unpacked() as requests:
        assert compile_request(requests[program], jitload.Cache()).key == key
    assert recorded(tmp_path / "again.jlw", request, cache=jitload.Cache(tmp_path / "cache")).digest == workload.digest


def test_headers_that_only_links_keep_apart_are_not_recorded(tmp_path, caplog):
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "app").mkdir()
    (tmp_path / "app/deep").symlink_to("../elsewhere/deep")
    (tmp_path / "elsewhere/deep/near.h").write_text('#include "../x.h"\n')
    (tmp_path / "elsewhere/x.h").write_text("#define A 1\n")
    (tmp_path / "app/x.h").write_text("#define B 2\n")
    (tmp_path / "app/k.cu").write_text('#include "deep/near.h"\n#include "x.h"\n__device__ int k = A + B;\n')
    request = jitload.CompileRequest(tmp_path / "app/k.cu", kind="ptx", arch="compute_75")
    assert recorded(tmp_path / "app.jlw", request).programs == ()
    assert "in one place" in caplog.text


@pytest.mark.parametrize(
    "aliases",
    [
        [["source", "x.h", "source", "x.h"]],
        [["source", "y.h", "source", "z.h"]],
        [["source", "y.h", "source", "../../../etc/passwd"]],
        [["source", "/etc/x.h", "source", "x.h"]],
        [["source", "a/" + "../" * 18 + "x.h", "source", "x.h"]],
        [["elsewhere", "y.h", "source", "x.h"]],
        [["source", "y.h", "source", "x.h"], ["source", "y.h", "source", "x.h"]],
        [["source", "y.h", "source"]],
        {},
        None,
        "",
        0,
        [["source", 7, "source", "x.h"]],
        "yes",
    ],
)
def test_aliases_lead_to_files_of_the_workload_and_nowhere_else(tmp_path, aliases):
    row = {**ROW, "source": EMPTY, "files": [["source", "x.h", EMPTY]], "aliases": aliases}
    lines = [{"jitload workload": 1}, {"sha256": EMPTY, "text": ""}, row]
    (tmp_path / "app.jlw").write_bytes(b"".join(map(encode_line, lines)))
    with pytest.raises(BundleError):
        Workload.read(tmp_path / "app.jlw")


def test_the_text_has_no_path_and_no_order_of_its_own(tmp_path):
    files = []
    for place in ("one", "two/deeper"):
        requests = [nested_request(tmp_path / place), *requests_of(write_sources(tmp_path / place / "src"))]
        path = tmp_path / f"{len(files)}.jlw"
        recorded(path, *(requests if place == "one" else reversed(requests)), cache=jitload.Cache(tmp_path / "cache"))
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert str(tmp_path).encode() not in files[0]
    lines = files[0].splitlines()
    assert lines[0] == b'{"jitload workload":1}'
    assert lines[1:] == sorted(lines[1:])


AT_EXIT = """
import sys, jitload
with jitload.configure(device="cpu"):
    for number in sys.argv[1:]:
        jitload.compile('extern "C" __global__ void k(int *x) { *x = %s; }' % number)
"""


def test_a_process_leaves_its_workload_in_order(tmp_path):
    """What was asked for in another order, by one process that `JITLOAD_RECORD` told to, is the same file."""
    files = []
    for numbers in ("123", "321", "213"):
        path = tmp_path / f"{numbers}.jlw"
        env = {**os.environ, "JITLOAD_RECORD": str(path)}
        subprocess.run([sys.executable, "-c", AT_EXIT, *numbers], env=env, check=True)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]
    assert files[0] == Workload.read(path).encode()


def test_a_hit_is_recorded_like_a_compile(built, tmp_path):
    first = recorded(tmp_path / "a.jlw", *built[1], cache=built[2])
    again = recorded(tmp_path / "b.jlw", *built[1], cache=built[2])
    assert first.encode() == again.encode()
    assert len(first.programs) == 1
    assert first.programs[0].targets == {(r.kind.value, r.arch, "chosen") for r in built[1]}


def test_how_a_target_was_chosen_is_recorded(built, tmp_path):
    with jitload.record(tmp_path / "app.jlw"), jitload.configure(device="cpu"):
        jitload.compile(built[0])
        jitload.compile(built[0], kind="ptx")
        jitload.compile(built[0], arch=EXECUTOR_ARCH)
    assert Workload.read(tmp_path / "app.jlw").programs[0].targets == {
        ("ptx", EXECUTOR_ARCH, how) for how in ("device", "kind", "chosen")
    }


def test_merging_is_putting_lines_together(built, tmp_path):
    one = recorded(tmp_path / "a.jlw", built[1][0], cache=built[2])
    two = recorded(tmp_path / "b.jlw", built[1][1], cache=built[2])
    both = recorded(tmp_path / "c.jlw", *built[1][:2], cache=built[2])
    assert one.merged(two).encode() == two.merged(one).encode() == both.encode()
    (tmp_path / "d.jlw").write_bytes((tmp_path / "a.jlw").read_bytes() + (tmp_path / "b.jlw").read_bytes())
    assert Workload.read(tmp_path / "d.jlw").encode() == both.encode()


RECORDING = """
import os, signal, sys, jitload
for number in range(int(sys.argv[1]), int(sys.argv[1]) + 4):
    jitload.compile('extern "C" __global__ void k(int *x) { *x = %d; }' % number, kind="ptx", arch="compute_75")
if sys.argv[2] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_several_processes_lose_nothing_even_when_they_are_killed(tmp_path):
    path = tmp_path / "app.jlw"
    env = {**os.environ, "JITLOAD_RECORD": str(path)}

    def run(number):
        how = "die" if number % 2 else "live"
        return subprocess.run([sys.executable, "-c", RECORDING, str(10 * number), how], env=env).returncode

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(run, range(4)))
    assert codes == [0, -signal.SIGKILL] * 2
    sources = {text.split("*x = ")[1] for text in Workload.read(path).texts.values()}
    assert sources == {f"{10 * a + b}; }}" for a in range(4) for b in range(4)}
    assert os.listdir(tmp_path) == ["app.jlw"] or set(os.listdir(tmp_path)) == {"app.jlw", "jitload-cache"}


def test_a_line_cut_short_costs_that_line(built, tmp_path):
    path = tmp_path / "app.jlw"
    whole = recorded(path, built[1][0], cache=built[2])
    with path.open("ab") as file:
        file.write(b'{"sha256":"00')
    again = recorded(path, built[1][1], cache=built[2])
    assert len(again.programs[0].targets) == len(whole.programs[0].targets) + 1


def test_what_cannot_be_kept_is_not_recorded(tmp_path, caplog):
    workload = recorded(
        tmp_path / "app.jlw",
        jitload.CompileRequest('extern "C" __global__ void k() { printf(__TIME__); }', kind="ptx", arch="compute_75"),
    )
    assert workload.programs == ()
    assert "not recorded" in caplog.text


ROW = {
    "absent": [],
    "defines": [],
    "files": [],
    "headers": [],
    "name": "k.cu",
    "names": [],
    "options": [],
    "source": "",
    "targets": [["ptx", "compute_75", "chosen"]],
    "undefines": [],
}
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    "change",
    [
        {"files": [["source", "../" * 17 + "x.h", EMPTY]]}, {"files": [["source", "a/" + "../" * 18 + "x.h", EMPTY]]},
        {"files": [["source", "/etc/passwd", EMPTY]]}, {"files": [["../x", "x.h", EMPTY]]},
        {"files": [["absolute", "etc/passwd", EMPTY]]}, {"files": [["include/../..", "x.h", EMPTY]]},
        {"files": [["source", "..", EMPTY]]}, {"files": [["source", "x\0.h", EMPTY]]},
        {"files": [["source", "x.h", "00"]]}, {"absent": [["absolute", "etc"]]}, {"targets": []},
        {"targets": [["exe", "sm_80", "chosen"]]}, {"targets": [["ptx", 75, "chosen"]]}, {"names": [1]},
        {"defines": [["A", 1]]}, {"source": "11"}, {"name": None},
    ],
)  # fmt: skip
def test_a_hostile_workload_is_refused(tmp_path, change):
    row = {**ROW, "source": EMPTY, **change}
    lines = [{"jitload workload": 1}, {"sha256": EMPTY, "text": ""}, row]
    (tmp_path / "app.jlw").write_bytes(b"".join(map(encode_line, lines)))
    with pytest.raises(BundleError):
        Workload.read(tmp_path / "app.jlw")


@pytest.mark.parametrize(
    "change",
    [
        # roots and names
        *({"files": [[root, "a.h", EMPTY]]} for root in
          ("sourceX", "source/../../..", "source\0x", "source/99999", "include/", "include/0000", "include/0\n", "")),
        *({"files": [["source", path, EMPTY]]} for path in
          ("a" * 256, "a" * 256 + "/b.h", "\u00e4" * 128, "\ud800.h", "/".join(["a"] * 3000) + "/x.h", "a//b.h", "./b.h",
           "/".join(["a" * 250] * 9), "", "b.h/")),
        {"absent": [["source", "\ud800"]]}, {"absent": [["source", ""]]}, {"absent": [["sourceX", "a.h"]]},
        {"absent": [["source", "a" * 5000]]}, {"name": "../k.cu"}, {"name": "a\0b"}, {"name": "\ud800"}, {"name": ""},
        # options that name files, here or in what NVRTC passes on; directories and macros have places of their own
        *({"options": options} for options in
          (["--time=x"], ["-time=x"], ["--fdevice-time-trace=x"], ["-fdevice-time-trace", "x"], ["--create-pch=x"],
           ["--use-pch=x"], ["--pch"], ["-pch-dir=x"], ["-Xptxas=-optf,x"], ["--ptxas-options=--options-file=x"],
           ["--ptxas-options", "-v -optf x"], ["--keep"], ["-keep"], ["--keep-dir=x"], ["--pre-include=/etc/passwd"],
           ["-Xptxas=-o /tmp/x"], ["-I/etc"], ["-DA=1"], ["-UA"], ["--gpu-architecture=sm_80"], ["--std=c++17\0--time=x"],
           ["--std=c++17\n--time=x"], ["\ud800"])),
        {"defines": [["A B=1 -time=x", "1"]]}, {"defines": [[None, "1"]]}, {"defines": [["A"]]}, {"defines": ["A1"]},
        {"undefines": ["A", "--time=x"]}, {"undefines": [""]}, {"names": [""]}, {"names": ["f\n"]}, {"headers": [["", EMPTY]]},
        # nothing twice
        {"files": [["source", "x.h", EMPTY]] * 2}, {"headers": [["x.h", EMPTY]] * 2}, {"names": ["f", "f"]},
        {"defines": [["A", "1"], ["A", "2"]]}, {"undefines": ["A", "A"]}, {"absent": [["source", "x.h"]] * 2},
        {"targets": [["ptx", "compute_75", "chosen"]] * 2},
        # nothing of another type
        {"targets": {}}, {"targets": "abc"}, {"targets": [["ptx", "compute_75"]]}, {"targets": ["abc"]},
        {"targets": [["ptx", "compute_" + "9" * 5000, "chosen"]]}, {"targets": [["ptx", "compute_../..", "chosen"]]},
        {"targets": [["cubin", "compute_75", "chosen"]]}, {"targets": [["ptx", "compute_75", "x"]]},
        {"files": {}}, {"files": [["source", "x.h", EMPTY, None]]}, {"files": ["abc"]}, {"files": [["source", "x.h", True]]},
        {"options": {}}, {"options": "-G"}, {"names": "f"}, {"defines": {}}, {"source": EMPTY.upper()}, {"more": 1},
    ],
    ids=lambda change: repr(change)[:60],
)  # fmt: skip
def test_a_workload_is_read_to_the_letter(change):
    row = {**ROW, "source": EMPTY, **change}
    lines = [{"jitload workload": 1}, {"sha256": EMPTY, "text": ""}, row]
    with pytest.raises(BundleError, match="not a workload"):
        decode_workload(b"".join(map(encode_line, lines)))


def test_a_row_that_says_something_twice_is_refused():
    line = encode_line({**ROW, "source": EMPTY}).replace(b'"options":[]', b'"options":["-G"],"options":[]')
    with pytest.raises(BundleError, match="a key twice: 'options'"):
        decode_workload(FIRST_LINE + encode_line({"sha256": EMPTY, "text": ""}) + line)


def test_a_workload_that_people_touched_is_read():
    """Line ends of Windows, spaces, blank lines, a text with its fields the other way round; joined files."""
    text = json.dumps({"text": "[{,", "sha256": sha256_hex(b"[{,")})
    row = {**ROW, "source": sha256_hex(b"[{,"), "absent": [["include/0", "../" * 20 + "cub/"]]}
    data = f'\n{{"jitload workload": 1}}\r\n{text}\r\n\r\n{json.dumps(row)}\r\n{{"jitload workload": 1}}'.encode()
    assert decode_workload(data).texts == {sha256_hex(b"[{,"): "[{,"}
    assert decode_workload(data).programs[0].name == "k.cu"


def test_a_text_may_be_full_of_brackets():
    text = "[{," * 1_000_000
    line = encode_line({"sha256": sha256_hex(text.encode()), "text": text})
    assert list(decode_workload(FIRST_LINE + line).texts.values()) == [text]
    with pytest.raises(BundleError, match="cut short"):
        decode_workload(FIRST_LINE + line[:-2] + b"\n")
    with pytest.raises(BundleError):
        decode_workload(FIRST_LINE + line[:-2] + b',"more":1}\n')


@pytest.mark.parametrize("head", [b"", FIRST_LINE, FIRST_LINE + b'{"sha256":"' + b"a" * 64 + b'","text":"'])
def test_a_sparse_file_is_refused_by_its_first_bytes(tmp_path, head):
    path = tmp_path / "app.jlw"
    path.write_bytes(head)
    for size in (100 << 30, (1 << 30) - 1):
        os.truncate(path, size)
        with cheap(peak_bytes=256 << 20), pytest.raises(BundleError, match="not a workload"):
            Workload.read(path)


@pytest.mark.parametrize("bomb", [b"[" + b"[]," * (5 << 20) + b"[]]", b"[" * (16 << 20), b'{"a":' * (4 << 20)])
def test_a_line_that_is_a_bomb_costs_nothing(bomb):
    with cheap(), pytest.raises(BundleError, match="not a workload"):
        decode_workload(FIRST_LINE + bomb + b"\n")


def test_what_could_not_be_read_again_is_not_recorded(tmp_path, caplog):
    deep = tmp_path / "app" / "/".join("d" * 100 for _ in range(30))
    deep.mkdir(parents=True)
    (deep / "x.h").write_text("#define X 1\n")
    source = f'#include "{deep.relative_to(tmp_path / "app")}/x.h"\n__device__ int k = X;\n'
    (tmp_path / "app/k.cu").write_text(source)
    request = jitload.CompileRequest(tmp_path / "app/k.cu", kind="ptx", arch="compute_75")
    assert recorded(tmp_path / "app.jlw", request).programs == ()
    assert "is not recorded: a header at" in caplog.text


def test_a_directory_to_record_into_is_named(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(IsADirectoryError) as raised, jitload.record(tmp_path):
        pass
    assert raised.value.filename == str(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("what", ["fifo", "null"])
def test_what_is_no_file_is_neither_replaced_nor_waited_for(tmp_path, what):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    request = jitload.CompileRequest("__device__ int k;", kind="ptx", arch="compute_75")
    if what == "fifo":
        with pytest.raises(BundleError, match="no regular file"), jitload.record(path):
            pass
    else:
        with jitload.record("/dev/null"):
            compile_request(request, jitload.Cache())
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("names", [["../d/x.h", "x.h"], ["a", "a/x.h"], ["a/../x.h", "x.h"]])
def test_two_headers_in_one_place_are_refused(tmp_path, names):
    row = {**ROW, "source": EMPTY, "files": [["source", name, EMPTY] for name in names]}
    lines = [{"jitload workload": 1}, {"sha256": EMPTY, "text": ""}, row]
    (tmp_path / "app.jlw").write_bytes(b"".join(map(encode_line, lines)))
    with pytest.raises(BundleError, match="two headers in one place"), Workload.read(tmp_path / "app.jlw").unpacked():
        pass


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "7", "{", '{"jitload workload": 2}', '{"text": 1, "sha256": 2}', "[" * 99999]
)
def test_other_text_is_refused(tmp_path, text):
    (tmp_path / "app.jlw").write_text(text)
    with pytest.raises(BundleError):
        Workload.read(tmp_path / "app.jlw")
    if text:
        with pytest.raises(BundleError), jitload.record(tmp_path / "app.jlw"):
            pass


def test_unpacking_stays_in_its_directory(tmp_path):
    row = {**ROW, "source": EMPTY, "files": [["source", "../../x.h", EMPTY], ["include/3", "../y.h", EMPTY]]}
    lines = [{"jitload workload": 1}, {"sha256": EMPTY, "text": ""}, row]
    (tmp_path / "app.jlw").write_bytes(b"".join(map(encode_line, lines)))
    with Workload.read(tmp_path / "app.jlw").unpacked() as requests:
        (request,) = requests.values()
        base = request.source_dir.split("/source")[0]
        assert os.path.isdir(f"{base}/source/d/d")
        found = {os.path.relpath(os.path.join(at, name), base) for at, _, names in os.walk(base) for name in names}
        assert found == {"source/x.h", "include-3/y.h"}
    assert not os.path.exists(base)


@pytest.mark.parametrize(
    ("how", "kinds", "expected"),
    [
        ("chosen", [], ["cubin sm_70"]),
        ("device", [], ["cubin sm_80", "cubin sm_90a", "ptx compute_80"]),
        ("device", ["cubin", "ptx"], ["cubin sm_80", "cubin sm_90a", "ptx compute_80"]),
        ("device", ["fatbin"], ["fatbin sm_80,sm_90a,compute_80"]),
        ("device", ["ptx", "fatbin"], ["ptx compute_80", "fatbin sm_80,sm_90a,compute_80"]),
        ("kind", ["fatbin"], ["cubin sm_80", "cubin sm_90a"]),
    ],
)
def test_targets(how, kinds, expected):
    found = targets_for(how, "cubin", "sm_70", ["sm_80", "sm_90a", "compute_80"], kinds)
    assert [f"{kind} {arch}" for kind, arch in found] == expected
    assert targets_for(how, "cubin", "sm_70", [], kinds) == [("cubin", "sm_70")]


def test_lines_are_plain_ascii(tmp_path):
    recorded(tmp_path / "app.jlw", nested_request(tmp_path / "x"))
    data = (tmp_path / "app.jlw").read_bytes()
    assert data.isascii()
    assert any(json.loads(line).get("text", "").endswith("\udce9\n") for line in data.splitlines())


def test_a_bundle_looks_in_vain_where_the_application_did(tmp_path):
    """A directory that the application has, and the place where it is compiled has not, is no reason to refuse it."""
    source = tmp_path / "app" / "k.cu"
    (tmp_path / "app/include/cub").mkdir(parents=True)
    (tmp_path / "app/include/cub/ours.h").write_text("")
    source.write_text('#include <cub/version.cuh>\nextern "C" __global__ void k(int *x) { *x = CUB_VERSION; }\n')
    request = jitload.CompileRequest(source, kind="ptx", arch="compute_75", include_dirs=[tmp_path / "app/include"])
    cache = jitload.Cache(tmp_path / "cache")
    workload = recorded(tmp_path / "app.jlw", request)
    with workload.unpacked() as requests:
        plan = planned_requests(requests)
        for again in plan:
            compile_request(again, cache)
        jitload.Bundle.create(tmp_path / "k.jlb", plan, cache=cache, absent=plan)
    with jitload.configure(bundles=[tmp_path / "k.jlb"], trust="unsigned", compile="never"):
        assert compile_request(request, jitload.Cache())
        (tmp_path / "app/include/cub/version.cuh").write_text("#define CUB_VERSION 1\n")
        with pytest.raises(NotPrecompiledError, match="appeared"):
            compile_request(request, jitload.Cache())
