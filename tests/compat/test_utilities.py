"""Helpers of TensorFlow's private modules."""
from __future__ import annotations

import logging

from millstream.compat import utilities


def test_export_changes_nothing():
    @utilities.tf_export("nn.f", v1=["f"])
    def f():
        return 1

    assert f() == 1


def test_deprecated_warns_once(caplog):
    @utilities.deprecated("2030-01-31", "Use g.")
    def f(x):
        """Doubles."""
        return 2 * x

    with caplog.at_level(logging.WARNING, "tensorflow"):
        assert [f(1), f(2)] == [2, 4]
        assert f.__doc__.startswith("DEPRECATED: Use g.\n\nDoubles.")
        assert len(caplog.records) == 1 and "removed after 2030-01-31: Use g." in caplog.text


def test_silence(caplog):
    with utilities.silence():
        utilities.deprecated(None, "Use g.")(lambda: 1)()
    assert not caplog.records


def test_lazy_loader():
    home: dict[str, object] = {}
    lazy = utilities.LazyLoader("j", home, "json")
    assert lazy.dumps([1]) == "[1]" and home["j"].__name__ == "json"
