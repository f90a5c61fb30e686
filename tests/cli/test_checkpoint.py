"""`millstream checkpoint`, and printing a checkpoint in the manner of TensorFlow's tool."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import millstream as tf
from millstream.cli import inspect_checkpoint, main
from millstream.core import dtypes
from millstream.io.bundle_writer import BundleWriter
from millstream.train.checkpoint_management import write_state

RECORDED = Path(__file__).parent.parent / "io" / "data" / "tensorflow"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; gives its lines and exit code."""

    def run(*arguments: Any) -> tuple[list[str], int]:
        code = main(["checkpoint", *map(os.fspath, arguments)])
        captured = capsys.readouterr()
        return (captured.out + captured.err).splitlines(), code

    return run


def write(prefix: Path, **tensors: Any) -> None:
    with BundleWriter(str(prefix)) as writer:
        for name, value in tensors.items():
            writer.add(name, np.asarray(value), dtypes.as_dtype(np.asarray(value).dtype))
        writer.finish()


# --- ls --------------------------------------------------------------------------------------------------------------


def test_a_folder(tmp_path: Path, run: Any) -> None:
    for step in (9, 10):
        write(tmp_path / f"m-{step}", v=np.zeros(step))
        os.utime(tmp_path / f"m-{step}.index", (step, step))
        os.utime(tmp_path / f"m-{step}.data-00000-of-00001", (step, step))
    write(tmp_path / "broken", v=np.zeros(3))
    (tmp_path / "broken.index").write_bytes(b"x" * 100)
    write_state(str(tmp_path), "m-10", ["gone-8", "m-10"])
    lines, code = run("ls", tmp_path)
    assert code == 0 and lines[0].split() == ["checkpoint", "step", "shards", "bytes", "written"]
    names = [line.split()[0].removeprefix(f"{tmp_path}/") for line in lines[1:]]
    assert names == ["gone-8", "m-9", "m-10", "broken"]
    assert lines[1].endswith("missing") and lines[2].endswith("not listed") and lines[3].endswith("newest")
    assert "damaged: Unable to open table file" in lines[4]
    found = json.loads("\n".join(run("ls", tmp_path, "--json")[0]))
    assert [item["step"] for item in found] == [8, 9, 10, None]
    assert found[2]["shards"] == 1 and found[2]["bytes"] > 80 and found[2]["written"] == 10


def test_tensors(run: Any) -> None:
    lines, code = run("ls", RECORDED / "mixed")
    assert code == 0 and lines[-1] == "18 tensors, 75 elements, 501 bytes"
    assert "part          float32     [10,4] in 3 slices    160" in lines
    for path in ("mixed.index", "mixed.data-00000-of-00001"):
        assert run("ls", RECORDED / path) == (lines, 0)
    largest, _ = run("ls", RECORDED / "mixed", "--sort", "size", "--filter", "^[pt]")
    assert [line.split()[0] for line in largest[1:-1]] == ["text", "part", "truth", "tiny"]
    (found,) = json.loads("\n".join(run("ls", RECORDED / "mixed", "--json", "--filter", "^w$")[0]))
    assert found == {"name": "w", "dtype": "float32", "shape": [2, 3], "bytes": 24, "slices": 1}


def test_the_old_format(run: Any) -> None:
    lines, _ = run("ls", RECORDED / "old")
    assert ["part", "float32", "[10,4]", "in", "3", "slices", "160"] in [line.split() for line in lines]
    assert run("show", RECORDED / "old", "--verify") == (["17 of 17 tensors are whole, of 269 bytes in all"], 0)


def test_what_is_not_there(tmp_path: Path, run: Any) -> None:
    lines, code = run("ls", tmp_path / "none")
    assert code == 2 and lines[0].startswith("millstream checkpoint ls: Unsuccessful TensorSliceReader constructor")
    lines, code = run("show", tmp_path)
    assert code == 2 and "Couldn't find 'checkpoint' file" in lines[0]
    assert run("show", RECORDED, "--tensor", "none")[1] == 2


# --- show ------------------------------------------------------------------------------------------------------------


def test_statistics(tmp_path: Path, run: Any) -> None:
    write(
        tmp_path / "m",
        bad=[1.0, np.nan, np.inf, -3.0],
        brain=np.array([2, 4], ml_dtypes.bfloat16),
        empty=np.zeros([0, 3]),
        text=np.array([b"a"], object),
        truth=[True, False],
    )
    lines, code = run("show", tmp_path / "m")
    assert code == 0 and [line.split()[3:] for line in lines] == [
        ["min", "max", "mean", "NaN", "infinite"],
        ["-3", "1", "-1", "1", "1"],
        ["2", "4", "3", "0", "0"],
        ["0", "0"],
        [],
        ["0", "1", "0.5", "0", "0"],
    ]
    assert run("show", tmp_path / "m", "--tensor", "empty")[0][1] == "  NaN 0, infinite 0"
    found = json.loads("\n".join(run("show", tmp_path / "m", "--json", "--tensor", "bad")[0]))
    assert found[0]["minimum"] == -3 and found[0]["nans"] == 1


def test_values(run: Any) -> None:
    lines, _ = run("show", RECORDED, "--tensor", "scope/r", "--tensor", "v")
    assert lines == [
        "scope/r (float32) [1,1]", "  min 3, max 3, mean 3, NaN 0, infinite 0", "[[3.]]",
        "v (float32) [2]", "  min 1, max 2, mean 1.5, NaN 0, infinite 0", "[1. 2.]",
    ]  # fmt: skip
    assert run("show", RECORDED, "--all", "--filter", "v")[0] == lines[3:]


