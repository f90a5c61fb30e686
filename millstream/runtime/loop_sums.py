"""Sums over the turns of a loop, as one operation on what all turns have to add.

The gradient of a weight that a loop uses is a sum over its turns: each adds a product of two small matrices to a large
one. It is several times faster to keep the factors of all turns, and to multiply once: the products of the turns are
one product of the matrices that have the rows of all turns.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from millstream.core.dtypes import variant
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.ops.list_ops import tensor_list_push_back_op
from millstream.ops.list_values import ElementList
from millstream.runtime import backend
from millstream.runtime.lowering import Lowered

_ADDITIONS = frozenset(("Add", "AddN", "AddV2"))
# Operations whose result for the rows of all turns is the sum of their results for the rows of each turn.
_SUM_OVER_ROWS: dict[str, Callable[[Operation], bool]] = {
    "MatMul": lambda op: op.attrs["transpose_a"] and not op.attrs["transpose_b"],
    "BiasAddGrad": lambda op: op.attrs["data_format"] == "NHWC",
}


class Sum(NamedTuple):
    """One of the loop's variables, to which each turn adds the results of some operations."""

    place: int
    terms: list[Operation]


class Factored:
    """A loop without some of its sums: it keeps what the terms are computed from.

    Attributes:
      condition, body: the functions of that loop. Its variables are those of the loop itself, and lists.
    """

    def __init__(self, condition: Lowered, body: Lowered, sums: Sequence[Sum]) -> None:
        self._sums = sums
        factors = dict.fromkeys(tensor for each in sums for term in each.terms for tensor in term.inputs)
        self._places = {tensor: len(body.inputs) + index for index, tensor in enumerate(factors)}
        outputs = list(body.outputs)
        for each in sums:
            outputs[each.place] = body.inputs[each.place]
        lists = [body.graph_input(variant, "rows") for _ in factors]
        with body.graph.as_default():
            outputs += [tensor_list_push_back_op(rows, tensor) for rows, tensor in zip(lists, factors, strict=True)]
        unused = [condition.graph_input(variant, "unused") for _ in factors]
        self.body = body.with_ends([*body.inputs, *lists], outputs)
        self.condition = condition.with_ends([*condition.inputs, *unused], condition.outputs)

    def start(self, values: Sequence[Any]) -> list[Any]:
        """The variables at the start."""
        return [*values, *(ElementList() for _ in self._places)]

    def pays(self, after: Sequence[Any]) -> bool:
        """Whether keeping the factors takes less than adding up in each turn; `after`: the variables after a turn."""
        jax = backend.jax()
        kept = sum(leaf.size for place in self._places.values() for leaf in jax.tree.leaves(after[place]))
        return kept <= 2 * sum(after[each.place].size for each in self._sums)

    def finish(self, values: Sequence[Any]) -> list[Any]:
        """The variables of the loop itself after its last turn."""
        found = list(values[: len(values) - len(self._places)])
        if isinstance(values[-1], ElementList):  # there was no turn
            return found
        for each in self._sums:
            for term in each.terms:
                found[each.place] = found[each.place] + self._term(term, values)
        return found

    def _term(self, op: Operation, values: Sequence[Any]) -> Any:
        rows = [values[self._places[tensor]].buffer for tensor in op.inputs]
        merged = [array.reshape(array.shape[0] * array.shape[1], *array.shape[2:]) for array in rows]
        attrs = {name: op.attrs[name] for name in op.definition.kernel_attrs}
        return op.definition.kernel(backend.jax().numpy, *merged, **attrs)


def factored(condition: Lowered, body: Lowered) -> Factored | None:
    """The loop without sums of its turns, or None where it has none of the kind."""
    key = "sums", condition
    if key not in body.runners:
        sums = list(_sums(condition, body))
        body.runners[key] = Factored(condition, body, sums) if sums else None
    return body.runners[key]  # type: ignore[return-value]


def _sums(condition: Lowered, body: Lowered) -> Iterator[Sum]:
    uses, tested = body.uses(), condition.uses()
    for place, (x, y) in enumerate(zip(body.inputs, body.outputs, strict=True)):
        if x is y or body.handles[place] is not None or uses.get(x) != 1 or uses[y] != 1:
            continue
        if condition.inputs[place] in tested:
            continue
        terms = _terms(y, x, uses)
        if terms:
            yield Sum(place, terms)


def _terms(total: Tensor, start: Tensor, uses: dict[Tensor, int]) -> list[Operation] | None:
    """The operations whose results are added to `start`, or None where the sum is not of that kind."""
    terms: list[Operation] = []
    stack, found_start = [total], False
    while stack:
        tensor = stack.pop()
        op = tensor.op
        if tensor is start:
            found_start = True
        elif op.type in _ADDITIONS and (tensor is total or uses[tensor] == 1):
            stack.extend(op.inputs)
        elif op.type in _SUM_OVER_ROWS and _SUM_OVER_ROWS[op.type](op):
            terms.append(op)
        else:
            return None
    return terms if found_start else None
