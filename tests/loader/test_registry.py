"""Bytes and a kind go in, a module of the registered loader comes out; everything else is an error that helps."""

import mmap
import threading

import pytest

from jitload.errors import JitloadError, LoaderNotFoundError, LoadError
from jitload.loader.module import Module
from jitload.loader.registry import (
    find_loader,
    load_module_from_bytes,
    loader_key,
    register_loader,
    registered_kinds,
    unregister_loader,
)
from jitload.values import Kind

KEY = "ffi.Module.load_from_bytes.echo"
UPSTREAM = (
    "Library binary was created using echo but a loader of that name is not registered. "
    "Make sure to have runtime that registers ffi.Module.load_from_bytes.echo"
)


def load_echo(data):
    assert type(data) is bytes
    return Module("echo", {"payload": lambda: data}, data=data)


@pytest.fixture
def echo():
    with register_loader("echo", load_echo):
        yield


# The three tests of apache/tvm-ffi pull request 591, in its order.


def test_round_trip_through_a_loader_registered_from_python(echo):
    module = load_module_from_bytes("echo", b"some bytes")
    assert module.kind == "echo"
    assert module["payload"]() == b"some bytes"
    assert load_module_from_bytes(module.kind, module.save_to_bytes())["payload"]() == b"some bytes"


def test_no_loader_is_a_runtime_error_that_names_the_missing_key():
    with pytest.raises(RuntimeError, match=r"ffi\.Module\.load_from_bytes\.no_such_kind"):
        load_module_from_bytes("no_such_kind", b"")


def test_the_exception_of_a_loader_reaches_the_caller():
    def refuse(data):
        raise ValueError(f"cannot load {data!r}")

    with register_loader("refuse", refuse), pytest.raises(ValueError, match="cannot load b'x'") as caught:
        load_module_from_bytes("refuse", b"x")
    assert caught.traceback[-1].name == "refuse"
    assert caught.value.__cause__ is caught.value.__context__ is None


# What goes in.


@pytest.mark.parametrize(
    "payload",
    [b"", b"7 bytes", b"8 bytes!", b"a\0b\0\0", bytes(range(256)), b"\xab" * (16 << 20)],
    ids=["empty", "7", "8", "NULs", "all values", "16 MiB"],
)
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview], ids=lambda wrap: wrap.__name__)
def test_every_payload_arrives_unchanged(echo, payload, wrap):
    assert load_module_from_bytes("echo", wrap(payload))["payload"]() == payload


def test_bytes_are_handed_on_without_a_copy(echo):
    payload = b"x" * 100
    assert load_module_from_bytes("echo", payload)["payload"]() is payload


def test_a_mapped_file_is_a_payload_and_can_be_closed_afterwards(echo, tmp_path):
    path = tmp_path / "payload"
    path.write_bytes(b"mapped\0bytes")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        module = load_module_from_bytes("echo", mapped)
    assert module["payload"]() == b"mapped\0bytes"


def test_a_strided_view_and_a_subclass_of_bytes_arrive_as_plain_bytes(echo):
    class Bytes(bytes):
        pass

    assert load_module_from_bytes("echo", memoryview(b"a-b-c-")[::2])["payload"]() == b"abc"
    assert load_module_from_bytes("echo", Bytes(b"abc"))["payload"]() == b"abc"


@pytest.mark.parametrize("data", ["text", "", 5, None, [1, 2], {}], ids=repr)
def test_what_is_not_bytes_like_is_a_type_error_before_any_loader_runs(data):
    never = register_loader("never", lambda data: pytest.fail("called"))
    with never, pytest.raises(TypeError, match="data must be bytes-like") as caught:
        load_module_from_bytes("never", data)
    if isinstance(data, str):
        assert "encode" in str(caught.value)


@pytest.mark.parametrize("kind", [b"ptx", None, 3])
def test_a_kind_that_is_not_a_string_is_a_type_error(kind):
    for call in (lambda: load_module_from_bytes(kind, b""), lambda: register_loader(kind, load_echo)):
        with pytest.raises(TypeError, match="kind must be a str"):
            call()


def test_the_empty_kind_is_refused():
    with pytest.raises(ValueError, match="must not be empty"):
        load_module_from_bytes("", b"")


def test_a_member_of_kind_is_its_name():
    with register_loader(Kind.PTX, load_echo, override=True):
        assert load_module_from_bytes("ptx", b"a")["payload"]() == b"a"
        assert load_module_from_bytes(Kind.PTX, b"b")["payload"]() == b"b"
        assert type(next(kind for kind in registered_kinds() if kind == "ptx")) is str


# What comes out.


@pytest.mark.parametrize("result", [None, 5, b"bytes", Module], ids=["None", "int", "bytes", "the class"])
def test_a_loader_that_returns_no_module_is_a_type_error_naming_key_and_type(result):
    with register_loader("echo", lambda data: result), pytest.raises(TypeError) as caught:
        load_module_from_bytes("echo", b"")
    assert KEY in str(caught.value)
    assert type(result).__name__ in str(caught.value)


def test_a_subclass_of_module_comes_out_as_it_is():
    class Mine(Module):
        pass

    mine = Mine("mine")
    with register_loader("mine", lambda data: mine):
        assert load_module_from_bytes("mine", b"") is mine


