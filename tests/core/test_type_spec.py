"""Type specs. The expected results are those of TensorFlow 2.21."""
from __future__ import annotations

import pickle

import numpy as np
import pytest

import millstream as tf

WIDE, NARROW = tf.TensorSpec([None, 2]), tf.TensorSpec([3, 2])
NAMED = tf.TensorSpec([3, 2], name="n")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (WIDE, "TensorSpec(shape=(None, 2), dtype=tf.float32, name=None)"),
        (tf.TensorSpec(None), "TensorSpec(shape=<unknown>, dtype=tf.float32, name=None)"),
        (tf.TensorSpec(3, "int32", "x"), "TensorSpec(shape=(3,), dtype=tf.int32, name='x')"),
        (tf.SparseTensorSpec([2, 3]), "SparseTensorSpec(TensorShape([2, 3]), tf.float32)"),
        (
            tf.IndexedSlicesSpec([3], tf.float64),
            "IndexedSlicesSpec(TensorShape([3]), tf.float64, tf.int64, None, TensorShape([None]))",
        ),
        (tf.NoneTensorSpec(), "NoneTensorSpec()"),
    ],
)
def test_repr_and_pickle(spec, text):
    assert repr(spec) == str(spec) == text
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec and hash(copy) == hash(spec) and {spec: 1}[copy] == 1


def test_equality():
    assert tf.TensorSpec((None, 2)) == WIDE and WIDE != NARROW and NARROW != NAMED and NARROW != 3
    assert tf.SparseTensorSpec([2]) != tf.TensorSpec([2]) and not tf.TensorSpec([2]) != tf.TensorSpec([2])


def test_subtypes():
    assert NARROW.is_subtype_of(WIDE) and not WIDE.is_subtype_of(NARROW) and not NARROW.is_subtype_of(3)
    assert NARROW.is_subtype_of(NAMED) and not NAMED.is_subtype_of(NARROW)
    assert tf.SparseTensorSpec([2, 4]).is_subtype_of(tf.SparseTensorSpec([2, None]))
    assert not tf.NoneTensorSpec().is_subtype_of(tf.TensorSpec([]))


def test_compatibility():
    assert WIDE.is_compatible_with(NARROW) and NAMED.is_compatible_with(NARROW)
    assert WIDE.is_compatible_with(tf.zeros([1, 2])) and not WIDE.is_compatible_with(tf.zeros([2]))
    assert not WIDE.is_compatible_with(np.zeros([1, 2], np.float32)) and not WIDE.is_compatible_with("s")
    assert tf.NoneTensorSpec().is_compatible_with(None)
    assert tf.SparseTensorSpec([2, 3]).is_compatible_with(tf.SparseTensor([[0, 0]], [1.0], [2, 3]))
    assert not tf.SparseTensorSpec([2, 3]).is_compatible_with(tf.SparseTensor([[0, 0]], [1], [2, 3]))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (NARROW, tf.TensorSpec([4, 2]), WIDE),
        (NARROW, tf.TensorSpec([4]), tf.TensorSpec(None)),
        (NARROW, tf.TensorSpec([3, 2], tf.int32), None),
        (NARROW, NAMED, None),
        (NAMED, tf.TensorSpec([5, 2], name="n"), tf.TensorSpec([None, 2], name="n")),
        (tf.SparseTensorSpec([2, 4]), tf.SparseTensorSpec([2, 3]), tf.SparseTensorSpec([2, None])),
        (tf.SparseTensorSpec([2, 4]), tf.SparseTensorSpec([2, 4], tf.int32), None),
        (tf.SparseTensorSpec([2, 4]), NARROW, None),
    ],
)
def test_supertypes(first, second, expected):
    assert first.most_specific_common_supertype([second]) == expected
    if expected is None:
        with pytest.raises(ValueError, match="No TypeSpec is compatible with both"):
            first.most_specific_compatible_type(second)
    else:
        assert first.most_specific_compatible_type(second) == expected


