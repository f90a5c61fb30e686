"""Shapes, slices, joins, selections, constants and everything else that moves data."""
from __future__ import annotations

from ..spec import (
    Family,
    array,
    boolean,
    c64,
    endpoint,
    f16,
    f32,
    f64,
    i8,
    i32,
    i64,
    lookup,
    noise,
    string,
    u8,
)

FAMILY = Family("arrays", ulps=0)
case, table = FAMILY.case, FAMILY.table

VECTOR = [0.5, -1.0, 2.0, 3.5]
MATRIX = noise(3, 4, seed=1)
CUBE = noise(2, 3, 4, seed=2)

# Reshaping.

table({
    "reshape/fixed": lambda tf, x: [tf.reshape(x, [4, 6]), tf.reshape(x, [24]), tf.reshape(x, [1, 24, 1])],
    "reshape/inferred": lambda tf, x: [tf.reshape(x, [-1]), tf.reshape(x, [2, -1]),
                                       tf.reshape(x, [-1, 4, 1])],
    "reshape/int64_shape": lambda tf, x: tf.reshape(x, tf.constant([6, 4], tf.int64)),
    "reshape/tensor_dims": lambda tf, x: tf.reshape(x, [tf.shape(x)[0], -1]),
    "reshape/like_static": lambda tf, x: tf.reshape(x, [2, tf.shape(x)[1] * 4]),
    "reshape/product_of_shape": lambda tf, x: tf.reshape(x, [tf.reduce_prod(tf.shape(x))]),
    "expand_dims": lambda tf, x: [tf.expand_dims(x, 0), tf.expand_dims(x, -1), tf.expand_dims(x, 1, name="e"),
                                  tf.expand_dims(x, dim=2)],
    "transpose/default": lambda tf, x: tf.transpose(x),
    "transpose/perm": lambda tf, x: [tf.transpose(x, [0, 2, 1]), tf.transpose(x, perm=[2, 0, 1]),
                                     tf.transpose(x, [0, 1, 2])],
    "transpose/matrix": lambda tf, x: [tf.matrix_transpose(x), tf.linalg.transpose(x)],
    "roll": lambda tf, x: [tf.roll(x, 1, 0), tf.roll(x, [1, -2], [1, 2])],
    "reverse": lambda tf, x: [tf.reverse(x, [0]), tf.reverse(x, [-1, 1]), tf.reverse_v2(x, [2])],
    "tile": lambda tf, x: [tf.tile(x, [1, 2, 1]), tf.tile(x, [2, 1, 3]), tf.tile(x, [0, 1, 1])],
    "broadcast_to": lambda tf, x: tf.broadcast_to(x[:, :1], [2, 3, 4]),
    "shape": lambda tf, x: [tf.shape(x), tf.size(x), tf.rank(x), tf.shape(x, out_type=tf.int64),
                            tf.size(x, out_type=tf.int64)],
    "shape/shape_n": lambda tf, x: tf.shape_n([x, x[0]]),
    "shape/python": lambda tf, x: [str(x.shape), str(x.get_shape()), x.shape.ndims,
                                   tf.transpose(x).shape.as_list() if x.shape.ndims else None],
    "identity": lambda tf, x: [tf.identity(x), tf.identity(x, name="same"), tf.stop_gradient(x)],
    "zeros_ones_like": lambda tf, x: [tf.zeros_like(x), tf.ones_like(x), tf.zeros_like(x, dtype=tf.int32),
                                      tf.ones_like(x, dtype="float32"), tf.zeros_like(x, optimize=False)],
    "unstack": lambda tf, x: [tf.unstack(x), tf.unstack(x, axis=-1), tf.unstack(x, 3, 1)],
    "stack": lambda tf, x: [tf.stack([x, x * 2.0]), tf.stack([x, x], axis=1), tf.stack([x, x], -1),
                            tf.stack([x])],
    "concat": lambda tf, x: [tf.concat([x, x * 2.0], 0), tf.concat([x, x], axis=-1), tf.concat([x], 1),
                             tf.concat(axis=1, values=[x, x, x])],
    "parallel_stack": lambda tf, x: tf.parallel_stack([x[0], x[1]]),
    "split/number": lambda tf, x: [tf.split(x, 2), tf.split(x, 2, axis=2), tf.split(x, 3, 1),
                                   tf.split(x, 1, -1)],
    "split/sizes": lambda tf, x: [tf.split(x, [1, 2], 1), tf.split(x, [1, -1, 1], axis=-1),
                                  tf.split(x, [2, 0], 0)],
    "slice": lambda tf, x: [tf.slice(x, [0, 1, 0], [1, 2, 3]), tf.slice(x, [0, 0, 2], [-1, -1, -1]),
                            tf.slice(x, [1, 0, 0], [1, 0, 4])],
    "strided_slice/function": lambda tf, x: [
        tf.strided_slice(x, [0, 0, 0], [2, 3, 4], [1, 2, 3]), tf.strided_slice(x, [1], [2]),
        tf.strided_slice(x, [0, 2], [2, 0], [1, -1]), tf.strided_slice(x, [0, 1], [2, 2], shrink_axis_mask=2),
        tf.strided_slice(x, [1], [1], begin_mask=1), tf.strided_slice(x, [1], [1], end_mask=1),
        tf.strided_slice(x, [0, 1], [0, 3], ellipsis_mask=1), tf.strided_slice(x, [0], [1], new_axis_mask=1)],
}, f64(CUBE))

