"""`tf.test`: the base of test cases and the other tools."""

from __future__ import annotations

import unittest

import numpy as np
import pytest

import millstream.v1 as tf


class Passing(tf.test.TestCase):
    """Tests that are to pass; pytest collects them here."""

    def test_arrays(self):
        with self.session():
            self.assertAllEqual(tf.square([2, 3]), [4, 9])
            self.assertAllEqual(tf.constant(["a", "é"]), ["a", "é"])
            self.assertAllClose({"a": tf.constant(1.0), "b": [np.ones(2), 3.0]}, {"a": 1.0, "b": [[1, 1], 3.0]})
            self.assertAllCloseAccordingToType(np.float16([1.0]), np.float16([1.0005]))
            self.assertNotAllEqual([1], [2])
            self.assertNotAllClose([1.0], [2.0])
            self.assertAllGreater(tf.constant([1.0, 2.0]), 0)
            self.assertAllInRange([1, 2], 1, 2)
            self.assertAllInSet([1, 2], [1, 2, 3])
            self.assertNDArrayNear(np.ones(2), np.ones(2), 0.1)
            self.assertArrayNear([1, 2], [1.1, 2], 0.2)

    def test_failures(self):
        for check, args in (
            (self.assertAllEqual, ([1, 2], [1, 3])),
            (self.assertAllEqual, ([1, 2], [1, 2, 3])),
            (self.assertAllClose, ([1.0], [1.1])),
            (self.assertAllClose, ({"a": 1}, {"b": 1})),
            (self.assertAllLess, ([1, 2], 2)),
            (self.assertAllInRange, ([1, 2], 1, 2, False, True)),
            (self.assertNear, (1.0, 2.0, 0.5)),
        ):
            with self.assertRaises(AssertionError):
                check(*args)

    def test_tensors_and_protocol_buffers(self):
        self.assertShapeEqual(np.ones([2, 3]), tf.ones([2, 3]))
        self.assertDTypeEqual(tf.ones([1]), tf.float32)
        self.assertDeviceEqual("/cpu:0", "/device:CPU:0")
        self.assertProtoEquals('name: "a"', tf.NodeDef(name="a"))
        with self.assertRaisesOpError("Attempting to use uninitialized value"):
            self.evaluate(tf.Variable(1.0))

    def test_the_cached_session_keeps_variables(self):
        v = tf.Variable(3.0)
        with self.cached_session() as session:
            session.run(v.initializer)
        with self.test_session():
            self.assertEqual(v.eval(), 3.0)

    def test_random_numbers_are_the_same_each_time(self):
        with self.session():
            first = self.evaluate(tf.random_uniform([2]))
        self.setUp()
        with self.session():
            self.assertAllEqual(first, tf.random_uniform([2]))

    def test_threads(self):
        thread = self.checkedThread(lambda: 1 / 0)
        thread.start()
        with self.assertRaisesRegex(AssertionError, "division by zero"):
            thread.join()


def test_it_is_a_unittest():
    assert issubclass(tf.test.TestCase, unittest.TestCase)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.complex64])
def test_gradients(dtype):
    with tf.Graph().as_default(), tf.Session():
        x = tf.placeholder(dtype, [2, 3])
        assert tf.test.compute_gradient_error(x, [2, 3], x * x * x, [2, 3]) < 1e-2
        table = tf.Variable(tf.ones([4, 2], dtype))
        square = tf.gather(table, [1, 1, 3]) ** 2
        value = np.full([4, 2], 0.5)
        error = tf.test.compute_gradient_error(
            table, [4, 2], square, [3, 2], x_init_value=value, init_targets=table.initializer
        )
        assert error < 1e-2


def test_a_wrong_gradient_is_found():
    @tf.custom_gradient
    def twice(x):
        return 2.0 * x, lambda grad: 3.0 * grad

    with tf.Graph().as_default(), tf.Session():
        x = tf.placeholder(tf.float64, [3])
        assert tf.test.compute_gradient_error(x, [3], twice(x), [3]) == pytest.approx(1.0)


def test_jacobians_of_several():
    with tf.Graph().as_default(), tf.Session():
        x, y = tf.constant([1.0, 2.0], tf.float64), tf.constant([3.0, 4.0], tf.float64)
        for (by_graph, by_steps), diagonal in zip(
            tf.test.compute_gradient([x, y], [[2], [2]], x * y, [2], x_init_value=[[1.0, 2.0], [3.0, 4.0]]),
            ([3.0, 4.0], [1.0, 2.0]),
            strict=True,
        ):
            np.testing.assert_allclose(by_graph, np.diag(diagonal))
            np.testing.assert_allclose(by_steps, np.diag(diagonal), rtol=1e-6, atol=1e-9)


def test_stubs():
    class Thing:
        value = 1

    class Special(Thing):
        pass

    with tf.test.StubOutForTesting() as stubs:
        stubs.Set(Thing, "value", 2)
        stubs.SmartSet(Special, "value", 3)
        assert Thing.value == 3
    assert Thing.value == 1


def test_equal_graphs():
    with tf.Graph().as_default() as graph:
        tf.constant(1.0)
    tf.test.assert_equal_graph_def(graph.as_graph_def(), graph.as_graph_def())
    with pytest.raises(AssertionError, match="only in expected: Const"):
        tf.test.assert_equal_graph_def(tf.GraphDef(), graph.as_graph_def())


def test_benchmarks(capsys):
    with tf.Graph().as_default(), tf.Session() as session:
        figures = tf.test.Benchmark().run_op_benchmark(session, tf.constant(1) + 1, min_iters=3, name="add")
    assert figures["iters"] == 3 and capsys.readouterr().out.startswith("name: add, iters: 3, wall_time: ")
