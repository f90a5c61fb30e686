"""`tf.saved_model.save`: what is in the files, what comes back, and what TensorFlow makes of it."""
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import run_in

import millstream as tf
import millstream.v1 as tf1
from millstream.io import proto
from millstream.io.bundle_reader import BundleReader
from millstream.saved_model.structure_codec import NotEncodableError

X = np.float32([[1, 2], [3, 4], [5, 6]])
FILES = ["fingerprint.pb", "saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"]


class Model(tf.Module):
    """Variables, containers, an asset, a constant, and functions of many kinds."""

    def __init__(self, words: Path) -> None:
        super().__init__()
        self.w = tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="w")
        self.calls = tf.Variable(0, trainable=False, name="calls")
        self.parts = [tf.Module(), {"a": tf.Variable(2.0)}]
        self.pair = (tf.Variable(5.0), 6)
        self.factors = tf.constant(np.arange(200, dtype=np.float32))
        self.words = tf.saved_model.Asset(words)
        self.double = tf.function(lambda x: x * 2.0).get_concrete_function(tf.TensorSpec([None]))

    @tf.function
    def __call__(self, x: Any, training: bool = False, *, scale: float = 2.0) -> Any:
        if training:
            self.calls.assign_add(1)
        return {"y": x @ self.w * scale + self.parts[1]["a"], "sum": tf.reduce_sum(self.factors)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="inp")])
    def serve(self, x: Any) -> Any:
        return x @ self.w

    @tf.function(input_signature=[tf.TensorSpec([])])
    def raised(self, x: Any, power: float = 3.0) -> Any:
        return x**power

    @tf.function
    def path(self) -> Any:
        return tf.strings.join([self.words.asset_path, "!"]), None

    @tf.function
    def nest(self, a: Any, b: Any = (1, 2), *args: Any, **others: Any) -> Any:
        return a, [others, args]

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def looped(self, x: Any) -> Any:
        total = tf.zeros_like(x)
        while tf.reduce_sum(total) < 10.0:
            total += x * self.parts[1]["a"]
            if tf.reduce_sum(total) > 5.0:
                total = total + 1.0
        return total

    @tf.function(input_signature=[tf.TensorSpec([])])
    def custom(self, x: Any) -> Any:
        @tf.custom_gradient
        def cubed(x: Any) -> Any:
            y = tf.exp(x)
            return x * x * x, lambda dy: dy * y

        return cubed(x)

    @tf.function
    def any_object(self, x: Any, thing: Any) -> Any:
        return x


