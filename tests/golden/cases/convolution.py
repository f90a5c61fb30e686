"""Convolutions of float32 images, which have native kernels: sizes of all kinds, and the gradients."""
from __future__ import annotations

from ..spec import Family, bf16, f16, f32, f64, i32, noise

FAMILY = Family("convolution", ulps=64, near="max", gradient="all")
case, table = FAMILY.case, FAMILY.table

BOTH = ("SAME", "VALID")


def tensors(*shapes, make=f32):
    """One input of numbers for each shape."""
    return [make(noise(*shape, seed=seed)) for seed, shape in enumerate(shapes)]


def convolve(strides=1, paddings=BOTH, **options):
    return lambda tf, x, w: [tf.nn.conv2d(x, w, strides, padding, **options) for padding in paddings]


# Two dimensions: name -> images, filters, strides.

SIZES = {
    "point": ([2, 4, 5, 3], [1, 1, 3, 4], 1),
    "point_and_stride": ([2, 4, 5, 3], [1, 1, 3, 4], 2),
    "stride_beyond_window": ([2, 7, 8, 3], [2, 2, 3, 4], 3),
    "stride_beyond_image": ([1, 3, 4, 2], [2, 2, 2, 3], 5),
    "odd_image": ([2, 7, 5, 3], [3, 3, 3, 5], 2),
    "even_window": ([1, 6, 5, 2], [4, 2, 2, 3], 1),
    "even_window_and_stride": ([2, 7, 6, 3], [4, 4, 3, 2], 2),
    "wide_window": ([1, 4, 9, 2], [1, 7, 2, 3], 1),
    "tall_window": ([1, 9, 4, 2], [5, 1, 2, 3], [2, 1]),
    "unequal_strides": ([2, 7, 8, 2], [3, 2, 2, 3], [1, 1, 3, 1]),
    "window_is_image": ([2, 5, 4, 3], [5, 4, 3, 6], 1),
    "one_row": ([3, 1, 9, 2], [1, 3, 2, 3], 2),
    "one_channel": ([2, 8, 8, 1], [5, 5, 1, 4], 1),
    "one_output": ([2, 5, 6, 3], [3, 3, 3, 1], 1),
    "one_to_one": ([2, 5, 6, 1], [3, 3, 1, 1], 2),
    "8_to_16": ([1, 5, 5, 8], [3, 3, 8, 16], 1),
    "17_to_9": ([2, 6, 5, 17], [3, 3, 17, 9], 1),
    "9_to_33_and_stride": ([2, 9, 7, 9], [3, 3, 9, 33], 2),
    "33_to_16_points": ([2, 3, 5, 33], [1, 1, 33, 16], 1),
    "64_to_7": ([1, 6, 6, 64], [3, 3, 64, 7], 1),
    "first_of_lenet": ([2, 28, 28, 1], [5, 5, 1, 32], 1),
    "first_of_resnet": ([1, 23, 17, 3], [7, 7, 3, 16], 2),
    "many_images": ([37, 5, 4, 2], [3, 3, 2, 5], 1),
    "no_images": ([0, 5, 4, 3], [3, 3, 3, 2], 1),
}
for name, (images, filters, strides) in SIZES.items():
    case("conv2d/" + name, convolve(strides), *tensors(images, filters))

# Windows larger than the image, of which padding makes something.
case("conv2d/one_pixel", convolve(1, ["SAME"]), *tensors([2, 1, 1, 3], [3, 3, 3, 2]))
case("conv2d/window_beyond_image", convolve(1, ["SAME"]), *tensors([2, 3, 2, 2], [5, 7, 2, 3]))
case("conv2d/window_beyond_image_and_stride", convolve([3, 2], ["SAME"]), *tensors([2, 4, 3, 2], [9, 5, 2, 3]))
case("conv2d/no_outputs", convolve(), *tensors([2, 5, 4, 3], [3, 3, 3, 0]), gradient=False)
case("conv2d/no_rows", convolve(1, ["SAME"]), *tensors([2, 0, 4, 3], [3, 3, 3, 2]), gradient=False)


def padded(top, bottom, left, right):
    return [[[0, 0], [top, bottom], [left, right], [0, 0]]]


for name, strides, padding in [
    ("explicit_symmetric", 1, padded(1, 1, 2, 2)),
    ("explicit_asymmetric", 1, padded(0, 2, 3, 1)),
    ("explicit_and_stride", [2, 3], padded(2, 0, 1, 3)),
    ("explicit_beyond_window", 2, padded(5, 4, 3, 6)),
    ("explicit_zero", 1, padded(0, 0, 0, 0)),
    ("explicit_before", 2, padded(2, 0, 2, 0)),
]:
    case("conv2d/" + name, convolve(strides, padding), *tensors([2, 6, 5, 3], [3, 3, 3, 4]))
case("conv2d/explicit_large_window", convolve(1, padded(3, 1, 0, 4)), *tensors([1, 3, 4, 2], [5, 6, 2, 3]))

