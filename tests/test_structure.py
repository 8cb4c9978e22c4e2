"""The house: imports go one way, the public names are pinned, and importing jitload does next to nothing."""

from __future__ import annotations

import ast
import functools
import json
import pathlib
import re
import subprocess
import sys

import pytest

import jitload
from tests.import_graph import circles, import_graph, read_sources
from tests.private_names import private_names
from tests.process_state import changed_containers, rebound_names

pytestmark = pytest.mark.unmeasured

PACKAGE = pathlib.Path(jitload.__file__).parent

CONTRIBUTING = PACKAGE.parent / "CONTRIBUTING.md"
# Lower rooms first, as the table says that people read.
ROOMS = re.findall(r"^\| `(\w+)` \|", CONTRIBUTING.read_text(), re.MULTILINE)
# Names of modules that had to go on being importable; and what `python -m jitload` runs.
NO_ROOMS = {"__init__", "__main__", "cache", "lookup", "pipeline"}
# The same within the executor.
CPU_TIERS = (
    {"types"},
    {"faults", "text", "lanes", "isa"},
    {"memory"},
    {"code"},
    {"emit"},
    {"kernel_code"},
    {"limits"},
    {"run"},
    {"checks", "native", "profile"},
    {"function"},
    {"module"},
)
CPU_TIER_OF = {room: number for number, rooms in enumerate(CPU_TIERS) for room in rooms}
# Only this file may import what stands beside it.
ONLY_IMPORTER = {
    "cuda.bindings.driver": {"cuda/driver.py"},
    "cuda.bindings.nvrtc": {"compiler/nvrtc.py"},
    "diskcache": {"tiers/index.py"},
    "obstore": {"tiers/remote/object_store.py"},
    "redis": {"tiers/remote/redis_store.py"},
    "typer": {"cli"},
    "rich": {"cli"},
    "tvm_ffi": {"interop"},
    "torch": {"interop/torch.py"},
    "jax": {"interop/jax.py"},
    "cuda.core": {"artifact.py", "interop/cuda_core.py"},
    "cupy": {"interop/cupy.py"},
    "triton": {"interop/triton.py"},
    "cryptography": {"trust/ed25519.py"},
    "distributed": {"batch/cluster.py"},
    "jinja2": {"report/render.py"},
    "llvmlite": {"cpu/native/machine.py"},
    "cuda.pathfinder": {"compiler/fatbin.py", "compiler/nvrtc.py"},
    "cuda.bindings.nvjitlink": {"compiler/nvjitlink.py"},
    "tomli": {"batch/plan.py"},
    "tomllib": {"batch/plan.py"},  # foreign to Python 3.10
}
# What every room may import: the arrays of callers, and what type checkers alone read.
FOR_ALL = {"numpy", "typing_extensions"}


def room_of(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@functools.lru_cache(maxsize=1)  # a test asks several things of one file
def nodes_of(text: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(text)))


@functools.cache  # every test of the doors asks for all files
def imported_modules(path: pathlib.Path, *, at_runtime: bool) -> set[str]:
    """The dotted names a file imports; with `at_runtime`, without those under `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    if at_runtime:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                skipped.update(descendant for child in node.body for descendant in ast.walk(child))
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update({f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)})
        elif isinstance(node, ast.Call) and imports_by_name(node):
            found.add(ast.literal_eval(node.args[0]))
    return found


def imports_by_name(call: ast.Call) -> bool:
    """Whether this is `lazy("name")` or `import_module("name")`."""
    names = {"lazy", "import_module"}
    by_name = isinstance(call.func, ast.Name) and call.func.id in names and len(call.args) == 1
    return by_name and isinstance(call.args[0], ast.Constant)


def imports_in_functions(text: str) -> list[int]:
    """The lines of the import statements that stand in functions."""
    functions = functions_of(text)
    inside = [node for function in functions for node in ast.walk(function)]
    return sorted({node.lineno for node in inside if isinstance(node, (ast.Import, ast.ImportFrom))})


def lazy_modules(text: str) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Of every `if TYPE_CHECKING: ... else:` that has a `lazy`: name -> module, as checkers read it and as it runs."""
    found = []
    for node in nodes_of(text):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            continue
        runs = {
            ast.unparse(made.targets[0]): ast.literal_eval(made.value.args[0])
            for made in node.orelse
            if isinstance(made, ast.Assign) and isinstance(made.value, ast.Call) and imports_by_name(made.value)
        }
        read = {}
        for statement in node.body:
            if isinstance(statement, ast.Import):
                read.update({alias.asname or alias.name: alias.name for alias in statement.names})
            elif isinstance(statement, ast.ImportFrom):
                read.update(
                    {alias.asname or alias.name: f"{statement.module}.{alias.name}" for alias in statement.names}
                )
        if runs:
            found.append((read, runs))
    return found


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    """In the order of the table in CONTRIBUTING.md; for type checkers and in functions too."""
    room = room_of(path)
    if room in NO_ROOMS:
        return
    for name in imported_modules(path, at_runtime=False):
        parts = name.split(".")
        if parts[0] == "jitload" and len(parts) > 1 and parts[1] in ROOMS:
            assert ROOMS.index(parts[1]) <= ROOMS.index(room), f"{path} imports {name}, which is upstairs"


