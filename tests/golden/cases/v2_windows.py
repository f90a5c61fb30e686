"""Convolution, pooling and normalisation with the arguments of 2.x, and what only 2.x has of them.

TensorFlow 2.21 has CPU kernels (of oneDNN) for channels that come first, groups and dilated gradients.
"""
from __future__ import annotations

from ..spec import Family, f32, f64, noise

FAMILY = Family("v2_windows", tensorflow=2, ulps=256, near="max", gradient="all")
case, table = FAMILY.case, FAMILY.table

BOTH = ("SAME", "VALID")


def tensors(*shapes, make=f32):
    """One input of numbers for each shape."""
    return [make(noise(*shape, seed=seed)) for seed, shape in enumerate(shapes)]


# Channels that come first.

FIRST = [2, 3, 7, 6]


def first(strides=1, paddings=BOTH, **options):
    return lambda tf, x, w: [tf.nn.conv2d(x, w, strides, p, data_format="NCHW", **options) for p in paddings]


for name, build, shapes in [
    ("plain", first(), (FIRST, [3, 2, 3, 5])),
    ("stride", first([2, 3]), (FIRST, [3, 2, 3, 5])),
    ("four_strides", first([1, 1, 2, 1]), (FIRST, [3, 2, 3, 4])),
    ("point", first(2), (FIRST, [1, 1, 3, 4])),
    ("dilated", first(1, dilations=2), (FIRST, [2, 3, 3, 4])),
    ("one_channel", first(), ([2, 1, 5, 6], [3, 3, 1, 4])),
    ("17_to_9", first(), ([2, 17, 4, 5], [3, 3, 17, 9])),
    ("groups", first(), ([2, 6, 5, 4], [3, 3, 2, 9])),
]:
    case("channels_first/conv2d_" + name, build, *tensors(*shapes))
# TensorFlow 2.21 has no gradients of these.
case("channels_first/conv2d_explicit", first(2, [[[0, 0], [0, 0], [2, 0], [1, 3]]]), *tensors(FIRST, [3, 3, 3, 4]),
     gradient=False)
case("channels_first/conv2d_transpose",
     lambda tf, x, w: tf.nn.conv2d_transpose(x, w, [2, 4, 13, 12], 2, "SAME", "NCHW"), *tensors(FIRST, [3, 3, 4, 3]))
table({
    "channels_first/max_pool": lambda tf, x: [tf.nn.max_pool2d(x, 3, 2, padding, "NCHW") for padding in BOTH],
    "channels_first/avg_pool": lambda tf, x: [tf.nn.avg_pool2d(x, [2, 3], [1, 2], padding, "NCHW") for padding in BOTH],
    "channels_first/pool_of_any_rank": lambda tf, x: [
        tf.nn.max_pool(x, 2, 2, "SAME", "NCHW"), tf.nn.avg_pool(x, [1, 1, 2, 2], [1, 1, 2, 1], "VALID", "NCHW")],
}, *tensors(FIRST), gradient=False)
case("channels_first/bias_add", lambda tf, x, b: tf.nn.bias_add(x, b, "NCHW"), *tensors(FIRST, [3]))
case("channels_first/depthwise_conv2d",
     lambda tf, x, w: [tf.nn.depthwise_conv2d(x, w, [1, 1, 2, 2], padding, "NCHW") for padding in BOTH],
     *tensors(FIRST, [3, 3, 3, 2]), gradient=False)
case("channels_first/fused_batch_norm",
     lambda tf, x, s, o: tf.compat.v1.nn.fused_batch_norm(x, s, o, data_format="NCHW"), *tensors(FIRST, [3], [3]))
case("channels_first/fused_batch_norm_inference", lambda tf, x, s, o: tf.compat.v1.nn.fused_batch_norm(
    x, s, o, [0.5, 0.0, -1.0], [1.0, 2.0, 0.5], data_format="NCHW", is_training=False)[0], *tensors(FIRST, [3], [3]))


for version in ("", "V2", "V3"):
    def _(tf, x, s, o, m, v, version=version):
        op = getattr(tf.raw_ops, "FusedBatchNorm" + version)
        found = op(x=x, scale=s, offset=o, mean=m, variance=v, exponential_avg_factor=0.25)
        inference = op(x=x, scale=s, offset=o, mean=m, variance=v + 2.0, exponential_avg_factor=0.25, is_training=False)
        return [found[:3], inference[:3]]

    case(f"fused_batch_norm_average{version}", _, *tensors([2, 3, 4, 3], [3], [3], [3], [3]))
