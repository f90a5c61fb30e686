"""Whether the summaries of `tf.contrib.summary` are written. Unless a program says so, they are not."""
from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.scopes import device
from millstream.core.tensor import Tensor
from millstream.ops.comparison_ops import equal
from millstream.summary.recording import condition_tensor, recorded_if
from millstream.train.training_util import get_or_create_global_step


@export(v1=["contrib.summary.should_record_summaries"])
def should_record_summaries() -> Tensor:
    """Whether summaries are written now, a boolean scalar."""
    return condition_tensor(default=False)


@export(v1=["contrib.summary.always_record_summaries"])
def always_record_summaries() -> AbstractContextManager[None]:
    """Summaries are written within a `with` block."""
    return recorded_if(True)


@export(v1=["contrib.summary.never_record_summaries"])
def never_record_summaries() -> AbstractContextManager[None]:
    """Summaries are not written within a `with` block."""
    return recorded_if(False)


@export(v1=["contrib.summary.record_summaries_every_n_global_steps"])
def record_summaries_every_n_global_steps(n: int, global_step: Any = None) -> AbstractContextManager[None]:
    """Summaries are written within a `with` block where the global step is a multiple of `n`.

    Args:
      n: an integer.
      global_step: an integer scalar; default: that of the graph.
    """
    step = get_or_create_global_step() if global_step is None else global_step

    def is_due() -> Tensor:
        with device("cpu:0"):
            return equal(step % n, 0)

    return recorded_if(is_due if context.executing_eagerly() else is_due())
