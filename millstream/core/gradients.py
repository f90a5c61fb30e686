"""Reverse-mode differentiation.

`gradients` walks the graph from `ys` back to `xs`. Each operation's gradient function, which stands with its
definition, builds the operations that compute the gradients of its inputs; so gradients can be differentiated again.
"""
from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from millstream.core import context, opdef, static_values
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import as_dtype, resource
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.operation import Operation
from millstream.core.partitioned_variable import PartitionedVariable
from millstream.core.scopes import name_scope
from millstream.core.tape import carries_gradient, is_differentiable
from millstream.core.tensor import Tensor

Gradient = Tensor | IndexedSlices | None


@export("UnconnectedGradients")
class UnconnectedGradients(enum.Enum):
    """What the gradient is where `ys` do not depend on an `x`: None, or zeros."""

    NONE = "none"
    ZERO = "zero"


def unconnected_from(value: Any) -> UnconnectedGradients:
    """What a user's `unconnected_gradients` says.

    Raises:
      ValueError: it is not one of the known values.
    """
    try:
        return UnconnectedGradients(value)
    except ValueError:
        raise ValueError(f"Unknown value for unconnected_gradients: {value!r}") from None


@export(v1=["AggregationMethod"], v2=["AggregationMethod"])
class AggregationMethod:
    """How the gradients of a tensor that is used several times are added; all ways give the same sum."""

    ADD_N = 0
    DEFAULT = 0
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


# --- Registered gradients -------------------------------------------------------------------------------------------

_registered: dict[str, Callable[..., Any] | None] = {}


@export("RegisterGradient")
class RegisterGradient:
    """Registers a gradient function under a name, for `Graph.gradient_override_map` or an operation without one.

    Raises:
      TypeError: the name is no string.
      KeyError: the name is taken.

    Example:
      >>> @tf.RegisterGradient("GuidedRelu")
      ... def _guided_relu_grad(op, grad):
      ...   return tf.where(grad > 0., tf.nn.relu(op.outputs[0]), tf.zeros_like(grad))
    """

    def __init__(self, op_type: str) -> None:
        if not isinstance(op_type, str):
            raise TypeError("op_type must be a string")
        self._op_type = op_type

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        _register(self._op_type, function)
        return function


def _register(op_type: str, function: Callable[..., Any] | None) -> None:
    definition = opdef.REGISTRY.get(op_type)
    known = definition is not None and (definition.gradient_function or definition.gradient_reason)
    if op_type in _registered or known:
        raise KeyError(f"Registering two gradient with name '{op_type}'! (Previous registration was in _register)")
    _registered[op_type] = function


@export("no_gradient", v1=["NoGradient", "NotDifferentiable"])
def no_gradient(op_type: str) -> None:
    """Says that operations of type `op_type` are not differentiable: their inputs get no gradient.

    Raises:
      TypeError: the name is no string.
    """
    if not isinstance(op_type, str):
        raise TypeError("op_type must be a string")
    _register(op_type, None)


def gradient_function(op: Operation) -> Callable[..., Any] | None:
    """The gradient function of an operation; None where it is not differentiable.

    Raises:
      LookupError: nothing is registered.
    """
    own = getattr(op, "own_gradient", None)
    if own is not None:
        return own
    override = op.attrs.get("_gradient_op_type")
    if override is not None:
        return _lookup(override.decode(), op)
    definition = op.definition
    if definition.gradient_function is not None:
        return definition.gradient_function
    if definition.gradient_reason is not None:
        return None
    return _lookup(definition.name, op)


def _lookup(name: str, op: Operation) -> Callable[..., Any] | None:
    if name in _registered:
        return _registered[name]
    definition = opdef.REGISTRY.get(name)
    if definition is not None and (definition.gradient_function or definition.gradient_reason):
        return definition.gradient_function
    where = f" Defined at: {op.defined_at}." if op.defined_at else ""
    raise LookupError(f"No gradient defined for operation '{op.name}' (op type: {name}).{where}")