def test_specs_of_values():
    spec = tf.type_spec_from_value
    assert spec(tf.zeros([2])) == tf.TensorSpec([2]) and spec(np.zeros([2])) == tf.TensorSpec([2], tf.float64)
    assert spec(3) == tf.TensorSpec([], tf.int32) and spec("s") == tf.TensorSpec([], tf.string)
    assert spec([[1, 2], [3, 4.0]]) == tf.TensorSpec([2, 2]) and spec([]) == tf.TensorSpec([0])
    assert spec([tf.zeros([2]), tf.zeros([2])]) == tf.TensorSpec([2, 2])
    assert spec(None) == tf.NoneTensorSpec()
    assert spec(tf.SparseTensor([[0, 0]], [1], [2, 3])) == tf.SparseTensorSpec([2, 3], tf.int32)
    slices = tf.IndexedSlices(tf.zeros([2, 3]), tf.constant([0, 1]))
    assert spec(slices) == tf.IndexedSlicesSpec([None, 3], tf.float32, tf.int32, None, [2])
    for value in (object(), {}, ["a", 1], tf.TensorSpec([2])):
        with pytest.raises(TypeError, match="Could not build a TypeSpec for .* of unsupported type"):
            spec(value)


def test_spec_of_a_variable():
    spec = tf.type_spec_from_value(tf.Variable([1.0, 2.0]))
    assert repr(spec) == "VariableSpec(shape=(2,), dtype=tf.float32, trainable=True, alias_id=None)"


def test_specs_from_tensors_and_specs():
    assert tf.TensorSpec.from_tensor(tf.zeros([2]), "z") == tf.TensorSpec([2], name="z")
    assert tf.TensorSpec.from_tensor(tf.zeros([2])) == tf.TensorSpec([2])
    assert tf.TensorSpec.from_spec(NAMED) == NAMED and tf.TensorSpec.from_spec(NAMED, "q").name == "q"
    with pytest.raises(ValueError, match="`tensor` should be a tf.Tensor, but got type <class 'int'>."):
        tf.TensorSpec.from_tensor(3)


def test_a_composite_comes_back_from_its_tensors():
    value = tf.SparseTensor([[0, 0]], [1], [2, 3])
    spec = tf.SparseTensorSpec([2, 3], tf.int32)
    assert spec.flatten() == [
        tf.TensorSpec([None, 2], tf.int64), tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int64)
    ]  # fmt: skip
    tensors = spec.to_tensors(value)
    copy = spec.from_tensors(iter(tensors))
    assert copy.values is value.values and copy.shape == [2, 3]
    with pytest.raises(TypeError, match="Can not cast"):
        tf.SparseTensorSpec([2, 3]).to_tensors(value)


def test_casts():
    assert NARROW.cast(np.zeros([3, 2]), None).dtype == tf.float32
    message = r"Can not cast TensorSpec\(shape=\(4,\).*\) to TensorSpec\(shape=\(3, 2\)"
    with pytest.raises(TypeError, match=message):
        NARROW.to_tensors(tf.zeros([4]))


def test_messages():
    assert tf.TensorSpec.experimental_from_proto(NAMED.experimental_as_proto()) == NAMED


def test_specs_are_abstract():
    with pytest.raises(TypeError, match="abstract"):
        tf.TypeSpec()


class Interval(tf.TypeSpec):
    """A user's spec: two tensors and a label."""

    def __init__(self, shape, label):
        self.shape, self.label = tf.TensorShape(shape), label

    value_type = property(lambda self: tuple)
    _component_specs = property(lambda self: {"low": tf.TensorSpec(self.shape), "high": tf.TensorSpec(self.shape)})

    def _serialize(self):
        return self.shape, {"label": self.label}

    @classmethod
    def _deserialize(cls, serialization):
        return cls(serialization[0], serialization[1]["label"])

    def _to_components(self, value):
        return {"low": value[0], "high": value[1]}

    def _from_components(self, components):
        return components["low"], components["high"]


def test_specs_of_users():
    assert Interval([2], "a") == Interval([2], "a") != Interval([2], "b")
    assert Interval([2], "a").is_subtype_of(Interval([None], "a"))
    assert not Interval([2], "a").is_subtype_of(Interval([None], "b"))
    assert Interval([2], "a").most_specific_common_supertype([Interval([3], "a")]) == Interval([None], "a")
    assert Interval([2], "a").most_specific_common_supertype([Interval([3], "b")]) is None
    assert Interval([2], "a").is_compatible_with(Interval([None], "a"))
    assert Interval([2], "a").flatten() == [tf.TensorSpec([2])] * 2
