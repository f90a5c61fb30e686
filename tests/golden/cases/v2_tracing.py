"""tf.function: what it traces, what it computes, and Python's control flow inside of it."""

from __future__ import annotations

from ..spec import Family, f64, noise

FAMILY = Family("v2_tracing", tensorflow=2, ulps=16, near="max")
case, table = FAMILY.case, FAMILY.table

# Functions. `traced` counts how often Python runs them.


def counted(tf, function, **options):
    """A tf.function, and the list that grows when it is traced."""
    traced = []

    def body(*args, **kwargs):
        traced.append(1)
        return function(*args, **kwargs)

    return tf.function(body, autograph=False, **options), traced


def _calls(tf, arguments, **options):
    function, traced = counted(tf, lambda x: x, **options)
    return [[function(x) if tf.is_tensor(x) else str(function(x)), len(traced)][1] for x in arguments]


table(
    {
        "function/traces/tensors_of_one_kind": lambda tf: _calls(tf, [tf.constant(1.0), tf.constant(2.0)]),
        "function/traces/dtypes": lambda tf: _calls(tf, [tf.constant(1.0), tf.constant(1), tf.constant(2.0)]),
        "function/traces/shapes": lambda tf: _calls(tf, [tf.zeros([1]), tf.zeros([2]), tf.zeros([3]), tf.zeros([1])]),
        "function/traces/relaxed": lambda tf: _calls(
            tf, [tf.zeros([1]), tf.zeros([2]), tf.zeros([3]), tf.zeros([1])], reduce_retracing=True
        ),
        "function/traces/python_numbers": lambda tf: _calls(tf, [1, 2, 1, 3, 2]),
        "function/traces/none_and_text": lambda tf: _calls(tf, ["a", "b", "a", None, None]),
        "function/traces/lists": lambda tf: _calls(
            tf, [[tf.constant(1)], [tf.constant(2)], [tf.constant(1), tf.constant(2)], (tf.constant(1),)]
        ),
        "function/traces/signature": lambda tf: _calls(
            tf, [tf.zeros([1]), tf.zeros([2]), [1.0, 2.0, 3.0]], input_signature=[tf.TensorSpec([None], tf.float32)]
        ),
        "function/traces/concrete": lambda tf: _concrete(tf),
        "function/python_effects": lambda tf: _effects(tf),
        "function/captured_variable": lambda tf: _captured(tf),
        "function/created_variable": lambda tf: _created(tf),
        "function/order_of_assignments": lambda tf: _ordered(tf),
        "function/structures": lambda tf: _structures(tf),
        "function/nested_calls": lambda tf: _nested_calls(tf),
        "function/method": lambda tf: _method(tf),
        "function/recursion_on_python": lambda tf: _recursion(tf),
        "function/gradient_outside": lambda tf: _gradient_outside(tf),
        "function/gradient_inside": lambda tf: _gradient_inside(tf),
        "function/second_order": lambda tf: _second_order(tf),
        "function/run_eagerly": lambda tf: _run_eagerly(tf),
        "function/default_arguments": lambda tf: _defaults(tf),
        "function/unknown_shapes": lambda tf: _unknown_shapes(tf),
        "function/specs": lambda tf: _specs(tf),
        "function/numpy_function": lambda tf: _numpy_function(tf),
        "function/executing_eagerly": lambda tf: [
            tf.executing_eagerly(),
            tf.function(lambda: tf.constant(tf.executing_eagerly()))(),
        ],
        "function/training_step": lambda tf: _training_step(tf),
    }
)


def _concrete(tf):
    function, traced = counted(tf, lambda x, n: x * n)
    concrete = function.get_concrete_function(tf.TensorSpec([None], tf.float32), 3.0)
    return [
        concrete(tf.constant([1.0, 2.0])),
        function(tf.constant([1.0, 2.0]), 3.0),
        len(traced),
        str(concrete.output_shapes),
        concrete.output_dtypes.name,
        len(concrete.inputs),
    ]


def _effects(tf):
    seen = []

    @tf.function
    def function(x):
        seen.append("traced")
        return x + 1.0

    for value in (1.0, 2.0, 3.0):
        function(tf.constant(value))
    return [len(seen), function(tf.constant(4.0))]


def _captured(tf):
    v = tf.Variable(1.0)
    function = tf.function(lambda x: x * v)
    before = function(tf.constant(2.0))
    v.assign(10.0)
    return [before, function(tf.constant(2.0))]


def _created(tf):
    made = []

    @tf.function
    def counter():
        if not made:
            made.append(tf.Variable(0))
        return made[0].assign_add(1)

    return [counter(), counter(), counter(), len(made)]


def _ordered(tf):
    v = tf.Variable(1.0)

    @tf.function
    def function():
        first = v.read_value()
        v.assign_add(1.0)
        second = v + 0.0
        v.assign(v * 10.0)
        return first, second, v.read_value()

    return [function(), v]


def _structures(tf):
    @tf.function
    def function(data, pair, *rest, scale=1.0):
        return {
            "sum": data["a"] + data["b"][0],
            "pair": (pair[1], pair[0]),
            "rest": list(rest),
            "scaled": pair[0] * scale,
            "none": None,
        }

    got = function(
        {"a": tf.constant(1.0), "b": [tf.constant(2.0)]},
        (tf.constant(3.0), tf.constant(4.0)),
        tf.constant(5.0),
        scale=2.0,
    )
    return {key: value for key, value in got.items() if value is not None}


def _nested_calls(tf):
    inner = tf.function(lambda x: x * x)
    outer = tf.function(lambda x: inner(x) + inner(x + 1.0))
    return outer(tf.constant([1.0, 2.0]))


