"""Convolutions in two and three dimensions and their gradients, each an operation."""
from __future__ import annotations

from typing import Any

from millstream.core.export import export
from millstream.core.gradients import is_wanted
from millstream.core.opdef import OpDef, op
from millstream.core.tensor import Tensor
from millstream.ops import conv_checks, conv_kernels
from millstream.ops.arguments import renamed, to_ints
from millstream.ops.batch_dims import over_batches
from millstream.ops.bias_ops import check_bias
from millstream.ops.conv_checks import conv_shape, depthwise_shape, grouped_dims, sizes_in
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.shape_ops import shape_n
from millstream.ops.windows import Geometry, per_dimension

_TYPES = "half bfloat16 float double"
_ANY_PADDING = 'padding: string{"SAME","VALID","EXPLICIT"}, explicit_paddings: list(int) = []'
_PADDING = 'padding: string{"SAME","VALID"}'
_LAYOUT_2D = 'data_format: string{"NHWC","NCHW"} = "NHWC", dilations: list(int) = [1, 1, 1, 1]'
_LAYOUT_3D = 'data_format: string{"NDHWC","NCDHW"} = "NDHWC", dilations: list(int) = [1, 1, 1, 1, 1]'
CONV2D = f"strides: list(int), use_cudnn_on_gpu: bool = true, {_ANY_PADDING}, {_LAYOUT_2D}"
_DEPTHWISE = f"strides: list(int), {_PADDING}, {_LAYOUT_2D}"
_CONV3D = f"strides: list(int) >= 5, {_PADDING}, {_LAYOUT_3D}"

# --- Kernels ------------------------------------------------------------------------------------------------


def forward(images: Any, filters: Any, geometry: Geometry, *bias: Any, activation: str = "") -> Any:
    """Convolution in a kernel; `bias` and `activation` as for `conv_kernels.convolve`."""
    conv_checks.check_forward(geometry, images.shape, filters.shape)
    for vector in bias:
        check_bias(vector, conv_kernels.result_dims(images.shape, filters.shape, geometry), geometry.channel)
    groups = conv_checks.groups(images.shape[geometry.channel], *filters.shape[-2:])
    return conv_kernels.convolve(images, filters, *bias, geometry=geometry, groups=groups, activation=activation)


def _by_images(sizes: Any, filters: Any, grad: Any, geometry: Geometry) -> Any:
    dims = to_ints(sizes)
    conv_checks.check_backward(geometry, dims, filters.shape, grad.shape, "Input")
    groups = conv_checks.groups(dims[geometry.channel], *filters.shape[-2:])
    return conv_kernels.image_gradient(filters, grad, dims=tuple(dims), geometry=geometry, groups=groups)


def _by_filters(images: Any, sizes: Any, grad: Any, geometry: Geometry) -> Any:
    dims = to_ints(sizes)
    conv_checks.check_backward(geometry, images.shape, dims, grad.shape, "Filter")
    groups = conv_checks.groups(images.shape[geometry.channel], *dims[-2:])
    return conv_kernels.filter_gradient(images, grad, dims=tuple(dims), geometry=geometry, groups=groups)


# --- Two dimensions -----------------------------------------------------------------------------------------


@op(f"Conv2D(input: T, filter: T, *, {CONV2D}) -> output: T", T=_TYPES, shape=conv_shape, traced_only=True)
def conv2d_op(xp, input, filter, *, strides, padding, explicit_paddings, data_format, dilations):
    return forward(input, filter, Geometry(strides, dilations, padding, explicit_paddings, data_format))


@op(
    f"Conv2DBackpropInput(input_sizes: int32, filter: T, out_backprop: T, *, {CONV2D}) -> output: T",
    T=_TYPES, shape=sizes_in(0, 4), static=("input_sizes",), traced_only=True,
)  # fmt: skip
def conv2d_backprop_input_op(
    xp, input_sizes, filter, out_backprop, *, strides, padding, explicit_paddings, data_format, dilations
):
    geometry = Geometry(strides, dilations, padding, explicit_paddings, data_format)
    return _by_images(input_sizes, filter, out_backprop, geometry)


