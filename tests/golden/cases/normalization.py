"""Normalisation of images: batch normalisation, fused and composed, local responses, moments, dropout's shapes."""
from __future__ import annotations

from ..spec import Family, f16, f32, f64, noise

FAMILY = Family("normalization", ulps=64, near="max", gradient="all")
case, table = FAMILY.case, FAMILY.table


def tensors(*shapes, make=f32):
    """One input of numbers for each shape."""
    return [make(noise(*shape, seed=seed)) for seed, shape in enumerate(shapes)]


def numbers_and_vectors(*shape, make=f32, vectors=2):
    """Images, and vectors of one number for each channel."""
    given = [make(noise(*shape))]
    return given + [f32(noise(shape[-1], seed=seed, low=0.5)) for seed in range(1, vectors + 1)]


# Fused batch normalisation.

SIZES = {
    "3_channels": [2, 5, 4, 3],
    "1_channel": [2, 3, 5, 1],
    "8_channels": [3, 2, 4, 8],
    "17_channels": [2, 3, 3, 17],
    "32_channels": [4, 5, 5, 32],
    "one_image": [1, 4, 5, 3],
    "one_row": [7, 1, 1, 5],
}
for name, shape in SIZES.items():
    case("fused_batch_norm/training_" + name,
         lambda tf, x, s, o: tf.nn.fused_batch_norm(x, s, o), *numbers_and_vectors(*shape))
    case("fused_batch_norm/inference_" + name,
         lambda tf, x, s, o, m, v: tf.nn.fused_batch_norm(x, s, o, m, v, is_training=False)[0],
         *numbers_and_vectors(*shape, vectors=4))
IMAGES = numbers_and_vectors(3, 4, 5, 6)
table({
    "fused_batch_norm/epsilon": lambda tf, x, s, o: tf.nn.fused_batch_norm(x, s, o, epsilon=0.5, name="n"),
    "fused_batch_norm/least_epsilon": lambda tf, x, s, o: tf.nn.fused_batch_norm(x, s, o, epsilon=0.0),
    "fused_batch_norm/format":
        lambda tf, x, s, o: tf.nn.fused_batch_norm(x, s, o, data_format="NHWC", is_training=True)[0],
    "fused_batch_norm/only_y": lambda tf, x, s, o: tf.nn.relu(tf.nn.fused_batch_norm(x, s, o)[0]),
    "fused_batch_norm/far_from_zero": lambda tf, x, s, o: tf.nn.fused_batch_norm(x + 100.0, s, o)[1:],
    "fused_batch_norm/constant_vectors": lambda tf, x, s, o: tf.nn.fused_batch_norm(x, [1.0] * 6, [0.5] * 6)[0],
}, *IMAGES)
case("fused_batch_norm/equal_numbers", lambda tf, s, o: tf.nn.fused_batch_norm(tf.ones([2, 3, 3, 4]), s, o),
     *tensors([4], [4]))
case("fused_batch_norm/one_number", lambda tf, x, s, o: tf.nn.fused_batch_norm(x, s, o),
     *numbers_and_vectors(1, 1, 1, 3))
case("fused_batch_norm/no_images",
     lambda tf, x, s, o, m, v: tf.nn.fused_batch_norm(x, s, o, m, v, is_training=False)[0],
     *numbers_and_vectors(0, 4, 5, 3, vectors=4), gradient=False)
case("fused_batch_norm/half_inference",
     lambda tf, x, s, o, m, v: tf.nn.fused_batch_norm(x, s, o, m, v, is_training=False)[0],
     *numbers_and_vectors(2, 4, 3, 5, make=f16, vectors=4), ulps=4, gradient=False)
case("fused_batch_norm/half", lambda tf, x, s, o: tf.nn.fused_batch_norm(x, s, o)[0],
     *numbers_and_vectors(2, 4, 3, 5, make=f16), ulps=4, gradient=False)

GRADIENT = "gradient graphs may be simpler"