# TensorFlow 1.15 has no gradients of dilated convolutions on CPU.
DILATED = tensors([2, 9, 8, 3], [3, 2, 3, 5])
table({
    "conv2d/dilated": convolve(1, dilations=2),
    "conv2d/dilated_unequally": convolve(1, dilations=[1, 3, 1, 1]),
    "conv2d/dilated_and_stride": convolve([2, 3], dilations=[3, 2]),
    "conv2d/dilated_explicit": convolve(1, padded(3, 0, 1, 2), dilations=[2, 2]),
    "conv2d/dilated_beyond_image": convolve(1, ["SAME"], dilations=[7, 9]),
}, *DILATED, gradient=False)

ODD = [2, 7, 5, 3], [3, 3, 3, 5]
for dtype, make, ulps in [("float64", f64, 32), ("half", f16, 4)]:
    case("conv2d/" + dtype, convolve(2), *tensors(*ODD, make=make), ulps=ulps)
    case(f"conv2d/{dtype}_explicit", convolve(1, padded(2, 0, 1, 3)), *tensors(*ODD, make=make), ulps=ulps)
case("conv2d/bfloat16", lambda tf, x, w: [tf.cast(y, tf.float32) for y in convolve(2)(tf, x, w)],
     *tensors(*ODD, make=bf16), ulps=2.0**17, gradient=False)
case("conv2d/infinite", lambda tf, x, w: tf.nn.conv2d(x, w, 1, "SAME"),
     f32([[[[float("nan"), 1], [2, 3], [-1, 2], [float("inf"), 1], [2, 5]]]]), f32(noise(1, 1, 2, 3)), gradient=False)
case("conv2d/options", lambda tf, x, w: [
    tf.nn.conv2d(x, filters=w, strides=[1, 1, 2, 1], padding="SAME", use_cudnn_on_gpu=False, name="a"),
    tf.nn.conv2d(input=x, filter=w, strides=[2, 2], padding="VALID", data_format=None, dilations=1, name="a"),
    tf.nn.conv2d(x, w, [3], "VALID", data_format="NHWC", dilations=[1]),
    tf.nn.conv2d(x, w, padding="SAME"),
], *tensors([2, 6, 7, 2], [2, 3, 2, 3]))
case("conv2d/fed_filters", lambda tf, x, w: tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w, 1, "SAME"), w[0, 0, 0])),
     *tensors([2, 6, 7, 2], [2, 3, 2, 3]))
case("conv2d/twice", lambda tf, x, w: tf.nn.conv2d(tf.nn.relu(tf.nn.conv2d(x, w, 1, "SAME")), w, 2, "VALID"),
     *tensors([2, 7, 6, 5], [3, 3, 5, 5]))
case("conv2d/constant_images", lambda tf, w: tf.nn.conv2d(tf.ones([2, 5, 5, 3]), w, 2, "SAME"),
     *tensors([3, 3, 3, 4]))


def bias(tf, x, b):
    return tf.nn.bias_add(x, b), tf.transpose(tf.nn.bias_add(tf.transpose(x, [0, 3, 1, 2]), b, data_format="NCHW"),
                                              [0, 2, 3, 1])


case("bias_add/layouts", bias, *tensors([2, 3, 4, 5], [5]))
case("bias_add/vectors", lambda tf, x, b: [
    tf.nn.bias_add(x, b), tf.nn.bias_add(x, b, data_format="NHWC", name="n")], *tensors([2, 5], [5]))
case("bias_add/volumes", lambda tf, x, b: tf.nn.bias_add(x, b), *tensors([2, 2, 3, 2, 5], [5]))
case("bias_add/no_images", lambda tf, x, b: tf.nn.bias_add(x, b), *tensors([0, 2, 3, 5], [5]))

# The gradients called by their names, and so the second derivatives.


def backprop_input(padding, sizes=None, **options):
    return lambda tf, x, w, y: tf.nn.conv2d_backprop_input(
        tf.shape(x) if sizes is None else sizes, w, y, padding=padding, **options)


def backprop_filter(padding, sizes=None, **options):
    return lambda tf, x, w, y: tf.nn.conv2d_backprop_filter(
        x, tf.shape(w) if sizes is None else sizes, y, padding=padding, **options)


def triple(images, filters, results):
    return tensors(images, filters, results)