# Python indexing: each case is the text of a subscript of x (2, 3, 4).
SUBSCRIPTS = {
    "integer": ["0", "-1", "1, 2", "1, -1, 0"],
    "slice": ["0:1", ":, 1:3", ":, :, ::2", ":, 2:0:-1", "..., ::-1", ":, 5:9", ":, -2:", "1:1", "::-1, ::-1",
              ":, :-1"],
    "ellipsis": ["...", "..., 0", "0, ...", "1, ..., 2", "..., 1:, 2"],
    "newaxis": ["None", "tf.newaxis, 0", ":, None", "..., None", "None, :, None, 1", "0, None, ..., None"],
    "mixed": ["0, 1:, ::-2", "1:, ..., 0", "None, ..., -1, 1:3", "0:2, None, 2"],
    "tensor": ["tf.constant(1)", ":, tf.constant(0):tf.constant(2)", "tf.shape(x)[0] - 1, 1",
               ":, tf.constant(2, tf.int64)"],
}


def indexed(text: str) -> object:
    return eval(f"lambda tf, x: x[{text}]")  # the texts above


for kind, texts in SUBSCRIPTS.items():
    for text in texts:
        case(f"index/{kind}/{text.replace(' ', '')}", indexed(text), f64(CUBE))
table({
    "index/names": lambda tf, x: [x[0], x[1], x[:, 1:2]],
    "index/chained": lambda tf, x: x[1][2][0],
    "index/bool_mask_getitem": lambda tf, x: tf.boolean_mask(x, [True, False]),
    "index/of_shape": lambda tf, x: [tf.shape(x)[1], tf.shape(x)[:2], tf.shape(x)[-1:]],
}, f64(CUBE))

table({
    "squeeze": lambda tf, x: [tf.squeeze(x), tf.squeeze(x, [0]), tf.squeeze(x, axis=-1),
                              tf.squeeze(x, [0, 3]),
                              tf.squeeze(x, squeeze_dims=[0])],
    "squeeze/then_expand": lambda tf, x: tf.expand_dims(tf.squeeze(x, 0), -1),
}, f64(noise(1, 2, 3, 1)))

# Scalars, empties and other dtypes.

EACH = (f32(3.0), f32([]), f32([[], []]), boolean([[True, False]]), i8([[1, 2]]), string([[b"a", b"bc"]]),
        c64([1j]),
        f16([[1.0], [2.0]]))
table({
    "dtypes/reshape": endpoint("reshape", [-1]),
    "dtypes/expand_dims": endpoint("expand_dims", 0),
    "dtypes/transpose": endpoint("transpose"),
    "dtypes/concat": lambda tf, *x: [tf.concat([each, each], 0) for each in x[1:]],
    "dtypes/stack": lambda tf, *x: [tf.stack([each, each], axis=0) for each in x],
    "dtypes/tile": lambda tf, *x: [tf.tile(each, [2] * each.shape.ndims) for each in x],
    "dtypes/reverse": lambda tf, *x: [tf.reverse(each, [0]) for each in x[1:]],
    "dtypes/shape": lambda tf, *x: [[tf.shape(each), tf.size(each), tf.rank(each)] for each in x],
    "dtypes/zeros_like": endpoint("zeros_like"),
    "dtypes/identity": endpoint("identity"),
    "dtypes/slice": lambda tf, *x: [each[:1] for each in x[1:]],
    "dtypes/gather": lambda tf, *x: [tf.gather(each, [0, 0]) for each in x[3:]],
    "dtypes/ones_like": lambda tf, *x: [tf.ones_like(x[i]) for i in (0, 1, 2, 3, 4, 6, 7)],
}, *EACH, unknown=False)

