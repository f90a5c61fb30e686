"""Operations that the runtime puts in the place of several, where one kernel computes what they do.

Programs do not build them, and they have no gradients: they appear after differentiation. Which operations they stand
for is said in `runtime/fusion.py`.
"""
from __future__ import annotations

from millstream.core.opdef import op
from millstream.core.shape_rules import unknown
from millstream.ops import conv_ops, fused_batch_norm_ops, pool_kernels, pool_ops
from millstream.ops.windows import Geometry


@op(
    f"_FusedConv2D(input: T, filter: T, args: num_args*T, *, {conv_ops.CONV2D}, fused_ops: list(string) = [], "
    "epsilon: float = 0.0001) -> output: T",
    T="float double half bfloat16", num_args=0, shape=unknown, traced_only=True,
)  # fmt: skip
def fused_conv2d_op(
    xp, input, filter, args, *, strides, padding, explicit_paddings, data_format, dilations, fused_ops
):
    """A convolution, a bias for each output, and perhaps an activation."""
    geometry = Geometry(strides, dilations, padding, explicit_paddings, data_format)
    activation = fused_ops[1] if len(fused_ops) > 1 else ""
    return conv_ops.forward(input, filter, geometry, *args, activation=activation)


@op(
    '_ReluMaxPoolGrad(orig_input: T, orig_output: T, grad: T, *, ksize: list(int) >= 4, strides: list(int) >= 4, '
    'padding: string{"SAME","VALID"}, data_format: string{"NHWC","NCHW"} = "NHWC") -> output: T',
    T="float double half bfloat16", shape=unknown, traced_only=True,
)  # fmt: skip
def relu_max_pool_grad_op(xp, orig_input, orig_output, grad, *, ksize, strides, padding, data_format):
    """The gradient of max pooling, and on through the rectifier that made what was pooled."""
    window = pool_ops.checked_window(ksize, strides, padding, data_format, orig_input.shape, grad.shape)
    return pool_kernels.max_pool_gradient(orig_input, grad, relu=True, **window)


_BATCH_NORM = (
    'epsilon: float = 0.0001, num_side_inputs: int >= 0 = 0, activation_mode: string = "Identity", '
    'data_format: string{"NHWC","NCHW"} = "NHWC", is_training: bool = True, exponential_avg_factor: float = 1.0'
)


@op(
    "_FusedBatchNormEx(x: T, scale: U, offset: U, mean: U, variance: U, side_input: num_side_inputs*T, *, "
    f"{_BATCH_NORM}) -> y: T, batch_mean: U, batch_variance: U, reserve_space_1: U, reserve_space_2: U, "
    "reserve_space_3: U",
    T="half float bfloat16", U="float", shape=unknown,
)  # fmt: skip
def fused_batch_norm_op(
    xp, x, scale, offset, mean, variance, side_input, *, epsilon, activation_mode, data_format, is_training,
    exponential_avg_factor,
):  # fmt: skip
    """Batch normalisation, a sum with other images, and perhaps a rectifier."""
    options = {"epsilon": epsilon, "data_format": data_format, "is_training": is_training}
    options["exponential_avg_factor"] = exponential_avg_factor
    moments = (x, scale, offset, mean, variance)
    if all(image.shape == x.shape for image in side_input):
        activation = "relu" if activation_mode == "Relu" else ""
        found = fused_batch_norm_ops.normalize(xp, *moments, *side_input, **options, activation=activation)
    else:  # only at run time was it known that they broadcast
        found = fused_batch_norm_ops.normalize(xp, *moments, **options)
        found[0] = sum(side_input, found[0])
        if activation_mode == "Relu":
            found[0] = xp.maximum(found[0], 0)
    return [*found, xp.zeros((0,), scale.dtype)]


@op(
    "_ReluFusedBatchNormGrad(y_backprop: T, x: T, scale: float, reserve_space_1: U, reserve_space_2: U, y: T, *, "
    'epsilon: float = 0.0001, num_side_inputs: int >= 0 = 0, data_format: string{"NHWC","NCHW"} = "NHWC", '
    "is_training: bool = True) -> x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_4: U, "
    "reserve_space_5: U, side_input_backprop: num_side_inputs*T",
    T="half bfloat16 float", U="float", shape=unknown,
)  # fmt: skip
def relu_fused_batch_norm_grad_op(
    xp, y_backprop, x, scale, mean, variance, y, *, epsilon, num_side_inputs, data_format, is_training
):
    """The gradient of a rectifier whose result is `y`, given too, and on through the batch normalisation before it."""
    options = {"epsilon": epsilon, "data_format": data_format, "is_training": is_training}
    arguments = (y_backprop, x, scale, mean, variance, y)
    found = fused_batch_norm_ops.denormalize(xp, *arguments, **options, side=bool(num_side_inputs))
    empty = xp.zeros((0,), scale.dtype)
    return [*found[:3], empty, empty, list(found[3:])]


for _definition in (
    fused_conv2d_op, relu_max_pool_grad_op, fused_batch_norm_op, relu_fused_batch_norm_grad_op,
):  # fmt: skip
    _definition.no_gradient("it appears after differentiation")
