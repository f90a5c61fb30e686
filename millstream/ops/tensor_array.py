"""`tf.TensorArray`: tensors that a loop writes and reads one by one."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from millstream.core import context, dtypes, errors, shapes, static_values
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.opdef import Shape, find
from millstream.core.scopes import name_scope
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.type_spec import CompositeTensor, TypeSpec
from millstream.ops import list_ops
from millstream.ops.control_flow_ops import no_op
from millstream.ops.identity_ops import identity


class _Known:
    """What is known of the elements of an array, and of all arrays that are made from it."""

    __slots__ = ("count", "graph", "infers", "shape")

    def __init__(self, shape: Shape = None, infers: bool = True, count: int | None = None) -> None:
        self.shape = shape
        self.infers = infers  # whether the shape of the first element is that of all
        self.count = count  # of elements; None where it is not known or may change
        self.graph = None if context.executing_eagerly() else get_default_graph()  # in which the array was made

    def note(self, shape: Shape) -> None:
        """Notes the shape of an element.

        Raises:
          ValueError: the elements have another one.
        """
        if not shapes.is_compatible(shape, self.shape):
            raise ValueError(f"Inconsistent shapes: saw {TensorShape(shape)} but expected {TensorShape(self.shape)} ")
        if self.shape is None and self.infers:
            self.shape = shape


@export("TensorArray")
class TensorArray(CompositeTensor):
    """An array of tensors, written and read at computed places: for use with `tf.while_loop` and `tf.map_fn`.

    In a graph an array never changes: `write`, `unstack`, `scatter` and `split` give the array that is to be used from
    then on. Eagerly they change it, too. Reading an element that was never written gives zeros, if the shape of the
    elements is known. Unlike in TensorFlow 1, elements may be written and read any number of times.

    Where the number of elements is known when a program is compiled, an array is one tensor in it, and writing to it
    in a loop changes that in place.

    Args:
      dtype: the dtype of the elements.
      size: how many elements there are: an int32 scalar.
      dynamic_size: whether writing beyond the end makes the array longer. Default: False. The loop that does so is
        driven from the host unless it only appends and its number of turns is known.
      clear_after_read, tensor_array_name, handle, colocate_with_first_write_call: accepted for compatibility.
      flow: the `flow` of an array of this dtype, in place of `size`: another reference to it.
      infer_shape: whether all elements have the shape of the first one.
      element_shape: what is known of the shape of the elements.
      name: the operation's name.

    Raises:
      ValueError: there is no `size`.

    Example:
      >>> squares = tf.TensorArray(tf.int32, size=3)
      >>> for i in range(3):
      ...     squares = squares.write(i, i * i)
      >>> squares.stack().numpy()
      array([0, 1, 4], dtype=int32)
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        if handle is not None and size is not None:
            raise ValueError("Cannot provide both a handle and size at the same time")
        if flow is None and size is None:
            raise ValueError(
                "Size must be declared for TensorArrays when eager execution is enabled."
                if context.executing_eagerly() else "Size must be provided if handle is not provided"
            )  # fmt: skip
        self._dtype = dtypes.as_dtype(dtype).base_dtype
        self._dynamic_size = bool(dynamic_size)
        self._known = _Known(shapes.as_plain(element_shape), bool(infer_shape))
        if flow is not None:
            self._flow: Tensor = flow
            return
        with name_scope(name, "TensorArray" if _in_graph_of_1() else "TensorArrayV2", [size]) as scope:
            length = to_tensor(size, dtype=dtypes.int32, name="size")
            with _standing_for(1, length):
                self._flow = list_ops.reserved(length, self._dtype, self._known.shape, scope)
        if not self._dynamic_size:
            count = static_values.constant_value(length)
            self._known.count = None if count is None else int(count)

    @classmethod
    def _of(cls, dtype: dtypes.DType, dynamic_size: bool, known: _Known, flow: Tensor) -> TensorArray:
        array = cls.__new__(cls)
        array._dtype, array._dynamic_size, array._known, array._flow = dtype, dynamic_size, known, flow
        return array

    # --- What it is ---------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of the elements."""
        return self._dtype

    @property
    def dynamic_size(self) -> bool:
        """Whether writing beyond the end makes the array longer."""
        return self._dynamic_size

    @property
    def element_shape(self) -> TensorShape:
        """What is known of the shape of the elements."""
        return TensorShape(self._known.shape)

    @property
    def flow(self) -> Tensor:
        """The array as a tensor, a scalar of dtype `variant`."""
        return self._flow

    @property
    def handle(self) -> None:
        """None: an array is a value, not a resource."""
        return None

    @property
    def _type_spec(self) -> TensorArraySpec:
        return TensorArraySpec.from_value(self)

    def size(self, name: str | None = None) -> Tensor:
        """The number of elements, an int32 scalar."""
        self._enter()
        return list_ops.tensor_list_length_op(self._flow, name=name or _name("TensorArraySizeV3"))

    # --- Elements -----------------------------------------------------------------------------------------------------

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """The element at a place.

        Args:
          index: an int32 scalar.
          name: the operation's name.

        Raises:
          InvalidArgumentError: when it runs: there is no such place, or nothing was written there and the shape of the
            elements is not known. (Eagerly a place that is not there is an OutOfRangeError.)
        """
        with name_scope(name, "TensorArrayReadV3" if _in_graph_of_1() else "TensorArrayV2Read", [index]) as scope:
            self._enter()
            place = self._place(index, "read from")
            with _standing_for(1, place):
                return list_ops.get_item(self._flow, place, self._dtype, self._known.shape, scope)

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with another element at a place.

        Args:
          index: an int32 scalar.
          value: the element.
          name: the operation's name.

        Raises:
          ValueError: the element has another shape than the others.
          InvalidArgumentError: when it runs: there is no such place. (Eagerly: OutOfRangeError.)
        """
        with _scope(name, "TensorArrayWrite", [index, value]):
            value = to_tensor(value, dtype=self._dtype, name="value")
            self._known.note(value._shape)
            self._enter()
            place = self._place(index, "write to", grows=self._dynamic_size)
            name = _name("TensorArrayWriteV3")
            flow = list_ops.set_item(self._flow, place, value, grows=self._dynamic_size, name=name)
        return self._changed(flow)

    def _place(self, index: Any, verb: str, grows: bool = False) -> Tensor:
        place = to_tensor(index, dtype=dtypes.int32, name="index")
        if place.is_eager and self._flow.is_eager and place._shape == ():
            number, size = int(place), self._flow._value.size  # type: ignore[attr-defined]
            if number < 0:
                doing = "Reading from" if verb == "read from" else "Writing to"
                raise errors.OutOfRangeError(None, None, f"{doing} negative indices (index {number}) is not allowed.")
            if number >= size and not grows:
                fixed = "" if verb == "read from" else "is not resizeable and "
                message = f"Tried to {verb} index {number} but array {fixed}size is: {size}"
                raise errors.OutOfRangeError(None, None, message)
        return place

    # --- Many elements ------------------------------------------------------------------------------------------------

    def stack(self, name: str | None = None) -> Tensor:
        """All elements, which must be of one shape, as one tensor of shape [size, ...].

        Raises:
          InvalidArgumentError: when it runs: the shapes differ, or nothing was written and the shape of the elements
            is not known.
        """
        self._enter()
        count = None if _in_graph_of_1() else self._known.count
        with _scope(name, "TensorArrayStack", []), _standing_for(5):
            name = _name("TensorArrayGatherV3")
            return list_ops.stacked(self._flow, self._dtype, self._known.shape, count, name)

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """Some elements as one tensor.

        Args:
          indices: an int32 vector.
          name: the operation's name.

        Returns:
          A tensor of shape [len(indices), ...].

        Raises:
          InvalidArgumentError: when it runs: there is no such place, or the shapes of the elements differ.
        """
        with name_scope(name, "TensorArrayGatherV3" if _in_graph_of_1() else "TensorArrayV2Gather", []) as scope:
            self._enter()
            places = to_tensor(indices, dtype=dtypes.int32, name="indices")
            with _standing_for(1, places):
                return list_ops.gathered(self._flow, places, self._dtype, self._known.shape, scope)

    def concat(self, name: str | None = None) -> Tensor:
        """The elements, which may differ in their first dimension, joined along it.

        Raises:
          InvalidArgumentError: when it runs: the elements differ in other dimensions, or are scalars.
        """
        self._enter()
        shape = self._known.shape
        with name_scope(name, "TensorArrayConcatV3" if _in_graph_of_1() else "TensorArrayV2Concat", []) as scope:
            with _standing_for(1):
                rest = (None, *shape[1:]) if shape else None
                return list_ops.concatenated(self._flow, self._dtype, rest, scope)[0]

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array with the rows of a tensor as its first elements.

        Args:
          value: a tensor of shape [n, ...], with at most as many rows as the array has places, unless it may grow.
          name: the operation's name.

        Raises:
          InvalidArgumentError: when it runs: there are too many rows.
        """
        self._enter()
        nodes, entering = (9, [value]) if isinstance(value, Tensor) else (11, [])
        with _scope(name, "TensorArrayUnstack", [value]), _standing_for(nodes, *entering):
            value = to_tensor(value, dtype=self._dtype, name="value")
            if value._shape is not None:
                if not value._shape:
                    raise ValueError("Argument `axis` = 0 not in range [0, 0)")
                self._known.note(value._shape[1:])
            rows, places = value._shape and value._shape[0], self._known.count
            if rows is not None and places is not None and rows > places:
                raise ValueError(f"Cannot unstack {rows} tensors into a TensorArray of static size {places} ")
            if rows is not None and rows == places:
                flow = list_ops.tensor_list_from_tensor_op(value, -1)
            else:
                count = find("Reshape")(find("Slice")(find("Shape")(value), [0], [1]), [])
                flow = list_ops.tensor_list_scatter_into_op(self._flow, value, find("Range")(0, count, 1))
        return self._changed(flow)

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the rows of a tensor as its elements at some places.

        Args:
          indices: an int32 vector.
          value: a tensor of shape [len(indices), ...].
          name: the operation's name.

        Raises:
          InvalidArgumentError: when it runs: there is no such place, or not a row for each.
        """
        self._enter()
        with _scope(name, "TensorArrayScatter", [indices, value]):
            value = to_tensor(value, dtype=self._dtype, name="value")
            if value._shape:
                self._known.note(value._shape[1:])
            places = to_tensor(indices, dtype=dtypes.int32, name="indices")
            name = _name("TensorArrayScatterV3")
            flow = list_ops.tensor_list_scatter_into_op(self._flow, value, places, name=name)
        return self._changed(flow)

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array whose elements are the parts of a tensor.

        Args:
          value: a tensor of shape [n, ...].
          lengths: an int vector: how many rows each element gets; in all n. One for each place of the array, unless it
            may grow.
          name: the operation's name.

        Raises:
          InvalidArgumentError: when it runs: the lengths do not add up to n, or are more or fewer than the places.
        """
        self._enter()
        with _scope(name, "TensorArraySplit", [value, lengths]):
            value = to_tensor(value, dtype=self._dtype, name="value")
            lengths = find("Cast")(to_tensor(lengths, name="Cast/x"), DstT="int64")
            known = static_values.constant_value(lengths)
            if value._shape and known is not None and known.size:
                same = (known == known.flat[0]).all()
                self._known.note((int(known.flat[0]) if same else None, *value._shape[1:]))
            if lengths._shape is not None and len(lengths._shape) != 1:
                raise ValueError(f"Shape must be rank 1 but is rank {len(lengths._shape)}")
            count, places = lengths._shape and lengths._shape[0], self._known.count
            if _in_graph_of_1() and None not in (count, places) and count != places:
                raise ValueError(
                    f"TensorArray's size is not equal to the size of lengths ({places} vs. {count}), and the "
                    "TensorArray is not marked as dynamically resizeable"
                )
            with _standing_for(1, value, lengths):
                return self._changed(list_ops.tensor_list_split_op(value, -1, lengths))

    # --- The array ----------------------------------------------------------------------------------------------------

    def identity(self) -> TensorArray:
        """The same array, which waits for the control dependencies in force."""
        return self._with_flow(identity(self._flow))

    def grad(self, source: str, flow: Any = None, name: str | None = None) -> Any:
        """Gradients flow through arrays by themselves; there is no array of them to ask for."""
        raise NotImplementedError(
            "TensorArray.grad is not supported: gradients of operations that use TensorArrays do not need it."
        )

    def close(self, name: str | None = None) -> Any:
        """Does nothing: an array needs no closing."""
        return None if context.executing_eagerly() else no_op(name=name)

    def mark_used(self) -> None:
        """Does nothing, for compatibility."""

    def _enter(self) -> None:
        """Brings the array into the branch or loop that uses it; TensorFlow 1 brings its handle, too."""
        if _in_graph_of_1():
            graph = get_default_graph()
            graph.capture(self._flow)
            graph.count_entry(self._known, self._known.graph)  # type: ignore[arg-type]

    def _changed(self, flow: Tensor) -> TensorArray:
        if not flow.is_eager:
            return self._with_flow(flow)
        self._flow = flow
        return self

    def _with_flow(self, flow: Tensor) -> TensorArray:
        return self._of(self._dtype, self._dynamic_size, self._known, flow)


