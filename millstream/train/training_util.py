"""The global step: the variable that counts training steps."""

from __future__ import annotations

from typing import Any

from millstream.core import context, dtypes
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import get_variable
from millstream.core.variable_settings import VariableAggregation
from millstream.core.variables import Variable
from millstream.ops.init_ops import Zeros

_STEP_READS = "global_step_read_op_cache"  # the collection of the tensor that hooks read the global step from


@export(v1=["train.get_global_step", "contrib.framework.get_global_step"])
def get_global_step(graph: Graph | None = None) -> Any:
    """The global step of a graph: what is in `GraphKeys.GLOBAL_STEP`, or the tensor `global_step:0`, or None.

    Args:
      graph: the graph; default: the default graph.

    Raises:
      TypeError: it is no integer scalar.
    """
    graph = get_default_graph() if graph is None else graph
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if len(found) > 1:
        import logging

        logging.getLogger("tensorflow").error("Multiple tensors in global_step collection.")
        return None
    if found:
        step = found[0]
    else:
        try:
            step = graph.get_tensor_by_name("global_step:0")
        except KeyError:
            return None
    assert_global_step(step)
    return step


@export(v1=["train.create_global_step", "contrib.framework.create_global_step"])
def create_global_step(graph: Graph | None = None) -> Variable:
    """Makes the global step: an int64 scalar called `global_step`, initially 0, not trainable.

    Args:
      graph: the graph; default: the default graph.

    Raises:
      ValueError: the graph has one.
    """
    graph = get_default_graph() if graph is None else graph
    if get_global_step(graph) is not None:
        raise ValueError('"global_step" already exists.')
    if context.executing_eagerly():
        return _make()
    with graph.as_default(), graph.name_scope(None):
        return _make()


def _make() -> Variable:
    return get_variable(  # type: ignore[no-any-return]
        GraphKeys.GLOBAL_STEP,
        shape=[],
        dtype=dtypes.int64,
        initializer=Zeros(),
        trainable=False,
        aggregation=VariableAggregation.ONLY_FIRST_REPLICA,
        collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP],
    )


@export(v1=["train.get_or_create_global_step", "contrib.framework.get_or_create_global_step"])
def get_or_create_global_step(graph: Graph | None = None) -> Any:
    """The global step of a graph, made where there is none.

    Example:
      >>> step = tf.train.get_or_create_global_step()
      >>> train_op = optimizer.minimize(loss, global_step=step)
    """
    step = get_global_step(graph)
    return create_global_step(graph) if step is None else step


def get_or_create_global_step_read(graph: Graph | None = None) -> Tensor | None:
    """A tensor that reads the global step, also where it is not initialised yet; one for all hooks of a graph.

    None where the graph has no global step.
    """
    graph = get_default_graph() if graph is None else graph
    found = graph.get_collection(_STEP_READS)
    if len(found) > 1:
        raise RuntimeError(f"There are multiple items in collection {_STEP_READS}. There should be only one.")
    if found:
        return found[0]
    step = get_global_step(graph)
    if step is None:
        return None
    with graph.as_default(), graph.name_scope(None), graph.name_scope(f"{step.op.name}/"):
        value: Any = step.initialized_value() if isinstance(step, Variable) else step
        read: Tensor = value + 0
    graph.add_to_collection(_STEP_READS, read)
    return read


@export(v1=["train.assert_global_step", "contrib.framework.assert_global_step"])
def assert_global_step(global_step_tensor: Any) -> None:
    """Checks that a value can be a global step.

    Raises:
      TypeError: it is no variable or tensor, or no integer scalar.
    """
    step = global_step_tensor
    if not isinstance(step, Variable | Tensor):
        raise TypeError(f'Existing "global_step" must be a Variable or Tensor: {step}.')
    if not step.dtype.base_dtype.is_integer:
        raise TypeError(f'Existing "global_step" does not have integer type: {step.dtype}')
    if step.shape.ndims != 0 and step.shape.is_fully_defined():
        raise TypeError(f'Existing "global_step" is not scalar: {step.shape}')


@export(v1=["train.global_step"])
def global_step(sess: Any, global_step_tensor: Any) -> int:
    """The value of the global step in a session.

    Args:
      sess: the session.
      global_step_tensor: the global step, or its name.
    """
    return int(sess.run(global_step_tensor))
