"""What is converted, what errors say, and the public functions."""
from __future__ import annotations

import logging
import re
from typing import Any

import pytest

import millstream as tf

# --- Errors -----------------------------------------------------------------------------------------------------------


def one_branch(x: Any) -> Any:
    if x > 0:
        y = x
    return y


def other_dtype(x: Any) -> Any:
    if x > 0:
        y = x
    else:
        y = 1
    return y


def other_structure(x: Any) -> Any:
    if x > 0:
        y = [x]
    else:
        y = x
    return y


def sometimes_none(x: Any) -> Any:
    y = None
    if x > 0:
        y = x
    return y


def one_return(x: Any) -> Any:
    if x > 0:
        return x


def grows(x: Any) -> Any:
    y = tf.constant([1.0])
    while x < 5.0:
        y = tf.concat([y, y], 0)
        x += 1.0
    return y


def collects(x: Any) -> Any:
    items = []
    while x < 5.0:
        items.append(x)
        x += 1.0
    return items


def rebinds_a_list(x: Any) -> Any:
    items: list[Any] = []
    while x < 5.0:
        items = [*items, x]
        x += 1.0
    return items


def rebinds_an_object(x: Any) -> Any:
    item = object()
    while x < 5.0:
        item = object()
        x += 1.0
    return x, item is None


def breaks_a_python_loop(x: Any) -> Any:
    for _ in range(3):
        if x > 2:
            break
        x += 1.0
    return x


def goes_over_a_scalar(x: Any) -> Any:
    for item in x:
        x += item
    return x


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (one_branch, ValueError, "'y' must also be initialized in the else branch"),
        (other_dtype, TypeError, "'y' has dtype float32 in the main branch, but dtype int32 in the else branch"),
        (other_structure, TypeError, "'y' must have the same nested structure in the main and else branches"),
        (sometimes_none, ValueError, "'y' is None at the end of the else branch."),
        (one_return, ValueError, "the else branch must also have a return statement."),
        (grows, ValueError, r"'y' has shape \(1,\) before the loop, but shape \(2,\) after one iteration"),
        (collects, TypeError, "is out of scope .*tf.TensorArray"),
        (rebinds_a_list, TypeError, "does not have the same nested structure after one iteration"),
        (rebinds_an_object, TypeError, "'item' is <object .*what changes in a loop over tensors must be a tensor"),
        (breaks_a_python_loop, NotImplementedError, "which depend on a TF condition are not supported in Python for"),
        (goes_over_a_scalar, ValueError, "len requires a non-scalar tensor"),
    ],
)
def test_errors(function, error, message) -> None:
    with pytest.raises(error, match=re.compile(message, re.DOTALL)):
        tf.function(function)(tf.constant(1.0))


def fails_inside(x: Any) -> Any:
    return tf.matmul(x, x)  # here


def fails(x: Any) -> Any:
    if x > 0:
        x = fails_inside(x)
    return x


def line_of(function: Any, text: str) -> int:
    import inspect

    lines, first = inspect.getsourcelines(function)
    return first + next(index for index, line in enumerate(lines) if text in line)


def test_errors_name_the_users_lines() -> None:
    with pytest.raises(ValueError, match="in user code:") as caught:
        tf.function(fails)(tf.constant(1.0))
    text = str(caught.value)
    assert f'{__file__}", line {line_of(fails_inside, "# here")}, in fails_inside' in text
    assert f'{__file__}", line {line_of(fails, "x = fails_inside")}, in fails' in text
    assert "Shape must be rank 2 but is rank 0" in text


def fails_when_it_runs(x: Any) -> Any:
    while x < 5.0:
        x = x + tf.gather([1.0], tf.cast(x, tf.int32))  # here
    return x


def test_operations_remember_the_users_lines() -> None:
    line = line_of(fails_when_it_runs, "# here")
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"test_conversion.py:{line}, in fails_when_it_runs"):
        tf.function(fails_when_it_runs)(tf.constant(0.0))


