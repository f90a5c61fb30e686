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


def test_specs_of_a_signature_keep_their_names():
    signature = [tf.TensorSpec([], tf.float32, name="q"), tf.TensorSpec([None], tf.int32)]
    f = tf.function(lambda x, y: (x, y), input_signature=signature)
    (first, second), _ = f.get_concrete_function().structured_input_signature
    assert (first.name, second.name) == ("q", "y")