@op(
    f"Conv2DBackpropFilter(input: T, filter_sizes: int32, out_backprop: T, *, {CONV2D}) -> output: T",
    T=_TYPES, shape=sizes_in(1, 4), static=("filter_sizes",), traced_only=True,
)  # fmt: skip
def conv2d_backprop_filter_op(
    xp, input, filter_sizes, out_backprop, *, strides, padding, explicit_paddings, data_format, dilations
):
    geometry = Geometry(strides, dilations, padding, explicit_paddings, data_format)
    return _by_filters(input, filter_sizes, out_backprop, geometry)


# --- Depthwise ----------------------------------------------------------------------------------------------


@op(
    f"DepthwiseConv2dNative(input: T, filter: T, *, {_DEPTHWISE}) -> output: T",
    T=_TYPES, shape=depthwise_shape, traced_only=True,
)  # fmt: skip
def depthwise_conv2d_op(xp, input, filter, *, strides, padding, data_format, dilations):
    geometry = Geometry(strides, dilations, padding, (), data_format)
    grouped = filter.reshape(grouped_dims(geometry, input.shape, filter.shape))
    return forward(input, grouped, geometry)


@op(
    "DepthwiseConv2dNativeBackpropInput(input_sizes: int32, filter: T, out_backprop: T, *, "
    f"{_DEPTHWISE}) -> output: T",
    T=_TYPES, shape=sizes_in(0, 4), static=("input_sizes",), traced_only=True,
)  # fmt: skip
def depthwise_conv2d_backprop_input_op(
    xp, input_sizes, filter, out_backprop, *, strides, padding, data_format, dilations
):
    geometry = Geometry(strides, dilations, padding, (), data_format)
    grouped = filter.reshape(grouped_dims(geometry, to_ints(input_sizes), filter.shape))
    return _by_images(input_sizes, grouped, out_backprop, geometry)


@op(
    "DepthwiseConv2dNativeBackpropFilter(input: T, filter_sizes: int32, out_backprop: T, *, "
    f"{_DEPTHWISE}) -> output: T",
    T=_TYPES, shape=sizes_in(1, 4), static=("filter_sizes",), traced_only=True,
)  # fmt: skip
def depthwise_conv2d_backprop_filter_op(
    xp, input, filter_sizes, out_backprop, *, strides, padding, data_format, dilations
):
    dims = to_ints(filter_sizes)
    geometry = Geometry(strides, dilations, padding, (), data_format)
    grouped = grouped_dims(geometry, input.shape, dims)
    return _by_filters(input, grouped, out_backprop, geometry).reshape(dims)


# --- Three dimensions ---------------------------------------------------------------------------------------


@op(f"Conv3D(input: T, filter: T, *, {_CONV3D}) -> output: T", T=_TYPES, shape=conv_shape, traced_only=True)
def conv3d_op(xp, input, filter, *, strides, padding, data_format, dilations):
    return forward(input, filter, Geometry(strides, dilations, padding, (), data_format))


@op(
    f"Conv3DBackpropInputV2(input_sizes: Tshape, filter: T, out_backprop: T, *, {_CONV3D}) -> output: T",
    T=_TYPES, Tshape="int32 int64 = int32", shape=sizes_in(0, 5), static=("input_sizes",), traced_only=True,
)  # fmt: skip
def conv3d_backprop_input_op(xp, input_sizes, filter, out_backprop, *, strides, padding, data_format, dilations):
    return _by_images(input_sizes, filter, out_backprop, Geometry(strides, dilations, padding, (), data_format))


@op(
    f"Conv3DBackpropFilterV2(input: T, filter_sizes: int32, out_backprop: T, *, {_CONV3D}) -> output: T",
    T=_TYPES, shape=sizes_in(1, 5), static=("filter_sizes",), traced_only=True,
)  # fmt: skip
def conv3d_backprop_filter_op(xp, input, filter_sizes, out_backprop, *, strides, padding, data_format, dilations):
    return _by_filters(input, filter_sizes, out_backprop, Geometry(strides, dilations, padding, (), data_format))


# --- Gradients ----------------------------------------------------------------------------------------------


