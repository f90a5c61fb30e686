"""`tf.saved_model.save` of 2.x: an object with its functions and variables as a SavedModel."""
from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.function import Function
from millstream.core.graph import get_default_graph
from millstream.core.trackable import Trackable
from millstream.core.variables import Variable
from millstream.core.versions import VERSIONS
from millstream.io import bundle, gfile, proto
from millstream.saved_model import constants, folders
from millstream.saved_model.assets import AssetFiles
from millstream.saved_model.custom_gradients import trace_gradients
from millstream.saved_model.fingerprint import write_fingerprint
from millstream.saved_model.graph_writer import GraphWriter
from millstream.saved_model.object_writer import ObjectWriter
from millstream.saved_model.options import SaveOptions
from millstream.saved_model.saved_objects import SavedObjects, savable_children, savable_traces
from millstream.saved_model.signatures import SignatureMap, named_signatures
from millstream.train.checkpoint_saving import save_now


@export(v2=["saved_model.save"])
def save(obj: Any, export_dir: Any, signatures: Any = None, options: SaveOptions | None = None) -> None:
    """Saves an object with its variables and functions as a SavedModel, which needs no Python code to be used.

    Its attributes are saved that are variables, `tf.function`s (with the traces that they have: call them, or give them
    an input signature), assets, other objects such as `tf.Module`s, and lists, tuples and dicts of these. A trace whose
    arguments have no form in files (Python objects) is left out.

    Args:
      obj: a `tf.Module` or another trackable object.
      export_dir: the folder; made where it is missing.
      signatures: what serving programs call by name: a function with an input signature, a trace, or a dict of them;
        default: the only attribute of `obj` that is such a function, as `serving_default`.
      options: a `SaveOptions`.

    Raises:
      ValueError: `obj` is not trackable; a signature is no function of tensors.
      AssertionError: a function uses a variable that is not among the attributes; this was called in a `tf.function`.
      NotEncodableError: a function has a default value that has no form in files.

    Example:
      >>> class Adder(tf.Module):
      ...   @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
      ...   def add(self, x):
      ...     return x + 1.0
      >>> tf.saved_model.save(Adder(), "adder")
    """
    _check_place(obj)
    export_dir = os.fsdecode(export_dir)
    options = SaveOptions() if options is None else options
    children = {} if isinstance(obj, Variable) else savable_children(obj)
    signature_map = SignatureMap(named_signatures(signatures, children))
    objects = SavedObjects(obj, signature_map)
    _check_tracked(objects)
    message = proto.SavedModel(saved_model_schema_version=constants.SAVED_MODEL_SCHEMA_VERSION)
    meta_graph = message.meta_graphs.add()
    files = AssetFiles()
    _fill(meta_graph, objects, signature_map, options, files)
    gfile.makedirs(folders.variables_folder(export_dir))
    gfile.makedirs(folders.assets_folder(export_dir))
    prefix = folders.variables_prefix(export_dir)
    with context.mode(True):  # within a graph, too: the variables have their values without it
        save_now(prefix, objects)
    files.copy_to(export_dir)
    with open(gfile.local_path(bundle.index_path(prefix)), "rb") as file:
        index = file.read()
    write_fingerprint(export_dir, meta_graph, message.SerializeToString(deterministic=True), index)
    folders.write_saved_model(export_dir, message)


@export(v1=["saved_model.save", "saved_model.experimental.save"])
def save_v1(obj: Any, export_dir: Any, signatures: Any = None) -> None:
    """Saves an object with its variables and functions as a SavedModel; see `tf.saved_model.save` of 2.x.

    The gradients of `tf.custom_gradient` are not saved: TensorFlow 1 does not read models with them.

    Args:
      obj: a `tf.Module` or another trackable object; its variables are those of eager execution.
      export_dir: the folder; made where it is missing.
      signatures: a function with an input signature, a trace, or a dict of them.
    """
    save(obj, export_dir, signatures, SaveOptions(experimental_custom_gradients=False))


def _check_place(obj: Any) -> None:
    if not context.executing_eagerly() and get_default_graph().building_function:
        raise AssertionError(
            "`tf.saved_model.save` is not supported inside a traced @tf.function. Move the call to the outer "
            "eagerly-executed context."
        )
    if not isinstance(obj, Trackable):
        raise ValueError(
            "Expected an object of type `Trackable`, such as `tf.Module` or a subclass of the `Trackable` class, for "
            f"export. Got {obj} with type {type(obj)}."
        )


def _check_tracked(objects: SavedObjects) -> None:
    """Demands that the model has all variables that its functions use."""
    numbers = objects.numbers_by_tensor()
    for _, concrete in objects.traces():
        owners = {id(variable.handle): variable for variable in concrete.variables}
        for tensor, inner in concrete.graph.captures:
            if id(tensor) not in numbers:
                raise AssertionError(
                    "Tried to export a function which references an 'untracked' resource. TensorFlow objects (e.g. "
                    "tf.Variable) captured by functions must be 'tracked' by assigning them to an attribute of a "
                    "tracked object or assigned to an attribute of the main object directly. See the information "
                    f"below:\n\tFunction name = {concrete.name}\n\tCaptured Tensor = {tensor!r}\n\t"
                    f"Trackable referencing this tensor = {owners.get(id(tensor))!r}\n\tInternal Tensor = {inner!r}"
                )
    for item in objects.objects:
        if isinstance(item, Variable) and not item.is_eager:
            raise ValueError(f"{item!r} is a variable of a graph; only those of eager execution can be saved so.")


def _fill(
    message: Any, objects: SavedObjects, signatures: SignatureMap, options: SaveOptions, files: AssetFiles
) -> None:
    """Fills the `MetaGraphDef`."""
    object_graph = objects.to_proto(objects.values()).SerializeToString(deterministic=True)
    graph = GraphWriter(objects, signatures, object_graph, not options.experimental_skip_saver)
    traces = [concrete for _, concrete in objects.traces()]
    gradients = trace_gradients(traces) if options.experimental_custom_gradients else []
    library = graph.write(message, traces, gradients)
    for path, asset in graph.assets.values():
        message.asset_file_def.add(filename=files.add(asset.path)).tensor_info.name = path.name
    places = {number: index for index, number in enumerate(graph.assets)}
    policy = options.experimental_variable_policy
    writer = ObjectWriter(objects, library, graph.constant_names, places, policy)
    writer.write(message.object_graph_def)
    writer.write_gradients(message.object_graph_def, gradients)
    info = message.meta_info_def
    info.tags.extend(dict.fromkeys([constants.SERVING, *_as_list(options.extra_tags)]))
    info.tensorflow_version = VERSIONS[2]
    for alias, function in options.function_aliases.items():
        known = savable_traces(function) if isinstance(function, Function) else [function]
        for concrete in known:
            if concrete in traces:
                info.function_aliases[library.add(concrete.function)] = alias


def _as_list(tags: str | Iterable[str] | None) -> list[str]:
    return [tags] if isinstance(tags, str) else list(tags or ())
