"""`GradientTape`: records operations for automatic differentiation."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from millstream.core import context, jacobians, log, nest, opdef, tape
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.gradients import UnconnectedGradients, unconnected_from
from millstream.core.graph import get_default_graph
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.tensor import Tensor
from millstream.core.trace_type import is_variable
from millstream.core.type_spec import CompositeTensor

_warned_of_use_inside = False


@export("GradientTape", v2=["autodiff.GradientTape"])
class GradientTape:
    """Records the operations of a `with` block, so that `gradient` can differentiate what they computed.

    Trainable variables are watched when they are read; other tensors after `watch`. Tapes may be nested: the inner
    gradient is then recorded by the outer tape, which gives derivatives of higher order.

    Args:
      persistent: whether `gradient` and `jacobian` may be called more than once.
      watch_accessed_variables: False: only what was given to `watch` is differentiated.

    Example:
      >>> x = tf.constant(3.0)
      >>> with tf.GradientTape() as g:
      ...   g.watch(x)
      ...   y = x * x
      >>> g.gradient(y, x).numpy()
      6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watches_variables = watch_accessed_variables
        self._tape: tape.Tape | None = None
        self._recording = False
        self._watched: tuple[Any, ...] = ()  # the variables of a tape that has been used

    # --- Recording ----------------------------------------------------------------------------------------------

    def __enter__(self) -> GradientTape:
        self._start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._recording:
            self._stop()

    def _start(self) -> None:
        if self._recording:
            raise ValueError("Tape is still recording, This can happen if you try to re-enter an already-active tape.")
        if self._tape is None:
            graph = None if context.executing_eagerly() else get_default_graph()
            # A persistent tape may differentiate its own gradients, inside of its block.
            self._tape = tape.Tape(graph, self._watches_variables, orders=2 if self._persistent else 1)
        tape.push(self._tape)
        self._recording = True

    def _stop(self) -> None:
        if not self._recording:
            raise ValueError("Tape is not recording.")
        tape.pop(self._live())
        self._recording = False

    def watch(self, tensor: Any) -> None:
        """Has the tape record what depends on a tensor.

        Args:
          tensor: a tensor or variable, or a nested structure of these; those of integers are warned about, no
            gradient flows through them.

        Raises:
          ValueError: an element is no tensor.
        """
        live = self._live()
        for item in nest.flatten(tensor, expand_composites=True):
            source = tape.source_of(item)
            if source is None:
                raise ValueError(
                    f"Passed in object {item!r} of type '{type(item).__name__}', not tf.Tensor or tf.Variable or "
                    "ExtensionType."
                )
            if not tape.carries_gradient(item):
                log.tensorflow_logger().warning(
                    "The dtype of the watched tensor must be floating (e.g. tf.float32), got %r", item.dtype
                )
            elif is_variable(item):
                live.watch_variable(item)
            else:
                live.watch(source)

    def _live(self) -> tape.Tape:
        if self._tape is None:
            raise RuntimeError("The tape has not been entered: use `with tf.GradientTape() as tape:`.")
        return self._tape

    def watched_variables(self) -> tuple[Any, ...]:
        """The variables that have been watched, in the order in which they were made."""
        watched = self._tape.variables.values() if self._tape is not None else self._watched
        return tuple(sorted(watched, key=lambda variable: getattr(variable.handle, "number", 0)))

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Does not record what is done within a `with` block.

        Raises:
          RuntimeError: the tape has recorded nothing, or its gradients have been computed.
          ValueError: the tape is not recording.
        """
        if self._tape is None:
            raise RuntimeError("Trying to stop recording a tape which is not recording.")
        self._stop()
        try:
            yield
        finally:
            self._start()

    def reset(self) -> None:
        """Forgets all that was recorded, and goes on recording.

        Raises:
          ValueError: the tape is not recording.
        """
        self._stop()
        self._tape = None
        self._start()

    # --- Differentiation ------------------------------------------------------------------------------------------

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: UnconnectedGradients = UnconnectedGradients.NONE,
    ) -> Any:
        """The gradients of the sum of `target` with respect to `sources`.

        Args:
          target: a tensor, or a nested structure of tensors.
          sources: a tensor or variable, or a nested structure of these.
          output_gradients: gradients that flow into `target`, in its structure; default: ones.
          unconnected_gradients: what stands for the gradient of a source on which the target does not depend:
            `NONE`, or `ZERO` for zeros.

        Returns:
          Tensors, `IndexedSlices` or None, in the structure of `sources`.

        Raises:
          RuntimeError: a tape that is not persistent is used twice.
          TypeError: the target is None, or a source is no tensor.
          LookupError: an operation on the way has no gradient.
        """
        live = self._ready()
        unconnected = unconnected_from(unconnected_gradients)
        outer = _flat_targets(target)
        targets = [live.inside(_as_tensor(item)) for item in outer]
        flat = nest.flatten(sources)
        inner = [live.inside(_source(item)) for item in flat]
        given = [None] * len(targets) if output_gradients is None else _given(output_gradients, targets)
        with self._within(live):
            filled = [_ones_like(y) if grad is None else grad for y, grad in zip(outer, given, strict=True)]
            found = _of_watched(
                live, targets, inner, lambda known: tape.walk_back(self._operations(live), targets, filled, known)
            )
            if unconnected is UnconnectedGradients.ZERO:
                found = [_zeros_like(x) if grad is None else grad for grad, x in zip(found, flat, strict=True)]
        found = [_in_form_of(x, grad) for x, grad in zip(flat, found, strict=True)]
        return nest.pack_sequence_as(sources, found) if nest.is_nested(sources) else found[0]

    def jacobian(
        self,
        target: Tensor,
        sources: Any,
        unconnected_gradients: UnconnectedGradients = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The derivatives of each element of `target` with respect to each element of `sources`.

        All rows are computed at once by one compiled program; where an operation on the way runs in Python, row by row.

        Args:
          target: a tensor.
          sources: a tensor or variable, or a nested structure of these.
          unconnected_gradients: as for `gradient`.
          parallel_iterations: computes so many rows at a time, which takes less memory; default: all.
          experimental_use_pfor: False: computes row by row.

        Returns:
          Tensors of shape `target.shape + source.shape`, or None, in the structure of `sources`.

        Raises:
          RuntimeError: a tape that is not persistent is used twice; or row by row, in eager execution.
          LookupError: an operation on the way has no gradient.

        Example:
          >>> x = tf.constant([1.0, 2.0])
          >>> with tf.GradientTape() as g:
          ...   g.watch(x)
          ...   y = x * x
          >>> g.jacobian(y, x).numpy().tolist()
          [[2.0, 0.0], [0.0, 4.0]]
        """
        live = self._ready()
        self._check_rows(experimental_use_pfor, "jacobian")
        unconnected = unconnected_from(unconnected_gradients)
        flat = nest.flatten(sources)
        y = live.inside(_single(target))
        inner = [live.inside(_source(item)) for item in flat]
        with self._within(live):
            found = _of_watched(live, [y], inner, lambda known: jacobians.jacobian(
                self._operations(live), y, known, parallel_iterations, experimental_use_pfor
            ))  # fmt: skip
            if unconnected is UnconnectedGradients.ZERO:
                found = [
                    jacobians.zeros(y, to_tensor(_values_of(x))) if rows is None else rows
                    for rows, x in zip(found, flat, strict=True)
                ]
        return nest.pack_sequence_as(sources, found) if nest.is_nested(sources) else found[0]

    def batch_jacobian(
        self,
        target: Tensor,
        source: Tensor,
        unconnected_gradients: UnconnectedGradients = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Tensor:
        """The Jacobian of each example of a batch: `target[i]` must depend on no other example than `source[i]`.

        It takes as many rows as an example of `target` has elements, not as the whole has.

        Args:
          target: shape [batch, ...], at least two dimensions.
          source: shape [batch, ...], at least two dimensions.
          unconnected_gradients: accepted; where the target does not depend on the source the result is zeros.
          parallel_iterations, experimental_use_pfor: as for `jacobian`.

        Returns:
          A tensor of shape `target.shape + source.shape[1:]`.

        Raises:
          ValueError: the shapes do not suit.
          RuntimeError, LookupError: as for `jacobian`.
        """
        live = self._ready()
        self._check_rows(experimental_use_pfor, "batch_jacobian")
        y, x = live.inside(_single(target)), live.inside(_source(source))
        value = to_tensor(source)
        jacobians.check_batch(y, value)
        with self._within(live):
            is_watched, operations = _is_watched(live, [y], x), self._operations(live)
            found = jacobians.batch_jacobian(
                operations, y, x, parallel_iterations, experimental_use_pfor
            ) if is_watched else None  # fmt: skip
            return jacobians.batch_zeros(y, value) if found is None else found

    def _ready(self) -> tape.Tape:
        """What has been recorded; a tape that is not persistent records no more."""
        if self._tape is None:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients (or jacobians)"
            )
        if self._recording:
            if not self._persistent:
                self._stop()
            else:
                _warn_of_use_inside()
        return self._tape

    def _check_rows(self, at_once: bool, what: str) -> None:
        if not at_once and not self._persistent and context.executing_eagerly():
            raise RuntimeError(
                f"GradientTape must be created with persistent=True to compute the {what} with eager execution enabled "
                "and with experimental_use_pfor set to False."
            )

    def _operations(self, live: tape.Tape) -> list[Any]:
        """What has been recorded, for the last time where the tape is not persistent."""
        if self._persistent:
            return live.operations
        self._watched = self.watched_variables()
        self._tape = None
        live.tracked.clear()
        operations, live.operations = live.operations, []
        return operations

    @contextmanager
    def _within(self, live: tape.Tape) -> Iterator[None]:
        """The tape's own context: its graph, where it has one."""
        if live.graph is None or live.graph is get_default_graph():
            yield
        else:
            with live.graph.as_default():
                yield


