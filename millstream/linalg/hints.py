"""What is known of an operator that is made of others: True, False, or None where nothing is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Hint = bool | None


def all_of(hints: Iterable[Hint]) -> Hint:
    """True if all are; nothing is known otherwise."""
    return True if all(hints) else None


def non_singular_product(*operators: Any) -> Hint:
    """Whether a product of square operators is non-singular."""
    hints = [operator.is_non_singular for operator in operators]
    if False in hints and all(operator.is_square for operator in operators):
        return False
    return all_of(hints)


def commuting_product(a: Any, b: Any) -> dict[str, Hint]:
    """The hints of the product of two square operators that commute, as arguments of its class."""
    self_adjoint = all_of((a.is_self_adjoint, b.is_self_adjoint))
    return {
        "is_non_singular": non_singular_product(a, b),
        "is_self_adjoint": self_adjoint,
        "is_positive_definite": all_of((self_adjoint, a.is_positive_definite, b.is_positive_definite)),
        "is_square": True,
    }


def implied(given: Hint, found: Hint, message: str) -> Hint:
    """A hint that follows from others; `message` says what is wrong if the caller was told the opposite.

    Raises:
      ValueError: it contradicts the hint that was given.
    """
    if found is None:
        return given
    if given is not None and given is not found:
        raise ValueError(message)
    return found


def of(operator: Any) -> dict[str, Hint]:
    """The hints of an operator, as arguments of its class."""
    names = ("is_non_singular", "is_self_adjoint", "is_positive_definite", "is_square")
    return {name: getattr(operator, name) for name in names}
