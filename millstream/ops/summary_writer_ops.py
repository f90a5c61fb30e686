"""Operations that write event files: those behind `tf.summary` of 2.x and `tf.contrib.summary`."""
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from millstream.core import dtypes, errors
from millstream.core.dtypes import ANY, REAL_NUMERIC
from millstream.core.opdef import op
from millstream.core.shape_rules import no_outputs, scalar
from millstream.core.tape import EagerOperation
from millstream.io import proto, tensor_proto
from millstream.io.event_file import Kind, event
from millstream.ops import summary_ops
from millstream.ops.summary_ops import as_text

if TYPE_CHECKING:
    from millstream.io.event_writer import EventWriter

_WRITES: dict[str, Any] = {"shape": no_outputs, "host": True, "stateful": True}


class WriterPlace:
    """Where a writer is, once `CreateSummaryFileWriter` has made it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._writer: EventWriter | None = None
        self._lock = threading.Lock()

    def create(self, logdir: str, max_queue: int, flush_millis: int, suffix: str) -> None:
        """Makes the writer, where there is none yet."""
        from millstream.io.event_writer import EventWriter

        with self._lock:
            if self._writer is None:
                self._writer = EventWriter(logdir, max_queue, flush_millis / 1000, suffix)

    def add(self, kind: Kind, content: bytes, step: Any) -> None:
        """Writes an event."""
        self.writer.add(event(kind, content, int(step)))

    @property
    def writer(self) -> EventWriter:
        """The writer.

        Raises:
          NotFoundError: it was not made yet, or is closed.
        """
        found = self._writer
        if found is None:
            what = f"Resource {self.name}/SummaryWriterInterface does not exist."
            raise errors.NotFoundError(None, None, f"{what} The writer was not initialized, or is closed.")
        return found

    def close(self) -> None:
        """Closes the writer's file."""
        with self._lock:
            writer, self._writer = self.writer, None
        writer.close()


class WriterHandle(NamedTuple):
    """Which writer of a session an operation means."""

    container: str
    name: str

    def create(self) -> WriterPlace:
        """The place of the writer in a session."""
        return WriterPlace(f"{self.container or 'localhost'}/{self.name}")


def _place(resource: Callable[..., WriterPlace], handle: WriterHandle | WriterPlace) -> WriterPlace:
    """The place of a writer, given what a `SummaryWriter` operation gave."""
    if isinstance(handle, WriterPlace):
        return handle
    return resource(("summary writer", *handle), handle.create)


@op('SummaryWriter(*, shared_name: string = "", container: string = "") -> writer: resource', shape=scalar, host=True,
    stateful=True)  # fmt: skip
def summary_writer_op(xp, *, shared_name, container, node):
    if isinstance(node, EagerOperation):  # a writer of its own, which lives as long as its handle
        return WriterPlace(shared_name or node.name)
    return WriterHandle(container, shared_name or node.name)


@op(
    "CreateSummaryFileWriter(writer: resource, logdir: string, max_queue: int32, flush_millis: int32, "
    "filename_suffix: string)",
    **_WRITES,
)
def create_summary_file_writer_op(xp, writer, logdir, max_queue, flush_millis, filename_suffix, *, resource):
    _place(resource, writer).create(as_text(logdir), int(max_queue), int(flush_millis), as_text(filename_suffix))


@op("FlushSummaryWriter(writer: resource)", **_WRITES)
def flush_summary_writer_op(xp, writer, *, resource):
    _place(resource, writer).writer.flush()


@op("CloseSummaryWriter(writer: resource)", **_WRITES)
def close_summary_writer_op(xp, writer, *, resource):
    _place(resource, writer).close()


# --- Tensors --------------------------------------------------------------------------------------------------------


@op(
    "WriteSummary(writer: resource, step: int64, tensor: T, tag: string, summary_metadata: string)", T=ANY, **_WRITES
)
def write_summary_op(xp, writer, step, tensor, tag, summary_metadata, *, resource):
    array = np.asarray(tensor)
    value = proto.Summary.Value(tag=as_text(tag), tensor=_as_content(array))
    metadata = _as_bytes(summary_metadata)
    if metadata:
        value.metadata.ParseFromString(metadata)
    _place(resource, writer).add(Kind.SUMMARY, proto.Summary(value=[value]).SerializeToString(), step)


