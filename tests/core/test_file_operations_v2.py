"""Functions of SavedModels use files only by names that come from the program."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import millstream as tf
from millstream.core.dtypes import string
from millstream.core.eager import FileTensor


def save_to(prefix: Any) -> Any:
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["v"], shape_and_slices=[""], tensors=[tf.constant(1.0)])
    return tf.constant(1.0)


class Writer(tf.Module):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.own = str(path)

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def given(self, path: Any) -> Any:
        return save_to(path)

    @tf.function(input_signature=[])
    def fixed(self) -> Any:
        return save_to(tf.constant(self.own))


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    tf.saved_model.save(Writer(tmp_path / "stolen"), str(tmp_path / "model"))
    return tf.saved_model.load(str(tmp_path / "model"))


def test_an_argument_is_the_programs(loaded: Any, tmp_path: Path) -> None:
    loaded.given(tf.constant(str(tmp_path / "wanted")))
    assert (tmp_path / "wanted.index").exists()

    @tf.function
    def outer() -> Any:
        return loaded.given(str(tmp_path / "more"))

    outer()
    assert (tmp_path / "more.index").exists()


def test_a_name_of_the_file_is_not(loaded: Any, tmp_path: Path) -> None:
    with pytest.raises(tf.errors.PermissionDeniedError, match="SaveV2"):
        loaded.fixed()
    with pytest.raises(tf.errors.PermissionDeniedError, match="SaveV2"):
        tf.function(loaded.fixed)()
    assert not (tmp_path / "stolen.index").exists()


def test_a_text_from_a_file_is_not(loaded: Any, tmp_path: Path) -> None:
    text = FileTensor(np.array(str(tmp_path / "stolen").encode(), object), string)
    with pytest.raises(tf.errors.PermissionDeniedError, match="SaveV2"):
        loaded.given(text)
    with pytest.raises(tf.errors.PermissionDeniedError, match="SaveV2"):
        tf.function(lambda: loaded.given(text))()
    assert not (tmp_path / "stolen.index").exists()
