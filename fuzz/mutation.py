"""Changes inputs at random: bytes anywhere, or fields of the message that an input is.

Few changed bytes leave a file that can still be parsed. A changed field always does, and tries what comes after.
"""
from __future__ import annotations

import random
from collections.abc import Callable, MutableSequence
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message

from millstream.io import proto

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(1 << 31), (1 << 31) - 1),
}
_FLOATS = (0.0, -0.0, 1.0, -1.5, 1e30, float("inf"), float("-inf"), float("nan"))
_STRING, _MESSAGE = FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_MESSAGE


def mutated(data: bytes, target: Any, source: random.Random) -> bytes:
    """An input of a fuzzer, changed: mostly its message, where its module says of which kind that is (`MESSAGE`)."""
    kind = getattr(target, "MESSAGE", None)
    if kind is None or source.randrange(8) == 0:
        return mutated_bytes(data, source)
    as_text = getattr(target, "TEXT", False)
    message = parsed(data, kind, as_text)
    if message is None:
        return mutated_bytes(data, source)
    for _ in range(source.choice([1, 1, 2, 3])):
        _change(message, source)
    try:
        if as_text:
            return text_format.MessageToString(message, descriptor_pool=proto.pool()).encode()
        return message.SerializeToString(deterministic=True)
    except (EncodeError, ValueError):  # nested too deep
        return mutated_bytes(data, source)


def parsed(data: bytes, kind: type[Message], as_text: bool = False) -> Message | None:
    """The message that an input is; None if it is none."""
    try:
        if as_text:
            return text_format.Parse(data.decode(), kind(), descriptor_pool=proto.pool())
        return kind.FromString(data)
    except (DecodeError, text_format.ParseError, ValueError, RecursionError):  # ValueError: a number out of range
        return None


def mutated_bytes(data: bytes, source: random.Random) -> bytes:
    """An input with some bytes changed, left out or put in, or the rest cut off."""
    changed = bytearray(data)
    for _ in range(source.choice([1, 1, 2, 5])):
        place = source.randrange(len(changed) + 1)
        kind = source.randrange(5)
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << source.randrange(8)
        elif kind == 1 and place < len(changed):
            changed[place] = source.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            del changed[place : place + source.randrange(1, 9)]
        elif kind == 3:
            changed[place:place] = source.randbytes(source.randrange(1, 9))
        elif source.randrange(8) == 0:
            del changed[place:]
        else:
            start = source.randrange(len(changed) + 1)
            changed[place:place] = changed[start : start + source.randrange(1, 40)]
    return bytes(changed)


# --- Messages --------------------------------------------------------------------------------------------------------


def _change(root: Message, source: random.Random) -> None:
    """Changes one place of a message."""
    message = _descend(root, source)
    fields = [field for field, _ in message.ListFields()]
    if not fields or source.randrange(10) == 0:
        possible = message.DESCRIPTOR.fields
        if possible:
            _set(message, source.choice(possible), root, source)
        return
    field = source.choice(fields)
    if _is_map(field):
        _change_map(getattr(message, field.name), field, root, source)
    elif _is_list(getattr(message, field.name)):
        _change_list(getattr(message, field.name), field, root, source)
    elif source.randrange(5) == 0:
        message.ClearField(field.name)
    else:
        _set(message, field, root, source)


def _descend(message: Message, source: random.Random) -> Message:
    """A message somewhere within another one."""
    while source.randrange(6):
        inner = []
        for field, value in message.ListFields():
            if field.cpp_type != _MESSAGE:
                continue
            if not _is_map(field):
                inner.append(source.choice(value) if _is_list(value) else value)
            elif _value_field(field).cpp_type == _MESSAGE:
                inner.append(value[source.choice(sorted(value))])
        if not inner:
            break
        message = source.choice(inner)
    return message


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_list(value: Any) -> bool:
    return isinstance(value, MutableSequence)


def _value_field(field: FieldDescriptor) -> FieldDescriptor:
    return field.message_type.fields_by_name["value"]


def _set(message: Message, field: FieldDescriptor, root: Message, source: random.Random) -> None:
    """Gives a field another value; another element if it has several."""
    items = getattr(message, field.name)
    if _is_map(field):
        _change_map(items, field, root, source)
    elif _is_list(items):
        _append(items, field, root, source)
    elif field.cpp_type == _MESSAGE:
        items.CopyFrom(_donor(field, root, source))
    else:
        setattr(message, field.name, _scalar(items, field, root, source))


