"""Bad input: the exception's class, and the first sentence of its message.

What Millstream does better on purpose has no case: it takes `range(3)` for a list, its callables count their arguments,
and a run that fails leaves all variables as they were.
"""
from __future__ import annotations

from ..spec import Family

FAMILY = Family("errors", raises=True)
table = FAMILY.table
SESSIONS = "it is about sessions"
GRAPHS = "it is about graphs"
HAS_VALUE = "an eager tensor has a value"
RESOURCES = "a function makes 2.x variables"
UNCHECKED_NAME = "eager operations take any name"


def ran(make):
    """Builds with `make`, then runs it in a session of the case's own."""

    def build(tf):
        made = make(tf)
        fetches, feed = made if type(made) is tuple else (made, None)
        with tf.Session() as session:
            return session.run(fetches, feed)

    return build


def runs(prefix, rows):
    table({f"{prefix}/{name}": ran(make) for name, make in rows.items()}, eager=SESSIONS)


# Values that do not become tensors.

table({
    "convert/none": lambda tf: tf.constant(None),
    "convert/list_with_none": lambda tf: tf.constant([1, None]),
    "convert/mixed_list": lambda tf: tf.constant([1, "a"]),
    "convert/ragged": lambda tf: tf.constant([[1], [2, 3]]),
    "convert/float_as_int": lambda tf: tf.constant(1.5, tf.int32),
    "convert/int_as_bool": lambda tf: tf.constant(1, tf.bool),
    "convert/int_as_string": lambda tf: tf.constant(1, tf.string),
    "convert/string_as_float": lambda tf: tf.constant("a", tf.float32),
    "convert/too_many_for_shape": lambda tf: tf.constant([1, 2, 3, 4, 5], shape=[2, 2]),
    "convert/shape_not_verified": lambda tf: tf.constant([1, 2], shape=[3], verify_shape=True),
    "convert/tensor_of_other_dtype": lambda tf: tf.convert_to_tensor(tf.constant(1.0), tf.int32),
    "convert/object": lambda tf: tf.convert_to_tensor(object),
    "convert/unhashable_list": lambda tf: tf.convert_to_tensor([tf.constant(1.0), "a"]),
    "dtype/number": lambda tf: tf.as_dtype(0),
    "dtype/python_int": lambda tf: tf.as_dtype(int),
    "dtype/name": lambda tf: tf.as_dtype("integer"),
    "dtype/of_op": lambda tf: tf.zeros([2], "bad"),
    "dtype/no_min": lambda tf: tf.qint8.min,
    "shape/negative_dimension": lambda tf: tf.TensorShape([-1]),
    "shape/bad_dimension": lambda tf: tf.Dimension("x"),
    "shape/length_of_unknown": lambda tf: len(tf.TensorShape(None)),
    "shape/list_of_unknown": lambda tf: tf.TensorShape(None).as_list(),
    "shape/not_compatible": lambda tf: tf.TensorShape([2]).assert_is_compatible_with([3]),
    "shape/merge": lambda tf: tf.TensorShape([2, 3]).merge_with([2, 4]),
    "shape/merge_rank": lambda tf: tf.TensorShape([2]).merge_with([2, 4]),
    "shape/set_shape": lambda tf: tf.zeros([2, 3]).set_shape([3, 2]),
    "shape/not_fully_defined": lambda tf: tf.TensorShape([None]).assert_is_fully_defined(),
    "shape/has_rank": lambda tf: tf.TensorShape([1]).assert_has_rank(2),
    "shape/fill_unknown": lambda tf: tf.zeros([None, 2]),
})

# Operands of different types.

