"""Opening a checkpoint, in whichever of TensorFlow's formats it is."""

from __future__ import annotations

from millstream.io import bundle, gfile
from millstream.io.bundle_reader import BundleReader
from millstream.io.v1_reader import V1Reader

Reader = BundleReader | V1Reader


def open_checkpoint(prefix: str) -> Reader:
    """A reader of a checkpoint.

    Args:
      prefix: what its files' names begin with; for the old format the path of its file, or a pattern for several.

    Raises:
      NotFoundError: there is no such checkpoint.
      DataLossError: it is damaged.
    """
    if gfile.exists(bundle.index_path(prefix)) or not gfile.glob(prefix):
        return BundleReader(prefix)
    return V1Reader(prefix)
