"""`millstream saved_model`: shows, runs and scans models that TensorFlow wrote."""
from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles import oracle

from millstream.cli import main, saved_model_inputs
from millstream.cli.array_expressions import evaluate
from millstream.io import proto

DATA = Path(__file__).parents[1] / "saved_model" / "data"
SIMPLE = DATA / "tensorflow1" / "simple"
SERVE = ("--tag_set", "serve", "--signature_def", "serving_default")


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command prints; it must succeed."""
    code = main(["saved_model", *map(str, arguments)])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    return printed.out


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that fails says about it."""
    assert main(["saved_model", *map(str, arguments)]) == 1
    return capsys.readouterr().err.partition(": ")[2].strip()


# --- show ------------------------------------------------------------------------------------------------------------


def comparable(shown: str) -> list[str]:
    """The lines of a text without what is in another order in each run of TensorFlow: sets, dicts, traces."""
    shown = re.sub(r"\{('\w+'(, '\w+')*)\}", lambda match: ", ".join(sorted(match[1].split(", "))), shown)
    return [re.sub(r"(Option|Named Argument) #\d", r"\1", line) for line in shown.rstrip().splitlines()]


@pytest.mark.parametrize("model", ["simple", "assets", "signatures", "functions"])
def test_show_all(capsys: pytest.CaptureFixture[str], model: str) -> None:
    found = comparable(command(capsys, "show", "--dir", DATA / "tensorflow2" / model, "--all"))
    expected = comparable((DATA / "tensorflow2" / f"{model}.txt").read_text())
    signatures = found.index("Concrete Functions:") if "Concrete Functions:" in found else len(found)
    assert found[:signatures] == expected[:signatures]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("model", ["simple", "assets", "signatures"])
def test_show_all_of_a_model_of_1(capsys: pytest.CaptureFixture[str], model: str) -> None:
    found = command(capsys, "show", "--dir", DATA / "tensorflow1" / model, "--all").splitlines()
    expected = (DATA / "tensorflow1" / f"{model}.txt").read_text().splitlines()
    assert [line for line in found if not line.startswith("The MetaGraph with tag set")] == expected


def test_show_functions(capsys: pytest.CaptureFixture[str]) -> None:
    shown = command(capsys, "show", "--dir", DATA / "tensorflow2" / "functions", "--all")
    assert """
  Function Name: 'matmul'
    Option #1
      Callable with:
        Argument #1
          x: TensorSpec(shape=(None, 2), dtype=tf.float32, name='x')

  Function Name: 'nothing'
""" in shown  # fmt: skip
    assert "          Value: RaggedTensorSpec(TensorShape([2, None]), tf.int32, 1, tf.int64)\n" in shown


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    folder = ("show", "--dir", DATA / "tensorflow1" / "assets")
    assert command(capsys, *folder) == "The given SavedModel contains the following tag-sets:\n'serve'\n'gpu, train'\n"
    assert command(capsys, *folder, "--tag_set", "serve") == (
        "The given SavedModel MetaGraphDef contains SignatureDefs with the following keys:\n"
        'SignatureDef key: "serving_default"\n'
    )
    assert command(capsys, "show", "--dir", SIMPLE, *SERVE) == """\
The given SavedModel SignatureDef contains the following input(s):
  inputs['x'] tensor_info:
      dtype: DT_FLOAT
      shape: (-1, 2)
      name: x:0
The given SavedModel SignatureDef contains the following output(s):
  outputs['y'] tensor_info:
      dtype: DT_FLOAT
      shape: (-1, 1)
      name: y:0
Method name is: tensorflow/serving/predict
"""
    shown = command(capsys, *folder, "--tag_set", "train,gpu", "--list_ops").splitlines()
    assert shown[-1].startswith("The MetaGraph with tag set ['train', 'gpu'] contains the following ops: {'Assign', ")


def test_show_what_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert failure(capsys, "show", "--dir", tmp_path) == f"SavedModel file does not exist at: {tmp_path}"
    assert failure(capsys, "show", "--dir", SIMPLE, "--tag_set", "x") == (
        "MetaGraphDef associated with tag-set x could not be found in the SavedModel. Please use one of the following "
        "tag-sets: ['serve']"
    )
    arguments = ("show", "--dir", SIMPLE, "--tag_set", "serve", "--signature_def", "x")
    assert failure(capsys, *arguments) == 'Could not find signature "x". Please choose from: serving_default'
    (tmp_path / "saved_model.pb").write_bytes(b"\xff")
    assert failure(capsys, "show", "--dir", tmp_path).startswith(f"Cannot parse file {tmp_path}/saved_model.pb: ")


