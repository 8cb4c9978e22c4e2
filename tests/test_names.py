"""The public names: one list for readers, editors and type checkers, and the older paths that programs still name."""

from __future__ import annotations

import pathlib
import pkgutil
import runpy

import pytest

import jitload
from jitload import errors

PACKAGE = pathlib.Path(jitload.__file__).parent


def test_all_names_every_public_name():
    assert jitload.__all__ == sorted(jitload.__all__)
    assert not {"create_bundle", "load_artifact"} & set(jitload.__all__), "ways up from below are nobody's to use"
    for name in jitload.__all__:
        assert getattr(jitload, name) is not None


def test_editors_and_type_checkers_read_the_same_names():
    """`python .ci/write_stub.py` writes them, ruff puts the imports in its order."""
    written = runpy.run_path(str(PACKAGE.parent / ".ci/write_stub.py"))["stub"]()
    assert sorted((PACKAGE / "__init__.pyi").read_text().split()) == sorted(written.split())


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("bundles.workload.decode_workload", "workloads.workload.decode_workload"),
        ("cache.flight.single_flight", "tiers.flight.single_flight"),
        ("cache.tiers.Cache", "tiers.cache.Cache"),
        ("compiler.manifest.decode_manifest", "headers.record.decode_record"),
        ("compiler.request.CompileRequest", "source.request.CompileRequest"),
        ("loader.cubin.cubin_arch", "images.cubin.cubin_arch"),
        ("loader.images.verify_image", "images.check.verify_image"),
        ("lookup.explain", "inquiry.explain"),
        ("lookup.look_up", "inquiry.look_up"),
        ("pipeline.compile_request", "door.compile_request"),
        ("pipeline.look_up", "inquiry.look_up"),
    ],
)
def test_older_paths_that_programs_name_lead_to_the_same(older, newer):
    assert pkgutil.resolve_name(f"jitload.{older}") is pkgutil.resolve_name(f"jitload.{newer}")


def test_every_error_is_public():
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert classes <= set(jitload.__all__)
    assert all(getattr(jitload, name) is getattr(errors, name) for name in classes)
    roots = (errors.JitloadError, Warning)
    assert all(issubclass(getattr(errors, name), roots) for name in classes)
