"""Assertions about ranks and types."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from millstream.core import conversion, dtypes, shapes
from millstream.core.context import executing_eagerly
from millstream.core.export import export
from millstream.core.opdef import Shape
from millstream.core.scopes import name_scope
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor, TensorLike
from millstream.ops.comparison_ops import equal, greater_equal, logical_or
from millstream.ops.control_flow_ops import Assert, no_op, with_dependencies
from millstream.ops.shape_ops import rank as rank_of
from millstream.ops.shape_ops import shape as shape_of

# --- Ranks --------------------------------------------------------------------------------------------------


class Begin(NamedTuple):
    """How the messages of an assertion begin."""

    static: str  # of errors raised at once
    data: str  # what the data of run-time errors begins with
    version: int  # of TensorFlow


def begin_v1(message: str | None) -> Begin:
    """As TensorFlow 1 begins them, with a full stop even where there is no message."""
    return Begin(f"{message or ''}.  ", message or "", 1)


def begin_v2(message: str | None) -> Begin:
    """As TensorFlow 2 begins them."""
    prefix = f"{message}.  " if message else ""
    return Begin(prefix, prefix, 2)


def name_of(x: Any, eager: str = "") -> str:
    """A tensor's name; in eager execution, and if sparse, it has none, and `eager` stands for it."""
    return eager if executing_eagerly() or isinstance(x, SparseTensor) else x.name


def static_shape(x: Any) -> Shape:
    """The static shape of a tensor or sparse tensor."""
    return x._shape if isinstance(x, Tensor) else x.shape._plain


def _as_tensor(x: Any) -> Any:
    return x if isinstance(x, SparseTensor) else conversion.to_tensor(x, name="x")


def _check_rank(
    x: Any,
    ranks: list[Tensor],
    condition: Callable[..., Any],
    failed: Callable[[list[Any]], str | None],
    data: list[Any],
    summarize: int | None,
    version: int,
) -> Any:
    """Checks the rank of `x`.

    Args:
      x: the tensor.
      ranks: int32 scalars that it is compared with.
      condition: builds the bool tensor from the rank of `x` and `ranks`.
      failed: the message where the static rank does not suit the known values of `ranks`, else None.
      data: what the run-time error shows.
      summarize: how many elements of it.
      version: of TensorFlow, whose messages are given.
    """
    for wanted in ranks:
        (assert_type if version == 1 else assert_type_v2)(wanted, dtypes.int32)
    known = [constant_value(wanted) for wanted in ranks]
    for value in known:
        if value is not None and value.ndim:
            raise ValueError("Rank must be a scalar.")
    if static_shape(x) is not None and all(value is not None for value in known):
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


_RankRule = tuple[str, str, Callable[..., Any], Callable[[int, int], bool]]
_AT: _RankRule = ("assert_rank", "rank", equal, int.__eq__)
_AT_LEAST: _RankRule = ("assert_rank_at_least", "rank at least", greater_equal, int.__ge__)


def _assert_rank(
    x: Any, rank: Any, begin: Begin, data: Any, summarize: int | None, name: str | None, rule: _RankRule
) -> Any:
    """Demands that the rank is or exceeds another one, as the rule says."""
    scope, words, compare, compare_known = rule
    with name_scope(name, scope, [x, rank, *(data or ())]):
        x = _as_tensor(x)
        wanted = conversion.to_tensor(rank, name="rank")
        if data is None:
            text = f"Tensor {name_of(x)} must have {words}"
            data = [begin.data, text, wanted, "Received shape: ", shape_of(x)]

        def failed(known: list[Any]) -> str | None:
            least = int(known[0])
            if compare_known(len(static_shape(x) or ()), least):
                return None
            return f"{begin.static}Tensor {name_of(x)} must have {words} {least}.  {_received(x)}"

        return _check_rank(x, [wanted], lambda r, ranks: compare(r, ranks[0]), failed, data, summarize, begin.version)


def assert_rank_begin(x: Any, rank: Any, begin: Begin, data: Any, summarize: int | None) -> Any:
    """`assert_rank`, with the beginnings of its messages given."""
    return _assert_rank(x, rank, begin, data, summarize, None, _AT)


def assert_rank_at_least_begin(x: Any, rank: Any, begin: Begin, data: Any, summarize: int | None) -> Any:
    """`assert_rank_at_least`, with the beginnings of its messages given."""
    return _assert_rank(x, rank, begin, data, summarize, None, _AT_LEAST)


def assert_rank_in_begin(
    x: Any, ranks: Iterable[Any], begin: Begin, data: Any = None, summarize: int | None = None, name: str | None = None
) -> Any:
    """`assert_rank_in`, with the beginnings of its messages given."""
    ranks = list(ranks)
    with name_scope(name, "assert_rank_in", [x, *ranks, *(data or ())]):
        x = _as_tensor(x)
        wanted = [conversion.to_tensor(item, name="rank") for item in ranks]
        if data is None:
            text = f"Tensor {name_of(x)} must have rank in"
            data = [begin.data, text, *wanted, "Received shape: ", shape_of(x)]

        def failed(known: list[Any]) -> str | None:
            if any(len(static_shape(x) or ()) == int(value) for value in known):
                return None
            return f"{begin.static}Tensor {name_of(x)} must have rank in {_listed(known, begin)}.  {_received(x)}"

        return _check_rank(x, wanted, _any_equal, failed, data, summarize, begin.version)


