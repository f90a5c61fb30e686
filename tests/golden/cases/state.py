"""Variables, scopes, names, collections."""
from __future__ import annotations

from ..spec import FRESH_SESSION, Family, Run, f32, i32, script

FAMILY = Family("state")
case, table = FAMILY.case, FAMILY.table
CHANGES = "its runs change a variable one after the other"
GRAPHS = "it is about graphs"
NEVER_UNINITIALIZED = "eager variables always have a value"
NOT_KEPT = "eager variables are not kept, nor shared by name"
COND = "initialized_value is a cond, which is one If node here"
REGULARIZED = "TensorFlow cannot regularise a variable that a function makes"
REF = "reads of a resource variable may be grouped otherwise"


def names(things):
    return [thing.name for thing in things]


# Variables.


@case("variable/basic", eager=GRAPHS)
def _(tf):
    v = tf.Variable([1.0, 2.0], name="v")
    return [v, v + 1.0, v.initial_value, v.name, v.op.name, v.op.type, repr(v), str(v.dtype), str(v.shape),
            v.trainable, str(v.initializer.name), v.value().name, v.read_value()]


@case("variable/dtypes")
def _(tf):
    return [tf.Variable(1), tf.Variable(True), tf.Variable("s"), tf.Variable(1.5, dtype=tf.float64),
            tf.Variable([1j]),
            tf.Variable(3, dtype=tf.float32), tf.Variable([[1, 2]], dtype="int64")]


@case("variable/names", eager="names of eager variables are not unique")
def _(tf):
    made = [tf.Variable(0.0), tf.Variable(0.0), tf.Variable(0.0, name="w"), tf.Variable(0.0, name="w")]
    with tf.name_scope("scope"):
        made.append(tf.Variable(0.0, name="w"))
    with tf.variable_scope("vs"):
        made.append(tf.Variable(0.0, name="w"))
        made.append(tf.get_variable("w", []))
    with tf.variable_scope("vs"):
        made.append(tf.Variable(0.0, name="w"))
    return names(made)


@case("variable/collections", eager=NOT_KEPT)
def _(tf):
    tf.Variable(0.0, name="a")
    tf.Variable(0.0, name="b", trainable=False)
    tf.Variable(0.0, name="c", collections=[tf.GraphKeys.LOCAL_VARIABLES])
    tf.Variable(0, name="d", collections=["mine"])
    tf.get_variable("e", [1], trainable=False)
    with tf.variable_scope("s"):
        tf.get_variable("f", [1])
        tf.get_local_variable("g", [1])
    return {"global": names(tf.global_variables()), "all": names(tf.all_variables()),
            "trainable": names(tf.trainable_variables()),
            "local": names(tf.local_variables()), "mine": names(tf.get_collection("mine")),
            "scope": names(tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope="s")),
            "scope_trainable": names(tf.trainable_variables("s")), "model": names(tf.model_variables()),
            "keys": sorted(tf.get_default_graph().get_all_collection_keys())}


@case("variable/initialized_value", nodes=COND, eager=NEVER_UNINITIALIZED)
def _(tf):
    v = tf.Variable([1.0, 2.0])
    return script(v.initialized_value(), v.initializer, v.assign([3.0, 4.0]), v.initialized_value(),
                  initialize=False)


@case("variable/depends_on_another", nodes=COND, eager=NEVER_UNINITIALIZED)
def _(tf):
    a = tf.Variable([1.0, 2.0])
    return [tf.Variable(a.initialized_value() * 2.0), a]


@case("variable/depends_on_an_uninitialized_one", nodes=COND)
def _(tf):
    a = tf.Variable(1.0, name="a")
    b = tf.Variable(a + 1.0, name="b")
    return script(b.initializer, b, initialize=False)


@case("variable/initial_value_function")
def _(tf):
    return tf.Variable(lambda: tf.constant([3.0, 4.0]), name="lazy")


