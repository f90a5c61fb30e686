"""Plain shapes, Dimension and TensorShape, as TensorFlow 1.15.5 and 2.x have them."""

from __future__ import annotations

import copy
import operator
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core import shapes
from millstream.core.dtypes import float32
from millstream.core.shapes import Dimension, TensorShape

UNKNOWN = Dimension(None)
KNOWN_SHAPES = st.lists(st.integers(0, 3), max_size=4).map(tuple)
PARTIAL_SHAPES = st.none() | st.lists(st.none() | st.integers(0, 3), max_size=3).map(tuple)


@pytest.fixture
def v2_behavior():
    shapes.enable_v2_tensorshape()
    yield
    shapes.disable_v2_tensorshape()


def allows(shape, full):
    """Whether a tensor of shape `full` may have the static shape `shape`."""
    if shape is None:
        return True
    return len(shape) == len(full) and all(x in (None, y) for x, y in zip(shape, full, strict=True))


# --- plain shapes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_shape", "plain"),
    [
        (None, None), ([], ()), ([2, None], (2, None)), (5, (5,)), ((2, 3), (2, 3)), (Dimension(3), (3,)),
        (UNKNOWN, (None,)), (TensorShape([1, None]), (1, None)), ([Dimension(2), UNKNOWN], (2, None)),
        (np.array([1, 2]), (1, 2)), (np.array([]), ()), (np.int64(4), (4,)), (np.array(4), (4,)),
        (iter([1, 2]), (1, 2)), (range(3), (0, 1, 2)), ([True], (1,)), ([2.0, "3"], (2, 3)),
        (SimpleNamespace(unknown_rank=True, dim=[]), None),
        (SimpleNamespace(unknown_rank=False, dim=[SimpleNamespace(size=-1)]), (None,)),
    ],
)  # fmt: skip
def test_as_plain(given_shape, plain):
    found = shapes.as_plain(given_shape)
    assert found == plain
    assert found is None or all(d is None or isinstance(d, int) for d in found)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([-1], ValueError, "Dimension -1 must be >= 0"),
        (-1, ValueError, "Dimension -1 must be >= 0"),
        ([1.5], ValueError, "Ambiguous dimension: 1.5"),
        (["a"], ValueError, "invalid literal for int"),
        ("12", TypeError, "A string has ambiguous TensorShape, .* convert to an int: 12"),
        (b"1", TypeError, "A string has ambiguous TensorShape"),
        ([[1]], TypeError, "int.* argument"),
        ([float32], TypeError, "Cannot convert <dtype: 'float32'> to Dimension"),
    ],
)
def test_as_plain_rejects(value, error, message):
    with pytest.raises(error, match=message):
        shapes.as_plain(value)


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        ((), (2, 3), (2, 3)), ((2, 1), (1, 3), (2, 3)), ((None,), (1,), (None,)), ((None,), (4,), (4,)),
        ((None,), (None,), (None,)), ((0,), (1,), (0,)), (None, (2,), None), (None, None, None),
        ((3,), (2, 1), (2, 3)), ((None,), (0,), (None,)),
    ],
)  # fmt: skip
def test_broadcast(a, b, result):
    assert shapes.broadcast(a, b) == result
    assert shapes.broadcast(b, a) == result


def test_broadcast_of_unequal_dimensions():
    with pytest.raises(ValueError, match="^Dimensions must be equal, but are 2 and 3$"):
        shapes.broadcast((5, 2), (3,))


@given(KNOWN_SHAPES, KNOWN_SHAPES)
def test_broadcast_as_numpy(a, b):
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        with pytest.raises(ValueError, match="Dimensions must be equal"):
            shapes.broadcast(a, b)
    else:
        assert shapes.broadcast(a, b) == expected


@given(st.data(), KNOWN_SHAPES, KNOWN_SHAPES)
def test_broadcast_of_partial_shapes_allows_the_full_result(data, a, b):
    try:
        full = np.broadcast_shapes(a, b)
    except ValueError:
        return
    partly = [tuple(None if data.draw(st.booleans()) else d for d in shape) for shape in (a, b)]
    assert allows(shapes.broadcast(*partly), full)


@given(PARTIAL_SHAPES, PARTIAL_SHAPES)
def test_merge_and_generalize(a, b):
    general = shapes.generalize(a, b)
    for shape in (a, b):
        assert shapes.merge(general, shape) == shape
    if not shapes.is_compatible(a, b):
        with pytest.raises(ValueError, match="must be equal"):
            shapes.merge(a, b)
    else:
        merged = shapes.merge(a, b)
        assert merged == shapes.merge(b, a)
        assert shapes.merge(merged, a) == shapes.merge(merged, b) == merged


