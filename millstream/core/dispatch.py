"""`apply_op`: the one entrance for every operation.

Converts the inputs to tensors, infers type attributes, checks all attributes against the signature, runs the shape
rule, and adds a node to the graph; in eager mode the runtime's executor takes over.
"""
from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NoReturn

from millstream.core import context, errors, opdef, tape, traceback
from millstream.core.conversion import convert_in_scope
from millstream.core.dtypes import DType, as_dtype
from millstream.core.eager import EagerTensor
from millstream.core.graph import Graph, get_default_graph
from millstream.core.opdef import REQUIRED, ArgSpec, AttrSpec, OpDef
from millstream.core.operation import Operation
from millstream.core.shape_context import ShapeContext
from millstream.core.shapes import as_plain, format_shape
from millstream.core.tensor import Tensor


def apply_op(definition: OpDef, inputs: Sequence[Any], attrs: dict[str, Any], name: str | None) -> Any:
    """Applies an operation to values of any convertible kind.

    Args:
      definition: the operation.
      inputs: one value for each argument of the signature, a list for `N*T` and `T[]`.
      attrs: attributes by name; those left out are inferred or take their defaults.
      name: the node's name; default: the operation's type.

    Returns:
      A tensor, a list of tensors for a list output, a named tuple for several outputs, or the `Operation`
      where there is no output.

    Raises:
      TypeError: an input has a type that the signature does not allow, or does not match another input's.
      ValueError: an attribute's value or the inputs' shapes are not allowed.
    """
    if context.executing_eagerly():
        return context.EAGER_EXECUTOR[0](definition, inputs, attrs, name)
    graph = _graph_of(inputs)
    full_name = graph.operation_name(name or definition.name)
    type_attr = definition.single_type_attr
    if type_attr is not None and not attrs and len(definition.inputs) == len(inputs):
        flat, node_attrs = plain_inputs(definition, type_attr, inputs, graph, full_name)
    else:
        flat, node_attrs = general_inputs(definition, inputs, attrs, graph, full_name)
    if tape.current.tapes and tape.is_followed(flat, graph) and definition.calls_function:
        from millstream.core.graph_function import CALLS, call_instead

        if definition.name not in CALLS:
            return call_instead(definition, flat, node_attrs)
    op = _add_node(graph, definition, full_name, flat, node_attrs)
    if tape.current.tapes:
        tape.record(op, graph)
    return outputs_of(op)


opdef.APPLY.append(apply_op)


def create_flat(graph: Graph, op_type: str, flat: list[Tensor], attrs: dict[str, Any], name: str | None) -> Operation:
    """Adds an operation whose inputs are tensors already, given flat; type attributes are inferred."""
    definition = graph.find_definition(op_type)
    full_name = graph.operation_name(name or op_type)
    return create_named(graph, definition, full_name, flat, attrs)


def create_named(
    graph: Graph, definition: OpDef, full_name: str, flat: list[Tensor], attrs: dict[str, Any]
) -> Operation:
    """Adds an operation of that exact, unused name; checks attributes and input types."""
    grouped = _group_flat(definition, flat, attrs)
    private = {key: value for key, value in attrs.items() if key.startswith("_")}
    public = {key: value for key, value in attrs.items() if not key.startswith("_")}
    inputs, node_attrs = general_inputs(definition, grouped, public, graph, full_name)
    node_attrs.update(private)
    return _add_node(graph, definition, full_name, inputs, node_attrs)


def create_checked(
    graph: Graph,
    definition: OpDef,
    full_name: str,
    inputs: list[Tensor],
    attrs: dict[str, Any],
    frames: traceback.Positions | None = None,
) -> Operation:
    """Adds an operation of that exact, unused name, whose attributes and input types have been checked.

    Args:
      frames: where the program made it; None: where it runs.
    """
    op = Operation(graph, definition, full_name, tuple(inputs), attrs, frames=frames)
    dtypes = output_dtypes(definition, attrs)
    graph.add_operation(op, dtypes, infer_shapes(op, len(dtypes)))
    return op


