"""Static shapes: what is known of a tensor's shape when the graph is built.

Inside the library a shape is a plain tuple of `int | None`, where None is an unknown dimension, or None when
even the rank is unknown. `TensorShape` and `Dimension` are what users see of it.
"""
from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from millstream.core.dtypes import DType
from millstream.core.export import export

Dim: TypeAlias = int | None
Shape: TypeAlias = tuple[Dim, ...] | None
HIGHEST_RANK = 254

# As TensorFlow's switch of the same meaning: whether indexing a TensorShape gives ints instead of Dimensions.
_v2_behavior = False


# --------------------------------------------------------------------------------------- reading users' input


def as_dim(value: Any) -> Dim:
    """Reads a user's dimension: None, an integer (of any type, an eager tensor, 2.0 and "2" too) or a `Dimension`.

    Raises:
      TypeError: if it is not a number.
      ValueError: if it is negative or has a fraction.
    """
    if value is None or (type(value) is int and value >= 0):
        return value  # the common case, quickly
    if isinstance(value, Dimension):
        return value._value
    if isinstance(value, DType):
        raise TypeError(f"Cannot convert {value} to Dimension")
    number = int(value)
    if not hasattr(value, "__index__") and not isinstance(value, (str, bytes)) and number != value:
        raise ValueError(f"Ambiguous dimension: {value}")
    if number < 0:
        raise ValueError(f"Dimension {number} must be >= 0")
    return number


def as_plain(shape_like: Any) -> Shape:
    """Reads a user's shape: None, a `TensorShape`, a dimension, an iterable of them or a TensorShapeProto.

    Raises:
      TypeError: for a string, or something that has no numbers in it.
      ValueError: for a negative or fractional dimension.
    """
    if shape_like is None:
        return None
    if isinstance(shape_like, TensorShape):
        return shape_like._plain
    if isinstance(shape_like, (str, bytes)):
        raise TypeError(
            f"A string has ambiguous TensorShape, please wrap in a list or convert to an int: {shape_like!s}"
        )
    if isinstance(shape_like, np.ndarray):
        shape_like = shape_like.tolist()
    if hasattr(shape_like, "__iter__"):
        return tuple([as_dim(d) for d in shape_like])
    if hasattr(shape_like, "unknown_rank"):
        return _from_proto(shape_like)
    return (as_dim(shape_like),)


def _from_proto(proto: Any) -> Shape:
    if proto.unknown_rank:
        return None
    return tuple(None if d.size == -1 else as_dim(d.size) for d in proto.dim)


def as_proto(shape: Shape) -> Any:
    """The TensorShapeProto of `shape`; an unknown dimension has size -1 there."""
    from millstream.io import proto

    message = proto.TensorShapeProto()
    if shape is None:
        message.unknown_rank = True
    else:
        for d in shape:
            message.dim.add(size=-1 if d is None else d)
    return message


# ----------------------------------------------------------------------------------------------- plain shapes


def is_fully_defined(shape: Shape) -> bool:
    """Whether the rank and every dimension are known."""
    return shape is not None and None not in shape


def num_elements(shape: Shape) -> int | None:
    """The number of elements, or None unless `shape` is fully defined."""
    if shape is None:
        return None
    count = 1
    for d in shape:
        if d is None:
            return None
        count *= d
    return count


def is_compatible(a: Shape, b: Shape) -> bool:
    """Whether one tensor can have both shapes."""
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(x == y or x is None or y is None for x, y in zip(a, b, strict=True))


def merge_dim(a: Dim, b: Dim) -> Dim:
    """What is known of a dimension that is both `a` and `b`; ValueError if they contradict each other."""
    if a is None:
        return b
    if b is None or a == b:
        return a
    raise ValueError(f"Dimensions must be equal, but are {a} and {b}")


def merge(a: Shape, b: Shape) -> Shape:
    """What is known of a tensor that has both shapes; ValueError if they contradict each other."""
    if a is None or a == b:
        return b
    if b is None:
        return a
    if len(a) != len(b):
        raise ValueError(f"Shapes must be equal rank, but are {len(a)} and {len(b)}")
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        if x != y and x is not None and y is not None:
            raise ValueError(
                f"Dimension {i} in both shapes must be equal, but are {x} and {y}. "
                f"Shapes are {format_shape(a)} and {format_shape(b)}."
            )
    return tuple([y if x is None else x for x, y in zip(a, b, strict=True)])