@case("variable/unknown_shape", eager=CHANGES)
def _(tf):
    v = tf.Variable(tf.placeholder_with_default([1.0, 2.0], None), validate_shape=False)
    return script(v, tf.assign(v, [[3.0]], validate_shape=False), v, tf.shape(v))


@case("variable/operators")
def _(tf):
    v = tf.Variable([1.0, -2.0, 4.0])
    n = tf.Variable(7)
    return [v + 1.0, 2.0 * v, -v, abs(v), v / 2.0, v[1:], v > 0.0, v ** 2.0, 1.0 - v, n // 2, n % 4,
            tf.add(v, v)]


@case("variable/resource", nodes=REF, eager=CHANGES)
def _(tf):
    v = tf.Variable([1.0, 2.0], use_resource=True, name="v")
    return script([v + 1.0, v.name, v.dtype.name, v.op.type, repr(v)], [v, v.assign_add([1.0, 1.0])])


@case("variable/report_uninitialized", eager=NEVER_UNINITIALIZED)
def _(tf):
    a, b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")
    return script(tf.report_uninitialized_variables(), a.initializer, tf.report_uninitialized_variables(),
                  [tf.is_variable_initialized(a), tf.is_variable_initialized(b)],
                  tf.variables_initializer([b]),
                  tf.report_uninitialized_variables([a, b]), initialize=False)


@case("variable/initializers", eager=NEVER_UNINITIALIZED)
def _(tf):
    tf.Variable(1.0)
    tf.get_local_variable("l", [])
    ops = [tf.global_variables_initializer(), tf.local_variables_initializer(), tf.variables_initializer([]),
           tf.initialize_all_variables(), tf.tables_initializer()]
    return [[op.name, op.type, sorted(names(op.control_inputs))] for op in ops]


@case("variable/fresh_session", eager=CHANGES)
def _(tf):
    v = tf.Variable(1.0)
    return script(v.assign_add(5.0), v, FRESH_SESSION, v)


@case("variable/load_and_eval", nodes="the session's own helpers", eager="it is about sessions")
def _(tf):
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as session:
        session.run(v.initializer)
        v.load([5.0, 6.0], session)
        return [v.eval(), float(v[0].eval()), session.run(v, {v: [7.0, 8.0]}).tolist()]


# Assignments.

ASSIGN = {
    "assign": lambda tf, v: tf.assign(v, [5.0, 6.0, 7.0]),
    "assign_add": lambda tf, v: tf.assign_add(v, [1.0, 1.0, 1.0]),
    "assign_sub": lambda tf, v: tf.assign_sub(v, [1.0, 0.5, 0.25], name="less"),
    "method_assign": lambda tf, v: v.assign(v * 2.0),
    "method_assign_add": lambda tf, v: v.assign_add([0.5, 0.5, 0.5]),
    "method_assign_sub": lambda tf, v: v.assign_sub(v),
    "no_read": lambda tf, v: v.assign([0.0, 0.0, 1.0], read_value=False),
    "scatter_update": lambda tf, v: tf.scatter_update(v, [2, 0], [9.0, 8.0]),
    "scatter_add": lambda tf, v: tf.scatter_add(v, [0, 0, 2], [1.0, 10.0, 100.0]),
    "scatter_sub": lambda tf, v: tf.scatter_sub(v, [1], [0.5]),
    "scatter_mul": lambda tf, v: tf.scatter_mul(v, [1, 1], [3.0, 3.0]),
    "scatter_div": lambda tf, v: tf.scatter_div(v, [1], [4.0]),
    "scatter_min": lambda tf, v: tf.scatter_min(v, [0, 1], [0.5, 100.0]),
    "scatter_max": lambda tf, v: tf.scatter_max(v, [0, 1], [0.5, 100.0]),
    "scatter_scalar_index": lambda tf, v: tf.scatter_add(v, 1, 5.0),
    "scatter_broadcast": lambda tf, v: tf.scatter_update(v, [0, 2], -1.0),
    "scatter_nd_update": lambda tf, v: tf.scatter_nd_update(v, [[1], [2]], [8.0, 9.0]),
    "scatter_nd_add": lambda tf, v: tf.scatter_nd_add(v, [[1], [1]], [8.0, 9.0]),
    "scatter_nd_sub": lambda tf, v: tf.scatter_nd_sub(v, [[0]], [8.0]),
    "method_scatter_sub": lambda tf, v: v.scatter_sub(tf.IndexedSlices(tf.constant([1.0]), tf.constant([2]))),
    "method_scatter_add": lambda tf, v: v.scatter_add(tf.IndexedSlices(tf.constant([1.0]), tf.constant([2]))),
    "method_scatter_update": lambda tf, v:
        v.scatter_update(tf.IndexedSlices(tf.constant([1.0]), tf.constant([2]))),
    "count_up_to": lambda tf, v: tf.count_up_to(tf.Variable(0), 3),
    "strided_slice_assign": lambda tf, v: v[1:].assign([5.0, 6.0]),
    "gather": lambda tf, v: tf.gather(v, [2, 0]),
    "sparse_read": lambda tf, v: v.sparse_read([1, 1]),
}