for name in ("mean", "variance"):
    case(f"error/fused_batch_norm_average_{name}", lambda tf, x, s, m, name=name: tf.raw_ops.FusedBatchNormV3(
        **{**dict(x=x, scale=s, offset=s, mean=s, variance=s, exponential_avg_factor=0.25), name: m}),
        *tensors([2, 3, 4, 3], [3], [2]), raises=True, message="")

# Groups: filters of fewer channels than the images have.


def grouped(strides=1, paddings=BOTH):
    return lambda tf, x, w: [tf.nn.conv2d(x, w, strides, padding) for padding in paddings]


for name, build, shapes in [
    ("two", grouped(), ([2, 5, 6, 4], [3, 2, 2, 6])),
    ("three_and_stride", grouped(2), ([2, 7, 5, 6], [3, 3, 2, 3])),
    ("one_a_channel", grouped(), ([2, 5, 4, 3], [3, 3, 1, 6])),
    ("four_of_eight", grouped(), ([1, 4, 4, 32], [3, 3, 8, 16])),
    ("17_a_group", grouped(), ([1, 4, 3, 34], [2, 2, 17, 6])),
]:
    case("groups/" + name, build, *tensors(*shapes))

# Dilated windows with their gradients.


def dilated(dilations, strides=1, paddings=BOTH):
    return lambda tf, x, w: [tf.nn.conv2d(x, w, strides, padding, dilations=dilations) for padding in paddings]


for name, build in [
    ("two", dilated(2)),
    ("unequal", dilated([1, 3, 2, 1])),
    ("beyond_image", dilated([9, 11], 1, ["SAME"])),
]:
    case("dilated/" + name, build, *tensors([2, 9, 8, 3], [3, 2, 3, 5]))
case("dilated/explicit", dilated([2, 3], 1, [[[0, 0], [3, 1], [0, 4], [0, 0]]]), *tensors([2, 9, 8, 3], [3, 2, 3, 5]),
     gradient=False)

# More batch dimensions.

table({
    "batch/conv2d": lambda tf, x, w: tf.nn.conv2d(x, w[0], 2, "SAME"),
    "batch/convolution":
        lambda tf, x, w: [tf.nn.convolution(x, w[0]), tf.nn.convolution(x, w[0], 2, "SAME", dilations=1)],
    "batch/conv1d": lambda tf, x, w: tf.nn.conv1d(x, w[0, 0], 2, "SAME"),
    "batch/conv3d": lambda tf, x, w: tf.nn.conv3d(x[None], w, [1, 1, 2, 2, 1], "SAME"),
}, *tensors([2, 3, 4, 5, 2], [2, 3, 2, 2, 3]))

# Arguments of 2.x.

