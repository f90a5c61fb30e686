"""`Operation`: a node of a graph."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from millstream.core import traceback
from millstream.core.export import export
from millstream.core.opdef import OpDef

if TYPE_CHECKING:
    from millstream.core.graph import Graph
    from millstream.core.tensor import Tensor


@export("Operation")
class Operation:
    """A node of a graph: takes zero or more tensors and gives zero or more tensors.

    Operations are made by calling functions such as `tf.matmul`. Attributes that users know: `name`, `type`,
    `inputs`, `outputs`, `control_inputs`, `device`, `graph`, `node_def`, `op_def`, `traceback`.
    """

    __slots__ = (
        "graph", "definition", "name", "inputs", "outputs", "_control_inputs", "attrs", "device", "_frames", "_id",
        "_colocation", "_original_op", "__dict__", "__weakref__",
    )  # fmt: skip

    def __init__(
        self,
        graph: Graph,
        definition: OpDef,
        name: str,
        inputs: tuple[Tensor, ...],
        attrs: dict[str, Any],
        control_inputs: Sequence[Operation] = (),
        frames: traceback.Positions | None = None,
    ) -> None:
        self.graph = graph
        self.definition = definition
        self.name = name
        self.inputs = inputs
        self.outputs: list[Tensor] = []
        self._control_inputs = control_inputs
        self.attrs = attrs
        self.device = ""
        self._frames = traceback.capture() if frames is None else frames
        self._id = 0
        self._colocation: tuple[str, ...] = ()
        self._original_op: Operation | None = None

    @property
    def type(self) -> str:
        """The operation's type, for example `"MatMul"`."""
        return self.definition.name

    @property
    def control_inputs(self) -> list[Operation]:
        """The operations that must have run before this one, apart from those that give its inputs."""
        return list(self._control_inputs)

    @property
    def traceback(self) -> list[tuple[str, int, str, str]]:
        """Where it was made: (file, line, function, source text) of each frame, outermost first."""
        return traceback.as_list(self._frames)

    @property
    def traceback_with_start_lines(self) -> list[tuple[str, int, str, str, int]]:
        """Like `traceback`, with the first line of each function as a fifth element."""
        starts = [code.co_firstlineno for code, _ in reversed(traceback.frames(self._frames))]
        return [(*entry, start) for entry, start in zip(self.traceback, starts, strict=True)]

    @property
    def defined_at(self) -> str:
        """`train.py:46, in build_model`: the user's line that made this operation."""
        return traceback.describe(self._frames)

    @property
    def from_file(self) -> bool:
        """Whether it came with a graph from a file that is not trusted (`core/file_operations.py`)."""
        return type(self._frames) is traceback.ImportPositions

    @property
    def node_def(self) -> Any:
        """This node as a `NodeDef` protocol buffer."""
        from millstream.core import graph_io

        return graph_io.node_def(self)

    @property
    def op_def(self) -> Any:
        """The signature of this operation's type as an `OpDef` protocol buffer."""
        from millstream.core import graph_io

        return graph_io.op_def(self.definition)

    def get_attr(self, name: str) -> Any:
        """The value of attribute `name`: int, float, bool, bytes, DType, TensorShapeProto, TensorProto or a list.

        Raises:
          ValueError: the operation has no such attribute.
        """
        from millstream.core import graph_io

        if name not in self.attrs and not (name == "_class" and self._colocation):
            raise ValueError(f"Operation '{self.name}' has no attr named '{name}'.")
        return graph_io.user_attr(self, name)

    def values(self) -> tuple[Tensor, ...]:
        """The outputs, as a tuple."""
        return tuple(self.outputs)

    def colocation_groups(self) -> list[bytes]:
        """The names, as `b"loc:@op"`, of the operations that this one is placed beside."""
        return [name.encode() for name in self._colocation] or [f"loc:@{self.name}".encode()]

    def run(self, feed_dict: dict[Any, Any] | None = None, session: Any = None) -> None:
        """Runs this operation in `session` or in the default session.

        Raises:
          ValueError: there is no default session, or it runs another graph.
        """
        from millstream.core import session_stack

        session_stack.session_for(self.graph, session, "execute operation", "run").run(self, feed_dict)

    def _set_device(self, device: str) -> None:
        """Asks for a device, in place of what the device scopes said."""
        from millstream.core.device import canonical_name

        self.device = canonical_name(device)

    def _set_attr(self, name: str, value: Any) -> None:
        """Sets an attribute, given as an `AttrValue` protocol buffer or as a plain value."""
        from millstream.core import graph_io

        self.attrs = {**self.attrs, name: graph_io.plain_attr(value)}
        self.graph.structure_changed()

    def _extend(self, inputs: Sequence[Tensor] = (), **attrs: Any) -> None:
        """Sets attributes that give the operation more outputs, after those that it has; adds inputs too."""
        from millstream.core import dispatch, tape
        from millstream.core.tensor import Tensor

        for tensor in inputs:
            tensor._consumers.append(self)
        self.inputs = (*self.inputs, *inputs)
        before = len(self.outputs)
        self.attrs = {**self.attrs, **dispatch.with_output_types(self.definition, attrs)}
        dtypes = dispatch.output_dtypes(self.definition, self.attrs)
        shapes = dispatch.infer_shapes(self, len(dtypes))
        for index in range(len(self.outputs), len(dtypes)):
            self.outputs.append(Tensor(self, index, dtypes[index], shapes[index]))
        self.graph.structure_changed()
        tape.has_grown(self, self.outputs[before:])

    def copied(
        self,
        graph: Graph,
        name: str,
        inputs: Sequence[Tensor],
        control_inputs: Sequence[Operation],
        outputs: Sequence[Tensor] | None = None,
    ) -> Operation:
        """The same operation in another graph, on other inputs; it gives what `outputs` give, by default all."""
        new = Operation.__new__(Operation)
        new.graph = graph
        new.definition = self.definition
        new.name = name
        new.inputs = tuple(inputs)
        new._control_inputs = tuple(control_inputs)
        new.attrs = self.attrs
        new.device = self.device
        new._frames = self._frames
        new._colocation = ()
        new._original_op = None
        new.outputs = []
        outputs = self.outputs if outputs is None else outputs
        graph.adopt(new, [tensor.dtype for tensor in outputs], [tensor._shape for tensor in outputs])
        return new

    def _add_control_inputs(self, operations: Sequence[Operation]) -> None:
        """Adds control inputs after the fact."""
        from millstream.core.graph import as_operation

        new = [as_operation(item) for item in operations]
        self._control_inputs = (*self._control_inputs, *(op for op in new if op not in self._control_inputs))
        self.graph.structure_changed()

    def _add_control_input(self, operation: Operation) -> None:
        self._add_control_inputs([operation])

    def _update_input(self, index: int, tensor: Tensor) -> None:
        """Replaces an input after the fact (graph editing).

        Raises:
          ValueError: the new tensor is of another graph.
          TypeError: its dtype differs.
        """
        old = self.inputs[index]
        if tensor.graph is not self.graph:
            raise ValueError(f"{tensor!r} must be from the same graph as {old!r}.")
        if tensor.dtype.base_dtype is not old.dtype.base_dtype:
            raise TypeError(f"Input {index} of '{self.name}' has dtype {old.dtype.name}, not {tensor.dtype.name}.")
        self.inputs = (*self.inputs[:index], tensor, *self.inputs[index + 1 :])
        old._consumers.remove(self)
        tensor._consumers.append(self)
        self.graph.structure_changed()

    def _as_graph_element(self) -> Operation:
        return self

    def __str__(self) -> str:
        return str(self.node_def)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"
