"""The digits of the tutorials: files, their errors, and the order of the batches."""
from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from millstream.compat import mnist
from millstream.core import dtypes
from millstream.core.graph import Graph
from millstream.core.random_seed import set_random_seed

IMAGES = np.arange(6 * 2 * 3, dtype=np.uint8).reshape(6, 2, 3)
LABELS = np.array([3, 1, 4, 1, 5, 9], np.uint8)


def idx(magic: int, array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    for name in mnist.FILES:
        array, magic = (IMAGES, mnist.IMAGE_MAGIC) if "images" in name else (LABELS, mnist.LABEL_MAGIC)
        (tmp_path / name).write_bytes(gzip.compress(idx(magic, array)))
    return tmp_path


def test_reads_three_parts(folder, capsys):
    data = mnist.read_data_sets(str(folder), validation_size=2)
    assert data._fields == ("train", "validation", "test")
    assert [part.num_examples for part in data] == [4, 2, 6]
    assert data.train.images.dtype == np.float32 and data.train.images.shape == (4, 6)
    np.testing.assert_array_equal(data.train.images, IMAGES[2:].reshape(4, 6) * np.float32(1 / 255))
    np.testing.assert_array_equal(data.validation.labels, LABELS[:2])
    assert capsys.readouterr().out.splitlines() == [f"Extracting {folder / name}" for name in mnist.FILES]


def test_keeps_bytes_and_shape(folder):
    data = mnist.read_data_sets(
        str(folder), dtype=dtypes.uint8, reshape=False, one_hot=True, validation_size=0
    )
    assert data.train.images.dtype == np.uint8 and data.train.images.shape == (6, 2, 3, 1)
    assert data.train.labels.dtype == np.float64 and data.train.labels.argmax(1).tolist() == LABELS.tolist()


# As TensorFlow 1.15.5 serves seven examples in batches of three.
ORDERS = {
    "seed": [[4, 6, 5], [3, 1, 0], [2, 2, 1], [6, 5, 3], [0, 4, 4], [1, 5, 3]],
    "unshuffled": [[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4], [5, 6, 0], [1, 2, 3]],
    "graph seed": [[2, 5, 4], [6, 3, 0], [1, 6, 0], [3, 1, 2], [4, 5, 1], [3, 5, 0]],
    "both seeds": [[6, 2, 4], [1, 0, 5], [3, 5, 2], [0, 4, 6], [1, 3, 0], [1, 3, 4]],
}


@pytest.mark.parametrize(
    ("case", "graph_seed", "seed"),
    [("seed", None, 3), ("unshuffled", None, 3), ("graph seed", 11, None), ("both seeds", 11, 5)],
)
def test_order_of_batches(case, graph_seed, seed):
    with Graph().as_default():
        set_random_seed(graph_seed)
        images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
        data = mnist.DataSet(images, np.arange(7), dtype=dtypes.uint8, seed=seed)
    batches = [data.next_batch(3, shuffle=case != "unshuffled") for _ in range(6)]
    assert [labels.tolist() for _, labels in batches] == ORDERS[case]
    assert all(images[:, 0].tolist() == labels.tolist() for images, labels in batches)
    assert data.epochs_completed == 2


def test_fake_data():
    data = mnist.read_data_sets("nowhere", fake_data=True, one_hot=True)
    images, labels = data.train.next_batch(2, fake_data=True)
    assert data.train.num_examples == 10000
    assert np.shape(images) == (2, 784) and labels == [[1] + [0] * 9] * 2


def test_absent_files_are_named(folder):
    (folder / mnist.TEST_LABELS).unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"lacks {mnist.TEST_LABELS}. Nothing is downloaded: .*https://"
    ):
        mnist.read_data_sets(str(folder))


def damaged_files():
    whole = idx(mnist.IMAGE_MAGIC, IMAGES)
    yield "not gzipped", whole, "damaged or not gzipped"
    yield "cut stream", gzip.compress(whole)[:-12], "damaged or not gzipped"
    yield "wrong magic", gzip.compress(idx(7, IMAGES)), "Invalid magic number 7 in MNIST image file: "
    yield "short header", gzip.compress(whole[:9]), "ends within its header, after 9 bytes"
    yield (
        "short data",
        gzip.compress(whole[:-1]),
        "should hold 6 x 2 x 3 = 36 bytes after its header, but holds 35",
    )
    yield "huge claim", gzip.compress(struct.pack(">4I", mnist.IMAGE_MAGIC, *[2**32 - 1] * 3)), "but holds 0"
    yield "empty", b"", "ends within its header"


@pytest.mark.parametrize(
    ("content", "message"), [c[1:] for c in damaged_files()], ids=[c[0] for c in damaged_files()]
)
def test_damaged_files(folder, content, message):
    path = folder / mnist.TRAIN_IMAGES
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        mnist.read_data_sets(str(folder), validation_size=0)
    assert str(path) in str(caught.value)


def test_bad_arguments(folder):
    with pytest.raises(ValueError, match="Validation size should be between 0 and 6. Received: 5000."):
        mnist.read_data_sets(str(folder))
    with pytest.raises(TypeError, match="Invalid image dtype .*int32.*, expected uint8 or float32"):
        mnist.read_data_sets(str(folder), dtype=dtypes.int32, validation_size=0)
    with pytest.raises(ValueError, match="3 images .* but 2 labels"):
        mnist.DataSet(np.zeros((3, 2, 2, 1), np.uint8), np.zeros(2))
    with pytest.raises(ValueError, match=r"received: \(3, 2, 2, 2\)"):
        mnist.DataSet(np.zeros((3, 2, 2, 2), np.uint8), np.zeros(3))