@pytest.mark.parametrize("path", [path for path in SOURCES if room_of(path) == "cpu"], ids=lambda p: p.stem)
def test_imports_within_the_executor_go_one_way(path):
    relative = path.relative_to(PACKAGE / "cpu")
    if relative.name == "__init__.py" and len(relative.parts) == 1:
        return
    room = relative.parts[0].removesuffix(".py")
    for name in imported_modules(path, at_runtime=False):
        parts = name.split(".")
        if parts[:2] != ["jitload", "cpu"] or len(parts) == 2:
            continue
        assert CPU_TIER_OF[parts[2]] <= CPU_TIER_OF[room], f"{path} imports {name}: upstairs"


def circles_in(sources: dict[str, str]) -> set[str]:
    """Of all modules; each as the names behind "jitload."."""
    found = circles(import_graph(sources))
    return {" ".join(sorted(name.removeprefix("jitload.") for name in circle)) for circle in found}


def test_no_circle_of_imports():
    """Also by imports in functions, for type checkers, and by names in texts."""
    assert circles_in(read_sources(PACKAGE)) == set()


@pytest.mark.parametrize(
    ("lower", "line"),
    [
        ("errors", "from jitload.jit import jit_kernel"),
        ("digest", "def late():\n    from jitload.tiers.disk import DiskTier"),
        ("lazy", "disk = lazy('jitload.tiers.disk')"),
        ("values", "if TYPE_CHECKING:\n    from jitload.artifact import Artifact"),
        ("forks", "import_module('jitload.cpu.memory.arena')"),
        ("cpu.memory.access", "if TYPE_CHECKING:\n    from jitload.cpu.run.batch import Batch"),
        ("cpu.run.batch", "if TYPE_CHECKING:\n    from jitload.cpu.run.observer import Observer"),
        ("cpu.code.registers", "if TYPE_CHECKING:\n    from jitload.cpu.run.frame import Frame"),
        ("cpu.run.observer", "def late():\n    from jitload.cpu.checks import make_checks"),
        ("cpu.emit.address", "def late():\n    from jitload.cpu.emit.copy import emit"),
        ("cpu.lanes.product", "if TYPE_CHECKING:\n    from jitload.cpu.code.block_code import MeetingCode"),
        ("cpu.profile.table", "if TYPE_CHECKING:\n    from jitload.cpu.profile.report import CpuProfile"),
    ],
)
def test_an_import_upwards_closes_a_circle(lower, line):
    """The test above sees every way to write an import."""
    sources = read_sources(PACKAGE)
    before = circles_in(sources)
    sources[f"jitload.{lower}"] += f"\n\n{line}\n"
    assert any(lower in circle.split() for circle in circles_in(sources) - before)


def test_every_room_is_in_the_table_and_no_other():
    assert {room_of(path) for path in SOURCES} - NO_ROOMS == set(ROOMS)
    assert len(ROOMS) == len(set(ROOMS))


