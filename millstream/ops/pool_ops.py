"""Pooling in two and three dimensions and its gradients, each an operation."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.core.dtypes import REAL_NUMERIC
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.shapes import format_shape
from millstream.ops import pool_kernels
from millstream.ops.arguments import to_ints
from millstream.ops.fill_ops import zeros_like
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.windows import Geometry

_FLOATS = "half bfloat16 float double"
_MAX_TYPES = "half bfloat16 float double int32 int64 uint8 int16 int8 uint16 qint8 = float"
_REAL = " ".join(dtype.short_name for dtype in REAL_NUMERIC)
_PADDING = 'padding: string{"SAME","VALID"}'
_WINDOW_2D = f'ksize: list(int) >= 4, strides: list(int) >= 4, {_PADDING}'
_WINDOW_3D = f'ksize: list(int) >= 5, strides: list(int) >= 5, {_PADDING}'
_NHWC = 'data_format: string{"NHWC","NCHW"} = "NHWC"'
_NDHWC = 'data_format: string{"NDHWC","NCDHW"} = "NDHWC"'


def _geometry(strides: Any, padding: str, data_format: str) -> Geometry:
    return Geometry(tuple(strides), (1,) * len(data_format), padding, (), data_format)


# --- Static shapes ------------------------------------------------------------------------------------------


def _pooled(c: ShapeContext, ksize: Any, strides: Any) -> Any:
    data_format = c.attrs.get("data_format", "NHWC")
    rank = len(data_format)
    dims = c.require_rank(0, rank)
    if ksize is None or strides is None:
        return (dims[0], *(None,) * (rank - 1))
    for what, values in (("ksize", ksize), ("stride", strides)):
        if len(values) != rank:
            raise ValueError(
                f"Pooling requires the {what} attribute to contain {rank} values, but got: {len(values)}"
            )
    geometry = _geometry(strides, c.attrs["padding"], data_format)
    return (dims[0], *(geometry.static_size(axis, dims[axis], ksize[axis]) for axis in range(1, rank)))


def _pool_shape(c: ShapeContext) -> Any:
    return _pooled(c, c.attrs["ksize"], c.attrs["strides"])


def _pool_v2_shape(c: ShapeContext) -> Any:
    ksize, strides = c.constant(c.num_inputs - 2), c.constant(c.num_inputs - 1)
    return _pooled(c, None if ksize is None else to_ints(ksize), None if strides is None else to_ints(strides))


def _like_images(c: ShapeContext) -> Any:
    return c.require_rank(0, len(c.attrs.get("data_format", "NHWC")))


def _original_shape(c: ShapeContext) -> Any:
    return c.constant_shape(0) or (None,) * len(c.attrs["data_format"])


def checked_window(
    ksize: Any, strides: Any, padding: str, data_format: str, dims: Any, grad: Any = None
) -> dict[str, Any]:
    """The parameters of a kernel for images of the dimensions `dims`, and a gradient of the result of `grad`.

    Raises:
      ValueError: dimensions that do not fit.
      NotImplementedError: a window over the batch.
    """
    rank = len(data_format)
    if len(dims) != rank:
        raise ValueError(f"tensor_in must be {rank}-dimensional")
    for what, values in (("ksize", ksize), ("strides", strides)):
        if len(values) != rank:
            raise ValueError(f"Sliding window {what} field must specify {rank} dimensions")
    if min(ksize) < 1:
        numbers = ",".join(map(str, ksize))
        raise ValueError(f"Sliding window ksize must be positive. The specified or inferred ksize is: {numbers}")
    if ksize[0] != 1 or strides[0] != 1:
        raise NotImplementedError("Pooling is not yet supported on the batch dimension.")
    geometry = _geometry(strides, padding, data_format)
    if grad is not None:
        wanted = (dims[0], *(geometry.output_size(axis, dims[axis], ksize[axis]) for axis in range(1, rank)))
        if tuple(grad) != wanted:
            raise ValueError(f"Expected grad shape to be {format_shape(wanted)}, but got {format_shape(grad)}")
    return {"ksize": tuple(ksize), "geometry": geometry}


# --- Kernels and gradients ----------------------------------------------------------------------------------


def _max(xp, input, *, ksize, strides, padding, data_format):
    return pool_kernels.max_pool(input, **checked_window(ksize, strides, padding, data_format, input.shape))


def _max_gradient(xp, orig_input, orig_output, grad, *, ksize, strides, padding, data_format):
    window = checked_window(ksize, strides, padding, data_format, orig_input.shape, grad.shape)
    return pool_kernels.max_pool_gradient(orig_input, grad, **window)


def _max_second_gradient(xp, orig_input, orig_output, grad, *, ksize, strides, padding, data_format):
    window = checked_window(ksize, strides, padding, data_format, orig_input.shape)
    return pool_kernels.max_pool_second_gradient(orig_input, grad, **window)


def _avg(xp, value, *, ksize, strides, padding, data_format):
    return pool_kernels.avg_pool(value, **checked_window(ksize, strides, padding, data_format, value.shape))


def _avg_gradient(xp, orig_input_shape, grad, *, ksize, strides, padding, data_format):
    dims = tuple(to_ints(orig_input_shape))
    return pool_kernels.avg_pool_gradient(
        grad, dims=dims, **checked_window(ksize, strides, padding, data_format, dims, grad.shape)
    )


def _window_attrs(op: Any) -> dict[str, Any]:
    return {name: op.attrs[name] for name in ("ksize", "strides", "padding", "data_format")}


def _register_max(forward: OpDef, by_images: OpDef, second: OpDef) -> None:
    """Registers the gradients of max pooling, of its gradient, and of the gradient of that."""

    @forward.gradient
    def _(op: Any, grad: Any) -> Any:
        return by_images(op.inputs[0], op.outputs[0], grad, **_window_attrs(op))

    def swap(to: OpDef) -> Callable[..., Any]:
        def gradient(op: Any, grad: Any) -> Any:
            images, pooled, _ = op.inputs
            back = to(images, pooled, grad, **_window_attrs(op))
            return zeros_like(images), zeros_like(pooled), back

        return gradient

    by_images.gradient(swap(second))
    second.gradient(swap(by_images))


def _register_avg(forward: OpDef, by_images: OpDef) -> None:
    @forward.gradient
    def _(op: Any, grad: Any) -> Any:
        return by_images(shape_of(op.inputs[0]), grad, **_window_attrs(op))

    @by_images.gradient
    def _(op: Any, grad: Any) -> Any:
        return None, forward(grad, **_window_attrs(op))


# --- Two dimensions -----------------------------------------------------------------------------------------

_GRAD_INPUTS = "orig_input: T, orig_output: T, grad: T"
max_pool_op = op(
    f'MaxPool(input: T, *, {_WINDOW_2D}, data_format: string{{"NHWC","NCHW","NCHW_VECT_C"}} = "NHWC") -> output: T',
    T=_MAX_TYPES, shape=_pool_shape, traced_only=True,
)(_max)  # fmt: skip
max_pool_grad_op = op(
    f"MaxPoolGrad({_GRAD_INPUTS}, *, {_WINDOW_2D}, {_NHWC}) -> output: T",
    T=f"{_REAL} = float", shape=_like_images, traced_only=True,
)(_max_gradient)  # fmt: skip
max_pool_grad_grad_op = op(
    f"MaxPoolGradGrad({_GRAD_INPUTS}, *, {_WINDOW_2D}, {_NHWC}) -> output: T",
    T=_REAL, shape=_pool_shape, traced_only=True,
)(_max_second_gradient)  # fmt: skip
avg_pool_op = op(
    f"AvgPool(value: T, *, {_WINDOW_2D}, {_NHWC}) -> output: T", T=_FLOATS, shape=_pool_shape, traced_only=True
)(_avg)
avg_pool_grad_op = op(
    f"AvgPoolGrad(orig_input_shape: int32, grad: T, *, {_WINDOW_2D}, {_NHWC}) -> output: T",
    T=_FLOATS, shape=_original_shape, static=("orig_input_shape",), traced_only=True,
)(_avg_gradient)  # fmt: skip
_register_max(max_pool_op, max_pool_grad_op, max_pool_grad_grad_op)
_register_avg(avg_pool_op, avg_pool_grad_op)

# --- Three dimensions ---------------------------------------------------------------------------------------

max_pool_3d_op = op(
    f"MaxPool3D(input: T, *, {_WINDOW_3D}, {_NDHWC}) -> output: T",
    T="half bfloat16 float", shape=_pool_shape, traced_only=True,
)(_max)  # fmt: skip
max_pool_3d_grad_op = op(
    f"MaxPool3DGrad(orig_input: TInput, orig_output: TInput, grad: T, *, {_WINDOW_3D}, {_NDHWC}) -> output: T",
    T="half bfloat16 float = float", TInput="half bfloat16 float = float", shape=_like_images, traced_only=True,
)(_max_gradient)  # fmt: skip
max_pool_3d_grad_grad_op = op(
    f"MaxPool3DGradGrad({_GRAD_INPUTS}, *, {_WINDOW_3D}, {_NDHWC}) -> output: T",
    T=_REAL, shape=_pool_shape, traced_only=True,
)(_max_second_gradient)  # fmt: skip
avg_pool_3d_op = op(
    f"AvgPool3D(input: T, *, {_WINDOW_3D}, {_NDHWC}) -> output: T", T=_FLOATS, shape=_pool_shape, traced_only=True
)(_avg)
avg_pool_3d_grad_op = op(
    f"AvgPool3DGrad(orig_input_shape: int32, grad: T, *, {_WINDOW_3D}, {_NDHWC}) -> output: T",
    T=_FLOATS, shape=_original_shape, static=("orig_input_shape",), traced_only=True,
)(_avg_gradient)  # fmt: skip
_register_max(max_pool_3d_op, max_pool_3d_grad_op, max_pool_3d_grad_grad_op)
_register_avg(avg_pool_3d_op, avg_pool_3d_grad_op)

# --- Windows as tensors -------------------------------------------------------------------------------------

_V2 = "ksize: int32, strides: int32"


@op(
    f'MaxPoolV2(input: T, {_V2}, *, {_PADDING}, data_format: string{{"NHWC","NCHW","NCHW_VECT_C"}} = "NHWC")'
    " -> output: T",
    T=_MAX_TYPES, shape=_pool_v2_shape, static=("ksize", "strides"), traced_only=True,
)  # fmt: skip
def max_pool_v2_op(xp, input, ksize, strides, *, padding, data_format):
    return _max(
        xp, input, ksize=to_ints(ksize), strides=to_ints(strides), padding=padding, data_format=data_format
    )


@op(
    f"MaxPoolGradV2({_GRAD_INPUTS}, {_V2}, *, {_PADDING}, {_NHWC}) -> output: T",
    T=f"{_REAL} = float", shape=_like_images, static=("ksize", "strides"), traced_only=True,
)  # fmt: skip
def max_pool_grad_v2_op(xp, orig_input, orig_output, grad, ksize, strides, *, padding, data_format):
    window = {"ksize": to_ints(ksize), "strides": to_ints(strides)}
    return _max_gradient(xp, orig_input, orig_output, grad, **window, padding=padding, data_format=data_format)


@op(
    f"MaxPoolGradGradV2({_GRAD_INPUTS}, {_V2}, *, {_PADDING}, {_NHWC}) -> output: T",
    T=_REAL, shape=_pool_v2_shape, static=("ksize", "strides"), traced_only=True,
)  # fmt: skip
def max_pool_grad_grad_v2_op(xp, orig_input, orig_output, grad, ksize, strides, *, padding, data_format):
    window = {"ksize": to_ints(ksize), "strides": to_ints(strides)}
    return _max_second_gradient(
        xp, orig_input, orig_output, grad, **window, padding=padding, data_format=data_format
    )


def _layout_attrs(op: Any) -> dict[str, Any]:
    return {name: op.attrs[name] for name in ("padding", "data_format")}


@max_pool_v2_op.gradient
def _(op, grad):
    images, ksize, strides = op.inputs
    return max_pool_grad_v2_op(images, op.outputs[0], grad, ksize, strides, **_layout_attrs(op)), None, None


@max_pool_grad_v2_op.gradient
def _(op, grad):
    images, pooled, _, ksize, strides = op.inputs
    back = max_pool_grad_grad_v2_op(images, pooled, grad, ksize, strides, **_layout_attrs(op))
    return zeros_like(images), zeros_like(pooled), back, None, None


@max_pool_grad_grad_v2_op.gradient
def _(op, grad):
    images, pooled, _, ksize, strides = op.inputs
    back = max_pool_grad_v2_op(images, pooled, grad, ksize, strides, **_layout_attrs(op))
    return zeros_like(images), zeros_like(pooled), back, None, None


# --- With the places of the greatest numbers ----------------------------------------------------------------

_ARGMAX = f"{_PADDING}, include_batch_in_index: bool = false"


def _same_shape_twice(c: ShapeContext) -> Any:
    return [_pool_shape(c)] * 2


@op(
    "MaxPoolWithArgmax(input: T, *, ksize: list(int) >= 4, strides: list(int) >= 4, "
    f"Targmax: type{{int32,int64}} = int64, {_ARGMAX}) -> output: T, argmax: Targmax",
    T=_REAL, shape=_same_shape_twice, traced_only=True,
)  # fmt: skip
def max_pool_with_argmax_op(xp, input, *, ksize, strides, padding, include_batch_in_index):
    window = checked_window(ksize, strides, padding, "NHWC", input.shape)
    return pool_kernels.max_pool_with_places(input, batch_in_index=include_batch_in_index, **window)


@op(
    "MaxPoolGradWithArgmax(input: T, grad: T, argmax: Targmax, *, ksize: list(int) >= 4, strides: list(int) >= 4, "
    f"{_ARGMAX}) -> output: T",
    T=_REAL, Targmax="int32 int64", shape=_like_images,
)  # fmt: skip
def max_pool_grad_with_argmax_op(xp, input, grad, argmax, *, include_batch_in_index):
    """Puts each incoming gradient where `argmax` says that the greatest number was."""
    import numpy as np

    places = argmax
    if not include_batch_in_index:
        image = input.size // max(input.shape[0], 1)
        places = argmax + xp.arange(input.shape[0], dtype=argmax.dtype).reshape(-1, 1, 1, 1) * image
    flat, values = places.reshape(-1), grad.reshape(-1)
    if xp is np:
        result = np.zeros(input.size, grad.dtype)
        np.add.at(result, flat, values)
        return result.reshape(input.shape)
    return xp.zeros(input.size, grad.dtype).at[flat].add(values).reshape(input.shape)


@max_pool_with_argmax_op.gradient
def _(op, grad, _):
    names = ("ksize", "strides", "padding", "include_batch_in_index")
    return max_pool_grad_with_argmax_op(op.inputs[0], grad, op.outputs[1], **{n: op.attrs[n] for n in names})


max_pool_grad_with_argmax_op.no_gradient("TensorFlow defines none")