# --- 2.x --------------------------------------------------------------------------------------------------------------


@export(v2=["gradients"])
def gradients_v2(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
    stop_gradients: Any = None,
    unconnected_gradients: UnconnectedGradients = UnconnectedGradients.NONE,
) -> list[Any]:
    """Builds the derivatives of the sum of `ys` with respect to each `x` in `xs`, within a graph or a `tf.function`.

    Args:
      ys, xs, grad_ys, name, gate_gradients, aggregation_method, stop_gradients, unconnected_gradients: as for
        `tf.compat.v1.gradients`.

    Raises:
      RuntimeError: operations run at once: use `tf.GradientTape`.
    """
    _refuse_eager("gradients")
    options = gate_gradients, aggregation_method, stop_gradients, unconnected_gradients
    return gradients(ys, xs, grad_ys, name, True, *options)


@export(v2=["hessians"])
def hessians_v2(
    ys: Any,
    xs: Any,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
    name: str = "hessians",
) -> list[Tensor]:
    """Builds the second derivatives of the sum of `ys` with respect to each `x`, within a graph or a `tf.function`.

    Args:
      ys: a tensor or a list of tensors.
      xs: a tensor or a list of tensors whose static shapes are known.
      gate_gradients, aggregation_method: as for `tf.gradients`.
      name: the name scope.

    Returns:
      For each `x` a tensor of shape `x.shape + x.shape`.

    Raises:
      RuntimeError: operations run at once: use `tf.GradientTape`.
    """
    _refuse_eager("hessians")
    return hessians(ys, xs, name, True, gate_gradients, aggregation_method)


def _refuse_eager(name: str) -> None:
    if context.executing_eagerly():
        raise RuntimeError(f"tf.{name} is not supported when eager execution is enabled. Use tf.GradientTape instead.")


# --- The walk ------------------------------------------------------------------------------------------------------


@export(v1=["gradients"])
def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
    stop_gradients: Any = None,
    unconnected_gradients: UnconnectedGradients = UnconnectedGradients.NONE,
) -> list[Any]:
    """Builds the derivatives of the sum of `ys` with respect to each `x` in `xs`.

    Args:
      ys: a tensor or a list of tensors, floating or complex.
      xs: a tensor or variable, or a list of them.
      grad_ys: gradients that flow into `ys`, of the same shapes; default: ones.
      name: the name scope of what is built.
      colocate_gradients_with_ops: places gradients beside the operations that they belong to.
      gate_gradients: all gradients of an operation are computed before any of them is used.
      aggregation_method: accepted for compatibility: XLA fuses the sums.
      stop_gradients: tensors that are held constant.
      unconnected_gradients: `NONE` or `ZERO`: what stands for the gradient of an unconnected `x`.

    Returns:
      One tensor, `IndexedSlices` or None for each `x`.

    Raises:
      LookupError: an operation on the way has no gradient.
      ValueError: the lists do not match.
      TypeError: a gradient's dtype does not suit.

    Example:
      >>> x = tf.constant(3.)
      >>> tf.gradients(x * x, x)      # [6.]
    """
    ys, xs = _as_list(ys), _as_list(xs)
    stopped = [] if stop_gradients is None else _as_list(stop_gradients)
    given = [None] * len(ys) if grad_ys is None else _as_list(grad_ys)
    unconnected = unconnected_from(unconnected_gradients)
    with name_scope(name, "gradients", [*ys, *xs, *stopped, *given]) as scope:
        targets = [_source(_joined(y), f"y_{index}") for index, y in enumerate(ys)]
        sources = [_source(x, f"x_{index}") for index, x in enumerate(xs)]
        constants = [_source(item, "stop_gradient") for item in stopped]
        walk = _Walk(scope, colocate_gradients_with_ops, gate_gradients, _inputs)
        walk.start(targets, _initial_gradients(targets, given))
        walk.run(sources, constants)
        found = [walk.gradient_of(source) for source in sources]
        if unconnected is UnconnectedGradients.ZERO:
            zeros_like = opdef.find("ZerosLike")
            found = [zeros_like(x) if g is None else g for g, x in zip(found, sources, strict=True)]
        return found


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _joined(value: Any) -> Any:
    """A variable in parts as a tensor, which can be differentiated but not be differentiated by."""
    return value.as_tensor() if isinstance(value, PartitionedVariable) else value


