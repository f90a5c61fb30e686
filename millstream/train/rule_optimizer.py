"""Optimisers whose update is one operation: `Apply…` with its forms for rows and for resource variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core.conversion import to_tensor
from millstream.core.dtypes import resource
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import find
from millstream.core.tensor import Tensor
from millstream.ops import training_ops  # noqa: F401 - defines the operations
from millstream.ops.math_ops import cast
from millstream.train.optimizer import Optimizer


class RuleOptimizer(Optimizer):
    """Base of optimisers that use a rule of `millstream.ops.training_ops`: subclasses name it and give its inputs."""

    _rule: str
    _attributes: dict[str, Any] = {}
    _tolerates_zero_rows = True

    def _inputs(self, var: Any, gradient: Sequence[Tensor]) -> list[Any]:
        """The inputs of the rule's operation after the variable: slots and hyperparameters, and `*gradient` among them.

        `gradient` is one tensor for the dense forms; values and indices for the sparse ones.
        """
        raise NotImplementedError

    def _apply(self, form: str, var: Any, gradient: Sequence[Tensor]) -> Any:
        rule = find(form + self._rule)
        inputs = [var, *self._inputs(var, gradient)]
        for index, spec in enumerate(rule.inputs):
            if spec.dtype is resource:
                inputs[index] = inputs[index].handle
        update = rule(*inputs, use_locking=self._use_locking, **self._attributes)
        return update.op if isinstance(update, Tensor) else update

    def _apply_dense(self, grad: Tensor, var: Any) -> Any:
        return self._apply("Apply", var, [grad])

    def _resource_apply_dense(self, grad: Tensor, handle: Any) -> Any:
        return self._apply("ResourceApply", handle, [grad])

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        return self._apply("SparseApply", var, [grad.values, grad.indices])

    def _resource_apply_sparse(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        return self._apply("ResourceSparseApply", handle, [grad, indices])

    def _tensor(self, value: Any, name: str) -> Tensor:
        """A hyperparameter as a tensor, for `_prepare`; it may be a number, a tensor, or a function that gives one."""
        return to_tensor(self._call_if_callable(value), name=name)

    @staticmethod
    def _like(var: Any, *tensors: Any) -> list[Tensor]:
        """Hyperparameters in the variable's dtype."""
        return [cast(tensor, var.dtype.base_dtype) for tensor in tensors]
