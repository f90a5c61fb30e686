"""Functions that only 2.x has, or that it defines otherwise than 1.x, with their gradients by float64 inputs.

`tests/expressions` has more of their values; here are those whose derivatives are worth a look.
"""

from __future__ import annotations

from ..spec import Family, c128, f64, i32, noise

FAMILY = Family("v2_functions", tensorflow=2, ulps=16, near="max")
case, table = FAMILY.case, FAMILY.table

VECTOR = f64([0.5, -1.5, 2.0])
MATRIX = f64(noise(3, 4, seed=1))
SQUARE = f64(noise(3, 3, seed=2))
CUBE = f64(noise(2, 3, 4, seed=3))

# Selecting and moving.

table(
    {
        "where/broadcast": lambda tf, x: [
            tf.where(x > 0.0, x, 0.0),
            tf.where([True, False, True], x, tf.ones([2, 1], x.dtype)),
        ],
        "where/condition_broadcast": lambda tf, x: tf.where([[True], [False]], x, x * 2.0),
        "where/scalar_condition": lambda tf, x: tf.where(True, x, -x),
        "where/both_sides_used": lambda tf, x: tf.where(x > 0.0, tf.sqrt(tf.abs(x)), x * x),
        "argmax/default_axis": lambda tf, x: [tf.argmax(x), tf.argmin(x), tf.argmax(x, output_type=tf.int32)],
        "pad": lambda tf, x: [
            tf.pad(x, [[1, 2]]),
            tf.pad(x, [[1, 1]], "REFLECT"),
            tf.pad(x, [[0, 1]], constant_values=7.0),
        ],
        "repeat": lambda tf, x: [tf.repeat(x, 2), tf.repeat(x, [1, 0, 3])],
        "roll": lambda tf, x: tf.roll(x, [1, 2], [0, 0]),
        "sort": lambda tf, x: [tf.sort(x), tf.sort(x, direction="DESCENDING"), tf.argsort(x)],
        "top_k": lambda tf, x: tf.math.top_k(x, 2),
        "unique": lambda tf, x: [tf.unique(x).y, tf.unique_with_counts(tf.round(x)).count],
        "scatter": lambda tf, x: [
            tf.tensor_scatter_nd_update(x, [[0]], [5.0]),
            tf.tensor_scatter_nd_add(x, [[1], [1]], [5.0, 6.0]),
            tf.tensor_scatter_nd_sub(x, [[2]], [1.0]),
            tf.tensor_scatter_nd_max(x, [[1]], [0.0]),
            tf.tensor_scatter_nd_min(x, [[0]], [0.0]),
        ],
        "scatter/updates": lambda tf, x: [
            tf.tensor_scatter_nd_update(tf.zeros([4], x.dtype), [[0], [3], [2]], x),
            tf.scatter_nd([[1], [1], [0]], x, [3]),
        ],
        "boolean_mask": lambda tf, x: tf.boolean_mask(x, x > 0.0),
        "stack_and_unstack": lambda tf, x: tf.unstack(tf.stack([x, x * x], axis=1)),
        "reverse": lambda tf, x: [tf.reverse(x, [0]), x[::-1]],
        "split": lambda tf, x: tf.split(x, [1, 2]),
        "dynamic": lambda tf, x: [
            tf.dynamic_partition(x, [1, 0, 1], 2),
            tf.dynamic_stitch([[2], [0, 1]], [x[:1], x[1:]]),
        ],
        "meshgrid": lambda tf, x: tf.meshgrid(x, x[:2]),
        "linspace": lambda tf, x: [
            tf.linspace(x[0], x[1], 4),
            tf.linspace(x, x * 2.0, 3),
            tf.linspace(x, x + 1.0, 3, axis=-1),
        ],
        "clip": lambda tf, x: [
            tf.clip_by_value(x, -1.0, 1.0),
            tf.clip_by_norm(x, 1.0),
            tf.clip_by_global_norm([x, x * 2.0], 1.0)[0],
        ],
    },
    VECTOR,
)
table(
    {
        "gather/axis": lambda tf, x: [tf.gather(x, [1, 1], axis=1), tf.gather(x, 2, axis=-1)],
        "gather/batch_dims": lambda tf, x: tf.gather(x, [[0, 1], [2, 2], [3, 0]], batch_dims=1),
        "gather/batch_axis": lambda tf, x: tf.gather(x, [[0], [3], [1]], axis=1, batch_dims=1),
        "gather_nd/batch_dims": lambda tf, x: tf.gather_nd(x, [[[0]], [[3]], [[1]]], batch_dims=1),
        "transpose": lambda tf, x: [tf.transpose(x), tf.transpose(x, [1, 0])],
        "reduce/keepdims": lambda tf, x: [
            tf.reduce_sum(x, 0, keepdims=True),
            tf.reduce_mean(x, [0, 1], keepdims=True),
            tf.reduce_max(x, 1, keepdims=True),
            tf.reduce_min(x),
            tf.reduce_prod(x, -1),
        ],
        "reduce/statistics": lambda tf, x: [
            tf.math.reduce_std(x),
            tf.math.reduce_variance(x, 0),
            tf.math.reduce_euclidean_norm(x, 1),
            tf.reduce_logsumexp(x, 1, keepdims=True),
        ],
        "reduce/logic": lambda tf, x: [
            tf.reduce_any(x > 1.5, 0),
            tf.reduce_all(x < 1.9, 1),
            tf.math.count_nonzero(x > 0.0, 1),
        ],
        "cumulative": lambda tf, x: [
            tf.cumsum(x, 1, exclusive=True),
            tf.math.cumprod(x, 0, reverse=True),
            tf.math.cumulative_logsumexp(x, 1),
        ],
        "segments": lambda tf, x: [
            tf.math.segment_sum(x, [0, 0, 2]),
            tf.math.unsorted_segment_mean(x, [1, 0, 1], 2),
            tf.math.unsorted_segment_max(x, [0, 0, 0], 1),
        ],
        "tensordot": lambda tf, x: [tf.tensordot(x, x, [[0, 1], [0, 1]]), tf.tensordot(x, tf.transpose(x), 1)],
        "einsum": lambda tf, x: [
            tf.einsum("ij->ji", x),
            tf.einsum("ij,kj->ik", x, x),
            tf.einsum("ij->", x),
            tf.einsum("...j->...", x),
        ],
        "matmul/options": lambda tf, x: [
            tf.matmul(x, x, transpose_b=True),
            tf.matmul(x, x, adjoint_a=True),
            tf.linalg.matvec(x, x[0]),
        ],
        "nn/softmax": lambda tf, x: [tf.nn.softmax(x, axis=0), tf.nn.log_softmax(x), tf.nn.softmax(x / 2.0, -1)],
        "nn/activations": lambda tf, x: [
            tf.nn.silu(x),
            tf.nn.silu(x, 2.0),
            tf.nn.elu(x),
            tf.nn.selu(x),
            tf.nn.leaky_relu(x),
            tf.nn.crelu(x),
            tf.nn.softsign(x),
            tf.nn.relu6(x),
        ],
        "nn/moments": lambda tf, x: [tf.nn.moments(x, [0]), tf.nn.moments(x, [0, 1], keepdims=True)],
        "nn/weighted_moments": lambda tf, x: tf.nn.weighted_moments(
            x, [0], tf.ones([3, 1], x.dtype) * [[1.0], [2.0], [0.5]]
        ),
        "nn/batch_normalization": lambda tf, x: tf.nn.batch_normalization(x, x[0], x[1] * x[1], None, None, 1e-3),
        "nn/cross_entropy": lambda tf, x: [
            tf.nn.softmax_cross_entropy_with_logits(labels=tf.nn.softmax(x * 2.0), logits=x),
            tf.nn.sparse_softmax_cross_entropy_with_logits([0, 3, 1], x),
            tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid(x), logits=x),
            tf.nn.weighted_cross_entropy_with_logits(labels=tf.sigmoid(x), logits=x, pos_weight=2.0),
            tf.nn.log_poisson_loss(tf.abs(x), x),
        ],
        "nn/embedding": lambda tf, x: [tf.nn.embedding_lookup(x, [[0, 2], [1, 1]])],
        "nn/embedding_max_norm": lambda tf, x: tf.nn.embedding_lookup(x, [0, 2], max_norm=1.0),
        "nn/l2": lambda tf, x: [tf.nn.l2_loss(x), tf.math.l2_normalize(x, 1), tf.nn.l2_normalize(x, [0, 1])],
    },
    MATRIX,
)
case("nn/moments_of_batches", lambda tf, x: tf.nn.moments(x, [0, 2]), CUBE)

