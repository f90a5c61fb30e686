"""Which TensorFlow a program was written for, 1.x or 2.x, from the names that it uses.

1. Names that only 1.x has (`tf.placeholder`, `tf.contrib...`) speak for 1, names that only 2.x has
   (`tf.random.set_seed`) for 2. When a program has both, the more numerous decide, and a tie is 1.
2. With neither, names that are used through `tf.compat.v1` and that 2.x lacks (`tf.compat.v1.Session`)
   speak for 1; but not in a program that has `tf.function` or `tf.GradientTape` too and does not say in which way
   operations are to run (`tf.compat.v1.disable_v2_behavior()`): it is one of 2.x with some graphs in it.
3. With nothing at all it is 2: to get at a value in 1.x takes a session, and `tf.Session` is such a name.
"""
from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from millstream.cli.usage import Import, Program, Use, read_program
from millstream.public import names

MOST_FILES = 200
_OF_EAGER_EXECUTION = frozenset(("function", "GradientTape"))
_CHOOSES_EXECUTION = re.compile(r"\.(enable|disable)_(eager_execution|v2_behavior)\b")


class Choice(NamedTuple):
    """The version, and why, for people."""

    api: int
    reason: str


def known(api: int, name: str) -> bool:
    """Whether TensorFlow has `tf.<name>`, which may go on with attributes of a class or object."""
    return names.kind(api, names.leaf(api, name)) is not None


def choose(path: str, home: str | None = None) -> Choice:
    """Chooses for one program.

    Args:
      path: its file. One that cannot be read speaks for nothing.
      home: the folder where its own modules lie, which are read too; the file's folder by default.
    """
    direct: dict[int, dict[str, str]] = {1: {}, 2: {}}
    through_compat: dict[str, str] = {}
    eager: dict[str, str] = {}
    for file, use in _all_uses(os.path.abspath(path), home or os.path.dirname(os.path.abspath(path))):
        name = use.name
        place = f"line {use.line} of {os.path.basename(file)}"
        api, below = names.locate(0, name)  # 0: not through tf.compat
        if api == 1 and below and known(1, below) and not known(2, below):
            through_compat.setdefault(f"tf.{name}", place)
        if api == 0:
            if name.split(".")[0] in _OF_EAGER_EXECUTION:
                eager.setdefault(f"tf.{name}", place)
            for version in (1, 2):
                if known(version, name) and not known(3 - version, name):
                    direct[version].setdefault(f"tf.{names.leaf(version, name)}", place)
    return _decide(direct, through_compat, eager)


def _decide(direct: dict[int, dict[str, str]], through_compat: dict[str, str], eager: dict[str, str]) -> Choice:
    if direct[1] and direct[2]:
        api = 1 if len(direct[1]) >= len(direct[2]) else 2
        return Choice(
            api,
            f"it uses {_first(direct[1])}, which only 1.x has, and {_first(direct[2])}, which only 2.x has",
        )
    for api in (1, 2):
        if direct[api]:
            return Choice(api, f"it uses {_first(direct[api])}, which only {api}.x has")
    if through_compat and eager and not any(_CHOOSES_EXECUTION.search(name) for name in through_compat):
        return Choice(2, f"it uses {_first(eager)} beside {_first(through_compat)}")
    if through_compat:
        return Choice(1, f"it uses {_first(through_compat)}")
    return Choice(2, "it uses no name that only 1.x has")


def _first(found: dict[str, str]) -> str:
    name, place = next(iter(found.items()))
    return f"{name} ({place})"


def _all_uses(path: str, home: str) -> Iterator[tuple[str, Use]]:
    """The uses in a file and in what it imports from `home`; unreadable files are left out."""
    queue = [path]
    seen: set[str] = set()
    while queue and len(seen) < MOST_FILES:
        path = queue.pop(0)
        if path in seen:
            continue
        seen.add(path)
        program = _read(path)
        yield from ((path, use) for use in program.uses)
        for imported in program.imports:
            queue += local_files(imported, home, path)


def _read(path: str) -> Program:
    try:
        with open(path, "rb") as file:
            source = file.read()
        if b"import" not in source:
            return Program([], [])
        return read_program(source, path, functools.partial(names.members, 1))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return Program([], [])


def local_files(imported: Import, home: str, importer: str) -> Iterator[str]:
    """The files beside the program that an import would read."""
    folder = home
    if imported.level:
        folder = os.path.dirname(importer)
        for _ in range(imported.level - 1):
            folder = os.path.dirname(folder)
    parts = imported.module.split(".")
    for length in range(1, len(parts) + 1):
        stem = os.path.join(folder, *parts[:length])
        yield from (p for p in (f"{stem}.py", os.path.join(stem, "__init__.py")) if os.path.isfile(p))
