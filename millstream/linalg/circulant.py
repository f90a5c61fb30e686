"""`LinearOperatorCirculant`, `-2D` and `-3D`: convolutions that go around, diagonal after a Fourier transform."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from millstream.core import dtypes
from millstream.core.conversion import to_tensor
from millstream.core.export import export
from millstream.core.shapes import TensorShape
from millstream.core.tensor import Tensor
from millstream.linalg import checks, hints
from millstream.linalg.arguments import given, numeric_parameter
from millstream.linalg.dimensions import Dim, Dims, as_shape, as_vector, dims_of, product
from millstream.linalg.hints import Hint
from millstream.linalg.sized_operator import SizedOperator
from millstream.ops import check_ops, fft_ops
from millstream.ops.complex_ops import conj, imag, real
from millstream.ops.elementwise_ops import abs, log
from millstream.ops.fill_ops import ones
from millstream.ops.math_ops import cast
from millstream.ops.reduction_ops import reduce_max, reduce_min, reduce_prod, reduce_sum
from millstream.ops.reshape_ops import expand_dims, matrix_transpose, reshape

_TRANSFORMS = {
    1: (fft_ops.fft, fft_ops.ifft),
    2: (fft_ops.fft2d, fft_ops.ifft2d),
    3: (fft_ops.fft3d, fft_ops.ifft3d),
}


class Circulant(SizedOperator):
    """What circulant operators of all depths have in common."""

    _DEPTH: ClassVar[int]

    def __init__(
        self,
        spectrum: Any,
        input_output_dtype: Any = dtypes.complex64,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = True,
        name: str = "LinearOperatorCirculant",
    ) -> None:
        arguments = given(locals())
        self._spectrum = numeric_parameter(spectrum, "spectrum", self._DEPTH)
        real_hint = None if self._spectrum.dtype.is_complex else True
        self._initialize(
            input_output_dtype,
            arguments,
            is_self_adjoint=hints.implied(
                is_self_adjoint,
                real_hint,
                "A real spectrum always corresponds to a self-adjoint operator. Expected argument "
                "`is_self_adjoint` to be True when `spectrum.dtype.is_complex` = True. "
                f"Received: {is_self_adjoint}.",
            ),
            is_square=hints.implied(
                is_square,
                True,
                "A [[nested] block] circulant operator is always square. "
                f"Expected argument `is_square` to be True. Received: {is_square}.",
            ),
        )

    @property
    def spectrum(self) -> Any:
        """The eigenvalues, as given."""
        return self._spectrum

    @property
    def block_depth(self) -> int:
        """How deep circulant blocks are nested: 1, 2 or 3."""
        return self._DEPTH

    @property
    def block_shape(self) -> TensorShape:
        """The static shape of what is convolved."""
        return TensorShape(as_shape(self._block_dims()))

    def block_shape_tensor(self) -> Tensor:
        """The shape of what is convolved, an int32 vector."""
        return to_tensor(as_vector(self._block_dims()), dtypes.int32)

    def convolution_kernel(self, name: str = "convolution_kernel") -> Tensor:
        """What is convolved with, of the shape of the spectrum: its inverse Fourier transform."""
        with self._scope(name):
            return self._result(self._transforms()[1](self._complex(self._spectrum)))

    def assert_hermitian_spectrum(self, name: str = "assert_hermitian_spectrum") -> Any:
        """An operation that fails where the convolution kernel is not real."""
        with self._scope(name):
            kernel = self._transforms()[1](self._complex(self._spectrum))
            limit = np.finfo(kernel.dtype.real_dtype.as_numpy_dtype).eps * 20
            size = abs(imag(kernel))
            return check_ops.assert_less_v2(size, limit * (1 + reduce_max(abs(kernel))), "Spectrum was not Hermitian")

    def _block_dims(self) -> Dims:
        return dims_of(self._spectrum)[-self._DEPTH :]

    def _size(self) -> Dim:
        return product(self._block_dims())

    def _dims(self) -> Dims:
        return [*dims_of(self._spectrum)[: -self._DEPTH], self._size(), self._size()]

    def _transforms(self) -> Any:
        return _TRANSFORMS[self._DEPTH]

    def _complex(self, x: Any) -> Tensor:
        wide = self.dtype in (dtypes.float64, dtypes.complex128)
        return cast(x, dtypes.complex128 if wide else dtypes.complex64)

    def _result(self, x: Tensor) -> Tensor:
        """Complex numbers, of which the imaginary parts are 0 if the operator is real, in the operator's dtype."""
        return cast(x if self.dtype.is_complex else real(x), self.dtype)

    def _flat_spectrum(self) -> Tensor:
        return reshape(self._spectrum, as_vector([*dims_of(self._spectrum)[: -self._DEPTH], self._size()]))

    def _filtered(self, x: Tensor, factors: Tensor, adjoint_arg: bool) -> Tensor:
        """Multiplies the Fourier transform of each column of `x`."""
        rows = self._complex(conj(x) if adjoint_arg else matrix_transpose(x))
        dims = dims_of(rows)
        blocks = reshape(rows, as_vector([*dims[:-1], *self._block_dims()]))
        transform, inverse = self._transforms()
        filtered = inverse(expand_dims(factors, -1 - self._DEPTH) * transform(blocks))
        batch = dims_of(filtered)[: -1 - self._DEPTH]
        return matrix_transpose(self._result(reshape(filtered, as_vector([*batch, *dims[-2:]]))))

    def _factors(self, adjoint: bool) -> Tensor:
        spectrum = self._complex(self._spectrum)
        return conj(spectrum) if adjoint else spectrum

    def _matmul(self, x: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._filtered(x, self._factors(adjoint), adjoint_arg)

    def _solve(self, rhs: Tensor, adjoint: bool = False, adjoint_arg: bool = False) -> Tensor:
        return self._filtered(rhs, 1 / self._factors(adjoint), adjoint_arg)

    def _determinant(self) -> Tensor:
        return self._result(reduce_prod(self._complex(self._flat_spectrum()), axis=[-1]))

    def _log_abs_determinant(self) -> Tensor:
        return cast(reduce_sum(log(abs(self._flat_spectrum())), axis=[-1]), self.dtype)

    def _trace(self) -> Tensor:
        return self._result(reduce_sum(self._complex(self._flat_spectrum()), axis=-1))

    def _diag_part(self) -> Tensor:
        mean = expand_dims(self._trace(), -1) / cast(self._size(), self.dtype)
        return mean * ones(as_vector([self._size()]), self.dtype)

    def _eigvals(self) -> Tensor:
        return self._flat_spectrum()

    def _cond(self) -> Tensor:
        sizes = abs(self._flat_spectrum())
        return reduce_max(sizes, axis=-1) / reduce_min(sizes, axis=-1)

    def _assert_non_singular(self) -> Any:
        return checks.no_zeros(self._spectrum, "Singular operator:  Spectrum contained zero values.")

    def _assert_self_adjoint(self) -> Any:
        message = "Not self-adjoint:  The spectrum contained non-zero imaginary part."
        return checks.no_imaginary_parts(self._spectrum, message)

    def _assert_positive_definite(self) -> Any:
        message = "Not positive definite:  Real part of spectrum was not all positive."
        return checks.positive_real_parts(self._spectrum, message)

    def _like(self, spectrum: Any) -> Any:
        return type(self)(spectrum, self.dtype, **hints.of(self))

    def _linop_adjoint(self) -> Any:
        return self._like(conj(self._spectrum))

    def _linop_inverse(self) -> Any:
        return self._like(1 / to_tensor(self._spectrum))


@export("linalg.LinearOperatorCirculant")
class LinearOperatorCirculant(Circulant):
    """A circulant matrix: its product with x is the convolution of x with a kernel, around the end.

    It has N rows; products and solutions take O(n log n).

    Args:
      spectrum: [..., N], floating point or complex: the Fourier transform of the kernel, which has the eigenvalues.
      input_output_dtype: the dtype of the matrix; a real one is for kernels that are real.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. With a real
        spectrum it is self-adjoint.
      name: a name for the operator.

    Raises:
      TypeError: `spectrum` is neither floating point nor complex.
      ValueError: `spectrum` has too few dimensions, or a hint is wrong.

    Example:
      >>> kernel = tf.constant([1., 2., 3.])
      >>> spectrum = tf.signal.fft(tf.cast(kernel, tf.complex64))
      >>> tf.linalg.LinearOperatorCirculant(spectrum, tf.float32).to_dense()     # [[1, 3, 2], [2, 1, 3], [3, 2, 1]]
    """

    _BATCHED = {"spectrum": 1}
    _DEPTH = 1

    def __init__(
        self,
        spectrum: Any,
        input_output_dtype: Any = dtypes.complex64,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = True,
        name: str = "LinearOperatorCirculant",
    ) -> None:
        promises = (is_non_singular, is_self_adjoint, is_positive_definite, is_square)
        super().__init__(spectrum, input_output_dtype, *promises, name)


@export("linalg.LinearOperatorCirculant2D")
class LinearOperatorCirculant2D(Circulant):
    """A block circulant matrix with circulant blocks: it convolves [M, N] arrays, around both ends.

    It has M N rows: those of the array, one after the other; products and solutions take O(n log n).

    Args:
      spectrum: [..., M, N], floating point or complex: the Fourier transform of the kernel, which has the
        eigenvalues.
      input_output_dtype: the dtype of the matrix; a real one is for kernels that are real.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. With a real
        spectrum it is self-adjoint.
      name: a name for the operator.

    Raises:
      TypeError: `spectrum` is neither floating point nor complex.
      ValueError: `spectrum` has too few dimensions, or a hint is wrong.
    """

    _BATCHED = {"spectrum": 2}
    _DEPTH = 2

    def __init__(
        self,
        spectrum: Any,
        input_output_dtype: Any = dtypes.complex64,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = True,
        name: str = "LinearOperatorCirculant2D",
    ) -> None:
        promises = (is_non_singular, is_self_adjoint, is_positive_definite, is_square)
        super().__init__(spectrum, input_output_dtype, *promises, name)


@export("linalg.LinearOperatorCirculant3D")
class LinearOperatorCirculant3D(Circulant):
    """Nested circulant blocks: the matrix convolves [L, M, N] arrays, around all ends.

    It has L M N rows: the elements of the array, the last index fastest; products and solutions take O(n log n).

    Args:
      spectrum: [..., L, M, N], floating point or complex: the Fourier transform of the kernel, which has the
        eigenvalues.
      input_output_dtype: the dtype of the matrix; a real one is for kernels that are real.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: see `LinearOperator`. With a real
        spectrum it is self-adjoint.
      name: a name for the operator.

    Raises:
      TypeError: `spectrum` is neither floating point nor complex.
      ValueError: `spectrum` has too few dimensions, or a hint is wrong.
    """

    _BATCHED = {"spectrum": 3}
    _DEPTH = 3

    def __init__(
        self,
        spectrum: Any,
        input_output_dtype: Any = dtypes.complex64,
        is_non_singular: Hint = None,
        is_self_adjoint: Hint = None,
        is_positive_definite: Hint = None,
        is_square: Hint = True,
        name: str = "LinearOperatorCirculant3D",
    ) -> None:
        promises = (is_non_singular, is_self_adjoint, is_positive_definite, is_square)
        super().__init__(spectrum, input_output_dtype, *promises, name)