# --- scan ------------------------------------------------------------------------------------------------------------


def test_scan(capsys: pytest.CaptureFixture[str]) -> None:
    folder = ("scan", "--dir", DATA / "tensorflow1" / "assets")
    clean = " does not contain the default denylisted ops: {'PrintV2', 'ReadFile', 'WriteFile'}\n"
    first, second = "MetaGraph with tag set ['serve']", "MetaGraph with tag set ['train', 'gpu']"
    assert command(capsys, *folder) == first + clean + second + clean
    assert command(capsys, *folder, "--tag_set", "gpu,train", "--op_denylist", "Sub,Mul") == (
        f"{second} contains the following denylisted ops: {{'Sub'}}\n"
    )
    functions = ("scan", "--dir", DATA / "tensorflow2" / "functions", "--op_denylist", "MatMul")
    assert "contains the following denylisted ops: {'MatMul'}" in command(capsys, *functions)


# --- run -------------------------------------------------------------------------------------------------------------

RUN = ("run", "--dir", SIMPLE, *SERVE)


@pytest.fixture()
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.array([[1.0, 2.0]]))
    np.savez("one.npz", only=np.array([[1.0, 3.0]]))
    np.savez("two.npz", a=np.zeros((1, 2)), b=np.ones((2, 2)))


def test_run(capsys: pytest.CaptureFixture[str], files: None) -> None:
    for flag, value, expected in (
        ("--inputs", "x=x.npy", [[5.0]]),
        ("--inputs", "x=one.npz", [[7.0]]),
        ("--inputs", "x=two.npz[b]", [[3.0], [3.0]]),
        ("--input_exprs", "x=[[1, 2], [0, 1]]", [[5.0], [2.0]]),
        ("--input_exprs", "x=np.full((1, 2), 0.5).astype(np.float32) * 4", [[6.0]]),
    ):
        assert command(capsys, *RUN, flag, value) == f"Result for output key y:\n{np.array(expected, np.float32)}\n"
    functions = ("run", "--dir", DATA / "tensorflow2" / "functions", *SERVE)
    assert command(capsys, *functions, "--inputs", "x=x.npy") == "Result for output key y:\n[[ 7. 10.]]\n"


