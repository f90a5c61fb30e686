"""Loops over the rows of tensors: `tf.map_fn`, `tf.foldl`, `tf.foldr` and `tf.scan`.

Each is a `tf.while_loop` that reads the rows from one `tf.TensorArray` a tensor and writes its results to others.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import dtypes, nest
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.opdef import find
from millstream.core.scopes import name_scope
from millstream.core.shapes import Dimension
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.type_spec import CompositeTensor, TypeSpec
from millstream.ops.shape_ops import shape
from millstream.ops.tensor_array import TensorArray
from millstream.ops.while_loop import while_loop


class _Rows:
    """The rows of all tensors in a structure.

    Args:
      elems: the structure.
      converts: whether what is no tensor becomes one once for all; folds of TensorFlow 1 have more operations.

    Attributes:
      count: how many there are: a number where that is known, else a scalar tensor.
    """

    def __init__(self, elems: Any, converts: bool = True) -> None:
        self._structure = elems
        for leaf in nest.flatten(elems):
            if isinstance(leaf, CompositeTensor):
                raise TypeError(
                    f"elems must be tensors, or a nested structure of tensors, but {type(leaf).__name__} was given. "
                    "To map over the non-missing values of a SparseTensor, map over its `values`, and make a "
                    "SparseTensor of the result."
                )
        tensors = [to_tensor(leaf, name="elem") for leaf in nest.flatten(elems)]
        if not tensors:
            raise ValueError("elems must contain at least one tensor.")
        if any(tensor._shape == () for tensor in tensors):
            raise ValueError("elems must be a 1+ dimensional Tensor, not a scalar")
        known = Dimension(None)
        for tensor in tensors:
            known = known.merge_with(None if tensor._shape is None else tensor._shape[0])
        self.known_count: int | None = known.value
        self.count: Any = self.known_count if self.known_count is not None else shape(tensors[0])[0]
        arrays = [
            TensorArray(
                tensor.dtype, size=self.count, dynamic_size=False, infer_shape=True,
                element_shape=None if tensor._shape is None else tensor._shape[1:],
            )
            for tensor in tensors
        ]  # fmt: skip
        rows = tensors if converts else nest.flatten(elems)
        self._arrays = [array.unstack(tensor) for array, tensor in zip(arrays, rows, strict=True)]

    @property
    def dtypes(self) -> Any:
        """The dtypes of the tensors, in the structure."""
        return nest.pack_sequence_as(self._structure, [array.dtype for array in self._arrays])

    def row(self, index: Any) -> Any:
        """One row of each tensor, in the structure."""
        return nest.pack_sequence_as(self._structure, [array.read(index) for array in self._arrays])


def _stacked(arrays: Sequence[TensorArray], rows: _Rows) -> list[Tensor]:
    """The results of all turns, each as one tensor."""
    stacked = [array.stack() for array in arrays]
    for tensor in stacked:
        if tensor._shape is not None and not tensor.is_eager:
            tensor.set_shape((rows.known_count, *tensor._shape[1:]))
    return stacked


def _require_callable(fn: Any) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be callable. Received: {fn!r}")


def _below(limit: Any) -> Callable[..., Tensor]:
    return lambda i, *_: find("Less")(i, limit)


def _above_zero(i: Tensor, *_: Any) -> Tensor:
    return find("Greater")(i, 0)


# --- map_fn -----------------------------------------------------------------------------------------------------------


@export(v2=["map_fn"])
def map_fn_v2(
    fn: Callable[[Any], Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """`fn` of each row of some tensors, stacked.

    Args:
      fn: takes a row of `elems`, in its structure, and gives tensors of any structure.
      elems: a tensor, or a nested structure of tensors, of shape [n, ...].
      dtype: an older name of `fn_output_signature`.
      parallel_iterations, swap_memory: accepted for compatibility.
      back_prop: whether gradients flow through.
      infer_shape: whether all results have the shape of the first one; if not, they must still be alike to be stacked.
      name: the operation's name.
      fn_output_signature: what `fn` gives, where its structure or dtypes are not those of `elems`: the structure, of
        dtypes or `tf.TensorSpec`s.

    Returns:
      The results in the structure that `fn` gives: tensors of shape [n, ...].

    Raises:
      TypeError: `fn` is not callable, or something in `elems` is no tensor.
      ValueError: something in `elems` is a scalar, the numbers of rows differ, or what `fn` gives has another
        structure than `fn_output_signature` (or `elems`) says.

    Example:
      >>> tf.map_fn(lambda row: tf.reduce_sum(row), tf.constant([[1, 2], [3, 4]])).numpy()
      array([3, 7], dtype=int32)
    """
    signature = dtype if fn_output_signature is None else fn_output_signature
    return _map_fn(fn, elems, signature, parallel_iterations, back_prop, swap_memory, infer_shape, name)


@export(v1=["map_fn"])
def map_fn(
    fn: Callable[[Any], Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
) -> Any:
    """`fn` of each row of some tensors, stacked; see `tf.map_fn` of 2.x.

    Args:
      fn, elems, parallel_iterations, back_prop, swap_memory, infer_shape, name: as in 2.x.
      dtype: what `fn` gives, where its structure or dtypes are not those of `elems`: the structure with dtypes.

    Raises:
      TypeError, ValueError: as in 2.x.
    """
    return _map_fn(fn, elems, dtype, parallel_iterations, back_prop, swap_memory, infer_shape, name)


def _map_fn(
    fn: Callable[[Any], Any],
    elems: Any,
    signature: Any,
    parallel_iterations: int | None,
    back_prop: bool,
    swap_memory: bool,
    infer_shape: bool,
    name: str | None,
) -> Any:
    _require_callable(fn)
    with name_scope(name, "map", nest.flatten(elems)):
        rows = _Rows(elems)
        if signature is None:
            signature = rows.dtypes
        specs = [_as_spec(item) for item in nest.flatten(signature)]
        start = to_tensor(0, dtype=dtypes.int32, name="Const")
        results = [
            TensorArray(spec.dtype, size=rows.count, infer_shape=infer_shape, element_shape=spec._shape)
            for spec in specs
        ]

        def turn(i: Tensor, arrays: Sequence[TensorArray]) -> Any:
            found = fn(rows.row(i))
            nest.assert_same_structure(signature, found)
            pairs = zip(arrays, nest.flatten(found), strict=True)
            return find("AddV2")(i, 1), [array.write(i, value) for array, value in pairs]

        _, results = while_loop(
            _below(rows.count), turn, (start, results), parallel_iterations=parallel_iterations or 10,
            back_prop=back_prop, swap_memory=swap_memory, maximum_iterations=rows.count,
        )  # fmt: skip
        return nest.pack_sequence_as(signature, _stacked(results, rows))


def _as_spec(item: Any) -> TensorSpec:
    """What is known of a result.

    Raises:
      TypeError: it is to be something else than a tensor.
    """
    if isinstance(item, TensorSpec):
        return item
    if isinstance(item, TypeSpec):
        raise TypeError(f"fn must give tensors; {item!r} is not supported as its result.")
    return TensorSpec(None, dtypes.as_dtype(item))


# --- Folds ------------------------------------------------------------------------------------------------------------


def _fold(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any,
    backwards: bool,
    name: str | None,
    **options: Any,
) -> Any:
    _require_callable(fn)
    with name_scope(name, "foldr" if backwards else "foldl", nest.flatten(elems)):
        rows = _Rows(elems, converts=False)
        place: Any = rows.count if backwards else 0
        if initializer is None:
            place = place - 1 if backwards else place
            value = rows.row(place)
            place = place if backwards else 1
        else:
            value = initializer
        if not backwards:
            place = to_tensor(place, dtype=dtypes.int32, name="Const")

        def turn(i: Tensor, value: Any) -> Any:
            if backwards:
                i = find("Sub")(i, 1)
            value = fn(value, rows.row(i))
            return [i if backwards else find("AddV2")(i, 1), value]

        goes_on = _above_zero if backwards else _below(rows.count)
        return while_loop(goes_on, turn, [place, value], maximum_iterations=rows.count, **options)[1]


@export("foldl")
def foldl(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """`fn(... fn(fn(initializer, row 0), row 1) ..., row n - 1)`.

    Args:
      fn: takes what it gave before, and a row of `elems`; gives the former's structure, dtypes and shapes.
      elems: a tensor, or a nested structure of tensors, of shape [n, ...].
      initializer: what `fn` takes first. Default: the first row, and then `fn` starts with the second one.
      parallel_iterations, swap_memory: accepted for compatibility.
      back_prop: whether gradients flow through.
      name: the operation's name.

    Raises:
      TypeError: `fn` is not callable.
      ValueError: as `tf.map_fn`; or `fn` changes structure or shapes.
      InvalidArgumentError: when it runs: there are neither rows nor an `initializer`.

    Example:
      >>> tf.foldl(lambda total, x: 10 * total + x, tf.constant([1, 2, 3])).numpy()
      123
    """
    return _fold(
        fn, elems, initializer, False, name,
        parallel_iterations=parallel_iterations, back_prop=back_prop, swap_memory=swap_memory,
    )  # fmt: skip


@export("foldr")
def foldr(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """`tf.foldl` from the last row to the first.

    Args:
      fn, elems, initializer, parallel_iterations, back_prop, swap_memory, name: as in `tf.foldl`.

    Raises:
      TypeError, ValueError, InvalidArgumentError: as in `tf.foldl`.

    Example:
      >>> tf.foldr(lambda total, x: 10 * total + x, tf.constant([1, 2, 3])).numpy()
      321
    """
    return _fold(
        fn, elems, initializer, True, name,
        parallel_iterations=parallel_iterations, back_prop=back_prop, swap_memory=swap_memory,
    )  # fmt: skip


@export("scan")
def scan(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """All the values that `tf.foldl` goes through, stacked.

    Args:
      fn: takes what it gave before, and a row of `elems`; gives the former's structure, dtypes and shapes.
      elems: a tensor, or a nested structure of tensors, of shape [n, ...].
      initializer: what `fn` takes first. Default: the first row, which is the first result then.
      parallel_iterations, swap_memory: accepted for compatibility.
      back_prop: whether gradients flow through.
      infer_shape: whether all results have the shape of the first one.
      reverse: whether to go from the last row to the first; a result stands at the place of its row all the same.
      name: the operation's name.

    Returns:
      The results in the structure of `initializer`: tensors of shape [n, ...].

    Raises:
      TypeError: `fn` is not callable.
      ValueError: as `tf.map_fn`; or `fn` changes structure or shapes.
      InvalidArgumentError: when it runs: there are neither rows nor an `initializer`.

    Example:
      >>> tf.scan(lambda total, x: total + x, tf.constant([1, 2, 3])).numpy()
      array([1, 3, 6], dtype=int32)
    """
    _require_callable(fn)
    with name_scope(name, "scan", nest.flatten(elems)):
        rows = _Rows(elems)
        if initializer is None:
            values = nest.flatten(rows.row(rows.count - 1 if reverse else 0))
            structure, place = elems, 1
        else:
            values = [to_tensor(leaf) for leaf in nest.flatten(initializer)]
            structure, place = initializer, 0
        results = [
            TensorArray(
                value.dtype, size=rows.count, dynamic_size=False, infer_shape=infer_shape,
                element_shape=value._shape if infer_shape else None,
            )
            for value in values
        ]  # fmt: skip
        if initializer is None:
            place_of_first = rows.count - 1 if reverse else 0
            results = [array.write(place_of_first, value) for array, value in zip(results, values, strict=True)]
        start = rows.count - 1 - place if reverse else place

        def turn(i: Tensor, flat: Sequence[Tensor], arrays: Sequence[TensorArray]) -> Any:
            found = fn(nest.pack_sequence_as(structure, flat), rows.row(i))
            nest.assert_same_structure(structure, found)
            flat = nest.flatten(found)
            arrays = [array.write(i, value) for array, value in zip(arrays, flat, strict=True)]
            return (find("Sub")(i, 1) if reverse else find("AddV2")(i, 1)), flat, arrays

        goes_on = (lambda i, *_: find("GreaterEqual")(i, 0)) if reverse else _below(rows.count)
        _, _, results = while_loop(
            goes_on, turn, (start, values, results), parallel_iterations=parallel_iterations, back_prop=back_prop,
            swap_memory=swap_memory, maximum_iterations=rows.count,
        )  # fmt: skip
        return nest.pack_sequence_as(structure, _stacked(results, rows))