def test_merge_says_what_differs():
    with pytest.raises(ValueError) as error:
        shapes.merge((2, None), (3, None))
    assert str(error.value) == (
        "Dimension 0 in both shapes must be equal, but are 2 and 3. Shapes are [2,?] and [3,?]."
    )
    with pytest.raises(ValueError, match="^Shapes must be equal rank, but are 1 and 2$"):
        shapes.merge((2,), (2, 3))
    with pytest.raises(ValueError, match="^Dimensions must be equal, but are 2 and 3$"):
        shapes.merge_dim(2, 3)
    assert shapes.merge_dim(None, 3) == shapes.merge_dim(3, None) == shapes.merge_dim(3, 3) == 3


def test_rank_checks():
    assert shapes.with_rank(None, 2) == (None, None)
    for check in (shapes.with_rank, shapes.with_rank_at_least, shapes.with_rank_at_most):
        assert check((1,), 1) == (1,)
    assert shapes.with_rank_at_least(None, 1) is None and shapes.with_rank_at_most(None, 1) is None
    for check, message in (
        (shapes.with_rank, "Shape must be rank 2 but is rank 1"),
        (shapes.with_rank_at_least, "Shape must be at least rank 2 but is rank 1"),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            check((1,), 2)
    with pytest.raises(ValueError, match="^Shape must be at most rank 0 but is rank 1$"):
        shapes.with_rank_at_most((1,), 0)


def test_small_helpers():
    assert [shapes.is_fully_defined(s) for s in ((), (2,), (2, None), None)] == [True, True, False, False]
    assert [shapes.num_elements(s) for s in ((), (2, 3), (2, None), None)] == [1, 6, None, None]
    assert shapes.concatenate((1,), (2,)) == (1, 2)
    assert shapes.concatenate(None, (2,)) is shapes.concatenate((2,), None) is None


def test_formats():
    assert [shapes.format_shape(s) for s in ((), (2, None), None)] == ["[]", "[2,?]", "<unknown>"]
    assert shapes.format_shape(None, "?") == "?"
    assert [shapes.format_tuple(s) for s in ((), (2,), (2, None))] == ["()", "(2,)", "(2, ?)"]
    assert shapes.format_tuple(None) == "<unknown>"


# --- Dimension ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [3, "3", np.int64(3), 3.0, Dimension(3), np.array(3)])
def test_dimension_of(value):
    dimension = Dimension(value)
    assert (dimension.value, int(dimension), repr(dimension), str(dimension)) == (3, 3, "Dimension(3)", "3")
    assert list(range(dimension)) == [0, 1, 2]


def test_unknown_dimension():
    assert (UNKNOWN.value, repr(UNKNOWN), str(UNKNOWN)) == (None, "Dimension(None)", "?")
    with pytest.raises(TypeError):
        int(UNKNOWN)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Dimension(1))


def test_dimensions_are_true():
    assert Dimension(0) and UNKNOWN  # as in 1.15: neither size nor ignorance makes one false


@pytest.mark.parametrize("name", "add sub mul floordiv mod".split())
def test_dimension_arithmetic(name):
    operation = getattr(operator, name)
    for left, right in ((Dimension(7), 3), (7, Dimension(3)), (Dimension(7), Dimension(3))):
        assert repr(operation(left, right)) == f"Dimension({operation(7, 3)})"
    for left, right in ((UNKNOWN, 3), (7, UNKNOWN), (Dimension(7), UNKNOWN), (Dimension(7), None)):
        assert repr(operation(left, right)) == "Dimension(None)"
    with pytest.raises(TypeError, match="unsupported operand"):
        operation(Dimension(7), object())
    with pytest.raises(TypeError, match="unsupported operand"):
        operation(Dimension(7), 1.5)


def test_dimension_arithmetic_errors():
    with pytest.raises(ValueError, match="Dimension -1 must be >= 0"):
        _ = Dimension(3) - 4
    with pytest.raises(ZeroDivisionError):
        _ = Dimension(3) // 0
    with pytest.raises(TypeError, match="for /: 'Dimension' and 'int', please use // instead"):
        _ = Dimension(3) / 2
    with pytest.raises(TypeError, match="for /: 'int' and 'Dimension', please use // instead"):
        _ = 3 / Dimension(2)
    assert repr(Dimension(7).__div__(2)) == "Dimension(3)"


