"""`LinearOperator`: what all operators have in common."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from millstream.core import dtypes, shapes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.module import Module
from millstream.core.scopes import name_scope
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.linalg.dimensions import as_vector, dims_of, static_shape
from millstream.linalg.hints import Hint
from millstream.ops import check_ops
from millstream.ops.complex_ops import real
from millstream.ops.decomposition_ops import self_adjoint_eigvals, svd
from millstream.ops.diag_ops import matrix_diag_part
from millstream.ops.elementwise_ops import abs, exp, log
from millstream.ops.fill_ops import eye
from millstream.ops.linalg_ops import (
    adjoint_of,
    cholesky,
    cholesky_solve,
    matrix_determinant,
    matrix_solve,
    slogdet,
)
from millstream.ops.reduction_ops import reduce_max, reduce_min, reduce_sum
from millstream.ops.reshape_ops import expand_dims, squeeze


@export("linalg.LinearOperator")
class LinearOperator(Module, abc.ABC):
    """A matrix, or a batch of matrices, that is known by what it does: base class of all operators.

    Subclasses define `_shape` and `_matmul(x, adjoint, adjoint_arg)`, and `_shape_tensor` if the shape may be
    unknown when the graph is built. All other methods then work through the dense matrix; a subclass that
    knows a quicker way defines the method of the same name with a leading underscore, such as `_solve`,
    `_diag_part` or `_determinant`.

    Args:
      dtype: of the matrix and of all arguments.
      graph_parents: accepted for compatibility: tensors that the operator is made of.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: what the caller promises of the
        matrix: True, False, or None where nothing is known. Promises choose algorithms; they are not checked,
        unless by `assert_*`. Positive definite means that `x^H A x` has a positive real part for all x other than 0.
      name: a name for the operator.
      parameters: the arguments of the subclass's constructor.

    Raises:
      ValueError: the promises contradict each other.
    """

    # Names of the constructor's arguments that have batch dimensions, and how many other ones: see `slicing`.
    _BATCHED: dict[str, int] = {}
    _TF_MODULE_IGNORED_PROPERTIES = frozenset(("_parameters",))

    def __init__(
        self,
        dtype: Any,
        graph_parents: Any = None,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = None,
        name: str | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(type(self).__name__)
        if is_positive_definite:
            is_non_singular = _promised(is_non_singular, "A positive definite matrix is always non-singular.")
        if is_non_singular:
            is_square = _promised(is_square, "A non-singular matrix is always square.")
        if is_self_adjoint:
            is_square = _promised(is_square, "A self-adjoint matrix is always square.")
        self._dtype = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
        self._graph_parents = list(graph_parents or ())
        self._is_non_singular = is_non_singular
        self._is_self_adjoint = is_self_adjoint
        self._is_positive_definite = is_positive_definite
        self._is_square = is_square
        self._name = name or type(self).__name__
        self._parameters = {} if parameters is None else dict(parameters)

    # --- What subclasses define -----------------------------------------------------------------------------

    @abc.abstractmethod
    def _shape(self) -> TensorShape:
        """The static shape, [..., rows, columns]."""

    @abc.abstractmethod
    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        """The product with matrices."""

    def _shape_tensor(self) -> Tensor:
        raise NotImplementedError("_shape_tensor is not implemented.")

    # --- Properties -----------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments that the operator was made with."""
        return dict(self._parameters)

    @property
    def graph_parents(self) -> list[Any]:
        """Tensors that the operator is made of, as given to the constructor."""
        return self._graph_parents

    @property
    def dtype(self) -> Any:
        """The dtype of the matrix."""
        return self._dtype

    @property
    def name(self) -> str:
        """The operator's name."""
        return self._name

    @property
    def is_non_singular(self) -> Hint:
        """Whether the matrix has an inverse; None: not known."""
        return self._is_non_singular

    @property
    def is_self_adjoint(self) -> Hint:
        """Whether the matrix is its own conjugate transpose; None: not known."""
        return self._is_self_adjoint

    @property
    def is_positive_definite(self) -> Hint:
        """Whether `x^H A x` has a positive real part for all x other than 0; None: not known."""
        return self._is_positive_definite

    @property
    def is_square(self) -> Hint:
        """Whether there are as many rows as columns; None: not known.

        Raises:
          ValueError: it was said that the matrix is not square, but it is.
        """
        rows, columns = (static_shape(self) or (None, None))[-2:]
        known = None if rows is None or columns is None else rows == columns
        if self._is_square is False and known:
            raise ValueError("User set is_square hint to False, but the operator was square.")
        return known if self._is_square is None else self._is_square

    # --- Shapes ---------------------------------------------------------------------------------------------

    @property
    def shape(self) -> TensorShape:
        """The static shape, [..., rows, columns]."""
        return self._shape()

    @property
    def batch_shape(self) -> TensorShape:
        """The static shape of the batch, the dimensions before the last two."""
        return self.shape[:-2]

    @property
    def tensor_rank(self) -> int | None:
        """The number of dimensions: 2, and more for batches."""
        return self.shape.rank

    @property
    def domain_dimension(self) -> Any:
        """The static number of columns."""
        return self._static_dim(-1)

    @property
    def range_dimension(self) -> Any:
        """The static number of rows."""
        return self._static_dim(-2)

    def _static_dim(self, axis: int) -> Any:
        static = self.shape
        return TensorShape([None])[0] if static.rank is None else static[axis]

    def shape_tensor(self, name: str = "shape_tensor") -> Tensor:
        """The shape as an int32 vector."""
        with self._scope(name):
            static = static_shape(self)
            if shapes.is_fully_defined(static):
                return to_tensor(np.array(static, np.int32), name="shape")
            return self._shape_tensor()

    def batch_shape_tensor(self, name: str = "batch_shape_tensor") -> Tensor:
        """The shape of the batch as an int32 vector."""
        with self._scope(name):
            return self.shape_tensor()[:-2]

    def tensor_rank_tensor(self, name: str = "tensor_rank_tensor") -> Tensor:
        """The number of dimensions as an int32 scalar."""
        with self._scope(name):
            return to_tensor(len(dims_of(self)), dtypes.int32)

    def domain_dimension_tensor(self, name: str = "domain_dimension_tensor") -> Tensor:
        """The number of columns as an int32 scalar."""
        with self._scope(name):
            return to_tensor(dims_of(self)[-1], dtypes.int32)

    def range_dimension_tensor(self, name: str = "range_dimension_tensor") -> Tensor:
        """The number of rows as an int32 scalar."""
        with self._scope(name):
            return to_tensor(dims_of(self)[-2], dtypes.int32)

    # --- Checks ---------------------------------------------------------------------------------------------

    def assert_non_singular(self, name: str = "assert_non_singular") -> Any:
        """An operation that fails where the matrix is singular, or too close to it for its dtype."""
        with self._scope(name):
            return self._assert_non_singular()

    def assert_self_adjoint(self, name: str = "assert_self_adjoint") -> Any:
        """An operation that fails where the matrix is not its own conjugate transpose."""
        with self._scope(name):
            return self._assert_self_adjoint()

    def assert_positive_definite(self, name: str = "assert_positive_definite") -> Any:
        """An operation that fails where the matrix is not positive definite."""
        with self._scope(name):
            return self._assert_positive_definite()

    def _assert_non_singular(self) -> Any:
        condition = self.cond()
        limit = np.array(1.0 / np.finfo(condition.dtype.as_numpy_dtype).eps, condition.dtype.as_numpy_dtype)
        return check_ops.assert_less_v2(condition, limit, "Singular matrix up to precision epsilon.")

    def _assert_self_adjoint(self) -> Any:
        dense = self.to_dense()
        return check_ops.assert_equal_v2(dense, adjoint_of(dense), "Matrix was not equal to its adjoint.")

    def _assert_positive_definite(self) -> Any:
        if not self.is_self_adjoint:
            raise NotImplementedError("assert_positive_definite is not implemented.")
        diagonal = real(matrix_diag_part(cholesky(self.to_dense())))
        return check_ops.assert_positive_v2(diagonal, "Matrix was not positive definite.")

    # --- Products -------------------------------------------------------------------------------------------

    def matmul(self, x: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "matmul") -> Any:
        """The product A X.

        Args:
          x: [..., columns, r] of the operator's dtype, or an operator.
          adjoint: multiplies with A^H.
          adjoint_arg: multiplies with X^H.
          name: the scope of the operations.

        Returns:
          [..., rows, r]; an operator if `x` is one.
        """
        if isinstance(x, LinearOperator):
            return self._operator_product(x, adjoint, adjoint_arg, name, solving=False)
        with self._scope(name):
            x = self._argument(x, "x")
            self._check_dims(adjoint, x, -1 if adjoint_arg else -2)
            return self._matmul(x, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def __matmul__(self, other: Any) -> Any:
        return self.matmul(other)

    def matvec(self, x: Any, adjoint: bool = False, name: str = "matvec") -> Tensor:
        """The product with vectors.

        Args:
          x: [..., columns] of the operator's dtype.
          adjoint: multiplies with A^H.
          name: the scope of the operations.

        Returns:
          [..., rows].
        """
        with self._scope(name):
            x = self._argument(x, "x")
            self._check_dims(adjoint, x, -1)
            return self._matvec(x, adjoint=adjoint)

    def _matvec(self, x: Tensor, adjoint: bool = False) -> Tensor:
        return squeeze(self.matmul(expand_dims(x, -1), adjoint=adjoint), [-1])

    # --- Solutions ------------------------------------------------------------------------------------------

    def solve(self, rhs: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "solve") -> Any:
        """Solves A X = B.

        Args:
          rhs: [..., rows, r] of the operator's dtype, or an operator: B.
          adjoint: solves A^H X = B.
          adjoint_arg: solves A X = B^H.
          name: the scope of the operations.

        Returns:
          [..., columns, r]; an operator if `rhs` is one.

        Raises:
          NotImplementedError: the matrix is known to be singular or not square.
        """
        self._check_solvable()
        if isinstance(rhs, LinearOperator):
            return self._operator_product(rhs, adjoint, adjoint_arg, name, solving=True)
        with self._scope(name):
            rhs = self._argument(rhs, "rhs")
            self._check_dims(not adjoint, rhs, -1 if adjoint_arg else -2)
            return self._solve(rhs, adjoint=adjoint, adjoint_arg=adjoint_arg)

    def solvevec(self, rhs: Any, adjoint: bool = False, name: str = "solve") -> Tensor:
        """Solves A X = B for vectors.

        Args:
          rhs: [..., rows] of the operator's dtype: B.
          adjoint: solves A^H X = B.
          name: the scope of the operations.

        Returns:
          [..., columns].

        Raises:
          NotImplementedError: the matrix is known to be singular or not square.
        """
        self._check_solvable()
        with self._scope(name):
            rhs = self._argument(rhs, "rhs")
            self._check_dims(not adjoint, rhs, -1)
            return self._solvevec(rhs, adjoint=adjoint)

    def _check_solvable(self) -> None:
        what = "Exact solve not implemented for an operator that is expected to"
        if self.is_non_singular is False:
            raise NotImplementedError(f"{what} be singular.")
        if self.is_square is False:
            raise NotImplementedError(f"{what} not be square.")

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        rhs = adjoint_of(rhs) if adjoint_arg else rhs
        if self._can_use_cholesky():
            return cholesky_solve(cholesky(self.to_dense()), rhs)
        return matrix_solve(self.to_dense(), rhs, adjoint=adjoint)

    def _solvevec(self, rhs: Tensor, adjoint: bool = False) -> Tensor:
        return squeeze(self.solve(expand_dims(rhs, -1), adjoint=adjoint), [-1])

    # --- Other operators ------------------------------------------------------------------------------------

    def adjoint(self, name: str = "adjoint") -> LinearOperator:
        """The conjugate transpose; this operator itself if it is known to be self-adjoint."""
        if self.is_self_adjoint:
            return self
        with self._scope(name):
            return self._linop_adjoint()

    @property
    def H(self) -> LinearOperator:  # noqa: N802 - the public name
        """The conjugate transpose."""
        return self.adjoint()

    def inverse(self, name: str = "inverse") -> LinearOperator:
        """The inverse.

        Raises:
          ValueError: the matrix is known to be singular or not square.
        """
        if self.is_square is False:
            raise ValueError("Cannot take the Inverse: This operator represents a non square matrix.")
        if self.is_non_singular is False:
            raise ValueError("Cannot take the Inverse: This operator represents a singular matrix.")
        with self._scope(name):
            return self._linop_inverse()

    def cholesky(self, name: str = "cholesky") -> LinearOperator:
        """The lower triangular L with L L^H = A.

        Raises:
          ValueError: the matrix is not known to be positive definite and self-adjoint.
        """
        if not self._can_use_cholesky():
            message = "Cannot take the Cholesky decomposition: Not a positive definite self adjoint matrix."
            raise ValueError(message)
        with self._scope(name):
            return self._linop_cholesky()

    def _linop_adjoint(self) -> LinearOperator:
        from millstream.linalg.adjoint import LinearOperatorAdjoint

        return LinearOperatorAdjoint(self)

    def _linop_inverse(self) -> LinearOperator:
        from millstream.linalg.inversion import LinearOperatorInversion

        return LinearOperatorInversion(self)

    def _linop_cholesky(self) -> LinearOperator:
        from millstream.linalg.lower_triangular import LinearOperatorLowerTriangular

        return LinearOperatorLowerTriangular(
            cholesky(self.to_dense()), is_non_singular=True, is_self_adjoint=False, is_square=True
        )

    def __getitem__(self, slices: Any) -> LinearOperator:
        """Some operators of a batch: indices are those of the batch dimensions."""
        from millstream.linalg.slicing import batch_slice

        return batch_slice(self, slices)

    # --- Values ---------------------------------------------------------------------------------------------

    def to_dense(self, name: str = "to_dense") -> Tensor:
        """The matrix as a tensor, [..., rows, columns]."""
        with self._scope(name):
            return self._to_dense()

    def diag_part(self, name: str = "diag_part") -> Tensor:
        """The diagonal, [..., min(rows, columns)]."""
        with self._scope(name):
            return self._diag_part()

    def trace(self, name: str = "trace") -> Tensor:
        """The sum of the diagonal, [...]."""
        with self._scope(name):
            return self._trace()

    def determinant(self, name: str = "det") -> Tensor:
        """The determinant, [...].

        Raises:
          NotImplementedError: the matrix is known not to be square.
        """
        self._check_square_for_determinant()
        with self._scope(name):
            return self._determinant()

    def log_abs_determinant(self, name: str = "log_abs_det") -> Tensor:
        """The logarithm of the absolute value of the determinant, [...].

        Raises:
          NotImplementedError: the matrix is known not to be square.
        """
        self._check_square_for_determinant()
        with self._scope(name):
            return self._log_abs_determinant()

    def eigvals(self, name: str = "eigvals") -> Tensor:
        """The eigenvalues, [..., n].

        Raises:
          NotImplementedError: the matrix is not known to be self-adjoint.
        """
        if not self.is_self_adjoint:
            raise NotImplementedError("Only self-adjoint matrices are supported.")
        with self._scope(name):
            return self._eigvals()

    def cond(self, name: str = "cond") -> Tensor:
        """The condition number, [...]: the greatest singular value by the smallest."""
        with self._scope(name):
            return self._cond()

    def add_to_tensor(self, x: Any, name: str = "add_to_tensor") -> Tensor:
        """The matrix plus `x`, [..., rows, columns] of the operator's dtype."""
        with self._scope(name):
            return self._add_to_tensor(self._argument(x, "x"))

    def _to_dense(self) -> Tensor:
        dims = dims_of(self)
        return self.matmul(eye(dims[-1], batch_shape=as_vector(dims[:-2]), dtype=self.dtype))

    def _diag_part(self) -> Tensor:
        return matrix_diag_part(self.to_dense())

    def _trace(self) -> Tensor:
        return reduce_sum(self.diag_part(), axis=-1)

    def _determinant(self) -> Tensor:
        if self._can_use_cholesky():
            return exp(self.log_abs_determinant())
        return matrix_determinant(self.to_dense())

    def _log_abs_determinant(self) -> Tensor:
        if self._can_use_cholesky():
            return 2 * reduce_sum(log(matrix_diag_part(cholesky(self.to_dense()))), axis=[-1])
        return slogdet(self.to_dense())[1]

    def _eigvals(self) -> Tensor:
        return self_adjoint_eigvals(self.to_dense())

    def _cond(self) -> Tensor:
        if self.is_self_adjoint:
            sizes = abs(self.eigvals())
        else:
            sizes = real(svd(self.to_dense(), compute_uv=False))
        return reduce_max(sizes, axis=-1) / reduce_min(sizes, axis=-1)

    def _add_to_tensor(self, x: Tensor) -> Tensor:
        return self.to_dense() + x

    # --- For the methods above ------------------------------------------------------------------------------

    def _can_use_cholesky(self) -> bool:
        return bool(self.is_self_adjoint and self.is_positive_definite)

    def _scope(self, name: str | None) -> name_scope:
        """The scope in which a method of this name builds its operations."""
        return name_scope(f"{self._name}/{name}" if name else self._name)

    def _argument(self, x: Any, name: str) -> Tensor:
        """An argument as a tensor of the operator's dtype.

        Raises:
          TypeError: it is of another one.
        """
        x = to_tensor(x, preferred=None if hasattr(x, "dtype") else self.dtype, name=name)
        if self.dtype is not None and x.dtype.base_dtype is not self.dtype:
            raise TypeError(f"Expected argument to have dtype {self.dtype!r}.  Found: {x.dtype!r} in tensor {x}")
        return x

    def _check_dims(self, by_rows: bool, x: Tensor, axis: int) -> None:
        """Demands that a dimension of `x` is the number of rows (or else of columns)."""
        own = static_shape(self)
        if own is None or x._shape is None:
            return
        if len(x._shape) < -axis:
            raise ValueError(f"Shape must be at least rank {-axis} but is rank {len(x._shape)}")
        wanted, found = own[-2 if by_rows else -1], x._shape[axis]
        if wanted is not None and found is not None and wanted != found:
            raise ValueError(f"Dimensions {wanted} and {found} are not compatible")

    def _check_square_for_determinant(self) -> None:
        if self.is_square is False:
            message = "Determinant not implemented for an operator that is expected to not be square."
            raise NotImplementedError(message)

    def _operator_product(
        self, other: LinearOperator, adjoint: bool, adjoint_arg: bool, name: str, solving: bool
    ) -> LinearOperator:
        """A B, or A^-1 B, as an operator."""
        from millstream.linalg import algebra

        left = self.adjoint() if adjoint else self
        right = other.adjoint() if adjoint_arg else other
        wanted = (static_shape(left) or (None, None))[-2 if solving else -1]
        found = (static_shape(right) or (None, None))[-2]
        if None not in (wanted, found) and wanted != found:
            raise ValueError(f"Operators are incompatible. Expected `x` to have dimension {wanted} but got {found}.")
        with self._scope(name):
            return algebra.product(left.inverse() if solving else left, right)


def _promised(hint: Hint, message: str) -> bool:
    """A hint that another one implies to be True."""
    if hint is False:
        raise ValueError(message)
    return True
