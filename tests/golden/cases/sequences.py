"""Connectionist temporal classification, and embeddings of sparse ids."""
from __future__ import annotations

from ..spec import Family, f32, f64, i32, noise

FAMILY = Family("sequences", ulps=64)
case, table = FAMILY.case, FAMILY.table
SINGLE = 1e9  # ulps of double precision: TensorFlow adds logarithms in single precision

LOGITS = noise(6, 3, 4, seed=5)
TABLE = noise(5, 2, seed=6)
INDICES = [[0, 0], [0, 1], [1, 0], [2, 0], [2, 1]]


def labels(tf, values=(0, 1, 2, 1, 1)):
    return tf.SparseTensor(INDICES, tf.constant(values, tf.int32), [3, 2])


def ids(tf, values=(0, 3, 1, 4, 4)):
    return tf.SparseTensor([[0, 0], [0, 1], [1, 0], [3, 0], [3, 1]], tf.constant(values, tf.int64), [5, 2])


def weights(tf, values=(1.0, 2.0, 0.5, 3.0, -1.0)):
    return tf.SparseTensor([[0, 0], [0, 1], [1, 0], [3, 0], [3, 1]], tf.constant(values, tf.float32), [5, 2])


# The loss.
FULL = i32([6, 6, 6])
case("ctc_loss/plain", lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n), f64(LOGITS), FULL, near="max", ulps=SINGLE)
case("ctc_loss/lengths", lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n), f64(LOGITS), i32([2, 1, 5]),
     near="max", ulps=SINGLE)
case("ctc_loss/float32", lambda tf, x, n: tf.nn.ctc_loss(labels(tf), logits=x, sequence_length=n), f32(LOGITS), FULL,
     near="max")
case("ctc_loss/batch_major", lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n, time_major=False),
     f64(LOGITS.transpose(1, 0, 2)), FULL, near="max", ulps=SINGLE)
case("ctc_loss/collapse", lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n, preprocess_collapse_repeated=True),
     f64(LOGITS), FULL, near="max", ulps=SINGLE)
case("ctc_loss/no_merge", lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n, ctc_merge_repeated=False),
     f64(LOGITS), FULL, near="max", ulps=SINGLE)
case("ctc_loss/collapse_no_merge",
     lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n, preprocess_collapse_repeated=True, ctc_merge_repeated=False),
     f64(LOGITS), FULL, near="max", ulps=SINGLE)
case("ctc_loss/impossible", lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n), f64(LOGITS), i32([6, 6, 2]),
     near="max", ulps=SINGLE)
case("ctc_loss/ignore",
     lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n, ignore_longer_outputs_than_inputs=True),
     f64(LOGITS), i32([1, 6, 6]), near="max", ulps=SINGLE)
case("ctc_loss/null_labels", lambda tf, x, n: tf.nn.ctc_loss(labels(tf, (0, 3, 2, 1, 5)), x, n), f64(LOGITS), FULL,
     near="max", ulps=SINGLE)
case("ctc_loss/too_long", lambda tf, x, n: tf.nn.ctc_loss(labels(tf), x, n), f64(LOGITS), i32([1, 6, 6]), raises=True)
case("ctc_loss/not_sparse", lambda tf, x, n: tf.nn.ctc_loss([[1]], x, n), f64(LOGITS), FULL, raises=True)

# Decoders.
table({
    "greedy": lambda tf, x: tf.nn.ctc_greedy_decoder(x, [6, 4, 0]),
    "greedy/no_merge": lambda tf, x: tf.nn.ctc_greedy_decoder(x, [6, 4, 0], merge_repeated=False),
    "beam": lambda tf, x: tf.nn.ctc_beam_search_decoder(x * 3.0, [6, 4, 2]),
    "beam/paths": lambda tf, x: tf.nn.ctc_beam_search_decoder(x, [6, 4, 3], beam_width=4, top_paths=3),
    "beam/v2": lambda tf, x: tf.nn.ctc_beam_search_decoder_v2(x, [6, 4, 3], 2, 2),
}, f32(LOGITS), near="max")
case("greedy/too_long", lambda tf, x: tf.nn.ctc_greedy_decoder(x, [7, 4, 0])[1], f32(LOGITS), raises=True)
case("beam/too_few", lambda tf, x: tf.nn.ctc_beam_search_decoder(x, [6, 4, 0], top_paths=2)[1], f32(LOGITS),
     raises=True)

# Embeddings. Where rows are gathered twice TensorFlow's gradients warn: float32 tables are not differentiated.
table({
    "embedding_lookup_sparse/mean": lambda tf, p: tf.nn.embedding_lookup_sparse(p, ids(tf), None, combiner="mean"),
    "embedding_lookup_sparse/sum": lambda tf, p: tf.nn.embedding_lookup_sparse(p, ids(tf), None, combiner="sum"),
    "embedding_lookup_sparse/sqrtn": lambda tf, p: tf.nn.embedding_lookup_sparse(p, ids(tf), None, combiner="sqrtn"),
    "embedding_lookup_sparse/max_norm":
        lambda tf, p: tf.nn.embedding_lookup_sparse(p, ids(tf), None, combiner="sum", max_norm=0.5, name="bag"),
    "safe_embedding_lookup_sparse": lambda tf, p: tf.nn.safe_embedding_lookup_sparse(p, ids(tf, (0, -3, 1, 4, 4))),
}, f64(TABLE), near="max")
table({
    "embedding_lookup_sparse/partitions":
        lambda tf, p: tf.nn.embedding_lookup_sparse([p[:3], p[3:]], ids(tf), None, "div", combiner="sum"),
    "embedding_lookup_sparse/weighted_sum":
        lambda tf, p: tf.nn.embedding_lookup_sparse(p, ids(tf), weights(tf), combiner="sum"),
    "embedding_lookup_sparse/weighted_mean":
        lambda tf, p: tf.nn.embedding_lookup_sparse(p, labels(tf), tf.SparseTensor(INDICES, p[:, 0] + 3.0, [3, 2])),
    "safe_embedding_lookup_sparse/default":
        lambda tf, p: tf.nn.safe_embedding_lookup_sparse(p, ids(tf), weights(tf), default_id=2, name="bag"),
    "safe_embedding_lookup_sparse/sum":
        lambda tf, p: tf.nn.safe_embedding_lookup_sparse([p], ids(tf), weights(tf), combiner="sum"),
}, f32(TABLE), near="max")
case("embedding_lookup_sparse/combiner",
     lambda tf, p: tf.nn.embedding_lookup_sparse(p, ids(tf), None, combiner="max"), f64(TABLE), raises=True)
case("sparse/retain", lambda tf, p: tf.sparse.retain(ids(tf), [True, False, True, True, False]), f64(TABLE))
case("sparse/fill_empty_rows", lambda tf, p: tf.sparse.fill_empty_rows(ids(tf), 7), f64(TABLE))
