"""A module: names, imports, lifetime."""

import gc
import itertools
import pickle
import threading
import weakref

import pytest

from jitload.errors import JitloadError, LoadError, SymbolNotFoundError
from jitload.loader.module import Module
from jitload.values import KernelInfo


class Image(Module):
    """A module whose functions come from an image: each remembers the module, as a kernel does."""

    def __init__(self, *symbols, kind="image", data=b"image"):
        super().__init__(kind, data=data)
        self.symbols = symbols
        self.loads = []
        self.unloads = 0

    def _symbols(self):
        return self.symbols

    def _load_function(self, symbol, kernel):
        self.loads.append(symbol)
        return (lambda: (self, symbol, kernel)) if symbol in self.symbols else None

    def _unload(self):
        self.unloads += 1


def named(name, *imports):
    module = Module(name, {name: lambda: name})
    for imported in imports:
        module.import_module(imported)
    return module


FILL = KernelInfo("fill<float>", "_Z4fillIfEvPT_S0_", [])


# Names.


def test_functions_by_name_and_by_index():
    module = Module("python", {"one": lambda: 1})
    assert module["one"]() == module.get_function("one")() == 1
    assert module.functions == ("one",)
    assert module.implements_function("one")
    assert not module.implements_function("two")


def test_a_missing_name_lists_what_there_is():
    with pytest.raises(SymbolNotFoundError) as caught:
        Image("axpy", "gemm", kind="ptx")["saxpy"]
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, JitloadError)
    assert str(caught.value) == "no function 'saxpy' in this module of kind 'ptx': it has axpy, gemm"
    assert (caught.value.name, caught.value.available) == ("saxpy", ("axpy", "gemm"))


def test_an_empty_module_says_that_it_is_empty():
    with pytest.raises(SymbolNotFoundError, match="no functions"):
        Module("empty")["f"]


def test_a_function_is_loaded_once():
    module = Image("saxpy")
    assert module["saxpy"] is module["saxpy"]
    assert module.loads == ["saxpy"]


def test_kernels_are_found_by_the_users_name_and_by_symbol():
    module = Image(FILL.symbol)
    module.attach_kernels([FILL])
    for name in (FILL.name, FILL.symbol):
        assert module.implements_function(name)
        assert module[name]()[1:] == (FILL.symbol, FILL)
    assert module.functions == (FILL.name, FILL.symbol)


def test_a_kernel_whose_symbol_the_image_does_not_list_is_still_known_by_it():
    class Opaque(Image):
        def _symbols(self):
            return ()

    module = Opaque(FILL.symbol)
    module.attach_kernels([FILL])
    assert module.functions == (FILL.name,)
    assert module.implements_function(FILL.symbol)
    assert module[FILL.symbol]()[2] is FILL


def test_a_name_that_stands_for_a_symbol_finds_its_layout():
    module = Image(FILL.symbol, "saxpy")
    module.attach_kernels([FILL])
    module.attach_names({"fill": FILL.symbol, "axpy": "saxpy", "broken": "absent"})
    assert module["fill"]()[1:] == (FILL.symbol, FILL)
    assert module["axpy"]()[1:] == ("saxpy", None)
    assert "axpy" in module.functions
    with pytest.raises(SymbolNotFoundError, match="'broken'"):
        module["broken"]


def test_source_and_repr():
    module = Module("ptx", {"f": len}, source=".version 8.8")
    assert module.inspect_source() == ".version 8.8"
    module.attach_source("// CUDA C++")
    assert module.inspect_source() == "// CUDA C++"
    assert repr(module) == "<Module of kind 'ptx' with f>"


# Saving.


def test_a_module_saves_the_bytes_that_it_came_from():
    assert Image(data=b"\0image").save_to_bytes() == b"\0image"
    assert Module("echo", data=b"").save_to_bytes() == b""


def test_a_module_made_in_python_cannot_be_saved():
    with pytest.raises(LoadError, match="cannot be saved") as caught:
        Module("python").save_to_bytes()
    assert caught.value.kind == "python"


# Imports.


def test_imports_are_kept_in_order_and_asked_only_on_request():
    left, right = named("left"), named("right")
    top = named("top", left, right)
    assert top.imports == (left, right)
    assert not top.implements_function("left")
    assert top.implements_function("left", query_imports=True)
    with pytest.raises(SymbolNotFoundError):
        top["left"]
    assert top.get_function("left", query_imports=True)() == "left"
    assert top.get_function("top", query_imports=True)() == "top"


