"""Writes the public namespaces, `millstream/_api/{v1,v2}/**`, from the `@export` marks, and the list of operations.

    python tools/api_gen.py            writes them
    python tools/api_gen.py --check    exit code 1 when a file is stale, or a mark is wrong

Every module of the package is imported, its marks are read (`millstream/core/export.py`), and each public
namespace becomes one package: plain import statements for editors and type checkers, and a table by which a running
program imports each name when it first uses it. `millstream/_api/operations.py` tells where each operation is defined.
"""
from __future__ import annotations

import argparse
import importlib
import importlib.machinery
import importlib.util
import keyword
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "millstream"

# Not walked: what is generated, and what only uses the public names.
SKIPPED = tuple(f"{PACKAGE}.{name}" for name in ("_api", "v1", "cli", "__main__"))


class Source(NamedTuple):
    """What a public name refers to: `from module import attribute`."""

    module: str
    attribute: str


Namespace = dict[str, Source]  # by name; sub-namespaces are among the names
Tree = dict[str, Namespace]  # by dotted name; "" is the root


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 when something is stale"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="folder that holds the package")
    args = parser.parse_args()
    sys.path.insert(0, str(args.root))
    import_package(args.root / PACKAGE)
    files: dict[Path, str] = {Path("__init__.py"): f'{HEADER}"""The public namespaces."""\n'}
    files[Path("operations.py")] = render_operations()
    problems: list[str] = []
    for version in (1, 2):
        tree = collect(version, problems)
        problems += unknown_names(version, tree)
        files |= {file_of(version, name): render(version, name, tree) for name in tree}
    for problem in problems:
        print(f"api_gen: {problem}", file=sys.stderr)
    stale = list(update(args.root / PACKAGE / "_api", files, args.check))
    for path in stale:
        print(
            f"{path.relative_to(args.root)} {'is stale: run tools/api_gen.py' if args.check else 'written'}"
        )
    return 1 if problems or (args.check and stale) else 0


