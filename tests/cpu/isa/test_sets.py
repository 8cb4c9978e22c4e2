"""What docs/cpu.md names, the rows, and the rows that a model is asked of are the same."""

from __future__ import annotations

from jitload.cpu.isa.registry import families
from tests.cpu.isa import (
    models,
    test_accesses,
    test_matrices,
    test_meetings,
    test_models,
    test_nothing,
    test_scenes,
    test_tensor_moves,
    test_tensor_products,
    test_tensors,
    test_texels,
    test_videos,
)
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows]
ASKED = {
    "value": test_models.ROWS,
    "access": test_accesses.ROWS,
    "meeting": test_meetings.ROWS,
    "matrix": test_matrices.ROWS,
    "video": test_videos.ROWS,
    "scene": test_scenes.ROWS,
    "bulk": test_tensors.BULK,
    "tensor": test_tensors.COPIES + test_tensors.MAPS,
    "texels": test_texels.ROWS,
    "tensor move": test_tensor_moves.ROWS,
    "tensor product": test_tensor_products.PRODUCTS,
    "tensor copy": test_tensor_products.COPIES,
    "nothing": test_nothing.ROWS,
}


def test_every_row_has_a_model_or_is_refused():
    bare = [row.spelled for row in ROWS if not row.refused and not way_of(row)]
    assert not bare, f"no model (how one is written says tests/cpu/isa/models.py, and which there are ways.py): {bare}"


def test_each_model_is_asked_by_one_test():
    asked = sorted(row.spelled for rows in ASKED.values() for row in rows)
    assert asked == sorted(row.spelled for row in ROWS if way_of(row))


def test_a_word_of_models_is_in_one_file():
    """Of two the model would have one, whichever is looked at last."""
    found = [
        word
        for file in (*models.FILES, models)
        for word, one in vars(file).items()
        if word[0] != "_" and getattr(one, "__module__", "") == file.__name__
    ]
    assert len(found) == len({*found}), sorted(word for word in {*found} if found.count(word) > 1)