for name, strides, padding, given in [
    ("same", [1, 2, 2, 1], "SAME", triple([2, 7, 6, 3], [3, 3, 3, 4], [2, 4, 3, 4])),
    ("valid", [1, 1, 1, 1], "VALID", triple([2, 6, 5, 2], [3, 2, 2, 9], [2, 4, 4, 9])),
    ("valid_with_rest", [1, 3, 2, 1], "VALID", triple([2, 7, 8, 3], [2, 3, 3, 4], [2, 2, 3, 4])),
    ("explicit", [1, 2, 1, 1], padded(2, 0, 1, 3)[0], triple([1, 5, 4, 3], [2, 3, 3, 2], [1, 3, 6, 2])),
    ("stride_beyond_window", [1, 3, 3, 1], "SAME", triple([2, 8, 7, 3], [1, 2, 3, 4], [2, 3, 3, 4])),
    ("no_images", [1, 2, 2, 1], "SAME", triple([0, 7, 6, 3], [3, 3, 3, 4], [0, 4, 3, 4])),
]:
    case("conv2d_backprop_input/" + name, backprop_input(padding, strides=strides), *given)
    case("conv2d_backprop_filter/" + name, backprop_filter(padding, strides=strides), *given)
GIVEN = triple([2, 7, 6, 3], [3, 3, 3, 4], [2, 4, 3, 4])
case("conv2d_backprop_input/list", backprop_input("SAME", [2, 7, 6, 3], strides=[1, 2, 2, 1], name="b"), *GIVEN)
case("conv2d_backprop_filter/list", backprop_filter("SAME", [3, 3, 3, 4], strides=[1, 2, 2, 1], name="b"), *GIVEN)

TRANSPOSED = tensors([2, 3, 4, 5], [3, 2, 3, 5])  # images, filters
for name, build in {
    "same": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 6, 8, 3], 2),
    "same_odd": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 5, 7, 3], [1, 2, 2, 1], "SAME"),
    "valid": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 7, 8, 3], 2, "VALID"),
    "valid_with_rest": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 9, 8, 3], [3, 2], "VALID"),
    "stride_beyond_window": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 15, 20, 3], 5, "SAME"),
    "computed_shape": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, tf.shape(x) * [1, 2, 2, 1] - [0, 0, 0, 2], 2),
    "named": lambda tf, x, w: tf.nn.conv2d_transpose(
        input=x, filters=w, output_shape=(2, 3, 4, 3), strides=[1, 1, 1, 1], padding="SAME",
        data_format="NHWC", name="up"),
    "through_any": lambda tf, x, w: tf.nn.conv_transpose(x, w, [2, 6, 8, 3], 2),
}.items():
    case("conv2d_transpose/" + name, build, *TRANSPOSED)

# Depthwise and separable.


def depthwise(strides=1, paddings=BOTH, **options):
    return lambda tf, x, w: [
        tf.nn.depthwise_conv2d(x, w, [1, strides, strides, 1], padding, **options) for padding in paddings]


for name, (images, filters, strides) in {
    "one_a_channel": ([2, 6, 5, 3], [3, 3, 3, 1], 1),
    "two_a_channel": ([2, 6, 5, 3], [3, 3, 3, 2], 1),
    "three_of_one": ([2, 6, 5, 1], [3, 2, 1, 3], 1),
    "stride": ([2, 7, 8, 3], [3, 3, 3, 2], 2),
    "stride_beyond_window": ([2, 7, 8, 3], [2, 1, 3, 1], 3),
    "even_window": ([1, 6, 5, 4], [2, 4, 4, 1], 1),
    "8_channels": ([2, 5, 5, 8], [3, 3, 8, 1], 1),
    "17_channels": ([1, 5, 6, 17], [3, 3, 17, 1], 2),
    "32_channels": ([1, 7, 7, 32], [3, 3, 32, 1], 1),
    "9_by_4": ([1, 4, 4, 9], [3, 3, 9, 4], 1),
}.items():
    case("depthwise_conv2d/" + name, depthwise(strides), *tensors(images, filters))
    case(f"depthwise_conv2d/{name}_native",
         lambda tf, x, w, s=strides: tf.nn.depthwise_conv2d_native(x, w, [1, s, s, 1], "SAME", name="d"),
         *tensors(images, filters), nodes=True)
