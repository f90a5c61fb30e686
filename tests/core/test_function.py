"""`tf.function`: what is traced when, what goes in and out, in which order effects happen."""
from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import gc
import threading
import weakref

import numpy as np
import pytest

import millstream as tf


def counted(function=None, **options):
    """A `tf.function` that counts its traces in the attribute `traces`."""
    traces = []

    @functools.wraps(function)
    def inner(*args, **kwargs):
        traces.append(args)
        return function(*args, **kwargs)

    made = tf.function(inner, **options)
    made.traces = traces
    return made


# --- Results ----------------------------------------------------------------------------------------------------------


def test_a_function_gives_what_its_python_function_gives():
    double = tf.function(lambda x: x * 2)
    assert double(tf.constant(3)).numpy() == 6
    assert double(tf.constant([1.5])).numpy().tolist() == [3.0]
    assert double(4).numpy() == 8


def test_nested_structures_in_and_out():
    Point = collections.namedtuple("Point", "x y")

    @tf.function
    def f(point, options, *rest, scale=1.0):
        return {"sum": point.x + point.y, "rest": list(rest), "options": (options["a"] * scale, None), "flag": True}

    found = f(Point(tf.constant(1.0), tf.constant(2.0)), {"a": tf.constant(3.0)}, tf.constant(4), scale=2.0)
    assert found["sum"].numpy() == 3 and found["rest"][0].numpy() == 4
    assert found["options"][0].numpy() == 6 and found["options"][1] is None
    assert found["flag"].numpy() == np.True_
    assert isinstance(f(Point(1.0, 2.0), {"a": 1.0})["rest"], list)


def test_composite_values_in_and_out():
    slices = tf.IndexedSlices(tf.constant([[1.0, 2.0]]), tf.constant([1]), tf.constant([3, 2]))

    @tf.function
    def f(s):
        return tf.IndexedSlices(s.values * 2.0, s.indices, s.dense_shape)

    again = f(slices)
    assert isinstance(again, tf.IndexedSlices) and again.values.numpy().tolist() == [[2, 4]]
    assert tf.convert_to_tensor(again).numpy().tolist() == [[0, 0], [2, 4], [0, 0]]


def test_dataclass_arguments():
    class Pair:
        def __init__(self, first, second):
            self.first, self.second = first, second

        def __tf_flatten__(self):
            return (), (self.first, self.second)

        @classmethod
        def __tf_unflatten__(cls, _, children):
            return cls(*children)

    f = counted(lambda pair: Pair(pair.second, pair.first))
    swapped = f(Pair(tf.constant(1), tf.constant(2)))
    assert (swapped.first.numpy(), swapped.second.numpy()) == (2, 1)
    f(Pair(tf.constant(5), tf.constant(6)))
    assert len(f.traces) == 1


def test_what_cannot_be_returned():
    with pytest.raises(TypeError, match="must return zero or more Tensors"):
        tf.function(lambda: object())()


def test_functions_call_functions():
    inner = counted(lambda x: x + 1)
    outer = tf.function(lambda x: inner(x) * inner(x + 1))
    assert outer(tf.constant(1)).numpy() == 6
    assert len(inner.traces) == 1
    types = [op.type for op in outer.get_concrete_function(tf.constant(1)).graph.get_operations()]
    assert types.count("PartitionedCall") == 2


def test_a_function_of_a_function_of_one_name_runs_both():
    f = tf.function(lambda x: x + 1)
    g = tf.function(lambda x: f(f(x)) + f(x))
    assert g(tf.constant(0)).numpy() == 3


# --- What is traced when ----------------------------------------------------------------------------------------------


def test_tensors_of_one_dtype_and_shape_share_a_trace():
    f = counted(lambda x: x)
    for value in ([1.0, 2.0], [3.0, 4.0]):
        f(tf.constant(value))
    assert len(f.traces) == 1
    f(tf.constant([1.0]))
    f(tf.constant([1, 2]))
    assert len(f.traces) == 3
    f(tf.constant([5.0]))
    assert len(f.traces) == 3


def test_arrays_count_as_tensors():
    f = counted(lambda x: x)
    f(np.zeros(2))
    f(np.ones(2))
    f(tf.zeros([2], tf.float64))
    assert len(f.traces) == 1
    assert isinstance(f.traces[0][0], tf.Tensor)


