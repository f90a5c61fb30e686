"""What operations raise when they run, under the names and codes of TensorFlow."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from millstream.core.export import export, export_value

OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
ALREADY_EXISTS: Final = 6
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
ABORTED: Final = 10
OUT_OF_RANGE: Final = 11
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
DATA_LOSS: Final = 15
UNAUTHENTICATED: Final = 16

for _name in (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE "
    "DATA_LOSS UNAUTHENTICATED"
).split():
    export_value(__name__, _name, f"errors.{_name}")


def format_message(sentence: str, *, received: str = "", defined_at: str = "", hint: str = "") -> str:
    """Puts together a message: what is wrong, what was received, where it was made, what to do.

    Args:
      sentence: what is wrong, in TensorFlow's words where TensorFlow has this error.
      received: the operation, node, dtypes, shapes or values at fault.
      defined_at: the user's line that made the operation (`Operation.defined_at`).
      hint: one sentence on how to mend it.

    Example:
      >>> print(format_message("Shape must be rank 2 but is rank 1", defined_at="train.py:46, in build"))
      Shape must be rank 2 but is rank 1
      Defined at: train.py:46, in build
    """
    lines = [sentence]
    if received:
        lines.append(f"Received: {received}")
    if defined_at:
        lines.append(f"Defined at: {defined_at}")
    if hint:
        lines.append(hint)
    return "\n".join(lines)


@export("errors.OpError", v1=["OpError"])
class OpError(Exception):
    """An operation failed. The subclasses say how.

    Args:
      node_def: the NodeDef of the operation, if known.
      op: the operation, if known.
      message: what went wrong.
      error_code: the number of the kind of failure, such as `tf.errors.NOT_FOUND`.
      *args: a dict of further facts, `experimental_payloads`, as 2.x gives it.
    """

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int, *args: Any) -> None:
        super().__init__(message)
        self._payloads: dict[Any, Any] = next((item for item in args if isinstance(item, dict)), {})
        self._node_def = node_def
        self._op = op
        self._message = message
        self._error_code = error_code

    @property
    def message(self) -> str:
        """What went wrong."""
        return self._message

    @property
    def op(self) -> Any:
        """The operation that failed, or None if it is not known."""
        return self._op

    @property
    def error_code(self) -> int:
        """The number of the kind of failure."""
        return self._error_code

    @property
    def experimental_payloads(self) -> dict[Any, Any]:
        """Further facts by name."""
        return self._payloads

    @property
    def node_def(self) -> Any:
        """The NodeDef of the operation that failed, or None if it is not known."""
        return self._op.node_def if self._node_def is None and self._op is not None else self._node_def

    def __str__(self) -> str:
        if self._op is None:
            return self._message
        parts = [self._message, f"\n\nOriginal stack trace for {self._op.name!r}:\n", _format_stack(self._op)]
        # A gradient's operation points to the operation whose gradient it is.
        original = getattr(self._op, "_original_op", None)
        while original is not None:
            parts.append(f"\n...which was originally created as op {original.name!r}, defined at:\n")
            parts.append(_format_stack(original))
            original = getattr(original, "_original_op", None)
        return "".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        # The operation stays behind: it belongs to a graph of this process.
        return _restore, (type(self), self.args, {**self.__dict__, "_op": None})


def _format_stack(op: Any) -> str:
    import traceback

    return "".join(traceback.format_list(op.traceback))


def _restore(kind: type[OpError], args: tuple[Any, ...], state: dict[str, Any]) -> OpError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


_Init: TypeAlias = "Callable[..., None]"


def _init_with(code: int) -> _Init:
    """Makes the constructor of a class of errors that all have one code."""

    def __init__(self: OpError, node_def: Any, op: Any, message: str, *args: Any) -> None:
        OpError.__init__(self, node_def, op, message, code, *args)

    __init__.__qualname__ = "OpError.__init__"
    return __init__


@export("errors.CancelledError")
class CancelledError(OpError):
    """The operation was cancelled, for example because its queue or session was closed."""

    __init__ = _init_with(CANCELLED)


@export("errors.UnknownError")
class UnknownError(OpError):
    """Something failed that fits no other class."""

    def __init__(self, node_def: Any, op: Any, message: str, error_code: Any = UNKNOWN, *args: Any) -> None:
        if not isinstance(error_code, int):  # in 2.x the payloads stand here
            error_code, args = UNKNOWN, (error_code, *args)
        super().__init__(node_def, op, message, error_code, *args)


@export("errors.InvalidArgumentError")
class InvalidArgumentError(OpError):
    """The operation received a value or a shape that it cannot work with."""

    __init__ = _init_with(INVALID_ARGUMENT)


@export("errors.DeadlineExceededError")
class DeadlineExceededError(OpError):
    """The operation was not done within the time that it was given."""

    __init__ = _init_with(DEADLINE_EXCEEDED)


@export("errors.NotFoundError")
class NotFoundError(OpError):
    """A file, a key or another thing that was asked for does not exist."""

    __init__ = _init_with(NOT_FOUND)


@export("errors.AlreadyExistsError")
class AlreadyExistsError(OpError):
    """A thing that was to be made exists already."""

    __init__ = _init_with(ALREADY_EXISTS)


@export("errors.PermissionDeniedError")
class PermissionDeniedError(OpError):
    """The program may not do this, for example write to a file."""

    __init__ = _init_with(PERMISSION_DENIED)


@export("errors.ResourceExhaustedError")
class ResourceExhaustedError(OpError):
    """Memory or another resource ran out."""

    __init__ = _init_with(RESOURCE_EXHAUSTED)


@export("errors.FailedPreconditionError")
class FailedPreconditionError(OpError):
    """The state does not allow this operation: most often, a variable was read before it was initialised."""

    __init__ = _init_with(FAILED_PRECONDITION)


@export("errors.AbortedError")
class AbortedError(OpError):
    """The operation was given up because of another that ran at the same time."""

    __init__ = _init_with(ABORTED)


@export("errors.OutOfRangeError")
class OutOfRangeError(OpError):
    """The operation went past the end, for example of a dataset, a file or a closed queue."""

    __init__ = _init_with(OUT_OF_RANGE)


@export("errors.UnimplementedError")
class UnimplementedError(OpError):
    """The operation does not exist for these arguments."""

    __init__ = _init_with(UNIMPLEMENTED)


@export("errors.InternalError")
class InternalError(OpError):
    """Something is broken that no program should be able to break."""

    __init__ = _init_with(INTERNAL)


@export("errors.UnavailableError")
class UnavailableError(OpError):
    """The runtime or another process cannot be reached at the moment."""

    __init__ = _init_with(UNAVAILABLE)


@export("errors.DataLossError")
class DataLossError(OpError):
    """Data is damaged or was lost, for example a record whose checksum is wrong."""

    __init__ = _init_with(DATA_LOSS)


@export("errors.UnauthenticatedError")
class UnauthenticatedError(OpError):
    """The caller has not proved who it is."""

    __init__ = _init_with(UNAUTHENTICATED)


class InaccessibleTensorError(TypeError):
    """A tensor of a function's graph was used outside of it."""


