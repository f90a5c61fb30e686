"""`input_signature` of `tf.function`, and calls of concrete functions by name."""
from __future__ import annotations

import pytest

import millstream as tf

SCALAR = tf.TensorSpec([], tf.float32)


def test_what_the_signature_does_not_name_keeps_its_default():
    @tf.function(input_signature=[SCALAR])
    def f(x, y=2.0, *, z="a"):
        return x + y

    assert f(1.0).numpy() == f(1.0, 2.0).numpy() == f(x=1.0, z="a").numpy() == 3.0
    for args, kwargs in (((1.0, 5.0), {}), ((1.0,), {"y": 5.0}), ((1.0,), {"z": "b"}), ((1.0, 2), {})):
        with pytest.raises(TypeError, match="Can not cast"):
            f(*args, **kwargs)


def test_a_signature_must_name_what_has_no_default():
    with pytest.raises(TypeError, match="input_signature missing type constraint for b"):
        tf.function(lambda a, b: a + b, input_signature=[SCALAR])
    with pytest.raises(TypeError, match="keyword-only parameter `b` must have a default value"):
        tf.function(lambda a, *, b: a + b, input_signature=[SCALAR])


def test_signatures_of_variadic_functions():
    f = tf.function(lambda *values: sum(values), input_signature=[SCALAR] * 2)
    assert f(1.0, 2.0).numpy() == 3.0
    with pytest.raises(TypeError, match="too many positional arguments"):
        f(1.0, 2.0, 3.0)


def test_signatures_of_methods():
    class Doubler:
        @tf.function(input_signature=[SCALAR])
        def double(self, x):
            return x * 2

    assert Doubler().double(2.0).numpy() == 4.0
    assert Doubler().double.get_concrete_function()(tf.constant(4.0)).numpy() == 8.0


def test_names_of_specs_name_the_arguments_of_concrete_functions():
    f = tf.function(lambda x, y: x - y)
    concrete = f.get_concrete_function(tf.TensorSpec([], tf.float32, name="first"), y=SCALAR)
    three, one = tf.constant(3.0), tf.constant(1.0)
    found = [concrete(three, one), concrete(first=three, y=one), concrete(x=three, y=one)]
    assert [tensor.numpy() for tensor in found] == [2.0] * 3
    (first, second), _ = concrete.structured_input_signature
    assert (first.name, second.name) == ("first", "y")


@pytest.mark.parametrize(
    "names, traces",
    [([None, "a", "b"], 3), (["a", None, "b"], 2), (["a", "a", None], 1), ([None, None], 1)],
)
def test_specs_of_other_names_have_traces_of_their_own(names, traces):
    """A trace with a name serves those that have none, but not the reverse. The counts are TensorFlow 2.21's."""
    f = tf.function(lambda x: x)
    found = [f.get_concrete_function(tf.TensorSpec([], name=name)) for name in names]
    assert f(tf.constant(1.0)).numpy() == 1.0
    assert len(set(map(id, found))) == f.experimental_get_tracing_count() == traces


def test_specs_of_a_signature_keep_their_names():
    signature = [tf.TensorSpec([], tf.float32, name="q"), tf.TensorSpec([None], tf.int32)]
    f = tf.function(lambda x, y: (x, y), input_signature=signature)
    (first, second), _ = f.get_concrete_function().structured_input_signature
    assert (first.name, second.name) == ("q", "y")


def test_lists_stand_for_tensors():
    concrete = tf.function(lambda x, y: x + y[0] * y[1]).get_concrete_function(
        tf.TensorSpec([None]), [tf.TensorSpec([]), tf.TensorSpec([None], name="factor")]
    )
    pair = [3.0, tf.constant([4.0, 5.0])]
    for found in (concrete([1.0, 2.0], pair), concrete(x=[1.0, 2.0], y=pair)):
        assert found.numpy().tolist() == [13.0, 17.0]


def test_sparse_tensors_in_a_signature():
    traced = []

    @tf.function(input_signature=[tf.SparseTensorSpec([None, 3], tf.float32), (SCALAR, {"q": tf.TensorSpec([2])})])
    def f(sparse, pair):
        traced.append(0)
        return sparse, sparse.values * pair[0], pair[1]

    sparse = tf.SparseTensor([[0, 0], [1, 2]], [1.0, 2.0], [2, 3])
    assert f(sparse, (3.0, {"q": [1.0, 2.0]}))[1].numpy().tolist() == [3.0, 6.0]
    concrete = f.get_concrete_function()
    assert len(traced) == 1
    args, kwargs = concrete.structured_input_signature
    assert args[0] == tf.SparseTensorSpec([None, 3], tf.float32) and args[1][1]["q"].shape == [2] and not kwargs
    given = concrete.structured_outputs
    assert isinstance(given[0], tf.SparseTensorSpec) and given[1].shape == [None] and given[2]["q"].shape == [2]
    for pair in ([3.0, {"q": [1.0, 2.0]}], (3.0, {"r": [1.0, 2.0]}), (3.0,), 3.0):
        with pytest.raises(TypeError, match="does not have the structure of"):
            f(sparse, pair)
    with pytest.raises(TypeError, match="does not have the structure of"):
        f(tf.ones([2, 3]), (3.0, {"q": [1.0, 2.0]}))


def test_specs_and_tracked_containers_share_traces():
    traced = []
    f = tf.function(lambda *args: traced.append(0))
    f.get_concrete_function(tf.SparseTensorSpec([2, 3], tf.float32))
    f(tf.SparseTensor([[0, 0]], [1.0], [2, 3]))
    f(tf.SparseTensor([[0, 0], [1, 1]], [1.0, 2.0], [2, 3]))
    before = len(traced)
    module = tf.Module()
    module.parts = [tf.constant(1.0)], {"a": tf.constant(1.0)}
    f(*module.parts)
    f([tf.constant(2.0)], {"a": tf.constant(2.0)})
    assert len(traced) == before + 1
