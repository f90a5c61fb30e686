"""Products, hints and errors of operators."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from linalg.operators import KINDS, MATRIX, POSITIVE, SURE, VECTOR, full, make

import millstream as tf
import millstream.v1 as tf1

linalg = tf.linalg


def hints(operator: Any) -> str:
    """Non-singular, self-adjoint, positive definite, square: T, F, or - where nothing is known."""
    names = ("is_non_singular", "is_self_adjoint", "is_positive_definite", "is_square")
    return "".join({True: "T", False: "F", None: "-"}[getattr(operator, name)] for name in names)


def diag(values: Any = VECTOR, **hints: Any) -> Any:
    return linalg.LinearOperatorDiag(tf.constant(values), **hints)


THREE_ROWS = [name for name in KINDS if make(name)[1].shape[-2:] == (3, 3) and make(name)[1].dtype == np.float64]


@pytest.mark.parametrize("left", THREE_ROWS)
@pytest.mark.parametrize("right", ["full_matrix", "diag/batch", "identity/batch", "scaled_identity", "zeros",
                                   "lower_triangular", "circulant", "inversion"])  # fmt: skip
def test_products_of_operators(left: str, right: str) -> None:
    (a, dense_a), (b, dense_b) = make(left), make(right)
    np.testing.assert_allclose((a @ b).to_dense(), dense_a @ dense_b, atol=1e-12)
    np.testing.assert_allclose(a.matmul(b, adjoint=True).to_dense(), np.swapaxes(dense_a, -1, -2) @ dense_b, atol=1e-12)


KIND_OF_PRODUCT = {
    ("diag", "diag"): "Diag",
    ("diag", "scaled_identity"): "Diag",
    ("scaled_identity", "diag"): "Diag",
    ("scaled_identity", "scaled_identity"): "ScaledIdentity",
    ("diag", "lower_triangular"): "LowerTriangular",
    ("lower_triangular", "diag"): "LowerTriangular",
    ("lower_triangular", "lower_triangular"): "Composition",
    ("circulant", "circulant"): "Circulant",
    ("block_diag", "block_diag"): "BlockDiag",
    ("identity", "toeplitz"): "Toeplitz",
    ("householder", "identity"): "Householder",
    ("zeros", "full_matrix"): "Zeros",
    ("full_matrix", "zeros"): "Zeros",
    ("full_matrix", "full_matrix"): "Composition",
}


@pytest.mark.parametrize("pair", KIND_OF_PRODUCT, ids="/".join)
def test_kinds_of_products(pair: tuple[str, str]) -> None:
    (a, dense_a), (b, dense_b) = map(make, pair)
    assert type(a @ b).__name__ == "LinearOperator" + KIND_OF_PRODUCT[pair]
    np.testing.assert_allclose((a @ b).to_dense(), dense_a @ dense_b, atol=1e-12)


def test_solutions_for_operators() -> None:
    operator, dense = make("full_matrix")
    np.testing.assert_allclose(operator.solve(diag()).to_dense(), np.linalg.inv(dense) @ np.diag(VECTOR))
    assert type(diag().solve(diag())).__name__ == "LinearOperatorDiag"
    identity = linalg.LinearOperatorIdentity(3, dtype=tf.float64)
    assert type(operator.solve(identity)).__name__ == "LinearOperatorInversion"


KIND_OF_CHANGED = {  # of the adjoint, the inverse and the Cholesky decomposition
    "full_matrix": ("Adjoint", "Inversion", None),
    "full_matrix/positive": ("FullMatrix", "Inversion", "LowerTriangular"),
    "diag": ("Diag", "Diag", None),
    "identity": ("Identity", "Identity", "Identity"),
    "scaled_identity": ("ScaledIdentity", "ScaledIdentity", None),
    "lower_triangular": ("Adjoint", "Inversion", None),
    "permutation": ("Adjoint", "Inversion", None),
    "householder": ("Householder", "Householder", None),
    "circulant": ("Circulant", "Circulant", None),
    "block_diag": ("BlockDiag", "BlockDiag", None),
    "block_lower_triangular": ("Adjoint", "BlockLowerTriangular", None),
    "kronecker": ("Kronecker", "Kronecker", None),
    "low_rank_update": ("LowRankUpdate", "Inversion", None),
    "low_rank_update/positive": ("LowRankUpdate", "Inversion", "LowerTriangular"),
    "composition": ("Adjoint", "Inversion", None),
    "inversion": ("Adjoint", "FullMatrix", None),
    "adjoint": ("FullMatrix", "Inversion", None),
}


@pytest.mark.parametrize("name", KIND_OF_CHANGED)
def test_kinds_of_adjoints_inverses_and_decompositions(name: str) -> None:
    operator = make(name)[0]
    changed = [operator.adjoint(), operator.inverse()]
    if KIND_OF_CHANGED[name][2] is None:
        with pytest.raises(ValueError, match="Cannot take the Cholesky decomposition"):
            operator.cholesky()
    else:
        changed.append(operator.cholesky())
    found = [type(each).__name__.removeprefix("LinearOperator") for each in changed]
    assert found == [kind for kind in KIND_OF_CHANGED[name] if kind is not None]


A, SINGULAR = full(MATRIX), full(MATRIX, is_non_singular=False)
REGULAR, SYMMETRIC = full(MATRIX, is_non_singular=True), full(POSITIVE, is_self_adjoint=True)
SURELY = full(POSITIVE, **SURE)

HINTS = [  # as TensorFlow has them
    (A, "---T"), (SURELY, "TTTT"), (full(MATRIX[:2]), "---F"), (diag(), "-T-T"), (diag(VECTOR + 1j), "---T"),
    (linalg.LinearOperatorIdentity(3), "TTTT"), (linalg.LinearOperatorScaledIdentity(3, 2.0), "-T-T"),
    (linalg.LinearOperatorZeros(3), "FTFT"), (linalg.LinearOperatorHouseholder(VECTOR), "-TFT"),
    (linalg.LinearOperatorComposition([A, A.adjoint()]), "-T-T"), (linalg.LinearOperatorComposition([A, A]), "---T"),
    (linalg.LinearOperatorComposition([REGULAR, REGULAR.adjoint()]), "TTTT"),
    (linalg.LinearOperatorComposition([REGULAR, SINGULAR]), "---T"),
    (linalg.LinearOperatorComposition([SURELY, SURELY]), "TTTT"),
    (linalg.LinearOperatorKronecker([REGULAR, REGULAR]), "T--T"),
    (linalg.LinearOperatorKronecker([SURELY, SYMMETRIC]), "-T-T"),
    (linalg.LinearOperatorBlockDiag([SURELY, SURELY]), "TTTT"), (linalg.LinearOperatorBlockDiag([A, SURELY]), "---T"),
    (linalg.LinearOperatorBlockLowerTriangular([[REGULAR], [A, REGULAR]]), "T--T"),
    (linalg.LinearOperatorBlockLowerTriangular([[REGULAR], [A, SINGULAR]]), "F--T"),
    (linalg.LinearOperatorInversion(SURELY), "TTTT"), (linalg.LinearOperatorAdjoint(REGULAR), "T--T"),
    (linalg.LinearOperatorLowRankUpdate(diag(is_positive_definite=True), MATRIX[:, :1]), "TTTT"),
    (linalg.LinearOperatorLowRankUpdate(diag(is_positive_definite=True), MATRIX[:, :1], [2.0]), "-T-T"),
    (linalg.LinearOperatorLowRankUpdate(diag(), MATRIX[:, :1], v=MATRIX[:, 1:2]), "---T"),
    (linalg.LinearOperatorCirculant(VECTOR), "-T-T"), (linalg.LinearOperatorCirculant(VECTOR + 1j), "---T"),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "wanted"), HINTS, ids=lambda value: getattr(value, "name", value))
def test_hints(operator: Any, wanted: str) -> None:
    assert hints(operator) == wanted


def test_names() -> None:
    assert (A @ A).name == "LinearOperatorFullMatrix_o_LinearOperatorFullMatrix"
    assert A.inverse().name == "LinearOperatorFullMatrix_inv"
    assert A.adjoint().name == "LinearOperatorFullMatrix_adjoint"
    assert linalg.LinearOperatorKronecker([A, diag()]).name == "LinearOperatorFullMatrix_x_LinearOperatorDiag"
    assert linalg.LinearOperatorBlockDiag([A, diag()]).name == "LinearOperatorFullMatrix_ds_LinearOperatorDiag"
    assert full(MATRIX, name="mine").name == "mine"


def test_blocks_in_blocks_out() -> None:
    for name in ("block_diag", "block_lower_triangular"):
        operator, dense = make(name)
        x = tf.constant(np.arange(10.0).reshape(5, 2))
        blocks = [x[:2], x[2:]]
        for adjoint in (False, True):
            for method in ("matmul", "solve"):
                found = getattr(operator, method)(blocks, adjoint=adjoint)
                wanted = getattr(operator, method)(x, adjoint=adjoint)
                assert [len(block) for block in found] == [2, 3]
                np.testing.assert_allclose(tf.concat(found, 0), wanted)
        found = operator.matvec([block[:, 0] for block in blocks]), operator.solvevec([b[:, 0] for b in blocks])
        np.testing.assert_allclose(tf.concat(found[0], 0), dense @ x.numpy()[:, 0])
        np.testing.assert_allclose(tf.concat(found[1], 0), np.linalg.solve(dense, x.numpy()[:, 0]))
        with pytest.raises(ValueError, match="Dimensions 2 and 3 are not compatible"):
            operator.matmul([x[2:], x[:2]])
        with pytest.raises(ValueError, match="Expected 2 blocks, received: 1"):
            operator.matmul([x])


def test_parts_of_operators_are_found() -> None:
    """As `tf.Module` finds variables and modules."""
    variable = tf.Variable(VECTOR)
    inner = linalg.LinearOperatorDiag(variable)
    outer = linalg.LinearOperatorComposition([inner, A])
    assert outer.submodules == (inner, A)
    assert outer.trainable_variables == inner.trainable_variables and len(outer.variables) == 1
    assert inner.diag is variable and inner.parameters["diag"] is variable


class Shift(linalg.LinearOperator):
    """What users write: the matrix that moves elements down by one place."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(tf.float64, is_square=True, name="shift", parameters={"size": size})

    def _shape(self) -> Any:
        return tf.TensorShape([self.size, self.size])

    def _matmul(self, x: Any, adjoint: bool = False, adjoint_arg: bool = False) -> Any:
        x = tf.linalg.adjoint(x) if adjoint_arg else x
        return tf.roll(x, -1 if adjoint else 1, axis=-2)