def test_python_values_are_part_of_the_trace():
    f = counted(lambda x: x)
    for value in (1, 1, 2, 1.0, True, "a", None, (1, 2), [1, 2], [1, 2]):
        f(value if value is not None else tf.constant(0))
    assert len(f.traces) == 8


def test_objects_count_by_identity():
    class Thing:
        number = 1

    f = counted(lambda thing: tf.constant(thing.number))
    one, two = Thing(), Thing()
    assert f(one).numpy() == 1
    f(one)
    assert len(f.traces) == 1
    two.number = 2
    assert f(two).numpy() == 2
    one.number = 7
    assert f(one).numpy() == 1  # read while tracing, and only then


def test_a_dead_object_is_not_taken_for_another():
    class Thing:
        def __init__(self, number):
            self.number = number

    f = tf.function(lambda thing: tf.constant(thing.number))
    assert [f(Thing(number)).numpy() for number in range(5)] == [0, 1, 2, 3, 4]


def test_variables_of_one_shape_share_a_trace():
    f = counted(lambda v: v.assign(v * 2.0))
    one, two = tf.Variable(1.0), tf.Variable(10.0)
    assert f(one).numpy() == 2 and f(two).numpy() == 20
    assert len(f.traces) == 1
    f(tf.Variable([1.0]))
    assert len(f.traces) == 2


def test_the_same_variable_twice_is_another_trace():
    f = counted(lambda a, b: a.assign_add(b) + b)
    one, two = tf.Variable(1.0), tf.Variable(10.0)
    assert f(one, two).numpy() == 21
    assert f(one, one).numpy() == 44
    assert len(f.traces) == 2


def test_keywords_and_defaults_bind_like_in_python():
    f = counted(lambda x, y=2, *, z=3: x + y + z)
    x = tf.constant(1)
    assert {f(x).numpy(), f(x, 2).numpy(), f(x, y=2, z=3).numpy(), f(z=3, x=x).numpy()} == {6}
    assert len(f.traces) == 1
    with pytest.raises(TypeError, match="missing a required argument"):
        f()
    with pytest.raises(TypeError, match="too many positional arguments"):
        f(x, 1, 2)


def test_reduce_retracing():
    f = counted(lambda x: tf.reduce_sum(x), reduce_retracing=True)
    for size in (1, 2, 3, 4):
        assert f(tf.ones([size, 2])).numpy() == 2 * size
    assert [args[0].shape.as_list() for args in f.traces] == [[1, 2], [None, 2]]
    f(tf.ones([2]))
    assert f.traces[-1][0].shape.rank == 1 or f.traces[-1][0].shape.rank is None


def test_input_signature():
    f = counted(lambda x, n: x * n, input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.float32)])
    assert f([1.0, 2.0], 2).numpy().tolist() == [2, 4]
    assert f(tf.ones([3]), tf.constant(1.0)).shape == (3,)
    assert len(f.traces) == 1
    for bad in ((tf.ones([1, 1]), 1.0), (tf.ones([1], tf.int32), 1.0), ("text", 1.0)):
        with pytest.raises(TypeError, match="Binding inputs to tf.function failed"):
            f(*bad)
    with pytest.raises(TypeError, match="input_signature must be"):
        tf.function(lambda x: x, input_signature=5)
    with pytest.raises(TypeError, match="Invalid input_signature"):
        tf.function(lambda x: x, input_signature=[5])


def test_frequent_retracing_is_warned_about(caplog):
    f = tf.function(lambda x: x)
    with caplog.at_level("WARNING", "tensorflow"):
        for number in range(12):
            f(number)
    assert sum("triggered tf.function retracing" in record.getMessage() for record in caplog.records) == 1


def test_python_side_effects_happen_while_tracing(capsys):
    @tf.function
    def f(x):
        print("traced")
        return x

    for _ in range(3):
        f(tf.constant(1))
    assert capsys.readouterr().out == "traced\n"


def test_run_functions_eagerly():
    f = counted(lambda x: x + 1)
    tf.config.run_functions_eagerly(True)
    try:
        assert tf.config.functions_run_eagerly()
        for _ in range(3):
            f(tf.constant(1))
        assert len(f.traces) == 3 and not hasattr(f.traces[0][0], "op")
    finally:
        tf.config.run_functions_eagerly(False)


