"""`Graph`: names, scopes, collections, control dependencies, devices, look-ups; as TensorFlow 1.15.5 has them."""

from __future__ import annotations

import threading

import pytest

import millstream.v1 as tf
from millstream.core import context


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def names_of(graph):
    return [op.name for op in graph.get_operations()]


# --- Names ------------------------------------------------------------------------------------------------------------


def test_names_are_made_unique_without_regard_to_case():
    made = [tf.no_op(name=name).name for name in ("a", "a", "A", "a_1", "a", "A_2")]
    assert made == ["a", "a_1", "A_2", "a_1_1", "a_3", "A_2_1"]


def test_default_names_are_the_types():
    x = tf.constant(1.0)
    assert [tensor.op.name for tensor in (x, x + x, tf.matmul([[1.0]], [[2.0]]), -x)] == [
        "Const",
        "add",
        "MatMul",
        "Neg",
    ]


def test_constants_of_an_operation_are_named_under_it(graph):
    tf.add(1.0, 2.0, name="sum")
    assert names_of(graph) == ["sum/x", "sum/y", "sum"]


@pytest.mark.parametrize("name", ["a b", "a:0", "_a", "-a", "/a", "a\n1", "a\\b", "ä"])
def test_bad_names(name):
    with pytest.raises(ValueError, match="is not a valid scope name"):
        tf.no_op(name=name)


@pytest.mark.parametrize("name", ["a.b", "A9", "9", ".x", "a-b", "a_"])
def test_good_names(name):
    assert tf.no_op(name=name).name == name


def test_inner_names_may_begin_with_an_underscore():
    with tf.name_scope("s"):
        assert tf.no_op(name="_a").name == "s/_a"


def test_name_scopes_nest_and_are_unique():
    seen = []
    for _ in range(2):
        with tf.name_scope("outer") as outer:
            with tf.name_scope("inner") as inner:
                seen += [outer, inner, tf.no_op(name="x").name]
    assert seen == ["outer/", "outer/inner/", "outer/inner/x", "outer_1/", "outer_1/inner/", "outer_1/inner/x"]


def test_a_scope_is_entered_again_by_its_full_name():
    with tf.name_scope("s") as scope:
        tf.no_op(name="x")
    with tf.name_scope("t"), tf.name_scope(scope):
        assert tf.no_op(name="x").name == "s/x_1"


def test_an_operation_takes_the_name_of_its_scope():
    with tf.name_scope("s") as scope:
        assert tf.no_op(name=scope).name == "s"


def test_empty_scope_is_the_root(graph):
    with tf.name_scope("s"):
        with graph.name_scope(None) as root:
            assert (root, tf.no_op(name="x").name) == ("", "x")
        with graph.name_scope("") as root:
            assert (root, tf.no_op(name="y").name) == ("", "y")
        assert graph.get_name_scope() == "s"


def test_name_scope_takes_its_default(graph):
    with tf.name_scope(None, "fallback", [1.0]) as scope:
        assert scope == "fallback/"
    with tf.name_scope("given", "fallback") as scope:
        assert scope == "given/"


def test_name_scope_needs_some_name():
    with pytest.raises(ValueError, match=r"At least one of name \(None\) and default_name \(None\) must be provided"):
        with tf.name_scope(None, None, [tf.constant(1.0)]):
            pass


def test_name_scope_enters_the_graph_of_its_values(graph):
    x = tf.constant(1.0)
    with tf.Graph().as_default() as other:
        with tf.name_scope("s", values=[x]):
            assert tf.get_default_graph() is graph
        assert tf.get_default_graph() is other


def test_values_of_two_graphs():
    x = tf.constant(1.0)
    with tf.Graph().as_default():
        y = tf.constant(1.0)
        with pytest.raises(ValueError, match="must be from the same graph as"):
            with tf.name_scope("s", values=[x, y]):
                pass


def test_a_scope_is_left_when_something_is_raised(graph):
    with pytest.raises(KeyError):
        with tf.name_scope("s"), tf.control_dependencies([tf.no_op()]), tf.device("/cpu:0"):
            raise KeyError
    op = tf.no_op(name="x")
    assert (op.name, op.control_inputs, op.device) == ("x", [], "")


def test_unique_name(graph):
    tf.no_op(name="a")
    assert graph.unique_name("a", mark_as_used=False) == "a_1"
    assert [graph.unique_name("a"), graph.unique_name("A")] == ["a_1", "A_2"]
    with tf.name_scope("s"):
        assert graph.unique_name("a") == "s/a"