def _source(value: Any, name: str) -> Tensor:
    """The tensor to differentiate (with respect to): a variable's reference or handle, not a copy of its value."""
    if isinstance(value, IndexedSlices):
        return value.values
    handle = getattr(value, "handle", None)
    if isinstance(handle, Tensor):
        return get_default_graph().capture(handle) if handle.is_eager else handle
    tensor = to_tensor(value, name=name, as_ref=True)
    while (outer := tensor.op.graph.came_from(tensor.op)) is not None:  # the same tensor, in a branch or a loop's body
        tensor = outer
    return tensor


def _initial_gradients(ys: list[Tensor], given: list[Any]) -> list[Gradient]:
    """The gradients that flow into `ys`: those given, or ones.

    Raises:
      ValueError: not as many as `ys`.
      TypeError: dtypes that cannot be gradients.
    """
    if len(given) != len(ys):
        raise ValueError(f"Passed {len(given)} grad_ys for {len(ys)} ys")
    found: list[Gradient] = []
    for index, (y, grad) in enumerate(zip(ys, given, strict=True)):
        if grad is None:
            if y.dtype.base_dtype.is_complex:
                raise TypeError(f"Gradients of complex tensors must set grad_ys (y.dtype = {y.dtype!r})")
            found.append(_ones_like(y, f"grad_ys_{index}"))
            continue
        if not isinstance(grad, IndexedSlices):
            wanted_dtype = None if isinstance(grad, Tensor) else y.dtype.base_dtype
            grad = to_tensor(grad, dtype=wanted_dtype, name=f"grad_ys_{index}")
        base, wanted = grad.dtype.base_dtype, y.dtype.base_dtype
        if wanted.is_floating != base.is_floating or wanted.is_complex != base.is_complex:
            raise TypeError(
                f"Gradient type {base.name} generated for tensor {y} with type {wanted.name} must be of the same kind"
            )
        if isinstance(grad, Tensor) and not grad.get_shape().is_compatible_with(y.get_shape()):
            raise ValueError(
                f"Incompatible shapes between op input and calculated input gradient. Forward: {y.name} "
                f"{y.get_shape()}, gradient: {grad.get_shape()}"
            )
        found.append(grad)
    return found


def _ones_like(y: Tensor, name: str) -> Tensor:
    dims = y._shape
    if dims is None or None in dims:
        shape = opdef.find("Shape")(y, name="Shape")
    else:
        shape = to_tensor(list(dims), dtype="int32", name="Shape")
    one = to_tensor(1, dtype=y.dtype.base_dtype, name=name)
    return opdef.find("Fill")(shape, one, name="Fill")


_Inputs = Callable[[Operation], Sequence[Tensor]]


def _direct_inputs(op: Operation) -> Sequence[Tensor]:
    """The inputs of an operation of a function, whose own inputs come from nowhere."""
    return op.inputs


def _inputs(op: Operation) -> Sequence[Tensor]:
    """What an operation depends on, within branches and loops' bodies of 1.x the tensors outside too."""
    if op.inputs:
        return op.inputs
    outer = op.graph.came_from(op)
    return () if outer is None else (outer,)