# Gather, scatter, select, masks.

table({
    "gather/row": lambda tf, x: tf.gather(x, 1),
    "gather/rows": lambda tf, x: tf.gather(x, [2, 0, 2]),
    "gather/matrix_of_rows": lambda tf, x: tf.gather(x, [[0, 1], [2, 2]]),
    "gather/axis": lambda tf, x: [tf.gather(x, [3, 0], axis=1), tf.gather(x, 2, axis=-1),
                                  tf.gather(x, [[1], [0]], axis=1)],
    "gather/int64": lambda tf, x: tf.gather(x, tf.constant([1, 1], tf.int64)),
    "gather/empty": lambda tf, x: tf.gather(x, tf.zeros([0], tf.int32)),
    "gather_nd/elements": lambda tf, x: tf.gather_nd(x, [[0, 1], [2, 3], [0, 1]]),
    "gather_nd/rows": lambda tf, x: [tf.gather_nd(x, [[2], [0]]), tf.gather_nd(x, [[[0, 0]], [[1, 1]]])],
    "scatter_nd": lambda tf, x: [tf.scatter_nd([[1], [4], [1]], x, [6, 4]),
                                 tf.scatter_nd([[0, 1], [2, 0]], x[0, :2], [3, 3])],
    "tensor_scatter": lambda tf, x: [tf.tensor_scatter_update(x, [[0], [2]], x[1:]),
                                     tf.tensor_scatter_add(x, [[0], [0]], x[:2]),
                                     tf.tensor_scatter_sub(x, [[1]], x[:1])],
    "where/three": lambda tf, x: [tf.where(x > 0.0, x, tf.zeros_like(x)), tf.where(x > 0.0, x * 2.0, -x)],
    "where/rows": lambda tf, x: tf.where([True, False, True], x, tf.ones_like(x)),
    "where/indices": lambda tf, x: [tf.where(x > 1.0), tf.where(tf.constant([[True, False], [True, True]]))],
    "where/v2": lambda tf, x: [tf.where_v2(x > 0.0, x, 0.0), tf.where_v2([True, False, True, True], x, -1.0)],
    "where/of_numbers": lambda tf, x: tf.where(x),
    "boolean_mask": lambda tf, x: [tf.boolean_mask(x, [True, False, True]), tf.boolean_mask(x, x > 0.0),
                                   tf.boolean_mask(x, [False, True, True, False], axis=1)],
    "dynamic_partition": lambda tf, x: tf.dynamic_partition(x, [1, 0, 1], 2),
    "dynamic_stitch": lambda tf, x: tf.dynamic_stitch([[0, 2], [1]], [x[:2], x[2:]]),
    "pad/constant": lambda tf, x: [tf.pad(x, [[1, 0], [0, 2]]),
                                   tf.pad(x, [[0, 1], [1, 0]], constant_values=7.5),
                                   tf.pad(tf.cast(x, tf.int32), tf.constant([[0, 0], [1, 1]], tf.int64))],
    "pad/reflect": lambda tf, x: [tf.pad(x, [[1, 2], [3, 0]], "REFLECT"),
                                  tf.pad(x, [[0, 0], [1, 1]], mode="reflect")],
    "pad/symmetric": lambda tf, x: [tf.pad(x, [[3, 1], [0, 4]], "SYMMETRIC")],
    "reverse_sequence": lambda tf, x: [tf.reverse_sequence(x, [1, 3, 4], seq_axis=1, batch_axis=0),
                                       tf.reverse_sequence(x, [0, 1, 2, 3], seq_dim=0, batch_dim=1)],
    "matrix_band_part": lambda tf, x: [tf.matrix_band_part(x, 0, -1), tf.matrix_band_part(x, 1, 0),
                                       tf.matrix_band_part(x, -1, -1)],
    "matrix_diag": lambda tf, x: [tf.matrix_diag(x), tf.matrix_diag_part(x),
                                  tf.matrix_set_diag(x, [1.0, 2.0, 3.0])],
    "diag": lambda tf, x: [tf.diag(x[0]), tf.diag_part(x[:, :3]), tf.diag(x),
                           tf.linalg.tensor_diag_part(x[:2, :2])],
    "trace": lambda tf, x: [tf.trace(x), tf.linalg.trace(x[:2])],
    "meshgrid": lambda tf, x: [tf.meshgrid(x[0], x[1, :2]), tf.meshgrid(x[0, :2], x[0, :3], indexing="ij")],
    "clip_rows": lambda tf, x: tf.minimum(tf.gather(x, [0, 2]), 0.5),
    "ensure_shape": lambda tf, x: tf.ensure_shape(x, [3, None]),
    "set_shape": lambda tf, x: _after_set_shape(tf, x),
    "placeholder_with_default": lambda tf, x: [tf.placeholder_with_default(x, [None, 4]),
                                               tf.placeholder_with_default(tf.constant([1, 2]), None)],
    "guarantee_const": lambda tf, x: tf.guarantee_const(x),
    "split_and_concat": lambda tf, x: tf.concat(tf.split(x, 4, 1)[::-1], 1),
}, f64(MATRIX), ulps=1)
table({
    "gather/batch_dims": lambda tf, x: [tf.gather(x, [[0, 1], [2, 2], [3, 0]], batch_dims=1),
                                        tf.batch_gather(x, [[0], [1], [3]])],
    "gather_nd/batch_dims": lambda tf, x: tf.gather_nd(x, [[0], [3], [1]], batch_dims=1),
}, f64(MATRIX), ulps=1, nodes="looking up in batches takes fewer operations here")