def test_operators_that_users_write() -> None:
    operator = Shift(3)
    dense = np.eye(3)[[2, 0, 1]]
    np.testing.assert_allclose(operator.to_dense(), dense)
    np.testing.assert_allclose(operator.solvevec([1.0, 2.0, 3.0]), [2, 3, 1])
    np.testing.assert_allclose((operator @ operator.H).to_dense(), np.eye(3), atol=1e-15)
    product = linalg.LinearOperatorKronecker([operator, linalg.LinearOperatorIdentity(2, dtype=tf.float64)])
    np.testing.assert_allclose(product.to_dense(), np.kron(dense, np.eye(2)))
    with pytest.raises(TypeError, match="abstract"):
        linalg.LinearOperator(tf.float32)
    with pytest.raises(NotImplementedError, match="Indexing is not implemented for Shift"):
        operator[0]


def test_circulants_know_their_kernels() -> None:
    kernel = np.arange(6.0).reshape(2, 3)
    operator = linalg.LinearOperatorCirculant2D(np.fft.fft2(kernel), tf.float64)
    np.testing.assert_allclose(operator.convolution_kernel(), kernel, atol=1e-12)
    assert tuple(operator.block_shape) == tuple(operator.block_shape_tensor().numpy()) == (2, 3)
    assert operator.block_depth == 2
    operator.assert_hermitian_spectrum()
    with pytest.raises(tf.errors.InvalidArgumentError, match="Spectrum was not Hermitian"):
        linalg.LinearOperatorCirculant(VECTOR + 1j).assert_hermitian_spectrum()


