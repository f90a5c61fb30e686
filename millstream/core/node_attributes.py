"""The attributes of a file's nodes: of the kinds and within the limits that the operations' signatures set."""
from __future__ import annotations

from typing import Any

from millstream.core import newer_attributes
from millstream.core.dtypes import DType
from millstream.core.graph_io import FIELDS, kind_of, plain_attr, plain_value
from millstream.core.opdef import REQUIRED, AttrSpec, OpDef

Attrs = dict[str, Any]
# Fields of an `AttrValue` whose value is the attribute's plain form.
_PLAIN = {"int": "i", "float": "f", "bool": "b"}


class UnknownAttributeError(ValueError):
    """A node has an attribute that its operation does not have here."""


class AttributeReader:
    """Reads the attributes of nodes.

    Args:
      producer_op_list: the operations of the program that wrote the file, or None.
    """

    def __init__(self, producer_op_list: Any) -> None:
        self._producer = {item.name: item for item in getattr(producer_op_list, "op", None) or ()}
        self._types: dict[tuple[str, str, int], DType] = {}  # by operation, attribute and number: those that were read
        self._defaults: dict[str, Attrs] = {}

    def read(self, node: Any, definition: OpDef) -> tuple[Attrs, Attrs]:
        """The attributes that a signature declares, in its order and complete, and those that begin with `_`.

        Raises:
          ValueError: one is malformed, missing or not known.
        """
        specs = definition.attrs
        attrs = self._defaults.get(definition.name)
        if attrs is None:
            attrs = self._defaults[definition.name] = {key: spec.default for key, spec in specs.items()}
        attrs = attrs.copy()
        private: Attrs = {}
        for key, value in node.attr.items():
            spec = specs.get(key)
            if spec is not None:
                attrs[key] = self._value(node, spec, value)
            elif key == "_class":
                continue  # see `colocation`
            elif key.startswith("_"):
                private[key] = _private_attr(value)
            elif not (self._is_producers_default(node.op, key, value) or _is_newer_default(node.op, key, value)):
                raise UnknownAttributeError(
                    f"NodeDef mentions attr '{key}' not in Op<name={definition.name}>; NodeDef: {{{{node "
                    f"{node.name}}}}}. (Check whether your GraphDef-interpreting binary is up to date with your "
                    "GraphDef-generating binary.)."
                )
        if any(value is REQUIRED for value in attrs.values()):
            missing = [f"'{key}'" for key, value in attrs.items() if value is REQUIRED]
            plural = "s" if len(missing) > 1 else ""
            raise ValueError(
                f"NodeDef missing attr{plural} {', '.join(missing)} from Op<name={definition.name}>; NodeDef: {{{{node "
                f"{node.name}}}}}"
            )
        return attrs, private

    def _value(self, node: Any, spec: AttrSpec, message: Any) -> Any:
        """The plain value of an attribute; the common kinds without detours."""
        kind = spec.kind
        if kind == "type":
            place = node.op, spec.name, message.type
            dtype = self._types.get(place)
            if dtype is None:
                dtype = _read_attr(node, spec, message)
                self._types[place] = dtype
            return dtype
        field = _PLAIN.get(kind)
        if field is not None and spec.minimum is None and spec.allowed is None and message.WhichOneof("value") == field:
            return getattr(message, field)
        return _read_attr(node, spec, message)

    def _is_producers_default(self, op_type: str, key: str, value: Any) -> bool:
        """Whether an attribute that is not known here has the value that the file's writer takes for granted."""
        known = self._producer.get(op_type)
        specs = () if known is None else known.attr
        return any(
            spec.name == key and spec.HasField("default_value") and spec.default_value == value for spec in specs
        )


def _read_attr(node: Any, spec: AttrSpec, message: Any) -> Any:
    """An attribute of a node from a file, of the kind and within the limits that the signature sets.

    Raises:
      ValueError: it is not.
    """
    found = kind_of(message)
    where = f"; NodeDef: {{{{node {node.name}}}}} (op: '{node.op}')"
    for_attr = f" for attr '{spec.name}'{where}"
    if found is None:
        raise ValueError(f"AttrValue missing value with expected type '{spec.kind}'{for_attr}")
    if found != spec.kind and not (found == "list()" and spec.kind.startswith("list(")):
        raise ValueError(f"AttrValue had value with type '{found}' when '{spec.kind}' expected{for_attr}")
    try:
        if spec.kind.startswith("list("):
            field = FIELDS[spec.kind[5:-1]]
            value: Any = tuple(plain_value(field, item) for item in getattr(message.list, field))
        else:
            value = plain_value(FIELDS[spec.kind], getattr(message, FIELDS[spec.kind]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{error}{for_attr}") from None
    _check_limits(spec, value, where)
    return value


def _is_newer_default(op_type: str, key: str, message: Any) -> bool:
    """Whether an attribute that a later release gave an operation asks for nothing new."""
    if (op_type, key) in newer_attributes.INFORMATION:
        return True
    default = newer_attributes.UNKNOWN_HERE.get((op_type, key))
    return default is not None and kind_of(message) is not None and plain_attr(message) == default


def _check_limits(spec: AttrSpec, value: Any, where: str) -> None:
    is_list = spec.kind.startswith("list(")
    for item in value if is_list else (value,):
        if isinstance(item, DType) and item.is_ref:
            raise ValueError(
                f"AttrValue must not have reference type value of {item.short_name} for attr '{spec.name}'{where}"
            )
    if spec.minimum is not None and (len(value) if is_list else value) < spec.minimum:
        what, size = ("Length", len(value)) if is_list else ("Value", value)
        raise ValueError(f"{what} for attr '{spec.name}' of {size} must be at least minimum {spec.minimum}{where}")
    if spec.allowed is None:
        return
    for item in value if is_list else (value,):
        if item not in spec.allowed:
            listed = ", ".join(map(_show, spec.allowed))
            raise ValueError(
                f"Value for attr '{spec.name}' of {_show(item)} is not in the list of allowed values: {listed}{where}"
            )


def _show(value: Any) -> str:
    return value.short_name if isinstance(value, DType) else f'"{value}"'


def _private_attr(message: Any) -> Any:
    """An attribute that no signature declares: bytes, or a copy of the message."""
    if message.WhichOneof("value") == "s":
        return message.s
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def colocation(node: Any) -> tuple[str, ...]:
    """The names, as `loc:@op`, of what a node is placed beside."""
    if not node.attr or "_class" not in node.attr:
        return ()
    value = node.attr["_class"]
    if kind_of(value) not in ("list()", "list(string)"):
        raise ValueError(f"AttrValue had value with type '{kind_of(value)}' when 'list(string)' expected for attr "
                         f"'_class'; NodeDef: {{{{node {node.name}}}}} (op: '{node.op}')")  # fmt: skip
    return tuple(item.decode("utf-8", "surrogateescape") for item in value.list.s)