class _Walk:
    """The state of one backward walk: the gradients that have arrived at each tensor so far."""

    def __init__(self, scope: str, colocate: bool, gate: bool, inputs: _Inputs) -> None:
        self._scope = scope
        self._inputs = inputs
        self._colocate = colocate
        self._gate = gate
        self._arrived: dict[Tensor, list[Gradient]] = {}
        self._targets: list[Tensor] = []

    def start(self, targets: list[Tensor], grads: list[Gradient]) -> None:
        """Puts the gradients that flow into the targets in place."""
        self._targets = targets
        for tensor, grad in zip(targets, grads, strict=True):
            self._arrived.setdefault(tensor, []).append(grad)

    def run(self, sources: list[Tensor], constants: list[Tensor]) -> None:
        """Walks back from the targets until the sources have their gradients."""
        between = self._between(sources)
        waiting = self._count_consumers(between)
        # A target that other targets depend on has to wait for what flows in through them.
        ready = deque(dict.fromkeys(t.op for t in self._targets if t.op in between and not waiting.get(t.op)))
        constant_ops = {tensor.op for tensor in constants}
        done: set[Operation] = set()
        while ready:
            op = ready.popleft()
            if op in done:
                continue
            done.add(op)
            if op not in constant_ops and any(tensor.op in between for tensor in self._inputs(op)):
                self._step(op, between)
            for maker in self._makers(op):
                if maker in waiting:
                    waiting[maker] -= 1
                    if waiting[maker] == 0:
                        ready.append(maker)

    def gradient_of(self, tensor: Tensor) -> Gradient:
        """The sum of what has arrived at a tensor."""
        arrived = [grad for grad in self._arrived.get(tensor, ()) if grad is not None]
        if not arrived:
            return None
        if len(arrived) > 1:
            arrived = [aggregate(arrived)]
            self._arrived[tensor] = [*arrived]
        return arrived[0]

    def _step(self, op: Operation, between: set[Operation]) -> None:
        """Sends the gradients of an operation's outputs on to its inputs."""
        grads = [self.gradient_of(tensor) for tensor in op.outputs]
        if all(grad is None for grad in grads):
            return
        if not op.inputs:  # what stands for a tensor outside
            self._arrived.setdefault(self._inputs(op)[0], []).extend(grads)
            return
        function = gradient_function(op)
        if function is None:
            return
        default = get_default_graph()
        graph = default if default.is_body else op.graph  # a body is differentiated in a graph of its own
        first = len(graph._operations)
        with graph.name_scope(f"{self._scope}{op.name}_grad/"), self._place(graph, op):
            result = function(op, *_fill(op, grads))
            inner = _checked(op, result)
            if self._gate and sum(isinstance(item, Tensor) for item in inner) > 1:
                inner = _gated(inner)
        for made in graph._operations[first:]:
            made._original_op = op
        for tensor, grad in zip(op.inputs, inner, strict=True):
            if grad is not None:
                self._arrived.setdefault(tensor, []).append(grad)

    # --- Which operations count ---------------------------------------------------------------------------------

    def _between(self, sources: list[Tensor]) -> set[Operation]:
        """The operations that lie on a path of differentiable tensors from a source to a target."""
        users: dict[Operation, list[Operation]] = {}
        stack = [tensor.op for tensor in self._targets]
        seen = set(stack)
        while stack:
            op = stack.pop()
            for maker in self._makers(op):
                users.setdefault(maker, []).append(op)
                if maker not in seen:
                    seen.add(maker)
                    stack.append(maker)
        reached: set[Operation] = set()
        stack = [tensor.op for tensor in sources if tensor.op in seen]
        while stack:
            op = stack.pop()
            if op not in reached:
                reached.add(op)
                stack.extend(users.get(op, ()))
        return reached

    def _makers(self, op: Operation) -> dict[Operation, None]:
        """The operations that give the inputs through which a gradient can flow."""
        return {tensor.op: None for tensor in self._inputs(op) if carries_gradient(tensor)}

    def _count_consumers(self, between: set[Operation]) -> dict[Operation, int]:
        """How many operations between sources and targets use each operation's outputs."""
        waiting = dict.fromkeys(between, 0)
        for op in between:
            for maker in self._makers(op):
                if maker in between:
                    waiting[maker] += 1
        return waiting

    @contextmanager
    def _place(self, graph: Graph, op: Operation) -> Iterator[None]:
        if not self._colocate:
            yield
            return
        with graph.colocate_with(op):
            yield