SINGLE = {
    "non_singular/diag": (lambda: diag([0.0, 1.0]).assert_non_singular(), "Diagonal contained zero values"),
    "non_singular/lower": (lambda: linalg.LinearOperatorLowerTriangular([[0.0, 0], [1, 1]]).assert_non_singular(),
                           "Diagonal contained zero values"),
    "non_singular/full": (lambda: full([[1.0, 1], [1, 1]]).assert_non_singular(), "Singular matrix up to precision"),
    "non_singular/scaled": (lambda: linalg.LinearOperatorScaledIdentity(2, 0.0).assert_non_singular(),
                            "LinearOperator was singular"),
    "non_singular/circulant": (lambda: linalg.LinearOperatorCirculant([0.0, 1.0]).assert_non_singular(),
                               "Spectrum contained zero values"),
    "self_adjoint/diag": (lambda: diag([1j, 1]).assert_self_adjoint(), "contained non-zero imaginary values"),
    "self_adjoint/full": (lambda: A.assert_self_adjoint(), "Matrix was not equal to its adjoint"),
    "self_adjoint/scaled": (lambda: linalg.LinearOperatorScaledIdentity(2, 1j).assert_self_adjoint(),
                            "LinearOperator was not self-adjoint"),
    "self_adjoint/toeplitz": (lambda: make("toeplitz")[0].assert_self_adjoint(), "row and col are not the same"),
    "self_adjoint/tridiag": (lambda: make("tridiag")[0].assert_self_adjoint(), "non-conjugate subdiagonal"),
    "self_adjoint/circulant": (lambda: linalg.LinearOperatorCirculant([1j, 1]).assert_self_adjoint(),
                               "The spectrum contained non-zero imaginary part"),
    "positive/diag": (lambda: diag([-1.0, 1.0]).assert_positive_definite(), "non-positive diagonal entries"),
    "positive/circulant": (lambda: linalg.LinearOperatorCirculant([-1.0, 1.0]).assert_positive_definite(),
                           "Not positive definite:  Real part of spectrum"),
    "positive/householder": (lambda: make("householder")[0].assert_positive_definite(), "non-positive definite"),
    "positive/scaled": (lambda: linalg.LinearOperatorScaledIdentity(2, -1.0).assert_positive_definite(),
                        "LinearOperator was not positive definite"),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_matrices_that_are_not_what_they_should_be(name: str) -> None:
    check, message = SINGLE[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        check()


WRONG = {
    "positive_and_singular": (lambda: full(MATRIX, is_positive_definite=True, is_non_singular=False), ValueError,
                              "A positive definite matrix is always non-singular."),
    "non_singular_and_not_square": (lambda: full(MATRIX, is_non_singular=True, is_square=False), ValueError,
                                    "A non-singular matrix is always square."),
    "square_after_all": (lambda: full(MATRIX, is_square=False).is_square, ValueError, "the operator was square"),
    "diag": (lambda: diag(is_self_adjoint=False), ValueError, "A real diagonal operator is always self adjoint."),
    "identity": (lambda: linalg.LinearOperatorIdentity(2, is_square=False), ValueError, "always square"),
    "identity/size": (lambda: linalg.LinearOperatorIdentity(2.5), TypeError, "must be integer type"),
    "identity/rank": (lambda: linalg.LinearOperatorIdentity([2]), ValueError, "must be a 0-D Tensor"),
    "identity/batch": (lambda: linalg.LinearOperatorIdentity(2, [[2]]), ValueError, "must be a 1-D Tensor"),
    "zeros": (lambda: linalg.LinearOperatorZeros(2, is_non_singular=True), ValueError, "always singular"),
    "zeros/size": (lambda: linalg.LinearOperatorZeros(2, 3), ValueError, r"num_rows\(2\) != num_columns\(3\)"),
    "circulant": (lambda: linalg.LinearOperatorCirculant([1.0], is_self_adjoint=False), ValueError, "real spectrum"),
    "kronecker": (lambda: linalg.LinearOperatorKronecker([SURELY], is_positive_definite=False), ValueError,
                  "Kronecker product of positive-definite operators is always positive-definite"),
    "dtypes": (lambda: linalg.LinearOperatorComposition([A, linalg.LinearOperatorIdentity(3)]), TypeError,
               "Expected all operators to have the same dtype"),
    "no_operator": (lambda: linalg.LinearOperatorKronecker([A, MATRIX]), TypeError, "Expected a list of operators"),
    "composition": (lambda: linalg.LinearOperatorComposition([A, full(np.eye(2))]), ValueError,
                    "Dimensions 3 and 2 are not compatible"),
    "low_rank": (lambda: linalg.LinearOperatorLowRankUpdate(A, np.ones([2, 1])), ValueError,
                 "Dimensions 3 and 2 are not compatible"),
    "block_lower": (lambda: linalg.LinearOperatorBlockLowerTriangular([[A], [full(np.eye(2)), A]]), ValueError,
                    r"`operators\[1\]\[0\].domain_dimension` \(2\) must be the same"),
    "adjoint": (lambda: linalg.LinearOperatorAdjoint(REGULAR, is_non_singular=False), ValueError,
                "if and only if its adjoint is non-singular"),
    "inversion": (lambda: linalg.LinearOperatorInversion(SINGULAR), ValueError, "equal to `True` or `None`"),
    "solve/singular": (lambda: SINGULAR.solve(np.eye(3)), NotImplementedError, "expected to be singular"),
    "solve/not_square": (lambda: full(MATRIX[:2]).solvevec(VECTOR), NotImplementedError, "expected to not be square"),
    "cholesky": (lambda: A.cholesky(), ValueError, "Not a positive definite self adjoint matrix"),
    "determinant": (lambda: full(MATRIX[:2]).determinant(), NotImplementedError, "expected to not be square"),
    "sizes": (lambda: A.matmul(np.ones([2, 2])), ValueError, "Dimensions 3 and 2 are not compatible"),
    "ranks": (lambda: A.matmul(VECTOR), ValueError, "Shape must be at least rank 2 but is rank 1"),
    "dtype": (lambda: A.matmul(np.eye(3, dtype="float32")), TypeError, "Expected argument to have dtype"),
    "positive_definite": (lambda: A.assert_positive_definite(), NotImplementedError, "is not implemented"),
    "toeplitz": (lambda: linalg.LinearOperatorToeplitz([1.0], [1.0, 2.0]), ValueError, "mismatched dimensions"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be(name: str) -> None:
    build, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        build()


def test_shapes_that_are_fed() -> None:
    """Dimensions that are known only when the graph runs."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        matrix, vector = tf1.placeholder(tf1.float64, [None, None, None]), tf1.placeholder(tf1.float64, [None])
        pair = [linalg.LinearOperatorDiag(vector), linalg.LinearOperatorFullMatrix(matrix)]
        operators = [
            *pair,
            linalg.LinearOperatorIdentity(tf1.shape(vector)[0], dtype=tf1.float64),
            linalg.LinearOperatorScaledIdentity(tf1.shape(vector)[0], vector[0]),
            linalg.LinearOperatorLowerTriangular(matrix),
            linalg.LinearOperatorToeplitz(vector, vector),
            linalg.LinearOperatorKronecker(pair),
            linalg.LinearOperatorBlockDiag(pair),
            linalg.LinearOperatorLowRankUpdate(linalg.LinearOperatorDiag(vector), matrix),
            linalg.LinearOperatorCirculant(vector, tf1.float64),
        ]
        for operator in operators:
            dense = operator.to_dense()
            size = tf1.shape(dense)[-1]
            x = tf1.ones(tf1.stack([size, 2]), tf1.float64)
            fetches = [dense, operator.shape_tensor(), x, operator.matmul(x), operator.solve(x), operator.trace()]
            values = session.run(fetches, {matrix: make("full_matrix/batch")[1], vector: [4.0, 2.0, 2.0]})
            dense, shape, x, product, solution, trace = values
            assert tuple(shape) == dense.shape
            np.testing.assert_allclose(product, dense @ x)
            np.testing.assert_allclose(dense @ solution, np.broadcast_to(x, solution.shape), atol=1e-9)
            np.testing.assert_allclose(trace, np.trace(dense, axis1=-2, axis2=-1))