def sloped(tf, x, s, o, y, **options):
    """The gradients of batch normalisation, weighted with `y`, which are differentiated once more."""
    with tf.GradientTape() as tape:
        tape.watch([x, s, o])
        result = tf.nn.fused_batch_norm(x, s, o, **options)[0]
    return tape.gradient(result, [x, s, o], y)


case("second_derivative/training", sloped, *tensors([2, 4, 3, 5], [5], [5], [2, 4, 3, 5]), nodes=GRADIENT)
case("second_derivative/training_17_channels", sloped, *tensors([3, 3, 3, 17], [17], [17], [3, 3, 3, 17]),
     nodes=GRADIENT)
case("second_derivative/inference",
     lambda tf, x, s, o, y: sloped(
         tf, x, s, o, y, mean=[0.5, -0.25, 1.0], variance=[0.5, 1.0, 2.0], is_training=False)[:2],
     *tensors([2, 2, 3, 3], [3], [3], [2, 2, 3, 3]), nodes=GRADIENT)

# Composed of elementwise operations.


def composed(tf, x):
    mean, variance = tf.nn.moments(x, [0, 1, 2])
    return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)


for dtype, make in (("float32", f32), ("float64", f64)):
    table({
        f"batch_normalization/{dtype}": lambda tf, x, m, v, o, s: tf.nn.batch_normalization(x, m, v * v, o, s, 0.01),
        f"batch_normalization/{dtype}_no_scale": lambda tf, x, m, v, o, s: [
            tf.nn.batch_normalization(x, m, v * v, o, None, 0.01, name="n"),
            tf.nn.batch_normalization(x, m, v * v, None, s, 0.01),
            tf.nn.batch_normalization(x, m, v * v, offset=None, scale=None, variance_epsilon=0.5)],
        f"batch_norm_with_global_normalization/{dtype}": lambda tf, x, m, v, o, s: [
            tf.nn.batch_norm_with_global_normalization(x, m, v * v, o, s, 0.01, True),
            tf.nn.batch_norm_with_global_normalization(x, m, v * v, o, s, 0.01, False, name="g"),
            tf.nn.batch_norm_with_global_normalization(input=x, mean=m, variance=v * v, beta=o, gamma=s,
                                                       variance_epsilon=0.1, scale_after_normalization=True)],
    }, *tensors([2, 3, 2, 4], [4], [4], [4], [4], make=make))
    case(f"batch_normalization/{dtype}_of_moments", composed, *tensors([2, 3, 4, 3], make=make))
case("batch_normalization/half", lambda tf, x, m, v, o, s: tf.nn.batch_normalization(x, m, tf.abs(v), o, s, 0.5),
     f16(noise(3, 4)), *tensors([4], [4], [4], [4], make=f16), ulps=8, gradient=False)
case("batch_normalization/broadcast", lambda tf, x, m, v: tf.nn.batch_normalization(x, m, tf.abs(v), None, None, 0.1),
     *tensors([2, 3, 4], [2, 1, 1], [2, 1, 1]))

# Moments.

for dtype, make in (("float32", f32), ("float64", f64)):
    table({
        f"moments/{dtype}":
            lambda tf, x: [tf.nn.moments(x, [0]), tf.nn.moments(x, [0, 1, 2]), tf.nn.moments(x, [1, -1])],
        f"moments/{dtype}_keepdims": lambda tf, x: [tf.nn.moments(x, [1, 2], keep_dims=True, name="m"),
                                                    tf.nn.moments(x, [0, 3], keepdims=True)],
        f"weighted_moments/{dtype}": lambda tf, x: tf.nn.weighted_moments(x, [0, 1], tf.abs(x[:, :, :1, :1])),
    }, *tensors([2, 3, 2, 4], make=make))
case("moments/half", lambda tf, x: tf.nn.moments(x, [0]), f16(noise(5, 3)), ulps=8)
case("moments/parts", lambda tf, x: tf.nn.normalize_moments(*tf.nn.sufficient_statistics(x, [0])[:3], shift=None),
     *tensors([5, 3]))

