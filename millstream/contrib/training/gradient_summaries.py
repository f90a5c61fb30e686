"""Summaries of gradients, for `tf.contrib.training` and `tf.contrib.slim.learning`."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from millstream.core.export import export
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.log import tensorflow_logger
from millstream.core.tensor import Tensor
from millstream.ops.clip_ops import global_norm
from millstream.summary import summary


@export(v1=["contrib.training.add_gradients_summaries", "contrib.slim.learning.add_gradients_summaries"])
def add_gradients_summaries(grads_and_vars: Iterable[tuple[Any, Any]]) -> list[Tensor]:
    """A histogram of each gradient, and a summary of its norm.

    Args:
      grads_and_vars: pairs of gradient and variable; variables without gradient are left out.

    Returns:
      string scalars: serialised Summary messages.
    """
    found = []
    for gradient, variable in grads_and_vars:
        if gradient is None:
            tensorflow_logger().info("Var %s has no gradient", variable.op.name)
            continue
        values = gradient.values if isinstance(gradient, IndexedSlices) else gradient
        found.append(summary.histogram(f"{variable.op.name}_gradient", values))
        found.append(summary.scalar(f"{variable.op.name}_gradient_norm", global_norm([values])))
    return found
