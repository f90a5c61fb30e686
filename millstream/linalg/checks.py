"""Operations that fail where numbers are not what a kind of matrix has."""

from __future__ import annotations

from typing import Any

from millstream.core.conversion import to_tensor
from millstream.ops import check_ops
from millstream.ops.complex_ops import imag, real
from millstream.ops.control_flow_ops import no_op
from millstream.ops.elementwise_ops import abs
from millstream.ops.fill_ops import zeros_like


def nothing() -> Any:
    """A check that always passes."""
    return no_op()


def no_zeros(x: Any, message: str) -> Any:
    """Demands that no number is 0."""
    size = abs(x)
    return check_ops.assert_less_v2(to_tensor(0, size.dtype), size, message)


def no_imaginary_parts(x: Any, message: str) -> Any:
    """Demands that all imaginary parts are 0."""
    if not x.dtype.is_complex:
        return no_op()
    part = imag(x)
    return check_ops.assert_equal_v2(zeros_like(part), part, message)


def positive_real_parts(x: Any, message: str) -> Any:
    """Demands that all real parts are greater than 0."""
    return check_ops.assert_positive_v2(real(x), message)
