"""Assertions about ranks, shapes and types."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from millstream.core import conversion, dtypes, shapes
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor, TensorLike
from millstream.ops.comparison_ops import equal, greater_equal, logical_or
from millstream.ops.control_flow_ops import Assert, group, no_op, with_dependencies
from millstream.ops.shape_ops import rank as rank_of
from millstream.ops.shape_ops import shape as shape_of

# --- Ranks --------------------------------------------------------------------------------------------------


def _check_rank(
    x: Tensor,
    ranks: list[Tensor],
    condition: Callable[..., Any],
    failed: Callable[[list[Any]], str | None],
    data: list[Any],
    summarize: int | None,
) -> Any:
    """Checks the rank of `x`.

    Args:
      x: the tensor.
      ranks: int32 scalars that it is compared with.
      condition: builds the bool tensor from the rank of `x` and `ranks`.
      failed: the message where the static rank does not suit the known values of `ranks`, else None.
      data: what the run-time error shows.
      summarize: how many elements of it.
    """
    for wanted in ranks:
        assert_type(wanted, dtypes.int32)
    known = [constant_value(wanted) for wanted in ranks]
    for value in known:
        if value is not None and value.ndim:
            raise ValueError("Rank must be a scalar.")
    if x._shape is not None and all(value is not None for value in known):
        message = failed(known)
        if message is not None:
            raise ValueError(message)
        return no_op(name="static_checks_determined_all_ok")
    holds = condition(rank_of(x), ranks)
    for wanted, value in zip(ranks, known, strict=True):
        if value is None:
            text = ["Rank must be a scalar. Received rank: ", wanted]
            holds = with_dependencies([assert_rank(wanted, 0, data=text)], holds)
    return Assert(holds, data, summarize=summarize)


def _received(x: Tensor) -> str:
    return f"Received rank {len(x._shape or ())}, shape {shapes.format_tuple(x._shape)}"


@export(v1=["debugging.assert_rank", "assert_rank"])
def assert_rank(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """Demands that a tensor has a certain rank.

    Args:
      x: any dtype and shape.
      rank: an int32 scalar.
      data: what the run-time error shows; default: the rank and the shape.
      summarize: how many elements of it; default 3.
      message: what the error begins with.
      name: the name scope.

    Returns:
      The operation that checks: put it into `tf.control_dependencies` to have it run.

    Raises:
      ValueError: the static rank differs, or `rank` is not a scalar.
      InvalidArgumentError: when it runs and the rank differs.
    """
    with name_scope(name, "assert_rank", [x, rank, *(data or ())]):
        x = conversion.to_tensor(x, name="x")
        wanted = conversion.to_tensor(rank, name="rank")
        begin = message or ""
        if data is None:
            parts = [begin, f"Tensor {x.name} must have rank", wanted, "Received shape: ", shape_of(x)]
            data = parts

        def failed(known: list[Any]) -> str | None:
            if len(x._shape or ()) == int(known[0]):
                return None
            return f"{begin}.  Tensor {x.name} must have rank {int(known[0])}.  {_received(x)}"

        return _check_rank(x, [wanted], lambda r, ranks: equal(r, ranks[0]), failed, data, summarize)


@export(v1=["debugging.assert_rank_at_least", "assert_rank_at_least"])
def assert_rank_at_least(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """Demands that a tensor has at least a certain rank; arguments and errors as of `assert_rank`."""
    with name_scope(name, "assert_rank_at_least", [x, rank, *(data or ())]):
        x = conversion.to_tensor(x, name="x")
        wanted = conversion.to_tensor(rank, name="rank")
        begin = message or ""
        if data is None:
            text = f"Tensor {x.name} must have rank at least"
            data = [begin, text, wanted, "Received shape: ", shape_of(x)]

        def failed(known: list[Any]) -> str | None:
            if len(x._shape or ()) >= int(known[0]):
                return None
            return f"{begin}.  Tensor {x.name} must have rank at least {int(known[0])}.  {_received(x)}"

        return _check_rank(x, [wanted], lambda r, ranks: greater_equal(r, ranks[0]), failed, data, summarize)


@export(v1=["debugging.assert_rank_in", "assert_rank_in"])
def assert_rank_in(
    x: Any,
    ranks: Iterable[Any],
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """Demands that a tensor has one of several ranks, an iterable of int32 scalars; otherwise as `assert_rank`."""
    with name_scope(name, "assert_rank_in", [x, *ranks, *(data or ())]):
        x = conversion.to_tensor(x, name="x")
        wanted = [conversion.to_tensor(item, name="rank") for item in ranks]
        begin = message or ""
        if data is None:
            text = f"Tensor {x.name} must have rank in"
            data = [begin, text, *wanted, "Received shape: ", shape_of(x)]

        def failed(known: list[Any]) -> str | None:
            if any(len(x._shape or ()) == int(value) for value in known):
                return None
            return f"{begin}.  Tensor {x.name} must have rank in {tuple(known)}.  {_received(x)}"

        return _check_rank(x, wanted, _any_equal, failed, data, summarize)


def _any_equal(rank: Any, wanted: list[Any]) -> Any:
    matches = [equal(item, rank) for item in wanted]
    holds = matches[0]
    for match in matches[1:]:
        holds = logical_or(holds, match)
    return holds


@export(v2=["debugging.assert_rank", "assert_rank"])
def assert_rank_v2(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> Any:
    """Demands that a tensor has a certain rank (see `tf.assert_rank` of 1.x)."""
    return assert_rank(x, rank, message=message, name=name)


@export(v2=["debugging.assert_rank_at_least"])
def assert_rank_at_least_v2(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> Any:
    """Demands that a tensor has at least a certain rank (see `tf.assert_rank` of 1.x)."""
    return assert_rank_at_least(x, rank, message=message, name=name)


@export(v2=["debugging.assert_rank_in"])
def assert_rank_in_v2(x: Any, ranks: Any, message: str | None = None, name: str | None = None) -> Any:
    """Demands that a tensor has one of several ranks (see `tf.assert_rank` of 1.x)."""
    return assert_rank_in(x, ranks, message=message, name=name)


@export(v1=["debugging.assert_scalar", "assert_scalar"])
def assert_scalar(tensor: Any, name: str | None = None, message: str | None = None) -> Tensor:
    """The tensor, whose static shape must be that of a scalar.

    Raises:
      ValueError: it is not, or not known.
    """
    with name_scope(name, "assert_scalar", [tensor]) as scope:
        tensor = conversion.to_tensor(tensor, name=scope)
        if tensor._shape != ():
            raise ValueError(
                f"{message or ''}Expected scalar shape for {tensor.name}, saw shape: "
                f"{shapes.format_tuple(tensor._shape)}."
            )
        return tensor


@export(v2=["debugging.assert_scalar"])
def assert_scalar_v2(tensor: Any, message: str | None = None, name: str | None = None) -> Tensor:
    """The tensor, whose static shape must be that of a scalar (else ValueError)."""
    return assert_scalar(tensor, name, message)


# --- Shapes -------------------------------------------------------------------------------------------------


def _ensured_shape(c: ShapeContext) -> Any:
    return shapes.merge(c.attrs["shape"], c.shape(0))


@op("EnsureShape(input: T, *, shape: shape) -> output: T", T=ANY, shape=_ensured_shape)
def ensure_shape_op(xp, input, *, shape, node):
    if not shapes.is_compatible(shape, input.shape):
        raise ValueError(
            f"Shape of tensor {node.inputs[0].op.name} {shapes.format_shape(input.shape)} is not compatible with "
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


def _wanted_sizes(shape: Any) -> list[Any]:
    """The entries of a wanted shape: an int, a symbol, or None for any size."""
    if isinstance(shape, shapes.TensorShape):
        shape = shape.as_list()
    if not isinstance(shape, (list, tuple)):
        shape = [shape]
    sizes: list[Any] = []
    for entry in shape:
        if isinstance(entry, shapes.Dimension):
            entry = entry.value
        if isinstance(entry, str):
            entry = None if entry == "." else int(entry) if entry.isdigit() else entry
        sizes.append(entry)
    return sizes


def _actual_sizes(x: Tensor, count: int) -> list[Any]:
    """The sizes of a tensor's dimensions: ints where they are known, else int32 scalars."""
    whole = shape_of(x)
    static = x._shape if x._shape is not None else (None,) * count
    return [whole[axis] if dim is None else dim for axis, dim in enumerate(static)]


