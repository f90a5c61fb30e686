"""A program whose children save checkpoints, and die or fail at some step of it; test_saver_reliability.py runs it.

    python saving_process.py TASK FOLDER SHARDED

Prints JSON. A child is forked for each try: nothing is imported anew, and a save never loads JAX.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

import millstream.v1 as tf
from millstream.io import fail_points

SIZE = 3000
KILLED, REFUSED, TOLERATED = -9, 3, 4  # how children end


class Model:
    """Variables that all have the value of the step, on two devices, and a session with them."""

    def __init__(self, folder: str, sharded: bool) -> None:
        self.prefix = os.path.join(folder, "model")
        self.variables = []
        for place, name in ((None, "a"), ("/cpu:0", "b"), ("/cpu:0", "c/d")):
            with tf.device(place):
                self.variables.append(tf.get_variable(name, [SIZE], initializer=tf.zeros_initializer()))
        self._sharded = sharded
        self._session = tf.Session()
        self._session.run(tf.global_variables_initializer())
        self.saver = self.new_saver()

    def new_saver(self, **settings: Any) -> Any:
        return tf.train.Saver(sharded=self._sharded, **settings)

    def save(self, step: int, numbered: bool = True) -> None:
        """Gives the variables the value of the step and saves them."""
        self._session.run([variable.assign(tf.fill([SIZE], float(step))) for variable in self.variables])
        self.saver.save(self._session, self.prefix, step if numbered else None)


def values(prefix: str) -> list[float | str]:
    """The values in a checkpoint; for a tensor that is refused the name of the error."""
    found: list[Any] = []
    reader = tf.train.NewCheckpointReader(prefix)
    for name in reader.get_variable_to_shape_map():
        try:
            found.extend(set(reader.get_tensor(name).tolist()))
        except tf.errors.OpError as error:
            found.append(type(error).__name__)
    return sorted(set(found), key=str)


def child(work: Callable[[], None]) -> int:
    """Does the work in a child; gives how it ended."""
    number = os.fork()
    if number == 0:
        try:
            work()
        except tf.errors.ResourceExhaustedError:
            os._exit(REFUSED)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(TOLERATED if fail_points.has_failed() else 0)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def numbered(model: Model, folder: str, action: str) -> list[Any]:
    """Saves under new names, each time with a failure at a later step, until there is none."""
    model.saver = model.new_saver(max_to_keep=1)
    model.save(0)
    tries = []
    while not tries or tries[-1]["ended"] != 0:
        number = len(tries) + 1

        def work(number: int = number) -> None:
            model.saver.recover_last_checkpoints([tf.train.latest_checkpoint(folder)])
            fail_points.arm(f"{action} {number - 1}")
            model.save(number)

        ended = child(work)
        newest = tf.train.latest_checkpoint(folder)
        left = [name for name in sorted(os.listdir(folder)) if "temp" in name]
        tries.append({"ended": ended, "newest": newest, "values": values(newest), "left": left})
    return tries


def same_name(model: Model, folder: str, action: str) -> list[Any]:
    """The same, but all under one name."""
    tries: list[Any] = []
    while not tries or tries[-1]["ended"] != 0:
        number = len(tries) + 1
        model.save(1000 + number, numbered=False)

        def work(number: int = number) -> None:
            fail_points.arm(f"{action} {number - 1}")
            model.save(number, numbered=False)

        ended, files = child(work), sorted(os.listdir(folder))
        tries.append(
            {"ended": ended, "old": 1000 + number, "new": number, "values": values(model.prefix), "files": files}
        )
    return tries


def leftovers(model: Model, folder: str) -> list[list[str]]:
    """What is there after a kill, and after the next save under the same name."""
    fail_step = 8

    def work() -> None:
        fail_points.arm(f"kill {fail_step}")
        model.save(1)

    listings = []
    for task in (work, lambda: model.save(1)):
        child(task)
        listings.append(sorted(os.listdir(folder)))
    return listings


def small_disk(model: Model, folder: str) -> dict[str, Any]:
    """Files cannot grow beyond some size: the system itself refuses to write."""
    model.save(0)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE * 6, SIZE * 6))
        model.save(1)

    ended = child(work)
    newest = tf.train.latest_checkpoint(folder)
    return {"ended": ended, "newest": newest, "values": values(newest), "files": sorted(os.listdir(folder))}


def train(model: Model, steps: int, numbered: bool = True) -> None:
    """Saves as often as it can: keeps five, or one under the same name."""
    for step in range(1, steps + 1):
        model.save(step, numbered)
        print(step, flush=True)


def main() -> None:
    task, folder, sharded = sys.argv[1:]
    model = Model(folder, sharded == "sharded")
    for name in ("train", "overwrite"):
        if task.startswith(name):
            train(model, int(task.removeprefix(name)), numbered=name == "train")
            return
    name, _, action = task.partition(" ")
    print(json.dumps(globals()[name](model, folder, *([action] if action else []))))


if __name__ == "__main__":
    main()
