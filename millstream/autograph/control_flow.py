"""Operators for statements over tensors: `if`, `while`, `for`.

Generated code keeps the variables that a statement changes in its own scope, and hands in functions that run the
statement's blocks and that get and set those variables. Where a tensor decides, each block is traced once.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from malt.operators import FunctionScope as _FunctionScope
from malt.operators import Undefined, UndefinedReturnValue

from millstream.autograph.expressions import is_symbolic
from millstream.core import context, nest, shapes
from millstream.core.conversion import to_tensor
from millstream.core.graph import get_default_graph
from millstream.core.opdef import find
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor
from millstream.core.trace_type import is_variable
from millstream.ops import cond as branching
from millstream.ops.control_flow_ops import Assert
from millstream.ops.gather_ops import gather_v2
from millstream.ops.identity_ops import identity
from millstream.ops.shape_ops import shape
from millstream.ops.traced_functions import TracedFunction
from millstream.ops.while_loop import is_as_specific, while_loop_v2

__all__ = ["FunctionScope", "for_stmt", "if_stmt", "while_stmt"]

_Block = Callable[[], None]
_State = tuple[Any, ...]

_NO_RETURN = "the {} branch must also have a return statement."
_STAYS_PYTHON = (
    "break and return statements which depend on a TF condition are not supported in Python for loops. Did you intend "
    "to make it a TF loop?"
)


class FunctionScope(_FunctionScope):  # type: ignore[misc]
    """The body of a converted function."""

    def ret(self, value: Any, did_return: Any) -> Any:
        """The function's result.

        Raises:
          ValueError: whether there is one depends on a tensor.
        """
        if is_symbolic(did_return):
            raise ValueError(_NO_RETURN.format("else"))
        return None if isinstance(value, UndefinedReturnValue) else value


class _Staging(threading.local):
    in_loop = False  # whether the body of a loop that becomes an operation is being traced


_staging = _Staging()


@contextmanager
def _tracing_loop() -> Iterator[None]:
    old = _staging.in_loop
    _staging.in_loop = True
    try:
        yield
    finally:
        _staging.in_loop = old


def _is_missing(value: Any) -> bool:
    return isinstance(value, (Undefined, UndefinedReturnValue))


def _is_tensor_like(value: Any) -> bool:
    """Whether all leaves of a value are tensors or become tensors."""
    kinds = (Tensor, bool, int, float, complex, str, bytes, np.ndarray, np.generic)
    leaves = nest.flatten(value, expand_composites=True)
    return all(isinstance(leaf, kinds) or is_variable(leaf) for leaf in leaves)


# --- if ---------------------------------------------------------------------------------------------------------------


def if_stmt(
    cond: Any,
    body: _Block,
    orelse: _Block,
    get_state: Callable[[], _State],
    set_state: Callable[[_State], None],
    symbol_names: Sequence[str],
    nouts: int,
) -> None:
    """`if cond: body; else: orelse`.

    Args:
      cond: the condition.
      body, orelse: run the blocks.
      get_state, set_state: get and set the variables that the blocks change.
      symbol_names: their names.
      nouts: how many of them, the first ones, are used afterwards.

    Raises:
      ValueError, TypeError: a tensor decides, and after the two blocks a variable differs in kind.
    """
    if not is_symbolic(cond):
        (body if cond else orelse)()
        return
    initial = get_state()
    with name_scope(None, "cond") as scope:
        branching.decide_on(cond)
        branches, states = [], []
        for label, block in (("true", body), ("false", orelse)):
            set_state(initial)
            branch = TracedFunction(f"{scope}{label}".replace("/", "_"))
            with branch.building():
                block()
                states.append(list(get_state()))
            branches.append(branch)
        set_state(initial)
        _note_what_holds(cond, initial, states)
        staged = [
            index for index in range(nouts)
            if _is_staged(symbol_names[index], branches, states, index)
        ]  # fmt: skip
        for branch, state in zip(branches, states, strict=True):
            branch.trace(lambda state=state: [state[index] for index in staged], ())
        results = branching.choose(cond, branches, scope)
    new = [states[0][index] if index < nouts else value for index, value in enumerate(initial)]
    for index, value in zip(staged, results, strict=True):
        new[index] = value
    set_state(tuple(new))


def _note_what_holds(cond: Tensor, initial: _State, states: Sequence[list[Any]]) -> None:
    """After `if not done: …` a variable `done` that the other branch left alone is true there."""
    if cond.op.type != "LogicalNot":
        return
    for index, value in enumerate(initial):
        if value is cond.op.inputs[0] and states[1][index] is value:
            states[1][index] = True


def _is_staged(name: str, branches: Sequence[TracedFunction], states: Sequence[list[Any]], index: int) -> bool:
    """Whether a variable becomes a result of the operation; False where it is the same object after both blocks."""
    first, second = states[0][index], states[1][index]
    if _is_missing(first) or _is_missing(second):
        if _is_missing(first) and _is_missing(second):
            return False
        _fill_missing(name, branches, states, index)
        return True
    if first is second and (first is None or isinstance(first, bool) or not _is_tensor_like(first)):
        return False
    for value, branch in ((first, "main"), (second, "else")):
        if value is None:
            raise ValueError(f"'{name}' is None at the end of the {branch} branch.")
    for branch, state, label in zip(branches, states, ("main", "else"), strict=True):
        state[index] = _as_tensors(name, state[index], f"at the end of the {label} branch", branch)
    _require_same(name, states[0][index], states[1][index])
    return True


def _fill_missing(name: str, branches: Sequence[TracedFunction], states: Sequence[list[Any]], index: int) -> None:
    """Within a loop a branch that does not return leaves any value: nobody looks at it.

    Raises:
      ValueError: it is another variable, or not within a loop.
    """
    missing = 0 if _is_missing(states[0][index]) else 1
    label = ("main", "else")[missing]
    if not isinstance(states[missing][index], UndefinedReturnValue):
        raise ValueError(f"'{name}' must also be initialized in the {label} branch")
    if not _staging.in_loop:
        raise ValueError(_NO_RETURN.format(label))
    other = 1 - missing
    states[other][index] = _as_tensors(name, states[other][index], "where it is returned", branches[other])
    with branches[missing].building():
        states[missing][index] = nest.map_structure(_zeros_like, states[other][index], expand_composites=True)


def _as_tensors(name: str, value: Any, when: str, branch: TracedFunction) -> Any:
    with branch.building():
        return _converted(name, value, when)


def _converted(name: str, value: Any, when: str) -> Any:
    try:
        return nest.map_structure(to_tensor, value, expand_composites=True)
    except (TypeError, ValueError) as error:
        raise TypeError(f"'{name}' is {value!r} {when}, which does not become a tensor: {error}") from None


def _require_same(name: str, first: Any, second: Any) -> None:
    try:
        nest.assert_same_structure(first, second, expand_composites=True)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"'{name}' must have the same nested structure in the main and else branches:\n\n{error}"
        ) from None
    for a, b in zip(_leaves(first), _leaves(second), strict=True):
        if a.dtype.base_dtype is not b.dtype.base_dtype:
            raise TypeError(
                f"'{name}' has dtype {a.dtype.base_dtype.name} in the main branch, but dtype {b.dtype.base_dtype.name} "
                "in the else branch"
            )


def _leaves(value: Any) -> list[Any]:
    return nest.flatten(value, expand_composites=True)


def _zeros_like(tensor: Tensor) -> Tensor:
    dims = [dim or 0 for dim in tensor._shape or ()]
    dtype = tensor.dtype.base_dtype
    zero = "" if dtype.name == "string" else False if dtype.is_bool else 0
    return find("Fill")(dims, to_tensor(zero, dtype))


# --- while ------------------------------------------------------------------------------------------------------------


def while_stmt(
    test: Callable[[], Any],
    body: _Block,
    get_state: Callable[[], _State],
    set_state: Callable[[_State], None],
    symbol_names: Sequence[str],
    opts: dict[str, Any],
) -> None:
    """`while test: body`.

    Args:
      test: computes the condition.
      body: runs the block.
      get_state, set_state: get and set the variables that the block changes.
      symbol_names: their names.
      opts: what `tf.autograph.experimental.set_loop_options` says.

    Raises:
      ValueError, TypeError: a tensor decides, and a variable changes its kind.
    """
    while True:
        result = _isolated(test)
        if is_symbolic(result):
            _Loop(get_state, set_state, symbol_names, opts).run(lambda hidden: test(), _plain_turn(body), ())
            return
        if not result:
            return
        body()


def _plain_turn(body: _Block) -> Callable[[_State], _State]:
    def turn(hidden: _State) -> _State:
        body()
        return hidden

    return turn


def _isolated(function: Callable[[], Any]) -> Any:
    """What a function gives; the operations that it makes in a graph are thrown away."""
    if context.executing_eagerly():
        return function()
    with get_default_graph().numbering.restarted(), TracedFunction("tmp").building():
        return function()


class _Loop:
    """A loop that becomes an operation.

    Besides the program's variables it may have hidden ones, such as the position in what it goes over.
    """

    def __init__(
        self,
        get_state: Callable[[], _State],
        set_state: Callable[[_State], None],
        names: Sequence[str],
        opts: dict[str, Any],
    ) -> None:
        self._get_state = get_state
        self._set_state = set_state
        self._names = names
        self._opts = opts

    def run(self, test: Callable[[_State], Any], turn: Callable[[_State], _State], hidden: _State) -> None:
        """Builds the loop and sets the variables to what they are afterwards.

        Args:
          test: the condition, given the hidden variables.
          turn: one turn: the hidden variables before it to those after it.
          hidden: their values at the start.
        """
        initial = list(self._get_state())
        before = tuple(initial)
        created = self._create_missing(initial, turn, hidden)
        staged = [index for index, value in enumerate(initial) if self._is_staged(value)]
        for index in staged:
            initial[index] = _converted(self._names[index], initial[index], "before the loop")
        count = len(hidden)

        def enter(variables: _State) -> _State:
            state = list(initial)
            for index, value in zip(staged, variables[count + 1 :], strict=True):
                state[index] = value
            self._set_state(tuple(state))
            return variables[1 : count + 1]

        def loop_test(*variables: Any) -> Any:
            return test(enter(variables))

        def loop_body(*variables: Any) -> Any:
            with _tracing_loop():
                new_hidden = turn(enter(variables))
            return (True, *new_hidden, *self._checked(staged, initial))

        start = (False, *hidden, *(initial[index] for index in staged))
        try:
            result = while_loop_v2(
                loop_test, loop_body, start, self._invariants(start, staged, before, created),
                maximum_iterations=self._opts.get("maximum_iterations"),
            )  # fmt: skip
        finally:
            self._set_state(before)
        for index, value in zip(staged, result[count + 1 :], strict=True):
            initial[index] = value if index not in created else self._after_a_turn(index, value, result[0])
        self._set_state(tuple(initial))

    def _is_staged(self, value: Any) -> bool:
        return value is not None and not _is_missing(value) and _is_tensor_like(value)

    def _create_missing(self, initial: list[Any], turn: Any, hidden: _State) -> dict[int, Any]:
        """Gives variables that only the body defines a value of the kind that they have there; gives their kinds."""
        missing = [index for index, value in enumerate(initial) if value is None or _is_missing(value)]
        if not missing:
            return {}
        before = tuple(initial)
        created = {}
        with get_default_graph().numbering.restarted(), TracedFunction("tmp").building(), _tracing_loop():
            try:
                turn(tuple(to_tensor(value) for value in hidden))
                after = self._get_state()
            finally:
                self._set_state(before)
            for index in missing:
                if self._is_staged(after[index]):
                    created[index] = _converted(self._names[index], after[index], "after one iteration")
        for index, value in created.items():
            initial[index] = nest.map_structure(_zeros_like, value, expand_composites=True)
        return created

    def _after_a_turn(self, index: int, value: Any, turned: Tensor) -> Any:
        """A variable that only the body defines: there must have been a turn. Results of functions are looked after."""
        before = self._get_state()[index]
        if isinstance(before, UndefinedReturnValue) or before is None:
            return value
        check = Assert(turned, [f"loop must iterate at least once to initialize {self._names[index]}"])
        with get_default_graph().control_dependencies([check]):
            return nest.map_structure(identity, value, expand_composites=True)

    def _checked(self, staged: Sequence[int], initial: Sequence[Any]) -> list[Any]:
        """The variables after a turn.

        Raises:
          ValueError, TypeError: one has changed its kind.
        """
        state = self._get_state()
        for index, value in enumerate(state):
            if index not in staged and value is not initial[index] and not _is_missing(value):
                name = self._names[index]
                raise TypeError(
                    f"'{name}' is {initial[index]!r} before the loop and {value!r} after one iteration: what changes "
                    "in a loop over tensors must be a tensor. To collect values use a tf.TensorArray."
                )
        return [self._checked_variable(self._names[index], initial[index], state[index]) for index in staged]

    def _checked_variable(self, name: str, before: Any, after: Any) -> Any:
        if after is None or _is_missing(after):
            raise ValueError(f"'{name}' is {'None' if after is None else 'undefined'} at the end of the loop's body.")
        after = _converted(name, after, "after one iteration")
        try:
            nest.assert_same_structure(before, after, expand_composites=True)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"'{name}' does not have the same nested structure after one iteration. To collect values use a "
                f"tf.TensorArray.\n\n{error}"
            ) from None
        for a, b in zip(_leaves(before), _leaves(after), strict=True):
            if a.dtype.base_dtype is not b.dtype.base_dtype:
                raise TypeError(
                    f"'{name}' has dtype {a.dtype.base_dtype.name} before the loop, but dtype "
                    f"{b.dtype.base_dtype.name} after one iteration"
                )
            if self._shapes is None and not is_as_specific(b._shape, a._shape):
                raise ValueError(
                    f"'{name}' has shape {a.shape} before the loop, but shape {b.shape} after one iteration. Use "
                    "tf.autograph.experimental.set_loop_options to set shape invariants."
                )
        return after

    _shapes: Any = None

    def _invariants(self, start: _State, staged: Sequence[int], before: _State, created: dict[int, Any]) -> Any:
        """The shape invariants of all loop variables, or None where nobody said any."""
        given = self._opts.get("shape_invariants") or ()
        if not given and not created:
            return None
        found = [nest.map_structure(_shape_of, value, expand_composites=True) for value in start]
        first = len(start) - len(staged)
        for position, index in enumerate(staged):
            if index in created:
                found[first + position] = nest.map_structure(_shape_of, created[index], expand_composites=True)
            for value, invariant in given:
                if value is before[index]:
                    found[first + position] = invariant
        self._shapes = found
        return tuple(found)


def _shape_of(value: Any) -> shapes.TensorShape:
    return shapes.TensorShape(value._shape if isinstance(value, Tensor) else ())


# --- for --------------------------------------------------------------------------------------------------------------


def for_stmt(
    iterated: Any,
    extra_test: Callable[[], Any] | None,
    body: Callable[[Any], None],
    get_state: Callable[[], _State],
    set_state: Callable[[_State], None],
    symbol_names: Sequence[str],
    opts: dict[str, Any],
) -> None:
    """`for … in iterated: body`, over the rows of a tensor or anything that Python goes over.

    Args:
      iterated: what to go over.
      extra_test: computes whether to go on, for `break` and `return`; None: always.
      body: runs the block for one element.
      get_state, set_state: get and set the variables that the block changes.
      symbol_names: their names.
      opts: what `tf.autograph.experimental.set_loop_options` says.

    Raises:
      ValueError, TypeError: a tensor is gone over, and a variable changes its kind, or it is a scalar.
      NotImplementedError: a tensor decides whether a Python loop ends.
    """
    if not is_symbolic(iterated):
        _python_for(iterated, extra_test, body)
        return
    loop = _Loop(get_state, set_state, symbol_names, opts)
    go_on = extra_test or (lambda: True)
    if iterated.op.type == "Range":
        _range_for(iterated, go_on, body, loop)
    else:
        _rows_for(iterated, go_on, body, loop)


def _python_for(iterated: Iterable[Any], extra_test: Callable[[], Any] | None, body: Callable[[Any], None]) -> None:
    def goes_on() -> bool:
        result = extra_test is None or extra_test()
        if is_symbolic(result):
            raise NotImplementedError(_STAYS_PYTHON)
        return bool(result)

    if goes_on():
        for element in iterated:
            body(element)
            if not goes_on():
                break


def _both(first: Tensor, second: Any) -> Any:
    if is_symbolic(second):
        return find("LogicalAnd")(first, second)
    return first if second else to_tensor(False)


def _range_for(numbers: Tensor, go_on: Callable[[], Any], body: Callable[[Any], None], loop: _Loop) -> None:
    """A loop over `tf.range`: it counts."""
    start, limit, delta = numbers.op.inputs
    less, greater = find("Less"), find("Greater")

    def test(hidden: _State) -> Any:
        step = _known_scalar(delta)
        if step is None:
            below = find("LogicalAnd")(greater(delta, find("ZerosLike")(delta)), less(hidden[0], limit))
            above = find("LogicalAnd")(less(delta, find("ZerosLike")(delta)), greater(hidden[0], limit))
            return _both(find("LogicalOr")(below, above), go_on())
        return _both(less(hidden[0], limit) if step > 0 else greater(hidden[0], limit), go_on())

    def turn(hidden: _State) -> _State:
        body(hidden[0])
        return (find("AddV2")(hidden[0], delta),)

    loop.run(test, turn, (start,))


def _known_scalar(tensor: Tensor) -> Any:
    from millstream.core.static_values import constant_value

    value = constant_value(tensor)
    return None if value is None else value.item()


def _rows_for(rows: Tensor, go_on: Callable[[], Any], body: Callable[[Any], None], loop: _Loop) -> None:
    """A loop over the rows of a tensor."""
    if rows._shape == ():
        raise ValueError(f"len requires a non-scalar tensor, got one of shape {rows.shape}")
    known = rows._shape[0] if rows._shape else None
    count = shape(rows)[0] if known is None else to_tensor(known, "int32")

    def test(hidden: _State) -> Any:
        return _both(find("Less")(hidden[0], count), go_on())

    def turn(hidden: _State) -> _State:
        body(gather_v2(rows, hidden[0]))
        return (find("AddV2")(hidden[0], 1),)

    loop.run(test, turn, (to_tensor(0, "int32"),))
