"""The tables of public names."""
from __future__ import annotations

import importlib.util
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "tools" / "api_tables.py"
KINDS = {"abs": "f", "nn": "m", "nn.relu": "f", "nn.gelu": "f", "raw_ops": "o", "VERSION": "v"}


def load():
    spec = importlib.util.spec_from_file_location("api_tables", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_table():
    text = load().render(2, KINDS, {"abs", "nn.relu"}.__contains__)
    assert "**2 of 4** are there (50%)" in text and "Not counted are the members of `tf.raw_ops`." in text
    assert text.endswith(
        "## tf: 1 of 2\n\nPresent: `abs`\n\nMissing: `VERSION`\n\n"
        "## tf.nn: 1 of 2\n\nPresent: `relu`\n\nMissing: `gelu`\n"
    )


def test_check_writes_nothing(tmp_path, monkeypatch, capsys):
    tool = load()
    monkeypatch.setattr("sys.argv", ["api_tables.py", "--docs", str(tmp_path), "--check"])
    assert tool.main() == 1 and not list(tmp_path.iterdir())
    monkeypatch.setattr("sys.argv", ["api_tables.py", "--docs", str(tmp_path)])
    assert tool.main() == 0 and {path.name for path in tmp_path.iterdir()} == {"api_v1.md", "api_v2.md"}
    monkeypatch.setattr("sys.argv", ["api_tables.py", "--docs", str(tmp_path), "--check"])
    assert tool.main() == 0
    assert "is stale: run tools/api_tables.py" in capsys.readouterr().out
