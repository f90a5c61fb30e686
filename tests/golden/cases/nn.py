"""Activations, losses' building blocks, normalisation, dropout and embeddings."""
from __future__ import annotations

from ..spec import Family, boolean, endpoint, f16, f32, f64, i32, i64, noise

FAMILY = Family("nn", ulps=16)
case, table = FAMILY.case, FAMILY.table

ANY = [-9.0, -2.0, -0.5, 0.0, 0.5, 3.0, 6.0, 8.5]
LOGITS = noise(3, 4, seed=3)
FLOATS = (f16(ANY), f32(ANY), f64(ANY), f32(1.5), f32([[], []]))

for name in "relu relu6 elu selu leaky_relu softsign".split():
    case("activation/" + name, endpoint("nn." + name), *FLOATS)
for name in "sigmoid tanh softplus".split():  # TensorFlow's own sigmoid and softplus of -9 are off
    case("activation/" + name, endpoint("nn." + name), *FLOATS, near="max")
case("activation/crelu", endpoint("nn.crelu"), f32([LOGITS[0]]), f64(LOGITS))
case("activation/leaky_relu_alpha", endpoint("nn.leaky_relu", alpha=0.01), *FLOATS)
case("activation/leaky_relu_int", endpoint("nn.leaky_relu"), i32([-5, 5]))
case("activation/relu_int", lambda tf, x: [tf.nn.relu(x), tf.nn.relu6(x)], i32([-5, 5, 9]))
case("activation/relu_layer", lambda tf, x, w, b: tf.nn.relu_layer(x, w, b), f64(LOGITS), f64(noise(4, 2)),
     f64([0.1, -0.2]),
     near="max")
case("activation/xw_plus_b", lambda tf, x, w, b: tf.nn.xw_plus_b(x, w, b, name="logits"), f64(LOGITS),
     f64(noise(4, 2)),
     f64([0.1, -0.2]), near="max")
case("activation/grad_of_relu_at_zero",
     lambda tf, x: [tf.nn.relu(x), tf.nn.relu6(x), tf.abs(x), tf.maximum(x, 0.0)], f64([0.0, 6.0]))

table({
    "softmax/default": lambda tf, x: tf.nn.softmax(x),
    "softmax/axis0": lambda tf, x: tf.nn.softmax(x, axis=0),
    "softmax/dim": lambda tf, x: tf.nn.softmax(x, dim=-1, name="probabilities"),
    "softmax/rank3": lambda tf, x: [tf.nn.softmax(tf.expand_dims(x, 0)),
                                    tf.nn.softmax(tf.expand_dims(x, 0), 1)],
    "softmax/rank1": lambda tf, x: tf.nn.softmax(x[0]),
    "log_softmax/default": lambda tf, x: tf.nn.log_softmax(x),
    "log_softmax/axis": lambda tf, x: [tf.nn.log_softmax(x, axis=0),
                                       tf.nn.log_softmax(tf.expand_dims(x, 0), 1)],
    "log_softmax/large": lambda tf, x: tf.nn.log_softmax(x * 500.0),
    "softmax/steep": lambda tf, x: tf.nn.softmax(x * 20.0),
    "l2_loss": lambda tf, x: tf.nn.l2_loss(x),
    "l2_normalize": lambda tf, x: [tf.nn.l2_normalize(x, 1), tf.nn.l2_normalize(x, axis=0, epsilon=0.5),
                                   tf.nn.l2_normalize(x, dim=[0, 1]), tf.math.l2_normalize(x)],
    "bias_add": lambda tf, x: [tf.nn.bias_add(x, x[0]),
                               tf.nn.bias_add(tf.reshape(x, [1, 3, 2, 2]), x[1, :2])],
    "bias_add/nchw": lambda tf, x: tf.nn.bias_add(tf.reshape(x, [1, 3, 2, 2]), x[0, :3], data_format="NCHW"),
    "moments/all": lambda tf, x: tf.nn.moments(x, [0, 1]),
    "moments/axis": lambda tf, x: [tf.nn.moments(x, [0]), tf.nn.moments(x, [1], keep_dims=True),
                                   tf.nn.moments(x, axes=[0], keepdims=True)],
    "moments/weighted": lambda tf, x: tf.nn.weighted_moments(x, [0], x * x),
    "moments/sufficient": lambda tf, x: [v for v in tf.nn.sufficient_statistics(x, [0]) if v is not None],
    "moments/normalize": lambda tf, x:
        tf.nn.normalize_moments(3.0, tf.cast(x[0], tf.float32), tf.cast(x[1], tf.float32) + 9.0, None),
    "batch_normalization": lambda tf, x:
        tf.nn.batch_normalization(x, x[0], x[1] * x[1], x[2], x[0] + 2.0, 1e-3),
    "batch_normalization/plain": lambda tf, x:
        tf.nn.batch_normalization(x, x[0], x[1] * x[1], None, None, 1e-3),
    "batch_normalization/moments": lambda tf, x:
        tf.nn.batch_normalization(x, *tf.nn.moments(x, [0]), offset=0.5, scale=2.0,
                                                                           variance_epsilon=1e-2),
    "top_k": lambda tf, x: tf.nn.top_k(x, 2),
    "cosine": lambda tf, x: tf.reduce_sum(tf.nn.l2_normalize(x, 1) * tf.nn.l2_normalize(x + 1.0, 1), 1),
}, f64(LOGITS), near="max", ulps=32)
table({
    "softmax/float32": lambda tf, x, h: [tf.nn.softmax(x), tf.nn.softmax(h), tf.nn.log_softmax(x),
                                         tf.nn.log_softmax(h)],
    "l2/float32": lambda tf, x, h: [tf.nn.l2_loss(x), tf.nn.l2_loss(h), tf.nn.l2_normalize(x, 1)],
    "moments/float16": lambda tf, x, h: [tf.nn.moments(x, [0]), tf.nn.moments(h, [0, 1])],
}, f32(LOGITS), f16(LOGITS), near="max")
case("zero_fraction", lambda tf, x: tf.nn.zero_fraction(tf.nn.relu(x)), f64(LOGITS),
     nodes="it has a cond, which is one If node here")
