"""The messages: names and numbers are TensorFlow's, the classes are Millstream's own."""

from __future__ import annotations

import copy
import multiprocessing.reduction
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from millstream.io import proto

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT.parent / "shared" / "api" / "protos.md"

# Message, its text, and what TensorFlow 1.15.5 serializes it to.
RECORDED = [
    (
        "NodeDef",
        "name: 'w' op: 'Conv2D' input: ['x:0', '^y'] device: '/device:CPU:0' "
        "attr { key: 'strides' value { list { i: [1, 2, 2, 1] } } }",
        "0a01771206436f6e7632441a03783a301a025e79220d2f6465766963653a4350553a302a130a0773747269646573"
        "12080a061a0401020201",
    ),
    ("AttrValue", "type: DT_FLOAT", "3001"),
    (
        "Event",
        "wall_time: 1.5 step: 7 summary { value { tag: 'loss' simple_value: 0.25 "
        "metadata { plugin_data { plugin_name: 'scalars' } } } }",
        "09000000000000f83f10072a1a0a180a046c6f7373150000803e4a0b0a090a077363616c617273",
    ),
    (
        "Example",
        "features { feature { key: 'label' value { int64_list { value: [1, 300] } } } }",
        "0a120a100a056c6162656c12071a050a0301ac02",
    ),
    (
        "ConfigProto",
        "device_count { key: 'GPU' } gpu_options { per_process_gpu_memory_fraction: 0.5 } "
        "allow_soft_placement: true graph_options { optimizer_options { opt_level: L0 } }",
        "0a070a034750551000320909000000000000e03f3801520d1a0b18ffffffffffffffffff01",
    ),
    (
        "SaverDef",
        "max_to_keep: 5 keep_checkpoint_every_n_hours: 10000.0 version: V2",
        "20053500401c463802",
    ),
    (
        "BundleEntryProto",
        "dtype: DT_FLOAT shape { dim { size: 4 } } offset: 8 size: 16 crc32c: 3735928559 "
        "slices { extent { start: 1 length: 0 } extent { } }",
        "08011204120208042008281035efbeadde3a080a04080110000a00",
    ),
    (
        "MetaGraphDef",
        "meta_info_def { tags: 'serve' } "
        "collection_def { key: 'train_op' value { node_list { value: 't' } } }",
        "0a072205736572766522110a08747261696e5f6f7012050a030a0174",
    ),
    ("RunOptions", "trace_level: FULL_TRACE timeout_in_ms: -1", "080310ffffffffffffffffff01"),
    (
        "SavedObjectGraph",
        "nodes { children { node_id: 1 local_name: 'k' } variable { dtype: DT_FLOAT name: 'v' } } "
        "concrete_functions { key: 'f' value { canonicalized_input_signature { "
        "tuple_value { values { int64_value: -3 } } } } }",
        "0a0e0a05080112016b3a050801320176120e0a016612091a07a203040a026005",
    ),
    (
        "HistogramProto",
        "min: -1 max: 1 num: 2 bucket_limit: [0, 1] bucket: [1, 1]",
        "09000000000000f0bf11000000000000f03f19000000000000004032100000000000000000000000000000f03f"
        "3a10000000000000f03f000000000000f03f",
    ),
    (
        "WhileContextDef",
        "context_name: 'while' parallel_iterations: 10 back_prop: true "
        "values_def { external_values { key: 'a' value: 'b' } }",
        "0a057768696c65100a18014a0812060a0161120162",
    ),
]


@pytest.mark.parametrize(("name", "text", "wire"), RECORDED, ids=[name for name, _, _ in RECORDED])
def test_wire_and_text_forms_are_tensorflows(name: str, text: str, wire: str) -> None:
    cls = getattr(proto, name)
    message = text_format.Parse(text, cls())
    assert message.SerializeToString(deterministic=True).hex() == wire
    assert cls.FromString(bytes.fromhex(wire)) == message
    assert text_format.Parse(text_format.MessageToString(message), cls()) == message


def test_names() -> None:
    assert proto.DT_FLOAT == proto.DataType.DT_FLOAT == 1
    assert proto.DataType.Name(107) == "DT_STRING_REF"
    assert proto.Code.Value("DATA_LOSS") == 15
    assert proto.SaverDef.V2 == proto.SaverDef.CheckpointFormatVersion.Value("V2") == 2
    assert proto.Summary.Value is proto.message_class("tensorflow.Summary.Value")
    assert repr(proto.ConfigProto.Experimental) == "<class 'millstream.io.proto.ConfigProto.Experimental'>"
    assert {"GraphDef", "DataType", "DT_FLOAT"} <= set(dir(proto))
    with pytest.raises(AttributeError, match="no message, enum or enum value named 'Graf'"):
        _ = proto.Graf


