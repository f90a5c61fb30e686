"""Programs that evaluate while another one trains see each checkpoint whole."""
from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np

import millstream.v1 as tf

LAST = 60
STOPS = (10, 20, 30, 40)  # steps after which the training waits until all evaluations have seen one more
TRAINING = f"""
import sys
import millstream.v1 as tf
step = tf.train.get_or_create_global_step()
parts = [tf.Variable(tf.zeros([3000]), name=name) for name in "abc"]
train = tf.group(tf.assign_add(step, 1), *[tf.assign_add(part, tf.ones([3000])) for part in parts])
scaffold = tf.train.Scaffold(saver=tf.train.Saver(max_to_keep=None))
with tf.train.MonitoredTrainingSession(
    checkpoint_dir=sys.argv[1], scaffold=scaffold, save_checkpoint_steps=1, hooks=[tf.train.StopAtStepHook({LAST})]
) as session:
    for number in range(1, {LAST} + 1):
        session.run(train)
        if number in {STOPS}:
            sys.stdin.readline()
"""


def evaluate(
    folder: Path, is_training: threading.Event, all_saw_one: threading.Barrier, seen: list[int], problems: list[str]
) -> None:
    """Restores the newest checkpoint again and again, and once more after the training; compares its parts."""
    with tf.Graph().as_default():
        step = tf.train.get_or_create_global_step()
        parts = [tf.Variable(tf.zeros([3000]), name=name) for name in "abc"]
        saver, goes_on = tf.train.Saver(), True
        while goes_on:
            goes_on = is_training.is_set()
            state = tf.train.get_checkpoint_state(str(folder))
            if state is None:
                continue
            with tf.Session() as session:
                saver.restore(session, state.model_checkpoint_path)
                number, *values = session.run([step, *parts])
            expected = int(state.model_checkpoint_path.rpartition("-")[2])
            if number != expected or not all(np.all(value == expected) for value in values):
                problems.append(f"{expected}: {number}, {[np.unique(value) for value in values]}")
            is_new = number not in seen
            seen.append(int(number))
            if is_new and len(set(seen)) <= len(STOPS):
                with suppress(threading.BrokenBarrierError):  # the training has ended
                    all_saw_one.wait()


def test_evaluations_beside_a_training(tmp_path):
    (tmp_path / "train.py").write_text(TRAINING)
    folder, is_training = tmp_path / "model", threading.Event()
    is_training.set()
    results: list[tuple[list[int], list[str]]] = [([], []) for _ in range(3)]
    command = [sys.executable, str(tmp_path / "train.py"), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0) as program:
        all_saw_one = threading.Barrier(len(results), lambda: program.stdin.write(b"\n"))
        shared = folder, is_training, all_saw_one
        threads = [threading.Thread(target=evaluate, args=(*shared, *result)) for result in results]
        for thread in threads:
            thread.start()
        try:
            code = program.wait(timeout=120)
        finally:
            program.kill()
            is_training.clear()
            all_saw_one.abort()
            for thread in threads:
                thread.join()
    assert code == 0
    for seen, problems in results:
        assert problems == [] and seen == sorted(seen) and seen[-1] == LAST
        assert len(set(seen)) > len(STOPS)  # the last one is another one