def test_no_two_rooms_of_devices_know_each_other():
    for path in SOURCES:
        if room_of(path) in {"cuda", "cpu"}:
            other = {"cuda": "jitload.cpu", "cpu": "jitload.cuda"}[room_of(path)]
            assert not any(name.startswith(other) for name in imported_modules(path, at_runtime=True)), path


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_stand_at_the_top(path):
    """What start-up is not to pay for is a `lazy` there, which a type checker reads as the import that it stands for."""
    text = path.read_text()
    late = imports_in_functions(text)
    assert late == [], f"{path}: imports in functions; name the module at the top, by jitload.lazy where it costs"
    for read, runs in lazy_modules(text):
        assert runs.items() <= read.items(), path
    calls = [node.func for node in nodes_of(text) if isinstance(node, ast.Call)]
    loads = sum(isinstance(called, ast.Name) and called.id == "lazy" for called in calls)
    assert loads == sum(len(runs) for _, runs in lazy_modules(text)), f"{path}: a lazy that checkers do not see"


@pytest.mark.parametrize("module", ONLY_IMPORTER)
def test_foreign_packages_have_one_door(module):
    allowed = ONLY_IMPORTER[module]
    for path in SOURCES:
        names = imported_modules(path, at_runtime=False)
        if any(name == module or name.startswith(f"{module}.") for name in names):
            relative = str(path.relative_to(PACKAGE))
            assert relative in allowed or relative.split("/", maxsplit=1)[0] in allowed, f"{relative} imports {module}"


def test_every_foreign_package_has_its_door_in_the_list():
    found = {name for path in SOURCES for name in imported_modules(path, at_runtime=False)}
    foreign = {name for name in found if name.partition(".")[0] not in {*sys.stdlib_module_names, *FOR_ALL, "jitload"}}
    behind = {name for name in foreign for door in ONLY_IMPORTER if f"{name}.".startswith(f"{door}.")}
    above = {name for name in foreign for door in ONLY_IMPORTER if door.startswith(f"{name}.")}
    assert foreign - behind - above == set()


def test_only_one_file_reads_the_environment():
    for path in SOURCES:
        text = path.read_text()
        if path != PACKAGE / "settings" / "environment.py":
            assert "os.environ" not in text, path
            assert "getenv" not in text, path


#: What a module keeps for the whole process, apart from `functools` caches and locks of `forks`; all else belongs to a
#: session (`session_part`), or to an object that somebody holds.
REBOUND = {
    "config.py sync_seen": "native code reads it at every launch, as a variable of the module",
    "events.py listeners": "read at every launch and look-up: as a variable it costs nothing while nobody listens",
    "loader/registry.py _peer": "loaders are the process's, as tvm-ffi's are",
}
CHANGED = {
    "batch/farmhand.py _idle": "a worker's compiler processes",
    "batch/farmhand.py _timers": "a worker's compiler processes",
    "batch/farmhand.py _worked": "a worker's compiler processes",
    "bundles/nearest.py _programs": "memo of verified bundles, by content",
    "bundles/trust.py _verified": "memo of verified signatures, by content",
    "cpu/code/instruction.py EMITTERS": "filled while emitters are imported, never after that",
    "cpu/code/instruction.py _NARROWED": "filled while emitters are imported, never after that",
    "cpu/native/machine.py _left": "engines of LLVM, whose lock is the process's",
    "cuda/driver.py _primary": "contexts are the process's",
    "cuda/memory.py _landings": "page-locked memory, by context",
    "cuda/memory.py _pools": "device memory, by context",
    "door.py _requests": "memo of requests, by everything that they are made of",
    "forks.py resets": "a fork is the process's",
    "forks.py _short": "a fork is the process's",
    "headers/search.py _scanned": "memo of headers, by content",
    "launch/arrays.py _homes": "memo by type",
    "launch/opaque.py _waiting": "code that torch, which is the process's, was not told of",
    "launch/elements.py _of_torch": "memo of torch's dtypes",
    "launch/latest.py _by_stream": "what runs on a GPU is the process's",
    "launch/latest.py _launches": "what runs on a GPU is the process's",
    "launch/numbers.py _readers": "memo by type",
    "loader/registry.py _registrations": "loaders are the process's, as tvm-ffi's are",
    "loader/system.py _libraries": "symbols are the process's, as the dynamic linker's are",
    "loader/system.py _roots": "symbols are the process's, as the dynamic linker's are",
    "loader/system.py _table": "symbols are the process's, as the dynamic linker's are",
    "log.py said": "the logger is the process's",
    "settings/environment.py _last_seen": "the environment is the process's",
    "settings/environment.py _settled": "memo by variable, text and HOME: a relative path means one place for ever",
    "tiers/lookup.py _keys": "memo of keys, by everything that they are made of",
    "tiers/remote/deadline.py _here": "threads that are given up on are the process's",
    "tiers/remote/deadline.py _running": "threads that are given up on are the process's",
    "workloads/record.py _to_tidy": "files are the process's",
    "workloads/record.py _written": "files are the process's",
}


