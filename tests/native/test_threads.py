"""How many threads programs run on, and programs that run at the same time."""
from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from millstream import native
from millstream.native import threads

needs_kernels = pytest.mark.skipif(not native.available(), reason="there are no native kernels")
needs_two_cores = pytest.mark.skipif(threads.available() < 2, reason="there is one processor")


# --- The number of threads --------------------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of eight processors, where nobody has said anything of threads."""
    environment = {}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_CGROUPS", tmp_path)
    monkeypatch.setattr(threads, "_chosen", 0)
    monkeypatch.setattr(threads, "tell_kernels", lambda: None)
    return environment


def test_all_processors(machine):
    threads.tell_xla()
    assert threads.count() == 8 and "NPROC" not in machine


@pytest.mark.parametrize("setting, expected", [("3", 3), ("2,1", 2), (" 5 ", 5), ("", 8), ("many", 8), ("0", 8)])
def test_openmp_variable(machine, setting, expected):
    machine["OMP_NUM_THREADS"] = setting
    assert threads.count() == expected
    threads.tell_xla()
    assert machine.get("NPROC", "8") == str(expected)


def test_what_is_chosen_counts_first(machine):
    machine.update(OMP_NUM_THREADS="3", NPROC="5")
    threads.tell_xla()
    assert machine["NPROC"] == "5"  # said of XLA alone
    threads.choose(2)
    threads.tell_xla()
    assert threads.count() == 2 and machine["NPROC"] == "2"
    threads.choose(0)
    assert threads.count() == 3


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "9999999 100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
    ],
)
def test_share_of_a_container(machine, tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.count() == threads.available() == expected


# --- Programs in processes of their own -------------------------------------------------------------------------------

_PROGRAM = """
import os, sys, threading
import numpy as np
import millstream.v1 as tf
from millstream.native import library

IMAGES = np.random.RandomState(0).rand(16, 12, 12, 3).astype(np.float32)

def network():
    x = tf.placeholder(tf.float32, IMAGES.shape)
    h = tf.layers.conv2d(x, 16, 3, kernel_initializer=tf.random_normal_initializer(seed=1))
    for number in range(3):
        a = tf.layers.conv2d(h, 16, 3, padding="same", kernel_initializer=tf.random_normal_initializer(seed=2))
        b = tf.layers.conv2d(h, 16, 5, padding="same", kernel_initializer=tf.random_normal_initializer(seed=3))
        h = tf.nn.max_pool(tf.tanh((a + b) * 0.1), [1, 2, 2, 1], [1, 1, 1, 1], "SAME")
    loss = tf.reduce_mean(tf.square(h))
    return x, loss, tf.train.GradientDescentOptimizer(0.1).minimize(loss)

def losses(steps=20, config=None):
    with tf.Graph().as_default():
        x, loss, train = network()
        with tf.Session(config=config) as session:
            session.run(tf.global_variables_initializer())
            return [float(session.run([loss, train], {x: IMAGES})[0]) for _ in range(steps)]

def threads_of_kernels():
    return library.library().millstream_threads()

def threads_of_process():
    return len(os.listdir("/proc/self/task"))

def at_the_same_time(*works):
    failures = []
    def guarded(work):
        try:
            work()
        except BaseException as error:
            failures.append(error)
    started = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in started: thread.start()
    for thread in started: thread.join(100)
    assert not any(thread.is_alive() for thread in started), "a deadlock"
    if failures:
        raise failures[0]
"""


def run(program, **environment):
    """Runs a program in a process of its own; gives what it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "NPROC")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM + textwrap.dedent(program)],
        capture_output=True, text=True, timeout=200, check=False, env={**kept, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_kernels
@needs_two_cores
def test_by_default_there_is_one_thread_for_each_processor():
    program = "losses(1); print(threads_of_kernels(), os.environ.get('NPROC'))"
    assert run(program) == f"{threads.available()} None\n"
    assert run(program, OMP_NUM_THREADS="1") == "1 1\n"


@needs_kernels
def test_the_first_session_sets_the_number():
    assert run("""
        losses(1, tf.ConfigProto(intra_op_parallelism_threads=1))
        losses(1, tf.ConfigProto(intra_op_parallelism_threads=2))
        print(threads_of_kernels(), os.environ["NPROC"])
    """) == "1 1\n"


@needs_kernels
def test_tf_config_sets_the_number():
    assert run("""
        import millstream
        millstream.config.threading.set_intra_op_parallelism_threads(3)
        losses(1)
        print(threads_of_kernels(), os.environ["NPROC"])
    """) == "3 3\n"


@needs_kernels
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity():
    assert run("""
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        losses(1)
        print(threads_of_kernels())
    """) == "1\n"


def test_numbers_do_not_depend_on_threads():
    program = "print(losses(5))"
    one, three = (eval(run(program, OMP_NUM_THREADS=number)) for number in ("1", "3"))
    assert one == pytest.approx(three, rel=1e-4)


def test_sessions_in_two_threads():
    run("""
        alone = losses()
        found = {}
        def work(number):
            found[number] = losses()
        at_the_same_time(*(lambda number=number: work(number) for number in range(2)))
        for number in range(2):
            assert np.allclose(found[number], alone, rtol=1e-4)
    """)


def test_eager_operations_in_several_threads():
    run("""
        tf.enable_eager_execution()
        filters = np.random.RandomState(1).rand(3, 3, 3, 8).astype(np.float32)
        def work(scale):
            for _ in range(20):
                found = tf.nn.conv2d(IMAGES * scale, filters, 1, "SAME").numpy()
                assert np.allclose(found, scale * expected, rtol=1e-4)
        expected = tf.nn.conv2d(IMAGES, filters, 1, "SAME").numpy()
        at_the_same_time(*(lambda scale=scale: work(scale) for scale in range(1, 5)))
    """)


@needs_kernels
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="this system does not list threads")
def test_no_threads_of_their_own():
    """However many threads of XLA call kernels, they have no others."""
    pool = 12
    program = f"""
        x = tf.placeholder(tf.float32, [2, 8, 8, 3])
        filters = [np.random.rand(3, 3, 3, 8).astype(np.float32) for _ in range({pool})]
        y = tf.add_n([tf.reduce_sum(tf.nn.conv2d(x, f, 1, "SAME")) for f in filters])
        with tf.Session() as session:
            def work():
                for _ in range(50):
                    assert session.run(y, {{x: np.ones((2, 8, 8, 3))}}) > 0.0
            at_the_same_time(*[work] * 4)
        print(threads_of_process())
    """
    alone, together = (int(run(program, OMP_NUM_THREADS=str(count), NPROC=str(pool))) for count in (1, 7))
    others = 8  # that come and go
    assert together - alone <= others
