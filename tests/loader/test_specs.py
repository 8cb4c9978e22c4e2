"""Loaders known by name: found without importing anything, imported when a module of their kind is wanted."""

import subprocess
import sys
import textwrap

import pytest

from jitload.config import configure
from jitload.errors import LoadError
from jitload.loader.specs import built_in_spec, import_loader


class Site:
    """A directory like site-packages, with distributions made for one test, and Python processes that see it."""

    def __init__(self, directory):
        self.directory = directory

    def install(self, package, entry_points, code=""):
        """A module, and the metadata that an installer writes beside it."""
        (self.directory / f"{package}.py").write_text(textwrap.dedent(code))
        info = self.directory / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = "".join(f"{kind} = {spec}\n" for kind, spec in entry_points.items())
        (info / "entry_points.txt").write_text(f"[jitload.loaders]\n{lines}")

    def run(self, program):
        """What the program prints, in a process that starts with this directory on its path."""
        start = f"import sys; sys.path[:] = {[str(self.directory), *sys.path]!r}\n"
        done = subprocess.run(
            [sys.executable, "-c", start + textwrap.dedent(program)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[:-1]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


ECHO = """
    from jitload.loader.module import Module

    print("imported")

    class Loaders:
        @staticmethod
        def load(data):
            return Module("installed", {"payload": lambda: data})
"""


def test_a_package_offers_a_loader(site):
    site.install("echo_pkg", {"echo": "echo_pkg:Loaders.load"}, ECHO)
    assert site.run("""
        from jitload.loader.registry import load_module_from_bytes, registered_kinds
        print(registered_kinds())
        print("echo_pkg" in sys.modules)
        print(load_module_from_bytes("echo", b"x")["payload"]())
        print(load_module_from_bytes("echo", b"y")["payload"]())
    """) == ["('cubin', 'echo', 'fatbin', 'library_bin', 'ltoir', 'ptx')", "False", "imported", "b'x'", "b'y'"]


def test_packages_are_scanned_only_for_a_kind_not_known_otherwise_and_only_once(site):
    site.install("echo_pkg", {"echo": "echo_pkg:Loaders.load", "ptx": "echo_pkg:Loaders.load"}, ECHO)
    assert site.run("""
        import importlib.metadata
        from jitload.loader.module import Module
        from jitload.loader.registry import find_loader, register_loader, load_module_from_bytes

        scans = []
        def count(event, args):
            if event == "os.listdir" and scans is not None and str(args[0]) == sys.path[0]:
                scans.append(event)
        sys.addaudithook(count)
        with register_loader("mine", lambda data: Module("mine")):
            load_module_from_bytes("mine", b"")
        print(len(scans))
        find_loader("echo"), find_loader("echo"), find_loader("absent")
        print(len(scans))
    """) == ["0", "imported", "1"]


def test_what_a_program_registers_wins_over_an_installed_package(site):
    site.install("echo_pkg", {"echo": "echo_pkg:Loaders.load"}, ECHO)
    assert site.run("""
        from jitload.loader.module import Module
        from jitload.loader.registry import load_module_from_bytes, register_loader
        with register_loader("echo", lambda data: Module("registered")):
            print(load_module_from_bytes("echo", b"").kind)
        print(load_module_from_bytes("echo", b"").kind)
    """) == ["registered", "imported", "installed"]


def test_a_package_cannot_take_over_a_built_in_kind(site):
    site.install("echo_pkg", {"cubin": "echo_pkg:Loaders.load"}, ECHO)
    assert site.run("""
        from jitload.loader.registry import load_module_from_bytes
        try:
            print(load_module_from_bytes("cubin", b"").kind)
        except Exception as error:
            print("not the package's")
    """) == ["not the package's"]


def test_two_packages_that_disagree_are_an_error_until_one_is_chosen(site):
    site.install("one_pkg", {"echo": "one_pkg:Loaders.load"}, ECHO)
    site.install("two_pkg", {"echo": "two_pkg:Loaders.load"}, ECHO)
    first, second = site.run("""
        from jitload.errors import LoadError
        from jitload.loader.module import Module
        from jitload.loader.registry import load_module_from_bytes, register_loader
        try:
            load_module_from_bytes("echo", b"")
        except LoadError as error:
            print(error)
        with register_loader("echo", lambda data: Module("chosen")):
            print(load_module_from_bytes("echo", b"").kind)
    """)
    assert "one_pkg:Loaders.load of one_pkg" in first
    assert "two_pkg:Loaders.load of two_pkg" in first
    assert second == "chosen"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("no_such_module_here:load", "No module named"),
        ("broken_pkg:absent", "has no attribute 'absent'"),
        ("broken_pkg", "cannot be imported"),
        ("broken_pkg:number", "is of type int and cannot be called"),
        ("broken_pkg:number.real.absent", "has no attribute 'absent'"),
    ],
)
def test_a_broken_offer_says_whose_it_is(site, spec, text):
    site.install("broken_pkg", {"echo": spec}, "number = 5")
    (line,) = site.run("""
        from jitload.errors import LoadError
        from jitload.loader.registry import load_module_from_bytes, registered_kinds
        assert "echo" in registered_kinds()
        try:
            load_module_from_bytes("echo", b"")
        except LoadError as error:
            assert error.kind == "echo"
            print(error)
    """)
    assert text in line
    assert f"{spec!r} of broken_pkg" in line


def test_the_cause_of_a_failed_import_is_chained():
    with pytest.raises(LoadError) as caught:
        import_loader("echo", "no_such_module_here:load", "somebody")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_ptx_goes_to_the_device_in_force_and_machine_code_to_cuda_always(device):
    with configure(device=device):
        assert built_in_spec("ptx") == f"jitload.{device}:load_ptx"
        for kind in ("cubin", "fatbin", "ltoir"):
            assert built_in_spec(kind) == f"jitload.cuda:load_{kind}"
    assert built_in_spec("echo") is None


def test_importing_the_registry_is_light(site):
    """Nothing that design section 3 keeps out of an import, no loader, and nothing that is slow to start."""
    heavy = (
        "typing dataclasses numpy pathlib threading json re importlib.metadata jitload.cuda jitload.cpu jitload.config"
    )
    assert site.run(f"""
        before = set(sys.modules)
        import jitload.loader.registry
        came = set(sys.modules) - before
        print(sorted(set({heavy.split()!r}) & came))
    """) == ["[]"]
