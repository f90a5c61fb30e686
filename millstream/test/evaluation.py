"""The values of tensors in eager execution, and what stands for sessions there."""
from __future__ import annotations

from typing import Any, NoReturn

from millstream.core import nest
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.sparse_tensor import SparseTensor, SparseTensorValue
from millstream.core.tensor import TensorLike
from millstream.runtime.fetches import IndexedSlicesValue


def values(tensors: Any) -> Any:
    """The values of a structure of tensors as NumPy arrays and scalars.

    Raises:
      ValueError: a leaf is no tensor.
    """
    return nest.map_structure(_value, tensors)


def _value(leaf: Any) -> Any:
    if leaf is None:
        return None
    if isinstance(leaf, SparseTensor):
        return SparseTensorValue(leaf.indices.numpy(), leaf.values.numpy(), leaf.dense_shape.numpy())
    if isinstance(leaf, IndexedSlices):
        dense_shape = None if leaf.dense_shape is None else leaf.dense_shape.numpy()
        return IndexedSlicesValue(leaf.values.numpy(), leaf.indices.numpy(), dense_shape)
    if isinstance(leaf, TensorLike) and hasattr(leaf, "numpy"):
        return leaf.numpy()
    if callable(leaf):
        return values(leaf())
    raise ValueError(f"Unsupported type '{type(leaf).__name__}'.")


class EagerSession:
    """Stands for a session where there is none: `run` gives what is computed already."""

    def run(self, fetches: Any, *args: Any, **kwargs: Any) -> Any:
        """The values of a structure of tensors.

        Raises:
          RuntimeError: values are fed.
        """
        if args or kwargs.get("feed_dict"):
            raise RuntimeError(
                "A test in eager execution cannot feed values: call the functions with them, or run the test in a "
                "graph, `with tf.Graph().as_default():`."
            )
        return values(fetches)


class NoSession:
    """Stands for a session where there is none: whatever is asked of it is an error."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            "Trying to access properties or call methods on the result of self.session(), self.cached_session(), etc "
            f"while eager execution is enabled (`{name}`). Use self.evaluate(), or run the test in a graph, "
            "`with tf.Graph().as_default():`."
        )
