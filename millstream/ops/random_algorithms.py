"""The names of random number generators, as stateless functions and `tf.random.Generator` take them."""
from __future__ import annotations

from enum import Enum
from typing import Any

from millstream.core.export import export
from millstream.ops.stateless_random_ops import AUTO_SELECT, PHILOX, THREEFRY


@export(v2=["random.Algorithm", "random.experimental.Algorithm"])
class Algorithm(Enum):
    """Which random number generator to use.

    AUTO_SELECT takes the best one for the device, which is PHILOX on all. THREEFRY can be named, but not drawn from.
    """

    PHILOX = PHILOX
    THREEFRY = THREEFRY
    AUTO_SELECT = AUTO_SELECT


def algorithm_id(alg: Any) -> Any:
    """The number of an algorithm given as an `Algorithm`, its name, its number or a tensor; None: automatic choice.

    Raises:
      ValueError: there is none such.
    """
    if alg is None:
        return AUTO_SELECT
    if isinstance(alg, Algorithm):
        return alg.value
    if isinstance(alg, str):
        found = Algorithm.__members__.get(alg.upper())
        if found is None:
            raise ValueError(
                f"Argument `alg` got unsupported value {alg}. Supported values are philox for the Philox algorithm, "
                "threefry for the ThreeFry algorithm, and auto_select for auto-selection."
            )
        return found.value
    if isinstance(alg, int) and alg not in (PHILOX, THREEFRY, AUTO_SELECT):
        raise ValueError(
            f"Argument `alg` got unsupported value {alg}. Supported values are {PHILOX} for the Philox algorithm, "
            f"{THREEFRY} for the ThreeFry algorithm, and {AUTO_SELECT} for auto-selection."
        )
    return alg
