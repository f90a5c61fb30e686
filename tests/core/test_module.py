"""`tf.Module`. The expected results are those of TensorFlow 2.21."""
from __future__ import annotations

import pytest

import millstream as tf


class Inner(tf.Module):
    def __init__(self, name=None):
        super().__init__(name=name)
        with self.name_scope:
            self.w = tf.Variable(5.0, name="w")
        self.v = tf.Variable(6.0, name="v")
        self.me = self

    @tf.Module.with_name_scope
    def make(self):
        """Makes a variable."""
        return tf.Variable(1.0, name="q")


class Outer(tf.Module):
    def __init__(self, name=None):
        super().__init__(name)
        self.b = tf.Variable(2.0, name="b")
        self.a = [
            tf.Variable(1.0, name="a0"),
            {"z": tf.Variable(3.0, name="z", trainable=False), "y": (tf.Variable(4.0, name="y"),)},
        ]
        self.again = self.b
        self.sub = Inner()
        self.subs = [Inner(name="two"), self.sub]
        self.x = 3
        self.t = tf.constant(1.0)


def names(items):
    return [item.name for item in items]


def test_names():
    assert Outer().name == "outer" and Outer("foo").name == "foo" and Outer().name_scope.name == "outer/"
    assert type("HTTPServer2Big", (tf.Module,), {})().name == "http_server2_big"
    for name in ("a b", "a/b"):
        with pytest.raises(ValueError, match="is not a valid module name. Module names must be valid Python"):
            Outer(name)


def test_what_is_found():
    module = Outer()
    everything = ["a0:0", "y:0", "z:0", "b:0", "v:0", "inner/w:0", "v:0", "two/w:0"]
    assert names(module.variables) == everything and isinstance(module.variables, tuple)
    assert names(module.trainable_variables) == [name for name in everything if name != "z:0"]
    assert names(module.non_trainable_variables) == ["z:0"]
    assert module.submodules == (module.sub, module.subs[0])


def test_flatten():
    def is_variable(value):
        return isinstance(value, tf.Variable)

    module = Outer()
    assert names(module._flatten(recursive=False, predicate=is_variable)) == ["a0:0", "y:0", "z:0", "b:0"]
    backwards = module._flatten(False, is_variable, attribute_traversal_key=lambda name: [-ord(c) for c in name])
    assert names(backwards) == ["b:0", "a0:0", "y:0", "z:0"]
    paths = [path for path, _ in module._flatten(predicate=is_variable, with_path=True)]
    assert paths[:9] == [
        ("a", 0), ("a", 1, "y", 0), ("a", 1, "z"), ("again",), ("b",),
        ("sub", "v"), ("sub", "w"), ("sub", "me", "v"), ("sub", "me", "w"),
    ]  # fmt: skip
    assert ("subs", 1, "me", "w") in paths


def test_cycles_end():
    one, other = tf.Module(), tf.Module()
    one.other, other.one, one.v = other, one, tf.Variable(1.0)
    assert one.submodules == (other,) and other.submodules == (one,)
    assert [v is one.v for v in other.variables] == [True]


def test_variables_are_told_apart_by_identity():
    module = tf.Module()
    first, second = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    module.all = [first, second, first]
    assert [v is w for v, w in zip(module.variables, (first, second), strict=True)] == [True, True]


def test_name_scopes():
    made = Inner().make()
    assert made.name == "inner/q:0" and Inner.make.__doc__ == "Makes a variable."
    with tf.name_scope("outer"):
        assert names(Inner().variables) == ["outer/v:0", "outer/inner/w:0"]
    with tf.Graph().as_default():
        first, second = Inner(), Inner()
        assert names(first.variables) == ["v:0", "inner/w:0"]
        assert names(second.variables) == ["v_1:0", "inner_1/w:0"] and second.name == "inner"


def test_without_the_base_constructor():
    class Bare(tf.Module):
        def __init__(self):
            self.v = tf.Variable(1.0)

    assert len(Bare().variables) == 1
    with pytest.raises(AttributeError):
        Bare().name  # noqa: B018 - reading it fails


def test_attributes_that_cannot_be_searched():
    module = tf.Module()
    module.d = {1: tf.Variable(1.0), "a": 2}
    with pytest.raises(ValueError, match=r"Error processing property 'd' of DictWrapper\(\{1: "):
        module.variables  # noqa: B018 - reading it fails
    module._TF_MODULE_IGNORED_PROPERTIES = frozenset(["d"])
    assert module.variables == ()
