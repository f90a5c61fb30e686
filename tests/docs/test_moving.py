"""The page docs/moving.md: its table is that of the round trips, and its programs and commands work in their order."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from round_trips import table

PAGE = (Path(__file__).parents[2] / "docs" / "moving.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(kind: str, text: str, folder: Path) -> str:
    """What a program, or the commands of a shell, print."""
    command = ["bash", "-eo", "pipefail", "-c", f'millstream() {{ "{sys.executable}" -m millstream "$@"; }}\n{text}']
    if kind == "python":
        (folder / "program.py").write_text(text)
        command = [sys.executable, "-m", "millstream", "run", "program.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{text}\n{done.stderr}"
    return done.stdout


def test_the_table() -> None:
    assert table.as_markdown() in PAGE


def test_all_programs_are_found() -> None:
    assert len(BLOCKS) >= 15 and PAGE.count("```") == 2 * len(BLOCKS)


def test_the_programs(tmp_path: Path) -> None:
    printed = ""
    for kind, text in BLOCKS:
        if kind == "text":
            assert printed == text
        else:
            printed = run(kind, text, tmp_path)