class Refused(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)


def refuses(x: Any) -> Any:
    raise Refused(3, "no")


def test_users_own_errors_pass_as_they_are() -> None:
    with pytest.raises(Refused) as caught:
        tf.function(refuses)(tf.constant(0.0))
    assert caught.value.args == (3, "no")
    assert any("in refuses" in note for note in caught.value.__notes__)


# --- What is converted ------------------------------------------------------------------------------------------------


def test_do_not_convert() -> None:
    @tf.autograph.experimental.do_not_convert
    def plain(x: Any) -> Any:
        return 1.0 if x > 0 else 2.0

    with pytest.raises(TypeError, match="as a Python `bool` is not allowed"):
        tf.function(plain)(tf.constant(1.0))
    with pytest.raises(TypeError, match="as a Python `bool` is not allowed"):
        tf.function(lambda x: plain(x))(tf.constant(1.0))
    with pytest.raises(TypeError, match="as a Python `bool` is not allowed"):
        tf.function(lambda x: 1.0 if x > 0 else 2.0, autograph=False)(tf.constant(1.0))


def test_without_source_a_function_runs_as_it_is(caplog) -> None:
    namespace: dict[str, Any] = {}
    exec("def add(x):\n  return x + 1.0", namespace)  # noqa: S102
    added = namespace["add"]
    with caplog.at_level(logging.WARNING, "tensorflow"):
        logging.getLogger("tensorflow").propagate = True
        assert tf.function(added)(tf.constant(1.0)).numpy() == 2.0
        assert tf.function(lambda x: added(x))(tf.constant(1.0)).numpy() == 2.0


def test_functions_of_libraries_are_called_as_they_are() -> None:
    import functools
    import math

    import numpy as np

    @tf.function
    def mixed(x: Any) -> Any:
        values = np.linspace(0.0, 1.0, 3)
        scale = functools.partial(math.pow, 2.0)
        return x * scale(3.0) + sum(float(value) for value in values)

    assert mixed(tf.constant(1.0)).numpy() == 9.5


def test_generators_and_comprehensions() -> None:
    def numbers() -> Any:
        yield from (1.0, 2.0)

    @tf.function
    def total(x: Any) -> Any:
        for number in numbers():
            if x > 0:
                x = x + number
        return x + sum([number for number in numbers()])

    assert total(tf.constant(1.0)).numpy() == 7.0


def test_print_of_tensors_happens_while_tracing(capsys) -> None:
    @tf.function
    def traced(x: Any) -> Any:
        print("tracing", x.dtype.name)
        return x

    traced(tf.constant(1.0))
    traced(tf.constant(2.0))
    assert capsys.readouterr().out == "tracing float32\n"


# --- Public functions -------------------------------------------------------------------------------------------------


def absolute(x: Any) -> Any:
    return x if x > 0 else -x


def test_to_graph_and_to_code() -> None:
    converted = tf.autograph.to_graph(absolute)
    assert converted(tf.constant(-2)).numpy() == 2
    assert converted(-3) == 3
    code = tf.autograph.to_code(absolute)
    assert code.startswith("def tf__absolute(x")
    assert "if_exp" in code
    with pytest.raises(ValueError, match="converting"):
        tf.autograph.to_graph(len)


def test_equality_of_tensors_is_an_option() -> None:
    feature = tf.autograph.experimental.Feature
    converted = tf.autograph.to_graph(lambda x: x == 1, experimental_optional_features=feature.EQUALITY_OPERATORS)
    assert converted(tf.constant([1, 2])).numpy().tolist() == [True, False]
    assert feature.ALL in feature.all() and feature.LISTS not in feature.all_but([feature.LISTS])


def test_trace_prints(capsys) -> None:
    tf.autograph.trace("a", 1)
    assert capsys.readouterr().out == "a 1\n"