def import_package(folder: Path) -> None:
    """Imports every module below the package.

    The package's own `__init__` uses the namespaces that are about to be written: a bare module replaces it.
    """
    package = ModuleType(PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[PACKAGE] = package
    for name in sorted(module_names(folder, PACKAGE)):
        importlib.import_module(name)


def module_names(folder: Path, package: str) -> Iterator[str]:
    for info in pkgutil.iter_modules([str(folder)], package + "."):
        if info.name in SKIPPED:
            continue
        if info.ispkg:
            yield info.name
            yield from module_names(folder / info.name.rpartition(".")[2], info.name)
        elif isinstance(info.module_finder, importlib.machinery.FileFinder) and not is_extension(info):
            yield info.name


def is_extension(info: pkgutil.ModuleInfo) -> bool:
    """Compiled modules have no marks, and need not be built."""
    spec = info.module_finder.find_spec(info.name, None)
    return spec is not None and not (spec.origin or "").endswith(".py")


def collect(version: int, problems: list[str]) -> Tree:
    """Sorts the marks of one version into namespaces."""
    tree: Tree = {"": {}}
    export = importlib.import_module(f"{PACKAGE}.core.export")
    for mark in export.MARKS:
        for name in sorted(set(mark.v1 if version == 1 else mark.v2)):
            put(tree, name, Source(mark.module, mark.attribute), problems)
    for name, source in generated_names(version):
        put(tree, name, source, problems)
    for name in [n for n in tree if n]:
        parent, _, leaf = name.rpartition(".")
        if leaf in tree[parent]:
            problems.append(f"tf.{name} of version {version} is a namespace and a name")
        tree[parent][leaf] = Source(module_of(version, parent), leaf)
    return tree


def generated_names(version: int) -> Iterator[tuple[str, Source]]:
    """Public names that no mark makes: the other version, protobuf messages, raw operations."""
    for other in (1, 2):
        yield f"compat.v{other}", Source(f"{PACKAGE}._api", f"v{other}")
    names = importlib.import_module(f"{PACKAGE}.public.names")
    proto = importlib.import_module(f"{PACKAGE}.io.proto")
    for name, message in proto.public_names(version).items():
        yield name, Source(proto.__name__, message.rpartition(".")[2])
    for op_type in importlib.import_module(f"{PACKAGE}.core.opdef").REGISTRY:
        if op_type[0] != "_" and names.kind(version, f"raw_ops.{op_type}"):
            yield f"raw_ops.{op_type}", Source(f"{PACKAGE}.public.raw_ops", op_type)


def put(tree: Tree, name: str, source: Source, problems: list[str]) -> None:
    namespace, _, leaf = name.rpartition(".")
    parts = namespace.split(".") if namespace else []
    if not leaf.isidentifier() or keyword.iskeyword(leaf):
        problems.append(f"{source.module}.{source.attribute}: {name!r} is not a possible name")
        return
    for length in range(len(parts) + 1):
        tree.setdefault(".".join(parts[:length]), {})
    known = tree[namespace].setdefault(leaf, source)
    if known != source:
        problems.append(f"tf.{name} is exported twice: {'.'.join(known)} and {'.'.join(source)}")


def unknown_names(version: int, tree: Tree) -> Iterator[str]:
    """Marks with a name that TensorFlow does not have: misspelt, or in the wrong version."""
    names = importlib.import_module(f"{PACKAGE}.public.names")
    for namespace, content in sorted(tree.items()):
        for leaf, source in sorted(content.items()):
            name = f"{namespace}.{leaf}".removeprefix(".")
            if names.kind(version, name) is None:
                yield f"TensorFlow {version}.x has no tf.{name} ({source.module}.{source.attribute})"


HEADER = "# Generated by tools/api_gen.py: do not edit.\n# ruff: noqa\n"


def render(version: int, namespace: str, tree: Tree) -> str:
    """The text of one namespace's `__init__.py`."""
    content = tree[namespace]
    lines = [f'{HEADER}"""tf{"." * bool(namespace)}{namespace} of TensorFlow {version}.x."""']
    lines += ["import typing as _typing", "", f"from {PACKAGE}.public.namespaces import dynamic as _dynamic", ""]
    lines += ["if _typing.TYPE_CHECKING:", *(f"    {line}" for line in imports(content) or ["pass"]), "else:"]
    lines += ["    __getattr__, __dir__ = _dynamic(__name__, {"]
    lines += [f'        "{name}": "{place(source)}",' for name, source in sorted(content.items())]
    lines += ["    })"]
    lines += ["", "__all__ = [", *(f'    "{name}",' for name in sorted(content)), "]", ""]
    return "\n".join(lines)


def render_operations() -> str:
    """The text of the list of operations."""
    registry = importlib.import_module(f"{PACKAGE}.core.opdef").REGISTRY
    lines = [f'{HEADER}"""The module that defines each operation."""', "MODULES = {"]
    lines += [f'    "{name}": "{definition.kernel.__module__}",' for name, definition in sorted(registry.items())]
    return "\n".join([*lines, "}", ""])


def imports(names: Namespace) -> list[str]:
    return [
        f"from {s.module} import {s.attribute} as {n}"
        for n, s in sorted(names.items(), key=lambda x: (x[1], x[0]))
    ]


def place(source: Source) -> str:
    """Where a name is: "module" for a namespace, "module:attribute" for all else."""
    return f"{source.module}{'.' if source.module.startswith(f'{PACKAGE}._api') else ':'}{source.attribute}"


def module_of(version: int, namespace: str) -> str:
    return f"{PACKAGE}._api.v{version}.{namespace}".rstrip(".")


def file_of(version: int, namespace: str) -> Path:
    return Path(f"v{version}", *namespace.split("."), "__init__.py")


def update(folder: Path, files: dict[Path, str], check: bool) -> Iterator[Path]:
    """Brings the folder in line with `files`, with `check` only in thought; gives the paths that differed."""
    present = {path.relative_to(folder) for path in folder.rglob("*.py")}
    for name in sorted(present | files.keys()):
        path, text = folder / name, files.get(name)
        if text is not None and name in present and path.read_text(encoding="utf-8") == text:
            continue
        yield path
        if check:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