def test_public_names() -> None:
    for api in (1, 2):
        for public, full_name in proto.public_names(api).items():
            assert proto.message_class(full_name).DESCRIPTOR.full_name == full_name, public
    assert proto.public_names(1)["summary.Event"] == "tensorflow.Event"
    assert proto.public_names(2)["train.Example"] == "tensorflow.Example"
    assert "ConfigProto" not in proto.public_names(2)


def make_messages() -> list:
    graph = proto.GraphDef()
    graph.node.add(name="a", op="NoOp").attr["value"].tensor.float_val.append(1)
    meta = proto.MetaGraphDef()
    meta.meta_info_def.any_info.Pack(graph)
    objects = proto.TrackableObjectGraph()
    objects.nodes.add().has_checkpoint_values.value = True
    value = proto.Summary.Value(tag="loss")
    return [graph, graph.node[0], value, meta, meta.meta_info_def, meta.meta_info_def.any_info, objects]


@pytest.mark.parametrize("message", make_messages(), ids=lambda message: type(message).__qualname__)
def test_copies(message: proto.Any) -> None:
    assert copy.deepcopy(message) == message
    for pickled in (pickle.dumps(message), multiprocessing.reduction.ForkingPickler.dumps(message)):
        restored = pickle.loads(pickled)
        assert restored == message
        assert type(restored) is type(message)


def test_any_holds_messages() -> None:
    value, holder, found = proto.Summary.Value(tag="loss"), proto.Any(), proto.Summary.Value()
    holder.Pack(value)
    assert holder.type_url == "type.googleapis.com/tensorflow.Summary.Value"
    assert holder.Unpack(found)
    assert found == value
    text = text_format.MessageToString(holder, descriptor_pool=proto.pool())
    assert text_format.Parse(text, proto.Any(), descriptor_pool=proto.pool()) == holder


def run_python(program: str) -> str:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_import_loads_nothing() -> None:
    program = "import sys; from millstream.io import proto; print('google.protobuf' in sys.modules)"
    assert run_python(program) == "False\n"


def test_lives_beside_messages_of_the_same_name() -> None:
    program = """
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
file = descriptor_pb2.FileDescriptorProto(name="tensorflow/core/framework/graph.proto", package="tensorflow")
file.message_type.add(name="GraphDef").field.add(name="other", number=1, type=9, label=1)
descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
other = descriptor_pool.Default().FindMessageTypeByName("tensorflow.GraphDef")
from millstream.io import proto
assert message_factory.GetMessageClass(other)(other="x").other == "x"
assert proto.GraphDef().node.add(name="a").name == "a"
"""
    run_python(program)


def test_descriptors_are_fresh() -> None:
    pytest.importorskip("grpc_tools")
    check = subprocess.run([sys.executable, ROOT / "tools" / "compile_protos.py", "--check"])
    assert check.returncode == 0


def listed_fields() -> list[tuple[str, int, str, str, str]]:
    """Message, number, name, type and label of every field in the table of facts."""
    fields, message = [], ""
    for line in FACTS.read_text().split("\n## Fields that the same messages gained")[0].splitlines():
        if line.startswith("### "):
            message = line.split()[-1]
        elif found := re.match(r"\| (\d+) \| (\w+) \| (.+) \| (.+) \|$", line):
            number, name, kind, label = found.groups()
            fields.append((message, int(number), name, kind, label))
    return fields


def kind_of(field: proto.Any) -> str:
    """A field's type as the table writes it."""
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = (kind_of(field.message_type.fields_by_name[part]) for part in ("key", "value"))
        return f"map<{key}, {value.removeprefix('enum ')}>"
    if field.message_type:
        return field.message_type.full_name.removeprefix("tensorflow.")
    if field.enum_type:
        return f"enum {field.enum_type.full_name.removeprefix('tensorflow.')}"
    names = {
        value: name.removeprefix("TYPE_").lower()
        for name, value in vars(type(field)).items()
        if name.startswith("TYPE_")
    }
    return names[field.type]


@pytest.mark.skipif(not FACTS.exists(), reason="needs ../shared/api/protos.md")
def test_fields_are_those_of_the_table() -> None:
    listed = listed_fields()
    assert len(listed) > 500
    for message, number, name, kind, label in listed:
        field = proto.message_class(message).DESCRIPTOR.fields_by_number[number]
        assert (field.name, kind_of(field)) == (name, kind), message
        if label.startswith("oneof"):
            assert field.containing_oneof.name == label.split()[1]
        assert field.GetOptions().deprecated == ("deprecated" in label)
