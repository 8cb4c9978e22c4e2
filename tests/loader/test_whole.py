"""Whole modules: what is packed comes back as the same tree; what is malformed is refused before any loader runs."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitload.errors import LoaderNotFoundError, LoadError
from jitload.loader.module import Module
from jitload.loader.registry import load_module_from_bytes, register_loader
from jitload.loader.system import register_system_symbol, system_lib
from jitload.loader.whole import LibraryModule, decode_tree, load_whole_module, pack_module

LOADED: list = []


def load_node(data):
    LOADED.append(data)
    name = data.decode("latin-1")
    return Module("node", {name: lambda: name}, data=data)


@pytest.fixture(autouse=True)
def _node():
    LOADED.clear()
    with register_loader("node", load_node):
        yield


def node(name, *imports):
    module = Module("node", {name: lambda: name}, data=name.encode("latin-1"))
    for imported in imports:
        module.import_module(imported)
    return module


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def text(data):
    return u64(len(data)) + data


def numbers(values):
    return u64(len(values), *values)


def raw_blob(nodes, indptr, children, tail=b""):
    """A blob with nothing checked, as a hostile writer has it."""
    body = numbers(indptr) + numbers(children)
    for kind, payload in nodes:
        body += text(kind) + (b"" if payload is None else text(payload))
    body += tail
    return u64(len(body)) + body


def shape(root):
    """Kind, bytes and imports of every module, by the number of its first visit."""
    modules = list(root.walk())
    number = {id(module): index for index, module in enumerate(modules)}
    return [
        (m.kind, m.save_to_bytes() if m.is_binary_serializable() else None, [number[id(i)] for i in m.imports])
        for m in modules
    ]


N = (b"node", b"n")
LIB = (b"_lib", None)


# What comes back.


def test_the_bytes_are_those_of_upstream():
    """The 107-byte example that TVM's writer gives for a library that imports one module."""
    library = LibraryModule()
    library.import_module(Module("jl_cubin", data=b"\x7fELF fake cubin"))
    blob = pack_module(library)
    payload = text(b"jl_cubin") + text(b"\x7fELF fake cubin")
    assert blob == u64(99, 3, 0, 1, 1, 1, 1, 4) + b"_lib" + payload
    assert len(blob) == 107


def test_a_tree_comes_back_and_its_functions_are_found_through_imports():
    deep = node("deep")
    blob = pack_module(node("root", node("left", deep), node("right")))
    root = load_module_from_bytes("library_bin", blob)
    assert [m.functions for m in root.walk()] == [("root",), ("left",), ("deep",), ("right",)]
    assert root.get_function("deep", query_imports=True)() == "deep"
    assert LOADED[-1] == b"root", "children are loaded first"
    assert pack_module(root) == blob


def test_a_diamond_shares_its_foot():
    foot = node("foot")
    root = load_whole_module(pack_module(node("top", node("left", foot), node("right", foot))))
    left, right = root.imports
    assert left.imports[0] is right.imports[0]
    assert sorted(LOADED) == [b"foot", b"left", b"right", b"top"]


def test_the_library_around_the_blob_takes_the_place_of_lib():
    library = LibraryModule({"host": lambda: "host"})
    library.import_module(node("child"))
    blob = pack_module(library)
    assert load_whole_module(blob).kind == "library"
    mine = LibraryModule({"mine": lambda: "mine"})
    root = load_whole_module(blob, mine)
    assert root is mine
    assert root.get_function("child", query_imports=True)() == "child"
    with pytest.raises(LoadError, match="cannot be saved"):
        root.save_to_bytes()


def test_the_root_need_not_be_the_library():
    root = load_whole_module(raw_blob([N, LIB], [0, 1, 1], [1]))
    assert [m.kind for m in root.walk()] == ["node", "library"]


@pytest.mark.parametrize("payload", [b"", b"1234567", b"12345678", b"a\0b", bytes(1 << 24)], ids=len)
def test_every_payload_comes_back(payload):
    with register_loader("any", lambda data: Module("any", data=data)):
        assert load_whole_module(pack_module(Module("any", data=payload))).save_to_bytes() == payload


def test_a_chain_of_many_modules_costs_neither_stack_nor_quadratic_time():
    count = 5_000
    children = list(range(1, count))
    blob = raw_blob([N] * count, [*range(count), count - 1], children)
    root = load_whole_module(blob)
    assert sum(1 for _ in root.walk()) == count


