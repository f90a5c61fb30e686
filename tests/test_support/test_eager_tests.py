"""`tf.test` in eager execution. The expected results are those of TensorFlow 2.21."""
from __future__ import annotations

import sys
import unittest

import numpy as np
import pytest

import millstream as tf


class Passing(tf.test.TestCase):
    """Tests that are to pass; pytest collects them here."""

    def test_values(self):
        structure = {"a": tf.constant(1.0), "b": [tf.Variable(2.0), None]}
        self.assertEqual(self.evaluate(structure), {"a": 1, "b": [2, None]})
        self.assertEqual(self.evaluate(tf.constant("s")), b"s")
        self.assertEqual(self.evaluate(lambda: tf.constant(3)), 3)
        sparse = self.evaluate(tf.SparseTensor([[0]], [1], [3]))
        self.assertIsInstance(sparse, tf.compat.v1.SparseTensorValue)
        self.assertAllEqual(sparse.dense_shape, [3])
        slices = self.evaluate(tf.IndexedSlices(tf.zeros([1, 2]), tf.constant([0])))
        self.assertAllEqual(slices.values, [[0, 0]])
        for value in (3, "x", np.zeros(2)):
            with self.assertRaisesRegex(ValueError, "Unsupported type"):
                self.evaluate(value)

    def test_assertions_take_tensors(self):
        self.assertAllEqual(tf.constant([1, 2]), [1, 2])
        self.assertAllEqual(tf.constant(["a", "é"]), ["a", "é"])
        self.assertAllClose({"a": tf.constant(1.0), "b": [tf.ones(2), 3.0]}, {"a": 1.0, "b": [[1, 1], 3.0]})
        self.assertAllCloseAccordingToType(tf.constant([1.0], tf.bfloat16), [1.005])
        self.assertAllInRange(tf.constant([1, 2]), 1, 2)
        self.assertAllInSet(tf.constant([1, 2]), [1, 2, 3])
        self.assertAllGreater(tf.Variable([1.0, 2.0]), 0)
        self.assertNotAllClose(tf.constant([1.0]), [2.0])
        self.assertShapeEqual(tf.ones([2]), tf.zeros([2]))
        self.assertShapeEqual(np.ones([2]), tf.zeros([2]))
        self.assertDTypeEqual(tf.ones([1]), np.float32)
        self.assertEqual(self.evaluate_if_both_tensors(tf.constant(1), 2)[1], 2)

    def test_failures(self):
        for check, args in (
            (self.assertAllEqual, (tf.constant([1, 2]), [1, 3])),
            (self.assertAllClose, (tf.constant([1.0, 2.0]), [1.0, 2.1])),
            (self.assertAllClose, ([1], [1, 2])),
            (self.assertShapeEqual, (tf.ones([2]), tf.zeros([3]))),
            (self.assertDTypeEqual, (tf.ones([2]), "int32")),
            (self.assertAllInRange, (tf.constant([1, 2, 5]), 0, 3)),
        ):
            with self.assertRaises(AssertionError):
                check(*args)

    def test_errors_of_operations(self):
        with self.assertRaisesIncompatibleShapesError():
            tf.zeros([2]) + tf.zeros([3])
        with self.assertRaisesOpError("not invertible"):
            tf.linalg.inv(tf.zeros([2, 2]))
        with self.assertRaises(AssertionError), self.assertRaisesOpError("something else"):
            tf.linalg.inv(tf.zeros([2, 2]))

    def test_sessions(self):
        with self.session() as session:
            self.assertTrue(tf.executing_eagerly())
            with self.assertRaisesRegex(AttributeError, "while eager execution is enabled"):
                session.run(tf.constant(1))
        with self.cached_session() as session:
            self.assertEqual(session.run([tf.constant(1)]), [1])
            with self.assertRaisesRegex(RuntimeError, "cannot feed values"):
                session.run(tf.constant(1), {"x": 1})
        with tf.Graph().as_default(), self.session():
            self.assertEqual(self.evaluate(tf.constant(3) + 1), 4)

    def test_graphs_are_compared(self):
        one, two = tf.Graph(), tf.Graph()
        with one.as_default():
            tf.constant(1.0)
        with two.as_default():
            tf.constant(1.0)
            tf.constant(2.0)
        tf.test.assert_equal_graph_def(one.as_graph_def(), one.as_graph_def())
        with self.assertRaisesRegex(AssertionError, "only in actual: Const_1"):
            tf.test.assert_equal_graph_def(one.as_graph_def(), two.as_graph_def())
        with self.assertRaisesRegex(TypeError, "Expected tf.GraphDef for expected, got int"):
            tf.test.assert_equal_graph_def(3, two.as_graph_def())

    def test_parts(self):
        for number in range(2):
            with self.subTest(number=number):
                self.assertLess(number, 2)
        self.assertTrue(self.get_temp_dir())

    @tf.test.disable_with_predicate(lambda: True, "not now")
    def test_disabled(self):
        self.fail("it runs")


