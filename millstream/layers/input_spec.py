"""What a layer asks of its inputs."""
from __future__ import annotations

from typing import Any

from millstream.core import nest
from millstream.core.dtypes import as_dtype
from millstream.core.export import export


@export(v1=["layers.InputSpec"])
class InputSpec:
    """Rank, dtype and sizes that an input of a layer must have; None asks for nothing.

    Args:
      dtype: the dtype.
      shape: the shape, None for a free dimension; it says the rank too.
      ndim: the rank.
      max_ndim, min_ndim: the greatest and the smallest rank.
      axes: sizes of single axes, {axis: size}.

    Raises:
      TypeError: a key of `axes` is no integer.
      ValueError: an axis is beyond the rank.

    Example:
      >>> tf.layers.InputSpec(ndim=4, axes={-1: 3})
      InputSpec(ndim=4, axes={-1: 3})
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
    ) -> None:
        self.dtype = None if dtype is None else as_dtype(dtype).name
        self.shape = shape
        self.ndim = ndim if shape is None else len(shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        try:
            self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        except (ValueError, TypeError):
            raise TypeError("The keys in axes must be integers.") from None
        highest = self.ndim or max_ndim
        if self.axes and highest is not None and max(self.axes) >= highest:
            raise ValueError(f"Axis {max(self.axes)} is greater than the maximum allowed value: {highest - 1}")

    def __repr__(self) -> str:
        return f"InputSpec({', '.join(f'{key}={value}' for key, value in self.get_config().items() if value)})"

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        keys = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {key: getattr(self, key) for key in keys}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The specification that `get_config` describes."""
        return cls(**config)


def check_inputs(specs: Any, inputs: Any, layer_name: str) -> None:
    """Holds the inputs of a layer to its specifications.

    Args:
      specs: an InputSpec, a structure of them, or None.
      inputs: a tensor or a structure of tensors.
      layer_name: for the messages.

    Raises:
      ValueError: an input does not fit.
    """
    if not specs:
        return
    tensors, wanted = nest.flatten(inputs), nest.flatten(specs)
    if len(tensors) != len(wanted):
        raise ValueError(
            f"Layer {layer_name} expects {len(wanted)} inputs, "
            f"but it received {len(tensors)} input tensors. Inputs received: {tensors}"
        )
    for index, (tensor, spec) in enumerate(zip(tensors, wanted, strict=True)):
        problem = None if spec is None else _problem(tensor, spec)
        if problem is not None:
            raise ValueError(f"Input {index} of layer {layer_name} is incompatible with the layer: {problem}")


def _problem(tensor: Any, spec: InputSpec) -> str | None:
    """What is wrong with an input, in words; None if it fits."""
    shape = None if tensor.shape.ndims is None else tensor.shape.as_list()
    if shape is None:
        ranks = (spec.ndim, spec.min_ndim, spec.max_ndim)
        if any(rank is not None for rank in ranks):
            return "its rank is undefined, but the layer requires a defined rank."
    elif (problem := _rank_problem(shape, spec)) is not None:
        return problem
    if spec.dtype is not None and tensor.dtype != spec.dtype:
        return f"expected dtype={spec.dtype}, found dtype={tensor.dtype}"
    return None if shape is None else _size_problem(shape, spec)


def _rank_problem(shape: list[int | None], spec: InputSpec) -> str | None:
    rank = len(shape)
    if spec.ndim is not None and rank != spec.ndim:
        return f"expected ndim={spec.ndim}, found ndim={rank}. Full shape received: {shape}"
    if spec.max_ndim is not None and rank > spec.max_ndim:
        return f"expected max_ndim={spec.max_ndim}, found ndim={rank}"
    if spec.min_ndim is not None and rank < spec.min_ndim:
        return f": expected min_ndim={spec.min_ndim}, found ndim={rank}. Full shape received: {shape}"
    return None


def _size_problem(shape: list[int | None], spec: InputSpec) -> str | None:
    for axis, size in spec.axes.items():
        size = getattr(size, "value", size)  # a Dimension
        if size is not None and shape[axis] not in (size, None):
            return f"expected axis {axis} of input shape to have value {size} but received input with shape {shape}"
    if spec.shape is not None:
        pairs = zip(spec.shape, shape, strict=True)
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            return f"expected shape={spec.shape}, found shape={shape}"
    return None