def _group_flat(definition: OpDef, flat: list[Tensor], attrs: dict[str, Any]) -> list[Any]:
    """Groups flat inputs by argument, deriving the length of a list where it is the only one."""
    known = dict(attrs)
    lists = [spec for spec in definition.inputs if spec.is_list]
    for spec in lists:
        key = spec.number_attr or spec.list_attr
        if key is not None and key not in known and len(lists) == 1:
            length = len(flat) - (len(definition.inputs) - 1)
            known[key] = length if spec.number_attr else (None,) * max(length, 0)
    try:
        places = opdef.argument_slices(definition.inputs, known)
        last = places[-1] if places else -1
        end = last.stop if isinstance(last, slice) else last + 1
    except (KeyError, TypeError):
        end = -1
    if end != len(flat):
        raise ValueError(f"{definition.name} does not take {len(flat)} inputs: its signature is {definition.signature}")
    return opdef.group_arguments(definition.inputs, known, flat)


def outputs_of(op: Operation) -> Any:
    """What applying an operation returns: see `apply_op`."""
    specs = op.definition.outputs
    if len(specs) == 1 and not specs[0].is_list:
        return op.outputs[0]
    if not specs:
        return op
    grouped = opdef.group_arguments(specs, op.attrs, op.outputs)
    return grouped[0] if len(specs) == 1 else result_type(op.definition)(*grouped)


_result_types: dict[str, Any] = {}


def result_type(definition: OpDef) -> Any:
    """The named tuple of an operation with several outputs."""
    found = _result_types.get(definition.name)
    if found is None:
        names = [spec.name for spec in definition.outputs]
        found = _result_types[definition.name] = namedtuple(definition.name, names)
    return found


def _graph_of(inputs: Sequence[Any]) -> Graph:
    """The graph that the input tensors belong to, or the default graph.

    A function's graph takes tensors of other graphs, which it captures.
    """
    default = get_default_graph()
    if default.is_body:
        return default
    graph = None
    for value in inputs:
        if isinstance(value, Tensor):
            if value.is_eager:
                continue  # refused where it is converted
            if graph is None:
                graph, first = value.op.graph.root, value
            elif value.op.graph.root is not graph:
                raise ValueError(f"{value} must be from the same graph as {first}.")
        elif isinstance(value, (list, tuple)):
            for item in value:
                if isinstance(item, Tensor) and not item.is_eager:
                    if graph is None:
                        graph, first = item.op.graph.root, item
                    elif item.op.graph.root is not graph:
                        raise ValueError(f"{item} must be from the same graph as {first}.")
    return default if graph is None else graph


class _TypeAttrs(dict[tuple[str, Any], dict[str, Any]]):
    """`{"T": dtype}` for each type: attributes are never changed in place, so operations share them."""

    def __missing__(self, key: tuple[str, Any]) -> dict[str, Any]:
        made = self[key] = {key[0]: key[1]}
        return made


_type_attrs = _TypeAttrs()


# --- Inputs --------------------------------------------------------------------------------------------------------


def plain_inputs(
    definition: OpDef, type_attr: str, inputs: Sequence[Any], graph: Graph | None, full_name: str
) -> tuple[list[Tensor], dict[str, Any]]:
    """The quick way for operations whose inputs are single tensors of one type."""
    dtype: DType | None = None
    flat = []
    for spec, value in zip(definition.inputs, inputs, strict=True):
        kind = type(value)
        if not (kind is EagerTensor if graph is None else kind is Tensor and value.op.graph is graph):
            wanted = _dtype_of_tensors(inputs) if graph is None and dtype is None else dtype
            value = _convert_one(definition, spec, value, graph, full_name, wanted, None)
        base = value.dtype.base_dtype
        if dtype is None:
            dtype = base
            allowed = definition.attrs[type_attr].allowed
            if allowed is not None and base not in allowed:
                _raise_not_allowed(spec.name, type_attr, base, allowed)
        elif base is not dtype:
            _raise_mismatch(definition, spec, base, dtype, type_attr)
        flat.append(value)
    return flat, _type_attrs[type_attr, dtype]


