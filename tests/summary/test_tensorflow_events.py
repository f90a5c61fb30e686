"""Event files of real TensorFlow are read, Millstream writes the same, and real TensorFlow reads what it writes.

`tools/record_events.py` has recorded the files; `event_program.py` has the programs.
"""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from summary import event_program
from summary.png import decode_png

import millstream
import millstream.v1 as tf1
from millstream.io import tensor_proto
from millstream.runtime import behavior

DATA = Path(__file__).parent / "data"
PROGRAMS: dict[str, tuple[Any, int, Any]] = {
    "v1": (tf1, 1, event_program.write_v1),
    "contrib": (tf1, 1, event_program.write_contrib),
    "v2": (millstream, 2, event_program.write_v2),
}


def events_of(path: Path) -> list[Any]:
    return list(tf1.train.summary_iterator(str(path)))


def written(name: str, folder: Path) -> Path:
    """The event file that a program writes with Millstream."""
    module, version, write = PROGRAMS[name]
    behavior.use(version)
    write(module, str(folder))
    (path,) = folder.iterdir()
    return path


def comparable(event: Any) -> Any:
    """An event without its time; pictures as their pixels, because no two encoders give the same bytes."""
    event.ClearField("wall_time")
    event.ClearField("source_metadata")
    pictures = []
    for value in event.summary.value:
        if value.HasField("image"):
            pictures.append(decode_png(value.image.encoded_image_string).tolist())
            value.image.encoded_image_string = b""
        elif value.metadata.plugin_data.plugin_name == "images":
            strings = value.tensor.string_val
            pictures += [decode_png(data).tolist() for data in strings[2:]]
            strings[2:] = [b""] * len(strings[2:])
    if event.HasField("meta_graph_def"):  # which version of which library has written it
        event.meta_graph_def = b""
    return event, pictures


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_events(name: str, tmp_path: Path) -> None:
    recorded, ours = events_of(DATA / f"{name}.events"), events_of(written(name, tmp_path))
    assert len(ours) == len(recorded) > 5
    for one, other in zip(ours, recorded, strict=True):
        assert comparable(one) == comparable(other)


def test_names_of_files(tmp_path: Path) -> None:
    for name, pattern in (("v1", r"\.v1"), ("contrib", r"\.contrib"), ("v2", r"\.\d+\.\d+\.v2")):
        (tmp_path / name).mkdir()
        path = written(name, tmp_path / name)
        assert re.fullmatch(rf"events\.out\.tfevents\.\d{{10}}\.[^/]+{pattern}", path.name)


def test_times(tmp_path: Path) -> None:
    first, *others = events_of(written("contrib", tmp_path))
    assert first.wall_time == int(first.wall_time) and first.file_version == "brain.Event:2"
    times = [event.wall_time for event in others]
    assert times == sorted(times) and times[0] > 1.7e9


# --- Real TensorFlow reads what Millstream writes ---------------------------------------------------------------------

_READ = """
import json, sys
import tensorflow as tf
tf = tf.compat.v1
tf.logging.set_verbosity("ERROR")
found = []
for event in tf.train.summary_iterator(sys.argv[1]):
    for value in event.summary.value:
        kind = value.WhichOneof("value")
        number = value.simple_value if kind == "simple_value" else None
        if kind == "tensor" and value.tensor.dtype != tf.string.as_datatype_enum:
            number = tf.make_ndarray(value.tensor).tolist()
        if kind == "histo":
            number = list(value.histo.bucket)
        found.append([event.step, value.tag, kind, number, value.metadata.plugin_data.plugin_name])
print(json.dumps(found))
"""


@pytest.mark.parametrize("version", ["tf1", "tf2"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_tensorflow_reads_them(name: str, version: str, tmp_path: Path) -> None:
    oracles.oracle(version)
    path = written(name, tmp_path)
    theirs = json.loads(oracles.run_in(version, _READ, path).splitlines()[-1])
    ours = [
        [event.step, value.tag, value.WhichOneof("value"), _number(value), value.metadata.plugin_data.plugin_name]
        for event in events_of(path)
        for value in event.summary.value
    ]
    assert theirs == ours and len(ours) > 5


def _number(value: Any) -> Any:
    if value.HasField("simple_value"):
        return value.simple_value
    if value.HasField("histo"):
        return list(value.histo.bucket)
    if value.HasField("tensor"):
        array = tensor_proto.make_ndarray(value.tensor)
        return None if array.dtype == object else np.asarray(array).tolist()
    return None
