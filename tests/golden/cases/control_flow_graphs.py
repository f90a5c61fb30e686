"""Branches and loops' bodies as parts of a 1.x graph: numbering of operations, names, variables, collections.

Seeds of random operations without one, and so all random numbers, depend on how many operations the graph has.
`Notes.seed` reads the next one wherever a program is.
"""

from __future__ import annotations

from ..spec import Family, Run, script

FAMILY = Family(
    "control_flow_graphs", nodes="branches and loops' bodies are functions here", eager="it is about graphs"
)
case, table = FAMILY.case, FAMILY.table


class Notes(list):
    """What a program notes about the graph while it is built."""

    def __init__(self, tf):
        super().__init__()
        self.tf = tf
        tf.set_random_seed(1)

    def seed(self, value=None):
        """Notes the seed that a random operation would get here."""
        self.append(self.tf.get_seed(None)[1])
        return value

    def name(self, tensor):
        self.append(tensor.name)
        return tensor


def numbering(name):
    """A case: a program that notes seeds or names; they are compared."""

    def add(program):
        def build(tf):
            notes = Notes(tf)
            program(tf, notes)
            return list(notes.seed() or notes)

        case(name, build)
        return program

    return add


def vector(tf):
    return tf.placeholder(tf.float32, [2], name="x")


def flag(tf):
    return tf.placeholder(tf.bool, [], name="p")


# Numbering.


@numbering("seeds/cond")
def _(tf, note):
    x = vector(tf)
    p = flag(tf)
    tf.cond(p, lambda: note.seed(x * 2.0), lambda: note.seed(x))


@numbering("seeds/cond_nested")
def _(tf, note):
    p = flag(tf)
    x = tf.constant(3.0, name="x")

    def t():
        return note.seed(tf.cond(x > 1.0, lambda: note.seed(x * 2.0), lambda: note.seed(tf.constant(1.0)))), 1.0

    tf.cond(p, t, lambda: (note.seed(x), 2.0))


@numbering("seeds/while")
def _(tf, note):
    x = tf.constant(3.0, name="x")
    tf.while_loop(lambda i, y: note.seed(i < 3), lambda i, y: (i + 1, note.seed(y * x)), [0, x])


@numbering("seeds/max")
def _(tf, note):
    x = tf.constant(3.0, name="x")
    tf.while_loop(
        lambda i, y: y < note.seed(x * 5.0),
        lambda i, y: (i + 1, note.seed(y * x + tf.random_uniform([]))),
        (0, x),
        maximum_iterations=5,
    )


@numbering("seeds/mixed")
def _(tf, note):
    x = tf.constant(3.0, name="x")

    def body(i, y):
        _, z = tf.while_loop(
            lambda j, z: note.seed(j < i), lambda j, z: (j + 1, note.seed(z * x)), [0, y], name="inner"
        )
        note.seed()
        return i + 1, note.seed(tf.cond(i > 1, lambda: note.seed(z * x), lambda: note.seed(z + tf.random_uniform([]))))

    tf.while_loop(lambda i, y: i < 3, body, (0, x), maximum_iterations=5)


@numbering("seeds/vars")
def _(tf, note):
    v = tf.Variable(1.0, name="v")
    r = tf.get_variable("r", [2], use_resource=True)
    p = flag(tf)
    tf.cond(p, lambda: tf.group(note.seed(tf.assign(v, 2.0))), lambda: tf.no_op())
    note.seed()
    tf.cond(p, lambda: note.seed(tf.assign_add(r, [2.0, 1.0])), lambda: r * 2.0)
    note.seed()
    tf.while_loop(lambda i: i < 3, lambda i: tf.tuple([i + 1], control_inputs=[note.seed(tf.assign_add(v, 1.0))]), [0])
    note.seed()
    tf.cond(p, lambda: v, lambda: tf.assign_add(v, 1.0))
    note.seed()
    tf.cond(p, lambda: r, lambda: r + 1.0)
    note.seed()
    tf.cond(p, lambda: v.read_value(), lambda: v * 1.0)
    note.seed()


