"""Morphology and fractional pooling."""
from __future__ import annotations

from ..spec import Family, f32, f64, i32, noise

FAMILY = Family("windows", ulps=16)
case, table = FAMILY.case, FAMILY.table

IMAGES = noise(2, 6, 5, 2, seed=8)
KERNEL = noise(2, 3, 2, seed=9)
ONES = [1, 1, 1, 1]

table({
    "dilation2d/same": lambda tf, x, k: tf.nn.dilation2d(x, k, ONES, ONES, "SAME"),
    "dilation2d/valid":
        lambda tf, x, k: tf.nn.dilation2d(x, filter=k, strides=[1, 2, 1, 1], rates=ONES, padding="VALID"),
    "dilation2d/dilated":
        lambda tf, x, k: tf.nn.dilation2d(x, filters=k, strides=ONES, dilations=[1, 2, 2, 1], padding="SAME", name="d"),
    "erosion2d/same": lambda tf, x, k: tf.nn.erosion2d(x, k, ONES, ONES, "SAME"),
    "erosion2d/valid": lambda tf, x, k: tf.nn.erosion2d(x, k, [1, 1, 2, 1], [1, 2, 1, 1], "VALID", name="e"),
}, f64(IMAGES), f64(KERNEL))
case("dilation2d/ties",
     lambda tf, x: tf.nn.dilation2d(tf.round(x), tf.zeros([2, 2, 2], tf.float64), ONES, ONES, "SAME"), f64(IMAGES))
case("dilation2d/int", lambda tf, x: tf.nn.dilation2d(x, [[[1], [-2]]], ONES, ONES, "SAME"),
     i32([[[[5], [9]], [[1], [2]]]]))
case("dilation2d/stride", lambda tf, x, k: tf.nn.dilation2d(x, k, [2, 1, 1, 1], ONES, "SAME"), f64(IMAGES), f64(KERNEL),
     raises=True)

SEEDS = {"deterministic": True, "seed": 5, "seed2": 6}
RATIOS = [1.0, 1.5, 1.3, 1.0]
# TensorFlow's gradient of fractional max pooling crashes: float32 inputs are not differentiated. Its static shapes of
# the pooling sequences are one too short: sums of them are compared.
for kind, images in (("max", f32(IMAGES)), ("avg", f64(IMAGES))):
    name = f"fractional_{kind}_pool"

    def pool(tf, x, ratios=RATIOS, name=name, **options):
        output, rows, columns = getattr(tf.nn, name)(x, ratios, **options)
        return output, tf.reduce_sum(rows * rows), tf.reduce_sum(columns * columns)

    table({
        name + "/random": lambda tf, x, pool=pool: pool(tf, x, **SEEDS),
        name + "/pseudo_random": lambda tf, x, pool=pool: pool(tf, x, pseudo_random=True, **SEEDS),
        name + "/overlapping": lambda tf, x, pool=pool: pool(tf, x, overlapping=True, **SEEDS),
        name + "/even": lambda tf, x, pool=pool: pool(tf, x, [1.0, 2.0, 1.0, 1.0])[0],
    }, images)
