"""Devices: names, placement, what is said about it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

import millstream.v1 as tf
from millstream.runtime import devices

CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_list_devices():
    with tf.Session() as session:
        found = session.list_devices()
    (cpu,) = [device for device in found if device.name == CPU]
    assert cpu.device_type == "CPU"
    assert repr(cpu).startswith(f"_DeviceAttributes({CPU}, CPU, ")


def test_placement_is_logged_on_request(capsys):
    x = tf.placeholder(tf.float32, [], name="x")
    with tf.device("/cpu:0"):
        y = tf.add(x, 1.0, name="y")
    with tf.Session(config=tf.ConfigProto(log_device_placement=True)) as session:
        for _ in range(2):  # each operation once
            session.run(y, {x: 1.0})
    assert sorted(capsys.readouterr().out.splitlines()) == [f"y/y: (Const): {CPU}", f"y: (Add): {CPU}"]


def test_placement_is_not_logged_otherwise(capsys):
    with tf.Session() as session:
        session.run(tf.constant(1.0) + 1.0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "name", ["/cpu:0", "/CPU:0", "/device:CPU:0", "/job:localhost/task:0/device:CPU:0", "/replica:0"]
)
def test_the_cpu_has_many_names(name):
    with tf.device(name):
        x = tf.exp(tf.placeholder_with_default(0.0, []))
    with tf.Session() as session:
        assert session.run(x) == 1.0


@pytest.mark.parametrize("name", ["/device:NOPE:0", "/cpu:99", "/job:worker/task:1", "/job:worker/device:CPU:0"])
def test_a_device_that_does_not_exist(name):
    x = tf.placeholder_with_default(0.0, [])
    with tf.device(name):
        y = tf.exp(x, name="y")
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError) as caught:
        session.run(y)
    message = caught.value.message
    assert message.startswith("Cannot assign a device for operation y: {{node y}} was explicitly assigned to /")
    assert CPU in message and "test_devices.py" in message and "allow_soft_placement" in message
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session:
        assert session.run(y) == 1.0


def test_operations_of_two_devices_run():
    """Where there is one device only, soft placement brings them together."""
    with tf.device("/cpu:0"):
        v = tf.Variable(2.0)
        a = v * 3.0
    with tf.device("/gpu:0"):
        b = a + 1.0
    with tf.device("/cpu:0"):
        c = b * 2.0
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session:
        session.run(v.initializer)
        assert session.run(c) == 14.0


def test_a_placer_decides_once():
    x = tf.constant(1.0)
    placer = devices.Placer(soft=False, log_placement=False)
    assert placer(x.op) == placer(x.op) == ""


# --- Several devices --------------------------------------------------------------------------------------------------

_TWO_DEVICES = """
import numpy as np
import millstream.v1 as tf

ONES = np.ones((200, 200), np.float32)
config = tf.ConfigProto(device_count={"CPU": 2}, log_device_placement=True)

def where(session, variable):
    (device,) = session._state.values["", variable.op.name].devices()
    return device.id
"""


def run_with_two(program):
    """Runs a program where there are two devices, as there are with a GPU; gives what it prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", _TWO_DEVICES + textwrap.dedent(program)],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_programs_run_where_they_are_placed():
    """Values, and variables, go from one device to another as they are needed."""
    logged = run_with_two("""
        with tf.device("/cpu:1"):
            v = tf.Variable(ONES, name="v")
            product = tf.matmul(v, v, name="product")
            add = v.assign_add(ONES)
        with tf.device("/cpu:0"):
            w = tf.Variable(ONES, name="w")
            total = w.assign_add(tf.sqrt(product))
        with tf.Session(config=config) as session:
            names = [device.name for device in session.list_devices()]
            assert names == [f"/job:localhost/replica:0/task:0/device:CPU:{index}" for index in range(2)]
            session.run(tf.global_variables_initializer())
            for step in range(1, 4):
                found = session.run(total)
                session.run(add.op)
                assert (where(session, v), where(session, w)) == (1, 0)
            assert np.allclose(found, 1 + np.sqrt(200.0) * (1 + 2 + 3))
    """)
    log = [f"product: (MatMul): {CPU[:-1]}1", f"v: (VariableV2): {CPU[:-1]}1", f"Sqrt: (Sqrt): {CPU}"]
    assert set(log) <= set(logged.splitlines())


def test_eager_operations_run_where_they_are_placed():
    run_with_two("""
        tf.enable_eager_execution(config)
        with tf.device("/cpu:1"):
            x = tf.matmul(ONES, ONES)
            function = tf.function(lambda x: x * 2.0)
        assert x.device == "/job:localhost/replica:0/task:0/device:CPU:1"
        with tf.device("/cpu:0"):
            y = x + x
        assert y.device == "/job:localhost/replica:0/task:0/device:CPU:0"
        assert (y.numpy() == 400.0).all() and (function(x).numpy() == 400.0).all()
    """)