def build(tmp_path: Path, with_variable_argument: bool = True) -> Model:
    """The model with its traces; no file holds those for variables before 2.x."""
    words = tmp_path / "words.txt"
    words.write_text("words")
    model = Model(words)
    model(X)
    model(X, True)
    model(X[:1], scale=3.0)
    model.any_object(tf.constant(1.0), object())
    model.any_object(tf.constant(1.0), 2)
    two = tf.constant(2)
    model.nest({"x": two, "y": [two]}, (3, 4), two, z=two)
    model.nest(tf.SparseTensor([[0]], [1.0], [2]))
    if with_variable_argument:
        model.nest(tf.Variable(1.0))
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model, saved."""
    model = build(tmp_path)
    tf.saved_model.save(model, tmp_path / "model", {"serving_default": model.serve, "double": model.double})
    return tmp_path / "model"


def meta_graph(folder: Path) -> Any:
    return proto.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]


def facts(model: Any) -> dict[str, Any]:
    """What a model computes, and its gradients."""
    two = tf.constant(2)
    found = {
        "call": model(X)["y"], "sum": model(X)["sum"], "scaled": model(X[:1], scale=3.0)["y"], "serve": model.serve(X),
        "raised": model.raised(2.0), "double": model.double([1.0, 2.0]), "looped": model.looped([1.0, 2.0]),
        "nest": model.nest({"x": two, "y": [two]}, (3, 4), two, z=tf.constant(5))[1][0]["z"],
        "sparse": model.nest(tf.SparseTensor([[0]], [7.0], [2]))[0].values,
        "literal": model.any_object(tf.constant(1.0), 2),
    }  # fmt: skip
    with tf.GradientTape() as tape:
        x = tf.constant(3.0)
        tape.watch(x)
        found["custom"] = model.custom(x)
    found["of_custom"] = tape.gradient(found["custom"], x)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(model(X)["y"]) + tf.reduce_sum(model.looped(tf.constant([1.0, 2.0])))
    found["of_w"], found["of_a"] = tape.gradient(y, [model.w, model.parts[1]["a"]])
    return {name: np.asarray(value).tolist() for name, value in found.items()}


# --- Round trips -----------------------------------------------------------------------------------------------------


def test_round_trip(tmp_path, folder):
    expected = facts(build(tmp_path))
    model = tf.saved_model.load(folder)
    assert facts(model) == expected
    assert model.path()[0].numpy().decode() == f"{folder}/assets/words.txt!"
    assert model.calls.numpy() == 1 and not model.calls.trainable
    assert model.pair[0].numpy() == 5
    assert model.nest(tf.Variable(3.0))[0].numpy() == 3


def test_saved_again(tmp_path, folder):
    """What was loaded is saved again with what has become of it."""
    model = tf.saved_model.load(folder)
    expected = facts(model)
    model.w.assign_add(tf.ones([2, 2]))
    model.new = tf.Variable(8.0)
    tf.saved_model.save(model, tmp_path / "again")
    again = tf.saved_model.load(tmp_path / "again")
    assert again.new.numpy() == 8
    np.testing.assert_array_equal(again.w, model.w)
    again.w.assign_sub(tf.ones([2, 2]))
    assert facts(again) == expected
    assert (tmp_path / "again" / "assets" / "words.txt").read_text() == "words"


def test_equal_parts(tmp_path, folder):
    """Saving twice gives the same variables and signatures."""
    model = tf.saved_model.load(folder)
    for name in "ab":
        tf.saved_model.save(model, tmp_path / name)
    first, second = (tf.saved_model.experimental.read_fingerprint(tmp_path / name) for name in "ab")
    assert first.checkpoint_hash == second.checkpoint_hash
    assert first.signature_def_hash == second.signature_def_hash
    assert first == tf.saved_model.experimental.read_fingerprint(tmp_path / "a") != second


def test_other_roots(tmp_path):
    v = tf.Variable(2.0)
    tf.saved_model.save(v, tmp_path / "variable")
    assert tf.saved_model.load(tmp_path / "variable").numpy() == 2
    empty = tf.Module()
    tf.saved_model.save(empty, tmp_path / "empty")
    assert not tf.saved_model.load(tmp_path / "empty").signatures


def test_functions_in_containers(tmp_path):
    module = tf.Module()
    module.functions = {"one": tf.function(lambda: tf.constant(1)), "list": [tf.function(lambda x: x + 1)]}
    module.functions["list"][0](tf.constant(2))
    tf.saved_model.save(module, tmp_path / "m")
    loaded = tf.saved_model.load(tmp_path / "m")
    assert loaded.functions["one"]().numpy() == 1
    assert loaded.functions["list"][0](4).numpy() == 5


def test_static_methods_and_methods_that_the_object_hides(tmp_path):
    class Methods(tf.Module):
        @staticmethod
        @tf.function(input_signature=[tf.TensorSpec([])])
        def static(x):
            return x + 5.0

        @tf.function(input_signature=[])
        def hidden(self):
            return 1

    module = Methods()
    module.hidden = None
    tf.saved_model.save(module, tmp_path / "m")
    loaded = tf.saved_model.load(tmp_path / "m")
    assert loaded.static(1.0).numpy() == 6.0
    assert not hasattr(loaded, "hidden")


def test_parts_of_arguments_in_signatures(tmp_path):
    """Signatures call each part by the argument's name; the specs of traces say where it stands."""

    class Parts(tf.Module):
        @tf.function(input_signature=[[tf.TensorSpec([]), {"b": tf.TensorSpec([])}], tf.SparseTensorSpec([None])])
        def f(self, xs, sparse):
            return {"sum": xs[0] + xs[1]["b"] + tf.reduce_sum(sparse.values)}

    tf.saved_model.save(Parts(), tmp_path / "m")
    loaded = tf.saved_model.load(tmp_path / "m")
    serve = loaded.signatures["serving_default"]
    names = ["sparse", "sparse_1", "sparse_2", "xs", "xs_1"]
    assert sorted(serve.structured_input_signature[1]) == names
    assert serve.structured_outputs == {"sum": tf.TensorSpec([], tf.float32, "sum")}
    values = {"xs": 1.0, "xs_1": 2.0, "sparse": [[0]], "sparse_1": [4.0], "sparse_2": [1]}
    dtypes = {"sparse": tf.int64, "sparse_2": tf.int64}
    assert serve(**{name: tf.constant(x, dtypes.get(name)) for name, x in values.items()})["sum"].numpy() == 7.0
    (first, sparse), _ = loaded.f.get_concrete_function().structured_input_signature
    assert [first[0].name, first[1]["b"].name, sparse.shape.as_list()] == ["xs_0", "xs_1_b", [None]]


