"""What Millstream writes, in a real TensorBoard and a real browser. Skipped where these are not installed."""
from __future__ import annotations

import importlib.util
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest
from summary import browser, logs

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="TensorBoard is not installed")
needs_browser = pytest.mark.skipif(
    shutil.which("chromium") is None or shutil.which("chromedriver") is None, reason="Chromium is not installed"
)
_RAMPS = {"v1": "summaries/ramps/image/0", "v2": "ramps"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Event files of a run of 1.x and one of 2.x."""
    made = tmp_path_factory.mktemp("logs")
    for kind in ("v1", "v2"):
        subprocess.run([sys.executable, logs.__file__, kind, str(made / kind)], check=True, timeout=browser.PATIENCE)
    return made


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where TensorBoard answers, all files read."""
    port = browser.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "tensorboard.main", f"--logdir={folder}", "--host=127.0.0.1", f"--port={port}",
        "--load_fast=false", "--reload_interval=1",
    ]  # fmt: skip
    log = tmp_path_factory.mktemp("tensorboard") / "log"
    with browser.server(command, url, log):
        browser.wait_for(
            lambda: sorted(json.loads(browser.fetch(f"{url}/data/plugin/text/tags"))) == ["v1", "v2"],
            "TensorBoard does not find the runs",
        )
        yield url


@pytest.fixture
def data(address: str) -> Callable[..., Any]:
    """Asks a plug-in of TensorBoard; gives what JSON it answers, or bytes."""

    def ask(route: str, **arguments: Any) -> Any:
        answer = browser.fetch(f"{address}/data/plugin/{route}?{urlencode(arguments)}")
        try:
            return json.loads(answer)
        except ValueError:
            return answer

    return ask


# --- What TensorBoard has read ----------------------------------------------------------------------------------------


def test_scalars(data: Callable[..., Any]) -> None:
    tags = data("scalars/tags")
    assert list(tags["v1"]) == ["summaries/loss"]
    assert tags["v2"]["loss"]["description"] == "<p>what is minimised</p>"
    for run, tag in (("v1", "summaries/loss"), ("v2", "loss")):
        points = data("scalars/scalars", run=run, tag=tag)
        assert [step for _, step, _ in points] == list(range(logs.STEPS))
        values = [value for _, _, value in points]
        assert values == sorted(values, reverse=True)
    assert values[:2] == pytest.approx([4.0, 3.24])


def test_histograms(data: Callable[..., Any]) -> None:
    assert [step for _, step, _ in data("histograms/histograms", run="v2", tag="numbers")] == [0, 2, 4, 6]
    _, _, buckets = data("histograms/histograms", run="v1", tag="summaries/weights")[0]
    assert sum(count for _, _, count in buckets) == 20
    _, _, buckets = data("histograms/histograms", run="v2", tag="numbers")[0]
    assert len(buckets) == 30 and sum(count for _, _, count in buckets) == 100
    assert (buckets[0][0], buckets[-1][1]) == (0.0, 4.0)
    assert data("distributions/tags")["v2"]


def test_images(data: Callable[..., Any]) -> None:
    for run, tag in _RAMPS.items():
        for sample in range(2 if run == "v2" else 1):
            entry = data("images/images", run=run, tag=tag, sample=sample)[0]
            picture = data("images/individualImage", **dict(parse_qsl(entry["query"])))
            assert picture.startswith(b"\x89PNG")
            assert struct.unpack(">II", picture[16:24]) == (24, 16)


def test_audio_and_text(data: Callable[..., Any]) -> None:
    assert list(data("audio/tags")["v1"]) == ["summaries/tone/audio/0"]
    clip = data("audio/audio", run="v2", tag="tone", sample=0)[0]
    assert clip["contentType"] == "audio/wav"
    assert data("text/text", run="v1", tag="summaries/note")[0]["text"] == "<p><strong>bold</strong> words</p>"
    assert "<table>" in data("text/text", run="v2", tag="note")[0]["text"]


