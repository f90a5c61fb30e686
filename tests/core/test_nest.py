"""Nested structures. The expected results are those of TensorFlow 1.15.5, for custom classes of 2.21."""

from __future__ import annotations

import dataclasses
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque, namedtuple

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
        Counter("aab"),
        ChainMap({"b": 1}, {"a": 2}),
        deque([1, [2]]),
        7,
    ],
)
def test_pack_is_the_reverse_of_flatten(structure):
    packed = tf.nest.pack_sequence_as(structure, tf.nest.flatten(structure))
    assert packed == structure and type(packed) is type(structure)
    assert not isinstance(structure, dict) or list(packed) == list(structure)


def test_what_cannot_be_made_of_children_becomes_a_list():
    mapping = {"b": 2, "a": 1}
    for view, expected in ((mapping.values(), [2, 1]), (mapping.items(), [("b", 2), ("a", 1)]), (range(2), [0, 1])):
        assert tf.nest.map_structure(lambda x: x, view) == expected


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


@dataclasses.dataclass
class Masked:
    """A custom structure with two children and fixed data."""

    mask: bool
    value: object
    weight: object = 1

    def __tf_flatten__(self):
        return (self.mask,), (self.value, self.weight)

    @classmethod
    def __tf_unflatten__(cls, data, children):
        return cls(data[0], *children)


@dataclasses.dataclass
class Plain:
    value: object


def test_custom_classes():
    masked = Masked(True, [2, 3], 4)
    assert tf.nest.is_nested(masked) and not tf.nest.is_nested(Plain(1))
    assert tf.nest.flatten([masked, Plain(1)]) == [2, 3, 4, Plain(1)]
    assert tf.nest.map_structure(lambda x: x + 1, masked) == Masked(True, [3, 4], 5)
    assert tf.nest.pack_sequence_as(masked, [7, 8, 9]) == Masked(True, [7, 8], 9)
    tf.nest.assert_same_structure(masked, Masked(False, [0, 0]))
    with pytest.raises(ValueError, match="is a sequence, while substructure"):
        tf.nest.assert_same_structure(masked, Masked(True, 2))
    with pytest.raises(TypeError, match="don't have the same sequence type"):
        tf.nest.assert_same_structure(masked, [[1, 2], 3])


def sparse(values, shape):
    return tf.SparseTensor([[0] * len(shape)], values, shape)


def test_composites():
    value = sparse([1.0], [2, 3])
    assert tf.nest.flatten([value]) == [value]
    parts = tf.nest.flatten([value], expand_composites=True)
    assert parts == [value.indices, value.values, value.dense_shape]
    packed = tf.nest.pack_sequence_as([value], parts, expand_composites=True)
    assert isinstance(packed[0], tf.SparseTensor) and packed[0].values is value.values
    specs = tf.nest.flatten(tf.SparseTensorSpec([2, 3]), expand_composites=True)
    assert [spec.dtype for spec in specs] == [tf.int64, tf.float32, tf.int64]
    assert tf.nest.flatten(tf.TensorSpec([2]), expand_composites=True) == [tf.TensorSpec([2])]


def test_composites_match_where_their_specs_have_a_common_supertype():
    value = sparse([1.0], [2, 3])
    for other in (sparse([2.0], [2, 4]), sparse([2.0], [2]), tf.SparseTensorSpec([2, 3])):
        tf.nest.assert_same_structure(value, other, expand_composites=True)
    with pytest.raises(ValueError, match="Incompatible CompositeTensor TypeSpecs: type=SparseTensorSpec str="):
        tf.nest.assert_same_structure(value, sparse([1], [2, 3]), expand_composites=True)
    with pytest.raises(ValueError, match="is a sequence, while substructure"):
        tf.nest.assert_same_structure([value], [3], expand_composites=True)


def test_paths():
    structure = {"b": [5, Pair(6, 7)], "a": 8}
    assert list(nest.flatten_with_paths(structure)) == [
        (("a",), 8), (("b", 0), 5), (("b", 1, "b"), 6), (("b", 1, "a"), 7)
    ]  # fmt: skip


def test_traverse_shallow_structure():
    structure = Pair([1, {"x": 2}], (3, 4))
    assert nest.get_traverse_shallow_structure(lambda part: True, structure) == Pair([True, {"x": True}], (True, True))
    assert nest.get_traverse_shallow_structure(lambda part: not isinstance(part, list), structure) == Pair(
        False, (True, True)
    )
    chosen = nest.get_traverse_shallow_structure(
        lambda part: Pair(True, False) if isinstance(part, Pair) else True, structure
    )
    assert chosen == Pair([True, {"x": True}], False)
    assert nest.map_structure_up_to(chosen, str, structure) == Pair(["1", {"x": "2"}], "(3, 4)")
    for said in (3, [True]):
        with pytest.raises(TypeError, match="traverse_fn returned"):
            nest.get_traverse_shallow_structure(lambda part, said=said: said if part == 1 else True, structure)
