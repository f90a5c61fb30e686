"""`tf.raw_ops`: functions that apply one operation."""
from __future__ import annotations

import pytest

from millstream.core import opdef
from millstream.public import raw_ops


@pytest.fixture(autouse=True)
def applied(monkeypatch):
    """The calls that reach the dispatcher, as (op type, inputs, attributes, name)."""
    calls: list[tuple[str, tuple[object, ...], dict[str, object], str | None]] = []

    def apply(definition, inputs, attrs, name):
        calls.append((definition.name, inputs, attrs, name))

    registry: dict[str, opdef.OpDef] = {}
    monkeypatch.setattr(opdef, "REGISTRY", registry)
    monkeypatch.setattr(opdef, "APPLY", [apply])
    raw_ops.function.cache_clear()
    raw_ops._op_types.cache_clear()
    signature = "SomeMul2D(a: T, bs: N*T, *, transpose_a: bool = False, out: type) -> product: T"
    opdef.op(signature, T="float double")(lambda xp, a, bs: None)
    yield calls
    raw_ops.function.cache_clear()
    raw_ops._op_types.cache_clear()


def test_by_name(applied):
    raw_ops.SomeMul2D(a=1, bs=[2], out="int32", name="m")
    assert applied == [("SomeMul2D", (1, [2]), {"out": "int32"}, "m")]


def test_in_order_required_attributes_first(applied):
    raw_ops.by_snake_case("some_mul2d")(1, [2], "int32", True, "m")
    assert applied == [("SomeMul2D", (1, [2]), {"out": "int32", "transpose_a": True}, "m")]
    assert raw_ops.by_snake_case("_some_mul2d") is raw_ops.SomeMul2D
    assert raw_ops.SomeMul2D.__name__ == "SomeMul2D" and "a: T" in raw_ops.SomeMul2D.__doc__


def test_bad_calls():
    function = raw_ops.SomeMul2D
    with pytest.raises(TypeError, match=r"SomeMul2D\(a, bs, out, transpose_a, name\) is missing bs"):
        function(a=1, out="int32")
    with pytest.raises(TypeError, match="got 1 positional arguments"):
        function(1, a=1, bs=[])
    with pytest.raises(TypeError, match="got 6 positional arguments"):
        function(1, 2, 3, 4, 5, 6)


def test_absent_operations():
    assert raw_ops.by_snake_case("no_such_op") is None
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchOp'"):
        _ = raw_ops.NoSuchOp
