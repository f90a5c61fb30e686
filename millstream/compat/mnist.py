"""The handwritten digits of TensorFlow's tutorials: reads the four IDX files and serves batches.

`from tensorflow.examples.tutorials.mnist import input_data` gives this module. It reads what is there and
never downloads. The file format is described at http://yann.lecun.com/exdb/mnist/.
"""
from __future__ import annotations

import gzip
import math
import os
import zlib
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from millstream.core import dtypes
from millstream.core.random_seed import get_seed

DEFAULT_SOURCE_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

IMAGE_MAGIC, LABEL_MAGIC = 2051, 2049
FAKE_EXAMPLES, FAKE_PIXELS = 10000, 784
# Deflate cannot make data larger than this many times: bounds what a header may claim.
MOST_EXPANSION = 1032


class Datasets(NamedTuple):
    """The three parts of a data set."""

    train: Any
    validation: Any
    test: Any


class DataSet:
    """Images and labels, served in shuffled batches."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        fake_data: bool = False,
        one_hot: bool = False,
        dtype: Any = dtypes.float32,
        reshape: bool = True,
        seed: int | None = None,
    ) -> None:
        """Takes the examples and seeds NumPy's global generator, which shuffles them.

        Args:
          images: uint8, shape [n, rows, columns, depth].
          labels: shape [n] or, one-hot, [n, classes].
          fake_data: take nothing; `next_batch(fake_data=True)` gives made-up examples.
          one_hot: what the labels of made-up examples are.
          dtype: uint8 keeps the images; float32 scales them from [0, 255] to [0.0, 1.0].
          reshape: make the images [n, rows * columns]; needs depth 1.
          seed: of the order of the batches. None: the graph's seed, or a different order each time.

        Raises:
          TypeError: `dtype` is neither uint8 nor float32.
          ValueError: there are not as many labels as images, or the depth is not 1.
        """
        graph_seed, op_seed = get_seed(seed)
        np.random.seed(graph_seed if seed is None else op_seed)
        dtype = dtypes.as_dtype(dtype).base_dtype
        if dtype not in (dtypes.uint8, dtypes.float32):
            raise TypeError(f"Invalid image dtype {dtype!r}, expected uint8 or float32")
        self._one_hot = one_hot
        self._num_examples = FAKE_EXAMPLES if fake_data else len(images)
        self._epochs_completed = 0
        self._index_in_epoch = 0
        if not fake_data:
            if len(images) != len(labels):
                raise ValueError(
                    f"There are {len(images)} images (shape {images.shape}) but {len(labels)} labels."
                )
            if reshape:
                images = _flattened(images)
            if dtype is dtypes.float32:
                images = np.multiply(images.astype(np.float32), 1.0 / 255.0)
        self._images = images
        self._labels = labels

    @property
    def images(self) -> np.ndarray:
        return self._images

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    @property
    def num_examples(self) -> int:
        return self._num_examples

    @property
    def epochs_completed(self) -> int:
        return self._epochs_completed

    def next_batch(self, batch_size: int, fake_data: bool = False, shuffle: bool = True) -> tuple[Any, Any]:
        """The next `batch_size` images and labels.

        The examples are shuffled at the start of each epoch. A batch that reaches over the end of an epoch
        goes on with the first examples of the next one.
        """
        if fake_data:
            label = [1] + [0] * 9 if self._one_hot else 0
            return [[1] * FAKE_PIXELS for _ in range(batch_size)], [label for _ in range(batch_size)]
        start = self._index_in_epoch
        if shuffle and start == 0 and self._epochs_completed == 0:
            self._shuffle()
        if start + batch_size <= self._num_examples:
            self._index_in_epoch = start + batch_size
            return self._images[start : self._index_in_epoch], self._labels[start : self._index_in_epoch]
        self._epochs_completed += 1
        rest = self._images[start:], self._labels[start:]
        if shuffle:
            self._shuffle()
        self._index_in_epoch = batch_size - (self._num_examples - start)
        return (
            np.concatenate((rest[0], self._images[: self._index_in_epoch]), axis=0),
            np.concatenate((rest[1], self._labels[: self._index_in_epoch]), axis=0),
        )

    def _shuffle(self) -> None:
        order = np.arange(self._num_examples)
        np.random.shuffle(order)
        self._images = self._images[order]
        self._labels = self._labels[order]


def _flattened(images: np.ndarray) -> np.ndarray:
    if images.ndim != 4 or images.shape[3] != 1:
        raise ValueError(
            f"reshape=True needs images of shape [n, rows, columns, 1]; received: {images.shape}"
        )
    return images.reshape(images.shape[0], images.shape[1] * images.shape[2])


def read_data_sets(
    train_dir: str,
    fake_data: bool = False,
    one_hot: bool = False,
    dtype: Any = dtypes.float32,
    reshape: bool = True,
    validation_size: int = 5000,
    seed: int | None = None,
    source_url: str = DEFAULT_SOURCE_URL,
) -> Datasets:
    """Reads the digits in `train_dir` and splits off a validation part.

    Args:
      train_dir: folder of the four files (names in `FILES`).
      fake_data: read nothing and serve made-up examples.
      one_hot: labels of shape [n, 10] instead of [n].
      dtype: uint8, or float32 for pixels in [0.0, 1.0].
      reshape: images of shape [n, 784] instead of [n, 28, 28, 1].
      validation_size: how many of the training examples, the first ones, are for validation.
      seed: of the order of the batches.
      source_url: where the error says that missing files are to be had.

    Raises:
      FileNotFoundError: a file is not there.
      ValueError: a file is not a whole IDX file, or `validation_size` is out of range.
    """
    if fake_data:
        nothing = np.array([])
        return Datasets(*(DataSet(nothing, nothing, True, one_hot, dtype, seed=seed) for _ in range(3)))
    train_images, train_labels, test_images, test_labels = _read_files(train_dir, one_hot, source_url)
    if not 0 <= validation_size <= len(train_images):
        raise ValueError(
            f"Validation size should be between 0 and {len(train_images)}. Received: {validation_size}."
        )

    def part(images: np.ndarray, labels: np.ndarray) -> DataSet:
        return DataSet(images, labels, dtype=dtype, reshape=reshape, seed=seed)

    return Datasets(
        train=part(train_images[validation_size:], train_labels[validation_size:]),
        validation=part(train_images[:validation_size], train_labels[:validation_size]),
        test=part(test_images, test_labels),
    )


def load_mnist(train_dir: str = "MNIST-data") -> Datasets:
    """`read_data_sets` with its defaults."""
    return read_data_sets(train_dir)


def _read_files(folder: str, one_hot: bool, source_url: str) -> list[np.ndarray]:
    absent = [name for name in FILES if not os.path.exists(os.path.join(folder, name))]
    if absent:
        raise FileNotFoundError(
            f"{folder!r} lacks {', '.join(absent)}. Nothing is downloaded: put the four files "
            f"{', '.join(FILES)} there, for example from {source_url}"
        )
    arrays = []
    for name in FILES:
        with open(os.path.join(folder, name), "rb") as file:
            arrays.append(extract_images(file) if "images" in name else extract_labels(file, one_hot=one_hot))
    return arrays


def extract_images(f: BinaryIO) -> np.ndarray:
    """Reads a gzipped IDX file of images: uint8 of shape [n, rows, columns, 1].

    Raises:
      ValueError: the file is not gzipped, has another magic number, or ends too early.
    """
    return _read_idx(f, "image", IMAGE_MAGIC, dimensions=3)[..., np.newaxis]


def extract_labels(f: BinaryIO, one_hot: bool = False, num_classes: int = 10) -> np.ndarray:
    """Reads a gzipped IDX file of labels: uint8 of shape [n], or one-hot float64 of shape [n, num_classes].

    Raises:
      ValueError: the file is not gzipped, has another magic number, or ends too early.
    """
    labels = _read_idx(f, "label", LABEL_MAGIC, dimensions=1)
    return dense_to_one_hot(labels, num_classes) if one_hot else labels


def dense_to_one_hot(labels_dense: np.ndarray, num_classes: int) -> np.ndarray:
    """Class numbers of shape [n] as float64 rows of shape [n, num_classes]."""
    rows: np.ndarray = np.eye(num_classes)[labels_dense]
    return rows


def _read_idx(f: BinaryIO, content: str, expected_magic: int, dimensions: int) -> np.ndarray:
    name = getattr(f, "name", "(a stream)")
    print("Extracting", name)
    header_size = 4 * (1 + dimensions)
    most = MOST_EXPANSION * f.seek(0, os.SEEK_END)
    f.seek(0)
    try:
        with gzip.GzipFile(fileobj=f) as stream:
            header = stream.read(header_size)
            if len(header) < header_size:
                raise ValueError(
                    f"MNIST {content} file {name} ends within its header, after {len(header)} bytes"
                )
            magic, *shape = (int(n) for n in np.frombuffer(header, ">u4"))
            if magic != expected_magic:
                raise ValueError(f"Invalid magic number {magic} in MNIST {content} file: {name}")
            size = math.prod(shape)
            data = stream.read(min(size, most))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"MNIST {content} file {name} is damaged or not gzipped: {error}") from error
    if len(data) < size:
        raise ValueError(
            f"MNIST {content} file {name} should hold {' x '.join(map(str, shape))} = {size} bytes "
            f"after its header, but holds {len(data)}"
        )
    return np.frombuffer(data, np.uint8).reshape(shape).copy()
