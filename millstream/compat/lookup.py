"""Whether Millstream has what a program names, told from texts: nothing is imported."""
from __future__ import annotations

import ast
import functools
import os
from typing import NamedTuple

from millstream.compat import modules
from millstream.public import available, names
from millstream.public.missing import not_yet

_PACKAGE = os.path.dirname(os.path.dirname(__file__))


class Finding(NamedTuple):
    """One name as people write it ("tf.nn.relu"), and what is wrong with it, if anything."""

    name: str
    problem: str | None


def judge(api: int, path: str) -> Finding:
    """Judges a path below `tensorflow`, such as "nn.relu" or "python.ops.math_ops.add"."""
    parts = path.split(".")
    length = 0
    while length < len(parts) and modules.sources(api, ".".join(parts[: length + 1])) is not None:
        length += 1
    places = modules.sources(api, ".".join(parts[:length])) or ()
    found = length == len(parts) or any(_place_has(api, place, parts[length]) for place in places)
    version, public = names.locate(api, path)
    is_private = names.kind(version, public.partition(".")[0]) is None and length > 0
    written = f"{'tensorflow' if is_private else 'tf'}.{'.'.join(parts[: length + 1])}"
    if found or is_private:
        return Finding(written, None if found else not_yet(api, written))
    leaf = names.leaf(version, public)
    written = f"tf.{path.removesuffix(public)}{leaf}"
    return Finding(written, _public_problem(version, leaf, written))


def _public_problem(api: int, name: str, written: str) -> str:
    if names.kind(api, name) is not None:
        return not_yet(api, written)
    if names.kind(3 - api, name) is not None:
        return f"{written} is not part of TensorFlow {api}.x but of {3 - api}.x"
    return f"{written} is not a name of TensorFlow {api}.x"


def _place_has(api: int, place: str, name: str) -> bool:
    renamed, equals, _ = place.partition("=")
    if equals:
        return renamed == name
    head, _, namespace = place.partition(".")
    if head == "tf":
        return available.has(api, f"{namespace}.{name}".lstrip("."))
    if place == modules.RAW_OPS:
        return name.removeprefix("_") in _snake_case_raw_ops(api)
    return head != "millstream" or place == "millstream.io.proto" or name in _defined(place)


@functools.cache
def _snake_case_raw_ops(api: int) -> frozenset[str]:
    return frozenset(names.snake_case(op_type) for op_type in available.members(api, "raw_ops") or ())


@functools.cache
def _defined(module: str) -> frozenset[str]:
    """The names that a module of Millstream binds at its top level."""
    path = os.path.join(_PACKAGE, *module.split(".")[1:]) + ".py"
    if not os.path.exists(path):
        return frozenset()
    with open(path, encoding="utf-8") as file:
        body = ast.parse(file.read(), path).body
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            found.update(alias.asname or alias.name for alias in statement.names)
        else:
            found.update(
                n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            )
    return frozenset(found)
