"""The summaries of `tf.contrib.summary`."""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from millstream.core import context, dtypes
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.ops import summary_writer_ops as ops
from millstream.ops.constant_op import constant
from millstream.ops.control_flow_ops import no_op
from millstream.ops.identity_ops import identity
from millstream.summary.summary import BAD_PIXEL, summary_scope
from millstream.summary.writing import conditional, resource, scope_in_force, serialized_graph, written
from millstream.train.training_util import get_or_create_global_step


def _write(name: Any, tensor: Any, family: str | None, make: Callable[[Tensor, str, str], Any]) -> Any:
    """Writes a summary where that is wanted; `make` makes the operation from writer, tag and its name."""
    writer = resource()
    if writer is None:
        return None if context.executing_eagerly() else no_op()

    outer = scope_in_force()

    def record() -> Tensor:
        # The scope of a conditional around it is not part of its name.
        with name_scope(f"{outer}/" if outer else ""), summary_scope(name, family, [tensor]) as (tag, scope):
            return written(make(writer, tag, scope))

    return conditional(record, False, "")


def _step(step: Any) -> Any:
    """The step of a summary: the one that is given, as int64, or the global step."""
    if step is None:
        return get_or_create_global_step()
    return step if isinstance(step, Tensor) else constant(step, dtypes.int64)


@export(v1=["contrib.summary.scalar"])
def scalar(name: str, tensor: Any, family: str | None = None, step: Any = None) -> Any:
    """Writes a number.

    Args:
      name: the operation's name; its full name is the tag.
      tensor: a real scalar.
      family: a prefix of the tag, by which TensorBoard groups.
      step: an int64 scalar; default: the global step.

    Returns:
      What writes it: a tensor that says whether it was written, or an operation where there is no writer.
    """

    def make(writer: Tensor, tag: str, scope: str) -> Any:
        number = _step(step)
        return ops.write_scalar_summary_op(writer, number, tag, identity(tensor), name=scope)

    return _write(name, tensor, family, make)


@export(v1=["contrib.summary.generic"])
def generic(name: str, tensor: Any, metadata: Any = None, family: str | None = None, step: Any = None) -> Any:
    """Writes a whole tensor, for plug-ins of TensorBoard.

    Args:
      name: the operation's name; its full name is the tag.
      tensor: any dtype and shape.
      metadata: a `SummaryMetadata` message, which says which plug-in shows it, or that as a string tensor.
      family: a prefix of the tag, by which TensorBoard groups.
      step: an int64 scalar; default: the global step.

    Returns:
      What writes it; see `scalar`.
    """

    def make(writer: Tensor, tag: str, scope: str) -> Any:
        if metadata is None:
            serialized = constant("")
        elif hasattr(metadata, "SerializeToString"):
            serialized = constant(metadata.SerializeToString())
        else:
            serialized = metadata
        number = _step(step)
        return ops.write_summary_op(writer, number, identity(tensor), tag, serialized, name=scope)

    return _write(name, tensor, family, make)


@export(v1=["contrib.summary.histogram"])
def histogram(name: str, tensor: Any, family: str | None = None, step: Any = None) -> Any:
    """Writes how numbers are distributed.

    Args:
      name: the operation's name; its full name is the tag.
      tensor: real numbers, any shape.
      family: a prefix of the tag, by which TensorBoard groups.
      step: an int64 scalar; default: the global step.

    Returns:
      What writes it; see `scalar`.

    Raises:
      InvalidArgumentError: when it runs and a value is not finite.
    """

    def make(writer: Tensor, tag: str, scope: str) -> Any:
        number = _step(step)
        return ops.write_histogram_summary_op(writer, number, tag, identity(tensor), name=scope)

    return _write(name, tensor, family, make)


@export(v1=["contrib.summary.image"])
def image(
    name: str, tensor: Any, bad_color: Any = None, max_images: int = 3, family: str | None = None, step: Any = None
) -> Any:
    """Writes images. Floating point images are scaled to fill the range of pixels.

    Args:
      name: the operation's name; tags are its full name with `/image` or `/image/0`, `/image/1`, ...
      tensor: uint8, float16 or float32, shape [batch, height, width, channels], 1, 3 or 4 channels.
      bad_color: what stands for pixels that are not finite, uint8; default: red.
      max_images: how many images of the batch.
      family: a prefix of the tag, by which TensorBoard groups.
      step: an int64 scalar; default: the global step.

    Returns:
      What writes them; see `scalar`.
    """

    def make(writer: Tensor, tag: str, scope: str) -> Any:
        colour = constant(BAD_PIXEL) if bad_color is None else bad_color
        number = _step(step)
        return ops.write_image_summary_op(
            writer, number, tag, identity(tensor), colour, max_images=max_images, name=scope
        )

    return _write(name, tensor, family, make)


@export(v1=["contrib.summary.audio"])
def audio(
    name: str, tensor: Any, sample_rate: Any, max_outputs: int, family: str | None = None, step: Any = None
) -> Any:
    """Writes audio clips.

    Args:
      name: the operation's name; tags are its full name with `/audio` or `/audio/0`, `/audio/1`, ...
      tensor: float32 between -1 and 1, shape [batch, frames] or [batch, frames, channels].
      sample_rate: frames a second, a float32 scalar.
      max_outputs: how many clips of the batch.
      family: a prefix of the tag, by which TensorBoard groups.
      step: an int64 scalar; default: the global step.

    Returns:
      What writes them; see `scalar`.
    """

    def make(writer: Tensor, tag: str, scope: str) -> Any:
        number = _step(step)
        return ops.write_audio_summary_op(
            writer, number, tag, identity(tensor), sample_rate, max_outputs=max_outputs, name=scope
        )

    return _write(name, tensor, family, make)


@export(v1=["contrib.summary.graph"])
def graph(param: Any, step: Any = None, name: str | None = None) -> Any:
    """Writes a graph, which TensorBoard draws.

    Args:
      param: a serialised `GraphDef`, a string scalar; in eager execution also a `Graph` or `GraphDef`.
      step: an int64 scalar; default: the global step.
      name: the operation's name.

    Raises:
      TypeError: it is none of these.
    """
    if not context.executing_eagerly() and not isinstance(param, Tensor):
        raise TypeError(
            f"graph() needs a tf.Tensor (e.g. tf.placeholder) in graph mode, but was: {type(param)}"
        )
    writer = resource()
    if writer is None:
        return None if context.executing_eagerly() else no_op()
    tensor = param if isinstance(param, Tensor) else serialized_graph(param)
    if tensor is None:
        raise TypeError("Argument to graph() must be tf.Graph, tf.GraphDef, or tf.Tensor")
    return ops.write_graph_summary_op(writer, _step(step), tensor, name=name)


@export(v1=["contrib.summary.import_event"])
def import_event(tensor: Any, name: str | None = None) -> Any:
    """Writes a serialised `Event`, a string scalar, as it is."""
    writer = resource()
    if writer is None:
        return None if context.executing_eagerly() else no_op()
    return ops.import_event_op(writer, tensor, name=name)


@export(v1=["contrib.summary.eval_dir"])
def eval_dir(model_dir: str, name: str | None = None) -> str:
    """The folder for the summaries of an evaluation: `eval` in that of a model, or `eval_` with a name."""
    return os.path.join(model_dir, "eval" if not name else f"eval_{name}")