def _fill(op: Any, grads: Sequence[Gradient]) -> list[Gradient]:
    """Zeros for outputs that nothing depends on, where there could be a gradient; calls of functions see None."""
    if op.definition.calls_function:
        return list(grads)
    zeros_like = opdef.find("ZerosLike")
    return [
        zeros_like(tensor) if grad is None and is_differentiable(tensor) else grad
        for tensor, grad in zip(op.outputs, grads, strict=True)
    ]


def input_gradients(op: Any, grads: Sequence[Gradient], wanted: frozenset[int]) -> list[tuple[int, Any]]:
    """The gradients of an operation's inputs, given those of its outputs: (index, gradient) of those that are wanted.

    Raises:
      LookupError: the operation has no gradient.
    """
    function = gradient_function(op)
    if function is None:
        return []
    with _tape_scope(op):
        filled = _fill(op, grads)
        op.wanted = wanted
        try:
            found = _checked(op, function(op, *filled))
        finally:
            del op.wanted
    return [(index, found[index]) for index in sorted(wanted) if found[index] is not None]


def _tape_scope(op: Any) -> AbstractContextManager[Any]:
    """Where the names of gradients stand that a tape builds: beside those of the operations, under `gradient_tape`."""
    if context.executing_eagerly():
        return nullcontext()
    return name_scope(f"gradient_tape/{op.name.rpartition('/')[0]}".rstrip("/") + "/")


def is_wanted(op: Any, index: int) -> bool:
    """Whether the gradient of an input is of use: a gradient function may give None for one that is not.

    Programs that are compiled drop what nobody uses; operations that run at once do not, so costly ones ask.
    """
    wanted = getattr(op, "wanted", None)
    return wanted is None or index in wanted


def _checked(op: Operation, result: Any) -> list[Gradient]:
    """The gradients that a gradient function gave, one an input.

    Raises:
      ValueError: too few or too many, or of a shape that the input cannot have.
    """
    grads = list(result) if isinstance(result, (list, tuple)) else [result]
    if len(grads) != len(op.inputs):
        raise ValueError(
            f"Num gradients {len(grads)} generated for op {op.name} (op type: {op.type}) do not match num inputs "
            f"{len(op.inputs)}"
        )
    for index, (tensor, grad) in enumerate(zip(op.inputs, grads, strict=True)):
        if not isinstance(grad, Tensor) or grad._shape == tensor._shape:
            continue
        if tensor._shape is not None and tensor.dtype is not resource:
            try:
                grad.set_shape(tensor._shape)
            except ValueError:
                raise ValueError(
                    "Incompatible shapes between op input and calculated input gradient. "
                    f"Forward operation: {op.name}. Input index: {index}. "
                    f"Original input shape: {tensor._shape}. Calculated input gradient shape: {grad._shape}"
                ) from None
    return grads


def _gated(grads: list[Gradient]) -> list[Gradient]:
    from_list = [grad for grad in grads if isinstance(grad, Tensor)]
    graph = from_list[0].graph
    with graph.control_dependencies(from_list):
        identity = opdef.find("Identity")
        return [identity(grad) if isinstance(grad, Tensor) else grad for grad in grads]


def gradients_of_function(targets: list[Tensor], sources: list[Tensor], grads: list[Tensor]) -> list[Gradient]:
    """The gradients of some tensors of a function's body, built in the default graph.

    Args:
      targets: tensors of the body.
      sources: the body's inputs.
      grads: the gradients that flow into the targets, tensors of the default graph.
    """
    walk = _Walk("", False, False, _direct_inputs)
    walk.start(targets, list(grads))
    walk.run(sources, [])
    return [walk.gradient_of(source) for source in sources]


def components(grad: Tensor | IndexedSlices) -> list[Tensor]:
    """The tensors that a gradient consists of."""
    if isinstance(grad, IndexedSlices):
        return [item for item in (grad.values, grad.indices, grad.dense_shape) if item is not None]
    return [grad]


