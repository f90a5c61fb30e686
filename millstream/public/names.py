"""Which public names TensorFlow has: what tells a name that Millstream lacks from one that never was.

Names are relative to `tf` ("nn.relu"; the root itself is ""); `api` is 1 (TensorFlow 1.15) or 2 (2.21).
The packed lists are written by `tools/api_names.py`.
"""
from __future__ import annotations

import functools
import os
import re

NAMESPACE = "m"
# A namespace of TensorFlow whose members are not listed: anything may be in it.
OPAQUE = "o"


@functools.cache
def tensorflow_names(api: int) -> dict[str, str]:
    """All public names of one version with the letter of their kind: m, o (namespaces), c, f, v."""
    import gzip

    path = os.path.join(os.path.dirname(__file__), f"tf{api}_names.txt.gz")
    with gzip.open(path, "rt", encoding="ascii") as lines:
        return dict(line.split() for line in lines)


def kind(api: int, name: str) -> str | None:
    """The letter of the name's kind, None when TensorFlow has no such name."""
    names = tensorflow_names(api)
    found = names.get(name)
    while found is None and name:
        name = name.rpartition(".")[0]
        if names.get(name) == OPAQUE:
            return "f"
    return found


def is_namespace(api: int, name: str) -> bool:
    return not name or kind(api, name) in (NAMESPACE, OPAQUE)


def leaf(api: int, name: str) -> str:
    """The public name at the head of a path: "GraphKeys.LOSSES" -> "GraphKeys", "nn.relu" -> "nn.relu"."""
    parts = name.split(".")
    heads = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return next((head for head in heads if not is_namespace(api, head)), name)


def members(api: int, namespace: str) -> list[str]:
    """The names that stand directly in one namespace of TensorFlow, `compat.v1` and `compat.v2` followed."""
    api, namespace = locate(api, namespace)
    inside = namespace + "." if namespace else ""
    below = (name[len(inside) :] for name in tensorflow_names(api) if name.startswith(inside))
    return [name for name in below if "." not in name]


def locate(api: int, name: str) -> tuple[int, str]:
    """Follows `compat.v1` and `compat.v2`: (1, "compat.v2.nn.relu") is (2, "nn.relu")."""
    while True:
        head, _, rest = name.removeprefix("compat.").partition(".")
        if not name.startswith("compat.") or head not in ("v1", "v2"):
            return api, name
        api, name = int(head[1]), rest


def snake_case(op_type: str) -> str:
    """How TensorFlow names its generated functions: `MatMul` -> `mat_mul`, `LRN` -> `lrn`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", op_type).lower()