def general_inputs(
    definition: OpDef, inputs: Sequence[Any], attrs: dict[str, Any], graph: Graph | None, full_name: str
) -> tuple[list[Tensor], dict[str, Any]]:
    """Converts and checks inputs and attributes of any signature."""
    if len(inputs) != len(definition.inputs):
        raise TypeError(
            f"{definition.name} takes {len(definition.inputs)} inputs, received {len(inputs)}: {definition.signature}"
        )
    known: dict[str, Any] = {}
    for key, value in attrs.items():
        spec = definition.attrs.get(key)
        if spec is None:
            raise TypeError(f"apply_op() got unexpected keyword arguments: {key} (op {definition.name})")
        known[key] = check_attr(definition, spec, value)
    flat: list[Tensor] = []
    for arg, value in zip(definition.inputs, inputs, strict=True):
        if arg.is_list:
            flat.extend(_list_input(definition, arg, value, graph, full_name, known))
        else:
            flat.append(_single_input(definition, arg, value, inputs, graph, full_name, known))
    return flat, _complete_attrs(definition, known)


def _dtype_of_tensors(inputs: Sequence[Any]) -> DType | None:
    """The dtype of the first tensor or variable: eagerly, values before it become of its dtype too."""
    return next((value.dtype.base_dtype for value in inputs if _is_tensor(value)), None)


def _single_input(
    definition: OpDef,
    arg: ArgSpec,
    value: Any,
    inputs: Sequence[Any],
    graph: Graph | None,
    full_name: str,
    known: dict[str, Any],
) -> Tensor:
    dtype, preferred = arg.dtype, None
    if arg.type_attr is not None:
        dtype = known.get(arg.type_attr)
        if dtype is None:
            default = definition.attrs[arg.type_attr].default
            preferred = None if default is REQUIRED else default
    kind = type(value)
    if arg.is_ref or not (kind is EagerTensor if graph is None else kind is Tensor and value.op.graph is graph):
        wanted = dtype
        if graph is None and dtype is None:
            pairs = zip(definition.inputs, inputs, strict=True)
            same = [other for spec, other in pairs if spec.type_attr == arg.type_attr]
            wanted = _dtype_of_tensors(same)
        value = _convert_one(definition, arg, value, graph, full_name, wanted, preferred)
    if arg.is_ref and not value.dtype.is_ref:
        raise TypeError(
            f"'{definition.name}' Op requires that input '{arg.name}' be a mutable tensor (e.g.: a tf.Variable)"
        )
    base = value.dtype.base_dtype
    if dtype is None:
        allowed = definition.attrs[arg.type_attr].allowed  # type: ignore[index]
        if allowed is not None and base not in allowed:
            _raise_not_allowed(arg.name, str(arg.type_attr), base, allowed)
        known[arg.type_attr] = base  # type: ignore[index]
    elif base is not dtype:
        _raise_mismatch(definition, arg, base, dtype, arg.type_attr)
    return value


def _convert_one(
    definition: OpDef,
    arg: ArgSpec,
    value: Any,
    graph: Graph | None,
    full_name: str,
    dtype: DType | None,
    preferred: DType | None,
) -> Tensor:
    try:
        if arg.is_ref:  # a variable as such, whatever its dtype: the comparison comes afterwards
            return convert_in_scope(value, graph, None, full_name, arg.name, True)
        return convert_in_scope(value, graph, dtype, full_name, arg.name, False, preferred)
    except errors.InaccessibleTensorError:
        raise
    except errors.LeakedTensorError as error:
        raise error.used_by(full_name) from None
    except TypeError as error:
        if dtype is None or graph is None:
            raise
        raise TypeError(
            f"Expected {dtype.name} passed to parameter '{arg.name}' of op '{definition.name}', "
            f"got {value!r} of type '{type(value).__name__}' instead. Error: {error}"
        ) from None
    except ValueError:  # a variable of another dtype, or nothing that becomes a tensor at all
        try:
            found = convert_in_scope(value, graph, None, full_name, arg.name)
        except ValueError as error:
            raise ValueError(f"Tried to convert '{arg.name}' to a tensor and failed. Error: {error}") from None
        if dtype is None:
            raise
        _raise_mismatch(definition, arg, found.dtype.base_dtype, dtype, arg.type_attr)


