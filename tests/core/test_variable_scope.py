"""Variable scopes: names, sharing, defaults, custom getters, templates."""

from __future__ import annotations

import threading

import pytest

import millstream.v1 as tf
from millstream.core.resource_variables import ResourceVariable


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def facts(scope):
    """Name, reuse, original name scope, and the current name scope."""
    return scope.name, scope.reuse, scope.original_name_scope, tf.get_default_graph().get_name_scope()


# --- Names ------------------------------------------------------------------------------------------------------------


def test_names_of_scopes():
    with tf.variable_scope("a") as a:
        assert facts(a) == ("a", False, "a/", "a")
        with tf.variable_scope("b", reuse=True) as b:
            assert facts(b) == ("a/b", True, "a/b/", "a/b")
            with tf.variable_scope("c", reuse=False) as c:
                assert facts(c) == ("a/b/c", True, "a/b/c/", "a/b/c")
            with tf.variable_scope(a) as again:
                assert facts(again) == ("a", False, "a/", "a/b/a")
    with tf.variable_scope("a", reuse=tf.AUTO_REUSE) as a:
        assert facts(a) == ("a", tf.AUTO_REUSE, "a_1/", "a_1")
        with tf.variable_scope("e", reuse=True) as e:
            assert facts(e) == ("a/e", True, "a_1/e/", "a_1/e")


def test_default_names_are_made_unique():
    with tf.variable_scope("a") as a:
        for name, scope in (("a/d", "a/d"), ("a/d_1", "a/d_1")):
            with tf.variable_scope(None, "d") as d:
                assert facts(d) == (name, False, scope + "/", scope)
        with tf.variable_scope("d") as d:
            assert facts(d) == ("a/d", False, "a/d_2/", "a/d_2")
        with tf.variable_scope(None, default_name="d") as d:
            assert facts(d) == ("a/d_2", False, "a/d_3/", "a/d_3")
    with tf.variable_scope(a), tf.variable_scope(None, "d") as d:
        assert d.name == "a/d"  # leaving a scope forgets the names inside


def test_name_scopes_do_not_count():
    with tf.name_scope("n"), tf.variable_scope("a") as a:
        assert tf.get_variable("w", [1]).name == "a/w:0"
        assert tf.constant(1).name == "n/a/Const:0"
        assert tf.Variable(1.0, name="v").name == "n/a/v:0"
        assert a.original_name_scope == "n/a/"


def test_without_auxiliary_name_scope():
    with tf.name_scope("n"):
        with tf.variable_scope("a", auxiliary_name_scope=False) as a:
            assert facts(a) == ("a", False, "n/", "n")
        with tf.variable_scope(None, "a", auxiliary_name_scope=False) as a:
            assert facts(a) == ("a_1", False, "n/", "n")


def test_root_scope():
    with tf.name_scope("n"), tf.variable_scope("") as root:
        assert facts(root) == ("", False, "", "n")
        with tf.variable_scope(tf.get_variable_scope()) as again:
            assert facts(again) == ("", False, "", "n")
    with tf.variable_scope("p/q") as scope:
        assert facts(scope) == ("p/q", False, "p/q/", "p/q")
    with tf.variable_scope(scope) as scope:
        assert facts(scope) == ("p/q", False, "p/q/", "q")


def test_scope_of_another_graph(graph):
    other = tf.Graph()
    with other.as_default():
        x = tf.constant(1.0)
    with tf.variable_scope("s", values=[x]):
        assert tf.get_variable("w", [1]).graph is other
    assert tf.get_default_graph() is graph


