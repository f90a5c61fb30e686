"""Assertions about shapes: of one tensor, and of several whose shapes are related."""
from __future__ import annotations

from typing import Any, NamedTuple

from millstream.core import conversion, shapes
from millstream.core.context import executing_eagerly
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import control_dependencies, name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor
from millstream.ops.comparison_ops import equal
from millstream.ops.control_flow_ops import Assert, group
from millstream.ops.rank_check_ops import (
    Begin,
    assert_rank_at_least_begin,
    assert_rank_begin,
    assert_rank_in_begin,
    begin_v1,
    begin_v2,
    static_shape,
)
from millstream.ops.shape_ops import shape as shape_of

# --- One tensor ---------------------------------------------------------------------------------------------


def _ensured_shape(c: ShapeContext) -> Any:
    return shapes.merge(c.attrs["shape"], c.shape(0))


@op("EnsureShape(input: T, *, shape: shape) -> output: T", T=ANY, shape=_ensured_shape)
def ensure_shape_op(xp, input, *, shape, node):
    if not shapes.is_compatible(shape, input.shape):
        tensor = node.inputs[0]
        name = "input" if tensor.is_eager else tensor.op.name
        raise ValueError(
            f"Shape of tensor {name} {shapes.format_shape(input.shape)} is not compatible with "
            f"expected shape {shapes.format_shape(shape)}."
        )
    return input


@ensure_shape_op.gradient
def _(op, grad):
    return grad