def test_the_first_definition_depth_first_wins():
    deep = Module("deep", {"f": lambda: "deep"})
    first = Module("first")
    first.import_module(deep)
    second = Module("second", {"f": lambda: "second"})
    top = Module("top")
    top.import_module(first)
    top.import_module(second)
    assert top.get_function("f", query_imports=True)() == "deep"
    top_with_own = Module("top", {"f": lambda: "own"})
    top_with_own.import_module(second)
    assert top_with_own.get_function("f", query_imports=True)() == "own"


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_a_cycle_of_any_length_is_refused_and_nothing_changes(length):
    modules = [Module(f"m{number}") for number in range(length)]
    for above, below in itertools.pairwise(modules):
        above.import_module(below)
    with pytest.raises(LoadError, match="cyclic dependency"):
        modules[-1].import_module(modules[0])
    assert modules[-1].imports == ()


def test_only_modules_can_be_imported():
    with pytest.raises(TypeError, match=r"expects a jitload\.Module, got str"):
        Module("top").import_module("saxpy.ptx")


def test_a_diamond_is_no_cycle_and_shares_its_foot():
    foot = Image("f")
    top = named("top", named("left", foot), named("right", foot))
    assert top.get_function("f", query_imports=True) is foot["f"]
    assert foot.loads == ["f"]


def test_a_tower_of_diamonds_is_searched_in_linear_time():
    """64 storeys have 2**64 paths; a missing name must visit each module once all the same."""
    top = named("foot")
    for storey in range(64):
        top = named(f"top{storey}", named("left", top), named("right", top))
    assert top.get_function("foot", query_imports=True)() == "foot"
    assert not top.implements_function("absent", query_imports=True)
    with pytest.raises(SymbolNotFoundError):
        top.get_function("absent", query_imports=True)


def test_a_chain_deeper_than_pythons_stack():
    top = above = Module("link")
    for number in range(5000):  # from above, since what is imported is looked through for a cycle
        below = named("foot") if number == 4999 else Module("link")
        above.import_module(below)
        above = below
    assert top.get_function("foot", query_imports=True)() == "foot"
    with pytest.raises(LoadError, match="cyclic"):
        top.imports[0].import_module(top)


def test_two_threads_cannot_close_a_cycle_together():
    for _ in range(50):
        one, two = Module("one"), Module("two")
        start = threading.Barrier(2)
        refused = []

        def tie(above, below, start=start, refused=refused):
            start.wait()
            try:
                above.import_module(below)
            except LoadError:
                refused.append(above)

        threads = [threading.Thread(target=tie, args=pair) for pair in ((one, two), (two, one))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        assert len(one.imports) + len(two.imports) == 1


# Lifetime.


def test_a_function_keeps_its_module_alive():
    module = Image("saxpy")
    gone = weakref.ref(module)
    function = module["saxpy"]
    del module
    gc.collect()
    assert function()[0] is gone()
    del function
    gc.collect()
    assert gone() is None


def test_a_module_keeps_its_imports_alive():
    foot = named("foot")
    gone = weakref.ref(foot)
    top = named("top", foot)
    del foot
    gc.collect()
    assert gone() is not None
    del top
    gc.collect()
    assert gone() is None


def test_closing_unloads_once_and_ends_the_names():
    module = Image("saxpy")
    module["saxpy"]
    module.close()
    module.close()
    assert module.unloads == 1
    assert not module.implements_function("saxpy")
    with pytest.raises(LoadError, match="closed"):
        module["saxpy"]
    assert module.save_to_bytes() == b"image"


def test_a_closed_import_is_an_error_not_a_missing_name():
    foot = Image("f")
    top = named("top", foot)
    foot.close()
    with pytest.raises(LoadError, match="closed"):
        top.get_function("f", query_imports=True)
    assert top["top"]() == "top"


def test_a_module_says_why_it_is_not_pickled():
    module = Module("echo", {"echo": lambda: 1}, data=b"x")
    with pytest.raises(TypeError, match=r"cannot be pickled: send save_to_bytes\(\)"):
        pickle.dumps(module)
