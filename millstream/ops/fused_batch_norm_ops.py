"""Batch normalisation of images (Ioffe and Szegedy 2015) in one operation.

Versions 1, 2 and 3 differ in dtypes and in how much they keep for the gradient. What is kept (reserve_space_1
and 2) is the mean and the biased variance, as TensorFlow keeps them on CPU; reserve_space_3 is empty.
"""
from __future__ import annotations

from typing import Any

from millstream.core import shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.gradient_tape import GradientTape
from millstream.core.opdef import OpDef, op
from millstream.core.shape_context import ShapeContext
from millstream.core.tensor import Tensor
from millstream.ops import batch_norm_kernels
from millstream.ops.constant_op import constant
from millstream.ops.elementwise_ops import rsqrt
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_mean, reduce_sum
from millstream.ops.reshape_ops import reshape

_AVERAGE = "exponential_avg_factor: float = 1.0"
_ATTRS = 'epsilon: float = 1e-4, data_format: string{"NHWC","NCHW"} = "NHWC", is_training: bool = True'
_V1_TYPES = {"T": "float"}
_V2_TYPES = {"T": "half bfloat16 float", "U": "float"}


def _channel_axis(data_format: str) -> int:
    return 1 if data_format == "NCHW" else 3


def _other_axes(data_format: str) -> tuple[int, ...]:
    return (0, 2, 3) if data_format == "NCHW" else (0, 1, 2)


def _vector_shape(data_format: str) -> list[int]:
    """The shape in which a vector of one number a channel broadcasts with an image."""
    return [1, -1, 1, 1] if data_format == "NCHW" else [1, 1, 1, -1]


# --- Forwards -----------------------------------------------------------------------------------------------


def _forward_shape(c: ShapeContext) -> Any:
    x = c.require_rank(0, 4)
    axis = _channel_axis(c.attrs["data_format"])
    channels = x[axis]
    for index in (1, 2) if c.attrs["is_training"] else (1, 2, 3, 4):
        (size,) = c.require_rank(index, 1)
        channels = shapes.merge_dim(channels, size)
    reserve_3 = [None] * (len(c.definition.outputs) - 5)
    return [(*x[:axis], channels, *x[axis + 1 :]), *[(channels,)] * 4, *reserve_3]


def _check(data_format: str, x: Any, **vectors: Any) -> None:
    """Checks the dimensions of images, and that vectors have one number a channel.

    Raises:
      ValueError: they do not fit.
    """
    if x.ndim != 4:
        raise ValueError(f"input must be 4-dimensional{shapes.format_shape(x.shape)}")
    channels = x.shape[_channel_axis(data_format)]
    for name, vector in vectors.items():
        if vector.shape != (channels,):
            raise ValueError(
                f"{name} must have the same number of elements as the channels of x, got "
                f"{shapes.format_shape(vector.shape)} and {channels}"
            )


def normalize(
    xp: Any, x: Any, scale: Any, offset: Any, mean: Any, variance: Any, *side: Any,
    epsilon: float, data_format: str, is_training: bool, exponential_avg_factor: float = 1.0, activation: str = "",
) -> list[Any]:  # fmt: skip
    """What the operations compute, in a kernel; `side` and `activation` as for `batch_norm_kernels.normalize`.

    The batch's moments come out as such, or so much of them, the average factor, as makes up 1 with what is given.
    """
    averages = is_training and exponential_avg_factor != 1
    given = {"mean": mean, "variance": variance} if averages or not is_training else {}
    _check(data_format, x, scale=scale, offset=offset, **given)
    options = {"epsilon": epsilon, "channels_first": data_format == "NCHW", "activation": activation}
    if not is_training:
        y = batch_norm_kernels.normalize_by.on(xp)(x, scale, offset, mean, variance, *side, **options)
        return [y, mean, variance, mean, variance]
    y, batch_mean, unbiased, biased = batch_norm_kernels.normalize.on(xp)(x, scale, offset, *side, **options)
    if not averages:
        return [y, batch_mean, unbiased, batch_mean, biased]
    moments = [
        before * (1 - exponential_avg_factor) + new * exponential_avg_factor
        for before, new in ((mean, batch_mean), (variance, unbiased))
    ]
    return [y, *moments, batch_mean, biased]