def test_methods_are_traced_for_each_object():
    class Scale:
        def __init__(self, by):
            self.by = by
            self.traces = 0

        @tf.function
        def __call__(self, x):
            self.traces += 1
            return x * self.by

    two, three = Scale(2), Scale(3)
    for _ in range(2):
        assert two(tf.constant(5)).numpy() == 10 and three(tf.constant(5)).numpy() == 15
    assert two.traces == three.traces == 1
    gone = weakref.ref(two)
    del two
    gc.collect()
    assert gone() is None


def test_concrete_functions():
    f = counted(lambda x, y: {"sum": x + y})
    concrete = f.get_concrete_function(tf.TensorSpec([None], tf.float32), y=tf.TensorSpec([], tf.float32))
    assert concrete(tf.constant([1.0, 2.0]), tf.constant(3.0))["sum"].numpy().tolist() == [4, 5]
    assert concrete(x=tf.constant([1.0]), y=tf.constant(3.0))["sum"].numpy().tolist() == [4]
    assert [tensor.dtype for tensor in concrete.inputs] == [tf.float32, tf.float32]
    assert concrete.structured_outputs["sum"].is_compatible_with(tf.TensorSpec([None], tf.float32))
    assert concrete.graph.get_operation_by_name("x").type == "Placeholder"
    with pytest.raises(TypeError):
        concrete(tf.constant([1]), tf.constant(3.0))
    with pytest.raises(TypeError):
        concrete(tf.constant([1.0]))
    assert "x (POSITIONAL_OR_KEYWORD): TensorSpec(shape=(None,), dtype=tf.float32" in str(concrete)


def test_a_concrete_function_of_no_tensors():
    concrete = tf.function(lambda n: tf.fill([n], 1.0)).get_concrete_function(3)
    assert concrete().numpy().tolist() == [1, 1, 1]


# --- Captures ---------------------------------------------------------------------------------------------------------


def test_tensors_outside_are_captured_by_value():
    x = tf.constant(2.0)
    f = tf.function(lambda y: x * y)
    assert f(tf.constant(3.0)).numpy() == 6
    x = tf.constant(100.0)  # noqa: F841 - the function keeps what it was traced with
    assert f(tf.constant(3.0)).numpy() == 6


def test_variables_outside_are_captured_by_reference():
    v = tf.Variable(2.0)
    f = tf.function(lambda y: v * y)
    assert f(tf.constant(3.0)).numpy() == 6
    v.assign(10.0)
    assert f(tf.constant(3.0)).numpy() == 30
    concrete = f.get_concrete_function(tf.constant(3.0))
    assert concrete.variables == (v,) and concrete.captured_inputs[0] is v.handle


def test_tensors_do_not_leak_out_of_functions():
    leaked = []

    @tf.function
    def f(x):
        leaked.append(x + 1)
        return x

    f(tf.constant(1))
    with pytest.raises(TypeError, match="is out of scope and cannot be used here") as caught:
        leaked[0] + 1
    assert "test_function.py" in str(caught.value)
    with pytest.raises(TypeError, match="is out of scope and cannot be used here"):
        tf.function(lambda: leaked[0] * 2)()
    with pytest.raises((TypeError, NotImplementedError, ValueError)):
        np.array(leaked[0])


def test_a_graph_made_by_hand_does_not_take_eager_tensors():
    x = tf.constant(1.0)
    with tf.Graph().as_default(), pytest.raises(RuntimeError, match="Attempting to capture an EagerTensor"):
        x + 1.0


# --- Variables --------------------------------------------------------------------------------------------------------


def test_variables_are_created_on_the_first_call_only():
    class Counter:
        value = None

        @tf.function
        def __call__(self, by):
            if self.value is None:
                self.value = tf.Variable(by * 10.0)
            return self.value.assign_add(by)

    counter = Counter()
    assert counter(tf.constant(1.0)).numpy() == 11
    assert counter(tf.constant(2.0)).numpy() == 13
    assert counter(tf.constant([1.0])[0]).numpy() == 14
    assert counter.value.numpy() == 14


def test_a_function_that_always_creates_variables():
    with pytest.raises(ValueError, match="only supports singleton tf.Variables created on the first call"):
        tf.function(lambda: tf.Variable(1.0).read_value())()


def test_initial_values_may_be_computed_in_the_function():
    made = []

    @tf.function
    def f():
        if not made:
            made.append(tf.Variable(tf.range(3) * 2))
        return made[0] + 1

    assert f().numpy().tolist() == [1, 3, 5]


# --- Effects ----------------------------------------------------------------------------------------------------------