table({
    "types/float_plus_int": lambda tf: tf.constant(1.0) + tf.constant(1),
    "types/int_plus_float": lambda tf: tf.constant(1) + tf.constant(1.0),
    "types/float_plus_double": lambda tf: tf.constant(1.0) + tf.constant(1.0, tf.float64),
    "types/int_plus_fraction": lambda tf: tf.constant(1) + 1.5,
    "types/fraction_plus_int": lambda tf: 1.5 + tf.constant(1),
    "types/int_power_fraction": lambda tf: tf.constant(2) ** 0.5,
    "types/float_plus_complex_number": lambda tf: tf.constant(1.0) + 1j,
    "types/bool_plus_bool": lambda tf: tf.constant(True) + tf.constant(False),
    "types/negative_bool": lambda tf: -tf.constant(True),
    "types/plus_none": lambda tf: tf.constant(1.0) + None,
    "types/equal": lambda tf: tf.equal(tf.constant(1.0), tf.constant(1)),
    "types/variable_plus_fraction": lambda tf: tf.Variable(1) + 1.0,
    "types/truediv": lambda tf: tf.constant(1.0) / tf.constant(1),
    "types/matmul": lambda tf: tf.matmul(tf.ones([1, 1]), tf.ones([1, 1], tf.float64)),
    "types/matmul_bool": lambda tf: tf.matmul(tf.ones([1, 1], tf.bool), tf.ones([1, 1], tf.bool)),
    "types/concat": lambda tf: tf.concat([tf.constant([1.0]), tf.constant([1])], 0),
    "types/stack": lambda tf: tf.stack([tf.constant(1.0), tf.constant(1)]),
    "types/add_n": lambda tf: tf.add_n([tf.constant(1.0), tf.constant(1)]),
    "types/where": lambda tf: tf.where(tf.constant([True]), tf.constant([1.0]), tf.constant([1])),
    "types/where_condition": lambda tf: tf.where(tf.constant([1]), tf.constant([1.0]), tf.constant([1.0])),
    "types/gather_indices": lambda tf: tf.gather([1.0, 2.0], tf.constant([0.0])),
    "types/softmax_int": lambda tf: tf.nn.softmax(tf.constant([1, 2])),
    "types/sqrt_int": lambda tf: tf.sqrt(tf.constant(4)),
    "types/exp_int": lambda tf: tf.exp(2),
    "types/logical_not_int": lambda tf: tf.logical_not(tf.constant(1)),
    "types/reduce_any_int": lambda tf: tf.reduce_any([1, 2]),
    "types/reduce_sum_bool": lambda tf: tf.reduce_sum([True]),
    "types/sparse_labels": lambda tf:
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant([1.0]), logits=tf.zeros([1, 2])),
    "types/sigmoid_labels": lambda tf:
        tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.constant([1]), logits=tf.zeros([1])),
    "types/one_hot_indices": lambda tf: tf.one_hot(tf.constant([1.0]), 3),
    "types/reshape_shape": lambda tf: tf.reshape([1.0], [1.0]),
    "types/cast_string": lambda tf: tf.nn.relu(tf.constant("a")),
    "types/in_top_k": lambda tf: tf.nn.in_top_k(tf.zeros([1, 2]), tf.constant([0.0]), 1),
    "types/clip": lambda tf: tf.clip_by_value(tf.constant(1.0), tf.constant(0), 1.0),
    "types/argmax_bool": lambda tf: tf.argmax(tf.constant([True])),
    "types/random_uniform_int_limits": lambda tf: tf.random_uniform([2], dtype=tf.int32),
    "types/random_uniform_bool": lambda tf: tf.random_uniform([2], dtype=tf.bool),
    "types/bitwise_float": lambda tf: tf.bitwise.bitwise_and(tf.constant(1.0), tf.constant(1.0)),
})
FAMILY.case("types/int_and_int", lambda tf: tf.constant(1) & tf.constant(2), eager="2.x takes the bits")

# Shapes that do not fit, found when the graph is built.

