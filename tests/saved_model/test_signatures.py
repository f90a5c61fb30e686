"""`TensorInfo` and `SignatureDef` messages of tensors, and back."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import millstream.v1 as tf
from millstream.core.context import mode
from millstream.io import proto
from millstream.saved_model import signature_defs, tensor_info

sm = tf.saved_model


@pytest.fixture(autouse=True)
def _fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def info(name: str, dtype: int, *sizes: int) -> Any:
    message = proto.TensorInfo(name=name, dtype=dtype)
    message.tensor_shape.SetInParent()
    for size in sizes:
        message.tensor_shape.dim.add(size=size)
    return message


# --- TensorInfo ------------------------------------------------------------------------------------------------------


def test_dense() -> None:
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    assert sm.build_tensor_info(x) == info("x:0", proto.DT_FLOAT, -1, 2)
    v = tf.Variable(1.0, name="v", use_resource=False)
    r = tf.Variable([1], name="r", use_resource=True)
    assert sm.build_tensor_info(v) == info("v:0", proto.DT_FLOAT_REF)
    assert sm.build_tensor_info(r) == info("r:0", proto.DT_INT32, 1)
    unknown = sm.utils.build_tensor_info(tf.placeholder(tf.string))
    assert unknown.tensor_shape.unknown_rank and unknown.dtype == proto.DT_STRING
    for value in ("x", None, np.ones(2), x.op):
        with pytest.raises(AttributeError):
            sm.build_tensor_info(value)
    with mode(True), pytest.raises(RuntimeError, match="build_tensor_info is not supported in Eager mode"):
        sm.build_tensor_info(x)


def test_sparse_and_composite() -> None:
    sparse = tf.sparse_placeholder(tf.float32, [None, 3], name="s")
    found = sm.build_tensor_info(sparse)
    names = found.coo_sparse
    assert (names.indices_tensor_name, names.values_tensor_name) == ("s/indices:0", "s/values:0")
    assert found.dtype == proto.DT_FLOAT and found.WhichOneof("encoding") == "coo_sparse"
    back = sm.get_tensor_from_tensor_info(found)
    assert back.indices is sparse.indices and back.dense_shape is sparse.dense_shape
    rows = tf.IndexedSlices(tf.placeholder(tf.float32, [3, 2], "v"), tf.placeholder(tf.int32, [3], "i"))
    found = sm.build_tensor_info(rows)
    assert found.composite_tensor.type_spec.type_spec_class == found.composite_tensor.type_spec.INDEXED_SLICES_SPEC
    assert [part.name for part in found.composite_tensor.components] == ["v:0", "i:0"]
    assert tensor_info.tensor_names(found) == ["v:0", "i:0"]
    back = sm.get_tensor_from_tensor_info(found)
    assert isinstance(back, tf.IndexedSlices) and back.values is rows.values and back.indices is rows.indices
    del found.composite_tensor.components[1]
    with pytest.raises(ValueError, match="has 2 parts, not 1"):
        sm.get_tensor_from_tensor_info(found)


def test_back() -> None:
    x = tf.placeholder(tf.float32, name="scope/x")
    assert sm.get_tensor_from_tensor_info(sm.build_tensor_info(x)) is x
    assert sm.get_tensor_from_tensor_info(proto.TensorInfo(name="x:0"), import_scope="scope") is x
    with pytest.raises(KeyError, match="refers to a Tensor which does not exist"):
        sm.get_tensor_from_tensor_info(sm.build_tensor_info(x), graph=tf.Graph())
    with pytest.raises(ValueError, match="refers to an Operation, not a Tensor"):
        sm.get_tensor_from_tensor_info(proto.TensorInfo(name="scope/x"))
    with pytest.raises(ValueError, match="Invalid TensorInfo.encoding: None"):
        sm.get_tensor_from_tensor_info(proto.TensorInfo())


def test_operations() -> None:
    op = tf.no_op("scope/op")
    message = tensor_info.build_tensor_info_from_op(op)
    assert message.name == "scope/op" and message.tensor_shape.unknown_rank and not message.dtype
    assert tensor_info.get_element_from_tensor_info(message) is op
    signature = signature_defs.op_signature_def(op, "k")
    assert signature_defs.load_op_from_signature_def(signature, "k") is op
    signature.outputs["k"].name = "op"
    assert signature_defs.load_op_from_signature_def(signature, "k", "scope") is op
    for key, scope in (("other", "scope"), ("k", None)):
        with pytest.raises(tf.errors.NotFoundError, match=f"The {key} could not be found in the graph"):
            signature_defs.load_op_from_signature_def(signature, key, scope)
    assert list(signature.outputs) == ["k"]


# --- SignatureDef ----------------------------------------------------------------------------------------------------


def test_kinds() -> None:
    text, numbers = tf.placeholder(tf.string, [None], "t"), tf.placeholder(tf.float32, name="n")
    predict = sm.predict_signature_def({"a": numbers}, {"b": text})
    assert predict.method_name == sm.PREDICT_METHOD_NAME == "tensorflow/serving/predict"
    assert predict.inputs["a"].name == "n:0" and predict.outputs["b"].name == "t:0"
    regress = sm.signature_def_utils.regression_signature_def(text, numbers)
    assert regress.method_name == sm.REGRESS_METHOD_NAME
    assert (list(regress.inputs), list(regress.outputs)) == (["inputs"], ["outputs"])
    classify = sm.classification_signature_def(text, text, numbers)
    assert classify.method_name == sm.CLASSIFY_METHOD_NAME
    assert (list(classify.inputs), sorted(classify.outputs)) == (["inputs"], ["classes", "scores"])
    train = signature_defs.supervised_train_signature_def({"x": text}, {"loss": numbers}, None, {"m": numbers})
    assert train.method_name == "tensorflow/supervised/training" and sorted(train.outputs) == ["loss", "m"]
    test = signature_defs.supervised_eval_signature_def({"x": text}, None)
    assert test.method_name == "tensorflow/supervised/eval" and not test.outputs
    assert sm.build_signature_def() == proto.SignatureDef()
    for signature in (predict, regress, classify, sm.classification_signature_def(text, None, numbers)):
        assert sm.is_valid_signature(signature)


def test_errors() -> None:
    text, numbers = tf.placeholder(tf.string, [None], "t"), tf.placeholder(tf.float32, name="n")
    regress, classify, predict = sm.regression_signature_def, sm.classification_signature_def, sm.predict_signature_def
    for message, function, arguments in (
        ("Regression examples cannot be None", regress, (None, numbers)),
        ("Regression examples must be a string Tensor", regress, (numbers, numbers)),
        ("Regression examples must be a string Tensor", regress, ("text", numbers)),
        ("Regression predictions cannot be None", regress, (text, None)),
        ("Regression output must be a float Tensor", regress, (text, text)),
        ("Classification examples cannot be None", classify, (None, text, numbers)),
        ("Classification examples must be a string Tensor", classify, (numbers, text, numbers)),
        ("Classification classes and scores cannot both be None", classify, (text, None, None)),
        ("Classification classes must be a string Tensor", classify, (text, numbers, numbers)),
        ("Classification scores must be a float Tensor", classify, (text, text, text)),
        ("Prediction inputs cannot be None or empty", predict, ({}, {"a": text})),
        ("Prediction outputs cannot be None or empty", predict, ({"a": text}, None)),
        ("supervised/eval inputs cannot be None", signature_defs.supervised_eval_signature_def, ({}, {"loss": text})),
    ):
        with pytest.raises(ValueError, match=message):
            function(*arguments)
    with pytest.raises(TypeError):
        sm.build_signature_def({"a": text})


def test_what_is_not_valid() -> None:
    text, number = info("t:0", proto.DT_STRING), info("n:0", proto.DT_FLOAT)
    predict, regress, classify = sm.PREDICT_METHOD_NAME, sm.REGRESS_METHOD_NAME, sm.CLASSIFY_METHOD_NAME
    assert not sm.is_valid_signature(None)
    for inputs, outputs, method in (
        ({}, {}, None),
        ({"a": text}, {}, predict),
        ({}, {"a": text}, predict),
        ({"a": text}, {"b": text}, "own/method"),
        ({"inputs": number}, {"outputs": number}, regress),
        ({"input": text}, {"outputs": number}, regress),
        ({"inputs": text, "x": text}, {"outputs": number}, regress),
        ({"inputs": text}, {"outputs": number, "x": number}, regress),
        ({"inputs": text}, {"classes": number}, classify),
        ({"inputs": text}, {"scores": text}, classify),
        ({"inputs": text}, {"classes": text, "x": number}, classify),
        ({"inputs": text}, {}, classify),
    ):
        assert not sm.is_valid_signature(sm.build_signature_def(inputs, outputs, method)), (inputs, outputs, method)


# --- Names -----------------------------------------------------------------------------------------------------------


def test_constants() -> None:
    assert sm.SERVING == sm.tag_constants.SERVING == "serve"
    assert sm.constants.SAVED_MODEL_SCHEMA_VERSION == 1
    assert sm.DEFAULT_SERVING_SIGNATURE_DEF_KEY == sm.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    assert sm.MAIN_OP_KEY == sm.constants.MAIN_OP_KEY == "saved_model_main_op"


def test_main_operations() -> None:
    v = tf.Variable(3.0, name="v")
    op = sm.main_op.main_op()
    assert [item.name for item in op.control_inputs] == ["init", "init_1", "init_all_tables"]
    both = sm.main_op_with_restore(tf.assign(v, 7.0).op)
    with tf.Session() as session:
        session.run(op)
        assert session.run(v) == 3.0
        session.run(both)
        assert session.run(v) in (3.0, 7.0)  # nothing orders the two