# Elementwise.

table(
    {
        "math/no_nan": lambda tf, x: [
            tf.math.divide_no_nan(x, [0.0, 2.0, 0.0]),
            tf.math.multiply_no_nan(x, [0.0, 2.0, 1.0]),
            tf.math.reciprocal_no_nan(x),
            tf.math.xlogy(x, [1.0, 2.0, 3.0]),
            tf.math.xlog1py(x, [1.0, 2.0, 3.0]),
            tf.math.xdivy(x, [1.0, 2.0, 3.0]),
        ],
        "math/special": lambda tf, x: [
            tf.math.erf(x),
            tf.math.erfc(x),
            tf.math.lgamma(tf.abs(x)),
            tf.math.digamma(tf.abs(x)),
            tf.math.erfinv(x / 3.0),
            tf.math.ndtri(tf.abs(x) / 3.0),
            tf.math.erfcinv(tf.abs(x) / 3.0),
        ],
        "math/bessel": lambda tf, x: [
            tf.math.bessel_i0(x),
            tf.math.bessel_i1(x),
            tf.math.bessel_i0e(x),
            tf.math.special.bessel_j0(x),
            tf.math.special.bessel_k0(tf.abs(x)),
            tf.math.special.dawsn(x),
            tf.math.special.expint(tf.abs(x)),
            tf.math.special.spence(tf.abs(x)),
        ],
        "math/division": lambda tf, x: [
            x // 0.75,
            x % 0.75,
            tf.math.floordiv(x, -0.75),
            tf.math.mod(x, -0.75),
            tf.truediv(x, 2.0),
            tf.math.divide(x, 4.0),
        ],
        "math/powers": lambda tf, x: [
            x**2.0,
            tf.pow(tf.abs(x), x),
            2.0**x,
            tf.math.squared_difference(x, 1.0),
            tf.math.cumsum(x),
        ],
        "math/rounding": lambda tf, x: [
            tf.round(x),
            tf.math.rint(x),
            tf.math.floor(x),
            tf.math.ceil(x),
            tf.math.sign(x),
        ],
        "math/atan2": lambda tf, x: [tf.math.atan2(x, 2.0), tf.math.atan2(1.0, x), tf.math.nextafter(x, 10.0)],
        "math/polyval": lambda tf, x: tf.math.polyval([x[0], x[1] * 2.0, x[2]], x),
        "math/polygamma": lambda tf, x: [tf.math.polygamma(1.0, tf.abs(x)), tf.math.zeta(tf.abs(x) + 2.0, 3.0)],
        "math/smooth": lambda tf, x: [
            tf.math.sigmoid(x),
            tf.math.softplus(x),
            tf.math.tanh(x),
            tf.math.asinh(x),
            tf.math.log_sigmoid(x),
            tf.math.expm1(x),
            tf.math.log1p(tf.abs(x)),
            tf.math.rsqrt(tf.abs(x)),
        ],
    },
    VECTOR,
)

