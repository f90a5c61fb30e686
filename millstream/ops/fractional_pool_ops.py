"""Pooling by factors that are not whole numbers: windows of two neighbouring sizes, in an order drawn by chance.

B. Graham: Fractional Max-Pooling, 2014, arXiv 1412.6071.
"""
from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from millstream.core import dtypes, random_seed, shapes
from millstream.core.export import export
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops import philox, random_kernels
from millstream.ops.arguments import to_ints
from millstream.ops.shape_ops import shape as shape_of

_TYPES = "float double int32 int64"

# --- Where the windows begin --------------------------------------------------------------------------------


class _Stream:
    """Random numbers that begin anew with each run, at the seeds of the operation."""

    def __init__(self, seed: int, seed2: int) -> None:
        self.key, self.counter = philox.key(seed, seed2)

    def taken(self, samples: int) -> tuple[Any, Any]:
        """The key and the counter of so many 32-bit samples."""
        counter = np.array(self.counter, np.uint64)
        self.counter = philox.advance(self.counter, -(-samples // 4))
        return self.key, counter


def _boundaries(size: int, count: int, stream: _Stream, pseudo_random: bool) -> Any:
    """Where `count` windows over `size` places begin, and where the last one ends: int64 [count + 1]."""
    least, rest = divmod(size, count)
    steps = np.full(count, least, np.int64)
    if rest and pseudo_random:
        alpha = size / count
        greatest = min((least + 2) / alpha - 1, (size + 1 - least) / alpha - (count - 1))
        u = float(random_kernels.uniform(np, *stream.taken(2), (1,), np.dtype(np.float64))[0]) * greatest
        inner = [math.ceil(alpha * (index + u)) for index in range(1, count)]
        steps = np.diff([1, *inner, size + 1])
    elif rest:
        steps[:rest] += 1
        steps = random_kernels.shuffle(np, *stream.taken(count), steps)
    return np.append(0, np.cumsum(steps))


def _windows(bounds: Any, size: int, overlapping: bool) -> Iterator[slice]:
    """The windows; where they overlap each takes the first place of the next one too."""
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, min(end + overlapping, size))


def _membership(bounds: Any, size: int, overlapping: bool) -> Any:
    """1 where a window (row) has a place (column), else 0."""
    inside = np.zeros((len(bounds) - 1, size))
    for row, window in enumerate(_windows(bounds, size, overlapping)):
        inside[row, window] = 1
    return inside


# --- Kernels ------------------------------------------------------------------------------------------------

_SEQUENCES = "row_pooling_sequence: int64, col_pooling_sequence: int64"
_ATTRS = (
    "pooling_ratio: list(float) >= 4, pseudo_random: bool = False, overlapping: bool = False, "
    "deterministic: bool = False, seed: int = 0, seed2: int = 0"
)


def _pooled_size(size: int | None, ratio: float) -> int | None:
    return None if size is None else int(np.floor(np.float32(size) / np.float32(ratio)))


def _pooled_shapes(c: ShapeContext) -> Any:
    dims, ratios = c.require_rank(0, 4), c.attrs["pooling_ratio"]
    if len(ratios) != 4:
        raise ValueError(f"pooling_ratio field must specify 4 dimensions, received: {len(ratios)}")
    batch, height, width, depth = (_pooled_size(dim, ratio) for dim, ratio in zip(dims, ratios, strict=True))
    rows, columns = (None if size is None else size + 1 for size in (height, width))
    return [(batch, height, width, depth), (rows,), (columns,)]


def _sequences(value: Any, kind: str, attrs: dict[str, Any]) -> tuple[Any, Any]:
    """The boundaries of the windows' rows and columns, drawn from the seeds."""
    ratios = attrs["pooling_ratio"]
    if value.ndim != 4:
        raise ValueError("tensor_in must be 4-dimensional")
    if ratios[0] != 1 or ratios[3] != 1:
        message = f"Fractional {kind} pooling is not yet supported on the batch nor channel dimension."
        raise NotImplementedError(message)
    seeds = attrs["seed"], attrs["seed2"]
    if not attrs["deterministic"] and any(seeds):
        raise ValueError("Both seed and seed2 should be 0 if deterministic is false.")
    stream = _Stream(*seeds if any(seeds) else (random.getrandbits(63), random.getrandbits(63)))
    found = []
    for axis in (1, 2):
        size, count = value.shape[axis], _pooled_size(value.shape[axis], ratios[axis])
        if ratios[axis] < 1:
            raise ValueError(f"pooling_ratio cannot be smaller than 1, got: {ratios[axis]:g}")
        if not count:
            raise ValueError(
                f"Pooling ratio is higher than input dimension size for dimension {axis}. Input dim size: {size} "
                f"pooling ratio: {ratios[axis]:g}"
            )
        found.append(_boundaries(size, count, stream, attrs["pseudo_random"]))
    return found[0], found[1]


def _define_forward(op_type: str, kind: str, pool: Callable[..., Any]) -> OpDef:
    """Defines a pooling operation; `pool(value, rows, columns, overlapping)` gives the pooled images."""

    def kernel(xp, value, *, pooling_ratio, pseudo_random, overlapping, deterministic, seed, seed2):
        attrs = {
            "pooling_ratio": pooling_ratio, "pseudo_random": pseudo_random, "deterministic": deterministic,
            "seed": seed, "seed2": seed2,
        }  # fmt: skip
        rows, columns = _sequences(value, kind, attrs)
        return pool(value, rows, columns, overlapping), rows, columns

    return op(
        f"{op_type}(value: T, *, {_ATTRS}) -> output: T, {_SEQUENCES}", T=_TYPES, shape=_pooled_shapes, host=True
    )(kernel)


def _max(value: Any, rows: Any, columns: Any, overlapping: bool) -> Any:
    height, width = value.shape[1:3]
    by_row = [value[:, window].max(1) for window in _windows(rows, height, overlapping)]
    within = np.stack(by_row, axis=1)
    return np.stack([within[:, :, window].max(2) for window in _windows(columns, width, overlapping)], axis=2)


def _mean(value: Any, rows: Any, columns: Any, overlapping: bool) -> Any:
    by_row = _membership(rows, value.shape[1], overlapping)
    by_column = _membership(columns, value.shape[2], overlapping)
    total = np.einsum("ih,bhwd,jw->bijd", by_row, value, by_column, optimize=True)
    return total / np.outer(by_row.sum(1), by_column.sum(1))[:, :, None]


fractional_max_pool_op = _define_forward("FractionalMaxPool", "max", _max)
fractional_avg_pool_op = _define_forward("FractionalAvgPool", "average", _mean)


@op(
    "FractionalMaxPoolGrad(orig_input: T, orig_output: T, out_backprop: T, "
    f"{_SEQUENCES}, *, overlapping: bool = False) -> output: T",
    T=_TYPES, shape=lambda c: shapes.with_rank(c.shape(0), 4), host=True,
)  # fmt: skip
def fractional_max_pool_grad_op(
    xp, orig_input, orig_output, out_backprop, row_pooling_sequence, col_pooling_sequence, *, overlapping
):
    """Each gradient goes to the first greatest number of its window."""
    result = np.zeros_like(orig_input)
    batch, height, width, depth = orig_input.shape
    image, channel = np.ix_(range(batch), range(depth))
    for row, tall in enumerate(_windows(row_pooling_sequence, height, overlapping)):
        for column, wide in enumerate(_windows(col_pooling_sequence, width, overlapping)):
            window = orig_input[:, tall, wide]
            place = np.argmax(window.reshape(batch, -1, depth), axis=1)
            down, right = np.divmod(place, window.shape[2])
            result[image, tall.start + down, wide.start + right, channel] += out_backprop[:, row, column]
    return result


@op(
    f"FractionalAvgPoolGrad(orig_input_tensor_shape: int64, out_backprop: T, {_SEQUENCES}, *, "
    "overlapping: bool = False) -> output: T",
    T=_TYPES, shape=lambda c: c.constant_shape(0) or (None,) * 4, host=True,
)  # fmt: skip
def fractional_avg_pool_grad_op(
    xp, orig_input_tensor_shape, out_backprop, row_pooling_sequence, col_pooling_sequence, *, overlapping
):
    """Each gradient is shared out evenly over its window."""
    _, height, width, _ = to_ints(orig_input_tensor_shape)
    by_row = _membership(row_pooling_sequence, height, overlapping)
    by_column = _membership(col_pooling_sequence, width, overlapping)
    shares = out_backprop / np.outer(by_row.sum(1), by_column.sum(1))[:, :, None]
    return np.einsum("ih,bijd,jw->bhwd", by_row, shares, by_column, optimize=True)


@fractional_max_pool_op.gradient
def _(op, grad, *_):
    pooled, rows, columns = op.outputs
    return fractional_max_pool_grad_op(
        op.inputs[0], pooled, grad, rows, columns, overlapping=op.attrs["overlapping"]
    )


@fractional_avg_pool_op.gradient
def _(op, grad, *_):
    _, rows, columns = op.outputs
    size = shape_of(op.inputs[0], out_type=dtypes.int64)
    return fractional_avg_pool_grad_op(size, grad, rows, columns, overlapping=op.attrs["overlapping"])


# --- Public functions ---------------------------------------------------------------------------------------

Pooled = tuple[Tensor, Tensor, Tensor]

_DOC = """Pools images with windows of two neighbouring sizes, in an order drawn by chance (Graham 2014).

    Args:
      value: float32, float64, int32 or int64, shape [batch, height, width, channels].
      pooling_ratio: how many times smaller the images become, {ratio}; at least 1.
      pseudo_random: draws one number for all windows, as in the paper, rather than shuffle their sizes.
      overlapping: each window takes in the first row and column of the next one.
{seeds}
      name: the operation's name.

    Returns:
      (output, row_pooling_sequence, col_pooling_sequence): the {what} of each window, and where the windows
      begin and the last one ends, int64.

    Raises:
      ValueError: a ratio below 1.
      InvalidArgumentError: when it runs and an image is smaller than a window{more}.
    """
_V1_SEEDS = """      deterministic: the same windows in each run; else the seeds must be 0.
      seed, seed2: the seeds; both 0: drawn by chance."""
_V2_SEEDS = """      seed: the seed with which each run draws the same windows; 0: other windows each time."""


def _publish(definition: OpDef, name: str, what: str) -> tuple[Callable[..., Pooled], Callable[..., Pooled]]:
    def endpoint(
        value: Any,
        pooling_ratio: Any,
        pseudo_random: bool = False,
        overlapping: bool = False,
        deterministic: bool = False,
        seed: int = 0,
        seed2: int = 0,
        name: str | None = None,
    ) -> Pooled:
        return definition(
            value, pooling_ratio=pooling_ratio, pseudo_random=pseudo_random, overlapping=overlapping,
            deterministic=deterministic, seed=seed, seed2=seed2, name=name,
        )  # fmt: skip

    def endpoint_v2(
        value: Any,
        pooling_ratio: Any,
        pseudo_random: bool = False,
        overlapping: bool = False,
        seed: int = 0,
        name: str | None = None,
    ) -> Pooled:
        seeds = random_seed.get_seed(seed) if seed else (0, 0)
        ratios = _four_ratios(pooling_ratio)
        return endpoint(value, ratios, pseudo_random, overlapping, bool(seed), *seeds, name=name)

    four, one = "a list [1, rows, columns, 1]", "a number, or a list [1, rows, columns, 1]"
    endpoint.__doc__ = _DOC.format(ratio=four, seeds=_V1_SEEDS, what=what, more=", or a seed is not allowed")
    endpoint_v2.__doc__ = _DOC.format(ratio=one, seeds=_V2_SEEDS, what=what, more="")
    endpoint.__name__ = endpoint.__qualname__ = name
    endpoint_v2.__name__ = endpoint_v2.__qualname__ = name + "_v2"
    export(v1=["nn." + name])(endpoint)
    export(v2=["nn." + name])(endpoint_v2)
    return endpoint, endpoint_v2


def _four_ratios(ratio: Any) -> list[float]:
    """The ratio of each dimension, from one number for rows and columns or from all four."""
    ratios = list(ratio) if isinstance(ratio, (list, tuple)) else [1.0, ratio, ratio, 1.0]
    if any(item < 1 for item in ratios):
        raise ValueError(f"`pooling_ratio` should be >= 1.0. Received: pooling_ratio={ratio}")
    if ratios[0] != 1.0 or ratios[-1] != 1.0:
        message = "`pooling_ratio` should have first and last elements with value 1.0."
        raise ValueError(f"{message} Received: pooling_ratio={ratio}")
    return ratios


fractional_max_pool, fractional_max_pool_v2 = _publish(fractional_max_pool_op, "fractional_max_pool", "greatest")
fractional_avg_pool, fractional_avg_pool_v2 = _publish(fractional_avg_pool_op, "fractional_avg_pool", "mean")
