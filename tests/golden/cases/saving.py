"""The operations that a Saver adds to a graph."""
from __future__ import annotations

from ..spec import Family

FAMILY = Family("saving", eager="it is about graphs")
case = FAMILY.case


def variables(tf, use_resource=False):
    """Two variables whose names are not in the order in which they are made."""
    b = tf.get_variable("b", initializer=tf.constant([[1.0, 2.0, 3.0]]), use_resource=use_resource)
    a = tf.get_variable("a", [], tf.int32, tf.zeros_initializer(), use_resource=use_resource)
    return a, b


def described(saver):
    """The fields of the `SaverDef`; the graph is observed by itself."""
    fields = saver.as_saver_def()
    return [fields.filename_tensor_name, fields.save_tensor_name, fields.restore_op_name, fields.max_to_keep,
            fields.sharded, fields.keep_checkpoint_every_n_hours, fields.version]  # fmt: skip


@case("plain")
def _(tf):
    variables(tf)
    return described(tf.train.Saver())


@case("resources")
def _(tf):
    variables(tf, use_resource=True)
    return described(tf.train.Saver())


@case("reshape")
def _(tf):
    variables(tf)
    tf.get_variable("c", initializer=tf.constant([1.0]), use_resource=True)
    return described(tf.train.Saver(reshape=True))


@case("settings")
def _(tf):
    a, _ = variables(tf)
    return described(tf.train.Saver({"other/name": a}, max_to_keep=2, keep_checkpoint_every_n_hours=2.5, name="s",
                                    restore_sequentially=True, filename="f"))  # fmt: skip


@case("without_limit")
def _(tf):
    variables(tf)
    return described(tf.train.Saver(max_to_keep=None))


@case("second")
def _(tf):
    a, b = variables(tf)
    tf.train.Saver([b])
    return described(tf.train.Saver([b, a]))


@case("scopes")
def _(tf):
    variables(tf)
    with tf.name_scope("outer"), tf.device("/cpu:0"), tf.control_dependencies([tf.no_op()]):
        return described(tf.train.Saver(reshape=True))


@case("parts")
def _(tf):
    for number in range(2):
        part = tf.get_variable(f"part_{number}", initializer=tf.constant([[1.0, 2.0]]), use_resource=number == 1)
        part._set_save_slice_info(tf.Variable.SaveSliceInfo("whole", [2, 2], [number, 0], [1, 2]))
    tf.get_variable("x", initializer=tf.constant([1.0]))
    return described(tf.train.Saver())


@case("averages")
def _(tf):
    variables(tf)
    averages = tf.train.ExponentialMovingAverage(0.9)
    return described(tf.train.Saver(averages.variables_to_restore()))


@case("deferred")
def _(tf):
    saver = tf.train.Saver(defer_build=True)
    variables(tf)
    saver.build()
    return described(saver)


@case("proto")
def _(tf):
    variables(tf)
    with tf.name_scope("scope"):
        saver = tf.train.Saver()
    inner = saver.to_proto("scope")
    name = inner.restore_op_name
    same = tf.train.Saver.from_proto(inner, "scope")
    return [described(saver), described(same), name, saver.to_proto("other") is None]


@case("nothing", raises=True)
def _(tf):
    return described(tf.train.Saver())


@case("no_variable", raises=True)
def _(tf):
    return described(tf.train.Saver([tf.constant(1.0)]))


@case("no_variable_by_name", raises=True)
def _(tf):
    return described(tf.train.Saver({"c": tf.constant(1.0)}))


@case("same_name", raises=True)
def _(tf):
    a, _ = variables(tf)
    return described(tf.train.Saver([a, a]))


@case("two_names", raises=True)
def _(tf):
    a, _ = variables(tf)
    return described(tf.train.Saver({"x": a, "y": a}))


@case("deferred_list", raises=True)
def _(tf):
    return described(tf.train.Saver(list(variables(tf)), defer_build=True))


@case("wrong_saver_def", raises=True)
def _(tf):
    return described(tf.train.Saver(saver_def=tf.train.SaverDef()))
