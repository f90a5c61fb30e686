"""Files that a model brings with it, and other resources that it makes when it is loaded."""
from __future__ import annotations

import os
from typing import Any

import numpy as np

from millstream.core import context, dtypes
from millstream.core.conversion import convert_to_tensor, register_tensor_conversion_function
from millstream.core.eager import EagerTensor
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.tensor import Tensor
from millstream.core.trackable import Trackable


class PathTensor(EagerTensor):
    """The path of an asset: functions take it as an input, because it is another one where the model is loaded."""

    __slots__ = ()

    is_constant = False

    def __init__(self, path: str) -> None:
        super().__init__(np.array(path.encode("utf-8", "surrogateescape"), object), dtypes.string)


@export(v2=["saved_model.Asset"])
class Asset(Trackable):
    """A file that is saved with a model and has another path where the model is loaded.

    An attribute of a saved object that is an asset is copied to the model's folder `assets`. Operations take it as a
    string scalar, the path.

    Args:
      path: the file.

    Example:
      >>> module = tf.Module()
      >>> module.vocabulary = tf.saved_model.Asset("words.txt")
      >>> module.read = tf.function(lambda: tf.io.read_file(module.vocabulary.asset_path), input_signature=[])
    """

    def __init__(self, path: Any) -> None:
        self.path = os.fspath(path)
        if context.executing_eagerly():
            self._path_tensor: Tensor = PathTensor(self.path)
        else:
            self._path_tensor = convert_to_tensor(self.path, dtypes.string, name="asset_path")
            get_default_graph().add_to_collection(GraphKeys.ASSET_FILEPATHS, self._path_tensor)

    @property
    def asset_path(self) -> Tensor:
        """The path: a string scalar."""
        return self._path_tensor

    def __repr__(self) -> str:
        return f"<Asset {self.path!r}>"


def _asset_to_tensor(asset: Asset, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Tensor:
    return asset.asset_path


register_tensor_conversion_function(Asset, _asset_to_tensor)


@export(v2=["saved_model.experimental.TrackableResource"])
class TrackableResource(Trackable):
    """Base of objects that make a resource, a table for instance, and make it anew where the model is loaded.

    Subclasses define `_create_resource`, which gives the handle, and may define `_initialize` and `_destroy_resource`.

    Args:
      device: where the resource is made.
    """

    def __init__(self, device: str = "") -> None:
        self._resource_handle: Tensor | None = None
        self._resource_device = device

    def _create_resource(self) -> Tensor:
        """Makes the resource; gives its handle."""
        raise NotImplementedError("TrackableResource._create_resource not implemented.")

    def _initialize(self) -> Any:
        """Fills the resource."""

    @property
    def resource_handle(self) -> Tensor:
        """The handle; the resource is made when it is first asked for."""
        if self._resource_handle is None:
            from millstream.core.scopes import device

            with device(self._resource_device or None):
                self._resource_handle = self._create_resource()
        return self._resource_handle
