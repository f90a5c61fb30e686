"""`tf.app.run` and `tf.flags` in programs of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import millstream.v1 as tf
flags = tf.app.flags
flags.DEFINE_string("log_dir", "logs", "absl has a flag of this name too")
flags.DEFINE_integer(flag_name="n", default_value=3, docstring="number of things")
flags.DEFINE_boolean("fast", False, "hurry")
FLAGS = flags.FLAGS
"""
MAIN = """
def main(argv):
    print(argv[1:], FLAGS.log_dir, FLAGS.n, FLAGS.fast)
    tf.logging.set_verbosity(tf.logging.INFO)
    tf.logging.info("n is %d", FLAGS.n)
    return 3
if __name__ == "__main__":
    tf.app.run()
"""
READ = "print(FLAGS.n, 'n' in FLAGS, FLAGS['n'].default); FLAGS.n = 7; print(FLAGS.n)"


@pytest.fixture
def run(tmp_path):
    def run(text, *args):
        (tmp_path / "prog.py").write_text(PROGRAM + text)
        command = [sys.executable, str(tmp_path / "prog.py"), *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_run_parses_flags_and_leaves_the_rest(run):
    result = run(MAIN, "--n=5", "--fast", "file", "--unknown=1")
    assert result.stdout == "['file', '--unknown=1'] logs 5 True\n"
    assert result.stderr == "INFO:tensorflow:n is 5\n"
    assert result.returncode == 3


def test_a_wrong_value_ends_the_program(run):
    result = run(MAIN, "--n=x")
    assert result.returncode == 1 and "flag --n=x: invalid literal for int()" in result.stderr


def test_help_lists_the_programs_flags(run):
    assert "--n: number of things" in run(MAIN, "--help").stdout


def test_flags_parse_themselves_when_they_are_read(run):
    result = run(READ, "--n=9")
    assert result.stdout == "9 True 3\n7\n", result.stderr
