"""Plans: what of a graph runs, in which order, in how few stages. No array is touched here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import millstream.v1 as tf
from millstream.runtime import plan as plans
from millstream.runtime.plan import check_plan, make_plan


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def plan_for(fetches, feeds=(), place=lambda op: ""):
    """A checked plan for tensors and operations."""
    graph = tf.get_default_graph()
    elements = [graph.as_graph_element(item) for item in fetches]
    tensors = [item for item in elements if isinstance(item, tf.Tensor)]
    targets = [item for item in elements if isinstance(item, tf.Operation)]
    plan = make_plan(graph, tensors, targets, feeds, place)
    check_plan(plan)
    return plan


def kinds(plan):
    return ["host" if step.is_host else "stage" for step in plan.steps]


def order(plan):
    return [op.name for step in plan.steps for op in step.ops]


# --- Pruning ----------------------------------------------------------------------------------------------------------


def test_only_what_is_needed_runs():
    x = tf.placeholder(tf.float32, name="x")
    tf.negative(x, name="other")
    y = tf.add(x, 1.0, name="y")
    assert set(order(plan_for([y], [x]))) == {"y/y", "y"}


def test_what_makes_a_fed_tensor_does_not_run():
    x = tf.negative(tf.constant(1.0, name="c"), name="x")
    y = tf.add(x, x, name="y")
    assert order(plan_for([y], [x])) == ["y"]
    assert plan_for([x], [x]).steps == []


def test_control_inputs_run():
    first = tf.no_op(name="first")
    with tf.control_dependencies([first]):
        y = tf.constant(1.0, name="y")
    assert order(plan_for([y])) == ["first", "y"]


def test_one_output_is_fed_and_another_needed():
    a, b = tf.split(tf.constant([1.0, 2.0]), 2, name="s")
    plan = plan_for([tf.add(a, b, name="sum")], [a])
    assert "s" in order(plan)
    assert plan.steps[0].inputs == [a]


# --- Order ------------------------------------------------------------------------------------------------------------


def test_readers_come_before_unordered_writers():
    v = tf.Variable(1.0, name="v")
    write = tf.assign_add(v, 5.0, name="write")
    read = tf.identity(v.value(), name="read")
    found = order(plan_for([write.op, read]))
    assert found.index("read") < found.index("write")


def test_control_dependencies_overrule_that():
    v = tf.Variable(1.0, name="v")
    with tf.control_dependencies([tf.assign_add(v, 5.0, name="write")]):
        read = v.read_value()
    found = order(plan_for([read]))
    assert found.index("write") < found.index(read.op.name)


def test_writers_keep_the_order_in_which_they_were_made():
    v = tf.Variable(1.0, name="v")
    writes = [tf.assign(v, float(number), name=f"w{number}").op for number in range(5)]
    found = order(plan_for(reversed(writes)))
    assert [name for name in found if name.startswith("w") and "/" not in name] == ["w0", "w1", "w2", "w3", "w4"]


def test_fetched_references_are_read_last():
    v = tf.Variable(1.0, name="v")
    write = tf.assign_add(v, 5.0)
    plan = plan_for([v, write])
    assert list(plan.final_reads) == [v._ref(), write]


def test_a_cycle(graph):
    a = tf.identity(tf.constant(1.0), name="a")
    b = tf.identity(a, name="b")
    a.op._update_input(0, b)
    with pytest.raises(ValueError, match="The graph has a cycle through a, b"):
        make_plan(graph, [b], [], [])


# --- Stages -----------------------------------------------------------------------------------------------------------


def build_mlp_step():
    x = tf.placeholder(tf.float32, [None, 8])
    labels = tf.placeholder(tf.int64, [None])
    w1 = tf.get_variable("w1", [8, 16])
    w2 = tf.get_variable("w2", [16, 3])
    hidden = tf.nn.relu(tf.matmul(x, w1) + tf.get_variable("b1", [16], initializer=tf.zeros_initializer()))
    logits = tf.matmul(hidden, w2)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.1, step, 100, 0.9)
    train = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=step)
    average = tf.train.ExponentialMovingAverage(0.9, step)
    with tf.control_dependencies([train, average.apply([w1, w2])]):
        done = tf.no_op()
    return [x, labels], [done, loss, step]


def test_a_training_step_is_one_stage():
    feeds, fetches = build_mlp_step()
    assert kinds(plan_for(fetches, feeds)) == ["stage"]


def test_initializers_are_one_stage():
    for index in range(20):
        tf.get_variable(f"w{index}", [index + 1, 4])
    assert kinds(plan_for([tf.global_variables_initializer()])) == ["stage"]


def test_checks_stay_in_their_stage():
    x = tf.placeholder(tf.float32, [None])
    with tf.control_dependencies([tf.assert_positive(x, message="not positive")]):
        y = tf.check_numerics(tf.identity(x), "not finite") + tf.gather(x, [0])
    assert kinds(plan_for([y], [x])) == ["stage"]


def test_host_operations_cut():
    x = tf.placeholder(tf.float32, [3])
    y = tf.py_func(np.sin, [x * 2.0], tf.float32) + 1.0
    assert kinds(plan_for([y], [x])) == ["stage", "host", "stage"]
    assert kinds(plan_for([tf.py_func(np.sin, [x], tf.float32)], [x])) == ["host"]


def test_host_operations_that_are_ready_run_together():
    """Two chains of device, host, device operations take three steps' time, not six."""
    x = tf.placeholder(tf.float32, [3])
    a = tf.py_func(np.sin, [x + 1.0], tf.float32) + 1.0
    b = tf.py_func(np.cos, [x + 2.0], tf.float32) + 2.0
    assert kinds(plan_for([a, b], [x])) == ["stage", "host", "host", "stage"]
    assert kinds(plan_for([a + b], [x])) == ["stage", "host", "host", "stage"]


