"""`file=` and headers beside a module: on the disk or from its loader, and never from the working directory."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import subprocess
import sys
import zipapp
from importlib.abc import Loader, ResourceLoader
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

import jitload
from jitload.declaration import KernelSource

if sys.version_info >= (3, 11):
    from importlib.resources.abc import TraversableResources
else:
    from importlib.abc import TraversableResources

DECLARATION = "import jitload\n@jitload.jit_kernel({})\ndef k(x): ...\n"
KERNEL = 'extern "C" __global__ void k(int *x) { *x = VALUE; }\n'
WRONG = KERNEL.replace("VALUE", "666")


@pytest.fixture
def strange(tmp_path, monkeypatch):
    """A working directory where a file of every name lies that the tests ask for, and a way to fill it."""
    directory = tmp_path / "elsewhere"
    for path in ("k.cu", "sub/k.cu", "pkg/k.cu", "pkg/__init__.py", "inc/value.h", "value.h"):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(WRONG)
    monkeypatch.chdir(directory)
    return directory


def run(arguments, text=None):
    environment = {**os.environ, "JITLOAD_DEVICE": "cpu", "PYTHONPATH": str(Path(jitload.__file__).parents[1])}
    done = subprocess.run([sys.executable, *map(str, arguments)], input=text, env=environment, capture_output=True, text=True)  # fmt: skip
    return done.stdout + done.stderr.strip().rpartition("\n")[2]


def test_in_a_zip(tmp_path, strange):
    """The source, the headers that it includes by quoted names, and those of a docstring."""
    package = tmp_path / "app/pkg"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text(
        DECLARATION.format("file='sub/k.cu'")
        + "@jitload.jit_kernel\ndef d(x):\n    '''\n    #include \"sub/value.h\"\n    extern \"C\" __global__ void d(int *x) { *x = 100 + VALUE; }\n    '''\n"
    )
    (package / "sub/k.cu").write_text('\ufeff#include "value.h"\n' + KERNEL, encoding="utf-8")
    (package / "sub/value.h").write_text('#include "../more.h"\n#define VALUE MORE\n')
    (package / "more.h").write_text("#define MORE 6\n")
    (tmp_path / "app/__main__.py").write_text(
        "import numpy as np, pkg\nx = np.zeros(1, np.int32)\npkg.k[1, 1](x)\nprint(x[0])\npkg.d[1, 1](x)\nprint(x[0])\nprint(pkg.k)\n"
    )
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")
    label = tmp_path / "app.pyz/pkg/sub/k.cu"
    assert run([tmp_path / "app.pyz"]) == f"6\n106\n<jit_kernel k from {label}>\n"


def test_a_file_that_is_not_in_the_zip(tmp_path, strange):
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__main__.py").write_text(DECLARATION.format("file='k.cu'") + "k.request()\n")
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")
    said = run([tmp_path / "app.pyz"])
    assert f"SourceNotFoundError: kernel k: source {tmp_path}/app.pyz/k.cu: No such file or directory" in said


@pytest.mark.parametrize("how", ["-c", "stdin"])
def test_without_a_python_file_a_relative_name_is_refused(strange, how):
    text = DECLARATION.format("file='k.cu'")
    said = run(["-c", text]) if how == "-c" else run(["-"], text)
    assert "UsageValueError: file= of k: 'k.cu' is relative to the Python file, and there is none" in said
    assert said.endswith("write os.path.abspath('k.cu')")
    absolute = DECLARATION.format(f"file={str(strange / 'k.cu')!r}") + "print(k.request().name)\n"
    assert (run(["-c", absolute]) if how == "-c" else run(["-"], absolute)) == "k.cu\n"


def test_a_script_that_is_run_by_a_relative_name(tmp_path, strange):
    """What it was named from is no longer the working directory when the kernel is declared."""
    (tmp_path / "script.py").write_text(
        "import os\nos.chdir('elsewhere')\n" + DECLARATION.format("file='k.cu'") + "print(k.request().source)\n"
    )
    (tmp_path / "k.cu").write_text("// right")
    os.chdir(tmp_path)
    assert run(["script.py"]) == "// right\n"


def load(spec, directory=None):
    module = importlib.util.module_from_spec(spec)
    if directory is not None:
        module.__file__ = directory + "/mod.py"
    spec.loader.exec_module(module)
    return module


class Frozen(ResourceLoader, Loader):
    """As of a frozen application: code with a relative file name, data by names that are on no disk."""

    def __init__(self, text, files):
        self.text, self.files = text, files

    def exec_module(self, module):
        exec(compile(self.text, "pkg/__init__.py", "exec"), module.__dict__)

    def get_data(self, path):
        if path not in self.files:
            raise OSError(path)
        return self.files[path]


@pytest.mark.parametrize("directory", ["/frozen/pkg", "/frozen/./pkg"])
def test_from_a_loader_that_has_data(strange, directory):
    files = {
        f"{directory}/k.cu": b'#include "value.h"\n' + KERNEL.encode(),
        f"{directory}/value.h": b"#define VALUE 6\n",
    }
    loader = Frozen(
        DECLARATION.format("file='k.cu'"), {os.path.normpath(path): data for path, data in files.items()} | files
    )
    request = load(ModuleSpec("pkg", loader, is_package=True), directory).k.request()
    assert request.source == files[f"{directory}/k.cu"].decode()
    assert request.headers == (("value.h", "#define VALUE 6\n"),)
    assert request.source_dir is None


class Resources(Loader):
    """As of a loader that says of no module where it is, and has its data by `importlib.resources`."""

    def __init__(self, text, root):
        self.text, self.root = text, root

    def exec_module(self, module):
        exec(compile(self.text, "pkg/__init__.py", "exec"), module.__dict__)

    def get_resource_reader(self, name):
        root = self.root

        class Reader(TraversableResources):
            def files(self):
                return root

        return Reader()


def test_from_a_loader_that_has_resources(tmp_path, strange, monkeypatch):
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/k.cu").write_text('#include "value.h"\n' + KERNEL)
    (tmp_path / "data/sub/value.h").write_text("#define VALUE 6\n")
    spec = ModuleSpec("pkg", Resources(DECLARATION.format("file='sub/k.cu'"), tmp_path / "data"), is_package=True)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pkg", module)
    spec.loader.exec_module(module)
    request = module.k.request()
    assert (request.path, request.headers) == ("<pkg>/sub/k.cu", (("value.h", "#define VALUE 6\n"),))
    (tmp_path / "data/sub/k.cu").unlink()
    spec.loader.exec_module(module)
    with pytest.raises(jitload.SourceNotFoundError, match=r"<pkg>/sub/k\.cu"):
        module.k.request()


def test_from_code_without_its_source(tmp_path, strange):
    """What was compiled elsewhere names a file that was there; a checkout may still lie there, with another kernel."""
    (tmp_path / "checkout").mkdir()
    (tmp_path / "installed").mkdir()
    (tmp_path / "checkout/mod.py").write_text(DECLARATION.format("file='k.cu'"))
    (tmp_path / "checkout/k.cu").write_text(WRONG)
    (tmp_path / "installed/k.cu").write_text("// right")
    py_compile.compile(str(tmp_path / "checkout/mod.py"), str(tmp_path / "installed/mod.pyc"))
    spec = importlib.util.spec_from_file_location("mod", tmp_path / "installed/mod.pyc")
    assert load(spec).k.request().source == "// right"


def test_a_relative_file_name_of_a_module_is_believed_of_loaders_of_files_alone(tmp_path, strange):
    function = {"__file__": "pkg/__init__.py", "__loader__": Frozen("", {})}
    exec(compile("def k(x): ...", "pkg/__init__.py", "exec"), function)
    with pytest.raises(jitload.UsageValueError, match="there is none"):
        KernelSource(function["k"], "k.cu", None)
    spec = importlib.util.spec_from_file_location("mod", "pkg/__init__.py")
    function["__loader__"] = spec.loader
    fields = KernelSource(function["k"], "k.cu", None).request_fields()
    assert fields["source"] == strange / "pkg/k.cu"


def test_include_directories(tmp_path, strange):
    (tmp_path / "mod.py").write_text(DECLARATION.format("source='int x;', include_dirs=['inc', '/usr/include']"))
    on_disk = load(importlib.util.spec_from_file_location("mod", tmp_path / "mod.py"))
    assert on_disk.k.request().include_dirs == (str(tmp_path / "inc"), "/usr/include")
    frozen = load(ModuleSpec("pkg", Frozen((tmp_path / "mod.py").read_text(), {}), is_package=True), "/frozen/pkg")
    with pytest.raises(jitload.UsageValueError, match=r"'/frozen/pkg/inc' is none on the disk.*headers=\{name: text\}"):
        frozen.k.request()
    unpacked = load(ModuleSpec("pkg", Frozen((tmp_path / "mod.py").read_text(), {}), is_package=True), str(strange))
    assert unpacked.k.request().include_dirs == (str(strange / "inc"), "/usr/include")


@pytest.mark.parametrize("include_dirs", ["inc", 7, [7], b"inc"])
def test_include_directories_that_are_none_are_told(include_dirs):
    def k(x): ...

    with pytest.raises(jitload.UsageTypeError, match="include_dirs is a list"):
        jitload.jit_kernel(source=KERNEL, include_dirs=include_dirs)(k).request()
