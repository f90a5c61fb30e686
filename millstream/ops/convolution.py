"""`tf.nn`'s convolution functions that are built of convolution operations."""
from __future__ import annotations

from typing import Any

from millstream.core import shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops import conv_ops
from millstream.ops.arguments import renamed
from millstream.ops.batch_dims import over_batches
from millstream.ops.conv_ops import read_padding, sliding
from millstream.ops.dilation_ops import read_strides_and_rates, with_space_to_batch
from millstream.ops.join_ops import concat
from millstream.ops.reshape_ops import expand_dims, squeeze
from millstream.ops.shape_ops import shape as shape_of
from millstream.ops.space_ops import batch_to_space, space_to_batch
from millstream.ops.windows import per_dimension

# --- In one, two or three dimensions ---------------------------------------------------------------------------


@export(v1=["nn.convolution"])
def convolution(
    input: Any,
    filter: Any,
    padding: str,
    strides: Any = None,
    dilation_rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Slides filters over inputs with one, two or three spatial dimensions.

    Args:
      input: floating point, shape [batch, *space, channels] (or as `data_format` says).
      filter, filters: the same dtype, shape [*window, channels, outputs].
      padding: "SAME" or "VALID".
      strides: one number a spatial dimension; default 1.
      dilation_rate, dilations: the distance between neighbouring points of a filter, one number a spatial dimension.
      name: the operation's name.
      data_format: where the channels are: "NC..." or last.

    Raises:
      ValueError: shapes that do not fit; strides and dilations both above 1.
    """
    filter = renamed("filters", filters, "filter", filter)
    rates = renamed("dilations", dilations, "dilation_rate", dilation_rate)
    with name_scope(name, "convolution", [input, filter]) as scope:
        input = to_tensor(input, name="input")
        filter = filter if hasattr(filter, "shape") else to_tensor(filter, name="filter")
        known = input._shape if input._shape is not None else shapes.as_plain(filter.shape)
        if known is None:
            raise ValueError("rank of input or filter must be known")
        if not 3 <= len(known) <= 5:
            raise ValueError(f"Input tensor must be of rank 3, 4 or 5 but was {len(known)}.")
        return _convolve_any(input, filter, len(known) - 2, strides, padding, data_format, rates, scope)


def _convolve_any(
    input: Tensor, filter: Any, count: int, strides: Any, padding: str, data_format: str | None, rates: Any,
    scope: str,
) -> Tensor:  # fmt: skip
    channel = 1 if data_format is not None and data_format.startswith("NC") else count + 1
    steps = per_dimension(strides, count, channel, "strides")
    rates = per_dimension(rates, count, channel, "dilations")
    if all(rate == 1 for rate in rates):
        return _convolve(input, filter, steps, padding, data_format, count, scope)
    space = slice(2, None) if channel == 1 else slice(1, -1)
    steps, rates = read_strides_and_rates(count, steps[space], rates[space])
    return convolve(input, filter, steps.tolist(), rates, padding, data_format, scope)


def convolve(
    input: Any, filter: Any, strides: Any, rates: Any, padding: str, data_format: str | None, name: str | None = None
) -> Tensor:
    """`convolution` in the name scope that is in force, with strides and rates that are read already."""

    def apply(converted: Any, count: int, converted_padding: str) -> Tensor:
        return _convolve(converted, filter, strides, converted_padding, data_format, count, name)

    _check_channels(input, filter, data_format)
    return with_space_to_batch(input, rates, padding, apply, _filter_shape(filter), None, data_format)


def _check_channels(input: Any, filter: Any, data_format: str | None) -> None:
    known, window = shapes.as_plain(input.shape), shapes.as_plain(filter.shape)
    if known is None or window is None:
        return
    channels = known[1 if data_format is not None and data_format.startswith("NC") else -1]
    if None not in (channels, window[-2]) and channels != window[-2]:
        raise ValueError(
            "number of input channels does not match corresponding dimension of filter, "
            f"{channels} != {window[-2]}"
        )


def _filter_shape(filter: Any) -> Any:
    sizes = shapes.as_plain(filter.shape)
    return list(sizes) if shapes.is_fully_defined(sizes) else shape_of(filter)


def _convolve(
    input: Any, filter: Any, strides: Any, padding: str, data_format: str | None, count: int, name: str | None
) -> Tensor:
    if count == 1:
        with name_scope(name, "conv1d", [input, filter]) as scope:
            return _convolve_rows(input, filter, strides, padding, None, data_format, scope)
    definition = {2: conv_ops.conv2d_op, 3: conv_ops.conv3d_op}[count]
    return definition(input, filter, padding=padding, name=name, **sliding(strides, None, data_format, count))


@export(v2=["nn.convolution"])
def convolution_v2(
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: str = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Slides filters over inputs with one, two or three spatial dimensions, and any number of batch dimensions.

    Args:
      input: floating point, shape [*batch, *space, channels] (or as `data_format` says).
      filters: the same dtype, shape [*window, channels, outputs].
      strides, padding, data_format, dilations, name: see the 1.x function; strides and dilations may be one number.

    Raises:
      ValueError: shapes that do not fit; strides and dilations both above 1.
    """
    with name_scope(name, "convolution", [input, filters]) as scope:
        input, filters = to_tensor(input, name="input"), to_tensor(filters, name="filters")
        known = filters._shape if filters._shape is not None else input._shape
        if known is None:
            raise ValueError(
                "When `num_spatial_dims` is not set, one of `input.shape.rank` or `filters.shape.rank` must be known."
            )
        count = len(known) - 2
        if not 1 <= count <= 3:
            raise ValueError(f"`num_spatial_dims` must be 1, 2, or 3. Received: num_spatial_dims={count}.")

        def apply(images: Tensor, name: str | None) -> Tensor:
            return _convolve_any(images, filters, count, strides, padding, data_format, dilations, name or scope)

        return over_batches(input, count + 1, apply, scope)


@export(v1=["nn.conv1d"])
def conv1d(
    value: Any = None,
    filters: Any = None,
    stride: Any = None,
    padding: str | None = None,
    use_cudnn_on_gpu: bool | None = None,
    data_format: str | None = None,
    name: str | None = None,
    input: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Slides filters along sequences.

    Args:
      value, input: floating point, shape [batch, width, channels].
      filters: the same dtype, shape [filter_width, channels, outputs].
      stride: how far the filters move each time.
      padding: "SAME" or "VALID".
      use_cudnn_on_gpu: accepted for compatibility.
      data_format: "NWC" or "NCW".
      name: the operation's name.
      dilations: the distance between neighbouring points of a filter.

    Raises:
      ValueError: another data format.
    """
    value = renamed("input", input, "value", value)
    with name_scope(name, "conv1d", [value, filters]) as scope:
        return _convolve_rows(value, filters, stride, padding, dilations, data_format, scope)


@export(v2=["nn.conv1d"])
def conv1d_v2(
    input: Any,
    filters: Any,
    stride: Any,
    padding: str,
    data_format: str = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`conv1d` with the arguments of 2.x, and any number of batch dimensions."""

    def apply(rows: Tensor, name: str | None) -> Tensor:
        return conv1d(rows, filters, stride, padding, None, data_format, name, None, dilations)

    return over_batches(input, 2, apply, name)


def _row_layout(data_format: str | None) -> tuple[str, int, int]:
    """The data format, the new axis and the axis of channels, when a sequence becomes an image of one row.

    Raises:
      ValueError: no format of sequences.
    """
    if data_format in (None, "NHWC", "NWC"):
        return "NHWC", 1, 2
    if data_format in ("NCHW", "NCW"):
        return "NCHW", 2, 1
    raise ValueError('data_format must be "NWC" or "NCW".')


def _row_options(strides: Any, dilations: Any, channel: int) -> dict[str, list[int]]:
    return {
        "strides": [1, *per_dimension(strides, 1, channel, "stride")],
        "dilations": [1, *per_dimension(dilations, 1, channel, "dilations")],
    }


def _convolve_rows(
    value: Any, filters: Any, strides: Any, padding: Any, dilations: Any, data_format: str | None, scope: str
) -> Tensor:
    layout, axis, channel = _row_layout(data_format)
    options = _row_options(strides, dilations, channel)
    rows, filters = expand_dims(value, axis), expand_dims(filters, 0)
    result = conv_ops.conv2d_op(rows, filters, padding=padding, data_format=layout, name=scope, **options)
    return squeeze(result, [axis])


# --- Transposed ------------------------------------------------------------------------------------------------


@export(v2=["nn.conv2d_transpose"])
def conv2d_transpose_v2(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose (the gradient) of `conv2d`, also called deconvolution (Zeiler et al. 2010).

    Args:
      input: floating point, shape [batch, height, width, channels].
      filters: the same dtype, shape [filter_height, filter_width, outputs, channels].
      output_shape: the shape of the result, int32: `conv2d` with these options makes `input`'s shape of it.
      strides, padding, data_format, dilations: as for `conv2d`.
      name: the operation's name.
    """
    with name_scope(name, "conv2d_transpose", [input, filters, output_shape]) as scope:
        options = {**read_padding(padding), **sliding(strides, dilations, data_format)}
        return conv_ops.conv2d_backprop_input_op(output_shape, filters, input, name=scope, **options)


@export(v1=["nn.conv2d_transpose"])
def conv2d_transpose(
    value: Any = None,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: str | None = "NHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The transpose (the gradient) of `conv2d`, also called deconvolution (Zeiler et al. 2010).

    Args:
      value, input: floating point, shape [batch, height, width, channels].
      filter, filters: the same dtype, shape [filter_height, filter_width, outputs, channels].
      output_shape, strides, padding, data_format, name, dilations: see the 2.x function.
    """
    filters = renamed("filters", filters, "filter", filter)
    input = renamed("input", input, "value", value)
    return conv2d_transpose_v2(input, filters, output_shape, strides, padding, data_format, dilations, name)


@export("nn.conv1d_transpose")
def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str | None = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose (the gradient) of `conv1d`.

    Args:
      input: floating point, shape [batch, width, channels].
      filters: the same dtype, shape [filter_width, outputs, channels].
      output_shape: the shape of the result, int32 [3].
      strides, padding, data_format, dilations: as for `conv1d`.
      name: the operation's name.
    """
    with name_scope(name, "conv1d_transpose", [input, filters, output_shape]) as scope:
        layout, axis, channel = _row_layout(data_format)
        options = _row_options(strides, dilations, channel)
        rows, filters = expand_dims(input, axis), expand_dims(filters, 0)
        if not isinstance(output_shape, Tensor):
            output_shape = list(output_shape)
        shape = concat([output_shape[:axis], [1], output_shape[axis:]], 0)
        result = conv_ops.conv2d_backprop_input_op(
            shape, filters, rows, padding=padding, data_format=layout, name=scope, **options
        )
        return squeeze(result, [axis])


@export(v2=["nn.conv3d_transpose"])
def conv3d_transpose_v2(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str | None = "NDHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose (the gradient) of `conv3d`.

    Args:
      input: floating point, shape [batch, depth, height, width, channels].
      filters: the same dtype, shape [depth, height, width, outputs, channels] of the filters.
      output_shape: the shape of the result, int32 [5].
      strides, padding, data_format, dilations: as for `conv3d`.
      name: the operation's name.
    """
    with name_scope(name, "conv3d_transpose", [input, filters, output_shape]) as scope:
        options = sliding(strides, dilations, data_format, 3)
        return conv_ops.conv3d_backprop_input_op(
            output_shape, filters, input, padding=padding, name=scope, **options
        )


@export(v1=["nn.conv3d_transpose"])
def conv3d_transpose(
    value: Any,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: str = "SAME",
    data_format: str | None = "NDHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The transpose (the gradient) of `conv3d`.

    Args:
      value, input: floating point, shape [batch, depth, height, width, channels].
      filter, filters: the same dtype, shape [depth, height, width, outputs, channels] of the filters.
      output_shape, strides, padding, data_format, name, dilations: see the 2.x function.
    """
    filters = renamed("filters", filters, "filter", filter)
    input = renamed("input", input, "value", value)
    return conv3d_transpose_v2(input, filters, output_shape, strides, padding, data_format, dilations, name)


@export("nn.conv_transpose")
def conv_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of `convolution`, over one, two or three spatial dimensions.

    Args:
      input: floating point, shape [batch, *space, channels].
      filters: the same dtype, shape [*window, outputs, channels].
      output_shape: the shape of the result.
      strides, padding, data_format, dilations: as for `convolution`.
      name: the operation's name.

    Raises:
      ValueError: another number of dimensions.
    """
    with name_scope(name, "conv_transpose", [input, filters, output_shape]) as scope:
        if isinstance(output_shape, Tensor):
            count = (output_shape._shape or (0,))[0] - 2
        elif hasattr(output_shape, "__len__"):
            count = len(output_shape) - 2
        else:
            raise ValueError("output_shape must be a tensor or sized collection.")
        if not 1 <= count <= 3:
            raise ValueError(f"output_shape must be of length 3, 4 or 5 but was {count + 2}.")
        transpose = {1: conv1d_transpose, 2: conv2d_transpose_v2, 3: conv3d_transpose_v2}[count]
        return transpose(input, filters, output_shape, strides, padding, data_format, dilations, scope)


# --- Dilated ---------------------------------------------------------------------------------------------------


@export("nn.atrous_conv2d")
def atrous_conv2d(value: Any, filters: Any, rate: int, padding: str, name: str | None = None) -> Tensor:
    """`conv2d` whose filters have holes: their points are `rate` apart in both directions.

    Args:
      value: floating point, shape [batch, height, width, channels].
      filters: the same dtype, shape [filter_height, filter_width, channels, outputs].
      rate: the distance between neighbouring points of a filter.
      padding: "SAME" or "VALID".
      name: the operation's name.
    """
    return convolution(value, filters, padding, dilation_rate=[rate, rate], name=name)


@export("nn.atrous_conv2d_transpose")
def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: str, name: str | None = None
) -> Tensor:
    """The transpose of `atrous_conv2d`.

    Args:
      value: floating point, shape [batch, height, width, channels].
      filters: the same dtype, shape [filter_height, filter_width, outputs, channels].
      output_shape: the shape of the result, int32 [4].
      rate: the distance between neighbouring points of a filter.
      padding: "SAME" or "VALID".
      name: the operation's name.

    Raises:
      ValueError: shapes that do not fit, a rate below 1, or another padding.
    """
    with name_scope(name, "atrous_conv2d_transpose", [value, filters, output_shape]):
        value, filters = to_tensor(value, name="value"), to_tensor(filters, name="filters")
        channels, wanted = shapes.with_rank(value._shape, 4)[3], shapes.with_rank(filters._shape, 4)[3]
        if None not in (channels, wanted) and channels != wanted:
            raise ValueError(
                f"value's input channels does not match filters' input channels, {channels} != {wanted}"
            )
        if rate < 1:
            raise ValueError(f"rate {rate} cannot be less than one")
        if rate == 1:
            return conv2d_transpose_v2(value, filters, output_shape, [1, 1, 1, 1], padding)
        _check_output_shape(output_shape, filters)
        return _transpose_by_batch(value, filters, output_shape, rate, padding)


def _check_output_shape(output_shape: Any, filters: Tensor) -> None:
    given = to_tensor(output_shape, name="output_shape")
    if not shapes.is_compatible(given._shape, (4,)):
        raise ValueError(f"output_shape must have shape (4,), got {given.get_shape()}")
    outputs = shapes.with_rank(filters._shape, 4)[2]
    if not isinstance(output_shape, Tensor) and None not in (outputs, output_shape[3]) and outputs != output_shape[3]:
        raise ValueError(f"output_shape does not match filter's output channels, {output_shape[3]} != {outputs}")


def _transpose_by_batch(value: Tensor, filters: Tensor, output_shape: Any, rate: int, padding: str) -> Tensor:
    """The transposed convolution of the images that the places within blocks of `rate` by `rate` points make."""
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"padding must be either VALID or SAME: {padding}")
    windows = _filter_shape(filters) if padding == "SAME" else [1, 1]
    pads, extras, sizes = [], [], []
    for axis in range(2):
        whole = (windows[axis] - 1) * rate
        before = whole // 2
        after = whole - before
        size = output_shape[axis + 1] + before + after
        extra = (rate - size % rate) % rate
        pads.append([before, after + extra])
        extras.append([0, extra])
        sizes.append((size + extra) // rate)
    blocks = space_to_batch(value, extras, rate)
    dims = [rate * rate * output_shape[0], *sizes, output_shape[3]]
    images = conv_ops.conv2d_backprop_input_op(
        dims, filters, blocks, strides=[1, 1, 1, 1], padding="VALID", data_format="NHWC"
    )
    return batch_to_space(images, pads, rate)
