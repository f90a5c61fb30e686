"""`tf.test.TestCase`: unit tests with assertions on arrays and tensors, with sessions in graph mode."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from absl import flags
from absl.testing import absltest

from millstream.core import context, dtypes, errors, graph, random_seed, shapes
from millstream.core.device import canonical_name
from millstream.core.export import export
from millstream.core.operation import Operation
from millstream.core.tensor import TensorLike
from millstream.runtime.session import Session
from millstream.test import evaluation
from millstream.test.streams import CapturedWrites, captured_writes
from millstream.test.threads import CheckedThread

# The messages that tell of operands whose shapes do not fit.
_INCOMPATIBLE_SHAPES = "Incompatible shapes|Dimensions must be equal|required broadcastable shapes"


@export("test.TestCase")
class TestCase(absltest.TestCase):
    """Base of tests. Each test begins with an empty default graph and the same random seeds.

    The assertions take arrays, lists, tensors and variables; the latter two are evaluated.

    Example:
      >>> class SquareTest(tf.test.TestCase):
      ...   def test_square(self):
      ...     self.assertAllEqual(tf.square([2, 3]), [4, 9])
    """

    @classmethod
    def setUpClass(cls) -> None:
        """Gives flags their defaults where another program than `tf.test.main` runs the tests."""
        super().setUpClass()
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()

    def setUp(self) -> None:
        """Empties the default graph and sets the seeds."""
        super().setUp()
        self._cached: Session | None = None
        random.seed(random_seed.DEFAULT_GRAPH_SEED)
        np.random.seed(random_seed.DEFAULT_GRAPH_SEED)
        graph.reset_default_graph()
        random_seed.set_random_seed(random_seed.DEFAULT_GRAPH_SEED)

    def tearDown(self) -> None:
        """Closes the cached session."""
        if self._cached is not None:
            self._cached.close()
        super().tearDown()

    # --- Sessions -----------------------------------------------------------------------------------------------

    def get_temp_dir(self) -> str:
        """A folder for the files of this test."""
        return self.create_tempdir().full_path

    @contextmanager
    def session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = True, force_gpu: bool = False
    ) -> Iterator[Any]:
        """A new session, the default one inside of the block, on the devices that there are.

        In eager execution the block needs none; what it gets says so when it is used.
        """
        if context.executing_eagerly():
            yield evaluation.NoSession()
            return
        with Session(graph=graph, config=config) as session:
            yield session

    @contextmanager
    def cached_session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = True, force_gpu: bool = False
    ) -> Iterator[Any]:
        """The session of this test: the same one, with its variables, in each block."""
        if context.executing_eagerly():
            yield evaluation.EagerSession()
            return
        if self._cached is None:
            self._cached = Session(graph=graph, config=config)
        with self._cached.graph.as_default(), self._cached.as_default() as session:
            yield session

    def test_session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = True, force_gpu: bool = False
    ) -> Any:
        """Old spelling: `session` where a graph is given, else `cached_session`."""
        if self.id().endswith(".test_session"):
            self.skipTest("Not a test.")
        return (self.cached_session if graph is None else self.session)(graph, config, use_gpu, force_gpu)

    def evaluate(self, tensors: Any) -> Any:
        """The values of a structure of tensors; in graph mode in the default session or the cached one.

        Raises:
          ValueError: a leaf of the structure is no tensor, in eager execution.
        """
        from millstream.core.session_stack import get_default_session

        if context.executing_eagerly():
            return evaluation.values(tensors)
        session = get_default_session()
        if session is not None:
            return session.run(tensors)
        with self.cached_session() as session:
            return session.run(tensors)

    def evaluate_if_both_tensors(self, a: Any, b: Any) -> tuple[Any, Any]:
        """The values of two tensors of a graph; anything else as it is."""
        both = isinstance(a, TensorLike) and isinstance(b, TensorLike)
        return (self.evaluate(a), self.evaluate(b)) if both and not context.executing_eagerly() else (a, b)

    def _check_shapes(self, first: Any, second: Any, msg: str | None) -> None:
        shapes = f"expected {first.shape}, got {second.shape}"
        self.assertEqual(first.shape, second.shape, f"Shape mismatch: {shapes}. {msg or ''}")

    def _array(self, value: Any) -> np.ndarray[Any, Any]:
        if isinstance(value, (TensorLike, Operation)):
            value = self.evaluate(value)
        return np.asarray(value)

    # --- Arrays -----------------------------------------------------------------------------------------------------

    def assertAllClose(self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None) -> None:
        """Structures of arrays, equal but for `atol + rtol * abs(b)`; NaN equals NaN."""
        a, b = (item._asdict() if hasattr(item, "_asdict") else item for item in (a, b))
        if isinstance(a, Mapping) or isinstance(b, Mapping):
            self.assertEqual(sorted(a), sorted(b), msg)
            for key in a:
                self.assertAllClose(a[key], b[key], rtol, atol, f"{msg or ''} at key {key!r}")
            return
        if isinstance(a, (list, tuple)) and _is_ragged(a):
            self.assertLen(b, len(a), msg)
            for index, (one, other) in enumerate(zip(a, b, strict=True)):
                self.assertAllClose(one, other, rtol, atol, f"{msg or ''} at index {index}")
            return
        first, second = self._array(a), self._array(b)
        self._check_shapes(first, second, msg)
        wide = [item.astype(np.float64) if item.dtype.kind == "V" else item for item in (first, second)]
        np.testing.assert_allclose(*wide, rtol=rtol, atol=atol, err_msg=msg or "", equal_nan=True)

    def assertAllCloseAccordingToType(
        self,
        a: Any,
        b: Any,
        rtol: float = 1e-6,
        atol: float = 1e-6,
        float_rtol: float = 1e-6,
        float_atol: float = 1e-6,
        half_rtol: float = 1e-3,
        half_atol: float = 1e-3,
        bfloat16_rtol: float = 1e-2,
        bfloat16_atol: float = 1e-2,
        msg: str | None = None,
    ) -> None:
        """`assertAllClose` with the tolerance of the less exact dtype of the two."""
        first, second = self._array(a), self._array(b)
        for dtype, relative, absolute in (
            (dtypes.float32, float_rtol, float_atol),
            (dtypes.float16, half_rtol, half_atol),
            (dtypes.bfloat16, bfloat16_rtol, bfloat16_atol),
        ):
            if dtype.as_numpy_dtype in (first.dtype.type, second.dtype.type):
                rtol, atol = max(rtol, relative), max(atol, absolute)
        self.assertAllClose(first, second, rtol, atol, msg)

    def assertNotAllClose(self, a: Any, b: Any, **kwargs: Any) -> None:
        """Not `assertAllClose`."""
        with self.assertRaises(AssertionError):
            self.assertAllClose(a, b, **kwargs)

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """Arrays of the same shape and elements; NaN equals NaN."""
        first, second = (_with_bytes(self._array(item)) for item in (a, b))
        self._check_shapes(first, second, msg)
        np.testing.assert_array_equal(first, second, err_msg=msg or "")

    def assertNotAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """Not `assertAllEqual`."""
        with self.assertRaises(AssertionError):
            self.assertAllEqual(a, b, msg)

    def assertNear(self, f1: float, f2: float, err: float, msg: str | None = None) -> None:
        """Two numbers that differ by at most `err`."""
        self.assertTrue(f1 == f2 or abs(f1 - f2) <= err, f"{f1!r} != {f2!r} +/- {err!r}{f' ({msg})' if msg else ''}")

    def assertArrayNear(self, farray1: Any, farray2: Any, err: float, msg: str | None = None) -> None:
        """Two sequences of numbers that differ by at most `err` each."""
        self.assertLen(farray2, len(farray1), msg)
        for f1, f2 in zip(farray1, farray2, strict=True):
            self.assertNear(float(f1), float(f2), err, msg)

    def assertNDArrayNear(self, ndarray1: Any, ndarray2: Any, err: float, msg: str | None = None) -> None:
        """Two arrays whose difference has a Euclidean norm of less than `err`."""
        self.assertLess(np.linalg.norm(self._array(ndarray1) - self._array(ndarray2)), err, msg)

    def assertAllGreater(self, a: Any, comparison_target: float) -> None:
        """All elements are greater."""
        self._check_all(a, lambda x: x > comparison_target, f"greater than {comparison_target}")

    def assertAllGreaterEqual(self, a: Any, comparison_target: float) -> None:
        """All elements are greater or equal."""
        self._check_all(a, lambda x: x >= comparison_target, f"at least {comparison_target}")

    def assertAllLess(self, a: Any, comparison_target: float) -> None:
        """All elements are less."""
        self._check_all(a, lambda x: x < comparison_target, f"less than {comparison_target}")

    def assertAllLessEqual(self, a: Any, comparison_target: float) -> None:
        """All elements are less or equal."""
        self._check_all(a, lambda x: x <= comparison_target, f"at most {comparison_target}")

    def assertAllInRange(
        self,
        target: Any,
        lower_bound: float,
        upper_bound: float,
        open_lower_bound: bool = False,
        open_upper_bound: bool = False,
    ) -> None:
        """All elements are in an interval, whose ends belong to it unless they are open."""
        what = f"{'(' if open_lower_bound else '['}{lower_bound}, {upper_bound}{')' if open_upper_bound else ']'}"
        above: Callable[..., Any] = np.greater if open_lower_bound else np.greater_equal
        below: Callable[..., Any] = np.less if open_upper_bound else np.less_equal
        self._check_all(target, lambda x: above(x, lower_bound) & below(x, upper_bound), f"in {what}")

    def assertAllInSet(self, target: Any, expected_set: Any) -> None:
        """All elements are members of a collection."""
        self._check_all(target, lambda x: np.isin(x, list(expected_set)), f"in {expected_set}")

    def _check_all(self, value: Any, holds: Callable[[Any], Any], what: str) -> None:
        array = self._array(value)
        wrong = ~np.asarray(holds(array))
        if wrong.any():
            places = np.argwhere(wrong)[:10].tolist()
            self.fail(f"{wrong.sum()} of {array.size} elements are not {what}: {array[wrong][:10]} at {places}")

    # --- Tensors and protocol buffers ---------------------------------------------------------------------------------

    def assertShapeEqual(self, input_a: Any, input_b: Any, msg: str | None = None) -> None:
        """Two arrays or tensors have the same static shape."""
        for item in (input_a, input_b):
            self.assertIsInstance(item, (np.ndarray, np.generic, TensorLike))
        self.assertEqual(*(shapes.as_plain(item.shape) for item in (input_a, input_b)), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:
        """A tensor or array has a dtype."""
        found = target.dtype if isinstance(target, TensorLike) else self._array(target).dtype
        self.assertEqual(dtypes.as_dtype(found).base_dtype, dtypes.as_dtype(expected_dtype))

    def assertDeviceEqual(self, device1: Any, device2: Any, msg: str | None = None) -> None:
        """Two device names stand for the same device."""
        self.assertEqual(canonical_name(str(device1)), canonical_name(str(device2)), msg)

    def assertProtoEquals(self, expected_message_maybe_ascii: Any, message: Any, msg: str | None = None) -> None:
        """A protocol buffer equals another, or a text that is read as one."""
        expected = expected_message_maybe_ascii
        if isinstance(expected, (str, bytes)):
            from google.protobuf import text_format

            expected = text_format.Parse(expected, type(message)())
        self.assertEqual(str(expected), str(message), msg)

    def assertProtoEqualsVersion(
        self, expected: str, actual: Any, producer: int | None = None, min_consumer: int = 0, msg: str | None = None
    ) -> None:
        """A `GraphDef` equals a text, to which its version is added."""
        number = actual.versions.producer if producer is None else producer
        versions = f"versions {{ producer: {number} min_consumer: {min_consumer} }};"
        self.assertProtoEquals(f"{versions}\n{expected}", actual, msg)

    # --- Errors -----------------------------------------------------------------------------------------------------

    @contextmanager
    def assertRaisesWithPredicateMatch(
        self, exception_type: type[BaseException], expected_err_re_or_predicate: Any
    ) -> Iterator[None]:
        """The block raises an exception that fits a regular expression (found in its text) or a function."""
        expected = expected_err_re_or_predicate
        try:
            yield
        except exception_type as error:
            text = error.message if isinstance(error, errors.OpError) else str(error)
            fits = expected(error) if callable(expected) else re.search(expected, text)
            if not fits:
                raise AssertionError(f"Exception of type {type(error)} does not fit {expected!r}: {error}") from error
        else:
            self.fail(f"{exception_type.__name__} not raised")

    def assertRaisesOpError(self, expected_err_re_or_predicate: Any) -> AbstractContextManager[None]:
        """The block raises a `tf.errors.OpError` that fits a regular expression or a function."""
        return self.assertRaisesWithPredicateMatch(errors.OpError, expected_err_re_or_predicate)

    def assertRaisesIncompatibleShapesError(
        self, exception_type: type[BaseException] = errors.InvalidArgumentError
    ) -> AbstractContextManager[None]:
        """The block raises an error about operands whose shapes do not fit."""
        return self.assertRaisesWithPredicateMatch(exception_type, _INCOMPATIBLE_SHAPES)

    def assertItemsEqual(self, first: Any, second: Any, msg: str | None = None) -> None:
        """Two collections hold the same elements, in any order."""
        self.assertCountEqual(first, second, msg)

    # --- Threads and streams ------------------------------------------------------------------------------------------

    def checkedThread(self, target: Callable[..., Any], args: Any = None, kwargs: Any = None) -> CheckedThread:
        """A thread whose `join` fails the test where `target` has raised."""
        return CheckedThread(target, args or (), kwargs or {})

    def captureWritesToStream(self, stream: Any) -> AbstractContextManager[CapturedWrites]:
        """Collects what is written to a stream that has a file descriptor, `sys.stderr` for instance, in the block.

        Example:
          >>> with self.captureWritesToStream(sys.stderr) as captured:
          ...   tf.print("hello")
          >>> self.assertEqual(captured.contents(), "hello\\n")
        """
        return captured_writes(stream)


def _is_ragged(value: Any) -> bool:
    """Whether a list cannot be one array: its elements are structures of different shapes, or tensors."""
    if any(isinstance(item, (TensorLike, Mapping)) for item in value):
        return True
    try:
        np.array(value)
    except ValueError:
        return True
    return False


def _with_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array whose text is bytes, as tensors of strings are evaluated to."""
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8").astype(object)
    if array.dtype.kind == "S":
        return array.astype(object)
    if array.dtype.kind == "O":
        encoded = [item.encode("utf-8") if isinstance(item, str) else item for item in array.ravel().tolist()]
        result = np.empty(len(encoded), object)
        result[:] = encoded
        return result.reshape(array.shape)
    return array
