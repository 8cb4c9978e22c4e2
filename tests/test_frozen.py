"""`Value`: frozen, compared by its fields, and picklable."""

from __future__ import annotations

import copy
import pickle

import pytest

from jitload.frozen import Makers, Value


class Point(Value):
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self._set(x=x, y=y)

    @classmethod
    def quick(cls):
        return cls._maker()


class Other(Value):
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self._set(x=x, y=y)


def test_equality_and_hash_go_by_type_and_fields():
    assert Point(1, 2) == Point(1, 2)
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert Point(1, 2) != Point(2, 1)
    assert Point(1, 2) != Other(1, 2)
    assert Point(1, 2) != (1, 2)
    assert len({Point(1, 2), Point(1, 2), Other(1, 2)}) == 2


def test_frozen():
    point = Point(1, 2)
    with pytest.raises(AttributeError, match="Point is frozen: 'x' cannot be set"):
        point.x = 3
    with pytest.raises(AttributeError, match="Point is frozen: 'y' cannot be deleted"):
        del point.y
    with pytest.raises(AttributeError):
        point.z = 3
    assert point == Point(1, 2)


def test_a_maker_gives_instances_like_any_other():
    point = Point.quick()(x=1, y="a")
    assert type(point) is Point
    assert point == Point(1, "a")
    assert repr(point) == "Point(x=1, y='a')"
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 3
    with pytest.raises(AttributeError, match="frozen"):
        del point.y
    with pytest.raises(TypeError):
        Point.quick()(1)


def test_a_maker_is_made_when_one_is_first_asked_for_and_no_more():
    asked = []

    class Counted(Value):
        __slots__ = ("x", "y")

        @classmethod
        def _maker(cls):
            asked.append(cls)
            return super()._maker()

    make = Makers()
    assert asked == []
    assert [make[Counted](x=at, y=2).x for at in (1, 3)] == [1, 3]
    assert asked == [Counted]
    assert make[Other](x=1, y=2) == Other(1, 2)


def test_repr_shows_the_fields():
    assert repr(Point(1, "a")) == "Point(x=1, y='a')"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_and_pickles(again):
    assert again(Point(1, [2])) == Point(1, [2])