def from_components(like: Tensor | IndexedSlices, flat: Iterator[Tensor]) -> Tensor | IndexedSlices:
    """A gradient of the same kind as `like`, of the next tensors of `flat`."""
    if isinstance(like, IndexedSlices):
        return IndexedSlices(next(flat), next(flat), None if like.dense_shape is None else next(flat))
    return next(flat)


def dense(grad: Tensor | IndexedSlices) -> Tensor:
    """A gradient as one tensor."""
    if not isinstance(grad, IndexedSlices):
        return grad
    if grad.dense_shape is None:
        return to_tensor(grad)  # raises
    return opdef.find("UnsortedSegmentSum")(grad.values, grad.indices, _element(grad.dense_shape, 0))


def aggregate(grads: Sequence[Tensor | IndexedSlices]) -> Tensor | IndexedSlices:
    """The sum of several gradients of one tensor; rows stay rows where all of them are `IndexedSlices`."""
    if len(grads) == 1:
        return grads[0]
    if all(isinstance(grad, IndexedSlices) for grad in grads):
        return _concatenate([grad for grad in grads if isinstance(grad, IndexedSlices)])
    dense = [to_tensor(grad) if isinstance(grad, IndexedSlices) else grad for grad in grads]
    return opdef.find("AddN")(dense, name="AddN")


def _concatenate(slices: list[IndexedSlices]) -> IndexedSlices:
    concat, cast = opdef.find("ConcatV2"), opdef.find("Cast")
    indices = [item.indices for item in slices]
    if len({index.dtype.base_dtype for index in indices}) > 1:
        indices = [cast(index, DstT=as_dtype("int64")) for index in indices]
    shape = next((item.dense_shape for item in slices if item.dense_shape is not None), None)
    return IndexedSlices(concat([item.values for item in slices], 0), concat(indices, 0), shape)


# --- Derivatives of derivatives --------------------------------------------------------------------------------------


@export(v1=["hessians"])
def hessians(
    ys: Any,
    xs: Any,
    name: str = "hessians",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
) -> list[Tensor]:
    """Builds the second derivatives of the sum of `ys` with respect to each `x`.

    Args:
      ys: a tensor or a list of tensors.
      xs: a tensor or a list of tensors whose static shapes are known.
      name: the name scope.
      colocate_gradients_with_ops, gate_gradients, aggregation_method: as for `tf.gradients`.

    Returns:
      For each `x` a tensor of shape `x.shape + x.shape`.

    Raises:
      ValueError: an `x` without a fully known shape, or on which `ys` do not depend.
    """
    options: dict[str, Any] = {
        "colocate_gradients_with_ops": colocate_gradients_with_ops,
        "gate_gradients": gate_gradients,
        "aggregation_method": aggregation_method,
    }
    reshape, pack = opdef.find("Reshape"), opdef.find("Pack")
    sources = _as_list(xs)
    found = []
    with name_scope(name, None, [*_as_list(ys), *sources]):
        for x, first in zip(sources, gradients(ys, sources, **options), strict=True):
            dims = to_tensor(x)._shape
            if dims is None or None in dims or first is None:
                raise ValueError(f"The Hessian with respect to {x} needs a fully known shape and a gradient.")
            size = static_values.constant_value(opdef.find("Size")(to_tensor(x)))
            flat = reshape(first, [-1])
            zeros = opdef.find("ZerosLike")
            rows = [gradients(_element(flat, index), x, **options)[0] for index in range(int(size))]  # type: ignore[arg-type]
            stacked = pack([zeros(to_tensor(x)) if row is None else row for row in rows])
            found.append(reshape(stacked, [*dims, *dims]))
    return found


def _element(flat: Tensor, index: int) -> Tensor:
    """`flat[index]`."""
    return opdef.find("StridedSlice")(flat, [index], [index + 1], [1], shrink_axis_mask=1)