def test_training_goes_on(tmp_path):
    """An optimiser's slots are saved with it, and a step of training is a function."""
    module = tf.Module()
    module.v = tf.Variable([1.0, 2.0])
    module.optimizer = tf1.train.AdamOptimizer(0.1)

    @tf.function(input_signature=[tf.TensorSpec([2])])
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((module.v - x) ** 2.0)
        module.optimizer.apply_gradients([(tape.gradient(loss, module.v), module.v)])
        return loss

    module.step = step
    step([0.0, 0.0])
    tf.saved_model.save(module, tmp_path / "m")
    loaded = tf.saved_model.load(tmp_path / "m")
    for _ in range(3):
        np.testing.assert_array_equal(loaded.step([0.0, 0.0]), step([0.0, 0.0]))
    np.testing.assert_array_equal(loaded.v, module.v)


def test_random_numbers_go_on(tmp_path):
    module = tf.Module()
    module.generator = tf.random.Generator.from_seed(3)
    module.draw = tf.function(lambda: module.generator.normal([2]), input_signature=[])
    module.draw()
    tf.saved_model.save(module, tmp_path / "m")
    loaded = tf.saved_model.load(tmp_path / "m")
    for _ in range(2):
        np.testing.assert_array_equal(loaded.draw(), module.draw())


# --- What is in the files --------------------------------------------------------------------------------------------


def test_files(folder):
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == sorted([*FILES, "assets/words.txt"])
    assert tf.saved_model.contains_saved_model(folder)
    message = meta_graph(folder)
    assert list(message.meta_info_def.tags) == ["serve"]
    assert message.meta_info_def.tensorflow_version == "2.21.0"
    assert {op.name for op in message.meta_info_def.stripped_op_list.op} >= {"VarHandleOp", "MatMul", "While"}


def test_objects(folder):
    message = meta_graph(folder).object_graph_def
    root = message.nodes[0]
    names = [child.local_name for child in root.children]
    assert names == ["w", "calls", "parts", "pair", "words", "__call__", "any_object", "custom", "double", "looped",
                     "nest", "path", "raised", "serve", "signatures"]  # fmt: skip
    by_name = {child.local_name: message.nodes[child.node_id] for child in root.children}
    kinds = {name: node.WhichOneof("kind") for name, node in by_name.items()}
    assert kinds["w"] == "variable" and kinds["words"] == "asset" and kinds["double"] == "bare_concrete_function"
    assert by_name["parts"].user_object.identifier == "trackable_list_wrapper"
    assert by_name["pair"].user_object.identifier == "trackable_tuple_wrapper"
    assert by_name["signatures"].user_object.identifier == "signature_map"
    assert by_name["calls"].variable == proto.SavedVariable(dtype=proto.DT_INT32, shape={}, name="calls")
    assert len(by_name["__call__"].function.concrete_functions) == 3
    assert len(by_name["any_object"].function.concrete_functions) == 1  # the other one's arguments have no form
    traces = [message.concrete_functions[by_name[key].function.concrete_functions[0]] for key in ("serve", "raised")]
    serve, raised = (item.canonicalized_input_signature.tuple_value.values[0].tuple_value for item in traces)
    assert serve.values[0].tensor_spec_value.name == "inp"
    assert raised.values[1].float64_value == 3  # a default value
    assert list(traces[0].bound_inputs) == [1]


