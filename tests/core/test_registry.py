"""What holds for every operation and every public name, however many there are.

`tests/data/opdefs.tsv.gz` has TensorFlow 1.15.5's operations, one a line: name, inputs, outputs, attributes, flags, and
whether a gradient is registered (`function`, `none` for NotDifferentiable, or nothing). An operation meets these tests
by being defined.
"""

from __future__ import annotations

import gzip
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import millstream
import millstream.ops
from millstream.core import opdef
from millstream.core.export import MARKS
from millstream.public import names

# Operations that TensorFlow 1.15 lacks, and why they are here.
NOT_IN_TENSORFLOW_1 = {
    "ApproxTopK": "of TensorFlow 2, the functions tf.math.approx_max_k and approx_min_k",
    "TakenValue": "what a program uses of a branch outside of it: there the operations are in one graph",
    "BandedTriangularSolve": "of TensorFlow 2, the function tf.linalg.banded_triangular_solve",
    "BatchMatMulV3": "of TensorFlow 2, tf.linalg.matmul with an output_type",
    "BesselJ0": "of TensorFlow 2, the function tf.math.special.bessel_j0",
    "BesselJ1": "of TensorFlow 2, the function tf.math.special.bessel_j1",
    "BesselK0": "of TensorFlow 2, the function tf.math.special.bessel_k0",
    "BesselK0e": "of TensorFlow 2, the function tf.math.special.bessel_k0e",
    "BesselK1": "of TensorFlow 2, the function tf.math.special.bessel_k1",
    "BesselK1e": "of TensorFlow 2, the function tf.math.special.bessel_k1e",
    "BesselY0": "of TensorFlow 2, the function tf.math.special.bessel_y0",
    "BesselY1": "of TensorFlow 2, the function tf.math.special.bessel_y1",
    "CTCLossV2": "of TensorFlow 2, CTCLoss with the blank as the first class",
    "CheckNumericsV2": "of TensorFlow 2, what tf.debugging.enable_check_numerics makes",
    "Dawsn": "of TensorFlow 2, the function tf.math.special.dawsn",
    "DenseBincount": "of TensorFlow 2, tf.math.bincount by rows",
    "DisableCopyOnRead": "of TensorFlow 2, in graphs that save variables",
    "Eig": "of TensorFlow 2, the function tf.linalg.eig",
    "Erfinv": "of TensorFlow 2, the function tf.math.erfinv",
    "Expint": "of TensorFlow 2, the function tf.math.special.expint",
    "FresnelCos": "of TensorFlow 2, the function tf.math.special.fresnel_cos",
    "FresnelSin": "of TensorFlow 2, the function tf.math.special.fresnel_sin",
    "IsotonicRegression": "of TensorFlow 2, the function tf.nn.isotonic_regression",
    "MapRows": "of this library, what tf.vectorized_map and Jacobians are made of",
    "MatrixDiagPartV3": "of TensorFlow 2, what tf.linalg.diag_part makes there",
    "MatrixDiagV3": "of TensorFlow 2, what tf.linalg.diag makes there",
    "MatrixSetDiagV3": "of TensorFlow 2, what tf.linalg.set_diag makes there",
    "Ndtri": "of TensorFlow 2, the function tf.math.ndtri",
    "QuantizeAndDequantizeV4": "of TensorFlow 2, the function tf.quantization.quantize_and_dequantize_v2",
    "QuantizeAndDequantizeV4Grad": "of TensorFlow 2, the gradient of QuantizeAndDequantizeV4",
    "RandomIndexShuffle": "of TensorFlow 2, the function tf.random.experimental.index_shuffle",
    "RngReadAndSkip": "of TensorFlow 2, the method skip of tf.random.Generator",
    "SobolSample": "of TensorFlow 2, the function tf.math.sobol_sample",
    "Spence": "of TensorFlow 2, the function tf.math.special.spence",
    "StatelessCase": "of TensorFlow 2, tf.switch_case whose branches have no effects",
    "StatelessParameterizedTruncatedNormal": "of TensorFlow 2, the stateless function of that name",
    "StatelessRandomBinomial": "of TensorFlow 2, the function tf.random.stateless_binomial",
    "StatelessRandomGammaV2": "of TensorFlow 2, in graphs of its earlier releases",
    "StatelessRandomGammaV3": "of TensorFlow 2, the function tf.random.stateless_gamma",
    "StatelessRandomGetAlg": "of TensorFlow 2, for graphs that hold it",
    "StatelessRandomGetKeyCounter": "of TensorFlow 2, what its stateless functions make of seeds",
    "StatelessRandomGetKeyCounterAlg": "of TensorFlow 2, in graphs of its earlier releases",
    "StatelessRandomNormalV2": "of TensorFlow 2, the function tf.random.stateless_normal",
    "StatelessRandomPoisson": "of TensorFlow 2, the function tf.random.stateless_poisson",
    "StatelessRandomUniformFullInt": "of TensorFlow 2, in graphs of its earlier releases",
    "StatelessRandomUniformFullIntV2": "of TensorFlow 2, the function tf.random.split",
    "StatelessRandomUniformIntV2": "of TensorFlow 2, the function tf.random.stateless_uniform",
    "StatelessRandomUniformV2": "of TensorFlow 2, the function tf.random.stateless_uniform",
    "StatelessShuffle": "of TensorFlow 2, the function tf.random.experimental.stateless_shuffle",
    "StatelessTruncatedNormalV2": "of TensorFlow 2, the function tf.random.stateless_truncated_normal",
    "TensorScatterMax": "of TensorFlow 2, the function tf.tensor_scatter_nd_max",
    "TensorScatterMin": "of TensorFlow 2, the function tf.tensor_scatter_nd_min",
    "XlaOptimizationBarrier": "of TensorFlow 2, what keeps tf.recompute_grad from being optimised away",
    "_ReluFusedBatchNormGrad": "ours, what two operations are fused to",
    "_ReluMaxPoolGrad": "ours, what two operations are fused to",
    "Xlog1py": "of TensorFlow 2, the function tf.math.xlog1py",
}

