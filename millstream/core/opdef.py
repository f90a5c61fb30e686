"""Operation definitions and the registry.

An operation is declared once, by decorating its kernel:

    @op("Softplus(features: T) -> activations: T", T=FLOATS, shape=same_as(0))
    def softplus_op(xp, features):
        return xp.logaddexp(features, 0)

The text is the operation's signature. Inputs are `name: T` (a type attribute), `name: int32` (a fixed dtype),
`name: N*T` (N tensors of one type), `name: T[]` (a list of types) or `name: Ref(T)`; after `*,` stand the
attributes, `name: kind [= default]`. Names, order, allowed types and defaults are those of TensorFlow's OpDefs.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from ctypes import c_float
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from millstream.core import dtypes
from millstream.core.dtypes import DType

if TYPE_CHECKING:
    from millstream.core.operation import Operation
    from millstream.core.shape_context import ShapeContext
    from millstream.core.tensor import Tensor

Shape = tuple[int | None, ...] | None
ShapeRule = Callable[["ShapeContext"], Any]
Kernel = Callable[..., Any]
GradientFunction = Callable[..., Any]

APPLY: list[Callable[..., Any]] = []  # `dispatch.apply_op`, which installs itself here

REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "REQUIRED"})()
# The value on the branch of a `Switch` that is not taken: operations fed with it do not run, and give it in turn.
DEAD: Any = type("Dead", (), {"__repr__": lambda self: "DEAD"})()

# Keyword-only kernel parameters that are not attributes: services which the runtime hands in.
KERNEL_SERVICES = frozenset(("state", "stream", "check", "within", "node", "resource", "region"))
# What `op` takes by keyword besides the types of type attributes.
FLAGS = frozenset(
    "static stateful host traced_only moves_data reads_shape_only commutative aggregate allows_uninitialized "
    "asynchronous".split()
)


class ArgSpec(NamedTuple):
    """One input or output of an operation."""

    name: str
    dtype: DType | None  # the fixed dtype, or None where an attribute gives it
    type_attr: str | None  # the attribute that holds the dtype
    number_attr: str | None  # the attribute that holds the length of an `N*T` argument
    list_attr: str | None  # the list(type) attribute of a `T[]` argument
    is_ref: bool

    @property
    def is_list(self) -> bool:
        return self.number_attr is not None or self.list_attr is not None


class AttrSpec(NamedTuple):
    """One attribute of an operation."""

    name: str
    kind: str  # int float bool string type shape tensor func, or list(...) of one of these
    default: Any
    allowed: tuple[Any, ...] | None
    minimum: int | None


class OpDef:
    """An operation: its signature, shape rule, kernel and gradient. Calling it applies the operation."""

    __slots__ = (
        "name", "inputs", "outputs", "attrs", "shape_rule", "kernel", "kernel_attrs", "kernel_services",
        "static_inputs", "static_rule", "stateful", "host", "traced_only", "moves_data", "reads_shape_only",
        "commutative", "aggregate", "allows_uninitialized", "asynchronous", "writes", "takes_refs", "must_be_fed",
        "runs_python", "new_arrays", "calls_function", "gradient_function", "gradient_reason", "single_type_attr",
        "signature", "doc", "prepared",
    )  # fmt: skip

    def __init__(
        self, signature: str, type_sets: dict[str, Any], kernel: Kernel, shape: ShapeRule | None, **flags: Any
    ) -> None:
        self.signature = signature
        self.name, self.inputs, self.outputs, self.attrs = _parse_signature(signature, type_sets)
        self.shape_rule = shape
        self.kernel = kernel
        self.doc = kernel.__doc__
        self.kernel_attrs, self.kernel_services = _kernel_parameters(kernel)
        self.static_inputs: frozenset[str] = frozenset(flags.pop("static", ()))
        self.static_rule: Callable[[Operation], frozenset[str]] | None = flags.pop("static_rule", None)
        self.stateful: bool = flags.pop("stateful", False)
        self.host: bool = flags.pop("host", False)
        self.traced_only: bool = flags.pop("traced_only", False)
        self.moves_data: bool = flags.pop("moves_data", False)
        self.reads_shape_only: bool = flags.pop("reads_shape_only", False)
        self.commutative: bool = flags.pop("commutative", False)
        self.aggregate: bool = flags.pop("aggregate", False)
        self.allows_uninitialized: bool = flags.pop("allows_uninitialized", False)
        self.asynchronous: bool = flags.pop("asynchronous", False)
        self.runs_python: bool = flags.pop("runs_python", False)
        self.must_be_fed: bool = flags.pop("must_be_fed", False)
        self.new_arrays: bool = flags.pop("new_arrays", False)
        # Whether an attribute is a function, whose effects are those of the operation.
        self.calls_function: bool = any(spec.kind in ("func", "list(func)") for spec in self.attrs.values())
        self.takes_refs: bool = any(spec.is_ref for spec in self.inputs)
        writes = flags.pop("writes", None)
        if writes is None:  # an operation that uses the state service writes its Ref inputs
            writes = [spec.name for spec in self.inputs if spec.is_ref] if "state" in self.kernel_services else ()
        self.writes: frozenset[str] = frozenset(writes)
        if flags:
            raise TypeError(f"{self.name}: unknown flags {sorted(flags)}")
        unknown = self.static_inputs - {spec.name for spec in self.inputs}
        unknown |= {name for name in self.kernel_attrs if name not in self.attrs}
        if unknown:
            raise TypeError(f"{self.name}: {sorted(unknown)} are neither inputs nor attributes of {signature!r}")
        self.gradient_function: GradientFunction | None = None
        self.gradient_reason: str | None = None
        self.single_type_attr = self._find_single_type_attr()
        self.prepared: dict[Any, Any] = {}  # what the eager runtime has made ready, by attributes

    def _find_single_type_attr(self) -> str | None:
        """The only attribute, where it is the type of all inputs and of the output: the quick way of `apply_op`."""
        names = {spec.type_attr for spec in (*self.inputs, *self.outputs)}
        plain = all(not spec.is_list and not spec.is_ref for spec in (*self.inputs, *self.outputs))
        name = names.pop() if len(names) == 1 else None
        if name is None or not plain or not self.inputs or len(self.outputs) != 1:
            return None
        return name if list(self.attrs) == [name] and self.attrs[name].default is REQUIRED else None

    def static_names(self, op: Operation) -> frozenset[str]:
        """The inputs of `op` that must be concrete when it is compiled."""
        return self.static_inputs if self.static_rule is None else self.static_rule(op)

    @property
    def foldable(self) -> bool:
        """Whether the kernel is a pure function that NumPy can compute beforehand from concrete inputs."""
        return not (self.stateful or self.host or self.traced_only or self.kernel_services - {"check"})

    def gradient(self, function: GradientFunction) -> GradientFunction:
        """Registers `function(op, *output_gradients)`, which builds the gradients of the inputs."""
        self.gradient_function = function
        return function

    def no_gradient(self, reason: str) -> None:
        """Says that the operation is not differentiable, and why; its inputs get no gradient."""
        self.gradient_reason = reason

    def __call__(self, *inputs: Any, name: str | None = None, **attrs: Any) -> Any:
        return APPLY[0](self, inputs, attrs, name)

    def __repr__(self) -> str:
        return f"<OpDef {self.signature}>"


REGISTRY: dict[str, OpDef] = {}


def op(signature: str, *, shape: ShapeRule | None = None, **keywords: Any) -> Callable[[Kernel], OpDef]:
    """Declares an operation; decorates its kernel and gives the `OpDef`.

    Args:
      signature: the operation's signature, in the grammar of this module's docstring.
      shape: the shape rule, `rule(context) -> shape or list of shapes`; None: shapes stay unknown.
      **keywords: allowed types of each type attribute that an input names (`T="float double"`), the minimum of a
        list's length (`N=2`), and flags: stateful, host (the kernel runs in Python on NumPy arrays, never compiled),
        static (names of inputs that must be concrete when compiled), static_rule (a function of the `Operation`
        that says which of these its kernel really needs so), traced_only (the kernel needs `jax.lax`),
        moves_data (a result's elements are elements of the inputs), reads_shape_only (the values of the inputs do
        not matter), writes (names of the variables it writes; default: all `Ref` inputs where the kernel takes
        `state`), commutative, aggregate, allows_uninitialized, asynchronous (a host kernel that gives a
        `concurrent.futures.Future` of its result; while the run waits for it, other runs of the session go on),
        new_arrays (the kernel runs in Python, and nobody else holds what it gives: a variable may take it over).
    """
    named = set(re.findall(r"\w+", signature)) - FLAGS
    type_sets = {key: keywords.pop(key) for key in list(keywords) if key in named}

    def declare(kernel: Kernel) -> OpDef:
        definition = OpDef(signature, type_sets, kernel, shape, **keywords)
        if definition.name in REGISTRY:
            raise ValueError(f"Operation {definition.name} is defined twice.")
        REGISTRY[definition.name] = definition
        return definition

    return declare


def find(op_type: str) -> OpDef:
    """The definition of `op_type`.

    Raises:
      NotFoundError: no operation of that name is registered.
    """
    definition = REGISTRY.get(op_type) or _load(op_type)
    if definition is None:
        from millstream.core import errors

        raise errors.NotFoundError(None, None, f"Op type not registered '{op_type}'.")
    return definition


def op_types() -> set[str]:
    """The types of all operations, of those too whose modules have not been imported yet."""
    return {*REGISTRY, *_modules()}


def _load(op_type: str) -> OpDef | None:
    """Imports the module that defines an operation."""
    module = _modules().get(op_type)
    if module is not None:
        import_module(module)
    return REGISTRY.get(op_type)


def _modules() -> dict[str, str]:
    """The module that defines each operation, as `tools/api_gen.py` found them."""
    modules: dict[str, str] = import_module("millstream._api.operations").MODULES
    return modules


def _kernel_parameters(kernel: Kernel) -> tuple[tuple[str, ...], frozenset[str]]:
    """Splits a kernel's keyword-only parameters into attributes and services."""
    code = kernel.__code__
    first = code.co_argcount
    names = code.co_varnames[first : first + code.co_kwonlyargcount]
    return (
        tuple(name for name in names if name not in KERNEL_SERVICES),
        frozenset(name for name in names if name in KERNEL_SERVICES),
    )


