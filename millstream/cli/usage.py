"""Which `tf.*` names a program uses, read from its syntax tree.

Names are given as paths below `tensorflow`: "nn.relu", "compat.v1.Session", "python.framework.ops". They
are followed through import aliases (`import tensorflow.contrib.slim as slim`, `from tensorflow import nn`)
and plain assignments (`layers = tf.layers`), scope by scope. What a program does with `getattr` or with
attributes of its own objects is not seen.
"""
from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

ROOT = "tensorflow"
StarNames = Callable[[str], Iterable[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Use(NamedTuple):
    """One place where a name of TensorFlow is used or imported."""

    name: str
    line: int


class Import(NamedTuple):
    """One import of a module that is not TensorFlow's; `level` counts the dots of a relative import."""

    module: str
    level: int


class Scope:
    """The variables of a module, class or function: each a path below tensorflow, or None."""

    def __init__(self, parent: Scope | None = None, is_class: bool = False) -> None:
        self.parent = parent
        self.is_class = is_class
        self.bindings: dict[str, str | None] = {}
        self.imported: set[str] = set()
        self.outer: set[str] = set()  # declared `global` or `nonlocal`

    def find(self, variable: str) -> str | None:
        if variable in self.bindings:
            return self.bindings[variable]
        scope = self.parent
        while scope is not None and scope.is_class:
            scope = scope.parent
        return scope.find(variable) if scope is not None else None

    def bind(self, variable: str, path: str | None, by_import: bool = False) -> None:
        if variable in self.outer and self.parent is not None:
            self.parent.bind(variable, path, by_import)
            return
        # `try: import tensorflow as tf / except ImportError: tf = None` still means tensorflow.
        if path is not None or by_import or variable not in self.imported:
            self.bindings[variable] = path
        if by_import and path is not None:
            self.imported.add(variable)


class _Reader(ast.NodeVisitor):
    def __init__(self, star_names: StarNames) -> None:
        self.uses: list[Use] = []
        self.imports: list[Import] = []
        self.star_names = star_names
        self.scope = Scope()
        self.pending: list[tuple[Function, Scope]] = []

    def read(self, tree: ast.Module) -> None:
        self.generic_visit(tree)
        # A function runs after the module's body: it sees the last bindings of the scopes around it.
        for function, around in self.pending:
            self.scope = Scope(around)
            arguments = function.args
            everything = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg)
            for argument in (*everything, arguments.kwarg):
                if argument is not None:
                    self.scope.bind(argument.arg, None)
            body = function.body if isinstance(function.body, list) else [function.body]
            for statement in body:
                self.visit(statement)

    def resolve(self, node: ast.expr) -> str | None:
        """The path below tensorflow that an expression names, None for anything else."""
        if isinstance(node, ast.Name):
            return self.scope.find(node.id)
        if isinstance(node, ast.Attribute):
            base = self.resolve(node.value)
            return None if base is None else f"{base}.{node.attr}".lstrip(".")
        return None

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top, _, below = alias.name.partition(".")
            if top != ROOT:
                self.imports.append(Import(alias.name, 0))
                self.scope.bind(alias.asname or top, None, by_import=True)
                continue
            if below:
                self.uses.append(Use(below, node.lineno))
            self.scope.bind(alias.asname or top, below if alias.asname else "", by_import=True)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        top, _, below = module.partition(".")
        inside = node.level == 0 and top == ROOT
        if not inside:
            names = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
            self.imports += [Import(name, node.level) for name in (module, *names) if name]
        for alias in node.names:
            if alias.name == "*":
                for name in self.star_names(below) if inside else ():
                    self.scope.bind(name, f"{below}.{name}".lstrip("."))
                continue
            path = f"{below}.{alias.name}".lstrip(".") if inside else None
            if path is not None:
                self.uses.append(Use(path, node.lineno))
            self.scope.bind(alias.asname or alias.name, path, by_import=True)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self.resolve(node)
        if path is None:
            self.generic_visit(node)
        else:
            self.uses.append(Use(path, node.lineno))

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.scope.bind(node.id, None)
        elif node.id not in self.scope.imported and (path := self.scope.find(node.id)):
            self.uses.append(Use(path, node.lineno))

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        path = self.resolve(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.scope.bind(target.id, path)
            else:
                self.visit(target)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self.scope.outer.update(node.names)

    visit_Nonlocal = visit_Global

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.scope.bind(node.name, None)
        annotations = [a.annotation for a in ast.walk(node.args) if isinstance(a, ast.arg) and a.annotation]
        for part in (*node.decorator_list, *_defaults(node.args), *annotations, node.returns):
            if part is not None:
                self.visit(part)
        self.pending.append((node, self.scope))

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for default in _defaults(node.args):
            self.visit(default)
        self.pending.append((node, self.scope))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.bind(node.name, None)
        for part in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.visit(part)
        around, self.scope = self.scope, Scope(self.scope, is_class=True)
        for statement in node.body:
            self.visit(statement)
        self.scope = around


def _defaults(arguments: ast.arguments) -> Iterator[ast.expr]:
    yield from arguments.defaults
    yield from (default for default in arguments.kw_defaults if default is not None)


class Program(NamedTuple):
    """What a program's text says: the names it uses, sorted by line, and the other modules it imports."""

    uses: list[Use]
    imports: list[Import]


def read_program(source: str | bytes, filename: str, star_names: StarNames) -> Program:
    """Reads a program's text without running it.

    Args:
      source: the text.
      filename: for error messages.
      star_names: gives the names in a namespace, for `from tensorflow.x import *`.

    Raises:
      SyntaxError, ValueError: the text is not Python.
    """
    reader = _Reader(star_names)
    reader.read(ast.parse(source, filename))
    return Program(sorted(set(reader.uses), key=lambda use: (use.line, use.name)), reader.imports)
