"""What the core finds in layers above it by name."""
from __future__ import annotations

import pytest

from millstream.core.provided import Provided


def test_is_found_when_called():
    assert Provided("statistics:median")([3, 1, 2]) == 2


def test_is_not_looked_for_before():
    absent = Provided("millstream.no_such_module:function")
    with pytest.raises(ModuleNotFoundError):
        absent()