def first_numbers():
    class Test(tf.test.TestCase):
        def runTest(self):  # noqa: N802 - the name that unittest wants
            found.append(tf.random.normal([2]).numpy().tolist())

    found = []
    assert unittest.TextTestRunner(stream=open("/dev/null", "w")).run(Test()).wasSuccessful()
    return found[0]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_random_numbers_are_the_same_in_each_test():
    tf.random.set_seed(1)
    first = first_numbers()
    tf.random.set_seed(2)
    assert first_numbers() == first


def test_writes_are_captured(capfd):
    case = tf.test.TestCase()
    with capfd.disabled(), case.captureWritesToStream(sys.stderr) as captured:
        print("hello", file=sys.stderr)
        assert captured.contents() == "hello\n"


def test_gradients_of_several_arguments():
    theoretical, numeric = tf.test.compute_gradient(lambda x, y: x * x * y, [tf.constant([[1.0, 2.0]]), 3.0])
    for found in (theoretical, numeric):
        np.testing.assert_allclose(found[0], [[6, 0], [0, 12]], rtol=1e-3)
        np.testing.assert_allclose(found[1], [[1], [4]], rtol=1e-3)
    assert numeric[0].dtype == theoretical[0].dtype == np.float32


def test_gradients_of_other_dtypes():
    theoretical, numeric = tf.test.compute_gradient(lambda x: x * x, [tf.constant([1 + 2j])])
    np.testing.assert_allclose(theoretical[0], [[2, -4], [4, 2]])
    np.testing.assert_allclose(numeric[0], [[2, -4], [4, 2]])
    numeric = tf.test.compute_gradient(lambda x: x * x * x, [tf.constant([0.0], tf.float64)])[1]
    np.testing.assert_allclose(numeric[0], [[2.0**-20]])  # the default step is 1/1024
    theoretical, numeric = tf.test.compute_gradient(lambda x: tf.gather(x, [1, 1]), [tf.constant([1.0, 2.0])])
    np.testing.assert_allclose(theoretical[0], [[0, 1], [0, 1]])
    theoretical, numeric = tf.test.compute_gradient(lambda x: tf.zeros([2]), [[1.0]])
    assert theoretical[0].tolist() == numeric[0].tolist() == [[0], [0]]


def test_wrong_arguments_of_compute_gradient():
    with pytest.raises(ValueError, match="`x` must be a list or tuple of values convertible to a Tensor"):
        tf.test.compute_gradient(lambda x: x, tf.constant([1.0]))
    with pytest.raises(AssertionError, match="Cannot compute gradient for unsupported type int32 of argument 0"):
        tf.test.compute_gradient(lambda x: x, [tf.constant([1])])


class SumBenchmark(tf.test.Benchmark):
    """Reports figures."""

    def benchmark_sum(self):
        self.evaluate(tf.reduce_sum(tf.ones([3])))
        self.report_benchmark(iters=3, wall_time=0.5, extras={"a": 1}, metrics=[{"name": "m", "value": 2}])


def test_benchmarks_run_on_demand(capsys):
    tf.test.main(["program", "--benchmarks=SumBench"])
    assert capsys.readouterr().out == "name: SumBenchmark.benchmark_sum, iters: 3, wall_time: 0.5, m: 2, a: 1\n"
    tf.test.main(["program", "--benchmarks=other"])
    assert capsys.readouterr().out == ""


def test_what_is_there():
    assert tf.test.is_built_with_xla() and not tf.test.is_built_with_rocm()
    assert tf.test.is_built_with_gpu_support() == tf.test.is_built_with_cuda()
    assert sum(tf.test.is_cpu_target_available(name) for name in ("aarch64", "arm", "x86_64")) <= 1
    with pytest.raises(AssertionError, match="Unknown CPU target: foo"):
        tf.test.is_cpu_target_available("foo")
    tf.test.experimental.sync_devices()
    assert tf.test.with_eager_op_as_function(SumBenchmark) is SumBenchmark
