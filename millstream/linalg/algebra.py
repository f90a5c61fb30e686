"""The product of two operators: an operator of a simpler kind where there is one, else their composition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.linalg import hints
from millstream.linalg.block_diag import LinearOperatorBlockDiag
from millstream.linalg.circulant import Circulant
from millstream.linalg.composition import LinearOperatorComposition
from millstream.linalg.diag import LinearOperatorDiag
from millstream.linalg.dimensions import as_vector, broadcast_dims, dims_of, static_shape
from millstream.linalg.identity import LinearOperatorIdentity, LinearOperatorScaledIdentity
from millstream.linalg.linear_operator import LinearOperator
from millstream.linalg.lower_triangular import LinearOperatorLowerTriangular
from millstream.linalg.zeros import LinearOperatorZeros
from millstream.ops.reshape_ops import expand_dims

Rule = Callable[[Any, Any], LinearOperator | None]


def product(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """A B."""
    for left_class, right_class, rule in _RULES:
        if isinstance(left, left_class) and isinstance(right, right_class):
            found = rule(left, right)
            if found is not None:
                return found
    return LinearOperatorComposition([left, right])


def _zeros(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    a, b = dims_of(left), dims_of(right)
    square = a[-2] is b[-1] or a[-2] == b[-1] if isinstance(a[-2], int) and isinstance(b[-1], int) else None
    batch = as_vector(broadcast_dims(a[:-2], b[:-2]))
    return LinearOperatorZeros(a[-2], b[-1], batch, left.dtype, is_self_adjoint=square, is_square=square)


def _broadcasts_to(identity: LinearOperator, other: LinearOperator) -> bool:
    """Whether a product with an identity matrix has no more batch dimensions than the other operator."""
    batch = static_shape(other)
    return batch is not None and tuple(broadcast_dims(dims_of(identity)[:-2], list(batch[:-2]))) == batch[:-2]


def _identity_first(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    return right if _broadcasts_to(left, right) else None


def _identity_last(left: LinearOperator, right: LinearOperator) -> LinearOperator | None:
    return left if _broadcasts_to(right, left) else None


def _scaled_identities(left: Any, right: Any) -> LinearOperator:
    factor = left.multiplier * right.multiplier
    return LinearOperatorScaledIdentity(dims_of(left)[-1], factor, **hints.commuting_product(left, right))


def _diagonals(left: Any, right: Any) -> LinearOperator:
    return LinearOperatorDiag(left.diag_part() * right.diag_part(), **hints.commuting_product(left, right))


def _scaled_rows(left: Any, right: Any) -> LinearOperator:
    return _triangular(left, right, expand_dims(left.diag, -1) * right.to_dense())


def _scaled_columns(left: Any, right: Any) -> LinearOperator:
    return _triangular(left, right, left.to_dense() * expand_dims(right.diag, -2))


def _triangular(left: Any, right: Any, tril: Any) -> LinearOperator:
    return LinearOperatorLowerTriangular(tril, is_non_singular=hints.non_singular_product(left, right), is_square=True)


def _circulants(left: Any, right: Any) -> LinearOperator | None:
    if type(left) is not type(right):
        return None
    return type(left)(left.spectrum * right.spectrum, left.dtype, **hints.commuting_product(left, right))


def _block_diagonals(left: Any, right: Any) -> LinearOperator | None:
    widths = [static_shape(operator)[-1:] for operator in left.operators]
    heights = [static_shape(operator)[-2:-1] for operator in right.operators]
    if widths != heights or (None,) in widths:
        return None
    blocks = [a.matmul(b) for a, b in zip(left.operators, right.operators, strict=True)]
    return LinearOperatorBlockDiag(blocks, is_non_singular=hints.non_singular_product(left, right), is_square=None)


_RULES: list[tuple[Any, Any, Rule]] = [
    (LinearOperatorZeros, LinearOperator, _zeros),
    (LinearOperator, LinearOperatorZeros, _zeros),
    (LinearOperatorIdentity, LinearOperator, _identity_first),
    (LinearOperator, LinearOperatorIdentity, _identity_last),
    (LinearOperatorScaledIdentity, LinearOperatorScaledIdentity, _scaled_identities),
    (LinearOperatorDiag, (LinearOperatorDiag, LinearOperatorScaledIdentity), _diagonals),
    (LinearOperatorScaledIdentity, LinearOperatorDiag, _diagonals),
    (LinearOperatorDiag, LinearOperatorLowerTriangular, _scaled_rows),
    (LinearOperatorLowerTriangular, LinearOperatorDiag, _scaled_columns),
    (Circulant, Circulant, _circulants),
    (LinearOperatorBlockDiag, LinearOperatorBlockDiag, _block_diagonals),
]