def _after_set_shape(tf: object, x: object) -> list:
    y = tf.placeholder_with_default(x, [None, None])
    y.set_shape([3, None])
    return [y, y + 1.0, tf.reshape(y, [-1, 4])]


table({
    "where/int": lambda tf, x, y: [tf.where(x > 2, x, y), tf.where(tf.equal(x, y))],
    "setdiff1d": lambda tf, x, y: tf.setdiff1d(x, y),
    "unique": lambda tf, x, y: [tf.unique(x), tf.unique_with_counts(x), tf.unique(y, out_idx=tf.int64)],
    "invert_permutation": lambda tf, x, y: tf.invert_permutation([2, 0, 1]),
    "one_hot/default": lambda tf, x, y: [tf.one_hot(x, 4), tf.one_hot(y, depth=3)],
    "one_hot/values": lambda tf, x, y: [tf.one_hot(x, 4, on_value=5, off_value=-1),
                                        tf.one_hot(x, 4, 2.5, 0.5),
                                        tf.one_hot(x, 4, on_value=True, off_value=False)],
    "one_hot/axis": lambda tf, x, y: [tf.one_hot(x, 4, axis=0), tf.one_hot([[0, 1], [2, 3]], 4, axis=1)],
    "one_hot/outside": lambda tf, x, y: tf.one_hot([-1, 0, 9], 3),
    "sequence_mask": lambda tf, x, y: [tf.sequence_mask(x, 5), tf.sequence_mask(x),
                                       tf.sequence_mask([[1], [2]], 3, tf.float32)],
    "searchsorted": lambda tf, x, y: [tf.searchsorted([1, 3, 5], x),
                                      tf.searchsorted([1, 3, 5], x, side="right")],
    "repeat": lambda tf, x, y: [tf.repeat(x, 2), tf.repeat(x, [1, 0, 2, 1], axis=0)],
}, i32([3, 1, 3, 2]), i32([0, 1, 5, 2]))
# Constants and fills.

