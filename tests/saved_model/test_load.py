"""`tf.saved_model.load`: models of TensorFlow 2.21 and 1.15.5, functions that suit no call, and hostile files."""
from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import millstream as tf
from millstream.io import proto
from millstream.saved_model.load import load_v2

DATA = Path(__file__).parent / "data"
TWO = DATA / "tensorflow2"
W = np.float32([[1, 2], [3, 4]])


@pytest.fixture
def objects() -> Any:
    return tf.saved_model.load(TWO / "objects")


@pytest.fixture
def gradients() -> Any:
    return tf.saved_model.load(TWO / "gradients")


@pytest.fixture
def changed(tmp_path: Path) -> Any:
    """Changes a model; gives its folder."""

    def change(edit: Any, name: str = "objects") -> Path:
        folder = tmp_path / name
        shutil.copytree(TWO / name, folder)
        path = folder / "saved_model.pb"
        message = proto.SavedModel.FromString(path.read_bytes())
        edit(message.meta_graphs[0])
        path.write_bytes(message.SerializeToString())
        return folder

    return change


# --- Objects ---------------------------------------------------------------------------------------------------------


def test_attributes(objects):
    np.testing.assert_array_equal(objects.w, W)
    assert objects.w.trainable and not objects.calls.trainable
    assert objects.w.name == "w:0"
    assert objects.parts[1]["a"].numpy() == 2
    assert isinstance(objects.parts, list) and isinstance(objects.parts[1], dict)
    assert objects.pair[0].numpy() == 5  # what is not trackable is not saved
    assert len(objects.pair) == 1
    assert objects.tensorflow_version == "2.21.0"
    assert objects.graph_debug_info is None
    assert Path(objects.words.asset_path.numpy().decode()).read_text() == "words"
    assert not callable(objects.parts[0])


def test_traces(objects):
    x = np.ones([3, 2], np.float32)
    found = objects(tf.constant(x))
    np.testing.assert_allclose(found["y"], x @ W * 2 + 2)
    assert found["sum"].numpy() == 6
    np.testing.assert_allclose(objects(x[:1], scale=3.0)["y"], x[:1] @ W * 3 + 2)
    before = objects.calls.numpy()
    objects(tf.constant(x), True)
    objects(tf.constant(x), training=True)
    assert objects.calls.numpy() == before + 2


def test_arguments_of_all_kinds(objects):
    two = tf.constant(2)
    first, (others, rest) = objects.nest({"x": two, "y": [two]}, (3, 4), two, z=two)
    assert (first["x"].numpy(), first["y"][0].numpy(), rest[0].numpy(), others["z"].numpy()) == (2, 2, 2, 2)
    assert objects.nest(tf.Variable(7.0))[0].numpy() == 7
    sparse, rest = objects.nest(tf.SparseTensor([[0]], [5.0], [2]))
    np.testing.assert_array_equal(sparse.values, [5])
    assert rest == [{}, ()]


def test_results_of_all_kinds(objects):
    text, nothing = objects.path()
    assert text.numpy().decode() == str(TWO / "objects" / "assets" / "words.txt") + "!"
    assert nothing is None


def test_signatures(objects):
    assert sorted(objects.signatures) == ["double", "serving_default"]
    for given in ({"inp": [[1.0, 1.0]]}, {"inp": tf.ones([1, 2])}):
        np.testing.assert_allclose(objects.signatures["serving_default"](**given)["output_0"], [[4, 6]])
    np.testing.assert_allclose(objects.signatures["double"](tf.constant([1.0, 2.0]))["output_0"], [2, 4])
    assert str(objects.signatures).startswith("_SignatureMap({")
    assert "zz" not in objects.signatures
    np.testing.assert_allclose(objects.double([3.0]), [6])
    with pytest.raises(TypeError, match="missing the argument 'inp'"):
        objects.signatures["serving_default"]()


def test_inside_of_functions(objects):
    @tf.function
    def outer(x):
        return objects.serve(x) * 2.0

    np.testing.assert_allclose(outer(tf.ones([1, 2])), [[8, 12]])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(outer(tf.ones([1, 2])))
    np.testing.assert_allclose(tape.gradient(y, objects.w), 2 * np.ones([2, 2]))