# --- Looking things up ------------------------------------------------------------------------------------------------


def test_lookups(graph):
    x = tf.constant(1.0, name="x")
    assert graph.get_operation_by_name("x") is x.op
    assert graph.get_tensor_by_name("x:0") is x
    assert graph.as_graph_element("x") is x.op
    assert graph.as_graph_element("x:0") is x
    assert graph.as_graph_element(x) is x
    v = tf.Variable(1.0, name="v")
    assert graph.as_graph_element(v).name == "v:0"
    assert graph.get_operations()[0] is x.op


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("y:0", KeyError, "The name 'y:0' refers to a Tensor which does not exist. The operation, 'y', does not exist"),
        (
            "x:1",
            KeyError,
            "The name 'x:1' refers to a Tensor which does not exist. The operation, 'x', exists but only",
        ),
        ("x", ValueError, "The name 'x' refers to an Operation, not a Tensor"),
        ("y", ValueError, r"The name 'y' looks like an \(invalid\) Operation name, not a Tensor"),
        ("x:y", ValueError, "The name 'x:y' looks a like a Tensor name, but is not a valid one"),
        (3, TypeError, r"Tensor names are strings \(or similar\), not int"),
        (None, TypeError, r"Tensor names are strings \(or similar\), not NoneType"),
    ],
)
def test_tensors_that_are_not_there(graph, name, error, sentence):
    tf.constant(1.0, name="x")
    with pytest.raises(error, match=sentence):
        graph.get_tensor_by_name(name)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("y", KeyError, "The name 'y' refers to an Operation not in the graph"),
        ("x:0", ValueError, "Name 'x:0' appears to refer to a Tensor, not a Operation"),
        (3, TypeError, r"Operation names are strings \(or similar\), not int"),
    ],
)
def test_operations_that_are_not_there(graph, name, error, sentence):
    tf.constant(1.0, name="x")
    with pytest.raises(error, match=sentence):
        graph.get_operation_by_name(name)


def test_elements_of_another_graph(graph):
    with tf.Graph().as_default():
        x = tf.constant(1.0)
    with pytest.raises(ValueError, match="is not an element of this graph"):
        graph.as_graph_element(x)
    with pytest.raises(ValueError, match="is not an element of this graph"):
        graph.as_graph_element(x.op)
    with pytest.raises(TypeError, match="Can not convert a float into a Tensor or Operation"):
        graph.as_graph_element(1.0)


# --- Default graphs -------------------------------------------------------------------------------------------------


def test_default_graphs_nest(graph):
    assert tf.get_default_graph() is graph
    with tf.Graph().as_default() as inner:
        assert tf.get_default_graph() is inner
        with graph.as_default():
            assert tf.get_default_graph() is graph
        assert tf.get_default_graph() is inner
    assert tf.get_default_graph() is graph


def test_reset_default_graph_refuses_nested_graphs():
    with pytest.raises(AssertionError, match="Do not use tf.reset_default_graph.. to clear nested graphs"):
        tf.reset_default_graph()