case(
    "math/incomplete",
    lambda tf, x: [tf.math.igamma(tf.abs(x), [1.0, 2.0, 3.0]), tf.math.igammac(tf.abs(x), [1.0, 2.0, 3.0])],
    VECTOR,
    ulps=64,
)

# Linear algebra.

table(
    {
        "linalg/norm": lambda tf, x: [
            tf.norm(x),
            tf.norm(x, 1),
            tf.norm(x, axis=0),
            tf.norm(x, "fro", axis=[0, 1]),
            tf.norm(x, float("inf"), 1, keepdims=True),
            tf.linalg.norm(x, "euclidean"),
        ],
        "linalg/diagonals": lambda tf, x: [
            tf.linalg.diag(x),
            tf.linalg.diag(x, k=1),
            tf.linalg.diag_part(x, k=(-1, 1)),
            tf.linalg.diag_part(x, k=(0, 2), align="LEFT_RIGHT", padding_value=9.0),
            tf.linalg.set_diag(x, x[0], k=0),
            tf.linalg.band_part(x, 1, 0),
            tf.linalg.trace(x),
        ],
        "linalg/factors": lambda tf, x: [
            tf.linalg.det(x),
            tf.linalg.inv(x),
            tf.linalg.slogdet(x),
            tf.linalg.expm(x / 4.0),
            tf.linalg.cholesky(tf.matmul(x, x, transpose_b=True) + tf.eye(3, dtype=x.dtype)),
        ],
        "linalg/solve": lambda tf, x: [
            tf.linalg.solve(x, x[:, :1]),
            tf.linalg.triangular_solve(x, x[:, :1]),
            tf.linalg.solve(x, x[:, :1], adjoint=True),
        ],
        "linalg/pinv": lambda tf, x: tf.linalg.pinv(x),
        "linalg/lu": lambda tf, x: tf.linalg.lu(x)[0],
        "linalg/tridiagonal": lambda tf, x: tf.linalg.tridiagonal_matmul(x, x[:, :2]),
        "linalg/cross": lambda tf, x: tf.linalg.cross(x[0], x[1]),
        "linalg/self_adjoint": lambda tf, x: [
            tf.linalg.eigvalsh(x + tf.transpose(x)),
            tf.linalg.svd(x, compute_uv=False),
        ],
        "linalg/adjoint": lambda tf, x: [
            tf.linalg.adjoint(x),
            tf.linalg.matrix_transpose(x),
            tf.linalg.logdet(tf.matmul(x, x, transpose_b=True) + tf.eye(3, dtype=x.dtype)),
        ],
    },
    SQUARE,
    ulps=256,
)

