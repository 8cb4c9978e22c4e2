"""Variables are called what people called them."""

from __future__ import annotations

import pytest

from jitload.cpu.text.names import plain_name


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("_ZZ6mirrorPKfPfE4tile", "tile"),
        ("_ZZ6reduceIfLi256EEvPT_E4part", "part"),
        ("_ZZ3fooILi1EEvvE1s", "s"),
        ("_ZN4ours5tableE", "table"),
        ("_ZL7weights", "weights"),
        ("_ZZ1kE2s2_0", "s2"),
        ("weights", "weights"),
        ("_Zebra", "_Zebra"),
        ("_ZZ", "_ZZ"),
        ("_ZZ99", "_ZZ99"),
    ],
)
def test_plain_name(symbol, name):
    assert plain_name(symbol) == name