def _normalize(xp, x, scale, offset, mean, variance, *, epsilon, data_format, is_training, exponential_avg_factor):
    options = {"epsilon": epsilon, "data_format": data_format, "is_training": is_training}
    return normalize(xp, x, scale, offset, mean, variance, **options, exponential_avg_factor=exponential_avg_factor)


def _normalize_v3(xp, x, scale, offset, mean, variance, *, epsilon, data_format, is_training, exponential_avg_factor):
    options = {"epsilon": epsilon, "data_format": data_format, "is_training": is_training}
    options["exponential_avg_factor"] = exponential_avg_factor
    return [*_normalize(xp, x, scale, offset, mean, variance, **options), xp.zeros((0,), scale.dtype)]


def _forward(version: str, kernel: Any, types: dict[str, str], u: str, reserve_3: str = "") -> OpDef:
    inputs = f"x: T, scale: {u}, offset: {u}, mean: {u}, variance: {u}"
    spaces = f"reserve_space_1: {u}, reserve_space_2: {u}{reserve_3}"
    outputs = f"y: T, batch_mean: {u}, batch_variance: {u}, {spaces}"
    signature = f"FusedBatchNorm{version}({inputs}, *, {_ATTRS}, {_AVERAGE}) -> {outputs}"
    return op(signature, **types, shape=_forward_shape)(kernel)


fused_batch_norm_op = _forward("", _normalize, _V1_TYPES, "T")
fused_batch_norm_v2_op = _forward("V2", _normalize, _V2_TYPES, "U")
fused_batch_norm_v3_op = _forward("V3", _normalize_v3, _V2_TYPES, "U", ", reserve_space_3: U")


# --- Backwards ----------------------------------------------------------------------------------------------


def _backward_shape(c: ShapeContext) -> Any:
    merged = shapes.merge(c.require_rank(0, 4), c.require_rank(1, 4)) or (None,) * 4
    axis = _channel_axis(c.attrs["data_format"])
    channels = merged[axis]
    for index in (2, 3, 4):
        (size,) = c.require_rank(index, 1)
        channels = shapes.merge_dim(channels, size)
    return [(*merged[:axis], channels, *merged[axis + 1 :]), (channels,), (channels,), (0,), (0,)]


def denormalize(
    xp: Any, dy: Any, x: Any, scale: Any, mean: Any, variance: Any, *y: Any,
    epsilon: float, data_format: str, is_training: bool, side: bool = False,
) -> Any:  # fmt: skip
    """What the gradient operations compute, in a kernel; `y` and `side` as for `batch_norm_kernels.gradients`."""
    _check(data_format, x, scale=scale, reserve_space_1=mean, reserve_space_2=variance)
    if dy.shape != x.shape:
        raise ValueError(
            f"x and y_backprop must have same shape, but x has shape {shapes.format_shape(x.shape)} and y_backprop "
            f"has shape {shapes.format_shape(dy.shape)}"
        )
    options = {"epsilon": epsilon, "channels_first": data_format == "NCHW", "is_training": is_training}
    return batch_norm_kernels.gradients.on(xp)(dy, x, scale, mean, variance, *y, **options, side=side)


def _denormalize(xp, dy, x, scale, mean, variance, *reserved, epsilon, data_format, is_training):
    options = {"epsilon": epsilon, "data_format": data_format, "is_training": is_training}
    empty = xp.zeros((0,), scale.dtype)
    return [*denormalize(xp, dy, x, scale, mean, variance, **options), empty, empty]


def _backward(version: str, types: dict[str, str], scale: str, u: str, reserved: int) -> OpDef:
    """The gradient operation of a version; `reserved` is the number of tensors that are kept for it."""
    spaces = ", ".join(f"reserve_space_{index}: {u}" for index in range(1, reserved + 1))
    empty = ", ".join(f"reserve_space_{index}: {u}" for index in (reserved + 1, reserved + 2))
    return op(
        f"FusedBatchNormGrad{version}(y_backprop: T, x: T, scale: {scale}, {spaces}, *, {_ATTRS})"
        f" -> x_backprop: T, scale_backprop: {u}, offset_backprop: {u}, {empty}",
        **types, shape=_backward_shape,
    )(_denormalize)  # fmt: skip


