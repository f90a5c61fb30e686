"""Einstein summation.

In 1.x it is composed of transpositions, reshapes and matrix products, two tensors at a time. In 2.x it is one
operation, `Einsum`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.dtypes import ANY
from millstream.core.export import export
from millstream.core.gradients import is_wanted
from millstream.core.opdef import op
from millstream.core.scopes import name_scope
from millstream.core.shape_context import ShapeContext
from millstream.core.shapes import Shape, broadcast, merge_dim
from millstream.core.tensor import Tensor
from millstream.ops.arithmetic_ops import multiply
from millstream.ops.elementwise import conjugate
from millstream.ops.fill_ops import eye
from millstream.ops.matmul_ops import matmul
from millstream.ops.reduction_ops import reduce_sum
from millstream.ops.reshape_ops import broadcast_to, expand_dims, reshape, squeeze, transpose
from millstream.ops.shape_ops import shape

_EQUATION = re.compile(r"[a-zA-Z.,]*(->[a-zA-Z.]*)?$")

# --- The equation -------------------------------------------------------------------------------------------


def parse(equation: str, ranks: Sequence[int | None]) -> tuple[list[str], str]:
    """Reads an equation such as `ij,jk->ik`.

    Args:
      equation: the equation; dots stand for further axes, which letters that are not in use replace.
      ranks: the rank of each input.

    Returns:
      the axes of each input and of the output, a letter each.

    Raises:
      ValueError: the equation is malformed, or does not fit the inputs.
    """
    equation = equation.replace(" ", "")
    if not _EQUATION.match(equation):
        raise ValueError(f"Indices have incorrect format: {equation}")
    left, arrow, right = equation.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ranks):
        raise ValueError(f'Got {len(ranks)} arguments for equation "{equation}", expecting {len(inputs)}')
    dots = ""
    if "..." in equation:
        inputs, dots = _without_dots(inputs, ranks, equation)
    if arrow:
        return inputs, right.replace("...", dots)
    named = "".join(inputs)
    once = sorted(axis for axis in set(named) - set(dots) if named.count(axis) == 1)
    return inputs, dots + "".join(once)


def _without_dots(inputs: list[str], ranks: Sequence[int | None], equation: str) -> tuple[list[str], str]:
    """Puts letters in place of `...`; gives the longest of these replacements as well."""
    unused = [letter for letter in string.ascii_letters if letter not in equation]
    longest, replaced = "", []
    for axes, rank in zip(inputs, ranks, strict=True):
        if "..." in axes:
            parts = axes.split("...")
            if len(parts) != 2:
                raise ValueError("Unable to resolve ellipsis. Excess number found.")
            if rank is None:
                raise ValueError("Unable to statically infer ellipsis axes.")
            count = rank - len("".join(parts))
            if count < 0:
                raise ValueError("Ellipses lengths do not match.")
            letters = "".join(unused[len(unused) - count :])
            longest = max(longest, letters, key=len)
            axes = letters.join(parts)
        replaced.append(axes)
    return replaced, longest


# --- 1.x ----------------------------------------------------------------------------------------------------


@export(v1=["einsum", "linalg.einsum"])
def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """The sum of products of elements over the axes that an equation names.

    Args:
      equation: the axes of each input, separated by commas, then `->` and those of the result. Axes that the
        result lacks are summed over. Without `->`, the result has the axes that occur once, in alphabetical
        order. `...` stands for any further axes.
      *inputs: the tensors.
      **kwargs: `name`: the scope of the operations.

    Raises:
      ValueError: the equation is malformed, does not fit the inputs, or names an axis twice in one input.

    Example:
      >>> tf.einsum("bij,jk->bik", u, v)             # a product of matrices for each b
    """
    name = kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"invalid keyword arguments for this function: {', '.join(sorted(kwargs))}")
    with name_scope(name, "einsum", [equation, *inputs]):
        tensors = [to_tensor(value) for value in inputs]
        ranks = [None if tensor._shape is None else len(tensor._shape) for tensor in tensors]
        labels, output = parse(equation, ranks)
        if "->" not in equation and len(labels) == 1 and len(labels[0]) == 2 and labels[0][0] == labels[0][1]:
            from millstream.ops.norms import trace

            return trace(tensors[0])
        for axes in labels:
            if len(set(axes)) != len(axes):
                raise ValueError(f"Subscript not supported: an axis appears more than once: {axes}")
        product, axes = _product(tensors, labels, output)
        return _arranged(product, axes, output, equation)


def _product(tensors: list[Tensor], labels: list[str], output: str) -> tuple[Tensor, str]:
    """The product of all tensors, two at a time, and its axes."""
    shared = "".join(labels)
    if any(shared.count(axis) > 2 and axis not in output for axis in shared):
        return _aligned_product(tensors, labels, output)
    product, axes = tensors[0], labels[0]
    for tensor, other in zip(tensors[1:], labels[1:], strict=True):
        summed = (set(axes) & set(other)) - set(output)
        product, axes = _contract(product, axes, tensor, other, summed)
    return product, axes


def _arranged(product: Tensor, axes: str, output: str, equation: str) -> Tensor:
    """Sums over the axes that the output lacks, and brings the others into its order."""
    missing = [index for index, axis in enumerate(axes) if axis not in output]
    if missing:
        product = reduce_sum(product, axis=missing)
        axes = "".join(axis for axis in axes if axis in output)
    if sorted(axes) != sorted(output):
        raise ValueError(f"Invalid equation: {equation}")
    return _transposed(product, [axes.index(axis) for axis in output])


def _contract(x: Tensor, x_axes: str, y: Tensor, y_axes: str, summed: set[str]) -> tuple[Tensor, str]:
    """The product of two tensors, summed over some of the axes that both have, and its axes."""
    for tensor, axes in ((x, x_axes), (y, y_axes)):
        if tensor._shape is None:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        if len(tensor._shape) != len(axes):
            raise ValueError(
                f"Tensor of rank {len(tensor._shape)} does not match einsum reduction of length {len(axes)}"
            )
    kept = sorted((set(x_axes) & set(y_axes)) - summed)
    only_x, only_y = (sorted(set(a) - set(b)) for a, b in ((x_axes, y_axes), (y_axes, x_axes)))
    over = sorted(summed)
    x = _transposed(x, [x_axes.index(axis) for axis in kept + only_x + over])
    y = _transposed(y, [y_axes.index(axis) for axis in kept + over + only_y])
    result = "".join(kept + only_x + only_y)
    if not summed:
        for _ in only_y:
            x = expand_dims(x, -1)
        for _ in only_x:
            y = expand_dims(y, len(kept))
        return multiply(x, y), result
    return _matrix_product(x, y, len(kept), len(only_x), len(only_y)), result


def _matrix_product(x: Tensor, y: Tensor, kept: int, only_x: int, only_y: int) -> Tensor:
    """The product of matrices [kept, only_x, summed] and [kept, summed, only_y], each a group of axes."""
    dims = _dims(x)
    batch, rows, inner = dims[:kept], dims[kept : kept + only_x], dims[kept + only_x :]
    x = _reshaped(x, [*batch, _times(rows), _times(inner)])
    dims = _dims(y)
    inner, columns = dims[kept : len(dims) - only_y], dims[len(dims) - only_y :]
    y = _reshaped(y, [*dims[:kept], _times(inner), _times(columns)])
    return _reshaped(matmul(x, y), [*batch, *rows, *columns])


def _dims(tensor: Tensor) -> list[Any]:
    """The dimensions, as integers where they are known and else as scalar tensors."""
    known = tensor._shape or ()
    if None not in known:
        return list(known)
    dynamic = shape(tensor)
    return [dynamic[index] if dim is None else dim for index, dim in enumerate(known)]


def _times(dims: list[Any]) -> Any:
    return reduce(lambda total, dim: total * dim, dims, 1)


def _transposed(tensor: Tensor, order: list[int]) -> Tensor:
    return tensor if order == list(range(len(order))) else transpose(tensor, order)


def _reshaped(tensor: Tensor, dims: list[Any]) -> Tensor:
    known = tensor._shape
    if known is not None and len(known) == len(dims):
        if all(not isinstance(dim, Tensor) and dim == old for dim, old in zip(dims, known, strict=True)):
            return tensor
    return reshape(tensor, dims)


def _aligned_product(tensors: list[Tensor], labels: list[str], output: str) -> tuple[Tensor, str]:
    """The product with all axes side by side, for an axis to be summed that more than two tensors share."""
    axes = output + "".join(sorted(set("".join(labels)) - set(output)))
    aligned = []
    for tensor, names in zip(tensors, labels, strict=True):
        tensor = _transposed(tensor, sorted(range(len(names)), key=lambda i, names=names: axes.index(names[i])))
        for index, axis in enumerate(axes):
            if axis not in names:
                tensor = expand_dims(tensor, index)
        aligned.append(tensor)
    return reduce(multiply, aligned), axes


# --- 2.x ----------------------------------------------------------------------------------------------------


def _einsum_shape(c: ShapeContext) -> Any:
    return _output_shape([c.shape(index) for index in range(c.num_inputs)], c.attrs["equation"])


def _output_shape(shapes: Sequence[Shape], equation: str) -> Shape:
    """The shape of the result; None where that of an input is not known.

    Raises:
      ValueError: the shapes do not fit the equation, or each other.
    """
    if any(known is None for known in shapes):
        return None
    labels, output = parse(equation, [len(known or ()) for known in shapes])
    dims: dict[str, int | None] = {}
    combine: Callable[..., Any] = _broadcast_dim if "..." in equation else merge_dim
    for known, axes in zip(shapes, labels, strict=True):
        if len(known or ()) != len(axes):
            raise ValueError(f"Expected input to have rank {len(axes)}, but got: {len(known or ())}")
        for axis, dim in zip(axes, known or (), strict=True):
            dims[axis] = combine(dims[axis], dim) if axis in dims else dim
    return tuple(dims[axis] for axis in output)


def _broadcast_dim(a: int | None, b: int | None) -> int | None:
    return (broadcast((a,), (b,)) or (None,))[0]


@op("Einsum(inputs: N*T, *, equation: string) -> output: T", T=ANY, shape=_einsum_shape)
def einsum_op(xp, inputs, *, equation):
    _output_shape([x.shape for x in inputs], equation)  # NumPy would broadcast dimensions of size 1
    return xp.einsum(equation, *inputs)


@einsum_op.gradient
def _(op, grad):
    ranks = [None if tensor._shape is None else len(tensor._shape) for tensor in op.inputs]
    labels, output = parse(op.attrs["equation"], ranks)
    pairs = zip(op.inputs, labels, strict=True)
    plain = [_without_stretched(tensor, axes, op.inputs, labels) for tensor, axes in pairs]
    grads: list[Tensor | None] = []
    for index, (operand, axes) in enumerate(plain):
        if not is_wanted(op, index):
            grads.append(None)
            continue
        others = [conjugate(tensor) for tensor, _ in (*plain[:index], *plain[index + 1 :])]
        names = [names for _, names in (*plain[:index], *plain[index + 1 :])]
        found = "".join(axis for axis in dict.fromkeys(axes) if axis in output or any(axis in name for name in names))
        part = einsum_op([grad, *others], equation=f"{','.join([output, *names])}->{found}")
        grads.append(reshape(_spread(part, found, axes, operand), shape(op.inputs[index])))
    return grads


def _without_stretched(
    tensor: Any, axes: str, all_tensors: Sequence[Any], all_axes: Sequence[str]
) -> tuple[Any, str]:
    """A tensor and its axes without those of size 1 that broadcasting, which dots allow, had stretched."""
    largest: dict[str, int] = {}
    for other, names in zip(all_tensors, all_axes, strict=True):
        for axis, dim in zip(names, other._shape or (), strict=False):
            largest[axis] = max(largest.get(axis, 1), dim or 1)
    narrow = [i for i, dim in enumerate(tensor._shape or ()) if dim == 1 and largest[axes[i]] != 1]
    if not narrow:
        return tensor, axes
    kept = "".join(axis for i, axis in enumerate(axes) if i not in narrow)
    return squeeze(tensor, narrow), kept


def _spread(part: Tensor, found: str, axes: str, operand: Any) -> Tensor:
    """A gradient by the axes `found` as one by all axes of an operand.

    It is repeated along axes that were summed on their own, and put on the diagonal of axes of one name.
    """
    if found == axes:
        return part
    seen = ""
    for index, axis in enumerate(axes):
        if axis in seen:
            part = expand_dims(part, index) * _diagonal(part, seen.index(axis), index, shape(operand)[index])
        elif axis not in found:
            part = expand_dims(part, index)
        seen += axis
    return broadcast_to(part, shape(operand))


def _diagonal(part: Tensor, first: int, second: int, size: Any) -> Tensor:
    """1 where the indices along two axes are equal, else 0; axes of size 1 elsewhere, as many as `part` has and one."""
    dims = [1] * (len(part._shape or ()) + 1)
    dims[first] = dims[second] = size
    return reshape(eye(size, dtype=part.dtype), dims)


@export(v2=["einsum", "linalg.einsum"])
def einsum_v2(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """The sum of products of elements over the axes that an equation names.

    Args:
      equation: the axes of each input, separated by commas, then `->` and those of the result. Axes that the
        result lacks are summed over, an axis named twice in one input takes the diagonal. Without `->`, the
        result has the axes that occur once, in alphabetical order. `...` stands for any further axes, which
        are broadcast.
      *inputs: the tensors.
      **kwargs: `name`: the operation's name; `optimize` is accepted for compatibility.

    Raises:
      ValueError: the equation is malformed, or does not fit the inputs.

    Example:
      >>> tf.einsum("bij,jk->bik", u, v)             # a product of matrices for each b
    """
    name = kwargs.pop("name", None)
    kwargs.pop("optimize", None)
    if kwargs:
        raise TypeError(f"Invalid keyword arguments for einsum: {', '.join(sorted(kwargs))}")
    tensors = [to_tensor(value) for value in inputs]
    ranks = [None if tensor._shape is None else len(tensor._shape) for tensor in tensors]
    count = equation.partition("->")[0].count(",") + 1
    if count != len(tensors):
        raise ValueError(f'Got {len(tensors)} inputs for equation "{equation}", expecting {count}')
    if "->" not in equation:
        labels, output = parse(equation, ranks)
        equation = f"{','.join(labels)}->{output}"
    return einsum_op(tensors, equation=equation.replace(" ", ""), name=name)
