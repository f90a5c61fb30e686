"""Conditions and loops: values, static shapes and first derivatives, in graphs, eagerly and in functions."""
from __future__ import annotations

from ..spec import Family, Run, boolean, f32, f64, i32, script

FAMILY = Family("control_flow", nodes="branches and loops' bodies are functions here", ulps=32, near="max")
case, table = FAMILY.case, FAMILY.table
CHANGES = "each call changes its variable once more"
OF_GRAPHS = "it is about the graph's static shapes and kinds of results"

X = f64([0.7, -1.2, 2.5])
YES, NO = boolean(True), boolean(False)


def by_sign(tf, x, positive, negative):
    return tf.cond(tf.reduce_sum(x) > 0.0, positive, negative)


def steps(tf, count, body, *start):
    """The variables after `count` turns of `body`."""
    return tf.while_loop(lambda i, *_: i < count, lambda i, *rest: (i + 1,) + tuple(body(i, *rest)), (0,) + start)[1:]


# Conditions.

for name, pred in (("true", YES), ("false", NO)):
    table({
        f"cond/{name}/python": lambda tf, p: tf.cond(p, lambda: 1.5, lambda: 2.5),
        f"cond/{name}/structure": lambda tf, p: tf.cond(
            p, lambda: {"a": 1.0, "b": (2, [3.0, 4.0])}, lambda: {"a": 5.0, "b": (6, [7.0, 8.0])}),
        f"cond/{name}/strict": lambda tf, p: tf.cond(p, lambda: [1.0], lambda: [2.0], strict=True),
        f"cond/{name}/single": lambda tf, p: tf.cond(p, lambda: [1.0], lambda: [2.0]),
        f"cond/{name}/case": lambda tf, p: tf.case([(p, lambda: 1.0)], default=lambda: 2.0),
    }, pred, eager="eagerly the results are what a function gave", function=True)
    table({
        f"cond/{name}/scalar": lambda tf, p: tf.cond(p, lambda: tf.constant(1.5), lambda: tf.constant(2.5)),
        f"cond/{name}/strings": lambda tf, p: tf.cond(p, lambda: tf.constant("yes"), lambda: tf.constant(["no"])),
        f"cond/{name}/numpy": lambda tf, p: tf.cond(p, lambda: f32([1, 2]).value, lambda: f32([3, 4]).value),
        f"cond/{name}/ranks": lambda tf, p: tf.cond(p, lambda: tf.zeros([2, 3]), lambda: tf.zeros([3])),
        f"cond/{name}/dims": lambda tf, p: tf.cond(p, lambda: tf.zeros([2, 3]), lambda: tf.zeros([4, 3])),
    }, pred)
    table({
        f"cond/{name}/values": lambda tf, p, x: tf.cond(p, lambda: x * tf.sin(x), lambda: tf.exp(x)),
        f"cond/{name}/as_it_is": lambda tf, p, x: tf.cond(p, lambda: x, lambda: x * 2.0),
        f"cond/{name}/several": lambda tf, p, x: tf.cond(p, lambda: (x, x[0]), lambda: (x * x, x[1] * x[2])),
        f"cond/{name}/constant": lambda tf, p, x: tf.cond(p, lambda: tf.reduce_sum(x), lambda: 0.0 * x[0] + 1.0),
        f"cond/{name}/stopped": lambda tf, p, x: tf.cond(p, lambda: tf.stop_gradient(x) * x, lambda: x**3.0),
        f"cond/{name}/slices": lambda tf, p, x: tf.cond(p, lambda: x[:2], lambda: x[1:]),
        f"cond/{name}/gather": lambda tf, p, x: tf.cond(
            p, lambda: tf.gather(x * 1.0, [0, 0]), lambda: tf.gather(x * 2.0, [1, 2])),
        f"cond/{name}/sparse": lambda tf, p, x: tf.cond(
            p, lambda: tf.SparseTensor([[0], [1]], x[:2], [3]), lambda: tf.SparseTensor([[1], [2]], x[1:], [3])).values,
        f"cond/{name}/nested": lambda tf, p, x: tf.cond(
            p, lambda: by_sign(tf, x, lambda: x * x, lambda: x),
            lambda: by_sign(tf, -x, lambda: -x, lambda: tf.exp(x))),
    }, pred, X)