def assignment(make, use_resource):
    def build(tf):
        v = tf.Variable([1.0, 2.0, 4.0], name="v", use_resource=use_resource)
        update = make(tf, v)
        return script(Run(update, times=2), v)
    return build


for name, make in ASSIGN.items():
    if name != "sparse_read":
        case("update/" + name, assignment(make, False), eager=CHANGES)
    if name not in ("count_up_to", "scatter_broadcast", "scatter_scalar_index"):
        case("update_resource/" + name, assignment(make, True), nodes=REF, eager=CHANGES)


@case("update/rows", eager=CHANGES)
def _(tf):
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return script(tf.scatter_update(v, [2, 0], [[9.0, 9.5], [8.0, 8.5]]),
                  tf.scatter_sub(v, [[0, 1]], [[[1.0, 1.0], [2.0, 2.0]]]),
                  tf.scatter_nd_update(v, [[0, 1], [2, 0]], [-1.0, -2.0]), v)


@case("update/fed", None, f32([3.0, 4.0]), i32([1]), eager=CHANGES)
def _(tf, x, i):
    v = tf.Variable([1.0, 2.0])
    return script([v.assign(x)], tf.scatter_add(v, i, [10.0]), v)


@case("update/read_then_write_in_one_run", eager=CHANGES)
def _(tf):
    v = tf.Variable(1.0)
    before = v + 0.0
    with tf.control_dependencies([before]):
        update = v.assign_add(10.0)
    return script([before, update], v)


@case("update/chain", eager=CHANGES)
def _(tf):
    v = tf.Variable(1.0)
    first = v.assign(2.0)
    with tf.control_dependencies([first]):
        second = v.assign_add(10.0)
    with tf.control_dependencies([second]):
        read = v.read_value()
    return script([read], v)


@case("update/group_of_independent", eager=CHANGES)
def _(tf):
    a, b = tf.Variable(1.0), tf.Variable(2)
    step = tf.group(a.assign_add(1.0), b.assign_add(3))
    return script(Run(step, times=3), [a, b])


@case("update/counter_with_integer", eager=CHANGES)
def _(tf):
    step = tf.train.get_or_create_global_step()
    bump = tf.assign_add(step, 1)
    return script(Run(bump, times=3), [step, tf.train.get_global_step(), step.name, step.dtype.name])


@case("update/not_initialized", raises=True, eager=NEVER_UNINITIALIZED)
def _(tf):
    return script(tf.Variable(1.0, name="v").assign_add(1.0), initialize=False)


@case("read/not_initialized", raises=True, eager=NEVER_UNINITIALIZED)
def _(tf):
    return script(tf.Variable(1.0, name="v"), initialize=False)