# --- Reading a signature -----------------------------------------------------------------------------------------

_KIND = re.compile(r"(list\(\w+\)|\w+)(?:\{(.*)\})?(?:\s*>=\s*(-?\d+))?$", re.DOTALL)


def _split(text: str) -> list[str]:
    """Splits at commas that stand outside of braces, brackets, quotes."""
    parts, depth, start, quoted = [], 0, 0, False
    for position, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "{[(":
            depth += 1
        elif letter in "}])":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _parse_signature(
    signature: str, type_sets: dict[str, Any]
) -> tuple[str, tuple[ArgSpec, ...], tuple[ArgSpec, ...], dict[str, AttrSpec]]:
    name, body, results = _match_signature(signature)
    attrs: dict[str, AttrSpec] = {}
    parts = _split(body)
    star = parts.index("*") if "*" in parts else len(parts)
    explicit = [_parse_attr(part) for part in parts[star + 1 :]]
    list_types = {spec.name for spec in explicit if spec.kind == "list(type)"}
    inputs = tuple(_parse_arg(part) for part in parts[:star])
    outputs = tuple(_parse_arg(part) for part in _split(results))
    minimums = {key: value for key, value in type_sets.items() if isinstance(value, int)}
    for spec in inputs:
        if spec.number_attr and spec.number_attr not in attrs:
            attrs[spec.number_attr] = AttrSpec(
                spec.number_attr, "int", REQUIRED, None, minimums.get(spec.number_attr, 1)
            )
        if spec.list_attr and spec.list_attr not in attrs and spec.list_attr not in list_types:
            attrs[spec.list_attr] = AttrSpec(
                spec.list_attr, "list(type)", REQUIRED, None, minimums.get(spec.list_attr, 1)
            )
    for key, value in type_sets.items():
        if not isinstance(value, int):
            allowed, default = _parse_types(value) if isinstance(value, str) else (value, REQUIRED)
            attrs[key] = AttrSpec(key, "type", default, allowed or None, None)
    for attr in explicit:
        attrs[attr.name] = attr
    for spec in (*inputs, *outputs):
        for attr_name in (spec.type_attr, spec.number_attr, spec.list_attr):
            if attr_name is not None and attr_name not in attrs:
                raise TypeError(f"Signature {signature!r} does not declare {attr_name!r}.")
    return name, inputs, outputs, attrs