table({
    "shapes/add": lambda tf: tf.zeros([2]) + tf.zeros([3]),
    "shapes/add_rank2": lambda tf: tf.add(tf.zeros([2, 3]), tf.zeros([2, 4]), name="sum"),
    "shapes/less": lambda tf: tf.less(tf.zeros([2]), tf.zeros([3])),
    "shapes/squared_difference": lambda tf: tf.squared_difference(tf.zeros([2]), tf.zeros([3])),
    "shapes/matmul_inner": lambda tf: tf.matmul(tf.zeros([2, 3]), tf.zeros([2, 3])),
    "shapes/matmul_rank": lambda tf: tf.matmul(tf.zeros([2]), tf.zeros([2, 2])),
    "shapes/matmul_vectors": lambda tf: tf.matmul(tf.zeros([2]), tf.zeros([2])),
    "shapes/matmul_batch": lambda tf: tf.matmul(tf.zeros([2, 2, 3]), tf.zeros([3, 3, 2])),
    "shapes/matmul_both_transposed_and_adjoint": lambda tf:
        tf.matmul(tf.zeros([2, 2]), tf.zeros([2, 2]), True, adjoint_a=True),
    "shapes/reshape": lambda tf: tf.reshape(tf.zeros([2]), [3]),
    "shapes/reshape_inferred": lambda tf: tf.reshape(tf.zeros([5]), [2, -1]),
    "shapes/reshape_two_unknown": lambda tf: tf.reshape(tf.zeros([4]), [-1, -1]),
    "shapes/concat": lambda tf: tf.concat([tf.zeros([2, 3]), tf.zeros([2, 4])], 0),
    "shapes/concat_axis": lambda tf: tf.concat([tf.zeros([2]), tf.zeros([2])], 1),
    "shapes/concat_scalars": lambda tf: tf.concat([1.0, 2.0], 0),
    "shapes/stack": lambda tf: tf.stack([tf.zeros([2]), tf.zeros([3])]),
    "shapes/stack_axis": lambda tf: tf.stack([tf.zeros([2])], axis=3),
    "shapes/unstack_number": lambda tf: tf.unstack(tf.zeros([2]), 3),
    "shapes/split": lambda tf: tf.split(tf.zeros([5]), 2),
    "shapes/split_sizes": lambda tf: tf.split(tf.zeros([5]), [2, 2]),
    "shapes/transpose_perm": lambda tf: tf.transpose(tf.zeros([2, 3]), [0]),
    "shapes/expand_dims": lambda tf: tf.expand_dims(tf.zeros([2]), 3),
    "shapes/squeeze": lambda tf: tf.squeeze(tf.zeros([2, 1]), [0]),
    "shapes/tile": lambda tf: tf.tile(tf.zeros([2]), [1, 2]),
    "shapes/pad": lambda tf: tf.pad(tf.zeros([2]), [[1, 1], [0, 0]]),
    "shapes/pad_mode": lambda tf: tf.pad(tf.zeros([2]), [[1, 1]], "WRAP"),
    "shapes/reflect_too_wide": lambda tf: tf.pad(tf.zeros([2]), [[2, 0]], "REFLECT"),
    "shapes/slice_size": lambda tf: tf.slice(tf.zeros([3]), [1], [3]),
    "shapes/slice_rank": lambda tf: tf.slice(tf.zeros([3]), [1, 0], [1, 1]),
    "shapes/index_out_of_bounds": lambda tf: tf.zeros([3])[5],
    "shapes/too_many_indices": lambda tf: tf.zeros([3])[0, 0],
    "shapes/two_ellipses": lambda tf: tf.zeros([3, 3])[..., 0, ...],
    "shapes/index_float": lambda tf: tf.zeros([3])[1.5],
    "shapes/index_list": lambda tf: tf.zeros([3])[[0, 1]],
    "shapes/index_string": lambda tf: tf.zeros([3])["a"],
    "shapes/stride_zero": lambda tf: tf.zeros([3])[::0],
    "shapes/reduce_axis": lambda tf: tf.reduce_sum(tf.zeros([2]), 1),
    "shapes/argmax_axis": lambda tf: tf.argmax(tf.zeros([2, 2]), 3),
    "shapes/softmax_axis": lambda tf: tf.nn.softmax(tf.zeros([2]), axis=4),
    "shapes/top_k": lambda tf: tf.nn.top_k(tf.zeros([2]), 3),
    "shapes/bias_add": lambda tf: tf.nn.bias_add(tf.zeros([2, 3]), tf.zeros([2])),
    "shapes/where": lambda tf: tf.where([True, False], tf.zeros([3]), tf.zeros([3])),
    "shapes/where_one_of_two": lambda tf: tf.where([True], [1.0]),
    "shapes/gather_nd": lambda tf: tf.gather_nd(tf.zeros([2]), [[0, 0]]),
    "shapes/cross_entropy": lambda tf:
        tf.nn.softmax_cross_entropy_with_logits(labels=tf.zeros([2, 3]), logits=tf.zeros([3, 2])),
    "shapes/sigmoid_cross_entropy": lambda tf:
        tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.zeros([2]), logits=tf.zeros([3])),
    "shapes/sparse_cross_entropy": lambda tf:
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[[1]], logits=tf.zeros([1, 2])),
    "shapes/sparse_cross_entropy_batch": lambda tf:
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0, 1], logits=tf.zeros([3, 2])),
    "shapes/one_hot_axis": lambda tf: tf.one_hot([0, 1], 3, axis=5),
    "shapes/scatter_update": lambda tf: tf.scatter_update(tf.Variable([[1.0]]), [0, 0], [[1.0]]),
    "shapes/cholesky": lambda tf: tf.cholesky(tf.zeros([2, 3])),
    "shapes/add_n": lambda tf: tf.add_n([tf.zeros([2]), tf.zeros([3])]),
    "shapes/broadcast_static": lambda tf: tf.broadcast_static_shape(tf.TensorShape([2]), tf.TensorShape([3])),
    "shapes/broadcast_to": lambda tf: tf.broadcast_to(tf.zeros([2]), [3]),
    "shapes/one_hot_depth": lambda tf: tf.one_hot([0], [2]),
    "shapes/range_delta": lambda tf: tf.range(0, 3, -1),
    "shapes/linspace": lambda tf: tf.linspace(0.0, 1.0, 0),
    "shapes/in_top_k": lambda tf: tf.nn.in_top_k(tf.zeros([2, 3]), [0], 1),
    "shapes/matrix_inverse": lambda tf: tf.matrix_inverse(tf.zeros([2, 3])),
    "shapes/fill_negative": lambda tf: tf.fill([-1], 0.0),
})

