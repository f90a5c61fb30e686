"""Typical mistakes of eager programs: the exception's class, and the first sentence of its message."""

from __future__ import annotations

from ..spec import Family

FAMILY = Family("eager_errors", tensorflow=2, raises=True)
case, table = FAMILY.case, FAMILY.table


# Operands.

table(
    {
        "types/float_plus_int": lambda tf: tf.constant(1.0) + tf.constant(1),
        "types/float_plus_double": lambda tf: tf.constant(1.0) + tf.constant(1.0, tf.float64),
        "types/int_plus_fraction": lambda tf: tf.constant(1) + 1.5,
        "types/fraction_plus_int": lambda tf: 1.5 + tf.constant(1),
        "types/plus_none": lambda tf: tf.constant(1.0) + None,
        "types/plus_text": lambda tf: tf.constant(1.0) + "a",
        "types/matmul_int_and_float": lambda tf: tf.matmul(tf.ones([1, 1], tf.int32), tf.ones([1, 1])),
        "types/concat": lambda tf: tf.concat([tf.constant([1.0]), tf.constant([1])], 0),
        "types/stack": lambda tf: tf.stack([tf.constant(1.0), tf.constant(1)]),
        "types/where": lambda tf: tf.where([True], tf.constant([1.0]), tf.constant([1])),
        "types/sqrt_int": lambda tf: tf.sqrt(tf.constant(4)),
        "types/softmax_int": lambda tf: tf.nn.softmax(tf.constant([1, 2])),
        "types/logical_not_int": lambda tf: tf.logical_not(tf.constant(1)),
        "types/reduce_any_int": lambda tf: tf.reduce_any([1, 2]),
        "types/bitwise_float": lambda tf: tf.bitwise.bitwise_and(tf.constant(1.0), tf.constant(1.0)),
        "types/cast_text": lambda tf: tf.cast(tf.constant("1"), tf.int32),
        "types/variable_plus_fraction": lambda tf: tf.Variable(1) + 1.0,
    }
)

# Values that do not become tensors.

table(
    {
        "convert/none": lambda tf: tf.constant(None),
        "convert/object": lambda tf: tf.constant(object()),
        "convert/list_with_none": lambda tf: tf.constant([1, None]),
        "convert/mixed_list": lambda tf: tf.constant([1, "a"]),
        "convert/ragged": lambda tf: tf.constant([[1], [2, 3]]),
        "convert/float_as_int": lambda tf: tf.constant(1.5, tf.int32),
        "convert/text_as_float": lambda tf: tf.constant("a", tf.float32),
        "convert/int_as_text": lambda tf: tf.constant(1, tf.string),
        "convert/int_as_bool": lambda tf: tf.constant(1, tf.bool),
        "convert/too_large_for_int64": lambda tf: tf.constant(2**64),
        "convert/tensor_of_other_dtype": lambda tf: tf.convert_to_tensor(tf.constant(1.0), tf.int32),
        "convert/elements_for_shape": lambda tf: tf.constant([1, 2, 3], shape=[2, 2]),
        "convert/negative_dimension": lambda tf: tf.zeros([-1]),
    }
)

# Shapes.