def _method(tf):
    class Model:
        def __init__(self, scale):
            self.v = tf.Variable(scale)

        @tf.function
        def __call__(self, x):
            return x * self.v

    return [Model(2.0)(tf.constant(3.0)), Model(5.0)(tf.constant(3.0))]


def _recursion(tf):
    @tf.function(autograph=False)
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    return power(tf.constant(2.0), 4)


def _gradient_outside(tf):
    v = tf.Variable(3.0)
    function = tf.function(lambda x: (x * x * v, tf.sin(x)))
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, z = function(x)
        total = y + 2.0 * z
    return tape.gradient(total, [x, v])


def _gradient_inside(tf):
    v = tf.Variable(3.0)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x * v
        return tape.gradient(y, [x, v])

    return step(tf.constant(2.0))


def _second_order(tf):
    function = tf.function(lambda x: tf.reduce_sum(x**4.0))
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        gradient = inner.gradient(y, x)
    return [gradient, outer.gradient(gradient, x)]


def _run_eagerly(tf):
    seen = []
    function = tf.function(lambda x: [seen.append(1), x][1], autograph=False)
    tf.config.run_functions_eagerly(True)
    try:
        function(tf.constant(1)), function(tf.constant(1))
    finally:
        tf.config.run_functions_eagerly(False)
    function(tf.constant(1)), function(tf.constant(1))
    return len(seen)


def _defaults(tf):
    @tf.function
    def function(x, y=2.0, *, z=3.0):
        return x + y * z

    return [function(1.0), function(1.0, 5.0), function(x=tf.constant(1.0), z=tf.constant(1.0)), function(y=1.0, x=1.0)]


def _unknown_shapes(tf):
    seen = []

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)], autograph=False)
    def function(x):
        seen.append(str(x.shape))
        return tf.reduce_sum(x, 1) + tf.cast(tf.shape(x)[0], tf.float32)

    return [function(tf.ones([1, 2])), function(tf.ones([3, 2])), seen]


def _specs(tf):
    function = tf.function(lambda x: {"y": x * 2.0, "n": tf.shape(x)}, autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec([None, 3], tf.float32, name="x"))
    return [
        {key: [spec.shape.as_list(), spec.dtype.name] for key, spec in concrete.structured_outputs.items()},
        [tensor.shape.as_list() for tensor in concrete.inputs],
    ]


def _numpy_function(tf):
    function = tf.function(lambda x: tf.numpy_function(lambda v: v[::-1].copy(), [x], tf.float32) + 1.0)
    return function(tf.constant([1.0, 2.0]))


def _training_step(tf):
    w, b = tf.Variable(tf.zeros([2, 1])), tf.Variable([0.0])
    x, y = tf.constant(noise(8, 2), tf.float32), tf.constant(noise(8, 1, seed=4), tf.float32)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ w + b - y) ** 2.0)
        for v, gradient in zip([w, b], tape.gradient(loss, [w, b])):
            v.assign_sub(0.1 * gradient)
        return loss

    return [[step() for _ in range(5)], w, b]


# Python control flow that tf.function turns into operations.

table(
    {
        "autograph/if": lambda tf: _both(tf, _sign, [-2.0, 0.0, 3.0]),
        "autograph/while": lambda tf: _both(tf, _collatz, [6, 7, 1]),
        "autograph/for_range": lambda tf: _both(tf, _triangle, [0, 1, 5]),
        "autograph/for_tensor": lambda tf: _both(tf, _longest_step, [[1.0, 5.0, 4.0], [0.0, 0.0, 9.0]]),
        "autograph/break_and_continue": lambda tf: _both(tf, _odd_sum, [10, 3]),
        "autograph/return_early": lambda tf: _both(tf, _first_above, [[1.0, 7.0, 8.0], [7.0, 2.0, 3.0]]),
        "autograph/logic": lambda tf: _both(tf, _in_band, [0.5, 2.0, -1.0]),
        "autograph/nested": lambda tf: _both(tf, _nested_loops, [3]),
    }
)


def _both(tf, make, arguments):
    function = make(tf)
    return [tf.function(function)(tf.constant(value)) for value in arguments]


def _sign(tf):
    def sign(x):
        if x > 0.0:
            y = 1.0
        elif x < 0.0:
            y = -1.0
        else:
            y = 0.0
        return y

    return sign


def _collatz(tf):
    def collatz(n):
        steps = 0
        while n > 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
        return steps

    return collatz


def _triangle(tf):
    def triangle(n):
        total = 0
        for i in tf.range(n):
            total += i
        return total

    return triangle


def _longest_step(tf):
    def longest_step(values):
        longest, before = 0.0, values[0]
        for value in values:
            longest = tf.maximum(longest, tf.abs(value - before))
            before = value
        return longest

    return longest_step


def _odd_sum(tf):
    def odd_sum(n):
        total = 0
        for i in tf.range(100):
            if i % 2 == 0:
                continue
            if i > n:
                break
            total += i
        return total

    return odd_sum


def _first_above(tf):
    def first_above(values):
        if values[0] > 5.0:
            return values[0]
        if values[1] > 5.0:
            return values[1]
        return values[2]

    return first_above


def _in_band(tf):
    def in_band(x):
        if x > 0.0 and not x > 1.0:
            return 1
        return 0

    return in_band


def _nested_loops(tf):
    def nested(n):
        total = 0
        for i in tf.range(n):
            for j in tf.range(i + 1):
                total += i * j
        return total

    return nested


case("gradient/through_everything", lambda tf, x: tf.function(_mixed(tf))(x), f64(noise(2, 3)))


def _mixed(tf):
    def mixed(x):
        y = tf.vectorized_map(lambda row: row * tf.reduce_sum(row), x)
        return tf.cond(tf.reduce_sum(x) > 100.0, lambda: y, lambda: y * tf.sin(x))

    return mixed