# get_variable and scopes.


@case("get_variable/reuse", eager=NOT_KEPT)
def _(tf):
    with tf.variable_scope("a"):
        first = tf.get_variable("w", [2], initializer=tf.zeros_initializer())
    with tf.variable_scope("a", reuse=True):
        second = tf.get_variable("w", [2])
    with tf.variable_scope("a", reuse=tf.AUTO_REUSE):
        third, new = tf.get_variable("w"), tf.get_variable("n", [1])
    return [first is second, second is third, new.name, names(tf.global_variables())]


@case("get_variable/reuse_variables", eager=NOT_KEPT)
def _(tf):
    with tf.variable_scope("a") as scope:
        first = tf.get_variable("w", [2])
        scope.reuse_variables()
        second = tf.get_variable("w", [2])
    with tf.variable_scope(scope, reuse=True):
        third = tf.get_variable("w", [2])
    tf.get_variable_scope().reuse_variables()
    return [first is second, first is third, scope.reuse is True, scope.name, scope.original_name_scope,
            str(tf.get_variable_scope().reuse)]


@case("get_variable/nested_names", eager=GRAPHS)
def _(tf):
    made = []
    with tf.variable_scope("a"):
        made.append(tf.get_variable("w", [1]))
        with tf.variable_scope("b"):
            made += [tf.get_variable("w", [1]), tf.add(1.0, 2.0, name="op")]
        with tf.name_scope("n"):
            made += [tf.get_variable("v", [1]), tf.add(1.0, 2.0, name="op"), tf.Variable(0.0, name="var")]
        with tf.variable_scope("b", reuse=True):
            made += [tf.get_variable("w", [1]), tf.add(1.0, 2.0, name="op")]
    with tf.variable_scope("a"):
        made.append(tf.add(1.0, 2.0, name="op"))
    return names(made)


@case("get_variable/default_name")
def _(tf):
    made = []
    for _ in range(3):
        with tf.variable_scope(None, default_name="block"):
            made.append(tf.get_variable("w", [1]))
    with tf.variable_scope(None, "block", [made[0]]):
        made.append(tf.get_variable("w", [1]))
    with tf.variable_scope("outer"), tf.variable_scope(None, default_name="block"):
        made.append(tf.get_variable("w", [1]))
    return names(made)


@case("get_variable/reenter", eager=GRAPHS)
def _(tf):
    with tf.variable_scope("a") as a:
        tf.get_variable("w", [1])
        op = tf.constant(1.0, name="c")
    with tf.variable_scope("other"), tf.variable_scope(a) as again:
        inner = [tf.get_variable("v", [1]), tf.constant(1.0, name="c")]
    with tf.variable_scope(a, auxiliary_name_scope=False), tf.name_scope(a.original_name_scope):
        inner.append(tf.constant(1.0, name="c"))
    with tf.variable_scope("a", auxiliary_name_scope=False):
        inner += [tf.constant(1.0, name="c"), tf.get_variable("u", [1])]
    return [op.name, again.name, again.original_name_scope, names(inner)]


@case("get_variable/inherited_defaults", function=REGULARIZED)
def _(tf):
    made = []
    with tf.variable_scope("a", initializer=tf.ones_initializer(), dtype=tf.float64,
                           regularizer=tf.contrib.layers.l2_regularizer(1.0)):
        made.append(tf.get_variable("w", [2]))
        with tf.variable_scope("b", initializer=tf.zeros_initializer()):
            made.append(tf.get_variable("w", [2]))
            made.append(tf.get_variable("x", [2], tf.float32, tf.constant_initializer(3.0)))
        made.append(tf.get_variable("v", initializer=tf.constant(1.0)))
    return [made, len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))]


