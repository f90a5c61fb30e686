"""Pooling of images, rows and volumes: sizes of all kinds, equal numbers, every dtype, and the gradients."""
from __future__ import annotations

from ..spec import Family, array, bf16, f16, f32, f64, i32, noise

FAMILY = Family("pooling", ulps=16, near="max", gradient="all")
case, table = FAMILY.case, FAMILY.table

BOTH = ("SAME", "VALID")
NAN, INFINITE = float("nan"), float("inf")


def numbers(*shape, make=f32, seed=0):
    return make(noise(*shape, seed=seed))


def pool(size, strides, paddings=BOTH, kinds=("max", "avg")):
    """Both kinds of pooling with both paddings."""
    return lambda tf, x: {kind + padding: getattr(tf.nn, kind + "_pool")(x, size, strides, padding)
                          for kind in kinds for padding in paddings}


# Two dimensions: name -> images, window, strides.

SIZES = {
    "2_by_2": ([2, 6, 8, 3], 2, 2),
    "odd_image": ([2, 7, 5, 3], 2, 2),
    "3_by_3_stride_2": ([2, 7, 6, 4], 3, 2),
    "overlapping": ([2, 5, 6, 3], 3, 1),
    "stride_beyond_window": ([2, 8, 7, 2], 2, 3),
    "stride_beyond_image": ([2, 4, 3, 2], 2, 5),
    "unequal": ([2, 6, 9, 2], [2, 3], [1, 2]),
    "four_numbers": ([2, 6, 9, 2], [1, 3, 1, 1], [1, 2, 2, 1]),
    "one_point": ([2, 3, 4, 3], 1, 1),
    "one_point_and_stride": ([2, 5, 4, 3], 1, 2),
    "window_is_image": ([2, 4, 5, 3], [4, 5], 1),
    "one_channel": ([2, 6, 5, 1], 3, 2),
    "8_channels": ([1, 5, 5, 8], 2, 2),
    "17_channels": ([2, 5, 4, 17], 3, 2),
    "32_channels": ([1, 6, 6, 32], 2, 2),
    "many_images": ([33, 4, 5, 2], 2, 2),
    "large_window": ([1, 13, 11, 2], 7, 3),
    "no_images": ([0, 5, 4, 3], 2, 2),
}
for name, (images, size, strides) in SIZES.items():
    case("pool2d/" + name, pool(size, strides), numbers(*images))
case("pool2d/window_beyond_image", pool([5, 7], 1, ["SAME"]), numbers(2, 3, 2, 3))
case("pool2d/window_beyond_image_and_stride", pool([5, 7], [2, 3], ["SAME"]), numbers(2, 3, 5, 3))
for dtype, make, ulps in (("float64", f64, 16), ("half", f16, 4)):
    case("pool2d/" + dtype, pool(3, 2), numbers(2, 7, 6, 3, make=make), ulps=ulps)
case("pool2d/bfloat16", lambda tf, x: [tf.cast(tf.nn.max_pool(x, 3, 2, padding), tf.float32) for padding in BOTH],
     numbers(2, 7, 6, 3, make=bf16), ulps=2.0**17, gradient=False)