IMAGES = [2, 6, 5, 3]
table({
    "arguments/conv2d": lambda tf, x, w: [
        tf.nn.conv2d(input=x, filters=w, strides=[1, 2], padding="SAME", data_format="NHWC", dilations=None, name="a"),
        tf.nn.conv2d(x, w, 1, "VALID", dilations=[1, 1, 1, 1])],
    "arguments/convolution": lambda tf, x, w: [
        tf.nn.convolution(x, w), tf.nn.convolution(x, w, 2, "SAME", None, 1, "a"),
        tf.nn.convolution(x, w, padding="VALID", dilations=2), tf.nn.convolution(x, w, [1, 2], "SAME")],
    "arguments/atrous": lambda tf, x, w: tf.nn.atrous_conv2d(x, filters=w, rate=2, padding="SAME"),
    "arguments/depthwise": lambda tf, x, w: [
        tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME", dilations=[2, 2]),
        tf.nn.depthwise_conv2d(x, w, strides=[1, 2, 2, 1], padding="VALID", data_format="NHWC", name="a")],
    "arguments/separable": lambda tf, x, w: tf.nn.separable_conv2d(
        x, w, tf.reshape(tf.range(24.0) / 9, [1, 1, 12, 2]), [1, 1, 1, 1], "SAME", dilations=[1, 2]),
    "arguments/conv2d_transpose": lambda tf, x, w: [
        tf.nn.conv2d_transpose(x, tf.transpose(w, [0, 1, 3, 2]), [2, 12, 10, 4], 2),
        tf.nn.conv2d_transpose(input=x, filters=tf.transpose(w, [0, 1, 3, 2]), output_shape=tf.constant([2, 5, 7, 4]),
                               strides=1, padding=[[0, 0], [1, 2], [0, 0], [0, 0]], name="a")],
}, *tensors(IMAGES, [3, 3, 3, 4]))
table({
    "arguments/conv3d": lambda tf, x, w: tf.nn.conv3d(x, w, [1, 1, 2, 1, 1], "SAME", dilations=[1, 1, 1, 1, 1]),
    "arguments/conv3d_transpose": lambda tf, x, w: tf.nn.conv3d_transpose(
        x, tf.transpose(w, [0, 1, 2, 4, 3]), [2, 4, 6, 8, 3], 2, "SAME", name="a"),
    "arguments/conv_transpose": lambda tf, x, w: tf.nn.conv_transpose(
        x, tf.transpose(w, [0, 1, 2, 4, 3]), [2, 2, 3, 4, 3], strides=1),
}, *tensors([2, 2, 3, 4, 2], [2, 2, 3, 2, 3]))
table({
    "arguments/conv1d": lambda tf, x, w: [tf.nn.conv1d(x, w, 1, "SAME", "NWC", None, "a"),
                                          tf.nn.conv1d(input=x, filters=w, stride=[2], padding="VALID")],
    "arguments/conv1d_dilated": lambda tf, x, w: tf.nn.conv1d(x, w, 1, "SAME", dilations=2),
    "arguments/conv1d_transpose": lambda tf, x, w: tf.nn.conv1d_transpose(x, tf.transpose(w, [0, 2, 1]), [2, 14, 4], 2),
}, *tensors([2, 7, 3], [3, 3, 4]))
EXPLICIT = [[0, 0], [1, 0], [0, 2], [0, 0]]
table({
    "arguments/max_pool": lambda tf, x: [
        tf.nn.max_pool(x, 2, 2, "SAME"), tf.nn.max_pool2d(x, [3, 2], 1, "VALID", name="a"),
        tf.nn.max_pool(input=x, ksize=[1, 2, 2, 1], strides=1, padding="VALID")],
    "arguments/avg_pool": lambda tf, x: [
        tf.nn.avg_pool(x, 2, 2, "SAME"), tf.nn.avg_pool2d(x, [3, 2], 1, "VALID", name="a"),
        tf.nn.avg_pool(input=x, ksize=[1, 2, 2, 1], strides=1, padding="VALID")],
    "arguments/pool": lambda tf, x: [
        tf.nn.pool(x, [2, 2], "MAX"), tf.nn.pool(x, [2, 3], "AVG", [2, 1], "SAME", name="a"),
        tf.nn.pool(x, [2, 2], "AVG", dilations=[2, 2])],
    "arguments/max_pool_with_argmax": lambda tf, x: [
        tf.nn.max_pool_with_argmax(x, 2, 2, "SAME"), tf.nn.max_pool_with_argmax(x, [1, 3, 2, 1], 1, "VALID", "NHWC"),
        tf.nn.max_pool_with_argmax(x, [2, 3], [1, 2], "SAME", include_batch_in_index=True, name="a")],
    "arguments/lrn": lambda tf, x: [tf.nn.lrn(x), tf.nn.local_response_normalization(x, 1, 2.0, 0.5, 0.75, "a")],
    "arguments/moments":
        lambda tf, x: [tf.nn.moments(x, [0, 1], None, True), tf.nn.moments(x, axes=[-1], keepdims=False)],
    "explicit/max_pool": lambda tf, x: [tf.nn.max_pool2d(x, 3, 2, EXPLICIT), tf.nn.max_pool(x, [2, 3], 1, EXPLICIT)],
}, *tensors(IMAGES))
case("explicit/max_pool_of_negatives", lambda tf, x: tf.nn.max_pool2d(-tf.abs(x) - 1.0, 3, 2, EXPLICIT),
     *tensors(IMAGES))
case("explicit/max_pool1d", lambda tf, x: tf.nn.max_pool1d(x, 3, 2, [[0, 0], [2, 1], [0, 0]]), *tensors([2, 6, 3]))
case("explicit/depthwise_conv2d", lambda tf, x, w: [
    tf.nn.depthwise_conv2d(x, w, [1, 2, 2, 1], EXPLICIT), tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], [[0, 0]] * 4)],
     *tensors(IMAGES, [3, 2, 3, 2]))
case("explicit/conv2d_transpose", lambda tf, x, w: tf.nn.conv2d_transpose(
    x, w, [2, 12, 8, 4], 2, [[0, 0], [0, 1], [2, 1], [0, 0]]), *tensors(IMAGES, [3, 3, 4, 3]))
case("arguments/batch_normalization", lambda tf, x, m, v, b, g: [
    tf.nn.batch_normalization(x, m, tf.abs(v), b, g, 0.1, "a"),
    tf.nn.batch_norm_with_global_normalization(x, m, tf.abs(v), b, g, 0.1, True)], *tensors(IMAGES, [3], [3], [3], [3]))
