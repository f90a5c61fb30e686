"""How a golden case is written.

A family is a module of `cases/` with `FAMILY = Family("math")`.  A case is a function of `tf` and of
its inputs, and returns a tensor, a structure of tensors and plain Python values, or a `Script`:

    case = FAMILY.case
    case("sin", lambda tf, x: tf.sin(x), f64([0.0, 0.5, 2.0]))

The modules run under the recorder's Python 3.7 as well as under ours, and import neither system.
"""
from __future__ import annotations

import importlib
import os
from typing import Any, Callable, NamedTuple

import numpy as np

CASES_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
SAME = "same"
DIFFERENTIATED = {
    False: (),
    True: ("float64", "complex128"),
    "all": ("bfloat16", "float16", "float32", "float64", "complex64", "complex128"),
}
FRESH_SESSION = "fresh session"


class Input(NamedTuple):
    """An array that is fed to a placeholder named like the case function's parameter.

    `shape` is the placeholder's static shape: SAME as the array's, None for unknown rank, or a list.
    The recorded gradients are taken with respect to float64 inputs; see `gradient` of `Family.case`.
    """

    dtype: str
    value: np.ndarray
    shape: Any = SAME

    def static_shape(self) -> list | None:
        return list(self.value.shape) if self.shape == SAME else self.shape


def array(dtype: str, value: Any, shape: Any = SAME) -> Input:
    stored = {"bfloat16": "float32", "string": "object"}.get(dtype, dtype)
    return Input(dtype, np.array(value, dtype=stored), shape)


def _maker(dtype: str) -> Callable[..., Input]:
    return lambda value, shape=SAME: array(dtype, value, shape)


f16, bf16, f32, f64 = map(_maker, ["float16", "bfloat16", "float32", "float64"])
i8, u8, i16, u16, i32, i64 = map(_maker, ["int8", "uint8", "int16", "uint16", "int32", "int64"])
c64, c128, boolean, string = map(_maker, ["complex64", "complex128", "bool", "string"])