@st.composite
def trees(draw):
    """A rooted graph without cycles: each node imports some of those after it, and is imported by one before it."""
    count = draw(st.integers(1, 8))
    edges = [set() for _ in range(count)]
    for child in range(1, count):
        edges[draw(st.integers(0, child - 1))].add(child)
        for parent in draw(st.sets(st.integers(0, child - 1), max_size=2)):
            edges[parent].add(child)
    payloads = draw(st.lists(st.binary(max_size=12), min_size=count, max_size=count))
    modules = [Module("node", data=payload) for payload in payloads]
    for parent in reversed(range(count)):
        for child in draw(st.permutations(sorted(edges[parent]))):
            modules[parent].import_module(modules[child])
    return modules[0]


@given(trees())
def test_every_tree_survives_the_round_trip(root):
    blob = pack_module(root)
    loaded = load_whole_module(blob)
    assert shape(loaded) == shape(root)
    assert pack_module(loaded) == blob


# What is refused.

HOSTILE = {
    "nothing": b"",
    "a size and nothing": u64(0),
    "seven bytes": b"\0" * 7,
    "a size that is too small": u64(1) + raw_blob([N], [0, 0], [])[8:],
    "a size that is too large": u64(1 << 62) + raw_blob([N], [0, 0], [])[8:],
    "bytes behind the blob": raw_blob([N], [0, 0], []) + b"\0",
    "bytes behind the last module": raw_blob([N], [0, 0], [], tail=b"\0"),
    "no indptr": raw_blob([], [], []),
    "one entry in indptr, on which upstream crashes": raw_blob([], [0], []),
    "a huge indptr": u64(16, 1 << 61, 0),
    "huge children": u64(32, 2, 0, 0, (1 << 64) - 1),
    "indptr that does not start at 0": raw_blob([N, N], [1, 1, 1], [1]),
    "indptr that falls": raw_blob([N, N, N], [0, 2, 1, 2], [1, 2]),
    "indptr beyond the children": raw_blob([N, N], [0, 2, 2], [1]),
    "indptr short of the children": raw_blob([N, N], [0, 1, 1], [1, 1]),
    "a child that is not there": raw_blob([N, N], [0, 1, 1], [2]),
    "a child far away": raw_blob([N, N], [0, 1, 1], [(1 << 64) - 1]),
    "a module that imports itself": raw_blob([N], [0, 1], [0]),
    "a cycle, on which upstream crashes later": raw_blob([N, N], [0, 1, 2], [1, 0]),
    "a cycle below the root": raw_blob([N, N, N], [0, 1, 2, 3], [1, 2, 1]),
    "a module that nobody imports": raw_blob([N, N], [0, 0, 0], []),
    "fewer modules than promised": raw_blob([N], [0, 1, 1], [1]),
    "more modules than promised": raw_blob([N, N], [0, 0], []),
    "a truncated payload, which upstream fills with zeros": raw_blob(
        [], [0, 0], [], tail=text(b"node") + u64(100) + b"abc"
    ),
    "a payload with a huge size": raw_blob([], [0, 0], [], tail=text(b"node") + u64((1 << 64) - 1)),
    "a payload without a size": raw_blob([], [0, 0], [], tail=text(b"node")),
    "a kind with a huge size": raw_blob([], [0, 0], [], tail=u64(1 << 63) + b"node"),
    "a kind that is not UTF-8": raw_blob([(b"\xff\xfe", b"")], [0, 0], []),
    "a kind with a NUL": raw_blob([(b"no\0de", b"")], [0, 0], []),
    "an empty kind": raw_blob([(b"", b"")], [0, 0], []),
    "the reserved kind of old": raw_blob([(b"_import_tree", b"")], [0, 0], []),
    "a whole module inside another": raw_blob([(b"library_bin", b"")], [0, 0], []),
    "two libraries": raw_blob([LIB, LIB], [0, 1, 1], [1]),
    "a library with a payload": raw_blob([(b"_lib", b"x")], [0, 0], []),
}


@pytest.mark.parametrize("blob", HOSTILE.values(), ids=HOSTILE)
def test_malformed_blobs_are_refused_before_any_loader_runs(blob):
    with pytest.raises(LoadError, match="not a usable whole module") as caught:
        load_module_from_bytes("library_bin", blob)
    assert caught.value.kind == "library_bin"
    assert LOADED == []


