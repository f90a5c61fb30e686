"""Programs that write event files: run by real TensorFlow to record them, and by Millstream to compare.

For Python 3.7 and newer.
"""
import numpy as np

IMAGES = (np.arange(2 * 4 * 5 * 3) % 97 / 97.0).astype(np.float32).reshape(2, 4, 5, 3)
PIXELS = (np.arange(2 * 3 * 3) * 13 % 256).astype(np.uint8).reshape(2, 3, 3, 1)
CLIPS = np.linspace(-1.25, 1.0, 2 * 6 * 2).astype(np.float32).reshape(2, 6, 2)
NUMBERS = np.array([-3.0, -1e-13, 0.0, 0.0, 1e-12, 0.5, 0.5, 7.25, 1e21], np.float64)
VALUES = np.cos(np.arange(100.0)) * 3


def write_v1(tf, folder):
    """All summaries of 1.x in one file, twice, with a graph, a session log and run metadata."""
    graph = tf.Graph()
    with graph.as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [], name="x")
        with tf.name_scope("scope"):
            tf.summary.scalar("scalar", x * 2)
        tf.summary.scalar("in a family", x, family="family")
        tf.summary.histogram("histogram", tf.constant(NUMBERS))
        tf.summary.histogram("integers", tf.constant([3, 3, -4]))
        tf.summary.image("image", tf.constant(IMAGES), max_outputs=1)
        tf.summary.image("pixels", tf.constant(PIXELS), max_outputs=3)
        tf.summary.audio("audio", tf.constant(CLIPS), 8000.0)
        tf.summary.text("text", tf.constant([["a", "b"], ["c", "d"]]))
        metadata = tf.SummaryMetadata(plugin_data=tf.SummaryMetadata.PluginData(plugin_name="mine", content=b"\0x"))
        tf.summary.tensor_summary(
            "tensor", tf.constant([1, 2, 3]), summary_metadata=metadata, display_name="shown", family="f"
        )
        merged = tf.summary.merge_all()
        writer = tf.summary.FileWriter(folder, graph_def=tf.GraphDef(), filename_suffix=".v1")
        for step in range(2):
            writer.add_summary(session.run(merged, {x: step + 0.5}), 10 * step)
        writer.add_session_log(tf.SessionLog(status=tf.SessionLog.CHECKPOINT, checkpoint_path="m-20"), 20)
        writer.add_run_metadata(tf.RunMetadata(), "run", 30)
        writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="own", simple_value=-0.0)]), -7)
        writer.add_event(tf.Event(wall_time=5.5, step=40, log_message=tf.LogMessage(message="said")))
        writer.close()


def write_contrib(tf, folder):
    """The summaries of `tf.contrib.summary`."""
    summary = tf.contrib.summary
    graph = tf.Graph()
    with graph.as_default(), tf.Session() as session:
        step = tf.train.create_global_step()
        writer = summary.create_file_writer(folder, filename_suffix=".contrib")
        with writer.as_default(), summary.record_summaries_every_n_global_steps(2):
            makers = [
                lambda: summary.scalar("scalar", tf.constant(2.5)),
                lambda: summary.scalar("in a family", tf.constant(3), family="family"),
                lambda: summary.histogram("histogram", tf.constant(NUMBERS)),
                lambda: summary.image("image", tf.constant(IMAGES), max_images=2),
                lambda: summary.audio("audio", tf.constant(CLIPS), 8000.0, 1),
                lambda: summary.generic("generic", tf.constant([1.5, 2.5]), step=9),
            ]
            made = []
            for make in makers:  # one after the other, so that the file has them in this order
                with tf.control_dependencies(made):
                    made = [make()]
            with tf.control_dependencies(made):
                last = tf.assign_add(step, 1)
            session.run(tf.global_variables_initializer())
            summary.initialize(session=session)
            for _ in range(3):
                session.run(last)
            session.run(writer.close())


def write_v2(tf, folder):
    """All summaries of 2.x, eager and in a function."""
    writer = tf.summary.create_file_writer(folder, filename_suffix=".v2")

    @tf.function
    def in_function(x, step):
        with tf.name_scope("scope"):
            tf.summary.scalar("scalar", x, step=step)
        with tf.summary.record_if(step > 4):
            tf.summary.histogram("sometimes", x * tf.constant(VALUES, tf.float32), step=step, buckets=4)

    with writer.as_default(step=3):
        tf.summary.scalar("scalar", 1.5, description="**what** it is")
        tf.summary.scalar("an integer", 7)
        tf.summary.histogram("histogram", VALUES)
        tf.summary.histogram("few buckets", tf.constant([1, 2, 2, 9]), buckets=3)
        tf.summary.histogram("one value", [2.0, 2.0, 2.0])
        tf.summary.histogram("nothing", np.zeros([0], np.float32))
        tf.summary.image("image", IMAGES, max_outputs=1)
        tf.summary.image("pixels", PIXELS)
        tf.summary.image("beyond", np.array([-1.0, 0.25, 0.999, 2.0]).reshape([1, 2, 2, 1]))
        tf.summary.audio("audio", CLIPS, 8000)
        tf.summary.text("text", [["a", "b"], ["c", "d"]])
        tf.summary.write("tensor", tf.constant([[1, 2], [3, 4]], tf.int64), step=tf.Variable(6, dtype=tf.int64))
        tf.summary.write("strings", tf.constant(["a", ""]))
        for number in range(4, 6):
            in_function(tf.constant(2.5), tf.constant(number, tf.int64))
        message = tf.compat.v1.Summary(value=[tf.compat.v1.Summary.Value(tag="raw", simple_value=2.0)])
        tf.summary.experimental.write_raw_pb(message.SerializeToString())
    writer.close()
