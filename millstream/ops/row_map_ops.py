"""`MapRows`: a function applied to all rows of some tensors at once; and `tf.vectorized_map`."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core import gradients, nest, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph_function import extend_for, filled
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import Shape, find, op
from millstream.core.row_maps import apply, map_rows
from millstream.core.shape_context import ShapeContext
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor


def _row_shapes(c: ShapeContext) -> list[Shape]:
    rows: Shape = (None,)
    for tensor, is_mapped in zip(c.inputs, c.attr("mapped"), strict=True):
        if is_mapped and tensor._shape is not None:
            rows = shapes.merge(rows, tensor._shape[:1])
    return [shapes.concatenate(rows, y._shape) for y in c.attr("f").outputs]


@op(
    "MapRows(input: Tin[], *, Tout: list(type) >= 0, f: func, mapped: list(bool), parallel_iterations: int = 0) "
    "-> output: Tout[]",
    Tin=0,
    shape=_row_shapes,
    traced_only=True,
)
def map_rows_op(xp, input, *, f, mapped, parallel_iterations, region):
    return region.rows(f, input, mapped, parallel_iterations)


@map_rows_op.gradient
def _(op, *grads):
    """The rows of the function's derivative; what all rows have in common gets the sum of their gradients."""
    derivative = extend_for(op, "f", grads)
    mapped = op.attrs["mapped"]
    taken = [(filled(op.outputs[index], grads[index]), True) for index in derivative.given]
    for kind, where in derivative.needed:
        if kind == "outside":
            taken.append((where, False))
        else:
            taken.append((op.inputs[where], mapped[where]) if kind == "input" else (op.outputs[where], True))
    made = apply(
        derivative.backward,
        [tensor for tensor, _ in taken],
        [is_mapped for _, is_mapped in taken],
        op.attrs["parallel_iterations"],
    )
    flat = iter(made)
    found: list[Any] = [None] * len(op.inputs)
    for index, kind in derivative.found():
        grad = gradients.from_components(kind, flat)
        found[index] = _dense_rows(grad) if mapped[index] else _sum_of_rows(grad, kind)
    return found


def _sum_of_rows(grad: Any, kind: Any) -> Any:
    """The sum along the first dimension; `kind` is the gradient of one row, in the function's graph."""
    if not isinstance(grad, IndexedSlices):
        return find("Sum")(grad, 0)
    reshape, shape = find("Reshape"), find("Shape")
    values = reshape(grad.values, find("ConcatV2")([[-1], shape(grad.values)[2:]], 0))
    whole = grad.dense_shape
    if whole is not None:
        known = constant_value(kind.dense_shape)
        whole = find("GatherV2")(whole, 0, 0) if known is None else to_tensor(known)
    return IndexedSlices(values, reshape(grad.indices, [-1]), whole)


def _dense_rows(grad: Any) -> Tensor:
    if not isinstance(grad, IndexedSlices):
        return grad
    parts = gradients.components(grad)
    return map_rows(lambda row: [gradients.dense(gradients.from_components(grad, iter(row)))], parts)[0]


@export(v1=["vectorized_map"])
def vectorized_map(fn: Callable[[Any], Any], elems: Any) -> Any:
    """Applies a function to each row of tensors, all rows at once: `tf.map_fn` as one vectorised program.

    Args:
      fn: takes one row of each tensor, in the structure of `elems`; gives tensors in any structure. It is called
        once, to build a function.
      elems: a tensor of shape [n, ...] or a nested structure of such tensors. Those of one row stand for n equal rows.

    Returns:
      Tensors of shape [n, ...], in the structure of what `fn` gives.

    Raises:
      ValueError: `elems` holds no tensor, or their first dimensions differ.

    Example:
      >>> tf.vectorized_map(lambda a: tf.tensordot(a, a, 1), tf.constant([[1., 2.], [3., 4.]])).numpy().tolist()
      [5.0, 25.0]
    """
    flat = [to_tensor(elem) for elem in nest.flatten(elems)]
    if not flat:
        raise ValueError("vectorized_map needs at least one tensor in `elems`.")
    single, tensors = _split_single_rows(flat)
    result: list[Any] = []

    def body(rows: list[Tensor]) -> list[Tensor]:
        rest = iter(rows)
        row = [
            find("Squeeze")(tensor, squeeze_dims=[0]) if index in single else next(rest)
            for index, tensor in enumerate(flat)
        ]
        result.append(fn(nest.pack_sequence_as(elems, row)))
        return [to_tensor(leaf) for leaf in nest.flatten(result[0], expand_composites=True) if leaf is not None]

    stacked = iter(map_rows(body, tensors))
    leaves = nest.flatten(result[0], expand_composites=True)
    found = [None if leaf is None else next(stacked) for leaf in leaves]
    return nest.pack_sequence_as(result[0], found, expand_composites=True)


@export(v2=["vectorized_map"])
def vectorized_map_v2(
    fn: Callable[[Any], Any], elems: Any, fallback_to_while_loop: bool = True, warn: bool = True
) -> Any:
    """Applies a function to each row of tensors, all rows at once: `tf.map_fn` as one vectorised program.

    Args:
      fn: takes one row of each tensor, in the structure of `elems`; gives tensors in any structure. It is called
        once, to build a function.
      elems: a tensor of shape [n, ...] or a nested structure of such tensors. Those of one row stand for n equal rows.
      fallback_to_while_loop: whether rows are computed one after the other where an operation is not vectorised
        (random numbers, strings, Python code); they always are.
      warn: accepted for compatibility.

    Returns:
      Tensors of shape [n, ...], in the structure of what `fn` gives.

    Raises:
      ValueError: `elems` holds no tensor, or their first dimensions differ.

    Example:
      >>> tf.vectorized_map(lambda a: tf.tensordot(a, a, 1), tf.constant([[1., 2.], [3., 4.]])).numpy().tolist()
      [5.0, 25.0]
    """
    return vectorized_map(fn, elems)


def _split_single_rows(flat: list[Tensor]) -> tuple[frozenset[int], list[Tensor]]:
    """Which tensors have one row where others have more; and the others.

    Raises:
      ValueError: the numbers of rows differ, or a tensor is a scalar.
    """
    for tensor in flat:
        if tensor._shape == ():
            raise ValueError("The tensors of `elems` need a first dimension; received a scalar.")
    counts = [None if tensor._shape is None else tensor._shape[0] for tensor in flat]
    if all(count == 1 for count in counts):
        return frozenset(), flat
    single = frozenset(index for index, count in enumerate(counts) if count == 1)
    rest = [tensor for index, tensor in enumerate(flat) if index not in single]
    if len({count for count in counts if count not in (1, None)}) > 1:
        raise ValueError(f"The tensors of `elems` must have equal first dimensions; received {counts}.")
    return single, rest
