"""Rust fetches a module by kind and bytes, calls a function of it on data, and gets errors as errors."""

import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

tvm_ffi = pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")

from tvm_ffi import libinfo

RUST = pathlib.Path(__file__).parents[2] / "examples" / "rust"

pytestmark = pytest.mark.skipif(shutil.which("rustc") is None, reason="there is no rustc here")


@pytest.fixture(scope="module")
def load_and_scale(tmp_path_factory):
    library = tmp_path_factory.mktemp("rust") / "libraw_abi.so"
    directory = os.path.dirname(libinfo.find_libtvm_ffi())
    command = [
        "rustc",
        "--edition",
        "2021",
        "-O",
        "-D",
        "warnings",
        "--crate-type",
        "cdylib",
        "-L",
        f"native={directory}",
    ]
    subprocess.run([*command, str(RUST / "raw_abi.rs"), "-o", str(library)], check=True, timeout=120)
    return tvm_ffi.load_module(str(library))["load_and_scale"]


def test_it_loads_and_calls_on_data(installed, scaler, load_and_scale):
    x = np.arange(10, dtype=np.float64)
    assert load_and_scale("scaler", b"3", 2.0, x) == 10
    assert np.array_equal(x, 6 * np.arange(10))
    assert load_and_scale("scaler", b"100000000", 1.0, x) == 10  # bytes too long to travel inside the value


def test_a_missing_key_is_an_error_that_names_it(installed, load_and_scale):
    with pytest.raises(RuntimeError, match=r"ffi\.Module\.load_from_bytes\.unknown"):
        load_and_scale("unknown", b"", 1.0, np.zeros(1))


def test_what_the_loader_raises_comes_through(installed, scaler, load_and_scale):
    with pytest.raises(ValueError, match="invalid literal"):
        load_and_scale("scaler", b"three", 1.0, np.zeros(1))


def test_wrong_calls_and_a_missing_entry_point_are_errors(load_and_scale):
    with pytest.raises(TypeError, match="takes kind, bytes"):
        load_and_scale("scaler")
    with pytest.raises(RuntimeError, match="a global is missing"):
        load_and_scale("scaler", b"1", 1.0, np.zeros(1))
