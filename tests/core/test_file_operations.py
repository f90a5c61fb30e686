"""Graphs from files do not run Python code, and use files only by names that come from the program."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core import file_operations

DENIED = tf.errors.PermissionDeniedError


@pytest.fixture(autouse=True)
def _fresh_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("MILLSTREAM_TRUST_GRAPHS", raising=False)
    monkeypatch.chdir(tmp_path)
    with tf.Graph().as_default():
        yield


def saver_graph(sharded: bool = False, **keywords: Any) -> Any:
    """A meta graph with a saver, and a checkpoint `model` in the present folder."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", initializer=[1.0, 2.0])
        saver = tf.train.Saver(sharded=sharded, **keywords)
        session.run(tf.global_variables_initializer())
        saver.save(session, str(Path.cwd() / "model"))
        return saver.export_meta_graph()


def message_of(build: Any) -> Any:
    with tf.Graph().as_default() as graph:
        build()
        return graph.as_graph_def()


def files() -> set[str]:
    return {path.name for path in Path.cwd().rglob("*")}


@pytest.mark.parametrize("sharded", [False, True])
def test_savers_work(sharded: bool, tmp_path: Path) -> None:
    saver = tf.train.import_meta_graph(saver_graph(sharded))
    with tf.Session() as session:
        saver.restore(session, str(tmp_path / "model"))
        np.testing.assert_array_equal(session.run("v:0"), [1.0, 2.0])
        path = saver.save(session, str(tmp_path / "other"))
        saver.restore(session, path)
        saver.restore(session, "model")  # a relative name
        saver.restore(session, f"{tmp_path}/../{tmp_path.name}/model")


@pytest.mark.parametrize("sharded", [False, True])
def test_savers_do_not_use_the_names_of_the_graph(sharded: bool) -> None:
    message = saver_graph(sharded, filename=str(Path.cwd() / "stolen"))
    tf.train.import_meta_graph(message)
    before = files()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for name in (message.saver_def.save_tensor_name, message.saver_def.restore_op_name):
            with pytest.raises(DENIED, match=r"of an imported graph would use a file .* MILLSTREAM_TRUST_GRAPHS=1"):
                session.run(name)
    assert files() == before


def test_the_programs_own_graph_may() -> None:
    tf.get_variable("v", initializer=1.0)
    saver = tf.train.Saver(filename=str(Path.cwd() / "own"))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(saver.saver_def.save_tensor_name)
    assert "own.index" in files()


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_trusted_graphs_may(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = saver_graph(filename=str(Path.cwd() / "wanted"))
    if how == "environment":
        monkeypatch.setenv("MILLSTREAM_TRUST_GRAPHS", "1")
    saver = tf.train.import_meta_graph(message, allow_python=how == "argument")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(saver.saver_def.save_tensor_name)
    assert "wanted.index" in files()


@pytest.mark.parametrize("version", [tf.train.SaverDef.V1, tf.train.SaverDef.V2])
def test_savers_do_not_believe_what_the_graph_says_was_saved(version: int) -> None:
    """What a saver takes for its old checkpoints, it deletes."""
    message = saver_graph()
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(message)
        tf.constant(str(Path.cwd() / "precious"), name="lie")
        message = tf.train.export_meta_graph(graph=graph, saver_def=message.saver_def)
    message.saver_def.save_tensor_name = "lie:0"
    message.saver_def.version = version
    Path("precious").write_text("work of years")
    saver = tf.train.import_meta_graph(message)
    with tf.Session() as session, pytest.raises(DENIED, match=r"was to save 'mine-1', .* saved '.*precious'"):
        session.run(tf.global_variables_initializer())
        saver.save(session, "mine", global_step=1)
    assert saver.last_checkpoints == []
    assert tf.train.get_checkpoint_state(str(Path.cwd())).model_checkpoint_path.endswith("model")


def save_to(prefix: Any) -> None:
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["v"], shape_and_slices=[""], tensors=[tf.constant(1.0)])


def run_imported(message: Any, feeds: dict[str, Any] | None = None, **keywords: Any) -> None:
    operations = tf.import_graph_def(message, name="", return_elements=["SaveV2"], **keywords)
    with tf.Session() as session:
        session.run(operations, feeds)


def test_a_name_that_is_mapped() -> None:
    message = message_of(lambda: save_to(tf.placeholder(tf.string, [], name="path")))
    run_imported(message, input_map={"path:0": tf.constant("mapped")})
    assert "mapped.index" in files()


def test_a_name_that_the_program_only_hands_on() -> None:
    stolen, suffix = tf.import_graph_def(
        message_of(lambda: (tf.constant("stolen", name="a"), tf.constant("/../x", name="b"))),
        return_elements=["a:0", "b:0"],
    )
    message = message_of(lambda: save_to(tf.placeholder(tf.string, [], name="path")))
    for name in (tf.identity(stolen), tf.strings.join([tf.identity("mine"), tf.identity(suffix)])):
        with pytest.raises(DENIED, match="'SaveV2'"):
            run_imported(message, input_map={"path:0": name})
        assert not files()


