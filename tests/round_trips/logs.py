"""Files of events and of records. For Python 3.7 and newer."""
import os

from round_trips.artefact import Artefact
from summary import event_program


def _events(v1, folder):
    """What the only file of events in a folder says, without times and names of machines."""
    (name,) = os.listdir(folder)
    found = []
    for event in v1.train.summary_iterator(os.path.join(folder, name)):
        what = event.WhichOneof("what")
        found.append([event.step, what] + [_summary(value) for value in event.summary.value])
    return found


def _summary(value):
    """Tag, plugin, and the number or shape of the value."""
    kind = value.WhichOneof("value")
    details = {
        "simple_value": lambda: value.simple_value,
        "histo": lambda: [value.histo.min, value.histo.max, value.histo.num, value.histo.sum, len(value.histo.bucket)],
        "image": lambda: [value.image.height, value.image.width, value.image.colorspace],
        "audio": lambda: [value.audio.sample_rate, value.audio.num_channels, value.audio.length_frames],
        "tensor": lambda: [value.tensor.dtype, [dim.size for dim in value.tensor.tensor_shape.dim]],
    }
    return [value.tag, value.metadata.plugin_data.plugin_name, value.metadata.display_name, kind, details[kind]()]


class Events(Artefact):
    """All summaries of `tf.summary` in 1.x, a graph, a session log and run metadata."""

    name = "events"
    title = "event files of 1.x"
    golden = {"tf1": "summary/data/v1.events"}

    def write(self, tf, folder):
        event_program.write_v1(tf, folder)

    def read(self, tf, folder):
        return _events(tf, folder)


class ContribEvents(Events):
    """The summaries of `tf.contrib.summary`."""

    name = "events_contrib"
    title = "event files of `tf.contrib.summary`"
    writers = ("millstream", "tf1")
    golden = {"tf1": "summary/data/contrib.events"}

    def write(self, tf, folder):
        event_program.write_contrib(tf, folder)


class Events2(Events):
    """All summaries of 2.x, eager and in a function."""

    name = "events_2"
    title = "event files of 2.x"
    version = 2
    writers = ("millstream", "tf2")
    golden = {"tf2": "summary/data/v2.events"}

    def write(self, tf, v1, folder):
        event_program.write_v2(tf, folder)

    def read(self, tf, v1, folder):
        return _events(v1, folder)


class Records(Artefact):
    """TFRecord files of examples, plain and compressed."""

    name = "records"
    title = "TFRecord files of `tf.train.Example`"
    same = ("tf1", "tf2")
    types = {"": "plain", "GZIP": "gzip", "ZLIB": "zlib"}

    def write(self, tf, folder):
        feature = {
            "name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a", b"\xff\x00"])),
            "ids": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, -2, 2 ** 40])),
            "numbers": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, -1.5])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)
        for kind, name in self.types.items():
            with tf.python_io.TFRecordWriter(os.path.join(folder, name), kind) as writer:
                for record in (example, b"", b"x" * 1000):
                    writer.write(record)

    def read(self, tf, folder):
        found = {}
        for kind, name in self.types.items():
            options = tf.python_io.TFRecordOptions({"": 0, "ZLIB": 1, "GZIP": 2}[kind])
            records = list(tf.python_io.tf_record_iterator(os.path.join(folder, name), options))
            feature = tf.train.Example.FromString(records[0]).features.feature
            lists = {"name": "bytes_list", "ids": "int64_list", "numbers": "float_list"}
            found[name] = [len(record) for record in records] + [
                list(getattr(feature[key], lists[key]).value) for key in sorted(feature)
            ]
        return found


ARTEFACTS = (Events(), ContribEvents(), Events2(), Records())
