"""Order and effects: groups, control dependencies, printing, assertions, Python functions, sessions."""
from __future__ import annotations

from ..spec import Family, Run, f32, i32, script

FAMILY = Family("control")
case, table = FAMILY.case, FAMILY.table
NODES = "it is about the operations of a graph"
MAKES_VARIABLES = "it makes variables at each call"
NEVER_UNINITIALIZED = "eager variables always have a value"
CALLED_AT_ONCE = "eagerly a Python function is simply called: what it raises passes, and its results are as they are"


def names(things):
    return [thing.name for thing in things]


# Grouping and ordering.


@case("group/nodes", eager=NODES, function=True)
def _(tf):
    a, b = tf.constant(1.0), tf.constant(2.0)
    ops = [tf.group(a, b), tf.group(a, name="one"), tf.group(), tf.group([a, [b]], name="nested"), tf.no_op(),
           tf.no_op("n")]
    return [[op.name, op.type, sorted(names(op.control_inputs))] for op in ops]


@case("group/several_devices", eager=NODES, function=True)
def _(tf):
    with tf.device("/cpu:0"):
        a = tf.constant(1.0)
    with tf.device("/cpu:1"):
        b = tf.constant(2.0)
    op = tf.group(a, b, name="g")
    return [op.device, sorted(names(op.control_inputs))]


@case("tuple/nodes", eager=NODES, function=True)
def _(tf):
    a, b = tf.constant(1.0), tf.constant([2.0])
    first = tf.tuple([a, None, b])
    gated = tf.tuple([a, b], name="gated", control_inputs=[tf.no_op(name="gate")])
    slices = tf.tuple([tf.IndexedSlices(b, tf.constant([0]))])
    return [first, gated, slices, sorted(names(gated[0].op.control_inputs))]


@case("identity_n")
def _(tf):
    return [tf.identity_n([1.0, [2, 3]]), tf.identity_n([tf.constant(1)], name="same")]


@case("with_dependencies", function="each call changes its variable once more")
def _(tf):
    v = tf.Variable(1.0)
    with tf.control_dependencies([v.assign_add(2.0)]):
        after = tf.identity(v.read_value())
    return script([after], v)


@case("control_dependencies/nested", eager=NODES, function=True)
def _(tf):
    a, b, c = (tf.constant(float(i), name=n) for i, n in enumerate("abc"))
    with tf.control_dependencies([a]), tf.control_dependencies([b, c]):
        inner = tf.constant(1.0, name="inner")
        uses_b = tf.identity(b, name="uses_b")
        with tf.control_dependencies(None):
            free = tf.constant(1.0, name="free")
        with tf.control_dependencies([inner]):
            deep = tf.no_op(name="deep")
    return [[t.name, names(t.op.control_inputs)] for t in (inner, uses_b,
                                                           free)] + [names(deep.control_inputs)]


@case("control_dependencies/variable_and_callable", eager=NODES)
def _(tf):
    v = tf.Variable(1.0, name="v")
    with tf.control_dependencies([v, v.initializer]):
        op = tf.no_op(name="op")
    return names(op.control_inputs)


@case("control_dependencies/already_an_input", eager=NODES, function=True)
def _(tf):
    a = tf.constant(1.0, name="a")
    with tf.control_dependencies([a]):
        b = tf.add(a, 1.0, name="b")
        c = tf.add(b, 1.0, name="c")
    return [names(b.op.control_inputs), names(c.op.control_inputs)]


@case("control_dependencies/train_then_average", eager=MAKES_VARIABLES)
def _(tf):
    v, log = tf.Variable(1.0, name="v"), tf.Variable([0.0, 0.0], name="log")
    bump = v.assign_add(1.0)
    with tf.control_dependencies([bump]):
        note = tf.scatter_update(log, [0], [v.read_value()])
    with tf.control_dependencies([bump, note]):
        op = tf.no_op()
    return script(Run(op, times=2), [v, log])


# Printing.