@pytest.mark.parametrize(
    ("made", "works"),
    [
        (lambda path: path, True),
        (lambda path: tf.identity(tf.reshape(path, [])), True),
        (lambda path: tf.strings.join([path, "-more"]), True),
        (lambda path: tf.strings.join([path, "/../../etc/x"]), False),
        (lambda path: tf.strings.join([path, "/.", "./x"]), False),
        (lambda path: tf.strings.join(["/tmp/", path]), False),
        (lambda path: tf.strings.join([path, "/", ".", "./x"], separator="."), False),
        (lambda path: tf.strings.join([path, tf.as_string(tf.random_uniform([]))]), False),
        (lambda path: tf.where(tf.equal(path, "x"), path, tf.constant("stolen")), False),
        (lambda path: tf.strings.join([path, tf.where(tf.equal(path, "x"), "-a", "-b")]), True),
        (lambda path: tf.strings.join([path, tf.where(tf.raw_ops.StaticRegexFullMatch(
            input=path, pattern="^s3://.*"), ".part", "_temp_1/part")]), True),  # fmt: skip
        (lambda path: tf.constant("stolen"), False),
        (lambda path: tf.as_string(tf.size(path)), False),
        (lambda path: tf.get_variable("name", initializer="stolen"), False),
    ],
)
def test_names_that_are_made_of_fed_ones(made: Any, works: bool) -> None:
    message = message_of(lambda: save_to(made(tf.placeholder(tf.string, [], name="path"))))
    before = files()
    if works:
        run_imported(message, {"path:0": "fed"})
        assert any(name.endswith(".index") for name in files()) and any(name.startswith("fed") for name in files())
    else:
        with pytest.raises(DENIED, match="'SaveV2'"):
            run_imported(message, {"path:0": "fed"})
        assert files() == before


@pytest.mark.parametrize("made", [
    lambda name: tf.strings.join([name, name]),
    lambda name: tf.where(tf.equal(name, "x"), name, name),
    lambda name: tf.strings.join([tf.placeholder(tf.string, []), tf.where(tf.equal(name, "x"), name, name)]),
])  # fmt: skip
def test_names_are_followed_quickly(made: Any) -> None:
    def build() -> None:
        name = tf.placeholder(tf.string, [], name="path")
        for _ in range(60):
            name = made(name)
        save_to(name)

    with pytest.raises(tf.errors.OpError):
        run_imported(message_of(build), {"path:0": "fed"})
    assert not files()


def test_functions_and_loops_of_a_file() -> None:
    def looped() -> None:
        path = tf.placeholder(tf.string, [], name="path")

        def body(i: Any) -> Any:
            with tf.control_dependencies([tf.raw_ops.SaveV2(
                prefix=path, tensor_names=["v"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
            )]):  # fmt: skip
                return i + 1

        tf.while_loop(lambda i: i < 2, body, [0], name="loop")

    message = message_of(looped)
    name = next(node.name for node in message.node if node.op == "While")
    (operation,) = tf.import_graph_def(message, name="", return_elements=[name])
    with tf.Session() as session, pytest.raises(DENIED, match="SaveV2"):
        session.run(operation.outputs, {"path:0": "fed"})
    assert not files()


def node(op_type: str, **attrs: Any) -> Any:
    message = tf.GraphDef()
    made = message.node.add(name="n", op=op_type)
    for key, value in attrs.items():
        made.attr[key].s = value
    return message


def test_python_is_refused() -> None:
    message = message_of(lambda: tf.py_func(lambda x: x, [tf.constant(1.0)], tf.float32))
    with pytest.raises(DENIED, match=r"Node 'PyFunc' \(op: 'PyFunc'\) runs Python code, which graphs from files may"):
        tf.import_graph_def(message)
    assert tf.get_default_graph().get_operations() == []


def test_printing_to_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    message = message_of(lambda: tf.raw_ops.PrintV2(input=tf.constant("x"), output_stream=f"file://{Path.cwd()}/log"))
    with pytest.raises(DENIED, match="writes to file://"):
        tf.import_graph_def(message)
    tf.import_graph_def(message_of(lambda: tf.raw_ops.PrintV2(input=tf.constant("x"))))
    monkeypatch.setenv("MILLSTREAM_TRUST_GRAPHS", "1")
    tf.import_graph_def(message)


@pytest.mark.parametrize(
    ("op_type", "attrs", "reason"),
    [
        ("WholeFileReaderV2", {}, "reads files"),
        ("TFRecordReaderV2", {}, "reads files"),
        ("WriteFile", {}, "writes to files"),
        ("CreateSummaryFileWriter", {}, "writes to files"),
        ("EagerPyFunc", {}, "runs Python code"),
        ("Rpc", {}, "opens connections"),
        ("DebugIdentity", {"debug_urls": ("file:///tmp/x",)}, "writes to file:///tmp/x"),
        ("FixedUnigramCandidateSampler", {"vocab_file": "/etc/passwd"}, "reads /etc/passwd"),
        ("FixedUnigramCandidateSampler", {"vocab_file": ""}, None),
        ("DecodeProtoV2", {"descriptor_source": "local://"}, None),
        ("DecodeProtoV2", {"descriptor_source": "/etc/x"}, "reads /etc/x"),
        ("SaveV2", {}, None),
        ("MatMul", {}, None),
    ],
)
def test_the_table(op_type: str, attrs: dict[str, Any], reason: str | None) -> None:
    assert file_operations.refusal(op_type, False, attrs) == reason


def test_operations_that_use_files_are_in_the_table() -> None:
    """Whoever adds an operation on files must say what graphs from files may do with it."""
    import importlib
    import inspect
    import pkgutil

    import millstream.ops
    from millstream.core import opdef

    for info in pkgutil.iter_modules(millstream.ops.__path__):
        importlib.import_module(f"millstream.ops.{info.name}")
    marks = ("gfile", "bundle", "BundleReader", "BundleWriter", "open(", "os.")
    unknown = []
    for name, definition in opdef.REGISTRY.items():
        if not definition.host or not definition.kernel.__module__.startswith("millstream."):
            continue
        source = inspect.getsource(definition.kernel)
        known = name in file_operations.FILE_NAMES or file_operations.refusal(name, definition.runs_python, {})
        if any(mark in source for mark in marks) and not known:
            unknown.append(name)
    assert unknown == ["PrintV2"]  # by its attribute
