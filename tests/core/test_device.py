"""Names of devices and DeviceSpec, as in TensorFlow 1.15.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core import device
from millstream.core.device import DeviceSpec


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("", ""), ("/cpu:0", "/device:CPU:0"), ("cpu:0", "/device:CPU:0"), ("/GpU:1", "/device:GPU:1"),
        ("/gpu", "/device:GPU:*"), ("/gpu:*", "/device:GPU:*"), ("/device:gpu:*", "/device:GPU:*"),
        ("/device:FOO:1", "/device:FOO:1"), ("/device:tpu:1", "/device:tpu:1"), ("/job:ps", "/job:ps"),
        ("/job:a/replica:0/task:1/device:CPU:0", "/job:a/replica:0/task:1/device:CPU:0"),
        ("/task:1/job:a", "/job:a/task:1"), ("/job:a//cpu:0", "/job:a/device:CPU:0"),
        ("/job:a/job:b", "/job:b"), (None, ""), (DeviceSpec(job="a"), "/job:a"),
        (DeviceSpec(device_index=1), ""),
    ],
)  # fmt: skip
def test_canonical_name(name, canonical):
    assert device.canonical_name(name) == canonical


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bogus", "Unknown attribute: 'bogus' in 'bogus'"),
        ("/job:a/bogus:1", "Unknown attribute: 'bogus' in '/job:a/bogus:1'"),
        ("/device:CPU", "Unknown attribute: 'device' in '/device:CPU'"),
        ("/TPU:0", "Unknown attribute: 'TPU' in '/TPU:0'"),
        ("/job", "Unknown attribute: 'job' in '/job'"),
        ("/cpu:0/gpu:1", "Cannot specify multiple device types: /cpu:0/gpu:1"),
        ("/cpu:0/device:GPU:1", "Cannot specify multiple device types: /cpu:0/device:GPU:1"),
        ("/task:x", "invalid literal for int"),
        ("/cpu:", "invalid literal for int"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(ValueError, match=message):
        device.canonical_name(name)


def test_what_is_no_device():
    with pytest.raises(TypeError, match="Expected a device name or DeviceSpec, got 3 of type int."):
        device.canonical_name(3)


@pytest.mark.parametrize(
    ("outer", "inner", "merged"),
    [
        ("/job:a", "/cpu:0", "/job:a/device:CPU:0"), ("/job:a/cpu:0", "/gpu:1", "/job:a/device:GPU:1"),
        ("/gpu:1", "", "/device:GPU:1"), ("", "/gpu:1", "/device:GPU:1"),
        ("/job:a/task:1", "/job:b", "/job:b/task:1"), ("/gpu:0", "/device:CPU:*", "/device:CPU:0"),
    ],
)  # fmt: skip
def test_merge(outer, inner, merged):
    assert device.merge(outer, inner) == merged
    spec = DeviceSpec.from_string(outer)
    assert spec.make_merged_spec(DeviceSpec.from_string(inner)).to_string() == merged
    spec.merge_from(DeviceSpec.from_string(inner))
    assert spec.to_string() == merged


SPECS = st.builds(
    DeviceSpec,
    job=st.sampled_from([None, "a", "b"]),
    replica=st.sampled_from([None, 0, 1]),
    task=st.sampled_from([None, 0, 1]),
    device_type=st.sampled_from([None, "CPU", "GPU", "FOO"]),
    device_index=st.sampled_from([None, 0, 1]),
)


@given(SPECS, SPECS, SPECS)
def test_names_and_merging_obey_their_laws(a, b, c):
    a, b, c = a.to_string(), b.to_string(), c.to_string()
    assert DeviceSpec.from_string(a).to_string() == device.canonical_name(a) == a
    assert device.merge(a, a) == device.merge(a, "") == device.merge("", a) == a
    assert device.merge(device.merge(a, b), c) == device.merge(a, device.merge(b, c))


def test_spec_parts():
    spec = DeviceSpec.from_string("/job:a/replica:1/task:2/gpu:3")
    assert (spec.job, spec.replica, spec.task, spec.device_type, spec.device_index) == ("a", 1, 2, "GPU", 3)
    spec = DeviceSpec(replica="1", task="2", device_type="cpu", device_index="3")
    assert (spec.job, spec.replica, spec.task, spec.device_type, spec.device_index) == (None, 1, 2, "CPU", 3)
    with pytest.raises(ValueError):
        DeviceSpec(task="x")


def test_spec_is_changed_part_by_part():
    spec = DeviceSpec(job="w", task=1)
    spec.job, spec.task, spec.replica = "x", None, "3"
    spec.device_type, spec.device_index = "gpu", 0
    assert spec.to_string() == "/job:x/replica:3/device:GPU:0"
    assert spec.parse_from_string("/cpu:0") is spec
    assert spec.to_string() == "/device:CPU:0"
    assert spec.replace(job="b", task=2).to_string() == "/job:b/task:2/device:CPU:0"
    assert spec.to_string() == "/device:CPU:0"
    with pytest.raises(TypeError):
        spec.replace(bogus=2)


def test_spec_equality():
    assert DeviceSpec.from_string("/cpu:0") == DeviceSpec.from_string("/device:CPU:0")
    assert hash(DeviceSpec(job="a")) == hash(DeviceSpec(job="a"))
    assert DeviceSpec(job="a") != DeviceSpec(job="b") and DeviceSpec(job="a") != "/job:a"
    assert repr(DeviceSpec(job="a")) == (
        "<DeviceSpec(job=a, replica=None, task=None, device_type=None, device_index=None)>"
    )