fused_batch_norm_grad_op = _backward("", _V1_TYPES, "T", "T", 2)
fused_batch_norm_grad_v2_op = _backward("V2", _V2_TYPES, "float", "U", 2)
fused_batch_norm_grad_v3_op = _backward("V3", _V2_TYPES, "float", "U", 3)


def _register(forward: OpDef, backward: OpDef) -> None:
    """Registers `backward` as the gradient of `forward`, and the derivative of `backward` itself."""

    @forward.gradient
    def _(op: Any, grad: Any, *_: Any) -> list[Any]:
        x, scale = op.inputs[:2]
        kept = list(op.outputs[3:5] if op.attrs["is_training"] else op.inputs[3:5])
        options = {name: op.attrs[name] for name in ("epsilon", "data_format", "is_training")}
        return [*backward(grad, x, scale, *kept, *op.outputs[5:], **options)[:3], None, None]

    backward.gradient(_second_derivative)


def _second_derivative(op: Any, *grads: Any) -> list[Any]:
    """Differentiates the same gradient, written with plain operations."""
    sources = list(op.inputs[:3] if op.attrs["is_training"] else op.inputs[:5])
    with GradientTape() as tape:
        tape.watch(sources)
        found = _composed(op)
    return tape.gradient(found, sources, list(grads[:3])) + [None] * (len(op.inputs) - len(sources))


def _composed(op: Any) -> list[Tensor]:
    """What the gradient operation computes, as an expression of its inputs."""
    dy, x, scale, mean, variance = op.inputs[:5]
    vector, axes = _vector_shape(op.attrs["data_format"]), list(_other_axes(op.attrs["data_format"]))
    wide_dy, wide_x = cast(dy, scale.dtype), cast(x, scale.dtype)
    if op.attrs["is_training"]:
        mean = reduce_mean(wide_x, axes, keepdims=True)
        variance = reduce_mean((wide_x - mean) * (wide_x - mean), axes, keepdims=True)
    else:
        mean, variance = reshape(mean, vector), reshape(variance, vector)
    inverse = rsqrt(variance + op.attrs["epsilon"])
    normal = (wide_x - mean) * inverse
    dx = wide_dy
    if op.attrs["is_training"]:
        dx -= reduce_mean(wide_dy, axes, keepdims=True)
        dx -= normal * reduce_mean(wide_dy * normal, axes, keepdims=True)
    dx = cast(dx * reshape(scale, vector) * inverse, x.dtype)
    return [dx, reduce_sum(wide_dy * normal, axes), reduce_sum(wide_dy, axes)]


_register(fused_batch_norm_op, fused_batch_norm_grad_op)
_register(fused_batch_norm_v2_op, fused_batch_norm_grad_v2_op)
_register(fused_batch_norm_v3_op, fused_batch_norm_grad_v3_op)


@export(v1=["nn.fused_batch_norm"])
def fused_batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: float = 0.001,
    data_format: str = "NHWC",
    is_training: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation of images in one operation.

    Args:
      x: float32, float16 or bfloat16, rank 4.
      scale, offset: float32 vectors [channels].
      mean, variance: float32 vectors [channels] to normalise with, where not training; else None.
      epsilon: keeps the divisor from being 0; at least 1.001e-5.
      data_format: "NHWC" or "NCHW".
      is_training: normalises with the mean and variance of `x` itself.
      name: the operation's name.

    Returns:
      (y, mean, variance); the variance of a batch is the unbiased one.

    Raises:
      ValueError: `mean` or `variance` given while training.
    """
    x = to_tensor(x, name="input")
    scale, offset = to_tensor(scale, name="scale"), to_tensor(offset, name="offset")
    if is_training and (mean is not None or variance is not None):
        raise ValueError("Both 'mean' and 'variance' must be None if is_training is True.")
    mean = constant([]) if mean is None else mean
    variance = constant([]) if variance is None else variance
    options = {"epsilon": max(epsilon, 1.001e-5), "data_format": data_format, "is_training": is_training}
    return tuple(fused_batch_norm_v3_op(x, scale, offset, mean, variance, name=name, **options)[:3])