@export("TensorArraySpec")
class TensorArraySpec(TypeSpec):
    """What is known of a `tf.TensorArray`.

    Args:
      element_shape: what is known of the shape of its elements.
      dtype: their dtype.
      dynamic_size: whether it may grow.
      infer_shape: whether its elements are all of the shape of the first one.

    Example:
      >>> tf.TensorArraySpec([2], tf.int32)
      TensorArraySpec(TensorShape([2]), tf.int32, False, True)
    """

    def __init__(
        self,
        element_shape: Any = None,
        dtype: Any = dtypes.float32,
        dynamic_size: bool = False,
        infer_shape: bool = True,
    ) -> None:
        self._element_shape = shapes.as_plain(element_shape)
        self._dtype = dtypes.as_dtype(dtype)
        self._dynamic_size = bool(dynamic_size)
        self._infer_shape = bool(infer_shape)
        self._known: _Known | None = None  # of the array that the spec was made from

    @classmethod
    def from_value(cls, value: TensorArray) -> TensorArraySpec:
        """The spec of an array.

        Raises:
          TypeError: it is none.
        """
        if not isinstance(value, TensorArray):
            raise TypeError(f"Expected value to be a TensorArray, but got: {type(value)}.")
        spec = cls(value._known.shape, value._dtype, value._dynamic_size, value._known.infers)
        spec._known = value._known
        return spec

    @property
    def value_type(self) -> type:
        """`tf.TensorArray`."""
        return TensorArray

    def _serialize(self) -> tuple[Any, ...]:
        return TensorShape(self._element_shape), self._dtype, self._dynamic_size, self._infer_shape

    @property
    def _component_specs(self) -> Any:
        return [TensorSpec([], dtypes.variant)]

    def _to_components(self, value: Any) -> Any:
        return [value.flow]

    def _from_components(self, components: Any) -> Any:
        known = self._known or _Known(self._element_shape, self._infer_shape)
        return TensorArray._of(self._dtype, self._dynamic_size, known, components[0])


# --- As TensorFlow 1 names and counts operations ----------------------------------------------------------------------


def _in_graph_of_1() -> bool:
    return not context.executing_eagerly() and not get_default_graph().building_function


def _name(name: str) -> str | None:
    return name if _in_graph_of_1() else None


@contextmanager
def _scope(name: str | None, default: str, values: Any) -> Iterator[None]:
    with name_scope(name, default if _in_graph_of_1() else default.replace("Array", "ArrayV2"), values):
        yield


@contextmanager
def _standing_for(count: int, *entering: Tensor) -> Iterator[None]:
    """What is made inside stands for `count` operations of TensorFlow 1, besides those that bring in `entering`."""
    if not _in_graph_of_1():
        yield
        return
    graph = get_default_graph()
    for tensor in entering:
        graph.capture(tensor)
    with graph.numbering.stands_for(count):
        yield
