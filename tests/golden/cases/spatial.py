"""Convolution, pooling, and moves between space, depth and batch."""
from __future__ import annotations

from ..spec import Family, f32, f64, noise

FAMILY = Family("spatial", ulps=32, near="max")
case, table = FAMILY.case, FAMILY.table

table({
    "space_to_batch": lambda tf, x: tf.space_to_batch_nd(tf.reshape(x, [1, 3, 4, 1]), [1, 2],
                                                         [[0, 0], [0, 0]]),
    "batch_to_space": lambda tf, x: tf.batch_to_space_nd(tf.reshape(x, [4, 3, 1, 1]), [2, 2],
                                                         [[0, 1], [0, 0]]),
    "depth_to_space": lambda tf, x: [tf.depth_to_space(tf.reshape(x, [1, 3, 1, 4]), 2),
                                     tf.space_to_depth(tf.reshape(x, [1, 2, 6, 1]), 2)],
    "required_space_to_batch_paddings": lambda tf, x: tf.required_space_to_batch_paddings([3, 4], [2, 2]),
}, f64(noise(3, 4)))

IMAGES, FILTERS = f64(noise(2, 5, 5, 2)), f64(noise(3, 3, 2, 3, seed=1))
ONE, TWO = [1, 1, 1, 1], [1, 2, 2, 1]
table({
    "conv2d/valid": lambda tf, x, w: tf.nn.conv2d(x, w, ONE, "VALID"),
    "conv2d/same": lambda tf, x, w: tf.nn.conv2d(x, w, ONE, "SAME"),
    "conv2d/strides": lambda tf, x, w: tf.nn.conv2d(x, w, strides=TWO, padding="SAME"),
    "conv2d/strides_valid": lambda tf, x, w: tf.nn.conv2d(x, w, TWO, "VALID"),
    "conv2d/explicit_padding": lambda tf, x, w: tf.nn.conv2d(x, w, TWO, [[0, 0], [1, 0], [2, 1], [0, 0]]),
    "conv2d/int_stride": lambda tf, x, w: tf.nn.conv2d(x, w, 2, "VALID"),
    "convolution": lambda tf, x, w: tf.nn.convolution(x, w, "SAME", strides=[1, 1]),
    "depthwise": lambda tf, x, w: tf.nn.depthwise_conv2d(x, w, ONE, "SAME"),
    "separable": lambda tf, x, w: tf.nn.separable_conv2d(x, w, tf.reshape(w[0, :2], [1, 1, 6, 2]), ONE,
                                                         "VALID"),
}, IMAGES, FILTERS)
table({
    "conv2d/float32": lambda tf, x, w: tf.nn.conv2d(x, w, ONE, "SAME"),
    "conv2d/bias": lambda tf, x, w: tf.nn.bias_add(tf.nn.conv2d(x, w, ONE, "SAME"), [0.5, -1.0, 0.0]),
    "conv2d_transpose": lambda tf, x, w: tf.nn.conv2d_transpose(
        tf.nn.conv2d(x, w, TWO, "SAME"), w, [2, 5, 5, 2], TWO, "SAME"),
    "conv2d/dilated": lambda tf, x, w: tf.nn.conv2d(x, w, ONE, "SAME", dilations=TWO),
    "conv1d": lambda tf, x, w: tf.nn.conv1d(x[0], w[0], 1, "SAME"),
}, f32(noise(2, 5, 5, 2)), f32(noise(3, 3, 2, 3, seed=1)))
table({
    "max_pool/valid": lambda tf, x: tf.nn.max_pool(x, TWO, TWO, "VALID"),
    "max_pool/same": lambda tf, x: tf.nn.max_pool(x, ksize=TWO, strides=TWO, padding="SAME"),
    "max_pool/overlapping": lambda tf, x: tf.nn.max_pool(x, [1, 3, 3, 1], ONE, "SAME"),
    "max_pool/ints": lambda tf, x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
    "avg_pool/valid": lambda tf, x: tf.nn.avg_pool(x, TWO, TWO, "VALID"),
    "avg_pool/same": lambda tf, x: tf.nn.avg_pool(x, TWO, TWO, "SAME"),
    "avg_pool/overlapping": lambda tf, x: tf.nn.avg_pool(x, [1, 3, 3, 1], ONE, "SAME"),
    "pool": lambda tf, x: [tf.nn.pool(x, [2, 2], "MAX", "VALID"),
                           tf.nn.pool(x, [2, 2], "AVG", "SAME", strides=[2, 2])],
}, IMAGES)