# The messages tell of 1.x variables.
table({
    "convert/variable_of_other_dtype": lambda tf: tf.convert_to_tensor(tf.Variable(1.0, name="v"), tf.int32),
    "types/assign": lambda tf: tf.assign(tf.Variable(1.0), tf.constant(1, tf.float64)),
    "types/assign_method": lambda tf: tf.Variable(1.0).assign(tf.constant(1)),
    "types/assign_add": lambda tf: tf.assign_add(tf.Variable(1), 0.5),
    "types/scatter": lambda tf: tf.scatter_update(tf.Variable([1.0]), [0], tf.constant([1])),
    "shapes/assign": lambda tf: tf.assign(tf.Variable([1.0, 2.0]), [1.0]),
    "shapes/assign_add": lambda tf: tf.Variable([1.0, 2.0]).assign_add([1.0]),
}, function=RESOURCES)

# Arguments that the functions themselves refuse.

table({
    "arguments/positional_cross_entropy": lambda tf:
        tf.nn.softmax_cross_entropy_with_logits(tf.zeros([1, 2]), tf.zeros([1, 2])),
    "arguments/positional_sparse": lambda tf:
        tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros([1, 2]), [0]),
    "arguments/no_logits": lambda tf: tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.zeros([1])),
    "arguments/dropout_keep_prob": lambda tf: tf.nn.dropout(tf.zeros([2]), 1.5),
    "arguments/dropout_rate": lambda tf: tf.nn.dropout(tf.zeros([2]), rate=1.0),
    "arguments/dropout_neither": lambda tf: tf.nn.dropout(tf.zeros([2])),
    "arguments/dropout_both": lambda tf: tf.nn.dropout(tf.zeros([2]), keep_prob=0.5, rate=0.1),
    "arguments/dropout_int": lambda tf: tf.nn.dropout(tf.constant([1, 2]), 0.5),
    "arguments/axis_and_dim": lambda tf: tf.nn.softmax(tf.zeros([2]), axis=0, dim=0),
    "arguments/keepdims_twice": lambda tf: tf.reduce_sum([1.0], keepdims=True, keep_dims=True),
    "arguments/argmax_axis_and_dimension": lambda tf: tf.argmax([1.0], axis=0, dimension=0),
    "arguments/expand_dims": lambda tf: tf.expand_dims([1.0]),
    "arguments/add_n_empty": lambda tf: tf.add_n([]),
    "arguments/add_n_tensor": lambda tf: tf.add_n(tf.constant(1.0)),
    "arguments/concat_empty": lambda tf: tf.concat([], 0),
    "arguments/embedding_empty": lambda tf: tf.nn.embedding_lookup([], [0]),
    "arguments/embedding_strategy": lambda tf:
        tf.nn.embedding_lookup([tf.zeros([1]), tf.zeros([1])], [0], partition_strategy="bad"),
    "arguments/meshgrid_indexing": lambda tf: tf.meshgrid([1], [2], indexing="no"),
    "arguments/variance_scaling_scale": lambda tf: tf.variance_scaling_initializer(scale=0.0),
    "arguments/variance_scaling_mode": lambda tf: tf.variance_scaling_initializer(mode="none"),
    "arguments/orthogonal_vector": lambda tf: tf.orthogonal_initializer()([3]),
    "arguments/identity_cube": lambda tf: tf.initializers.identity()([2, 2, 2]),
    "arguments/regularizer_negative": lambda tf: tf.contrib.layers.l2_regularizer(-1.0),
    "arguments/regularizer_int": lambda tf: tf.contrib.layers.l1_regularizer(1),
    "arguments/apply_regularization": lambda tf:
        tf.contrib.layers.apply_regularization(tf.contrib.layers.l2_regularizer(0.1)),
    "arguments/clip_global_norm": lambda tf: tf.clip_by_global_norm(tf.constant(1.0), 1.0),
    "arguments/unexpected_keyword": lambda tf: tf.matmul([[1.0]], [[1.0]], bad=1),
    "arguments/boolean_mask_shape": lambda tf: tf.boolean_mask(tf.zeros([3]), [True, False]),
    "arguments/boolean_mask_scalar": lambda tf: tf.boolean_mask(tf.zeros([3]), True),
    "arguments/sequence_mask": lambda tf: tf.sequence_mask([1], tf.constant([2])),
    "arguments/device": lambda tf: _on_device(tf, "/nonsense:0"),
    "arguments/set_item": lambda tf: tf.constant([1]).__setitem__(0, 1),
})