def test_training_goes_on():
    model = tf.saved_model.load(TWO / "objects")
    x = tf.constant([[1.0, 2.0]])
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model.serve(x) ** 2.0)
        model.w.assign_sub(0.01 * tape.gradient(loss, model.w))
    w = W
    for _ in range(3):
        w = w - 0.01 * np.outer([1, 2], 2 * (np.float32([1, 2]) @ w))
    np.testing.assert_allclose(model.w, w, rtol=1e-5)


def test_functions_run_eagerly_too(objects):
    tf.config.run_functions_eagerly(True)
    try:
        np.testing.assert_allclose(objects.serve([[1.0, 1.0]]), [[4, 6]])
    finally:
        tf.config.run_functions_eagerly(False)


def test_concrete_functions(objects):
    trace = objects.serve.get_concrete_function()
    assert trace.captured_inputs[0] is objects.w.handle
    assert trace.variables == (objects.w,)
    assert objects.serve.input_signature == (tf.TensorSpec([None, 2], tf.float32, "inp"),)
    assert len(objects.__call__.concrete_functions) == 3
    assert objects.__call__.get_concrete_function(tf.TensorSpec([3, 2])).structured_outputs["sum"].shape == []


# --- Calls that suit no trace ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args, kwargs",
    [
        (lambda: [tf.ones([2, 2])], {}),
        (lambda: [np.ones([3, 2])], {}),
        (lambda: [tf.ones([3, 2])], {"scale": 4.0}),
        (lambda: [{"x": tf.ones([3, 2])}], {}),
        (lambda: [tf.ones([3, 2]), None], {}),
    ],
    ids=["shape", "dtype", "literal", "structure", "None"],
)
def test_no_trace_suits(objects, args, kwargs):
    message = (
        r"(?s)Could not find matching concrete function to call loaded from the SavedModel\. Got:\n  Positional "
        r"arguments \(2 total\):.* Expected these arguments to match one of the following 3 option\(s\):\n\nOption 1:\n"
        r"  Positional arguments \(2 total\):\n    \* TensorSpec\(shape=\(3, 2\), dtype=tf.float32, name='x'\)\n"
        r"    \* False\n  Keyword arguments: {'scale': 2.0}"
    )
    with pytest.raises(ValueError, match=message):
        objects(*args(), **kwargs)


def test_functions_without_traces(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x: x)
    tf.saved_model.save(module, tmp_path)
    with pytest.raises(ValueError, match="Found zero restored functions for caller function"):
        tf.saved_model.load(tmp_path).f(1)


def test_wrong_arguments(objects):
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        objects()
    with pytest.raises(TypeError, match="unexpected keyword argument 'bad'"):
        objects(tf.ones([3, 2]), bad=1)
    with pytest.raises(TypeError, match="Can not cast TensorSpec"):
        objects.serve(tf.ones([3]))


@pytest.mark.filterwarnings("ignore")
def test_what_is_not_known_is_left_out(caplog):
    """A trace of the recorded model takes a ragged tensor."""
    model = tf.saved_model.load(TWO / "functions")
    np.testing.assert_allclose(model.matmul([[1.0, 1.0]])["y"], [[4, 6]])
    assert model.nothing().numpy() == 1
    with pytest.raises(ValueError, match="'__inference_many_.*' of the SavedModel cannot be used.*RaggedTensorSpec"):
        model.many(3)


# --- Gradients -------------------------------------------------------------------------------------------------------


def test_gradients_of_their_own(gradients):
    for function in (gradients.custom, lambda x: tf.function(gradients.custom)(x)):
        with tf.GradientTape() as tape:
            x = tf.constant(3.0)
            tape.watch(x)
            y = function(x)
        np.testing.assert_allclose(y, np.exp(3.0) * 2, rtol=1e-6)
        np.testing.assert_allclose(tape.gradient(y, [x, gradients.v]), [np.exp(3.0) * 3, 7], rtol=1e-6)


def test_moving_averages_of_batch_normalisation():
    """The numbers are TensorFlow 2.21's."""
    model = tf.saved_model.load(TWO / "averages")
    x = np.float32([[1, 5], [2, 3], [6, 4]]).reshape(3, 1, 1, 2)
    y = model.train(x).numpy().reshape(3, 2)
    np.testing.assert_allclose(y, [[-0.9258102, 1.6123265], [-0.4629051, 0.3876735], [1.3887153, 1.0]], rtol=1e-5)
    assert model.mean.numpy().tolist() == [1.5, 2.5] and model.variance.numpy().tolist() == [4.0, 3.25]


