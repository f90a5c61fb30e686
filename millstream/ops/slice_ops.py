"""Slices: `tf.slice`, `tf.strided_slice` and Python's indexing of tensors."""
from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from millstream.core import context, dtypes, shapes, tape
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY
from millstream.core.eager import EagerTensor
from millstream.core.errors import InvalidArgumentError
from millstream.core.export import export, export_value
from millstream.core.opdef import op
from millstream.core.operation import Operation
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import no_outputs, same_as
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops import constant_op
from millstream.ops.arguments import is_concrete, to_ints
from millstream.ops.cast_ops import cast
from millstream.ops.fill_ops import ones_like
from millstream.ops.join_ops import concat, stack
from millstream.ops.pad_ops import pad_op
from millstream.ops.reshape_ops import reshape
from millstream.ops.shape_ops import shape

newaxis = None
export_value(__name__, "newaxis", "newaxis")

# --- Slice --------------------------------------------------------------------------------------------------


def _slice_shape(c: ShapeContext) -> Any:
    given, begin, size = c.shape(0), c.constant_shape(1), c.constant(2)
    vector = shapes.merge(c.shape(1), c.shape(2))
    rank = len(given) if given is not None else vector[0] if vector else None
    if rank is None:
        return None
    if vector and vector[0] is not None:
        given = shapes.with_rank(given, vector[0])
    given, begin = shapes.with_rank(given, rank), begin or (None,) * rank
    wanted = c.constant_shape(2) if size is None else tuple(size.tolist())
    result: list[int | None] = []
    for dim, start, length in zip(given, begin, wanted or (None,) * rank, strict=True):
        if length == -1:
            if dim is not None and start is not None and start > dim:
                raise ValueError(f"Negative dimension size caused by subtracting {start} from {dim}")
            length = None if dim is None or start is None else dim - start
        elif length is not None and length < -1:
            raise ValueError(f"Dimension size must be non-negative, not {length}")
        result.append(length)
    return tuple(result)


def _slice_needs(op: Operation) -> frozenset[str]:
    """A block of known size may begin where only the run knows."""
    size = constant_value(op.inputs[2])
    return frozenset(("size",) if size is not None and -1 not in size else ("begin", "size"))


@op(
    "Slice(input: T, begin: Index, size: Index) -> output: T",
    T=ANY,
    Index="int32 int64",
    shape=_slice_shape,
    static=("begin", "size"),
    static_rule=_slice_needs,
    moves_data=True,
)
def slice_op(xp, input, begin, size, *, check):
    sizes = to_ints(size)
    if not is_concrete(begin):
        from jax import lax

        for axis, (length, dim) in enumerate(zip(sizes, input.shape, strict=True)):
            inside = (begin[axis] >= 0) & (begin[axis] <= dim - length)
            message = f"Expected begin[{axis}] in [0, {dim - length}], but got {{0}}"
            check(inside, InvalidArgumentError, message, begin[axis])
        return lax.dynamic_slice(input, tuple(begin[axis] for axis in range(input.ndim)), sizes)
    starts = to_ints(begin)
    if len(starts) != input.ndim or len(sizes) != input.ndim:
        raise ValueError(
            f"Expected begin and size arguments to be 1-D tensors of size {input.ndim}, but got shapes "
            f"[{len(starts)}] and [{len(sizes)}] instead."
        )
    cuts = []
    for axis, (start, length, dim) in enumerate(zip(starts, sizes, input.shape, strict=True)):
        stop = dim if length == -1 else start + length
        if not 0 <= start <= dim:
            raise ValueError(f"Expected begin[{axis}] in [0, {dim}], but got {start}")
        if not start <= stop <= dim:
            raise ValueError(f"Expected size[{axis}] in [0, {dim - start}], but got {length}")
        cuts.append(slice(start, stop))
    return input[tuple(cuts)]


