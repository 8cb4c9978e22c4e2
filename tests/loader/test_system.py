"""The system library: symbols of the running program, seen with a prefix."""

import threading
import uuid

import pytest

from jitload.errors import LoadError, SymbolNotFoundError
from jitload.loader.module import Module
from jitload.loader.registry import load_module_from_bytes, register_loader
from jitload.loader.system import register_system_symbol, system_lib


@pytest.fixture
def prefix():
    """Symbols stay for the life of the process, so every test has its own prefix."""
    return f"test_{uuid.uuid4().hex}_"


def test_prefix_and_name_come_before_the_bare_name(prefix):
    bare = f"{prefix}f"
    register_system_symbol(bare, lambda: "bare")
    assert system_lib("other_").get_function(bare)() == "bare"
    register_system_symbol(f"other_{bare}", lambda: "with prefix")
    assert system_lib("other_").get_function(bare)() == "with prefix"
    assert system_lib()[bare]() == "bare"
    assert system_lib(prefix)["f"]() == "bare"


def test_it_is_a_module_that_can_be_imported(prefix):
    register_system_symbol(f"{prefix}f", lambda: 1)
    library = system_lib(prefix)
    assert isinstance(library, Module)
    assert library.kind == "system_lib"
    assert "f" in library.functions
    assert library.implements_function("f")
    top = Module("top")
    top.import_module(library)
    assert top.get_function("f", query_imports=True)() == 1
    with pytest.raises(LoadError, match="cannot be saved"):
        library.save_to_bytes()


def test_the_same_prefix_gives_the_same_module_and_late_symbols_show(prefix):
    library = system_lib(prefix)
    assert system_lib(prefix) is library
    assert not library.implements_function("late")
    with pytest.raises(SymbolNotFoundError, match="'late'"):
        library["late"]
    register_system_symbol(f"{prefix}late", lambda: "late")
    assert library["late"]() == "late"


def test_bytes_are_read_and_are_no_functions(prefix):
    register_system_symbol(f"{prefix}image", b"\x7fELF")
    register_system_symbol(f"{prefix}f", len)
    library = system_lib(prefix)
    assert library.get_bytes("image") == b"\x7fELF"
    assert "image" not in library.functions
    with pytest.raises(SymbolNotFoundError):
        library["image"]
    for name in ("f", "absent"):
        with pytest.raises(SymbolNotFoundError, match="no bytes"):
            library.get_bytes(name)


def test_replacing_a_symbol_needs_override(prefix):
    def first():
        return 1

    register_system_symbol(f"{prefix}f", first)
    register_system_symbol(f"{prefix}f", first)  # the same value again changes nothing
    library = system_lib(prefix)
    assert library["f"]() == 1
    with pytest.raises(ValueError, match="override=True"):
        register_system_symbol(f"{prefix}f", lambda: 2)
    register_system_symbol(f"{prefix}f", lambda: 2, override=True)
    assert library["f"]() == 2


def test_an_empty_value_counts(prefix):
    register_system_symbol(f"{prefix}image", b"")
    assert system_lib(prefix).get_bytes("image") == b""


@pytest.mark.parametrize(("name", "value"), [(5, len), (b"f", len), ("f", 5), ("f", None), ("f", "text")], ids=repr)
def test_names_are_strings_and_values_callables_or_bytes(name, value):
    with pytest.raises(TypeError):
        register_system_symbol(name, value)


def test_closing_the_shared_library_does_not_take_it_from_others(prefix):
    register_system_symbol(f"{prefix}f", lambda: 1)
    system_lib(prefix).close()
    assert system_lib(prefix)["f"]() == 1


def test_a_loader_may_use_the_system_library(prefix):
    """In upstream this stops for ever: its registry holds a plain mutex while it loads."""

    def load(data):
        register_system_symbol(f"{prefix}{data.decode()}", lambda: data)
        return system_lib(prefix)

    with register_loader("linked", load):
        assert load_module_from_bytes("linked", b"f")["f"]() == b"f"


def test_threads_see_one_library(prefix):
    start = threading.Barrier(8)
    seen = []

    def work(number):
        start.wait()
        register_system_symbol(f"{prefix}f{number}", lambda: number)
        seen.append(system_lib(prefix))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, seen))) == 1
    assert [system_lib(prefix)[f"f{number}"]() for number in range(8)] == list(range(8))