@pytest.mark.parametrize(("find", "known"), [(rebound_names, REBOUND), (changed_containers, CHANGED)])
def test_what_is_kept_for_the_process_is_known_with_its_reason(find, known):
    found = {f"{path.relative_to(PACKAGE)} {name}" for path in SOURCES for name in find(path.read_text())}
    assert found - known.keys() == set(), "keep it in a session_part, a functools.cache or an object"
    assert known.keys() - found == set(), "it is gone: take it off the list"


@pytest.mark.parametrize(
    ("find", "line"),
    [
        (rebound_names, "    global kept"),
        (changed_containers, "    kept.append(1)"),
        (changed_containers, "    kept[1] = 2"),
        (changed_containers, "    del kept[1]"),
        (changed_containers, "    (lambda: kept.clear())()"),
    ],
)
@pytest.mark.parametrize("made", ["kept = []", "kept: dict = {}", "kept = weakref.WeakKeyDictionary()", "kept = set()"])
def test_state_of_the_process_is_seen(find, line, made):
    assert find(f"{made}\n\n\ndef change():\n{line}\n") == {"kept"}


def test_tests_use_what_others_may_use():
    """None reaches into what is a module's own affair: is there a public way, or should there be one?"""
    tests = pathlib.Path(__file__).parent
    found = {str(path.relative_to(tests)): private_names(path.read_text()) for path in tests.rglob("*.py")}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "line",
    ["log._said.clear()", "kernel._bound", "from jitload.log import _said", 'monkeypatch.setattr(log, "_said", set())'],
)
def test_private_names_are_seen(line):
    assert len(private_names(f"{line}\n")) == 1
    assert private_names("class Own:\n    def f(self):\n        self._x = self._y\n\n\nOwn()._x\nos._exit(0)\n") == []


def test_no_pickle_anywhere():
    for path in SOURCES:
        assert not imported_modules(path, at_runtime=False) & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}


def test_tests_have_one_hypothesis_profile():
    """Two would be in force in the order of imports: whether a test has a deadline then depends on its neighbours."""
    tests = pathlib.Path(__file__).parent
    others = [path for path in tests.rglob("*.py") if path not in {tests / "conftest.py", pathlib.Path(__file__)}]
    assert [path for path in others if "load_profile" in path.read_text()] == []
    assert [path for path in others if "deadline=" in path.read_text()] == []


def run_python(code: str, *arguments: object, **environment: str) -> str:
    import os

    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **environment}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=env, capture_output=True, text=True, check=True
    ).stdout


def test_importing_jitload_loads_nothing_heavy():
    """No numpy, no CUDA binding, none of the slow parts of the standard library."""
    loaded = json.loads(run_python("import sys, json, jitload; print(json.dumps(sorted(sys.modules)))"))
    plain = json.loads(run_python("import sys, json; print(json.dumps(sorted(sys.modules)))"))
    assert set(loaded) - set(plain) <= {"jitload", "__future__"}


