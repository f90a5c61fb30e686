"""Programs that make objects to save, for `tools/record_object_checkpoints.py` and the tests of checkpoints.

They run under TensorFlow 1.15.5 (Python 3.7), under 2.21 and under Millstream; `tf` is the package, `v1` its 1.x
namespace.
"""


def structure(tf, v1):
    """Attributes, lists, dicts, one variable under two names, a cycle, and names that keys have to escape."""
    module, inner = tf.Module(), tf.Module()
    module.first = tf.Variable(1.5, name="first")
    module.layers = [tf.Variable([1, 2, 3], name="list"), {"a/b": tf.Variable(True), "c.d": tf.Variable([[2.0]])}, 7]
    module.nothing = {}
    module.again = module.first
    inner.text = tf.Variable(["some", "strings"], name="text")
    inner.outer = module
    module._inner = inner
    return {"module": module, "alias": inner.text}


def training(tf, v1):
    """A linear model and Adam: the checkpoint's objects, and a function that makes one step eagerly."""
    w = tf.Variable([[0.5, -0.25], [1.0, 0.125]], name="w")
    b = tf.Variable([0.0, 0.0], name="b")
    optimizer = v1.train.AdamOptimizer(0.1)
    step = tf.Variable(0, dtype=tf.int64, name="step", trainable=False)
    x, y = tf.constant([[1.0, 2.0], [3.0, -1.0]]), tf.constant([[1.0, 0.0], [0.0, 1.0]])

    def train():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.matmul(x, w) + b - y))
        gradients = tape.gradient(loss, [w, b])
        optimizer.apply_gradients([(gradients[0], w), (gradients[1], b)])
        step.assign_add(1)

    return {"w": w, "b": b, "optimizer": optimizer, "step": step}, train


def graph_training(tf):
    """The same in a 1.x graph, with a variable of each kind: the objects, and the operation of a step."""
    w = tf.get_variable("w", initializer=[[0.5, -0.25], [1.0, 0.125]])
    b = tf.get_variable("b", initializer=[0.0, 0.0], use_resource=True)
    optimizer = tf.train.AdamOptimizer(0.1)
    step = tf.train.get_or_create_global_step()
    x, y = tf.constant([[1.0, 2.0], [3.0, -1.0]]), tf.constant([[1.0, 0.0], [0.0, 1.0]])
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w) + b - y))
    return {"w": w, "b": b, "optimizer": optimizer, "step": step}, optimizer.minimize(loss, global_step=step)


def layers(tf):
    """Layers and cells of 1.x, built, with weights that are known."""
    dense, norm = tf.layers.Dense(2, name="dense"), tf.layers.BatchNormalization(name="norm")
    norm(dense(tf.ones([1, 3])))
    basic, gru = tf.nn.rnn_cell.BasicLSTMCell(2, name="lstm"), tf.nn.rnn_cell.GRUCell(1, name="gru")
    cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.DropoutWrapper(basic, 1.0), gru])
    cell(tf.ones([1, 1]), cell.zero_state(1, tf.float32))
    ten = tf.constant_initializer(10.0)
    template = tf.make_template("template", lambda: tf.get_variable("inside", [], initializer=ten))
    template()
    objects = {"dense": dense, "norm": norm, "cell": cell, "template": template}
    variables = dense.variables + norm.variables + cell.variables
    for number, variable in enumerate(variables):
        variable.assign(tf.zeros_like(variable) + float(number))
    return objects, variables


def python_state(tf, text):
    """An object with state of Python."""

    class State(tf.train.experimental.PythonState):
        def __init__(self):
            self.text = text

        def serialize(self):
            return self.text

        def deserialize(self, string_value):
            self.text = string_value.decode()

    return State()
