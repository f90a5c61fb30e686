"""Forked and spawned processes: what the parent has made can be read there, and everything works anew."""
from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# What the parent has done: eager operations, a function, a session, all of them compiled.
_PARENT = """
import os, sys, threading, traceback
import numpy as np
import millstream as tf

v1 = tf.compat.v1
large = tf.constant(np.linspace(0.0, 1.0, 40000), tf.float32)
squares = large * large  # compiled
variable = tf.Variable(np.ones((200, 200)), dtype=tf.float32)

@tf.function
def step(x):
    variable.assign_add(x)
    return tf.reduce_sum(variable)

def convolved(x):
    return tf.nn.conv2d(x, tf.ones([3, 3, 4, 8]), 1, "SAME")

images = np.ones((2, 8, 8, 4), np.float32)
assert step(tf.ones([200, 200])).numpy() == 80000.0
assert convolved(images).numpy()[0, 4, 4, 0] == 36.0
graph = v1.Graph()
with graph.as_default():
    x = v1.placeholder(tf.float32, [None, 8, 8, 4])
    weights = v1.Variable(np.ones((3, 3, 4, 8), np.float32))
    update = weights.assign_add(tf.ones([3, 3, 4, 8]))
    y = tf.reduce_sum(tf.nn.conv2d(x, weights, 1, "SAME"))
    session = v1.Session()
    session.run(weights.initializer)
    total = session.run(y, {x: images})

def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
"""