def test_checkpoint(folder):
    """It is one of objects, with the numbers and names of those of the model."""
    with BundleReader(str(folder / "variables" / "variables")) as reader:
        names = [entry.name for entry in reader.entries()]
        graph = proto.TrackableObjectGraph.FromString(reader.read("_CHECKPOINTABLE_OBJECT_GRAPH").item())
        np.testing.assert_array_equal(reader.read("w/.ATTRIBUTES/VARIABLE_VALUE"), [[1, 2], [3, 4]])
    assert names == ["_CHECKPOINTABLE_OBJECT_GRAPH", "calls/.ATTRIBUTES/VARIABLE_VALUE",
                     "pair/0/.ATTRIBUTES/VARIABLE_VALUE", "parts/1/a/.ATTRIBUTES/VARIABLE_VALUE",
                     "w/.ATTRIBUTES/VARIABLE_VALUE"]  # fmt: skip
    saved = meta_graph(folder).object_graph_def.nodes
    assert [[*node.children] for node in graph.nodes] == [[*node.children] for node in saved[: len(graph.nodes)]]


def test_signatures(folder):
    message = meta_graph(folder)
    signature = message.signature_def["serving_default"]
    assert signature.inputs["inp"].name == "serving_default_inp:0"
    assert signature.outputs["output_0"].name.startswith("StatefulPartitionedCall")
    assert signature.method_name == "tensorflow/serving/predict"
    assert [dim.size for dim in signature.inputs["inp"].tensor_shape.dim] == [-1, 2]
    assert message.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name == "NoOp"
    assert message.saver_def.filename_tensor_name == "saver_filename:0"
    nodes = {node.name: node for node in message.graph_def.node}
    assert nodes["w"].op == "VarHandleOp"
    assert nodes[message.saver_def.restore_op_name].op == "StatefulPartitionedCall"