# TensorFlow 1.15 forgets to set the gradients of depthwise filters where there are no images.
case("depthwise_conv2d/no_images", depthwise(), *tensors([0, 6, 5, 3], [3, 3, 3, 2]), gradient=False)
CHANNELS = tensors([2, 8, 9, 3], [3, 2, 3, 2])
KNOWN = CHANNELS[1].value
table({
    "depthwise_conv2d/rate": depthwise(rate=[2, 2]),
    "depthwise_conv2d/rates": depthwise(rate=[3, 1], name="r"),
    "depthwise_conv2d/dilations": depthwise(dilations=[1, 2], data_format="NHWC"),
}, *CHANNELS, unknown=False)  # TensorFlow 1.15 fails for filters of unknown size
table({
    "depthwise_conv2d/rate_constant_filters": lambda tf, x: depthwise(rate=[2, 2])(tf, x, KNOWN),
    "depthwise_conv2d/window_beyond_image": lambda tf, x: tf.nn.depthwise_conv2d(x[:, :2, :1], KNOWN, [1] * 4, "SAME"),
}, *CHANNELS[:1])
case("depthwise_conv2d/float64", depthwise(2), *tensors([2, 7, 8, 3], [3, 3, 3, 2], make=f64), ulps=32)
case("depthwise_conv2d/half", depthwise(1), *tensors([2, 7, 8, 3], [3, 3, 3, 2], make=f16), ulps=4)
SLOPES = triple([2, 7, 6, 3], [3, 3, 3, 2], [2, 4, 3, 6])
table({
    "depthwise_conv2d_backprop_input": lambda tf, x, w, y: tf.nn.depthwise_conv2d_backprop_input(
        tf.shape(x), w, y, [1, 2, 2, 1], "SAME"),
    "depthwise_conv2d_native_backprop_input": lambda tf, x, w, y: tf.nn.depthwise_conv2d_native_backprop_input(
        [2, 8, 6, 3], w, y, [1, 2, 2, 1], "SAME", name="n"),
    "depthwise_conv2d_backprop_filter": lambda tf, x, w, y: tf.nn.depthwise_conv2d_backprop_filter(
        x, tf.shape(w), y, [1, 2, 2, 1], "SAME"),
    "depthwise_conv2d_native_backprop_filter": lambda tf, x, w, y: tf.nn.depthwise_conv2d_native_backprop_filter(
        x, [2, 1, 3, 2], y, [1, 2, 2, 1], "SAME", name="n"),
}, *SLOPES)


def separable(strides=1, paddings=BOTH, **options):
    return lambda tf, x, w, p: [
        tf.nn.separable_conv2d(x, w, p, [1, strides, strides, 1], padding, **options) for padding in paddings]


for name, build, shapes in [
    ("plain", separable(), ([2, 6, 5, 3], [3, 3, 3, 1], [1, 1, 3, 4])),
    ("stride", separable(2), ([2, 7, 6, 3], [3, 3, 3, 2], [1, 1, 6, 5])),
    ("rate", separable(rate=[2, 2]), ([2, 8, 7, 3], [3, 2, 3, 2], [1, 1, 6, 5])),
    ("dilations", separable(dilations=[2, 1], name="s"), ([2, 8, 7, 2], [3, 2, 2, 2], [1, 1, 4, 9])),
    ("mobilenet", separable(2, ["SAME"]), ([2, 9, 9, 16], [3, 3, 16, 1], [1, 1, 16, 24])),
]:
    case("separable_conv2d/" + name, build, *tensors(*shapes), unknown=name not in ("rate", "dilations"))
case("separable_conv2d/no_images", separable(), *tensors([0, 6, 5, 3], [3, 3, 3, 1], [1, 1, 3, 4]), gradient=False)

# One dimension.

ROWS = tensors([2, 9, 3], [4, 3, 5])
table({
    "conv1d/plain": lambda tf, x, w: [tf.nn.conv1d(x, w, 1, padding) for padding in BOTH],
    "conv1d/stride": lambda tf, x, w: [tf.nn.conv1d(x, w, 3, padding, data_format="NWC") for padding in BOTH],
    "conv1d/stride_list": lambda tf, x, w: [tf.nn.conv1d(x, w, [2], "SAME"), tf.nn.conv1d(x, w, [1, 2, 1], "VALID")],
    "conv1d/options": lambda tf, x, w: tf.nn.conv1d(input=x, filters=w, stride=2, padding="SAME", use_cudnn_on_gpu=True,
                                                    data_format="NHWC", name="rows"),
    "conv1d/explicit": lambda tf, x, w: tf.nn.convolution(x, w, "SAME", [2]),
    "convolution/rows": lambda tf, x, w: [tf.nn.convolution(x, w, padding) for padding in BOTH],
}, *ROWS)
case("convolution/rows_dilated",
     lambda tf, x, w: [tf.nn.convolution(x, w, padding, dilation_rate=[2]) for padding in BOTH], *ROWS, unknown=False)
table({
    "conv1d/dilated": lambda tf, x, w: [tf.nn.conv1d(x, w, 1, padding, dilations=2) for padding in BOTH],
}, *ROWS, gradient=False)
case("conv1d/no_rows", lambda tf, x, w: tf.nn.conv1d(x, w, 1, "SAME"), *tensors([0, 9, 3], [4, 3, 5]))
case("conv1d/float64", lambda tf, x, w: tf.nn.conv1d(x, w, 2, "SAME"),
     *tensors([2, 9, 3], [4, 3, 5], make=f64), ulps=32)
table({
    "conv1d_transpose/same": lambda tf, x, w: tf.nn.conv1d_transpose(x, w, [2, 10, 4], 2),
    "conv1d_transpose/valid": lambda tf, x, w: tf.nn.conv1d_transpose(x, w, [2, 16, 4], [3], "VALID", name="up"),
    "conv1d_transpose/tensor": lambda tf, x, w: tf.nn.conv1d_transpose(x, w, tf.constant([2, 9, 4]), 2, "SAME", "NWC"),
    "conv_transpose/rows": lambda tf, x, w: tf.nn.conv_transpose(x, w, [2, 10, 4], 2, name="any"),
}, *tensors([2, 5, 3], [4, 4, 3]))

