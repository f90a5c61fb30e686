"""Records SavedModels of real TensorFlow in `tests/saved_model/data/`, with what its `saved_model_cli` shows of them.

    python tools/record_saved_models.py      with the Python of an environment that has TensorFlow 1.15.5, or 2.21.0

Each version records its own folder, `tensorflow1` or `tensorflow2`. A model is a function that writes it to a folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow

tf = tensorflow.compat.v1
IS_2 = tensorflow.__version__.startswith("2.")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "tests", "saved_model", "data", "tensorflow2" if IS_2 else "tensorflow1")


# --- Models of 1.x ---------------------------------------------------------------------------------------------------


def simple(folder):
    """y = x w with w = [[1], [2]], saved by simple_save."""
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.get_variable("w", initializer=np.array([[1], [2]], np.float32), use_resource=False)
    y = tf.identity(tf.matmul(x, w), name="y")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.saved_model.simple_save(session, folder, {"x": x}, {"y": y})


def assets(folder):
    """Two graphs. When the first is loaded, it notes the paths of its assets and adds 10 to v, from 2."""
    os.makedirs("other")
    for path in ("words.txt", "other/words.txt"):
        with open(path, "w") as file:
            file.write(path + "\n")
    builder = tf.saved_model.Builder(folder)
    x, v = tf.placeholder(tf.float32, [], name="x"), tf.Variable(2.0, name="v", use_resource=False)
    y = tf.multiply(x, v, name="y")
    paths = [tf.constant("words.txt", name="a"), tf.constant("other/words.txt", name="b")]
    noted = [tf.Variable("", name=name, trainable=False, use_resource=False) for name in ("p", "q")]
    main_op = tf.group(
        tf.assign(noted[0], paths[0]), tf.assign(noted[1], paths[1]), tf.assign_add(v, 10.0), name="main"
    )
    signature = tf.saved_model.predict_signature_def({"x": x}, {"y": y, "p": noted[0], "q": noted[1]})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, assets_collection=paths, main_op=main_op
        )
    with tf.Graph().as_default():
        x, v = tf.placeholder(tf.float32, [], name="x"), tf.Variable(0.0, name="v", use_resource=False)
        tf.subtract(x, v, name="y")
        builder.add_meta_graph(["train", "gpu"], main_op=tf.assign_add(v, 1.0, name="up").op)
    builder.save()


def signatures(folder):
    """Signatures of all kinds, and a graph without variables."""
    examples, scores = tf.placeholder(tf.string, [None], name="examples"), tf.placeholder(tf.float32, name="scores")
    sparse = tf.SparseTensor(*(tf.placeholder(dtype, shape, name) for dtype, shape, name in (
        (tf.int64, [None, 2], "indices"), (tf.float32, [None], "values"), (tf.int64, [2], "shape"))))  # fmt: skip
    rows = tf.IndexedSlices(tf.placeholder(tf.float32, [3, 2], "rows"), tf.placeholder(tf.int32, [3], "where"))
    model = tf.saved_model
    builder = model.Builder(folder)
    with tf.Session() as session:
        builder.add_meta_graph_and_variables(session, ["serve"], {
            "regress": model.regression_signature_def(examples, scores),
            "classify": model.classification_signature_def(examples, examples, scores),
            "sparse": model.predict_signature_def({"sparse": sparse}, {"scores": scores}),
            "rows": model.predict_signature_def({"rows": rows}, {"scores": scores}),
            "empty": model.build_signature_def(),
        })  # fmt: skip
    builder.save()


# --- Models of 2.x ---------------------------------------------------------------------------------------------------


def functions(folder):
    """A module with functions of many kinds of arguments."""

    class Module(tensorflow.Module):
        def __init__(self):
            super().__init__()
            self.w = tensorflow.Variable([[1.0, 2.0], [3.0, 4.0]], name="w")

        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 2], name="x")])
        def matmul(self, x):
            return {"y": x @ self.w}

        @tensorflow.function
        def many(self, a, b=3, text="t", *, key=None, **others):
            return a

        @tensorflow.function
        def nothing(self):
            return tensorflow.constant(1)

    module = Module()
    one = tensorflow.constant(1)
    module.many([one, 2, "z", (1, "q")], {"k": "text", "l": [2.5]}, text='"')
    module.many(tensorflow.ragged.constant([[1], [2, 3]]), tensorflow.sparse.from_dense([1, 0]), key=one, more=one)
    module.nothing()
    tensorflow.saved_model.save(module, folder, signatures={"serving_default": module.matmul})


def objects(folder):
    """A module with containers, an asset, a constant, and functions that use them; one of them has several traces."""

    class Module(tensorflow.Module):
        def __init__(self):
            super().__init__()
            self.w = tensorflow.Variable([[1.0, 2.0], [3.0, 4.0]], name="w")
            self.calls = tensorflow.Variable(0, trainable=False, name="calls")
            self.parts = [tensorflow.Module(), {"a": tensorflow.Variable(2.0)}]
            self.pair = (tensorflow.Variable(5.0), 6)
            self.factors = tensorflow.constant([1.0, 2.0, 3.0])
            with open("words.txt", "w") as file:
                file.write("words")
            self.words = tensorflow.saved_model.Asset("words.txt")
            self.double = tensorflow.function(lambda x: x * 2.0).get_concrete_function(tensorflow.TensorSpec([None]))

        @tensorflow.function
        def __call__(self, x, training=False, *, scale=2.0):
            if training:
                self.calls.assign_add(1)
            return {"y": x @ self.w * scale + self.parts[1]["a"], "sum": tensorflow.reduce_sum(self.factors)}

        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 2], name="inp")])
        def serve(self, x):
            return x @ self.w

        @tensorflow.function
        def path(self):
            return tensorflow.strings.join([self.words.asset_path, "!"]), None

        @tensorflow.function
        def nest(self, a, b=(1, 2), *args, **others):
            return a, [others, args]

    module = Module()
    two = tensorflow.constant(2)
    module(tensorflow.ones([3, 2]))
    module(tensorflow.ones([3, 2]), True)
    module(tensorflow.ones([1, 2]), scale=3.0)
    module.path()
    module.nest({"x": two, "y": [two]}, (3, 4), two, z=two)
    module.nest(tensorflow.Variable(1.0))
    module.nest(tensorflow.sparse.from_dense([1.0, 0.0]))
    tensorflow.saved_model.save(module, folder, signatures={"serving_default": module.serve, "double": module.double})


def gradients(folder):
    """Functions with a gradient of their own, with loops and branches, and with calls of other functions."""
    module = tensorflow.Module()
    module.v = tensorflow.Variable(2.0)

    @tensorflow.custom_gradient
    def custom(x):
        y = tensorflow.exp(x)

        def grad(dy, variables):
            return dy * y * x, [dy * 7.0]

        return y * module.v, grad

    @tensorflow.function
    def inner(x):
        return x * module.v * module.v

    def looped(x):
        total = tensorflow.zeros_like(x)
        while tensorflow.reduce_sum(total) < 10.0:
            total += inner(x)
            if tensorflow.reduce_sum(total) > 5.0:
                total = total + module.v
        return total

    signature = [tensorflow.TensorSpec([])]
    module.custom = tensorflow.function(custom, input_signature=signature)
    module.looped = tensorflow.function(looped, input_signature=[tensorflow.TensorSpec([None])])
    tensorflow.saved_model.save(module, folder)


def averages(folder):
    """Batch normalisation as Keras writes it: the operation keeps the moving averages, which are then assigned."""
    ops, module = tensorflow.raw_ops, tensorflow.Module()
    module.mean, module.variance = tensorflow.Variable([1.0, 2.0]), tensorflow.Variable([3.0, 4.0])

    def train(x):
        found = ops.FusedBatchNormV3(
            x=x, scale=[1.0, 0.5], offset=[0.0, 1.0], mean=module.mean, variance=module.variance,
            exponential_avg_factor=0.25,
        )
        for variable, value in ((module.mean, found.batch_mean), (module.variance, found.batch_variance)):
            ops.AssignVariableOp(resource=variable.handle, value=value, validate_shape=True)
        return found.y

    module.train = tensorflow.function(train, input_signature=[tensorflow.TensorSpec([None, 1, 1, 2])])
    tensorflow.saved_model.save(module, folder)


def training(folder):
    """A step of gradient descent through loops that read and write arrays, one of which grows."""
    module = tensorflow.Module()
    module.w = tensorflow.Variable(1.5)

    def train(x):
        with tensorflow.GradientTape() as tape:
            rows = tensorflow.map_fn(lambda row: row * module.w, x)
            written = tensorflow.TensorArray(tensorflow.float32, 0, dynamic_size=True)
            for i in tensorflow.range(tensorflow.shape(rows)[0]):
                written = written.write(i, rows[i] * module.w)
            loss = tensorflow.reduce_sum(written.stack() ** 2)
            loss += tensorflow.reduce_sum(tensorflow.scan(lambda total, row: total * module.w + row, rows))
        module.w.assign_sub(0.01 * tape.gradient(loss, module.w))
        return loss

    module.train = tensorflow.function(train, input_signature=[tensorflow.TensorSpec([None, 3])])
    tensorflow.saved_model.save(module, folder)


def branches(folder):
    """Loops, branches and both kinds of variables; running "count" adds 1 to c."""
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.get_variable("w", initializer=[[1.0, 2.0], [3.0, 4.0]], use_resource=False)
    c = tf.get_variable("c", initializer=0.0, trainable=False, use_resource=True)
    looped = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2.0 + c), [0, tf.matmul(x, w)])[1]
    z = tf.cond(tf.reduce_sum(looped) > 0.0, lambda: looped, lambda: -looped)
    with tf.control_dependencies([tf.assign_add(c, 1.0)]):
        counted = tf.identity(z, name="counted")
    signature = tf.saved_model.predict_signature_def
    signatures = {"serving_default": signature({"x": x}, {"z": z}), "count": signature({"x": x}, {"z": counted})}
    builder = tf.saved_model.Builder(folder)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
    builder.add_meta_graph(["train"], signatures)
    builder.save()


MODELS = (simple, assets, signatures, branches)
MODULES = (functions, objects, gradients, averages, training)


# --- Recording -------------------------------------------------------------------------------------------------------


def record(build):
    """Writes a model and what is shown of it; assets have paths relative to a folder that is then forgotten."""
    path = os.path.join(FOLDER, build.__name__)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        if build in MODULES:
            build(path)
        else:
            with tf.Graph().as_default(), tf.device("/cpu:0"):
                build(path)
        os.chdir(ROOT)
    command = [os.path.join(os.path.dirname(sys.executable), "saved_model_cli"), "show", "--all", "--dir", path]
    shown = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()
    with open(path + ".txt", "w", encoding="utf-8") as file:
        file.write(shown.replace(", \b\b", ""))  # a terminal shows neither


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    for build in MODELS + (MODULES if IS_2 else ()):
        record(build)


if __name__ == "__main__":
    main()