def test_as_in_1x(folder):
    """The graph part: variables, signatures, saving and restoring."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        message = tf1.saved_model.load(session, ["serve"], str(folder))
        signature = message.signature_def["serving_default"]
        found = session.run(signature.outputs["output_0"].name, {signature.inputs["inp"].name: X})
        np.testing.assert_allclose(found, X @ [[1, 2], [3, 4]])


# --- Signatures ------------------------------------------------------------------------------------------------------


def test_the_default_signature(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([2], name="x")])
    module.nested = tf.function(lambda x: [x, (x,)], input_signature=[tf.TensorSpec([])])  # cannot be one
    module.without = tf.function(lambda x: x)
    tf.saved_model.save(module, tmp_path / "one")
    assert list(tf.saved_model.load(tmp_path / "one").signatures) == ["serving_default"]
    module.g = tf.function(lambda: tf.constant(1))
    tf.saved_model.save(module, tmp_path / "two")  # which one is not clear
    assert not tf.saved_model.load(tmp_path / "two").signatures


@pytest.mark.parametrize(
    "result, names",
    [
        (lambda x: x, ["output_0"]),
        (lambda x: (x, x + 1), ["output_0", "output_1"]),
        (lambda x: [x], ["output_0"]),
        (lambda x: {"b": x, "a": x}, ["a", "b"]),
    ],
)
def test_outputs_have_names(tmp_path, result, names):
    module = tf.Module()
    function = tf.function(result, input_signature=[tf.TensorSpec([])])
    tf.saved_model.save(module, tmp_path / "m", signatures=function)
    assert sorted(tf.saved_model.load(tmp_path / "m").signatures["serving_default"](tf.constant(1.0))) == names


def test_what_is_no_signature(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x: x)

    def save(signatures):
        tf.saved_model.save(module, tmp_path / "m", signatures)

    for signatures in (3, {"a": 3}, module.f, {"a": module.f}):
        with pytest.raises(ValueError, match="Expected a TensorFlow function for which to generate a signature"):
            save(signatures)
    with pytest.raises(ValueError, match="must be a string"):
        save({1: tf.function(lambda: tf.constant(1))})
    with pytest.raises(ValueError, match="Got a non-Tensor value .* for key 'output_1'"):
        save(tf.function(lambda: [tf.constant(1), (tf.constant(1),)]))
    with pytest.raises(ValueError, match="non-string key 1"):
        save(tf.function(lambda: {1: tf.constant(1)}))


# --- What cannot be saved --------------------------------------------------------------------------------------------


def test_what_is_not_trackable(tmp_path):
    with pytest.raises(ValueError, match="Expected an object of type `Trackable`.* Got 3"):
        tf.saved_model.save(3, tmp_path / "m")


def test_variables_that_are_not_tracked(tmp_path):
    outer = tf.Variable(1.0)
    module = tf.Module()
    module.f = tf.function(lambda: outer * 2.0)
    with pytest.raises(AssertionError, match="(?s)references an 'untracked' resource.*Function name = __inference_"):
        tf.saved_model.save(module, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_defaults_without_a_form(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x, kind=object: x)
    with pytest.raises(NotEncodableError, match="<class 'object'>"):
        tf.saved_model.save(module, tmp_path / "m")


def test_inside_of_a_function(tmp_path):
    @tf.function(autograph=False)
    def save():
        tf.saved_model.save(tf.Module(), tmp_path / "m")

    with pytest.raises(AssertionError, match="not supported inside a traced @tf.function"):
        save()


def test_variables_of_graphs(tmp_path):
    with tf1.Graph().as_default():
        module = tf.Module()
        module.v = tf1.get_variable("v", initializer=1.0, use_resource=True)
        with pytest.raises(ValueError, match="variable of a graph"):
            tf1.saved_model.save(module, tmp_path / "m")


def test_saving_within_a_graph(tmp_path):
    module = tf.Module()
    module.v = tf.Variable(2.0)
    module.f = tf.function(lambda x: x * module.v, input_signature=[tf.TensorSpec([])])
    with tf.Graph().as_default():
        tf.saved_model.save(module, tmp_path / "m")
    assert tf.saved_model.load(tmp_path / "m").f(3.0).numpy() == 6.0


def test_names_of_specs_are_those_of_the_signature(tmp_path):
    """A trace that was made before, for another name, does not stand for it."""
    module = tf.Module()
    module.f = tf.function(lambda x: x + 1.0)
    module.f.get_concrete_function(tf.TensorSpec([]))
    named = module.f.get_concrete_function(tf.TensorSpec([], name="inp"))
    tf.saved_model.save(module, tmp_path / "m", {"a": named})
    found = tf.saved_model.load(tmp_path / "m").signatures["a"](inp=tf.constant(2.0))
    assert {name: value.numpy() for name, value in found.items()} == {"output_0": 3.0}


def test_the_name_of_the_signatures(tmp_path):
    module = tf.Module()
    module.signatures = [tf.Variable(1.0)]
    with pytest.raises(ValueError, match="has an attribute named 'signatures'"):
        tf.saved_model.save(module, tmp_path / "m")


def test_failed_saves_leave_the_model(folder):
    """The file that makes the folder a model is written last."""
    content = (folder / "saved_model.pb").read_bytes()
    module = tf.Module()
    module.words = tf.saved_model.Asset("does not exist")
    with pytest.raises(tf.errors.NotFoundError):
        tf.saved_model.save(module, folder)
    assert (folder / "saved_model.pb").read_bytes() == content


def test_operations_that_tensorflow_does_not_have(tmp_path, caplog):
    module = tf.Module()
    module.f = tf.function(lambda x: tf.vectorized_map(lambda row: row * 2.0, x), input_signature=[tf.TensorSpec([2])])
    tf.saved_model.save(module, tmp_path / "m")
    assert "TensorFlow cannot load this model: the function __inference_" in caplog.text
    assert "MapRows" in caplog.text
    np.testing.assert_array_equal(tf.saved_model.load(tmp_path / "m").f([1.0, 2.0]), [2, 4])


# --- Options ---------------------------------------------------------------------------------------------------------


def test_aliases_and_tags(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x: x * 2, input_signature=[tf.TensorSpec([])])
    options = tf.saved_model.SaveOptions(function_aliases={"twice": module.f}, extra_tags=["mine"])
    tf.saved_model.save(module, tmp_path / "m", options=options)
    loading = tf.saved_model.LoadOptions(experimental_load_function_aliases=True)
    loaded = tf.saved_model.load(tmp_path / "m", tags=["mine", "serve"], options=loading)
    assert loaded.function_aliases["twice"](4.0).numpy() == 8


def test_without_a_saver_and_gradients(tmp_path):
    module = tf.Module()
    module.f = tf.function(tf.custom_gradient(lambda x: (x, lambda dy: dy * 5.0)), input_signature=[tf.TensorSpec([])])
    options = tf.saved_model.SaveOptions(experimental_skip_saver=True, experimental_custom_gradients=False)
    tf.saved_model.save(module, tmp_path / "m", options=options)
    assert not meta_graph(tmp_path / "m").HasField("saver_def")
    loaded = tf.saved_model.load(tmp_path / "m")
    with tf.GradientTape() as tape:
        x = tf.constant(1.0)
        tape.watch(x)
        y = loaded.f(x)
    with pytest.raises(LookupError, match="No gradient defined"):
        tape.gradient(y, x)


def test_policies():
    policy = tf.saved_model.experimental.VariablePolicy
    assert policy.from_obj(None) is policy.NONE
    assert policy.from_obj("SAVE_VARIABLE_DEVICES") is policy.SAVE_VARIABLE_DEVICES
    for wrong in ("x", 3):
        with pytest.raises(ValueError, match=f"Received invalid VariablePolicy value: {wrong}."):
            policy.from_obj(wrong)
    with pytest.raises(TypeError, match="`namespace_whitelist` must be a list of strings"):
        tf.saved_model.SaveOptions(namespace_whitelist="abc")
    with pytest.raises(ValueError, match="Whitelisted namespace must be a string. Got: 1"):
        tf.saved_model.SaveOptions(namespace_whitelist=[1])


def test_fingerprints(tmp_path, folder):
    found = tf.saved_model.experimental.read_fingerprint(folder)
    assert found.version.producer == 4
    assert str(found).startswith("SavedModel Fingerprint\n  saved_model_checksum: ")
    assert repr(found).startswith(f"Fingerprint({found.saved_model_checksum}, ")
    with pytest.raises(FileNotFoundError, match="Could not find fingerprint in directory"):
        tf.saved_model.experimental.read_fingerprint(tmp_path)
    (tmp_path / "fingerprint.pb").write_bytes(b"\xff")
    with pytest.raises(RuntimeError, match="is no fingerprint"):
        tf.saved_model.experimental.read_fingerprint(tmp_path)
    with pytest.raises(ValueError, match="signature_def_hash: None"):
        tf.saved_model.experimental.Fingerprint(1, 2, None, 4).singleprint()


def test_resources():
    with pytest.raises(NotImplementedError, match="_create_resource not implemented"):
        tf.saved_model.experimental.TrackableResource().resource_handle  # noqa: B018


# --- TensorFlow ------------------------------------------------------------------------------------------------------

_COMPUTE = """
import json, sys
import numpy as np, tensorflow as tf
is_1 = tf.__version__.startswith("1.")
if is_1:
    from tensorflow.python.ops import cond_v2, while_v2  # which register gradients
    tf.enable_eager_execution()
