"""`tf.while_loop`: a Python function that is repeated while a condition holds."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from millstream.core import context, nest, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.opdef import Shape, find
from millstream.core.scopes import name_scope
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.variable_handle import handle_data
from millstream.ops.functional_ops import stateless_while_op, while_op
from millstream.ops.identity_ops import identity
from millstream.ops.loop_reads import read_each_turn
from millstream.ops.traced_functions import TracedFunction, all_captures, require_bool_scalar, require_callable


@export(v2=["while_loop"])
def while_loop_v2(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: str | None = None,
) -> Any:
    """Repeats `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` holds.

    Eagerly this is a Python loop. In a graph both functions are traced once, with tensors of outside as they like.

    Args:
      cond: gives a bool scalar.
      body: gives a list or tuple of the structure of `loop_vars`, with the same dtypes.
      loop_vars: a list or tuple, maybe nested, of what changes from turn to turn: tensors or what becomes one.
      shape_invariants: a structure of `tf.TensorShape` or `tf.TensorSpec` like `loop_vars`: what the shapes have in
        common in all turns. Default: shapes do not change.
      parallel_iterations, swap_memory: accepted for compatibility.
      back_prop: whether gradients flow through; use `tf.stop_gradient` instead.
      maximum_iterations: how many turns there are at most.
      name: the operation's name.

    Returns:
      The values after the last turn, in the structure of `loop_vars` (in eager execution and in 1.x graphs as a list or
      tuple where the body gives one).

    Raises:
      TypeError: `cond` or `body` is not callable, or a dtype changes.
      ValueError: the structure, or a shape that `shape_invariants` do not allow to, changes.

    Example:
      >>> i, total = tf.while_loop(lambda i, total: i < 5, lambda i, total: (i + 1, total + i), (0, 0))
      >>> total.numpy()
      10
    """
    return _while_loop(
        cond, body, loop_vars, shape_invariants, back_prop, maximum_iterations, parallel_iterations, name, "'{}'"
    )


@export(v1=["while_loop"])
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
    maximum_iterations: Any = None,
    return_same_structure: bool = False,
) -> Any:
    """Repeats `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` holds; see `tf.while_loop` of 2.x.

    Args:
      cond, body, loop_vars, shape_invariants, parallel_iterations, back_prop, swap_memory, maximum_iterations, name:
        as in 2.x.
      return_same_structure: whether the result is a list where there is one loop variable, or that variable alone.

    Raises:
      TypeError, ValueError: as in 2.x; `loop_vars` is empty.
    """
    if not loop_vars and isinstance(loop_vars, (list, tuple)):
        raise ValueError("No loop variables provided")
    result = _while_loop(
        cond, body, loop_vars, shape_invariants, back_prop, maximum_iterations, parallel_iterations, name, "{}"
    )
    packed = isinstance(result, (list, tuple)) and len(result) == 1
    return result[0] if packed and not return_same_structure else result


def _while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any,
    back_prop: bool,
    maximum_iterations: Any,
    parallel_iterations: int,
    name: str | None,
    label: str,
) -> Any:
    require_callable(label, cond=cond, body=body)
    if not isinstance(loop_vars, (list, tuple)):
        loop_vars = [loop_vars]
    if not isinstance(parallel_iterations, int) or parallel_iterations < 1:
        raise TypeError(f"{label.format('parallel_iterations')} must be a positive integer.")
    if context.executing_eagerly():
        return _python_loop(cond, body, loop_vars, maximum_iterations)
    with name_scope(name, "while", None) as scope:
        loop = _Loop(cond, body, loop_vars, shape_invariants, maximum_iterations, scope)
        return loop.build(parallel_iterations, back_prop)


def _python_loop(cond: Any, body: Any, loop_vars: Any, maximum_iterations: Any) -> Any:
    turns = None if maximum_iterations is None else int(to_tensor(maximum_iterations))
    count = 0
    while (turns is None or count < turns) and cond(*loop_vars):
        loop_vars = _checked_result(body(*loop_vars), loop_vars)
        count += 1
    return nest.map_structure(to_tensor, loop_vars, expand_composites=True)


def _checked_result(result: Any, loop_vars: Any) -> Any:
    """What a body gave: a list or tuple with the structure of the loop variables.

    Raises:
      ValueError, TypeError: it has another structure.
    """
    if not isinstance(result, (list, tuple)) or (len(loop_vars) == 1 and _is_unpacked(result, loop_vars[0])):
        result = [result]
    first, second = list(loop_vars), list(result)
    if context.executing_eagerly() or get_default_graph().building_function:
        first, second = second, first  # the message tells of the one and then of the other
    nest.assert_same_structure(first, second, expand_composites=True)
    return result


def _is_unpacked(result: Any, variable: Any) -> bool:
    """Whether a body gave its only loop variable, a structure itself, without a list around it."""
    return isinstance(variable, (list, tuple)) and not (len(result) == 1 and isinstance(result[0], (list, tuple)))


class _Loop:
    """A loop that is being built.

    With a bound for the number of turns the first loop variable counts them.
    """

    def __init__(
        self, cond: Any, body: Any, loop_vars: Any, shape_invariants: Any, maximum_iterations: Any, scope: str
    ) -> None:
        self._scope = scope
        self._in_function = get_default_graph().building_function
        self._limit = None
        if maximum_iterations is not None:
            self._limit = _as_limit(maximum_iterations)
            start = to_tensor(0, self._limit.dtype, name="iteration_counter")
        self._loop_vars = nest.map_structure(_as_loop_var, loop_vars, expand_composites=True)
        self._result = self._loop_vars  # what has the structure of the results
        self._values = nest.flatten(self._loop_vars, expand_composites=True)
        self._shapes = _invariant_shapes(shape_invariants, self._loop_vars, self._values)
        if self._limit is not None:
            self._values = [start, *self._values]
            self._shapes = [(), *self._shapes]
        self._numbering = get_default_graph().numbering
        self._values = [get_default_graph().capture(value) for value in self._values]
        self._numbering.skip(len(self._values))  # Enter
        self._cond = self._traced("cond", self._test(cond), "Merge")
        self._numbering.skip(1 + len(self._values))  # LoopCond, Switch
        self._body = self._traced("body", self._turn(body), "Identity", self._cond)
        self._numbering.skip(len(self._values))  # NextIteration

    def _test(self, cond: Any) -> Callable[..., Any]:
        def test(*flat: Tensor) -> Any:
            if self._limit is None:
                holds = self._as_condition(cond(*self._packed(flat)))
            else:
                below = find("Less")(flat[0], self._limit)
                holds = find("LogicalAnd")(below, self._as_condition(cond(*self._packed(flat[1:]))))
            if not self._in_function:
                require_bool_scalar(holds, "LoopCond", "input", f"{self._scope}LoopCond", 1)
            return holds

        return test

    def _turn(self, body: Any) -> Callable[..., Any]:
        def turn(*flat: Tensor) -> list[Any]:
            count = [] if self._limit is None else [find("AddV2")(flat[0], 1, name="add")]
            result = _checked_result(body(*self._packed(flat[len(count) :])), self._packed(flat[len(count) :]))
            if not self._in_function:
                self._result = result
            return [*count, *(to_tensor(leaf) for leaf in nest.flatten(result, expand_composites=True))]

        return turn

    def _as_condition(self, value: Any) -> Tensor:
        return _as_scalar(value) if self._in_function else to_tensor(value)

    def _packed(self, flat: Sequence[Tensor]) -> Any:
        return nest.pack_sequence_as(self._loop_vars, list(flat), expand_composites=True)

    def _traced(
        self, label: str, function: Callable[..., Any], variable: str, beside: TracedFunction | None = None
    ) -> TracedFunction:
        """The function as a graph; TensorFlow 1 calls the operations `variable` that stand there for loop variables."""
        traced = TracedFunction(f"{self._scope}{label}".replace("/", "_"), "Enter", beside)
        arguments = []
        for value, shape in zip(self._values, self._shapes, strict=True):
            name = value.op.name.rpartition("/")[2] if self._in_function else f"{self._scope}{variable}"
            arguments.append(traced.add_input(value.dtype.base_dtype, shape, name, handle_data(value)))
        traced.trace(function, arguments)
        return traced

    def build(self, parallel_iterations: int, back_prop: bool) -> Any:
        """Adds the operation; gives its results in the structure of the loop variables."""
        self._check()
        captured = all_captures((self._cond, self._body))
        if not self._in_function:
            anew = read_each_turn([self._cond.graph, self._body.graph])
            self._body.result = [anew.get(id(tensor), tensor) for tensor in self._body.result]
        with self._numbering.stands_for(0):
            test = self._cond.with_captures(captured, self._cond.outputs)
            inner = [self._body.graph.capture(tensor) for tensor in captured]
            turn = self._body.with_captures(captured, [*self._body.outputs, *inner])
            op = stateless_while_op if test.is_repeatable and turn.is_repeatable else while_op
            outputs = op(
                [*self._values, *captured], cond=test, body=turn, output_shapes=self._shapes,
                parallel_iterations=parallel_iterations, name=self._scope,
            )  # fmt: skip
        leave = identity if back_prop else find("StopGradient")
        results = [leave(tensor, name="Exit") for tensor in outputs[: len(self._values)]]
        return nest.pack_sequence_as(
            self._result, results if self._limit is None else results[1:], expand_composites=True
        )

    def _check(self) -> None:
        """Demands that a turn changes neither dtypes nor shapes.

        Raises:
          TypeError, ValueError: it does.
        """
        for value, shape, new in zip(self._values, self._shapes, self._body.outputs, strict=True):
            if new.dtype.base_dtype is not value.dtype.base_dtype:
                raise TypeError(
                    f"Loop var {value.name} enters the loop with type {value.dtype.base_dtype!r} but has type "
                    f"{new.dtype.base_dtype!r} after 1 iteration. {value.name} type should remain constant."
                )
            if not is_as_specific(new._shape, shape):
                label, entered = (f"`{value.name}`", shape) if self._in_function else (f"'{value.name}'", value._shape)
                raise ValueError(
                    f"Input tensor {label} enters the loop with shape {shapes.TensorShape(entered)}, but has "
                    f"shape {new.shape} after one iteration. To allow the shape to vary across iterations, use the "
                    "`shape_invariants` argument of tf.while_loop to specify a less-specific shape."
                )


def _as_loop_var(value: Any) -> Any:
    tensor = to_tensor(value)
    return tensor if not tensor.is_eager else identity(tensor)


def _as_limit(maximum_iterations: Any) -> Tensor:
    """The greatest number of turns: an integer scalar.

    Raises:
      TypeError: it is no integer.
      ValueError: it is not scalar.
    """
    dtype = None if hasattr(maximum_iterations, "dtype") else "int32"
    limit = to_tensor(maximum_iterations, dtype, "maximum_iterations")
    if limit._shape not in ((), None):
        raise ValueError(f"maximum_iterations must be a scalar, saw shape: {limit.shape}")
    return limit


def _as_scalar(value: Any) -> Tensor:
    """The result of a condition: a scalar.

    Raises:
      TypeError: it is no single tensor.
      ValueError: it is not scalar.
    """
    flat = nest.flatten(value)
    if len(flat) != 1:
        raise TypeError(f"The condition of a loop must be one bool scalar, not {value!r}.")
    tensor = to_tensor(flat[0])
    if tensor._shape is not None and any(dim not in (None, 1) for dim in tensor._shape):
        raise ValueError(f"The condition of a loop must be a bool scalar, but has the shape {tensor.shape}: {tensor}")
    return tensor if tensor._shape == () else find("Reshape")(tensor, [])


def _invariant_shapes(shape_invariants: Any, loop_vars: Any, values: Sequence[Tensor]) -> list[Shape]:
    """What the shape of each loop variable is in all turns.

    Raises:
      ValueError: a variable enters the loop with another shape.
    """
    if shape_invariants is None:
        return [shape for variable in nest.flatten(loop_vars) for shape in _shapes_of(variable)]
    flat = _expanded(shape_invariants, loop_vars)
    for value, shape in zip(values, flat, strict=True):
        if not is_as_specific(value._shape, shape):
            raise ValueError(
                f"The shape invariant specified for {value.name} is not compatible with the initial shape of the loop "
                f"variable. It enters the loop with shape {value.shape}, but the specified shape invariant is "
                f"{shapes.TensorShape(shape)}."
            )
    return flat


def _shapes_of(variable: Any) -> list[Shape]:
    """The shapes that a variable's tensors have in all turns where nothing else is said."""
    found = [part._shape for part in nest.flatten(variable, expand_composites=True)]
    if isinstance(variable, SparseTensor):  # how many values there are may change
        found[:2] = [shape and (None, *shape[1:]) for shape in found[:2]]
    return found


def _expanded(shape_invariants: Any, loop_vars: Any) -> list[Shape]:
    """The shapes of all tensors; those of a variable that consists of several may change but for their ranks."""
    found: list[Shape] = []
    invariants = nest.flatten_up_to(loop_vars, shape_invariants, check_types=False)
    for variable, item in zip(nest.flatten(loop_vars), invariants, strict=True):
        if isinstance(variable, Tensor):
            found.append(_plain_shape(item))
        else:
            parts = nest.flatten(variable, expand_composites=True)
            found.extend(None if part._shape is None else (None,) * len(part._shape) for part in parts)
    return found


def _plain_shape(item: Any) -> Shape:
    if isinstance(item, TensorSpec):
        return item._shape
    if isinstance(item, int):
        raise TypeError(f"'shape' must be one of TypeSpec, TensorShape or None. Received: {type(item)}")
    return shapes.as_plain(item)


def is_as_specific(shape: Shape, general: Shape) -> bool:
    """Whether all tensors of one shape have another, more general one."""
    if general is None:
        return True
    if shape is None or len(shape) != len(general):
        return False
    return all(b is None or a == b for a, b in zip(shape, general, strict=True))