# Any number of dimensions, and dilation by space to batch.

IMAGES = tensors([2, 9, 8, 3], [3, 2, 3, 4])
table({
    "convolution/plain": lambda tf, x, w: [tf.nn.convolution(x, w, padding) for padding in BOTH],
    "convolution/strides": lambda tf, x, w: [tf.nn.convolution(x, w, padding, [2, 3], name="c") for padding in BOTH],
    "convolution/one_number": lambda tf, x, w: tf.nn.convolution(x, w, "SAME", strides=[2]),
    "atrous_conv2d/1": lambda tf, x, w: [tf.nn.atrous_conv2d(x, w, 1, padding, name="a") for padding in BOTH],
}, *IMAGES)
# TensorFlow 1.15 wants to know the filters' size. With it the images' may be unknown.
table({
    "convolution/one_rate": lambda tf, x, w: tf.nn.convolution(x, w, "VALID", dilation_rate=[2]),
    "convolution/dilated":
        lambda tf, x, w: [tf.nn.convolution(x, w, padding, dilation_rate=[2, 2]) for padding in BOTH],
    "convolution/dilated_unequally":
        lambda tf, x, w: [tf.nn.convolution(x, w, padding, dilations=[1, 3], data_format="NHWC") for padding in BOTH],
    "atrous_conv2d": lambda tf, x, w: [tf.nn.atrous_conv2d(x, w, 2, padding) for padding in BOTH],
    "atrous_conv2d/3": lambda tf, x, w: [tf.nn.atrous_conv2d(x, w, 3, padding) for padding in BOTH],
}, *IMAGES, unknown=False)
case("atrous_conv2d/constant_filters",
     lambda tf, x: [tf.nn.atrous_conv2d(x, IMAGES[1].value, 2, padding) for padding in BOTH], IMAGES[0])
case("atrous_conv2d/float64", lambda tf, x, w: tf.nn.atrous_conv2d(x, w, 2, "SAME"),
     *tensors([1, 5, 6, 2], [2, 3, 2, 3], make=f64), ulps=32, unknown=False)
table({
    "atrous_conv2d_transpose/same": lambda tf, x, w: tf.nn.atrous_conv2d_transpose(x, w, [2, 5, 6, 4], 2, "SAME"),
    "atrous_conv2d_transpose/valid":
        lambda tf, x, w: tf.nn.atrous_conv2d_transpose(x, w, [2, 9, 8, 4], 2, "VALID", name="t"),
    "atrous_conv2d_transpose/1": lambda tf, x, w: tf.nn.atrous_conv2d_transpose(x, w, [2, 5, 6, 4], 1, "SAME"),
}, *tensors([2, 5, 6, 3], [3, 2, 4, 3]), near="max")


def spread(tf, x):
    """The sum of each window of two by two points, two apart."""
    def add(values, count, padding):
        return tf.nn.avg_pool(values, [1, 2, 2, 1], [1, 1, 1, 1], padding) * 4.0
    return [tf.nn.with_space_to_batch(x, [2, 2], padding, add, [2, 2]) for padding in BOTH]


case("with_space_to_batch", spread, *tensors([2, 7, 6, 2]))
case("with_space_to_batch/some_dims", lambda tf, x: tf.nn.with_space_to_batch(
    x, [2], "VALID", lambda values, count, padding: values[:, :, 1:] * float(count), spatial_dims=[2]),
     *tensors([2, 3, 6, 2]))

# Volumes.


def volumes(strides=1, paddings=BOTH, **options):
    return lambda tf, x, w: [tf.nn.conv3d(x, w, [1, strides, strides, strides, 1], padding, **options)
                             for padding in paddings]


for name, (images, filters, strides) in {
    "plain": ([2, 4, 5, 3, 2], [2, 3, 3, 2, 3], 1),
    "stride": ([2, 5, 6, 4, 3], [3, 3, 2, 3, 4], 2),
    "stride_beyond_window": ([1, 5, 7, 4, 2], [1, 2, 1, 2, 3], 3),
    "point": ([2, 3, 2, 3, 5], [1, 1, 1, 5, 7], 1),
    "one_channel": ([2, 4, 5, 3, 1], [3, 3, 3, 1, 2], 1),
    "17_to_9": ([1, 3, 4, 3, 17], [2, 2, 2, 17, 9], 1),
    "window_is_volume": ([2, 3, 2, 3, 4], [3, 2, 3, 4, 5], 1),
    "no_volumes": ([0, 4, 5, 3, 2], [2, 3, 3, 2, 3], 1),
}.items():
    case("conv3d/" + name, volumes(strides), *tensors(images, filters))
