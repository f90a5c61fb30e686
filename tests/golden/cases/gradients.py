"""tf.gradients and its relatives; the gradients of single ops stand with the ops' families.

What is compared are the derivatives: the nodes of a gradient graph may be fewer than TensorFlow's.
"""
from __future__ import annotations

from ..spec import Family, Run, f32, f64, noise, script

FAMILY = Family("gradients", ulps=32, near="max", nodes="a gradient graph may be simpler than TensorFlow's",
                eager="tf.gradients is for graphs", function=True)
case, table = FAMILY.case, FAMILY.table

VECTOR = f64([0.5, -1.5, 2.0])

table({
    "gradients/one": lambda tf, x: tf.gradients(x * x, x),
    "gradients/list_of_xs": lambda tf, x: _two(tf, x, lambda y, a, b: tf.gradients(y, [a, b])),
    "gradients/several_ys": lambda tf, x: tf.gradients([x * x, tf.sin(x)], [x]),
    "gradients/grad_ys": lambda tf, x: tf.gradients(x * x, x,
                                                    grad_ys=tf.constant([1.0, 10.0, 100.0], tf.float64)),
    "gradients/grad_ys_partly_none": lambda tf, x:
        tf.gradients([x * x, x * 3.0], x, grad_ys=[None, tf.constant([2.0, 2.0, 2.0], tf.float64)]),
    "gradients/grad_ys_of_scalar": lambda tf, x:
        tf.gradients(tf.reduce_sum(x ** 3.0), x, tf.constant(2.0, tf.float64)),
    "gradients/by_intermediate": lambda tf, x: _through(tf, x),
    "gradients/x_in_both_roles": lambda tf, x: tf.gradients(x, x),
    "gradients/y_of_y": lambda tf, x: _y_of_y(tf, x),
    "gradients/stop_gradients": lambda tf, x: _two(tf, x,
                                                   lambda y, a, b:
                                                       tf.gradients(y, [x, a, b], stop_gradients=[a, b])),
    "gradients/stop_gradient_op": lambda tf, x: tf.gradients(x * tf.stop_gradient(x * 2.0), x),
    "gradients/prevent_gradient_free": lambda tf, x: tf.gradients(tf.identity(x) * 2.0, x),
    "gradients/unconnected_none": lambda tf, x: tf.gradients(tf.constant(1.0), x),
    "gradients/unconnected_zero": lambda tf, x:
        tf.gradients(tf.constant(1.0), [x], unconnected_gradients="zero"),
    "gradients/unconnected_enum": lambda tf, x:
        tf.gradients(tf.constant(1.0), x, unconnected_gradients=tf.UnconnectedGradients.ZERO),
    "gradients/partly_connected": lambda tf, x: _two(tf, x, lambda y, a, b: tf.gradients(a * 2.0, [a, b, x])),
    "gradients/through_int": lambda tf, x: tf.gradients(tf.cast(tf.cast(x, tf.int32), tf.float64) + x, x),
    "gradients/cast_back": lambda tf, x: tf.gradients(tf.cast(x, tf.float32) * 3.0, x),
    "gradients/diamond": lambda tf, x: _diamond(tf, x),
    "gradients/many_uses": lambda tf, x: tf.gradients(tf.add_n([x * float(i) for i in range(1, 6)]) + x * x,
                                                      x),
    "gradients/broadcast": lambda tf, x: tf.gradients(tf.expand_dims(x, 1) * x, x),
    "gradients/names": lambda tf, x: tf.gradients(x * 2.0, x, name="back"),
    "gradients/colocate": lambda tf, x: tf.gradients(x * 2.0, x, colocate_gradients_with_ops=True,
                                                     gate_gradients=True),
    "gradients/aggregation_accumulate": lambda tf, x:
        tf.gradients(x * x + tf.exp(x), x, aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE),
    "gradients/multi_output_op": lambda tf, x: tf.gradients(tf.unstack(x)[1] * 2.0 + tf.split(x, 3)[0], x),
    "gradients/top_k": lambda tf, x: tf.gradients(tf.nn.top_k(x, 2).values, x),
    "gradients/no_use_of_x": lambda tf, x: tf.gradients(tf.shape(x), x),
    "gradients/dropout": lambda tf, x: _dropout(tf, x),
    "second/square": lambda tf, x: tf.gradients(tf.gradients(x ** 3.0, x)[0], x),
    "second/third": lambda tf, x: _order(tf, lambda v: v ** 5.0, x, 3),
    "second/exp": lambda tf, x: _order(tf, tf.exp, x, 3),
    "second/sigmoid": lambda tf, x: _order(tf, tf.sigmoid, x, 2),
    "second/tanh": lambda tf, x: _order(tf, tf.tanh, x, 3),
    "second/softplus": lambda tf, x: _order(tf, tf.nn.softplus, x, 2),
    "second/log": lambda tf, x: _order(tf, lambda v: tf.log(v * v), x, 2),
    "second/sqrt": lambda tf, x: _order(tf, lambda v: tf.sqrt(v * v + 1.0), x, 2),
    "second/rsqrt": lambda tf, x: _order(tf, lambda v: tf.rsqrt(v * v + 1.0), x, 2),
    "second/division": lambda tf, x: _order(tf, lambda v: 1.0 / (v * v + 1.0), x, 2),
    "second/reciprocal": lambda tf, x: _order(tf, lambda v: tf.reciprocal(v + 4.0), x, 2),
    "second/product": lambda tf, x: _order(tf, lambda v: tf.reduce_prod(tf.sin(v)), x, 2),
    "second/max": lambda tf, x: _order(tf, lambda v: tf.reduce_max(v * v), x, 2),
    "second/softmax": lambda tf, x: _order(tf, lambda v: tf.nn.softmax(v) * v, x, 2),
    "second/log_softmax": lambda tf, x: _order(tf, lambda v: tf.nn.log_softmax(v) * v, x, 2),
    "second/elu_selu": lambda tf, x: [_order(tf, tf.nn.elu, x, 2), _order(tf, tf.nn.selu, x, 2)],
    "second/relu": lambda tf, x: [_order(tf, lambda v: tf.nn.relu(v) ** 2.0, x, 2),
                                  _order(tf, lambda v: tf.nn.relu6(v) ** 2.0, x, 2),
                                  _order(tf, lambda v: tf.nn.leaky_relu(v) ** 2.0, x, 2)],
    "second/matmul": lambda tf, x: _order(tf,
                                          lambda v: tf.matmul(tf.expand_dims(v, 0),
                                                              tf.expand_dims(v, 1)) ** 2.0, x, 2),
    "second/gather": lambda tf, x: _order(tf, lambda v: tf.gather(v, [0, 2, 2]) ** 3.0, x, 2),
    "second/slices": lambda tf, x: _order(tf, lambda v: v[1:] * v[:-1] * v[::-1][0], x, 2),
    "second/concat_pad_tile": lambda tf, x: _order(tf,
                                                   lambda v: tf.pad(tf.concat([v, tf.tile(v, [2])], 0),
                                                                    [[1, 1]]) ** 3.0, x, 2),
    "second/where": lambda tf, x: _order(tf, lambda v: tf.where(v > 0.0, v ** 3.0, v ** 2.0), x, 2),
    "second/pow_both": lambda tf, x: _order(tf, lambda v: tf.pow(tf.abs(v) + 1.0, v), x, 2),
    "second/cross_entropy": lambda tf, x: _order(
        tf, lambda v:
            tf.nn.softmax_cross_entropy_with_logits_v2(labels=tf.constant([0.2, 0.5, 0.3], tf.float64),
                                                       logits=v), x, 2),
    "second/sigmoid_cross_entropy": lambda tf, x: _order(
        tf, lambda v:
            tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.constant([0.2, 0.5, 0.3], tf.float64),
                                                    logits=v), x, 2),
    "second/cumsum": lambda tf, x: _order(tf, lambda v: tf.cumsum(v * v) * v, x, 2),
    "second/norm_clip": lambda tf, x: _order(tf, lambda v: tf.clip_by_norm(v, 1.0), x, 2),
    "hessians/one": lambda tf, x: tf.hessians(tf.reduce_sum(x ** 3.0) + x[0] * x[1], x),
    "hessians/two": lambda tf, x: _hessians(tf, x),
    "hessians/of_cross_entropy": lambda tf, x: tf.hessians(
        tf.nn.softmax_cross_entropy_with_logits_v2(labels=[0.0, 1.0, 0.0], logits=x), x),
    "jacobian/by_rows": lambda tf, x: tf.stack([tf.gradients(y, x)[0] for y in tf.unstack(tf.nn.softmax(x))]),
    "custom/scaled": lambda tf, x: _custom(tf, x, lambda dy: dy * 10.0),
    "custom/clipped": lambda tf, x: _custom(tf, x, lambda dy: tf.clip_by_value(dy, -0.5, 0.5)),
    "custom/two_inputs": lambda tf, x: _custom_two(tf, x),
    "custom/log1pexp": lambda tf, x: _log1pexp(tf, x * 100.0),
    "override/map": lambda tf, x: _overridden(tf, x),
    "override/stop_at_op": lambda tf, x: tf.gradients(tf.stop_gradient(x) * x, x),
    "clip/gradients": lambda tf, x: tf.clip_by_global_norm(tf.gradients(x ** 3.0, [x]), 1.0),
    "clip/each": lambda tf, x: [tf.clip_by_norm(g, 1.0) for g in tf.gradients([x * x, tf.exp(x)], [x])],
    "function/py_func_none": lambda tf, x: tf.gradients(tf.py_func(lambda v: v * 2.0, [x], tf.float64) + x,
                                                        x),
}, VECTOR, gradient=False, unknown=False)


