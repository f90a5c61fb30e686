"""Conditionals that are decided when the graph is built."""
from __future__ import annotations

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.ops.smart_cond import smart_cond, smart_constant_value


@pytest.mark.parametrize("pred", [True, False, 1, 0, np.bool_(True)])
def test_python_values_choose_a_function(pred: object) -> None:
    assert smart_cond(pred, lambda: "a", lambda: "b") == ("a" if pred else "b")


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="Found instead: 'yes'"):
        smart_cond("yes", lambda: "a", lambda: "b")
    with pytest.raises(TypeError, match="needs a function"):
        smart_cond(True, None, None)


def test_known_tensors_choose_a_function() -> None:
    with tf.Graph().as_default():
        assert smart_cond(tf.constant(True), lambda: "a", lambda: "b") == "a"
        assert smart_constant_value(tf.placeholder(tf.bool, [])) is None
        assert smart_constant_value(tf.Variable(True)) is None