for index in (0, 1, 3):
    case(f"case/last/{index}", lambda tf, i, x: tf.case(
        [(i < 1, lambda: x), (tf.equal(i, 1), lambda: x * x), (i > 2, lambda: x * 3.0)]), i32(index), X)
for index in (0, 2, 7):
    case(f"case/default/{index}", lambda tf, i, x: tf.case(
        [(i < 1, lambda: x), (i < 5, lambda: x * x)], default=lambda: x * 3.0, exclusive=False), i32(index), X)
    case(f"switch_case/{index}", lambda tf, i, x: tf.switch_case(i, [lambda: x, lambda: x * x, lambda: tf.exp(x)]),
         i32(index), X)
case("switch_case/default", lambda tf, i, x: tf.switch_case(i, {1: lambda: x, 0: lambda: x * x}, default=lambda: -x),
     i32(-1), X)

# Loops.

table({
    "while/count": lambda tf: tf.while_loop(lambda i: i < 10, lambda i: i + 1, [0]),
    "while/none": lambda tf: tf.while_loop(lambda i: i < 0, lambda i: i + 1, [5]),
    "while/bounded": lambda tf: tf.while_loop(
        lambda i, s: i < 10, lambda i, s: (i + 1, s + i), (0, 1), maximum_iterations=4),
    "while/bound_tensor": lambda tf: tf.while_loop(
        lambda i, s: True, lambda i, s: (i + 1, s + i), (0, 1), maximum_iterations=tf.constant(4)),
    "while/no_turns": lambda tf: tf.while_loop(
        lambda i, s: True, lambda i, s: (i + 1, s + i), (0, 1), maximum_iterations=0),
    "while/fibonacci": lambda tf: steps(tf, 10, lambda i, a, b: (b, a + b), 0, 1),
    "while/strings": lambda tf: steps(tf, 3, lambda i, s: (tf.strings.join([s, "a"]),), "x"),
    "while/structure": lambda tf: steps(
        tf, 3, lambda i, d: ({"a": d["a"] * 2.0, "b": (d["b"][1], d["a"])},), {"a": 1.0, "b": (2.0, 3.0)}),
    "while/grows": lambda tf: tf.while_loop(
        lambda i, v: i < 4, lambda i, v: (i + 1, tf.concat([v, [i]], 0)), [tf.constant(0), tf.constant([7])],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])]),
    "while/any_rank": lambda tf: tf.while_loop(
        lambda i, v: i < 2, lambda i, v: (i + 1, v[None]), [tf.constant(0), tf.constant([7])],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape(None)]),
    "while/unchanged": lambda tf: steps(tf, 3, lambda i, x: (x,), tf.constant([1.0, 2.0])),
    "while/swapped": lambda tf: steps(tf, 3, lambda i, x, y: (y, x), 1.0, 2.0),
    "while/options": lambda tf: tf.while_loop(
        lambda i: i < 3, lambda i: i + 1, [0], parallel_iterations=1, swap_memory=True, back_prop=False, name="w"),
    "while/collatz": lambda tf: tf.while_loop(
        lambda n, count: n > 1,
        lambda n, count: (tf.cond(tf.equal(n % 2, 0), lambda: n // 2, lambda: 3 * n + 1), count + 1), (27, 0)),
    "while/nested": lambda tf: steps(
        tf, 3, lambda i, s: (tf.while_loop(lambda j, t: j < i, lambda j, t: (j + 1, t + i * j), (0, s))[1],), 100),
    "while/primes": lambda tf: tf.while_loop(
        lambda n, count: n < 30,
        lambda n, count: (n + 1, count + tf.cast(tf.while_loop(
            lambda d: tf.logical_and(d < n, n % d > 0), lambda d: d + 1, [tf.constant(2)]) >= n, tf.int32)), (2, 0)),
})

table({
    "while/powers": lambda tf, x: steps(tf, 4, lambda i, y: (y * x,), x),
    "while/mixed": lambda tf, x: steps(tf, 4, lambda i, y: (y * tf.sin(x) + x,), x),
    "while/open": lambda tf, x: tf.while_loop(
        lambda y: tf.reduce_sum(y * y) < 100.0, lambda y: (y * 1.5 + 0.1 * x,), (x,))[0],
    "while/zero_turns": lambda tf, x: tf.while_loop(lambda i, y: i < 0, lambda i, y: (i + 1, y * y), (0, x))[1],
    "while/stopped": lambda tf, x: steps(tf, 3, lambda i, y: (y * tf.stop_gradient(x),), x),
    "while/two_results": lambda tf, x: steps(tf, 3, lambda i, a, b: (b * x, a + b), x, x * x),
    "while/unused": lambda tf, x: steps(tf, 3, lambda i, a, b: (a * x, b + 1.0), x, x * x)[0],
    "while/in_cond": lambda tf, x: by_sign(
        tf, x, lambda: steps(tf, 3, lambda i, y: (y * x,), x)[0], lambda: tf.exp(x)),
    "while/cond_in_loop": lambda tf, x: steps(
        tf, 4, lambda i, y: (tf.cond(tf.equal(i % 2, 0), lambda: y * x, lambda: y + tf.sin(x)),), x),
    "while/nested_gradient": lambda tf, x: steps(
        tf, 3,
        lambda i, y: (tf.while_loop(lambda j, z: j < 2, lambda j, z: (j + 1, z * x + tf.sin(z)), (0, y))[1],), x),
    "while/gather": lambda tf, x: steps(tf, 3, lambda i, s: (s + tf.gather(x * 1.0, i) ** 2.0,), tf.zeros([], x.dtype)),
}, X)
table({
    "while/sparse": lambda tf, x: steps(
        tf, 2, lambda i, s: (tf.SparseTensor(s.indices, s.values * x, s.dense_shape),),
        tf.SparseTensor([[0], [2], [4]], x, [5]))[0].values,
    "while/slices": lambda tf, x: steps(
        tf, 2, lambda i, s: (tf.IndexedSlices(s.values * x, s.indices),),
        tf.IndexedSlices(x, tf.constant([0, 2, 4])))[0].values,
}, X, unknown=False, function=True)
case("while/matrix", lambda tf, x: steps(
    tf, 3, lambda i, s: (tf.tanh(tf.matmul(s, x[:, None] * x[None, :])),), x[None] * 0.1), X, ulps=1024)


@case("while/results", eager=OF_GRAPHS)
def _(tf):
    def kind(result):
        return type(result).__name__

    return [
        kind(tf.while_loop(lambda i: i < 3, lambda i: i + 1, [0], return_same_structure=True)),
        kind(tf.while_loop(lambda i: i < 3, lambda i: (i + 1,), [0], return_same_structure=True)),
        kind(tf.while_loop(lambda i, j: i < 3, lambda i, j: [i + 1, j], (0, 1))),
        kind(tf.while_loop(lambda i, j: i < 3, lambda i, j: (i + 1, j), [0, 1])),
        kind(tf.while_loop(lambda i: i < 3, lambda i: [i + 1], (0,)).op.name),
    ]


# Variables.

for kind, resource in (("ref", False), ("resource", True)):
    @case(f"variables/branches/{kind}", function=CHANGES)
    def _(tf, resource=resource):
        v = tf.Variable(1.0, use_resource=resource)
        up = tf.cond(tf.constant(True), lambda: tf.assign_add(v, 10.0), lambda: tf.assign(v, 0.0))
        with tf.control_dependencies([up]):
            down = tf.cond(tf.constant(False), lambda: tf.assign_add(v, 10.0), lambda: tf.assign(v, v / 2.0))
        return script(down + 0.0, v)

    @case(f"variables/loop/{kind}", eager="eagerly a loop has run when it is built")
    def _(tf, resource=resource):
        v = tf.Variable(1.0, use_resource=resource)

        def body(i):
            with tf.control_dependencies([tf.assign(v, v * 2.0 + tf.cast(i, tf.float32))]):
                return i + 1

        return script(Run(tf.while_loop(lambda i: i < 5, body, [0], parallel_iterations=1), times=2), v)

    @case(f"variables/gradients/{kind}", eager="it differentiates with respect to variables in a graph")
    def _(tf, resource=resource):
        v = tf.Variable([0.5, -0.3], dtype=tf.float64, use_resource=resource)
        looped = steps(tf, 3, lambda i, y: (tf.tanh(y * v + v),), tf.constant([1.0, 2.0], tf.float64))[0]
        chosen = tf.cond(tf.reduce_sum(looped) > 0.0, lambda: tf.reduce_sum(looped * v), lambda: tf.reduce_sum(v))
        return script([chosen, tf.gradients(chosen, v), tf.gradients(looped, v)])


# Errors.

CHECKED = {
    "cond/structure": lambda tf, x: tf.cond(x[0] > 0.0, lambda: (x, x), lambda: x),
    "cond/keys": lambda tf, x: tf.cond(x[0] > 0.0, lambda: {"a": x}, lambda: {"b": x}),
    "cond/kinds": lambda tf, x: tf.cond(x[0] > 0.0, lambda: (x, x), lambda: [x, x]),
    "cond/dtypes": lambda tf, x: tf.cond(x[0] > 0.0, lambda: x, lambda: 1),
    "cond/no_true_result": lambda tf, x: tf.cond(x[0] > 0.0, lambda: None, lambda: x),
    "cond/no_false_result": lambda tf, x: tf.cond(x[0] > 0.0, lambda: x, lambda: None),
    "cond/no_results": lambda tf, x: tf.cond(x[0] > 0.0, lambda: [], lambda: []),
    "cond/callable": lambda tf, x: tf.cond(x[0] > 0.0, x, lambda: x),
    "cond/int": lambda tf, x: tf.cond(tf.constant(1), lambda: x, lambda: x),
    "cond/vector": lambda tf, x: tf.cond(x > 0.0, lambda: x, lambda: x),
    "cond/bool": lambda tf, x: tf.cond(True, lambda: x, lambda: x),
    "cond/both_names": lambda tf, x: tf.cond(x[0] > 0.0, lambda: x, lambda: x, fn1=lambda: x),
    "while/int": lambda tf, x: tf.while_loop(lambda i: i, lambda i: i, [tf.constant(1)]),
    "while/vector": lambda tf, x: tf.while_loop(lambda i: i > 0.0, lambda i: i, [x]),
    "while/shape": lambda tf, x: tf.while_loop(lambda i: True, lambda i: tf.concat([i, i], 0), [tf.identity(x, "n")]),
    "while/invariant": lambda tf, x: tf.while_loop(
        lambda i: True, lambda i: i, [tf.identity(x, "n")], shape_invariants=[tf.TensorShape([7])]),
    "while/too_few": lambda tf, x: tf.while_loop(lambda i, j: True, lambda i, j: i, [x, x]),
    "while/too_many": lambda tf, x: tf.while_loop(lambda i: True, lambda i: (i, i), [x]),
    "while/none": lambda tf, x: tf.while_loop(lambda i: True, lambda i: None, [x]),
    "while/cond_callable": lambda tf, x: tf.while_loop(3, lambda i: i, [x]),
    "while/body_callable": lambda tf, x: tf.while_loop(lambda i: True, 3, [x]),
    "while/no_variables": lambda tf, x: tf.while_loop(lambda: True, lambda: [], []),
    "while/parallel": lambda tf, x: tf.while_loop(lambda i: True, lambda i: i, [x], parallel_iterations=0),
    "while/bound": lambda tf, x: tf.while_loop(lambda i: True, lambda i: i, (x,), maximum_iterations=[1, 2]),
    "case/callable": lambda tf, x: tf.case([(tf.identity(x[0] > 0.0, "p"), 3), (x[1] > 0.0, lambda: x)]),
    "case/pred": lambda tf, x: tf.case([("a", lambda: x)]),
    "switch_case/keys": lambda tf, x: tf.switch_case(tf.constant(1), {0: lambda: x, 2: lambda: x}),
}  # fmt: skip
table({f"errors/{name}": build for name, build in CHECKED.items()}, f32([0.5, 1.0]), raises=True, unknown=False,
      eager="eagerly one function is simply called", function="what functions demand is TensorFlow 2's")


def leaked(tf, build):
    kept = []
    build(lambda value: kept.append(value) or value)
    return kept[0] + 1


table({
    "errors/out_of_loop": lambda tf: leaked(
        tf, lambda keep: tf.while_loop(lambda i: i < 3, lambda i: keep(i + 1), [0])),
    "errors/variable_of_a_tensor": lambda tf: tf.cond(
        tf.constant(True), lambda: tf.Variable(tf.ones([2]), name="v") * 2.0, lambda: tf.zeros([2])),
    "errors/get_variable_of_a_tensor": lambda tf: tf.while_loop(
        lambda i: i < 3, lambda i: i + tf.get_variable("v", initializer=i), [0]),
}, raises=True, eager="it is about graphs")