def _two(tf, x, differentiate):
    a, b = x * 2.0, tf.sin(x)
    return differentiate(a * b + x, a, b)


def _through(tf, x):
    hidden = tf.tanh(x)
    y = tf.reduce_sum(hidden * hidden)
    return tf.gradients(y, [hidden, x])


def _y_of_y(tf, x):
    y = x * x
    return tf.gradients([y, y * 2.0], [y, x])


def _diamond(tf, x):
    a = tf.exp(x)
    b, c = a * 2.0, tf.sin(a)
    return tf.gradients(b * c, [x, a, b, c])


def _dropout(tf, x):
    y = tf.nn.dropout(x, 0.5, seed=3)
    return [y, tf.gradients(y, x)]


def _order(tf, function, x, order):
    y = function(x)
    for _ in range(order):
        y = tf.convert_to_tensor(tf.gradients(y, x)[0])
    return y


def _hessians(tf, x):
    a, b = x[:2], x[1:]
    a, b = tf.identity(a), tf.identity(b)
    return tf.hessians(tf.reduce_sum(a * a * b * b), [a, b])


def _custom(tf, x, gradient):
    @tf.custom_gradient
    def function(v):
        return v * v, gradient
    y = function(x)
    return [y, tf.gradients(y, x)]


def _custom_two(tf, x):
    @tf.custom_gradient
    def function(a, b):
        return a * b, lambda dy: (dy * 2.0, dy * b * 3.0)
    y = function(x, x + 1.0)
    return [y, tf.gradients(y, x)]


