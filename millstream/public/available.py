"""Which public names Millstream has, read from the generated namespaces without importing them."""
from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator

from millstream.public.names import locate

_API = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_api")


def has(api: int, name: str) -> bool:
    """Whether Millstream offers `tf.<name>`, a function, class, constant or namespace."""
    api, name = locate(api, name)
    namespace, _, leaf = name.rpartition(".")
    return not name or leaf in (members(api, namespace) or ())


@functools.cache
def members(api: int, namespace: str) -> frozenset[str] | None:
    """The names in one namespace, None when Millstream does not have the namespace."""
    path = file_of(api, namespace)
    return None if path is None else frozenset(read_all(path))


def file_of(api: int, namespace: str) -> str | None:
    """The generated file of a namespace, None when Millstream does not have it."""
    path = os.path.join(_API, f"v{api}", *namespace.split("."), "__init__.py")
    return path if os.path.exists(path) else None


@functools.cache
def all_names(api: int) -> frozenset[str]:
    """Every dotted public name of one version."""
    return frozenset(_walk(api, ""))


def _walk(api: int, namespace: str) -> Iterator[str]:
    for name in members(api, namespace) or ():
        dotted = f"{namespace}.{name}".removeprefix(".")
        yield dotted
        yield from _walk(api, dotted)


def read_all(path: str) -> list[str]:
    """The `__all__` of a Python file."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    for node in reversed(tree.body):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []
