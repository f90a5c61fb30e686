"""A training that is killed and started again goes on with the very numbers of one that was not."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import millstream.v1 as tf

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "mnist.py"


def start(folder: Path) -> subprocess.Popen[str]:
    arguments = ["--steps=50", f"--checkpoint_dir={folder}"]
    command = [sys.executable, "-m", "millstream", "run", str(EXAMPLE), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(program: subprocess.Popen[str]) -> list[str]:
    output, _ = program.communicate()
    assert program.returncode == 0
    return output.splitlines()


def contents(folder: Path) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(str(folder))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_the_digits_after_a_kill(tmp_path):
    whole = finish(start(tmp_path / "whole"))
    assert [line.split("loss")[0] for line in whole[:-1]] == [f"step {step:5d}  " for step in (10, 20, 30, 40, 50)]

    before = []
    with start(tmp_path / "killed") as program:
        for line in program.stdout:
            before.append(line.rstrip())
            if line.startswith("step    30"):  # it is saving this step now, or is at one of those after it
                os.kill(program.pid, signal.SIGKILL)
                break
    assert before == whole[:3]
    after = finish(start(tmp_path / "killed"))
    assert len(after) in (3, 4) and after == whole[-len(after):]

    expected, found = contents(tmp_path / "whole"), contents(tmp_path / "killed")
    assert expected.keys() == found.keys() and expected["global_step"] == 50
    different = [name for name, value in expected.items() if value.tobytes() != found[name].tobytes()]
    assert different == []