table(
    {
        "shapes/add": lambda tf: tf.zeros([2]) + tf.zeros([3]),
        "shapes/matmul": lambda tf: tf.matmul(tf.zeros([2, 3]), tf.zeros([2, 3])),
        "shapes/matmul_batch": lambda tf: tf.matmul(tf.zeros([2, 2, 3]), tf.zeros([3, 3, 2])),
        "shapes/reshape": lambda tf: tf.reshape(tf.zeros([2]), [3]),
        "shapes/reshape_inferred": lambda tf: tf.reshape(tf.zeros([5]), [2, -1]),
        "shapes/concat_axis": lambda tf: tf.concat([tf.zeros([2]), tf.zeros([2])], 1),
        "shapes/stack": lambda tf: tf.stack([tf.zeros([2]), tf.zeros([3])]),
        "shapes/split": lambda tf: tf.split(tf.zeros([5]), 2),
        "shapes/expand_dims": lambda tf: tf.expand_dims(tf.zeros([2]), 3),
        "shapes/squeeze": lambda tf: tf.squeeze(tf.zeros([2, 1]), [0]),
        "shapes/transpose": lambda tf: tf.transpose(tf.zeros([2, 3]), [0]),
        "shapes/tile": lambda tf: tf.tile(tf.zeros([2]), [1, 2]),
        "shapes/reduce_axis": lambda tf: tf.reduce_sum(tf.zeros([2]), 1),
        "shapes/argmax_axis": lambda tf: tf.argmax(tf.zeros([2, 2]), 3),
        "shapes/broadcast_to": lambda tf: tf.broadcast_to(tf.zeros([2]), [3]),
        "shapes/where": lambda tf: tf.where([True, False], tf.zeros([3]), tf.zeros([3])),
        "shapes/set_shape": lambda tf: tf.zeros([2, 3]).set_shape([3, 2]),
        "shapes/ensure_shape": lambda tf: tf.ensure_shape(tf.zeros([2]), [3]),
        "shapes/cross_entropy": lambda tf: tf.nn.softmax_cross_entropy_with_logits(
            labels=tf.zeros([2, 3]), logits=tf.zeros([3, 2])
        ),
        "shapes/bias_add": lambda tf: tf.nn.bias_add(tf.zeros([2, 3]), tf.zeros([2])),
        "shapes/cholesky": lambda tf: tf.linalg.cholesky(tf.zeros([2, 3])),
        "shapes/add_n": lambda tf: tf.add_n([tf.zeros([2]), tf.zeros([3])]),
        "shapes/boolean_mask": lambda tf: tf.boolean_mask(tf.zeros([3]), [True, False]),
    }
)

# Indices and values.

table(
    {
        "index/out_of_bounds": lambda tf: tf.zeros([3])[5],
        "index/too_many": lambda tf: tf.zeros([3])[0, 0],
        "index/float": lambda tf: tf.zeros([3])[1.5],
        "index/list": lambda tf: tf.zeros([3])[[0, 1]],
        "index/text": lambda tf: tf.zeros([3])["a"],
        "index/stride_zero": lambda tf: tf.zeros([3])[::0],
        "index/gather": lambda tf: tf.gather([1.0, 2.0], [0, 2]),
        "index/gather_nd_depth": lambda tf: tf.gather_nd(tf.zeros([2]), [[0, 0]]),
        "index/embedding": lambda tf: tf.nn.embedding_lookup(tf.constant([[1.0], [2.0]]), [2]),
        "index/scatter": lambda tf: tf.tensor_scatter_nd_update(tf.zeros([2]), [[3]], [1.0]),
        "values/integer_division": lambda tf: tf.constant(1) // tf.constant(0),
        "values/integer_modulo": lambda tf: tf.constant([1, 2]) % tf.constant([1, 0]),
        "values/negative_power": lambda tf: tf.constant(2) ** tf.constant(-1),
        "values/label": lambda tf: tf.nn.sparse_softmax_cross_entropy_with_logits([3], tf.zeros([1, 2])),
        "values/one_hot_depth": lambda tf: tf.one_hot([0], -1),
        "values/range_zero_delta": lambda tf: tf.range(0, 3, 0),
        "values/range_delta": lambda tf: tf.range(0, 3, -1),
        "values/fill_negative": lambda tf: tf.fill([-2], 1.0),
        "values/singular": lambda tf: tf.linalg.inv([[1.0, 1.0], [1.0, 1.0]]),
        "values/segment_order": lambda tf: tf.math.segment_sum([1.0, 2.0], [1, 0]),
        "values/numerics": lambda tf: tf.debugging.check_numerics([1.0, float("nan")], "bad values"),
        "values/assert_equal": lambda tf: tf.debugging.assert_equal(tf.constant([1, 2]), [1, 3]),
        "values/assert_message": lambda tf: tf.debugging.assert_positive([-1.0], message="must be positive"),
        "values/assert": lambda tf: tf.debugging.Assert(tf.constant(False), ["what", tf.constant([1, 2])]),
        "values/invert_permutation": lambda tf: tf.math.invert_permutation([0, 0]),
        "values/top_k": lambda tf: tf.math.top_k([1.0], 2),
        "values/uniform_limits": lambda tf: tf.random.uniform([1], 5, 5, tf.int32),
    }
)