model = (tf.saved_model.load_v2 if is_1 else tf.saved_model.load)(sys.argv[1])
X = np.float32([[1, 2], [3, 4], [5, 6]])
two = tf.constant(2)
found = {
    "call": model(X, scale=2.0)["y"], "sum": model(X, scale=2.0)["sum"], "scaled": model(X[:1], scale=3.0)["y"],
    "serve": model.serve(X), "double": model.double(tf.constant([1.0, 2.0])), "looped": model.looped([1.0, 2.0]),
    "nest": model.nest({"x": two, "y": [two]}, (3, 4), two, z=tf.constant(5))[1][0]["z"],
    "sparse": model.nest(tf.SparseTensor([[0]], [7.0], [2]))[0].values,
    "literal": model.any_object(tf.constant(1.0), 2),
}
x = tf.constant(3.0)
found["custom"] = model.custom(x)
if not is_1:  # it reads neither gradients nor default values
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model.custom(x)
    found["of_custom"] = tape.gradient(y, x)
    found["raised"] = model.raised(2.0)
with tf.GradientTape() as tape:
    y = tf.reduce_sum(model(X, scale=2.0)["y"]) + tf.reduce_sum(model.looped(tf.constant([1.0, 2.0])))
found["of_w"], found["of_a"] = tape.gradient(y, [model.w, model.parts[1]["a"]])
assert model.path()[0].numpy().decode() == sys.argv[1] + "/assets/words.txt!"
assert model.calls.numpy() == 1 and not model.calls.trainable
serve = model.signatures["serving_default"](inp=tf.constant(X))["output_0"]
np.testing.assert_allclose(serve, found["serve"])
if not is_1:
    tf.saved_model.save(model, sys.argv[2])
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    message = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1])
    signature = message.signature_def["serving_default"]
    run = session.run(signature.outputs["output_0"].name, {signature.inputs["inp"].name: X})
    np.testing.assert_allclose(run, found["serve"].numpy())
    saver = message.saver_def
    print(session.run(saver.save_tensor_name, {saver.filename_tensor_name: sys.argv[2] + "-copy"}), file=sys.stderr)