def _log1pexp(tf, x):
    @tf.custom_gradient
    def function(v):
        e = tf.exp(v)
        return tf.log(1.0 + e), lambda dy: dy * (1.0 - 1.0 / (1.0 + e))
    y = function(x)
    return tf.gradients(y, x)


def _overridden(tf, x):
    name = "GoldenTimesTen"
    try:
        tf.RegisterGradient(name)(lambda op, grad: grad * 10.0)
    except KeyError:  # registered by an earlier build of this case
        pass
    with tf.get_default_graph().gradient_override_map({"Identity": name}):
        y = tf.identity(x)
    return tf.gradients(y + tf.identity(x), x)


# Sparse gradients.

TABLE = f64(noise(4, 2, seed=3))
table({
    "slices/gather": lambda tf, p: tf.gradients(tf.gather(p, [2, 0, 2]) * 3.0, p),
    "slices/gather_twice": lambda tf, p: tf.gradients([tf.gather(p, [2, 0]), tf.gather(p, [2]) * 5.0], p),
    "slices/gather_and_dense": lambda tf, p: tf.gradients([tf.gather(p, [2, 0]), p * 0.5], p),
    "slices/embedding": lambda tf, p: tf.gradients(tf.nn.embedding_lookup(p, [[1, 1], [3, 0]]) ** 2.0, p),
    "slices/to_dense": lambda tf, p: tf.convert_to_tensor(tf.gradients(tf.gather(p, [2, 0, 2]), p)[0]),
    "slices/arithmetic": lambda tf, p: tf.gradients(tf.gather(p, [2, 0, 2]), p)[0].values * 2.0,
    "slices/second_order": lambda tf, p:
        tf.gradients(tf.convert_to_tensor(tf.gradients(tf.gather(p, [2, 0, 2]) ** 2.0, p)[0]) * p, p),
    "slices/grad_of_slice_tensor": lambda tf, p:
        tf.gradients(tf.reduce_sum(tf.gather(p, [1])) * tf.reduce_sum(p), p),
    "slices/global_norm": lambda tf, p: tf.clip_by_global_norm(tf.gradients(tf.gather(p, [2, 0]), p), 0.5),
    "slices/gather_axis1_is_dense": lambda tf, p: tf.gradients(tf.gather(p, [1, 1], axis=1), p),
}, TABLE, gradient=False, unknown=False)