# Attributes that TensorFlow 2 added, with defaults.
ATTRS_NOT_IN_TENSORFLOW_1 = {
    "AssignVariableOp": {"validate_shape"},
    "Dequantize": {"axis", "narrow_range"},
    "FusedBatchNorm": {"exponential_avg_factor"},
    "FusedBatchNormV2": {"exponential_avg_factor"},
    "FusedBatchNormV3": {"exponential_avg_factor"},
    "QuantizeAndDequantizeV2": {"axis"},
    "QuantizeAndDequantizeV3": {"axis"},
    "QuantizeV2": {"axis", "ensure_minimum_range", "narrow_range"},
    "TensorListSetItem": {"resize_if_index_out_of_bounds"},
    "TridiagonalSolve": {"perturb_singular"},
    "_FusedBatchNormEx": {"exponential_avg_factor"},
}

# Types that TensorFlow 2 added to an attribute.
_UNSIGNED, _SMALL = "uint32 uint64", "int8 int16 uint8 uint16 uint32 uint64"
TYPES_NOT_IN_TENSORFLOW_1 = {
    ("T", "half bfloat16"): "_FusedConv2D",
    ("T", _UNSIGNED): "Div FloorDiv Mul OnesLike RealDiv Reverse ReverseV2 Sub TruncateDiv",
    ("T", f"uint16 {_UNSIGNED}"): "AddV2 Equal NotEqual",
    ("T", _SMALL): "FloorMod Maximum Minimum Square",
    ("T", "int8 int16"): "Inv Neg Pow Reciprocal Round Sign",
    ("T", "bfloat16"): "_FusedBatchNormEx CumulativeLogsumexp DivNoNan MulNoNan Xdivy Xlogy",
    ("T", "half"): "LinSpace",
    ("Tidx", f"half int8 int16 uint16 {_UNSIGNED}"): "Range",
}

# Not stateful in TensorFlow 2: its result depends on its inputs alone.
STATEFUL_IN_TENSORFLOW_1 = {"TensorListResize"}

# TensorFlow registers a function that gives None for these; here they have a reason.
GRADIENT_IS_NONE = set("ArgMax ArgMin Ceil Floor FloorDiv Rint Round TruncateDiv".split())