@slice_op.gradient
def _(op, grad):
    value, begin, _ = op.inputs
    rank = value._shape and len(value._shape)
    column = [rank if rank is not None else -1, 1]
    whole = shape(value, out_type=begin.dtype)
    after = whole - shape(op.outputs[0], out_type=begin.dtype) - begin
    return pad_op(grad, concat([reshape(begin, column), reshape(after, column)], 1)), None, None


@export("slice")
def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """Cuts a block out of a tensor.

    Args:
      input_: any dtype, rank n.
      begin: int32 or int64 vector [n], where the block begins.
      size: int32 or int64 vector [n], its shape; -1 stands for all that is left.
      name: the operation's name.

    Raises:
      ValueError, InvalidArgumentError: the block is not inside of the tensor.

    Example:
      >>> tf.slice([[1, 2, 3], [4, 5, 6]], [0, 1], [2, -1])     # [[2, 3], [5, 6]]
    """
    return slice_op(input_, begin, size, name=name)


# --- What a strided slice takes -----------------------------------------------------------------------------

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
_MASK_ATTRS = ", ".join(f"{name}: int = 0" for name in _MASKS)
_UNKNOWN: Any = object()  # a begin or end that is not known while the graph is built


class _Entry(NamedTuple):
    """One entry of a slice specification."""

    kind: str  # "slice", "index", "newaxis" or "ellipsis"
    begin: Any = None  # None: from the very beginning
    end: Any = None  # None: to the very end
    stride: int = 1


class _Masks(NamedTuple):
    """The bit masks of a strided slice: bit i speaks of entry i."""

    begin: int
    end: int
    ellipsis: int
    new_axis: int
    shrink_axis: int


def _read_entries(begin: Any, end: Any, strides: Any, masks: _Masks) -> list[_Entry]:
    """Reads the vectors and masks of a strided slice; there is always exactly one ellipsis in the result."""
    if masks.ellipsis & (masks.ellipsis - 1):
        raise ValueError("Multiple ellipses in slice spec not allowed")
    if is_concrete(begin):
        begin, end = to_ints(begin), to_ints(end)
    entries = []
    for index, step in enumerate(to_ints(strides)):
        bit = 1 << index
        if masks.ellipsis & bit:
            entries.append(_Entry("ellipsis"))
        elif masks.new_axis & bit:
            entries.append(_Entry("newaxis"))
        elif masks.shrink_axis & bit:
            if step <= 0:
                raise ValueError("only stride 1 allowed on non-range indexing.")
            entries.append(_Entry("index", begin[index]))
        elif step == 0:
            raise ValueError(f"strides[{index}] must be non-zero")
        else:
            start = None if masks.begin & bit else begin[index]
            stop = None if masks.end & bit else end[index]
            entries.append(_Entry("slice", start, stop, step))
    return entries if masks.ellipsis else [*entries, _Entry("ellipsis")]


def _per_dimension(entries: list[_Entry], rank: int) -> list[_Entry]:
    """One entry for each dimension of the input, in order."""
    rest = rank - sum(entry.kind in ("slice", "index") for entry in entries)
    if rest < 0:
        raise ValueError(f"Index out of range using input dim {rank}; input has only {rank} dims")
    dense: list[_Entry] = []
    for entry in entries:
        if entry.kind == "ellipsis":
            dense.extend([_Entry("slice")] * rest)
        elif entry.kind != "newaxis":
            dense.append(entry)
    return dense


def _check_indices(dense: list[_Entry], dims: Any) -> None:
    for axis, (entry, dim) in enumerate(zip(dense, dims, strict=True)):
        index = entry.begin
        if entry.kind != "index" or not isinstance(index, int) or dim is None or -dim <= index < dim:
            continue
        shown = index + dim if index < 0 else index
        raise ValueError(f"slice index {shown} of dimension {axis} out of bounds.")


def _numpy_key(entries: list[_Entry]) -> tuple[Any, ...]:
    """The entries as NumPy and JAX index with them."""
    key: list[Any] = []
    for entry in entries:
        if entry.kind == "slice":
            key.append(slice(entry.begin, entry.end, entry.stride))
        else:
            key.append({"index": entry.begin, "newaxis": None, "ellipsis": Ellipsis}[entry.kind])
    return tuple(key)


