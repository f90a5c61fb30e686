"""The first program that everybody writes, as a whole process."""

UNIT = "s"
RUNS = ("cold", "warm")
SESSION = """
with tf.Session() as sess:
    print(sess.run(tf.constant(1) + 2))
"""
PROGRAMS = {
    "millstream": "import millstream.v1 as tf" + SESSION,
    "tf1": "import tensorflow as tf" + SESSION,
    "tf2": "import tensorflow as tf; print((tf.constant(1) + 2).numpy())",
    "torch": "import torch; print((torch.tensor(1) + 2).numpy())",
    "jax": "import jax.numpy as jnp; print(jnp.asarray(1) + 2)",
}