class LeakedTensorError(ValueError):
    """A tensor of a 1.x loop, or of a branch that is being built, was used outside of it.

    Args:
      name: the operation inside.
      where: what it is in.
    """

    def __init__(self, name: str, where: str) -> None:
        self._reason = f"because '{name}' is in {where}. Return it from the function that made it."
        self._name = name
        super().__init__(f"Cannot use '{name}' here {self._reason}")

    def used_by(self, user: str) -> ValueError:
        """The error for the operation that was to use the tensor."""
        return ValueError(f"Cannot use '{self._name}' as input to '{user}' {self._reason}")


@export(v2=["errors.OperatorNotAllowedInGraphError"])
class OperatorNotAllowedInGraphError(TypeError):
    """Python asked for the value of a tensor while the graph is built, when there is no value yet."""


_CLASS_OF_CODE: Final[dict[int, type[OpError]]] = {
    CANCELLED: CancelledError,
    UNKNOWN: UnknownError,
    INVALID_ARGUMENT: InvalidArgumentError,
    DEADLINE_EXCEEDED: DeadlineExceededError,
    NOT_FOUND: NotFoundError,
    ALREADY_EXISTS: AlreadyExistsError,
    PERMISSION_DENIED: PermissionDeniedError,
    RESOURCE_EXHAUSTED: ResourceExhaustedError,
    FAILED_PRECONDITION: FailedPreconditionError,
    ABORTED: AbortedError,
    OUT_OF_RANGE: OutOfRangeError,
    UNIMPLEMENTED: UnimplementedError,
    INTERNAL: InternalError,
    UNAVAILABLE: UnavailableError,
    DATA_LOSS: DataLossError,
    UNAUTHENTICATED: UnauthenticatedError,
}
_CODE_OF_CLASS: Final[dict[type[Any], int]] = {kind: code for code, kind in _CLASS_OF_CODE.items()}


@export(v1=["errors.exception_type_from_error_code"])
def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """The class of the errors with this code; KeyError for `tf.errors.OK` and numbers that are no code."""
    return _CLASS_OF_CODE[error_code]


@export(v1=["errors.error_code_from_exception_type"])
def error_code_from_exception_type(cls: type[Any]) -> int:
    """The code of a class of errors; `tf.errors.UNKNOWN` for a class that has none."""
    return _CODE_OF_CLASS.get(cls, UNKNOWN)


def error_from_code(error_code: int, node_def: Any, op: Any, message: str) -> OpError:
    """Makes an error of the class for `error_code`; an `UnknownError` with that code if there is none."""
    kind: Any = _CLASS_OF_CODE.get(error_code)
    return UnknownError(node_def, op, message, error_code) if kind is None else kind(node_def, op, message)


class Status:
    """The outcome of a call: a code and, unless that is OK, a message."""

    def __init__(self) -> None:
        self.code = OK
        self.message = ""


@export(v1=["errors.raise_exception_on_not_ok_status"])
class raise_exception_on_not_ok_status:  # noqa: N801  (TensorFlow's name)
    """A context manager that gives a `Status` and raises what that says at the end of the block.

    Example:
      >>> with raise_exception_on_not_ok_status() as status:
      ...   status.code, status.message = NOT_FOUND, "no such file"
      Traceback (most recent call last):
      ...
      millstream.core.errors.NotFoundError: no such file
    """

    def __enter__(self) -> Status:
        self.status = Status()
        return self.status

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is None and self.status.code != OK:
            raise error_from_code(self.status.code, None, None, self.status.message)
