"""Weights that the cells share: products with a kernel, kernels in parts, and the sizes that these need."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import context
from millstream.core.dtypes import int32
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.scopes import add_to_collection, get_collection
from millstream.core.variable_scope import get_variable, get_variable_scope, variable_scope
from millstream.ops.bias_ops import bias_add
from millstream.ops.constant_op import constant
from millstream.ops.init_ops import Constant
from millstream.ops.join_ops import concat
from millstream.ops.matmul_ops import matmul
from millstream.rnn.cell import RNNCell


class Linear:
    """A product with a kernel: `concat(inputs, 1) · kernel + bias`.

    It makes the variables `kernel`, [inputs, output_size], and `bias`, [output_size], in the variable scope in which it
    is made.

    Args:
      inputs: tensors [batch, size].
      output_size: the number of columns.
      has_bias: whether there is a bias, of zeros at first.

    Raises:
      ValueError: an input is no matrix, or its size is not known.
    """

    def __init__(self, inputs: Sequence[Any], output_size: int, has_bias: bool = True) -> None:
        rows, dtype = sum(_sizes(inputs)), inputs[0].dtype
        self._bias = None
        # A scope of its own: the name scope of the cells within is numbered after it.
        with variable_scope(get_variable_scope()) as scope:
            self._kernel = get_variable("kernel", [rows, output_size], dtype=dtype)
            scope.set_partitioner(None)
            if has_bias:
                self._bias = get_variable("bias", [output_size], dtype=dtype, initializer=Constant(0.0, dtype=dtype))

    def __call__(self, inputs: Sequence[Any]) -> Any:
        """The product for tensors [batch, size], a tensor [batch, output_size]."""
        joined = inputs[0] if len(inputs) == 1 else concat(inputs, constant(1, int32))
        product = matmul(joined, self._kernel)
        return product if self._bias is None else bias_add(product, self._bias)


def _sizes(inputs: Sequence[Any]) -> list[int]:
    shapes = [tensor.shape for tensor in inputs]
    for shape in shapes:
        if shape.rank != 2:
            raise ValueError(f"linear is expecting 2D arguments: {shapes}")
        if shape.as_list()[1] is None:
            raise ValueError(f"linear expects shape[1] to be provided for shape {shape}, but saw {shape[1]}")
    return [shape.as_list()[1] for shape in shapes]


class LinearCell(RNNCell):
    """Base of the cells with products whose kernels are made on the first call, and belong to the cell from then on."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._products: dict[str, Linear] = {}

    def _linear(self, inputs: Sequence[Any], output_size: int, has_bias: bool = True, key: str = "") -> Any:
        """`Linear` of the inputs; `key` tells apart the products of a cell."""
        if key not in self._products:
            self._products[key] = Linear(inputs, output_size, has_bias)
        return self._products[key](inputs)


def known_input_size(shape: Any) -> int:
    """The second dimension of the shape of inputs [batch, size].

    Raises:
      ValueError: it is not known, or the rank is another one.
    """
    size = shape.with_rank(2).as_list()[1]
    if size is None:
        raise ValueError("Could not infer input size from inputs.get_shape()[-1]")
    return size


def sharded_variable(name: str, shape: Sequence[int], dtype: Any, count: int) -> Any:
    """A kernel made of variables `name_0`, `name_1`, …, which divide its rows.

    More than one are joined by an operation that is in the collection `GraphKeys.CONCATENATED_VARIABLES`.

    Args:
      name: the beginning of the names.
      shape: of the kernel.
      dtype: of the kernel.
      count: the number of variables.

    Raises:
      ValueError: there are fewer rows.
    """
    if count > shape[0]:
        raise ValueError(f"Too many shards: shape={shape}, num_shards={count}")
    rows, larger = divmod(shape[0], count)
    parts = [
        get_variable(f"{name}_{index}", [rows + (index < larger), *shape[1:]], dtype=dtype) for index in range(count)
    ]
    if count == 1:
        return parts[0]
    if context.executing_eagerly():
        return concat(parts, 0)
    joined_name = f"{get_variable_scope().name}/{name}/concat:0"
    for tensor in get_collection(GraphKeys.CONCATENATED_VARIABLES):
        if tensor.name == joined_name and tensor.graph is get_default_graph():
            return tensor
    joined = concat(parts, 0, name=f"{name}/concat")
    add_to_collection(GraphKeys.CONCATENATED_VARIABLES, joined)
    return joined