@case("get_variable/custom_getter", eager=NOT_KEPT)
def _(tf):
    def doubled(getter, name, *args, **kwargs):
        return getter(name + "_inner", *args, **kwargs) * 2.0
    with tf.variable_scope("a", custom_getter=doubled):
        got = tf.get_variable("w", [2], initializer=tf.ones_initializer())
    return [got, names(tf.global_variables())]


@case("get_variable/scope_facts", eager=GRAPHS)
def _(tf):
    outer = tf.get_variable_scope()
    with tf.variable_scope("a/b") as scope:
        inside = tf.get_variable_scope().name
        with tf.name_scope("n"):
            current = tf.get_default_graph().get_name_scope()
    with tf.variable_scope("") as empty:
        root = tf.get_variable("r", [1])
    return [repr(outer.name), scope.name, inside, current, empty.name, root.name, str(scope.reuse),
            str(scope.dtype)]


@case("get_variable/shape_from_initializer")
def _(tf):
    return [tf.get_variable("a", initializer=tf.constant([[1, 2]])),
            tf.get_variable("b", (), tf.int32, initializer=tf.ones_initializer()),
            tf.get_variable("c", shape=tf.TensorShape([2]), initializer=tf.zeros_initializer())]


@case("get_variable/strings")
def _(tf):
    return tf.get_variable("s", [2], tf.string)


@case("get_variable/constraint_and_trainable", eager=NOT_KEPT)
def _(tf):
    v = tf.get_variable("v", [2], trainable=False, constraint=tf.nn.relu, collections=["c"])
    return [v.trainable, v.constraint is tf.nn.relu, names(tf.get_collection("c")),
            len(tf.global_variables())]


@case("get_variable/variable_creator")
def _(tf):
    def renamed(next_creator, **kwargs):
        return next_creator(**dict(kwargs, name="made"))
    with tf.variable_creator_scope(renamed):
        return tf.Variable(1.0, name="asked").name


@case("get_variable/op_scope", eager=GRAPHS)
def _(tf):
    x = tf.constant(1.0)
    with tf.variable_op_scope([x], None, "legacy"):
        return [tf.get_variable("w", [1]).name, tf.identity(x).name]


@case("get_variable/weights_of_two_layers", ulps=8, near="max", eager=NOT_KEPT)
def _(tf):
    def layer(x, width, name):
        with tf.variable_scope(name):
            w = tf.get_variable("weights", [x.shape[1], width],
                                initializer=tf.truncated_normal_initializer(stddev=0.1, seed=1))
            b = tf.get_variable("biases", [width], initializer=tf.constant_initializer(0.1))
            return tf.nn.relu(tf.matmul(x, w) + b)
    return [layer(layer(tf.ones([2, 3]), 4, "first"), 2, "second"), names(tf.global_variables())]


SHARING_ERRORS = {
    "exists": lambda tf: [tf.get_variable("w", [1]), tf.get_variable("w", [1])],
    "missing": lambda tf: _in(tf, lambda: tf.get_variable("w", [1]), reuse=True),
    "other_shape": lambda tf: [tf.get_variable("w", [1]),
                               _in(tf, lambda: tf.get_variable("w", [2]), "", reuse=True)],
    "other_dtype": lambda tf: [tf.get_variable("w", [1]),
                               _in(tf, lambda: tf.get_variable("w", [1], tf.int32), "", reuse=True)],
}
for name, build in SHARING_ERRORS.items():
    case("get_variable_error/" + name, build, raises=True, eager=NOT_KEPT)
ERRORS = {
    "no_shape": lambda tf: tf.get_variable("w"),
    "partly_known_shape": lambda tf: tf.get_variable("w", [None, 2]),
    "shape_and_constant": lambda tf: tf.get_variable("w", [2], initializer=tf.constant([1.0])),
    "scope_none": lambda tf: _in(tf, lambda: 1, None),
    "no_initial_value": lambda tf: tf.Variable(),
}
for name, build in ERRORS.items():
    case("get_variable_error/" + name, build, raises=True)