def test_scopes_belong_to_threads(graph):
    seen = []

    def work():
        with graph.as_default():
            seen.append(tf.get_variable_scope().name)

    with tf.variable_scope("a"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [""]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None,), TypeError, "If default_name is None then name_or_scope is required"),
        ((3,), TypeError, "VariableScope: name_or_scope must be a string or VariableScope."),
        ((None, "d", None, None, None, None, None, None, True), ValueError, "reuse=True cannot be used without a name"),
        (("a b",), ValueError, "'a b' is not a valid scope name"),
    ],
)
def test_bad_scopes(arguments, error, message):
    with pytest.raises(error, match=message):
        tf.variable_scope(*arguments).__enter__()
    assert tf.get_variable_scope().name == ""


def test_bad_arguments_of_scopes():
    with pytest.raises(ValueError, match="The reuse parameter must be True or False or None."):
        tf.variable_scope("a", reuse=3).__enter__()
    with pytest.raises(TypeError, match="must be `True` or `False`, while get 3"):
        tf.variable_scope("a", auxiliary_name_scope=3)


def test_improper_nesting():
    outer, inner = tf.variable_scope("a"), tf.variable_scope("b")
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(RuntimeError, match="Improper nesting of variable_scope."):
        outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)


# --- Sharing ----------------------------------------------------------------------------------------------------------


def test_reuse():
    with tf.variable_scope("a"):
        first = tf.get_variable("w", [2])
    with tf.variable_scope("a", reuse=True):
        assert tf.get_variable("w", [2]) is first
        assert tf.get_variable("w") is first
    with tf.variable_scope("a", reuse=tf.AUTO_REUSE):
        assert tf.get_variable("w") is first
        assert tf.get_variable("new", [1]).name == "a/new:0"
    with tf.variable_scope("a") as scope:
        scope.reuse_variables()
        assert tf.get_variable("w") is first


def test_an_existing_variable_is_not_shared_unasked():
    tf.get_variable("w", [2])
    with pytest.raises(ValueError) as caught:
        tf.get_variable("w", [2])
    message = str(caught.value)
    assert message.startswith(
        "Variable w already exists, disallowed. Did you mean to set reuse=True or reuse=tf.AUTO_REUSE in VarScope? "
        "Originally defined at:\n\n"
    )
    assert "test_variable_scope.py" in message and 'tf.get_variable("w", [2])' in message


def test_a_missing_variable_is_not_made_where_sharing():
    with tf.variable_scope("a", reuse=True), pytest.raises(ValueError) as caught:
        tf.get_variable("w", [2])
    assert str(caught.value) == (
        "Variable a/w does not exist, or was not created with tf.get_variable(). "
        "Did you mean to set reuse=tf.AUTO_REUSE in VarScope?"
    )


def test_a_shared_variable_has_one_shape_and_dtype():
    tf.get_variable("w", [2])
    tf.get_variable_scope().reuse_variables()
    with pytest.raises(ValueError, match=r"share variable w, but specified shape \(3,\) and found shape \(2,\)."):
        tf.get_variable("w", [3])
    with pytest.raises(ValueError, match="share variable w, but specified dtype int32 and found dtype float32_ref."):
        tf.get_variable("w", [2], tf.int32)
    assert tf.get_variable("w", [None]).name == "w:0"


# --- Making -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "node"),
    [
        ("float16", "Add"),
        ("float64", "Add"),
        ("int32", "Const"),
        ("uint8", "Const"),
        ("bool", "Const"),
        ("string", "Const"),
    ],
)
def test_default_initialisers(dtype, node):
    w = tf.get_variable("w", [2], dtype)
    assert w.dtype.base_dtype.name == dtype
    assert w.initial_value.op.type == node


@pytest.mark.parametrize("dtype", ["complex64", "qint8"])
def test_dtypes_without_default_initialiser(dtype):
    with pytest.raises(ValueError, match=f"An initializer for variable w of <dtype: '{dtype}'> is required"):
        tf.get_variable("w", [2], dtype)