def _match_signature(signature: str) -> tuple[str, str, str]:
    name, _, rest = signature.partition("(")
    end = _closing_parenthesis(rest)
    if end < 0:
        raise TypeError(f"Signature {signature!r} has no closing parenthesis.")
    tail = rest[end + 1 :].strip()
    if tail and not tail.startswith("->"):
        raise TypeError(f"Signature {signature!r}: expected '->', found {tail!r}.")
    return name.strip(), rest[:end], tail[2:].strip()


def _closing_parenthesis(text: str) -> int:
    """Where the parenthesis that is open before `text` closes; -1 where it does not."""
    depth = 1
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return position
    return -1


@cache
def _parse_arg(text: str) -> ArgSpec:
    name, _, kind = (part.strip() for part in text.partition(":"))
    is_ref = kind.startswith("Ref(")
    if is_ref:
        kind = kind[4:-1]
    if kind.endswith("[]"):
        return ArgSpec(name, None, None, None, kind[:-2], is_ref)
    number_attr = None
    if "*" in kind:
        number_attr, kind = (part.strip() for part in kind.split("*"))
    fixed = dtypes.find_short_name(kind)
    return ArgSpec(name, fixed, kind if fixed is None else None, number_attr, None, is_ref)


@cache
def _parse_types(text: str) -> tuple[tuple[DType, ...] | None, Any]:
    types, _, default = (part.strip() for part in text.partition("="))
    allowed = tuple(dtypes.by_short_name(name) for name in types.replace(",", " ").split())
    return allowed or None, dtypes.by_short_name(default) if default else REQUIRED


