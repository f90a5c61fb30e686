"""Records what real TensorFlow 2.21 gives for the expressions in tests/expressions/*.txt.

    PYTHON tools/record_expressions.py [FILE ...]

PYTHON is an interpreter that has TensorFlow 2.21. Results are written below each expression, in place of those that
stood there. tests/expressions/README.md tells the whole procedure.
"""
from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # TensorFlow's own kernels, on any machine
warnings.simplefilter("ignore")

import tensorflow as tf  # noqa: E402
from expressions.evaluate import evaluate, read  # noqa: E402

VERSION = "2.21"


def main() -> None:
    if not tf.__version__.startswith(VERSION):
        sys.exit(f"this is TensorFlow {tf.__version__}, the recordings are of {VERSION}")
    paths = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "tests" / "expressions").glob("*.txt"))
    for path in paths:
        path.write_text("\n".join(recorded(path)) + "\n", encoding="utf-8")
        print(f"{path.name}: {len(read(path))} expressions")


def recorded(path: Path) -> list[str]:
    """The file's lines with fresh results: comments and blank lines stay where they are."""
    lines, after_expression = [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(">>> "):
            lines += [line, *evaluate(tf, line[4:].partition("  # ")[0])]
            after_expression = True
        elif not after_expression or not line.strip():
            lines.append(line)
            after_expression = False
    return lines


if __name__ == "__main__":
    main()
