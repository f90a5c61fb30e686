"""Loops that are compiled into the program around them."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from millstream.core.operation import Operation
from millstream.ops import list_values
from millstream.ops.functional_ops import is_true
from millstream.ops.list_values import NeedsHost
from millstream.runtime import backend, list_rooms, loop_bounds, region_plan
from millstream.runtime.traced_parts import Alike, Surroundings, all_hold, as_array, body_of, failing_later

if TYPE_CHECKING:
    from millstream.runtime.lowering import Lowered
    from millstream.runtime.services import TracedServices

# What is known of the variables after a turn: shapes in place of arrays.
Shapes = list[Any]


class TracedLoop:
    """A loop as a part of the program that is being traced.

    The program's loop carries what changes: the values, the variables that are written, the random streams, and whether
    all checks hold. A condition that checks, writes or draws is part of the turn before it; its result is carried, too.

    Args:
      services: those of the program around; they get what the functions assign, check and draw.
      op: the operation.
      condition, body: its functions.
      values: its inputs.
    """

    def __init__(
        self, services: TracedServices, op: Operation, condition: Lowered, body: Lowered, values: list[Any]
    ) -> None:
        fixed = region_plan.fixed_inputs(op)
        self._services, self._op = services, op
        self._functions = condition, body
        self._values = values
        self._changing = [
            index for index, (x, y) in enumerate(zip(body.inputs, body.outputs, strict=True))
            if x is not y and index not in fixed
        ]  # fmt: skip
        self._around = Surroundings(services, self._functions, fixed)
        self._test, self._turn = body_of(condition, fixed), body_of(body, fixed)
        self._pure_test = not self._test.has_checks and not Surroundings(services, (condition,), fixed).change
        self._bounds = loop_bounds.UNKNOWN
        self._alike = Alike()
        self._has_checked = False

    def run(self, pays: Callable[[Shapes], bool] | None = None) -> list[Any]:
        """The values after the last turn.

        Args:
          pays: whether a loop with the room that its lists need is worthwhile, given the variables after a turn.

        Raises:
          NeedsHost: it cannot be a part of a program, or it does not pay.
        """
        with failing_later():
            self._bounds = loop_bounds.bounds(*self._functions, self._values, self._tested_at_start)
            if self._bounds.turns == 0 and self._bounds.exact:
                return self._values
            self._values = loop_bounds.with_appended(self._functions[1], self._values, self._bounds)
            self._make_room(pays)
            passed = backend.jax().numpy.asarray(True)
            start = self._alike.checked(self._carry(self._around.inside(), self._values, passed))
            carry = backend.jax().lax.while_loop(self._goes_on, self._next, start)
        changed, effects, passed, _ = carry
        if self._has_checked:
            self._services.check_region(self._op, passed)
        self._around.take(effects)
        values = self._with_changed(changed)
        for index, value in self._bounds.after.items():
            values[index] = value
        return values

    def _tested_at_start(self) -> dict[Any, Any]:
        return self._test.values(self._around.inside(), self._values)

    def _make_room(self, pays: Callable[[Shapes], bool] | None) -> None:
        """Gives the lists that grow, or whose elements are written, in the loop the form and the room that this takes.

        Raises:
          NeedsHost: nobody knows how much room that is, it would take too much memory, or it does not pay.
        """
        places = [index for index, value in enumerate(self._values) if isinstance(value, list_values.LISTS)]
        if not places:
            return
        after = backend.jax().eval_shape(lambda: self._turn.run(self._around.inside(), self._values))
        if pays is not None and not pays(after):
            raise NeedsHost
        for index in places:
            self._values[index] = list_rooms.with_room(self._values[index], after[index], self._bounds.turns)

    # --- What the program's loop does ---------------------------------------------------------------------------------

    def _next(self, carry: Any) -> Any:
        """One turn."""
        changed, effects, passed, _ = carry
        services, values = self._around.inside(effects), self._with_changed(changed)
        services.ranges += [(values[index], *ends) for index, ends in self._bounds.ranges.items()]
        return self._alike.checked(self._carry(services, self._turn.run(services, values), passed))

    def _goes_on(self, carry: Any) -> Any:
        changed, effects, passed, go_on = carry
        if self._pure_test:
            go_on = self._condition(self._around.inside(effects), self._with_changed(changed))
        return passed & go_on

    def _condition(self, services: TracedServices, values: Sequence[Any]) -> Any:
        return is_true(as_array(self._test.run(services, values)[0]))

    def _carry(self, services: TracedServices, values: Sequence[Any], passed: Any) -> Any:
        go_on = () if self._pure_test else self._condition(services, values)
        if services.flags:
            passed = passed & all_hold(services.flags)
            self._has_checked = True
        return [as_array(values[index]) for index in self._changing], self._around.effects(services), passed, go_on

    def _with_changed(self, changed: Sequence[Any]) -> list[Any]:
        values = list(self._values)
        for index, value in zip(self._changing, changed, strict=True):
            values[index] = value
        return values
