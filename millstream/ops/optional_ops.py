"""Optional values: lists of all components, or of none. TensorFlow keeps in them what gradients of branches need."""
from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.opdef import Shape, op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import scalar
from millstream.ops.list_values import ElementList


@op("OptionalFromValue(components: Toutput_types[]) -> optional: variant", shape=scalar)
def optional_from_value_op(xp, components):
    return ElementList(components)


@op("OptionalNone() -> optional: variant", shape=scalar)
def optional_none_op(xp):
    return ElementList()


@op("OptionalHasValue(optional: variant) -> has_value: bool", shape=scalar)
def optional_has_value_op(xp, optional):
    return np.bool_(optional.size > 0)


def _component_shapes(c: ShapeContext) -> list[Shape]:
    found = list(c.attr("output_shapes"))
    if len(found) != len(c.attr("output_types")):
        raise ValueError(f"There are {len(c.attr('output_types'))} output types, but {len(found)} output shapes")
    return found


@op(
    "OptionalGetValue(optional: variant, *, output_types: list(type) >= 1, output_shapes: list(shape) >= 1) -> "
    "components: output_types[]",
    shape=_component_shapes,
)
def optional_get_value_op(xp, optional, *, output_types):
    components: list[Any] = [optional.get(np.int32(index)) for index in range(min(optional.size, len(output_types)))]
    if len(components) < len(output_types) or any(item is None for item in components):
        raise errors.InvalidArgumentError(None, None, "The given optional does not have a value.")
    return components


@optional_from_value_op.gradient
def _(op, grad):
    return optional_get_value_op(
        grad, output_types=op.attrs["Toutput_types"], output_shapes=tuple(x._shape for x in op.inputs)
    )


@optional_get_value_op.gradient
def _(op, *grads):
    return optional_from_value_op(list(grads))


for _op in (optional_none_op, optional_has_value_op):
    _op.no_gradient("it depends on no number")