def test_dimension_comparison():
    assert Dimension(3) == 3 and Dimension(3) == Dimension(3) and Dimension(3) != 4
    assert Dimension(3) < 4 <= Dimension(4) and Dimension(3) > 2 and Dimension(3) >= 3
    for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        assert compare(Dimension(3), UNKNOWN) is None
        assert compare(UNKNOWN, UNKNOWN) is None
        assert compare(UNKNOWN, None) is None
    assert not Dimension(3) == "a" and Dimension(3) != "a"
    with pytest.raises(TypeError):
        _ = Dimension(3) < "a"


def test_dimension_compatibility():
    assert Dimension(3).is_compatible_with(UNKNOWN) and Dimension(3).is_compatible_with(3)
    assert not Dimension(3).is_compatible_with(4)
    assert Dimension(3).merge_with(None).value == UNKNOWN.merge_with(3).value == 3
    with pytest.raises(ValueError, match="^Dimensions 3 and 4 are not compatible$"):
        Dimension(3).merge_with(4)


@pytest.mark.parametrize("value", [Dimension(3), UNKNOWN, TensorShape([2, None]), TensorShape(None)])
def test_copies(value):
    for twin in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert repr(twin) == repr(value)


# --- TensorShape --------------------------------------------------------------------------------------------


def test_views_of_a_shape():
    shape = TensorShape([2, None])
    assert shape.as_list() == [2, None]
    assert shape.rank == shape.ndims == len(shape) == 2
    assert repr(shape.dims) == "[Dimension(2), Dimension(None)]"
    assert (str(shape), repr(shape)) == ("(2, ?)", "TensorShape([Dimension(2), Dimension(None)])")
    assert shape and TensorShape([])
    assert not shape.is_fully_defined() and TensorShape([]).is_fully_defined()
    assert shape.num_elements() is None and TensorShape([2, 3]).num_elements() == 6
    assert list(TensorShape([1, 2])) == [1, 2] and all(isinstance(d, Dimension) for d in shape)


def test_unknown_rank():
    shape = TensorShape(None)
    assert (shape.dims, shape.rank, shape.num_elements(), bool(shape)) == (None, None, None, False)
    assert (str(shape), repr(shape)) == ("<unknown>", "TensorShape(None)")
    with pytest.raises(ValueError, match="^Cannot take the length of shape with unknown rank.$"):
        len(shape)
    with pytest.raises(ValueError, match="^Cannot iterate over a shape with unknown rank.$"):
        iter(shape)
    with pytest.raises(ValueError, match=r"^as_list\(\) is not defined on an unknown TensorShape.$"):
        shape.as_list()


def test_indexing():
    shape = TensorShape([1, 2, 3])
    assert isinstance(shape[0], Dimension) and shape[-1].value == 3 and shape[Dimension(1)].value == 2
    assert shape[1:].as_list() == [2, 3] and shape[::2].as_list() == [1, 3]
    assert shape[0 : Dimension(2)].as_list() == [1, 2]
    with pytest.raises(IndexError):
        _ = shape[5]
    with pytest.raises(TypeError):
        _ = shape["a"]


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        (slice(1, None), None), (slice(1, 3), (None, None)), (slice(-2, None), None), (slice(None, -1), None),
        (slice(None), None), (slice(2, 1), ()), (slice(None, 3), (None,) * 3), (slice(-3, -1), None),
    ],
)  # fmt: skip
def test_slices_of_unknown_rank(key, plain):
    assert TensorShape(None)[key]._plain == plain
    assert repr(TensorShape(None)[4]) == "Dimension(None)"


def test_slices_of_unknown_rank_have_no_steps():
    with pytest.raises(ValueError, match="Steps are not yet handled"):
        _ = TensorShape(None)[::2]


def test_equality():
    assert TensorShape([2]) == TensorShape([2]) == [2] and TensorShape([2]) == (2,) and TensorShape([2]) == 2
    assert TensorShape(None) == TensorShape(None)
    for other in ([3], [2, 3], None, "a", [-1], [None]):
        assert not TensorShape([2]) == other
    partly = TensorShape([None])
    assert partly == partly and not partly == TensorShape([None]) and partly != TensorShape([None])
    assert TensorShape([2]) != [3] and TensorShape([2]) != "a"
    for left, right in ((TensorShape([2]), TensorShape(None)), (TensorShape(None), TensorShape(None))):
        with pytest.raises(ValueError, match="The inequality of unknown TensorShapes is undefined."):
            _ = left != right
    with pytest.raises(TypeError, match="unhashable type: 'TensorShape'"):
        hash(TensorShape([2]))


