"""`tf.train.warm_start`. Values, operations and messages are those of TensorFlow 1.15.5."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training import messages

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh(caplog: Any) -> Any:
    caplog.set_level(logging.INFO, logger="tensorflow")
    with tf.Graph().as_default():
        yield


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """A checkpoint with weights of four words, a matrix with four words as columns, and two vectors."""
    with tf.Graph().as_default(), tf.Session() as session:
        for name, value in {
            "weights": [[0.5], [1.0], [1.5], [2.0]],
            "columns": [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]],
            "b": [7.0],
            "old_name": [3.0],
        }.items():
            tf.get_variable(name, initializer=value)
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, str(tmp_path / "model"))


@pytest.fixture
def words(tmp_path: Path) -> tf.train.VocabInfo:
    """The vocabularies: the old words in reverse, and two new ones."""
    (tmp_path / "old.txt").write_text("apple\nbanana\nguava\norange\n")
    (tmp_path / "new.txt").write_text("orange\nguava\nbanana\napple\nraspberry\nblueberry\n")
    return tf.train.VocabInfo(str(tmp_path / "new.txt"), 6, 0, str(tmp_path / "old.txt"))


def zeros(name: str, shape: list[int], **arguments: Any) -> Any:
    return tf.get_variable(name, shape, initializer=tf.zeros_initializer(), **arguments)


def values(*variables: Any) -> list[Any]:
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return [value.tolist() for value in session.run(list(variables))]


OLD, ZERO = [[0.5], [1.0], [1.5], [2.0]], [[0.0]] * 4


@pytest.mark.parametrize(
    ("which", "weights", "b"),
    [
        (".*", OLD, [7.0]),
        ("b", ZERO, [7.0]),
        (".*eights.*", OLD, [0.0]),
        ("nothing", ZERO, [0.0]),
        (None, ZERO, [0.0]),
        (["b"], ZERO, [7.0]),
        (["b", "weights"], OLD, [7.0]),
    ],
)
def test_which_variables(which, weights, b, saved, caplog):
    variables = zeros("weights", [4, 1]), zeros("b", [1])
    tf.train.warm_start(saved, vars_to_warm_start=which)
    count = (weights == OLD) + (b == [7.0])
    trainable = [] if isinstance(which, list) else ["Warm-starting variables only in TRAINABLE_VARIABLES."]
    assert messages(caplog, Path(saved).parent) == [
        "Warm-starting from: DIR/model",
        *trainable,
        f"Warm-started {count} variables.",
    ]
    assert values(*variables) == [weights, b]


def test_variables_themselves(saved):
    weights, b = zeros("weights", [4, 1], use_resource=True), zeros("b", [1])
    tf.train.warm_start(str(Path(saved).parent), vars_to_warm_start=[weights])
    assert values(weights, b) == [OLD, [0.0]]


def test_other_names(saved):
    new = zeros("new_name", [1])
    tf.train.warm_start(saved, var_name_to_prev_var_name={"new_name": "old_name"})
    assert values(new) == [[3.0]]


def test_wrong_arguments(saved, words):
    zeros("new_name", [1])
    with pytest.raises(ValueError, match="Tensor new_name is not found in .*model checkpoint"):
        tf.train.warm_start(saved)
    with pytest.raises(ValueError) as caught:
        tf.train.warm_start(saved, var_name_to_prev_var_name={"new_name": "old_name", "zzz": "a"})
    assert str(caught.value) == (
        "You provided the following variables in var_name_to_prev_var_name that were not used: {'zzz'}.  Perhaps you "
        "misspelled them?  Here is the list of viable variable names: dict_keys(['new_name'])"
    )
    with pytest.raises(ValueError, match="in var_name_to_vocab_info that were not used: {'zzz'}"):
        tf.train.warm_start(saved, "none", var_name_to_vocab_info={"zzz": words})
    with pytest.raises(ValueError, match="`vars_to_warm_start must be a `list` or `str`.  Given type is <class 'int'>"):
        tf.train.warm_start(saved, 3)
    with pytest.raises(ValueError, match="it must be all `Variable` or all `str`"):
        tf.train.warm_start(saved, ["a", 3])
    with pytest.raises(ValueError) as caught:
        tf.train.VocabInfo("a", 1, 2, "b", axis=3)
    assert str(caught.value) == "The only supported values for the axis argument are 0 and 1.  Provided axis: 3"


# --- Vocabularies ----------------------------------------------------------------------------------------------------

REVERSED = [[2.0], [1.5], [1.0], [0.5]]


@pytest.mark.parametrize(
    ("shape", "changes", "expected"),
    [
        ([6, 1], {}, [*REVERSED, [0.0], [0.0]]),
        ([6, 1], {"old_vocab_size": 2}, [[0.0], [0.0], [1.0], [0.5], [0.0], [0.0]]),
        ([6, 1], {"backup_initializer": tf.ones_initializer()}, [*REVERSED, [1.0], [1.0]]),
        ([7, 1], {"num_oov_buckets": 1}, [*REVERSED, [0.0], [0.0], [0.0]]),
        ([3, 1], {"new_vocab_size": 3}, REVERSED[:3]),
        ([5, 1], {}, [*REVERSED, [0.0]]),
    ],
)
@pytest.mark.parametrize("use_resource", [False, True])
def test_words_as_rows(shape, changes, expected, use_resource, saved, words):
    weights = zeros("weights", shape, use_resource=use_resource)
    tf.train.warm_start(saved, None, {"weights": words._replace(**changes)})
    assert values(weights) == [expected]


@pytest.mark.parametrize(
    ("width", "changes", "new"),
    [(6, {}, [0.0, 0.0]), (7, {"num_oov_buckets": 1, "backup_initializer": tf.ones_initializer()}, [1.0, 1.0, 1.0])],
)
def test_words_as_columns(width, changes, new, saved, words):
    columns = zeros("columns", [2, width])
    tf.train.warm_start(saved, var_name_to_vocab_info={"columns": words._replace(axis=1, **changes)})
    assert values(columns) == [[[4.0, 3.0, 2.0, 1.0, *new], [8.0, 7.0, 6.0, 5.0, *new]]]


def test_the_operations(saved, words):
    zeros("weights", [6, 1])
    before = len(tf.get_default_graph().get_operations())
    tf.train.warm_start(saved, None, {"weights": words})
    made = [op for op in tf.get_default_graph().get_operations()[before:] if op.type != "Const"]
    assert [(op.name, op.type) for op in made] == [
        ("GenerateVocabRemapping", "GenerateVocabRemapping"),
        ("mul", "Mul"),
        ("sub", "Sub"),
        ("zeros/mul", "Mul"),
        ("zeros/Less", "Less"),
        ("zeros/packed", "Pack"),
        ("zeros", "Fill"),
        ("LoadAndRemapMatrix", "LoadAndRemapMatrix"),
        ("Assign", "Assign"),
    ]


def test_initializers_of_contrib(saved, words):
    framework = tf.contrib.framework
    initializer = framework.load_and_remap_matrix_initializer(
        saved, "weights", 6, 1, old_row_vocab_file=words.old_vocab, new_row_vocab_file=words.new_vocab
    )
    weights = tf.get_variable("new_weights", [6, 1], initializer=initializer)
    embedding = tf.get_variable(
        "embedding",
        [7, 1],
        initializer=framework.load_embedding_initializer(
            saved, "weights", 6, 1, words.old_vocab, words.new_vocab, num_oov_buckets=1
        ),
    )
    found, embedded = values(weights, embedding)
    assert found == [*REVERSED, [0.0], [0.0]]
    assert embedded[:4] == REVERSED and np.all(np.abs(embedded[4:]) < 2.1) and np.any(np.array(embedded[4:]) != 0)
    with pytest.raises(ValueError, match="which would exceed expected total row count"):
        initializer([8, 1])
    with pytest.raises(ValueError, match="Unexpected value for shape"):
        initializer([6, 2])
    with pytest.raises(ValueError, match="Currently, only float32 is supported. Received dtype: <dtype: 'float64'>"):
        initializer([6, 1], tf.float64)
    with pytest.raises(ValueError, match="old_row_vocab_file and new_row_vocab_file must either both be specified or"):
        framework.load_and_remap_matrix_initializer(saved, "weights", 6, 1, new_row_vocab_file="a")


def test_settings():
    settings = tf.estimator.WarmStartSettings("model")
    assert settings == ("model", ".*", {}, {})
    with pytest.raises(ValueError, match="`ckpt_to_initialize_from` MUST be set in WarmStartSettings"):
        tf.estimator.WarmStartSettings("")
