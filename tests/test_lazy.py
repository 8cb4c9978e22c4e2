"""`lazy`: a module that is named at the top of a file and imported at its first use."""

from __future__ import annotations

import sys
import threading

import pytest

from jitload.lazy import lazy


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that can be imported in this test; gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def write(text: str) -> str:
        name = f"lazily_{len(made)}_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(text)
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


def test_the_first_use_imports_it_and_not_before(module):
    name = module("value = 3")
    found = lazy(name)
    assert name not in sys.modules
    assert found.value == 3
    assert name in sys.modules


def test_what_changes_in_the_module_is_seen(module):
    name = module("value = 3\ndef give(): return value")
    found = lazy(name)
    assert found.give() == 3
    sys.modules[name].value = 4
    assert found.value == 4
    found.value = 5
    assert found.give() == 5


def test_a_module_in_a_package_is_that_module():
    assert lazy("importlib.metadata").version is sys.modules["importlib.metadata"].version
    assert lazy("importlib.metadata").__name__ == "importlib.metadata"


def test_what_it_does_not_have_is_an_attribute_error(module):
    found = lazy(module("value = 3"))
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        found.other  # noqa: B018
    assert not hasattr(found, "another")


def test_what_a_module_makes_on_demand_is_there(module):
    found = lazy(module("def __getattr__(name): return name.upper()"))
    assert found.one == "ONE"
    assert found.two == "TWO"


def test_one_that_cannot_be_imported_says_so_with_every_use(module):
    missing, broken = lazy("jitload_has_no_such_module"), lazy(module("raise ImportError('half of it is missing')"))
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="jitload_has_no_such_module"):
            missing.value  # noqa: B018
        with pytest.raises(ImportError, match="half of it is missing"):
            broken.value  # noqa: B018


def test_threads_that_use_it_at_once_all_find_a_whole_module(module):
    found = lazy(module("import time\ntime.sleep(0.2)\nlast = 1"))
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(found.last)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [1] * 8


def test_a_used_one_costs_what_any_attribute_costs(module):
    """It goes through no code of ours any more."""
    found = lazy(module("value = 3"))
    assert found.value == 3
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        found.value  # noqa: B018
    finally:
        sys.setprofile(None)
    assert calls == []