def _sliced_shape(entries: list[_Entry], given: Any) -> tuple[int | None, ...]:
    """The static shape of a slice of a tensor of shape `given`."""
    dense = _per_dimension(entries, len(given))
    pairs = zip(dense, given, strict=True)
    left = [[] if entry.kind == "index" else [_sliced_size(entry, dim)] for entry, dim in pairs]
    rest = len(given) - sum(entry.kind in ("slice", "index") for entry in entries)
    result: list[int | None] = []
    for entry in entries:
        if entry.kind == "newaxis":
            result.append(1)
            continue
        count = rest if entry.kind == "ellipsis" else 1
        result.extend(size for sizes in left[:count] for size in sizes)
        left = left[count:]
    return tuple(result)


def _sliced_size(entry: _Entry, dim: int | None) -> int | None:
    if dim is None or _UNKNOWN in (entry.begin, entry.end):
        return None
    return len(range(dim)[entry.begin : entry.end : entry.stride])


# --- StridedSlice -------------------------------------------------------------------------------------------


def _masks_of(attrs: dict[str, Any]) -> _Masks:
    return _Masks(*(attrs[name] for name in _MASKS))


def _strided_slice_shape(c: ShapeContext) -> Any:
    given, begin, end, strides = c.shape(0), c.constant(1), c.constant(2), c.constant(3)
    shapes.merge(shapes.merge(c.shape(1), c.shape(2)), shapes.with_rank(c.shape(3), 1))
    if given is None or strides is None:
        return None
    if begin is None or end is None:
        begin = end = [_UNKNOWN] * strides.size
    entries = _read_entries(begin, end, strides, _masks_of(c.attrs))
    _check_indices(_per_dimension(entries, len(given)), given)
    return _sliced_shape(entries, given)


_STATIC = ("begin", "end", "strides")


def _needs_bounds(op: Operation) -> bool:
    """Whether the sizes of the result depend on begin and end: not where each entry is an index or a whole range."""
    masks, length = _masks_of(op.attrs), op.inputs[3]._shape
    if length is None or length[0] is None:
        return True
    free = masks.ellipsis | masks.new_axis | masks.shrink_axis | (masks.begin & masks.end)
    return free != (1 << length[0]) - 1


@op(
    f"StridedSlice(input: T, begin: Index, end: Index, strides: Index, *, {_MASK_ATTRS}) -> output: T",
    T=ANY,
    Index="int32 int64",
    shape=_strided_slice_shape,
    static=_STATIC,
    static_rule=lambda op: frozenset(_STATIC if _needs_bounds(op) else ("strides",)),
    moves_data=True,
)
def strided_slice_op(
    xp, input, begin, end, strides,
    *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask, check,
):  # fmt: skip
    masks = _Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    entries = _read_entries(begin, end, strides, masks)
    dense = _per_dimension(entries, input.ndim)
    _check_indices(dense, input.shape)
    if is_concrete(begin):
        return input[_numpy_key(entries)]
    for axis, (entry, dim) in enumerate(zip(dense, input.shape, strict=True)):
        if entry.kind == "index":
            inside = (entry.begin >= -dim) & (entry.begin < dim)
            message = f"slice index {{0}} of dimension {axis} out of bounds."
            check(inside, InvalidArgumentError, message, entry.begin)
    return xp.asarray(input)[_numpy_key(entries)]


@strided_slice_op.gradient
def _(op, grad):
    value, begin, end, strides = op.inputs
    masks = {name: op.get_attr(name) for name in _MASKS}
    dims = shape(value, out_type=begin.dtype)
    return strided_slice_grad_op(dims, begin, end, strides, grad, **masks), None, None, None


