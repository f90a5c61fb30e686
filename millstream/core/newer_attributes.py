"""Attributes that later releases of TensorFlow gave to operations of 1.15, and their values that ask for nothing new.

`as_graph_def` leaves them out where they have such a value, so that TensorFlow 1.15 reads the graph; `import_graph_def`
takes the value for granted.
"""
from __future__ import annotations

from typing import Any

from millstream.core.dtypes import float32, int32


def _table(*rows: tuple[str, Any, str]) -> dict[tuple[str, str], Any]:
    return {(op_type, name): default for name, default, op_types in rows for op_type in op_types.split()}


# Operations that TensorFlow does not have: it does not load graphs and models with them.
ONLY_HERE = frozenset(("MapRows", "TakenValue"))
# Attributes of operations here that TensorFlow 1.15 does not know: the definitions have the defaults.
KNOWN_HERE = _table(
    ("axis", None, "Dequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeV2"),
    ("ensure_minimum_range", None, "QuantizeV2"),
    ("exponential_avg_factor", None, "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3"),
    ("narrow_range", None, "Dequantize QuantizeV2"),
    ("perturb_singular", None, "TridiagonalSolve"),
    ("resize_if_index_out_of_bounds", None, "TensorListSetItem"),
    ("validate_shape", None, "AssignVariableOp"),
).keys()
# Attributes that only inform readers.
INFORMATION = _table(
    ("debug_name", None, "VarHandleOp"),
    ("grad_a", None, "MatMul"),
    ("grad_b", None, "MatMul"),
    ("grad_x", None, "BatchMatMul BatchMatMulV2"),
    ("grad_y", None, "BatchMatMul BatchMatMulV2"),
).keys()
_SEGMENTS = "SparseSegmentMean SparseSegmentSqrtN SparseSegmentSum"
_COUNTED_SEGMENTS = " ".join(f"{name}WithNumSegments" for name in _SEGMENTS.split())
_SCATTER = "ScatterNdAdd ScatterNdSub ScatterNdUpdate"
_TENSOR_SCATTER = "TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate"

# Attributes of TensorFlow 2.21's operations that are not known here.
UNKNOWN_HERE = _table(
    ("Tk", int32, "TopKV2"),
    ("Tsegmentids", int32, f"{_SEGMENTS} {_COUNTED_SEGMENTS} SparseSegmentMeanGrad SparseSegmentSqrtNGrad"),
    ("Tshape", int32, "TensorListGetItem"),
    ("allow_missing_files", False, "MergeV2Checkpoints"),
    ("allowed_devices", (), "VarHandleOp"),
    ("bad_indices_policy", "", f"GatherNd ScatterNd ScatterNdNonAliasingAdd {_SCATTER} {_TENSOR_SCATTER}"),
    ("bad_indices_policy", "", " ".join(f"Resource{name}" for name in _SCATTER.split())),
    ("blank_index", -1, "CTCGreedyDecoder"),
    ("dtype", float32, "Dequantize"),
    ("explicit_paddings", (), "DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter MaxPool MaxPoolGrad"),
    ("explicit_paddings", (), "DepthwiseConv2dNativeBackpropInput"),
    ("index_type", int32, "TopKV2"),
    ("multiply_linear_by_lr", False, "ApplyFtrl ApplyFtrlV2 ResourceApplyFtrl ResourceApplyFtrlV2"),
    ("multiply_linear_by_lr", False, "ResourceSparseApplyFtrl ResourceSparseApplyFtrlV2 SparseApplyFtrl"),
    ("multiply_linear_by_lr", False, "SparseApplyFtrlV2"),
    ("shape_type", int32, "ConcatOffset"),
    ("sparse_gradient", False, f"{_SEGMENTS} {_COUNTED_SEGMENTS}"),
)
