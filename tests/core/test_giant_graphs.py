"""Graphs of giant files are imported or refused, quickly and in memory that grows with the file only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 20.0  # of processor time; none needs more than three where nothing else runs
# Imports a file, in a process of its own; prints what was said, the seconds, and by how many bytes the peak rose.
PROGRAM = """
import sys, time
import millstream.v1 as tf

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10

content = open(sys.argv[1], "rb").read()
with tf.Graph().as_default():
    tf.import_graph_def(tf.constant(1).graph.as_graph_def())
start, before = time.process_time(), peak()
with tf.Graph().as_default() as graph:
    try:
        tf.import_graph_def(tf.GraphDef.FromString(content), name="")
        said = f"{len(graph.get_operations())} operations"
    except ValueError as error:
        said = str(error)
print(repr(said[:200]), time.process_time() - start, peak() - before)
"""


def field(number: int, content: bytes) -> bytes:
    """A field of a message that is text or a message."""
    size, length = len(content), b""
    while size > 127:
        size, length = size >> 7, length + bytes([size & 127 | 128])
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def node(name: bytes, op: bytes, *inputs: bytes, **attrs: bytes) -> bytes:
    """A `NodeDef`; attributes are messages `AttrValue`."""
    entries = (field(5, field(1, key.encode()) + field(2, value)) for key, value in attrs.items())
    return b"".join((field(1, name), field(2, op), *(field(3, item) for item in inputs), *entries))


def graph(nodes: Iterator[bytes] | list[bytes], library: bytes = b"") -> bytes:
    return b"".join(field(1, item) for item in nodes) + (field(2, library) if library else b"")


FLOAT = b"\x30\x01"
MANY = 1_000_000


def chain() -> bytes:
    """Each node but the first takes what the one before it gives."""
    first = node(b"n0", b"Placeholder", dtype=FLOAT)
    return graph([first, *(node(b"n%d" % i, b"Neg", b"n%d" % (i - 1), T=FLOAT) for i in range(1, 60_000))])


def backward_chain() -> bytes:
    """Each node waits for the next one of the file."""
    return graph([*(node(b"n%d" % i, b"NoOp", b"^n%d" % (i + 1)) for i in range(99_999)), node(b"n99999", b"NoOp")])


def cycle() -> bytes:
    return graph(node(b"n%d" % i, b"NoOp", b"^n%d" % ((i + 1) % 200_000)) for i in range(200_000))


def list_of_dtypes() -> bytes:
    return graph([node(b"n", b"IdentityN", T=field(1, field(6, b"\1" * MANY)))])


def list_of_shapes() -> bytes:
    shapes = field(1, field(7, b"") * (MANY // 4))
    return graph([node(b"n", b"FIFOQueueV2", component_types=field(1, field(6, b"\1")), shapes=shapes)])


def private_list() -> bytes:
    return graph([node(b"n", b"NoOp", _x=field(1, field(3, b"\1" * MANY)))])


def groups() -> bytes:
    return graph([node(b"n", b"NoOp", _class=field(1, field(2, b"loc:@n") * MANY))])


def outputs() -> bytes:
    """A few bytes that ask for a million outputs."""
    made = node(b"x", b"Placeholder", dtype=FLOAT), node(b"n", b"Unpack", b"x", T=FLOAT, num=b"\x18\xc1\x84\x7d")
    return graph(list(made))


def nested_functions() -> bytes:
    """Each function calls the next one."""

    def call(name: bytes, number: int) -> bytes:
        empty, function = field(1, b""), field(10, field(1, b"f%d" % number))
        return node(name, b"StatefulPartitionedCall", f=function, Tin=empty, Tout=empty)

    functions = (field(1, field(1, b"f%d" % i)) + field(3, call(b"c", (i + 1) % 30_000)) for i in range(29_999))
    last = field(1, field(1, field(1, b"f29999")))
    return graph([call(b"start", 0)], b"".join(field(1, item) for item in functions) + last)


CASES: dict[Callable[[], bytes], tuple[str, int]] = {
    chain: ("60000 operations", 200),
    backward_chain: ("100000 operations", 250),
    cycle: ("200000 nodes in a cycle: n0, n1", 350),
    list_of_dtypes: ("expected inputs '1000000 tensors' do not match 0 inputs", 50),
    list_of_shapes: ("1 operations", 60),
    private_list: ("1 operations", 50),
    groups: ("1 operations", 250),
    outputs: ("at most 1048576 are read", 20),
    nested_functions: ("functions are nested more than 50 deep", 200),
}  # and how many megabytes it may take


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="says nothing about memory")
@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_giants(make: Callable[[], bytes], tmp_path: Path) -> None:
    said, megabytes = CASES[make]
    path = tmp_path / "graph.pb"
    path.write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path], cwd=ROOT, check=True, capture_output=True, text=True, timeout=300
    )
    found, seconds, taken = done.stdout.rsplit(maxsplit=2)
    assert said in found
    assert float(seconds) < MOST_SECONDS
    assert int(taken) < megabytes * 1e6, f"{int(taken) / 1e6:.0f} MB"
