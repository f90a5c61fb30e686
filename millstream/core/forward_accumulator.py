"""`ForwardAccumulator`: derivatives along a direction, computed together with the values."""
from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any

from millstream.core import context, log, nest, shapes, tape
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.gradients import UnconnectedGradients, unconnected_from
from millstream.core.graph import get_default_graph
from millstream.core.opdef import find
from millstream.core.tangents import tangents_of_outputs
from millstream.core.tensor import Tensor


class _Tangents(tape.Recorder):
    """The tangents of what depends on the primals, each computed as soon as the operation has run.

    Args:
      graph: as for `Recorder`.
    """

    computes = True

    def __init__(self, graph: Any) -> None:
        super().__init__(graph)
        # By identity; a tangent is let go with its tensor.
        self.tracked: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}
        self.around: tuple[tape.Recorder, ...] = ()

    def of(self, tensor: Tensor) -> Tensor | None:
        """The tangent of a tensor, or None."""
        found = self.tracked.get(id(tensor))
        return None if found is None else found[1]

    def set(self, tensor: Tensor, tangent: Tensor) -> None:
        """Sets the tangent of a tensor."""
        key, tracked = id(tensor), self.tracked
        tracked[key] = weakref.ref(tensor, lambda _: tracked.pop(key, None)), tangent

    def add(self, op: Any) -> None:
        orders = sum(item.orders for item in tape.current.tapes if item.graph is self.graph)
        outer = tuple(item for item in tape.current.tapes if any(item is other for other in self.around))
        with tape.recorded_by(outer):
            found = tangents_of_outputs(op, [self.of(tensor) for tensor in op.inputs], orders)
        for tensor, tangent in zip(op.outputs, found, strict=False):  # further outputs have none
            if tangent is not None:
                self.set(tensor, tangent)


@export(v2=["autodiff.ForwardAccumulator"])
class ForwardAccumulator:
    """Computes Jacobian-vector products ("forward-mode" differentiation) while the operations of a block run.

    A product costs about as much as the computation itself, and nothing is recorded: with few inputs and many outputs
    this is cheaper than a tape. Accumulators nest with each other and with tapes, for derivatives of higher order: a
    tape inside of an accumulator gives products with the Hessian.

    The products follow from the registered gradients: the gradient of an operation is linear in the gradients of its
    outputs, and the transpose of that map takes tangents of inputs to tangents of outputs.

    Args:
      primals: a tensor or variable, or a nested structure of these.
      tangents: tensors of the same structure, shapes and dtypes: the direction.

    Raises:
      ValueError: a tensor stands twice among the primals, or a tangent has another shape or dtype.

    Example:
      >>> x = tf.constant([2.0, 3.0])
      >>> with tf.autodiff.ForwardAccumulator(primals=x, tangents=tf.constant([1.0, 0.0])) as acc:
      ...   y = x * x
      >>> acc.jvp(y).numpy().tolist()
      [4.0, 0.0]
    """

    def __init__(self, primals: Any, tangents: Any) -> None:
        nest.assert_same_structure(primals, tangents, check_types=False, expand_composites=True)
        graph = None if context.executing_eagerly() else get_default_graph()
        self._tangents = _Tangents(graph)
        self._recording = False
        seen: set[int] = set()
        for primal, tangent in zip(_flat(primals), _flat(tangents), strict=True):
            if id(primal) in seen:
                raise ValueError(
                    f"Tensor {primal!r} was specified as a primal multiple times. This may indicate an error. "
                    "If it was intended, please sum the corresponding tangents."
                )
            seen.add(id(primal))
            self._watch(primal, tangent)
        self._primals = primals  # kept, and with them their tangents

    def _watch(self, primal: Any, tangent: Any) -> None:
        tensor = _as_tensor(primal)
        if not primal.dtype.base_dtype.is_floating:
            log.tensorflow_logger().warning(
                "The dtype of the watched primal must be floating (e.g. tf.float32), got %r", primal.dtype
            )
        direction = to_tensor(tangent, dtype=primal.dtype.base_dtype)
        if not shapes.is_compatible(primal.shape._plain, direction._shape):
            raise ValueError(f"The tangent of a primal of shape {primal.shape} cannot have shape {direction.shape}.")
        if tape.carries_gradient(primal):
            self._tangents.set(self._tangents.inside(tensor), self._tangents.inside(direction))

    # --- Recording ----------------------------------------------------------------------------------------------

    def __enter__(self) -> ForwardAccumulator:
        if self._recording:
            raise ValueError("Accumulator is already recording.")
        self._tangents.around = tape.current.tapes
        tape.push(self._tangents)
        self._recording = True
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._recording:
            tape.pop(self._tangents)
            self._recording = False

    # --- Products -----------------------------------------------------------------------------------------------

    def jvp(self, primals: Any, unconnected_gradients: UnconnectedGradients = UnconnectedGradients.NONE) -> Any:
        """The products of the Jacobians of some tensors, by the accumulator's primals, with its tangents.

        Args:
          primals: a tensor or variable, or a nested structure of these, computed in the accumulator's block.
          unconnected_gradients: what stands for the product of a tensor that does not depend on the accumulator's
            primals: `NONE`, or `ZERO` for zeros.

        Returns:
          Tensors of the shapes and dtypes of `primals`, or None, in their structure.
        """
        unconnected = unconnected_from(unconnected_gradients)
        found = []
        for primal in _flat(primals):
            tangent = self._tangents.of(self._tangents.inside(_as_tensor(primal)))
            if tangent is None and unconnected is UnconnectedGradients.ZERO:
                tangent = find("ZerosLike")(to_tensor(primal))
            found.append(tangent)
        return nest.pack_sequence_as(primals, found, expand_composites=True) if nest.is_nested(primals) else found[0]


def _flat(structure: Any) -> list[Any]:
    return nest.flatten(structure, expand_composites=True)


def _as_tensor(primal: Any) -> Tensor:
    """The tensor that has a tangent: a variable's handle."""
    source = tape.source_of(primal)
    if source is None:
        raise TypeError(f"Primals must be tensors or variables, not {primal!r} of type {type(primal).__name__}.")
    return source