def _of_watched(
    live: tape.Tape,
    targets: Sequence[Tensor],
    sources: Sequence[Tensor],
    differentiate: Callable[[list[Tensor]], list[Any]],
) -> list[Any]:
    """The derivatives with respect to the sources that the tape watches, or that are targets; None for others."""
    known = [x for x in sources if _is_watched(live, targets, x)]
    found = dict(zip(map(id, known), differentiate(known), strict=True))
    return [found.get(id(x)) for x in sources]


def _is_watched(live: tape.Tape, targets: Sequence[Tensor], source: Tensor) -> bool:
    return id(source) in live.tracked or any(source is y for y in targets)


def _warn_of_use_inside() -> None:
    global _warned_of_use_inside
    if not _warned_of_use_inside:
        _warned_of_use_inside = True
        log.tensorflow_logger().warning(
            "Calling GradientTape.gradient on a persistent tape inside its context is significantly less efficient "
            "than calling it outside the context (it causes the gradient ops to be recorded on the tape, leading to "
            "increased CPU and memory usage). Only call GradientTape.gradient inside the context if you actually want "
            "to trace the gradient in order to compute higher order derivatives."
        )


def _flat_targets(target: Any) -> list[Any]:
    flat = [_values_of(item) for item in nest.flatten(target)]
    if any(item is None for item in flat):
        raise TypeError(
            "Argument `target` should be a list or nested structure of Tensors, Variables or CompositeTensors to be "
            "differentiated, but received None."
        )
    return flat