def test_initialisers():
    assert tf.get_variable("value", initializer=[1.0, 2.0]).shape.as_list() == [2]
    assert tf.get_variable("function", initializer=lambda: tf.zeros([3])).shape.as_list() == [3]
    full = tf.get_variable("full", [2], initializer=lambda shape, dtype, partition_info: tf.ones(shape, dtype))
    assert full.initial_value.name == "full/Initializer/ones:0"
    assert tf.get_variable("kind", [2], initializer=tf.ones_initializer).initial_value.name == "kind/Initializer/ones:0"
    assert tf.get_variable("scalar", [], initializer=tf.zeros_initializer()).shape.as_list() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "The initializer passed is not valid. It should be a callable with no arguments and the shape should not"),
        ({"shape": [None, 2]}, "The initializer passed is not valid."),
        ({"initializer": tf.ones_initializer()}, "The initializer passed is not valid."),
        ({"shape": [2], "initializer": [1.0, 2.0]}, "If initializer is a constant, do not specify shape."),
        ({"initializer": 1.0, "dtype": tf.int32}, "Initializer type '<dtype: 'float32'>' and explicit dtype '<dtype: "),
        ({"shape": [2], "custom_getter": 3}, "Passed a custom_getter which is not callable: 3"),
        ({"shape": [2], "partitioner": 3}, "Partitioner must be callable, but received: 3"),
        ({"shape": [2], "collections": "c"}, "collections argument to Variable constructor must be a list"),
    ],
)
def test_bad_arguments_of_get_variable(arguments, message):
    with pytest.raises(ValueError) as caught:
        tf.get_variable("w", **arguments)
    assert str(caught.value).startswith(message)


def test_local_variables():
    v = tf.get_local_variable("v", [2], collections=["mine"])
    assert tf.local_variables() == tf.get_collection("mine") == [v]
    assert not v.trainable and tf.global_variables() == []


def test_resource_variables():
    with tf.variable_scope("a", use_resource=True):
        assert type(tf.get_variable("w", [2])) is ResourceVariable
        assert type(tf.Variable(1.0)) is ResourceVariable
    with pytest.raises(ValueError, match=r"Variable a/w already exists.*in VarScope\?$"), tf.variable_scope("a"):
        tf.get_variable("w", [2])


# --- Defaults of scopes -----------------------------------------------------------------------------------------------


def test_scopes_hand_down_defaults():
    ones = tf.ones_initializer()
    with tf.variable_scope("a", initializer=ones, dtype=tf.float64, use_resource=True, caching_device="/cpu:1") as a:
        with tf.variable_scope("b") as b:
            assert (b.initializer, b.dtype, b.use_resource, b.caching_device) == (ones, tf.float64, True, "/cpu:1")
            assert tf.get_variable("w", [1]).dtype == tf.float64
        with tf.variable_scope("c", dtype=tf.float32, use_resource=False):
            assert tf.get_variable("w", [1]).dtype == tf.float32._as_ref
    with tf.variable_scope(a, dtype=tf.float16) as again:
        assert (again.dtype, again.initializer, a.dtype) == (tf.float16, ones, tf.float64)


def test_setters():
    scope = tf.get_variable_scope()
    for name, value in (
        ("initializer", tf.zeros_initializer()), ("regularizer", abs), ("caching_device", "/cpu:0"),
        ("partitioner", None), ("custom_getter", lambda getter, *a, **k: getter(*a, **k)), ("dtype", tf.float64),
        ("use_resource", True),
    ):  # fmt: skip
        getattr(scope, f"set_{name}")(value)
        assert getattr(scope, name) is value


def test_constraints_are_not_handed_down():
    with tf.variable_scope("a", constraint=abs) as a:
        assert tf.get_variable("w", [1]).constraint is abs and a.constraint is abs
        with tf.variable_scope("b") as b:
            assert b.constraint is None and tf.get_variable("w", [1]).constraint is None