def test_importing_jitload_makes_no_directory_and_reads_no_environment(tmp_path):
    """Seen by an audit hook and a watched environment, in a process of its own."""
    code = """
import os, sys, json
events, read = [], []
class Watched(dict):
    def __getitem__(self, key): read.append(key); return dict.__getitem__(self, key)
    def get(self, key, default=None): read.append(key); return dict.get(self, key, default)
sys.addaudithook(lambda name, args: events.append([name, str(args[:1])]) if name in {"os.mkdir", "os.putenv"} else None)
os.environ._data = Watched(os.environ._data)
import jitload
print(json.dumps([events, [str(key) for key in read if b"JITLOAD" in key or key in (b"HOME", b"XDG_CACHE_HOME")]]))
"""
    events, read = json.loads(run_python(code, HOME=str(tmp_path), JITLOAD_CACHE_DIR=str(tmp_path / "cache")))
    assert [event for event in events if "__pycache__" not in event[1]] == []
    assert read == []
    assert list(tmp_path.iterdir()) == []


def test_a_hit_needs_neither_numpy_nor_nvrtc_nor_the_slow_imports(tmp_path):
    """A new process takes a compiled kernel from the disk without the compiler, numpy, dataclasses or logging."""
    code = """
import sys
before = set(sys.modules)
import jitload
artifact = jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', kind="cubin", arch="sm_80")
jitload.Cache.default().flush()  # as a process does at its end
loaded = sorted(set(sys.modules) - before)
stats = jitload.stats()
import json
print(json.dumps([loaded, stats.compiles, stats.hits["disk"]]))
"""
    env = {"JITLOAD_CACHE_DIR": str(tmp_path / "cache")}
    _, compiles, _ = json.loads(run_python(code, **env))
    assert compiles == 1
    modules, compiles, disk_hits = json.loads(run_python(code, **env))
    assert (compiles, disk_hits) == (0, 1)
    heavy = {"numpy", "dataclasses", "typing", "logging", "pathlib", "diskcache", "sqlite3", "inspect"}
    light = {"threading", "weakref", "binascii", "math", "re", "json", "hashlib", "_hashlib", "jitload.files.atomic"}
    not_asked_for = {
        f"jitload.{name}" for name in ("headers.roots", "headers.search", "source.options", "source.definitions")
    }
    assert not (heavy | light | not_asked_for) & set(modules)
    assert not [name for name in modules if name.startswith("cuda.")]


HITS = """
import json, sys
before = set(sys.modules)
import jitload
def kernel(number):
    return '#include "zero.h"\\nextern "C" __global__ void k(int *x) { *x = ZERO + %d; }' % number
asked = dict(kind="cubin", arch="sm_80", include_dirs=[sys.argv[4]], options=["-lineinfo"], defines={"ONE": 1})
if sys.argv[2] == "make":
    with jitload.Session(cache_dir=sys.argv[3]):
        jitload.Bundle.create(sys.argv[1], [jitload.CompileRequest(kernel(2), **asked)])
    jitload.compile(kernel(1), **asked)
else:
    with jitload.Session():
        jitload.use_bundle(sys.argv[1], trust="unsigned")
        for number in (1, 2):
            jitload.compile(kernel(number), **asked)
        hits = jitload.stats().hits
        assert hits["disk"] == hits["bundle"] == 1, hits
        jitload.Cache.default().flush()  # as a process does at its end
    import jitload.loader.registry  # where the bytes go
    print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_only_files_that_a_hit_loads_do_without_typing(tmp_path):
    """A process that hits, from the disk or a bundle, looks for a loader and ends does not import `typing`; there `TYPE_CHECKING = False` stands for its own.

    Nor does it where there is a remote, which it has no need of.
    """
    environment = {"JITLOAD_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "zero.h").write_text("#define ZERO 0\n")
    run_python(HITS, tmp_path / "b.jlb", "make", tmp_path / "other", tmp_path, **environment)
    environment["JITLOAD_REMOTE"] = "redis://127.0.0.1:1"
    loaded = set(json.loads(run_python(HITS, tmp_path / "b.jlb", "use", "", tmp_path, **environment)))
    assert not {"typing", "redis", "jitload.tiers.remote.tier"} & loaded
    names = {path: name for name, path in module_paths().items()}
    by_hand = {names[path] for path in SOURCES if "\nTYPE_CHECKING = False\n" in path.read_text()}
    assert by_hand - loaded - {"jitload"} == set()


def module_paths() -> dict[str, pathlib.Path]:
    """Dotted name -> file."""
    found = {}
    for path in SOURCES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


#: The word `Any` in the package, as it was counted last: less is better, and the bound then goes down with it.
MOST_ANY = 235


def test_any_is_for_what_is_not_known():
    """A user's value is Any, and what a library without types gives; what a room hands to another has a type."""
    files = [*SOURCES, *PACKAGE.rglob("*.pyi")]
    assert sum(len(re.findall(r"\bAny\b", path.read_text())) for path in files) <= MOST_ANY


