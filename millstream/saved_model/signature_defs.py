"""`SignatureDef`: a function that a graph offers: names for the tensors that go in and for those that come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millstream.core import dtypes, errors
from millstream.core.export import export
from millstream.core.operation import Operation
from millstream.saved_model import constants
from millstream.saved_model.tensor_info import (
    build_tensor_info,
    build_tensor_info_from_op,
    build_tensor_infos,
    get_element_from_tensor_info,
)

_FLOAT, _STRING = dtypes.float32.as_datatype_enum, dtypes.string.as_datatype_enum


def _names(name: str) -> list[str]:
    return [f"saved_model.{name}", f"saved_model.signature_def_utils.{name}"]


# --- Building --------------------------------------------------------------------------------------------------------


@export(v1=_names("build_signature_def"))
def build_signature_def(
    inputs: Mapping[str, Any] | None = None, outputs: Mapping[str, Any] | None = None, method_name: str | None = None
) -> Any:
    """Makes a `SignatureDef`.

    Args:
      inputs: `TensorInfo` messages (`tf.saved_model.build_tensor_info`) by the names of the inputs.
      outputs: likewise those of the outputs.
      method_name: what kind of function it is, for those who serve the model, such as
        `tf.saved_model.PREDICT_METHOD_NAME`.

    Raises:
      TypeError: what should be a `TensorInfo` is none.
    """
    from millstream.io import proto

    message = proto.SignatureDef()
    for key, info in (inputs or {}).items():
        message.inputs[key].CopyFrom(info)
    for key, info in (outputs or {}).items():
        message.outputs[key].CopyFrom(info)
    if method_name is not None:
        message.method_name = method_name
    return message


@export(v1=_names("predict_signature_def"))
def predict_signature_def(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    """Makes the `SignatureDef` of a function of any tensors.

    Args:
      inputs: tensors by the names of the inputs.
      outputs: tensors by the names of the outputs.

    Raises:
      ValueError: there are no inputs or no outputs.
    """
    if inputs is None or not inputs:
        raise ValueError("Prediction inputs cannot be None or empty.")
    if outputs is None or not outputs:
        raise ValueError("Prediction outputs cannot be None or empty.")
    return build_signature_def(
        build_tensor_infos(inputs), build_tensor_infos(outputs), constants.PREDICT_METHOD_NAME
    )


@export(v1=_names("regression_signature_def"))
def regression_signature_def(examples: Any, predictions: Any) -> Any:
    """Makes the `SignatureDef` of a function from serialized `tf.train.Example`s to numbers.

    Args:
      examples: a string tensor.
      predictions: a float32 tensor.

    Raises:
      ValueError: one is None or of another dtype.
    """
    if examples is None:
        raise ValueError("Regression examples cannot be None.")
    if not _is_tensor(examples):
        raise ValueError("Regression examples must be a string Tensor.")
    if predictions is None:
        raise ValueError("Regression predictions cannot be None.")
    examples_info, predictions_info = build_tensor_info(examples), build_tensor_info(predictions)
    _demand(examples_info, _STRING, "Regression examples must be a string Tensor.")
    _demand(predictions_info, _FLOAT, "Regression output must be a float Tensor.")
    return build_signature_def(
        {constants.REGRESS_INPUTS: examples_info},
        {constants.REGRESS_OUTPUTS: predictions_info},
        constants.REGRESS_METHOD_NAME,
    )


@export(v1=_names("classification_signature_def"))
def classification_signature_def(examples: Any, classes: Any, scores: Any) -> Any:
    """Makes the `SignatureDef` of a function from serialized `tf.train.Example`s to classes, scores or both.

    Args:
      examples: a string tensor.
      classes: a string tensor, the names of the classes, or None.
      scores: a float32 tensor, or None.

    Raises:
      ValueError: one is of another dtype, or there are neither classes nor scores.
    """
    if examples is None:
        raise ValueError("Classification examples cannot be None.")
    if not _is_tensor(examples):
        raise ValueError("Classification examples must be a string Tensor.")
    if classes is None and scores is None:
        raise ValueError("Classification classes and scores cannot both be None.")
    examples_info = build_tensor_info(examples)
    _demand(examples_info, _STRING, "Classification examples must be a string Tensor.")
    outputs = {}
    if classes is not None:
        outputs[constants.CLASSIFY_OUTPUT_CLASSES] = classes_info = build_tensor_info(classes)
        _demand(classes_info, _STRING, "Classification classes must be a string Tensor.")
    if scores is not None:
        outputs[constants.CLASSIFY_OUTPUT_SCORES] = scores_info = build_tensor_info(scores)
        _demand(scores_info, _FLOAT, "Classification scores must be a float Tensor.")
    return build_signature_def({constants.CLASSIFY_INPUTS: examples_info}, outputs, constants.CLASSIFY_METHOD_NAME)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "name")


def _demand(info: Any, dtype: int, message: str) -> None:
    if info.dtype != dtype:
        raise ValueError(message)


def supervised_train_signature_def(
    inputs: Mapping[str, Any],
    loss: Mapping[str, Any] | None,
    predictions: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> Any:
    """Makes the `SignatureDef` of a step of training: tensors by name.

    Raises:
      ValueError: there are no inputs.
    """
    return _supervised(constants.SUPERVISED_TRAIN_METHOD_NAME, inputs, loss, predictions, metrics)


def supervised_eval_signature_def(
    inputs: Mapping[str, Any],
    loss: Mapping[str, Any] | None,
    predictions: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> Any:
    """Makes the `SignatureDef` of an evaluation: tensors by name.

    Raises:
      ValueError: there are no inputs.
    """
    return _supervised(constants.SUPERVISED_EVAL_METHOD_NAME, inputs, loss, predictions, metrics)


def _supervised(method_name: str, inputs: Mapping[str, Any] | None, *outputs: Mapping[str, Any] | None) -> Any:
    if inputs is None or not inputs:
        raise ValueError(f"{method_name} inputs cannot be None or empty.")
    infos: dict[str, Any] = {}
    for tensors in outputs:
        infos.update(build_tensor_infos(tensors or {}))
    return build_signature_def(build_tensor_infos(inputs), infos, method_name)


# --- Checking --------------------------------------------------------------------------------------------------------


@export(v1=_names("is_valid_signature"))
def is_valid_signature(signature_def: Any) -> bool:
    """Whether a `SignatureDef` can be served: the inputs and outputs are those that its method name stands for."""
    if signature_def is None:
        return False
    inputs = {key: info.dtype for key, info in signature_def.inputs.items()}
    outputs = {key: info.dtype for key, info in signature_def.outputs.items()}
    if signature_def.method_name == constants.PREDICT_METHOD_NAME:
        return bool(inputs and outputs)
    if signature_def.method_name == constants.REGRESS_METHOD_NAME:
        return inputs == {constants.REGRESS_INPUTS: _STRING} and outputs == {constants.REGRESS_OUTPUTS: _FLOAT}
    if signature_def.method_name == constants.CLASSIFY_METHOD_NAME:
        allowed = {constants.CLASSIFY_OUTPUT_CLASSES: _STRING, constants.CLASSIFY_OUTPUT_SCORES: _FLOAT}
        return (
            inputs == {constants.CLASSIFY_INPUTS: _STRING}
            and bool(outputs)
            and outputs.items() <= allowed.items()
        )
    return False


# --- Single operations -----------------------------------------------------------------------------------------------


def op_signature_def(op: Operation, key: str) -> Any:
    """Makes a `SignatureDef` that stands for an operation, such as the one that initialises a model."""
    return build_signature_def(outputs={key: build_tensor_info_from_op(op)})


def load_op_from_signature_def(signature_def: Any, key: str, import_scope: str | None = None) -> Any:
    """Finds the operation for which a `SignatureDef` stands in the default graph.

    Raises:
      NotFoundError: there is none.
    """
    try:
        if key in signature_def.outputs:
            return get_element_from_tensor_info(signature_def.outputs[key], import_scope=import_scope)
        raise KeyError(key)
    except (KeyError, ValueError):
        raise errors.NotFoundError(
            None, None, f"The {key} could not be found in the graph. Please make sure the SavedModel was created by "
            "the internal _SavedModelBuilder. If you are using the public API, please make sure the SignatureDef in "
            f'the SavedModel does not contain the key "{key}".'
        ) from None  # fmt: skip