@numbering("seeds/arrays_in_cond")
def _(tf, note):
    p = flag(tf)
    x = tf.ones([4, 2])
    place = tf.identity(tf.constant(1))
    places = tf.constant([1, 2])
    array = tf.TensorArray(tf.float32, 4).unstack(x)
    note.seed()
    tf.cond(p, lambda: note.seed(array.read(place)), lambda: array.read(place) * 2.0)
    note.seed()
    tf.cond(p, lambda: note.seed(array.gather(places)), lambda: x[:2])
    note.seed()
    tf.cond(p, lambda: note.seed(array.unstack(x).flow), lambda: array.flow)
    note.seed()
    tf.cond(p, lambda: tf.TensorArray(tf.float32, place).write(0, note.seed(x)).stack(), lambda: x[None])
    note.seed()
    tf.while_loop(lambda i: i < 3, lambda i: i + tf.cast(note.seed(array.read(place))[0], tf.int32), [0])


@numbering("seeds/get_variable")
def _(tf, note):
    def body(i, y):
        w = tf.get_variable("w", [2, 2])
        note.seed()
        with tf.variable_scope("a"):
            w2 = tf.get_variable("w", [2, 2], use_resource=True)
            note.seed()
        return i + 1, note.seed(tf.matmul(y, w) + w2)

    tf.while_loop(lambda i, y: i < 3, body, [0, tf.ones([2, 2])])


@numbering("seeds/case")
def _(tf, note):
    x = tf.placeholder(tf.float32, [], name="x")
    tf.case(
        [(x > 1.0, lambda: note.seed(tf.constant(1))), (x > 2.0, lambda: note.seed(tf.constant(2)))],
        default=lambda: note.seed(tf.constant(3)),
        exclusive=True,
    )
    note.seed()
    tf.case([(x > 1.0, lambda: tf.constant(1)), (x > 2.0, lambda: note.seed(tf.constant(2)))])
    note.seed()
    tf.case([(x > 1.0, lambda: note.seed(tf.constant(1)))], exclusive=True)
    note.seed()
    tf.case(
        [
            (x > 1.0, lambda: note.seed(tf.constant(1))),
            (x > 2.0, lambda: note.seed(tf.constant(2))),
            (x > 4.0, lambda: note.seed(tf.constant(2))),
        ],
        default=lambda: note.seed(tf.constant(3)),
    )
    note.seed()


@numbering("seeds/assert")
def _(tf, note):
    x = tf.placeholder(tf.float32, [], name="x")
    p = flag(tf)
    tf.Assert(p, [x, 1.5, "s"])
    note.seed()
    tf.assert_equal(x, 2.0)
    note.seed()
    tf.Assert(p, ["s", tf.constant(1)])
    note.seed()

    def body(i):
        with tf.control_dependencies([tf.Assert(i < 5, [x, i])]):
            note.seed()
            return i + 1

    tf.while_loop(lambda i: i < 3, body, [0])
    note.seed()


@numbering("seeds/switch_case")
def _(tf, note):
    i = tf.placeholder(tf.int32, [], name="i")
    x = vector(tf)
    tf.switch_case(
        i,
        [
            lambda: note.seed(tf.constant(1.0)),
            lambda: note.seed(tf.random_uniform([])),
            lambda: note.seed(tf.reduce_sum(x * 2.0)),
        ],
    )
    note.seed()


@numbering("seeds/sparse")
def _(tf, note):
    x = tf.placeholder(tf.float32, [3], name="x")
    p = flag(tf)
    ix = tf.constant([0, 1, 2])
    tf.cond(
        p,
        lambda: (tf.SparseTensor([[0]], [1.0], [3]), {"a": x}),
        lambda: (tf.SparseTensor([[0]], [1.0], [3]), {"a": x}),
    )
    note.seed()
    tf.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, s), [0, tf.SparseTensor([[0]], [1.0], [3])], back_prop=False)
    note.seed()
    tf.constant([1.0, 2.0, 3.0])
    tf.cond(p, lambda: tf.IndexedSlices(x, ix), lambda: tf.IndexedSlices(x * 2.0, ix))
    note.seed()


@numbering("seeds/layers")
def _(tf, note):
    x = tf.placeholder(tf.float32, [4, 3], name="x")
    p = flag(tf)

    def t():
        y = tf.layers.dense(x, 5, name="d")
        note.seed()
        return tf.layers.batch_normalization(y, training=True, name="bn")

    def f():
        y = tf.layers.dense(x, 5, name="d", reuse=True)
        note.seed()
        return tf.layers.dropout(y, training=True)

    tf.cond(p, t, f)
    note.seed()