def _register(forward: OpDef, by_images: OpDef, by_filters: OpDef) -> None:
    """Registers the gradients of a convolution and of its two gradients: each is one of the other two."""

    def attrs(op: Any) -> dict[str, Any]:
        return {name: value for name, value in op.attrs.items() if name not in ("T", "Tshape") and name[0] != "_"}

    @forward.gradient
    def _(op: Any, grad: Any) -> Any:
        images, filters = op.inputs
        images_shape, filters_shape = shape_n([images, filters])
        return (
            by_images(images_shape, filters, grad, **attrs(op)) if is_wanted(op, 0) else None,
            by_filters(images, filters_shape, grad, **attrs(op)) if is_wanted(op, 1) else None,
        )

    @by_images.gradient
    def _(op: Any, grad: Any) -> Any:
        _, filters, backprop = op.inputs
        return (
            None,
            by_filters(grad, shape_of(filters), backprop, **attrs(op)) if is_wanted(op, 1) else None,
            forward(grad, filters, **attrs(op)) if is_wanted(op, 2) else None,
        )

    @by_filters.gradient
    def _(op: Any, grad: Any) -> Any:
        images, _, backprop = op.inputs
        return (
            by_images(shape_of(images), grad, backprop, **attrs(op)) if is_wanted(op, 0) else None,
            None,
            forward(images, grad, **attrs(op)) if is_wanted(op, 2) else None,
        )


_register(conv2d_op, conv2d_backprop_input_op, conv2d_backprop_filter_op)
_register(depthwise_conv2d_op, depthwise_conv2d_backprop_input_op, depthwise_conv2d_backprop_filter_op)
_register(conv3d_op, conv3d_backprop_input_op, conv3d_backprop_filter_op)

# --- Public functions ---------------------------------------------------------------------------------------


def read_padding(padding: Any) -> dict[str, Any]:
    """The attributes that say how images are padded.

    Args:
      padding: "SAME", "VALID", or a list of one pair (before, after) a dimension.

    Raises:
      ValueError: "EXPLICIT" without a list, or a list of another form.
    """
    if padding == "EXPLICIT":
        raise ValueError(
            '"EXPLICIT" is not a valid value for the padding parameter. To use explicit padding, the padding '
            "parameter must be a list."
        )
    if not isinstance(padding, (list, tuple)):
        return {"padding": padding, "explicit_paddings": []}
    for index, pair in enumerate(padding):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ValueError(
                "When padding is a list, each element of padding must be a list/tuple of size 2. Element with "
                f"index {index} of padding is not a list/tuple of size 2"
            )
    if len(padding) != 4:
        raise ValueError(f"When padding is a list, it must be of size 4. Got padding of size: {len(padding)}")
    return {"padding": "EXPLICIT", "explicit_paddings": [amount for pair in padding for amount in pair]}


def sliding(
    strides: Any, dilations: Any, data_format: str | None, count: int = 2, stride_name: str = "strides"
) -> dict[str, Any]:
    """The attributes that say how a window of `count` dimensions slides.

    Raises:
      ValueError: strides or dilations of a wrong length.
    """
    data_format = data_format or {2: "NHWC", 3: "NDHWC"}[count]
    channel = 1 if data_format.startswith("NC") else count + 1
    return {
        "strides": per_dimension(strides, count, channel, stride_name),
        "dilations": per_dimension(dilations, count, channel, "dilations"),
        "data_format": data_format,
    }


