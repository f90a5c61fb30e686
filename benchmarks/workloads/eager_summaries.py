"""Writing 2,000 scalar summaries to an event file in eager execution, until they can be read; per summary.

The functions of `tf.summary` in TensorFlow 2 are those of TensorBoard. Where that is not installed this does what
they do.
"""
import tempfile

from peers import summaries

UNIT = "µs"
PER = 2000


def writing(tf, scalar):
    folder, value = tempfile.TemporaryDirectory(), tf.constant(0.5)
    writer = tf.summary.create_file_writer(folder.name)

    def write():
        with writer.as_default():
            for step in range(PER):
                scalar("loss", value, step=step)
            writer.flush()

    return folder, write


def modern(tf):
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"

    def as_tensorboard(name, data, step):
        with tf.summary.experimental.summary_scope(name, "scalar_summary", values=[data, step]) as (tag, _):
            tf.debugging.assert_scalar(data)
            return tf.summary.write(tag=tag, tensor=tf.cast(data, tf.float32), step=step, metadata=metadata)

    try:
        import tensorboard  # noqa: F401

        return writing(tf, tf.summary.scalar)
    except ImportError:
        return writing(tf, tf.summary.scalar if "millstream" in tf.__name__ else as_tensorboard)


def figures(prepared):
    return summaries.figures(*prepared, events=PER)