def _listed(ranks: list[Any], begin: Begin) -> str:
    """Ranks as TensorFlow writes them: version 1 shows arrays."""
    return str(tuple(ranks if begin.version == 1 else map(int, ranks)))


def _any_equal(rank: Any, wanted: list[Any]) -> Any:
    matches = [equal(item, rank) for item in wanted]
    holds = matches[0]
    for match in matches[1:]:
        holds = logical_or(holds, match)
    return holds


def _received(x: Any) -> str:
    shape = static_shape(x) or ()
    return f"Received rank {len(shape)}, shape {shapes.format_tuple(shape)}"


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
    return _assert_rank(x, rank, begin_v1(message), data, summarize, name, _AT)


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
    return _assert_rank(x, rank, begin_v1(message), data, summarize, name, _AT_LEAST)


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
    return assert_rank_in_begin(x, ranks, begin_v1(message), data, summarize, name)


@export(v2=["debugging.assert_rank", "assert_rank"])
def assert_rank_v2(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> Any:
    """Demands that a tensor has a certain rank.

    Args:
      x: any dtype and shape.
      rank: an int32 scalar.
      message: what the error begins with.
      name: the name scope.

    Returns:
      None in eager execution, else the operation that checks.

    Raises:
      ValueError: the rank is known and differs, or `rank` is not a scalar.
      InvalidArgumentError: when a function runs and the rank differs.
    """
    return _assert_rank(x, rank, begin_v2(message), None, None, name, _AT)


@export(v2=["debugging.assert_rank_at_least"])
def assert_rank_at_least_v2(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> Any:
    """Demands that a tensor has at least a certain rank; arguments and errors as of `tf.debugging.assert_rank`."""
    return _assert_rank(x, rank, begin_v2(message), None, None, name, _AT_LEAST)


@export(v2=["debugging.assert_rank_in"])
def assert_rank_in_v2(x: Any, ranks: Any, message: str | None = None, name: str | None = None) -> Any:
    """Demands that a tensor has one of several ranks; otherwise as `tf.debugging.assert_rank`."""
    return assert_rank_in_begin(x, ranks, begin_v2(message), name=name)


def _assert_scalar(tensor: Any, name: str | None, lead: str) -> Tensor:
    with name_scope(name, "assert_scalar", [tensor]) as scope:
        tensor = conversion.to_tensor(tensor, name=scope)
        if tensor._shape != ():
            whose = "" if executing_eagerly() else f" for {tensor.name}"
            raise ValueError(f"{lead}Expected scalar shape{whose}, saw shape: {shapes.format_tuple(tensor._shape)}.")
        return tensor


@export(v1=["debugging.assert_scalar", "assert_scalar", "contrib.framework.assert_scalar"])
def assert_scalar(tensor: Any, name: str | None = None, message: str | None = None) -> Tensor:
    """The tensor, whose static shape must be that of a scalar.

    Raises:
      ValueError: it is not, or not known.
    """
    return _assert_scalar(tensor, name, message or "")


@export(v2=["debugging.assert_scalar"])
def assert_scalar_v2(tensor: Any, message: str | None = None, name: str | None = None) -> None:
    """Demands that the static shape of a tensor is that of a scalar.

    Args:
      tensor: any dtype.
      message: what the error begins with.
      name: the name scope.

    Raises:
      ValueError: it is not, or not known.
    """
    _assert_scalar(tensor, name, begin_v2(message).static)


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
            raise TypeError(f"{message or ''}  {name_of(tensor, 'tensor')} must be of type {wanted}")
        return no_op("statically_determined_correct_type")


@export(v2=["debugging.assert_type"])
def assert_type_v2(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> None:
    """Demands that a tensor has a certain dtype.

    Args:
      tensor: a tensor.
      tf_type: the dtype.
      message: what the error begins with.
      name: the name scope.

    Raises:
      TypeError: the dtype differs.
    """
    with name_scope(name, "assert_type", [tensor]):
        tensor, wanted = conversion.to_tensor(tensor, name="tensor"), dtypes.as_dtype(tf_type)
        if tensor.dtype != wanted:
            whose = f"{begin_v2(message).static}{name_of(tensor, 'tensor')}"
            raise TypeError(f"{whose} must be of type {wanted!r}; got {tensor.dtype!r}")


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
        _check_integer(x, f"{message or ''}  ")
        return no_op("statically_determined_was_integer")


@export(v2=["debugging.assert_integer"])
def assert_integer_v2(x: Any, message: str | None = None, name: str | None = None) -> None:
    """Demands that a tensor has an integer dtype.

    Args:
      x: a tensor.
      message: what the error begins with.
      name: the name scope.

    Raises:
      TypeError: the dtype is another one.
    """
    with name_scope(name, "assert_integer", [x]):
        _check_integer(x, begin_v2(message).static)


def _check_integer(x: Any, lead: str) -> None:
    x = conversion.to_tensor(x, name="x")
    if not x.dtype.base_dtype.is_integer:
        raise TypeError(f'{lead}Expected "x" to be integer type.  Found: {name_of(x, "tensor")} of dtype {x.dtype}')


@export(
    "debugging.assert_same_float_dtype",
    v1=["assert_same_float_dtype", "contrib.framework.assert_same_float_dtype"],
)
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
    return str(value) if executing_eagerly() else getattr(value, "name", None) or str(value)


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