def _list_input(
    definition: OpDef, arg: ArgSpec, values: Any, graph: Graph | None, full_name: str, known: dict[str, Any]
) -> list[Tensor]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"Expected list for '{arg.name}' argument to '{definition.name}' Op, not {values!r}.")
    dtype = known.get(arg.type_attr) if arg.type_attr else None
    if dtype is None and arg.list_attr is None:
        dtype = next((item.dtype.base_dtype for item in values if hasattr(item, "dtype") and _is_tensor(item)), None)
    wanted: Sequence[DType | None] = [dtype] * len(values)
    if arg.list_attr is not None and known.get(arg.list_attr) is not None:
        wanted = known[arg.list_attr]
        if len(wanted) != len(values):
            raise ValueError(
                f"Attr '{arg.list_attr}' of '{definition.name}' Op has {len(wanted)} types for {len(values)} values."
            )
    tensors: list[Tensor] = []
    try:
        for index, (value, item_dtype) in enumerate(zip(values, wanted, strict=True)):
            name = f"{arg.name}_{index}"
            tensors.append(convert_in_scope(value, graph, item_dtype, full_name, name, arg.is_ref))
            if dtype is None and arg.list_attr is None:
                dtype = tensors[0].dtype.base_dtype
                wanted = [dtype] * len(values)
        if arg.list_attr is None and any(tensor.dtype.base_dtype is not dtype for tensor in tensors):
            raise TypeError
    except errors.LeakedTensorError as error:
        raise error.used_by(full_name) from None
    except (TypeError, ValueError) as error:
        _raise_list_mismatch(definition, arg, values, graph, error)
    _record_list(definition, arg, tensors, known)
    return tensors


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or hasattr(value, "_as_graph_element")


def _record_list(definition: OpDef, arg: ArgSpec, tensors: list[Tensor], known: dict[str, Any]) -> None:
    """Infers the attributes that a list input fixes and checks its length."""
    length = len(tensors)
    if arg.number_attr is not None:
        minimum = definition.attrs[arg.number_attr].minimum
        if minimum is not None and length < minimum:
            raise ValueError(
                f"List argument '{arg.name}' to '{definition.name}' Op with length {length} shorter than minimum "
                f"length {minimum}."
            )
        if known.setdefault(arg.number_attr, length) != length:
            raise ValueError(
                f"List argument '{arg.name}' to '{definition.name}' Op with length {length} must match length "
                f"{known[arg.number_attr]} of argument '{arg.number_attr}'."
            )
        if arg.type_attr is not None and tensors:
            base = tensors[0].dtype.base_dtype
            allowed = definition.attrs[arg.type_attr].allowed
            if allowed is not None and base not in allowed:
                _raise_not_allowed(arg.name, str(arg.type_attr), base, allowed)
            known[arg.type_attr] = base
    elif arg.list_attr is not None:
        known[arg.list_attr] = tuple(tensor.dtype.base_dtype for tensor in tensors)
        minimum = definition.attrs[arg.list_attr].minimum
        if minimum is not None and length < minimum:
            raise ValueError(
                f"Length of attr '{arg.list_attr}' of '{definition.name}' Op: {length} is less than minimum {minimum}."
            )


def _raise_mismatch(definition: OpDef, arg: ArgSpec, got: DType, wanted: DType, type_attr: str | None) -> NoReturn:
    if context.executing_eagerly():
        raise _other_type(definition, definition.inputs.index(arg), got, wanted)
    prefix = f"Input '{arg.name}' of '{definition.name}' Op has type {got.name} that does not match"
    if type_attr is None:
        raise TypeError(f"{prefix} expected type of {wanted.name}.")
    first = next((spec.name for spec in definition.inputs if spec.type_attr == type_attr), None)
    if first is None or first == arg.name:
        raise TypeError(f"{prefix} expected type of {wanted.name}.")
    raise TypeError(f"{prefix} type {wanted.name} of argument '{first}'.")


def _other_type(definition: OpDef, index: int, got: DType, wanted: DType) -> errors.InvalidArgumentError:
    """What eager execution says of an input that is of another type than the first one."""
    return errors.InvalidArgumentError(
        None,
        None,
        f"cannot compute {definition.name} as input #{index}(zero-based) was expected to be a {wanted.short_name} "
        f"tensor but is a {got.short_name} tensor [Op:{definition.name}]",
    )


def _raise_not_allowed(name: str, attr: str, dtype: DType, allowed: Sequence[DType]) -> None:
    if context.executing_eagerly():
        names = ", ".join(item.short_name for item in allowed)
        message = f"Value for attr '{attr}' of {dtype.short_name} is not in the list of allowed values: {names}"
        raise errors.InvalidArgumentError(None, None, message)
    names = ", ".join(item.name for item in allowed)
    raise TypeError(
        f"Value passed to parameter '{name}' has DataType {dtype.name} not in list of allowed values: {names}"
    )


