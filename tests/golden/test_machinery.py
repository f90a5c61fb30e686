"""The golden machinery itself: what counts as a difference, and how values are written down."""
from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from . import calls, compare, observe, replay, spec


def make_case(**options: Any) -> spec.Case:
    family = spec.Family("example", **options)
    family.case("case", lambda tf, x: x, spec.f32([1.0]))
    return family.cases["case"]


def encoded(value: Any, dtype: str = "float32") -> Any:
    return json.loads(json.dumps(observe.encode(np.array(value, dtype))))


@pytest.mark.parametrize("value", [
    np.array([0.1, np.inf, -np.inf, np.nan, -0.0], np.float32), np.float64(1 / 3), np.array([[2**62]]),
    np.array([True, False]), np.array([1 + 2j], np.complex64), np.array([], np.float16),
])
def test_encoded_values_are_exact(value: np.ndarray) -> None:
    dtype, shape, flat = json.loads(json.dumps(observe.encode(value)))
    numbers = [complex(*x) for x in flat] if dtype.startswith("complex") else flat
    assert np.array_equal(np.array(numbers, dtype).reshape(shape), value, equal_nan=dtype.startswith("float"))


def test_strings_keep_their_bytes() -> None:
    assert observe.encode(np.array([b"\xff\x00a"], object)) == ["string", [1], ["\xff\x00a"]]


@pytest.mark.parametrize(("steps", "accepted"), [(0, True), (3, True), (5, False)])
def test_tolerance_counts_epsilons(steps: int, accepted: bool) -> None:
    off = 1.0 + steps * float(np.finfo(np.float32).eps)
    assert (compare.compare_value(make_case(ulps=4), encoded([1.0]), encoded([off])) is None) == accepted


def test_tolerance_relative_to_each_element_or_to_the_largest() -> None:
    expected, actual = encoded([1e6, 1e-3]), encoded([1e6, 1.1e-3])
    assert compare.compare_value(make_case(near="each"), expected, actual)
    assert compare.compare_value(make_case(near="max"), expected, actual) is None


@pytest.mark.parametrize(("expected", "actual"), [
    (encoded([1.0]), encoded([1.0], "float64")), (encoded([1.0]), encoded([[1.0]])),
    (encoded(1, "int32"), encoded(2, "int32")),
    (encoded([np.nan]), encoded([1.0])), (encoded([1.0]), encoded([np.nan])),
    (encoded([np.inf]), encoded([-np.inf])),
    ("text", "other"), (None, 1),
])
def test_differences_are_seen(expected: Any, actual: Any) -> None:
    assert compare.compare_value(make_case(), expected, actual)


def test_nothing_but_nan_equals_nan() -> None:
    assert compare.compare_value(make_case(ulps=0), encoded([np.nan, 0.0]), encoded([np.nan, -0.0])) is None


def test_long_arrays_are_compared_by_ends_and_sums() -> None:
    values = np.linspace(-1, 1, 1000)
    changed = np.where(np.arange(1000) == 500, 0.25, values)
    for ulps in (0, 4):
        assert compare.compare_value(make_case(ulps=ulps), encoded(values), encoded(values)) is None
        assert compare.compare_value(make_case(ulps=ulps), encoded(values), encoded(changed))


def test_errors_agree_in_class_stage_and_first_sentence() -> None:
    case, expected = make_case(), ["ValueError", "No such thing: 3.5 in 'x:0'. Details that may differ.",
                                   "build"]
    assert not compare.compare_errors(case, expected,
                                      ["ValueError", "No such thing: 3.5 in 'x:0'. Hint.", "build"])
    assert compare.compare_errors(case, expected, ["TypeError", "No such thing: 3.5 in 'x:0'.", "build"])
    assert compare.compare_errors(case, expected, ["ValueError", "No such thing: 3.5 in 'y:0'.", "build"])
    assert compare.compare_errors(case, expected, ["ValueError", "No such thing: 3.5 in 'x:0'.", "run"])
    assert compare.compare_errors(case, expected, None)


def test_nodes_differ_by_name_type_inputs_and_recorded_attributes() -> None:
    expected = [["c", "Const", [], {"dtype": 1}], ["y", "Mul", ["x", "c"]]]
    assert not compare.compare_nodes(expected,
                                     [["c", "Const", [], {"dtype": 1, "more": 2}],
                                      ["y", "Mul", ["x", "c"], {}]])
    for changed in (["y", "Mul", ["c", "x"], {}], ["z", "Mul", ["x", "c"], {}], ["y", "Add", ["x", "c"], {}]):
        assert compare.compare_nodes(expected, [["c", "Const", [], {"dtype": 1}], changed])
    assert compare.compare_nodes(expected, [["c", "Const", [], {"dtype": 2}], ["y", "Mul", ["x", "c"], {}]])


def test_inputs_are_named_like_the_parameters() -> None:
    family = spec.Family("example")
    family.case("named", lambda tf, a, b: a, spec.f32(1), spec.f32(2))
    family.case("variadic", lambda tf, *x: x, spec.f32(1), spec.f32(2))
    assert family.cases["named"].input_names() == ["a", "b"]
    assert family.cases["variadic"].input_names() == ["x0", "x1"]


def test_a_name_is_defined_once_and_nodes_are_left_out_only_with_a_reason() -> None:
    family = spec.Family("example")
    family.case("name", lambda tf: 1)
    with pytest.raises(ValueError, match="twice"):
        family.case("name", lambda tf: 1)
    for option in ("nodes", "eager", "function"):
        with pytest.raises(ValueError, match="reason"):
            family.case("other", lambda tf: 1, **{option: False})


def test_the_modes_of_a_case() -> None:
    family = spec.Family("example", eager="why not")
    modes = ("graph", "eager", "function")
    for name, options, wanted in (
        ("neither", {}, [True, False, False]),
        ("function", {"function": True}, [True, False, True]),
        ("both", {"eager": True}, [True, True, True]),
        ("eager", {"eager": True, "function": "why"}, [True, True, False]),
    ):
        family.case(name, lambda tf: 1, **options)
        assert [family.cases[name].runs_in(mode) for mode in modes] == wanted


def test_a_script_is_called_once_for_each_run() -> None:
    import millstream.v1 as tf

    family = spec.Family("example")
    family.case("case", lambda tf, x: spec.script(spec.Run(x * 2, times=2), spec.Run(x + 1, feed={x: 5})), spec.i32(3))
    case = family.cases["case"]
    with replay.eager_by_default():
        seen = calls.observed(case, tf, calls.plain(case, tf), lambda: None)
    assert [run["value"][2] for run in seen["runs"]] == [[6], [6], [6]]
