"""Every operation, one module a family."""
from __future__ import annotations

from millstream.core import dispatch as dispatch  # definitions are called through it
from millstream.ops import operators as operators  # gradients and composed functions use Python's operators
