"""Nested structures. The expected results are those of TensorFlow 1.15.5."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple

import pytest

import millstream.v1 as tf
from millstream.core import nest

Pair = namedtuple("Pair", "b a")
Other = namedtuple("Other", "b a")


def test_flatten():
    assert tf.nest.flatten({"b": 1, "a": [2, (3, 4)], "c": Pair(5, 6)}) == [2, 3, 4, 1, 5, 6]
    assert tf.nest.flatten("abc") == ["abc"] and tf.nest.flatten([]) == [] and tf.nest.flatten(5) == [5]
    with pytest.raises(TypeError, match="sortable keys"):
        tf.nest.flatten({1: 2, "a": 3})


def test_is_nested():
    assert all(tf.nest.is_nested(value) for value in ([], (), {}, Pair(1, 2), range(3)))
    assert not any(tf.nest.is_nested(value) for value in ("a", b"a", 1, {1, 2}, None))


@pytest.mark.parametrize(
    "structure",
    [
        [1, (2, {"x": 3})],
        OrderedDict([("b", 1), ("a", [2, 3])]),
        Pair(1, [2]),
        defaultdict(int, b=1, a=2),
        7,
    ],
)
def test_pack_is_the_reverse_of_flatten(structure):
    packed = tf.nest.pack_sequence_as(structure, tf.nest.flatten(structure))
    assert packed == structure and type(packed) is type(structure)
    assert not isinstance(structure, dict) or list(packed) == list(structure)


@pytest.mark.parametrize(
    ("structure", "flat", "error", "message"),
    [
        ([1, 2], [7, 8, 9], ValueError, "Structure had 2 elements, but flat_sequence had 3 elements."),
        (1, [7, 8], ValueError, r"Structure is a scalar but len\(flat_sequence\) == 2 > 1"),
        ([1], 7, TypeError, "flat_sequence must be a sequence"),
    ],
)
def test_pack_errors(structure, flat, error, message):
    with pytest.raises(error, match=message):
        tf.nest.pack_sequence_as(structure, flat)


def test_map_structure():
    assert tf.nest.map_structure(lambda x, y: x + y, [1, (2, 3)], [4, (5, 6)]) == [5, (7, 9)]
    assert tf.nest.map_structure(max, [1, (2, 3)], [4, [5, 1]], check_types=False) == [4, (5, 3)]
    with pytest.raises(TypeError, match="func must be callable, got: 3"):
        tf.nest.map_structure(3, [1])
    with pytest.raises(ValueError, match="Must provide at least one structure"):
        tf.nest.map_structure(max)
    with pytest.raises(ValueError, match="Only valid keyword arguments are"):
        tf.nest.map_structure(max, [1], other=2)


@pytest.mark.parametrize(
    ("first", "second", "error", "message"),
    [
        (
            [1, 2],
            [1, [2]],
            ValueError,
            r'Substructure "type=list str=\[2\]" is a sequence, while substructure "type=int',
        ),
        ([1, 2], [1], ValueError, "The two structures don't have the same number of elements."),
        ({"a": 1}, {"b": 1}, ValueError, "The two dictionaries don't have the same set of keys."),
        ((1, 2), [1, 2], TypeError, "has type tuple, while second structure type=list"),
        (Pair(1, 2), Other(1, 2), TypeError, "The two namedtuples don't have the same sequence type."),
    ],
)
def test_different_structures(first, second, error, message):
    with pytest.raises(error, match=message) as caught:
        tf.nest.assert_same_structure(first, second)
    assert str(caught.value).startswith("The two structures don't have the same nested structure.\n\nFirst structure: ")


def test_equal_structures():
    tf.nest.assert_same_structure({"a": 1}, OrderedDict([("a", 2)]))
    tf.nest.assert_same_structure((1, 2), [1, 2], check_types=False)


def test_upper_parts():
    assert nest.flatten_up_to([1, [2, 3]], [[5, 6], [7, [8]]]) == [[5, 6], 7, [8]]
    assert nest.map_structure_up_to([1, 2], lambda a, b: (a, b), [[1], 2], [3, [4]]) == [([1], 3), (2, [4])]
    with pytest.raises(TypeError, match="If shallow structure is a sequence, input must also be a sequence."):
        nest.flatten_up_to([1], 3)
    with pytest.raises(ValueError, match="don't have the same sequence length"):
        nest.flatten_up_to([1, 2], [1, 2, 3])


def test_flatten_dict_items():
    assert nest.flatten_dict_items({(4, 5, (6, 8)): ("a", "b", ("c", "d"))}) == {4: "a", 5: "b", 6: "c", 8: "d"}
    with pytest.raises(ValueError, match="key 4 is not unique"):
        nest.flatten_dict_items({(4, 4): (1, 2)})