def test_regularisers(graph):
    def l2(w):
        with tf.name_scope("l2_regularizer"):
            return tf.multiply(0.5, w)

    with tf.variable_scope("a", regularizer=l2):
        w = tf.get_variable("w", [2])
        tf.get_variable("n", [2], regularizer=tf.no_regularizer)
        with tf.variable_scope("b", regularizer=lambda w: None):
            tf.get_variable("w", [2])
    (loss,) = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert loss.name == "a/w/Regularizer/l2_regularizer/Mul:0"
    assert loss.op.colocation_groups() == [b"loc:@a/w"] and loss.op.inputs[1] is w.value()
    with tf.variable_scope("a", reuse=True):
        tf.get_variable("w", [2])
    assert len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)) == 1


def test_collections_of_a_scope():
    with tf.variable_scope("a") as a:
        w = tf.get_variable("w", [1])
        frozen = tf.get_variable("frozen", [1], trainable=False)
        local = tf.get_local_variable("l", [1])
    tf.get_variable("w", [1])
    assert a.global_variables() == [w, frozen] and a.trainable_variables() == [w] and a.local_variables() == [local]


# --- Custom getters ---------------------------------------------------------------------------------------------------


def test_custom_getters_nest():
    calls = []

    def getter_of(label):
        def custom(getter, name, *args, **keywords):
            calls.append((label, name, sorted(keywords)))
            return getter(name, *args, **keywords)

        return custom

    with tf.variable_scope("a", custom_getter=getter_of("outer")):
        with tf.variable_scope("b", custom_getter=getter_of("inner")):
            w = tf.get_variable("w", [1])
    assert [call[:2] for call in calls] == [("inner", "a/b/w"), ("outer", "a/b/w")]
    assert calls[0][2] == [
        "aggregation", "caching_device", "collections", "constraint", "dtype", "initializer", "partitioner",
        "regularizer", "reuse", "shape", "synchronization", "trainable", "use_resource", "validate_shape",
    ]  # fmt: skip
    assert w.name == "a/b/w:0"


def test_a_custom_getter_need_not_know_of_constraints():
    def custom(
        getter, name, shape, dtype, initializer, regularizer, reuse, trainable, collections, caching_device,
        partitioner, validate_shape, use_resource, synchronization, aggregation,
    ):  # fmt: skip
        return getter(name + "_inner", shape) * 2.0

    assert tf.get_variable("w", [2], custom_getter=custom).op.type == "Mul"
    assert [v.name for v in tf.global_variables()] == ["w_inner:0"]


# --- Templates --------------------------------------------------------------------------------------------------------


def scaled(x, factor=1.0):
    return tf.get_variable("w", [], initializer=tf.ones_initializer()) * x * factor


def test_templates_share_variables():
    template = tf.make_template("t", scaled)
    assert template.variable_scope is None and template.variables == []
    template(1.0)
    template(2.0)
    assert [v.name for v in template.variables] == ["t/w:0"] == [v.name for v in tf.global_variables()]
    assert (template.name, template.variable_scope_name, template.func) == ("t", "t/", scaled)
    assert template.trainable_variables == template.global_variables and template.non_trainable_variables == []
    other = tf.make_template("t", scaled, factor=2.0)
    other(1.0)
    assert other.variable_scope.name == "t_1"


def test_templates_with_a_scope_of_their_own():
    now = tf.make_template("t", scaled, create_scope_now_=True)
    assert now.variable_scope.name == "t"
    now(1.0)
    unique = tf.make_template("t", scaled, unique_name_="u")
    unique(1.0)
    clash = tf.make_template("t", scaled, unique_name_="u")
    with pytest.raises(ValueError, match="Variable u/w already exists"):
        clash(1.0)


def test_templates_refuse_new_variables_later():
    template = tf.make_template("t", lambda: tf.Variable(1.0))
    template()
    with pytest.raises(ValueError, match="Trainable variable created when calling a template after the first time"):
        template()
    with pytest.raises(ValueError, match="name cannot be None."):
        tf.make_template(None, scaled)


def test_variable_op_scope():
    with tf.variable_op_scope([tf.constant(1.0)], None, "legacy") as scope:
        assert scope.name == "legacy"