table({
    "constant/literals": lambda tf: [tf.constant(1), tf.constant(1.5), tf.constant(True), tf.constant("text"),
                                     tf.constant(b"\xff"),
                                     tf.constant(1j), tf.constant(2**40), tf.constant([1, 2.5]),
                                     tf.constant([True, 2]),
                                     tf.constant([]), tf.constant([[1], [2]])],
    "constant/dtype": lambda tf: [tf.constant(1, tf.float64), tf.constant([1, 2], "int64"),
                                  tf.constant(0.1, tf.float16),
                                  tf.constant(300, tf.uint8), tf.constant(-1, tf.uint8),
                                  tf.constant(True, tf.float32)],
    "constant/shape": lambda tf: [tf.constant(7, shape=[2, 2]), tf.constant([1, 2, 3, 4], shape=[2, 2]),
                                  tf.constant([1, 2, 3], shape=[2, 2]),
                                  tf.constant(0.5, tf.float32, [3]), tf.constant([], shape=[0, 3])],
    "constant/numpy": lambda tf: [tf.constant(array("float64", [1.5]).value),
                                  tf.constant(array("int16", [[1]]).value),
                                  tf.constant(array("float64", [1.5]).value, tf.int32),
                                  tf.constant(array("string", [b"a"]).value)],
    "constant/names": lambda tf: [tf.constant(1, name="a"), tf.constant(2, name="a"), tf.constant(3),
                                  tf.constant(4)],
    "constant/wide": lambda tf: tf.constant([2**63, 1], tf.uint64),
    "zeros": lambda tf: [tf.zeros([2, 3]), tf.zeros([], tf.int32), tf.zeros([0, 2]), tf.zeros([2], tf.bool),
                         tf.zeros([2], tf.string),
                         tf.zeros((1, 2), "float64"), tf.zeros(tf.constant([2, 2])),
                         tf.zeros([tf.constant(2), 1])],
    "ones": lambda tf: [tf.ones([2, 3]), tf.ones([], tf.int64), tf.ones([2], tf.bool),
                        tf.ones([1], tf.complex64), tf.ones(tf.constant([1, 2]))],
    "zeros/large_is_fill": lambda tf: [tf.zeros([50, 50]), tf.ones([50, 50])],
    "fill": lambda tf: [tf.fill([2, 2], 7), tf.fill([3], 0.5), tf.fill([], "s"), tf.fill([0], True),
                        tf.fill([2], tf.constant(1, tf.int64))],
    "fill/tensor_dims": lambda tf: tf.fill(tf.constant([2, 1]), 9.0),
    "eye": lambda tf: [tf.eye(3), tf.eye(2, 3), tf.eye(2, batch_shape=[2]), tf.eye(2, dtype=tf.int32)],
    "shape/of_literals": lambda tf: [tf.shape([[1, 2]]), tf.size([1, 2, 3]), tf.rank(1.0)],
    "broadcast/static_shape": lambda tf:
        [tf.broadcast_static_shape(tf.TensorShape([2, 1]), tf.TensorShape([3])).as_list()],
    "broadcast/dynamic_shape": lambda tf: tf.broadcast_dynamic_shape([2, 1], [3]),
    "convert/preferred": lambda tf: [tf.convert_to_tensor(1, preferred_dtype=tf.float32),
                                     tf.convert_to_tensor(1.5, preferred_dtype=tf.int32),
                                     tf.convert_to_tensor([1, 2], dtype=tf.int64)],
    "convert/lists_of_tensors": lambda tf: [tf.convert_to_tensor([tf.constant(1), 2]),
                                            tf.stack([1.0, tf.constant(2.0)]),
                                            tf.convert_to_tensor([[tf.constant(1.0)], [2.0]])],
    "constant_value": lambda tf: [str(tf.contrib.util.constant_value(t)) for t in (
        tf.constant([1, 2]), tf.shape(tf.zeros([2, 3])), tf.size(tf.zeros([4])), tf.rank(tf.zeros([1, 1])),
        tf.range(3),
        tf.zeros([2], tf.int32), tf.fill([2], 3), tf.concat([[1], [2]], 0), tf.cast(tf.constant(2), tf.int64),
        tf.stack([1, 2]))],
    "dtypes/table": lambda tf: [
        [d.name, d.as_datatype_enum, d.size, str(d)] + [bool(kind) for kind in _kinds(d)]
        for d in map(tf.as_dtype, range(1, 24)) if d.name not in ("resource", "variant", "bfloat16")],
    "dtypes/as_dtype": lambda tf:
        [tf.as_dtype(d).name for d in ("float", "half", "double", float, bool, object, 101, "int64_ref")],
    "dtypes/limits": lambda tf: [[float(lookup(tf, d).min), float(lookup(tf, d).max)] for d in
                                 ("int8", "uint16", "int32", "float16", "float32", "float64")],
    "shape/merging": lambda tf: [str(tf.TensorShape([None, 2]).merge_with([3, None])),
                                 str(tf.TensorShape(None)),
                                 str(tf.TensorShape([1, None]).concatenate([4])),
                                 tf.TensorShape([2, 3]).num_elements(),
                                 tf.TensorShape([None]).is_compatible_with([7]),
                                 tf.TensorShape([2]).is_fully_defined(),
                                 str(tf.TensorShape([1, 2, None])[1:]), repr(tf.TensorShape([1, None])),
                                 repr(tf.Dimension(None)),
                                 str(tf.Dimension(3) * 2), tf.TensorShape([2, 3]).as_list(),
                                 tf.TensorShape([2, 3]) == [2, 3]],
})