_FUNCTIONS = "TensorFlow registers its gradient only when the module of the functions is imported"
_CONTRIB_RNN = "TensorFlow registers its gradient when tf.contrib is loaded"

# Differentiable here, where TensorFlow 1.15 raises LookupError or gives None.
DIFFERENTIABLE_ONLY_HERE = {
    "ClipByValue": "its public function is composed of others in TensorFlow",
    "DebugGradientIdentity": "an identity",
    "Einsum": "tf.einsum is composed of others in TensorFlow 1.15",
    "EuclideanNorm": "differentiable but for zero",
    "GRUBlockCell": _CONTRIB_RNN,
    "LSTMBlockCell": _CONTRIB_RNN,
    "MatrixExponential": "its public function is composed of others in TensorFlow",
    "MaxPoolGradGradV2": "the gradient of MaxPoolGradV2",
    "PartitionedCall": _FUNCTIONS,
    "Snapshot": "an identity",
    "SoftsignGrad": "for derivatives of second order",
    "StatefulPartitionedCall": _FUNCTIONS,
    "StatelessWhile": _FUNCTIONS,
    "While": _FUNCTIONS,
}


class Row(NamedTuple):
    """An operation of TensorFlow, as text."""

    inputs: str
    outputs: str
    attrs: str
    flags: str
    gradient: str


@pytest.fixture(scope="module")
def tensorflow() -> dict[str, Row]:
    path = Path(__file__).parents[1] / "data" / "opdefs.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        cells = [line.rstrip("\n").split("\t") for line in lines][1:]
    return {row[0]: Row(*(row[1:] + [""] * 5)[:5]) for row in cells}


@pytest.fixture(scope="module")
def registry() -> dict[str, opdef.OpDef]:
    """All operations of the package; those that other tests define for themselves are left out."""
    import_all("millstream.ops")
    return {
        name: definition
        for name, definition in sorted(opdef.REGISTRY.items())
        if definition.kernel.__module__.startswith("millstream.")
    }


def import_all(package: str) -> None:
    module = importlib.import_module(package)
    for info in pkgutil.iter_modules(module.__path__, package + "."):
        importlib.import_module(info.name)
        if info.ispkg:
            import_all(info.name)


# --- Signatures -------------------------------------------------------------------------------------------------------


def args_as_text(specs: tuple[opdef.ArgSpec, ...]) -> str:
    return "; ".join(f"{spec.name}:{arg_type(spec)}" for spec in specs)


def arg_type(spec: opdef.ArgSpec) -> str:
    if spec.list_attr is not None:
        return f"{spec.list_attr}[]"
    text = spec.type_attr if spec.dtype is None else spec.dtype.short_name
    if spec.number_attr is not None:
        text = f"{spec.number_attr}*{text}"
    return f"Ref({text})" if spec.is_ref else text


def attr_as_text(spec: opdef.AttrSpec) -> str:
    text = f"{spec.name}:{spec.kind}"
    if spec.default is not opdef.REQUIRED:
        text += f"={value_as_text(spec.default, spec.kind)}"
    if spec.allowed is not None:
        element = spec.kind[5:-1] if spec.kind.startswith("list(") else spec.kind
        text += "{" + ",".join(value_as_text(item, element) for item in spec.allowed) + "}"
    return text if spec.minimum is None else f"{text}>={spec.minimum}"


def value_as_text(value: object, kind: str) -> str:
    if kind.startswith("list("):
        return "[" + ",".join(value_as_text(item, kind[5:-1]) for item in value) + "]"
    if kind == "string":
        return '"' + value.replace("\t", "\\t").replace("\n", "\\n") + '"'
    if kind == "type":
        return value.short_name
    if kind == "bool":
        return str(value).lower()
    if kind == "float":
        return repr(float(value))
    if kind == "shape":
        return "unknown" if value is None else "[" + ",".join(map(str, value)) + "]"
    return str(value)


def attrs_of_row(text: str) -> dict[str, str]:
    """The table's attributes by name; numbers written as Python writes single precision."""
    found = {}
    for part in filter(None, text.split("; ")):
        name, _, rest = part.partition(":")
        if rest.startswith("tensor="):  # a default that the signatures here cannot express
            rest = "tensor"
        if rest.startswith("float="):
            rest = "float=" + repr(opdef.as_float32(float(rest.removeprefix("float="))))
        found[name] = f"{name}:{rest}"
    return found