def _raise_list_mismatch(definition: OpDef, arg: ArgSpec, values: Any, graph: Graph | None, error: Exception) -> None:
    """Explains why the elements of a list did not become tensors of one type."""
    found = []
    for value in values:
        try:
            found.append(convert_in_scope(value, graph, None, "", None).dtype.base_dtype.name)
        except (TypeError, ValueError):
            found.append("<NOT CONVERTIBLE TO TENSOR>")
    prefix = f"Tensors in list passed to '{arg.name}' of '{definition.name}' Op have types [{', '.join(found)}]"
    if "<NOT CONVERTIBLE TO TENSOR>" in found and str(error):
        raise error
    if context.executing_eagerly() and arg.dtype is None:
        types = [as_dtype(name) for name in found]
        odd = next((index for index, dtype in enumerate(types) if dtype is not types[0]), None)
        if odd is None or not _is_tensor(values[odd]):
            raise error
        raise _other_type(definition, definition.inputs.index(arg) + odd, types[odd], types[0]) from None
    if arg.dtype is not None:
        raise TypeError(f"{prefix} that do not match expected type {arg.dtype.name}.") from None
    raise TypeError(f"{prefix} that don't all match.") from None


# --- Attributes ----------------------------------------------------------------------------------------------------


def _complete_attrs(definition: OpDef, known: dict[str, Any]) -> dict[str, Any]:
    """All attributes in the signature's order, with defaults for those not known."""
    if len(known) == len(definition.attrs):
        return known
    complete = {}
    for key, spec in definition.attrs.items():
        if key in known:
            complete[key] = known[key]
        elif spec.default is not REQUIRED:
            complete[key] = spec.default
        else:
            raise TypeError(f"No argument for attr {key} of '{definition.name}' Op: {definition.signature}")
    return complete


# The Python types of attributes that are in their plain form already.
_EXACT = {"int": int, "bool": bool, "string": str}


def check_attr(definition: OpDef, spec: AttrSpec, value: Any) -> Any:
    """An attribute's value in its plain form, checked against the signature.

    Raises:
      TypeError: it is of the wrong kind.
      ValueError: it is not among the allowed values, or below the minimum.
    """
    if type(value) is _EXACT.get(spec.kind) and spec.minimum is None and spec.allowed is None:
        return value
    if spec.kind.startswith("list("):
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"Expected list for attr {spec.name}")
        kind = spec.kind[5:-1]
        plain: Any = tuple(_plain_attr(kind, item, spec.name) for item in value)
        size: int | None = len(plain)
    else:
        plain = _plain_attr(spec.kind, value, spec.name)
        size = plain if spec.kind == "int" else None
    if spec.minimum is not None and size is not None and size < spec.minimum:
        passed = f"list of length {size}" if isinstance(plain, tuple) else size
        raise ValueError(
            f"Attr '{spec.name}' of '{definition.name}' Op passed {passed} less than minimum {spec.minimum}."
        )
    if spec.allowed is not None:
        for item in plain if isinstance(plain, tuple) else (plain,):
            if item not in spec.allowed:
                _raise_attr_not_allowed(definition, spec, item)
    return plain


def _raise_attr_not_allowed(definition: OpDef, spec: AttrSpec, value: Any) -> None:
    if isinstance(value, DType):
        _raise_not_allowed(spec.name, spec.name, value, spec.allowed or ())
    allowed = '", "'.join(str(item) for item in spec.allowed or ())
    raise ValueError(f"Attr '{spec.name}' of '{definition.name}' Op passed string '{value}' not in: \"{allowed}\".")


def _plain_attr(kind: str, value: Any, name: str) -> Any:
    if kind == "type":
        try:
            return as_dtype(value).base_dtype
        except TypeError:
            raise TypeError(f"Expected DataType for argument '{name}' not {value!r}.") from None
    if kind == "bool":
        if not isinstance(value, bool) and type(value).__name__ != "bool_" and type(value).__name__ != "bool":
            raise TypeError(f"Expected bool for argument '{name}' not {value!r}.")
        return bool(value)
    if kind == "int":
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, float) or not hasattr(value, "__index__"):
            raise TypeError(f"Expected int for argument '{name}' not {value!r}.")
        return value.__index__()
    if kind == "float":
        try:
            return opdef.as_float32(float(value))
        except (TypeError, ValueError):
            raise TypeError(f"Expected float for argument '{name}' not {value!r}.") from None
    if kind == "shape":
        return as_plain(value)
    if kind == "string":
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        if not isinstance(value, str):
            raise TypeError(f"Expected string for argument '{name}' not {value!r}.")
        return value
    return value


