"""The scope functions that work on the default graph."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from millstream.core import context, tape
from millstream.core import device as devices
from millstream.core.export import export
from millstream.core.graph import get_default_graph, outermost_context
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor


@export(v1=["name_scope", "keras.backend.name_scope"])
class name_scope(AbstractContextManager[str]):  # noqa: N801 - the public name
    """Puts `name` (or `default_name` where it is None) before the names of what is made inside.

    Args:
      name: the scope; one that ends with `/` is re-entered as it is.
      default_name: used where `name` is None.
      values: tensors of the graph to build in; default: the default graph.

    Gives the scope's full name with a final `/`.

    Example:
      >>> with tf.name_scope("layer") as scope:
      ...   tf.constant(1., name="c").name
      'layer/c:0'
    """

    def __init__(self, name: str | None, default_name: str | None = None, values: Sequence[Any] | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"`name` for name_scope must be a string, not {type(name).__name__}: {name!r}.")
        if name is None and default_name is None and values is not None:
            raise ValueError("At least one of name (None) and default_name (None) must be provided.")
        self._name = default_name if name is None else name
        self._values = values

    @property
    def name(self) -> str | None:
        """The name that was asked for."""
        return self._name

    def __enter__(self) -> str:
        if context.executing_eagerly():
            return self._enter_eager()
        graph = graph_of(self._values)
        self._default = graph.as_default()
        self._default.__enter__()
        self._scope = graph.name_scope(self._name)
        try:
            return self._scope.__enter__()
        except BaseException:
            self._default.__exit__(None, None, None)
            raise

    def _enter_eager(self) -> str:
        """Eager names are not made unique: nothing is looked up by them."""
        name, outer = self._name or "", context.current.scope_name
        if name.endswith("/") or not name:
            full = name.rstrip("/")
        else:
            full = f"{outer}/{name}" if outer else name
        self._default = nullcontext()
        self._scope = context.scope(full)
        return self._scope.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._scope.__exit__(None, None, None)
        self._default.__exit__(None, None, None)


@export(v2=["name_scope"])
class name_scope_v2(AbstractContextManager[str]):  # noqa: N801 - the public name
    """Puts `name` before the names of what is made inside; gives the scope's full name with a final `/`.

    Args:
      name: the scope; one that ends with `/` is re-entered as it is.

    Example:
      >>> with tf.name_scope("layer"):
      ...   tf.Variable(1., name="w").name
      'layer/w:0'
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise ValueError("name for name_scope must be a string.")
        self._name = name
        self._entered: list[name_scope] = []

    @property
    def name(self) -> str:
        """The name that was asked for."""
        return self._name

    def __enter__(self) -> str:
        scope = name_scope(self._name)
        entered = scope.__enter__()
        self._entered.append(scope)
        return entered

    def __exit__(self, *error: Any) -> None:
        self._entered.pop().__exit__(None, None, None)


def graph_of(values: Sequence[Any] | None) -> Any:
    """The graph of the first graph element among `values`, or the default graph.

    Raises:
      ValueError: the elements belong to different graphs.
    """
    default = get_default_graph()
    if default.is_body:
        return default
    found = None
    for value in values or ():
        if isinstance(value, (list, tuple)) or getattr(value, "is_eager", False):
            continue
        convert = getattr(value, "_as_graph_element", None)
        element = convert() if convert is not None else None
        if not isinstance(element, (Tensor, Operation)):
            continue
        if found is None:
            found = element
        elif element.graph.root is not found.graph.root:
            raise ValueError(f"{element} must be from the same graph as {found}.")
    return default if found is None else found.graph.root


@export(v1=["device"])
def device(device_name_or_function: Any) -> AbstractContextManager[None]:
    """Asks that the operations made inside run on a device.

    Args:
      device_name_or_function: a name such as `"/cpu:0"` or `"/job:worker/task:1/device:GPU:0"` (merged with outer
        scopes, the inner one wins), a function from operation to name, or None to ignore outer scopes.

    Example:
      >>> with tf.device("/cpu:0"):
      ...   tf.constant(1.).device
      '/device:CPU:0'
    """
    if context.executing_eagerly():
        return _eager_device(device_name_or_function)
    return get_default_graph().device(device_name_or_function)


def _eager_device(name: Any) -> AbstractContextManager[None]:
    if callable(name):
        raise RuntimeError("tf.device does not support functions when eager execution is enabled.")
    if name is not None:
        name = devices.canonical_name(name if isinstance(name, str) else name.to_string())
    return context.device(name)