# Local response normalisation.


def responses(**options):
    return lambda tf, x: tf.nn.local_response_normalization(x, **options)


for name, (shape, options) in {
    "defaults": ([2, 2, 3, 7], {}),
    "radius_1": ([2, 2, 3, 7], {"depth_radius": 1}),
    "radius_0": ([2, 2, 3, 4], {"depth_radius": 0}),
    "radius_beyond_depth": ([1, 3, 2, 3], {"depth_radius": 9, "bias": 2.0}),
    "alexnet": ([2, 3, 3, 16], {"depth_radius": 4, "bias": 1.0, "alpha": 0.001 / 9.0, "beta": 0.75}),
    "beta_1": ([2, 2, 2, 17], {"depth_radius": 2, "bias": 1.5, "alpha": 0.5, "beta": 1.0, "name": "r"}),
    "small_bias": ([1, 2, 2, 8], {"bias": 0.125, "alpha": 2.0, "beta": 0.3}),
    "one_channel": ([2, 3, 2, 1], {}),
    "no_images": ([0, 2, 3, 7], {}),
}.items():
    case("local_response_normalization/" + name, responses(**options), *tensors(shape))
case("lrn", lambda tf, x: tf.nn.lrn(x, 2, 1.0, 0.25, 0.75), *tensors([2, 2, 2, 9]))
case("local_response_normalization/half", responses(depth_radius=2), f16(noise(2, 2, 2, 5)), ulps=8, gradient=False)

# Dropout whose noise is shared, on images.

table({
    "dropout/channels": lambda tf, x: [tf.nn.dropout(x, rate=0.5, noise_shape=[3, 1, 1, 4], seed=3),
                                       tf.nn.dropout(x, 0.7, noise_shape=[None, 1, 1, None], seed=8)],
    "dropout/one_draw": lambda tf, x: tf.nn.dropout(x, 0.6, noise_shape=[1, 1, 1, 1], seed=4),
    "dropout/fed_noise_shape": lambda tf, x: tf.nn.dropout(
        x, rate=0.3, noise_shape=tf.shape(x) * [1, 0, 0, 1] + [0, 1, 1, 0], seed=5, name="drop"),
    "dropout/rate_zero": lambda tf, x: [tf.nn.dropout(x, rate=0), tf.nn.dropout(x, rate=0.0, seed=1)],
    "dropout/both": lambda tf, x: tf.nn.dropout(x, keep_prob=None, rate=0.25, seed=6),
}, *tensors([3, 2, 2, 4]), ulps=2, gradient=False)
# Activations of both signs.
case("crelu", lambda tf, x: [tf.nn.crelu(x), tf.nn.crelu(x, name="c"), tf.nn.crelu(x, axis=1)], *tensors([2, 3, 4]))
case("crelu/images", lambda tf, x: tf.nn.crelu(x, axis=-1), *tensors([2, 2, 3, 5]))

# Space, depth and batch.

table({
    "space_to_depth": lambda tf, x: [tf.nn.space_to_depth(x, 2), tf.space_to_depth(x, 2, name="d", data_format="NHWC")],
    "depth_to_space": lambda tf, x: [tf.nn.depth_to_space(x, 2), tf.depth_to_space(input=x, block_size=2, name="d")],
    "space_to_batch": lambda tf, x: [tf.space_to_batch(x, [[0, 0], [1, 1]], 2),
                                     tf.nn.space_to_batch(x, paddings=[[2, 0], [0, 0]], block_size=2, name="b")],
    "space_to_batch_nd": lambda tf, x: [tf.space_to_batch_nd(x, [2], [[1, 1]]),
                                        tf.manip.space_to_batch_nd(x, [2, 3, 4], [[0, 0], [1, 1], [0, 0]], name="m")],
    "batch_to_space": lambda tf, x: [tf.batch_to_space(x, [[0, 0], [1, 2]], 2), tf.batch_to_space_nd(
        x, [4, 1], crops=[[3, 2], [0, 0]], name="b")],
}, *tensors([4, 4, 4, 8]))
case("space_to_depth/3", lambda tf, x: tf.space_to_depth(x, 3), *tensors([1, 6, 3, 5]))
case("depth_to_space/3", lambda tf, x: tf.depth_to_space(x, 3), *tensors([2, 1, 2, 18]))
case("space_to_batch/no_images", lambda tf, x: tf.space_to_batch_nd(x, [2, 2], [[0, 0], [0, 1]]),
     *tensors([0, 4, 3, 2]))