# Complex numbers and integers.

table(
    {
        "complex/parts": lambda tf, z: [tf.math.real(z), tf.math.imag(z), tf.math.conj(z), tf.math.angle(z), tf.abs(z)],
        "complex/functions": lambda tf, z: [tf.exp(z), z * z, tf.reduce_sum(z * tf.math.conj(z)), tf.sqrt(z)],
        "complex/transpose": lambda tf, z: tf.linalg.adjoint(tf.reshape(z, [1, 2])),
    },
    c128([1.5 - 0.5j, -1.0 + 2.0j]),
)
table(
    {
        "int/bincount": lambda tf, n: [
            tf.math.bincount(n),
            tf.math.bincount(n, minlength=6, dtype=tf.int64),
            tf.math.bincount(n, weights=[0.5, 1.0, 2.0, 4.0]),
            tf.math.bincount(tf.reshape(n, [2, 2]), axis=-1),
            tf.math.bincount(tf.reshape(n, [2, 2]), axis=-1, binary_output=True),
        ],
        "int/one_hot": lambda tf, n: [
            tf.one_hot(n, 4),
            tf.one_hot(n, 4, on_value=5, off_value=-1),
            tf.one_hot(n, 2, axis=0),
            tf.one_hot(n, 3, True, False),
        ],
        "int/searchsorted": lambda tf, n: [tf.searchsorted([1, 3, 5], n), tf.searchsorted([1, 3, 5], n, side="right")],
        "int/confusion": lambda tf, n: tf.math.confusion_matrix(n, [0, 1, 3, 3], num_classes=4),
        "int/in_top_k": lambda tf, n: tf.math.in_top_k(tf.minimum(n, 1), tf.constant(noise(4, 2), tf.float32), 1),
        "int/sequence_mask": lambda tf, n: [tf.sequence_mask(n), tf.sequence_mask(n, 2, tf.float32)],
        "int/bits": lambda tf, n: [tf.bitwise.bitwise_and(n, 1), tf.bitwise.left_shift(n, 2), tf.bitwise.invert(n)],
        "int/histogram": lambda tf, n: tf.histogram_fixed_width(tf.cast(n, tf.float32), [0.0, 3.0], 3),
        "int/shapes": lambda tf, n: [
            tf.shape(n),
            tf.shape(n, out_type=tf.int64),
            tf.size(n),
            tf.rank(n),
            tf.range(n[0]),
            tf.zeros(n[:2]),
            tf.fill([n[0]], 1.5),
            tf.eye(n[0]),
            tf.reshape(n, [2, -1]),
            tf.broadcast_to(n[:1], [3]),
            tf.tile(n, [2]),
            tf.expand_dims(n, 1),
            tf.squeeze(n[:1]),
        ],
    },
    i32([3, 1, 0, 2]),
)