def run(program, parent=_PARENT, timeout=120):
    """Runs a program in a process of its own; gives what it prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error::RuntimeWarning", "-c", parent + textwrap.dedent(program)],
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_parent_made_can_be_read():
    run("""
        def work():
            assert np.array_equal(squares.numpy(), large.numpy() ** 2)
            assert (variable.numpy() == 2.0).all()
            assert (session.run(weights) == 1.0).all()
            assert tf.constant([1.0, 2.0]).numpy().sum() == 3.0
        in_child(work)
        assert step(tf.ones([200, 200])).numpy() == 120000.0  # the parent goes on
    """)


def test_what_the_parent_made_works():
    """Eager tensors, variables, functions and sessions; each process has variables of its own."""
    run("""
        def work():
            assert abs(tf.reduce_sum(large * squares).numpy() - (large.numpy() ** 3).sum()) < 1.0
            assert step(tf.ones([200, 200])).numpy() == 120000.0
            assert session.run(y, {x: images}) == total
            session.run(update)
            assert session.run(y, {x: images}) == 2.0 * total
        in_child(work)
        in_child(work)
        assert step(tf.ones([200, 200])).numpy() == 120000.0
        assert session.run(y, {x: images}) == total
    """)


def test_new_things_work():
    run("""
        def work():
            found = tf.constant(np.arange(50000.0)) * 2.0
            assert found.numpy()[-1] == 99998.0
            assert convolved(2.0 * np.ones((3, 8, 8, 4), np.float32)).numpy()[0, 4, 4, 0] == 72.0
            double = tf.function(lambda x: x * 2.0)
            assert double(tf.ones([30000])).numpy().sum() == 60000.0
            with v1.Graph().as_default(), v1.Session() as other:
                z = v1.placeholder(tf.float32, [100, 100])
                assert other.run(tf.matmul(z, z), {z: np.ones((100, 100))})[0, 0] == 100.0
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(convolved(tf.constant(images)) * variable[0, 0])
            assert tape.gradient(loss, variable).numpy()[0, 0] > 0
        in_child(work)
    """)


def test_threads_of_a_child():
    run("""
        def work():
            failures = []
            def compute(number):
                try:
                    found = tf.function(lambda x: tf.nn.conv2d(x, tf.ones([3, 3, 4, number]), 1, "SAME"))(images)
                    assert found.numpy()[0, 4, 4, 0] == 36.0
                except BaseException as error:
                    failures.append(error)
            threads = [threading.Thread(target=compute, args=(number,)) for number in range(1, 5)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert not failures, failures
        in_child(work)
    """)


def test_a_child_may_end_as_any_process():
    """The interpreter's end frees what the parent has made."""
    assert run("""
        pid = os.fork()
        if pid == 0:
            assert step(tf.ones([200, 200])).numpy() == 120000.0
            print("the end")
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """) == "the end\n"


def test_grandchildren():
    run("""
        def work():
            assert step(tf.ones([200, 200])).numpy() == 120000.0
            in_child(lambda: in_child(more))
            assert step(tf.ones([200, 200])).numpy() == 160000.0
        def more():
            assert step(tf.ones([200, 200])).numpy() == 160000.0
            assert tf.function(lambda x: x * 3.0)(tf.ones([40000])).numpy()[0] == 3.0
        in_child(work)
    """)


def test_forked_while_another_thread_runs():
    """The lock of the variables, which that thread holds, is free in the child."""
    run("""
        started, go_on = threading.Event(), threading.Event()
        def wait(value):
            started.set()
            go_on.wait(60)
            return value
        with graph.as_default():
            waiting = v1.py_func(wait, [update], tf.float32)
        thread = threading.Thread(target=session.run, args=(waiting,))
        thread.start()
        assert started.wait(60)
        in_child(lambda: session.run(weights))
        go_on.set()
        thread.join()
    """)


def test_an_interrupted_compilation():
    """What the server still answers is not taken for the next program."""
    run("""
        from millstream.runtime import compile_server
        receive = compile_server._receive
        def interrupted(pipe, count):
            compile_server._receive = receive
            raise KeyboardInterrupt
        def work():
            assert (large * 2.0).numpy()[-1] == 2.0
            server = compile_server._server
            compile_server._receive = interrupted
            try:
                large * 3.0 - 1.0
                raise AssertionError("it has not been interrupted")
            except KeyboardInterrupt:
                pass
            assert server.poll() is not None
            assert tf.function(lambda x: x * 5.0)(large).numpy()[-1] == 5.0
            assert tf.function(lambda x: x * 7.0)(large).numpy()[-1] == 7.0
        in_child(work)
    """)


def test_a_compile_server_that_has_ended():
    """One program is lost; the next has a server of its own."""
    run("""
        from millstream.runtime import compile_server
        def work():
            assert (large * 2.0).numpy()[-1] == 2.0
            compile_server._server.kill()
            try:
                tf.function(lambda x: x * 5.0)(large)
                raise AssertionError("it has not failed")
            except tf.errors.InternalError as error:
                assert "has failed" in str(error)
            assert tf.function(lambda x: x * 7.0)(large).numpy()[-1] == 7.0
        in_child(work)
    """)


def test_unfinished_objects():
    """Those which another thread is just making."""
    run("""
        kinds = v1.Session, v1.Graph, type(large), type(step)
        unfinished = [kind.__new__(kind) for kind in kinds]
        sys.unraisablehook = lambda failure: os._exit(1)  # where a failure of what is done at a fork goes
        in_child(lambda: step(tf.ones([200, 200])))
    """)


def test_subclasses():
    """What they inherit is made anew, too."""
    run("""
        class MySession(v1.Session):
            pass

        mine = MySession(graph=graph)
        def work():
            assert not mine._lock.locked()
            mine.run(weights.initializer)
            assert mine.run(y, {x: images}) == total
        with mine._lock:
            in_child(work)
    """)


def test_a_pool():
    """`multiprocessing` with forked workers."""
    run("""
        import multiprocessing
        def square(number):
            return float(tf.reduce_sum(tf.nn.conv2d(images * number, tf.ones([1, 1, 4, 1]), 1, "SAME")).numpy())
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(square, [1.0, 2.0, 3.0, 4.0]) == [512.0, 1024.0, 1536.0, 2048.0]
    """)


def test_a_parent_that_has_computed_nothing():
    """Nothing is lost then, and nothing has to be made anew."""
    program = """
        def work():
            assert (tf.ones([200, 200]) * 2.0).numpy().sum() == 80000.0
        in_child(work)
        work()
    """
    start = _PARENT.index("large =")
    run(program, parent=_PARENT[:start] + _PARENT[_PARENT.index("def in_child") :])


def test_spawned_processes(tmp_path):
    script = tmp_path / "spawns.py"
    script.write_text(_PARENT.replace("session.run(y, {x: images})", "0.0") + textwrap.dedent("""
        def work(number):
            return float(step(tf.ones([200, 200]) * number).numpy())

        if __name__ == "__main__":
            import multiprocessing
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(work, [1.0, 2.0]))
    """))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "[120000.0, 200000.0]\n", done.stderr
