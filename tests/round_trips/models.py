"""SavedModels of 1.x and of 2.x. For Python 3.7 and newer."""
import os

import numpy as np
from round_trips.artefact import Artefact

X = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)


class SimpleSave(Artefact):
    """A graph with a signature and variables of both kinds."""

    name = "simple_save"
    title = "SavedModels of 1.x"
    same = ("tf1",)  # the nodes by which TensorFlow 2 saves know of other file systems

    def write(self, tf, folder):
        x = tf.placeholder(tf.float32, [None, 2], name="x")
        w = tf.get_variable("w", initializer=np.array([[1.0], [2.0]], np.float32), use_resource=False)
        b = tf.get_variable("b", initializer=np.array([0.5], np.float32), use_resource=True)
        y = tf.matmul(x, w) + b
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            tf.saved_model.simple_save(session, os.path.join(folder, "model"), {"x": x}, {"y": y})

    def read(self, tf, folder):
        with tf.Session() as session:
            message = tf.saved_model.load(session, ["serve"], os.path.join(folder, "model"))
            signature = message.signature_def["serving_default"]
            y = session.run(signature.outputs["y"].name, {signature.inputs["x"].name: X})
            variables = {v.op.name: session.run(v) for v in tf.trainable_variables()}
        return {"y": y, "variables": variables, "method": signature.method_name}


class SimpleSaveAsObject(Artefact):
    """The same model, loaded as 2.x does: its signatures are functions."""

    name = "simple_save_as_object"
    title = "SavedModels of 1.x, loaded by 2.x's function"
    version = 2
    files_of = "simple_save"

    def read(self, tf, v1, folder):
        model = tf.saved_model.load(os.path.join(folder, "model"))
        signature = model.signatures["serving_default"]
        return signature(x=tf.constant(X))["y"]


class Functions(Artefact):
    """A module with functions and containers; training goes on with it."""

    name = "module"
    title = "SavedModels of 2.x: a `tf.Module` with functions"
    version = 2
    same = ("tf2",)

    def write(self, tf, v1, folder):
        module = tf.Module()
        module.w = tf.Variable([[1.0], [2.0]], name="w")
        module.parts = [tf.Variable(0.5, name="b"), {"scale": tf.Variable(2.0, trainable=False, name="scale")}]

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def call(x):
            y = tf.matmul(x, module.w) * module.parts[1]["scale"] + module.parts[0]
            if tf.reduce_sum(y) > 100.0:
                y = y / 100.0
            return {"y": y}

        module.call = call
        tf.saved_model.save(module, os.path.join(folder, "model"), signatures=call)

    def read(self, tf, v1, folder):
        model = tf.saved_model.load(os.path.join(folder, "model"))
        x = tf.constant(X)
        found = {"y": model.call(x)["y"], "large": model.call(x * 100.0)["y"]}
        found["served"] = model.signatures["serving_default"](x=x)["y"]
        losses = []
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model.call(x)["y"]))
            variables = [model.w, model.parts[0]]
            for variable, gradient in zip(variables, tape.gradient(loss, variables)):
                variable.assign_sub(gradient * 0.01)
            losses.append(loss)
        return dict(found, losses=losses, scale=model.parts[1]["scale"].trainable)


class FunctionsInSession(Artefact):
    """The same module, whose signature 1.x runs in a session."""

    name = "module_in_session"
    title = "SavedModels of 2.x, in a session of 1.x"
    version = 2
    files_of = "module"

    def read(self, tf, v1, folder):
        with v1.Graph().as_default(), v1.Session() as session:
            message = v1.saved_model.load(session, ["serve"], os.path.join(folder, "model"))
            signature = message.signature_def["serving_default"]
            return session.run(signature.outputs["y"].name, {signature.inputs["x"].name: X})


class NewerFunctions(Artefact):
    """A module that needs an operation of TensorFlow 2."""

    name = "newer_module"
    title = "SavedModels with operations of 2.x"
    version = 2
    writers = ("millstream", "tf2")
    cannot = {"tf1": "Erfinv"}

    def write(self, tf, v1, folder):
        module = tf.Module()
        module.call = tf.function(tf.math.erfinv, input_signature=[tf.TensorSpec([2], tf.float32)])
        tf.saved_model.save(module, os.path.join(folder, "model"))

    def read(self, tf, v1, folder):
        return tf.saved_model.load(os.path.join(folder, "model")).call(tf.constant([0.25, -0.5]))


ARTEFACTS = (SimpleSave(), SimpleSaveAsObject(), Functions(), FunctionsInSession(), NewerFunctions())
