"""Gradient tapes, forward accumulators and custom gradients."""

from __future__ import annotations

from ..spec import Family, noise

FAMILY = Family("v2_tapes", tensorflow=2, ulps=16, near="max")
case, table = FAMILY.case, FAMILY.table

# Tapes.

table(
    {
        "tape/simple": lambda tf: _tape(tf, lambda tape, x: tape.gradient(x * x, x)),
        "tape/structures": lambda tf: _tape(
            tf, lambda tape, x: tape.gradient({"a": x * 2.0, "b": [x * x]}, {"x": x, "y": [x]})
        ),
        "tape/unconnected": lambda tf: _tape(
            tf,
            lambda tape, x: [
                tape.gradient(tf.constant(1.0), x),
                tape.gradient(tf.constant(1.0), x, unconnected_gradients="zero"),
                tape.gradient(tf.ones([2]), [x], unconnected_gradients=tf.UnconnectedGradients.ZERO),
            ],
        ),
        "tape/output_gradients": lambda tf: _tape(
            tf, lambda tape, x: tape.gradient(x * x, x, output_gradients=tf.constant([1.0, 10.0, 100.0]))
        ),
        "tape/by_intermediate": lambda tf: _by_intermediate(tf),
        "tape/variables": lambda tf: _of_variables(tf),
        "tape/not_trainable": lambda tf: _not_trainable(tf),
        "tape/no_automatic_watching": lambda tf: _not_watching(tf),
        "tape/nested": lambda tf: _nested(tf),
        "tape/third_order": lambda tf: _third_order(tf),
        "tape/stop_recording": lambda tf: _stop_recording(tf),
        "tape/reset": lambda tf: _reset(tf),
        "tape/inside_of_another": lambda tf: _inner_persistent(tf),
        "tape/jacobian": lambda tf: _tape(
            tf,
            lambda tape, x: [
                tape.jacobian(x * x, x),
                tape.jacobian(tf.reduce_sum(x * x), x),
                tape.jacobian(tf.stack([x, x * x]), x),
            ],
        ),
        "tape/jacobian_no_pfor": lambda tf: _tape(
            tf, lambda tape, x: tape.jacobian(tf.exp(x), x, experimental_use_pfor=False)
        ),
        "tape/batch_jacobian": lambda tf: _batch_jacobian(tf),
        "tape/hessian": lambda tf: _hessian(tf),
        "tape/slices": lambda tf: _sparse(tf),
        "tape/stop_gradient": lambda tf: _tape(tf, lambda tape, x: tape.gradient(x * tf.stop_gradient(x * 2.0), x)),
        "tape/through_int": lambda tf: _tape(
            tf, lambda tape, x: tape.gradient(tf.cast(tf.cast(x, tf.int32), tf.float32) + x, x)
        ),
        "tape/custom_gradient": lambda tf: _custom(tf),
        "tape/custom_gradient_of_variable": lambda tf: _custom_with_variable(tf),
        "tape/recompute_grad": lambda tf: _recomputed(tf),
        "tape/grad_pass_through": lambda tf: _tape(
            tf, lambda tape, x: tape.gradient(tf.grad_pass_through(tf.round)(x) * 3.0, x)
        ),
        "tape/loop": lambda tf: _loop(tf),
        "tape/control_flow": lambda tf: _branches(tf),
        "accumulator/forward": lambda tf: _forward(tf),
        "accumulator/forward_over_reverse": lambda tf: _forward_over_reverse(tf),
        "tape/watched_variables": lambda tf: _watched(tf),
    }
)


def _tape(tf, use):
    x = tf.constant([0.5, -1.5, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        return use(tape, x)


def _by_intermediate(tf):
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        z = tf.reduce_sum(tf.sin(y))
    return tape.gradient(z, [y, x])


def _of_variables(tf):
    w, b = tf.Variable([[0.5], [-0.5]]), tf.Variable([0.1])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.matmul([[1.0, 2.0], [3.0, -1.0]], w) + b - [[1.0], [0.0]]))
    return [loss, tape.gradient(loss, {"w": w, "b": b})]


