"""What tf.debugging switches on and off."""
from __future__ import annotations

import threading

import pytest

import millstream as tf


@pytest.fixture(autouse=True)
def _switched_off():
    yield
    tf.debugging.disable_check_numerics()
    tf.debugging.set_log_device_placement(False)


def test_check_numerics_names_the_operation():
    tf.debugging.enable_check_numerics()
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.math.log([1.0, -1.0, 0.0])
    message = str(caught.value)
    assert 'output 0 of eagerly-executing op "Log" (# of outputs: 1)' in message
    assert "dtype: <dtype: 'float32'>\n  shape: (3,)" in message
    assert "# of -Inf elements: 1\n  # of +NaN elements: 1" in message
    assert "Input tensor" in message and ": Tensor had -Inf and NaN values" in message


def test_check_numerics_leaves_alone_what_moves_or_is_finite():
    tf.debugging.enable_check_numerics()
    nan = tf.constant([1.0, float("nan")])
    assert tf.concat([nan, nan], 0).shape == [4]
    assert tf.reshape(nan, [2, 1]).shape == [2, 1]
    assert float(tf.sqrt(4.0)) == 2.0


def test_check_numerics_ends():
    tf.debugging.enable_check_numerics()
    tf.debugging.enable_check_numerics()
    tf.debugging.disable_check_numerics()
    assert str(tf.math.log(-1.0).numpy()) == "nan"


def test_check_numerics_is_of_one_thread():
    tf.debugging.enable_check_numerics()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(str(tf.math.log(-1.0).numpy())))
    thread.start()
    thread.join()
    assert seen == ["nan"]


def test_check_numerics_in_a_function():
    @tf.function
    def logarithm(x):
        return tf.math.log(x) * 2.0

    tf.debugging.enable_check_numerics(path_length_limit=30)
    assert float(logarithm(tf.constant(1.0))) == 0.0
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        logarithm(tf.constant(-1.0))
    message = str(caught.value)
    assert 'output 0 of graph op "Log" (# of outputs: 1)' in message
    assert "Tensor had NaN values" in message
    assert "test_debugging.py" in message and "logarithm" in message


def test_check_numerics_of_gradients():
    tf.debugging.enable_check_numerics()
    x = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        y = tf.sqrt(x)
    with pytest.raises(tf.errors.InvalidArgumentError, match="SqrtGrad"):
        tape.gradient(y, x)


def test_log_device_placement(capsys):
    assert not tf.debugging.get_log_device_placement()
    tf.debugging.set_log_device_placement(True)
    assert tf.debugging.get_log_device_placement()
    x = tf.constant([1.0, 2.0])
    tf.add(x, x)
    assert "Executing op AddV2 in device /job:localhost/replica:0/task:0/device:CPU:0" in capsys.readouterr().err
    tf.debugging.set_log_device_placement(False)
    tf.add(x, x)
    assert not capsys.readouterr().err


def test_traceback_filtering_is_remembered():
    assert tf.debugging.is_traceback_filtering_enabled()
    tf.debugging.disable_traceback_filtering()
    assert not tf.debugging.is_traceback_filtering_enabled()
    tf.debugging.enable_traceback_filtering()
    assert tf.debugging.is_traceback_filtering_enabled()