@op(
    f"StridedSliceGrad(shape: Index, begin: Index, end: Index, strides: Index, dy: T, *, {_MASK_ATTRS})"
    " -> output: T",
    T=ANY,
    Index="int32 int64",
    shape=lambda c: c.constant_shape(0),
    static=("shape", *_STATIC),
    static_rule=lambda op: frozenset(("shape", *_STATIC) if _needs_bounds(op) else ("shape", "strides")),
)
def strided_slice_grad_op(
    xp, shape, begin, end, strides, dy, *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask
):
    masks = _Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    dims = to_ints(shape)
    dense = _per_dimension(_read_entries(begin, end, strides, masks), len(dims))
    _check_indices(dense, dims)
    if xp is np or not is_concrete(begin):
        return _put(xp, xp.zeros(dims, dy.dtype), dense, dy)
    return _pad_back(xp, dy, dense, dims)


def _put(xp: Any, array: Any, dense: list[_Entry], values: Any) -> Any:
    """`array` with `values` in place of a slice of it."""
    key = _numpy_key(dense)
    array = xp.array(array)
    values = xp.reshape(values, array[key].shape)
    if xp is not np:
        return array.at[key].set(values)
    array[key] = values
    return array


def _pad_back(xp: Any, values: Any, dense: list[_Entry], dims: list[int]) -> Any:
    """Zeros of shape `dims` with `values` in place of a slice: padding, which XLA does faster than a scatter."""
    from jax import lax

    ranges = []
    for entry, dim in zip(dense, dims, strict=True):
        if entry.kind == "index":
            ranges.append(range(entry.begin % dim, entry.begin % dim + 1))
        else:
            ranges.append(range(dim)[entry.begin : entry.end : entry.stride])
    values = xp.reshape(values, [len(taken) for taken in ranges])
    if 0 in values.shape:
        return xp.zeros(dims, values.dtype)
    backwards = [axis for axis, taken in enumerate(ranges) if taken.step < 0]
    if backwards:
        values = xp.flip(values, backwards)
    padding = []
    for taken, dim in zip(ranges, dims, strict=True):
        padding.append((min(taken), dim - 1 - max(taken), abs(taken.step) - 1))
    return lax.pad(values, xp.zeros((), values.dtype), padding)


@strided_slice_grad_op.gradient
def _(op, grad):
    _, begin, end, strides, _ = op.inputs
    masks = {name: op.get_attr(name) for name in _MASKS}
    return None, None, None, None, strided_slice_op(grad, begin, end, strides, **masks)


# --- Assigning to slices ------------------------------------------------------------------------------------


def _update(xp: Any, array: Any, begin: Any, end: Any, strides: Any, masks: _Masks, value: Any) -> Any:
    """`array` with `value`, broadcast where needed, in place of a slice."""
    entries = _read_entries(begin, end, strides, masks)
    dense = _per_dimension(entries, array.ndim)
    _check_indices(dense, array.shape)
    shape = xp.asarray(array)[_numpy_key(entries)].shape
    if not shapes.broadcasts(value.shape, shape, to=shape):
        given, wanted = (shapes.format_shape(dims) for dims in (value.shape, shape))
        raise ValueError(f"Cannot broadcast input shape {given} into final shape {wanted}")
    return _put(xp, array, dense, xp.broadcast_to(value, shape))


_SPECIFICATION = "begin: Index, end: Index, strides: Index"


@op(
    f"TensorStridedSliceUpdate(input: T, {_SPECIFICATION}, value: T, *, {_MASK_ATTRS}) -> output: T",
    T=ANY,
    Index="int32 int64",
    shape=same_as(0),
    static=_STATIC,
)
def tensor_strided_slice_update_op(
    xp, input, begin, end, strides, value,
    *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask,
):  # fmt: skip
    masks = _Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    return _update(xp, input, begin, end, strides, masks, value)


@op(
    f"StridedSliceAssign(ref: Ref(T), {_SPECIFICATION}, value: T, *, {_MASK_ATTRS}) -> output_ref: Ref(T)",
    T=ANY,
    Index="int32 int64",
    shape=same_as(0),
    static=_STATIC,
)
def strided_slice_assign_op(
    xp, ref, begin, end, strides, value,
    *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask, state,
):  # fmt: skip
    masks = _Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    state.assign(ref, _update(xp, state.read(ref), begin, end, strides, masks, value))
    return ref