def test_strings_run_on_the_host():
    x = tf.placeholder(tf.string, [])
    y = tf.identity(x)
    assert kinds(plan_for([y], [x])) == ["host"]


def test_data_dependent_shapes_cut():
    x = tf.placeholder(tf.float32, [None])
    y = tf.gather_nd(x * 2.0, tf.where(x > 0.0)) + 1.0
    assert kinds(plan_for([y], [x])) == ["stage", "host", "stage"]


def test_constant_static_inputs_do_not_cut():
    x = tf.placeholder(tf.float32, [None, 4])
    shape = tf.concat([tf.shape(x)[:1], [2, 2]], 0)
    y = tf.reduce_sum(tf.reshape(x, shape), tf.range(1, 3))
    plan = plan_for([y], [x])
    assert kinds(plan) == ["stage"]
    assert plan.steps[0].statics == []
    assert shape in plan.steps[0].folded


def test_fed_static_inputs_specialise():
    x, shape = tf.placeholder(tf.float32, [None]), tf.placeholder(tf.int32, [None])
    plan = plan_for([tf.reshape(x, shape) * 2.0], [x, shape])
    assert kinds(plan) == ["stage"]
    assert plan.steps[0].statics == [shape]


def test_computed_static_inputs_cut():
    x = tf.placeholder(tf.float32, [None])
    count = tf.cast(tf.reduce_max(x), tf.int32)
    plan = plan_for([tf.zeros(tf.stack([count, 2])) + 1.0], [x])
    assert kinds(plan) == ["stage", "stage"]
    assert len(plan.steps[1].statics) == 1


def test_a_fed_constant_is_not_folded():
    shape = tf.constant([2, 2])
    y = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0]), shape)
    plan = plan_for([y], [shape])
    assert plan.steps[0].statics == [shape]
    assert plan.steps[0].folded == frozenset()


def test_stages_are_of_one_device():
    with tf.device("/cpu:0"):
        a = tf.constant(1.0) + 1.0
    with tf.device("/cpu:1"):
        b = a * 2.0
    with tf.device("/cpu:0"):
        c = b + a
    plan = plan_for([c], place=lambda op: op.device)
    assert [step.device for step in plan.steps] == ["/device:CPU:0", "/device:CPU:1", "/device:CPU:0"]


def test_variables_of_a_stage():
    v, w = tf.Variable(1.0, name="v"), tf.Variable(1.0, name="w")
    plan = plan_for([tf.assign_add(v, w.value()).op])
    (stage,) = plan.steps
    assert [handle.name for handle in stage.reads] == ["w"]
    assert [handle.name for handle in stage.writes] == ["v"]
    assert (stage.inputs, stage.outputs, stage.shared) == ([], [], False)


def test_a_fed_variable_is_not_read():
    v = tf.Variable(1.0, name="v")
    plan = plan_for([tf.identity(v._ref())], [v._ref()])
    assert (plan.steps[0].reads, plan.steps[0].inputs) == ([], [v._ref()])


def test_a_fed_variable_cannot_be_assigned():
    v = tf.Variable(1.0, name="v")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="Input 0 of node .* was passed float from v:0 incompatible"
    ):
        plan_for([tf.assign_add(v, 1.0)], [v._ref()])


def test_stages_before_others_are_shared():
    """What they assign may have to be undone."""
    v = tf.Variable(1.0)
    with tf.control_dependencies([tf.assign_add(v, 1.0)]):
        y = tf.py_func(lambda: np.float32(1), [], tf.float32)
    assert all(step.shared for step in plan_for([y]).steps)


def test_a_long_stage_is_split():
    x = tf.placeholder(tf.float32, [4])
    v = tf.Variable([1.0] * 4)
    y = x
    for _ in range(30):
        y = tf.nn.softplus(y) + tf.cast(tf.shape(x)[0], tf.float32)
    write = tf.assign(v, y)
    (stage,) = plan_for([y * v, write.op], [x]).steps
    parts = plans.split_stage(stage, 3)
    assert len(parts) == 3
    rebuilt = plans.Plan(parts, stage.outputs, frozenset([x]))
    without_copies(rebuilt)
    assert {op for part in parts for op in part.ops} == set(stage.ops)
    assert all(part.shared for part in parts)
    assert [handle.name for part in parts for handle in part.writes] == [v.op.name]


