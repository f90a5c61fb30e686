"""`tf.train.write_graph`: graphs as files, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from google.protobuf import text_format

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.mark.parametrize("as_text", [True, False])
def test_write_graph(graph, tmp_path, as_text):
    tf.constant(1.0, name="c")
    for target in (graph, graph.as_graph_def()):
        path = tf.train.write_graph(target, str(tmp_path / "new"), "graph.pb", as_text)
        content = Path(path).read_bytes()
        message = text_format.Parse(content.decode(), tf.GraphDef()) if as_text else tf.GraphDef.FromString(content)
        assert message == graph.as_graph_def()
    assert os.listdir(tmp_path / "new") == ["graph.pb"]


def test_write_graph_leaves_nothing_half_done(graph, tmp_path, monkeypatch):
    tf.constant(1.0, name="c")
    path = Path(tf.train.write_graph(graph, str(tmp_path), "graph.pb"))
    (tmp_path / "plain").write_text("")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    before = path.read_bytes()
    tf.constant(2.0, name="d")

    def fail(*_):
        raise OSError("full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(tf.errors.OpError, match="full"):
        tf.train.write_graph(graph, str(tmp_path), "graph.pb")
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["graph.pb", "plain"]
