"""The time of day."""
from __future__ import annotations

import time

from millstream.core.export import export
from millstream.core.opdef import op
from millstream.core.shape_rules import scalar
from millstream.core.tensor import Tensor


@op("Timestamp() -> ts: double", shape=scalar, stateful=True, host=True)
def timestamp_op(xp):
    return time.time()


timestamp_op.no_gradient("the time has no inputs")


@export("timestamp")
def timestamp(name: str | None = None) -> Tensor:
    """Seconds since the beginning of 1970, a float64 scalar; read when the operation runs."""
    return timestamp_op(name=name)
