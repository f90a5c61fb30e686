"""`millstream run`: runs a program as `python` would, with Millstream as its `tensorflow`."""
from __future__ import annotations

import importlib.util
import io
import os
import runpy
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from types import ModuleType, TracebackType

from millstream.cli.choose_api import Choice, choose
from millstream.compat.install import install_as_tensorflow


def run(program: str, arguments: list[str], api: str, module: bool, verbose: bool) -> int:
    """Runs a program as `__main__`; what it raises or exits with passes through.

    Args:
      program: a Python file, a folder or zip file with a `__main__.py`, or a module's name.
      arguments: what becomes `sys.argv[1:]`.
      api: "auto", "1" or "2".
      module: `program` is a module's name.
      verbose: say on stderr which version was chosen, and why.
    """
    if not module and not os.path.exists(program):
        print(f"millstream: can't open file {os.path.abspath(program)!r}: no such file", file=sys.stderr)
        return 2
    choice = Choice(int(api), "as asked for") if api != "auto" else _choose(program, module)
    if verbose:
        print(f"millstream: TensorFlow {choice.api}.x: {choice.reason}", file=sys.stderr)
    install_as_tensorflow(choice.api)
    _hide_frames_of(sys.argv[0])
    sys.argv = [program, *arguments]
    if module:
        _set_path(os.getcwd())
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    elif os.path.isdir(program) or not _is_source(program):
        runpy.run_path(program, run_name="__main__")
    else:
        _set_path(os.path.dirname(os.path.realpath(program)))
        _run_file(program)
    return 0


def _choose(program: str, module: bool) -> Choice:
    if module:
        return choose(module_file(program) or os.devnull, os.getcwd())
    return choose(os.path.join(program, "__main__.py") if os.path.isdir(program) else program)


def module_file(module: str) -> str | None:
    """The source file of a module, or of a package's `__main__`; no parent package is imported for it."""
    top, *below = module.split(".")
    spec = PathFinder.find_spec(top, [os.getcwd(), *sys.path[1:]])
    if spec is None or spec.submodule_search_locations is None:
        return spec.origin if spec is not None else None
    stem = os.path.join(next(iter(spec.submodule_search_locations)), *below)
    return next(
        (path for path in (f"{stem}.py", os.path.join(stem, "__main__.py")) if os.path.isfile(path)), None
    )


def _set_path(folder: str) -> None:
    """Puts the program's folder where Python has put this command's."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _is_source(program: str) -> bool:
    with open(program, "rb") as file:
        return not file.read(4).startswith((b"PK\x03\x04", importlib.util.MAGIC_NUMBER[:4]))


def _run_file(program: str) -> None:
    """Runs the text of a file in a new module `__main__`, which stays in place until the process ends."""
    main = ModuleType("__main__")
    main.__dict__.update(
        __file__=program,
        __loader__=SourceFileLoader("__main__", program),
        __builtins__=__builtins__,
        __cached__=None,
        __annotations__={},
    )
    sys.modules["__main__"] = main
    with io.open_code(os.path.abspath(program)) as file:
        source = file.read()
    exec(compile(source, program, "exec", dont_inherit=True), main.__dict__)


def _hide_frames_of(command: str) -> None:
    """Lets errors be printed from where the program itself begins.

    Args:
      command: the file that Python was started with.
    """
    folder = os.path.dirname(__file__)

    def is_ours(filename: str) -> bool:
        return filename in (command, "<frozen runpy>", runpy.__file__) or filename.startswith(folder)

    def print_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        sys.__excepthook__(kind, error.with_traceback(trace), trace)

    sys.excepthook = print_error
