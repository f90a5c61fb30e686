"""Which public names TensorFlow has."""
from __future__ import annotations

import pytest

from millstream.public import names


@pytest.mark.parametrize(
    ("api", "name", "kind"),
    [
        (1, "nn", "m"),
        (1, "nn.relu", "f"),
        (1, "Session", "c"),
        (2, "Session", None),
        (1, "AUTO_REUSE", "v"),
        (1, "contrib.slim.conv2d", "f"),
        (1, "app.flags.DEFINE_string", "f"),  # an alias of the namespace tf.flags
        (1, "contrib.tpu", "o"),
        (1, "contrib.tpu.anything.at.all", "f"),
        (1, "contrib.no_such_package", None),
        (2, "random.set_seed", "f"),
        (2, "losses.MeanSquaredError", "c"),
        (1, "GraphKeys.LOSSES", None),  # members of classes are left out
    ],
)
def test_kinds(api, name, kind):
    assert names.kind(api, name) == kind


def test_paths():
    assert names.locate(2, "compat.v1.nn.relu") == (1, "nn.relu")
    assert names.locate(1, "compat.v2.compat.v1.x") == (1, "x")
    assert names.locate(1, "compat.as_str") == (1, "compat.as_str")
    assert names.leaf(1, "GraphKeys.LOSSES") == "GraphKeys"
    assert names.leaf(1, "nn.rnn_cell") == "nn.rnn_cell"
    assert names.is_namespace(1, "") and names.is_namespace(1, "contrib.tpu")
    assert {"relu", "rnn_cell"} <= set(names.members(2, "compat.v1.nn"))


@pytest.mark.parametrize(
    ("op_type", "name"),
    [
        ("MatMul", "mat_mul"),
        ("Conv2DBackpropInput", "conv2d_backprop_input"),
        ("LRN", "lrn"),
        ("Conv2D", "conv2d"),
        ("Conv2DBackpropInput", "conv2d_backprop_input"),
        ("L2Loss", "l2_loss"),
    ],
)
def test_snake_case(op_type, name):
    assert names.snake_case(op_type) == name