def without_newer_types(op_type: str, spec: opdef.AttrSpec) -> opdef.AttrSpec:
    """An attribute without the types that `TYPES_NOT_IN_TENSORFLOW_1` allows besides."""
    for (attr, types), operations in TYPES_NOT_IN_TENSORFLOW_1.items():
        if spec.name == attr and op_type in operations.split():
            older = [item for item in spec.allowed if item.short_name not in types.split()]
            return spec._replace(allowed=tuple(older))
    return spec


def test_every_operation_is_tensorflows(registry, tensorflow):
    unknown = {name for name in registry if name not in tensorflow}
    assert unknown == {name for name in NOT_IN_TENSORFLOW_1 if name in registry}


def test_signatures_equal_tensorflows(registry, tensorflow):
    problems = []
    for name, definition in registry.items():
        row = tensorflow.get(name)
        if row is None:
            continue
        newer = ATTRS_NOT_IN_TENSORFLOW_1.get(name, ())
        ours = {
            spec.name: attr_as_text(without_newer_types(name, spec))
            for spec in definition.attrs.values()
            if spec.name not in newer
        }
        pairs = [
            (args_as_text(definition.inputs), row.inputs),
            (args_as_text(definition.outputs), row.outputs),
            *((ours.get(key), wanted) for key, wanted in attrs_of_row(row.attrs).items()),
            (sorted(ours), sorted(attrs_of_row(row.attrs))),
        ]
        problems += [f"{name}: {found} but TensorFlow {wanted}" for found, wanted in pairs if found != wanted]
    assert problems == []


def test_flags_equal_tensorflows(registry, tensorflow):
    problems = []
    for name, definition in registry.items():
        if name in tensorflow and name not in STATEFUL_IN_TENSORFLOW_1:
            flags = [flag for flag in ("stateful", "commutative", "aggregate") if getattr(definition, flag)]
            flags += ["allows_uninitialized_input"] if definition.allows_uninitialized else []
            if flags != tensorflow[name].flags.split():
                problems.append(f"{name}: {flags} but TensorFlow {tensorflow[name].flags.split()}")
    assert problems == []


# --- Gradients, shapes, kernels -----------------------------------------------------------------------------------


def test_every_operation_has_a_gradient_or_a_reason(registry, tensorflow):
    """Or neither, where TensorFlow has neither: differentiating is a LookupError then."""
    silent = [n for n, d in registry.items() if d.gradient_function is None and not d.gradient_reason]
    both = [n for n, d in registry.items() if d.gradient_function is not None and d.gradient_reason]
    assert [name for name in silent if name not in tensorflow or tensorflow[name].gradient] == []
    assert both == []


def test_gradients_agree_with_tensorflows(registry, tensorflow):
    problems = []
    for name, definition in registry.items():
        wanted = tensorflow[name].gradient if name in tensorflow else None
        if wanted == "function":
            agrees = definition.gradient_function is not None or name in GRADIENT_IS_NONE
        elif wanted is not None:  # not differentiable, or LookupError in TensorFlow
            agrees = definition.gradient_function is None or name in DIFFERENTIABLE_ONLY_HERE
        else:
            agrees = True
        if not agrees:
            ours = definition.gradient_reason or "a function"
            problems.append(f"{name}: {ours}, TensorFlow: {wanted or 'LookupError'}")
    assert problems == []


def test_lists_of_exceptions_are_up_to_date(registry):
    for name in GRADIENT_IS_NONE & registry.keys():
        assert registry[name].gradient_reason, name
    for name in DIFFERENTIABLE_ONLY_HERE.keys() & registry.keys():
        assert registry[name].gradient_function is not None, name


def test_every_operation_has_a_shape_rule(registry):
    """A queue's elements have the shapes that the queue was made with, which is looked up elsewhere."""
    assert [n for n, d in registry.items() if d.shape_rule is None and d.outputs and "Dequeue" not in n] == []