# --- Outputs -------------------------------------------------------------------------------------------------------


def _add_node(
    graph: Graph, definition: OpDef, full_name: str, flat: Sequence[Tensor], attrs: dict[str, Any]
) -> Operation:
    op = Operation(graph, definition, full_name, tuple(flat), attrs)
    dtypes = output_dtypes(definition, attrs)
    shapes = infer_shapes(op, len(dtypes))
    if not definition.takes_refs:
        graph.add_operation(op, dtypes, shapes)
        return op
    with ExitStack() as scopes:  # an operation on variables is placed beside them
        for tensor in _ref_inputs(op):
            scopes.enter_context(graph.colocate_with(tensor.op))
        graph.add_operation(op, dtypes, shapes)
    return op


def _ref_inputs(op: Operation) -> list[Tensor]:
    """The inputs that the signature declares as references."""
    specs = op.definition.inputs
    found: list[Tensor] = []
    for spec, place in zip(specs, opdef.argument_slices(specs, op.attrs), strict=True):
        if spec.is_ref:
            found.extend(op.inputs[place] if isinstance(place, slice) else (op.inputs[place],))
    return found


def with_output_types(definition: OpDef, attrs: dict[str, Any]) -> dict[str, Any]:
    """New functions as attributes, together with the output types that follow from them."""
    function = next(iter(attrs.values()))
    if isinstance(function, tuple):
        function = function[0]
    types = tuple(tensor.dtype.base_dtype for tensor in function.outputs)
    return {**attrs, definition.outputs[0].list_attr: types}  # type: ignore[dict-item]


def output_dtypes(definition: OpDef, attrs: dict[str, Any]) -> list[DType]:
    if definition.single_type_attr is not None:
        return [attrs[definition.single_type_attr]]
    found: list[DType] = []
    for spec in definition.outputs:
        if spec.list_attr is not None:
            found.extend(attrs[spec.list_attr])
            continue
        dtype: Any = attrs[spec.type_attr] if spec.type_attr is not None else spec.dtype
        if spec.is_ref:
            dtype = dtype._as_ref
        found.extend([dtype] * (attrs[spec.number_attr] if spec.number_attr is not None else 1))
    return found


def infer_shapes(op: Operation, count: int) -> Sequence[Any]:
    """The static shapes of an operation's outputs.

    Raises:
      ValueError: the input shapes do not suit the operation.
    """
    rule = op.definition.shape_rule
    if rule is None or count == 0:
        if rule is not None:
            _run_shape_rule(op)
        return [None] * count
    found = _run_shape_rule(op)
    if type(found) is not list:
        return (found,)
    if len(found) != count:
        raise RuntimeError(f"The shape rule of {op.type} gave {len(found)} shapes for {count} outputs.")
    return found


def _run_shape_rule(op: Operation) -> Any:
    try:
        return op.definition.shape_rule(ShapeContext(op.definition, op.inputs, op.attrs))  # type: ignore[misc]
    except (ValueError, IndexError, ArithmeticError) as error:
        sentence = error if isinstance(error, ValueError) else "Inputs or attributes are of the wrong length or size"
        shapes = ", ".join(format_shape(tensor._shape) for tensor in op.inputs)
        message = f"{sentence} for '{op.name}' (op: '{op.type}') with input shapes: {shapes}"
        partial = _partial_shapes(op)
        if partial:
            message += f" and with input tensors computed as partial shapes: {partial}"
        raise ValueError(message + ".") from None


def _partial_shapes(op: Operation) -> str:
    """`input[1] = [3]` for the inputs of a failed operation whose value is a known shape."""
    from millstream.core.static_values import small_constant_value

    found = []
    for index, tensor in enumerate(op.inputs):
        if tensor.dtype.base_dtype.is_integer and tensor._shape is not None and len(tensor._shape) == 1:
            value = small_constant_value(tensor)
            if value is not None:
                found.append(f"input[{index}] = [{','.join('?' if item < 0 else str(item) for item in value)}]")
    return ", ".join(found)