def test_v2_behavior(v2_behavior):
    shape = TensorShape([2, None])
    assert list(shape) == [2, None] and shape[0] == 2 and isinstance(shape[0], int) and shape[1] is None
    assert TensorShape(None)[0] is None
    assert (str(shape), repr(shape)) == ("(2, None)", "TensorShape([2, None])")
    assert repr(TensorShape(None)) == "TensorShape(None)" and repr(TensorShape([])) == "TensorShape([])"
    assert shape == TensorShape([2, None]) and not shape != TensorShape([2, None])
    assert shape != TensorShape(None) and not TensorShape(None) != TensorShape(None)
    assert hash(shape) == hash(TensorShape([2, None]))
    with pytest.raises(ValueError, match=r"^Shape \(2, None\) is not fully defined$"):
        shape.assert_is_fully_defined()


def test_concatenation():
    assert TensorShape([2]).concatenate([3]).as_list() == [2, 3]
    assert TensorShape([2]).concatenate(Dimension(3)).as_list() == [2, 3]
    assert (TensorShape([2]) + 3).as_list() == (Dimension(2) + TensorShape([3])).as_list() == [2, 3]
    assert ([3] + TensorShape([2])).as_list() == [3, 2] and ((1,) + TensorShape([2])).as_list() == [1, 2]
    assert (TensorShape([2]) + None).rank is None and TensorShape(None).concatenate([1]).rank is None
    assert TensorShape([2]).__concat__([3]).as_list() == [2, 3]


def test_merging():
    assert TensorShape([2, None]).merge_with([None, 3]).as_list() == [2, 3]
    assert TensorShape(None).merge_with([1]).as_list() == TensorShape([1]).merge_with(None).as_list() == [1]
    for other, words in (([3, None], "(3, ?)"), ([3], "(3,)")):
        with pytest.raises(ValueError) as error:
            TensorShape([2, None]).merge_with(other)
        assert str(error.value) == f"Shapes (2, ?) and {words} are not compatible"


def test_most_specific_compatible_shape():
    assert TensorShape([2, None]).most_specific_compatible_shape([2, 3]).as_list() == [2, None]
    assert TensorShape([2]).most_specific_compatible_shape([3]).as_list() == [None]
    assert TensorShape([2]).most_specific_compatible_shape([1, 2]).rank is None
    assert TensorShape(None).most_specific_compatible_shape([1]).rank is None


def test_rank_of_tensor_shape():
    shape = TensorShape([2])
    assert shape.with_rank(1).as_list() == shape.with_rank_at_least(1).as_list() == [2]
    assert TensorShape(None).with_rank(2).as_list() == [None, None]
    assert TensorShape(None).with_rank_at_least(2).rank is None
    assert TensorShape(None).with_rank_at_most(0).rank is None
    TensorShape(None).assert_has_rank(3)
    shape.assert_same_rank(None)
    for call, message in (
        (lambda: shape.with_rank(2), "Shape (2,) must have rank 2"),
        (lambda: shape.assert_has_rank(3), "Shape (2,) must have rank 3"),
        (lambda: shape.with_rank_at_least(2), "Shape (2,) must have rank at least 2"),
        (lambda: shape.with_rank_at_most(0), "Shape (2,) must have rank at most 0"),
        (lambda: shape.assert_same_rank([1, 2]), "Shapes (2,) and (1, 2) must have the same rank"),
        (lambda: shape.assert_is_compatible_with([3, None]), "Shapes (2,) and [3, None] are incompatible"),
        (lambda: TensorShape([None]).assert_is_fully_defined(), "Shape (?,) is not fully defined"),
        (lambda: TensorShape(None).assert_is_fully_defined(), "Shape <unknown> is not fully defined"),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value) == message


@pytest.mark.parametrize("dims", [None, [], [2, None]])
def test_proto_round_trip(dims):
    pytest.importorskip("millstream.io.proto", exc_type=ImportError)
    shape = TensorShape(dims)
    message = shape.as_proto()
    assert message.unknown_rank == (dims is None)
    assert [d.size for d in message.dim] == [-1 if d is None else d for d in dims or []]
    assert shapes.as_plain(message) == shape._plain


def test_dimension_of_either_version(v2_behavior):
    assert shapes.dimension_value(TensorShape([2])[0]) == 2
    assert shapes.dimension_value(Dimension(2)) == 2
    assert shapes.dimension_value(UNKNOWN) is shapes.dimension_value(None) is None
    assert shapes.dimension_at_index(TensorShape([2, None]), 0).value == 2
    assert isinstance(shapes.dimension_at_index(TensorShape(None), 3), Dimension)
    with pytest.raises(IndexError):
        shapes.dimension_at_index(TensorShape([2]), 4)
