"""Casts, ranges, scans, reductions, segments, counting, sorting, products: what the golden cases leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from modes import MODES, run_in
from numeric import assert_gradients

import millstream.v1 as tf

MATRIX = np.array([[0.5, 1.5, 0.75], [1.25, 0.3, 1.7], [0.9, 1.1, 0.6], [1.4, 0.8, 1.0]])
IDS = [1, 0, 1, -1]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


# Casts and ranges.


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        ("uint8", [44, 255, 0, 0]), ("int8", [44, -1, 0, 0]), ("int16", [300, -1, 0, 0]),
        ("int32", [300, -1, -(2**31), -(2**31)]), ("int64", [300, -1, -(2**63), -(2**63)]),
    ],
)  # fmt: skip
def test_numbers_that_an_integer_cannot_hold(dtype: str, wanted: list[int], mode: str) -> None:
    values = np.array([300.0, -1.0, np.nan, 1e20], np.float32)
    assert run_in(mode, lambda x: tf.cast(x, dtype), values).tolist() == wanted
    assert run_in(mode, lambda: tf.cast(tf.constant(values), dtype)).tolist() == wanted


def test_strings_are_not_cast(mode: str) -> None:
    with pytest.raises(tf.errors.UnimplementedError, match="Cast int32 to string is not supported"):
        run_in(mode, lambda: tf.cast(tf.constant(1), tf.string))


def test_cast_of_slices(mode: str) -> None:
    def cast() -> Any:
        slices = tf.cast(tf.IndexedSlices(tf.constant([[1.5]]), tf.constant([0])), tf.int32)
        assert isinstance(slices, tf.IndexedSlices) and slices.values.dtype is tf.int32
        return slices.values

    assert run_in(mode, cast).tolist() == [[1]]


def test_range_counts_up_in_its_own_precision(mode: str) -> None:
    wanted = np.cumsum(np.full(9, 0.1, np.float32), dtype=np.float32)
    assert run_in(mode, lambda: tf.range(0.1, 1.0, 0.1)).tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 5, 0), "Requires delta != 0"), ((5, 0), "Requires start <= limit when delta > 0: 5/0"),
     ((0, 5, -1), "Requires start >= limit when delta < 0: 0/5")],
)  # fmt: skip
def test_ranges_that_never_end(arguments: Any, message: str, mode: str) -> None:
    with pytest.raises(ValueError if mode != "eager" else tf.errors.InvalidArgumentError, match=message):
        run_in(mode, lambda: tf.range(*arguments))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run_in(mode, tf.range, *np.array(arguments, np.int32))


# Reductions.

REDUCTIONS = {
    "sum": tf.reduce_sum, "mean": tf.reduce_mean, "max": tf.reduce_max, "logsumexp": tf.reduce_logsumexp,
    "norm": tf.math.reduce_euclidean_norm,
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(
    ("shape", "axis"), [([4, 3], 1), ([None, 3], None), ([None, None], [0]), (None, 1), (None, None)]
)
def test_gradients_of_reductions(name: str, shape: Any, axis: Any, mode: str) -> None:
    assert_gradients(lambda x: REDUCTIONS[name](x, axis), MATRIX, shapes=[shape], mode=mode)


@pytest.mark.parametrize("axis", [0, [0, 1], []])
def test_gradient_of_a_product_with_zeros(axis: Any, mode: str) -> None:
    values = MATRIX.copy()
    values[0, 0] = values[2, 1] = values[0, 2] = values[2, 2] = 0
    assert_gradients(lambda x: tf.reduce_prod(x, axis), values, mode=mode)


def test_reductions_of_nothing(mode: str) -> None:
    nothing = np.zeros([0], np.float32)
    reductions = (tf.reduce_sum, tf.reduce_prod, tf.reduce_max, tf.reduce_min)
    assert run_in(mode, lambda x: [reduce(x) for reduce in reductions], nothing) == [0, 1, -np.inf, np.inf]
    assert np.isnan(run_in(mode, tf.reduce_mean, nothing))
    assert run_in(mode, tf.reduce_mean, nothing.astype(np.int32)) == 0


def test_the_mean_of_integers_is_rounded_towards_zero(mode: str) -> None:
    assert run_in(mode, lambda: [tf.reduce_mean([-1, -2]), tf.reduce_mean([1, 2])]) == [-1, 1]


def test_the_mean_of_half_precision_numbers_does_not_overflow(mode: str) -> None:
    assert run_in(mode, lambda: tf.reduce_mean(tf.fill([4], tf.constant(60000, tf.float16)))) == 60000


@pytest.mark.parametrize("axes", [[0], [-1, 0], 1])
def test_axes_known_at_run_time_only(axes: Any, mode: str) -> None:
    given = np.array(axes, np.int32)
    found = run_in(mode, tf.reduce_sum, MATRIX, given, shapes=[None, None])
    np.testing.assert_allclose(found, np.sum(MATRIX, tuple(np.atleast_1d(axes))))
    assert_gradients(lambda x: tf.reduce_sum(x, tf.constant(given)), MATRIX, shapes=[None], mode=mode)


def test_duplicate_axes(mode: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Axes contains duplicate dimension: 0"):
        run_in(mode, tf.reduce_sum, np.ones([2, 2], np.float32), np.array([0, -2], np.int32))


# Scans and positions.


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_logsumexp(exclusive: bool, reverse: bool, mode: str) -> None:
    arguments = {"exclusive": exclusive, "reverse": reverse}
    found = run_in(mode, lambda x: tf.math.cumulative_logsumexp(x, 1, **arguments), MATRIX)
    with np.errstate(divide="ignore"):
        wanted = np.log(run_in(mode, lambda x: tf.cumsum(tf.exp(x), 1, **arguments), MATRIX))
    np.testing.assert_allclose(found, wanted)
    if not exclusive:
        assert_gradients(lambda x: tf.math.cumulative_logsumexp(x, 1, **arguments), MATRIX, mode=mode)


def test_scan_axis_out_of_range(mode: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Expected scan axis in the range \[-1, 1\)"):
        run_in(mode, tf.cumsum, np.zeros([2], np.float32), np.array(3, np.int32))


def test_position_in_an_empty_tensor(mode: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Reduction axis 0 is empty in shape"):
        run_in(mode, tf.argmax, np.zeros([0], np.float32))


# Segments.


@pytest.mark.parametrize("name", ["sum", "max", "min", "prod", "mean", "sqrt_n"])
def test_gradients_of_unsorted_segments(name: str, mode: str) -> None:
    function: Callable[..., Any] = getattr(tf, f"unsorted_segment_{name}")
    assert_gradients(lambda x: function(x, IDS, 2), MATRIX, mode=mode)


def test_gradient_of_a_product_of_segments_with_zeros(mode: str) -> None:
    values = MATRIX.copy()
    values[0, 0] = values[0, 2] = values[2, 2] = 0
    assert_gradients(lambda x: tf.unsorted_segment_prod(x, IDS, 2), values, mode=mode)


@pytest.mark.parametrize("name", ["sum", "max", "min", "mean"])
def test_gradients_of_sorted_segments(name: str, mode: str) -> None:
    function: Callable[..., Any] = getattr(tf, f"segment_{name}")
    assert_gradients(lambda x: function(x, [0, 0, 2, 2]), MATRIX, mode=mode)


@pytest.mark.parametrize("name", ["sum", "mean", "sqrt_n"])
@pytest.mark.parametrize("count", [None, 5])
def test_sparse_segments(name: str, count: int | None, mode: str) -> None:
    function: Callable[..., Any] = getattr(tf, f"sparse_segment_{name}")
    divisor = np.array([{"sum": 1, "mean": 2, "sqrt_n": np.sqrt(2)}[name], 1, 1])
    wanted = np.array([MATRIX[3] + MATRIX[1], np.zeros(3), MATRIX[3]]) / divisor[:, None]
    found = run_in(mode, lambda x: function(x, [3, 1, 3], [0, 0, 2], num_segments=count), MATRIX)
    np.testing.assert_allclose(found[:3], wanted)
    assert len(found) == (count or 3)
    assert_gradients(lambda x: function(x, [3, 1, 3], [0, 0, 2], num_segments=count), MATRIX, mode=mode)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x: tf.segment_sum(x, [0, 2, 1, 1]), "segment ids are not increasing"),
        (lambda x: tf.segment_sum(x, [-1, 0, 1, 1]), r"Segment id -1 out of range \[0, 2\)"),
        (lambda x: tf.segment_sum(x, [0, 1]), "segment_ids should be the same size as dimension 0 of input"),
        (lambda x: tf.unsorted_segment_sum(x, [0, 5, 1, 1], 3), r"segment_ids\[1\] = 5 is out of range \[0, 3\)"),
        (lambda x: tf.sparse_segment_sum(x, [4], [0]), r"indices out of range \[0, 4\)"),
    ],
)
def test_segments_that_do_not_fit(build: Any, message: str, mode: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run_in(mode, build, MATRIX, shapes=[None])


# Counting and sorting.


def test_bincount_of_negative_numbers(mode: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Input arr must be non-negative!"):
        run_in(mode, lambda: tf.math.bincount([-1, 2]))


def test_histogram_bins(mode: str) -> None:
    values = np.array([-1.0, 0.0, 1.5, 2.0, 5.0, 15.0], np.float32)
    bins = run_in(mode, lambda x: tf.histogram_fixed_width_bins(x, [0.0, 5.0], nbins=5), values)
    assert bins.tolist() == [0, 0, 1, 2, 4, 4]


def test_confusion_matrix(mode: str) -> None:
    weights = np.array([0.5, 2.0, 1.0], np.float32)
    weighted = run_in(mode, lambda w: tf.confusion_matrix([0, 1, 1], [0, 1, 0], weights=w, dtype=tf.float32), weights)
    assert weighted.tolist() == [[0.5, 0.0], [1.0, 2.0]]
    assert run_in(mode, lambda: tf.confusion_matrix([[0], [1]], [0, 1], num_classes=2)).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("axis", [0, 1, -2, -1])
def test_sort(axis: int, mode: str) -> None:
    def sorts(x: Any) -> Any:
        return [tf.sort(x, axis), tf.sort(x, axis, "DESCENDING"), tf.argsort(x, axis)]

    found = run_in(mode, sorts, MATRIX, shapes=[[None, 3]])
    np.testing.assert_array_equal(found[0], np.sort(MATRIX, axis))
    np.testing.assert_array_equal(found[1], -np.sort(-MATRIX, axis))
    np.testing.assert_array_equal(found[2], np.argsort(MATRIX, axis))
    assert_gradients(lambda x: tf.sort(x, axis), MATRIX, mode=mode)


# Products.


@pytest.mark.parametrize("shapes", [None, [[None, 3], [3, None]], [None, None]])
@pytest.mark.parametrize("axes", [1, [[1], [0]], [[-1], [0]], 0])
def test_tensordot(shapes: Any, axes: Any, mode: str) -> None:
    other = MATRIX[:2].T.copy()
    found = run_in(mode, lambda x, y: tf.tensordot(x, y, axes), MATRIX, other, shapes=shapes)
    np.testing.assert_allclose(found, np.tensordot(MATRIX, other, axes))
    if axes != 0:
        assert_gradients(lambda x, y: tf.tensordot(x, y, axes), MATRIX, other, shapes=shapes, mode=mode)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk->ki", [(2, 3), (3, 4)]), ("ij->ji", [(2, 3)]), ("ij->j", [(2, 3)]),
        ("ij->", [(2, 3)]), ("ij,ij->ij", [(2, 3), (2, 3)]), ("ij,ij->i", [(2, 3), (2, 3)]), ("i,j->ij", [(2,), (3,)]),
        ("bijc,jkc->bikc", [(2, 3, 4, 2), (4, 2, 2)]), ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
        ("ij,jk", [(2, 3), (3, 4)]), ("...ij,jk->...ik", [(2, 2, 3), (3, 4)]), ("i,i,i->", [(3,), (3,), (3,)]),
        ("i j , j k -> i k", [(2, 3), (3, 4)]), ("ii", [(3, 3)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("known", [True, False])
def test_einsum(equation: str, shapes: Any, known: bool, mode: str) -> None:
    random = np.random.RandomState(3)
    arrays = [random.uniform(0.5, 1.5, shape) for shape in shapes]
    static = [shape if known else [None, *shape[1:]] for shape in shapes]
    found = run_in(mode, lambda *x: tf.einsum(equation, *x), *arrays, shapes=static)
    np.testing.assert_allclose(found, np.einsum(equation.replace(" ", ""), *arrays))
    if known:
        assert_gradients(lambda *x: tf.einsum(equation, *x), *arrays, mode=mode)


@pytest.mark.parametrize("equation", ["ij,jk->ik", "ij,kl->i", "ii->i", "...ij,jk->...ik", "ij,ij"])
def test_einsum_as_one_operation(equation: str, mode: str) -> None:
    from millstream.ops.einsum import einsum_v2

    arrays = [MATRIX[:3], MATRIX[1:]][: equation.count(",") + 1]
    found = run_in(mode, lambda *x: einsum_v2(equation, *x), *arrays)
    np.testing.assert_allclose(found, np.einsum(equation, *arrays))
    if "ii" not in equation and "..." not in equation:
        assert_gradients(lambda *x: einsum_v2(equation, *x), *arrays, mode=mode)


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("ij-jk", "Indices have incorrect format: ij-jk"),
        ("ij,jk->ik", 'Got 1 arguments for equation "ij,jk->ik", expecting 2'),
        ("ii->i", "Subscript not supported: an axis appears more than once: ii"),
        ("ij->il", "Invalid equation: ij->il"),
    ],
)
def test_equations_that_einsum_refuses(equation: str, message: str) -> None:
    with tf.Graph().as_default(), pytest.raises(ValueError) as raised:
        tf.einsum(equation, tf.constant(MATRIX))
    assert str(raised.value) == message


@pytest.mark.parametrize("shapes", [None, [None, None]])
def test_gradients_of_batches_that_are_broadcast(shapes: Any, mode: str) -> None:
    random = np.random.RandomState(5)
    arrays = [random.uniform(-1, 1, (2, 1, 3, 2)), random.uniform(-1, 1, (4, 5, 3))]
    assert_gradients(lambda x, y: tf.matmul(x, y, transpose_a=True, adjoint_b=True), *arrays, shapes=shapes, mode=mode)


# Special functions.


@pytest.mark.parametrize("name", ["igamma", "igammac"])
def test_gradients_of_incomplete_gamma_functions(name: str, mode: str) -> None:
    assert_gradients(lambda x, y: getattr(tf, name)(x, y), MATRIX[0] * 2, MATRIX[1] * 2, mode=mode)


def test_gradients_by_the_last_argument(mode: str) -> None:
    first, second = MATRIX[:2]
    assert_gradients(lambda x: tf.betainc(tf.constant(first), tf.constant(second), x), MATRIX[2] / 2, mode=mode)
    assert_gradients(lambda x: tf.polygamma(tf.constant(2.0, tf.float64), x), first, mode=mode)
    assert_gradients(lambda q: tf.zeta(tf.constant(2.5, tf.float64), q), first, mode=mode)


@pytest.mark.parametrize("name", ["ndtri", "erfinv", "erfcinv"])
def test_inverse_error_functions(name: str, mode: str) -> None:
    from millstream.ops import special_math_ops

    function = getattr(special_math_ops, name)
    forward = {"erfinv": tf.erf, "erfcinv": tf.erfc, "ndtri": lambda x: 0.5 * tf.erfc(-x / np.sqrt(2.0))}[name]
    values = MATRIX / 2
    np.testing.assert_allclose(run_in(mode, lambda x: forward(function(x)), values), values, rtol=1e-9)
    assert_gradients(lambda x: function(x), values, mode=mode)