#: What a file and a function may have: lines in all, and lines of code behind the signature and the docstring.
MOST_LINES, MOST_CODE = 330, 40
#: Those that have more, with what they may have, which only becomes less.
LONG_FILES = {
    "cpu/checks/race.py": (370, "one check"),
    "cpu/memory/arena.py": (400, "one table of allocations, and what may be done with it"),
    "tiers/index.py": (345, "the only importer of diskcache"),
    "tiers/remote/redis_store.py": (340, "the only importer of redis"),
}
LONG_FUNCTIONS = {
    "cpu/isa/floats.py _extremes": (41, "a table of forms"),
    "cpu/isa/memory.py _atomics": (46, "a table of forms"),
}


def code_lines(function):
    """How many lines of code a function has behind its signature and docstring."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def functions_of(text):
    return [node for node in nodes_of(text) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def check_lengths(lengths, most, known):
    """Nothing, where what is longer than most is in the table, and no longer than there."""
    for name, length in lengths.items():
        limit = known[name][0] if name in known else most
        assert length <= limit, f"{name} has {length} lines, {limit} are the most: do two ideas share a room?"
    for name, (limit, _) in known.items():
        assert lengths.get(name, 0) > most, f"{name} is not long any more: take it off the list"
        assert lengths[name] > limit - 20, f"{name} has {lengths[name]} lines now: say so in the list"


def test_files_are_about_one_idea():
    check_lengths(
        {str(path.relative_to(PACKAGE)): path.read_text().count("\n") for path in SOURCES}, MOST_LINES, LONG_FILES
    )


def test_functions_are_short():
    lengths: dict[str, int] = {}
    for path in SOURCES:
        for function in functions_of(path.read_text()):
            name = f"{path.relative_to(PACKAGE)} {function.name}"
            lengths[name] = max(lengths.get(name, 0), code_lines(function))
    check_lengths(lengths, MOST_CODE, LONG_FUNCTIONS)


@pytest.mark.parametrize(
    ("lines", "known"), [(41, {}), (46, {"f": (45, "")}), (20, {"f": (45, "")}), (None, {"f": (45, "")})]
)
def test_what_is_too_long_or_not_any_more_is_seen(lines, known):
    with pytest.raises(AssertionError):
        check_lengths({} if lines is None else {"f": lines}, 40, known)
    check_lengths({"f": 45}, 40, {"f": (45, "")})


def test_signature_and_docstring_are_no_code():
    (function,) = functions_of(
        'def f(\n    a,\n    b,\n):\n    """It.\n\n    More.\n    """\n    a = b\n\n    return a\n'
    )
    assert code_lines(function) == 3


def test_the_gate_runs_whatever_asks_for_a_framework():
    """What skips where torch, JAX, Triton or CuPy is missing runs in the one stage that has them, or nowhere."""
    root = PACKAGE.parent
    stage = (root / ".ci/run").read_text().partition('stage "frameworks"')[2].partition("\nstage ")[0]
    named = re.findall(r"tests/\S+", stage)
    run = subprocess.run(
        ["bash", "-c", f"echo {' '.join(named)}"], cwd=root, capture_output=True, text=True, check=True
    )
    asks = re.compile(r"""(?:framework|importorskip)\("(?:torch|jax|triton|cupy)""")
    asking = {
        str(path.relative_to(root)) for path in (root / "tests").rglob("test_*.py") if asks.search(path.read_text())
    }
    assert len(asking) > 5
    assert asking <= {*run.stdout.split()}
