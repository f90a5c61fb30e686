"""Programs that evaluate while another one trains see each checkpoint whole."""
from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

import millstream.v1 as tf

LAST = 60
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
    while not session.should_stop():
        session.run(train)
"""


def evaluate(folder: Path, is_training: threading.Event, seen: list[int], problems: list[str]) -> None:
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
            seen.append(int(number))


def test_evaluations_beside_a_training(tmp_path):
    (tmp_path / "train.py").write_text(TRAINING)
    folder, is_training = tmp_path / "model", threading.Event()
    is_training.set()
    program = subprocess.Popen([sys.executable, str(tmp_path / "train.py"), str(folder)])
    results: list[tuple[list[int], list[str]]] = [([], []) for _ in range(3)]
    threads = [threading.Thread(target=evaluate, args=(folder, is_training, *result)) for result in results]
    for thread in threads:
        thread.start()
    code = program.wait()
    is_training.clear()
    for thread in threads:
        thread.join()
    assert code == 0
    for seen, problems in results:
        assert problems == [] and seen == sorted(seen) and seen[-1] == LAST
