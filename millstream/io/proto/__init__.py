"""TensorFlow's protocol buffer messages: `proto.GraphDef`, `proto.Summary.Value`, `proto.DT_FLOAT`.

The `.proto` files of this directory are compiled to `descriptors.pb` (tools/compile_protos.py).  That set is
loaded when a name is first asked for, into a descriptor pool of its own: real TensorFlow and TensorBoard,
whose messages have the same names, can be imported in the same process.  Between their classes and these go
the serialized or the text form, which are the same.
"""
from __future__ import annotations

import copyreg
import functools
import os
import threading
import typing

if typing.TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

_PACKAGE = "tensorflow"

# Where TensorFlow's public namespaces have messages, by name relative to `tf.`.
_SHARED_NAMES = """
    train.BytesList train.ClusterDef train.Example train.Feature train.FeatureList train.FeatureLists
    train.Features train.FloatList train.Int64List train.JobDef train.SequenceExample train.ServerDef
"""
_V1_NAMES = """
    AttrValue ConfigProto Event GPUOptions GraphDef GraphOptions HistogramProto LogMessage MetaGraphDef
    NameAttrList NodeDef OptimizerOptions RunMetadata RunOptions SessionLog Summary SummaryMetadata TensorInfo
    summary.Event summary.SessionLog summary.Summary summary.SummaryDescription summary.TaggedRunMetadata
    train.SaverDef contrib.tensorboard.plugins.projector.EmbeddingInfo
    contrib.tensorboard.plugins.projector.ProjectorConfig contrib.tensorboard.plugins.projector.SpriteMetadata
"""
_V1_RENAMED = {"contrib.checkpoint.CheckpointableObjectGraph": "TrackableObjectGraph"}

_loading = threading.Lock()

# All classes, because the pool itself makes a class anew once nobody holds it.
_named_classes: list[type] = []


def public_names(api: int = 1) -> dict[str, str]:
    """Maps the public names of messages in the 1.x or 2.x namespace ("train.Example") to their full names."""
    names = _SHARED_NAMES.split() + (_V1_NAMES.split() if api == 1 else [])
    renamed = _V1_RENAMED if api == 1 else {}
    messages = {name: name.rpartition(".")[2] for name in names} | renamed
    return {public: f"{_PACKAGE}.{name}" for public, name in messages.items()}


def pool() -> DescriptorPool:
    """The descriptor pool of the messages, which text_format needs to write what an `Any` holds."""
    with _loading:
        return _load_pool()


@functools.cache
def _load_pool() -> DescriptorPool:
    from google.protobuf import any_pb2, wrappers_pb2
    from google.protobuf.descriptor_pool import DescriptorPool

    own = DescriptorPool()
    for well_known in (any_pb2, wrappers_pb2):
        own.AddSerializedFile(well_known.DESCRIPTOR.serialized_pb)
    for file in _descriptors().file:
        own.AddSerializedFile(file.SerializeToString())
    for kind, full_name in _top_level().values():
        if kind == "message":
            _name_class(own.FindMessageTypeByName(full_name), None)
    return own


def message_class(full_name: str) -> typing.Any:
    """The class of the message `full_name` ("tensorflow.Summary.Value"); KeyError if there is none."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(pool().FindMessageTypeByName(full_name))


def enum(full_name: str) -> typing.Any:
    """The enum `full_name` ("tensorflow.DataType"), with its values as attributes; KeyError if none."""
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

    return EnumTypeWrapper(pool().FindEnumTypeByName(full_name))


def __getattr__(name: str) -> typing.Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = _find(name)
    except KeyError:
        raise AttributeError(f"There is no message, enum or enum value named {name!r}.") from None
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_top_level()})


def _find(name: str) -> typing.Any:
    kind, full_name = _top_level()[name]
    if kind == "message":
        return message_class(full_name)
    if kind == "enum":
        return enum(full_name)
    enum_name, _, value = full_name.rpartition(".")
    return enum(enum_name).Value(value)


@functools.cache
def _top_level() -> dict[str, tuple[str, str]]:
    """Kind and full name of everything that is an attribute of this module."""
    names = {}
    for file in _descriptors().file:
        for message in file.message_type:
            names[message.name] = ("message", f"{file.package}.{message.name}")
        for declared in file.enum_type:
            names[declared.name] = ("enum", f"{file.package}.{declared.name}")
            for value in declared.value:
                names[value.name] = ("value", f"{file.package}.{declared.name}.{value.name}")
    names["Any"] = ("message", "google.protobuf.Any")
    return names


@functools.cache
def _descriptors() -> typing.Any:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    with open(os.path.join(os.path.dirname(__file__), "descriptors.pb"), "rb") as file:
        return FileDescriptorSet.FromString(file.read())


def _name_class(descriptor: Descriptor, outer: type | None) -> None:
    """Tells the class of a message, and those within, where it is found, and pickle how to restore it."""
    from google.protobuf.message_factory import GetMessageClass

    cls = GetMessageClass(descriptor)
    cls.__module__ = __name__
    cls.__qualname__ = f"{outer.__qualname__}.{descriptor.name}" if outer else descriptor.name
    _named_classes.append(cls)
    copyreg.pickle(cls, _reduce)
    if outer:
        setattr(outer, descriptor.name, cls)  # protobuf's implementation in Python does not do so itself
    for nested in descriptor.nested_types:
        _name_class(nested, cls)


def _reduce(message: Message) -> tuple[typing.Any, ...]:
    # The way of protobuf itself looks nested messages up in its default pool, which has none of ours.
    return _restore, (message.DESCRIPTOR.full_name, message.SerializePartialToString())


def _restore(full_name: str, serialized: bytes) -> Message:
    return message_class(full_name).FromString(serialized)