table({
    "arguments/name_scope_name": lambda tf: tf.name_scope("bad name").__enter__(),
    "arguments/op_name_spaces": lambda tf: tf.add(1, 2, name="a b"),
}, eager=UNCHECKED_NAME, function=True)
# TensorFlow says "node name" of constants and "scope name" of everything else.
FAMILY.case("arguments/op_name", lambda tf: tf.constant(1, name="_hidden"), message="'_hidden' is not a valid ",
            eager=UNCHECKED_NAME, function=True)
table({
    "arguments/group_non_op": lambda tf: tf.group(1),
    "arguments/tuple_empty": lambda tf: tf.tuple([]),
}, eager="eagerly there is nothing to group", function=True)
FAMILY.case("arguments/placeholder_dtype", lambda tf: tf.placeholder("bad"),
            eager="there are no placeholders", function=True)


def _on_device(tf, name):
    with tf.device(name):
        return tf.constant(1)


# Tensors where Python wants values, and the graph's own rules.

table({
    "arguments/in_operator": lambda tf: 1 in tf.constant([1]),
    "arguments/len": lambda tf: len(tf.constant([1])),
    "graph/bool_of_tensor": lambda tf: bool(tf.constant(True)),
    "graph/if_tensor": lambda tf: 1 if tf.constant(1) > 0 else 2,
    "graph/iterate": lambda tf: list(tf.constant([1, 2])),
}, eager=HAS_VALUE, function=True)
FAMILY.case("graph/iterate_scalar", lambda tf: [v for v in tf.constant(1)])
table({
    "graph/tensor_of_other_graph": lambda tf: _other_graph(tf) + tf.constant(1.0),
    "graph/finalized": lambda tf: _finalized(tf),
    "graph/unknown_tensor": lambda tf: tf.get_default_graph().get_tensor_by_name("x:0"),
    "graph/unknown_operation": lambda tf: tf.get_default_graph().get_operation_by_name("x"),
    "graph/unknown_output": lambda tf:
        tf.get_default_graph().get_tensor_by_name(tf.constant(1, name="c").op.name + ":1"),
    "graph/operation_as_tensor_name": lambda tf:
        tf.get_default_graph().get_tensor_by_name(tf.constant(1, name="c").op.name),
    "graph/tensor_as_operation_name": lambda tf: tf.get_default_graph().get_operation_by_name("c:0"),
    "graph/element_of_other_graph": lambda tf: tf.get_default_graph().as_graph_element(_other_graph(tf)),
    "graph/element_of_number": lambda tf: tf.get_default_graph().as_graph_element(7),
    "graph/eval_without_session": lambda tf: tf.constant(1).eval(),
    "graph/run_without_session": lambda tf: tf.no_op().run(),
    "graph/unknown_attr": lambda tf: tf.constant(1).op.get_attr("nothing"),
    "graph/control_dependency_on_number": lambda tf: tf.control_dependencies([1]),
    "graph/reset_inside": lambda tf: tf.reset_default_graph(),
}, eager=GRAPHS)