def _check_size(
    x: Tensor, axis: int, size: Any, wanted: Any, source: str, begin: str, data: Any, summarize: int | None
) -> Any:
    """Checks one dimension, at once where both sizes are ints; gives the operation that checks later, or None."""
    if isinstance(size, int) and isinstance(wanted, int):
        if size == wanted:
            return None
        raise ValueError(
            f"{begin}.  {source}  Tensor {x.name} dimension {axis} must have size {wanted}.  "
            f"Received size {size}, shape {shapes.format_tuple(x._shape)}"
        )
    if data is None:
        data = [begin, source, f"Tensor {x.name} dimension", axis, "must have size", wanted,
                "Received shape: ", shape_of(x)]  # fmt: skip
    return Assert(equal(size, wanted), data, summarize=summarize)


def _check_sizes(
    pairs: list[tuple[Tensor, list[Any]]], begin: str, data: Any, summarize: int | None
) -> list[Any]:
    """Checks the sizes of all dimensions; the first size met for a symbol holds for the others."""
    actual = [_actual_sizes(x, len(wanted)) for x, wanted in pairs]
    checks = [
        assert_rank(x, len(wanted), data=data, summarize=summarize, message=begin) for x, wanted in pairs
    ]
    meaning: dict[str, tuple[Any, str]] = {}
    for (x, wanted), sizes in zip(pairs, actual, strict=True):
        for axis, (entry, size) in enumerate(zip(wanted, sizes, strict=True)):
            if entry is None:
                continue
            if isinstance(entry, str):
                if entry not in meaning:
                    meaning[entry] = (size, f"Specified by tensor {x.name} dimension {axis}.")
                    continue
                required, source = meaning[entry]
            else:
                required, source = entry, "Specified explicitly."
            checks.append(_check_size(x, axis, size, required, source, begin, data, summarize))
    return [check for check in checks if check is not None]


