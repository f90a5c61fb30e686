"""`tf.contrib.framework`: argument scopes, variables of models, values from arrays and checkpoints, helpers."""
from __future__ import annotations

import os
import tempfile

import numpy as np

from ..spec import Family, Run, f64, noise, script
from .layers import names

FAMILY = Family("contrib_framework", eager="it is about graphs")
case = FAMILY.case
CHECKS = "checks are built of fewer nodes"


def outcome(call):
    """What a call gives, or the class of its error."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever it is, both systems must raise the same
        return type(error).__name__


@case("arg_scope", eager=True, function=True)
def _(tf):
    framework = tf.contrib.framework

    @framework.add_arg_scope
    def f(a, b=1, c=2):
        return [a, b, c]

    @framework.add_arg_scope
    def g(a, b=1, c=2):
        return [a, b, c]

    def undecorated(a):
        return a

    seen = [framework.has_arg_scope(f), framework.has_arg_scope(undecorated), list(framework.arg_scoped_arguments(g))]
    with framework.arg_scope([f, g], b=5) as outer:
        with framework.arg_scope((g,), c=7) as inner:
            seen += [f(1), g(1), g(1, c=9)]
        seen += [g(1), outcome(lambda: f(1, 2))]
    with framework.arg_scope(inner):
        seen += [g(2), sorted(map(sorted, framework.current_arg_scope().values()))]
    with framework.arg_scope(outer), framework.arg_scope([f], b=8):
        seen += [f(0), g(0)]
    seen += [len(framework.current_arg_scope())]
    for given, options in (([undecorated], {}), ({}, {"b": 1}), (f, {"b": 1})):
        seen.append(outcome(framework.arg_scope(given, **options).__enter__))
    return seen


@case("variables")
def _(tf):
    framework = tf.contrib.framework
    with tf.variable_scope("a"):
        framework.variable("v", [2], collections=["c", "variables"])
        framework.model_variable("m", [2, 3], device="/cpu:0", regularizer=tf.contrib.layers.l2_regularizer(0.1))
        framework.model_variable("n", [2], trainable=False, collections=["k"])
    framework.local_variable(3.0, name="local")
    framework.global_variable(4, name="global")
    w = tf.get_variable("w", [1])
    framework.add_model_variable(w)
    framework.add_model_variable(w)
    everything = framework.get_variables()
    found = [
        everything, framework.get_variables("a"), framework.get_variables(suffix="m"),
        framework.get_variables("a/", suffix="v"), framework.get_variables("a", collection="c"),
        framework.get_model_variables(), framework.get_trainable_variables("a"), framework.get_local_variables(),
        framework.get_variables_by_name("m"), framework.get_variables_by_name("w"),
        framework.get_variables_by_suffix("n"), framework.get_variables_to_restore(),
        framework.get_variables_to_restore(["a"], ["a/m"]), framework.get_variables_to_restore(exclude=["a"]),
        [framework.get_unique_variable("a/m")], framework.filter_variables(everything, ["m", "w"], ["a"]),
        framework.filter_variables(everything, ["m"], reg_search=False),
        framework.filter_variables(everything, ["a"], []),
        tf.get_collection("k"),
    ]
    with tf.variable_scope("a") as scope:
        found.append(framework.get_variables(scope))
    return list(map(names, found)), framework.get_variable_full_name(w)


@case("variable/arg_scope")
def _(tf):
    framework = tf.contrib.framework
    both, defaults = [framework.variable, framework.model_variable], {"collections": ["variables", "x"]}
    with framework.arg_scope(both, initializer=tf.ones_initializer(), **defaults):
        with framework.arg_scope([framework.model_variable], trainable=False):
            v, m = framework.variable("v", [2]), framework.model_variable("m", [2])
    return [v, m], names(tf.get_collection("x")), names(tf.trainable_variables())


for name, call in (
    ("no_variable", lambda framework: framework.get_unique_variable("x")),
    ("scope", lambda framework: framework.get_unique_variable("a")),
    ("include", lambda framework: framework.get_variables_to_restore("a")),
    ("exclude", lambda framework: framework.get_variables_to_restore(None, "a")),
):
    @case(f"variables/error/{name}", raises=True)
    def _(tf, call=call):
        tf.get_variable("a/v", [2])
        return call(tf.contrib.framework)


@case("device_chooser", eager=True, function=True)
def _(tf):
    plain = tf.contrib.framework.VariableDeviceChooser
    chooser = plain(2, replica=1)
    return [chooser(None) for _ in range(3)], plain()(None), plain(device_type="GPU", device_index=1)(None)


@case("assign_from_values")
def _(tf):
    v = tf.get_variable("s/v", [2, 2], initializer=tf.zeros_initializer())
    w = tf.get_variable("w", [3], initializer=tf.zeros_initializer())
    assign, feeds = tf.contrib.framework.assign_from_values({"s/v": np.ones([4]), "w": np.arange(3.0)})
    return script(Run(assign, feed=feeds), [v, w], sorted(tensor.name for tensor in feeds))


case("assign_from_values/unknown", lambda tf: tf.contrib.framework.assign_from_values({"q": 1.0}), raises=True,
     message="")


def saved(tf):
    """A checkpoint of s/v and w, all ones; these variables, and z, all zeros, which is not in it."""
    v = tf.get_variable("s/v", [2, 2], initializer=tf.ones_initializer())
    w = tf.get_variable("w", [3], initializer=tf.ones_initializer())
    z = tf.get_variable("z", [3], initializer=tf.zeros_initializer())
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return tf.train.Saver([v, w]).save(session, os.path.join(tempfile.mkdtemp(), "model")), v, w, z


SAVERS = "its checkpoints are in the newer format"


@case("assign_from_checkpoint")
def _(tf):
    framework, (path, v, w, z) = tf.contrib.framework, saved(tf)
    read = [framework.list_variables(path), framework.load_variable(path, "w"),
            sorted(framework.load_checkpoint(path).get_variable_to_shape_map())]
    assign, feeds = framework.assign_from_checkpoint(path, {"s/v": v, "w": [w, z]})
    return script(v.assign(v * 3.0), Run(assign, feed=feeds), [v, w, z],
                  (read, sorted(tensor.name for tensor in feeds)))


@case("assign_from_checkpoint/ignore_missing")
def _(tf):
    path, v, w, z = saved(tf)
    assign, feeds = tf.contrib.framework.assign_from_checkpoint(path, [v, z], ignore_missing_vars=True)
    return script(v.assign(v * 3.0), Run(assign, feed=feeds), [v, z], len(feeds))


@case("assign_from_checkpoint_fn", nodes=SAVERS)
def _(tf):
    framework, (path, v, _, z) = tf.contrib.framework, saved(tf)
    functions = [framework.assign_from_checkpoint_fn(path, [v, z], ignore_missing_vars=True),
                 framework.assign_from_checkpoint_fn(path, {"w": z})]
    with tf.Session() as session:
        session.run(v.assign(np.zeros([2, 2])))
        for restore in functions:
            restore(session)
        values = session.run([v, z])
    return values, framework.assign_from_checkpoint_fn(path, [z], ignore_missing_vars=True) is None


@case("init_from_checkpoint", nodes="the name of its checkpoint is another one each time")
def _(tf):
    path = saved(tf)[0]
    x, y = tf.get_variable("new/x", [3]), tf.get_variable("new/s/v", [2, 2])
    tf.contrib.framework.init_from_checkpoint(path, {"w": x, "s/": "new/s/"})
    return [x, y]


for name, call in (
    ("missing", lambda framework, path, v, w, z: framework.assign_from_checkpoint(path, [v, z])),
    ("shape", lambda framework, path, v, w, z: framework.assign_from_checkpoint(path, {"w": v})),
    ("empty", lambda framework, path, v, w, z: framework.assign_from_checkpoint_fn(path, [])),
):
    case(f"assign_from_checkpoint/error/{name}",
         lambda tf, call=call: call(tf.contrib.framework, *saved(tf)), raises=True)

# --- Checks and helpers ---------------------------------------------------------------------------------------------


@case("with_shape", nodes=CHECKS)
def _(tf):
    with_shape, x = tf.contrib.framework.with_shape, tf.placeholder(tf.float32, name="u")
    checked = [with_shape([2, 3], x), with_shape(tf.shape(x), x),
               tf.contrib.framework.with_same_shape(tf.zeros([2, 3]), x), with_shape([2, 3], tf.zeros([2, 3]))]
    return script(Run(checked, feed={x: noise(2, 3)}))


case("with_shape/error/static", lambda tf: tf.contrib.framework.with_shape([2, 2], tf.zeros([2, 3])), raises=True,
     message="Invalid shape for tensor zeros:0, expected ")
case("with_shape/error/same", lambda tf: tf.contrib.framework.with_same_shape(tf.zeros([2]), tf.zeros([3])),
     raises=True)


@case("with_shape/error/dynamic", raises=True, message="", nodes=CHECKS)
def _(tf):
    x = tf.placeholder(tf.float32, name="u")
    return script(Run(tf.contrib.framework.with_shape([2, 3], x), feed={x: noise(3, 2)}))


for name, value in (("float", 1.0), ("vector", [1])):
    case(f"assert_scalar_int/error/{name}", lambda tf, value=value: tf.contrib.framework.assert_scalar_int(
        tf.constant(value, name="c")), raises=True,
         message="Expected " + ("integer type" if name == "float" else "scalar shape"))
case("assert_scalar_int", lambda tf: tf.contrib.framework.assert_scalar_int(3), eager=True, function=True)
case("reduce_sum_n", lambda tf: [tf.contrib.framework.reduce_sum_n([tf.constant([1, 2]), tf.constant(3)]),
                                 tf.contrib.framework.reduce_sum_n([tf.constant([1, 2])], "n")])
case("reduce_sum_n/empty", lambda tf: tf.contrib.framework.reduce_sum_n([]), raises=True, eager=True, function=True)
case("remove_squeezable_dimensions", lambda tf, x, y: [
    tf.contrib.framework.remove_squeezable_dimensions(first, second)
    for first, second in ((x, y), (y, x), (x, x))], f64(noise(2, 3, 1)), f64(noise(2, 3)), eager=True, function=True)
case("zero_initializer", lambda tf: script(
    tf.contrib.framework.zero_initializer(tf.Variable([3.0, 4.0], name="v")).op, tf.global_variables(),
    initialize=False),
     nodes="an assignment does it")


@case("names")
def _(tf):
    framework = tf.contrib.framework
    x = tf.placeholder(tf.float32, name="x")
    with tf.name_scope("scope"):
        inner = framework.get_name_scope()
    return (
        [inner, framework.get_name_scope()], names(framework.get_placeholders(tf.get_default_graph())),
        [framework.prepend_name_scope(name, "i") for name in ("a/b", "^a", "loc:@a")],
        [framework.strip_name_scope(name, "i") for name in ("i/a", "^i/a", "loc:@i/a", "j/a")],
        framework.get_graph_from_inputs([1, x]) is tf.get_default_graph(),
    )


@case("smart")
def _(tf):
    framework, unknown = tf.contrib.framework, tf.placeholder(tf.bool, [], name="p")
    return (
        framework.smart_constant_value(unknown),
        [bool(framework.smart_constant_value(value)) for value in (True, tf.constant(False), 1)],
        framework.smart_cond(tf.constant(False), lambda: 1, lambda: 2),
        framework.smart_case([(True, lambda: 1), (unknown, lambda: 2)], default=lambda: 3),
        framework.smart_case([(False, lambda: 1)], default=lambda: 5),
    )


case("smart_cond/no_function", lambda tf: tf.contrib.framework.smart_cond(True, 1, 2), raises=True)


@case("py_func")
def _(tf):
    py_func = tf.contrib.framework.py_func
    total = py_func(lambda a, k: a + k, [np.float32(1.0)], {"k": np.float32(2.0)}, tf.float32, tf.TensorShape([]),
                    name="total")
    dtypes = {"p": tf.int32, "q": (tf.int32, tf.int32)}
    parts = py_func(lambda a: {"p": a, "q": (a, -a)}, [tf.constant(1)], output_types=dtypes, stateful=False)
    return total, parts


@case("deprecated", eager=True, function=True)
def _(tf):
    framework = tf.contrib.framework

    @framework.deprecated("2020-01-01", "Use g.")
    def old(x):
        return x + 1

    @framework.deprecated_args("2020-01-01", "Use b.", "a", ("c", 3))
    def some(b=1, a=None, c=3):
        return [b, a, c]

    @framework.deprecated_arg_values("2020-01-01", "No more.", mode="x")
    def values(mode="y"):
        return mode

    return (
        [old(1), old.__name__, some(2), some(b=1, a=4), some(c=5), values(), values(mode="x")],
        [outcome(call) for call in (
            lambda: framework.deprecated("2020", "x"), lambda: framework.deprecated("2020-01-01", ""),
            lambda: framework.deprecated_args("2020-01-01", "x"),
            lambda: framework.deprecated_arg_values("2020-01-01", "x"),
            lambda: framework.deprecated_args("2020-01-01", "x", "zz")(lambda a: 1),
        )],
    )