def _kinds(dtype):
    return dtype.is_floating, dtype.is_integer, dtype.is_unsigned, dtype.is_complex, dtype.is_quantized


table({
    "fill/fed": lambda tf, n: [tf.fill([n, 2], 1.5), tf.zeros([n]), tf.ones([n, n], tf.int32),
                               tf.zeros(tf.stack([n, 1]))],
    "one_hot/fed_depth": lambda tf, n: tf.one_hot([0, 1], n),
    "eye/fed": lambda tf, n: tf.eye(n),
    "range/reshape": lambda tf, n: tf.reshape(tf.range(n * 2), [n, -1]),
    "sequence_mask/fed": lambda tf, n: tf.sequence_mask([1, 2], n),
}, i32(3))
table({
    "fed_shape/reshape": lambda tf, x, s: tf.reshape(x, s),
    "fed_shape/zeros": lambda tf, x, s: [tf.zeros(s), tf.fill(s, 2)],
    "fed_shape/broadcast_to": lambda tf, x, s: tf.broadcast_to(x[:1], s),
    "fed_shape/slice": lambda tf, x, s: [tf.slice(x, s[:1] - 2, s[:1]), tf.slice(x, [0], s[:1])],
    "fed_shape/tile": lambda tf, x, s: tf.tile(x, s[:1]),
    "fed_shape/pad": lambda tf, x, s: tf.pad(x, [s]),
    "fed_shape/transpose": lambda tf, x, s: tf.transpose(tf.reshape(x, [2, 3]), s - [1, 3]),
    "fed_shape/reduce": lambda tf, x, s: tf.reduce_sum(tf.reshape(x, [2, 3]), s[:1] - 1),
}, f64([0.5, 1.0, 2.0, 3.0, 4.0, 5.0]), i32([2, 3]))
case("gather/uint8", lambda tf, x, i: tf.gather(x, i), u8([1, 2, 3]), i64([2, 0]))

# Patches, distances, fingerprints.

VOLUME = noise(1, 3, 4, 3, 2, seed=3)


@case("volume_patches", None, f64(VOLUME), unknown=False)
def _(tf, x):
    return [tf.extract_volume_patches(x, [1, 2, 2, 2, 1], [1, 1, 2, 1, 1], "VALID"),
            tf.extract_volume_patches(x, [1, 2, 3, 2, 1], [1, 2, 2, 2, 1], "SAME")]


@case("edit_distance")
def _(tf):
    guesses = tf.SparseTensor([[0, 0, 0], [1, 0, 0], [1, 1, 0]], ["a", "b", "c"], [2, 2, 1])
    truths = tf.SparseTensor([[0, 1, 0], [1, 0, 0], [1, 0, 1]], ["a", "b", "c"], [2, 2, 2])
    return [tf.edit_distance(guesses, truths), tf.edit_distance(guesses, truths, normalize=False)]


table({
    "fingerprint/rows": lambda tf, x, y: [tf.fingerprint(x), tf.fingerprint(y)],
    "fingerprint/cube": lambda tf, x, y: tf.fingerprint(tf.reshape(x, [2, 2, 1])),
}, i32([[1, 2], [3, 4]]), string([b"", b"abc", b"0123456789abcdefg", b"x" * 70]))
case("fingerprint/scalar", lambda tf: tf.fingerprint(b"abc"), raises=True)