@cache
def _parse_attr(text: str) -> AttrSpec:
    name, _, rest = (part.strip() for part in text.partition(":"))
    kind, _, default_text = (part.strip() for part in rest.partition(" = "))
    match = _KIND.match(kind)
    if match is None:
        raise TypeError(f"Attribute {text!r} cannot be read.")
    base, allowed_text, minimum = match.groups()
    allowed = None
    if allowed_text:
        element = "type" if base in ("type", "list(type)") else "string"
        allowed = tuple(_parse_default(element, part) for part in _split(allowed_text))
    default = _parse_default(base, default_text) if default_text else REQUIRED
    return AttrSpec(name, base, default, allowed, int(minimum) if minimum else None)


def _parse_default(kind: str, text: str) -> Any:
    if kind.startswith("list("):
        return tuple(_parse_default(kind[5:-1], part) for part in _split(text[1:-1]))
    if kind == "type":
        return dtypes.by_short_name(text)
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text)
    if kind == "float":
        return as_float32(float(text))
    if kind == "shape":
        return None if text in ("None", "<unknown>", "unknown") else tuple(int(part) for part in _split(text[1:-1]))
    return text.strip("\"'")


def as_float32(value: float) -> float:
    """A float attribute as graphs store it, in single precision: `0.2` becomes `0.20000000298...`."""
    return c_float(value).value


# --- Attribute values ----------------------------------------------------------------------------------------------


def input_slices(definition: OpDef, attrs: dict[str, Any]) -> list[slice | int]:
    """Where each argument's tensors lie in an operation's flat inputs: an index, or a slice for a list."""
    return argument_slices(definition.inputs, attrs)


def argument_slices(specs: tuple[ArgSpec, ...], attrs: dict[str, Any]) -> list[slice | int]:
    """Like `input_slices` for any argument list (inputs or outputs)."""
    places: list[slice | int] = []
    position = 0
    for spec in specs:
        if spec.number_attr is not None:
            length = attrs[spec.number_attr]
        elif spec.list_attr is not None:
            length = len(attrs[spec.list_attr])
        else:
            places.append(position)
            position += 1
            continue
        places.append(slice(position, position + length))
        position += length
    return places


# Operations that make a handle, or stand for a value that is given.
_MAKE_HANDLES = frozenset(("VarHandleOp", "VariableV2", "Variable"))


def functions_of(op: Any) -> list[Any]:
    """The functions among an operation's attributes."""
    found: list[Any] = []
    for spec in op.definition.attrs.values():
        if spec.kind == "func":
            found.append(op.attrs[spec.name])
        elif spec.kind == "list(func)":
            found.extend(op.attrs[spec.name])
    return found


def changes_input(op: Any, index: int) -> bool:
    """Whether an operation may change the resource that is its flat input `index`."""
    definition = op.definition
    if definition.calls_function:
        # A condition or a branch index comes before what the functions take.
        position = index - (len(op.inputs) - _inputs_of_functions(op))
        return any(position in function.written_inputs for function in functions_of(op))
    if "state" not in definition.kernel_services:
        return True  # a queue, a table: whatever is done with it may change it
    for spec, place in zip(definition.inputs, input_slices(definition, op.attrs), strict=True):
        if place == index if isinstance(place, int) else place.start <= index < place.stop:
            return spec.name in definition.writes
    return False


def _inputs_of_functions(op: Any) -> int:
    places = input_slices(op.definition, op.attrs)
    last = places[-1]
    return last.stop - last.start if isinstance(last, slice) else 1


def has_other_effects(op: Any) -> bool:
    """Whether an operation does something besides changing its inputs: it prints, checks, calls Python."""
    definition = op.definition
    if definition.calls_function:
        return any(function.has_other_effects for function in functions_of(op))
    if not definition.stateful or definition.must_be_fed or definition.name in _MAKE_HANDLES:
        return False
    return not definition.kernel_services & {"stream", "state"}


def runs_python(op: Any) -> bool:
    """Whether an operation, or a function that it calls, calls the user's Python code."""
    definition = op.definition
    if definition.calls_function:
        return any(function.runs_python for function in functions_of(op))
    return definition.runs_python


def group_arguments(specs: tuple[ArgSpec, ...], attrs: dict[str, Any], flat: list[Any]) -> list[Any]:
    """Groups flat values by argument, a list for each `N*T` and `T[]` argument."""
    if not any(spec.is_list for spec in specs):
        return list(flat)
    return [
        list(flat[place]) if isinstance(place, slice) else flat[place] for place in argument_slices(specs, attrs)
    ]


def tensors_as_list(value: Tensor | list[Tensor] | tuple[Any, ...] | Operation | None) -> list[Any]:
    """Flattens what applying an operation gave into a list of tensors."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_as_list(item)]
    return [value]