def _other_graph(tf):
    with tf.Graph().as_default():
        return tf.constant(1.0, name="elsewhere")


def _finalized(tf):
    tf.get_default_graph().finalize()
    return tf.constant(1)


# What sessions refuse.


def _placeholder(tf, shape=(3,), dtype="float32"):
    return tf.placeholder(dtype, shape, name="p")


runs("feed", {
    "wrong_shape": lambda tf: _fed(tf, [1.0, 2.0]),
    "wrong_rank": lambda tf: _fed(tf, [[1.0, 2.0, 3.0]]),
    "not_a_number": lambda tf: _fed(tf, ["a", "b", "c"]),
    "tensor": lambda tf: _fed(tf, tf.zeros([3])),
    "int_overflow": lambda tf: _fed(tf, 2**40, (), "int32"),
    "uint8_overflow": lambda tf: _fed(tf, 300, (), "uint8"),
    "uint8_negative": lambda tf: _fed(tf, -1, (), "uint8"),
    "number_as_string": lambda tf: _fed(tf, 1, (), "string"),
    "none": lambda tf: _fed(tf, None),
    "ragged": lambda tf: _fed(tf, [[1.0], [2.0, 3.0]], None),
    "unknown_key": lambda tf: (_placeholder(tf), {"q:0": 1.0}),
    "key_number": lambda tf: (_placeholder(tf), {1: 1.0}),
    "key_of_other_graph": lambda tf: (_placeholder(tf), {_other_graph(tf): 1.0}),
    "not_a_dict": lambda tf: (_placeholder(tf), 5),
    "missing": lambda tf: _placeholder(tf) * 2.0,
    "missing_without_shape": lambda tf: tf.placeholder(tf.int32, name="q") + 1,
    "operation": lambda tf: (tf.constant(1), {tf.no_op(): 1}),
})