VOLUMES = tensors([2, 5, 4, 6, 2], [2, 3, 2, 2, 3])
table({
    "conv3d/unequal_strides": lambda tf, x, w: tf.nn.conv3d(x, w, [1, 1, 2, 3, 1], "SAME", name="v"),
    "conv3d/options": lambda tf, x, w: tf.nn.conv3d(input=x, filters=w, strides=[1, 2, 1, 1, 1], padding="VALID",
                                                    data_format="NDHWC", dilations=[1, 1, 1, 1, 1]),
    "convolution/volumes": lambda tf, x, w: [tf.nn.convolution(x, w, padding, strides=[2, 1, 2]) for padding in BOTH],
    "conv3d/window_beyond_volume": lambda tf, x, w: tf.nn.conv3d(x[:, :1, :2, :1], w, [1] * 5, "SAME"),
}, *VOLUMES)
case("convolution/volumes_dilated", lambda tf, x, w: tf.nn.convolution(x, w, "SAME", dilation_rate=[2, 1, 2]), *VOLUMES,
     unknown=False)
case("conv3d/float64", volumes(2), *tensors([1, 3, 4, 3, 2], [2, 3, 2, 2, 3], make=f64), ulps=32)
case("conv3d/half", volumes(1), *tensors([1, 3, 4, 3, 2], [2, 3, 2, 2, 3], make=f16), ulps=4)
BLOCKS = triple([2, 5, 4, 6, 2], [2, 3, 2, 2, 3], [2, 3, 2, 3, 3])
table({
    "conv3d_backprop_filter":
        lambda tf, x, w, y: tf.nn.conv3d_backprop_filter(x, tf.shape(w), y, [1, 2, 2, 2, 1], "SAME"),
    "conv3d_backprop_filter_v2": lambda tf, x, w, y: tf.nn.conv3d_backprop_filter_v2(
        x, [2, 3, 2, 2, 3], y, [1, 2, 2, 2, 1], padding="SAME", data_format="NDHWC", name="f"),
    "conv3d_backprop_filter/valid": lambda tf, x, w, y: tf.nn.conv3d_backprop_filter(
        x, [1, 2, 2, 2, 3], y, [1, 2, 2, 2, 1], "VALID", dilations=[1, 1, 1, 1, 1]),
}, *BLOCKS)
table({
    "conv3d_transpose/same": lambda tf, x, w: tf.nn.conv3d_transpose(x, w, [2, 6, 4, 6, 3], 2),
    "conv3d_transpose/odd": lambda tf, x, w: tf.nn.conv3d_transpose(x, w, [2, 5, 2, 3, 3], [1, 2, 1, 1, 1], "SAME"),
    "conv3d_transpose/valid":
        lambda tf, x, w: tf.nn.conv3d_transpose(value=x, filter=w, output_shape=[2, 6, 5, 6, 3], strides=[2, 2, 2],
                                                padding="VALID", name="up"),
    "conv3d_transpose/computed_shape":
        lambda tf, x, w: tf.nn.conv3d_transpose(x, w, tf.shape(x) * [1, 2, 2, 2, 1] - [0, 0, 0, 0, 1], 2),
    "conv_transpose/volumes": lambda tf, x, w: tf.nn.conv_transpose(x, w, [2, 3, 2, 3, 3], 1),
}, *tensors([2, 3, 2, 3, 4], [2, 3, 2, 3, 4]))
case("conv3d_transpose/int64_shape", lambda tf, x, w: tf.nn.conv3d_transpose(
    x, w, tf.constant([1, 2, 2, 2, 1], tf.int64), 2), *tensors([1, 1, 1, 1, 2], [2, 2, 2, 1, 2]))

# Second derivatives: gradients of what the gradients of a convolution are multiplied with.


def sloped(function):
    """A case of the gradients of `function(x, w)`, weighted with `y`, which are differentiated once more."""
    def build(tf, x, w, y):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            result = function(tf, x, w)
        return tape.gradient(result, [x, w], y)
    return build


for name, function, shapes in [
    ("conv2d", lambda tf, x, w: tf.nn.conv2d(x, w, [2, 1], "SAME"), ([2, 5, 4, 3], [3, 2, 3, 4], [2, 3, 4, 4])),
    ("conv2d_valid", lambda tf, x, w: tf.nn.conv2d(x, w, 1, "VALID"), ([2, 5, 4, 3], [3, 2, 3, 4], [2, 3, 3, 4])),
    ("depthwise_conv2d", lambda tf, x, w: tf.nn.depthwise_conv2d_native(x, w, [1, 2, 2, 1], "SAME"),
     ([2, 5, 4, 3], [3, 2, 3, 2], [2, 3, 2, 6])),
    ("conv3d", lambda tf, x, w: tf.nn.conv3d(x, w, [1, 2, 1, 1, 1], "SAME"),
     ([2, 3, 2, 3, 2], [2, 2, 3, 2, 3], [2, 2, 2, 3, 3])),
    ("conv1d", lambda tf, x, w: tf.nn.conv1d(x, w, 2, "SAME"), ([2, 5, 3], [3, 3, 4], [2, 3, 4])),
    ("conv2d_transpose", lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 5, 6, 4], 2),
     ([2, 3, 3, 2], [3, 2, 4, 2], [2, 5, 6, 4])),
]:
    for dtype, make in (("", f32), ("_float64", f64)):
        case(f"second_derivative/{name}{dtype}", sloped(function), *tensors(*shapes, make=make),
             nodes="gradient graphs may be simpler")