@numbering("seeds/cond_in_loop_vars")
def _(tf, note):
    def body(i, s):
        w = tf.cond(i > 1, lambda: tf.get_variable("w", [2]), lambda: tf.zeros([2]))
        note.seed()
        return i + 1, s + w + tf.nn.dropout(w, 0.5)

    i, s = tf.while_loop(lambda i, s: i < 3, body, [0, tf.zeros([2])], swap_memory=True)
    note.seed()
    return s + tf.random_normal([2])


@numbering("seeds/op_seeds_order")
def _(tf, note):
    a = tf.random_normal([2])
    p = flag(tf)
    b = tf.cond(p, lambda: tf.random_normal([2]), lambda: a)
    note.seed()
    c = tf.random_normal([2])
    d, _ = tf.while_loop(
        lambda x, y: tf.reduce_sum(x) < 10.0, lambda x, y: (x + tf.random_normal([2]), note.seed(y * c + b)), [a, b]
    )
    note.seed()
    with tf.control_dependencies([d]):
        tf.cond(p, lambda: note.seed(d * 2.0), lambda: note.seed(c))
        note.seed()


@numbering("seeds/outer_shape")
def _(tf, note):
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    n = tf.shape(x)[0]

    def body(i, acc):
        row = x[i]
        note.seed()
        return i + 1, tf.concat([acc, row[None]], 0)

    tf.while_loop(
        lambda i, acc: i < n,
        body,
        [tf.constant(0), tf.zeros([0, 3])],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 3])],
    )
    note.seed()


@numbering("seeds/print")
def _(tf, note):
    def body(i):
        i = tf.Print(i, [i, "x"])
        note.seed()
        with tf.control_dependencies([tf.print("a", i)]):
            return i + 1

    tf.while_loop(lambda i: i < 3, body, [0])
    note.seed()


@numbering("seeds/dict")
def _(tf, note):
    def body(i, d):
        return i + 1, {"a": note.seed(d["a"] + 1.0), "b": (d["b"][0], i)}

    tf.while_loop(lambda i, d: i < 3, body, [0, {"a": 1.0, "b": (2.0, 3)}])
    note.seed()


@numbering("seeds/pyfunc")
def _(tf, note):
    def body(i):
        return tf.reshape(tf.py_func(lambda v: v + 1, [i], tf.int32), [])

    tf.while_loop(lambda i: i < 3, body, [0])
    note.seed()


@numbering("seeds/assign_outer")
def _(tf, note):
    v = tf.get_variable("v", [], initializer=tf.zeros_initializer())
    p = flag(tf)
    u = tf.assign_add(v, 1.0)

    def t():
        with tf.control_dependencies([u]):
            return tf.identity(v)

    tf.cond(p, t, lambda: v.value())
    note.seed()
    tf.cond(p, lambda: u, lambda: v.value())
    note.seed()


@numbering("seeds/operations")
def _(tf, note):
    v = tf.get_variable("v", [], initializer=tf.zeros_initializer())
    p = flag(tf)
    u = tf.assign_add(v, 1.0).op
    tf.cond(p, lambda: u, tf.no_op)
    note.seed()
    tf.cond(p, lambda: [u, tf.constant(1)], lambda: [tf.no_op(), tf.constant(2)])
    note.seed()


@numbering("seeds/consts")
def _(tf, note):
    x = tf.constant([1, 2])
    p = flag(tf)
    tf.cond(p, lambda: note.seed(x[0]), lambda: note.seed(x[1]))
    note.seed()
    tf.while_loop(lambda i: i < x[0], lambda i: note.seed(i + x[1]), [0])
    note.seed()


@numbering("seeds/numpy_pred")
def _(tf, note):
    x = vector(tf)
    tf.cond(tf.constant(True), lambda: note.seed(x), lambda: note.seed(x + 1.0))
    note.seed()
    tf.while_loop(lambda i: tf.constant(True), lambda i: i + 1, [0], maximum_iterations=tf.constant(3))
    note.seed()