def test_kernels_take_what_the_signature_gives(registry):
    problems = []
    for name, definition in registry.items():
        parameters = inspect.signature(definition.kernel).parameters.values()
        positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)]
        variable = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
        if not variable and len(positional) != 1 + len(definition.inputs):
            problems.append(f"{name}{tuple(positional)} for {definition.signature}")
        keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
        unknown = keywords - definition.attrs.keys() - opdef.KERNEL_SERVICES
        if unknown or any(p.kind is p.VAR_KEYWORD for p in parameters):
            problems.append(f"{name}: {unknown} is no attribute of {definition.signature}")
    assert problems == []


def test_host_operations_are_not_said_to_need_a_compiler(registry):
    assert [n for n, d in registry.items() if d.host and (d.traced_only or d.static_inputs)] == []


def test_operations_that_move_data_have_no_services(registry):
    """They are run when shapes are inferred and at compile time, any number of times."""
    pure = {"check", "within", "node"}
    assert [n for n, d in registry.items() if d.moves_data and (d.stateful or d.kernel_services - pure)] == []


def test_operations_that_run_python_say_so(registry):
    """What a graph from a file may not contain, unless the caller allows it."""
    assert {n for n, d in registry.items() if d.runs_python} == {
        n for n in registry if n in ("PyFunc", "PyFuncStateless", "EagerPyFunc")
    }


def test_an_operation_is_defined_once():
    with pytest.raises(ValueError, match="Operation Add is defined twice"):
        opdef.op("Add(x: float, y: float) -> z: float")(lambda xp, x, y: x)


# --- Public names ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def marks():
    """The export marks of all modules, with the objects that they stand on."""
    for package in pkgutil.iter_modules(millstream.__path__):
        if package.ispkg and not package.name.startswith("_"):
            import_all(f"millstream.{package.name}")
    found = []
    for mark in MARKS:
        if mark.module.startswith("millstream."):
            found.append((mark, getattr(importlib.import_module(mark.module), mark.attribute)))
    return found


@pytest.mark.parametrize("version", [1, 2])
def test_public_names_are_tensorflows(marks, version):
    exported = {name for mark, _ in marks for name in (mark.v1 if version == 1 else mark.v2)}
    assert sorted(name for name in exported if names.kind(version, name) is None) == []


@pytest.mark.parametrize("version", [1, 2])
def test_public_names_stand_for_one_thing(marks, version):
    owners: dict[str, set[int]] = {}
    for mark, value in marks:
        for name in mark.v1 if version == 1 else mark.v2:
            owners.setdefault(name, set()).add(id(value))
    assert sorted(name for name, values in owners.items() if len(values) > 1) == []


def test_public_functions_and_classes_are_of_the_right_kind(marks):
    problems = []
    for mark, value in marks:
        for name in mark.v1:
            kind = names.kind(1, name)
            if kind == "c" and not inspect.isclass(value) and not callable(value):
                problems.append(f"{name} is a class in TensorFlow")
            if kind == "f" and not callable(value):
                problems.append(f"{name} is a function in TensorFlow")
    assert problems == []


def test_public_functions_and_classes_have_docstrings(marks):
    problems = []
    for mark, value in marks:
        ours = getattr(value, "__module__", "").startswith("millstream.")  # absl's flags have docstrings of their own
        documented = ours and (inspect.isclass(value) or inspect.isfunction(value))
        text = (value.__doc__ or "") if documented else "a constant"
        if len(re.findall(r"\w+", text)) < 2:
            problems.append(f"{mark.module}.{mark.attribute}: {text!r}")
    assert problems == []


def test_public_methods_have_docstrings(marks):
    problems = []
    for _, value in marks:
        if not inspect.isclass(value) or issubclass(value, tuple) or not value.__module__.startswith("millstream."):
            continue
        for key, member in vars(value).items():
            if key.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
                continue
            if getattr(member, "__name__", key) == key and not inspect.getdoc(getattr(value, key)):
                problems.append(f"{value.__module__}.{value.__name__}.{key}")
    assert sorted(set(problems)) == []


def test_the_package_of_operations_has_no_list_of_them():
    """An operation is known by being defined in a module of `millstream.ops`."""
    assert not [name for name in vars(millstream.ops) if name.isupper()]
