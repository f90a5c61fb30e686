"""Layers that only change the form of their inputs."""
from __future__ import annotations

from typing import Any

from millstream.contrib.framework.arg_scope import add_arg_scope
from millstream.contrib.layers.scopes import collect_named_outputs
from millstream.contrib.layers.sizes import check_layout
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import int32, int64
from millstream.core.export import export
from millstream.core.scopes import name_scope
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import variable_scope
from millstream.layers import core
from millstream.ops.cast_ops import cast
from millstream.ops.comparison_ops import not_equal
from millstream.ops.constant_op import constant
from millstream.ops.gather_ops import gather_nd, one_hot
from millstream.ops.reshape_ops import reshape, transpose
from millstream.ops.select_ops import where
from millstream.ops.shape_ops import shape as shape_of


@export(v1=["contrib.layers.flatten"])
@add_arg_scope
def flatten(inputs: Any, outputs_collections: Any = None, scope: str | None = None) -> Any:
    """Makes a matrix of any tensor, one row for each element of the batch.

    Args:
      inputs: a tensor [batch, ...].
      outputs_collections: collections for the output.
      scope: the name scope; default "Flatten".
    """
    with name_scope(scope, "Flatten", [inputs]) as entered:
        return collect_named_outputs(outputs_collections, entered, core.flatten(to_tensor(inputs)))


@export(v1=["contrib.layers.one_hot_encoding"])
@add_arg_scope
def one_hot_encoding(
    labels: Any,
    num_classes: int,
    on_value: Any = 1.0,
    off_value: Any = 0.0,
    outputs_collections: Any = None,
    scope: str | None = None,
) -> Any:
    """A row of zeros with a one for each label.

    Args:
      labels: integers, shape [batch] or any other.
      num_classes: the length of a row.
      on_value, off_value: in place of one and zero.
      outputs_collections: collections for the output.
      scope: the name scope; default "OneHotEncoding".

    Returns:
      a tensor of shape [*labels.shape, num_classes].
    """
    with name_scope(scope, "OneHotEncoding", [labels, num_classes]) as entered:
        labels = to_tensor(labels)
        if labels.dtype == int32:
            labels = cast(labels, int64, name="ToInt64")
        rows = one_hot(labels, num_classes, on_value=on_value, off_value=off_value)
        return collect_named_outputs(outputs_collections, entered, rows)


@export(v1=["contrib.layers.dense_to_sparse"])
@add_arg_scope
def dense_to_sparse(
    tensor: Any, eos_token: Any = 0, outputs_collections: Any = None, scope: str | None = None
) -> SparseTensor:
    """The elements that are not a certain value, as a `SparseTensor`: labels for `tf.nn.ctc_loss`, for example.

    Args:
      tensor: any tensor.
      eos_token: the value to leave out.
      outputs_collections: collections for the output.
      scope: the variable scope; default "dense_to_sparse".
    """
    with variable_scope(scope, "dense_to_sparse", [tensor]) as entered:
        tensor = to_tensor(tensor)
        indices = where(not_equal(tensor, constant(eos_token, tensor.dtype)))
        sparse = SparseTensor(indices, gather_nd(tensor, indices), shape_of(tensor, out_type=int64))
        return collect_named_outputs(outputs_collections, entered.name, sparse)


@export(v1=["contrib.layers.images_to_sequence"])
@add_arg_scope
def images_to_sequence(
    inputs: Any, data_format: str = "NHWC", outputs_collections: Any = None, scope: str | None = None
) -> Tensor:
    """Makes sequences of the rows of images, for recurrent networks: a step is a column.

    Args:
      inputs: a tensor [batch, height, width, channels], width and channels known.
      data_format: "NHWC", or "NCHW" for [batch, channels, height, width].
      outputs_collections: collections for the output.
      scope: the name scope; default "ImagesToSequence".

    Returns:
      a tensor [width, batch * height, channels].
    """
    check_layout(data_format, "NCHW", "NHWC")
    with name_scope(scope, "ImagesToSequence", [inputs]) as entered:
        inputs = to_tensor(inputs)
        if data_format == "NCHW":
            inputs = transpose(inputs, [0, 2, 3, 1])
        _, _, width, channels = inputs.get_shape().as_list()
        sizes: Any = shape_of(inputs)
        batch, height = sizes[0], sizes[1]
        columns = transpose(inputs, [2, 0, 1, 3])
        sequences = reshape(columns, [width, batch * height, channels])
        return collect_named_outputs(outputs_collections, entered, sequences)


@export(v1=["contrib.layers.sequence_to_images"])
@add_arg_scope
def sequence_to_images(
    inputs: Any,
    height: int,
    output_data_format: str = "channels_last",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> Tensor:
    """Makes images of sequences; the reverse of `images_to_sequence`.

    Args:
      inputs: a tensor [width, batch * height, channels].
      height: the height of the images.
      output_data_format: "channels_last", or "channels_first" for images [batch, channels, height, width].
      outputs_collections: collections for the output.
      scope: the name scope; default "SequenceToImages".

    Returns:
      a tensor [batch, height, width, channels].
    """
    with name_scope(scope, "SequenceToImages", [inputs]) as entered:
        inputs = to_tensor(inputs)
        width, rows, channels = inputs.get_shape().as_list()
        batch = -1 if rows is None else rows // height
        columns = reshape(inputs, [width, batch, height, channels])
        order = [1, 3, 2, 0] if output_data_format == "channels_first" else [1, 2, 0, 3]
        return collect_named_outputs(outputs_collections, entered, transpose(columns, order))