print(json.dumps({name: np.asarray(value).tolist() for name, value in found.items()}))
"""


@pytest.mark.parametrize("version", ["tf1", "tf2"])
def test_tensorflow_computes_the_same(tmp_path, version):
    model = build(tmp_path, with_variable_argument=False)
    folder = tmp_path / "model"
    save = tf1.saved_model.save if version == "tf1" else tf.saved_model.save
    save(model, folder, {"serving_default": model.serve})
    expected = facts(tf.saved_model.load(folder) if version == "tf2" else model)
    found = json.loads(run_in(version, _COMPUTE, folder, tmp_path / "again").splitlines()[-1])
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, err_msg=name)
    assert len(found) >= len(expected) - 2
    with BundleReader(str(tmp_path / "again-copy")) as reader:
        np.testing.assert_array_equal(reader.read("w/.ATTRIBUTES/VARIABLE_VALUE"), [[1, 2], [3, 4]])
    if version == "tf2":  # what TensorFlow loaded, trained and saved again
        assert facts(tf.saved_model.load(tmp_path / "again")) == expected
        shutil.rmtree(tmp_path / "again")


_SAVE_IN_1X = """
import sys
import tensorflow as tf
tf.enable_v2_behavior()
class Model(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
        self.parts = [tf.Variable(2.0), {"a": tf.Variable(3.0)}]
        self.factors = tf.constant([1.0, 2.0, 3.0])
    @tf.function
    def __call__(self, x, training=False, scale=2.0):
        return {"y": tf.matmul(x, self.w) * scale + self.parts[0], "sum": tf.reduce_sum(self.factors)}
    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="inp")])
    def serve(self, x, power=2):
        return tf.matmul(x, self.w)
    @tf.function(input_signature=[tf.TensorSpec([None])])
    def looped(self, x):
        turn = lambda total: [total + x * self.parts[0]]
        return tf.reshape(tf.while_loop(lambda y: tf.reduce_sum(y) < 10.0, turn, [tf.zeros_like(x)]), tf.shape(x))
model = Model()
model(tf.ones([3, 2]))
model(tf.ones([1, 2]), True, scale=3.0)
tf.saved_model.save(model, sys.argv[1], signatures=model.serve)
"""


def test_what_tensorflow_1_saved(tmp_path):
    run_in("tf1", _SAVE_IN_1X, tmp_path / "m")
    model = tf.saved_model.load(tmp_path / "m")
    w = np.float32([[1, 2], [3, 4]])
    np.testing.assert_allclose(model(X)["y"], X @ w * 2 + 2)
    np.testing.assert_allclose(model(X[:1], True, 3.0)["y"], X[:1] @ w * 3 + 2)
    np.testing.assert_allclose(model.serve(X), X @ w)
    np.testing.assert_allclose(model.signatures["serving_default"](inp=X)["output_0"], X @ w)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(model.looped([1.0, 2.0])) + tf.reduce_sum(model.serve(X))
    of_w, of_part = tape.gradient(y, [model.w, model.parts[0]])
    np.testing.assert_allclose(of_w, np.outer(X.sum(0), [1, 1]))
    assert of_part.numpy() == 6
    assert model.parts[1]["a"].numpy() == 3