def test_effects_happen_in_the_order_of_the_program():
    v = tf.Variable(1.0)

    @tf.function
    def f():
        first = v.read_value()
        v.assign(5.0)
        second = v.read_value()
        v.assign_add(1.0)
        v.assign(v * 2.0)
        return first, second, v.read_value()

    assert [x.numpy() for x in f()] == [1, 5, 12]
    assert v.numpy() == 12


def test_effects_of_called_functions_keep_their_place():
    v = tf.Variable(1.0)
    add = tf.function(lambda x: v.assign_add(x))
    double = tf.function(lambda: v.assign(v * 2.0))

    @tf.function
    def f():
        add(3.0)
        double()
        add(1.0)
        return v.read_value()

    assert f().numpy() == 9


def test_effects_happen_though_nothing_needs_them():
    v = tf.Variable([0, 0])

    @tf.function
    def f(x):
        v[0].assign(x)
        tf.debugging.assert_less(x, 10)
        return None

    assert f(tf.constant(3)) is None
    assert v.numpy().tolist() == [3, 0]
    with pytest.raises(tf.errors.InvalidArgumentError):
        f(tf.constant(12))
    assert v.numpy().tolist() == [3, 0]  # a call that fails changes nothing


def test_tensors_read_before_an_update_keep_their_value():
    v = tf.Variable(tf.ones([3]))
    f = tf.function(lambda: v.assign_add([1.0, 2.0, 3.0]))
    before = v.read_value()
    alias = v.value()
    f()
    f()
    assert before.numpy().tolist() == alias.numpy().tolist() == [1, 1, 1]
    assert v.numpy().tolist() == [3, 5, 7]


def test_random_numbers_are_drawn_anew_at_each_call():
    f = tf.function(lambda: tf.random.uniform([4]))
    assert f().numpy().tolist() != f().numpy().tolist()


def test_an_error_names_the_operation_and_the_users_line():
    @tf.function
    def f(x, y):
        return tf.gather(x, y)

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        f(tf.constant([1.0]), tf.constant(5))
    assert "test_function.py" in str(caught.value) and "is not in [0, 1)" in str(caught.value)
    with pytest.raises(ValueError, match="Dimensions must be equal"):
        tf.function(lambda: tf.ones([2]) + tf.ones([3]))()


# --- Gradients --------------------------------------------------------------------------------------------------------


def test_gradients_flow_through_functions():
    v = tf.Variable(3.0)
    f = tf.function(lambda x: x * x * v)
    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        by_x, by_v = tape.gradient(y, [x, v])
    assert (y.numpy(), by_x.numpy(), by_v.numpy()) == (12, 12, 4)
    assert outer.gradient(by_x, x).numpy() == 6


def test_tapes_inside_of_functions():
    v = tf.Variable([1.0, 2.0])

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(v * v * x)
        v.assign_sub(0.25 * tape.gradient(loss, v))
        return loss

    assert step(tf.constant(1.0)).numpy() == 5
    assert v.numpy().tolist() == [0.5, 1.0]


def test_third_derivative_through_a_function():
    f = tf.function(lambda x: tf.exp(x * 2.0))
    x = tf.constant(0.5)
    with tf.GradientTape() as t3:
        t3.watch(x)
        with tf.GradientTape() as t2:
            t2.watch(x)
            with tf.GradientTape() as t1:
                t1.watch(x)
                y = f(x)
            d1 = t1.gradient(y, x)
        d2 = t2.gradient(d1, x)
    np.testing.assert_allclose(t3.gradient(d2, x), 8 * np.exp(1.0), rtol=1e-6)


def test_unused_arguments_have_no_gradient():
    f = tf.function(lambda x, y: x * 2.0)
    x, y = tf.constant(1.0), tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        z = f(x, y)
    by_x, by_y = tape.gradient(z, [x, y])
    assert by_x.numpy() == 2 and by_y is None


def test_variables_of_called_functions():
    """Also of those that had their trace before."""
    v = tf.Variable(2.0)
    inner = tf.function(lambda x: x * v)
    inner(tf.constant(1.0))
    outer = tf.function(lambda x: inner(x) * 3.0)
    outer(tf.constant(1.0))
    with tf.GradientTape() as tape:
        y = outer(tf.constant(5.0))
    assert tape.gradient(y, v).numpy() == 15
    assert outer.get_concrete_function(tf.constant(1.0)).variables == (v,)


# --- Threads ----------------------------------------------------------------------------------------------------------