@export("ensure_shape")
def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same tensor, which has that shape: the static shape is merged with it, and it is checked at run time.

    Args:
      x: any dtype and shape.
      shape: what is known of the shape; None for unknown dimensions.
      name: the operation's name.

    Raises:
      ValueError: the static shape contradicts it.
      InvalidArgumentError: when it runs and the shape does.
    """
    return ensure_shape_op(x, shape=shape, name=name)


# --- Several tensors ----------------------------------------------------------------------------------------


class _Demand(NamedTuple):
    """A tensor and the shape that it is to have."""

    x: Any
    sizes: list[Any]  # an int, a symbol, or None for any size
    is_end: bool  # only the last dimensions are given, however many there are before

    @property
    def first_axis(self) -> int:
        """The axis of the first size: counted from the end, if there are others before."""
        return -len(self.sizes) if self.is_end else 0


def _demand(x: Any, shape: Any) -> _Demand:
    """Reads the shape that a tensor is to have.

    Raises:
      ValueError: it is none.
    """
    x = x if isinstance(x, SparseTensor) else conversion.to_tensor(x)
    if isinstance(shape, shapes.TensorShape):
        shape = shape.as_list()
    if not (hasattr(shape, "__iter__") or hasattr(shape, "__getitem__")):
        raise ValueError(
            f"Tensor {_label(x)}.  Specified shape must be an iterable.  An iterable has the attribute `__iter__` or "
            f"`__getitem__`.  Received specified shape: {shape}"
        )
    entries = list(shape)
    is_end = bool(entries) and _is_ellipsis(entries[0])
    for index, entry in enumerate(entries[1:], 1):
        if _is_ellipsis(entry):
            raise ValueError(
                f"Tensor {_label(x)} specified shape index {index}.  Symbol `...` or `*` for a variable number of "
                "unspecified dimensions is only allowed as the first entry"
            )
    sizes = [_size(entry) for entry in entries[is_end:]]
    return _Demand(x, sizes or [] if is_end else sizes or [1], is_end)  # a scalar counts as one element


def _is_ellipsis(entry: Any) -> bool:
    return entry is Ellipsis or isinstance(entry, str) and entry == "*"


def _size(entry: Any) -> Any:
    """An entry of a shape: an int, a symbol, or None for any size."""
    if isinstance(entry, shapes.Dimension):
        return entry.value
    if isinstance(entry, str):
        return None if entry == "." else int(entry) if entry.isdigit() else entry
    return entry


def _label(x: Any) -> str:
    if executing_eagerly() or isinstance(x, SparseTensor):
        return f"shape={x.shape} dtype={x.dtype.name}"
    return x.name


def _actual_size(x: Any, axis: int) -> Any:
    """The size of a dimension: an int where it is known, else an int32 scalar. A scalar counts as one element."""
    static = static_shape(x)
    if static is None:
        return shape_of(x)[axis]
    dim = (static or (1,))[axis]
    return shape_of(x)[axis] if dim is None else dim


def _check_rank_of(demand: _Demand, begin: Begin, data: Any, summarize: int | None) -> Any:
    """The operation that checks the rank, or None where any will do; a scalar has the rank of one element too."""
    rank = len(demand.sizes)
    if demand.is_end:
        return None if rank < 2 else assert_rank_at_least_begin(demand.x, rank, begin, data, summarize)
    if rank < 2:
        return assert_rank_in_begin(demand.x, [0, 1], begin, data, summarize)
    return assert_rank_begin(demand.x, rank, begin, data, summarize)


def _check_size(
    x: Any, axis: int, size: Any, wanted: Any, source: str, begin: Begin, data: Any, summarize: int | None
) -> Any:
    """Checks one dimension, at once where both sizes are ints; gives the operation that checks later, or None."""
    if isinstance(size, int) and isinstance(wanted, int):
        if size == wanted:
            return None
        raise ValueError(
            f"{begin.static}{source}.  Tensor {_label(x)} dimension {axis} must have size {wanted}.  "
            f"Received size {size}, shape {x.shape}"
        )
    if data is None:
        data = [begin.data, source, f"Tensor {_label(x)} dimension", axis, "must have size", wanted,
                "Received shape: ", shape_of(x)]  # fmt: skip
    return Assert(equal(size, wanted), data, summarize=summarize)


def _check_shapes(items: Any, begin: Begin, data: Any, summarize: int | None, name: str | None) -> Any:
    """Checks ranks, then sizes; the first size met for a symbol holds for the others."""
    items = list(items.items() if isinstance(items, dict) else items)
    with name_scope(name, "assert_shapes", [data]):
        demands = [_demand(x, shape) for x, shape in items if shape is not None]
        ranks = [_check_rank_of(demand, begin, data, summarize) for demand in demands]
        checks = [check for check in ranks if check is not None]
        meaning: dict[str, tuple[Any, str]] = {}
        with control_dependencies(checks):
            for demand in demands:
                for axis, entry in enumerate(demand.sizes, demand.first_axis):
                    if entry is None:
                        continue
                    size = _actual_size(demand.x, axis)
                    if isinstance(entry, str) and entry not in meaning:
                        meaning[entry] = (size, f"Specified by tensor {_label(demand.x)} dimension {axis}")
                        continue
                    wanted, source = meaning[entry] if isinstance(entry, str) else (entry, "Specified explicitly")
                    check = _check_size(demand.x, axis, size, wanted, source, begin, data, summarize)
                    checks += [] if check is None else [check]
        return group(*checks)


@export(v1=["debugging.assert_shapes"])
def assert_shapes(
    shapes: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """Demands that the shapes of several tensors are related in a certain way.

    Args:
      shapes: a list of pairs, or a dict, of tensors and their shapes. An entry of a shape is an int, a symbol (a
        string, which stands for the same size everywhere; digits are an int), or None or "." for any size. A first
        entry `...` or "*" stands for any number of dimensions. A shape None demands nothing.
      data: what run-time errors show.
      summarize: how many elements of it; default 3.
      message: what errors begin with.
      name: the name scope.

    Returns:
      The operation that checks: put it into `tf.control_dependencies` to have it run.

    Raises:
      ValueError: the static shapes contradict it.
      InvalidArgumentError: when it runs and a shape does.

    Example:
      >>> tf.debugging.assert_shapes([(x, ("N", 3)), (y, ("N",))])
    """
    return _check_shapes(shapes, begin_v1(message), data, summarize, name)


@export(v2=["debugging.assert_shapes"])
def assert_shapes_v2(
    shapes: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> None:
    """Demands that the shapes of several tensors are related in a certain way.

    Args:
      shapes: a list of pairs, or a dict, of tensors and their shapes. An entry of a shape is an int, a symbol (a
        string, which stands for the same size everywhere; digits are an int), or None or "." for any size. A first
        entry `...` or "*" stands for any number of dimensions. A shape None demands nothing.
      data: what run-time errors show.
      summarize: how many elements of it; default 3.
      message: what errors begin with.
      name: the name scope.

    Raises:
      ValueError: the known shapes contradict it.
      InvalidArgumentError: when a function runs and a shape does.

    Example:
      >>> tf.debugging.assert_shapes([(x, ("N", 3)), (y, ("N",))])
    """
    _check_shapes(shapes, begin_v2(message), data, summarize, name)
