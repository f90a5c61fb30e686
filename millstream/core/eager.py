"""`EagerTensor`: a tensor that holds its value."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.dtypes import DType
from millstream.core.tensor import Tensor

if TYPE_CHECKING:
    from types import ModuleType

    from millstream.core.operation import Operation

# What the runtime knows of values. It installs itself, so that `core` need not import it.
DEVICE_OF: list[Callable[[EagerTensor], str]] = []
JAX: list[Callable[[], ModuleType]] = []


_ONLY_IN_GRAPHS = frozenset(("op", "graph", "name", "value_index"))


class EagerTensor(Tensor):
    """A tensor of eager execution: shape, dtype and value are known.

    The value is a NumPy array (small tensors, strings), a `jax.Array`, or for a resource whatever stands for it. It
    never changes: a NumPy array must belong to the tensor.

    Example:
      >>> t = tf.constant([[1., 2.], [3., 4.]])
      >>> t.numpy().sum(), t.shape.as_list()
      (10.0, [2, 2])
    """

    __slots__ = ("_value", "_device")

    is_eager = True
    is_constant = True  # whether functions that use it may keep its value
    from_file = False  # whether it came from a file that is not trusted (`core/file_operations.py`)

    def __init__(self, value: Any, dtype: DType, device: str | None = None) -> None:
        self._value = value
        self.dtype = dtype
        self._shape = getattr(value, "shape", ()) if dtype.is_numpy_compatible else ()
        self._device = device

    # --- The value ----------------------------------------------------------------------------------------------

    def numpy(self) -> Any:
        """The value as a NumPy array of the caller's own, or as a NumPy scalar.

        Raises:
          ValueError: the tensor is a handle, which has no NumPy form.
        """
        array = self._array()
        return array.copy() if array.ndim else array[()]

    def _array(self) -> np.ndarray[Any, Any]:
        """The value as a NumPy array that must not be changed."""
        value = self._value
        if type(value) is not np.ndarray:
            if not self.dtype.is_numpy_compatible or self.dtype is dtypes.resource:
                raise ValueError(f"Cannot convert a Tensor of dtype {self.dtype.name} to a NumPy array.")
            value = np.asarray(value)
        if self.dtype.is_quantized:
            value = value.view(self.dtype.as_numpy_dtype)
        return value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self._array()
        if dtype is not None and array.dtype != np.dtype(dtype):
            if copy is False:
                raise ValueError(f"A tensor of dtype {self.dtype.name} does not become {dtype} without a copy.")
            return array.astype(dtype)
        if copy is not False:
            return array.copy()
        shared = array.view()
        shared.flags.writeable = False
        return shared

    def __jax_array__(self) -> Any:
        return JAX[0]().numpy.asarray(self._value)

    def __dlpack__(self, **options: Any) -> Any:
        return self.__jax_array__().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.__jax_array__().__dlpack_device__()

    def __bool__(self) -> bool:
        return bool(self._array())

    __nonzero__ = __bool__

    def __int__(self) -> int:
        return int(self._array())

    def __float__(self) -> float:
        return float(self._array())

    def __complex__(self) -> complex:
        return complex(self._array())

    def __index__(self) -> int:
        return self._array().__index__()

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec) if self.dtype.is_numpy_compatible else format(str(self), spec)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.numpy(), digits) if digits is not None else round(float(self))

    # --- As a sequence ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("Scalar tensor has no `len()`")
        return self._shape[0]  # type: ignore[return-value]

    def __iter__(self) -> Iterator[Any]:
        if not self._shape:
            raise TypeError("Cannot iterate over a scalar tensor.")
        return (self[index] for index in range(self._shape[0]))  # type: ignore[index, arg-type]

    def __contains__(self, value: Any) -> bool:
        return any(bool(item == value) for item in self)

    # --- Facts --------------------------------------------------------------------------------------------------

    @property
    def device(self) -> str:
        """The full name of the device that holds the value."""
        return self._device or DEVICE_OF[0](self)

    @property
    def backing_device(self) -> str:
        """The device that holds the value."""
        return self.device

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._shape)  # type: ignore[arg-type]

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return self.dtype.size

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.dtype.size * self._num_elements()

    def _num_elements(self) -> int:
        size = 1
        for dim in self._shape:  # type: ignore[union-attr]
            size *= dim  # type: ignore[operator]
        return size

    def set_shape(self, shape: Any) -> None:
        """Checks that the shape is compatible with `shape`.

        Raises:
          ValueError: it is not.
        """
        if not shapes.is_compatible(self._shape, shapes.as_plain(shape)):
            wanted = shapes.TensorShape(shape)
            raise ValueError(f"Tensor's shape {self._shape} is not compatible with supplied shape {wanted}.")

    def cpu(self) -> EagerTensor:
        """The tensor in the memory of the host."""
        return EagerTensor(self._array(), self.dtype, "/job:localhost/replica:0/task:0/device:CPU:0")

    def eval(self, feed_dict: Any = None, session: Any = None) -> NoReturn:
        """Not there in eager execution: the value is in `numpy()`."""
        raise NotImplementedError(
            "eval is not supported when eager execution is enabled, is .numpy() what you're looking for?"
        )

    def consumers(self) -> list[Operation]:
        """Not there in eager execution."""
        raise NotImplementedError("Tensor.consumers is undefined when eager execution is enabled.")

    # --- What only tensors of graphs have ------------------------------------------------------------------------

    @property
    def _undefined(self) -> NoReturn:
        raise AttributeError

    op = graph = name = value_index = _undefined

    # --- As a Python object --------------------------------------------------------------------------------------

    def __hash__(self) -> int:
        equal: Any = Tensor.__eq__
        if equal is object.__eq__:
            return id(self)
        raise TypeError("Tensor is unhashable. Instead, use tensor.ref() as the key.")

    def __reduce__(self) -> Any:
        return restore, (np.asarray(self._array()), self.dtype.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> EagerTensor:
        if self.dtype is dtypes.resource:
            return self
        copied = EagerTensor(self._array().copy(), self.dtype, self._device)
        memo[id(self)] = copied
        return copied

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in _ONLY_IN_GRAPHS]

    def __getattr__(self, name: str) -> NoReturn:
        if name in _ONLY_IN_GRAPHS:  # the property's own error ends here too
            raise AttributeError(f"Tensor.{name} is undefined when eager execution is enabled.")
        hint = ""
        if hasattr(np.ndarray, name):
            hint = f" A NumPy array has: use `tensor.numpy().{name}`, or the function of `tf` for it."
        raise AttributeError(f"EagerTensor object has no attribute '{name}'.{hint}")

    def _value_text(self, as_repr: bool) -> str:
        if self.dtype is dtypes.resource or not self.dtype.is_numpy_compatible:
            text = f"<{type(self._value).__name__}>"
            return text if not hasattr(self._value, "name") else f"<ResourceHandle(name={self._value.name!r})>"
        array = self._array()
        if not array.ndim:
            if as_repr or array.dtype == object:
                return repr(array.item())  # TensorFlow shows all digits of the Python number
            item = array[()]
            return str(float(item)) if self.dtype.is_floating and array.dtype.kind == "V" else str(item)
        text = repr(array) if as_repr else str(array)
        return "\n" + text if "\n" in text else text

    def __str__(self) -> str:
        shape = shapes.TensorShape(self._shape)
        return f"tf.Tensor({self._value_text(False)}, shape={shape}, dtype={self.dtype.name})"

    def __repr__(self) -> str:
        shape = shapes.TensorShape(self._shape)
        value = self._value_text(True)
        label = "value" if self.dtype is dtypes.resource else "numpy"
        return f"<tf.Tensor: shape={shape}, dtype={self.dtype.name}, {label}={value}>"


class FileTensor(EagerTensor):
    """A text from a file that is not trusted: operations of files do not take it as the name of a file."""

    __slots__ = ()

    is_constant = False
    from_file = True


def restore(array: np.ndarray[Any, Any], dtype: str) -> EagerTensor:
    """The tensor that was pickled."""
    found = dtypes.as_dtype(dtype)
    if found.is_quantized:
        array = array.view(np.dtype(found.as_numpy_dtype)[0])
    return EagerTensor(array, found)


def shown(value: EagerTensor) -> str:
    """The value of a tensor as `repr` shows it, for variables."""
    return value._value_text(True)