def noise(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Float64 numbers in [low, high) with three decimals, the same under every NumPy."""
    return np.round(np.random.RandomState(seed).uniform(low, high, shape), 3)


class Run(NamedTuple):
    """One step of a script: `session.run(fetch, feed)`, `times` times over."""

    fetch: Any
    times: int = 1
    feed: Any = None


class Script(NamedTuple):
    """Runs in one session, in order; FRESH_SESSION among the steps begins another one.

    Variables are initialised at the beginning of each session, unless `initialize` is False.
    """

    steps: list
    initialize: bool = True


def script(*steps: Any, initialize: bool = True) -> Script:
    """A Script; a step that is not a Run or FRESH_SESSION is a fetch to run once."""
    plain = (Run, str)
    return Script([step if isinstance(step, plain) else Run(step) for step in steps], initialize)


class Case(NamedTuple):
    """See `Family.case` for the fields."""

    family: str
    name: str
    build: Callable[..., Any]
    inputs: tuple
    ulps: float
    near: str
    nodes: Any
    raises: bool
    message: str | None
    unknown: bool
    gradient: Any
    stderr: bool
    eager: Any
    function: Any

    @property
    def id(self) -> str:
        return f"{self.family}/{self.name}"

    def runs_in(self, mode: str) -> bool:
        """Whether the case makes sense in "graph", "eager" or "function" mode."""
        return mode == "graph" or getattr(self, mode) is True

    def differentiated(self) -> list[int]:
        """Which inputs the gradients are taken with respect to."""
        dtypes = DIFFERENTIATED[self.gradient]
        return [i for i, given in enumerate(self.inputs) if given.dtype in dtypes]

    def input_names(self) -> list[str]:
        """The parameters after `tf`; `*x` gives x0, x1, ..."""
        code = self.build.__code__
        named = list(code.co_varnames[1:code.co_argcount])
        rest = len(self.inputs) - len(named)
        variadic = [code.co_varnames[code.co_argcount] + str(i) for i in range(rest)] if rest > 0 else []
        return named[:len(self.inputs)] + variadic


class Family:
    """The cases of one module, with the options that hold for all of them.

    `tensorflow` is the version that records them: 1, in graphs; or 2, eagerly, for what is in 2.x only.
    """

    def __init__(self, name: str, tensorflow: int = 1, **options: Any):
        self.name = name
        self.tensorflow = tensorflow
        self.options = options
        self.cases: dict[str, Case] = {}

    def case(
        self,
        name: str,
        build: Callable[..., Any] | None = None,
        *inputs: Input,
        ulps: float | None = None,
        near: str | None = None,
        nodes: bool | str | None = None,
        raises: bool | None = None,
        message: str | None = None,
        unknown: bool | None = None,
        gradient: bool | str | None = None,
        stderr: bool = False,
        eager: bool | str | None = None,
        function: bool | str | None = None,
    ) -> Any:
        """Adds a case; without `build` it is a decorator.

        Args:
          name: unique in the family; `op/variant` reads well.
          build: a function of `tf` and one placeholder for each of `inputs`.
          *inputs: arrays to feed. float64 ones are differentiated with respect to.
          ulps: how far floats may be off, in units of the dtype's epsilon. 0: not at all. Default 4.
          near: relative to "each" element (default) or to the "max" of the array (sums that cancel).
          nodes: True if the nodes built must be the same; else a string that says why they need not.
          raises: the case raises an exception; its class and first sentence are compared.
          message: compares only this beginning of the message, where the rest is an accident.
          unknown: build it also with inputs of unknown dimensions, and of unknown rank.
          gradient: True for gradients by float64 and complex128 inputs (default), "all" by float32 and half ones
            too; False leaves them out.
          stderr: compares what is written to standard error while running.
          eager: True if the case also runs eagerly, with the recorded values; else a string that says why not.
          function: the same of a traced function. Default: as `eager`.
        """
        if build is None:
            return lambda decorated: self.case(
                name, decorated, *inputs, ulps=ulps, near=near, nodes=nodes, raises=raises,
                message=message, unknown=unknown, gradient=gradient, stderr=stderr, eager=eager,
                function=function)
        if name in self.cases:
            raise ValueError(f"{self.name}/{name} is defined twice")
        defaults = dict({"ulps": 4.0, "near": "each", "nodes": True, "raises": False, "unknown": True,
                         "gradient": True, "eager": True, "function": None}, **self.options)
        given = {"ulps": ulps, "near": near, "nodes": nodes, "raises": raises, "unknown": unknown,
                 "gradient": gradient, "eager": eager, "function": function}
        settings = {key: defaults[key] if value is None else value for key, value in given.items()}
        if settings["function"] is None:
            settings["function"] = settings["eager"]
        for option in ("nodes", "eager", "function"):
            if settings[option] is False:
                raise ValueError(f"{self.name}/{name}: {option} must be True or a reason")
        self.cases[name] = Case(self.name, name, build, inputs, message=message, stderr=stderr, **settings)
        return build

    def table(self, rows: dict[str, Callable[..., Any]], *inputs: Input, **options: Any) -> None:
        """Adds cases that share their inputs and options."""
        for name, build in rows.items():
            self.case(name, build, *inputs, **options)


def lookup(tf: Any, path: str) -> Any:
    """`lookup(tf, "nn.relu")` is `tf.nn.relu`."""
    for part in path.split("."):
        tf = getattr(tf, part)
    return tf


def endpoint(path: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """A case function that applies the named function to each input on its own."""
    return lambda tf, *x: [lookup(tf, path)(each, *args, **kwargs) for each in x]


def binary(path: str, **kwargs: Any) -> Callable[..., Any]:
    """A case function that applies the named function to the inputs two by two."""
    return lambda tf, *x: [lookup(tf, path)(a, b, **kwargs) for a, b in pairs(x)]


def pairs(values: Any) -> list[tuple]:
    values = list(values)
    return [(values[i], values[i + 1]) for i in range(0, len(values), 2)]


def family_names() -> list[str]:
    return sorted(f[:-3] for f in os.listdir(CASES_FOLDER) if f.endswith(".py") and f != "__init__.py")


def load(family: str) -> Family:
    return importlib.import_module(f"{__package__}.cases.{family}").FAMILY


def families(tensorflow: int) -> list[Family]:
    """The families that this version of TensorFlow records."""
    return [family for family in map(load, family_names()) if family.tensorflow == tensorflow]