case("softmax/empty", endpoint("nn.softmax"), f32(noise(0, 3)), f32(noise(2, 0)))

# Cross-entropies.

TARGETS = [[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.0], [0.25, 0.25, 0.25, 0.25]]
table({
    "cross_entropy/softmax": lambda tf, z, y: tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=z),
    "cross_entropy/softmax_v2": lambda tf, z, y:
        tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=z),
    "cross_entropy/softmax_v2_axis": lambda tf, z, y:
        tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=z, axis=0),
    "cross_entropy/softmax_rank3": lambda tf, z, y: tf.nn.softmax_cross_entropy_with_logits_v2(
        labels=tf.expand_dims(y, 1), logits=tf.expand_dims(z, 1)),
    "cross_entropy/softmax_stopped": lambda tf, z, y:
        tf.nn.softmax_cross_entropy_with_logits_v2(labels=tf.stop_gradient(y), logits=z),
    "cross_entropy/sigmoid": lambda tf, z, y:
        tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z * 5.0),
    "cross_entropy/weighted": lambda tf, z, y: tf.nn.weighted_cross_entropy_with_logits(y, z, pos_weight=2.5),
    "cross_entropy/log_poisson": lambda tf, z, y: tf.nn.log_poisson_loss(y, z),
    "cross_entropy/log_poisson_full": lambda tf, z, y: tf.nn.log_poisson_loss(y, z, compute_full_loss=True),
    "cross_entropy/by_hand": lambda tf, z, y:
        -tf.reduce_sum(y * tf.log(tf.clip_by_value(tf.nn.softmax(z), 1e-10, 1.0)), 1),
}, f64(LOGITS), f64(TARGETS), near="max", ulps=32)
SPARSE = (f64(LOGITS), i32([2, 0, 3]))
table({
    "cross_entropy/sparse": lambda tf, z, y:
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=z),
    "cross_entropy/sparse_int64": lambda tf, z, y: tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.cast(y, tf.int64), logits=z),
    "cross_entropy/sparse_rank3": lambda tf, z, y: tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.expand_dims(y, 0), logits=tf.expand_dims(z, 0)),
    "cross_entropy/sparse_scalar": lambda tf, z, y:
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y[0], logits=z[0]),
    "cross_entropy/sparse_mean": lambda tf, z, y: tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=z)),
}, *SPARSE, near="max", ulps=32)
table({
    "cross_entropy/float32": lambda tf, z, y: [
        tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=z),
        tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z)],
    "cross_entropy/broadcast_labels": lambda tf, z, y:
        tf.nn.softmax_cross_entropy_with_logits_v2(labels=y[:1], logits=z[:1]),
    "cross_entropy/int_labels": lambda tf, z, y: tf.nn.softmax_cross_entropy_with_logits_v2(
        labels=[[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], logits=z),
}, f32(LOGITS), f32(TARGETS), near="max")
case("cross_entropy/half", lambda tf, z, y: [tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=z),
                                             tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z)],
     f16(LOGITS), f16(TARGETS), near="max")
