"""Variables and modules of 2.x."""

from __future__ import annotations

from ..spec import Family

FAMILY = Family("v2_variables", tensorflow=2)
case, table = FAMILY.case, FAMILY.table

# Variables: each row changes v = [1, 2, 4] and gives something; v is looked at afterwards.

CHANGES = {
    "assign": lambda tf, v: v.assign([5.0, 6.0, 7.0]),
    "assign_add": lambda tf, v: v.assign_add([1.0, 1.0, 1.0]),
    "assign_sub": lambda tf, v: v.assign_sub(v * 0.5),
    "assign_chain": lambda tf, v: v.assign_add([1.0, 1.0, 1.0]).assign(v * 2.0),
    "assign_no_read": lambda tf, v: v.assign([0.0, 0.0, 1.0], read_value=False),
    "augmented": lambda tf, v: _augmented(v),
    "slice": lambda tf, v: v[1:].assign([5.0, 6.0]),
    "slice/element": lambda tf, v: v[0].assign(42.0),
    "slice/step": lambda tf, v: v[::2].assign([8.0, 9.0]),
    "slice/reverse": lambda tf, v: v[::-1].assign([1.0, 2.0, 3.0]),
    "slice/broadcast": lambda tf, v: v[:2].assign(0.5),
    "slice/ellipsis": lambda tf, v: v[...].assign([7.0, 7.0, 7.0]),
    "slice/tensor_index": lambda tf, v: v[tf.constant(1)].assign(-1.0),
    "slice/negative": lambda tf, v: v[-1].assign(10.0),
    "scatter_update": lambda tf, v: v.scatter_update(_slices(tf)),
    "scatter_add": lambda tf, v: v.scatter_add(_slices(tf)),
    "scatter_sub": lambda tf, v: v.scatter_sub(_slices(tf)),
    "scatter_mul": lambda tf, v: v.scatter_mul(_slices(tf)),
    "scatter_div": lambda tf, v: v.scatter_div(_slices(tf)),
    "scatter_min": lambda tf, v: v.scatter_min(_slices(tf)),
    "scatter_max": lambda tf, v: v.scatter_max(_slices(tf)),
    "scatter_nd_update": lambda tf, v: v.scatter_nd_update([[1], [2]], [8.0, 9.0]),
    "scatter_nd_add": lambda tf, v: v.scatter_nd_add([[1], [1]], [8.0, 9.0]),
    "scatter_nd_sub": lambda tf, v: v.scatter_nd_sub([[0]], [8.0]),
    "gather": lambda tf, v: [tf.gather(v, [2, 0]), v.sparse_read([1, 1]), v.gather_nd([[2]])],
    "read": lambda tf, v: [
        v.read_value(),
        v.value(),
        v.numpy(),
        v + 1.0,
        2.0 * v,
        -v,
        v[1],
        v[:2],
        v > 1.5,
        v**2.0,
        abs(v),
    ],
    "copies": lambda tf, v: _copies(tf, v),
    "facts": lambda tf, v: [v.name, v.dtype.name, v.shape.as_list(), v.trainable, len(v.shape), v.shape.rank],
    "equality": lambda tf, v: [v == [1.0, 2.0, 5.0], v != v, v is v, v.ref() == v.ref()],
}


def changed(change):
    def build(tf):
        v = tf.Variable([1.0, 2.0, 4.0])
        result = change(tf, v)
        return [result, v]

    return build


for name, change in CHANGES.items():
    case("variable/" + name, changed(change))


def _slices(tf):
    return tf.IndexedSlices(tf.constant([3.0, 0.5]), tf.constant([2, 0]))


def _augmented(v):
    before = v
    v = v + 1.0
    return [before, v]


def _copies(tf, v):
    read, copy = v.read_value(), tf.Variable(v)
    v.assign([0.0, 0.0, 0.0])
    return [read, copy]


table(
    {
        "variable/matrix_slices": lambda tf: _matrix_slices(tf),
        "variable/function_of_initial_value": lambda tf: tf.Variable(lambda: tf.constant([3.0, 4.0])),
        "variable/dtypes": lambda tf: [
            tf.Variable(1),
            tf.Variable(True),
            tf.Variable("s"),
            tf.Variable(1.5, dtype=tf.float64),
            tf.Variable([1j]),
            tf.Variable([[1, 2]], dtype="int64"),
        ],
        "variable/unknown_shape": lambda tf: _unknown_shape(tf),
        "variable/batch_scatter": lambda tf: tf.Variable([[1.0, 2.0], [3.0, 4.0]]).batch_scatter_update(
            tf.IndexedSlices(tf.constant([[9.0], [8.0]]), tf.constant([[1], [0]]))
        ),
    }
)


def _matrix_slices(tf):
    v = tf.Variable(tf.reshape(tf.range(12.0), [3, 4]))
    v[0, 0].assign(42.0)
    v[1].assign([9.0, 9.0, 9.0, 9.0])
    v[:, -1].assign([1.0, 2.0, 3.0])
    v[::2, 1:3].assign([[0.5, 0.6], [0.7, 0.8]])
    v[1:, tf.newaxis, 2].assign([[5.0], [6.0]])
    return v


def _unknown_shape(tf):
    v = tf.Variable([1.0], shape=tf.TensorShape(None))
    v.assign([[2.0, 3.0]])
    return [v, v.shape.rank, tf.shape(v)]


# Other services.

table(
    {
        "module/variables": lambda tf: _module(tf),
        "nest/structures": lambda tf: [
            tf.nest.flatten({"b": 1, "a": [2, (3,)]}),
            tf.nest.map_structure(lambda x: x + 1, {"a": [1, 2]}),
            tf.nest.pack_sequence_as({"a": 0, "b": [0, 0]}, [1, 2, 3]),
        ],
        "control/group_and_dependencies": lambda tf: _dependencies(tf),
        "name_scope/names": lambda tf: _names(tf),
        "init_scope": lambda tf: _init_scope(tf),
    }
)


def _module(tf):
    class Dense(tf.Module):
        def __init__(self, width, name=None):
            super().__init__(name=name)
            self.w = tf.Variable(tf.ones([2, width]), name="w")
            self.b = tf.Variable(tf.zeros([width]), name="b", trainable=False)

        @tf.Module.with_name_scope
        def __call__(self, x):
            return x @ self.w + self.b

    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.layers = [Dense(3, name="first"), Dense(1)]

    net = Net()
    return [
        net.name,
        [v.name for v in net.variables],
        [v.name for v in net.trainable_variables],
        [m.name for m in net.submodules],
        net.layers[0](tf.ones([1, 2])),
        net.layers[1].name,
    ]


def _dependencies(tf):
    v = tf.Variable(1.0)
    with tf.control_dependencies([v.assign(5.0)]):
        y = v + 1.0
    return [y, tf.group(v.assign_add(1.0)) is None, v]


def _names(tf):
    with tf.name_scope("a") as a, tf.name_scope("b") as b:
        v = tf.Variable(1, name="v")
    with tf.name_scope("a"):
        w = tf.Variable(1, name="v")
    return [a, b, v.name, w.name]


def _init_scope(tf):
    @tf.function
    def function():
        with tf.init_scope():
            lifted = tf.constant(3.0)
        return lifted + 1.0

    return function()
