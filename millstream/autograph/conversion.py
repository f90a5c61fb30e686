"""Converts functions with `diastatic-malt`, and the functions that they call."""
from __future__ import annotations

import ast
import functools
import importlib.util  # noqa: F401 - malt uses it without importing it
import inspect
import os
import sys
import types
from collections.abc import Callable
from typing import Any

import malt
from malt.converters import (
    break_statements,
    call_trees,
    conditional_expressions,
    continue_statements,
    directives,
    functions,
    logical_expressions,
    return_statements,
    variables,
)
from malt.converters import control_flow as malt_control_flow
from malt.core import converter, unsupported_features_checker
from malt.impl import api as malt_api
from malt.lang.directives import set_loop_options
from malt.operators import py_builtins
from malt.pyct import anno, templates, transpiler
from malt.pyct import errors as malt_errors

from millstream.autograph import api, builtins, control_flow, expressions, status
from millstream.core import errors, log, traceback
from millstream.core.function import Function

_CALL = "__call__"
# What malt does not do, or what is done here without it.
_IGNORED_FEATURES = frozenset(("ALL", "ASSERT_STATEMENTS", "AUTO_CONTROL_DEPS", "LISTS", "NAME_SCOPES"))
# Modules, besides the standard library, whose functions are called as they are.
_LIBRARIES = frozenset(
    "malt millstream tensorflow numpy jax jaxlib keras absl matplotlib pandas PIL scipy ml_dtypes google".split()
)

traceback.LIBRARIES.append(os.path.dirname(malt.__file__) + os.sep)


# --- The source -------------------------------------------------------------------------------------------------------


class _Asserts(converter.Base):
    """`assert test, message` becomes a call of an operator."""

    def visit_Assert(self, node: ast.Assert) -> Any:
        self.generic_visit(node)
        message = ast.Constant("Assertion error") if node.msg is None else node.msg
        return templates.replace("ag__.assert_stmt(test, lambda: msg)", test=node.test, msg=message)


class _Directives(directives.DirectivesTransformer):  # type: ignore[misc]
    """`set_loop_options(…)` becomes a note at its loop."""

    def visit_Expr(self, node: ast.Expr) -> Any:
        node = super().visit_Expr(node)
        if node is None or not isinstance(node.value, ast.Call):
            return node
        called = anno.getanno(node.value.func, directives.STATIC_VALUE, default=None)
        if called is not api.set_loop_options and called is not api.set_loop_options_v1:
            return node
        self._process_statement_directive(node.value, set_loop_options)
        return None


# malt's passes in malt's order.
_PASSES: tuple[Callable[[Any, Any], Any], ...] = (
    functions.transform,
    lambda node, ctx: _Directives(ctx).visit(node),
    break_statements.transform,
    lambda node, ctx: _Asserts(ctx).visit(node),
    continue_statements.transform,
    return_statements.transform,
    call_trees.transform,
    malt_control_flow.transform,
    conditional_expressions.transform,
    logical_expressions.transform,
    variables.transform,
)


class _Transpiler(malt_api.PyToPy):
    """malt's rewriting of functions, with operators of our own."""

    def get_transformed_name(self, node: Any) -> str:
        return "tf__" + transpiler.PyToPy.get_transformed_name(self, node)

    def get_extra_locals(self) -> dict[str, Any]:
        return {"ag__": _OPERATORS}

    def transform_ast(self, node: Any, ctx: Any) -> Any:
        unsupported_features_checker.verify(node)
        node = self.initial_analysis(node, ctx)
        for rewrite in _PASSES:
            node = rewrite(node, ctx)
        return node


_transpiler = _Transpiler()


def _source_of(function: Callable[..., Any], options: Any) -> Callable[..., Any]:
    """The converted function, of the same globals and closure.

    Raises:
      Exception: it cannot be converted: there is no source, or something in it is not supported.
    """
    new, module, source_map = _transpiler.transform(function, converter.ProgramContext(options=options))
    if module.__file__ not in traceback.ORIGINS:
        traceback.ORIGINS[module.__file__] = {
            place.lineno: (origin.loc.filename, origin.loc.lineno, origin.function_name, origin.source_code_line)
            for place, origin in source_map.items()
        }
    return status.exempt(new)


def _options(recursive: bool, features: frozenset[str], user_requested: bool = True) -> Any:
    wanted = {item.name for item in converter.Feature} if "ALL" in features else features
    chosen = tuple(converter.Feature[name] for name in sorted(wanted - _IGNORED_FEATURES))
    return converter.ConversionOptions(recursive=recursive, user_requested=user_requested, optional_features=chosen)


# --- Functions that are traced ----------------------------------------------------------------------------------------


def converted(function: Callable[..., Any], features: frozenset[str]) -> Callable[..., Any]:
    """The converted form of a function. Errors that it raises name the user's lines."""
    options = _options(True, features)
    bound = getattr(function, "bound_method", None)
    target, get_self = (function, None) if bound is None else bound

    def traced(*args: Any, **kwargs: Any) -> Any:
        given = args if get_self is None else (get_self(), *args)
        try:
            with status.enabled():
                return converted_call(target, given, kwargs, options=options)
        except Exception as error:
            _explain(error)
            raise

    return traced


def to_graph(entity: Any, recursive: bool, features: frozenset[str]) -> Callable[..., Any]:
    """The converted form of a function.

    Raises:
      ValueError: it cannot be converted.
    """
    if isinstance(entity, Function):
        entity = entity.python_function
    try:
        return _source_of(getattr(entity, "__func__", entity), _options(recursive, features))
    except Exception as error:
        raise ValueError(f"converting {entity}: {type(error).__name__}: {error}") from error