@export(v2=["device"])
class DeviceContext(AbstractContextManager[None]):
    """Runs the operations made inside on a device.

    Args:
      device_name: a name such as `"/CPU:0"` or `"/job:localhost/task:0/device:GPU:1"` (merged with outer scopes, the
        inner one wins), or None to ignore outer scopes.

    Example:
      >>> with tf.device("/CPU:0"):
      ...   tf.constant(1.).device
      '/job:localhost/replica:0/task:0/device:CPU:0'
    """

    def __init__(self, device_name: Any) -> None:
        if callable(device_name):
            raise RuntimeError("tf.device does not support functions.")
        if device_name is not None:
            name = device_name if isinstance(device_name, str) else device_name.to_string()
            device_name = devices.canonical_name(name)
        self._name = device_name
        self._entered: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        scope = device(self._name)
        scope.__enter__()
        self._entered.append(scope)

    def __exit__(self, *error: Any) -> None:
        self._entered.pop().__exit__(None, None, None)

    def __repr__(self) -> str:
        return f"<DeviceContext {self._name!r}>"


@export(v1=["control_dependencies"])
def control_dependencies(control_inputs: Sequence[Any] | None) -> AbstractContextManager[None]:
    """The operations made inside run after `control_inputs` (operations, tensors or variables).

    `None` puts the blocks around this one out of force. Existing operations are not affected.
    """
    if context.executing_eagerly():
        for item in control_inputs or ():
            if callable(item):
                item()
        return nullcontext()
    return get_default_graph().control_dependencies(control_inputs)


@export(v2=["control_dependencies"])
def control_dependencies_v2(control_inputs: Sequence[Any] | None) -> AbstractContextManager[None]:
    """The operations made inside a function run after `control_inputs` (operations, tensors or variables).

    In eager execution operations run in the order of the program, and this does nothing. `None` puts the blocks around
    this one out of force.
    """
    return control_dependencies(control_inputs)


@export(v1=["colocate_with"])
def colocate_with(op: Any, ignore_existing: bool = False) -> AbstractContextManager[None]:
    """Asks that the operations made inside are placed where `op` is."""
    return get_default_graph().colocate_with(op, ignore_existing)


def beside(value: Any) -> AbstractContextManager[None]:
    """Places what is made inside where a variable or tensor of the graph is; eager ones have no place in a graph."""
    if context.executing_eagerly() or value.is_eager:
        return nullcontext()
    return get_default_graph().colocate_with(value.op)


@export(v1=["container"])
def container(container_name: str) -> AbstractContextManager[str]:
    """Sets the resource container of the stateful operations made inside."""
    return get_default_graph().container(container_name)


@export("init_scope")
@contextmanager
def init_scope() -> Iterator[None]:
    """Lifts what is made inside out of control-dependency blocks, and in functions out of the functions' graphs.

    Tapes do not record it.
    """
    graph = None if context.executing_eagerly() else get_default_graph()
    if graph is not None and not graph.building_function:
        with graph.control_dependencies(None), tape.recorded_by(()):
            yield
        return
    name = context.current.scope_name if graph is None else graph.get_name_scope()
    outer = outermost_context() if graph is not None else None
    with tape.recorded_by(()):
        if outer is not None:
            with outer.as_default(), outer.control_dependencies(None), outer.in_scope(name):
                yield
        else:
            with context.mode(True), context.scope(name):
                yield


@export(v1=["op_scope"])
def op_scope(values: Sequence[Any], name: str | None, default_name: str | None = None) -> name_scope:
    """Old spelling of `tf.name_scope(name, default_name, values)`."""
    return name_scope(name, default_name=default_name, values=values)


@export(v1=["add_to_collection"])
def add_to_collection(name: Any, value: Any) -> None:
    """Appends `value` to the default graph's collection `name`."""
    get_default_graph().add_to_collection(name, value)


@export(v1=["add_to_collections"])
def add_to_collections(names: Any, value: Any) -> None:
    """Appends `value` to several collections of the default graph."""
    get_default_graph().add_to_collections(names, value)


@export(v1=["get_collection"])
def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    """A copy of the default graph's collection `key`, filtered by `scope` (`re.match` on names)."""
    return get_default_graph().get_collection(key, scope)


@export(v1=["get_collection_ref"])
def get_collection_ref(key: Any) -> list[Any]:
    """The default graph's collection `key` itself."""
    return get_default_graph().get_collection_ref(key)