def test_quantised_numbers_are_integers(tmp_path: Path, run: Any) -> None:
    with BundleWriter(str(tmp_path / "m")) as writer:
        writer.add("q", np.uint8([1, 200]), dtypes.quint8)
        writer.finish()
    assert run("show", tmp_path / "m", "--all")[0][-1] == "[  1 200]"


def test_export(tmp_path: Path, run: Any) -> None:
    file = tmp_path / "x.npy"
    for name, expected in (("w", np.float32), ("brain", np.float32), ("truth", bool), ("half", np.float16)):
        assert run("show", RECORDED / "mixed", "--tensor", name, "--npy", file)[1] == 0
        assert np.load(file).dtype == expected
    assert run("show", RECORDED / "mixed", "--tensor", "text", "--npy", file)[1] == 2
    assert run("show", RECORDED / "mixed", "--npy", file)[1] == 2


def test_verification(tmp_path: Path, run: Any) -> None:
    write(tmp_path / "m", a=np.zeros(4), b=np.ones(4))
    assert run("show", tmp_path / "m", "--verify") == (["2 of 2 tensors are whole, of 64 bytes in all"], 0)
    data = tmp_path / "m.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[40] ^= 1
    data.write_bytes(content)
    lines, code = run("show", tmp_path / "m", "--verify")
    assert code == 1 and lines[0].startswith("b: Checksum does not match") and lines[1].startswith("1 of 2")


def test_wrong_arguments(run: Any) -> None:
    for option, message in (
        (["--filter", "("], "missing ), unterminated subpattern"),
        (["--printoptions", "precision"], "'precision' is not in the form k=v."),
    ):
        lines, code = run("show", RECORDED, *option)
        assert code == 2 and lines[0].startswith(f"millstream checkpoint show: {message}")


def test_objects(tmp_path: Path, run: Any) -> None:
    module = tf.Module()
    module.v, module.again = tf.Variable(1.0), module
    path = tf.train.Checkpoint(model=module).save(str(tmp_path / "c"))
    lines, _ = run("show", path, "--objects")
    assert lines[0] == "root (object 0)" and "  model (object 1)" in lines and "    again (object 1, above)" in lines
    (line,) = [line for line in lines if line.startswith("    v (object ")]
    assert line.endswith("): model/v/.ATTRIBUTES/VARIABLE_VALUE")
    assert run("show", RECORDED, "--objects")[0] == [
        "This checkpoint has no objects: it is not one of tf.train.Checkpoint."
    ]


def test_jax_is_not_imported() -> None:
    program = (
        "import sys; from millstream.cli import main;"
        f"main(['checkpoint', 'show', {os.fspath(RECORDED)!r}]); print('jax' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).endswith("False\n")


@pytest.mark.parametrize("arguments", [["--help"], ["checkpoint", "show", os.fspath(RECORDED)]])
def test_nobody_reads_the_output(arguments: list[str]) -> None:
    """As in `millstream checkpoint show model | head -0`: the command ends without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "millstream", *arguments]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


# --- In TensorFlow's manner ------------------------------------------------------------------------------------------

SUMMARY = "global_step (DT_INT64) []\nscope/r (DT_FLOAT) [1,1]\nv (DT_FLOAT) [2]\n\n"
VALUES = "tensor_name:  global_step\n2\ntensor_name:  scope/r\n[[3.]]\ntensor_name:  v\n[1. 2.]\n"


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"all_tensors": False}, SUMMARY + "# Total number of params: 4\n"),
        ({"all_tensors": True}, VALUES + "# Total number of params: 4\n"),
        ({"all_tensors": False, "tensor_name": "v"}, "tensor_name:  v\n[1. 2.]\n# Total number of params: 4\n"),
        ({"all_tensors": False, "tensor_name": "zz"}, "tensor_name:  zz\nKey zz not found in checkpoint\n"),
        (
            {"all_tensors": True, "count_exclude_pattern": "scope"},
            VALUES + "# Excluding 1 tensors (1 params) that match scope when counting.\n# Total number of params: 3\n",
        ),
    ],
)
def test_as_tensorflow_prints_it(
    options: dict[str, Any], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    inspect_checkpoint.print_tensors_in_checkpoint_file(f"{RECORDED}/trained-2", **{"tensor_name": "", **options})
    assert capsys.readouterr().out == expected


def test_the_tools_flags(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--tensor_name=w", "--printoptions", "precision=1"]
    with np.printoptions():
        assert inspect_checkpoint.main([f"--file_name={RECORDED}/mixed", *options]) == 0
        assert "[0.8 1.  1.2]" in capsys.readouterr().out
    assert inspect_checkpoint.main([]) == 1
    inspect_checkpoint.main([f"--file_name={RECORDED}/mixed.index", "--all_tensor_names=true"])
    assert f"try its prefix: --file_name={RECORDED}/mixed" in capsys.readouterr().out
    for wrong in ("precision", "none=1", "precision=x", "formatter=1"):
        with pytest.raises(Exception, match="k=v|printoption|invalid literal|not supported"):
            inspect_checkpoint.parse_numpy_printoption(wrong)


def test_the_private_module(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "from tensorflow.python.tools.inspect_checkpoint import print_tensors_in_checkpoint_file as show\n"
        f"show({os.fspath(RECORDED / 'trained-2')!r}, tensor_name='v', all_tensors=False)\n"
    )
    command = [sys.executable, "-m", "millstream", "run", "--api", "1", str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("tensor_name:  v\n[1. 2.]\n"), done.stderr
