"""Arguments are checked alike wherever a kernel comes from: a compile, the disk, a bundle, a host without NVRTC."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import jitload
from jitload.bundles.bundle import Bundle
from jitload.source.request import CompileRequest

#: C++ type, dtype of its array, a wrong dtype, a value, a wrong value.
ROWS = [
    ("float", "float32", "float64", "1.5", "1e40"),
    ("double", "float64", "float32", "1.5", "'x'"),
    ("int", "int32", "float32", "-3", "2**31"),
    ("unsigned long long", "uint64", "int64", "2**64 - 1", "-1"),
    ("unsigned char", "uint8", "int8", "255", "256"),
    ("char", "int8", "float32", "-128", "300"),
    ("bool", "bool", "uint8", "True", "2"),
    ("__half", "float16", "bfloat16", "1.5", "65520.0"),
    ("__nv_bfloat16", "bfloat16", "float16", "np.float16(1.5)", "1j"),
    ("float2", "complex64", "complex128", "1+2j", "(1, 2, 3)"),
    ("cuDoubleComplex", "complex128", "complex64", "1+2j", "'x'"),
    ("cuda::std::complex<float>", "complex64", "float32", "2.0", "complex(1e40, 0)"),
    ("uchar4", "uint8", "int8", "(1, 2, 3, 255)", "(1, 2, 3, 256)"),
    ("double4", "float64", "float32", "[1, 2, 3, 4]", "[1, 2, 3]"),
]
LANES = {"uchar4": 4, "double4": 4}
BODY = "{ out[0] = in[1]; out[1] = value; }"
#: The header of this one takes a second to compile, more than all the others.
LONG = "cuda::std::complex<float>"


def source_of(rows):
    """Three kernels for each row: with the type itself, under a name of its own, and as a template argument."""
    headers = ["cuda_fp16.h", "cuda_bf16.h", "cuComplex.h"]
    headers += ["cuda/std/complex"] if any(row[0] == LONG for row in rows) else []
    return "\n".join(
        [
            *(f"#include <{name}>" for name in headers),
            f"template <typename T> __global__ void of(T value, const T *in, T *out) {BODY}",
            *(
                f'extern "C" __global__ void plain{at}({row[0]} value, const {row[0]} *in, {row[0]} *out) {BODY}\n'
                f"typedef {row[0]} named{at};\n"
                f'extern "C" __global__ void alias{at}(named{at} value, const named{at} *in, named{at} *out) {BODY}'
                for at, row in enumerate(rows)
            ),
        ]
    )


SCRIPT = """
import json, sys
import ml_dtypes, numpy as np, jitload

source, names, rows, lanes = json.loads(sys.argv[1])
artifact = jitload.compile(source, name="origins.cu", kind="ptx", arch="compute_75", names=names)
module = artifact.load()
wrong = []
for at, (cpp, right, other, value, bad) in enumerate(rows):
    dtype, shape = np.dtype(getattr(ml_dtypes, right, right)), (2, lanes[cpp]) if cpp in lanes else (2,)
    value, bad = eval(value), eval(bad)
    for name in (f"plain{at}", f"alias{at}", names[at]):
        kernel = module[name]
        given = np.arange(1, 1 + np.prod(shape)).reshape(shape).astype(dtype)
        out = np.zeros_like(given)
        kernel[1, 1](value, given, out)
        want = np.stack([given[1], np.array(value, dtype)])
        if out.tobytes() != want.tobytes():
            wrong.append([name, str(out), str(want)])
        for arguments in ((value, given.astype(getattr(ml_dtypes, other, other)), out), (bad, given, out)):
            try:
                kernel[1, 1](*arguments)
            except jitload.ArgumentError:
                continue
            wrong.append([name, "taken", str(arguments)])
stats = jitload.stats()
print(json.dumps({"wrong": wrong, "parameters": [kernel.parameters for kernel in artifact.kernels.values()],
                  "from": [stats.compiles, *[name for name, count in stats.hits.items() if count]]}))
"""


def told(ran):
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def python(cache_dir, argument):
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(jitload.__file__).parents[1])}
    environment |= {"JITLOAD_CACHE_DIR": str(cache_dir), "JITLOAD_DEVICE": "cpu"}
    command = [sys.executable, "-c", SCRIPT, argument]
    return told(subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False))


@pytest.mark.parametrize("rows", [[row for row in ROWS if row[0] != LONG], pytest.param(ROWS, marks=pytest.mark.slow)])
def test_every_origin_gives_the_same_types_and_refuses_the_same(tmp_path, python_without_nvrtc, framework, rows):
    framework("ml_dtypes")
    cache_dir, bundle = tmp_path / "cache", tmp_path / "origins.jlb"
    source, names = source_of(rows), [f"of<{row[0]}>" for row in rows]
    argument = json.dumps([source, names, rows, LANES])
    compiled = python(cache_dir, argument)
    assert compiled["wrong"] == []
    assert compiled["from"] == [1]
    assert all(all(types) for types in compiled["parameters"])
    same = {"wrong": [], "parameters": compiled["parameters"]}
    assert python(cache_dir, argument) == {**same, "from": [0, "disk"]}
    assert told(python_without_nvrtc(SCRIPT, cache_dir, argument)) == {**same, "from": [0, "disk"]}
    request = CompileRequest(source, name="origins.cu", kind="ptx", arch="compute_75", names=names)
    Bundle.create(bundle, [request], cache=jitload.Cache(cache_dir))
    settings = {"JITLOAD_BUNDLES": str(bundle), "JITLOAD_TRUST": "unsigned", "JITLOAD_COMPILE": "never"}
    bundled = told(python_without_nvrtc(SCRIPT, tmp_path / "empty", argument, **settings))
    assert bundled == {**same, "from": [0, "bundle"]}