def test_a_step_of_training_with_arrays(tmp_path):
    """The numbers are TensorFlow 2.21's; what is saved again goes on with them."""
    model = tf.saved_model.load(TWO / "training")
    x = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
    losses = [model.train(x).numpy() for _ in range(2)]
    tf.saved_model.save(model, tmp_path / "m")
    again = tf.saved_model.load(tmp_path / "m")
    losses.append(again.train(x).numpy())
    np.testing.assert_allclose(losses, [50.197502, 4.7386236, 3.010982], rtol=1e-5)
    np.testing.assert_allclose(again.w, 0.25287834, rtol=1e-5)


def test_gradients_of_loops(gradients):
    """Two turns: 4 x, then after adding v, 4 x more and v again."""
    with tf.GradientTape() as tape:
        x = tf.constant([1.0, 0.5])
        tape.watch(x)
        y = tf.reduce_sum(gradients.looped(x))
    np.testing.assert_allclose(y, 6 + 4 + 6 - 6 + 0.0)
    found = tape.gradient(y, [x, gradients.v])
    np.testing.assert_allclose(found[0], [4, 4])
    np.testing.assert_allclose(found[1], 2 * 2 * 1.5 + 2)


# --- Models of TensorFlow 1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["tensorflow1", "tensorflow2"])
def test_branches_of_1x(version):
    model = tf.saved_model.load(DATA / version / "branches", tags=["serve"])
    assert [variable.name for variable in model.variables] == ["w:0", "c:0"]
    assert [variable.trainable for variable in model.variables] == [True, False]
    serve, count = model.signatures["serving_default"], model.signatures["count"]
    np.testing.assert_allclose(serve(x=[[1.0, 1.0]])["z"], [[32, 48]])
    np.testing.assert_allclose(count(tf.ones([1, 2]))["z"], [[32, 48]])
    assert model.variables[1].numpy() == 1
    np.testing.assert_allclose(serve(tf.ones([1, 2]))["z"], [[39, 55]])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(serve(tf.ones([1, 2]))["z"])
    found = tape.gradient(y, list(model.variables))
    np.testing.assert_allclose(found[0], np.full([2, 2], 8))
    product = model.prune("x:0", {"p": "MatMul:0", "x": "x:0"})
    np.testing.assert_allclose(product(tf.ones([1, 2]))["p"], [[4, 6]])
    np.testing.assert_allclose(product(tf.ones([1, 2]))["x"], [[1, 1]])
    assert model.prune([], "AssignAddVariableOp")() is None
    assert model.variables[1].numpy() == 2
    assert "x" in [op.name for op in model.graph.get_operations()]


def test_assets_of_1x():
    folder = DATA / "tensorflow1" / "assets"
    model = tf.saved_model.load(folder, "serve")
    found = model.signatures["serving_default"](x=2.0)
    assert found["y"].numpy() == 24  # the main operation has added 10 to v
    assert found["p"].numpy().decode() == str(folder / "assets" / "words.txt")
    assert [asset.asset_path.numpy() for asset in model.asset_paths] == [found["p"].numpy(), found["q"].numpy()]


def test_sparse_signatures_of_1x():
    model = tf.saved_model.load(DATA / "tensorflow1" / "signatures")
    _, inputs = model.signatures["sparse"].structured_input_signature
    assert sorted(inputs) == ["sparse_dense_shape", "sparse_indices", "sparse_values"]


def test_tags():
    with pytest.raises(ValueError, match=r"requires a `tags=` argument.*2 MetaGraphs.*\['serve'\], \['train'\]"):
        tf.saved_model.load(DATA / "tensorflow1" / "branches")
    with pytest.raises(RuntimeError, match="MetaGraphDef associated with tags 'x' could not be found"):
        tf.saved_model.load(DATA / "tensorflow1" / "branches", tags="x")
    with pytest.raises(ValueError, match=r"incompatible argument to `tags`: \['x'\].*has one MetaGraph with tags"):
        tf.saved_model.load(TWO / "objects", tags=["x"])
    assert tf.saved_model.load(TWO / "objects", tags="serve").w.shape == [2, 2]


# --- Options ---------------------------------------------------------------------------------------------------------