def generalize(a: Shape, b: Shape) -> Shape:
    """The most specific shape that allows everything that `a` or `b` allows."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple([x if x == y else None for x, y in zip(a, b, strict=True)])


def broadcasts(a: Shape, b: Shape, to: Shape = None) -> bool:
    """Whether two shapes broadcast together; and if `to` is given, whether the result has that shape."""
    try:
        result = broadcast(a, b)
    except ValueError:
        return False
    return to is None or result == to


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of an elementwise operation's result by NumPy's broadcasting; ValueError if there is none.

    An unknown dimension may be 1, so beside n > 1 the result is n, beside 1 it is unknown.
    """
    if a == b:
        return a
    if a is None or b is None:
        return None
    if len(a) < len(b):
        a = (1,) * (len(b) - len(a)) + a
    elif len(b) < len(a):
        b = (1,) * (len(a) - len(b)) + b
    return tuple([_broadcast_dim(x, y) for x, y in zip(a, b, strict=True)])


def _broadcast_dim(x: Dim, y: Dim) -> Dim:
    if x == y or y == 1:
        return x
    if x == 1:
        return y
    if x is None or y is None:
        known = y if x is None else x
        return known if known else None  # 0 beside unknown stays unknown, as in TensorFlow
    raise ValueError(f"Dimensions must be equal, but are {x} and {y}")


def check_broadcast(a: Shape, b: Shape) -> None:
    """Demands of the shapes of two values, in a kernel, that they broadcast; ValueError if they do not."""
    try:
        broadcast(a, b)
    except ValueError:
        raise ValueError(f"Incompatible shapes: {format_shape(a)} vs. {format_shape(b)}") from None


def concatenate(a: Shape, b: Shape) -> Shape:
    """The dimensions of `a` followed by those of `b`; None if either rank is unknown."""
    return None if a is None or b is None else a + b


def with_rank(shape: Shape, rank: int) -> tuple[Dim, ...]:
    """`shape`, which must have this rank; an unknown rank becomes that many unknown dimensions."""
    if rank > HIGHEST_RANK:
        raise ValueError(f"A tensor cannot have rank {rank}; the highest is {HIGHEST_RANK}")
    if shape is None:
        return (None,) * rank
    if len(shape) != rank:
        raise ValueError(f"Shape must be rank {rank} but is rank {len(shape)}")
    return shape


def with_rank_at_least(shape: Shape, rank: int) -> Shape:
    """`shape`, whose rank must be unknown or at least this; ValueError otherwise."""
    if shape is not None and len(shape) < rank:
        raise ValueError(f"Shape must be at least rank {rank} but is rank {len(shape)}")
    return shape


def with_rank_at_most(shape: Shape, rank: int) -> Shape:
    """`shape`, whose rank must be unknown or at most this; ValueError otherwise."""
    if shape is not None and len(shape) > rank:
        raise ValueError(f"Shape must be at most rank {rank} but is rank {len(shape)}")
    return shape


def format_shape(shape: Shape, unknown_rank: str = "<unknown>") -> str:
    """`shape` as in the runtime's messages: "[2,?]", "[]", or `unknown_rank` ("?" in lists of shapes)."""
    if shape is None:
        return unknown_rank
    return "[" + ",".join(["?" if d is None else str(d) for d in shape]) + "]"


def format_tuple(shape: Shape) -> str:
    """`shape` as in the Python API's messages: "(2, ?)", "(2,)", "<unknown>"; with None for ? in 2.x."""
    if shape is None:
        return "<unknown>"
    unknown = "None" if _v2_behavior else "?"
    dims = [unknown if d is None else str(d) for d in shape]
    return f"({dims[0]},)" if len(dims) == 1 else f"({', '.join(dims)})"


# ----------------------------------------------------------------------------------------------- users' views


_Operator: TypeAlias = "Callable[[Dimension, Any], Any]"