case("cross_entropy/empty",
     lambda tf, z, y: [tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=z), tf.reduce_sum(z)],
     f32(noise(0, 3)), f32(noise(0, 3)))

table({
    "in_top_k": lambda tf, p, t: [tf.nn.in_top_k(p, t, 1), tf.nn.in_top_k(p, t, k=2),
                                  tf.nn.in_top_k(p, tf.cast(t, tf.int64), 3)],
    "in_top_k/tensor_k": lambda tf, p, t: tf.nn.in_top_k(p, t, tf.constant(2)),
    "in_top_k/accuracy": lambda tf, p, t: tf.reduce_mean(tf.cast(tf.nn.in_top_k(p, t, 1), tf.float32)),
    "accuracy/argmax": lambda tf, p, t:
        tf.reduce_mean(tf.to_float(tf.equal(tf.argmax(p, 1, output_type=tf.int32), t))),
}, f32([[0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.5, 0.5, 0.5]]), i32([1, 0, 2]))

# Dropout.

table({
    "dropout/keep_prob": lambda tf, x: tf.nn.dropout(x, 0.7, seed=3),
    "dropout/rate": lambda tf, x: tf.nn.dropout(x, rate=0.4, seed=3),
    "dropout/keep_prob_one": lambda tf, x: tf.nn.dropout(x, keep_prob=1.0),
    "dropout/tensor_keep_prob": lambda tf, x: tf.nn.dropout(x, tf.constant(0.5, tf.float64), seed=1),
    "dropout/fed_keep_prob": lambda tf, x: tf.nn.dropout(x,
                                                         tf.placeholder_with_default(tf.constant(0.5,
                                                                                                 tf.float64),
                                                                                                 []), seed=1),
    "dropout/noise_shape": lambda tf, x: [tf.nn.dropout(x, 0.5, noise_shape=[3, 1], seed=5),
                                          tf.nn.dropout(x, 0.5, [1, None], seed=6)],
    "dropout/named": lambda tf, x: tf.nn.dropout(x, 0.5, seed=2, name="drop"),
}, f64(LOGITS), gradient=False)  # they would be of the session's next draw; see gradients/dropout
case("dropout/float32", lambda tf, x: [tf.nn.dropout(x, 0.3, seed=8), tf.nn.dropout(x, rate=0.9, seed=9)],
     f32(LOGITS), ulps=1)
case("dropout/half", lambda tf, x: tf.nn.dropout(x, 0.3, seed=8), f16(LOGITS), ulps=1)


@case("dropout/graph_seed", None, f32(LOGITS), ulps=1, eager="op seeds count the operations of a graph")
def _(tf, x):
    tf.set_random_seed(7)
    return [tf.nn.dropout(x, 0.5), tf.nn.dropout(x, rate=0.5)]


# Embeddings.

PARAMS = f64(noise(5, 3, seed=8))
table({
    "embedding/one": lambda tf, p: tf.nn.embedding_lookup(p, [4, 0, 4]),
    "embedding/rank2_ids": lambda tf, p: tf.nn.embedding_lookup(p, [[1, 2], [3, 3]]),
    "embedding/one_in_list": lambda tf, p: tf.nn.embedding_lookup([p], [1, 2]),
    "embedding/mod": lambda tf, p: tf.nn.embedding_lookup([p[:3], p[3:]], [0, 1, 4, 3, 2]),
    "embedding/div": lambda tf, p: tf.nn.embedding_lookup([p[:3], p[3:]], [0, 1, 4, 3, 2],
                                                          partition_strategy="div"),
    "embedding/three_parts": lambda tf, p: tf.nn.embedding_lookup([p[:2], p[2:4], p[4:]], [[0, 4], [3, 1]]),
    "embedding/max_norm": lambda tf, p: [tf.nn.embedding_lookup(p, [1, 2], max_norm=1.0),
                                         tf.nn.embedding_lookup([p[:3], p[3:]], [0, 4], max_norm=1.0)],
    "embedding/int64_ids": lambda tf, p: tf.nn.embedding_lookup(p, tf.constant([2, 1], tf.int64)),
}, PARAMS)
case("embedding/fed_ids", lambda tf, p, i: tf.nn.embedding_lookup(p, i), PARAMS, i64([1, 1, 0]))
case("embedding/fed_ids_partitioned", lambda tf, p, q, i: tf.nn.embedding_lookup([p, q], i), PARAMS, PARAMS,
     i32([[1, 7], [0, 3]]))
case("misc/cond_free_mask", lambda tf, x, m: tf.reduce_sum(tf.where(m, x, tf.zeros_like(x))), f64(LOGITS),
     boolean(LOGITS > 0))
