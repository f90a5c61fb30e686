"""`import tensorflow` in a process where Millstream stands for it."""
from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys

import pytest

from millstream.compat import modules
from millstream.compat.install import TensorFlowFinder, install_as_tensorflow
from millstream.compat.private_modules import SOURCES
from millstream.core import context, dtypes
from millstream.public.missing import MissingModuleError, MissingNameError


def ours(name: str) -> bool:
    return name.partition(".")[0] == "tensorflow"


@pytest.fixture
def install(monkeypatch):
    """`install(api)`, undone after the test."""
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if not isinstance(f, TensorFlowFinder)])
    before = {name: module for name, module in sys.modules.items() if ours(name)}
    for name in before:
        del sys.modules[name]
    monkeypatch.setattr(context, "_default_eager", False)
    yield install_as_tensorflow
    for name in [name for name in sys.modules if ours(name)]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def tf(install):
    install(api=1)
    return importlib.import_module("tensorflow")


def test_versions(install):
    install(api=2)
    tf = importlib.import_module("tensorflow")
    assert tf.__version__ == tf.version.VERSION == "2.21.0"
    assert not hasattr(tf, "VERSION") and context.executing_eagerly()


def test_names_and_sub_modules(tf):
    assert tf.__version__ == tf.VERSION == "1.15.5" and tf.__name__ == "tensorflow"
    assert tf.float32 is dtypes.float32 is tf.dtypes.float32
    assert importlib.import_module("tensorflow.dtypes") is tf.dtypes
    assert importlib.import_module("tensorflow.compat.v1").float32 is tf.compat.v1.float32 is dtypes.float32
    assert tf.compat.v2.version.VERSION == "2.21.0"
    assert {"float32", "dtypes", "__version__"} <= set(dir(tf))
    assert importlib.reload(tf) is tf and tf.float32 is dtypes.float32


def test_star_import(tf):
    names: dict[str, object] = {}
    exec("from tensorflow.dtypes import *", names)
    assert names["float32"] is dtypes.float32


def test_classes_are_pickled_by_their_own_names(tf):
    assert pickle.loads(pickle.dumps(tf.DType)) is dtypes.DType


def test_private_modules(tf):
    names: dict[str, object] = {}
    exec(
        "from tensorflow.python.framework import dtypes, ops\n"
        "from tensorflow.python.framework.dtypes import as_dtype\n"
        "from tensorflow.core.framework import graph_pb2\n"
        "from tensorflow.core.framework.node_def_pb2 import NodeDef\n"
        "import tensorflow.python.util.tf_inspect as inspect\n"
        "from tensorflow.examples.tutorials.mnist import input_data\n",
        names,
    )
    assert names["as_dtype"] is dtypes.as_dtype and names["ops"].Graph is not None
    assert names["graph_pb2"].GraphDef(node=[names["NodeDef"](name="a")]).node[0].name == "a"
    assert names["input_data"].read_data_sets.__module__ == "millstream.compat.mnist"
    assert tf.python.framework.dtypes.float32 is dtypes.float32


def test_missing_names_say_so(tf):
    with pytest.raises(
        MissingNameError, match=r"^tf\.contrib\.tpu\.foo is part of TensorFlow 1\.x but not yet of"
    ):
        _ = tf.contrib.tpu.foo
    with pytest.raises(MissingNameError, match="`millstream check PROGRAM`"):
        _ = tf.contrib.cudnn_rnn.CudnnLSTM
    assert not hasattr(tf.contrib.cudnn_rnn, "CudnnLSTM")
    assert repr(tf.contrib.tpu) == "<tensorflow.contrib.tpu: not yet in Millstream>"
    error = pickle.loads(pickle.dumps(MissingNameError(1, "contrib.tpu.foo")))
    assert error.args[0] == "tf.contrib.tpu.foo is part of TensorFlow 1.x but not yet of Millstream"


def test_a_hint_names_what_is_close(tf):
    assert "There is tf.VERSION or tf.version.VERSION" in str(MissingNameError(1, "contrib.tpu.VERSION"))
    assert "Close names that it has: tf.float32" in str(MissingNameError(1, "float3"))


