"""`tf.contrib.predictor`: a SavedModel as a function of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millstream.core.export import export
from millstream.core.graph import Graph
from millstream.runtime.session import Session
from millstream.saved_model import constants, folders
from millstream.saved_model.loader import SavedModelLoader


class Predictor:
    """A function that feeds and fetches tensors of a session by names.

    Args:
      session: the session.
      feed_tensors, fetch_tensors: the tensors by the names of inputs and outputs.
    """

    def __init__(self, session: Session, feed_tensors: dict[str, Any], fetch_tensors: dict[str, Any]) -> None:
        self._session = session
        self._feed_tensors = feed_tensors
        self._fetch_tensors = fetch_tensors

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self._session.graph

    @property
    def session(self) -> Session:
        """The session."""
        return self._session

    @property
    def feed_tensors(self) -> dict[str, Any]:
        """The tensors that go in, by name."""
        return self._feed_tensors

    @property
    def fetch_tensors(self) -> dict[str, Any]:
        """The tensors that come out, by name."""
        return self._fetch_tensors

    def __call__(self, input_dict: Mapping[str, Any]) -> dict[str, Any]:
        """Computes the outputs for some inputs, both by name.

        Raises:
          ValueError: there is no such input.
        """
        unexpected = set(input_dict) - set(self.feed_tensors)
        if unexpected:
            raise ValueError(
                f"Got unexpected keys in input_dict: {unexpected}\nexpected: {set(self.feed_tensors)}"
            )
        feeds = {self.feed_tensors[key]: value for key, value in input_dict.items()}
        return self._session.run(self.fetch_tensors, feeds)

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"{kind} with feed tensors {self._feed_tensors} and fetch_tensors {self._fetch_tensors}"


class SavedModelPredictor(Predictor):
    """The predictor of a SavedModel; see `from_saved_model`."""


@export(v1=["contrib.predictor.from_saved_model"])
def from_saved_model(
    export_dir: folders.Path,
    signature_def_key: str | None = None,
    signature_def: Any = None,
    input_names: Mapping[str, str] | None = None,
    output_names: Mapping[str, str] | None = None,
    tags: str | None = None,
    graph: Graph | None = None,
    config: Any = None,
) -> SavedModelPredictor:
    """Loads a SavedModel as a function of arrays.

    Args:
      export_dir: the folder.
      signature_def_key: the signature; default: "serving_default".
      signature_def: a `SignatureDef` in its place.
      input_names, output_names: names of tensors by the names of inputs and outputs, in place of a signature.
      tags: the tags of the graph, separated by commas; default: "serve".
      graph: the graph to load it into; default: a new one.
      config: a `ConfigProto` for the session.

    Raises:
      ValueError: it is not clear which inputs and outputs to take.
      OSError: there is no SavedModel.
      RuntimeError: it has no graph with these tags.

    Example:
      >>> predict = tf.contrib.predictor.from_saved_model("model")
      >>> predict({"x": [[1.0, 2.0]]})
      {'y': array([[3.]], dtype=float32)}
    """
    by_names = input_names is not None and output_names is not None
    if sum((signature_def_key is not None, signature_def is not None, by_names)) > 1:
        raise ValueError(
            "You must specify at most one of signature_def_key OR signature_def OR(input_names AND output_names)."
        )
    if (input_names is None) != (output_names is None):
        raise ValueError("input_names and output_names must both be specified or both be unspecified.")
    loader = SavedModelLoader(export_dir)
    session = Session(graph=Graph() if graph is None else graph, config=config)
    message = loader.load(session, (tags or constants.SERVING).split(","))
    if not by_names:
        key = signature_def_key or constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
        found = signature_def if signature_def is not None else message.signature_def.get(key)
        input_names = {} if found is None else {name: info.name for name, info in found.inputs.items()}
        output_names = {} if found is None else {name: info.name for name, info in found.outputs.items()}
    return SavedModelPredictor(session, _tensors(session, input_names), _tensors(session, output_names))


def _tensors(session: Session, names: Mapping[str, str] | None) -> dict[str, Any]:
    return {key: session.graph.get_tensor_by_name(name) for key, name in (names or {}).items()}