def _arithmetic(compute: Callable[[int, int], int], reflected: bool = False) -> _Operator:
    """Makes an operator of `Dimension` whose result is unknown when an operand is."""

    def method(self: Dimension, other: Any) -> Any:
        try:
            value = as_dim(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or value is None:
            return Dimension(None)
        return Dimension(compute(value, self._value) if reflected else compute(self._value, value))

    return method


def _comparison(compare: Callable[[int, int], bool]) -> _Operator:
    """Makes a comparison of `Dimension` that is None when an operand is unknown."""

    def method(self: Dimension, other: Any) -> Any:
        try:
            value = as_dim(other)
        except (TypeError, ValueError):
            return NotImplemented
        return None if self._value is None or value is None else compare(self._value, value)

    return method


@export(v1=["Dimension"])
class Dimension:
    """One dimension of a `TensorShape`: a size, or unknown.

    Arithmetic with an unknown dimension gives an unknown dimension, and a comparison gives None.

    Args:
      value: the size as a non-negative integer, another `Dimension`, or None for unknown.

    Raises:
      ValueError: if the size is negative or has a fraction.

    Example:
      >>> Dimension(3) * 2, Dimension(None) + 1, Dimension(3) == Dimension(None)
      (Dimension(6), Dimension(None), None)
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # equality may be None, so there is no sound hash

    def __init__(self, value: Any) -> None:
        self._value = as_dim(value)

    @property
    def value(self) -> int | None:
        """The size, or None if it is unknown."""
        return self._value

    __add__ = _arithmetic(operator.add)
    __radd__ = _arithmetic(operator.add, reflected=True)
    __sub__ = _arithmetic(operator.sub)
    __rsub__ = _arithmetic(operator.sub, reflected=True)
    __mul__ = _arithmetic(operator.mul)
    __rmul__ = _arithmetic(operator.mul, reflected=True)
    __floordiv__ = __div__ = _arithmetic(operator.floordiv)
    __rfloordiv__ = _arithmetic(operator.floordiv, reflected=True)
    __mod__ = _arithmetic(operator.mod)
    __rmod__ = _arithmetic(operator.mod, reflected=True)

    __eq__ = _comparison(operator.eq)
    __ne__ = _comparison(operator.ne)
    __lt__ = _comparison(operator.lt)
    __le__ = _comparison(operator.le)
    __gt__ = _comparison(operator.gt)
    __ge__ = _comparison(operator.ge)

    def __truediv__(self, other: Any) -> Any:
        raise _no_true_division("Dimension", type(other).__name__)

    def __rtruediv__(self, other: Any) -> Any:
        raise _no_true_division(type(other).__name__, "Dimension")

    __rdiv__ = __rtruediv__

    def __int__(self) -> int:
        return self._value  # type: ignore[return-value]  # int() of an unknown dimension is Python's TypeError

    __index__ = __long__ = __int__

    def is_compatible_with(self, other: Any) -> bool:
        """Whether the two are equal or at least one of them is unknown."""
        value = as_dim(other)
        return self._value is None or value is None or self._value == value

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError unless `is_compatible_with(other)`."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {self} and {other} are not compatible")

    def merge_with(self, other: Any) -> Dimension:
        """What is known of a dimension that is both; ValueError if they are not compatible."""
        self.assert_is_compatible_with(other)
        return Dimension(other if self._value is None else self._value)

    def __str__(self) -> str:
        return "?" if self._value is None else str(self._value)

    def __repr__(self) -> str:
        return f"Dimension({self._value})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Dimension, (self._value,)


def _no_true_division(left: str, right: str) -> TypeError:
    return TypeError(f"unsupported operand type(s) for /: '{left}' and '{right}', please use // instead")


@export("TensorShape")
class TensorShape:
    """The shape of a tensor as far as it is known when the graph is built.

    In 1.x indexing and iterating give `Dimension`s, in 2.x ints and None.

    Args:
      dims: the dimensions, each an integer or None for unknown; None for an unknown rank.

    Raises:
      TypeError: if `dims` is no shape.
      ValueError: if a dimension is negative.

    Example:
      >>> TensorShape([None, 3]).merge_with([2, None]).as_list()
      [2, 3]
    """

    __slots__ = ("_plain",)

    def __init__(self, dims: Any) -> None:
        self._plain = as_plain(dims)

    @property
    def rank(self) -> int | None:
        """The number of dimensions, or None if it is unknown."""
        return None if self._plain is None else len(self._plain)

    ndims = rank

    @property
    def dims(self) -> list[Dimension] | None:
        """The dimensions as a list of `Dimension`, or None if the rank is unknown."""
        return None if self._plain is None else [Dimension(d) for d in self._plain]

    def as_list(self) -> list[int | None]:
        """The dimensions as a list of ints, None for unknown ones; ValueError if the rank is unknown."""
        if self._plain is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self._plain)

    def as_proto(self) -> Any:
        """The shape as a TensorShapeProto."""
        return as_proto(self._plain)

    def num_elements(self) -> int | None:
        """The number of elements, or None unless the shape is fully defined."""
        return num_elements(self._plain)

    def is_fully_defined(self) -> bool:
        """Whether the rank and every dimension are known."""
        return is_fully_defined(self._plain)

    def assert_is_fully_defined(self) -> None:
        """Raises ValueError unless the rank and every dimension are known."""
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether one tensor can have both shapes."""
        return is_compatible(self._plain, as_plain(other))

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError unless `is_compatible_with(other)`."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are incompatible")

    def assert_same_rank(self, other: Any) -> None:
        """Raises ValueError if the ranks are known and differ."""
        plain = as_plain(other)
        if self._plain is not None and plain is not None and len(self._plain) != len(plain):
            raise ValueError(f"Shapes {self} and {format_tuple(plain)} must have the same rank")

    def assert_has_rank(self, rank: int) -> None:
        """Raises ValueError if the rank is known and not `rank`."""
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def with_rank(self, rank: int) -> TensorShape:
        """This shape, with unknown dimensions if the rank was unknown; ValueError if it has another rank."""
        self.assert_has_rank(rank)
        return TensorShape(with_rank(self._plain, rank))

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """This shape; ValueError if its rank is known and less than `rank`."""
        if self._plain is not None and len(self._plain) < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """This shape; ValueError if its rank is known and greater than `rank`."""
        if self._plain is not None and len(self._plain) > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}")
        return self

    def merge_with(self, other: Any) -> TensorShape:
        """What is known of a tensor that has both shapes; ValueError if they contradict each other."""
        plain = as_plain(other)
        if not is_compatible(self._plain, plain):
            raise ValueError(f"Shapes {self} and {format_tuple(plain)} are not compatible")
        return TensorShape(merge(self._plain, plain))

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The most specific shape that allows both: dimensions that differ become unknown."""
        return TensorShape(generalize(self._plain, as_plain(other)))

    def concatenate(self, other: Any) -> TensorShape:
        """This shape's dimensions followed by those of `other`; an unknown rank if either rank is unknown."""
        return TensorShape(concatenate(self._plain, as_plain(other)))

    __concat__ = concatenate
    __add__ = concatenate

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape(concatenate(as_plain(other), self._plain))

    def __len__(self) -> int:
        if self._plain is None:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        return len(self._plain)

    def __bool__(self) -> bool:
        return self._plain is not None

    __nonzero__ = __bool__

    def __iter__(self) -> Iterator[Any]:
        if self._plain is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter(self._plain) if _v2_behavior else map(Dimension, self._plain)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return TensorShape(_slice_of_unknown(key) if self._plain is None else self._plain[key])
        value = None if self._plain is None else self._plain[key]
        return value if _v2_behavior else Dimension(value)

    def __eq__(self, other: object) -> bool:
        try:
            plain = as_plain(other)
        except (TypeError, ValueError):
            return NotImplemented
        # In 1.x an unknown dimension equals nothing, not even another unknown dimension.
        comparable = _v2_behavior or self is other or plain is None or None not in plain
        return comparable and self._plain == plain

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        if equal is NotImplemented:
            return NotImplemented
        if not _v2_behavior and (self._plain is None or as_plain(other) is None):
            raise ValueError("The inequality of unknown TensorShapes is undefined.")
        return not equal

    def __hash__(self) -> int:
        if not _v2_behavior:
            raise TypeError("unhashable type: 'TensorShape'")
        return hash(self._plain)

    def __str__(self) -> str:
        return format_tuple(self._plain)

    def __repr__(self) -> str:
        return f"TensorShape({self.as_list() if _v2_behavior and self else self.dims})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorShape, (self._plain,)


