"""Python structures as messages and back: what TensorFlow 2.21 writes and reads for the same values."""
from __future__ import annotations

import collections
import enum
import math
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

import millstream as tf
from millstream.io import proto
from millstream.saved_model.structure_codec import (
    NotEncodableError,
    UnsupportedTypeError,
    can_encode,
    decode,
    encode,
)


class Pair(NamedTuple):
    a: Any
    b: Any


class Color(enum.Enum):
    RED = 1


def plain(message: Any) -> str:
    return " ".join(text_format.MessageToString(message, as_one_line=True).split())


def parsed(text: str) -> Any:
    return text_format.Parse(text, proto.StructuredValue())


# (value, what TensorFlow 2.21 writes for it)
CASES = [
    (None, "none_value { }"),
    (True, "bool_value: true"),
    (-5, "int64_value: -5"),
    (2**63 - 1, "int64_value: 9223372036854775807"),
    (1.5, "float64_value: 1.5"),
    ("s", 'string_value: "s"'),
    ([1, (2,)], "list_value { values { int64_value: 1 } values { tuple_value { values { int64_value: 2 } } } }"),
    ({}, "dict_value { }"),
    ({"a": [1]}, 'dict_value { fields { key: "a" value { list_value { values { int64_value: 1 } } } } }'),
    (
        Pair(1, None),
        'named_tuple_value { name: "Pair" values { key: "a" value { int64_value: 1 } } '
        'values { key: "b" value { none_value { } } } }',
    ),
    (tf.float32, "tensor_dtype_value: DT_FLOAT"),
    (tf.TensorShape([1, None]), "tensor_shape_value { dim { size: 1 } dim { size: -1 } }"),
    (tf.TensorShape(None), "tensor_shape_value { unknown_rank: true }"),
    (
        tf.TensorSpec([1, None], tf.int32, "n"),
        'tensor_spec_value { name: "n" shape { dim { size: 1 } dim { size: -1 } } dtype: DT_INT32 }',
    ),
    (tf.TensorSpec(None, tf.int32), "tensor_spec_value { shape { unknown_rank: true } dtype: DT_INT32 }"),
    (
        tf.SparseTensorSpec([2, None], tf.int32),
        "type_spec_value { type_spec_class: SPARSE_TENSOR_SPEC type_state { tuple_value { values { tensor_shape_value "
        "{ dim { size: 2 } dim { size: -1 } } } values { tensor_dtype_value: DT_INT32 } } } "
        'type_spec_class_name: "SparseTensorSpec" num_flat_components: 3 }',
    ),
    (
        tf.IndexedSlicesSpec([2, 3], tf.float32),
        "type_spec_value { type_spec_class: INDEXED_SLICES_SPEC type_state { tuple_value { values { tensor_shape_value "
        "{ dim { size: 2 } dim { size: 3 } } } values { tensor_dtype_value: DT_FLOAT } values { tensor_dtype_value: "
        "DT_INT64 } values { none_value { } } values { tensor_shape_value { dim { size: -1 } } } } } "
        'type_spec_class_name: "IndexedSlicesSpec" num_flat_components: 2 }',
    ),
    (
        tf.TensorArraySpec([2], tf.float32),
        "type_spec_value { type_spec_class: TENSOR_ARRAY_SPEC type_state { tuple_value { values { tensor_shape_value { "
        "dim { size: 2 } } } values { tensor_dtype_value: DT_FLOAT } values { bool_value: false } values { bool_value: "
        'true } } } type_spec_class_name: "TensorArraySpec" num_flat_components: 1 }',
    ),
    (
        tf.NoneTensorSpec(),
        "type_spec_value { type_spec_class: REGISTERED_TYPE_SPEC type_state { tuple_value { } } "
        'type_spec_class_name: "tf.NoneTensorSpec" }',
    ),
]


@pytest.mark.parametrize(("value", "text"), CASES, ids=[str(value)[:40] for value, _ in CASES])
def test_values_are_written_as_tensorflow_writes_them(value, text):
    message = encode(value)
    assert plain(message) == text
    found = decode(message)
    assert found == value
    assert type(found).__name__ == type(value).__name__


def test_arrays_and_tensors_keep_their_kind():
    array, tensor = decode(encode([np.array([1, 2]), tf.constant([1.0, 2.0])]))
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, [1, 2])
    assert isinstance(tensor, tf.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), np.float32([1, 2]))
    assert decode(encode(tf.constant("text"))).numpy() == b"text"


def test_not_a_number():
    assert math.isnan(decode(encode(math.nan)))


@pytest.mark.parametrize("mapping", [collections.OrderedDict, lambda x: collections.defaultdict(list, x)])
def test_mappings_become_dicts(mapping):
    assert decode(encode(mapping({"a": 1}))) == {"a": 1}


@pytest.mark.parametrize(
    "value",
    [2**63, b"bytes", 1j, {1: 2}, np.float32(1), range(3), ..., Color.RED, object(), slice(1), "\ud800", [object()]],
    ids=lambda value: re.sub(" at 0x.*?>", ">", repr(value)),
)
def test_other_objects_have_no_form(value):
    assert not can_encode(value)
    with pytest.raises(NotEncodableError, match="No encoder for"):
        encode(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no value"),
        ("list_value { values { } }", "has no value"),
        ('named_tuple_value { name: "X" values { key: "a b" value { none_value { } } } }', "valid identifiers: 'a b'"),
        ('named_tuple_value { name: "class" }', "valid identifiers: 'class'"),
        ('named_tuple_value { name: "X" values { key: "_a" value { none_value { } } } }', "_a"),
        ("tensor_dtype_value: DT_INVALID", "tensor_dtype_value"),
        ("tensor_spec_value { dtype: DT_INVALID }", "tensor_spec_value"),
        ("tensor_spec_value { dtype: DT_FLOAT shape { dim { size: -3 } } }", "-3"),
        ("type_spec_value { type_spec_class: SPARSE_TENSOR_SPEC type_state { none_value { } } }", "not a tuple"),
        ("type_spec_value { type_spec_class: SPARSE_TENSOR_SPEC type_state { tuple_value { values { int64_value: 1 } "
         "values { int64_value: 1 } values { int64_value: 1 } } } }", "type_spec_value"),
        ("tensor_value { dtype: DT_FLOAT tensor_shape { dim { size: 1000000000000 } } float_val: 1 }", "1000000000000"),
    ],
)  # fmt: skip
def test_malformed_messages(text, message):
    with pytest.raises(ValueError, match=message):
        decode(parsed(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('type_spec_value { type_spec_class: RAGGED_TENSOR_SPEC type_spec_class_name: "RaggedTensorSpec" }', "Ragged"),
        ('type_spec_value { type_spec_class: REGISTERED_TYPE_SPEC type_spec_class_name: "my.Spec" }', "my.Spec"),
        ("type_spec_value { }", "UNKNOWN"),
    ],
)
def test_types_that_are_not_known(text, name):
    with pytest.raises(UnsupportedTypeError, match=f"The type '.*{name}.*' is not supported"):
        decode(parsed(text))


_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")), st.sampled_from([tf.int8, tf.TensorShape([2]), tf.TensorSpec([3], tf.bool)]),
)  # fmt: skip


@given(
    st.recursive(
        _leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=3),
            st.builds(Pair, inner, inner),
        ),
        max_leaves=20,
    )
)
def test_round_trip(value):
    message = encode(value)
    read = proto.StructuredValue.FromString(message.SerializeToString())
    assert decode(read) == value
    assert encode(decode(read)) == message