def test_reset_default_graph():
    """In a thread of its own, where no graph is entered; the global graph belongs to the process."""
    seen = []

    def work():
        before = tf.get_default_graph()
        tf.reset_default_graph()
        seen.extend([before is tf.get_default_graph(), tf.get_default_graph().get_operations()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, []]


def test_inputs_decide_about_the_graph(graph):
    x = tf.constant(1.0)
    with tf.Graph().as_default():
        assert tf.identity(x).graph is graph


def test_inputs_of_two_graphs():
    x = tf.constant(1.0)
    with tf.Graph().as_default():
        y = tf.constant(1.0)
    with pytest.raises(ValueError, match="must be from the same graph as"):
        tf.add(x, y)
    with pytest.raises(ValueError, match="must be from the same graph as"):
        tf.stack([x, y])


# --- Control dependencies ---------------------------------------------------------------------------------------------


def controls(op):
    return [other.name for other in op.control_inputs]


def test_control_dependencies_nest():
    a, b, c = (tf.no_op(name=name) for name in "abc")
    with tf.control_dependencies([a]):
        with tf.control_dependencies([b, c]):
            assert controls(tf.no_op()) == ["a", "b", "c"]
        assert controls(tf.no_op()) == ["a"]
    assert controls(tf.no_op()) == []


def test_none_puts_control_dependencies_out_of_force():
    a, b = tf.no_op(name="a"), tf.no_op(name="b")
    with tf.control_dependencies([a]):
        with tf.control_dependencies(None):
            assert controls(tf.no_op()) == []
            with tf.control_dependencies([b]):
                assert controls(tf.no_op()) == ["b"]
        with tf.init_scope():
            assert controls(tf.no_op()) == []


def test_control_dependencies_that_an_input_has_already_are_left_out():
    a = tf.no_op(name="a")
    x = tf.constant(1.0)
    with tf.control_dependencies([a]):
        y = tf.identity(x)
        z = tf.identity(y)
    assert (controls(y.op), controls(z.op)) == (["a"], [])


def test_control_dependencies_on_tensors_variables_and_names():
    x = tf.constant(1.0, name="x")
    v = tf.Variable(1.0, name="v")
    with tf.control_dependencies([x, x.op, v]):
        assert sorted(controls(tf.no_op())) == ["v", "x"]


def test_control_dependencies_on_other_things():
    with pytest.raises(TypeError, match="Can not convert a float into a Tensor or Operation"):
        with tf.control_dependencies([1.0]):
            pass


def test_an_input_is_no_control_input_besides():
    x = tf.constant(1.0)
    with tf.control_dependencies([x]):
        assert controls(tf.identity(x).op) == []


# --- Devices, colocation, containers ----------------------------------------------------------------------------------


def test_device_scopes_merge():
    with tf.device("/job:ps/cpu:0"):
        with tf.device("/task:2"):
            assert tf.no_op().device == "/job:ps/task:2/device:CPU:0"
        with tf.device("/gpu:1"):
            assert tf.no_op().device == "/job:ps/device:GPU:1"
        with tf.device(None):
            assert tf.no_op().device == ""
        assert tf.no_op().device == "/job:ps/device:CPU:0"


def test_device_functions():
    with tf.device(lambda op: "/device:CPU:0" if op.type == "NoOp" else "/device:GPU:0"):
        assert (tf.no_op().device, tf.constant(1.0).device) == ("/device:CPU:0", "/device:GPU:0")
        with tf.device("/job:a"):
            assert tf.no_op().device == "/device:CPU:0"
    with tf.device("/job:a/gpu:1"), tf.device(lambda op: "/device:CPU:0"):
        assert tf.no_op().device == "/job:a/device:CPU:0"


def test_bad_device_names():
    with pytest.raises(ValueError, match="Unknown attribute: 'foo' in '/foo:bar'"):
        with tf.device("/foo:bar"):
            tf.no_op()


def test_colocation():
    with tf.device("/cpu:3"):
        a = tf.no_op(name="a")
    with tf.device("/gpu:0"), tf.colocate_with(a):
        b = tf.no_op(name="b")
        with tf.colocate_with(b):
            c = tf.no_op(name="c")
    assert [op.colocation_groups() for op in (a, b, c)] == [[b"loc:@a"]] * 3
    assert (b.device, c.device) == ("/device:CPU:3", "/device:CPU:3")


def test_ignored_colocation():
    a, b = tf.no_op(name="a"), tf.no_op(name="b")
    with tf.colocate_with(a):
        with tf.colocate_with(b, ignore_existing=True):
            assert tf.no_op(name="c").colocation_groups() == [b"loc:@b"]
        with tf.colocate_with(None, ignore_existing=True):
            assert tf.no_op(name="d").colocation_groups() == [b"loc:@d"]


def test_containers():
    with tf.container("outer"):
        assert tf.Variable(1.0).op.get_attr("container") == b"outer"
        with tf.container("inner"):
            assert tf.Variable(1.0).op.get_attr("container") == b"inner"
    assert tf.Variable(1.0).op.get_attr("container") == b""


# --- Collections ------------------------------------------------------------------------------------------------------


def test_collections(graph):
    graph.add_to_collection("a", 1)
    graph.add_to_collections(["a", "b", "a"], 2)
    graph.add_to_collections("c", 3)
    assert (graph.get_collection("a"), graph.get_collection("b"), graph.get_collection("c")) == ([1, 2], [2], [3])
    assert sorted(graph.get_all_collection_keys()) == ["a", "b", "c"]
    graph.get_collection("a").append(4)  # a copy
    graph.get_collection_ref("d").append(5)  # the collection itself
    assert (graph.get_collection("a"), graph.get_collection("d")) == ([1, 2], [5])
    graph.clear_collection("a")
    assert (graph.get_collection("a"), graph.get_collection("never")) == ([], [])


def test_collections_are_filtered_by_scope(graph):
    with tf.name_scope("s"):
        inside = tf.constant(1.0, name="x")
    outside = tf.constant(1.0, name="x")
    for item in (inside, outside, "no name"):
        tf.add_to_collection("a", item)
    assert tf.get_collection("a", scope="s/") == [inside]
    assert tf.get_collection("a", scope=".*x") == [inside, outside]
    assert tf.get_collection("a", "x") == [outside]


def test_collections_belong_to_a_graph():
    tf.add_to_collection("a", 1)
    with tf.Graph().as_default():
        assert tf.get_collection("a") == []


def test_collections_whose_keys_are_no_strings_are_not_listed(graph):
    graph.add_to_collection(("private",), 1)
    assert graph.get_all_collection_keys() == []
    assert graph.get_collection(("private",)) == [1]


# --- Finalizing -------------------------------------------------------------------------------------------------------


def test_a_finalized_graph_does_not_change(graph):
    x = tf.constant(1.0)
    graph.finalize()
    assert graph.finalized
    for change in (
        lambda: tf.constant(2.0),
        lambda: x + x,
        lambda: graph.add_to_collection("a", 1),
        lambda: tf.Variable(1.0),
        lambda: tf.import_graph_def(graph.as_graph_def()),
    ):
        with pytest.raises(RuntimeError, match="Graph is finalized and cannot be modified"):
            change()
    assert names_of(graph) == ["Const"]
    with tf.Session() as session:
        assert session.run(x) == 1.0


def test_version_grows(graph):
    assert graph.version == 0
    tf.no_op()
    first = graph.version
    tf.no_op()
    assert 0 < first < graph.version


# --- Seeds, feeding, overriding -----------------------------------------------------------------------------------


def test_seed(graph):
    assert graph.seed is None
    tf.set_random_seed(7)
    assert graph.seed == 7


def test_feedable_and_fetchable(graph):
    x = tf.constant(1.0)
    assert graph.is_feedable(x) and graph.is_fetchable(x)
    graph.prevent_feeding(x)
    graph.prevent_fetching(x.op)
    assert not graph.is_feedable(x) and not graph.is_fetchable(x.op)


def test_gradient_override_map(graph):
    with graph.gradient_override_map({"Square": "Mine"}):
        x = tf.square(1.0)
        with graph.gradient_override_map({"Square": "Other"}):
            y = tf.square(1.0)
    z = tf.square(1.0)
    assert (x.op.get_attr("_gradient_op_type"), y.op.get_attr("_gradient_op_type")) == (b"Mine", b"Other")
    with pytest.raises(ValueError):
        z.op.get_attr("_gradient_op_type")
    for bad in ([("a", "b")], {"a": 1}, {1: "a"}):
        with pytest.raises(TypeError, match="must be a dictionary mapping strings to strings"):
            with graph.gradient_override_map(bad):
                pass


# --- Threads ----------------------------------------------------------------------------------------------------------


def test_a_graph_may_be_built_in_several_threads(graph):
    """Names stay unique, and each thread has scopes of its own."""

    def work(number):
        with graph.as_default(), tf.name_scope(f"t{number}"):
            for _ in range(50):
                tf.no_op(name="x")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = names_of(graph)
    assert len(found) == len(set(found)) == 200
    assert sum(name.startswith("t2/") for name in found) == 50


def test_threads_do_not_share_the_default_graph(graph):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(tf.get_default_graph()))
    thread.start()
    thread.join()
    assert seen[0] is not graph


# --- Creating operations by type ----------------------------------------------------------------------------------


def test_create_op(graph):
    x = tf.constant([[1.0]])
    op = graph.create_op("MatMul", [x, x], [tf.float32], name="m", attrs={})
    assert (op.name, op.type, op.inputs[1], op.outputs[0].shape.as_list()) == ("m", "MatMul", x, [1, 1])


def test_create_op_of_an_unknown_type(graph):
    with pytest.raises((tf.errors.NotFoundError, RuntimeError), match="Op type not registered 'NoSuch'"):
        graph.create_op("NoSuch", [], [])


def test_default_graphs_may_be_left_in_any_order():
    first, second = tf.Graph().as_default(), tf.Graph().as_default()
    before = context.executing_eagerly()
    with context.mode(True):
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert not context.executing_eagerly()
        second.__exit__(None, None, None)
        assert context.executing_eagerly()
    assert context.executing_eagerly() is before
