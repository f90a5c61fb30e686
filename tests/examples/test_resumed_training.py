"""The example of the digits: killed and started again, it goes on with the very numbers of one that was not."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import millstream.v1 as tf

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "mnist.py"


def train(steps: int, folder: Path, fail_point: str = "", code: int = 0) -> list[str]:
    """What the example prints until it ends with `code`."""
    arguments = ["-m", "millstream", "run", str(EXAMPLE), f"--steps={steps}", f"--checkpoint_dir={folder}"]
    variables = {**os.environ, "MILLSTREAM_FAIL_POINT": fail_point}
    done = subprocess.run([sys.executable, *arguments], env=variables, stdout=subprocess.PIPE, text=True)
    assert done.returncode == code
    return done.stdout.splitlines()


def reports(lines: list[str]) -> list[int]:
    """The steps that lines report."""
    return [int(line.split()[1]) for line in lines if line.startswith("step ")]


def contents(folder: Path) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(str(folder))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def unfinished(folder: Path) -> list[Path]:
    """Files that somebody was writing when he was killed."""
    return list(folder.glob("*.tempstate*"))


def test_the_digits_after_a_kill(tmp_path):
    whole = train(50, tmp_path / "whole")
    assert reports(whole) == [10, 20, 30, 40, 50] and len(whole) == 6

    folder = tmp_path / "killed"
    # A save has 24 steps of writing, of which the 2nd to the 10th write the variables: it dies in the third save.
    before = train(50, folder, f"kill {2 * 24 + 6}", -signal.SIGKILL)
    assert before == whole[:3] and unfinished(folder)
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "mnist-20")
    assert train(50, folder) == whole[2:] and not unfinished(folder)

    expected, found = contents(tmp_path / "whole"), contents(folder)
    assert expected.keys() == found.keys() and expected["global_step"] == 50
    different = [name for name, value in expected.items() if value.tobytes() != found[name].tobytes()]
    assert different == []


def test_few_steps_and_a_last_one_between_reports(tmp_path):
    assert reports(train(3, tmp_path)) == [1, 2, 3]
    assert reports(train(11, tmp_path)) == [4, 6, 8, 10, 11]
    assert contents(tmp_path)["global_step"] == 11