def test_the_last_kind_of_input_counts(capsys: pytest.CaptureFixture[str], files: None) -> None:
    assert main(["saved_model", *map(str, RUN), "--inputs", "x=x.npy[k]", "--input_exprs", "x=[[0,1]];"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "Result for output key y:\n[[2.]]\n"
    assert printed.err == (
        'millstream: Input file x.npy contains a single ndarray. Name key "k" ignored.\n'
        "millstream: input_key x has been specified with both --inputs and --input_exprs options. Value in "
        "--input_exprs will be used.\n"
    )


def test_outputs_in_files(capsys: pytest.CaptureFixture[str], files: None) -> None:
    arguments = ("run", "--dir", DATA / "tensorflow1" / "assets", *SERVE, "--input_exprs", "x=2", "--outdir", "out")
    assert "Result for output key y:\n24.0\nOutput y is saved to out/y.npy\n" in command(capsys, *arguments)
    assert np.load("out/y.npy") == 24.0
    assert np.load("out/p.npy") == os.fsencode(DATA / "tensorflow1" / "assets" / "assets" / "words.txt")
    message = 'Output file out/p.npy already exists. Add "--overwrite" to overwrite the existing output files.'
    assert failure(capsys, *arguments) == message
    command(capsys, *arguments, "--overwrite")


def test_examples(capsys: pytest.CaptureFixture[str]) -> None:
    found = saved_model_inputs.read("", "", "k=[{'a': [1.5, 2], 'b': ['x', b'y']}, {'c': [3], 'd': []}]")["k"]
    first, second = map(proto.Example.FromString, found)
    assert list(first.features.feature["a"].float_list.value) == [1.5, 2.0]
    assert list(first.features.feature["b"].bytes_list.value) == [b"x", b"y"]
    assert list(second.features.feature["c"].int64_list.value) == [3] and "d" in second.features.feature
    for text, message in (
        ("k", "--input_examples \"k\" format is incorrect"),
        ("k=[f()]", "is not a valid python literal"),
        ("k={'a': [1]}", "tf.Example input must be a list of dictionaries"),
        ("k=[{'a': 1}]", "feature value must be a list"),
        ("k=[{'a': [1, 'x']}]", "is not supported for tf.train.Feature"),
    ):
        assert message in failure(capsys, *RUN, "--input_examples", text)


def test_what_cannot_be_run(capsys: pytest.CaptureFixture[str], files: None) -> None:
    with open("pickle", "wb") as file:
        pickle.dump(np.ones((1, 2)), file)
    np.save("object.npy", np.array([[1, "x"]], object), allow_pickle=True)
    for arguments, message in (
        ((), "At least one of --inputs, --input_exprs or --input_examples must be required"),
        (("--inputs", "x"), '--inputs "x" format is incorrect'),
        (("--input_exprs", "x"), '--input_exprs "x" format is incorrect'),
        (("--inputs", "z=x.npy"), '"z" is not a valid input key. Please choose from "x"'),
        (("--inputs", "x=two.npz"), "Input file two.npz contains more than one ndarrays"),
        (("--inputs", "x=two.npz[c]"), 'Input file two.npz does not contain variable with name "c"'),
        (("--inputs", "x=none.npy"), "none.npy; No such file or directory"),
        (("--inputs", "x=pickle"), "nothing is ever unpickled"),
        (("--inputs", "x=object.npy"), "nothing is ever unpickled"),
        (("--input_exprs", "x=[[1,2,3]]"), "Cannot feed value of shape (1, 3) for Tensor 'x:0'"),
        (("--input_exprs", "x=open('f')"), "Expression \"open('f')\" is refused"),
        (("--inputs", "x=x.npy", "--tf_debug"), "--tf_debug is not supported."),
        (("--inputs", "x=x.npy", "--worker", "grpc://x"), "--worker is not supported."),
    ):
        assert message in failure(capsys, *RUN, *arguments)


def test_expressions() -> None:
    for text, expected in (
        ("1.5", 1.5), ("-2", -2), ("[1, (2, 'x')]", [1, (2, "x")]), ("None", None), ("b'x'", b"x"),
        ("np.ones((2, 3))", np.ones((2, 3))),
        ("numpy.zeros(shape=[2], dtype=np.int32)", np.zeros(2, np.int32)),
        ("(np.arange(6).reshape(2, 3).T + 1) / 2", (np.arange(6).reshape(2, 3).T + 1) / 2),
        ("[np.pi, -np.inf]", [np.pi, -np.inf]),
        ("np.float32(3)", np.float32(3)),
    ):  # fmt: skip
        found = evaluate(text)
        assert type(found) is type(expected) and np.all(found == expected), text
    assert evaluate(" np.random.rand(2, 3)").shape == (2, 3)


@pytest.mark.parametrize("text", [
    "__import__('os').system('true')", "np.load('x', allow_pickle=True)", "np.ones.__globals__", "np.lib.format", "x",
    "().__class__", "(lambda: 1)()", "[x for x in [1]]", "np.ones((2,)).tofile('x')", "np.fromfile('x')", "{'a': 1}",
    "np.ones(**{'shape': 2})", "'a' * 3", "[1] * 10", "f'{1}'", "np", "...", "np.random", "9 ** 9", "np.float32.mro()",
    "np.ones(2)[0]", "open", "a = 1", "1 +", "np.ones(-1)", "np.array([1, 2]).astype('x')", "1 / 0",
])  # fmt: skip
def test_nothing_else_is_run(text: str) -> None:
    with pytest.raises(RuntimeError, match="Expression .*(refused|not a valid python literal|cannot be computed)"):
        evaluate(text)


def test_no_jax_to_show() -> None:
    code = (
        "import sys; from millstream.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code or 'jax' in sys.modules)"
    )
    command = [sys.executable, "-P", "-c", code, "saved_model", "show", "--dir", str(SIMPLE), "--all"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "inputs['x'] tensor_info:" in done.stdout


# --- Real TensorFlow -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tf1", "tf2"])
def test_same_results_as_saved_model_cli(capsys: pytest.CaptureFixture[str], files: None, name: str) -> None:
    arguments = ["run", "--dir", str(SIMPLE), *SERVE, "--inputs", "x=two.npz[b]", "--outdir", "out", "--overwrite"]
    ours = command(capsys, *arguments)
    program = os.path.join(os.path.dirname(oracle(name)), "saved_model_cli")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith(ours)
