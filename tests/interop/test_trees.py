"""The tree that we load from a blob is the one that tvm-ffi's own loader of whole modules makes of it."""

import ctypes
import itertools
import struct

import pytest

tvm_ffi = pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")

from tvm_ffi import libinfo

from jitload.loader.module import Module
from jitload.loader.registry import register_loader
from jitload.loader.whole import LibraryModule, load_whole_module, pack_module

pytestmark = pytest.mark.usefixtures("installed")

KEPT: list = []  # tvm-ffi's system library keeps what was registered with it, for the life of the process
NUMBER = itertools.count()


def load_node(data):
    return Module("node", {"payload": lambda: data}, data=data)


@pytest.fixture(autouse=True)
def _node():
    with register_loader("node", load_node):
        yield


def node(payload, *imports):
    module = Module("node", data=payload)
    for imported in imports:
        module.import_module(imported)
    return module


def library(*imports):
    module = LibraryModule()
    for imported in imports:
        module.import_module(imported)
    return module


def load_with_tvm_ffi(blob):
    """tvm-ffi's own loader, from memory: it reads the blob that a prefix of the system library has."""
    prefix = f"jitload_tree{next(NUMBER)}_"
    memory = ctypes.create_string_buffer(blob, len(blob))
    KEPT.append(memory)
    runtime = ctypes.CDLL(libinfo.find_libtvm_ffi())
    runtime.TVMFFIEnvModRegisterSystemLibSymbol.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    name = f"{prefix}__tvm_ffi__library_bin".encode()
    assert runtime.TVMFFIEnvModRegisterSystemLibSymbol(name, memory) == 0
    return tvm_ffi.system_lib(prefix)


def described(root, imports_of, identity, payload_of):
    """Payload (None for the library) and imports of every node, by the number of its first visit, depth first."""
    order, ahead = [], [root]
    numbers = {}
    while ahead:
        module = ahead.pop()
        if identity(module) not in numbers:
            numbers[identity(module)] = len(order)
            order.append(module)
            ahead.extend(reversed(imports_of(module)))
    return [(payload_of(m), [numbers[identity(i)] for i in imports_of(m)]) for m in order]


def tree_of_ours(root):
    return described(
        root,
        lambda m: list(m.imports),
        id,
        lambda m: m["payload"]() if m.implements_function("payload") else None,
    )


def tree_of_theirs(root):
    return described(
        root,
        lambda m: list(m.imports),
        lambda m: m.__chandle__(),
        lambda m: bytes(m["payload"]()) if m.implements_function("payload") else None,
    )


def diamond():
    foot = node(b"foot")
    return library(node(b"left", foot), node(b"right", foot))


def lattice():
    low = [node(b"low one"), node(b"low two")]
    middle = [node(b"middle one", *low), node(b"middle two", *reversed(low))]
    return node(b"top", *middle, low[0])


def numbers(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def written_by_hand():
    """Children before their parents, which our writer never does, and the library as a leaf."""
    body = numbers(4, 0, 2, 3, 3) + numbers(3, 2, 1, 2)
    for text in (b"node", b"root payload", b"node", b"7 bytes"):
        body += numbers(len(text)) + text
    body += numbers(4) + b"_lib"
    return numbers(len(body)) + body


BLOBS = {
    "a library": lambda: pack_module(library()),
    "one module": lambda: pack_module(node(b"alone")),
    "a library with one import": lambda: pack_module(library(node(b"\x7fELF fake cubin"))),
    "seven and eight bytes": lambda: pack_module(library(node(b"7 bytes"), node(b"8 bytes!"))),
    "NULs and a megabyte": lambda: pack_module(library(node(b"\0a\0"), node(bytes(range(256)) * 4096))),
    "a chain": lambda: pack_module(library(node(b"1", node(b"2", node(b"3", node(b"4")))))),
    "a diamond": lambda: pack_module(diamond()),
    "a lattice": lambda: pack_module(lattice()),
    "a root above the library": lambda: pack_module(node(b"root", library(node(b"below")))),
    "many": lambda: pack_module(library(*(node(f"module {n}".encode()) for n in range(50)))),
    "written by hand": written_by_hand,
}


@pytest.mark.parametrize("make", BLOBS.values(), ids=BLOBS)
def test_our_tree_equals_theirs(make):
    blob = make()
    ours, theirs = tree_of_ours(load_whole_module(blob)), tree_of_theirs(load_with_tvm_ffi(blob))
    assert ours == theirs
    assert len(ours) >= 1


def test_their_loader_calls_ours_and_finds_functions_through_imports():
    root = load_with_tvm_ffi(pack_module(library(node(b"deep down"))))
    assert root.get_function("payload", query_imports=True)() == b"deep down"


def test_a_kernel_of_ours_runs_as_their_submodule():
    import numpy as np

    import jitload

    source = 'extern "C" __global__ void twice(int *x) { x[threadIdx.x] *= 2; }'
    with jitload.configure(device="cpu"):
        top = library(jitload.compile(source, kind="ptx", arch="compute_75").load())
        twice = load_with_tvm_ffi(pack_module(top)).get_function("twice", query_imports=True)
        x = np.arange(32, dtype=np.int32)
        twice(x, 1, 1, 1, 32, 1, 1)
    assert np.array_equal(x, 2 * np.arange(32))


def test_a_kind_that_nobody_loads_is_their_error_and_ours():
    blob = pack_module(library(Module("unknown", data=b"x")))
    for load in (load_whole_module, load_with_tvm_ffi):
        with pytest.raises(RuntimeError, match=r"ffi\.Module\.load_from_bytes\.unknown"):
            load(blob)