# Tensors as Python objects.

table(
    {
        "python/bool_of_vector": lambda tf: bool(tf.constant([True, False])),
        "python/if_vector": lambda tf: 1 if tf.constant([1, 2]) > 0 else 2,
        "python/float_of_vector": lambda tf: float(tf.constant([1.0, 2.0])),
        "python/int_of_text": lambda tf: int(tf.constant("a")),
        "python/len_of_scalar": lambda tf: len(tf.constant(1)),
        "python/iterate_scalar": lambda tf: list(tf.constant(1)),
        "python/hash": lambda tf: {tf.constant(1): 2},
        "python/hash_variable": lambda tf: {tf.Variable(1): 2},
        "python/missing_attribute": lambda tf: tf.constant(1).ravel(),
        "python/assign_attribute": lambda tf: setattr(tf.constant(1), "shape", [1]),
        "python/name": lambda tf: tf.constant(1).name,
        "python/op": lambda tf: tf.constant(1).op,
        "python/graph": lambda tf: tf.constant(1).graph,
        "python/eval": lambda tf: tf.constant(1).eval(),
        "python/unknown_function": lambda tf: tf.placeholder(tf.float32),
        "python/gradients": lambda tf: tf.gradients(tf.constant(1.0), tf.constant(1.0)),
    }
)

# Variables.

table(
    {
        "variable/assign_shape": lambda tf: tf.Variable([1.0, 2.0]).assign([1.0]),
        "variable/assign_dtype": lambda tf: tf.Variable(1.0).assign(tf.constant(1)),
        "variable/assign_add_shape": lambda tf: tf.Variable([1.0, 2.0]).assign_add([1.0]),
        "variable/assign_add_fraction": lambda tf: tf.Variable(1).assign_add(0.5),
        "variable/scatter": lambda tf: tf.Variable([1.0]).scatter_update(
            tf.IndexedSlices(tf.constant([1.0]), tf.constant([3]))
        ),
        "variable/set_item": lambda tf: _assign_item(tf.Variable([1.0])),
        "variable/slice_assign_shape": lambda tf: tf.Variable([1.0, 2.0, 3.0])[1:].assign([1.0, 2.0, 3.0]),
    }
)

# Tapes.

table(
    {
        "tape/used_twice": lambda tf: _used_twice(tf),
        "tape/watch_number": lambda tf: _tape(tf, lambda tape, x: tape.watch(1.0)),
        "tape/target_is_none": lambda tf: _tape(tf, lambda tape, x: tape.gradient(None, x)),
        "tape/unconnected_value": lambda tf: _tape(
            tf, lambda tape, x: tape.gradient(x, x, unconnected_gradients="bad")
        ),
        "tape/reentered": lambda tf: _tape(tf, lambda tape, x: tape.__enter__()),
        "tape/jacobian_twice": lambda tf: _used_twice(tf, "jacobian"),
    }
)


def _tape(tf, use):
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        return use(tape, x)


