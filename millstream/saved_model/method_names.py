"""Changes what kind of function a signature of a SavedModel is said to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.saved_model.folders import Path, parse_saved_model, write_saved_model


class MethodNameUpdater:
    """Changes the method names of the signatures of a SavedModel, which those who serve it go by.

    Args:
      export_dir: the folder of the SavedModel.

    Raises:
      OSError: there is none.

    Example:
      >>> updater = MethodNameUpdater("model")
      >>> updater.replace_method_name("serving_default", tf.saved_model.CLASSIFY_METHOD_NAME)
      >>> updater.save()
    """

    def __init__(self, export_dir: Path) -> None:
        self._export_dir = export_dir
        self._saved_model = parse_saved_model(export_dir)

    def replace_method_name(
        self, signature_key: str, method_name: str, tags: str | Sequence[str] | None = None
    ) -> None:
        """Changes the method name of one signature.

        Args:
          signature_key: the signature.
          method_name: its new method name.
          tags: the tags of the graph that has it; default: all graphs.

        Raises:
          ValueError: there is no such graph or signature.
        """
        if not signature_key:
            raise ValueError("`signature_key` must be defined.")
        if not method_name:
            raise ValueError("`method_name` must be defined.")
        tags = [tags] if isinstance(tags, str) else tags
        found = [item for item in self._saved_model.meta_graphs if tags is None or _has_tags(item, tags)]
        if not found:
            raise ValueError(
                f"MetaGraphDef associated with tags {tags} could not be found in SavedModel. This means either you "
                "specified invalid tags or your SavedModel does not have a MetaGraphDef with the specified tags."
            )
        for message in found:
            if signature_key not in message.signature_def:
                raise ValueError(
                    f"MetaGraphDef associated with tags {tags} does not have a signature_def with key: "
                    f"'{signature_key}'. This means either you specified the wrong signature key or forgot to put the "
                    "signature_def with the corresponding key in your SavedModel."
                )
            message.signature_def[signature_key].method_name = method_name

    def save(self, new_export_dir: Path | None = None) -> None:
        """Writes the file `saved_model.pb`.

        Args:
          new_export_dir: the folder; default: that of the SavedModel. Variables and assets are not copied.
        """
        write_saved_model(new_export_dir or self._export_dir, self._saved_model)


def _has_tags(meta_graph_def: Any, tags: Sequence[str]) -> bool:
    return set(meta_graph_def.meta_info_def.tags) == set(tags)