def _not_trainable(tf):
    a, b = tf.Variable(2.0), tf.Variable(3.0, trainable=False)
    with tf.GradientTape() as tape:
        y = a * b
    return tape.gradient(y, [a, b])


def _not_watching(tf):
    a, b = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(a)
        y = a * b
    return tape.gradient(y, [a, b])


def _nested(tf):
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = x**3.0
        first = inner.gradient(y, x)
    return [first, outer.gradient(first, x)]


def _third_order(tf):
    x = tf.Variable(1.5)
    with tf.GradientTape() as a, tf.GradientTape() as b, tf.GradientTape() as c:
        y = tf.exp(x) * tf.sin(x)
        first = c.gradient(y, x)
        second = b.gradient(first, x)
    return [first, second, a.gradient(second, x)]


def _stop_recording(tf):
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        with tape.stop_recording():
            z = x * x * x
    return [tape.gradient(y, x), tape.gradient(z, x)]


def _reset(tf):
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        tape.reset()
        tape.watch(x)
        z = y + x
    return tape.gradient(z, x)


def _inner_persistent(tf):
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    return [tape.gradient(z, x), tape.gradient(y, x), tape.gradient(z, y)]


def _batch_jacobian(tf):
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x**2.0 * tf.reverse(x, [1])
    return tape.batch_jacobian(y, x)


def _hessian(tf):
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = x[0] ** 2.0 * x[1]
        gradient = inner.gradient(y, x)
    return outer.jacobian(gradient, x)


def _sparse(tf):
    table = tf.Variable(tf.constant(noise(4, 2), tf.float32))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.gather(table, [2, 0, 2]) ** 2.0)
    gradient = tape.gradient(y, table)
    return [type(gradient).__name__, gradient.indices, gradient.values, tf.convert_to_tensor(gradient)]


def _custom(tf):
    @tf.custom_gradient
    def clipped(x):
        return tf.identity(x), lambda dy: tf.clip_by_value(dy, -0.5, 0.5)

    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = clipped(x) * [0.1, 10.0]
    return [y, tape.gradient(y, x)]


def _custom_with_variable(tf):
    v = tf.Variable(3.0)

    @tf.custom_gradient
    def scaled(x):
        def gradient(dy, variables=None):
            return dy * 10.0, [dy * 100.0 for _ in variables]

        return x * v, gradient

    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = scaled(x)
    return [y, tape.gradient(y, [x, v])]


def _recomputed(tf):
    v = tf.Variable(2.0)
    function = tf.recompute_grad(lambda x: tf.sin(x * v))
    x = tf.constant(0.5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return [y, tape.gradient(y, [x, v])]


def _loop(tf):
    x = tf.constant(1.1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x
        while y < 5.0:
            y = y * x + 0.5
    return [y, tape.gradient(y, x)]


def _branches(tf):
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        a = tf.cond(x > 1.0, lambda: x * x, lambda: x)
        b = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), [0, 1.0])[1]
        c = tf.switch_case(tf.constant(1), [lambda: x, lambda: x * 5.0])
        d = tf.case([(x > 5.0, lambda: x), (x > 1.0, lambda: x * 7.0)], default=lambda: x)
    return [[y, tape.gradient(y, x)] for y in (a, b, c, d)]


def _forward(tf):
    x, v = tf.constant([1.0, 2.0]), tf.Variable(3.0)
    with tf.autodiff.ForwardAccumulator(primals=[x, v], tangents=[tf.constant([1.0, 0.0]), tf.constant(10.0)]) as acc:
        y = x * x * v
        z = tf.constant(1.0)
    return [acc.jvp(y), acc.jvp(z), acc.jvp(z, unconnected_gradients="zero")]


def _forward_over_reverse(tf):
    x = tf.constant([1.0, 2.0, 3.0])
    with tf.autodiff.ForwardAccumulator(x, tf.constant([1.0, 0.0, 2.0])) as acc, tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_prod(x) + tf.reduce_sum(x**3.0)
    gradient = tape.gradient(y, x)
    return [gradient, acc.jvp(gradient)]


def _watched(tf):
    a, b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")
    with tf.GradientTape() as tape:
        b * a * b
    return [v.name for v in tape.watched_variables()]