def _used_twice(tf, method="gradient"):
    x = tf.constant([3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    differentiate = getattr(tape, method)
    return [differentiate(y, x), differentiate(y, x)]


# Functions.

table(
    {
        "function/leaked_tensor": lambda tf: _leaked(tf),
        "function/variable_each_call": lambda tf: tf.function(lambda: tf.Variable(1.0), autograph=False)(),
        "function/too_many_arguments": lambda tf: tf.function(lambda x: x)(1, 2),
        "function/signature_shape": lambda tf: tf.function(
            lambda x: x, input_signature=[tf.TensorSpec([2], tf.float32)]
        )(tf.zeros([3])),
        "function/signature_dtype": lambda tf: tf.function(
            lambda x: x, input_signature=[tf.TensorSpec([2], tf.float32)]
        )(tf.constant([1, 2])),
        "function/shape_when_traced": lambda tf: tf.function(lambda x: x + tf.zeros([3]))(tf.zeros([2])),
        "function/value_when_run": lambda tf: tf.function(lambda i: tf.gather([1.0, 2.0], i))(tf.constant([7])),
    }
)


# Where TensorFlow's message is an accident of its version, or our own says more: how ours begins.

OWN_WORDS = {
    "types/negative_bool": (
        lambda tf: -tf.constant(True),
        "Value for attr 'T' of bool is not in the list of allowed values: bfloat16, half, float, double",
    ),
    "types/bool_plus_bool": (
        lambda tf: tf.constant(True) + tf.constant(False),
        "Value for attr 'T' of bool is not in the list of allowed values: bfloat16, half, float, double",
    ),
    "types/gather_indices": (
        lambda tf: tf.gather([1.0, 2.0], tf.constant([0.0])),
        "Value for attr 'Tindices' of float is not in the list of allowed values: ",
    ),
    "types/matmul": (lambda tf: tf.matmul(tf.ones([1, 1]), tf.ones([1, 1], tf.float64)), "cannot compute "),
    "convert/bad_dtype": (lambda tf: tf.zeros([2], "bad"), "Cannot convert "),
    "shapes/matmul_vectors": (lambda tf: tf.matmul(tf.zeros([2]), tf.zeros([2])), "In[0] "),
    "shapes/concat": (lambda tf: tf.concat([tf.zeros([2, 3]), tf.zeros([2, 4])], 0), "ConcatOp : Dimension"),
    "shapes/sigmoid_cross_entropy": (
        lambda tf: tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.zeros([2]), logits=tf.zeros([3])),
        "logits and labels must have the same shape ((3,) vs (2,))",
    ),
    "shapes/sparse_cross_entropy": (
        lambda tf: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0, 1], logits=tf.zeros([3, 2])),
        "Shape mismatch: The shape of labels (received (2,)) should equal",
    ),
    "index/assignment": (
        lambda tf: _assign_item(tf.constant([1])),
        "'EagerTensor' object does not support item assignment",
    ),
    "index/gather_nd": (
        lambda tf: tf.gather_nd([1.0, 2.0], [[5]]),
        "indices[0] = [5] does not index into param shape [2]",
    ),
    "python/unexpected_keyword": (lambda tf: tf.reduce_sum([1.0], keep_dims=True), ""),
    "python/missing_argument": (lambda tf: tf.expand_dims([1.0]), ""),
    "variable/no_value": (lambda tf: tf.Variable(), "initial_value must be specified."),
    "variable/shape_mismatch": (
        lambda tf: tf.Variable([1.0, 2.0], shape=[3]),
        "The initial value's shape ((2,)) is not compatible with the explicitly supplied",
    ),
    "tape/no_gradient": (
        lambda tf: _tape(tf, lambda tape, x: tape.gradient(tf.raw_ops.GuaranteeConst(input=x), x)),
        "No gradient defined for operation 'GuaranteeConst'",
    ),
    "function/bool_of_tensor": (
        lambda tf: tf.function(lambda x: bool(x), autograph=False)(tf.constant(True)),
        "using a `tf.Tensor` as a Python `bool` is not allowed",
    ),
    "function/signature_kind": (
        lambda tf: tf.function(lambda x: x, input_signature=tf.TensorSpec([2], tf.float32)),
        "input_signature must be either a tuple or a list",
    ),
    "function/result_is_object": (
        lambda tf: tf.function(lambda x: object())(tf.constant(1)),
        "To be compatible with tf.function, Python functions must return zero or more Tensors",
    ),
    "function/numpy_of_tensor": (
        lambda tf: tf.function(lambda x: x.numpy(), autograph=False)(tf.constant(1)),
        "'Tensor' object has no attribute 'numpy'",
    ),
}
for name, (build, message) in OWN_WORDS.items():
    case(name, build, message=message)


def _assign_item(array):
    array[0] = 2


def _leaked(tf):
    kept = []

    @tf.function(autograph=False)
    def function(x):
        kept.append(x + 1.0)
        return x

    function(tf.constant(1.0))
    try:
        return kept[0] + 1.0
    except TypeError as error:  # or a class derived from it
        raise TypeError(str(error)) from None