table({
    "max_pool/options": lambda tf, x: [
        tf.nn.max_pool(value=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME", data_format="NHWC", name="a"),
        tf.nn.max_pool(x, ksize=[2], strides=[2], padding="VALID", data_format=None),
        tf.nn.max_pool2d(x, (2, 3), (1, 2), "SAME", name="a"), tf.nn.max_pool_v2(x, 3, 2, "SAME", "NHWC", "b"),
        tf.nn.max_pool_v2(x, [1, 3, 2, 1], [2, 1], "VALID")],
    "avg_pool/options": lambda tf, x: [
        tf.nn.avg_pool(value=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME", data_format="NHWC", name="a"),
        tf.nn.avg_pool(x, ksize=[2], strides=[2], padding="VALID", data_format=None),
        tf.nn.avg_pool2d(x, (2, 3), (1, 2), "SAME", name="a"), tf.nn.avg_pool_v2(x, 3, 2, "SAME", "NHWC", "b"),
        tf.nn.avg_pool_v2(x, [1, 3, 2, 1], [2, 1], "VALID")],
}, numbers(2, 6, 7, 2))
case("pool2d/twice", lambda tf, x: tf.nn.avg_pool(tf.nn.max_pool(x, 2, 1, "SAME"), 3, 2, "VALID"), numbers(2, 7, 6, 3))
case("max_pool/depth", lambda tf, x: tf.nn.max_pool(x, [1, 1, 1, 2], [1, 1, 1, 2], "VALID"), numbers(2, 3, 4, 6),
     gradient=False)
case("max_pool/relu", lambda tf, x: tf.nn.relu(tf.nn.max_pool(x, 2, 2, "SAME")), numbers(2, 5, 6, 3))

# Equal numbers: the first one of a window, row by row, gets the gradient.

TIES = f32([[[[1, 0], [1, 0], [0, 2]], [[1, 0], [1, 2], [1, 2]], [[0, 0], [1, 2], [1, 0]]]])
table({
    "ties/2_by_2": pool(2, 1, kinds=["max"]),
    "ties/3_by_3": pool(3, 1, kinds=["max"]),
    "ties/stride": pool(2, 2, kinds=["max"]),
    "ties/all_equal": lambda tf, x: tf.nn.max_pool(x * 0.0, 2, 1, "SAME"),
    "ties/argmax": lambda tf, x: tf.nn.max_pool_with_argmax(x, [1, 2, 2, 1], [1, 1, 1, 1], "SAME"),
}, TIES)
case("ties/17_channels", lambda tf, x: tf.nn.max_pool(tf.nn.relu(x), 3, 2, "SAME"), numbers(2, 6, 5, 17))
case("ties/many", lambda tf, x: tf.nn.max_pool(tf.round(x), 2, 2, "VALID"), numbers(2, 6, 6, 8))
# What rounds away is differentiated by what comes after it.
case("ties/rounded", pool(3, 2, kinds=["max"]), f32(noise(2, 7, 7, 16).round()))

# TensorFlow's kernels give the lowest finite number where all are -inf; each window has a greater one here.
EXTREMES = f32([[[[-INFINITE, 3], [1, INFINITE]], [[-2, 1], [-INFINITE, INFINITE]], [[0, -INFINITE], [-1, 2]]]])
table({
    "extremes/max": lambda tf, x: tf.nn.max_pool(x, 2, 1, "VALID"),
    "extremes/argmax": lambda tf, x: tf.nn.max_pool_with_argmax(x, [1, 2, 2, 1], [1, 1, 1, 1], "VALID")[0],
}, EXTREMES, gradient=False)
case("extremes/avg", lambda tf, x: [tf.nn.avg_pool(x, 2, 1, padding) for padding in BOTH],
     f32([[[[-INFINITE, 3], [2, INFINITE]], [[NAN, 1], [5, INFINITE]], [[0, 4], [-1, 2]]]]), gradient=False)
case("extremes/negative_images", lambda tf, x: tf.nn.max_pool(-tf.abs(x) - 1.0, 3, 2, "SAME"), numbers(2, 6, 5, 3))

for dtype in ("int32", "int64", "int16", "int8", "uint8", "uint16"):
    integers = array(dtype, noise(2, 5, 4, 3, low=0, high=100).astype("int32") - (0 if dtype[0] == "u" else 50))
    case("max_pool/" + dtype, pool(3, 2, kinds=["max"]), integers)

# Places of the greatest numbers.


def with_argmax(padding, **options):
    return lambda tf, x: tf.nn.max_pool_with_argmax(x, [1, 3, 2, 1], [1, 2, 2, 1], padding, **options)


table({
    "argmax/valid": with_argmax("VALID"),
    "argmax/same": with_argmax("SAME"),
    "argmax/batch": with_argmax("SAME", include_batch_in_index=True),
    "argmax/dtype": lambda tf, x: with_argmax("VALID", output_dtype=tf.int64, name="where")(tf, x),
    "argmax/targmax": lambda tf, x: with_argmax("SAME", Targmax=tf.int64, data_format="NHWC")(tf, x),
    "argmax/fields": lambda tf, x: with_argmax("SAME")(tf, x).argmax,
}, numbers(2, 6, 5, 3))
case("argmax/float64", with_argmax("SAME", include_batch_in_index=True), numbers(2, 6, 5, 3, make=f64))
case("argmax/overlapping", lambda tf, x: tf.nn.max_pool_with_argmax(x, [1, 3, 3, 1], [1, 1, 1, 1], "SAME"),
     numbers(2, 4, 5, 2))
case("argmax/int32_images", with_argmax("VALID"), i32(noise(2, 6, 5, 3, low=-50, high=50).astype("int32")))

# One dimension.

table({
    "pool1d/max": lambda tf, x: [tf.nn.max_pool1d(x, 2, 2, padding) for padding in BOTH],
    "pool1d/avg": lambda tf, x: [tf.nn.avg_pool1d(x, 3, 2, padding) for padding in BOTH],
    "pool1d/options": lambda tf, x: [
        tf.nn.max_pool1d(x, [3], [1], "SAME", "NWC", "rows"), tf.nn.max_pool1d(x, [1, 2, 1], [1, 3, 1], "VALID"),
        tf.nn.avg_pool1d(x, ksize=[1, 2, 1], strides=1, padding="SAME", data_format="NWC", name="rows")],
    "pool1d/any_rank": lambda tf, x: [tf.nn.max_pool_v2(x, 2, 1, "SAME"), tf.nn.avg_pool_v2(x, 3, 3, "VALID")],
}, numbers(2, 7, 3), unknown=None)
case("pool1d/no_rows", lambda tf, x: [tf.nn.max_pool1d(x, 2, 2, "SAME"), tf.nn.avg_pool1d(x, 2, 2, "VALID")],
     numbers(0, 7, 3))

# Volumes.


def pool3d(size, strides, paddings=BOTH, kinds=("max", "avg")):
    return lambda tf, x: {kind + padding: getattr(tf.nn, kind + "_pool3d")(x, size, strides, padding)
                          for kind in kinds for padding in paddings}


for name, (images, size, strides) in {
    "2_by_2": ([2, 4, 6, 4, 3], 2, 2),
    "odd_volume": ([2, 5, 3, 5, 1], 2, 2),
    "overlapping": ([2, 3, 4, 3, 2], 3, 1),
    "stride_beyond_window": ([1, 7, 5, 6, 2], 2, 3),
    "unequal": ([1, 5, 6, 4, 3], [1, 3, 2], [2, 1, 2]),
    "five_numbers": ([2, 4, 3, 5, 2], [1, 2, 1, 3, 1], [1, 2, 2, 1, 1]),
    "17_channels": ([1, 3, 4, 3, 17], 2, 2),
    "window_is_volume": ([2, 3, 2, 3, 4], [3, 2, 3], 1),
    "no_volumes": ([0, 4, 6, 4, 3], 2, 2),
}.items():
    case("pool3d/" + name, pool3d(size, strides), numbers(*images))
case("pool3d/window_beyond_volume", pool3d([4, 3, 5], 1, ["SAME"]), numbers(2, 3, 2, 3, 2))
case("pool3d/half", pool3d(2, 2), numbers(1, 3, 4, 5, 2, make=f16), ulps=4)
case("pool3d/float64", pool3d(3, 2, kinds=["avg"]), numbers(1, 5, 4, 3, 2, make=f64))
table({
    "pool3d/options": lambda tf, x: [
        tf.nn.max_pool3d(x, [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], "SAME", data_format="NDHWC", name="v"),
        tf.nn.avg_pool3d(input=x, ksize=(2, 1, 3), strides=2, padding="VALID", name="v")],
    "pool3d/any_rank": lambda tf, x: [tf.nn.max_pool_v2(x, 2, 1, "SAME"), tf.nn.avg_pool_v2(x, 3, 3, "SAME", name="v")],
}, numbers(1, 3, 4, 5, 2))

# Any number of dimensions, and dilated windows.

table({
    "pool/max": lambda tf, x: [tf.nn.pool(x, [2, 3], "MAX", padding) for padding in BOTH],
    "pool/avg": lambda tf, x: [tf.nn.pool(x, [3, 2], "AVG", padding, strides=[2, 1], name="p") for padding in BOTH],
    "pool/dilated_max": lambda tf, x: tf.nn.pool(x, [2, 3], "MAX", "VALID", dilation_rate=[2, 2]),
    "pool/dilated_avg": lambda tf, x: tf.nn.pool(x, [2, 2], "AVG", "VALID", dilations=[3, 1], data_format="NHWC"),
}, numbers(2, 7, 8, 3))
table({
    "pool/rows": lambda tf, x: [tf.nn.pool(x, [2], "MAX", "SAME"), tf.nn.pool(x, [3], "AVG", "VALID", strides=[2])],
    "pool/rows_dilated": lambda tf, x: tf.nn.pool(x, [2], "MAX", "VALID", [3]),
}, numbers(2, 8, 3))
table({
    "pool/volumes": lambda tf, x: [tf.nn.pool(x, [2, 1, 2], "MAX", "SAME", strides=[2, 1, 1]),
                                   tf.nn.pool(x, [2, 2, 2], "AVG", "VALID")],
    "pool/volumes_dilated": lambda tf, x: tf.nn.pool(x, [2, 2, 1], "AVG", "VALID", [2, 1, 1]),
}, numbers(2, 4, 3, 4, 2))

# Patches. TensorFlow's gradient wants to know the shape.

PATCH = [1, 2, 3, 1]
table({
    "patches/valid": lambda tf, x: tf.extract_image_patches(x, PATCH, [1, 1, 1, 1], [1, 1, 1, 1], "VALID"),
    "patches/same": lambda tf, x: tf.image.extract_patches(x, PATCH, [1, 2, 2, 1], [1, 1, 1, 1], "SAME", name="p"),
    "patches/rates": lambda tf, x: [
        tf.image.extract_image_patches(x, sizes=PATCH, strides=[1, 1, 2, 1], rates=[1, 3, 2, 1], padding=padding)
        for padding in BOTH],
    "patches/stride_beyond_window":
        lambda tf, x: tf.image.extract_patches(x, PATCH, [1, 3, 4, 1], [1, 1, 1, 1], "SAME"),
}, numbers(2, 6, 7, 2), unknown=False)
case("patches/unknown", lambda tf, x: tf.image.extract_patches(x, PATCH, [1, 2, 2, 1], [1, 1, 1, 1], "SAME"),
     numbers(2, 6, 7, 2), gradient=False)
case("patches/int32", lambda tf, x: tf.image.extract_patches(x, PATCH, [1, 1, 1, 1], [1, 2, 1, 1], "VALID"),
     i32(noise(1, 4, 4, 2, low=-9, high=9).astype("int32")))

# Second derivatives.


def sloped(function):
    """A case of the gradient of `function(x)`, weighted with `y`, which is differentiated once more."""
    def build(tf, x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(tf, x)
        return tape.gradient(result, x, y)
    return build


SLOPED = {
    "max_same": (lambda tf, x: tf.nn.max_pool(x, 3, 2, "SAME"), [2, 5, 6, 3], [2, 3, 3, 3]),
    "max_valid": (lambda tf, x: tf.nn.max_pool(x, 2, 1, "VALID"), [2, 4, 3, 2], [2, 3, 2, 2]),
    "avg_same": (lambda tf, x: tf.nn.avg_pool(x, 3, 2, "SAME"), [2, 5, 6, 3], [2, 3, 3, 3]),
    "avg_valid": (lambda tf, x: tf.nn.avg_pool(x, 2, 1, "VALID"), [2, 4, 3, 2], [2, 3, 2, 2]),
    "avg_1d": (lambda tf, x: tf.nn.avg_pool1d(x, 2, 1, "SAME"), [2, 5, 2], [2, 5, 2]),
    "max_3d": (lambda tf, x: tf.nn.max_pool3d(x, 2, 2, "SAME"), [1, 3, 4, 3, 2], [1, 2, 2, 2, 2]),
    "avg_3d": (lambda tf, x: tf.nn.avg_pool3d(x, 2, 2, "SAME"), [1, 3, 4, 3, 2], [1, 2, 2, 2, 2]),
}
for name, (function, images, slopes) in SLOPED.items():
    for dtype, make in (("", f32), ("_float64", f64)):
        if name != "max_3d" or not dtype:  # which TensorFlow 1.15 lacks
            case(f"second_derivative/{name}{dtype}", sloped(function), numbers(*images, make=make),
                 numbers(*slopes, make=make, seed=1), nodes="gradient graphs may be simpler")

# Errors.

SMALL = numbers(2, 5, 4, 3)
table({
    "error/rank": lambda tf, x: tf.nn.max_pool(x[0], 2, 2, "SAME"),
    "error/avg_rank": lambda tf, x: tf.nn.avg_pool(x[0], 2, 2, "SAME"),
    "error/padding": lambda tf, x: tf.nn.max_pool(x, 2, 2, "FULL"),
    "error/explicit": lambda tf, x: tf.nn.avg_pool(x, 2, 2, [[0, 0], [1, 1], [1, 1], [0, 0]]),
    "error/size_count": lambda tf, x: tf.nn.max_pool(x, [1, 2, 2], 2, "SAME"),
    "error/strides_count": lambda tf, x: tf.nn.avg_pool(x, 2, [1, 2, 2], "SAME"),
    "error/no_stride": lambda tf, x: tf.nn.max_pool(x, 2, 0, "SAME"),
    "error/data_format": lambda tf, x: tf.nn.max_pool(x, 2, 2, "SAME", data_format="CHWN"),
    "error/avg_integers": lambda tf, x: tf.nn.avg_pool(tf.cast(x, tf.int32), 2, 2, "SAME"),
    "error/two_inputs": lambda tf, x: tf.nn.max_pool(x, 2, 2, "SAME", input=x),
    "error/batch": lambda tf, x: tf.nn.max_pool(x, [2, 1, 1, 1], [2, 1, 1, 1], "SAME"),
    "error/avg_batch": lambda tf, x: tf.nn.avg_pool(x, [2, 1, 1, 1], [2, 1, 1, 1], "SAME"),
    "error/argmax_format":
        lambda tf, x: tf.nn.max_pool_with_argmax(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME", data_format="NCHW"),
    "error/argmax_size": lambda tf, x: tf.nn.max_pool_with_argmax(x, [2, 2], [1, 2, 2, 1], "SAME"),
    "error/any_rank": lambda tf, x: tf.nn.max_pool_v2(x[0, 0], 2, 2, "SAME"),
    "error/avg_any_rank": lambda tf, x: tf.nn.avg_pool_v2(x[0, 0], 2, 2, "SAME"),
    "error/rows_size": lambda tf, x: tf.nn.max_pool1d(x[0], [2, 2], 2, "SAME"),
    "error/rows_rank": lambda tf, x: tf.nn.max_pool1d(x, 2, 2, "SAME"),
    "error/volumes_rank": lambda tf, x: tf.nn.max_pool3d(x, 2, 2, "SAME"),
    "error/volumes_double": lambda tf, x: tf.nn.max_pool3d(tf.cast(x[None], tf.float64), 2, 2, "SAME"),
    "error/pool_type": lambda tf, x: tf.nn.pool(x, [2, 2], "MIN", "SAME"),
    "error/pool_rank": lambda tf, x: tf.nn.pool(x, [2], "MAX", "SAME"),
    "error/pool_window": lambda tf, x: tf.nn.pool(x, [1, 2, 2, 1], "MAX", "SAME"),
    "error/pool_strides": lambda tf, x: tf.nn.pool(x, [2, 2], "MAX", "SAME", strides=[3, 3]),
    "error/pool_strides_count": lambda tf, x: tf.nn.pool(x, [2, 2], "MAX", "SAME", strides=[1]),
    "error/pool_dilated_same": lambda tf, x: tf.nn.pool(x, [2, 2], "MAX", "SAME", [2, 2]),
    "error/pool_strides_and_rates": lambda tf, x: tf.nn.pool(x, [2, 2], "MAX", "VALID", [2, 2], [2, 2]),
    "error/pool_padding": lambda tf, x: tf.nn.pool(x, [2, 2], "MAX", "FULL"),
}, SMALL, raises=True)
table({
    "error/window_beyond_image": lambda tf, x: tf.nn.max_pool(x, 5, 1, "VALID"),
    "error/avg_window_beyond_image": lambda tf, x: tf.nn.avg_pool(x, 6, 1, "VALID"),
    "error/window_beyond_volume": lambda tf, x: tf.nn.max_pool3d(x[None], 3, 1, "VALID"),
}, SMALL, raises=True, eager="the result is empty", function=True)