def without_copies(plan):
    """Checks a plan whose parts may compute what is concrete anew."""
    seen = set()
    for step in plan.steps:
        step.ops = [op for op in step.ops if op not in seen or not seen.add(op)]
    available = set(plan.feeds)
    for step in plan.steps:
        assert set(step.inputs) <= available
        inside = set(step.inputs)
        for op in step.ops:
            assert all(tensor in inside or tensor.dtype.is_ref for tensor in op.inputs)
            inside.update(op.outputs)
        available.update(step.outputs)
    assert set(plan.fetches) <= available


# --- The specification itself ---------------------------------------------------------------------------------------


def test_the_check_finds_wrong_plans():
    x = tf.placeholder(tf.float32, [3])
    a = tf.py_func(np.sin, [x + 1.0], tf.float32)
    b = tf.py_func(np.sin, [a + 1.0], tf.float32)

    def fresh():
        return plan_for([b], [x])

    plan = fresh()
    plan.steps.reverse()
    with pytest.raises(ValueError, match="is used before it is made"):
        check_plan(plan)
    plan = fresh()
    plan.steps[0].ops.append(plan.steps[0].ops[0])
    with pytest.raises(ValueError, match="runs twice"):
        check_plan(plan)
    plan = fresh()
    plan.steps[0].ops.reverse()
    with pytest.raises(ValueError, match="before it is made"):
        check_plan(plan)
    plan = fresh()
    plan.steps[0].outputs = []
    with pytest.raises(ValueError, match="is used before it is made"):
        check_plan(plan)
    plan = fresh()
    plan.steps.pop()
    with pytest.raises(ValueError, match="is not made"):
        check_plan(plan)


# --- Any graph --------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from("add matmul where py_func print identity reshape sum assign assign_add read control".split()),
        st.integers(0, 99),
        st.integers(0, 99),
    ),
    max_size=25,
)


def build_random(steps):
    """A graph over matrices of 2 x 2; gives all tensors."""
    placeholder = tf.placeholder(tf.float32, [2, 2])
    variables = [tf.Variable(tf.ones([2, 2])) for _ in range(2)]
    tensors = [placeholder, tf.constant([[1.0, 2.0], [3.0, 4.0]])]
    controls = []
    for kind, first, second in steps:
        a, b = tensors[first % len(tensors)], tensors[second % len(tensors)]
        variable = variables[first % 2]
        with tf.control_dependencies(controls[-1:] if second % 3 == 0 else None):
            tensors.append(build_one(kind, a, b, variable))
        if kind == "control":
            controls.append(tensors[-1].op)
    return placeholder, tensors


def build_one(kind, a, b, variable):
    if kind == "add":
        return a + b
    if kind == "matmul":
        return tf.matmul(a, b)
    if kind == "where":
        return tf.where(a > b, a, b)
    if kind == "py_func":
        found = tf.py_func(lambda x, y: x - y, [a, b], tf.float32)
        found.set_shape([2, 2])
        return found
    if kind == "print":
        return tf.Print(a, [b])
    if kind == "reshape":  # by a shape that is computed from values
        side = tf.cast(tf.reduce_sum(b) * 0.0, tf.int32) + 2
        return tf.ensure_shape(tf.reshape(a, tf.stack([side, side])), [2, 2])
    if kind == "sum":
        return a * tf.reduce_sum(b)
    if kind == "assign":
        return tf.identity(tf.assign(variable, a))
    if kind == "assign_add":
        return tf.identity(tf.assign_add(variable, b))
    if kind == "read":
        return variable.read_value()
    return tf.identity(b)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(STEPS, st.lists(st.integers(0, 99), min_size=1, max_size=4), st.lists(st.integers(0, 99), max_size=3))
def test_plans_of_any_graph(steps, wanted, fed):
    with tf.Graph().as_default():
        placeholder, tensors = build_random(steps)
        fetches = [tensors[index % len(tensors)] for index in wanted]
        feeds = {placeholder, *(tensors[index % len(tensors)] for index in fed)}
        plan = plan_for(list(dict.fromkeys(fetches)), feeds)
        check_order(plan)
        for before, after in zip(plan.steps, plan.steps[1:], strict=False):
            assert before.is_host or after.is_host or after.statics, "two stages that could be one"


def check_order(plan):
    """Over all stages: everything that an operation depends on comes before it, variables included."""
    place = {op: index for index, op in enumerate(op for step in plan.steps for op in step.ops)}
    for op, index in place.items():
        makers = [tensor.op for tensor in op.inputs if tensor not in plan.feeds] + op.control_inputs
        assert all(place[maker] < index for maker in makers)