@pytest.mark.parametrize("error", [KeyboardInterrupt, NotImplementedError, OSError, LoadError, LoaderNotFoundError])
def test_exceptions_of_every_type_keep_identity(error):
    raised = error("from the loader")

    def refuse(data):
        raise raised

    with register_loader("echo", refuse), pytest.raises(error) as caught:
        load_module_from_bytes("echo", b"")
    assert caught.value is raised


def test_the_text_of_a_missing_loader():
    with pytest.raises(LoaderNotFoundError) as caught:
        load_module_from_bytes("echo", b"")
    error, text = caught.value, str(caught.value)
    assert isinstance(error, (JitloadError, RuntimeError))
    assert text.startswith(UPSTREAM)
    assert "cubin, fatbin, library_bin, ltoir, ptx" in text
    assert "jitload.register_loader('echo', loader)" in text
    assert "'jitload.loaders'" in text
    assert (error.kind, error.key) == ("echo", KEY)


def test_the_key_is_that_of_tvm_ffi():
    assert loader_key("echo") == KEY


# Registering.


def test_a_plain_call_registers_for_good_and_unregister_takes_it_back():
    register_loader("echo", load_echo)
    try:
        assert "echo" in registered_kinds()
        assert find_loader("echo") is load_echo
    finally:
        unregister_loader("echo")
    assert "echo" not in registered_kinds()
    assert find_loader("echo") is None


def test_as_a_decorator_it_gives_the_function_back():
    try:

        @register_loader("echo")
        def load(data):
            return Module("decorated")

        assert callable(load)
        assert load(b"").kind == "decorated"
        assert load_module_from_bytes("echo", b"").kind == "decorated"
    finally:
        unregister_loader("echo")


def test_a_second_loader_needs_override(echo):
    with pytest.raises(ValueError, match="override=True"):
        register_loader("echo", load_echo)
    with register_loader("echo", lambda data: Module("other"), override=True):
        assert load_module_from_bytes("echo", b"").kind == "other"
    assert load_module_from_bytes("echo", b"").kind == "echo"


def test_a_built_in_kind_needs_override_and_comes_back():
    with pytest.raises(ValueError, match=r"built in.*override=True"):
        register_loader("cubin", load_echo)
    with register_loader("cubin", load_echo, override=True):
        assert find_loader("cubin") is load_echo
    with pytest.raises(ValueError, match="built in"):
        register_loader("cubin", load_echo)


def test_a_block_that_raises_takes_its_loader_back():
    with pytest.raises(ZeroDivisionError), register_loader("echo", load_echo):
        _ = 1 / 0
    assert find_loader("echo") is None


def test_blocks_that_end_out_of_order_leave_the_younger_one_in_force():
    older = register_loader("echo", load_echo)
    younger = register_loader("echo", lambda data: Module("younger"), override=True)
    older.__exit__()
    assert load_module_from_bytes("echo", b"").kind == "younger"
    younger.__exit__()
    assert find_loader("echo") is None
    younger.__exit__()  # nothing is left to take back


@pytest.mark.parametrize("loader", [5, "package:attribute", b""])
def test_a_loader_must_be_callable(loader):
    with pytest.raises(TypeError, match="must be callable"):
        register_loader("echo", loader)


@pytest.mark.parametrize("kind", ["echo", "ptx"])
def test_unregistering_what_was_not_registered(kind):
    with pytest.raises(LoaderNotFoundError, match="no loader was registered") as caught:
        unregister_loader(kind)
    assert ("built in" in str(caught.value)) == (kind == "ptx")


def test_registered_kinds_are_sorted_and_unique(echo):
    with register_loader("ptx", load_echo, override=True):
        kinds = registered_kinds()
    assert kinds == tuple(sorted(set(kinds)))
    assert {"cubin", "echo", "fatbin", "ltoir", "ptx"} <= set(kinds)


def test_a_loader_may_load_register_and_unregister(echo):
    def load_outer(data):
        with register_loader("inner", load_echo):
            inner = load_module_from_bytes("inner", data)
        unregister_loader("outer")
        return inner

    register_loader("outer", load_outer)
    assert load_module_from_bytes("outer", b"deep")["payload"]() == b"deep"
    assert find_loader("outer") is None


def test_threads_that_register_load_and_unregister_do_not_disturb_each_other(echo):
    failures = []
    start = threading.Barrier(8)

    def work(number):
        kind = f"thread{number}"
        start.wait()
        try:
            for turn in range(200):
                payload = f"{number} {turn}".encode()
                with register_loader(kind, load_echo), register_loader("shared", load_echo, override=True):
                    assert load_module_from_bytes(kind, payload)["payload"]() == payload
                    assert load_module_from_bytes("shared", payload)["payload"]() == payload
                assert load_module_from_bytes("echo", payload)["payload"]() == payload
                assert kind not in registered_kinds()
        except Exception as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert find_loader("shared") is None


def test_of_many_threads_registering_one_kind_exactly_one_wins():
    wins, losses = [], []
    start = threading.Barrier(8)

    def work():
        start.wait()
        try:
            wins.append(register_loader("contested", load_echo))
        except ValueError as error:
            losses.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    unregister_loader("contested")
    assert (len(wins), len(losses)) == (1, 7)


def test_loaders_run_side_by_side():
    """Two loaders that wait for each other both finish: no lock is held while one runs."""
    meeting = threading.Barrier(2, timeout=20)

    def load(data):
        meeting.wait()
        return Module("met")

    with register_loader("meet", load):
        threads = [threading.Thread(target=load_module_from_bytes, args=("meet", b"")) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not meeting.broken