def test_unknown_names_are_ordinary_errors(tf):
    with pytest.raises(AttributeError) as caught:
        _ = tf.reduce_maen
    assert type(caught.value) is AttributeError
    assert str(caught.value).startswith(
        "module 'tensorflow' has no attribute 'reduce_maen'. Did you mean tf.reduce_mean"
    )
    with pytest.raises(AttributeError, match=r"part of TensorFlow 2\.x: tf\.compat\.v2\.random\.set_seed"):
        _ = tf.random.set_seed
    assert not hasattr(tf, "_private") and not hasattr(tf, "__wrapped__")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "import tensorflow.contrib.tpu",
            "tf.contrib.tpu is part of TensorFlow 1.x but not yet of Millstream",
        ),
        ("from tensorflow.contrib import tpu", "tf.contrib.tpu is part of TensorFlow 1.x but not yet"),
        ("from tensorflow.contrib.cudnn_rnn import CudnnLSTM", "tf.contrib.cudnn_rnn is part of"),
        ("from tensorflow.python.foo import bar", "tensorflow.python.foo is part of TensorFlow 1.x but not"),
        (
            "from tensorflow.python.framework.dtypes import foo",
            "tensorflow.python.framework.dtypes.foo is part of",
        ),
        ("from tensorflow import no_such_name", "cannot import name 'no_such_name' from 'tensorflow'"),
        ("import tensorflow.float32", "No module named 'tensorflow.float32'"),
        ("import tensorflow.no_such_module", "No module named 'tensorflow.no_such_module'"),
    ],
)
def test_imports_of_what_is_missing(tf, statement, message):
    with pytest.raises(ImportError) as caught:
        exec(statement)
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, MissingModuleError) == ("is part of" in message)


def test_installing_twice(install):
    install(api=1)
    install(api=1)
    assert sum(isinstance(finder, TensorFlowFinder) for finder in sys.meta_path) == 1
    with pytest.raises(
        RuntimeError, match="stands for TensorFlow 1.x in this process already; api=2 needs a new one"
    ):
        install(api=2)


def test_bad_calls(install, monkeypatch):
    with pytest.raises(ValueError, match="api must be 1 or 2; received: 3"):
        install(api=3)
    monkeypatch.setitem(sys.modules, "tensorflow", pickle)
    with pytest.raises(RuntimeError, match=r"tensorflow has been imported already \(from .*pickle"):
        install(api=1)


def test_installed_tensorflow_is_shadowed_in_this_process_only(tmp_path):
    real = tmp_path / "tensorflow"
    real.mkdir()
    (real / "__init__.py").write_text("origin = 'real'\n")
    shadowed = (
        "from millstream.compat.install import install_as_tensorflow as install; install(1);"
        "import tensorflow as tf; print(tf.VERSION)"
    )
    for code, printed in ((shadowed, "1.15.5"), ("import tensorflow as tf; print(tf.origin)", "real")):
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == printed


def test_table_rows_are_well_formed():
    for path, words in SOURCES.items():
        for word in words.replace("*", "").split():
            place = word.partition("=")[2].rpartition(".")[0] or word
            assert place.split(".")[0] in ("tf", "millstream", "absl", "inspect", "contextlib"), (
                f"{path}: {word}"
            )


@pytest.mark.parametrize("api", [1, 2])
def test_modules_of_the_table_exist(api):
    for path in SOURCES:
        for place in modules.sources(api, path):
            container = place.partition("=")[2].rpartition(".")[0] or place
            if not container.startswith("tf"):
                assert importlib.util.find_spec(container) is not None, f"{path}: {place}"


def test_gen_ops_modules_apply_raw_operations(monkeypatch):
    from millstream.public import raw_ops

    monkeypatch.setattr(raw_ops, "by_snake_case", {"mat_mul": "found"}.get)
    assert modules.sources(1, "python.ops.gen_math_ops") == ("raw_ops",)
    assert modules.find(1, ("raw_ops",), "mat_mul") == "found"


def test_version_suffixes_lead_to_that_version():
    assert modules.find(1, ("tf.version",), "VERSION_v2") == "2.21.0"
    assert modules.find(2, ("tf.version",), "VERSION_v1") == "1.15.5"
    assert modules.find(1, ("tf.dtypes",), "float32V2") is dtypes.float32