@op(
    f"ResourceStridedSliceAssign(ref: resource, {_SPECIFICATION}, value: T, *, {_MASK_ATTRS})",
    T=ANY,
    Index="int32 int64",
    shape=no_outputs,
    static=_STATIC,
    stateful=True,
    writes=("ref",),
)
def resource_strided_slice_assign_op(
    xp, ref, begin, end, strides, value,
    *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask, state,
):  # fmt: skip
    masks = _Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    state.assign(ref, _update(xp, state.read(ref), begin, end, strides, masks, value))


def _assigner(var: Any, specification: tuple[Any, ...], masks: dict[str, int], parent: str) -> Any:
    """The `assign` method of a slice of a variable."""

    def assign(val: Any, name: str | None = None) -> Any:
        """Assigns to this part of the variable; gives the variable's new value."""
        if var is None:
            raise ValueError("Sliced assignment is only supported for variables")
        name = name or parent + "_assign"
        if getattr(var.dtype, "is_ref", False):
            return strided_slice_assign_op(var, *specification, val, name=name, **masks)
        value = to_tensor(val, var.dtype)
        return var._after(resource_strided_slice_assign_op(var.handle, *specification, value, name=name, **masks))

    return assign


# --- Endpoints ----------------------------------------------------------------------------------------------


@export("strided_slice")
def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """Cuts out what `input_[begin[0]:end[0]:strides[0], …]` means in Python.

    Args:
      input_: any dtype, rank n.
      begin, end, strides: int32 or int64 vectors of one length m ≤ n; strides default to ones.
      begin_mask, end_mask: bit i: `begin[i]` or `end[i]` is left out, as in `x[:3]` or `x[3:]`.
      ellipsis_mask: bit i: entry i is `...`.
      new_axis_mask: bit i: entry i is `tf.newaxis`.
      shrink_axis_mask: bit i: entry i is the index `begin[i]`, and the dimension goes away.
      var: the variable that `input_` is the value of; the result's `assign` then changes it.
      name: the operation's name.

    Raises:
      ValueError, InvalidArgumentError: an index out of range, a stride of 0, or too many entries.
    """
    if strides is None:
        strides = ones_like(begin)
    masks = dict(
        begin_mask=begin_mask,
        end_mask=end_mask,
        ellipsis_mask=ellipsis_mask,
        new_axis_mask=new_axis_mask,
        shrink_axis_mask=shrink_axis_mask,
    )
    result = strided_slice_op(input_, begin, end, strides, name=name, **masks)
    if var is not None:
        result.assign = _assigner(var, (begin, end, strides), masks, name or "StridedSlice")
    return result


_INDEX_ERROR = (
    "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar tf.int32/tf.int64 tensors "
    "are valid indices"
)


def _check_entry(index: Any) -> None:
    if isinstance(index, (int, np.integer, shapes.Dimension)):
        return
    dtype = getattr(index, "dtype", None)
    rank = len(getattr(index, "shape", ()) or ()) if dtype is not None else 0
    if dtype is None or dtypes.as_dtype(dtype) not in (dtypes.int32, dtypes.int64) or rank == 1:
        raise TypeError(f"{_INDEX_ERROR}, got {index!r}")


def _is_mask(spec: Any) -> bool:
    if isinstance(spec, bool):
        return True
    return isinstance(spec, (Tensor, np.ndarray)) and dtypes.as_dtype(spec.dtype).base_dtype is dtypes.bool_