def test_without_the_checkpoint():
    options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=True)
    model = tf.saved_model.load(TWO / "objects", options=options)
    with pytest.raises(tf.errors.FailedPreconditionError):
        model.w.read_value()
    model.w.assign(W)
    np.testing.assert_allclose(model.serve([[1.0, 1.0]]), [[4, 6]])


def test_a_value_is_missing(changed):
    def add(meta_graph):
        variable = meta_graph.object_graph_def.nodes.add().variable
        variable.dtype, variable.name = proto.DT_FLOAT, "new"
        root = meta_graph.object_graph_def.nodes[0]
        root.children.add(local_name="new", node_id=len(meta_graph.object_graph_def.nodes) - 1)

    folder = changed(add)
    with pytest.raises(tf.errors.NotFoundError, match="no value for the variable 'new'"):
        tf.saved_model.load(folder)
    options = tf.saved_model.LoadOptions(allow_partial_checkpoint=True)
    model = tf.saved_model.load(folder, options=options)
    np.testing.assert_array_equal(model.w, W)
    model.new.assign(2.0)


# --- Hostile files ---------------------------------------------------------------------------------------------------


def test_no_model(tmp_path):
    with pytest.raises(OSError, match=r"SavedModel file does not exist at: .*{saved_model.pbtxt\|saved_model.pb}"):
        tf.saved_model.load(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xfegarbage")
    with pytest.raises(OSError, match="Cannot parse file"):
        tf.saved_model.load(tmp_path)


class Edit(NamedTuple):
    """A change of the recorded model, and what is said about it."""

    name: str
    change: Any
    message: str


def _node(meta_graph: Any, kind: str) -> Any:
    return next(node for node in meta_graph.object_graph_def.nodes if node.HasField(kind))


def _trace(meta_graph: Any) -> Any:
    functions = meta_graph.object_graph_def.concrete_functions
    return functions[next(name for name in sorted(functions) if "serve" in name)]


def _tuple_in_itself(meta_graph: Any) -> None:
    nodes = meta_graph.object_graph_def.nodes
    index = next(i for i, node in enumerate(nodes) if node.user_object.identifier == "trackable_tuple_wrapper")
    nodes[index].children.add(local_name="1", node_id=index)


EDITS = [
    Edit("empty", lambda m: m.object_graph_def.ClearField("nodes"), "no objects"),
    Edit("child", lambda m: m.object_graph_def.nodes[0].children.add(local_name="x", node_id=99), "99, to which an"),
    Edit("negative child", lambda m: m.object_graph_def.nodes[0].children.add(local_name="x", node_id=-1), "-1, to"),
    Edit("nameless child", lambda m: m.object_graph_def.nodes[0].children.add(node_id=1), "no name"),
    Edit("bound input", lambda m: _trace(m).bound_inputs.append(1000), "1000, to which function"),
    Edit("bound object", lambda m: _trace(m).bound_inputs.append(0), "uses object 0, which is no tensor"),
    Edit("too many inputs", lambda m: _trace(m).bound_inputs.append(1), "arguments of other dtypes"),
    Edit("too few inputs", lambda m: _trace(m).ClearField("bound_inputs"), "arguments of other dtypes"),
    Edit("arguments", lambda m: _trace(m).canonicalized_input_signature.none_value.SetInParent(), "are no arguments"),
    Edit("other results", lambda m: _trace(m).output_signature.none_value.SetInParent(), "gives 1 tensors of other"),
    Edit("no such function", lambda m: _node(m, "function").function.concrete_functions.append("f"), "'f'"),
    Edit("no library", lambda m: m.graph_def.ClearField("library"), "is not in the library"),
    Edit("no signature", lambda m: _node(m, "function").function.ClearField("function_spec"), "no value"),
    Edit("constant", lambda m: setattr(_node(m, "constant").constant, "operation", "x"), "no constant 'x'"),
    Edit("asset index", lambda m: setattr(_node(m, "asset").asset, "asset_file_def_index", 7), "7 of the SavedModel"),
    Edit("list index", lambda m: _list_child(m, "10000000000"), "no position"),
    Edit("list name", lambda m: _list_child(m, "x"), "no position"),
    Edit("tuple in itself", _tuple_in_itself, "contains itself"),
    Edit("dtype", lambda m: setattr(_node(m, "variable").variable, "dtype", 77), "dtype 77"),
]


def _list_child(meta_graph: Any, name: str) -> None:
    nodes = meta_graph.object_graph_def.nodes
    node = next(node for node in nodes if node.user_object.identifier == "trackable_list_wrapper")
    node.children.add(local_name=name, node_id=1)


@pytest.mark.parametrize("edit", EDITS, ids=[edit.name for edit in EDITS])
def test_malformed_objects(changed, edit):
    with pytest.raises(ValueError, match=edit.message):
        tf.saved_model.load(changed(edit.change))


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x", "a/../../x", "", "a\0b"])
def test_assets_stay_in_the_folder(changed, name):
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in its folder"):
        tf.saved_model.load(changed(lambda m: setattr(m.asset_file_def[0], "filename", name)))


def test_absurd_shapes(changed):
    def grow(meta_graph):
        variable = _node(meta_graph, "variable").variable
        variable.shape.dim[0].size = 10**12

    with pytest.raises(tf.errors.InvalidArgumentError, match="in the checkpoint"):
        tf.saved_model.load(changed(grow))


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("main:1", tf.errors.InvalidArgumentError, "exists but only has 0 outputs"),
        ("none:0", ValueError, "graph has no 'none:0'"),
    ],
)
def test_what_signatures_of_1x_lack(tmp_path, name, error, said):
    folder = tmp_path / "model"
    shutil.copytree(DATA / "tensorflow1" / "simple", folder)
    path = folder / "saved_model.pb"
    message = proto.SavedModel.FromString(path.read_bytes())
    graph = message.meta_graphs[0]
    graph.graph_def.node.add(name="main", op="NoOp")
    next(iter(graph.signature_def.values())).outputs["extra"].name = name
    path.write_bytes(message.SerializeToString())
    with pytest.raises(error, match=f"^{folder}: .*{said}"):
        tf.saved_model.load(folder)