case("required_paddings", lambda tf, x: [
    tf.required_space_to_batch_paddings(tf.shape(x)[1:3], [2, 3], [[1, 2], [0, 1]], name="r"),
    tf.required_space_to_batch_paddings([5, 7], [2, 3])], *tensors([1, 5, 7, 1]),
     nodes="more is known when the graph is built")

# Errors.

SMALL = f32(noise(2, 3, 4, 5))
VECTOR = [0.5] * 5
table({
    "error/fused_rank": lambda tf, x: tf.nn.fused_batch_norm(x[0], VECTOR, VECTOR),
    "error/fused_scale_rank": lambda tf, x: tf.nn.fused_batch_norm(x, 1.0, VECTOR),
    "error/fused_channels": lambda tf, x: tf.nn.fused_batch_norm(x, VECTOR[:4], VECTOR),
    "error/fused_training_mean": lambda tf, x: tf.nn.fused_batch_norm(x, VECTOR, VECTOR, mean=VECTOR),
    "error/fused_inference_mean": lambda tf, x: tf.nn.fused_batch_norm(x, VECTOR, VECTOR, is_training=False)[0],
    "error/fused_format": lambda tf, x: tf.nn.fused_batch_norm(x, VECTOR, VECTOR, data_format="CHWN"),
    "error/fused_double": lambda tf, x: tf.nn.fused_batch_norm(tf.cast(x, tf.float64), VECTOR, VECTOR),
    "error/batch_normalization_shape":
        lambda tf, x: tf.nn.batch_normalization(x, VECTOR[:4], VECTOR[:4], None, None, 0.1),
    "error/responses_rank": lambda tf, x: tf.nn.lrn(x[0]),
    "error/responses_double": lambda tf, x: tf.nn.lrn(tf.cast(x, tf.float64)),
    "error/dropout_rate": lambda tf, x: tf.nn.dropout(x, rate=1.5),
    "error/dropout_keep_prob": lambda tf, x: tf.nn.dropout(x, 0.0),
    "error/dropout_nothing": lambda tf, x: tf.nn.dropout(x),
    "error/dropout_two": lambda tf, x: tf.nn.dropout(x, 0.5, rate=0.25),
    "error/dropout_integers": lambda tf, x: tf.nn.dropout(tf.cast(x, tf.int32), 0.5),
    "error/dropout_noise_shape": lambda tf, x: tf.nn.dropout(x, 0.5, noise_shape=[3, 1, 1, 5]),
    "error/depth_block": lambda tf, x: tf.space_to_depth(x, 2),
    "error/depth_block_1": lambda tf, x: tf.space_to_depth(x, 1),
    "error/space_block": lambda tf, x: tf.depth_to_space(x, 2),
    "error/batch_block": lambda tf, x: tf.space_to_batch_nd(x, [2, 2], [[0, 0], [0, 0]]),
    "error/batch_paddings": lambda tf, x: tf.space_to_batch_nd(x, [2, 2], [[0, 0]]),
    "error/batch_negative": lambda tf, x: tf.space_to_batch_nd(x, [1, 1], [[-1, 0], [0, 0]]),
    "error/batch_to_space": lambda tf, x: tf.batch_to_space_nd(x, [3, 1], [[0, 0], [0, 0]]),
    "error/batch_to_space_crops": lambda tf, x: tf.batch_to_space_nd(x, [2, 1], [[4, 3], [0, 0]]),
}, SMALL, raises=True)
