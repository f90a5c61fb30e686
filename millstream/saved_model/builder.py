"""`SavedModelBuilder` of 1.x: writes graphs of one model, which share their variables, to a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.operation import Operation
from millstream.io import gfile
from millstream.saved_model import assets, constants, folders
from millstream.saved_model.signature_defs import op_signature_def, predict_signature_def
from millstream.train.saver import Saver


class _SavedModelBuilder:
    """Builds a SavedModel whose assets and first operations are in messages of their own, as those of 2.x are.

    Args:
      export_dir: the folder, which is made where it is missing.

    Raises:
      AssertionError: there is something in it.
    """

    def __init__(self, export_dir: folders.Path) -> None:
        from millstream.io import proto

        folders.make_export_folder(export_dir)
        self._export_dir = export_dir
        self._saved_model = proto.SavedModel(saved_model_schema_version=constants.SAVED_MODEL_SCHEMA_VERSION)
        self._has_saved_variables = False
        self._assets = assets.AssetFiles()

    def add_meta_graph(
        self,
        tags: Iterable[str],
        signature_def_map: Mapping[str, Any] | None = None,
        assets_list: Sequence[Any] | None = None,
        clear_devices: bool = False,
        init_op: Operation | None = None,
        train_op: Operation | None = None,
        saver: Saver | None = None,
    ) -> None:
        """Adds the default graph, whose variables are those of the first graph.

        Args:
          tags, signature_def_map, clear_devices, saver: see `SavedModelBuilder`.
          assets_list: constants with the paths of files that are copied.
          init_op: what runs when the model is loaded.
          train_op: what one step of training is.
        """
        self._check_has_variables()
        signatures = _with_operations(signature_def_map, init_op, train_op)
        messages = assets.asset_file_defs(assets_list, self._assets)
        message = _export(_saver(saver), clear_devices, strip_default_attrs=False)
        message.asset_file_def.extend(messages)
        self._add(message, tags, signatures)

    def add_meta_graph_and_variables(
        self,
        sess: Any,
        tags: Iterable[str],
        signature_def_map: Mapping[str, Any] | None = None,
        assets_list: Sequence[Any] | None = None,
        clear_devices: bool = False,
        init_op: Operation | None = None,
        train_op: Operation | None = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
    ) -> None:
        """Adds the graph of a session and saves its variables; for the arguments see `add_meta_graph`."""
        self._check_has_no_variables()
        signatures = _with_operations(signature_def_map, init_op, train_op)
        with sess.graph.as_default():
            messages = assets.asset_file_defs(assets_list, self._assets)
            message = self._save_variables(sess, saver, clear_devices, strip_default_attrs)
        message.asset_file_def.extend(messages)
        self._add(message, tags, signatures)
        self._has_saved_variables = True

    def save(self, as_text: bool = False) -> bytes:
        """Writes `saved_model.pb`, which makes the folder a SavedModel.

        Args:
          as_text: writes `saved_model.pbtxt` instead, in text form.

        Returns:
          The path of the file.
        """
        path = folders.write_saved_model(self._export_dir, self._saved_model, as_text)
        tensorflow_logger().info("SavedModel written to: %s", path)
        return os.fsencode(path)

    # --- Parts --------------------------------------------------------------------------------------------------

    def _check_has_variables(self) -> None:
        if not self._has_saved_variables:
            raise AssertionError(
                "Graph state including variables and assets has not been saved yet. Please invoke "
                "`add_meta_graph_and_variables()` first."
            )

    def _check_has_no_variables(self) -> None:
        if self._has_saved_variables:
            raise AssertionError(
                "Graph state including variables and assets has already been saved. Please invoke "
                "`add_meta_graph()` instead."
            )

    def _save_variables(self, sess: Any, saver: Saver | None, clear_devices: bool, strip_default_attrs: bool) -> Any:
        """Writes the checkpoint, and gives the graph as a message."""
        gfile.makedirs(folders.variables_folder(self._export_dir))
        saver = _saver(saver)
        prefix = folders.variables_prefix(self._export_dir)
        saver.save(sess, prefix, write_meta_graph=False, write_state=False, strip_default_attrs=strip_default_attrs)
        return _export(saver, clear_devices, strip_default_attrs)

    def _add(self, message: Any, tags: Iterable[str], signatures: Mapping[str, Any]) -> None:
        """Adds a graph, and copies the assets."""
        message.meta_info_def.tags.extend(tags)
        for key, signature in signatures.items():
            message.signature_def[key].CopyFrom(signature)
        self._assets.copy_to(self._export_dir)
        self._saved_model.meta_graphs.append(message)


@export(v1=["saved_model.Builder", "saved_model.builder.SavedModelBuilder"])
class SavedModelBuilder(_SavedModelBuilder):
    """Builds a SavedModel: graphs, the variables that they share, and files that they need.

    The folder holds `saved_model.pb`, which is written last, a checkpoint in `variables/` and files in `assets/`.
    TensorFlow, TensorFlow Serving and `tf.saved_model.loader.load` read it.

    Args:
      export_dir: the folder, which is made where it is missing.

    Raises:
      AssertionError: there is something in it.

    Example:
      >>> builder = tf.saved_model.Builder("model")
      >>> signature = tf.saved_model.predict_signature_def({"x": x}, {"y": y})
      >>> with tf.Session() as sess:
      ...   ...
      ...   builder.add_meta_graph_and_variables(sess, ["serve"], {"serving_default": signature})
      >>> builder.save()
    """

    def add_meta_graph(  # type: ignore[override]
        self,
        tags: Iterable[str],
        signature_def_map: Mapping[str, Any] | None = None,
        assets_collection: Sequence[Any] | None = None,
        legacy_init_op: Operation | None = None,
        clear_devices: bool = False,
        main_op: Operation | None = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
    ) -> None:
        """Adds the default graph, whose variables are those of the first graph.

        Args:
          tags: which graph of the model it is, such as `["serve", "gpu"]`.
          signature_def_map: `SignatureDef`s by name: the functions that it offers.
          assets_collection: string scalars, constants: the paths of files that are copied. While `main_op` runs in a
            program that loads the model, they have the paths of the copies.
          legacy_init_op: old spelling of `main_op`.
          clear_devices: leaves out on which devices operations are to run.
          main_op: an operation that runs when the model is loaded, after the variables are restored.
          strip_default_attrs: leaves out attributes that have their default value, so that older programs read it.
          saver: saves and restores the variables; default: one for all variables.

        Raises:
          AssertionError: `add_meta_graph_and_variables` was not called before, or a signature is malformed.
          TypeError: an asset is no constant string, `main_op` is no operation.
          ValueError: the graph has a `main_op` already.
        """
        self._check_has_variables()
        self._prepare(signature_def_map, assets_collection, main_op if main_op is not None else legacy_init_op)
        message = _export(_saver(saver), clear_devices, strip_default_attrs)
        self._add(message, tags, signature_def_map or {})

    def add_meta_graph_and_variables(  # type: ignore[override]
        self,
        sess: Any,
        tags: Iterable[str],
        signature_def_map: Mapping[str, Any] | None = None,
        assets_collection: Sequence[Any] | None = None,
        legacy_init_op: Operation | None = None,
        clear_devices: bool = False,
        main_op: Operation | None = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
    ) -> None:
        """Adds the graph of a session and saves its variables. To be called once, before `add_meta_graph`.

        Args:
          sess: a session whose variables are initialised.
          tags, signature_def_map, assets_collection, legacy_init_op, clear_devices, main_op, strip_default_attrs,
            saver: see `add_meta_graph`.

        Raises:
          AssertionError: it was called before, or a signature is malformed.
          FailedPreconditionError: a variable is not initialised.
          TypeError, ValueError: see `add_meta_graph`.
        """
        self._check_has_no_variables()
        with sess.graph.as_default():
            self._prepare(signature_def_map, assets_collection, main_op if main_op is not None else legacy_init_op)
            message = self._save_variables(sess, saver, clear_devices, strip_default_attrs)
        self._add(message, tags, signature_def_map or {})
        self._has_saved_variables = True

    def _prepare(
        self, signatures: Mapping[str, Any] | None, asset_tensors: Sequence[Any] | None, main_op: Operation | None
    ) -> None:
        """Checks signatures, and adds assets and the main operation to the collections of the default graph."""
        _check_signatures(signatures or {})
        assets.add_to_collection(assets.asset_file_defs(asset_tensors, self._assets))
        if main_op is None:
            return
        _check_operation(main_op)
        graph = get_default_graph()
        if graph.get_collection(constants.MAIN_OP_KEY):
            raise ValueError(
                f"Graph already contains one or more main ops under the collection {constants.MAIN_OP_KEY}."
            )
        graph.add_to_collection(constants.MAIN_OP_KEY, main_op)


@export(v1=["saved_model.simple_save"])
def simple_save(
    session: Any,
    export_dir: folders.Path,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    legacy_init_op: Operation | None = None,
) -> None:
    """Saves the graph and variables of a session as a SavedModel with the tag "serve" and one signature.

    Args:
      session: the session.
      export_dir: the folder, which is made where it is missing.
      inputs: the tensors that go in, by the names that users of the model know.
      outputs: the tensors that come out.
      legacy_init_op: an operation that runs when the model is loaded.

    Raises:
      AssertionError: there is something in the folder.
      ValueError: there are no inputs or no outputs.

    Example:
      >>> tf.saved_model.simple_save(sess, "model", inputs={"x": x}, outputs={"y": y})
    """
    builder = SavedModelBuilder(export_dir)
    builder.add_meta_graph_and_variables(
        session,
        [constants.SERVING],
        {constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: predict_signature_def(inputs, outputs)},
        assets_collection=session.graph.get_collection(GraphKeys.ASSET_FILEPATHS),
        main_op=legacy_init_op,
        clear_devices=True,
    )
    builder.save()


# --- Parts -----------------------------------------------------------------------------------------------------------


def _saver(saver: Saver | None) -> Saver:
    return saver if saver is not None else Saver(sharded=True, allow_empty=True)


def _export(saver: Saver, clear_devices: bool, strip_default_attrs: bool) -> Any:
    return saver.export_meta_graph(clear_devices=clear_devices, strip_default_attrs=strip_default_attrs)


def _check_operation(op: Any) -> None:
    if not isinstance(op, Operation):
        raise TypeError(f"main_op needs to be an Operation: {op!r}")


def _check_signatures(signatures: Mapping[str, Any]) -> None:
    for signature in signatures.values():
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            _check_tensor_info(info)


def _check_tensor_info(info: Any) -> None:
    kind = info.WhichOneof("encoding")
    if kind is None:
        raise AssertionError(
            "All TensorInfo protos used in the SignatureDefs must have one of the 'encoding' fields (e.g., name or "
            f"coo_sparse) set: {info}"
        )
    if kind != "composite_tensor" and not info.dtype:
        raise AssertionError(f"All TensorInfo protos used in the SignatureDefs must have the dtype field set: {info}")


def _with_operations(
    signatures: Mapping[str, Any] | None, init_op: Operation | None, train_op: Operation | None
) -> dict[str, Any]:
    """Signatures, and those that stand for the operations that initialise and train the model."""
    found = dict(signatures or {})
    _check_signatures(found)
    for op, key in ((init_op, constants.INIT_OP_SIGNATURE_KEY), (train_op, constants.TRAIN_OP_SIGNATURE_KEY)):
        if op is not None:
            found[key] = op_signature_def(op, key)
    return found