def _fed(tf, value, shape=(3,), dtype="float32"):
    p = _placeholder(tf, shape, dtype)
    return tf.identity(p), {p: value}


runs("fetch", {
    "none": lambda tf: [tf.constant(1), None],
    "number": lambda tf: [tf.constant(1), 1],
    "unknown_name": lambda tf: [tf.constant(1), "x:0"],
    "unknown_operation": lambda tf: [tf.constant(1), "x"],
    "of_other_graph": lambda tf: [tf.constant(1), _other_graph(tf)],
    "object": lambda tf: [tf.constant(1), object],
    "uninitialized": lambda tf: tf.Variable(1.0, name="v") + 1.0,
    "uninitialized_resource": lambda tf: tf.Variable(1.0, name="v", use_resource=True) + 1.0,
    "empty_graph": lambda tf: [],
})
table({
    "session/closed": lambda tf: _closed(tf),
    "session/graph_is_not_one": lambda tf: tf.Session(graph=5),
    "session/target_type": lambda tf: tf.Session(7),
    "session/config_type": lambda tf: tf.Session(config=5),
}, eager=SESSIONS)


def _closed(tf):
    c = tf.constant(1)
    session = tf.Session()
    session.close()
    return session.run(c)


# Errors that only the values show.


def hidden(tf, value, dtype=None):
    """A value out of the sight of shape rules."""
    return tf.placeholder_with_default(tf.constant(value, dtype), None)


