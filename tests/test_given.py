"""Whatever is given to a public function in the place of what it takes: the answer is an error of ours, or none."""

from __future__ import annotations

import os

import pytest

import jitload
from jitload.settings.option import OPTIONS

SOURCE = 'extern "C" __global__ void k(int *x) { x[0] = 1; }'
CONFIGURED = [option.name for option in OPTIONS if option.takes]
JUNK = [None, 3, -1, True, 1.5, b"x", "x", "", "a\0b", [1], ["\0"], (), {"a": 1}, object()]


def declared(x): ...


def kernel(**options):
    return jitload.jit_kernel(**{"source": SOURCE, "entry": "k", **options})(declared)


def request():
    return jitload.CompileRequest(SOURCE, kind="ptx", arch="compute_75")


def compiled(**options):
    return jitload.compile(
        **{"source": SOURCE, "kind": "ptx", "arch": "compute_75", "cache": jitload.Cache(), **options}
    )


def configure(**options):
    with jitload.configure(**options):
        pass


#: What is called -> the call, with the thing that does not belong there.
CALLS = {
    **{f"compile {name}": lambda junk, name=name: compiled(**{name: junk}) for name in ("source", "name", "kind", "arch", "options", "include_dirs", "headers", "defines", "names", "cache")},
    **{f"jit_kernel {name}": lambda junk, name=name: kernel(**{name: junk}).request() for name in ("entry", "kind", "arch", "options", "include_dirs", "headers", "defines")},
    "jit_kernel source": lambda junk: jitload.jit_kernel(source=junk)(declared),
    "jit_kernel file": lambda junk: jitload.jit_kernel(file=junk)(declared).request(),
    "jit_kernel cache": lambda junk: kernel(cache=junk).artifact(),
    "jit_kernel specialize": lambda junk: kernel().specialize(T=junk),
    "launch index": lambda junk: kernel()[junk](1),
    "launch argument": lambda junk: kernel()(junk, grid=1, block=1),
    **{f"launch {name}": lambda junk, name=name: kernel()(**{"x": 1, "grid": 1, "block": 1, name: junk}) for name in ("grid", "block", "shared_bytes", "cluster", "stream")},
    **{f"configure {name}": lambda junk, name=name: configure(**{name: junk}) for name in CONFIGURED},
    "Artifact.open": jitload.Artifact.open,
    "Artifact.save": lambda junk: compiled().save(junk),
    "Bundle.create items": lambda junk: jitload.Bundle.create("b.jlb", junk, cache=jitload.Cache()),
    "Bundle.create path": lambda junk: jitload.Bundle.create(junk, [request()], cache=jitload.Cache()),
    "Bundle.open": jitload.Bundle.open,
    "Cache directory": jitload.Cache,
    "Cache layers": lambda junk: jitload.Cache("c", layers=junk),
    "Cache max_bytes": lambda junk: jitload.Cache("c", max_bytes=junk),
    "Cache.explain": lambda junk: jitload.Cache().explain(junk),
    "Cache.gc": lambda junk: jitload.Cache("c").gc(junk),
    "Cache.get": lambda junk: jitload.Cache("c").get(junk),
    "cpu_profile": lambda junk: jitload.cpu_profile(junk, 1),
    "create_module code": lambda junk: jitload.create_module("ptx", junk),
    "create_module functions": lambda junk: jitload.create_module("ptx", compiled().data, functions=junk),
    "create_module kind": lambda junk: jitload.create_module(junk, b""),
    "explain": jitload.explain,
    "load_module": jitload.load_module,
    "load_module_from_bytes data": lambda junk: jitload.load_module_from_bytes("ptx", junk),
    "load_module_from_bytes kind": lambda junk: jitload.load_module_from_bytes(junk, b""),
    "load_whole_module": jitload.load_whole_module,
    "module": lambda junk: compiled().load()[junk],
    "module import": lambda junk: compiled().load().import_module(junk),
    "on_event": jitload.on_event,
    "pack_module": jitload.pack_module,
    "precompile": lambda junk: jitload.precompile(junk, cache=jitload.Cache()),
    "precompile archs": lambda junk: jitload.precompile([kernel()], junk, cache=jitload.Cache(), jobs=1) if junk is not None else None,
    "precompile cache": lambda junk: jitload.precompile([], cache=junk),
    "precompile item": lambda junk: jitload.precompile([junk], cache=jitload.Cache()),
    "precompile jobs": lambda junk: jitload.precompile([], jobs=junk),
    "precompile kinds": lambda junk: jitload.precompile([], "sm_80", kinds=junk),
    "record": lambda junk: jitload.record(junk).__enter__().__exit__(None, None, None),
    "register_loader kind": lambda junk: jitload.register_loader(junk, declared),
    "register_loader loader": lambda junk: jitload.register_loader("of junk", junk, override=True),
    "register_system_symbol": lambda junk: jitload.register_system_symbol("of junk", junk),
    "request.replace": lambda junk: request().replace(arch=junk),
    "stop_bundle": jitload.stop_bundle,
    "system_lib": jitload.system_lib,
    "unregister_loader": jitload.unregister_loader,
    "use_bundle": jitload.use_bundle,
}  # fmt: skip
#: A file that is not there, or a directory in its place, is an OSError as everywhere.
TAKES_FILES = {"Artifact.open", "Artifact.save", "Bundle.create path", "load_module", "record", "jit_kernel file"}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_what_does_not_belong_there_is_an_error_of_ours(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = []
    with jitload.configure(device="cpu"):
        for junk in JUNK:
            try:
                CALLS[name](junk)
            except jitload.JitloadError as error:
                texts.append(str(error))
            except OSError:
                assert name in TAKES_FILES
                assert isinstance(junk, str)
            finally:
                for listening in (*jitload.events.listeners,):
                    listening.remove()
                for kind in {"x", "a\0b", "of junk"} & set(jitload.registered_kinds()):
                    jitload.unregister_loader(kind)
    assert all(texts)


@pytest.mark.parametrize(
    "call", [jitload.Artifact.open, jitload.load_module, jitload.Bundle.open], ids=lambda c: c.__qualname__
)
def test_a_number_is_no_path_and_its_file_descriptor_stays_open(call, tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(jitload.UsageTypeError, match=r"path \(str or os\.PathLike\), got int"):
        call(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compiled(cache="dir"), r"cache is a jitload\.Cache, got str: write jitload\.Cache\(directory\)"),
        (lambda: kernel(cache="dir"), r"cache is a jitload\.Cache, got str"),
        (lambda: jitload.precompile("k.cu"), r"requests is a list, got str: write \['k\.cu'\]"),
        (lambda: jitload.Cache("c", layers="other"), r"layers is a list, got str: write \['other'\]"),
        (lambda: jitload.precompile([], jobs=0), r"jobs=0: at least one is needed"),
        (lambda: jitload.precompile([], jobs=True), r"jobs is a whole number, got True"),
        (lambda: jitload.Cache("a\0b"), r"directory='a\\x00b' is not a path"),
        (
            lambda: jitload.precompile([kernel()], 90),
            r"archs and kinds are text like 'sm_80,sm_90' or lists of it, got int",
        ),
        (
            lambda: jitload.precompile([kernel()], []),
            r"archs is empty: write e\.g\. archs=\['sm_90'\], or leave it out",
        ),
        (lambda: jitload.precompile([kernel()], "sm_80", kinds=[]), r"kinds is empty: write e\.g\. kinds=\['cubin'\]"),
        (lambda: jitload.precompile([kernel()], {"sm_80": 1}), r"archs and kinds are text .*, got dict"),
        (lambda: jitload.precompile({kernel(): 1}), r"requests is a list, got dict"),
        (
            lambda: compiled(options={"--use_fast_math": True}),
            r"options is a str or .*, got dict: write \['--name=value'",
        ),
        (lambda: kernel(options={"-G": None}).request(), r"options is a str or a list of them, got dict"),
        (lambda: compiled(include_dirs={".": 1}), r"include_dirs is a list, got dict"),
        (lambda: compiled(names={"k": 1}), r"names is a list, got dict"),
        (lambda: jitload.Cache(layers={"a": 1}), r"layers is a list, got dict"),
        (lambda: jitload.Cache("c", read_only="no"), r"read_only is True or False, got 'no'"),
        (lambda: jitload.seal("no"), r"sealed is True or False, got 'no'"),
        (lambda: compiled(isolate=1), r"isolate is True or False, got 1"),
        (lambda: jitload.register_loader("of junk", override="no"), r"override is True or False"),
        (lambda: jitload.Bundle.create("b.jlb", [kernel()], with_workload="no"), r"with_workload is True or False"),
    ],
)
def test_the_error_says_what_is_taken(call, message):
    with pytest.raises(jitload.UsageError, match=message):
        call()
