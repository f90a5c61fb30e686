"""Writing 10,000 scalar summaries to an event file, until they can be read; the figure is per summary."""
import tempfile

from peers import summaries

UNIT = "µs"
PER = 10000


def graph(tf):
    folder = tempfile.TemporaryDirectory()
    with tf.Graph().as_default():
        writer = tf.summary.FileWriter(folder.name)

    def write():
        for step in range(PER):
            writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="loss", simple_value=0.5)]), step)
        writer.flush()

    return folder, write


def figures(prepared):
    return summaries.figures(*prepared, events=PER)
