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


MORE_FLAGS = """
flags.DEFINE_list("words", ["a"], "words")
flags.DEFINE_enum("kind", "small", ["small", "large"], "kind")
flags.DEFINE_multi_integer("sizes", [1], "sizes")
flags.DEFINE_string("file", None, "file")
flags.DEFINE_float("rate", 0.5, "rate", lower_bound=0.0)
flags.mark_flag_as_required("file")
flags.register_validator("rate", lambda rate: rate != 1, "must not be 1")
def main(argv):
    print(FLAGS.words, FLAGS.kind, FLAGS.sizes, FLAGS.file, FLAGS.rate, argv[1:])
if __name__ == "__main__":
    tf.app.run()
"""


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--file=f"], "['a'] small [1] f 0.5 []"),
        (
            ["--words=x,y", "--kind=large", "--sizes=2", "--sizes=3", "-file", "f", "--rate", "2", "--", "--rate=3"],
            "['x', 'y'] large [2, 3] f 2.0 ['--', '--rate=3']",
        ),
    ],
)
def test_kinds_of_flags(run, arguments, output):
    result = run(MORE_FLAGS, *arguments)
    assert result.stdout == f"{output}\n", result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "flag --file=None: Flag --file must have a value other than None."),
        (["--file=f", "--kind=huge"], "flag --kind=huge: value should be one of <small|large>"),
        (["--file=f", "--rate=-1"], "flag --rate=-1: -1.0 is not a non-negative number"),
        (["--file=f", "--rate=1"], "flag --rate=1.0: must not be 1"),
        (["--file"], "Missing value for flag --file"),
    ],
)
def test_wrong_flags_end_the_program(run, arguments, message):
    result = run(MORE_FLAGS, *arguments)
    assert result.returncode == 1 and message in result.stderr


@pytest.mark.parametrize(("value", "code"), [("None", 0), ("0", 0), ("3", 3), ("'text'", 1)])
def test_the_result_of_main_is_the_programs(run, value, code):
    program = f"tf.app.run(main=lambda argv: print(argv) or {value}, argv=['p', '--n=8', 'q'])"
    result = run(program)
    assert result.returncode == code and result.stdout == "['p', 'q']\n"


def test_a_program_without_main(run):
    assert "AttributeError: module '__main__' has no attribute 'main'" in run("tf.app.run()").stderr


def test_an_unknown_flag_is_an_error_where_flags_parse_themselves(run):
    assert "UnrecognizedFlagError: Unknown command line flag 'bad'" in run(READ, "--bad=1").stderr