@numbering("names")
def _(tf, note):
    x = vector(tf)
    p = flag(tf)
    with tf.name_scope("outer"):
        with tf.variable_scope("vs"):
            y = tf.cond(p, lambda: note.name(tf.square(x)), lambda: note.name(x * 2.0 + tf.square(x)), name="c")
            note.name(y)

            def body(i, z):
                with tf.name_scope("in"):
                    q = note.name(tf.square(z))
                with tf.variable_scope("in2"):
                    q = note.name(tf.square(q) + tf.get_variable("w", [2]))
                note.name(i)
                note.name(z)
                return note.name(i + 1), note.name(tf.cond(p, lambda: note.name(q + 1.0), lambda: q))

            r = tf.while_loop(lambda i, z: note.name(i < 3), body, [0, x])
            note.name(r[0])
            note.name(r[1])
            note.name(tf.square(x))
    note.name(tf.cond(p, lambda: note.name(x + 1.0), lambda: x))
    note.name(tf.while_loop(lambda i: i < 3, lambda i: note.name(tf.identity(i) + 1), [0]))
    note.name(tf.case([(p, lambda: note.name(x + 1.0))], default=lambda: x))
    note.name(tf.constant(1.0))
    note.name(tf.while_loop(lambda i: i < 3, lambda i: note.name(tf.identity(i) + 1), [0], maximum_iterations=3))


# Random numbers.


@case("random/everywhere")
def _(tf):
    tf.set_random_seed(3)
    first = tf.random_normal([2])
    chosen = tf.cond(tf.constant(True), lambda: tf.random_uniform([2]), lambda: first)
    after = tf.random_normal([2])

    def body(i, total):
        w = tf.get_variable("w", [2])
        with tf.variable_scope("layer"):
            b = tf.get_variable("b", [2], use_resource=True)
        return i + 1, total + w * b + tf.cond(i > 0, lambda: tf.get_variable("v", [2]), lambda: chosen * 0.0)

    looped = tf.while_loop(lambda i, _: i < 2, body, (0, tf.zeros([2])))[1]
    return script([first, chosen, after, looped, tf.random_normal([2])], tf.global_variables())


@case("random/in_a_loop")
def _(tf):
    tf.set_random_seed(5)
    looped = tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, x + tf.random_normal([2])), (0, tf.zeros([2])))[1]
    return script(Run(looped, times=2))


@case("random/dropout")
def _(tf):
    tf.set_random_seed(7)
    x = tf.ones([4, 3])
    y = tf.cond(tf.constant(True), lambda: tf.layers.dropout(x, training=True), lambda: x)
    return script([y, tf.nn.dropout(x, 0.5)])


@case("random/layers")
def _(tf):
    tf.set_random_seed(9)
    x = tf.ones([2, 3])
    y = tf.cond(tf.constant(False), lambda: tf.layers.dense(x, 2, name="a"), lambda: tf.layers.dense(x, 2, name="b"))
    z = tf.layers.dense(y, 2)
    return script([y, z], tf.global_variables(), [v.name for v in tf.global_variables()])


# Variables, collections and order.


@case("variables/made_in_a_loop")
def _(tf):
    def body(i, s):
        v = tf.Variable(lambda: tf.ones([2]), name="v")
        w = tf.get_variable("w", [2], initializer=tf.constant_initializer(3.0), use_resource=True)
        return i + 1, s + v * w

    looped = tf.while_loop(lambda i, _: i < 3, body, (0, tf.zeros([2])))[1]
    return script(looped, [v.name for v in tf.global_variables()])


@case("variables/constant_in_a_branch")
def _(tf):
    y = tf.cond(tf.constant(True), lambda: tf.Variable([1.0, 2.0]) * 2.0, lambda: tf.zeros([2]))
    return script(y, [v.name for v in tf.global_variables()])


@case("variables/reused")
def _(tf):
    def network(x):
        with tf.variable_scope("net", reuse=tf.AUTO_REUSE):
            return tf.layers.dense(x, 2, name="fc", kernel_initializer=tf.ones_initializer())

    x = tf.ones([1, 2])
    y = tf.cond(tf.constant(True), lambda: network(x), lambda: network(x * 2.0))
    return script([y, network(x)], [v.name for v in tf.global_variables()])


def optimised(name, optimizer, resource):
    @case(f"training/loop/{name}")
    def _(tf):
        w = tf.get_variable("w", [], initializer=tf.constant_initializer(1.0), use_resource=resource)

        def body(i):
            with tf.control_dependencies([optimizer(tf).minimize(tf.square(w - 3.0))]):
                return i + 1

        turns = tf.while_loop(lambda i: i < 5, body, [0], parallel_iterations=1)
        return script(turns, w, [v.name for v in tf.global_variables()])

    @case(f"training/branch/{name}")
    def _(tf):
        w = tf.get_variable("w", [], initializer=tf.constant_initializer(1.0), use_resource=resource)
        p = tf.placeholder_with_default(True, [])
        step = tf.cond(p, lambda: tf.group(optimizer(tf).minimize(tf.square(w - 3.0))), tf.no_op)
        return script(Run(step, times=2), w, Run(step, feed={p: False}), w, [v.name for v in tf.global_variables()])

    @case(f"training/loss_outside/{name}")
    def _(tf):
        w = tf.get_variable("w", [], initializer=tf.constant_initializer(1.0), use_resource=resource)
        loss = tf.square(w - 3.0)
        step = tf.cond(tf.constant(True), lambda: optimizer(tf).minimize(loss), tf.no_op)
        return script(step, w, [v.name for v in tf.global_variables()])