def test_threads_share_traces_and_variables():
    v = tf.Variable(0)
    f = counted(lambda x: v.assign_add(x))
    f(tf.constant(0))

    def work():
        for _ in range(50):
            f(tf.constant(1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert v.numpy() == 200 and len(f.traces) == 1


def test_results_and_arguments_that_repeat():
    function = tf.function(lambda x, y: (x, None, (x + y,)))
    one = tf.constant(1.0)
    first, nothing, (total,) = function(one, one)
    assert nothing is None and first.numpy() == 1.0 and total.numpy() == 2.0
    pair = tf.function(lambda x: (x, x * 2))(one)
    assert type(pair) is tuple and [item.numpy() for item in pair] == [1.0, 2.0]


# --- What a trace keeps and makes -------------------------------------------------------------------------------------


def test_a_trace_does_not_keep_its_first_arguments():
    class Thing:
        pass

    f = tf.function(lambda tensors, variable, thing: tensors["a"] + variable)
    thing, variable = Thing(), tf.Variable(1.0)
    kept = [weakref.ref(thing), weakref.ref(variable)]
    assert f({"a": tf.constant(1.0)}, variable, thing).numpy() == 2.0
    del thing, variable
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_sparse_arguments_are_made_of_the_functions_tensors():
    sparse = tf.sparse.SparseTensor([[0, 1]], [2.0], [2, 3])
    given, doubled, shape = tf.function(lambda x: (x, x.values * 2.0, x.dense_shape))(sparse)
    assert (given.values.numpy(), doubled.numpy(), shape.numpy().tolist()) == ([2.0], [4.0], [2, 3])


def test_variables_may_be_created_in_functions_that_are_called():
    class Dense:
        weights = None

        @tf.function
        def __call__(self, x):
            if self.weights is None:
                self.weights = tf.Variable(tf.ones([x.shape[-1], 2]) * tf.reduce_mean(x))
            return x @ self.weights

    first, second = Dense(), Dense()
    f = tf.function(lambda x: second(first(x * 1.0)))
    for _ in range(2):
        assert f(tf.ones([1, 3])).numpy().tolist() == [[18.0, 18.0]]
    assert second.weights.numpy().tolist() == [[3.0, 3.0]] * 2


def test_copies_of_functions_trace_anew():
    class Scale(tf.Module):
        def __init__(self):
            super().__init__()
            self.factor = tf.Variable(2.0)
            self.add = tf.function(lambda x: x + 1.0)

        @tf.function
        def __call__(self, x):
            return self.factor * x

    module = Scale()
    module(3.0), module.add(1.0)
    copied = copy.deepcopy(module)
    copied.factor.assign(5.0)
    assert (module(3.0).numpy(), copied(3.0).numpy(), copied.add(1.0).numpy()) == (6.0, 15.0, 2.0)
    assert copied.add.experimental_get_tracing_count() == 1


def test_lists_may_hold_variables():
    size = tf.Variable(2)
    assert tf.function(lambda: tf.fill([size, 1], 3.0))().numpy().tolist() == [[3.0], [3.0]]


def test_tables_outside_are_looked_up():
    table = tf.Variable([[1.0], [2.0], [3.0]])
    lookup = tf.function(lambda rows: tf.nn.embedding_lookup(table, rows))
    assert lookup(tf.constant([2, 0])).numpy().tolist() == [[3.0], [1.0]]


def test_calls_in_between_put_the_warning_off(caplog):
    f = tf.function(lambda x: x)
    for size in range(12):
        for _ in range(5):
            f(tf.zeros([size]))
    assert not caplog.records


def test_shapes_may_hold_variables():
    n = tf.Variable(3)
    f = tf.function(lambda: (tf.ones([n, 1]), tf.zeros(n), tf.range(n)))
    assert [tensor.shape.as_list() for tensor in f()] == [[3, 1], [3], [3]]
    n.assign(2)
    assert [tensor.shape.as_list() for tensor in f()] == [[2, 1], [2], [2]]


def test_objects_that_say_they_are_equal_share_a_trace():
    @dataclasses.dataclass(frozen=True)
    class Settings:
        scale: float

    f = counted(lambda x, settings: x * settings.scale)
    kept = [Settings(2.0), Settings(2.0), Settings(3.0)]
    assert [f(tf.constant(1.0), settings).numpy() for settings in kept] == [2.0, 2.0, 3.0]
    assert len(f.traces) == 2