class _Specification:
    """Collects the vectors and masks of a Python index."""

    def __init__(self, spec: Any) -> None:
        self.begin: list[Any] = []
        self.end: list[Any] = []
        self.strides: list[Any] = []
        self.masks = dict.fromkeys(_MASKS, 0)
        for index, entry in enumerate(spec if isinstance(spec, (list, tuple)) else [spec]):
            self._add(1 << index, entry)

    def _add(self, bit: int, entry: Any) -> None:
        if isinstance(entry, slice):
            self._append(
                self._bound(entry.start, "begin_mask", bit),
                self._bound(entry.stop, "end_mask", bit),
                1 if entry.step is None else self._checked(entry.step),
            )
        elif entry is Ellipsis or entry is newaxis:
            self._append(0, 0, 1)
            self.masks["new_axis_mask" if entry is newaxis else "ellipsis_mask"] |= bit
        else:
            self._append(self._checked(entry), entry + 1, 1)
            self.masks["shrink_axis_mask"] |= bit

    def _append(self, begin: Any, end: Any, stride: Any) -> None:
        self.begin.append(begin)
        self.end.append(end)
        self.strides.append(stride)

    def _bound(self, bound: Any, mask: str, bit: int) -> Any:
        if bound is None or (isinstance(bound, int) and bound == sys.maxsize):
            self.masks[mask] |= bit
            return 0
        return self._checked(bound)

    @staticmethod
    def _checked(index: Any) -> Any:
        _check_entry(index)
        return index


def slice_helper(tensor: Any, slice_spec: Any, var: Any = None) -> Tensor:
    """What `tensor[slice_spec]` means: NumPy's basic indexing, with tensors as indices, or a boolean mask.

    Args:
      tensor: any dtype and shape.
      slice_spec: an int, slice, `...`, `tf.newaxis`, int32 or int64 scalar tensor, a tuple of these, or a mask.
      var: the variable that `tensor` is the value of.

    Raises:
      TypeError: an entry is of another kind.
      ValueError: an index is out of range, or there are too many.
    """
    direct = _taken_directly(tensor, slice_spec) if var is None else None
    if direct is not None:
        return direct
    if _is_mask(slice_spec):
        from millstream.ops.select_ops import boolean_mask

        return boolean_mask(tensor, slice_spec)
    spec = _Specification(slice_spec)
    vectors: list[Any] = [spec.begin, spec.end, spec.strides]
    with name_scope(None, "strided_slice", [tensor, *spec.begin, *spec.end, *spec.strides]) as scope:
        if spec.begin:
            vectors = [_index_vector(vector) for vector in vectors]
            if any(vector.dtype is dtypes.int64 for vector in vectors):
                vectors = [_as_int64(vector) for vector in vectors]
        else:
            vectors = [constant_op.constant([], dtype=dtypes.int32)] * 3
        return strided_slice(tensor, *vectors, **spec.masks, var=var, name=scope)


def _taken_directly(tensor: Any, spec: Any) -> Tensor | None:
    """The slice of a small tensor by plain integers, where nothing records it; None where the operation is needed.

    Programs take numbers out of tensors one by one, so this is worth a way of its own.
    """
    if type(tensor) is not EagerTensor or tape.current.tapes or not context.executing_eagerly():
        return None
    entries = spec if type(spec) is tuple else (spec,)
    if type(tensor._value) is not np.ndarray or context.current.devices or not all(map(_is_plain, entries)):
        return None
    try:
        return EagerTensor(tensor._value[(*entries, ...)], tensor.dtype)
    except IndexError:  # the operation says what is wrong
        return None


def _is_plain(entry: Any) -> bool:
    if type(entry) is slice:
        return all(bound is None or type(bound) is int for bound in (entry.start, entry.stop)) and entry.step is None
    return type(entry) is int


def _index_vector(entries: list[Any]) -> Tensor:
    """Begins, ends or strides as one tensor."""
    if context.executing_eagerly() and all(type(entry) is int and abs(entry) < 2**31 for entry in entries):
        return EagerTensor(np.array(entries, np.int32), dtypes.int32)
    return stack(entries)


def _as_int64(vector: Tensor) -> Tensor:
    return vector if vector.dtype is dtypes.int64 else cast(vector, dtypes.int64)


Tensor.__getitem__ = slice_helper  # type: ignore[attr-defined]