def _single(target: Any) -> Tensor:
    """The target of a Jacobian."""
    if nest.is_nested(target):
        raise TypeError(f"The target of a Jacobian must be one tensor, not {target!r}.")
    return to_tensor(target)


def _as_tensor(value: Any) -> Tensor:
    """The tensor to differentiate, in whatever context it was computed: of a variable the handle."""
    if isinstance(value, Tensor):
        return value
    return value.handle if is_variable(value) else to_tensor(value)


def _source(value: Any) -> Tensor:
    """The tensor to differentiate with respect to: a variable's handle, not a copy of its value."""
    source = tape.source_of(_values_of(value))
    if source is None:
        raise TypeError(f"Sources must be tensors or variables, not {value!r} of type {type(value).__name__}.")
    return source


def _values_of(value: Any) -> Any:
    """What gradients flow through: a tensor itself, the values of what consists of several."""
    if not isinstance(value, CompositeTensor):
        return value
    if not (isinstance(value, IndexedSlices) or hasattr(value, "with_values")):
        raise ValueError(f"Type {type(value).__name__} is not supported as a gradient source or gradient target.")
    return _values_of(value.values)  # type: ignore[attr-defined]


def _in_form_of(source: Any, grad: Any) -> Any:
    """The gradient of a source in the source's own form."""
    if grad is None or not isinstance(source, CompositeTensor):
        return grad
    if isinstance(source, IndexedSlices):
        return IndexedSlices(grad, source.indices, source.dense_shape)
    return source.with_values(_in_form_of(source.values, grad))  # type: ignore[attr-defined]


def _given(output_gradients: Any, targets: list[Tensor]) -> list[Any]:
    flat = nest.flatten(output_gradients)
    if len(flat) != len(targets):
        raise ValueError(f"Passed {len(flat)} output_gradients for {len(targets)} targets.")
    return [
        grad if grad is None or isinstance(grad, IndexedSlices) else to_tensor(grad, dtype=y.dtype.base_dtype)
        for grad, y in zip(flat, targets, strict=True)
    ]


def _ones_like(target: Any) -> Tensor | None:
    """The gradient that flows into a target; nothing into one of integers or strings."""
    return opdef.find("OnesLike")(to_tensor(target)) if tape.carries_gradient(target) else None


def _zeros_like(source: Any) -> Any:
    return opdef.find("ZerosLike")(to_tensor(_values_of(source)))