def test_every_truncation_is_refused():
    blob = pack_module(node("root", node("left"), node("right")))
    for size in range(len(blob)):
        with pytest.raises(LoadError):
            decode_tree(blob[:size])
        shorter = u64(max(0, size - 8)) + blob[8:size]
        if size >= 8:
            with pytest.raises(LoadError):
                decode_tree(shorter)


def test_length_fields_allocate_nothing():
    import tracemalloc

    tracemalloc.start()
    try:
        for name in ("a huge indptr", "huge children", "a payload with a huge size", "a kind with a huge size"):
            with pytest.raises(LoadError):
                decode_tree(HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@settings(max_examples=150)
@given(trees(), st.data())
def test_a_flipped_byte_is_refused_or_another_valid_tree(root, data):
    blob = bytearray(pack_module(root))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] ^= data.draw(st.integers(1, 255))
    try:
        nodes, imports = decode_tree(bytes(blob))
    except LoadError:
        return
    assert len(nodes) == len(imports)
    assert all(0 <= child < len(nodes) for children in imports for child in children)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_tree_or_an_error(data):
    for blob in (data, u64(len(data)) + data):
        with contextlib.suppress(LoadError):
            decode_tree(blob)


def test_a_kind_without_a_loader_is_named_and_nothing_is_loaded():
    blob = raw_blob([(b"unknown", b""), N], [0, 1, 1], [1])
    with pytest.raises(LoaderNotFoundError, match=r"ffi\.Module\.load_from_bytes\.unknown"):
        load_whole_module(blob)
    assert LOADED == []


def test_the_exception_of_a_childs_loader_comes_through():
    raised = KeyError("from the loader")

    def refuse(data):
        raise raised

    blob = raw_blob([N, (b"refuse", b"")], [0, 1, 1], [1])
    with register_loader("refuse", refuse), pytest.raises(KeyError) as caught:
        load_whole_module(blob)
    assert caught.value is raised


def test_a_loader_that_gives_one_module_twice_can_close_no_cycle():
    shared = Module("shared")
    blob = raw_blob([(b"shared", b""), (b"shared", b"")], [0, 1, 1], [1])
    with register_loader("shared", lambda data: shared), pytest.raises(LoadError, match="cyclic"):
        load_whole_module(blob)
    assert shared.imports == ()


def test_what_cannot_be_packed():
    with pytest.raises(TypeError, match=r"expects a jitload\.Module"):
        pack_module(b"bytes")
    with pytest.raises(LoadError, match="cannot be saved"):
        pack_module(Module("python", {"f": len}))
    top = LibraryModule()
    top.import_module(LibraryModule())
    with pytest.raises(LoadError, match="cannot pack 2 modules of host functions"):
        pack_module(top)
    for kind in ("_lib", "_import_tree", "library_bin"):
        with pytest.raises(LoadError, match="reserved"):
            pack_module(Module(kind, data=b""))


@pytest.mark.parametrize("kind", ["_lib", "_import_tree"])
def test_reserved_kinds_take_no_loader(kind):
    with pytest.raises(ValueError, match="meaning of its own"):
        register_loader(kind, load_node)


# The program's own whole module.


def test_the_system_library_loads_the_blob_of_its_prefix_once():
    library = LibraryModule()
    library.import_module(node("child"))
    register_system_symbol("whole1___tvm_ffi__library_bin", pack_module(library))
    register_system_symbol("whole1_host", lambda: "host")
    root = system_lib("whole1_")
    assert root["host"]() == "host"
    assert root.get_function("child", query_imports=True)() == "child"
    assert system_lib("whole1_") is root
    assert LOADED == [b"child"]


def test_a_loader_may_ask_for_the_system_library_that_is_being_loaded():
    def load(data):
        library = system_lib("whole2_")
        return Module("asks", {"seen": lambda: library}, data=data)

    blob = raw_blob([LIB, (b"asks", b"x")], [0, 1, 1], [1])
    register_system_symbol("whole2___tvm_ffi__library_bin", blob)
    with pytest.raises(LoaderNotFoundError):
        system_lib("whole2_")
    with register_loader("asks", load):
        root = system_lib("whole2_")
    assert root.get_function("seen", query_imports=True)() is root