# Errors.

SMALL = [f32(noise(2, 5, 4, 3)), f32(noise(3, 3, 3, 2, seed=1))]
table({
    "error/rank": lambda tf, x, w: tf.nn.conv2d(x[0], w, [1, 1, 1, 1], "SAME"),
    "error/filter_rank": lambda tf, x, w: tf.nn.conv2d(x, w[0], [1, 1, 1, 1], "SAME"),
    "error/depth": lambda tf, x, w: tf.nn.conv2d(x, w[:, :, :2], 1, "SAME"),
    "error/padding": lambda tf, x, w: tf.nn.conv2d(x, w, 1, "FULL"),
    "error/explicit_name": lambda tf, x, w: tf.nn.conv2d(x, w, 1, "EXPLICIT"),
    "error/explicit_count": lambda tf, x, w: tf.nn.conv2d(x, w, 1, [[1, 1], [2, 2]]),
    "error/explicit_pairs": lambda tf, x, w: tf.nn.conv2d(x, w, 1, [[0, 0], [1, 1], [2], [0, 0]]),
    "error/explicit_batch": lambda tf, x, w: tf.nn.conv2d(x, w, 1, [[1, 0], [1, 1], [2, 2], [0, 0]]),
    "error/explicit_negative": lambda tf, x, w: tf.nn.conv2d(x, w, 1, [[0, 0], [-1, 1], [2, 2], [0, 0]]),
    "error/strides_count": lambda tf, x, w: tf.nn.conv2d(x, w, [1, 1, 1], "SAME"),
    "error/no_stride": lambda tf, x, w: tf.nn.conv2d(x, w, 0, "SAME"),
    "error/negative_stride": lambda tf, x, w: tf.nn.conv2d(x, w, -1, "VALID"),
    "error/dilations_count": lambda tf, x, w: tf.nn.conv2d(x, w, 1, "SAME", dilations=[1, 1, 1]),
    "error/data_format": lambda tf, x, w: tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME", data_format="HWCN"),
    "error/dtypes": lambda tf, x, w: tf.nn.conv2d(x, tf.cast(w, tf.float64), 1, "SAME"),
    "error/integers": lambda tf, x, w: tf.nn.conv2d(tf.cast(x, tf.int32), tf.cast(w, tf.int32), 1, "SAME"),
    "error/two_filters": lambda tf, x, w: tf.nn.conv2d(x, w, 1, "SAME", filters=w),
    "error/transposed_depth": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 5, 4, 3], 1),
    "error/transposed_format": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 5, 4, 3], 1, data_format="NWC"),
    "error/transposed_shape": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 5, 4], 1),
    "error/transposed_padding": lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 5, 4, 2], 1, "FULL"),
    "error/rows_format": lambda tf, x, w: tf.nn.conv1d(x[0], w[0], 1, "SAME", data_format="CWN"),
    "error/rows_stride": lambda tf, x, w: tf.nn.conv1d(x[0], w[0], [1, 1], "SAME"),
    "error/rows_transposed_format":
        lambda tf, x, w: tf.nn.conv1d_transpose(x[0], w[0], [5, 4, 3], 1, data_format="CWN"),
    "error/convolution_rank": lambda tf, x, w: tf.nn.convolution(x[0, 0], w, "SAME"),
    "error/convolution_filter_rank": lambda tf, x, w: tf.nn.convolution(x, w[0], "SAME"),
    "error/convolution_depth": lambda tf, x, w: tf.nn.convolution(x, w[:, :, :2], "SAME"),
    "error/convolution_padding": lambda tf, x, w: tf.nn.convolution(x, w, "FULL", dilation_rate=[2, 2]),
    "error/convolution_strides": lambda tf, x, w: tf.nn.convolution(x, w, "SAME", strides=[1, 2, 3]),
    "error/convolution_stride": lambda tf, x, w: tf.nn.convolution(x, w, "SAME", strides=[1, 0]),
    "error/convolution_rates": lambda tf, x, w: tf.nn.convolution(x, w, "SAME", dilation_rate=[1, 1, 1]),
    "error/convolution_rate": lambda tf, x, w: tf.nn.convolution(x, w, "SAME", dilation_rate=[1, 0]),
    "error/convolution_strides_and_rates":
        lambda tf, x, w: tf.nn.convolution(x, w, "SAME", strides=[1, 2], dilation_rate=[2, 1]),
    "error/volumes_strides": lambda tf, x, w: tf.nn.conv3d(x, w, [1, 1, 1, 1], "SAME"),
    "error/volumes_rank": lambda tf, x, w: tf.nn.conv3d(x, w, [1] * 5, "SAME"),
    "error/volumes_depth": lambda tf, x, w: tf.nn.conv3d(x[None], w[None, :, :, :2], [1] * 5, "SAME"),
    "error/any_transposed_shape": lambda tf, x, w: tf.nn.conv_transpose(x, w, 3, 1),
    "error/any_transposed_rank": lambda tf, x, w: tf.nn.conv_transpose(x, w, [3, 4], 1),
    "error/depthwise_depth": lambda tf, x, w: tf.nn.depthwise_conv2d(x, w[:, :, :2], [1] * 4, "SAME"),
    "error/depthwise_rank": lambda tf, x, w: tf.nn.depthwise_conv2d(x[0], w, [1] * 4, "SAME"),
    "error/depthwise_strides": lambda tf, x, w: tf.nn.depthwise_conv2d_native(x, w, [1, 1], "SAME"),
    "error/separable_points": lambda tf, x, w: tf.nn.separable_conv2d(x, w, tf.ones([2, 1, 6, 2]), [1] * 4, "SAME"),
    "error/separable_depth": lambda tf, x, w: tf.nn.separable_conv2d(x, w, tf.ones([1, 1, 5, 2]), [1] * 4, "SAME"),
    "error/atrous_rate": lambda tf, x, w: tf.nn.atrous_conv2d(x, w, 0, "SAME"),
    "error/atrous_depth": lambda tf, x, w: tf.nn.atrous_conv2d(x, w[:, :, :2], 2, "SAME"),
    "error/atrous_transposed_rate": lambda tf, x, w: tf.nn.atrous_conv2d_transpose(x, w, [2, 5, 4, 3], 0, "SAME"),
    "error/atrous_transposed_depth": lambda tf, x, w: tf.nn.atrous_conv2d_transpose(x, w, [2, 5, 4, 3], 2, "SAME"),
    "error/atrous_transposed_padding":
        lambda tf, x, w: tf.nn.atrous_conv2d_transpose(x[..., :2], w, [2, 5, 4, 3], 2, "FULL"),
    "error/atrous_transposed_shape":
        lambda tf, x, w: tf.nn.atrous_conv2d_transpose(x[..., :2], w, [2, 5, 4], 2, "SAME"),
    "error/bias_rank": lambda tf, x, w: tf.nn.bias_add(x, w),
    "error/bias_size": lambda tf, x, w: tf.nn.bias_add(x, [1.0, 2.0]),
    "error/bias_format": lambda tf, x, w: tf.nn.bias_add(x, [1.0, 2.0, 3.0], "CHWN"),
    "error/space_to_batch_rates":
        lambda tf, x, w: tf.nn.with_space_to_batch(x, [[2]], "SAME", lambda *_: x, [2, 2]),
    "error/space_to_batch_shape":
        lambda tf, x, w: tf.nn.with_space_to_batch(x, [2, 2], "SAME", lambda *_: x),
    "error/space_to_batch_dims":
        lambda tf, x, w: tf.nn.with_space_to_batch(x, [2, 2], "VALID", lambda *_: x, spatial_dims=[0, 1]),
    "error/space_to_batch_fed_rates":
        lambda tf, x, w: tf.nn.with_space_to_batch(x, tf.cast(w[0, 0, :2, 0], tf.int32), "SAME", lambda *_: x),
}, *SMALL, raises=True)
case("error/volumes_no_strides", lambda tf, x, w: tf.nn.conv3d(x[None], w[None], None, "SAME"), *SMALL, raises=True,
     message="Expected list for")
table({
    "error/window_beyond_image": lambda tf, x, w: tf.nn.conv2d(x[:, :2], w, 1, "VALID"),
    "error/dilated_beyond_image": lambda tf, x, w: tf.nn.conv2d(x, w, 1, "VALID", dilations=3),
    "error/window_beyond_volume": lambda tf, x, w: tf.nn.conv3d(x[:, None, :2], w[None, :], [1] * 5, "VALID"),
}, *SMALL, raises=True, eager="the result is empty", function=True)


@case("error/run_depth", None, *tensors([2, 5, 4, 3], [3, 3, 4, 2]), raises=True,
      eager="known shapes are refused earlier")
def _(tf, x, w):
    return tf.nn.conv2d(tf.placeholder_with_default(x, [None] * 4), w, 1, "SAME")


@case("error/run_sizes", None, *tensors([2, 3, 2, 3], [3, 3, 4, 3]), i32([2, 9, 9, 4]), raises=True,
      eager="known shapes are refused earlier")
def _(tf, x, w, sizes):
    return tf.nn.conv2d_transpose(x, w, sizes, 2)