PRINT = (f32([1.5, -2.0, 3.25]), i32([[1, 2], [3, 4]]))
table({
    "print/op": lambda tf, x, n: tf.Print(x, [x, n], "values: "),
    "print/op_summarize": lambda tf, x, n: tf.Print(x, [x, n], message="m ", summarize=2),
    "print/op_no_message": lambda tf, x, n: tf.Print(n,
                                                     [tf.shape(n), tf.constant("text"), tf.constant(True)]),
    "print/op_scalars": lambda tf, x, n: tf.Print(x,
                                                  [x[0], n[1, 1], tf.constant(0.1, tf.float64), 1e10, 1e-10]),
    "print/op_empty": lambda tf, x, n: tf.Print(x, [x[:0], tf.zeros([0, 2])], "none "),
}, *PRINT, stderr=True, gradient=False, unknown=False)
case("print/op_first_n", lambda tf, x, n: script(Run(tf.Print(x, [x], first_n=2), times=3)),
     *PRINT, stderr=True, gradient=False, unknown=False, eager="each eager call is an operation of its own",
     function=True)
table({
    "print/function": lambda tf, x, n: script([tf.print("values:", x, n), x]),
    "print/function_structure": lambda tf, x, n: script([tf.print({"a": n, "b": [x, 2]}, ("t", x[0]))]),
    "print/function_end": lambda tf, x, n: script([tf.print(x, end="|\n", summarize=1)]),
    "print/function_sep": lambda tf, x, n: script([tf.print(1, "two", tf.constant(3.5), True, sep=", ")]),
    "print/function_long": lambda tf, x, n:
        script([tf.print(tf.range(100)), tf.print("done") if False else tf.no_op()]),
    "print/function_summarize_all": lambda tf, x, n:
        script([tf.print(tf.reshape(tf.range(24), [2, 3, 4]), summarize=-1)]),
    "print/function_floats": lambda tf, x, n:
        script([tf.print(tf.constant([0.1, 1e-8, 123456789.0, -0.0, 1.0, float("nan")]))]),
    "print/function_braces": lambda tf, x, n: script([tf.print("{} and {0}", x[0])]),
}, *PRINT, stderr=True, gradient=False, unknown=False, nodes="how the line is put together is our own")

# Assertions and checks.


def asserting(check):
    """Runs the check; the message of a failing one is what is compared."""

    def build(tf):
        op = check(tf)
        return script([op if op is not None else tf.no_op()])

    return build


GOOD_CHECKS = {
    "assert": lambda tf: tf.Assert(tf.constant(True), [1]),
    "equal": lambda tf: tf.assert_equal(tf.constant([1, 2]), [1, 2]),
    "positive": lambda tf: tf.assert_positive(tf.constant([1.0])),
    "rank": lambda tf: tf.assert_rank(tf.zeros([2, 3]), 2),
}
for name, check in GOOD_CHECKS.items():
    case("assert_passes/" + name, asserting(check), nodes="checks known to hold need no nodes")


def fed(tf, value):
    """The value out of the sight of static checks."""
    return tf.placeholder_with_default(tf.constant(value), None)


BAD_CHECKS = {
    "assert": lambda tf: tf.Assert(fed(tf, False), ["what", fed(tf, [1, 2, 3]), 2.5]),
    "assert_summarize": lambda tf: tf.Assert(fed(tf, False), [fed(tf, [1, 2, 3, 4, 5])], summarize=2),
    "assert_static": lambda tf: tf.Assert(False, ["static"]),
    "equal": lambda tf: tf.assert_equal(fed(tf, [1, 2]), fed(tf, [1, 3]), name="check"),
    "equal_message": lambda tf: tf.assert_equal(fed(tf, 1), 2, message="must agree", data=[fed(tf, 7)]),
    "none_equal": lambda tf: tf.assert_none_equal(fed(tf, 1), 1),
    "less": lambda tf: tf.assert_less(fed(tf, [1, 5]), 3),
    "less_equal": lambda tf: tf.assert_less_equal(fed(tf, 4), 3),
    "greater": lambda tf: tf.assert_greater(fed(tf, 1.5), 2.0),
    "greater_equal": lambda tf: tf.assert_greater_equal(fed(tf, 1), 2),
    "positive": lambda tf: tf.assert_positive(fed(tf, [1, -1])),
    "negative": lambda tf: tf.assert_negative(fed(tf, 0)),
    "non_negative": lambda tf: tf.assert_non_negative(fed(tf, -1)),
    "non_positive": lambda tf: tf.assert_non_positive(fed(tf, 1)),
    "rank": lambda tf: tf.assert_rank(fed(tf, [1.0]), 2),
    "rank_static": lambda tf: tf.assert_rank(tf.zeros([3]), 2),
    "rank_at_least": lambda tf: tf.assert_rank_at_least(tf.zeros([3]), 2),
    "rank_in": lambda tf: tf.assert_rank_in(tf.zeros([3]), [0, 2]),
    "type": lambda tf: tf.assert_type(tf.constant(1), tf.float32),
    "integer": lambda tf: tf.assert_integer(tf.constant(1.5)),
    "equal_static": lambda tf: tf.assert_equal(tf.constant(1), tf.constant(2)),
    "same_float_dtype": lambda tf:
        tf.debugging.assert_same_float_dtype([tf.constant(1.0), tf.constant(1.0, tf.float64)]),
    "scalar": lambda tf: tf.debugging.assert_scalar(tf.constant([1.0])),
    "check_numerics_nan": lambda tf: tf.check_numerics(fed(tf, [1.0, float("nan")]), "bad values"),
    "check_numerics_inf": lambda tf: tf.check_numerics(fed(tf, [float("inf")]), "bad values"),
    "verify_all_finite": lambda tf: tf.verify_tensor_all_finite(fed(tf, [float("nan")]), "not finite"),
    "ensure_shape": lambda tf: tf.ensure_shape(fed(tf, [1.0, 2.0]), [3]),
}
for name, check in BAD_CHECKS.items():
    case("assert_fails/" + name, asserting(check), raises=True)