def test_graphs(data: Callable[..., Any]) -> None:
    info = data("graphs/info")
    assert info["v1"]["run_graph"] and info["v1"]["tags"]["step2"]["profile"]
    assert info["v2"]["tags"]["train_step"]["op_graph"]
    limits = {"limit_attr_size": 1024, "large_attrs_key": "_too_large_attrs"}
    graph = data("graphs/graph", run="v1", conceptual=False, **limits).decode()
    assert 'name: "hidden/MatMul"' in graph and 'name: "train/loss"' in graph
    graph = data("graphs/graph", run="v2", tag="train_step", conceptual=False, **limits).decode()
    assert 'name: "model/square"' in graph and "library" in graph
    stats = data("graphs/run_metadata", run="v1", tag="step2").decode()
    assert 'node_name: "hidden/MatMul"' in stats


def test_the_event_accumulator(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    ours = EventAccumulator(str(folder / "v2"))
    ours.Reload()
    values = [make_ndarray(event.tensor_proto).item() for event in ours.Tensors("loss")]
    np.testing.assert_allclose(values, [4 * 0.81**step for step in range(logs.STEPS)], rtol=1e-5)
    ours = EventAccumulator(str(folder / "v1"))
    ours.Reload()
    assert ours.RunMetadata("step2").step_stats.dev_stats
    assert [node.name for node in ours.Graph().node][0] == "x"
    assert ours.Tags()["images"] == ["summaries/ramps/image/0", "summaries/ramps/image/1"]


# --- What the browser shows -------------------------------------------------------------------------------------------


@needs_browser
def test_in_a_browser(address: str, tmp_path: Path) -> None:
    with browser.browser(tmp_path) as page:
        for show in (_show_scalars, _show_images, _show_histograms, _show_audio, _show_text, _show_graph):
            name = show.__name__.removeprefix("_show_")
            page.open("about:blank")
            page.open(f"{address}/#{'graphs' if name == 'graph' else name}")
            show(page)
            page.screenshot(tmp_path / f"{name}.png")


def _show_scalars(page: browser.Browser) -> None:
    page.wait("return all('vz-line-chart2, tf-line-chart-data-loader').length >= 2", "there are no charts")
    # The two runs' lines, each as it is and smoothed: paths that go through more than their first points.
    page.wait("return all('path.line').filter(line => line.getAttribute('d').split('L').length > 4).length >= 4",
              "no lines are drawn")  # fmt: skip


def _show_images(page: browser.Browser) -> None:
    page.wait("return all('img').filter(img => img.complete && img.naturalWidth == 24).length >= 4", "no images")
    assert page.run("return all('img').every(img => img.naturalHeight == 16)")


def _show_histograms(page: browser.Browser) -> None:
    page.wait("return all('vz-histogram-timeseries').length >= 2", "there are no histograms")
    page.wait("return all('.histogram path').length >= 12", "no histograms are drawn")


def _show_audio(page: browser.Browser) -> None:
    page.run("return all('audio').forEach(audio => { audio.preload = 'auto'; audio.load(); })")
    durations = page.wait(
        "const clips = all('audio'); clips.filter(clip => clip.readyState == 0).forEach(clip => clip.load());"
        "return clips.length >= 2 && clips.every(clip => clip.readyState > 0) && clips.map(clip => clip.duration)",
        "the clips are not read",
    )
    assert durations == pytest.approx([0.1] * len(durations))


def _show_text(page: browser.Browser) -> None:
    page.wait("return all('strong').some(element => element.textContent == 'bold')", "no bold text")
    page.wait("return all('td').some(element => element.textContent == '2')", "no table")


def _show_graph(page: browser.Browser) -> None:
    nodes = "return all('g.node{}').map(node => node.getAttribute('data-name'))"
    page.wait(nodes.format("") + ".length > 4", "no graph is drawn")
    assert set(page.run(nodes.format(".meta"))) == {"hidden", "train", "w", "summaries"}  # the scopes
    assert page.run(nodes.format(".op")) == ["x"]
    page.run("all('paper-item').find(item => item.textContent.trim() == 'v2').click()")
    scopes = page.wait(f"const found = (() => {{{nodes.format('.meta')}}})(); return found.includes('model') && found",
                       "the graph of the function is not drawn")  # fmt: skip
    assert {"model", "loss", "numbers"} <= set(scopes)