# --- Functions that are called ----------------------------------------------------------------------------------------


def converted_call(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None, caller_scope: Any = None, options: Any = None
) -> Any:
    """Calls a function from converted code: its converted form, where it is the user's."""
    keywords = kwargs or {}
    if options is None:
        options = caller_scope.callopts
    if isinstance(function, functools.partial):
        return converted_call(
            function.func, (*function.args, *args), {**function.keywords, **keywords}, caller_scope, options
        )
    if isinstance(function, types.BuiltinFunctionType) or isinstance(function, type):
        return _call_builtin(function, args, keywords, caller_scope)
    if status.is_disabled() or status.is_exempt(function) or not options.internal_convert_user_code:
        return function(*args, **keywords)
    target, first = _python_function(function)
    if target is None or not _is_users(function, target):
        return function(*args, **keywords)
    try:
        new = _source_of(target, options)
    except Exception as error:
        _warn_unconverted(function, error)
        status.exempt(target)
        return function(*args, **keywords)
    return new(*first, *args, **keywords)


def _call_builtin(function: Any, args: tuple[Any, ...], keywords: dict[str, Any], caller_scope: Any) -> Any:
    if function is super:
        return py_builtins.super_in_original_context(function, args, caller_scope)
    if function is eval:
        return py_builtins.eval_in_original_context(function, args, caller_scope)
    if function is locals:
        return py_builtins.locals_in_original_context(caller_scope)
    if function is globals:
        return py_builtins.globals_in_original_context(caller_scope)
    return builtins.OPERATORS.get(function, function)(*args, **keywords)


def _python_function(function: Any) -> tuple[Any, tuple[Any, ...]]:
    """The plain function that a call runs, and what stands before its arguments; (None, ()) where there is none."""
    if inspect.ismethod(function):
        target, first = function.__func__, (function.__self__,)
    elif inspect.isfunction(function):
        target, first = function, ()
    else:
        target, first = getattr(type(function), _CALL, None), (function,)
    if not inspect.isfunction(target) or status.is_exempt(target) or target.__code__.co_filename.startswith("<"):
        return None, ()
    suspends = inspect.isgeneratorfunction(target) or inspect.iscoroutinefunction(target)
    return (None, ()) if suspends else (target, first)


def _is_users(function: Any, target: Any) -> bool:
    """Whether a function is part of the program rather than of a library."""
    for module in {getattr(function, "__module__", None), target.__module__}:
        package = (module or "").partition(".")[0]
        if package in _LIBRARIES or (package in sys.stdlib_module_names and package != "__main__"):
            return False
    return True


def _warn_unconverted(function: Any, error: Exception) -> None:
    if isinstance(error, malt_errors.PyCTError) or isinstance(error, (OSError, ValueError, NotImplementedError)):
        cause = str(error)
    else:
        cause = f"{type(error).__name__}: {error}"
    log.tensorflow_logger().warning(
        "AutoGraph could not transform %s and will run it as-is.\nCause: %s\nTo silence this warning, decorate the "
        "function with @tf.autograph.experimental.do_not_convert", function, cause,
    )  # fmt: skip


# --- Errors -----------------------------------------------------------------------------------------------------------


def _explain(error: Exception) -> None:
    """Puts the user's lines before the message of an error that converted code raised."""
    if hasattr(error, "autograph_explained"):
        return
    lines = []
    position = error.__traceback__
    while position is not None:
        code = position.tb_frame.f_code
        origin = traceback.ORIGINS.get(code.co_filename, {}).get(position.tb_lineno)
        if origin is not None:
            file, line, name, text = origin
            shown = f'    File "{file}", line {line}, in {name}  *\n        {text.strip()}'
            if lines[-1:] != [shown]:
                lines.append(shown)
        position = position.tb_next
    if not lines:
        return
    error.autograph_explained = True  # type: ignore[attr-defined]
    where = "in user code:\n\n" + "\n".join(lines) + "\n\n"
    message = str(error.args[0]) if len(error.args) == 1 and isinstance(error.args[0], str) else None
    if message is None or isinstance(error, KeyError):
        error.add_note(where.rstrip())
        return
    explained = where + _indented(f"{type(error).__name__}: {message}") + "\n"
    error.args = (explained,)
    if isinstance(error, errors.OpError):
        error._message = explained


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


# --- What generated code calls ----------------------------------------------------------------------------------------


def with_function_scope(thunk: Callable[[Any], Any], scope_name: str, options: Any) -> Any:
    """The body of a converted lambda."""
    with control_flow.FunctionScope("lambda_", scope_name, options) as scope:
        return thunk(scope)


def _operators() -> types.ModuleType:
    """The module `ag__` of generated code: malt's helpers, and the operators of this package."""
    module = types.ModuleType("ag__")
    for name in ("ld", "ldu", "Undefined", "UndefinedReturnValue"):
        setattr(module, name, getattr(malt.operators, name))
    module.Feature = converter.Feature  # type: ignore[attr-defined]
    module.ConversionOptions = converter.ConversionOptions  # type: ignore[attr-defined]
    module.STD = converter.STANDARD_OPTIONS  # type: ignore[attr-defined]
    module.converted_call = converted_call  # type: ignore[attr-defined]
    module.with_function_scope = with_function_scope  # type: ignore[attr-defined]
    module.autograph_artifact = status.exempt  # type: ignore[attr-defined]
    for source in (control_flow, expressions):
        for name in source.__all__:
            setattr(module, name, getattr(source, name))
    return module


_OPERATORS = _operators()