@export(v1=["nn.conv2d"])
def conv2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: str | None = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Slides filters over images and takes the inner product with each patch.

    Args:
      input: floating point, shape [batch, height, width, channels] (or as `data_format` says).
      filter, filters: the same dtype, shape [filter_height, filter_width, channels, outputs].
      strides: how far the filters move each time: a number, [vertical, horizontal] or one entry a dimension.
      padding: "SAME" (results as large as the images, divided by the strides), "VALID" (only whole patches) or a
        list of pairs, how many zeros to add before and after each dimension.
      use_cudnn_on_gpu: accepted for compatibility.
      data_format: "NHWC" or "NCHW".
      dilations: the distance between neighbouring points of a filter.
      name: the operation's name.

    Returns:
      a tensor of the same dtype, shape [batch, rows, columns, outputs].

    Raises:
      ValueError: shapes that do not fit, or another padding.

    Example:
      >>> tf.nn.conv2d(tf.ones([1, 28, 28, 1]), tf.ones([5, 5, 1, 32]), strides=2, padding="SAME").shape
      TensorShape([Dimension(1), Dimension(14), Dimension(14), Dimension(32)])
    """
    filter = renamed("filters", filters, "filter", filter)
    options = {**read_padding(padding), **sliding(strides, dilations, data_format)}
    return conv2d_op(input, filter, use_cudnn_on_gpu=use_cudnn_on_gpu, name=name, **options)


@export(v2=["nn.conv2d"])
def conv2d_v2(
    input: Any,
    filters: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Slides filters over images and takes the inner product with each patch.

    Args:
      input: floating point, shape [*batch, height, width, channels] (or as `data_format` says).
      filters: the same dtype, shape [filter_height, filter_width, channels, outputs].
      strides, padding, data_format, dilations, name: see the 1.x function.
    """
    options = {**read_padding(padding), **sliding(strides, dilations, data_format)}
    return over_batches(input, 3, lambda images, name: conv2d_op(images, filters, name=name, **options), name)


@export(v1=["nn.conv2d_backprop_input"])
def conv2d_backprop_input(
    input_sizes: Any,
    filter: Any = None,
    out_backprop: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """The gradient of `conv2d` by its input.

    Args:
      input_sizes: the shape of the input, int32.
      filter, filters: the filters, shape [filter_height, filter_width, channels, outputs].
      out_backprop: the gradient of the result of `conv2d`.
      strides, padding, use_cudnn_on_gpu, data_format, dilations, name: as for `conv2d`.
    """
    filter = renamed("filters", filters, "filter", filter)
    options = {**read_padding(padding), **sliding(strides, dilations, data_format)}
    options["use_cudnn_on_gpu"] = use_cudnn_on_gpu
    return conv2d_backprop_input_op(input_sizes, filter, out_backprop, name=name, **options)


@export(v1=["nn.conv2d_backprop_filter"])
def conv2d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of `conv2d` by its filters.

    Args:
      input: the images, shape [batch, height, width, channels].
      filter_sizes: the shape of the filters, int32.
      out_backprop: the gradient of the result of `conv2d`.
      strides, padding, use_cudnn_on_gpu, data_format, dilations, name: as for `conv2d`.
    """
    options = {**read_padding(padding), **sliding(strides, dilations, data_format)}
    options["use_cudnn_on_gpu"] = use_cudnn_on_gpu
    return conv2d_backprop_filter_op(input, filter_sizes, out_backprop, name=name, **options)


@export(v1=["nn.conv3d"])
def conv3d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    data_format: str = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Slides filters over volumes and takes the inner product with each patch.

    Args:
      input: floating point, shape [batch, depth, height, width, channels].
      filter, filters: the same dtype, shape [depth, height, width, channels, outputs] of the filters.
      strides: five numbers, one a dimension.
      padding: "SAME" or "VALID".
      data_format: "NDHWC" or "NCDHW".
      dilations: the distance between neighbouring points of a filter; five numbers.
      name: the operation's name.
    """
    filter = renamed("filters", filters, "filter", filter)
    return conv3d_op(
        input, filter, strides=strides, padding=padding, data_format=data_format, dilations=dilations, name=name
    )


@export(v1=["nn.conv3d_backprop_filter", "nn.conv3d_backprop_filter_v2"])
def conv3d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: str,
    data_format: str = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of `conv3d` by its filters.

    Args:
      input: the volumes, shape [batch, depth, height, width, channels].
      filter_sizes: the shape of the filters, int32 [5].
      out_backprop: the gradient of the result of `conv3d`.
      strides, padding, data_format, dilations, name: as for `conv3d`.
    """
    return conv3d_backprop_filter_op(
        input, filter_sizes, out_backprop, strides=strides, padding=padding, data_format=data_format,
        dilations=dilations, name=name,
    )  # fmt: skip


@export(v2=["nn.conv3d"])
def conv3d_v2(
    input: Any,
    filters: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NDHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`conv3d` with the arguments of 2.x, and any number of batch dimensions."""
    options = {"padding": padding, **sliding(strides, dilations, data_format, 3)}
    return over_batches(input, 4, lambda volumes, name: conv3d_op(volumes, filters, name=name, **options), name)