@case("slices/variable")
def _(tf):
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return tf.gradients(tf.reduce_sum(tf.gather(v, [0, 2]) ** 2.0), v)


@case("slices/resource_variable")
def _(tf):
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], use_resource=True)
    return tf.gradients(tf.reduce_sum(tf.gather(v, [0, 2]) ** 2.0), v)


@case("variables/by_variable")
def _(tf):
    a, b = tf.Variable(2.0), tf.Variable([1.0, 3.0], use_resource=True)
    return tf.gradients(a * a * b, [a, b])


@case("variables/linear_regression")
def _(tf):
    x, y = tf.constant([[1.0, 2.0], [3.0, -1.0]]), tf.constant([[1.0], [0.0]])
    w, b = tf.Variable([[0.5], [-0.5]]), tf.Variable([0.1])
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w) + b - y))
    return [loss] + tf.gradients(loss, [w, b])


@case("variables/hessian_vector_product")
def _(tf):
    w = tf.Variable([1.0, -2.0, 0.5])
    gradient = tf.gradients(tf.reduce_sum(tf.exp(w)) * w[0], w)[0]
    return tf.gradients(tf.reduce_sum(gradient * [1.0, 0.0, 2.0]), w)


@case("fed/unknown_batch", None, f32(noise(3, 2), [None, 2]), f32(noise(3, 1, seed=2), None), gradient=False,
      unknown=False)
def _(tf, x, y):
    w = tf.Variable([[0.5], [-0.5]])
    loss = tf.reduce_mean((tf.matmul(x, w) - y) ** 2.0)
    return script(Run(tf.gradients(loss, [w, x])),
                  Run(tf.gradients(loss, w), feed={x: noise(1, 2), y: [[2.0]]}))


@case("numeric/compute_gradient_error", nodes="a numerical helper", ulps=0, function="it runs a session")
def _(tf):
    x = tf.constant([0.5, 1.5, -1.0], tf.float64)
    y = tf.sin(x) * x
    with tf.Session():
        return bool(tf.test.compute_gradient_error(x, [3], y, [3]) < 1e-3)


# The beginning of the message that counts is given where TensorFlow's goes on with an accident.
ERRORS = {
    "not_registered": (lambda tf: _with_x(tf, lambda x: tf.gradients(tf.guarantee_const(x), x)), None),
    "explicitly_disabled": (lambda tf: _twice_sparse(tf), "Gradient explicitly disabled."),
    "grad_ys_length": (lambda tf: tf.gradients(tf.constant(1.0), tf.constant(1.0), grad_ys=[1.0, 2.0]), None),
    "grad_ys_dtype": (lambda tf: _with_x(tf, lambda x: tf.gradients(x * 1.0, x, grad_ys=[tf.constant(1)])),
                      ""),
    "string": (lambda tf: tf.gradients(tf.constant("a") + "b", tf.constant("a")), ""),
    "registered_twice": (lambda tf:
        [tf.RegisterGradient("GoldenTwice")(len), tf.RegisterGradient("GoldenTwice")(len)],
                         "Registering two gradient with name 'GoldenTwice'!"),
    "unconnected_value": (lambda tf: _with_x(tf, lambda x: tf.gradients(x, x, unconnected_gradients="bad")),
                          None),
    "override_not_a_dict": (lambda tf: tf.get_default_graph().gradient_override_map(["Identity"]).__enter__(),
                            None),
}
for name, (build, message) in ERRORS.items():
    case("error/" + name, build, raises=True, message=message)


def _with_x(tf, function):
    return function(tf.constant(1.0))


def _twice_sparse(tf):
    x = tf.constant([0.5, 1.0])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant(1), logits=x)
    return tf.hessians(loss * 1.0, x)