def _as_content(array: np.ndarray[Any, Any]) -> Any:
    """A TensorProto with the array's bytes in `tensor_content`, but for strings."""
    if array.dtype == object:
        return tensor_proto.to_proto(array)
    kind = dtypes.from_numpy(array.dtype).as_datatype_enum
    message = proto.TensorProto(dtype=kind, tensor_content=array.tobytes())
    message.tensor_shape.SetInParent()
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    return message


@op("WriteRawProtoSummary(writer: resource, step: int64, tensor: string)", **_WRITES)
def write_raw_proto_summary_op(xp, writer, step, tensor, *, resource):
    # The values of messages one after the other are those of one message.
    content = b"".join(_checked("Summary", item) for item in np.asarray(tensor, object).reshape(-1))
    _place(resource, writer).add(Kind.SUMMARY, content, step)


@op("WriteGraphSummary(writer: resource, step: int64, tensor: string)", **_WRITES)
def write_graph_summary_op(xp, writer, step, tensor, *, resource):
    _place(resource, writer).add(Kind.GRAPH_DEF, _checked("GraphDef", _as_bytes(tensor)), step)


@op("ImportEvent(writer: resource, event: string)", **_WRITES)
def import_event_op(xp, writer, event, *, resource):
    _place(resource, writer).writer.add(_checked("Event", _as_bytes(event)))


def _as_bytes(array: Any) -> bytes:
    """The string that a scalar holds."""
    item = np.asarray(array, object).reshape(-1)[0]
    return item.encode() if isinstance(item, str) else item


def _checked(message: str, serialized: bytes) -> bytes:
    """A serialised message.

    Raises:
      ValueError: it is none.
    """
    from google.protobuf.message import DecodeError

    try:
        getattr(proto, message).FromString(serialized)
    except DecodeError:
        raise ValueError(f"Bad tf.compat.v1.{message} binary proto tensor string") from None
    return serialized


# --- Summaries as the operations of 1.x give them -------------------------------------------------------------------


@op("WriteScalarSummary(writer: resource, step: int64, tag: string, value: T)", T=REAL_NUMERIC, **_WRITES)
def write_scalar_summary_op(xp, writer, step, tag, value, *, resource):
    summary = proto.Summary()
    summary.value.add(tag=as_text(tag), simple_value=float(value))
    _place(resource, writer).add(Kind.SUMMARY, summary.SerializeToString(), step)


@op(
    "WriteHistogramSummary(writer: resource, step: int64, tag: string, values: T)",
    T=summary_ops.HISTOGRAM_TYPES, **_WRITES,
)  # fmt: skip
def write_histogram_summary_op(xp, writer, step, tag, values, *, node, resource):
    _place(resource, writer).add(Kind.SUMMARY, summary_ops.histogram_summary(as_text(tag), values, node.name), step)


@op(
    "WriteImageSummary(writer: resource, step: int64, tag: string, tensor: T, bad_color: uint8, *, "
    "max_images: int>=1 = 3)",
    T="uint8 float half = float", **_WRITES,
)  # fmt: skip
def write_image_summary_op(xp, writer, step, tag, tensor, bad_color, *, max_images, resource):
    content = summary_ops.image_summary(as_text(tag), tensor, max_images, bad_color)
    _place(resource, writer).add(Kind.SUMMARY, content, step)


@op(
    "WriteAudioSummary(writer: resource, step: int64, tag: string, tensor: float, sample_rate: float, *, "
    "max_outputs: int>=1 = 3)",
    **_WRITES,
)
def write_audio_summary_op(xp, writer, step, tag, tensor, sample_rate, *, max_outputs, resource):
    content = summary_ops.audio_summary(as_text(tag), tensor, float(sample_rate), max_outputs)
    _place(resource, writer).add(Kind.SUMMARY, content, step)


for _definition in (
    summary_writer_op, create_summary_file_writer_op, flush_summary_writer_op, close_summary_writer_op,
    write_summary_op, write_raw_proto_summary_op, write_graph_summary_op, import_event_op, write_scalar_summary_op,
    write_histogram_summary_op, write_image_summary_op, write_audio_summary_op,
):  # fmt: skip
    _definition.no_gradient("what is written to a file has no gradient")
