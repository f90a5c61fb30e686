"""`Optimizer`: the base of the optimisers. Computes gradients and applies them to variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from millstream.core import context, gradients, nest
from millstream.core.conversion import convert_to_tensor_or_indexed_slices, to_tensor
from millstream.core.dtypes import DType, bfloat16, float16, float32, float64, resource
from millstream.core.export import export
from millstream.core.gradient_tape import GradientTape
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import find
from millstream.core.operation import Operation
from millstream.core.resource_variables import is_resource_variable
from millstream.core.scopes import beside, control_dependencies, init_scope, name_scope
from millstream.core.tensor import Tensor
from millstream.core.trackable import Restoration, Trackable
from millstream.core.variables import Variable, VariableV1
from millstream.ops import control_flow_ops, search_ops, segment_ops, shape_ops, state_ops
from millstream.train import slot_creator

GradsAndVars = Iterable[tuple[Any, Any]]


@export(v1=["train.Optimizer"])
class Optimizer(Trackable):
    """Base of optimisers: adds to the graph the operations that train variables.

    Subclasses define `_apply_dense` and `_resource_apply_dense` (1.x and resource variables), `_apply_sparse` and
    `_resource_apply_sparse` (gradients that are rows, with distinct indices), and may define `_create_slots`,
    `_prepare` (makes tensors of the hyperparameters) and `_finish`.

    Args:
      use_locking: accepted for compatibility; updates are always atomic.
      name: the prefix of the names of operations and slots.

    Raises:
      ValueError: there is no name.

    Example:
      >>> optimizer = tf.train.GradientDescentOptimizer(learning_rate=0.1)
      >>> train_op = optimizer.minimize(loss)
    """

    # What has to be computed before gradients are used: nothing, the gradients of one operation, all gradients.
    GATE_NONE = 0
    GATE_OP = 1
    GATE_GRAPH = 2

    # Whether an index may come again in `_apply_sparse` after its sum, with zeros for its row: shapes then do not
    # depend on data, and a training step is one program.
    _tolerates_zero_rows = False

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._use_locking = use_locking
        self._name = name
        self._slots: dict[str, dict[Any, Variable]] = {}
        self._non_slot_dict: dict[tuple[str, Graph], Variable] = {}
        self._waiting_slots: dict[tuple[str, Any], list[Restoration]] = {}  # by names and variables

    def get_name(self) -> str:
        """The optimiser's name."""
        return self._name

    # --- Minimising -------------------------------------------------------------------------------------------------

    def minimize(
        self,
        loss: Any,
        global_step: Any = None,
        var_list: Any = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: int | None = None,
        colocate_gradients_with_ops: bool = False,
        name: str | None = None,
        grad_loss: Any = None,
    ) -> Operation:
        """The operation that makes one step: `compute_gradients`, then `apply_gradients`.

        Args:
          loss: the value to minimise, a floating point tensor.
          global_step: a variable that is increased by one after the update.
          var_list: the variables to update; default: the trainable ones.
          gate_gradients, aggregation_method, colocate_gradients_with_ops, grad_loss: as for `compute_gradients`.
          name: the operation's name; default: the optimiser's.

        Raises:
          ValueError: `loss` depends on none of the variables.
        """
        grads_and_vars = self.compute_gradients(
            loss,
            var_list=var_list,
            gate_gradients=gate_gradients,
            aggregation_method=aggregation_method,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
            grad_loss=grad_loss,
        )
        if all(grad is None for grad, _ in grads_and_vars):
            raise ValueError(
                "No gradients provided for any variable, check your graph for ops that do not support gradients, "
                f"between variables {[str(var) for _, var in grads_and_vars]} and loss {loss}."
            )
        return self.apply_gradients(grads_and_vars, global_step=global_step, name=name)

    def compute_gradients(
        self,
        loss: Any,
        var_list: Any = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: int | None = None,
        colocate_gradients_with_ops: bool = False,
        grad_loss: Any = None,
    ) -> list[tuple[Any, Any]]:
        """The gradients of `loss`, to be changed (clipped, say) before `apply_gradients`.

        Args:
          loss: a floating point tensor, or a function without arguments that gives it.
          var_list: variables (or tensors), a structure of them; default: the trainable variables.
          gate_gradients: `GATE_NONE`, `GATE_OP` or `GATE_GRAPH`.
          aggregation_method: see `tf.AggregationMethod`.
          colocate_gradients_with_ops: places gradients beside the operations that they belong to.
          grad_loss: the gradient that flows into `loss`; default: ones.

        Returns:
          A list of (gradient, variable); the gradient is a tensor, an `IndexedSlices`, or None.

        Raises:
          TypeError: an element of `var_list` is no variable.
          ValueError: there are no variables, or a dtype or `gate_gradients` is not allowed.
          RuntimeError: `loss` is a tensor in eager mode.
        """
        if callable(loss):
            if context.executing_eagerly():
                return self._compute_eagerly(loss, var_list, grad_loss)
            loss = loss()
        elif context.executing_eagerly():
            raise RuntimeError(
                "`loss` passed to Optimizer.compute_gradients should be a function when eager execution is enabled."
            )
        if gate_gradients not in (Optimizer.GATE_NONE, Optimizer.GATE_OP, Optimizer.GATE_GRAPH):
            raise ValueError(
                "gate_gradients must be one of: Optimizer.GATE_NONE, Optimizer.GATE_OP, Optimizer.GATE_GRAPH.  "
                f"Not {gate_gradients}"
            )
        self._assert_valid_dtypes([loss] if grad_loss is None else [loss, grad_loss])
        variables = _variables_to_train(var_list)
        grads = gradients.gradients(
            loss,
            variables,
            grad_ys=grad_loss,
            gate_gradients=gate_gradients == Optimizer.GATE_OP,
            aggregation_method=aggregation_method,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
        )
        if gate_gradients == Optimizer.GATE_GRAPH:
            grads = control_flow_ops.tuple_(grads)
        pairs = list(zip(grads, variables, strict=True))
        self._assert_valid_dtypes([v for g, v in pairs if g is not None and v.dtype is not resource])
        return pairs

    def _compute_eagerly(self, loss: Callable[[], Any], var_list: Any, grad_loss: Any) -> list[tuple[Any, Any]]:
        with GradientTape() as tape:
            if var_list is not None:
                tape.watch(var_list)
            value = loss()
        variables = list(tape.watched_variables()) if var_list is None else nest.flatten(var_list)
        if not variables:
            raise ValueError("No variables to optimize.")
        self._assert_valid_dtypes([value, *variables])
        found = tape.gradient(value, variables, None if grad_loss is None else [grad_loss])
        return list(zip(found, variables, strict=True))

    def apply_gradients(
        self, grads_and_vars: GradsAndVars, global_step: Any = None, name: str | None = None
    ) -> Operation:
        """The operation that updates variables by gradients.

        Args:
          grads_and_vars: pairs as `compute_gradients` gives them.
          global_step: a variable that is increased by one after the update.
          name: the operation's name; default: the optimiser's.

        Raises:
          TypeError: a gradient is no tensor.
          ValueError: there are no variables, or none has a gradient.
        """
        pairs = tuple((_checked_gradient(grad), var) for grad, var in grads_and_vars)
        if not pairs:
            raise ValueError("No variables provided.")
        for _, var in pairs:
            _check_can_train(var)
        trained = [(grad, var) for grad, var in pairs if grad is not None]
        if not trained:
            raise ValueError(f"No gradients provided for any variable: {[str(var) for _, var in pairs]}.")
        with init_scope():
            self._create_slots([var for _, var in trained])
        with name_scope(name, self._name) as scope:
            self._prepare()
            updates = []
            for grad, var in trained:
                if isinstance(var, Tensor):
                    raise NotImplementedError("Trying to update a Tensor ", var)
                with name_scope("update_" + var._shared_name), beside(var):
                    updates.append(self._update(grad, var))
            if global_step is None:
                train_op = self._finish(updates, scope)
            else:
                with control_dependencies([self._finish(updates, "update")]):
                    train_op = _increase(global_step, scope)
        if context.executing_eagerly():
            return train_op
        train_op = train_op.op if isinstance(train_op, Tensor) else train_op
        known = get_default_graph().get_collection_ref(GraphKeys.TRAIN_OP)
        if train_op not in known:
            known.append(train_op)
        return train_op

    def _update(self, grad: Any, var: Any) -> Any:
        """The update of one variable by its gradient, followed by the variable's constraint."""
        is_resource = is_resource_variable(var)
        if isinstance(grad, IndexedSlices):
            if var.constraint is not None:
                raise RuntimeError("Cannot use a constraint function on a sparse variable.")
            if is_resource:
                return self._resource_apply_sparse_duplicate_indices(grad.values, var, grad.indices)
            return self._apply_sparse_duplicate_indices(grad, var)
        update = self._resource_apply_dense(grad, var) if is_resource else self._apply_dense(grad, var)
        if var.constraint is None:
            return update
        with control_dependencies([update]):
            # A 1.x variable's own read is older than the update.
            return var.assign(var.constraint(var if is_resource else var.read_value()))

    # --- Slots and other variables ----------------------------------------------------------------------------------

    def get_slot(self, var: Any, name: str) -> Variable | None:
        """The slot `name` of a variable, or None.

        Args:
          var: a variable that the optimiser updates.
          name: one of `get_slot_names()`.
        """
        return self._slots.get(name, {}).get(var._key)

    def get_slot_names(self) -> list[str]:
        """The names of the optimiser's slots, sorted."""
        return sorted(self._slots)

    def variables(self) -> list[Variable]:
        """The optimiser's own variables in the default graph, sorted by name."""
        slots = [slot for slots in self._slots.values() for slot in slots.values()]
        graph = get_default_graph().root
        found = [var for var in (*self._non_slot_variables(), *slots) if var.is_eager or var.graph is graph]
        return sorted(found, key=lambda var: var.name)

    def _slot_dict(self, slot_name: str) -> dict[Any, Variable]:
        """The slots of that name, by variable."""
        return self._slots.setdefault(slot_name, {})

    def _get_or_make_slot(self, var: Any, val: Tensor, slot_name: str, op_name: str) -> Variable:
        """The slot, made with initial value `val` where there is none; `op_name` is the end of its own name."""
        return self._slot(var, slot_name, lambda: slot_creator.create_slot(var, val, op_name))

    def _get_or_make_slot_with_initializer(
        self, var: Any, initializer: Any, shape: Any, dtype: Any, slot_name: str, op_name: str
    ) -> Variable:
        """The slot, made with an initialiser where there is none."""
        create = slot_creator.create_slot_with_initializer
        return self._slot(var, slot_name, lambda: create(var, initializer, shape, dtype, op_name))

    def _zeros_slot(self, var: Any, slot_name: str, op_name: str) -> Variable:
        """The slot, made of zeros where there is none."""
        return self._slot(var, slot_name, lambda: slot_creator.create_zeros_slot(var, op_name))

    def _slot(self, var: Any, slot_name: str, create: Callable[[], Variable]) -> Variable:
        slots, key = self._slot_dict(slot_name), var._key
        if key not in slots:
            slot = slots[key] = create()
            for restoration in reversed(self._waiting_slots.pop((slot_name, key), [])):
                restoration.restore(slot)
        return slots[key]

    def _create_non_slot_variable(self, initial_value: Any, name: str, colocate_with: Any) -> Variable:
        """A variable of the optimiser as a whole, placed beside `colocate_with`; the existing one if there is one."""
        graph = None if colocate_with.is_eager else colocate_with.graph
        found = self._non_slot_dict.get((name, graph))
        if found is None:
            is_resource = is_resource_variable(colocate_with)
            with beside(colocate_with):
                found = self._make_variable(
                    name,
                    initial_value,
                    None,
                    lambda value, _: VariableV1(value, name=name, trainable=False, use_resource=is_resource),
                )
            self._non_slot_dict[name, graph] = found
            self._handle_deferred_dependencies(name, found)
        return found

    def _get_non_slot_variable(self, name: str, graph: Graph | None = None) -> Variable | None:
        """The variable of the optimiser as a whole called `name` in a graph, or None."""
        eager = self._non_slot_dict.get((name, None))
        return self._non_slot_dict.get((name, get_default_graph().root if graph is None else graph), eager)

    def _non_slot_variables(self) -> Iterable[Variable]:
        """All variables of the optimiser as a whole."""
        return self._non_slot_dict.values()

    # --- Checkpoints ------------------------------------------------------------------------------------------------

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Trackable]:
        graph = None if context.executing_eagerly() else get_default_graph().root
        own = {name: var for (name, of), var in self._non_slot_dict.items() if of is None or of is graph}
        return {**super()._trackable_children(save_type, **kwargs), **dict(sorted(own.items()))}

    def _lookup_dependency(self, name: str) -> Trackable | None:
        return super()._lookup_dependency(name) or self._get_non_slot_variable(name)

    def _restore_slot(self, restoration: Restoration, slot_name: str, variable: Any) -> None:
        slot = self.get_slot(variable, slot_name)
        value = restoration.initial_value() if slot is None else None
        if value is not None:
            slot = self._get_or_make_slot(variable, value, slot_name, self._name)
            slot._tracked.order = max(slot._tracked.order, restoration.order)
        if slot is None:
            self._waiting_slots.setdefault((slot_name, variable._key), []).append(restoration)
        else:
            restoration.restore(slot)

    # --- What subclasses define -------------------------------------------------------------------------------------

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        """Makes the slots of the variables; the default makes none."""

    def _prepare(self) -> None:
        """Makes tensors of the hyperparameters, in the scope of the update; the default does nothing."""

    def _apply_dense(self, grad: Tensor, var: Any) -> Any:
        """The operation that updates a 1.x variable by a gradient of its shape."""
        raise NotImplementedError()

    def _resource_apply_dense(self, grad: Tensor, handle: Any) -> Any:
        """The operation that updates a resource variable by a gradient of its shape."""
        raise NotImplementedError()

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        """The operation that updates rows of a 1.x variable; each row comes once."""
        raise NotImplementedError()

    def _resource_apply_sparse(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        """The operation that updates rows of a resource variable; each row comes once."""
        raise NotImplementedError()

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        """Like `_apply_sparse` where rows may come several times; the default sums those that belong together."""
        values, indices = self._deduplicate_indexed_slices(grad.values, grad.indices)
        return self._apply_sparse(IndexedSlices(values, indices, grad.dense_shape), var)

    def _resource_apply_sparse_duplicate_indices(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        """Like `_resource_apply_sparse` where rows may come several times; the default sums them."""
        values, indices = self._deduplicate_indexed_slices(grad, indices)
        return self._resource_apply_sparse(values, handle, indices)

    def _deduplicate_indexed_slices(self, values: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The sums of the rows that have the same index, and the distinct indices."""
        distinct, positions = search_ops.unique(indices)
        if self._tolerates_zero_rows and not distinct.is_eager:
            distinct.op.attrs[search_ops.KEEPS_LENGTH] = b"true"
        count = shape_ops.shape(distinct)[0]
        return segment_ops.unsorted_segment_sum(values, positions, count), distinct

    def _finish(self, update_ops: Sequence[Any], name_scope: str) -> Any:
        """What is called `name_scope` and has run when all updates have."""
        return control_flow_ops.group(*update_ops, name=name_scope)

    def _valid_dtypes(self) -> set[DType]:
        """The dtypes that losses and variables may have."""
        return {float16, bfloat16, float32, float64}

    def _assert_valid_dtypes(self, tensors: Iterable[Any]) -> None:
        """Checks the dtypes of losses and variables.

        Raises:
          ValueError: one is not among `_valid_dtypes`.
        """
        valid = self._valid_dtypes()
        for tensor in tensors:
            dtype = tensor.dtype.base_dtype
            if dtype not in valid:
                name = getattr(tensor, "name", "the loss")
                raise ValueError(f"Invalid type {dtype!r} for {name}, expected: {list(valid)}.")

    def _call_if_callable(self, param: Any) -> Any:
        """A hyperparameter that may be given as a function."""
        return param() if callable(param) else param


def _variables_to_train(var_list: Any) -> list[Any]:
    graph = get_default_graph()
    if var_list is None:
        variables = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
        variables += graph.get_collection(GraphKeys.TRAINABLE_RESOURCE_VARIABLES)
    else:
        variables = nest.flatten(var_list)
    variables += graph.get_collection(GraphKeys._STREAMING_MODEL_PORTS)
    for var in variables:
        _check_can_train(var)
    if not variables:
        raise ValueError("No variables to optimize.")
    return variables


def _check_can_train(var: Any) -> None:
    if not isinstance(var, Variable | Tensor):
        raise NotImplementedError("Trying to optimize unsupported type ", var)


def _checked_gradient(grad: Any) -> Any:
    if grad is None:
        return None
    try:
        grad = convert_to_tensor_or_indexed_slices(grad)
    except TypeError:
        raise TypeError(f"Gradient must be convertible to a Tensor or IndexedSlices, or None: {grad}") from None
    if not isinstance(grad, Tensor | IndexedSlices):
        raise TypeError(f"Gradient must be a Tensor, IndexedSlices, or None: {grad}")
    return grad


def _increase(global_step: Any, name: str) -> Any:
    """Adds one to the global step, on the device where it is."""
    with beside(global_step):
        if is_resource_variable(global_step):
            return find("AssignAddVariableOp")(global_step.handle, to_tensor(1, global_step.dtype), name=name)
        return state_ops.assign_add(global_step, 1, name=name)