case("get_variable_error/unknown_initial_shape", lambda tf: tf.Variable(tf.placeholder(tf.float32)),
     raises=True, eager="there are no placeholders")


def _in(tf, function, scope="scope", **kwargs):
    with tf.variable_scope(scope, **kwargs):
        return function()


# The graph's names and collections.


@case("graph/unique_names", eager=GRAPHS, function=True)
def _(tf):
    graph = tf.get_default_graph()
    made = [tf.constant(0, name=n) for n in ("a", "a", "A", "a_1", "a/b", "a/b", "x.y-z/w")]
    return [names(made), graph.unique_name("a"), graph.unique_name("new"),
            graph.unique_name("new", mark_as_used=False),
            graph.unique_name("new")]


@case("graph/name_scopes", eager=GRAPHS, function=True)
def _(tf):
    found = []
    with tf.name_scope("s") as outer:
        found += [outer, tf.constant(0).name]
        with tf.name_scope("t") as inner:
            found += [inner, tf.constant(0, name="c").name, tf.no_op().name]
        with tf.name_scope("t") as again:
            found.append(again)
        with tf.name_scope(outer):
            found.append(tf.constant(0, name="c").name)
        with tf.name_scope(None):
            found.append(tf.constant(0, name="c").name)
    with tf.name_scope(None, "default", [tf.constant(1)]) as default, tf.name_scope("s"):
        found += [default, tf.constant(0).name]
    return found


@case("graph/lookups", eager=GRAPHS, function=True)
def _(tf):
    graph = tf.get_default_graph()
    with tf.name_scope("s"):
        t = tf.add(1.0, 2.0, name="t")
    return [graph.get_tensor_by_name("s/t:0") is t, graph.get_operation_by_name("s/t") is t.op,
            graph.as_graph_element("s/t") is t.op,
            graph.as_graph_element("s/t:0") is t, graph.as_graph_element(t) is t,
            names(graph.get_operations()), t.op.type,
            names(t.op.inputs), names(t.op.outputs), names(t.op.inputs[0].consumers()), t.value_index,
            graph.is_feedable(t),
            graph.is_fetchable(t), str(t), repr(t), repr(t.op), t.op.get_attr("T").name]


@case("graph/collections", function=True)
def _(tf):
    graph = tf.get_default_graph()
    tf.add_to_collection("c", 1)
    tf.add_to_collections(["c", "d"], "two")
    graph.get_collection_ref("d").append("three")
    return [tf.get_collection("c"), tf.get_collection("d"), tf.get_collection("none"),
            tf.get_collection_ref("c") is graph.get_collection_ref("c"),
            sorted(graph.get_all_collection_keys())]


@case("graph/devices_and_control", eager=GRAPHS, function=True)
def _(tf):
    a = tf.constant(1.0, name="a")
    with tf.device("/cpu:0"), tf.control_dependencies([a]):
        b = tf.constant(2.0, name="b")
        with tf.device("/device:GPU:1"):
            c = tf.identity(b, name="c")
        with tf.control_dependencies(None), tf.device(None):
            d = tf.identity(b, name="d")
        with tf.control_dependencies([b]):
            e = tf.no_op(name="e")
    return [[op.name, op.device, names(op.control_inputs)] for op in (a.op, b.op, c.op, d.op, e)]


@case("graph/default_stack", eager=GRAPHS)
def _(tf):
    outer, inner = tf.get_default_graph(), tf.Graph()
    with inner.as_default():
        x = tf.constant(1)
        inside = tf.get_default_graph() is inner
    return [inside, tf.get_default_graph() is outer, x.graph is inner, inner.version > 0, inner.finalized,
            inner.building_function,
            tf.constant(2).name]


@case("graph/colocation", eager=GRAPHS)
def _(tf):
    v = tf.Variable(1.0, name="v")
    with tf.colocate_with(v):
        x = tf.constant(1.0, name="x")
    return [x.op.colocation_groups(), v.op.colocation_groups()]
