"""`import millstream as tf`: the package shows the 2.x namespace, whatever is imported."""
from __future__ import annotations

import importlib
import sys

import millstream as tf


def test_subpackages_do_not_hide_namespaces():
    for name in ("io", "test", "train", "keras", "compat"):
        package = importlib.import_module(f"millstream.{name}")
        assert sys.modules[f"millstream.{name}"] is package
        assert getattr(tf, name).__name__ == f"millstream._api.v2.{name}"


def test_other_subpackages_are_attributes():
    core = importlib.import_module("millstream.core")
    assert tf.core is core


def test_completion():
    names = dir(tf)
    assert {"constant", "Module", "math", "compat", "install_as_tensorflow"} <= set(names)
    assert names == sorted(names)


def test_modules_of_the_package_beside_namespaces_of_the_same_name():
    import millstream.io.proto as from_package
    from millstream.io import proto

    assert from_package is proto and not hasattr(tf.io, "no_such_name")
    assert tf.io is importlib.import_module("millstream._api.v2.io")
