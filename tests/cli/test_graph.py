"""`millstream graph`: shows, freezes and optimizes graphs in files."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.cli import main


@pytest.fixture
def model(tmp_path: Path) -> Any:
    """The files of a trained model; gives what it computes."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3, 3, 1], name="x")
        with tf.device("/cpu:0"):
            w = tf.get_variable("w", initializer=np.ones((2, 2, 1, 2), np.float32))
        net = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME", name="conv")
        net = tf.layers.batch_normalization(net, name="bn")
        tf.nn.relu(net + np.ones(2, np.float32) * 2.0, name="y")
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(tmp_path / "model"))
        tf.io.write_graph(graph, str(tmp_path), "graph.pbtxt")
        return session.run("y:0", {"x:0": np.ones((1, 3, 3, 1))})


def run(path: Path) -> Any:
    message = tf.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(message, name="")
        return session.run("y:0", {"x:0": np.ones((1, 3, 3, 1))})


def test_show(model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "show", str(tmp_path / "model.meta")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"MetaGraphDef: {tmp_path}/model.meta\n  written by:   TensorFlow 1.15")
    assert "  devices:      /device:CPU:0 " in printed
    assert "  variables:    5, 16 elements" in printed
    assert "    x (Placeholder, float32 [?,3,3,1])" in printed and "    y (Relu, float32 [?,3,3,2])" in printed
    assert "  collections:  trainable_variables, variables" in printed


def test_show_as_json(model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "show", "--json", str(tmp_path / "graph.pbtxt")]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["kind"] == "GraphDef" and found["ops"]["Conv2D"] == 1
    assert found["inputs"][0]["name"] == "x" and found["inputs"][0]["shape"] == "[?,3,3,1]"


def test_show_functions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tf.Graph().as_default() as graph:
        tf.while_loop(lambda x: x < 3.0, lambda x: x + 1.0, [tf.placeholder(tf.float32, [], name="x")], name="turns")
        tf.io.write_graph(graph, str(tmp_path), "loop.pb", as_text=False)
    assert main(["graph", "show", "--ops", str(tmp_path / "loop.pb")]) == 0
    printed = capsys.readouterr().out
    assert ", 2 functions with " in printed and "  functions:    " in printed


def test_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.pb").write_bytes(b"\xff\x00 rubbish")
    assert main(["graph", "show", str(tmp_path / "nowhere.pb")]) == 1
    assert main(["graph", "show", str(tmp_path / "bad.pb")]) == 1
    assert main(["graph", "freeze", "--output_node_names", "y"]) == 1
    assert main(["graph", "freeze", "--input_graph", "nowhere", "--output_graph", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "nowhere.pb; No such file or directory" in printed.err
    assert "bad.pb: Error parsing message of type" in printed.err
    assert "--output_graph is missing" in printed.err
    assert "Input graph file 'nowhere' does not exist!" in printed.err


def freeze(tmp_path: Path, *flags: str) -> list[str]:
    common = ["--output_node_names", "y", "--output_graph", str(tmp_path / "frozen.pb")]
    return ["graph", "freeze", "--input_checkpoint", str(tmp_path / "model"), *common, *flags]


def test_freeze_and_optimize(model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(freeze(tmp_path, "--input_graph", str(tmp_path / "graph.pbtxt"))) == 0
    frozen = tmp_path / "frozen.pb"
    np.testing.assert_array_equal(run(frozen), model)
    assert not any(node.device for node in tf.GraphDef.FromString(frozen.read_bytes()).node)
    flags = ["--input_names", "x", "--output_names", "y"]
    assert main(["graph", "optimize", "--input", str(frozen), "--output", str(tmp_path / "small.pb"), *flags]) == 0
    np.testing.assert_allclose(run(tmp_path / "small.pb"), model, rtol=1e-6)
    small = tf.GraphDef.FromString((tmp_path / "small.pb").read_bytes())
    kinds = [node.op.removesuffix("V2") for node in small.node if node.op != "Const"]
    assert kinds == ["Placeholder", "Conv2D", "BiasAdd", "Add", "Relu"]
    assert " nodes, " in capsys.readouterr().out


def test_freezing_a_meta_graph(model: Any, tmp_path: Path) -> None:
    meta = str(tmp_path / "model.meta")
    flags = ["--input_meta_graph", meta, "--variable_names_blacklist", "w", "--clear_devices=false"]
    assert main(freeze(tmp_path, *flags)) == 0
    kinds = {node.name: node.op for node in tf.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes()).node}
    assert kinds["w"] == "VariableV2" and kinds["bn/gamma"] == "Const"


def test_saved_models(model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = str(tmp_path / "exported")
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.train.import_meta_graph(str(tmp_path / "model.meta")).restore(session, str(tmp_path / "model"))
        x, y = map(graph.get_tensor_by_name, ("x:0", "y:0"))
        tf.saved_model.simple_save(session, exported, {"x": x}, {"y": y})
    assert main(["graph", "show", exported]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"SavedModel (serve): {exported}\n") and "  variables:    5, 16 elements" in printed
    flags = ["--output_node_names", "y", "--output_graph", str(tmp_path / "frozen.pb")]
    assert main(["graph", "freeze", "--input_saved_model_dir", exported, *flags]) == 0
    assert " nodes in the final graph." in capsys.readouterr().out
    np.testing.assert_array_equal(run(tmp_path / "frozen.pb"), model)
    assert main(["graph", "freeze", "--input_saved_model_dir", exported, "--saved_model_tags", "train", *flags]) == 1
    assert "MetaGraphDef associated with tags 'train' could not be found" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "freeze", "optimize"])
def test_jax_is_not_loaded(command: str, model: Any, tmp_path: Path) -> None:
    graph = str(tmp_path / "graph.pbtxt")
    if command == "optimize":
        main(freeze(tmp_path, "--input_graph", graph))
    arguments = {
        "show": ["graph", "show", graph],
        "freeze": freeze(tmp_path, "--input_graph", graph),
        "optimize": ["graph", "optimize", "--input", f"{tmp_path}/frozen.pb", "--output", f"{tmp_path}/small.pb",
                     "--input_names", "x", "--output_names", "y"],
    }[command]  # fmt: skip
    program = (
        "import sys; from millstream.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code or ('jax' in sys.modules and 'JAX was imported'))"
    )
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, timeout=120)
