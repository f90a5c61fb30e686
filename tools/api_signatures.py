"""Packs the signatures of TensorFlow's functions and classes for `tests/public/test_signatures.py`.

    python tools/api_signatures.py

The source is the API tables `v1_api.tsv`, `v1_contrib_api.tsv` (1.15) and `v2_api.tsv` (2.21), made by introspection of
the real packages. A row of the result has the version, the name relative to `tf` and the signature; that of a class is
its constructor's.
"""
from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLES = {1: ("v1_api.tsv", "v1_contrib_api.tsv"), 2: ("v2_api.tsv",)}
RESULT = ROOT / "tests" / "data" / "signatures.tsv.gz"


class Row(NamedTuple):
    name: str
    kind: str
    signature: str
    alias_of: str


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=Path, default=ROOT.parent / "shared" / "api", help="folder of the tables")
    folder = parser.parse_args().tables
    lines = [
        f"{version}\t{name}\t{signature}\n"
        for version, tables in TABLES.items()
        for name, signature in sorted(signatures([row for t in tables for row in read_rows(folder / t)]).items())
    ]
    RESULT.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    print(f"{RESULT.relative_to(ROOT)}: {len(lines)} signatures, {RESULT.stat().st_size} bytes")


def read_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        next(lines)  # the heading
        for line in lines:
            name, kind, signature, alias_of = [*line.rstrip("\n").split("\t"), "", "", ""][:4]
            yield Row(name.removeprefix("tf."), kind, signature, alias_of.removeprefix("tf."))


def signatures(rows: list[Row]) -> dict[str, str]:
    """The signatures of one version, aliases of names and of namespaces followed."""
    callables = {row.name: row for row in rows if row.kind in ("function", "class")}
    found = {}
    for name, row in callables.items():
        source = callables.get(row.alias_of, row)
        if source.signature.startswith("(") and source.signature not in ("(*args, **kwargs)", "(?)"):
            found[name] = source.signature
    for alias in [row for row in rows if row.kind == "module" and row.alias_of]:
        inside = alias.alias_of + "."
        found |= {alias.name + "." + n[len(inside) :]: s for n, s in found.items() if n.startswith(inside)}
    return found


if __name__ == "__main__":
    main()
