"""Tensors that share memory with other libraries, through DLPack."""
from __future__ import annotations

from typing import Any

from millstream.core import dtypes
from millstream.core.eager import EagerTensor
from millstream.core.export import export
from millstream.runtime import backend


@export(v2=["experimental.dlpack.to_dlpack"])
def to_dlpack(tf_tensor: Any) -> Any:
    """A DLPack capsule of an eager tensor's memory; libraries that know `__dlpack__` take the tensor itself.

    Args:
      tf_tensor: an eager tensor of numbers. It must not be changed through the capsule.

    Raises:
      TypeError: it is a tensor of a graph, which has no value.

    Example:
      >>> torch.from_dlpack(tf.constant([1., 2.]))
      tensor([1., 2.])
    """
    if not isinstance(tf_tensor, EagerTensor):
        raise TypeError(f"The argument to `to_dlpack` must be a TF tensor, not {type(tf_tensor)}")
    return tf_tensor.__dlpack__()


@export(v2=["experimental.dlpack.from_dlpack"])
def from_dlpack(dlcapsule: Any) -> EagerTensor:
    """An eager tensor on the memory of another library's array, without a copy where the device allows.

    Args:
      dlcapsule: an array that has `__dlpack__` (of PyTorch, JAX, NumPy, CuPy…), or a capsule of one on the CPU. It must
        not be changed as long as the tensor is used.

    Example:
      >>> tf.experimental.dlpack.from_dlpack(torch.ones(2))
      <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 1.], dtype=float32)>
    """
    source = dlcapsule if hasattr(dlcapsule, "__dlpack__") else _Capsule(dlcapsule)
    array = backend.jax().dlpack.from_dlpack(source)
    return EagerTensor(array, dtypes.from_numpy(array.dtype))


class _Capsule:
    """Gives a bare capsule the protocol that today's libraries ask for."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU
