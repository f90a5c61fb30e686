"""A kernel that exists twice: as a JAX function, and in the native library."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

from millstream.native import library

# The dtypes for which there are native kernels.
FLOATS = ("float32", "bfloat16")

Shapes = Callable[..., Any]


def kernel(
    target: str,
    *,
    results: Shapes,
    serves: Callable[..., bool] | None = None,
    attributes: Callable[..., dict[str, Any]] | None = None,
    instead: Callable[..., Callable[..., Any] | None] | None = None,
) -> Callable[[Callable[..., Any]], NativeKernel]:
    """Marks a JAX function as what a native kernel computes too.

    The function takes arrays by position and hashable parameters by keyword, and gives an array or a tuple of arrays.

    Args:
      target: the kernel's name in the library.
      results: (*operands, **parameters) → what the result looks like (a `Like`), or a list of such things.
        Operands have `shape` and `dtype` here, no values.
      serves: (*operands, **parameters) → whether the native kernel can compute this. By default it serves operands of
        float32 and bfloat16, all of one dtype.
      attributes: (*operands, **parameters) → the attributes of the call, as the kernel wants them; by default the
        parameters. Values are booleans, integers, floats, or NumPy arrays.
      instead: (*operands, **parameters) → a function of the operands that computes the same faster through other calls
        of native kernels, or None.
    """
    return lambda function: NativeKernel(
        function, target, results, serves or serves_floats, attributes, instead or (lambda *_, **__: None)
    )


def serves_floats(*operands: Any, **_: Any) -> bool:
    """Whether all operands have elements, of one dtype for which there are native kernels."""
    dtypes = {operand.dtype.name for operand in operands}
    return len(dtypes) == 1 and dtypes <= {*FLOATS} and all(operand.size for operand in operands)


class Like(NamedTuple):
    """What an array looks like."""

    shape: tuple[int, ...]
    dtype: Any


class NativeKernel:
    """A JAX function with a native twin. Called with arrays it becomes one equation of the program that is traced."""

    def __init__(
        self,
        function: Callable[..., Any],
        target: str,
        results: Shapes,
        serves: Callable[..., bool],
        attributes: Callable[..., dict[str, Any]] | None,
        instead: Callable[..., Callable[..., Any] | None],
    ) -> None:
        self.__doc__ = function.__doc__
        self.fallback = function
        self._target = target
        self._results = results
        self._serves = serves
        self._attributes = attributes or (lambda *_, **parameters: parameters)
        self._instead = instead
        self._primitive: Any = None

    def __call__(self, *operands: Any, **parameters: Any) -> Any:
        if self._primitive is None:
            self._primitive = self._make_primitive()
        made = self._primitive.bind(*operands, **parameters)
        return made if len(made) > 1 else made[0]

    def on(self, xp: Any) -> Callable[..., Any]:
        """What to call with the arrays of `xp`. NumPy's are for the function itself, if it is written for both."""
        return self.fallback if xp.__name__ == "numpy" else self

    def _make_primitive(self) -> Any:
        from jax.extend.core import Primitive
        from jax.interpreters import batching, mlir

        primitive = Primitive(self._target)
        primitive.multiple_results = True
        primitive.def_abstract_eval(self._abstract)
        primitive.def_impl(lambda *operands, **parameters: _compiled(primitive, **parameters)(*operands))
        batching.primitive_batchers[primitive] = self._batched
        mlir.register_lowering(primitive, mlir.lower_fun(self._several, multiple_results=True))
        mlir.register_lowering(primitive, self._lower_for_cpu, platform="cpu")
        return primitive

    def _several(self, *operands: Any, **parameters: Any) -> Sequence[Any]:
        """The fallback's results as a sequence."""
        return _as_sequence(self.fallback(*operands, **parameters))

    def _abstract(self, *operands: Any, **parameters: Any) -> list[Any]:
        from jax.core import ShapedArray

        found = self._results(*operands, **parameters)
        found = found if isinstance(found, list) else [found]
        return [ShapedArray(tuple(like.shape), like.dtype) for like in found]

    def _batched(self, operands: Sequence[Any], axes: Sequence[Any], **parameters: Any) -> tuple[Any, Any]:
        import jax

        found = jax.vmap(partial(self._several, **parameters), in_axes=tuple(axes))(*operands)
        return found, [0] * len(found)

    def _lower_for_cpu(self, ctx: Any, *operands: Any, **parameters: Any) -> Any:
        import jax
        from jax.interpreters import mlir

        if not (self._serves(*ctx.avals_in, **parameters) and registered(self._target)):
            return mlir.lower_fun(self._several, multiple_results=True)(ctx, *operands, **parameters)
        instead = self._instead(*ctx.avals_in, **parameters)
        if instead is not None:
            return mlir.lower_fun(lambda *x: _as_sequence(instead(*x)), multiple_results=True)(ctx, *operands)
        attributes = self._attributes(*ctx.avals_in, **parameters)
        return jax.ffi.ffi_lowering(self._target)(ctx, *operands, **attributes)


def _as_sequence(found: Any) -> Sequence[Any]:
    return found if isinstance(found, (tuple, list)) else [found]


@lru_cache(maxsize=1024)
def _compiled(primitive: Any, **parameters: Any) -> Callable[..., Any]:
    import jax

    return jax.jit(partial(primitive.bind, **parameters))


@cache
def registered(target: str) -> bool:
    """Makes a kernel known to XLA. False where there is no library, or an older one without it."""
    import jax

    handler = getattr(library.library(), target, None)
    if handler is None:
        return False
    jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(handler), platform="cpu")
    return True