def _slice_of_unknown(key: slice) -> Shape:
    """What `shape[key]` is known to be when the rank of `shape` is not."""
    if key.step is not None:
        raise ValueError("Steps are not yet handled")
    if key.stop is None:
        return None
    start, stop = operator.index(key.start or 0), operator.index(key.stop)
    if start < 0 or stop < 0:
        return None
    return (None,) * max(0, stop - start)


@export("compat.dimension_value", v1=["dimension_value"])
def dimension_value(dimension: Dimension | int | None) -> int | None:
    """The int or None of a dimension, which 1.x gives as a `Dimension` and 2.x as an int or None.

    Example:
      >>> dimension_value(TensorShape([16, None])[0])
      16
    """
    return dimension.value if isinstance(dimension, Dimension) else dimension


@export("compat.dimension_at_index", v1=["dimension_at_index"])
def dimension_at_index(shape: TensorShape, index: int) -> Dimension:
    """The `Dimension` at `index`, in 1.x as in 2.x; an unknown one if the rank is unknown.

    Raises:
      IndexError: if the rank is known and there is no such dimension.
    """
    plain = as_plain(shape)
    return Dimension(None if plain is None else plain[index])


@export(v1=["enable_v2_tensorshape"])
def enable_v2_tensorshape() -> None:
    """Lets shapes behave as in 2.x: indexing gives ints and None, unknown dimensions are equal."""
    global _v2_behavior
    _v2_behavior = True


@export(v1=["disable_v2_tensorshape"])
def disable_v2_tensorshape() -> None:
    """Lets shapes behave as in 1.x: indexing and iterating give `Dimension`s."""
    global _v2_behavior
    _v2_behavior = False