def test_python_code_is_refused(changed):
    def add(meta_graph):
        function = next(f for f in meta_graph.graph_def.library.function if "serve" in f.signature.name)
        node = function.node_def.add(name="evil", op="PyFunc")
        node.attr["token"].s = b"pyfunc_0"
        for key in ("Tin", "Tout"):
            node.attr[key].list.SetInParent()

    with pytest.raises(tf.errors.PermissionDeniedError, match="runs Python code"):
        tf.saved_model.load(changed(add))


def test_names_of_the_class_stay(changed):
    """Children may have any name, but hide no attribute of the class."""

    def add(meta_graph):
        for name in ("__class__", "_tracking", "_track_trackable", "__dict__"):
            meta_graph.object_graph_def.nodes[0].children.add(local_name=name, node_id=1)

    model = tf.saved_model.load(changed(add))
    np.testing.assert_array_equal(model.w, W)
    assert callable(model._track_trackable)


def test_a_damaged_checkpoint(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(TWO / "objects", folder)
    data = folder / "variables" / "variables.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[1] ^= 1
    data.write_bytes(bytes(content))
    with pytest.raises(tf.errors.DataLossError):
        tf.saved_model.load(folder)
    shutil.rmtree(folder / "variables")
    with pytest.raises(tf.errors.NotFoundError):
        tf.saved_model.load(folder)


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bytes(tmp_path, seed):
    """A model in which some bytes are others loads, or gives one of these errors; it neither hangs nor crashes."""
    folder = tmp_path / "model"
    shutil.copytree(TWO / "gradients", folder)
    content = bytearray((folder / "saved_model.pb").read_bytes())
    generator = np.random.default_rng(seed)
    for place in generator.integers(0, len(content), 5):
        content[place] ^= int(generator.integers(1, 256))
    (folder / "saved_model.pb").write_bytes(bytes(content))
    try:
        tf.saved_model.load(folder)
    except (OSError, ValueError, tf.errors.OpError) as error:
        assert str(folder) in str(error)


def test_in_graphs():
    """The variables of the model are variables of the graph, and so get their values."""
    import millstream.v1 as tf1

    with tf1.Graph().as_default(), tf1.Session() as session:
        model = load_v2(TWO / "objects")
        y = model.serve(tf1.constant([[1.0, 1.0]]))
        session.run(tf1.global_variables_initializer())
        np.testing.assert_allclose(session.run(y), [[4, 6]])
        np.testing.assert_array_equal(session.run(model.w), W)