@export("debugging.assert_shapes")
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
        string, which stands for the same size everywhere; digits are an int), or None or "." for any size.
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
    items = list(shapes.items() if isinstance(shapes, dict) else shapes)
    with name_scope(name, "assert_shapes", [data]):
        pairs = [(conversion.to_tensor(tensor), _wanted_sizes(shape)) for tensor, shape in items]
        return group(*_check_sizes(pairs, message or "", data, summarize))


# --- Types --------------------------------------------------------------------------------------------------


@export(v1=["debugging.assert_type", "assert_type"])
def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> Any:
    """Demands that a tensor has a certain dtype.

    Args:
      tensor: a tensor.
      tf_type: the dtype.
      message: what the error begins with.
      name: the name scope.

    Returns:
      An operation that does nothing.

    Raises:
      TypeError: the dtype differs.
    """
    with name_scope(name, "assert_type", [tensor]):
        tensor = conversion.to_tensor(tensor, name="tensor")
        if tensor.dtype != tf_type:
            wanted = dtypes.as_dtype(tf_type)
            raise TypeError(f"{message or ''}  {tensor.name} must be of type {wanted}")
        return no_op("statically_determined_correct_type")


@export(v2=["debugging.assert_type"])
def assert_type_v2(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> None:
    """Demands that a tensor has a certain dtype (else TypeError)."""
    assert_type(tensor, tf_type, message, name)


@export(v1=["debugging.assert_integer", "assert_integer"])
def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> Any:
    """Demands that a tensor has an integer dtype.

    Args:
      x: a tensor.
      message: what the error begins with.
      name: the name scope.

    Returns:
      An operation that does nothing.

    Raises:
      TypeError: the dtype is another one.
    """
    with name_scope(name, "assert_integer", [x]):
        x = conversion.to_tensor(x, name="x")
        if not x.dtype.base_dtype.is_integer:
            raise TypeError(
                f'{message or ""}  Expected "x" to be integer type.  Found: {x.name} of dtype {x.dtype}'
            )
        return no_op("statically_determined_was_integer")


@export(v2=["debugging.assert_integer"])
def assert_integer_v2(x: Any, message: str | None = None, name: str | None = None) -> None:
    """Demands that a tensor has an integer dtype (else TypeError)."""
    assert_integer(x, message, name)


@export("debugging.assert_same_float_dtype", v1=["assert_same_float_dtype"])
def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> dtypes.DType:
    """The floating dtype that all tensors have.

    Args:
      tensors: tensors; None among them are passed over.
      dtype: the dtype that they must have; default: that of the first, or float32 where there is none.

    Raises:
      ValueError: the dtypes differ, or are not floating.
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    first: Any = None
    for tensor in tensors or ():
        if tensor is None:
            continue
        found = tensor.dtype.base_dtype
        if wanted is None:
            wanted, first = found, tensor
        elif found is not wanted:
            origin = "" if first is None else f" as {_named(first)}"
            raise ValueError(
                f"{_named(tensor)}, type={found}, must be of the same type ({wanted}){origin}."
            )
    if wanted is None:
        return dtypes.float32
    if not wanted.is_floating:
        raise ValueError(f"Expected floating point type, got {wanted}.")
    return wanted


def _named(value: Any) -> str:
    return getattr(value, "name", None) or str(value)


@export("debugging.assert_proper_iterable", v1=["assert_proper_iterable"])
def assert_proper_iterable(values: Any) -> None:
    """Demands an iterable of things: no tensor, array, sparse value or string, which one might iterate by mistake.

    Raises:
      TypeError: `values` is one of these, or not iterable.
    """
    if isinstance(values, (TensorLike, np.ndarray, str, bytes)):
        raise TypeError(f'Expected argument "values" to be a "proper" iterable.  Found: {type(values)}')
    if not hasattr(values, "__iter__"):
        raise TypeError(f'Expected argument "values" to be iterable.  Found: {type(values)}')


@export("is_tensor", v1=["contrib.framework.is_tensor"])
def is_tensor(x: Any) -> bool:
    """Whether this is a tensor, or something that stands for one: a variable, a sparse value."""
    return isinstance(x, TensorLike) or bool(getattr(x, "is_tensor_like", False))


@export("debugging.is_numeric_tensor", v1=["is_numeric_tensor"])
def is_numeric_tensor(tensor: Any) -> bool:
    """Whether this is a tensor of a numeric dtype (bool and string are not)."""
    return isinstance(tensor, Tensor) and tensor.dtype.base_dtype.is_numeric