case("assert_fails/near", asserting(lambda tf: tf.debugging.assert_near(fed(tf, 1.0), 1.5)), raises=True,
     message="assertion failed: [] [x and y not equal to tolerance rtol = ")


@case("assert_fails/variables_initialized", raises=True, eager=NEVER_UNINITIALIZED)
def _(tf):
    tf.Variable(1.0, name="v")
    return script([tf.assert_variables_initialized()], initialize=False)


table({
    "check/numerics": lambda tf, x: tf.check_numerics(x, "message"),
    "check/is_numeric": lambda tf, x: [tf.is_numeric_tensor(x), tf.contrib.framework.is_tensor(x),
                                       tf.is_tensor(1.0),
                                       tf.is_non_decreasing(x), tf.is_strictly_increasing(x)],
    "check/assert_in_control": lambda tf, x: _guarded(tf, x),
}, f32([1.0, 2.0, 2.0]), nodes="checks known to hold need no nodes")


def _guarded(tf, x):
    with tf.control_dependencies([tf.assert_positive(x), tf.assert_less(x, 5.0)]):
        return tf.identity(x)


# Python functions.

table({
    "py_func/one": lambda tf, x: tf.py_func(lambda v: v * 2, [x], tf.float32),
    "py_func/several": lambda tf, x: tf.py_func(lambda v: (v.sum(), v.astype("int64")), [x],
                                                [tf.float32, tf.int64]),
    "py_func/stateless": lambda tf, x: tf.py_func(lambda v: v + 1, [x], [tf.float32], stateful=False,
                                                  name="plus"),
    "py_func/no_output": lambda tf, x: script([tf.py_func(lambda v: None, [x], []), x]),
    "py_func/strings": lambda tf, x: tf.py_func(lambda v: b"n=%d" % len(v), [x], tf.string),
    "py_func/between_ops": lambda tf, x: tf.py_func(lambda v: v[::-1].copy(), [x * 2.0], tf.float32) + 1.0,
    "py_func/set_shape": lambda tf, x: _shaped(tf, x),
    "py_func/numpy_function": lambda tf, x: tf.numpy_function(lambda v: v - 1, [x], tf.float32),
}, f32([1.0, 2.0, 2.0]))


def _shaped(tf, x):
    y = tf.py_func(lambda v: v, [x], tf.float32)
    y.set_shape([3])
    return y + 1.0


def _raise(error):
    raise error


PY_FUNC_ERRORS = {
    "value_error": (lambda tf: tf.py_func(lambda: _raise(ValueError("mine")), [], tf.float32),
                    "ValueError: mine"),
    "type_error": (lambda tf: tf.py_func(lambda: _raise(TypeError("mine")), [], tf.float32),
                   "TypeError: mine"),
    "other_error": (lambda tf: tf.py_func(lambda: _raise(KeyError("mine")), [], tf.float32), None),
    "memory_error": (lambda tf: tf.py_func(lambda: _raise(MemoryError("mine")), [], tf.float32), None),
    "stop_iteration": (lambda tf: tf.py_func(lambda: _raise(StopIteration("mine")), [], tf.float32),
                       "StopIteration: mine"),
    "not_implemented": (lambda tf: tf.py_func(lambda: _raise(NotImplementedError("mine")), [], tf.float32),
                        None),
    "wrong_dtype": (lambda tf: tf.py_func(lambda: 1.5, [], tf.int32), None),
    "wrong_count": (lambda tf: tf.py_func(lambda: (1, 2), [], [tf.int64]), None),
}
for name, (build, message) in PY_FUNC_ERRORS.items():
    case("py_func_error/" + name, build, raises=True, message=message, eager=CALLED_AT_ONCE, function=True)


