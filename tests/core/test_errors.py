"""The classes of tf.errors, their codes, and how they print."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

from millstream.core import errors

CODES = {
    1: "Cancelled", 2: "Unknown", 3: "InvalidArgument", 4: "DeadlineExceeded", 5: "NotFound",
    6: "AlreadyExists", 7: "PermissionDenied", 8: "ResourceExhausted", 9: "FailedPrecondition", 10: "Aborted",
    11: "OutOfRange", 12: "Unimplemented", 13: "Internal", 14: "Unavailable", 15: "DataLoss",
    16: "Unauthenticated",
}  # fmt: skip


def fake_op(name, line, original=None):
    frames = [("train.py", line, "build_model", "x + y")]
    return SimpleNamespace(name=name, node_def=f"node {name}", traceback=frames, _original_op=original)


@pytest.mark.parametrize(("code", "stem"), CODES.items())
def test_codes(code, stem):
    kind = getattr(errors, stem + "Error")
    error = kind("node", None, "what went wrong")
    assert error.error_code == code
    assert error.message == str(error) == "what went wrong"
    assert (error.node_def, error.op) == ("node", None)
    assert isinstance(error, errors.OpError) and kind.__bases__ == (errors.OpError,)
    assert errors.exception_type_from_error_code(code) is kind
    assert errors.error_code_from_exception_type(kind) == code
    assert type(errors.error_from_code(code, None, None, "m")) is kind


def test_codes_without_a_class():
    for code in (errors.OK, 99):
        with pytest.raises(KeyError):
            errors.exception_type_from_error_code(code)
    assert errors.error_code_from_exception_type(ValueError) == errors.UNKNOWN
    assert errors.error_from_code(99, None, None, "m").error_code == 99
    assert errors.UnknownError(None, None, "m", 7).error_code == 7


def test_message_with_an_operation():
    error = errors.InvalidArgumentError(None, fake_op("add", 46), "bad input")
    assert error.node_def == "node add"
    assert error.message == "bad input"
    assert str(error) == (
        "bad input\n\nOriginal stack trace for 'add':\n"
        '  File "train.py", line 46, in build_model\n    x + y\n'
    )


def test_message_with_a_gradient_operation():
    error = errors.InternalError(None, fake_op("gradients/mul", 50, original=fake_op("mul", 40)), "bad")
    assert str(error).endswith(
        "line 50, in build_model\n    x + y\n"
        "\n...which was originally created as op 'mul', defined at:\n"
        '  File "train.py", line 40, in build_model\n    x + y\n'
    )


class CustomError(errors.NotFoundError):
    """A subclass of a user, with a constructor of its own."""

    def __init__(self, path):
        super().__init__(None, None, f"no {path}")
        self.path = path


@pytest.mark.parametrize(
    "error",
    [
        errors.OpError("node", fake_op("add", 1), "m", 3),
        errors.InvalidArgumentError("node", None, "m"),
        errors.UnknownError("node", None, "m", 7),
        CustomError("file"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_pickling(error):
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is type(error)
    assert twin.op is None
    assert (twin.message, twin.error_code, twin.node_def) == (error.message, error.error_code, error.node_def)
    assert twin.args == error.args
    assert getattr(twin, "path", None) == getattr(error, "path", None)


def test_raise_exception_on_not_ok_status():
    with errors.raise_exception_on_not_ok_status() as status:
        assert status.code == errors.OK
    with pytest.raises(errors.NotFoundError, match="^no such file$"):
        with errors.raise_exception_on_not_ok_status() as status:
            status.code, status.message = errors.NOT_FOUND, "no such file"
    with pytest.raises(KeyError), errors.raise_exception_on_not_ok_status() as status:
        status.code = errors.NOT_FOUND
        raise KeyError("the block's own error comes first")


def test_not_allowed_in_graph_is_a_type_error():
    assert issubclass(errors.OperatorNotAllowedInGraphError, TypeError)


def test_format_message():
    assert errors.format_message("Wrong.") == "Wrong."
    assert errors.format_message(
        "Shape must be rank 2 but is rank 1",
        received="[3] for 'MatMul' (op: 'MatMul')",
        defined_at="train.py:46, in build_model",
        hint="Use tf.expand_dims.",
    ).splitlines() == [
        "Shape must be rank 2 but is rank 1",
        "Received: [3] for 'MatMul' (op: 'MatMul')",
        "Defined at: train.py:46, in build_model",
        "Use tf.expand_dims.",
    ]


def test_payloads():
    assert errors.NotFoundError(None, None, "m").experimental_payloads == {}
    for kind in (errors.NotFoundError, errors.UnknownError):
        error = kind(None, None, "m", {"key": b"value"})
        assert error.experimental_payloads == {"key": b"value"} and error.message == "m"
    assert errors.UnknownError(None, None, "m", 3).error_code == 3
