"""Signatures of operations that exist only in files: control flow of TensorFlow 1, its stacks and arrays.

None of them has a kernel. `import_graph_def` puts loops, branches and lists in their place.
"""
from __future__ import annotations

from typing import Any

from millstream.core.dtypes import ANY
from millstream.core.opdef import OpDef

_FRAME = "*, frame_name: string, is_constant: bool = False, parallel_iterations: int = 10"
_ARRAY = "element_shape: shape = None, dynamic_size: bool = False, clear_after_read: bool = True"


def _array_signatures(version: str, handle: str) -> list[str]:
    """The operations of one generation of tensor arrays."""
    def op(name: str, inputs: str, rest: str) -> str:
        return f"TensorArray{name}{version}(handle: {handle}, {inputs}flow_in: float{rest}"

    value = " -> value: dtype"
    return [
        op("Write", "index: int32, value: T, ", ") -> flow_out: float"),
        op("Read", "index: int32, ", f", *, dtype: type){value}"),
        op("Gather", "indices: int32, ", f", *, dtype: type, element_shape: shape = None){value}"),
        op("Scatter", "indices: int32, value: T, ", ") -> flow_out: float"),
        op("Concat", "", f", *, dtype: type, element_shape_except0: shape = None){value}, lengths: int64"),
        op("Split", "value: T, lengths: int64, ", ") -> flow_out: float"),
        op("Size", "", ") -> size: int32"),
        f"TensorArrayClose{version}(handle: {handle})",
    ]


_SIGNATURES = (
    f"Enter(data: T, {_FRAME}) -> output: T",
    f"RefEnter(data: Ref(T), {_FRAME}) -> output: Ref(T)",
    "Exit(data: T) -> output: T",
    "RefExit(data: Ref(T)) -> output: Ref(T)",
    "NextIteration(data: T) -> output: T",
    "RefNextIteration(data: Ref(T)) -> output: Ref(T)",
    "LoopCond(input: bool) -> output: bool",
    "ControlTrigger()",
    'StackV2(max_size: int32, *, elem_type: type, stack_name: string = "") -> handle: resource',
    "StackPushV2(handle: resource, elem: T, *, swap_memory: bool = False) -> output: T",
    "StackPopV2(handle: resource, *, elem_type: type) -> elem: elem_type",
    "StackCloseV2(handle: resource)",
    f'TensorArrayV2(size: int32, *, dtype: type, {_ARRAY}, tensor_array_name: string = "") -> handle: string',
    f"TensorArrayV3(size: int32, *, dtype: type, {_ARRAY}, identical_element_shapes: bool = False, "
    'tensor_array_name: string = "") -> handle: resource, flow: float',
    "TensorArrayGradV2(handle: string, flow_in: float, *, source: string) -> grad_handle: string",
    "TensorArrayGradV3(handle: resource, flow_in: float, *, source: string) -> grad_handle: resource, flow_out: float",
    *_array_signatures("V2", "string"),
    *_array_signatures("V3", "resource"),
)  # fmt: skip

_definitions: dict[str, OpDef] = {}


def find(op_type: str) -> OpDef | None:
    """The definition of an operation that only files have, or None."""
    if not _definitions:
        for signature in _SIGNATURES:
            types: dict[str, Any] = {"T": ANY} if ": T" in signature or "Ref(T)" in signature else {}
            definition = OpDef(signature, types, _no_kernel, None)
            _definitions[definition.name] = definition
    return _definitions.get(op_type)


def _no_kernel(xp: Any) -> None:
    raise NotImplementedError("This operation exists only in files.")