table({
    "arguments/space": lambda tf, x: [tf.nn.space_to_depth(x, 2, "NHWC", "a"), tf.nn.depth_to_space(x, block_size=2),
                                      tf.space_to_batch(x, [3, 2], [[2, 0], [1, 1]]),
                                      tf.nn.space_to_batch(input=x, block_shape=[2], paddings=[[1, 1]])],
    "arguments/batch_to_space": lambda tf, x: tf.batch_to_space(tf.concat([x, x], 0), [2, 2], [[1, 0], [0, 2]]),
}, *tensors([2, 4, 4, 4]))
case("arguments/crelu", lambda tf, x: [tf.nn.crelu(x), tf.nn.crelu(x, 1, "a")], *tensors([2, 3, 4]))

# Windows a little larger than the image fit nowhere, in eager execution.

table({
    "empty/max_pool": lambda tf, x: tf.nn.max_pool2d(x, [6, 1], 1, "VALID"),
    "empty/avg_pool": lambda tf, x: tf.nn.avg_pool2d(x, [7, 2], [3, 1], "VALID"),
}, f64(noise(2, 5, 4, 3)), gradient=False)
case("empty/conv2d", lambda tf, x, w: tf.nn.conv2d(x, w, 1, "VALID"), *tensors([2, 2, 4, 3], [3, 3, 3, 2], make=f64),
     gradient=False)

# Second derivatives in eager execution.


def sloped(function):
    def build(tf, x, w, y):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            result = function(tf, x, w)
        return tape.gradient(result, [x, w], y)
    return build


for name, function, shapes in [
    ("groups", lambda tf, x, w: tf.nn.conv2d(x, w, 1, "SAME"), ([1, 4, 3, 4], [2, 3, 2, 6], [1, 4, 3, 6])),
    ("dilated", lambda tf, x, w: tf.nn.conv2d(x, w, 1, "SAME", dilations=2),
     ([1, 5, 6, 2], [2, 3, 2, 3], [1, 5, 6, 3])),
    ("channels_first", lambda tf, x, w: tf.nn.conv2d(x, w, 2, "SAME", "NCHW"),
     ([1, 2, 5, 6], [2, 3, 2, 3], [1, 3, 3, 3])),
]:
    case("second_derivative/" + name, sloped(function), *tensors(*shapes))

# Errors. Those that oneDNN's kernels find are accidents (and some end the process).

SMALL = [f32(noise(2, 5, 4, 3)), f32(noise(3, 3, 3, 2, seed=1))]
table({
    "error/depth": lambda tf, x, w: tf.nn.conv2d(x, w[:, :, :2], 1, "SAME"),
    "error/groups": lambda tf, x, w: tf.nn.conv2d(tf.concat([x, x], -1), tf.concat([w, w[..., :1]], -1), 1, "SAME"),
    "error/explicit_count": lambda tf, x, w: tf.nn.conv2d(x, w, 1, [[1, 0], [1, 1]]),
    "error/explicit_batch": lambda tf, x, w: tf.nn.conv2d(x, w, 1, [[1, 0], [1, 1], [2, 2], [0, 0]]),
    "error/strides_count": lambda tf, x, w: tf.nn.conv2d(x, w, [1, 2, 1], "SAME"),
    "error/stride_in_batch": lambda tf, x, w: tf.nn.conv2d(x, w, [2, 1, 1, 1], "SAME"),
    "error/window_beyond_image": lambda tf, x, w: tf.nn.conv2d(x[:, :1], w, 1, "VALID"),
    "error/pool_beyond_image": lambda tf, x, w: tf.nn.avg_pool2d(x, 7, 1, "VALID"),
    "error/pool_no_size": lambda tf, x, w: tf.nn.max_pool2d(x, 0, 1, "SAME"),
    "error/pool_batch": lambda tf, x, w: tf.nn.max_pool2d(x, [2, 1, 1, 1], [2, 1, 1, 1], "SAME"),
    "error/convolution_strides": lambda tf, x, w: tf.nn.convolution(x, w, [1, 2, 3]),
    "error/fused_double":
        lambda tf, x, w: tf.compat.v1.nn.fused_batch_norm(tf.cast(x, tf.float64), [1.0] * 3, [1.0] * 3),
    "error/lrn_rank": lambda tf, x, w: tf.nn.lrn(x[0]),
    "error/max_pool_explicit_large": lambda tf, x, w: tf.nn.max_pool2d(x, 2, 2, [[0, 0], [3, 1], [1, 1], [0, 0]]),
    "error/max_pool_explicit_negative": lambda tf, x, w: tf.nn.max_pool2d(x, 2, 2, [[0, 0], [-1, 1], [1, 1], [0, 0]]),
    "error/avg_pool_explicit": lambda tf, x, w: tf.nn.avg_pool2d(x, 2, 2, EXPLICIT),
}, *SMALL, raises=True)
