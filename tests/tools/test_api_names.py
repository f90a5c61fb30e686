"""`tools/api_names.py`: the packed lists of TensorFlow's public names."""
from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def pack(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "api_names.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_files_are_up_to_date():
    done = pack("--check")
    assert done.returncode == 0, done.stderr


def test_a_stale_file_is_noticed(tmp_path):
    heading = "name\tkind\tsignature\talias_of\tbases\n"
    for table in ("v1_api.tsv", "v1_contrib_api.tsv", "v2_api.tsv"):
        (tmp_path / table).write_text(
            heading + "tf\tmodule\ntf.a\tmodule\ntf.a.b\tclass\t()\ntf.a.b.c\tmethod\n"
        )
    done = pack("--check", "--tables", tmp_path)
    assert done.returncode == 1 and "tf1_names.txt.gz is stale" in done.stderr


def test_lists_are_sorted():
    for api in (1, 2):
        path = ROOT / "millstream" / "public" / f"tf{api}_names.txt.gz"
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        assert lines == sorted(lines)
