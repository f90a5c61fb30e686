"""Elementwise operations: kernels in every dtype under NumPy and JAX, and gradients through broadcasting."""
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from modes import MODES, run_in
from numeric import assert_gradients

import millstream.v1 as tf
from millstream.core import opdef
from millstream.ops import arithmetic_ops, comparison_ops, elementwise_ops, special_math_ops

MODULES = (arithmetic_ops, comparison_ops, elementwise_ops, special_math_ops)
# No kernel of TensorFlow's has these dtypes either, though the signatures allow them.
WITHOUT_KERNEL = {("FloorDiv", "complex64"), ("FloorDiv", "complex128"), ("TruncateDiv", "complex64"),
                  ("TruncateDiv", "complex128")}  # fmt: skip
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "complex64": 1e-5}


DEFINITIONS = [d for d in opdef.REGISTRY.values() if d.kernel.__module__ in {module.__name__ for module in MODULES}]


def _dtypes(definition: opdef.OpDef) -> list[Any]:
    by_attr = {spec.type_attr for spec in definition.inputs} == {"T"}
    allowed = definition.attrs["T"].allowed if by_attr else (definition.inputs[0].dtype,)
    plain = [dtype for dtype in dict.fromkeys(allowed) if not dtype.is_quantized and dtype.name != "string"]
    return [dtype for dtype in plain if (definition.name, dtype.name) not in WITHOUT_KERNEL]


def _sample(dtype: Any, index: int) -> Any:
    if dtype.is_bool:
        values: Any = [[True, False, True], [True, True, False]][index % 2]
    elif dtype.is_integer:
        values = [[3, 5, 1], [2, 1, 4]][index % 2]
    else:
        values = [[0.25, 0.5, 0.75], [0.5, 0.125, 0.625]][index % 2]
    return np.array(values).astype(dtype.as_numpy_dtype)


def _check(ok: Any, *_: Any) -> None:
    if isinstance(ok, (bool, np.bool_)):
        assert ok


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.name)
def test_kernels_agree(definition: opdef.OpDef) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    dtypes = _dtypes(definition)
    samples = [[_sample(dtype, index) for index in range(len(definition.inputs))] for dtype in dtypes]
    arguments = {name: definition.attrs[name].default for name in definition.kernel_attrs}
    if "check" in definition.kernel_services:
        arguments["check"] = _check
    compiled = jax.jit(lambda samples: [definition.kernel(jax.numpy, *x, **arguments) for x in samples])(samples)
    for dtype, inputs, result in zip(dtypes, samples, compiled, strict=True):
        target = (definition.outputs[0].dtype or dtype).as_numpy_dtype
        with np.errstate(all="ignore"):
            got = np.asarray(result).astype(target)
            assert got.shape == (3,)
            if definition.traced_only:
                continue
            wanted = np.asarray(definition.kernel(np, *inputs, **arguments)).astype(target)
        wide = np.complex128 if dtype.is_complex else np.float64
        tolerance = TOLERANCE.get(dtype.name, 1e-13)
        np.testing.assert_allclose(
            got.astype(wide), wanted.astype(wide), rtol=tolerance, atol=tolerance, err_msg=dtype.name
        )


def test_functions_of_a_table_have_names_signatures_and_docs() -> None:
    exp, less = elementwise_ops.exp, comparison_ops.less
    assert (exp.__name__, exp.__module__) == ("exp", "millstream.ops.elementwise_ops")
    assert list(inspect.signature(exp).parameters) == ["x", "name"]
    assert list(inspect.signature(less).parameters) == ["x", "y", "name"]
    assert "x: a tensor of any shape; bfloat16, float16, float32" in (exp.__doc__ or "")
    assert "of dtype bool" in (less.__doc__ or "")


@pytest.mark.parametrize("function", [tf.add, tf.subtract, tf.multiply, tf.divide, tf.squared_difference, tf.pow])
@pytest.mark.parametrize(
    ("first", "second", "shapes"),
    [
        ((4, 3), (4, 3), None),
        ((4, 3), (3,), None),
        ((4, 3), (4, 1), None),
        ((4, 3), (), None),
        ((4, 3), (1, 3), [[None, 3], [None, 3]]),
        ((1, 3), (4, 3), [[None, 3], [4, None]]),
        ((4, 3), (3,), [None, None]),
        ((), (4, 3), [[], None]),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_gradients_are_summed_over_stretched_axes(
    function: Callable[..., Any], first: Any, second: Any, shapes: Any, mode: str
) -> None:
    random = np.random.RandomState(1)
    arrays = [random.uniform(0.5, 1.5, shape) for shape in (first, second)]
    assert_gradients(lambda x, y: function(x, y), *arrays, shapes=shapes, mode=mode)


def test_equal_shapes_add_nothing_to_a_gradient() -> None:
    with tf.Graph().as_default() as graph:
        x, y = tf.placeholder(tf.float32, [2, 3]), tf.placeholder(tf.float32, [2, 3])
        z = x + y
        before = len(graph.get_operations())
        gradients = tf.gradients(z, [x, y], tf.ones([2, 3]))
        added = {op.type for op in graph.get_operations()[before:]}
    assert gradients[0] is gradients[1]
    assert added.isdisjoint({"BroadcastGradientArgs", "Sum", "Reshape", "Shape"})


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [(([5], [1]), ([], [0])), (([2, 3, 5], [5]), ([], [0, 1])), (([1], [1]), ([0], [0])), (([], [2]), ([0], []))],
)
def test_broadcast_gradient_args(shapes: Any, axes: Any) -> None:
    from millstream.ops.elementwise import broadcast_gradient_args_op

    arrays = [np.array(shape, np.int32) for shape in shapes]
    found = broadcast_gradient_args_op.kernel(np, *arrays)
    assert [part.tolist() for part in found] == list(axes)


@pytest.mark.parametrize("name", ["tanh", "sqrt", "rsqrt", "sigmoid", "reciprocal", "square", "erf", "lgamma"])
@pytest.mark.parametrize("mode", MODES)
def test_second_derivatives(name: str, mode: str) -> None:
    def derivative(x: Any) -> Any:
        if mode == "graph":
            return tf.gradients(getattr(tf, name)(x), x)[0]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = getattr(tf, name)(x)
        return tape.gradient(y, x)

    assert_gradients(derivative, np.array([0.4, 1.1, 1.7]), mode=mode)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda tf, x: x // 0, "Integer division by zero"),
        (lambda tf, x: x % tf.zeros_like(x), "Integer division by zero"),
        (lambda tf, x: tf.truncatediv(x, 0), "Integer division by zero"),
        (lambda tf, x: tf.pow(x, -x), "Integers to negative integer powers are not allowed"),
    ],
)
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_integers_that_cannot_be_computed(build: Any, message: str, given: bool, mode: str) -> None:
    arguments = [np.array([3, 4], np.int32)] if given else []
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run_in(mode, lambda x=None: build(tf, tf.constant([3, 4]) if x is None else x), *arguments)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_divided_by_zero_is_nothing(mode: str) -> None:
    for found in run_in(mode, lambda x: [x // 0, x % 0], np.zeros([0], np.int32)):
        assert found.shape == (0,)
