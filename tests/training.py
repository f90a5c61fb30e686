"""What the tests of monitored training share: a tiny model, a hook that records, reading what was written."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import millstream.v1 as tf


def counting_model() -> tuple[Any, Any, Any]:
    """A global step, a variable, and an operation that increases both by one."""
    step = tf.train.get_or_create_global_step()
    v = tf.Variable(1.0, name="v")
    return step, v, tf.group(tf.assign_add(step, 1), tf.assign_add(v, 1.0), name="train")


class Recorder(tf.train.SessionRunHook):
    """Notes its calls in a list, and does what a test wants at one of them."""

    def __init__(
        self, calls: list[str], name: str = "hook", args: Any = None, stop_at: int = 0, fail: Any = None
    ) -> None:
        self.calls, self.name, self.args = calls, name, args
        self.stop_at, self.fail, self.runs = stop_at, fail, 0
        self.results: list[Any] = []

    def begin(self):
        self.calls.append(f"{self.name} begin")

    def after_create_session(self, session, coord):
        assert isinstance(session, tf.Session) and isinstance(coord, tf.train.Coordinator) and session.graph.finalized
        self.calls.append(f"{self.name} after_create_session")

    def before_run(self, run_context):
        assert isinstance(run_context.session, tf.Session) and not run_context.stop_requested
        self.calls.append(f"{self.name} before_run")
        return self.args

    def after_run(self, run_context, run_values):
        self.runs += 1
        self.calls.append(f"{self.name} after_run")
        self.results.append(run_values.results)
        if self.fail is not None and self.fail[0] == self.runs:
            raise self.fail[1]
        if self.stop_at == self.runs:
            run_context.request_stop()

    def end(self, session):
        self.calls.append(f"{self.name} end")


def messages(caplog: Any, folder: Any = "DIR") -> list[str]:
    """What was logged; times and the folder are left out."""
    found = []
    for record in caplog.records:
        if record.name == "tensorflow":
            text = record.getMessage().replace(str(folder), "DIR")
            text = re.sub(r"\d+\.\d+ sec", "T sec", text)
            found.append(re.sub(r"/sec: .*", "/sec: RATE", text))
    return found


def files(folder: Path) -> list[str]:
    """The names of the files in a folder; event files without their ends."""
    return sorted(re.sub(r"tfevents\..*", "tfevents", name) for name in os.listdir(folder))


def events(folder: Path) -> list[tuple[int, str, Any]]:
    """What the event files of a folder have: step, kind, contents as far as they do not depend on time."""
    found = []
    for path in sorted(folder.glob("*tfevents*")):
        for event in tf.train.summary_iterator(str(path)):
            kind = event.WhichOneof("what")
            contents: Any = None
            if kind == "summary":
                contents = [
                    (value.tag, "RATE" if "sec" in value.tag else value.simple_value) for value in event.summary.value
                ]
            elif kind == "session_log":
                log = event.session_log
                contents = log.SessionStatus.Name(log.status), log.checkpoint_path.replace(str(folder), "DIR")
            elif kind == "tagged_run_metadata":
                contents = event.tagged_run_metadata.tag
            found.append((event.step, kind, contents))
    return found