# Sessions.


def session_case(name, **options):
    """A case that runs its own session and returns what Python sees."""
    return case("session/" + name, nodes="the case is about sessions", eager="it is about sessions", **options)


@session_case("fetch_structures")
def _(tf):
    a, b = tf.constant(1), tf.constant([2.0, 3.0])
    v = tf.Variable(4.0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        got = session.run({"list": [a, b], "tuple": (a, (b,)), "dict": {"x": a}, "name": "Const:0",
                           "op": a.op, "variable": v})
        kinds = [type(got["list"]).__name__, type(got["tuple"]).__name__, type(got["list"][0]).__name__,
                 type(got["list"][1]).__name__, got["op"], type(got["variable"]).__name__,
                 got["list"][1].flags.writeable]
        empty = [session.run([]), session.run({}), session.run(())]
        slices = session.run(tf.IndexedSlices(b, tf.constant([0, 1]), tf.constant([5])))
        sparse = session.run(tf.SparseTensor([[0, 1]], [5.0], [2, 2]))
        return [got, kinds, [str(e) for e in empty], type(slices).__name__, list(slices),
                type(sparse).__name__, list(sparse)]


@session_case("feed_anything")
def _(tf):
    a = tf.constant(2.0, name="a")
    b = a * 3.0
    p = tf.placeholder(tf.float32, [None], name="p")
    q = tf.placeholder(tf.int32, name="q")
    with tf.Session() as session:
        return [session.run(b, {a: 5.0}), session.run(b, {b: 7.0}), session.run(b, {"a:0": 1.0}),
                session.run(p + 1.0, {p: [1, 2]}),
                session.run(p, {p: [True, 2]}), session.run(q, {q: [1.9, -1.9]}), session.run(q * 2, {q: 3}),
                session.run([p, p], {p: []})]


@session_case("feed_sparse_and_slices")
def _(tf):
    sparse, slices = tf.sparse_placeholder(tf.float32), tf.IndexedSlices(tf.placeholder(tf.float32),
                                                                         tf.placeholder(tf.int32))
    with tf.Session() as session:
        return [list(session.run(sparse, {sparse: ([[0, 0]], [1.0], [1, 1])})),
                list(session.run(sparse, {sparse: tf.SparseTensorValue([[0, 1]], [2.0], [1, 2])})),
                list(session.run(slices, {slices: ([3.0], [1])}))[:2]]


@session_case("defaults")
def _(tf):
    a = tf.constant(2.0)
    session = tf.Session()
    with session.as_default():
        inside = [tf.get_default_session() is session, a.eval(), (a + 1.0).eval({a: 9.0})]
        a.op.run()
    session.close()
    interactive = tf.InteractiveSession()
    try:
        inside += [tf.get_default_session() is interactive, a.eval(), interactive.graph is a.graph]
    finally:
        interactive.close()
    return inside + [tf.get_default_session() is None]


@session_case("make_callable")
def _(tf):
    a = tf.placeholder(tf.float32, name="a")
    with tf.Session() as session:
        double = session.make_callable(a * 2.0, feed_list=[a])
        pair = session.make_callable([a, a + 1.0], [a])
        return [double(3.0), double([1.0, 2.0]), pair(1.0)]


@session_case("partial_graphs")
def _(tf):
    first, second = tf.Graph(), tf.Graph()
    with first.as_default():
        a = tf.constant(1.0)
    with second.as_default():
        b = tf.constant(2.0)
    with tf.Session(graph=first) as one, tf.Session(graph=second) as two:
        return [one.run(a), two.run(b), one.graph is first]


@session_case("feed_replaces_a_variable")
def _(tf):
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as session:
        return [session.run(v * 2.0, {v: [5.0, 6.0]}), session.run(v, {v: [1.0]}) if False else None]


@session_case("fetch_after_write")
def _(tf):
    v = tf.Variable(1.0)
    bump = v.assign_add(1.0)
    with tf.Session() as session:
        session.run(v.initializer)
        return [session.run([bump.op, v])[1], session.run(v), session.run(bump)]