VALUES = {
    "add": lambda tf: hidden(tf, [1.0, 2.0]) + hidden(tf, [1.0, 2.0, 3.0]),
    "matmul": lambda tf: tf.matmul(hidden(tf, [[1.0, 2.0]]), hidden(tf, [[1.0, 2.0]])),
    "matmul_rank": lambda tf: tf.matmul(hidden(tf, [1.0]), tf.zeros([1, 1])),
    "reshape": lambda tf: tf.reshape(hidden(tf, [1.0, 2.0]), [3]),
    "reshape_fed": lambda tf: tf.reshape([1.0, 2.0], hidden(tf, [3])),
    "concat": lambda tf: tf.concat([hidden(tf, [[1.0]]), hidden(tf, [[1.0, 2.0]])], 0),
    "stack": lambda tf: tf.stack([hidden(tf, [1.0]), hidden(tf, [1.0, 2.0])]),
    "gather": lambda tf: tf.gather([1.0, 2.0], hidden(tf, [0, 2])),
    "gather_negative": lambda tf: tf.gather([1.0, 2.0], hidden(tf, [-1])),
    "gather_rank2": lambda tf: tf.gather([[1.0], [2.0]], hidden(tf, [[0, 1], [7, 0]])),
    "gather_nd": lambda tf: tf.gather_nd([1.0, 2.0], hidden(tf, [[5]])),
    "embedding": lambda tf: tf.nn.embedding_lookup(tf.constant([[1.0], [2.0]]), hidden(tf, [2])),
    "slice": lambda tf: tf.slice(hidden(tf, [1.0, 2.0]), [1], [2]),
    "strided_slice": lambda tf: hidden(tf, [1.0, 2.0])[5],
    "split": lambda tf: tf.split(hidden(tf, [1.0, 2.0, 3.0]), 2),
    "transpose": lambda tf: tf.transpose(tf.zeros([2, 2]), hidden(tf, [0, 0])),
    "argmax_empty": lambda tf: tf.argmax(tf.zeros([0]), 0),
    "argmax_axis": lambda tf: tf.argmax(tf.zeros([2]), hidden(tf, 2)),
    "range_delta": lambda tf: tf.range(0, hidden(tf, 3), -1),
    "range_zero_delta": lambda tf: tf.range(0, 3, hidden(tf, 0)),
    "fill_negative": lambda tf: tf.fill(hidden(tf, [-2]), 1.0),
    "tile_negative": lambda tf: tf.tile([1.0], hidden(tf, [-1])),
    "top_k": lambda tf: tf.nn.top_k(hidden(tf, [1.0]), 2),
    "sparse_label": lambda tf:
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=hidden(tf, [3]), logits=tf.zeros([1, 2])),
    "sparse_label_negative": lambda tf:
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=hidden(tf, [-1]), logits=tf.zeros([1, 2])),
    "integer_division_by_zero": lambda tf: tf.floordiv(hidden(tf, [1, 2]), hidden(tf, [1, 0])),
    "integer_mod_by_zero": lambda tf: tf.floormod(hidden(tf, 1), hidden(tf, 0)),
    "truncated_division_by_zero": lambda tf: tf.div(hidden(tf, 1), hidden(tf, 0)),
    "integer_negative_power": lambda tf: tf.pow(hidden(tf, 2), hidden(tf, -1)),
    "scatter_nd": lambda tf: tf.scatter_nd(hidden(tf, [[5]]), [1.0], [2]),
    "segment_order": lambda tf: tf.segment_sum([1.0, 2.0], hidden(tf, [1, 0])),
    "unsorted_segment": lambda tf: tf.unsorted_segment_sum([1.0], hidden(tf, [4]), 2),
    "inverse_singular": lambda tf: tf.matrix_inverse(hidden(tf, [[1.0, 1.0], [1.0, 1.0]])),
    "cholesky": lambda tf: tf.cholesky(hidden(tf, [[-1.0, 0.0], [0.0, 1.0]])),
    "invert_permutation": lambda tf: tf.invert_permutation(hidden(tf, [0, 0])),
    "broadcast_to": lambda tf: tf.broadcast_to(hidden(tf, [1.0, 2.0]), [3]),
    "one_hot_depth": lambda tf: tf.one_hot([0], hidden(tf, -1)),
    "multinomial_samples": lambda tf: tf.multinomial([[1.0]], hidden(tf, -1)),
    "uniform_int_limits": lambda tf: tf.random_uniform([1], 5, hidden(tf, 5), tf.int32),
    "random_shape": lambda tf: tf.random_uniform(hidden(tf, [-1])),
    "string_to_number": lambda tf: tf.string_to_number("abc"),
    "cast_string": lambda tf: tf.cast(tf.constant("1"), tf.int32),
    "dynamic_partition": lambda tf: tf.dynamic_partition([1.0], hidden(tf, [5]), 2),
    "pad_negative": lambda tf: tf.pad([1.0], hidden(tf, [[-1, 0]])),
    "where_shapes": lambda tf: tf.where(hidden(tf, [True, False]), hidden(tf, [1.0]), hidden(tf, [1.0, 2.0])),
    "boolean_mask": lambda tf: tf.boolean_mask(hidden(tf, [1.0, 2.0]),
                                               tf.placeholder_with_default([True, False, True], [None])),
    "in_top_k_target": lambda tf: tf.nn.in_top_k(hidden(tf, [[1.0]]), hidden(tf, [0, 0]), 1),
    "reverse_axis": lambda tf: tf.reverse(tf.zeros([2]), hidden(tf, [1])),
    "linspace_number": lambda tf: tf.linspace(0.0, 1.0, hidden(tf, 0)),
}
table({"values/" + name: build for name, build in VALUES.items()})


def variable(tf):
    return tf.Variable([1.0, 2.0], name="v")


table({
    "values/scatter_update": lambda tf: tf.scatter_update(variable(tf), hidden(tf, [7]), [1.0]),
    "values/scatter_add_negative": lambda tf: tf.scatter_add(variable(tf), hidden(tf, [-1]), [1.0]),
    "values/assign": lambda tf: tf.assign(variable(tf), hidden(tf, [1.0])),
})
FAMILY.case("values/assign_add", lambda tf: tf.assign_add(variable(tf), hidden(tf, [1.0])), function=RESOURCES)