def _append(items: Any, field: FieldDescriptor, root: Message, source: random.Random) -> None:
    if field.cpp_type == _MESSAGE:
        items.add().CopyFrom(_donor(field, root, source))
    else:
        items.append(_scalar(source.choice(items) if items else _zero(field), field, root, source))


def _zero(field: FieldDescriptor) -> Any:
    return b"" if field.type == FieldDescriptor.TYPE_BYTES else "" if field.cpp_type == _STRING else 0


def _change_list(items: Any, field: FieldDescriptor, root: Message, source: random.Random) -> None:
    """Drops, doubles, swaps, adds or changes an element."""
    place, other = source.randrange(len(items)), source.randrange(len(items))
    kind = source.randrange(6)
    is_message = field.cpp_type == _MESSAGE
    if kind == 0:
        del items[place]
    elif kind == 1:
        items.append(items[place])
    elif kind == 2 and is_message:
        kept = type(items[place])()
        kept.CopyFrom(items[place])
        items[place].CopyFrom(items[other])
        items[other].CopyFrom(kept)
    elif kind == 2:
        items[place], items[other] = items[other], items[place]
    elif kind == 3:
        _append(items, field, root, source)
    elif kind == 4 and source.randrange(4) == 0:
        del items[:]
    elif is_message:
        _change(items[place], source)
    else:
        items[place] = _scalar(items[place], field, root, source)


def _change_map(items: Any, field: FieldDescriptor, root: Message, source: random.Random) -> None:
    """Drops, renames, copies or changes an entry."""
    value_field, key_field = _value_field(field), field.message_type.fields_by_name["key"]
    key = source.choice(sorted(items)) if items else None
    other = _scalar(_zero(key_field) if key is None else key, key_field, root, source)
    kind = source.randrange(5)
    if value_field.cpp_type != _MESSAGE:
        if kind == 0 and key is not None:
            del items[key]
        else:
            items[other if kind == 1 or key is None else key] = _scalar(
                _zero(value_field) if key is None else items[key], value_field, root, source
            )
    elif key is None:
        items[other].CopyFrom(_donor(value_field, root, source))
    elif kind == 0:
        del items[key]
    elif kind <= 2:
        items[other].CopyFrom(items[key])
        if kind == 1 and other != key:
            del items[key]
    elif kind == 3:
        items[key].CopyFrom(items[source.choice(sorted(items))])
    else:
        _change(items[key], source)


def _donor(field: FieldDescriptor, root: Message, source: random.Random) -> Message:
    """A message of a field's kind: one that the input has elsewhere, or an empty one."""
    for _ in range(20):
        found = _descend(root, source)
        if found.DESCRIPTOR.full_name == field.message_type.full_name:
            copy = type(found)()
            copy.CopyFrom(found)
            return copy
    return proto.message_class(field.message_type.full_name)()


# --- Values ----------------------------------------------------------------------------------------------------------


def _scalar(value: Any, field: FieldDescriptor, root: Message, source: random.Random) -> Any:
    """Another value of a number, name or text."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return not value
    if field.cpp_type in _INTEGERS:
        lowest, highest = _INTEGERS[field.cpp_type]
        near = [value + 1, value - 1, -value, value * 2, value ^ 1 << source.randrange(40), source.randrange(30)]
        return min(max(source.choice([*near, 0, 1, -1, lowest, highest]), lowest), highest)
    if field.cpp_type == _STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return _bytes(value, root, source)
        return _bytes(value.encode(), root, source).decode(errors="ignore")
    return source.choice([value * 2, -value, *_FLOATS])


def _bytes(value: bytes, root: Message, source: random.Random) -> bytes:
    edits: list[Callable[[], bytes]] = [
        lambda: _some_text(root, source),
        lambda: mutated_bytes(value, source),
        lambda: source.choice([b"", b"^" + value, value + b":1", value + b"/x", value[:-1], value * 2]),
    ]
    return source.choice(edits)()


def _some_text(root: Message, source: random.Random) -> bytes:
    """A name or text that the input has elsewhere."""
    for _ in range(20):
        message = _descend(root, source)
        for field, value in message.ListFields():
            if field.cpp_type == _STRING and source.randrange(2):
                found = source.choice(value) if _is_list(value) else value
                return found if isinstance(found, bytes) else found.encode()
    return b"none"
