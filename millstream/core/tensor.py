"""`Tensor`: a reference to one output of an operation in a graph. It holds no value."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.core import errors, shapes
from millstream.core.dtypes import DType
from millstream.core.export import export

if TYPE_CHECKING:
    import numpy as np

    from millstream.core.graph import Graph
    from millstream.core.opdef import Shape
    from millstream.core.operation import Operation
    from millstream.core.shapes import TensorShape


class TensorLike:
    """Base of everything that stands for a tensor: graph tensors, eager tensors, variables, sparse values."""

    __slots__ = ()
    # Whether it has its value at once, outside of all graphs.
    is_eager = False


@export("Tensor")
class Tensor(TensorLike):
    """A result of an operation: dtype and static shape are known, the value is computed by `Session.run`.

    Tensors are made by calling operations, not directly. The arithmetic, comparison and indexing operators
    build operations. In graph mode a tensor has no truth value and cannot be iterated.

    Example:
      >>> c = tf.constant([[1., 2.], [3., 4.]])
      >>> c.name, c.dtype, c.shape.as_list()
      ('Const:0', tf.float32, [2, 2])
    """

    __slots__ = ("op", "value_index", "dtype", "_shape", "_consumers", "__dict__", "__weakref__")

    # NumPy must leave `array + tensor` to our reflected operators.
    __array_priority__ = 100

    OVERLOADABLE_OPERATORS = frozenset(
        "__abs__ __add__ __and__ __div__ __eq__ __floordiv__ __ge__ __getitem__ __gt__ __invert__ __le__ __lt__ "
        "__matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pow__ __radd__ __rand__ __rdiv__ __rfloordiv__ "
        "__rmatmul__ __rmod__ __rmul__ __ror__ __rpow__ __rsub__ __rtruediv__ __rxor__ __sub__ __truediv__ "
        "__xor__".split()
    )

    def __init__(self, op: Operation, value_index: int, dtype: DType, shape: Shape = None) -> None:
        self.op = op
        self.value_index = value_index
        self.dtype = dtype
        self._shape = shape
        self._consumers: list[Operation] = []

    @property
    def name(self) -> str:
        """`op_name:index`."""
        return f"{self.op.name}:{self.value_index}"

    @property
    def graph(self) -> Graph:
        """The graph that holds this tensor."""
        return self.op.graph

    @property
    def device(self) -> str:
        """The device that was asked for, or the empty string."""
        return self.op.device

    @property
    def shape(self) -> TensorShape:
        """The static shape; dimensions, or the rank itself, may be unknown."""
        return shapes.TensorShape(self._shape)

    def get_shape(self) -> TensorShape:
        """The static shape, as `shape`."""
        return shapes.TensorShape(self._shape)

    def set_shape(self, shape: Any) -> None:
        """Merges `shape` into the static shape.

        Raises:
          ValueError: the two shapes contradict each other.
        """
        self._shape = shapes.merge(self._shape, shapes.as_plain(shape))

    def consumers(self) -> list[Operation]:
        """The operations that take this tensor as an input."""
        return list(self._consumers)

    def eval(self, feed_dict: dict[Any, Any] | None = None, session: Any = None) -> np.ndarray[Any, Any]:
        """Runs the graph for this tensor in `session` or in the default session.

        Raises:
          ValueError: there is no default session, or it runs another graph.
        """
        from millstream.core import session_stack

        return session_stack.session_for(self.graph, session, "evaluate tensor", "eval").run(self, feed_dict)

    def experimental_ref(self) -> Reference:
        """A hashable reference to this tensor."""
        return Reference(self)

    ref = experimental_ref

    def __str__(self) -> str:
        shape = "" if self._shape is None else f", shape={shapes.TensorShape(self._shape)}"
        device = f", device={self.device}" if self.device else ""
        return f'Tensor("{self.name}"{shape}, dtype={self.dtype.name}{device})'

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={self.shape} dtype={self.dtype.name}>"

    # By identity, as for any object; said here because the operator table may give `==` another meaning.
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __copy__(self) -> Tensor:
        return self

    def __bool__(self) -> bool:
        raise errors.OperatorNotAllowedInGraphError(
            "using a `tf.Tensor` as a Python `bool` is not allowed in Graph execution. "
            f"Received: {self!r}, whose value is known only when the graph runs. "
            "Use `tf.cond` to choose, `is not None` to test for presence, or evaluate it with `Session.run`."
        )

    __nonzero__ = __bool__

    def __iter__(self) -> Any:
        raise errors.OperatorNotAllowedInGraphError(
            "iterating over `tf.Tensor` is not allowed in Graph execution. "
            f"Received: {self!r}. Use `tf.unstack`, `tf.map_fn` or `tf.while_loop`, or evaluate it with `Session.run`."
        )

    def __contains__(self, value: Any) -> Any:
        return self.__iter__()  # without this method Python would hide that error behind one of its own

    def __len__(self) -> int:
        raise TypeError(
            f"len is not well defined for symbolic Tensors. ({self.name}) "
            "Please call `x.shape` rather than `len(x)` for shape information."
        )

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(
            f"Cannot convert a symbolic Tensor ({self.name}) to a numpy array. "
            "Evaluate it with `Session.run` or `eval`."
        )

    def _as_graph_element(self) -> Tensor:
        return self


class Reference:
    """A hashable handle of an object that itself compares by value, from `Tensor.experimental_ref`."""

    __slots__ = ("_target",)

    def __init__(self, target: Any) -> None:
        self._target = target

    def deref(self) -> Any:
        """The object."""
        return self._target

    def __hash__(self) -> int:
        return id(self._target)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and other._target is self._target

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._target!r}>"
