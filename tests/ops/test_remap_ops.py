"""Matrices of checkpoints in a new order. Values and errors are those of TensorFlow 1.15.5."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch) -> Any:
    monkeypatch.chdir(tmp_path)
    with tf.Graph().as_default():
        yield


# --- Vocabularies ----------------------------------------------------------------------------------------------------

FILES = {
    "old": "a\nb\nc\nd\n",
    "new": "d\nx\nb\na\n",
    "double": "a\na\nb\n",
    "no_end": "d\nb",
    "blank": "d\n\nb\n",
    "windows": "d\r\nb\r\n",
}


def remapping(new: str, old: str, first: int = 0, count: int = 4, old_size: int = -1) -> Any:
    for name, text in FILES.items():
        Path(name).write_bytes(text.encode())
    found = tf.raw_ops.GenerateVocabRemapping(
        new_vocab_file=new, old_vocab_file=old, new_vocab_offset=first, num_new_vocab=count, old_vocab_size=old_size
    )
    assert found[0].shape == [count] and found[1].shape == []
    with tf.Session() as session:
        ids, known = session.run(found)
    assert ids.dtype == np.int64 and known.dtype == np.int32
    return ids.tolist(), known


@pytest.mark.parametrize(
    ("arguments", "ids", "known"),
    [
        (("new", "old"), [3, -1, 1, 0], 3),
        (("new", "old", 1, 2), [-1, 1], 1),
        (("new", "old", 0, 4, 2), [-1, -1, 1, 0], 2),
        (("double", "old", 0, 3), [0, 0, 1], 3),
        (("no_end", "old", 0, 2), [3, 1], 2),
        (("windows", "old", 0, 2), [3, 1], 2),
    ],
)
def test_where_words_were(arguments, ids, known):
    assert remapping(*arguments) == (ids, known)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("new", "old", 2, 3), "InvalidArgumentError", "lookup table size must be larger than last new vocab entry's"),
        (("new", "double"), "FailedPreconditionError", "Key a has 0 and trying to add value 1"),
        (("blank", "old", 0, 3), "InvalidArgumentError", "Invalid content in blank: empty line found at line 2."),
        (("new", "none"), "NotFoundError", "none; No such file or directory"),
        (("new", "old", 0, 4, 100), "InvalidArgumentError", "Invalid vocab_size in old: expected 100 but got 4"),
    ],
)
def test_wrong_vocabularies(arguments, kind, message):
    with pytest.raises(getattr(tf.errors, kind)) as caught:
        remapping(*arguments)
    assert message in str(caught.value)


def test_paths_are_scalars():
    with pytest.raises(ValueError, match="Shape must be rank 0 but is rank 1 for 'GenerateVocabRemapping'"):
        tf.raw_ops.GenerateVocabRemapping(
            new_vocab_file=["a"], old_vocab_file="b", new_vocab_offset=0, num_new_vocab=1
        )


# --- Matrices --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> str:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("m", initializer=np.arange(12, dtype=np.float32).reshape(4, 3))
        tf.get_variable("ints", initializer=np.arange(4))
        tf.get_variable("vector", initializer=np.float32([1, 2]))
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, str(tmp_path_factory.mktemp("saved") / "model"))


def loaded(path: str, rows: Any, columns: Any, initial: Any = (), name: str = "m", num_rows: int = -1, width: int = 3):
    count = len(rows) if num_rows < 0 else num_rows
    matrix = tf.raw_ops.LoadAndRemapMatrix(
        ckpt_path=path,
        old_tensor_name=name,
        row_remapping=np.array(rows, np.int64),
        col_remapping=np.array(columns, np.int64),
        initializing_values=np.array(initial, np.float32),
        num_rows=count,
        num_cols=width,
    )
    assert matrix.shape == [count, width]
    with tf.Session() as session:
        return session.run(matrix).tolist()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (([0, 1], []), [[0, 1, 2], [3, 4, 5]]),
        (([3, -1, 0], [], [7, 8, 9]), [[9, 10, 11], [7, 8, 9], [0, 1, 2]]),
        (([-1, 0], [2, -1, 0], [1, 2, 3, 4]), [[1, 2, 3], [2, 4, 0]]),
        (([0], [-1, -1, -1], [1, 2, 3]), [[1, 2, 3]]),
        (([-1], [], [1, 2, 3]), [[1, 2, 3]]),
        (([], []), []),
        (([3, 1, -1], [1, 0], [8, 9], "m", -1, 2), [[10, 9], [4, 3], [8, 9]]),
    ],
)
def test_matrices(arguments, expected, saved):
    assert loaded(saved, *arguments) == expected


INVALID = "InvalidArgumentError"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (([-1], [], [7, 8]), INVALID, "initializing_values contained 2 elements, but more missing values remain."),
        (([-1], [], [1] * 4), INVALID, "initializing_values contained 4 elements, but only 3 elements were used to"),
        (([1, 1], []), "UnimplementedError", "Old ID 1 is mapped to both new ID 0 and 1, which is not supported."),
        (([0], [1, 1], [], "m", -1, 2), "UnimplementedError", "Old ID 1 is mapped to both new ID 0 and 1"),
        (([4], []), INVALID, "row_remapping[0] is 4"),
        (([0], [5], [], "m", -1, 1), INVALID, "col_remapping[0] is 5"),
        (([0], [], [], "m", -1, 2), INVALID, "where the size of its 2nd dimension is 3 instead of"),
        (([0], [0], [], "m", -1, 2), INVALID, "Provided col_remapping, but its size is 1 instead of"),
        (([0], [], [], "m", 2), INVALID, "Size of row_remapping is 1 instead of being equal to num_rows=2"),
        (([0], [], [], "ints"), INVALID, "Tensor ints has invalid type int64 instead of expected type float"),
        (([0], [], [], "vector"), INVALID, "Tensor vector has shape [2] of invalid rank 1 instead of"),
        (([0], [], [], "none"), "NotFoundError", "Key none not found in checkpoint"),
    ],
)
def test_matrices_that_cannot_be(arguments, kind, message, saved):
    with pytest.raises(getattr(tf.errors, kind)) as caught:
        loaded(saved, *arguments)
    assert message in str(caught.value)
