"""Variables of both kinds: their nodes, properties, updates, initial values, collections and protocol buffers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import initial_values
from millstream.core.resource_variables import ResourceVariable
from millstream.core.variables import RefVariable


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def nodes(graph):
    """`name = type(inputs)` of each operation."""
    found = []
    for op in graph.get_operations():
        inputs = [tensor.name.removesuffix(":0") for tensor in op.inputs] + [f"^{c.name}" for c in op.control_inputs]
        found.append(f"{op.name} = {op.type}({', '.join(inputs)})")
    return found


def placed_with(graph):
    """The colocation groups of the operations that have any."""
    groups = {op.name: [group.decode() for group in op.colocation_groups()] for op in graph.get_operations()}
    return {name: found for name, found in groups.items() if found != [f"loc:@{name}"]}


# --- Nodes ------------------------------------------------------------------------------------------------------------


def test_nodes_of_a_variable(graph):
    tf.Variable([1.0, 2.0], name="v")
    assert nodes(graph) == [
        "v/initial_value = Const()",
        "v = VariableV2()",
        "v/Assign = Assign(v, v/initial_value)",
        "v/read = Identity(v)",
    ]
    assert placed_with(graph) == {"v/Assign": ["loc:@v"], "v/read": ["loc:@v"]}


def test_nodes_of_a_variable_with_an_initial_function(graph):
    tf.Variable(lambda: tf.constant([1.0, 2.0]), name="v")
    assert nodes(graph)[0] == "v/Initializer/Const = Const()"
    assert placed_with(graph) == {name: ["loc:@v"] for name in ("v/Initializer/Const", "v/Assign", "v/read")}
    assert graph.get_operation_by_name("v")._colocation == ("loc:@v",)


def test_nodes_of_a_resource_variable(graph):
    tf.Variable([1.0, 2.0], name="v", use_resource=True)
    assert nodes(graph) == [
        "v/Initializer/initial_value = Const()",
        "v = VarHandleOp()",
        "v/IsInitialized/VarIsInitializedOp = VarIsInitializedOp(v)",
        "v/Assign = AssignVariableOp(v, v/Initializer/initial_value)",
        "v/Read/ReadVariableOp = ReadVariableOp(v)",
    ]
    assert graph.get_operation_by_name("v").get_attr("shared_name") == b"v"


def test_nodes_of_initialized_value(graph):
    v = tf.Variable([1.0, 2.0], name="v")
    count = len(graph.get_operations())
    assert v.initialized_value().name == "cond/Merge:0"
    assert nodes(graph)[count:] == [
        "IsVariableInitialized = IsVariableInitialized(v)",
        "cond/Switch = Switch(IsVariableInitialized, IsVariableInitialized)",
        "cond/switch_t = Identity(cond/Switch:1)",
        "cond/switch_f = Identity(cond/Switch)",
        "cond/pred_id = Identity(IsVariableInitialized)",
        "cond/read = Identity(cond/read/Switch:1)",
        "cond/read/Switch = RefSwitch(v, cond/pred_id)",
        "cond/Switch_1 = Switch(v/initial_value, cond/pred_id)",
        "cond/Merge = Merge(cond/Switch_1, cond/read)",
    ]


def test_initial_value_that_reads_a_variable_is_guarded(graph):
    v = tf.Variable([1.0, 2.0], name="v")
    with tf.name_scope("s"):
        doubled = v * 2.0
    w = tf.Variable(doubled, name="w")
    assert w.initializer.inputs[1].name == "s/mul_w:0"
    assert "v/read_w = Identity(w/cond/Merge)" in nodes(graph)
    assert w.initial_value is doubled


def test_initial_value_of_constants_is_left_alone(graph):
    value = tf.constant(1.0) + 2.0
    count = len(graph.get_operations())
    assert initial_values.guard("v", value) is value
    assert len(graph.get_operations()) == count


def test_a_long_chain_of_operations_is_guarded():
    value = tf.Variable(1.0, name="v").value()
    for _ in range(3000):
        value = tf.identity(value)
    assert tf.Variable(value, name="w").initializer.inputs[1].name == "Identity_2999_w:0"


def test_control_dependencies_do_not_reach_a_new_variable(graph):
    with tf.control_dependencies([tf.no_op()]):
        tf.Variable(1.0, name="v")
        tf.Variable(1.0, name="r", use_resource=True)
    assert not any(op.control_inputs for op in graph.get_operations())


def test_control_dependency_on_a_variable_does_not_read_it():
    r = tf.Variable(1.0, use_resource=True, name="r")
    with tf.control_dependencies([r, r.assign_add(1.0)]):
        assert [op.name for op in tf.no_op().control_inputs] == ["r", "AssignAddVariableOp"]


def test_caching_device():
    v = tf.Variable(1.0, caching_device="/cpu:3")
    r = tf.Variable(1.0, use_resource=True, caching_device="/cpu:3")
    assert v.value().device == "/device:CPU:3" and v.value().op._colocation == ()
    assert r.value().device == "/device:CPU:3" and r.value() is r.value()


def test_reads_of_a_resource_variable_are_where_it_is():
    with tf.device("/cpu:1"):
        r = tf.Variable(1.0, use_resource=True)
    with tf.device("/cpu:2"):
        assert r.value().device == "/device:CPU:1"
        assert r.read_value().device == "/device:CPU:2"


# --- Properties -------------------------------------------------------------------------------------------------------


def test_properties(graph):
    v = tf.Variable([[1.0, 2.0]], name="v", constraint=abs, trainable=False)
    assert repr(v) == "<tf.Variable 'v:0' shape=(1, 2) dtype=float32_ref>"
    assert (v.name, v.op.type, v.shape.as_list(), v.graph, v.device) == ("v:0", "VariableV2", [1, 2], graph, "")
    assert v.dtype == tf.float32._as_ref
    assert v.constraint is abs and v.trainable is False
    assert v.initial_value.name == "v/initial_value:0"
    assert v.initializer.name == "v/Assign"
    assert v.value().name == "v/read:0" and v.read_value().name == "read:0"
    assert v._ref().name == "v:0"
    assert (v.synchronization, v.aggregation) == (tf.VariableSynchronization.AUTO, tf.VariableAggregation.NONE)
    assert v.experimental_ref().deref() is v


def test_kinds():
    v, r = tf.Variable(1.0), tf.Variable(1.0, use_resource=True)
    assert type(v) is RefVariable and type(r) is ResourceVariable
    assert isinstance(v, tf.Variable) and isinstance(r, tf.Variable)
    assert repr(r) == "<tf.Variable 'Variable_1:0' shape=() dtype=float32>"
    assert r.handle.dtype == tf.resource and r.op is r.handle.op
    assert not hasattr(v, "sparse_read")


def test_signature():
    assert list(inspect.signature(tf.Variable).parameters)[:3] == ["initial_value", "trainable", "collections"]


def test_identity_and_operators():
    v, w = tf.Variable(1.0), tf.Variable(1.0)
    assert v == v and v != w and len({v, w, v}) == 2
    assert (v + 1.0).op.inputs[0] is v.value()
    assert (1.0 - v).op.type == "Sub" and (-v).op.type == "Neg" and (v > w).op.type == "Greater"
    with pytest.raises(TypeError, match="'Variable' object is not iterable."):
        iter(v)
    with pytest.raises(TypeError, match="has no len"):
        len(v)


def test_conversion():
    v = tf.Variable([1.0])
    assert tf.convert_to_tensor(v) is v.value()
    with pytest.raises(ValueError, match="requested to type 'int32' for variable of type 'float32_ref'"):
        tf.convert_to_tensor(v, tf.int32)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(1, "int32"), (True, "bool"), ("s", "string"), ([1j], "complex128"), (np.float16(2), "float16"), (2.5, "float32")],
)
def test_dtype_of_the_initial_value(value, dtype):
    assert tf.Variable(value).dtype.base_dtype.name == dtype


def test_names_are_made_unique():
    assert [tf.Variable(0.0).name for _ in range(3)] == ["Variable:0", "Variable_1:0", "Variable_2:0"]
    with tf.name_scope("s"):
        assert tf.Variable(0.0, name="v").name == "s/v:0"


def test_unknown_shapes():
    x = tf.placeholder(tf.float32, [None, 2])
    v = tf.Variable(x, validate_shape=False)
    assert repr(v) == "<tf.Variable 'Variable:0' shape=<unknown> dtype=float32_ref>"
    v.set_shape([3, 2])
    assert v.shape.as_list() == v.value().shape.as_list() == [3, 2]
    r = tf.Variable(x, use_resource=True)
    assert r.shape.as_list() == [None, 2]
    assert tf.Variable([[1.0]], shape=tf.TensorShape(None)).shape.ndims is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "initial_value must be specified."),
        ({"use_resource": True}, ValueError, "initial_value must be specified."),
        ({"initial_value": 1.0, "collections": "c"}, ValueError, "must be a list, tuple, or set. Got c of type <class"),
        ({"initial_value": 1.0, "constraint": 3}, ValueError, "The `constraint` argument must be a callable."),
        ({"initial_value": 1.0, "dtype": "int32"}, TypeError, "Expected int32, got 1.0 of type 'float' instead."),
        ({"initial_value": 1.0, "shape": [2]}, ValueError, "Shapes must be equal rank, but are 1 and 0"),
        ({"initial_value": 1.0, "name": "bad name"}, ValueError, "'bad name' is not a valid scope name"),
        ({"initial_value": 1.0, "name": ""}, ValueError, "'' is not a valid node name"),
        ({"initial_value": 1.0, "variable_def": object(), "use_resource": False}, ValueError, "mutually exclusive"),
        (
            {"initial_value": [1.0], "shape": [2], "use_resource": True},
            ValueError,
            "not compatible with the explicitly",
        ),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        tf.Variable(**arguments)
    assert message in str(caught.value)


def test_an_initial_value_of_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="initial_value must have a shape specified: Tensor"):
        tf.Variable(tf.placeholder(tf.float32))


def test_a_trainable_variable_cannot_be_synchronised_on_reading():
    on_read = tf.VariableSynchronization.ON_READ
    assert tf.Variable(1.0, synchronization=on_read).trainable is False
    with pytest.raises(ValueError, match="ON_READ only for non-trainable variables"):
        tf.Variable(1.0, synchronization=on_read, trainable=True)


def test_collections():
    made = {
        "default": tf.Variable(0.0),
        "frozen": tf.Variable(0.0, trainable=False),
        "own": tf.Variable(0.0, collections=["mine"]),
        "both": tf.Variable(0.0, collections=("mine", "more"), trainable=False),
    }
    assert tf.global_variables() == [made["default"], made["frozen"]] == tf.all_variables()
    assert tf.trainable_variables() == [made["default"], made["own"]]
    assert tf.get_collection("mine") == [made["own"], made["both"]]
    assert tf.global_variables("Variable_1") == [made["frozen"]]
    assert tf.local_variables() == tf.model_variables() == tf.moving_average_variables() == []


# --- Updates ----------------------------------------------------------------------------------------------------------


def test_updates_give_a_reference_or_the_operation():
    v = tf.Variable([1.0, 2.0])
    assert v.assign([3.0, 4.0]).dtype.is_ref
    assert v.assign_add([3.0, 4.0], read_value=False).type == "AssignAdd"
    assert tf.assign_sub(v, [1.0, 1.0], name="less").name == "less:0"
    r = tf.Variable([1.0, 2.0], use_resource=True)
    assert repr(r.assign([3.0, 4.0], name="set")) == "<tf.Variable 'set' shape=(2,) dtype=float32>"
    assert r.assign([3.0, 4.0], read_value=False).type == "AssignVariableOp"


def test_bad_updates():
    v = tf.Variable([1.0, 2.0])
    with pytest.raises(TypeError, match="Input 'value' of 'Assign' Op has type int32 that does not match type float32"):
        v.assign(tf.constant([1, 2]))
    with pytest.raises(ValueError, match="Dimension 0 in both shapes must be equal, but are 2 and 3"):
        v.assign([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="sparse_delta is not IndexedSlices"):
        v.scatter_add([1.0])
    r = tf.Variable([1.0, 2.0], use_resource=True)
    with pytest.raises(ValueError, match=r"Shapes \(2,\) and \(3,\) are incompatible"):
        r.assign([1.0, 2.0, 3.0])
    with pytest.raises(NotImplementedError, match="does not implement set_shape"):
        r.set_shape([2])


@pytest.mark.parametrize("use_resource", [False, True])
def test_scatter_methods(use_resource):
    v = tf.Variable([1.0, 2.0, 4.0], use_resource=use_resource)
    delta = tf.IndexedSlices(tf.constant([2.0, 3.0]), tf.constant([0, 2]))
    results = {
        "add": [3, 2, 7], "sub": [1, 2, 4], "mul": [2, 2, 12], "div": [1, 2, 4], "min": [1, 2, 3], "max": [2, 2, 3],
        "update": [2, 2, 3],
    }  # fmt: skip
    with tf.Session() as session:
        session.run(v.initializer)
        for name, expected in results.items():
            np.testing.assert_array_equal(session.run(getattr(v, f"scatter_{name}")(delta)), expected)
        np.testing.assert_array_equal(session.run(v.scatter_nd_add([[1]], [5.0])), [2, 7, 3])
        np.testing.assert_array_equal(session.run(v.scatter_nd_sub([[1], [1]], [1.0, 1.0])), [2, 5, 3])
        np.testing.assert_array_equal(session.run(v.scatter_nd_update([[0]], [9.0])), [9, 5, 3])


def test_batch_scatter_update():
    v = tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    delta = tf.IndexedSlices(tf.constant([[10.0], [20.0]]), tf.constant([[2], [0]]))
    with tf.Session() as session:
        session.run(v.initializer)
        np.testing.assert_array_equal(session.run(v.batch_scatter_update(delta)), [[1, 2, 10], [20, 5, 6]])


def test_reads_of_a_resource_variable():
    r = tf.Variable([[1.0, 2.0], [3.0, 4.0]], use_resource=True)
    with tf.Session() as session:
        session.run(r.initializer)
        after = r.assign_add([[1.0, 1.0], [1.0, 1.0]])
        assert session.run(after.sparse_read([1])).tolist() == [[4.0, 5.0]]
        assert session.run(r.gather_nd([[0, 1]])).tolist() == [3.0]
        assert session.run(r[1, 0].assign(9.0)).tolist() == [[2.0, 3.0], [9.0, 5.0]]
        assert session.run(tf.gather(r, [1])).tolist() == [[9.0, 5.0]]


def test_reads_after_an_assignment_follow_it():
    r = tf.Variable(1.0, use_resource=True)
    twice = r.assign_add(1.0).assign_add(10.0) + 0.0
    with tf.Session() as session:
        session.run(r.initializer)
        assert session.run(r.assign(5.0) * 2.0) == 10.0
        session.run(r.initializer)
        assert session.run(twice) in (11.0, 12.0)  # the two updates are not ordered


def test_count_up_to():
    counters = [tf.Variable(0), tf.Variable(0, use_resource=True)]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for counter in counters:
            step = counter.count_up_to(2)
            assert [session.run(step), session.run(step)] == [0, 1]
            with pytest.raises(tf.errors.OutOfRangeError, match="Reached limit of 2"):
                session.run(step)


# --- In a session -----------------------------------------------------------------------------------------------------


def test_initialized_value_chooses_when_it_runs():
    v = tf.Variable([1.0, 2.0])
    r = tf.Variable([3.0], use_resource=True)
    values = [v.initialized_value(), r.initialized_value()]
    with tf.Session() as session:
        assert [x.tolist() for x in session.run(values)] == [[1.0, 2.0], [3.0]]
        session.run([v.initializer, r.initializer])
        session.run([v.assign([5.0, 6.0]).op, r.assign([7.0]).op])
        assert [x.tolist() for x in session.run(values)] == [[5.0, 6.0], [7.0]]


def test_dependent_variables_initialise_in_any_order():
    a = tf.Variable([1.0, 2.0])
    b = tf.Variable(a * 2.0)
    c = tf.Variable(a.initialized_value() + a)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert [x.tolist() for x in session.run([a, b, c])] == [[1.0, 2.0], [2.0, 4.0], [2.0, 4.0]]


def test_uninitialised():
    v = tf.Variable(1.0, name="v")
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="Attempting to use uninitialized value v"):
            session.run(v)
        assert session.run(tf.report_uninitialized_variables()).tolist() == [b"v"]
        with pytest.raises(tf.errors.FailedPreconditionError):
            session.run(tf.assert_variables_initialized())
        session.run(v.initializer)
        assert session.run(tf.report_uninitialized_variables()).tolist() == []
        assert session.run(tf.is_variable_initialized(v))
        assert session.run(tf.assert_variables_initialized()) == 0


def test_initializers_of_lists():
    v, w = tf.Variable(1.0, name="v"), tf.Variable(2.0, name="w")
    assert [op.name for op in tf.global_variables_initializer().control_inputs] == ["v/Assign", "w/Assign"]
    assert [op.name for op in tf.variables_initializer([w], name="one").control_inputs] == ["w/Assign"]
    assert tf.local_variables_initializer().name == "init_1"
    assert tf.assert_variables_initialized([v]).op.type == "Rank"


def test_without_variables():
    assert tf.assert_variables_initialized() is None
    assert tf.report_uninitialized_variables().shape.as_list() == [0]


def test_load_and_eval():
    v = tf.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match="Either session argument should be provided"):
        v.load([1.0, 2.0])
    with pytest.raises(ValueError, match="No default session is registered"):
        v.eval()
    with tf.Session() as session:
        v.load([5.0, 6.0], session)
        assert v.eval().tolist() == [5.0, 6.0]


# --- Protocol buffers -------------------------------------------------------------------------------------------------


def test_protocol_buffer_and_back():
    with tf.name_scope("s"):
        v = tf.Variable([1.0, 2.0], name="v", trainable=False)
        r = tf.Variable([1.0, 2.0], name="r", use_resource=True)
    written = v.to_proto(export_scope="s")
    assert (written.variable_name, written.initializer_name, written.snapshot_name, written.initial_value_name) == (
        "v:0", "v/Assign", "v/read:0", "v/initial_value:0",
    )  # fmt: skip
    assert v.to_proto(export_scope="other") is None
    again = tf.Variable.from_proto(written, import_scope="s")
    assert (again.name, again.trainable, again.value(), again.initializer) == (v.name, False, v.value(), v.initializer)
    restored = tf.Variable.from_proto(r.to_proto())
    assert type(restored) is ResourceVariable
    assert (restored.handle, restored.dtype, restored.shape.as_list()) == (r.handle, tf.float32, [2])


def test_save_slice_info():
    v = tf.Variable(tf.zeros([4, 2]))
    v._set_save_slice_info(tf.Variable.SaveSliceInfo("whole", [4, 6], [0, 2], [4, 2]))
    assert v._get_save_slice_info().spec == "4 6 0,4:2,2"
    again = tf.Variable.from_proto(v.to_proto(), import_scope=None)
    assert again._get_save_slice_info().spec == "4 6 0,4:2,2"
    assert again._get_save_slice_info().full_name == "whole"


# --- Creators ---------------------------------------------------------------------------------------------------------


def test_creators_nest():
    calls = []

    def creator(label):
        def create(next_creator, **keywords):
            calls.append((label, keywords["name"]))
            return next_creator(**{**keywords, "name": keywords["name"] + label})

        return create

    with tf.variable_creator_scope(creator("_outer")), tf.variable_creator_scope(creator("_inner")):
        v = tf.Variable(1.0, name="v")
    assert calls == [("_inner", "v"), ("_outer", "v_inner")]
    assert v.name == "v_inner_outer:0"
    assert tf.Variable(1.0, name="w").name == "w:0"


def test_resource_variables_by_default():
    tf.enable_resource_variables()
    try:
        assert tf.resource_variables_enabled()
        assert type(tf.Variable(1.0)) is ResourceVariable
        with tf.variable_scope("s", use_resource=False):
            assert type(tf.Variable(1.0)) is RefVariable
    finally:
        tf.disable_resource_variables()
    assert type(tf.Variable(1.0)) is RefVariable