for kind, is_resource in (("ref", False), ("resource", True)):
    optimised(f"sgd_{kind}", lambda tf: tf.train.GradientDescentOptimizer(0.1), is_resource)
    optimised(f"momentum_{kind}", lambda tf: tf.train.MomentumOptimizer(0.1, 0.9), is_resource)
    optimised(f"adam_{kind}", lambda tf: tf.train.AdamOptimizer(0.1), is_resource)


@case("gradients/in_a_branch")
def _(tf):
    x = tf.constant(2.0)
    y = x * x * x
    return tf.cond(tf.constant(True), lambda: tf.gradients(y, x)[0] + tf.gradients(x * x, x)[0], lambda: x)


@case("gradients/in_a_loop")
def _(tf):
    x = tf.constant(2.0)

    def body(i, y):
        z = y * y * x
        return i + 1, y + 0.1 * tf.gradients(z, y)[0] + 0.01 * tf.gradients(z, x)[0]

    return tf.while_loop(lambda i, _: i < 3, body, (0, tf.constant(1.0)))[1]


@case("updates/in_a_branch")
def _(tf):
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    y = tf.cond(tf.constant(True), lambda: tf.layers.batch_normalization(x, training=True, name="bn"), lambda: x)
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies(updates):
        z = tf.identity(y)
    return script(z, tf.global_variables(), [op.name for op in updates])


@case("updates/by_a_tensor")
def _(tf):
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    p = tf.placeholder_with_default(True, [])
    y = tf.layers.batch_normalization(x, training=p)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        z = tf.identity(y)
    return script(z, tf.global_variables(), Run(z, feed={p: False}), tf.global_variables())


@case("collections/losses")
def _(tf):
    x = tf.constant(2.0)
    p = tf.placeholder_with_default(True, [])

    def branch():
        tf.losses.add_loss(x * 3.0)
        tf.add_to_collection("numbers", 5)
        return x * 2.0

    y = tf.cond(p, branch, lambda: x)
    return script([y, tf.losses.get_total_loss()], Run(y, feed={p: False}), [tf.get_collection("numbers")])


@case("collections/loss_of_another_branch", raises=True)
def _(tf):
    x = tf.constant(2.0)
    tf.cond(tf.constant(False), lambda: tf.losses.add_loss(x * 3.0) or x, lambda: x)
    return tf.losses.get_total_loss() * 2.0


@case("collections/summaries")
def _(tf):
    x = tf.constant(2.0)

    def branch():
        tf.summary.scalar("s", x)
        return x * 2.0

    with tf.name_scope("outer"):
        tf.cond(tf.constant(True), branch, lambda: x)
    return tf.summary.merge_all()


@case("order/dependency_inside")
def _(tf):
    v = tf.get_variable("v", initializer=0.0)
    p = tf.placeholder_with_default(True, [])
    up = tf.assign_add(v, 1.0)

    def branch():
        with tf.control_dependencies([up]):
            return tf.constant(1.0)

    y = tf.cond(p, branch, lambda: tf.constant(2.0))
    return script(y, v, Run(y, feed={p: False}), v)


@case("order/dependency_around")
def _(tf):
    v = tf.get_variable("v", initializer=0.0)
    with tf.control_dependencies([tf.assign_add(v, 1.0)]):
        y = tf.cond(tf.constant(True), lambda: tf.constant(1.0), lambda: tf.constant(2.0))
        z = tf.while_loop(lambda i: i < 3, lambda i: i + 1, [0])
    return script(y, v, z, v)


@case("order/assertion_in_a_loop", raises=True)
def _(tf):
    def body(i):
        with tf.control_dependencies([tf.Assert(i < 2, ["too big", i])]):
            return i + 1

    return tf.while_loop(lambda i: i < 3, body, [0])
